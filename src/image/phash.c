/* phash.c - pHash, dHash and aHash as imagededup computes them: Pillow's Lanczos in RGB, then grey, then bits. */
#include "image/phash.h"

#include <math.h>
#include <stdlib.h>

#include "image/codec.h"

enum { DCT_SIDE = 32, HASH_SIDE = 8, HASH_BITS = 64 };

void sv_hash_work_free(sv_hash_work *w) {
    sv_resize_work_free(&w->resize);
    sv_image_free(&w->rgb);
    sv_image_free(&w->small);
    sv_image_free(&w->grey);
}

/* The picture as RGB, resized and made grey: w->grey. */
static sv_status reduce(const sv_image *im, int width, int height, sv_hash_work *w, sv_error *err) {
    const sv_image *rgb = im;
    if (im->mode != SV_MODE_RGB) {
        SV_TRY(sv_image_convert(im, SV_MODE_RGB, &w->rgb, err));
        rgb = &w->rgb;
    }
    if (rgb->width != width || rgb->height != height) {
        SV_TRY(sv_image_resize_with(rgb, width, height, SV_FILTER_LANCZOS, 13, &w->resize, &w->small, err));
        rgb = &w->small;
    }
    return sv_image_convert(rgb, SV_MODE_L, &w->grey, err);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Coefficients 0..7 of the unnormalised DCT-II of 32 values `stride` apart. Values that mirror each other are added or subtracted first, so that
 * what cancels does so exactly: the coefficients of a plain or symmetric picture are zeros, as SciPy's are, and not rounding errors with a sign. */
static void low_frequencies(const double *in, int stride, double out[HASH_SIDE]) {
    const double pi = 3.14159265358979323846;
    double fold[DCT_SIDE];
    for (int n = 0; n < DCT_SIDE; n++) fold[n] = in[n * stride];
    for (int step = 1, length = DCT_SIDE; step < HASH_SIDE; step *= 2, length /= 2) {
        /* Here fold holds the sums of all inputs that multiples of `step` weigh alike; odd multiples see the differences of its two halves. */
        for (int k = step; k < HASH_SIDE; k += 2 * step) {
            out[k] = 0;
            for (int n = 0; n < length / 2; n++) out[k] += 2.0 * cos(pi * k * (2 * n + 1) / (2.0 * DCT_SIDE)) * (fold[n] - fold[length - 1 - n]);
        }
        for (int n = 0; n < length / 2; n++) fold[n] += fold[length - 1 - n];
    }
    out[0] = 2.0 * (fold[0] + fold[1] + fold[2] + fold[3]);
}

/* The 8 x 8 lowest frequencies of the DCT-II of 32 x 32 pixels; a bit is set where the coefficient reaches the median of all but the constant one. */
static uint64_t hash_of_dct(const uint8_t *grey) {
    double values[DCT_SIDE * DCT_SIDE], columns[DCT_SIDE][HASH_SIDE], rows[HASH_SIDE][DCT_SIDE], low[HASH_BITS], sorted[HASH_BITS - 1];
    for (int i = 0; i < DCT_SIDE * DCT_SIDE; i++) values[i] = grey[i];
    for (int x = 0; x < DCT_SIDE; x++) {
        low_frequencies(values + x, DCT_SIDE, columns[x]);
        for (int v = 0; v < HASH_SIDE; v++) rows[v][x] = columns[x][v];
    }
    for (int v = 0; v < HASH_SIDE; v++) low_frequencies(rows[v], 1, low + v * HASH_SIDE);
    for (int i = 1; i < HASH_BITS; i++) sorted[i - 1] = low[i];
    qsort(sorted, HASH_BITS - 1, sizeof *sorted, by_value);
    double median = sorted[(HASH_BITS - 1) / 2];
    uint64_t hash = 0;
    for (int i = 0; i < HASH_BITS; i++) hash = hash << 1 | (low[i] >= median);
    return hash;
}

/* A bit is set where the right one of two neighbours is brighter; rows of 9. */
static uint64_t hash_of_steps(const uint8_t *grey) {
    uint64_t hash = 0;
    for (int y = 0; y < HASH_SIDE; y++)
        for (int x = 0; x < HASH_SIDE; x++) hash = hash << 1 | (grey[y * (HASH_SIDE + 1) + x + 1] > grey[y * (HASH_SIDE + 1) + x]);
    return hash;
}

/* A bit is set where a pixel reaches the mean. */
static uint64_t hash_of_mean(const uint8_t *grey) {
    int sum = 0;
    uint64_t hash = 0;
    for (int i = 0; i < HASH_BITS; i++) sum += grey[i];
    for (int i = 0; i < HASH_BITS; i++) hash = hash << 1 | (grey[i] * HASH_BITS >= sum);
    return hash;
}

sv_status sv_image_hash(const sv_image *im, sv_hash_method method, sv_hash_work *w, uint64_t *hash, sv_error *err) {
    switch (method) {
    case SV_HASH_PHASH:
        SV_TRY(reduce(im, DCT_SIDE, DCT_SIDE, w, err));
        *hash = hash_of_dct(w->grey.data);
        return SV_OK;
    case SV_HASH_DHASH:
        SV_TRY(reduce(im, HASH_SIDE + 1, HASH_SIDE, w, err));
        *hash = hash_of_steps(w->grey.data);
        return SV_OK;
    case SV_HASH_AHASH:
        SV_TRY(reduce(im, HASH_SIDE, HASH_SIDE, w, err));
        *hash = hash_of_mean(w->grey.data);
        return SV_OK;
    }
    return sv_fail(err, SV_E_INTERNAL, "image hash", "there is no method %d", (int)method);
}

sv_status sv_image_hash_all(const sv_image *im, sv_image_hashes *out, sv_error *err) {
    sv_hash_work w = {0};
    sv_status st = sv_image_hash(im, SV_HASH_PHASH, &w, &out->phash, err);
    if (st == SV_OK) st = sv_image_hash(im, SV_HASH_DHASH, &w, &out->dhash, err);
    if (st == SV_OK) st = sv_image_hash(im, SV_HASH_AHASH, &w, &out->ahash, err);
    sv_hash_work_free(&w);
    return st;
}
