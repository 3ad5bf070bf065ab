/* resample.h - inside src/image: the two inner loops of resizing, as plain C and as vector code with equal results.
 *
 * Pillow's arithmetic for 8-bit images (libImaging/Resample.c): weights are integers of 22 fractional bits, the sum starts at one half and
 * is a 32-bit integer, the result is shifted down and clamped to 0..255. Integer sums do not depend on their order, so the variants are equal.
 */
#ifndef SV_IMAGE_RESAMPLE_H
#define SV_IMAGE_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

#define SV_RESAMPLE_BITS 22

/* For each output position: input positions first[i] .. first[i]+count[i]-1, with weights w[i * stride ...]. Weights beyond count are 0 up
 * to stride, a multiple of 8. */
typedef struct sv_taps {
    int in, out, filter;         /* what it was made for */
    int stride;
    int *first, *count;
    int32_t *w;
    size_t positions, weights;   /* room */
} sv_taps;

typedef struct sv_resample {
    const char *name;
    /* One row of t->in pixels to one of t->out pixels of `channels` bytes (1..4). The 32 bytes after the input row may be read. */
    void (*across)(const uint8_t *in, uint8_t *out, int channels, const sv_taps *t);
    /* One output row of n bytes from `count` input rows, the first at `in`, `pitch` bytes apart. */
    void (*down)(const uint8_t *in, size_t pitch, uint8_t *out, size_t n, int count, const int32_t *w);
} sv_resample;

extern const sv_resample sv_resample_plain;
#if defined(__x86_64__)
extern const sv_resample sv_resample_avx2;
#endif
#if defined(__aarch64__)
extern const sv_resample sv_resample_neon;
#endif
/* The fastest that this machine can run. */
const sv_resample *sv_resample_best(void);

static inline uint8_t sv_resample_clip(int32_t sum) {
    sum >>= SV_RESAMPLE_BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

#endif
