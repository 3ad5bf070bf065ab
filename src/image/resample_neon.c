/* resample_neon.c - the inner loops of resizing with NEON: four 32-bit products at a time, sums exactly as in resample.c. */
#include "image/resample.h"

#if defined(__aarch64__)

#include <arm_neon.h>

#define HALF (1 << (SV_RESAMPLE_BITS - 1))

/* Eight bytes as two vectors of four 32-bit integers. */
static inline int32x4x2_t bytes8(const uint8_t *p) {
    uint16x8_t wide = vmovl_u8(vld1_u8(p));
    int32x4x2_t r = {{vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide))), vreinterpretq_s32_u32(vmovl_u16(vget_high_u16(wide)))}};
    return r;
}

/* Eight sums shifted, clamped and packed to bytes. */
static inline uint8x8_t pack8(int32x4_t a, int32x4_t b) {
    return vqmovun_s16(vcombine_s16(vqmovn_s32(vshrq_n_s32(a, SV_RESAMPLE_BITS)), vqmovn_s32(vshrq_n_s32(b, SV_RESAMPLE_BITS))));
}

/* One channel: eight neighbouring pixels at a time; weights are padded with zeros. */
static void across1(const uint8_t *in, uint8_t *out, const sv_taps *t) {
    for (int x = 0; x < t->out; x++) {
        const int32_t *w = t->w + (size_t)x * (size_t)t->stride;
        const uint8_t *p = in + t->first[x];
        int32x4_t sum = vdupq_n_s32(0);
        for (int j = 0; j < t->count[x]; j += 8) {
            int32x4x2_t px = bytes8(p + j);
            sum = vmlaq_s32(sum, px.val[0], vld1q_s32(w + j));
            sum = vmlaq_s32(sum, px.val[1], vld1q_s32(w + j + 4));
        }
        out[x] = sv_resample_clip(vaddvq_s32(sum) + HALF);
    }
}

/* Four channels: two pixels at a time. */
static void across4(const uint8_t *in, uint8_t *out, const sv_taps *t) {
    for (int x = 0; x < t->out; x++) {
        const int32_t *w = t->w + (size_t)x * (size_t)t->stride;
        const uint8_t *p = in + 4 * (size_t)t->first[x];
        int32x4_t sum = vdupq_n_s32(HALF);
        for (int j = 0; j < t->count[x]; j += 2) {
            int32x4x2_t px = bytes8(p + 4 * j);
            sum = vmlaq_n_s32(sum, px.val[0], w[j]);
            sum = vmlaq_n_s32(sum, px.val[1], w[j + 1]);
        }
        uint8x8_t packed = pack8(sum, sum);
        for (int c = 0; c < 4; c++) out[4 * x + c] = ((const uint8_t *)&packed)[c];
    }
}

/* Three channels: one pixel in four lanes, the last of which is not used. */
static void across3(const uint8_t *in, uint8_t *out, const sv_taps *t) {
    for (int x = 0; x < t->out; x++) {
        const int32_t *w = t->w + (size_t)x * (size_t)t->stride;
        const uint8_t *p = in + 3 * (size_t)t->first[x];
        int32x4_t sum = vdupq_n_s32(HALF);
        for (int j = 0; j < t->count[x]; j++) sum = vmlaq_n_s32(sum, bytes8(p + 3 * j).val[0], w[j]);
        uint8x8_t packed = pack8(sum, sum);
        for (int c = 0; c < 3; c++) out[3 * x + c] = ((const uint8_t *)&packed)[c];
    }
}

static void across(const uint8_t *in, uint8_t *out, int channels, const sv_taps *t) {
    switch (channels) {
    case 1: across1(in, out, t); break;
    case 3: across3(in, out, t); break;
    case 4: across4(in, out, t); break;
    default: sv_resample_plain.across(in, out, channels, t); break;
    }
}

static void down(const uint8_t *in, size_t pitch, uint8_t *out, size_t n, int count, const int32_t *w) {
    size_t x = 0;
    for (; x + 16 <= n; x += 16) {
        int32x4_t a = vdupq_n_s32(HALF), b = a, c = a, d = a;
        for (int j = 0; j < count; j++) {
            const uint8_t *p = in + (size_t)j * pitch + x;
            int32x4x2_t lo = bytes8(p), hi = bytes8(p + 8);
            a = vmlaq_n_s32(a, lo.val[0], w[j]);
            b = vmlaq_n_s32(b, lo.val[1], w[j]);
            c = vmlaq_n_s32(c, hi.val[0], w[j]);
            d = vmlaq_n_s32(d, hi.val[1], w[j]);
        }
        vst1_u8(out + x, pack8(a, b));
        vst1_u8(out + x + 8, pack8(c, d));
    }
    if (x < n) sv_resample_plain.down(in + x, pitch, out + x, n - x, count, w);
}

const sv_resample sv_resample_neon = {"neon", across, down};

#else
typedef int sv_resample_neon_is_for_aarch64; /* a source file may not be empty */
#endif
