// One pass of the vector unit over a matrix with a row for each pixel: algo/vector_pass.py, fused into one loop for a CPU.
//
// out = round(A u + B v + D) as there, in double precision, where every intermediate result is exact. The elements go through the
// stages in blocks of whole rows that stay in the first cache; each stage is a loop that a compiler vectorises.

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK = 1024 };
enum { NONE, INT8, INT32, MAX_VALUE, MAX_INDEX };
enum { PLAIN, RELU, SIGN, SIGN_THRESHOLD, SOFT_THRESHOLD };
enum { BYTE, WIDE, HIGH, LOW };

typedef struct {
    int64_t rows, channels, position;
    const void *u, *v;
    int64_t u_kind, v_kind, su, sv;
    const double *a, *b, *d; // per channel
    int64_t post, stochastic, sum_kind, form; // sum_kind: 0 none, 1 of squares, 2 with v; form of the result
    uint32_t key;
    double threshold;
    const uint8_t *mask;
    void *out; // int32 where the form is WIDE, else int8
    uint8_t *positive;
    double *maximum;
    int64_t *sums; // (2, channels)
} Pass;

static void take(double *x, const void *from, int64_t kind, int64_t at, int64_t count) {
    const int8_t *bytes = (const int8_t *)from + at;
    const int32_t *words = (const int32_t *)from + at;
    if (kind == INT8)
        for (int64_t i = 0; i < count; i++) x[i] = bytes[i];
    else if (kind == INT32)
        for (int64_t i = 0; i < count; i++) x[i] = words[i];
    else if (kind == MAX_VALUE)
        for (int64_t i = 0; i < count; i++) x[i] = (words[i] >> 8) - 128;
    else
        for (int64_t i = 0; i < count; i++) x[i] = 255 - (words[i] & 255);
}

static void add_term(double *y, const double *number, const double *x, int64_t kind, int64_t shift, int64_t count) {
    if (kind == INT8 && !shift) {
        for (int64_t i = 0; i < count; i++) y[i] += number[i] * x[i];
        return;
    }
    const double scale = ldexp(1.0, (int)-shift), low = -16777216.0, high = 16777215.0;
    for (int64_t i = 0; i < count; i++) {
        double taken = floor(x[i] * scale);
        taken = taken < low ? low : taken;
        taken = taken > high ? high : taken;
        y[i] += number[i] * taken;
    }
}

// Where the sums are above 0 before they are rounded; d has a half in it that rounds to nearest.
static void mark(const double *y, const Pass *p, int64_t at, int64_t count) {
    const double half = p->stochastic ? 0 : 0.5;
    for (int64_t i = 0; i < count; i++) p->positive[at + i] = y[i] > half;
    if (p->mask)
        for (int64_t i = 0; i < count; i++) p->positive[at + i] &= p->mask[at + i];
}

static inline uint32_t mix32(uint32_t x) {
    x = ~x + (x << 15);
    x ^= x >> 12;
    x += x << 2;
    x ^= x >> 4;
    x *= 2057;
    return x ^ (x >> 16);
}

static void add_noise(double *y, const Pass *p, int64_t row, int64_t rows) {
    const int64_t c = p->channels;
    for (int64_t r = 0; r < rows; r++) {
        const uint32_t hash = mix32((uint32_t)(p->position + row + r) ^ p->key);
        for (int64_t k = 0; k < c; k++)
            y[r * c + k] += (double)(int32_t)(mix32(hash ^ ((uint32_t)k << 16 | (uint32_t)k)) >> 16) * 0x1p-16;
    }
}

static void post(double *y, int64_t kind, double threshold, int64_t count) {
    if (kind == RELU)
        for (int64_t i = 0; i < count; i++) y[i] = y[i] > 0 ? y[i] : 0;
    else if (kind == SIGN || kind == SIGN_THRESHOLD) {
        const double past = kind == SIGN ? 0 : threshold;
        for (int64_t i = 0; i < count; i++) y[i] = (double)(y[i] > past) - (double)(y[i] < -past);
    } else if (kind == SOFT_THRESHOLD)
        for (int64_t i = 0; i < count; i++)
            y[i] = y[i] > threshold ? y[i] - threshold : y[i] < -threshold ? y[i] + threshold : 0;
}

