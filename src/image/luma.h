/* luma.h - inside src/image: grey from colour, the inner loop of converting to L. */
#ifndef SV_IMAGE_LUMA_H
#define SV_IMAGE_LUMA_H

#include <stddef.h>
#include <stdint.h>

/* ITU-R 601 luma in 16-bit fixed point, rounded (Pillow, libImaging/Convert.c). */
static inline uint8_t sv_luma(const uint8_t *rgb) { return (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16); }

/* n pixels of three bytes each. */
void sv_luma_row(const uint8_t *rgb, uint8_t *out, size_t n);

#endif
