/* quality.c - sharpness, exposure, contrast, detail, colour and freedom from JPEG blocks: what SSIMScore does not see, or even rewards.
 *
 * Sums are of integers, so that a value is the same on every machine up to its last division; entropy alone takes logarithms.
 */
#include "image/quality.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/codec.h"

void sv_quality_work_free(sv_quality_work *w) {
    sv_resize_work_free(&w->resize);
    sv_image_free(&w->rgb);
    sv_image_free(&w->grey);
    sv_image_free(&w->small);
    for (int i = 0; i < 2; i++) sv_image_free(&w->halves[i]);
}

static size_t pixels(const sv_image *im) { return (size_t)im->width * (size_t)im->height; }

/* ---- sharpness ---- */

/* V: population variance of the Laplacian [0 1 0; 1 -4 1; 0 1 0] of the grey picture, where it lies inside (Pech-Pacheco et al. 2000). Fine structure
 * makes it grow, blur makes it vanish. Half of the scale is a variance of 100, a usual border of "blurred". */
static double sharpness(const sv_image *grey) {
    int w = grey->width, h = grey->height;
    int64_t sum = 0, squares = 0, n = (int64_t)(w - 2) * (h - 2);
    for (int y = 1; y < h - 1; y++) {
        const uint8_t *row = grey->data + (size_t)y * (size_t)w, *up = row - w, *down = row + w;
        int64_t row_sum = 0, row_squares = 0;
        for (int x = 1; x < w - 1; x++) {
            int v = up[x] + down[x] + row[x - 1] + row[x + 1] - 4 * row[x];
            row_sum += v;
            row_squares += v * v;
        }
        sum += row_sum;
        squares += row_squares;
    }
    double mean = (double)sum / (double)n, variance = (double)squares / (double)n - mean * mean;
    return variance / (variance + 100.0);
}

/* ---- exposure and contrast ---- */

static void histogram(const sv_image *grey, int64_t counts[256]) {
    memset(counts, 0, 256 * sizeof *counts);
    for (size_t i = 0, n = pixels(grey); i < n; i++) counts[grey->data[i]]++;
}

/* With m the mean and c the share of pixels at 2 or below, or 253 or above: (1 - (2 m / 255 - 1)^2) (1 - c). */
static double exposure(const sv_image *grey) {
    int64_t counts[256], n = (int64_t)pixels(grey), sum = 0, clipped = 0;
    histogram(grey, counts);
    for (int v = 0; v < 256; v++) {
        sum += v * counts[v];
        if (v <= 2 || v >= 253) clipped += counts[v];
    }
    double off = 2.0 * (double)sum / (255.0 * (double)n) - 1.0;
    return (1.0 - off * off) * (1.0 - (double)clipped / (double)n);
}

/* The smallest grey that at least `share` percent of the pixels do not exceed. */
static int percentile(const int64_t counts[256], int64_t n, int share) {
    int64_t below = 0;
    for (int v = 0; v < 256; v++) {
        below += counts[v];
        if (below * 100 >= n * share) return v;
    }
    return 255;
}

static double contrast(const sv_image *grey) {
    int64_t counts[256], n = (int64_t)pixels(grey);
    histogram(grey, counts);
    return (percentile(counts, n, 95) - percentile(counts, n, 5)) / 255.0;
}

/* ---- detail ---- */

/* A block is flat if its greys differ by less than 8. Blocks that do not fit at the right and at the bottom are left out; a picture smaller than
 * a block is one block. */
static double detail(const sv_image *grey) {
    enum { SIDE = 8, RANGE = 8 };
    int w = grey->width < SIDE ? grey->width : SIDE, h = grey->height < SIDE ? grey->height : SIDE;
    int64_t blocks = 0, lively = 0;
    for (int top = 0; top + h <= grey->height; top += h)
        for (int left = 0; left + w <= grey->width; left += w) {
            int low = 255, high = 0;
            for (int y = top; y < top + h; y++) {
                const uint8_t *p = grey->data + (size_t)y * (size_t)grey->width + left;
                for (int x = 0; x < w; x++) {
                    if (p[x] < low) low = p[x];
                    if (p[x] > high) high = p[x];
                }
            }
            blocks++;
            lively += high - low >= RANGE;
        }
    return (double)lively / (double)blocks;
}

/* ---- colour ---- */

