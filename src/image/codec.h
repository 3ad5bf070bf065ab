/* codec.h - inside src/image: one decoder and one encoder per file format, and small helpers on images. */
#ifndef SV_IMAGE_CODEC_H
#define SV_IMAGE_CODEC_H

#include "base/error.h"
#include "synthvlm/image.h"

/* Decodes `size` bytes that begin with the format's signature. `name` is for the error. */
typedef sv_status (*sv_decode_fn)(sv_image *im, const uint8_t *bytes, size_t size, const char *name, sv_error *err);
/* Encodes into *bytes (malloc). Options are checked already. */
typedef sv_status (*sv_encode_fn)(const sv_image *im, const sv_encode_options *o, uint8_t **bytes, size_t *size, sv_error *err);

sv_status sv_png_decode(sv_image *im, const uint8_t *bytes, size_t size, const char *name, sv_error *err);
sv_status sv_png_encode(const sv_image *im, const sv_encode_options *o, uint8_t **bytes, size_t *size, sv_error *err);
sv_status sv_jpeg_decode(sv_image *im, const uint8_t *bytes, size_t size, const char *name, sv_error *err);
sv_status sv_jpeg_encode(const sv_image *im, const sv_encode_options *o, uint8_t **bytes, size_t *size, sv_error *err);
sv_status sv_webp_decode(sv_image *im, const uint8_t *bytes, size_t size, const char *name, sv_error *err);
sv_status sv_webp_encode(const sv_image *im, const sv_encode_options *o, uint8_t **bytes, size_t *size, sv_error *err);

/* SV_E_INPUT for sizes without pixels and above SV_IMAGE_MAX_PIXELS. */
sv_status sv_image_check_size(int64_t width, int64_t height, const char *name, sv_error *err);
/* Palette (both of mode P) and transparent colour. */
void sv_image_copy_colours(const sv_image *in, sv_image *out);
sv_status sv_image_copy(const sv_image *in, sv_image *out, sv_error *err);

static inline size_t sv_image_row(const sv_image *im) { return (size_t)im->width * (size_t)sv_mode_channels(im->mode); }
static inline size_t sv_image_bytes(const sv_image *im) { return sv_image_row(im) * (size_t)im->height; }

#endif
