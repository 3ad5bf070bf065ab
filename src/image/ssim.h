/* ssim.h - inside the library: SSIM of one plane with memory that is kept from call to call. */
#ifndef SV_IMAGE_SSIM_H
#define SV_IMAGE_SSIM_H

#include "base/error.h"
#include "synthvlm/image.h"

/* Belongs to one thread. Zero-initialise, sv_ssim_scratch_free. */
typedef struct sv_ssim_scratch {
    double *real;
    int32_t *whole;
    size_t reals, wholes;
    sv_image a, b;          /* planes of a colour image, or mirrored ones */
} sv_ssim_scratch;
void sv_ssim_scratch_free(sv_ssim_scratch *s);

/* Planes of width x height bytes. Options and sizes are checked. */
sv_status sv_ssim_plane(const uint8_t *a, const uint8_t *b, int width, int height, const sv_ssim_options *o, sv_ssim_scratch *s, double *value,
                        sv_error *err);

#endif
