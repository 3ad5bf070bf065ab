/* ssim.c - structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004) in the flavours of the common libraries.
 *
 * Uniform windows use integer column sums that slide down and running sums that slide along: the sums are exact, whatever the window.
 * Gaussian windows filter each row once, keep the last eleven, and blend them. */
#include "image/ssim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/codec.h"
#include "image/ssim_rows.h"

/* Column sums of x^2 + y^2 over so many rows stay below 2^31. */
#define MAX_WINDOW 16511
#define RADIUS (SV_SSIM_TAPS / 2)

/* ---- options ---- */

void sv_ssim_options_init(sv_ssim_options *o, bool gaussian) {
    *o = (sv_ssim_options){.gaussian = gaussian, .window = gaussian ? SV_SSIM_TAPS : 7, .sample_covariance = !gaussian};
}

static const struct {
    const char *name;
    sv_ssim_options options;
} named[] = {
    {"skimage", {.window = 7, .sample_covariance = true}},
    {"wang", {.gaussian = true, .window = SV_SSIM_TAPS}},
    {"torchmetrics", {.gaussian = true, .window = SV_SSIM_TAPS, .reflect = true}},
    {"pytorch-msssim", {.gaussian = true, .window = SV_SSIM_TAPS, .float_taps = true}},
};

sv_status sv_ssim_options_named(sv_ssim_options *o, const char *name, sv_error *err) {
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (!strcmp(name, named[i].name)) {
            *o = named[i].options;
            return SV_OK;
        }
    return sv_hint(err, sv_fail(err, SV_E_USAGE, "SSIM", "there is no flavour '%s'", name), "one of: skimage, wang, torchmetrics, pytorch-msssim");
}

/* ---- memory ---- */

void sv_ssim_scratch_free(sv_ssim_scratch *s) {
    if (!s) return;
    free(s->real);
    free(s->whole);
    sv_image_free(&s->a);
    sv_image_free(&s->b);
    *s = (sv_ssim_scratch){0};
}

static sv_status room(sv_ssim_scratch *s, size_t reals, size_t wholes, sv_error *err) {
    if (reals > s->reals) {
        double *real = realloc(s->real, reals * sizeof *real);
        if (!real) return sv_fail_memory(err, "SSIM", reals * sizeof *real);
        s->real = real;
        s->reals = reals;
    }
    if (wholes > s->wholes) {
        int32_t *whole = realloc(s->whole, wholes * sizeof *whole);
        if (!whole) return sv_fail_memory(err, "SSIM", wholes * sizeof *whole);
        s->whole = whole;
        s->wholes = wholes;
    }
    return SV_OK;
}

static sv_ssim_terms terms(double total, double pixels, bool sample) {
    double l = 255.0 * total;
    return (sv_ssim_terms){.total = total, .k = sample ? pixels / (pixels - 1.0) : 1.0, .c1 = 0.01 * l * (0.01 * l), .c2 = 0.03 * l * (0.03 * l)};
}

/* ---- uniform window ---- */

static sv_status uniform(const uint8_t *a, const uint8_t *b, size_t width, size_t height, const sv_ssim_options *o, sv_ssim_scratch *s, double *value,
                         sv_error *err) {
    const sv_ssim_rows *rows = sv_ssim_rows_best();
    size_t window = (size_t)o->window, across = width - window + 1, down = height - window + 1;
    double pixels = (double)window * (double)window, sum = 0;
    sv_ssim_terms t = terms(pixels, pixels, o->sample_covariance);
    SV_TRY(room(s, SV_SSIM_SUMS * across, SV_SSIM_SUMS * width, err));
    memset(s->whole, 0, SV_SSIM_SUMS * width * sizeof *s->whole);
    for (size_t y = 0; y < window - 1; y++) rows->slide(a + y * width, b + y * width, NULL, NULL, width, s->whole);
    for (size_t y = 0; y < down; y++) {
        size_t in = (y + window - 1) * width, out = (y - 1) * width;
        rows->slide(a + in, b + in, y ? a + out : NULL, y ? b + out : NULL, width, s->whole);
        rows->across(s->whole, width, window, s->real, across);
        sum += rows->values(s->real, across, across, &t);
    }
    *value = sum / ((double)across * (double)down);
    return SV_OK;
}

/* ---- gaussian window: sigma 1.5, 11 x 11 ---- */

/* The half of the symmetric taps, centre first. `rounded`: exponent, taps, their sum and their quotients in float32. The sum of such taps is
 * not exactly 1, which weighs on variances that are small differences, so a flavour that has them needs these very numbers. */
static void taps(double w[RADIUS + 1], bool rounded) {
    double sum = 0;
    for (int j = 0; j <= RADIUS; j++) {
        double exponent = -(double)(j * j) / (2.0 * 1.5 * 1.5);
        w[j] = rounded ? (float)exp((float)exponent) : exp(exponent);
        sum += j ? 2.0 * w[j] : w[j];
    }
    for (int j = 0; j <= RADIUS; j++) w[j] = rounded ? (float)w[j] / (float)sum : w[j] / sum;
}

