#include "image/resample.h"

#include "base/cpu.h"

#define HALF (1 << (SV_RESAMPLE_BITS - 1))

static void across(const uint8_t *in, uint8_t *out, int channels, const sv_taps *t) {
    for (int x = 0; x < t->out; x++) {
        const int32_t *w = t->w + (size_t)x * (size_t)t->stride;
        const uint8_t *p = in + (size_t)t->first[x] * (size_t)channels;
        for (int c = 0; c < channels; c++) {
            int32_t sum = HALF;
            for (int j = 0; j < t->count[x]; j++) sum += p[j * channels + c] * w[j];
            *out++ = sv_resample_clip(sum);
        }
    }
}

/* In blocks, so that the sums stay in registers or the first-level cache and each input row is read in order. */
static void down(const uint8_t *in, size_t pitch, uint8_t *out, size_t n, int count, const int32_t *w) {
    enum { BLOCK = 64 };
    int32_t sum[BLOCK];
    for (size_t x = 0; x < n; x += BLOCK) {
        size_t m = n - x < BLOCK ? n - x : BLOCK;
        for (size_t i = 0; i < m; i++) sum[i] = HALF;
        for (int j = 0; j < count; j++) {
            const uint8_t *p = in + (size_t)j * pitch + x;
            for (size_t i = 0; i < m; i++) sum[i] += p[i] * w[j];
        }
        for (size_t i = 0; i < m; i++) out[x + i] = sv_resample_clip(sum[i]);
    }
}

const sv_resample sv_resample_plain = {"plain", across, down};

const sv_resample *sv_resample_best(void) {
#if defined(__x86_64__)
    if (sv_cpu_avx2()) return &sv_resample_avx2;
#endif
#if defined(__aarch64__)
    if (sv_cpu_neon()) return &sv_resample_neon;
#endif
    return &sv_resample_plain;
}