/* Shannon entropy in bits of the histogram over the upper three bits of each channel, by its largest value, 9. */
static double colour(const sv_image *rgb) {
    int64_t counts[512] = {0}, n = (int64_t)pixels(rgb);
    const uint8_t *p = rgb->data;
    for (int64_t i = 0; i < n; i++, p += 3) counts[(p[0] >> 5) << 6 | (p[1] >> 5) << 3 | p[2] >> 5]++;
    double bits = 0;
    for (int i = 0; i < 512; i++)
        if (counts[i]) {
            double share = (double)counts[i] / (double)n;
            bits -= share * log2(share);
        }
    return bits / 9.0;
}

/* ---- clean ---- */

/* Steps between neighbours, in both directions: mean over those that cross a border of JPEG's 8 x 8 grid (A), mean over the others (B). A picture
 * that never was a JPEG has A = B; clean = 1 - max(0, (A - B) / (A + B)). */
static double clean(const sv_image *grey) {
    int w = grey->width, h = grey->height;
    int64_t sum[2] = {0}, n[2] = {0};
    for (int y = 0; y < h; y++) {
        const uint8_t *row = grey->data + (size_t)y * (size_t)w;
        int64_t column[8] = {0};     /* steps to the right, by position in the grid */
        for (int x = 0; x + 1 < w; x++) column[x & 7] += abs(row[x + 1] - row[x]);
        for (int i = 0; i < 8; i++) sum[i == 7] += column[i];
        n[1] += w / 8 - (w % 8 == 0);
        if (y + 1 == h) continue;
        int64_t steps = 0;
        for (int x = 0; x < w; x++) steps += abs(row[x + w] - row[x]);
        sum[y % 8 == 7] += steps;
        n[y % 8 == 7] += w;
    }
    n[0] += (int64_t)(w - 1) * h - (int64_t)(w / 8 - (w % 8 == 0)) * h;
    if (!n[0] || !n[1]) return 1.0;
    double across = (double)sum[1] / (double)n[1], within = (double)sum[0] / (double)n[0];
    return across > within ? 1.0 - (across - within) / (across + within) : 1.0;
}

/* ---- all of them ---- */

static sv_status make_grey(const sv_image *im, sv_quality_work *w, const sv_image **grey, sv_error *err) {
    *grey = im;
    if (im->mode == SV_MODE_L) return SV_OK;
    *grey = &w->grey;
    return sv_image_convert(im, SV_MODE_L, &w->grey, err);
}

sv_status sv_quality(const sv_image *im, sv_measure measure, int side, sv_quality_work *w, double *value, sv_error *err) {
    const sv_image *grey, *rgb = im;
    if (measure == SV_MEASURE_COLOUR) {
        if (im->mode != SV_MODE_RGB) {
            SV_TRY(sv_image_convert(im, SV_MODE_RGB, &w->rgb, err));
            rgb = &w->rgb;
        }
        *value = colour(rgb);
        return SV_OK;
    }
    SV_TRY(make_grey(im, w, &grey, err));
    switch (measure) {
    case SV_MEASURE_SHARPNESS:
        if (side < 3) return sv_fail(err, SV_E_USAGE, "sharpness", "side %d is smaller than the Laplacian", side);
        if (grey->width != side || grey->height != side) {
            SV_TRY(sv_image_resize_with(grey, side, side, SV_FILTER_BILINEAR, 13, &w->resize, &w->small, err));
            grey = &w->small;
        }
        *value = sharpness(grey);
        return SV_OK;
    case SV_MEASURE_EXPOSURE: *value = exposure(grey); return SV_OK;
    case SV_MEASURE_CONTRAST: *value = contrast(grey); return SV_OK;
    case SV_MEASURE_DETAIL: *value = detail(grey); return SV_OK;
    case SV_MEASURE_CLEAN: *value = clean(grey); return SV_OK;
    case SV_MEASURE_UNMARKED:
        SV_TRY(sv_lettered_share(grey, w, value, err));
        *value = 1.0 - *value;
        return SV_OK;
    default: return sv_fail(err, SV_E_INTERNAL, "quality", "there is no measure %d", (int)measure);
    }
}

sv_status sv_quality_brightest(const sv_image *im, sv_quality_work *w, int *value, sv_error *err) {
    const sv_image *grey;
    int64_t counts[256];
    SV_TRY(make_grey(im, w, &grey, err));
    histogram(grey, counts);
    *value = percentile(counts, (int64_t)pixels(grey), 99);
    return SV_OK;
}
