/* minhash.h - the mathematics of near-duplicate search: permutations, bands, signatures (Data-Juicer 1.6.1, after datasketch). */
#ifndef SV_TEXT_MINHASH_H
#define SV_TEXT_MINHASH_H

#include "base/error.h"

enum { SV_MINHASH_MAX = 4096 };      /* permutations */

/* v = ((h * a + b) mod 2^64) mod (2^61 - 1), of which the low 32 bits count. */
typedef struct sv_permutation {
    uint64_t a, b;
} sv_permutation;

/* The first n pairs that numpy's RandomState(42) gives: a in [1, 2^61-2], b in [0, 2^61-2]. */
void sv_minhash_permutations(sv_permutation *out, size_t n);

/* Bands and rows for a Jaccard threshold: the pair with the least sum of false positives and false negatives, each an integral over
 * the similarity, the first of equals. permutations: 1..SV_MINHASH_MAX. */
sv_status sv_minhash_bands(double threshold, size_t permutations, size_t *bands, size_t *rows, sv_error *err);

/* Lowers each of n signature values to the minimum with one more shingle, given as its hash: the first four bytes of SHA-1, little-endian. With AVX2 where
 * the machine has it, with equal results. */
void sv_minhash_add(const sv_permutation *p, size_t n, uint32_t hash, uint32_t *signature);

/* minhash_avx2.c: the first so many of them, the number of which is returned. Only where sv_cpu_avx2() says so. */
size_t sv_minhash_add_avx2(const sv_permutation *p, size_t n, uint32_t hash, uint32_t *signature);

uint32_t sv_minhash_shingle(const char *text, size_t size);

#endif
