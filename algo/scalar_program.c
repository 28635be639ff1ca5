// A program of the coefficient unit, channel by channel: algo/scalar_ops.py, whose operations wrap in 64 bits and never trap.

#include <math.h>
#include <stdint.h>

enum { LDC, STC, LDS, ADD, SUB, MIN, MAX, ADDI, SHI, SHR, MUL, DIV, SQRT, PACK, SAT };

static int64_t low32(int64_t a) { return (int32_t)(uint32_t)(uint64_t)a; }

static int64_t shift(int64_t a, int64_t amount) {
    if (amount > 63) return 0;
    if (amount >= 0) return (int64_t)((uint64_t)a << amount);
    const int64_t right = -amount;
    return (a >> (right < 63 ? right : 63)) + ((a >> (right - 1 < 63 ? right - 1 : 63)) & 1);
}

static int64_t divide(int64_t a, int64_t b) {
    if (b == 0) return 0;
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static int64_t square_root(int64_t a) {
    if (a <= 0) return 0;
    uint64_t root = (uint64_t)sqrt((double)a);
    while (root * root > (uint64_t)a) root--;
    while ((root + 1) * (root + 1) <= (uint64_t)a) root++;
    return (int64_t)root;
}

static int64_t limited(int64_t a, int64_t bits) {
    const int64_t limit = ((int64_t)1 << bits) - 1;
    return a > limit ? limit : a < -limit ? -limit : a;
}

static int64_t computed(int64_t op, int64_t a, int64_t b, int64_t imm) {
    switch (op) {
    case ADD: return (int64_t)((uint64_t)a + (uint64_t)b);
    case SUB: return (int64_t)((uint64_t)a - (uint64_t)b);
    case MIN: return a < b ? a : b;
    case MAX: return a > b ? a : b;
    case ADDI: return (int64_t)((uint64_t)a + (uint64_t)imm);
    case SHI: return shift(a, imm);
    case SHR: return shift(a, ((b & 127) ^ 64) - 64);
    case MUL: return low32(a) * low32(b);
    case DIV: return divide(a, b);
    case SQRT: return square_root(a);
    case PACK: return (a & 0x3FFFF) | (b & 0x3FFFF) << 32;
    default: return limited(a, imm);
    }
}

void scalar_program(const uint32_t *words, int64_t count, int64_t *table, int64_t channels, int64_t entries, const int64_t *scalars) {
    for (int64_t channel = 0; channel < channels; channel++, table += entries) {
        int64_t registers[16] = {0};
        for (int64_t at = 0; at < count; at++) {
            const uint32_t word = words[at];
            const int64_t op = word & 31, imm = (int32_t)word >> 17;
            int64_t *to = &registers[word >> 5 & 15];
            const int64_t a = registers[word >> 9 & 15], b = registers[word >> 13 & 15];
            if (op == LDC)
                *to = table[imm];
            else if (op == STC)
                table[imm] = a;
            else if (op == LDS)
                *to = scalars[imm];
            else
                *to = computed(op, a, b, imm);
        }
    }
}
