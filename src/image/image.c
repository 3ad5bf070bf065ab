/* image.c - the image itself: memory, modes, reading by content, writing by file name. */
#include "synthvlm/image.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "image/codec.h"

static const struct {
    const char *name;
    int channels;
} modes[] = {
    [SV_MODE_1] = {"1", 1},       [SV_MODE_L] = {"L", 1},       [SV_MODE_LA] = {"LA", 2},     [SV_MODE_P] = {"P", 1},
    [SV_MODE_RGB] = {"RGB", 3},   [SV_MODE_RGBA] = {"RGBA", 4}, [SV_MODE_CMYK] = {"CMYK", 4},
};

const char *sv_mode_name(sv_mode mode) { return (unsigned)mode < sizeof modes / sizeof *modes ? modes[mode].name : "?"; }

int sv_mode_channels(sv_mode mode) { return (unsigned)mode < sizeof modes / sizeof *modes ? modes[mode].channels : 0; }

void sv_image_free(sv_image *im) {
    if (!im) return;
    free(im->data);
    free(im->palette);
    *im = (sv_image){0};
}

sv_status sv_image_check_size(int64_t width, int64_t height, const char *name, sv_error *err) {
    if (width < 1 || height < 1)
        return sv_fail(err, SV_E_INPUT, name, "an image of %lld x %lld pixels has no content", (long long)width, (long long)height);
    if (width > SV_IMAGE_MAX_PIXELS || height > SV_IMAGE_MAX_PIXELS || width * height > SV_IMAGE_MAX_PIXELS) {
        sv_fail(err, SV_E_INPUT, name, "%lld x %lld pixels are more than the limit of %d", (long long)width, (long long)height, SV_IMAGE_MAX_PIXELS);
        return sv_hint(err, SV_E_INPUT, "such a small file that claims so many pixels is often made to exhaust memory; shrink the image first");
    }
    return SV_OK;
}

sv_status sv_image_alloc(sv_image *im, int width, int height, sv_mode mode, sv_error *err) {
    int channels = sv_mode_channels(mode);
    if (!channels) return sv_fail(err, SV_E_INTERNAL, "image", "mode %d does not exist", (int)mode);
    SV_TRY(sv_image_check_size(width, height, "image", err));
    size_t size = (size_t)width * (size_t)height * (size_t)channels;
    if (size > im->capacity) {
        uint8_t *data = malloc(size);
        if (!data) return sv_fail_memory(err, "image", size);
        free(im->data);
        im->data = data;
        im->capacity = size;
    }
    if (mode == SV_MODE_P) {
        if (!im->palette && !(im->palette = malloc(1024))) return sv_fail_memory(err, "image palette", 1024);
        for (int i = 0; i < 256; i++) memcpy(im->palette + 4 * i, (uint8_t[4]){0, 0, 0, 255}, 4);
    } else {
        free(im->palette);
        im->palette = NULL;
    }
    im->width = width;
    im->height = height;
    im->mode = mode;
    im->keyed = false;
    return SV_OK;
}

void sv_image_copy_colours(const sv_image *in, sv_image *out) {
    if (in->palette && out->palette) memcpy(out->palette, in->palette, 1024);
    out->keyed = in->keyed;
    memcpy(out->key, in->key, sizeof out->key);
}

sv_status sv_image_copy(const sv_image *in, sv_image *out, sv_error *err) {
    SV_TRY(sv_image_alloc(out, in->width, in->height, in->mode, err));
    memcpy(out->data, in->data, sv_image_bytes(in));
    sv_image_copy_colours(in, out);
    return SV_OK;
}

/* ---- codecs ---- */

static bool is_png(const uint8_t *b, size_t n) { return n >= 8 && !memcmp(b, "\x89PNG\r\n\x1a\n", 8); }
static bool is_jpeg(const uint8_t *b, size_t n) { return n >= 3 && !memcmp(b, "\xff\xd8\xff", 3); }
static bool is_webp(const uint8_t *b, size_t n) { return n >= 12 && !memcmp(b, "RIFF", 4) && !memcmp(b + 8, "WEBP", 4); }

