/* webp.c - WebP through libwebp. Pillow gives RGB, or RGBA where the file says that it has alpha. */
#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>
#include <webp/encode.h>

#include "image/codec.h"
#include "image/provenance.h"

/* ---- reading ---- */

/* The first picture of an animation, on the animation's canvas. */
static sv_status decode_animation(sv_image *im, const WebPData *data, const char *name, sv_error *err) {
    WebPAnimDecoderOptions options;
    if (!WebPAnimDecoderOptionsInit(&options))
        return sv_fail(err, SV_E_LIBRARY, "libwebp", "its version does not fit the one this program was built with");
    options.color_mode = MODE_RGBA;
    WebPAnimDecoder *decoder = WebPAnimDecoderNew(data, &options);
    uint8_t *canvas = NULL;
    int when;
    sv_status st = SV_OK;
    if (!decoder || !WebPAnimDecoderGetNext(decoder, &canvas, &when))
        st = sv_fail(err, SV_E_INPUT, name, "broken WebP animation: its first picture cannot be decoded");
    else memcpy(im->data, canvas, sv_image_bytes(im));
    WebPAnimDecoderDelete(decoder);
    return st;
}

sv_status sv_webp_decode(sv_image *im, const uint8_t *bytes, size_t size, const char *name, sv_error *err) {
    WebPBitstreamFeatures f;
    VP8StatusCode code = WebPGetFeatures(bytes, size, &f);
    if (code == VP8_STATUS_OK) {
        SV_TRY(sv_image_check_size(f.width, f.height, name, err));
        SV_TRY(sv_image_alloc(im, f.width, f.height, f.has_alpha || f.has_animation ? SV_MODE_RGBA : SV_MODE_RGB, err));
        if (f.has_animation) {
            SV_TRY(decode_animation(im, &(WebPData){bytes, size}, name, err));
            if (f.has_alpha) return SV_OK;
            for (size_t i = 0, n = (size_t)f.width * (size_t)f.height; i < n; i++) memmove(im->data + 3 * i, im->data + 4 * i, 3);
            im->mode = SV_MODE_RGB;
            return SV_OK;
        }
        size_t row = sv_image_row(im), all = sv_image_bytes(im);
        uint8_t *done =
            f.has_alpha ? WebPDecodeRGBAInto(bytes, size, im->data, all, (int)row) : WebPDecodeRGBInto(bytes, size, im->data, all, (int)row);
        if (done) return SV_OK;
        code = VP8_STATUS_BITSTREAM_ERROR;
    }
    sv_fail(err, SV_E_INPUT, name, code == VP8_STATUS_NOT_ENOUGH_DATA ? "the WebP data ends early" : "broken WebP: its data cannot be decoded");
    return sv_hint(err, SV_E_INPUT, "the file is cut off or damaged; get it again");
}

/* ---- writing ---- */

/* A chunk of a RIFF file: name, size, bytes, and one more where that makes its length even. */
static void add_chunk(sv_buf *out, const char *name, const void *data, size_t size) {
    uint8_t length[4] = {(uint8_t)size, (uint8_t)(size >> 8), (uint8_t)(size >> 16), (uint8_t)(size >> 24)};
    sv_buf_add(out, name, 4);
    sv_buf_add(out, length, 4);
    sv_buf_add(out, data, size);
    if (size % 2) sv_buf_putc(out, 0);
}

