/* minhash_avx2.c - signatures with AVX2: eight permutations at a time, results exactly as in minhash.c. */
#include "text/dedup/minhash.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

/* ((h * a + b) mod 2^64) mod (2^61 - 1) of four permutations, of which the low 32 bits are right; the order is 0, 2, 1, 3. With s = (v mod 2^61) + (v >> 61) the
 * remainder is s, or s less 2^61 - 1 if it is that much, and then its low 32 bits are those of s + 1. */
static inline AVX2 __m256i four(const sv_permutation *p, __m256i hash) {
    const __m256i mask = _mm256_set1_epi64x(((int64_t)1 << 61) - 1), one = _mm256_set1_epi64x(1);
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)p), y = _mm256_loadu_si256((const __m256i *)(const void *)(p + 2));
    __m256i a = _mm256_unpacklo_epi64(x, y), b = _mm256_unpackhi_epi64(x, y);
    __m256i low = _mm256_mul_epu32(a, hash), high = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), hash);
    __m256i v = _mm256_add_epi64(_mm256_add_epi64(low, _mm256_slli_epi64(high, 32)), b);
    __m256i s = _mm256_add_epi64(_mm256_and_si256(v, mask), _mm256_srli_epi64(v, 61));
    return _mm256_add_epi64(s, _mm256_srli_epi64(_mm256_add_epi64(s, one), 61));
}

AVX2 size_t sv_minhash_add_avx2(const sv_permutation *p, size_t n, uint32_t hash, uint32_t *signature) {
    const __m256i h = _mm256_set1_epi64x((int64_t)hash);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i first = four(p + i, h), second = four(p + i + 4, h);
        /* their low halves: 0, 2, 4, 6 and 1, 3, 5, 7; then in order */
        __m256i both = _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(first), _mm256_castsi256_ps(second), _MM_SHUFFLE(2, 0, 2, 0)));
        both = _mm256_permutevar8x32_epi32(both, order);
        __m256i *at = (__m256i *)(void *)(signature + i);
        _mm256_storeu_si256(at, _mm256_min_epu32(_mm256_loadu_si256(at), both));
    }
    return i;
}

#else

size_t sv_minhash_add_avx2(const sv_permutation *p, size_t n, uint32_t hash, uint32_t *signature) {
    (void)p, (void)n, (void)hash, (void)signature;
    return 0;
}

#endif
