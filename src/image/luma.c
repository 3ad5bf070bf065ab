#include "image/luma.h"

#include "base/cpu.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

/* Eight pixels at a time, four in each half of the register. Products of 16-bit pairs are added in pairs; green's weight does not fit into a
 * signed 16-bit number, so half of it goes with red and half with blue. Integer sums: the same as sv_luma. Returns how many were done. */
static __attribute__((target("avx2"))) size_t luma_avx2(const uint8_t *rgb, uint8_t *out, size_t n) {
    const __m256i red_green =
        _mm256_setr_epi8(0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1, 0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1);
    const __m256i green_blue =
        _mm256_setr_epi8(1, -1, 2, -1, 4, -1, 5, -1, 7, -1, 8, -1, 10, -1, 11, -1, 1, -1, 2, -1, 4, -1, 5, -1, 7, -1, 8, -1, 10, -1, 11, -1);
    const __m256i w_red_green = _mm256_set1_epi32(19235 << 16 | 19595), w_green_blue = _mm256_set1_epi32(7471 << 16 | 19235),
                  half = _mm256_set1_epi32(0x8000);
    size_t i = 0;
    for (; i + 10 <= n; i += 8) { /* 28 bytes are read for 24 */
        const uint8_t *p = rgb + 3 * i;
        __m256i px =
            _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)p)), _mm_loadu_si128((const __m128i *)(p + 12)), 1);
        __m256i sum = _mm256_add_epi32(_mm256_madd_epi16(_mm256_shuffle_epi8(px, red_green), w_red_green),
                                       _mm256_madd_epi16(_mm256_shuffle_epi8(px, green_blue), w_green_blue));
        sum = _mm256_srli_epi32(_mm256_add_epi32(sum, half), 16);
        __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
        _mm_storel_epi64((__m128i *)(out + i), _mm_packus_epi16(words, words));
    }
    return i;
}

#endif

void sv_luma_row(const uint8_t *rgb, uint8_t *out, size_t n) {
    size_t i = 0;
#if defined(__x86_64__) && defined(__GNUC__)
    if (sv_cpu_avx2()) i = luma_avx2(rgb, out, n);
#endif
    for (; i < n; i++) out[i] = sv_luma(rgb + 3 * i);
}
