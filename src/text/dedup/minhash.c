#include "text/dedup/minhash.h"

#include <math.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "base/hash.h"

static const uint64_t MERSENNE = ((uint64_t)1 << 61) - 1;

/* ---- permutations: MT19937 seeded as init_genrand does, 64 bits from two draws, high half first ---- */

typedef struct twister {
    uint32_t state[624];
    int next;
} twister;

static void twister_seed(twister *t, uint32_t seed) {
    t->state[0] = seed;
    for (uint32_t i = 1; i < 624; i++) t->state[i] = 1812433253u * (t->state[i - 1] ^ t->state[i - 1] >> 30) + i;
    t->next = 624;
}

static uint32_t twister_next(twister *t) {
    if (t->next == 624) {
        for (int i = 0; i < 624; i++) {
            uint32_t y = (t->state[i] & 0x80000000u) | (t->state[(i + 1) % 624] & 0x7FFFFFFFu);
            t->state[i] = t->state[(i + 397) % 624] ^ y >> 1 ^ (y & 1 ? 0x9908B0DFu : 0);
        }
        t->next = 0;
    }
    uint32_t y = t->state[t->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9D2C5680u;
    y ^= y << 15 & 0xEFC60000u;
    return y ^ y >> 18;
}

/* numpy's masked rejection for a range that needs 61 bits. */
static uint64_t draw(twister *t, uint64_t largest) {
    for (;;) {
        uint64_t high = twister_next(t);
        uint64_t v = (high << 32 | twister_next(t)) & MERSENNE;
        if (v <= largest) return v;
    }
}

void sv_minhash_permutations(sv_permutation *out, size_t n) {
    twister t;
    twister_seed(&t, 42);
    for (size_t i = 0; i < n; i++) {
        out[i].a = 1 + draw(&t, MERSENNE - 2);
        out[i].b = draw(&t, MERSENNE - 1);
    }
}

/* ---- bands and rows ---- */

/* Gauss-Legendre nodes and weights on [-1, 1] by Newton's method. */
static void gauss_legendre(size_t n, double *x, double *w) {
    for (size_t i = 0; i < (n + 1) / 2; i++) {
        double z = cos(3.141592653589793 * ((double)i + 0.75) / ((double)n + 0.5)), slope = 1;
        for (int k = 0; k < 100; k++) {
            double p = 1, before = 0;
            for (size_t j = 0; j < n; j++) {
                double next = ((2 * (double)j + 1) * z * p - (double)j * before) / ((double)j + 1);
                before = p;
                p = next;
            }
            slope = (double)n * (z * p - before) / (z * z - 1);
            double step = p / slope;
            z -= step;
            if (fabs(step) < 1e-15) break;
        }
        x[i] = -z;
        x[n - 1 - i] = z;
        w[i] = w[n - 1 - i] = 2 / ((1 - z * z) * slope * slope);
    }
}

/* The integrands are polynomials of degree rows * bands <= permutations: Gauss-Legendre with half as many nodes is exact, and 256 nodes are
 * plenty for the largest. */
sv_status sv_minhash_bands(double threshold, size_t permutations, size_t *bands, size_t *rows, sv_error *err) {
    size_t n = permutations / 2 + 2 < 256 ? permutations / 2 + 2 : 256;
    double *x = malloc(2 * n * sizeof *x);
    if (!x) return sv_fail_memory(err, "document_minhash_deduplicator", 2 * n * sizeof *x);
    double *w = x + n, least = INFINITY;
    gauss_legendre(n, x, w);
    *bands = *rows = 0;
    for (size_t b = 1; b <= permutations; b++)
        for (size_t r = 1; r <= permutations / b; r++) {
            double positive = 0, negative = 0;
            for (size_t i = 0; i < n; i++) {
                double below = threshold * (x[i] + 1) / 2, above = threshold + (1 - threshold) * (x[i] + 1) / 2;
                positive += w[i] * (1 - pow(1 - pow(below, (double)r), (double)b));
                negative += w[i] * pow(1 - pow(above, (double)r), (double)b);
            }
            double error = 0.5 * (positive * threshold / 2) + 0.5 * (negative * (1 - threshold) / 2);
            if (error < least) {
                least = error;
                *bands = b;
                *rows = r;
            }
        }
    free(x);
    return SV_OK;
}

/* ---- signatures ---- */

void sv_minhash_add(const sv_permutation *p, size_t n, uint32_t hash, uint32_t *signature) {
    for (size_t i = sv_cpu_avx2() ? sv_minhash_add_avx2(p, n, hash, signature) : 0; i < n; i++) {
        uint64_t v = hash * p[i].a + p[i].b;
        v = (v & MERSENNE) + (v >> 61);
        if (v >= MERSENNE) v -= MERSENNE;
        uint32_t low = (uint32_t)v;
        if (low < signature[i]) signature[i] = low;
    }
}

uint32_t sv_minhash_shingle(const char *text, size_t size) {
    uint8_t digest[20];
    sv_sha1(text, size, digest);
    return (uint32_t)digest[0] | (uint32_t)digest[1] << 8 | (uint32_t)digest[2] << 16 | (uint32_t)digest[3] << 24;
}
