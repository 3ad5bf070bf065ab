#include "image/resample.h"

#include "base/cpu.h"

#define HALF (1 << (SV_RESAMPLE_BITS - 1))

/* Called with a constant number of channels, so that each becomes a loop of its own. */
static inline void across_n(const uint8_t *in, uint8_t *out, const int channels, const sv_taps *t) {
    for (int x = 0; x < t->out; x++) {
        const int32_t *w = t->w + (size_t)x * (size_t)t->stride;
        const uint8_t *p = in + (size_t)t->first[x] * (size_t)channels;
        int32_t sum[4] = {HALF, HALF, HALF, HALF};
        for (int j = 0; j < t->count[x]; j++)
            for (int c = 0; c < channels; c++) sum[c] += *p++ * w[j];
        for (int c = 0; c < channels; c++) *out++ = sv_resample_clip(sum[c]);
    }
}

static void across(const uint8_t *in, uint8_t *out, int channels, const sv_taps *t) {
    switch (channels) {
    case 1: across_n(in, out, 1, t); break;
    case 2: across_n(in, out, 2, t); break;
    case 3: across_n(in, out, 3, t); break;
    case 4: across_n(in, out, 4, t); break;
    default: break; /* no mode has more */
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
