/* convert.c - Pillow's convert() to L, RGB and RGBA, and transparency on white as transformers 5 does it. */
#include <stdlib.h>
#include <string.h>

#include "image/codec.h"
#include "image/luma.h"

/* a*b/255, rounded. */
static inline unsigned mul255(unsigned a, unsigned b) {
    unsigned t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

/* Pillow's CMYK without a colour profile: white less black less ink on what black leaves. */
static inline void cmyk_rgb(const uint8_t *in, uint8_t *out) {
    int rest = 255 - in[3];
    for (int c = 0; c < 3; c++) out[c] = (uint8_t)(rest - (int)mul255(in[c], (unsigned)rest));
}

static void to_grey(const sv_image *in, uint8_t *out, size_t n) {
    const uint8_t *p = in->data;
    uint8_t rgb[3], table[256];
    switch (in->mode) {
    case SV_MODE_1:
    case SV_MODE_L: memcpy(out, p, n); break;
    case SV_MODE_LA:
        for (size_t i = 0; i < n; i++) out[i] = p[2 * i];
        break;
    case SV_MODE_P:
        for (int i = 0; i < 256; i++) table[i] = sv_luma(in->palette + 4 * i);
        for (size_t i = 0; i < n; i++) out[i] = table[p[i]];
        break;
    case SV_MODE_RGB: sv_luma_row(p, out, n); break;
    case SV_MODE_RGBA:
        for (size_t i = 0; i < n; i++) out[i] = sv_luma(p + 4 * i);
        break;
    case SV_MODE_CMYK:
        for (size_t i = 0; i < n; i++) {
            cmyk_rgb(p + 4 * i, rgb);
            out[i] = sv_luma(rgb);
        }
        break;
    }
}

static void to_rgb(const sv_image *in, uint8_t *out, size_t n) {
    const uint8_t *p = in->data;
    switch (in->mode) {
    case SV_MODE_1:
    case SV_MODE_L:
        for (size_t i = 0; i < n; i++) out[3 * i] = out[3 * i + 1] = out[3 * i + 2] = p[i];
        break;
    case SV_MODE_LA:
        for (size_t i = 0; i < n; i++) out[3 * i] = out[3 * i + 1] = out[3 * i + 2] = p[2 * i];
        break;
    case SV_MODE_P:
        for (size_t i = 0; i < n; i++) memcpy(out + 3 * i, in->palette + 4 * p[i], 3);
        break;
    case SV_MODE_RGB: memcpy(out, p, 3 * n); break;
    case SV_MODE_RGBA:
        for (size_t i = 0; i < n; i++) memcpy(out + 3 * i, p + 4 * i, 3);
        break;
    case SV_MODE_CMYK:
        for (size_t i = 0; i < n; i++) cmyk_rgb(p + 4 * i, out + 3 * i);
        break;
    }
}

/* One pixel of any mode as RGBA. The transparent colour is looked for after the conversion, as Pillow does. */
static inline void pixel_rgba(const sv_image *in, size_t i, uint8_t out[4]) {
    const uint8_t *p = in->data + i * (size_t)sv_mode_channels(in->mode);
    switch (in->mode) {
    case SV_MODE_1:
    case SV_MODE_L: memcpy(out, (uint8_t[4]){p[0], p[0], p[0], 255}, 4); break;
    case SV_MODE_LA: memcpy(out, (uint8_t[4]){p[0], p[0], p[0], p[1]}, 4); break;
    case SV_MODE_P: memcpy(out, in->palette + 4 * p[0], 4); break;
    case SV_MODE_RGB: memcpy(out, (uint8_t[4]){p[0], p[1], p[2], 255}, 4); break;
    case SV_MODE_RGBA: memcpy(out, p, 4); break;
    case SV_MODE_CMYK: cmyk_rgb(p, out), out[3] = 255; break;
    }
    if (in->keyed && !memcmp(out, in->key, 3)) out[3] = 0;
}

sv_status sv_image_convert(const sv_image *in, sv_mode mode, sv_image *out, sv_error *err) {
    if (in == out) return sv_fail(err, SV_E_INTERNAL, "image", "converted onto itself");
    if (mode == in->mode) return sv_image_copy(in, out, err);
    if (mode != SV_MODE_L && mode != SV_MODE_RGB && mode != SV_MODE_RGBA)
        return sv_fail(err, SV_E_USAGE, "image", "conversion from %s to %s is not offered, only to L, RGB and RGBA", sv_mode_name(in->mode),
                       sv_mode_name(mode));
    SV_TRY(sv_image_alloc(out, in->width, in->height, mode, err));
    size_t n = (size_t)in->width * (size_t)in->height;
    if (mode == SV_MODE_L) to_grey(in, out->data, n);
    else if (mode == SV_MODE_RGB) to_rgb(in, out->data, n);
    else
        for (size_t i = 0; i < n; i++) pixel_rgba(in, i, out->data + 4 * i);
    return SV_OK;
}

static bool has_alpha(const sv_image *im) {
    if (im->keyed || im->mode == SV_MODE_LA || im->mode == SV_MODE_RGBA) return true;
    for (int i = 0; im->mode == SV_MODE_P && i < 256; i++)
        if (im->palette[4 * i + 3] != 255) return true;
    return false;
}

/* Pillow's alpha_composite over opaque white, in its 7 extra bits: with an opaque ground the weight of the picture is alpha * 128, that of
 * the ground the rest of 255 * 128 (libImaging/AlphaComposite.c). */
sv_status sv_image_on_white(const sv_image *in, sv_image *out, sv_error *err) {
    if (!has_alpha(in)) return sv_image_convert(in, SV_MODE_RGB, out, err);
    if (in == out) return sv_fail(err, SV_E_INTERNAL, "image", "converted onto itself");
    SV_TRY(sv_image_alloc(out, in->width, in->height, SV_MODE_RGB, err));
    for (size_t i = 0, n = (size_t)in->width * (size_t)in->height; i < n; i++) {
        uint8_t px[4];
        pixel_rgba(in, i, px);
        uint32_t weight = px[3] * 128u, ground = 255u * 128u - weight;
        for (int c = 0; c < 3; c++) {
            uint32_t t = px[c] * weight + 255u * ground + (0x80u << 7);
            out->data[3 * i + (size_t)c] = px[3] ? (uint8_t)((((t >> 8) + t) >> 8) >> 7) : 255;
        }
    }
    return SV_OK;
}