static inline double limited(double y, double low, double high) {
    y = y < low ? low : y;
    return y > high ? high : y;
}

static void finish(double *y, double *largest, const Pass *p, int64_t at, int64_t count) {
    int8_t *out = (int8_t *)p->out + at;
    int32_t *wide = (int32_t *)p->out + at;
    if (p->mask)
        for (int64_t i = 0; i < count; i++) y[i] = p->mask[at + i] ? y[i] : 0;
    if (p->maximum)
        for (int64_t i = 0; i < count; i++) {
            const double magnitude = fabs(y[i]);
            largest[i] = magnitude > largest[i] ? magnitude : largest[i];
        }
    if (p->form == BYTE)
        for (int64_t i = 0; i < count; i++) out[i] = (int8_t)(int32_t)limited(y[i], -127, 127);
    else if (p->form == WIDE)
        for (int64_t i = 0; i < count; i++) wide[i] = (int32_t)limited(y[i], -8388607, 8388607);
    else
        for (int64_t i = 0; i < count; i++) {
            const int32_t whole = (int32_t)limited(y[i], -32640, 32639), high = (whole + 128) >> 8;
            out[i] = (int8_t)(p->form == HIGH ? high : whole - 256 * high);
        }
}

static void add_sums(int32_t *first, int32_t *second, const int8_t *out, const double *v, int64_t kind, int64_t count) {
    for (int64_t i = 0; i < count; i++) first[i] += out[i];
    if (kind == 1)
        for (int64_t i = 0; i < count; i++) second[i] += out[i] * out[i];
    else
        for (int64_t i = 0; i < count; i++) second[i] += out[i] * (int32_t)v[i];
}

static void flush(const Pass *p, int32_t *first, int32_t *second, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        p->sums[i % p->channels] += first[i];
        p->sums[p->channels + i % p->channels] += second[i];
    }
    memset(first, 0, (size_t)count * sizeof *first);
    memset(second, 0, (size_t)count * sizeof *second);
}

// Scratch memory for 7 * block doubles, block = the largest multiple of channels up to BLOCK, at least channels.
void vector_pass(const Pass *p, double *scratch) {
    const int64_t c = p->channels, each = c < BLOCK ? BLOCK / c : 1, block = each * c;
    double *a = scratch, *b = a + block, *d = b + block, *y = d + block, *x = y + block, *largest = x + block;
    int32_t *first = (int32_t *)(largest + block), *second = first + block;
    for (int64_t i = 0; i < block; i++) a[i] = p->a[i % c], b[i] = p->b[i % c], d[i] = p->d[i % c], largest[i] = 0;
    memset(first, 0, (size_t)block * 2 * sizeof *first);
    int64_t unflushed = 0;
    for (int64_t row = 0; row < p->rows; row += each) {
        const int64_t rows = p->rows - row < each ? p->rows - row : each, at = row * c, count = rows * c;
        memcpy(y, d, (size_t)count * sizeof *y);
        if (p->u_kind) {
            take(x, p->u, p->u_kind, at, count);
            add_term(y, a, x, p->u_kind, p->su, count);
        }
        if (p->v_kind) {
            take(x, p->v, p->v_kind, at, count);
            add_term(y, b, x, p->v_kind, p->sv, count);
        }
        if (p->positive) mark(y, p, at, count);
        if (p->stochastic) add_noise(y, p, row, rows);
        for (int64_t i = 0; i < count; i++) y[i] = floor(y[i]);
        post(y, p->post, p->threshold, count);
        finish(y, largest, p, at, count);
        if (p->sum_kind) {
            add_sums(first, second, (const int8_t *)p->out + at, x, p->sum_kind, count);
            if (++unflushed == 1 << 16) flush(p, first, second, block), unflushed = 0;
        }
    }
    if (p->sum_kind) flush(p, first, second, block);
    for (int64_t i = 0; p->maximum && i < block; i++) *p->maximum = largest[i] > *p->maximum ? largest[i] : *p->maximum;
}
