/* quality.h - inside the library: what SSIMScore does not see in a picture. Each measure is one number from 0 (bad) to 1 (good).
 *
 * The formulas stand in docs/SCORES.md and beside each function in quality.c. All work on the picture as it is stored, made grey (or RGB) as
 * Pillow does it; only sharpness looks at it at a stated size, so that its value does not depend on the resolution.
 */
#ifndef SV_IMAGE_QUALITY_H
#define SV_IMAGE_QUALITY_H

#include "image/resize.h"

typedef enum sv_measure {
    SV_MEASURE_SHARPNESS,        /* variance of the Laplacian at side x side pixels, as V / (V + 100) */
    SV_MEASURE_EXPOSURE,         /* how far the mean is from black and white, times the share of pixels that are not clipped */
    SV_MEASURE_CONTRAST,         /* range from the 5th to the 95th percentile of grey */
    SV_MEASURE_DETAIL,           /* share of 8 x 8 blocks that are not flat */
    SV_MEASURE_COLOUR,           /* entropy of the histogram of 512 colours */
    SV_MEASURE_CLEAN,            /* freedom from JPEG's 8 x 8 grid */
    SV_MEASURE_UNMARKED,         /* share that does not look like letters (lettering.c) */
    SV_MEASURES
} sv_measure;

/* Pictures in between, kept from call to call. Belongs to one thread; zero-initialise, sv_quality_work_free. */
typedef struct sv_quality_work {
    sv_resize_work resize;
    sv_image rgb, grey, small, halves[2];
} sv_quality_work;
void sv_quality_work_free(sv_quality_work *w);

/* One measure of a picture of any mode. side: of sharpness, from 3; others ignore it. */
sv_status sv_quality(const sv_image *im, sv_measure measure, int side, sv_quality_work *w, double *value, sv_error *err);

/* The share of a grey picture that looks like letters, 0..1; 0 where a side is below 64 pixels. */
sv_status sv_lettered_share(const sv_image *grey, sv_quality_work *w, double *share, sv_error *err);

/* The brightest grey that all but one in a hundred pixels stay at or under: what tells a black picture. 0..255. */
sv_status sv_quality_brightest(const sv_image *im, sv_quality_work *w, int *value, sv_error *err);

#endif
