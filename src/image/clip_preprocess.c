/* clip_preprocess.c - CLIP's image preprocessing as transformers' CLIPImageProcessor (Pillow) and as torchvision do it. */
#include "image/clip_preprocess.h"

#include <string.h>

#include "base/error.h"
#include "image/codec.h"
#include "image/orient.h"

void sv_clip_preprocess_options_init(sv_clip_preprocess_options *o) {
    *o = (sv_clip_preprocess_options){
        .shortest_edge = 224, .crop_width = 224, .crop_height = 224, .rescale = 1.0 / 255.0, .filter = SV_FILTER_BICUBIC, .order = 13,
        .mean = {0.48145466f, 0.4578275f, 0.40821073f}, .std = {0.26862954f, 0.26130258f, 0.27577711f}};
}

void sv_clip_preprocess_work_free(sv_clip_preprocess_work *w) {
    if (!w) return;
    sv_resize_work_free(&w->resize);
    sv_image_free(&w->rgb);
    sv_image_free(&w->opaque);
    sv_image_free(&w->resized);
    sv_image_free(&w->cropped);
}

sv_status sv_clip_preprocess_size(const sv_clip_preprocess_options *o, int *width, int *height, sv_error *err) {
    const char *what = "image preprocessing";
    if (o->shortest_edge < 0 || o->width < 0 || o->height < 0 || o->crop_width < 0 || o->crop_height < 0)
        return sv_fail(err, SV_E_USAGE, what, "a size is negative");
    if (!o->width != !o->height || !o->crop_width != !o->crop_height) return sv_fail(err, SV_E_USAGE, what, "a size has a width or a height of 0");
    *width = o->crop_width ? o->crop_width : o->width;
    *height = o->crop_height ? o->crop_height : o->height;
    if (!*width || (!o->crop_width && o->shortest_edge))
        return sv_hint(err, sv_fail(err, SV_E_USAGE, what, "without a crop the size would depend on the image"),
                       "preprocessor_config.json needs crop_size, or a size of height and width");
    for (int c = 0; c < 3; c++)
        if (!(o->std[c] != 0.0f)) return sv_fail(err, SV_E_USAGE, what, "image_std holds a 0");
    return SV_OK;
}

/* The crop's first row or column; negative where the image is smaller than the crop and gets zeros before it. */
static int crop_start(int size, int crop, sv_clip_pipeline pipeline) {
    int rest = size - crop;
    if (pipeline == SV_CLIP_OPENAI) {
        if (rest < 0) return -(-rest / 2);
        return rest / 2 + (rest % 4 == 3); /* rest / 2 rounded half to even: 1 -> 0, 3 -> 2, 5 -> 2, 7 -> 4 */
    }
    return rest >= 0 ? rest / 2 : -((1 - rest) / 2);
}

/* Bytes outside the image are 0 in the image's own mode. */
static sv_status crop(const sv_image *in, int left, int top, int width, int height, sv_image *out, sv_error *err) {
    SV_TRY(sv_image_alloc(out, width, height, in->mode, err));
    sv_image_copy_colours(in, out);
    memset(out->data, 0, sv_image_bytes(out));
    int x0 = left < 0 ? -left : 0, x1 = left + width > in->width ? in->width - left : width;
    size_t pixel = (size_t)sv_mode_channels(in->mode);
    for (int y = 0; y < height; y++)
        if (top + y >= 0 && top + y < in->height && x1 > x0)
            memcpy(out->data + (size_t)y * sv_image_row(out) + (size_t)x0 * pixel,
                   in->data + (size_t)(top + y) * sv_image_row(in) + (size_t)(left + x0) * pixel, (size_t)(x1 - x0) * pixel);
    return SV_OK;
}

/* The longer edge is cut to a whole number after a division in double. */
static sv_status target(const sv_image *in, const sv_clip_preprocess_options *o, int *width, int *height, sv_error *err) {
    *width = o->width ? o->width : in->width;
    *height = o->height ? o->height : in->height;
    if (!o->shortest_edge) return SV_OK;
    bool upright = in->width <= in->height;
    int shorter = upright ? in->width : in->height, longer = upright ? in->height : in->width;
    double length = (double)((int64_t)o->shortest_edge * longer) / shorter;
    if (length > SV_IMAGE_MAX_PIXELS)
        return sv_fail(err, SV_E_INPUT, "image preprocessing", "an image of %d x %d is too thin to be resized by its shorter edge", in->width,
                       in->height);
    *width = upright ? o->shortest_edge : (int)length;
    *height = upright ? (int)length : o->shortest_edge;
    return SV_OK;
}

sv_status sv_clip_preprocess(const sv_image *in, const sv_clip_preprocess_options *o, sv_clip_preprocess_work *w, float *out, sv_error *err) {
    int width, height, to_width, to_height;
    SV_TRY(sv_clip_preprocess_size(o, &width, &height, err));
    const sv_image *im = in;
    bool lay_on_white = o->pipeline == SV_CLIP_HF || o->pipeline == SV_CLIP_DATA_JUICER;
    if (o->pipeline == SV_CLIP_DATA_JUICER && im->mode != SV_MODE_RGB) {
        SV_TRY(sv_image_rgb_with_key(im, &w->opaque, err));
        im = &w->opaque;
    }
    if (o->pipeline != SV_CLIP_OPENAI && im->mode != SV_MODE_RGB) {
        if (o->pipeline == SV_CLIP_HF) SV_TRY(sv_image_on_white(im, &w->rgb, err));
        else SV_TRY(sv_image_convert(im, SV_MODE_RGB, &w->rgb, err));
        im = &w->rgb;
    } else if (lay_on_white && im->keyed) {
        SV_TRY(sv_image_on_white(im, &w->rgb, err));
        im = &w->rgb;
    }
    SV_TRY(target(im, o, &to_width, &to_height, err));
    if (to_width != im->width || to_height != im->height) {
        SV_TRY(sv_image_resize_with(im, to_width, to_height, o->filter, o->order, &w->resize, &w->resized, err));
        im = &w->resized;
    }
    if (im->width != width || im->height != height) {
        SV_TRY(crop(im, crop_start(im->width, width, o->pipeline), crop_start(im->height, height, o->pipeline), width, height, &w->cropped, err));
        im = &w->cropped;
    }
    if (im->mode != SV_MODE_RGB) {
        SV_TRY(sv_image_convert(im, SV_MODE_RGB, &w->rgb, err));
        im = &w->rgb;
    }
    size_t n = (size_t)width * (size_t)height;
    for (int c = 0; c < 3; c++) {
        float table[256];
        for (int v = 0; v < 256; v++) table[v] = ((float)(v * o->rescale) - o->mean[c]) / o->std[c];
        for (size_t i = 0; i < n; i++) out[(size_t)c * n + i] = table[im->data[3 * i + (size_t)c]];
    }
    return SV_OK;
}