static sv_status gaussian(const uint8_t *a, const uint8_t *b, size_t width, size_t height, const sv_ssim_options *o, sv_ssim_scratch *s,
                          double *value, sv_error *err) {
    const sv_ssim_rows *rows = sv_ssim_rows_best();
    size_t across = width - 2 * RADIUS, down = height - 2 * RADIUS, row = SV_SSIM_SUMS * across;
    double w[RADIUS + 1], sum = 0;
    taps(w, o->float_taps);
    sv_ssim_terms t = terms(1.0, SV_SSIM_TAPS * SV_SSIM_TAPS, o->sample_covariance);
    SV_TRY(room(s, width + row * (SV_SSIM_TAPS + 1), 0, err));
    double *line = s->real, *out = line + width, *ring = out + row; /* row y of the filtered rows is at y mod 11 */
    for (size_t y = 0; y < 2 * RADIUS; y++) rows->smooth(a + y * width, b + y * width, width, w, line, ring + y * row, across);
    for (size_t y = 0; y < down; y++) {
        size_t newest = y + 2 * RADIUS;
        rows->smooth(a + newest * width, b + newest * width, width, w, line, ring + newest % SV_SSIM_TAPS * row, across);
        const double *lines[SV_SSIM_TAPS];
        for (size_t j = 0; j < SV_SSIM_TAPS; j++) lines[j] = ring + (y + j) % SV_SSIM_TAPS * row;
        rows->blend(lines, row, w, out);
        sum += rows->values(out, across, across, &t);
    }
    *value = sum / ((double)across * (double)down);
    return SV_OK;
}

sv_status sv_ssim_plane(const uint8_t *a, const uint8_t *b, int width, int height, const sv_ssim_options *o, sv_ssim_scratch *s, double *value,
                        sv_error *err) {
    return (o->gaussian ? gaussian : uniform)(a, b, (size_t)width, (size_t)height, o, s, value, err);
}

/* ---- images ---- */

/* Channel c of an image as a plane, with `border` pixels mirrored around it (the edge itself is not repeated). */
static sv_status plane(const sv_image *im, int c, int border, sv_image *out, sv_error *err) {
    SV_TRY(sv_image_alloc(out, im->width + 2 * border, im->height + 2 * border, SV_MODE_L, err));
    int channels = sv_mode_channels(im->mode), w = im->width, h = im->height;
    uint8_t *o = out->data;
    for (int y = -border; y < h + border; y++) {
        const uint8_t *row = im->data + (size_t)(y < 0 ? -y : y < h ? y : 2 * (h - 1) - y) * sv_image_row(im) + c;
        for (int x = border; x > 0; x--) *o++ = row[x * channels];
        for (int x = 0; x < w; x++) *o++ = row[x * channels];
        for (int x = w - 2; x > w - 2 - border; x--) *o++ = row[x * channels];
    }
    return SV_OK;
}

static sv_status check(const sv_image *a, const sv_image *b, const sv_ssim_options *o, sv_error *err) {
    if (a->width != b->width || a->height != b->height)
        return sv_hint(
            err, sv_fail(err, SV_E_INPUT, "SSIM", "the images have different sizes, %d x %d and %d x %d", a->width, a->height, b->width, b->height),
            "resize one of them first");
    if (a->mode != b->mode || (a->mode != SV_MODE_L && a->mode != SV_MODE_RGB))
        return sv_fail(err, SV_E_USAGE, "SSIM", "the images have modes %s and %s; both must be L or both RGB", sv_mode_name(a->mode),
                       sv_mode_name(b->mode));
    int window = o->gaussian ? SV_SSIM_TAPS : o->window, side = a->width < a->height ? a->width : a->height;
    if (window < 3 || window % 2 == 0 || window > MAX_WINDOW)
        return sv_fail(err, SV_E_USAGE, "SSIM", "a window of %d is not an odd number in 3..%d", window, MAX_WINDOW);
    if (o->reflect && side <= window / 2)
        return sv_fail(err, SV_E_INPUT, "SSIM", "an image of %d x %d is too small to mirror %d pixels at its border", a->width, a->height,
                       window / 2);
    if (!o->reflect && side < window)
        return sv_hint(err, sv_fail(err, SV_E_INPUT, "SSIM", "a window of %d does not fit into an image of %d x %d", window, a->width, a->height),
                       "take a smaller window or larger images");
    return SV_OK;
}

sv_status sv_ssim(const sv_image *a, const sv_image *b, const sv_ssim_options *o, double *value, sv_error *err) {
    SV_TRY(check(a, b, o, err));
    sv_ssim_scratch s = {0};
    int channels = sv_mode_channels(a->mode), border = o->reflect ? (o->gaussian ? SV_SSIM_TAPS : o->window) / 2 : 0;
    double sum = 0, one;
    sv_status st = SV_OK;
    if (channels == 1 && !border) {
        st = sv_ssim_plane(a->data, b->data, a->width, a->height, o, &s, value, err);
        goto end;
    }
    for (int c = 0; c < channels; c++) {
        SV_TRY_GOTO(end, plane(a, c, border, &s.a, err));
        SV_TRY_GOTO(end, plane(b, c, border, &s.b, err));
        SV_TRY_GOTO(end, sv_ssim_plane(s.a.data, s.b.data, s.a.width, s.a.height, o, &s, &one, err));
        sum += one;
    }
    *value = sum / channels;
end:
    sv_ssim_scratch_free(&s);
    return st;
}
