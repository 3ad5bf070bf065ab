/* resize.c - Pillow's Image.resize(): filters, weight tables, order of passes, alpha, palettes. */
#include "image/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "image/codec.h"

/* ---- filters (x is the distance in input pixels, or in output pixels when shrinking) ---- */

static double box(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

static double bilinear(double x) {
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double hamming(double x) {
    x = fabs(x);
    if (x == 0.0) return 1.0;
    if (x >= 1.0) return 0.0;
    x *= M_PI;
    return sin(x) / x * (0.54f + 0.46f * cos(x)); /* the constants are float32 in the reference */
}

static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return 0.0;
}

static double sinc(double x) {
    if (x == 0.0) return 1.0;
    x *= M_PI;
    return sin(x) / x;
}

static double lanczos(double x) { return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0; }

static const struct {
    const char *name;
    double (*at)(double x);
    double support;
} filters[] = {
    [SV_FILTER_BICUBIC] = {"bicubic", bicubic, 2.0}, [SV_FILTER_BILINEAR] = {"bilinear", bilinear, 1.0},
    [SV_FILTER_LANCZOS] = {"lanczos", lanczos, 3.0}, [SV_FILTER_BOX] = {"box", box, 0.5},
    [SV_FILTER_NEAREST] = {"nearest", NULL, 0.0},    [SV_FILTER_HAMMING] = {"hamming", hamming, 1.0},
};
static const size_t n_filters = sizeof filters / sizeof *filters;

sv_status sv_filter_parse(const char *name, sv_filter *out, sv_error *err) {
    for (size_t i = 0; name && i < n_filters; i++)
        if (!strcmp(name, filters[i].name)) {
            *out = (sv_filter)i;
            return SV_OK;
        }
    return sv_hint(err, sv_fail(err, SV_E_USAGE, "filter", "there is no filter '%s'", name ? name : ""),
                   "one of: bicubic, bilinear, lanczos, box, hamming, nearest");
}

/* ---- weights ---- */

static sv_status taps_room(sv_taps *t, size_t positions, size_t weights, sv_error *err) {
    if (positions > t->positions) {
        int *first = realloc(t->first, positions * sizeof *first);
        if (first) t->first = first;
        int *count = first ? realloc(t->count, positions * sizeof *count) : NULL;
        if (count) t->count = count;
        if (!count) return sv_fail_memory(err, "resize", positions * sizeof(int));
        t->positions = positions;
    }
    if (weights > t->weights) {
        int32_t *w = realloc(t->w, weights * sizeof *w);
        if (!w) return sv_fail_memory(err, "resize", weights * sizeof *w);
        t->w = w;
        t->weights = weights;
    }
    return SV_OK;
}

/* Weights of one axis, in double as the reference computes them and then rounded to 22 bits, half away from zero. */
static sv_status taps_make(sv_taps *t, int in, int out, sv_filter filter, sv_error *err) {
    double scale = (double)(float)in / out, wide = scale < 1.0 ? 1.0 : scale, support = filters[filter].support * wide, shrink = 1.0 / wide;
    size_t stride = ((size_t)ceil(support) * 2 + 1 + 7) / 8 * 8;
    t->in = t->out = 0; /* not a table until it is finished */
    SV_TRY(taps_room(t, (size_t)out, (size_t)out * stride, err));
    double *real = malloc(stride * sizeof *real);
    if (!real) return sv_fail_memory(err, "resize", stride * sizeof *real);
    for (int x = 0; x < out; x++) {
        double centre = (x + 0.5) * scale, sum = 0.0;
        int lo = (int)(centre - support + 0.5), hi = (int)(centre + support + 0.5);
        if (lo < 0) lo = 0;
        if (hi > in) hi = in;
        int n = hi - lo;
        for (int j = 0; j < n; j++) sum += real[j] = filters[filter].at((j + lo - centre + 0.5) * shrink);
        int32_t *w = t->w + (size_t)x * stride;
        for (int j = 0; j < n; j++) {
            double v = sum != 0.0 ? real[j] / sum : real[j];
            w[j] = (int32_t)((v < 0 ? -0.5 : 0.5) + v * (1 << SV_RESAMPLE_BITS));
        }
        memset(w + n, 0, (stride - (size_t)n) * sizeof *w);
        t->first[x] = lo;
        t->count[x] = n;
    }
    free(real);
    t->in = in;
    t->out = out;
    t->filter = (int)filter;
    t->stride = (int)stride;
    return SV_OK;
}

/* `keep`: a table that must not be replaced, or NULL. */
static sv_status taps_get(sv_resize_work *work, int in, int out, sv_filter filter, const sv_taps *keep, const sv_taps **found, sv_error *err) {
    const unsigned n = sizeof work->taps / sizeof *work->taps;
    for (unsigned i = 0; i < n; i++) {
        sv_taps *t = &work->taps[i];
        if (t->in == in && t->out == out && t->filter == (int)filter) {
            *found = t;
            return SV_OK;
        }
    }
    sv_taps *t = &work->taps[work->next++ % n];
    if (t == keep) t = &work->taps[work->next++ % n];
    *found = t;
    return taps_make(t, in, out, filter, err);
}

/* ---- passes ---- */

/* Rows from `top` on of `in`, to t->out pixels a row. */
static sv_status pass_across(const sv_image *in, int top, int rows, const sv_taps *t, sv_resize_work *work, sv_image *out, sv_error *err) {
    SV_TRY(sv_image_alloc(out, t->out, rows, in->mode, err));
    const sv_resample *kernel = sv_resample_best();
    size_t row = sv_image_row(in), size = sv_image_bytes(in);
    for (int y = 0; y < rows; y++) {
        const uint8_t *p = in->data + (size_t)(top + y) * row;
        if ((size_t)(p - in->data) + row + 32 > size) { /* the last rows: kernels read a little beyond */
            if (row + 32 > work->row_room) {
                uint8_t *room = realloc(work->row, row + 32);
                if (!room) return sv_fail_memory(err, "resize", row + 32);
                work->row = room;
                work->row_room = row + 32;
            }
            memcpy(work->row, p, row);
            memset(work->row + row, 0, 32);
            p = work->row;
        }
        kernel->across(p, out->data + (size_t)y * sv_image_row(out), sv_mode_channels(in->mode), t);
    }
    return SV_OK;
}

/* `top`: the row of the full image that row 0 of `in` is. */
static sv_status pass_down(const sv_image *in, int top, const sv_taps *t, sv_image *out, sv_error *err) {
    SV_TRY(sv_image_alloc(out, in->width, t->out, in->mode, err));
    const sv_resample *kernel = sv_resample_best();
    size_t row = sv_image_row(in);
    for (int y = 0; y < t->out; y++)
        kernel->down(in->data + (size_t)(t->first[y] - top) * row, row, out->data + (size_t)y * row, row, t->count[y],
                     t->w + (size_t)y * (size_t)t->stride);
    return SV_OK;
}

/* Pillow 13 takes the vertical pass first where that leaves less work; up to 11 the horizontal one always came first. The 8-bit picture
 * between the passes makes the results differ. */
static bool down_first(const sv_image *in, int width, int height, int order) {
    return order == 13 && height < in->height && (int64_t)in->height - height > 2 * ((int64_t)in->width - width);
}

static sv_status resample(const sv_image *in, int width, int height, sv_filter filter, int order, sv_resize_work *work, sv_image *out,
                          sv_error *err) {
    const sv_taps *h = NULL, *v = NULL;
    if (width != in->width) SV_TRY(taps_get(work, in->width, width, filter, NULL, &h, err));
    if (height != in->height) SV_TRY(taps_get(work, in->height, height, filter, h, &v, err));
    if (!h && !v) return sv_image_copy(in, out, err);
    if (!v) return pass_across(in, 0, in->height, h, work, out, err);
    if (!h) return pass_down(in, 0, v, out, err);
    if (down_first(in, width, height, order)) {
        SV_TRY(pass_down(in, 0, v, &work->between, err));
        return pass_across(&work->between, 0, height, h, work, out, err);
    }
    int top = v->first[0], end = v->first[height - 1] + v->count[height - 1];
    SV_TRY(pass_across(in, top, end - top, h, work, &work->between, err));
    return pass_down(&work->between, top, v, out, err);
}

/* Positions are summed up in double, step by step, as in Pillow's affine scaling (libImaging/Geometry.c). */
static sv_status nearest(const sv_image *in, int width, int height, sv_resize_work *work, sv_image *out, sv_error *err) {
    SV_TRY(sv_image_alloc(out, width, height, in->mode, err));
    if ((size_t)width > work->columns) {
        int *column = realloc(work->column, (size_t)width * sizeof *column);
        if (!column) return sv_fail_memory(err, "resize", (size_t)width * sizeof *column);
        work->column = column;
        work->columns = (size_t)width;
    }
    double dx = (double)in->width / width, dy = (double)in->height / height, at = dx * 0.5;
    for (int x = 0; x < width; x++, at += dx) work->column[x] = at < in->width ? (int)at : -1;
    size_t pixel = (size_t)sv_mode_channels(in->mode), row = sv_image_row(in);
    uint8_t *o = out->data;
    at = dy * 0.5;
    for (int y = 0; y < height; y++, at += dy) {
        const uint8_t *line = at < in->height ? in->data + (size_t)at * row : NULL;
        for (int x = 0; x < width; x++, o += pixel) {
            if (line && work->column[x] >= 0) memcpy(o, line + (size_t)work->column[x] * pixel, pixel);
            else memset(o, 0, pixel); /* rounding led beyond the edge */
        }
    }
    sv_image_copy_colours(in, out);
    return SV_OK;
}

/* ---- alpha: colours are weighted by it before the passes, and divided by it afterwards ---- */

static sv_status premultiply(const sv_image *in, sv_image *out, sv_error *err) {
    SV_TRY(sv_image_alloc(out, in->width, in->height, in->mode, err));
    int n = sv_mode_channels(in->mode);
    const uint8_t *p = in->data;
    uint8_t *o = out->data;
    for (size_t i = 0, size = (size_t)in->width * (size_t)in->height; i < size; i++, p += n, o += n) {
        unsigned alpha = p[n - 1];
        for (int c = 0; c < n - 1; c++) {
            unsigned t = p[c] * alpha + 128;
            o[c] = (uint8_t)(((t >> 8) + t) >> 8);
        }
        o[n - 1] = (uint8_t)alpha;
    }
    return SV_OK;
}

static void unpremultiply(sv_image *im) {
    int n = sv_mode_channels(im->mode);
    uint8_t *p = im->data;
    for (size_t i = 0, size = (size_t)im->width * (size_t)im->height; i < size; i++, p += n) {
        unsigned alpha = p[n - 1];
        if (alpha == 255 || alpha == 0) continue;
        for (int c = 0; c < n - 1; c++) {
            unsigned v = 255u * p[c] / alpha;
            p[c] = (uint8_t)(v > 255 ? 255 : v);
        }
    }
}

/* ---- the whole ---- */

sv_status sv_image_resize_with(const sv_image *in, int width, int height, sv_filter filter, int order, sv_resize_work *work, sv_image *out,
                               sv_error *err) {
    if (in == out) return sv_fail(err, SV_E_INTERNAL, "resize", "an image cannot be resized onto itself");
    if ((size_t)filter >= n_filters) return sv_fail(err, SV_E_USAGE, "resize", "filter %d does not exist", (int)filter);
    if (order != 13 && order != 11)
        return sv_hint(err, sv_fail(err, SV_E_USAGE, "resize", "order %d does not exist", order),
                       "13: as Pillow 13 and later; 11: as Pillow 11 and before");
    SV_TRY(sv_image_check_size(width, height, "resize", err));
    if (width == in->width && height == in->height) return sv_image_copy(in, out, err);
    if (filter == SV_FILTER_NEAREST || in->mode == SV_MODE_1 || in->mode == SV_MODE_P) return nearest(in, width, height, work, out, err);
    if (in->mode == SV_MODE_LA || in->mode == SV_MODE_RGBA) {
        SV_TRY(premultiply(in, &work->premultiplied, err));
        SV_TRY(resample(&work->premultiplied, width, height, filter, order, work, out, err));
        unpremultiply(out);
        return SV_OK;
    }
    SV_TRY(resample(in, width, height, filter, order, work, out, err));
    sv_image_copy_colours(in, out);
    return SV_OK;
}

void sv_resize_work_free(sv_resize_work *w) {
    if (!w) return;
    for (size_t i = 0; i < sizeof w->taps / sizeof *w->taps; i++) {
        free(w->taps[i].first);
        free(w->taps[i].count);
        free(w->taps[i].w);
    }
    sv_image_free(&w->between);
    sv_image_free(&w->premultiplied);
    free(w->row);
    free(w->column);
    *w = (sv_resize_work){0};
}

sv_status sv_image_resize(const sv_image *in, int width, int height, sv_filter filter, int order, sv_image *out, sv_error *err) {
    sv_resize_work work = {0};
    sv_status st = sv_image_resize_with(in, width, height, filter, order, &work, out, err);
    sv_resize_work_free(&work);
    return st;
}
