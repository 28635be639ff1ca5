// The windows of a convolution as rows of a matrix: algo/windows.py, window_rows, one line of pixels after the other.

#include <stdint.h>
#include <string.h>

typedef struct {
    int64_t n, h, w, c; // of the pixels, the channels of a pixel together
    int64_t kh, kw, stride, pad_y, pad_x, spread;
    int64_t oh, ow;
    const int8_t *x;
    int8_t *rows; // (n oh ow, kh kw c)
} Windows;

// One padded line, its pixels `spread` apart between zeros; pixel i stands at pad_x + i spread.
static void lay_out(const Windows *g, int8_t *line, int64_t width, const int8_t *pixels) {
    const int64_t c = g->c;
    memset(line, 0, (size_t)(width * c));
    if (!pixels) return;
    for (int64_t i = 0; i < g->w; i++) {
        const int64_t at = g->pad_x + i * g->spread;
        if (at >= 0 && at < width) memcpy(line + at * c, pixels + i * c, (size_t)c);
    }
}

// Scratch memory for one line: ((ow - 1) stride + kw) c bytes.
void window_rows(const Windows *g, int8_t *line) {
    const int64_t width = (g->ow - 1) * g->stride + g->kw, tap = g->kw * g->c, window = g->kh * tap;
    for (int64_t n = 0; n < g->n; n++)
        for (int64_t y = 0; y < g->oh; y++)
            for (int64_t ky = 0; ky < g->kh; ky++) {
                const int64_t at = y * g->stride + ky - g->pad_y, row = at / g->spread;
                const int there = at >= 0 && at % g->spread == 0 && row < g->h;
                lay_out(g, line, width, there ? g->x + ((n * g->h + row) * g->w) * g->c : 0);
                int8_t *to = g->rows + (n * g->oh + y) * g->ow * window + ky * tap;
                for (int64_t x = 0; x < g->ow; x++) memcpy(to + x * window, line + x * g->stride * g->c, (size_t)tap);
            }
}
