/* resample_avx2.c - the inner loops of resizing with AVX2: eight 32-bit products at a time, sums exactly as in resample.c. */
#include "image/resample.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define HALF (1 << (SV_RESAMPLE_BITS - 1))

/* Four sums shifted, clamped and packed to bytes. */
static inline AVX2 uint32_t pack4(__m128i sum) {
    sum = _mm_srai_epi32(sum, SV_RESAMPLE_BITS);
    sum = _mm_packs_epi32(sum, sum);
    return (uint32_t)_mm_cvtsi128_si32(_mm_packus_epi16(sum, sum));
}

static inline AVX2 __m256i bytes8(const uint8_t *p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)); }

/* One channel: eight neighbouring pixels at a time. Weights are padded with zeros to a multiple of eight. */
static AVX2 void across1(const uint8_t *in, uint8_t *out, const sv_taps *t) {
    for (int x = 0; x < t->out; x++) {
        const int32_t *w = t->w + (size_t)x * (size_t)t->stride;
        const uint8_t *p = in + t->first[x];
        __m256i sum = _mm256_setzero_si256();
        for (int j = 0; j < t->count[x]; j += 8)
            sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(bytes8(p + j), _mm256_loadu_si256((const __m256i *)(w + j))));
        __m128i s = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
        s = _mm_add_epi32(s, _mm_shuffle_epi32(s, _MM_SHUFFLE(1, 0, 3, 2)));
        s = _mm_add_epi32(s, _mm_shuffle_epi32(s, _MM_SHUFFLE(2, 3, 0, 1)));
        out[x] = sv_resample_clip(_mm_cvtsi128_si32(s) + HALF);
    }
}

/* Two channels: four pixels at a time, each weight twice. */
static AVX2 void across2(const uint8_t *in, uint8_t *out, const sv_taps *t) {
    const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    for (int x = 0; x < t->out; x++) {
        const int32_t *w = t->w + (size_t)x * (size_t)t->stride;
        const uint8_t *p = in + 2 * (size_t)t->first[x];
        __m256i sum = _mm256_setzero_si256();
        for (int j = 0; j < t->count[x]; j += 4) {
            __m256i weight = _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(w + j))), twice);
            sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(bytes8(p + 2 * j), weight));
        }
        __m128i s = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
        s = _mm_add_epi32(s, _mm_shuffle_epi32(s, _MM_SHUFFLE(1, 0, 3, 2)));
        uint32_t v = pack4(_mm_add_epi32(s, _mm_set1_epi32(HALF)));
        out[2 * x] = (uint8_t)v;
        out[2 * x + 1] = (uint8_t)(v >> 8);
    }
}

/* Three and four channels: two pixels at a time, one in each half of the register. `spread` puts their bytes into 32-bit lanes; of three
 * channels the fourth lane stays zero. Two output pixels side by side would not help: their inputs differ. */
static inline AVX2 __m128i pair_sum(const uint8_t *p, int channels, __m256i spread, const int32_t *w, int count) {
    const __m256i four = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    __m256i sum = _mm256_setzero_si256();
    for (int j = 0; j < count; j += 2) {
        __m256i px = _mm256_shuffle_epi8(_mm256_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)(p + j * channels))), spread);
        __m256i weight = _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(_mm_loadl_epi64((const __m128i *)(w + j))), four);
        sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(px, weight));
    }
    return _mm_add_epi32(_mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1)), _mm_set1_epi32(HALF));
}

static AVX2 void across3(const uint8_t *in, uint8_t *out, const sv_taps *t) {
    const __m256i spread =
        _mm256_setr_epi8(0, -1, -1, -1, 1, -1, -1, -1, 2, -1, -1, -1, -1, -1, -1, -1, 3, -1, -1, -1, 4, -1, -1, -1, 5, -1, -1, -1, -1, -1, -1, -1);
    for (int x = 0; x < t->out; x++) {
        uint32_t v = pack4(pair_sum(in + 3 * (size_t)t->first[x], 3, spread, t->w + (size_t)x * (size_t)t->stride, t->count[x]));
        out[3 * x] = (uint8_t)v;
        out[3 * x + 1] = (uint8_t)(v >> 8);
        out[3 * x + 2] = (uint8_t)(v >> 16);
    }
}

static AVX2 void across4(const uint8_t *in, uint8_t *out, const sv_taps *t) {
    const __m256i spread =
        _mm256_setr_epi8(0, -1, -1, -1, 1, -1, -1, -1, 2, -1, -1, -1, 3, -1, -1, -1, 4, -1, -1, -1, 5, -1, -1, -1, 6, -1, -1, -1, 7, -1, -1, -1);
    for (int x = 0; x < t->out; x++) {
        uint32_t v = pack4(pair_sum(in + 4 * (size_t)t->first[x], 4, spread, t->w + (size_t)x * (size_t)t->stride, t->count[x]));
        for (int c = 0; c < 4; c++) out[4 * x + c] = (uint8_t)(v >> 8 * c);
    }
}

static void across(const uint8_t *in, uint8_t *out, int channels, const sv_taps *t) {
    switch (channels) {
    case 1: across1(in, out, t); break;
    case 2: across2(in, out, t); break;
    case 3: across3(in, out, t); break;
    case 4: across4(in, out, t); break;
    default: break; /* no mode has more */
    }
}

static AVX2 void down(const uint8_t *in, size_t pitch, uint8_t *out, size_t n, int count, const int32_t *w) {
    const __m256i half = _mm256_set1_epi32(HALF);
    size_t x = 0;
    for (; x + 32 <= n; x += 32) {
        __m256i a = half, b = half, c = half, d = half;
        for (int j = 0; j < count; j++) {
            const uint8_t *p = in + (size_t)j * pitch + x;
            __m256i weight = _mm256_set1_epi32(w[j]);
            a = _mm256_add_epi32(a, _mm256_mullo_epi32(bytes8(p), weight));
            b = _mm256_add_epi32(b, _mm256_mullo_epi32(bytes8(p + 8), weight));
            c = _mm256_add_epi32(c, _mm256_mullo_epi32(bytes8(p + 16), weight));
            d = _mm256_add_epi32(d, _mm256_mullo_epi32(bytes8(p + 24), weight));
        }
        a = _mm256_packs_epi32(_mm256_srai_epi32(a, SV_RESAMPLE_BITS), _mm256_srai_epi32(b, SV_RESAMPLE_BITS));
        c = _mm256_packs_epi32(_mm256_srai_epi32(c, SV_RESAMPLE_BITS), _mm256_srai_epi32(d, SV_RESAMPLE_BITS));
        /* Packing works within halves of the register, so the groups of four bytes come out as 0 2 4 6 1 3 5 7. */
        a = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, c), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
        _mm256_storeu_si256((__m256i *)(out + x), a);
    }
    if (x < n) sv_resample_plain.down(in + x, pitch, out + x, n - x, count, w);
}

const sv_resample sv_resample_avx2 = {"avx2", across, down};

#else
typedef int sv_resample_avx2_is_for_x86_64; /* a source file may not be empty */
#endif