static const struct codec {
    sv_format format;
    const char *extensions; /* between bars */
    bool (*is)(const uint8_t *bytes, size_t size);
    sv_decode_fn decode;
    sv_encode_fn encode;
    int quality;
} codecs[] = {
    {SV_FORMAT_JPEG, "|.jpg|.jpeg|.jpe|", is_jpeg, sv_jpeg_decode, sv_jpeg_encode, 95},
    {SV_FORMAT_PNG, "|.png|", is_png, sv_png_decode, sv_png_encode, 100},
    {SV_FORMAT_WEBP, "|.webp|", is_webp, sv_webp_decode, sv_webp_encode, 90},
};
static const size_t n_codecs = sizeof codecs / sizeof *codecs;

sv_status sv_image_decode(sv_image *im, const void *bytes, size_t size, const char *name, sv_error *err) {
    if (!size) return sv_hint(err, sv_fail(err, SV_E_INPUT, name, "the file is empty"), "an interrupted download or copy leaves such files");
    for (size_t i = 0; i < n_codecs; i++)
        if (codecs[i].is(bytes, size)) return codecs[i].decode(im, bytes, size, name, err);
    return sv_hint(err, sv_fail(err, SV_E_INPUT, name, "not a PNG, JPEG or WebP image"), "convert it to one of these first");
}

sv_status sv_image_read(sv_image *im, const char *path, sv_error *err) {
    char *bytes = NULL;
    size_t size = 0;
    if (!sv_file_exists(path))
        return sv_hint(err, sv_fail(err, SV_E_INPUT, path, "there is no such image file"), "relative names start at the working directory");
    if (sv_is_dir(path)) return sv_fail(err, SV_E_INPUT, path, "this is a directory, not an image");
    SV_TRY(sv_file_read(path, 0, &bytes, &size, err));
    sv_status st = sv_image_decode(im, bytes, size, path, err);
    free(bytes);
    return st;
}

void sv_encode_options_init(sv_encode_options *o, sv_format format) {
    *o = (sv_encode_options){.format = format, .compression = 6};
    for (size_t i = 0; i < n_codecs; i++)
        if (codecs[i].format == format) o->quality = codecs[i].quality;
}

sv_status sv_format_of_name(const char *path, sv_format *format, sv_error *err) {
    const char *base = sv_path_base(path), *dot = strrchr(base, '.');
    size_t n = dot ? strlen(dot) : 0;
    for (size_t i = 0; n > 1 && i < n_codecs; i++)
        for (const char *p = codecs[i].extensions; p[1]; p = strchr(p + 1, '|'))
            if (!strncasecmp(p + 1, dot, n) && p[1 + n] == '|') {
                *format = codecs[i].format;
                return SV_OK;
            }
    return sv_hint(err, sv_fail(err, SV_E_USAGE, path, "no image format belongs to this file name"), "end the name in .png, .jpg or .webp");
}

sv_status sv_image_encode(const sv_image *im, const sv_encode_options *o, uint8_t **bytes, size_t *size, sv_error *err) {
    *bytes = NULL;
    *size = 0;
    if (o->quality < 1 || o->quality > 100) return sv_fail(err, SV_E_USAGE, "image quality", "%d is not in 1..100", o->quality);
    if (o->compression < 0 || o->compression > 9) return sv_fail(err, SV_E_USAGE, "PNG compression", "%d is not in 0..9", o->compression);
    if (!im->data) return sv_fail(err, SV_E_USAGE, "image", "there are no pixels to write");
    for (size_t i = 0; i < n_codecs; i++)
        if (codecs[i].format == o->format) return codecs[i].encode(im, o, bytes, size, err);
    return sv_fail(err, SV_E_INTERNAL, "image format", "%d does not exist", (int)o->format);
}

sv_status sv_image_write(const sv_image *im, const char *path, const sv_encode_options *o, sv_error *err) {
    sv_encode_options own;
    sv_format format;
    SV_TRY(sv_format_of_name(path, &format, err));
    if (!o) sv_encode_options_init(&own, format);
    else {
        own = *o;
        own.format = format;
    }
    uint8_t *bytes;
    size_t size;
    SV_TRY(sv_image_encode(im, &own, &bytes, &size, err));
    sv_status st = sv_file_write_atomic(path, bytes, size, err);
    free(bytes);
    return st;
}
