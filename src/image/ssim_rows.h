/* ssim_rows.h - inside src/image: the loops of SSIM over one row, compiled for each instruction set with equal results (each value is
 * computed by the same operations in the same order; only how many are done at once differs). */
#ifndef SV_IMAGE_SSIM_ROWS_H
#define SV_IMAGE_SSIM_ROWS_H

#include <stddef.h>
#include <stdint.h>

/* Four quantities are summed over each window: x, y, x^2 + y^2, xy. */
enum { SV_SSIM_X, SV_SSIM_Y, SV_SSIM_SQUARES, SV_SSIM_XY, SV_SSIM_SUMS };

#define SV_SSIM_TAPS 11

/* With sums over a window of weight `total`, everything is multiplied by total^2, so that integer sums stay exact up to the last division:
 *     S = (2 sx sy + c1)(2 k (total sxy - sx sy) + c2) / ((sx^2 + sy^2 + c1)(k (total sq - sx^2 - sy^2) + c2))
 * with c1 = (0.01 * 255 total)^2, c2 = (0.03 * 255 total)^2, and k = n/(n-1) for the sample covariance of n pixels, else 1. */
typedef struct sv_ssim_terms {
    double total, k, c1, c2;
} sv_ssim_terms;

typedef struct sv_ssim_rows {
    /* Column sums of n columns: a row of each image comes in, and (old_a not NULL) one goes. Each quantity is `n` apart in `sums`. */
    void (*slide)(const uint8_t *a, const uint8_t *b, const uint8_t *old_a, const uint8_t *old_b, size_t n, int32_t *sums);
    /* Sums over `window` neighbouring columns: n columns in, n - window + 1 sums of each quantity out, `pitch` apart. */
    void (*across)(const int32_t *columns, size_t n, size_t window, double *sums, size_t pitch);
    /* Weighted sums along one row of both images with symmetric taps w[0..5], centre first: n pixels in, n - 10 out. `line` holds n. */
    void (*smooth)(const uint8_t *a, const uint8_t *b, size_t n, const double *w, double *line, double *sums, size_t pitch);
    /* Weighted sum of eleven rows. */
    void (*blend)(const double *const rows[SV_SSIM_TAPS], size_t n, const double *w, double *out);
    /* S for each of n windows, written over the first quantity, and the total of them. */
    double (*values)(double *sums, size_t pitch, size_t n, const sv_ssim_terms *t);
} sv_ssim_rows;

/* The fastest that this machine can run. */
const sv_ssim_rows *sv_ssim_rows_best(void);

#endif