/* The file with XMP at its end. That takes the extended form, whose first chunk says what there is: WebP Container Specification, "VP8X". */
static sv_status add_xmp(const uint8_t *file, size_t size, const sv_image *im, const sv_provenance *p, sv_buf *out, sv_error *err) {
    enum { HEADER = 12, XMP = 0x04, ALPHA = 0x10 };
    unsigned w = (unsigned)im->width - 1, h = (unsigned)im->height - 1;
    WebPBitstreamFeatures f;
    bool alpha = WebPGetFeatures(file, size, &f) == VP8_STATUS_OK && f.has_alpha;
    uint8_t about[10] = {XMP | (alpha ? ALPHA : 0), 0, 0, 0, (uint8_t)w, (uint8_t)(w >> 8), (uint8_t)(w >> 16), (uint8_t)h, (uint8_t)(h >> 8), (uint8_t)(h >> 16)};
    bool extended = memcmp(file + HEADER, "VP8X", 4) == 0;
    size_t begin = HEADER + (extended ? 8 + sizeof about : 0);
    sv_buf xmp = {0};
    sv_provenance_xmp(p, &xmp);
    sv_buf_add(out, file, HEADER);
    add_chunk(out, "VP8X", about, sizeof about);
    sv_buf_add(out, file + begin, size - begin);
    if (!xmp.failed) add_chunk(out, "XMP ", xmp.data, xmp.size);
    out->failed |= xmp.failed;
    sv_buf_free(&xmp);
    SV_TRY(sv_buf_ok(out, err));
    size_t all = out->size - 8;
    memcpy(out->data + 4, (uint8_t[4]){(uint8_t)all, (uint8_t)(all >> 8), (uint8_t)(all >> 16), (uint8_t)(all >> 24)}, 4);
    return SV_OK;
}

sv_status sv_webp_encode(const sv_image *im, const sv_encode_options *o, uint8_t **bytes, size_t *size, sv_error *err) {
    if (im->width > WEBP_MAX_DIMENSION || im->height > WEBP_MAX_DIMENSION)
        return sv_hint(err,
                       sv_fail(err, SV_E_INPUT, "WebP", "%d x %d is more than the %d pixels a side that WebP can hold", im->width, im->height,
                               WEBP_MAX_DIMENSION),
                       "write PNG");
    bool translucent = im->mode == SV_MODE_RGBA || im->mode == SV_MODE_LA || im->keyed;
    for (int i = 0; im->mode == SV_MODE_P && i < 256; i++) translucent |= im->palette[4 * i + 3] != 255;
    sv_image own = {0};
    const sv_image *in = im;
    WebPConfig config;
    WebPPicture picture;
    if (!WebPConfigInit(&config) || !WebPPictureInit(&picture))
        return sv_fail(err, SV_E_LIBRARY, "libwebp", "its version does not fit the one this program was built with");
    WebPMemoryWriter out;
    WebPMemoryWriterInit(&out);

    sv_status st = SV_OK;
    sv_mode mode = translucent ? SV_MODE_RGBA : SV_MODE_RGB;
    if (im->mode != mode) {
        SV_TRY_GOTO(end, sv_image_convert(im, mode, &own, err));
        in = &own;
    }
    config.lossless = o->quality == 100;
    config.exact = o->quality == 100; /* colours under full transparency stay */
    config.quality = (float)o->quality;
    config.method = 4;
    picture.use_argb = config.lossless;
    picture.width = in->width;
    picture.height = in->height;
    picture.writer = WebPMemoryWrite;
    picture.custom_ptr = &out;
    int row = (int)sv_image_row(in);
    if (!(mode == SV_MODE_RGBA ? WebPPictureImportRGBA(&picture, in->data, row) : WebPPictureImportRGB(&picture, in->data, row))) {
        st = sv_fail_memory(err, "WebP", 0);
        goto end;
    }
    if (!WebPEncode(&config, &picture)) {
        if (picture.error_code == VP8_ENC_ERROR_OUT_OF_MEMORY || picture.error_code == VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY)
            st = sv_fail_memory(err, "WebP", 0);
        else st = sv_fail(err, SV_E_INPUT, "WebP", "cannot write: libwebp's error %d", (int)picture.error_code);
        goto end;
    }
    if (o->provenance) {
        sv_buf with = {0};
        st = add_xmp(out.mem, out.size, in, o->provenance, &with, err);
        if (st == SV_OK) *bytes = (uint8_t *)with.data, *size = with.size;
        else sv_buf_free(&with);
        goto end;
    }
    /* The writer's memory belongs to libwebp's allocator, which need not be ours. */
    if (!(*bytes = malloc(out.size))) {
        st = sv_fail_memory(err, "WebP", out.size);
        goto end;
    }
    memcpy(*bytes, out.mem, out.size);
    *size = out.size;
end:
    WebPPictureFree(&picture);
    WebPMemoryWriterClear(&out);
    sv_image_free(&own);
    return st;
}
