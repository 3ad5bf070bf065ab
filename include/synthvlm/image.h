/* image.h - 8-bit images: reading, writing, Pillow-equal conversion and resize, SSIM, contact sheets.
 *
 * "Equal" means every byte: resize is Pillow's fixed-point resampling, JPEG decoding is libjpeg-turbo's accurate integer DCT with smooth
 * chroma upsampling, SSIM is scikit-image's to 1e-9.
 */
#ifndef SYNTHVLM_IMAGE_H
#define SYNTHVLM_IMAGE_H

#include "synthvlm/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Pillow's modes. Mode 1 holds one byte a pixel, 0 or 255. P holds indices; `palette` is 256 x RGBA. */
typedef enum sv_mode { SV_MODE_1, SV_MODE_L, SV_MODE_LA, SV_MODE_P, SV_MODE_RGB, SV_MODE_RGBA, SV_MODE_CMYK } sv_mode;
const char *sv_mode_name(sv_mode mode);
int sv_mode_channels(sv_mode mode);

/* Row-major [height, width, channels], no padding. Zero-initialise; functions that fill one in free what it held (and reuse its memory
 * where they can); sv_image_free at the end.
 *
 * `keyed`: a PNG of mode 1, L or RGB that names one colour as transparent (tRNS). As in Pillow that matters only when alpha is asked for:
 * sv_image_convert to RGBA and sv_image_on_white. */
typedef struct sv_image {
    uint8_t *data;
    size_t capacity;             /* bytes that `data` can hold */
    int width, height;
    sv_mode mode;
    bool keyed;
    uint8_t key[3];              /* mode 1 and L: three times the same */
    uint8_t *palette;            /* mode P: 1024 bytes; else NULL */
} sv_image;
void sv_image_free(sv_image *im);
/* Makes room for width x height pixels (not cleared; a palette becomes opaque black). Sizes of 0 and above SV_IMAGE_MAX_PIXELS are SV_E_INPUT. */
sv_status sv_image_alloc(sv_image *im, int width, int height, sv_mode mode, sv_error *err);

/* Largest number of pixels that is decoded (Pillow's decompression-bomb limit): 178,956,970. */
#define SV_IMAGE_MAX_PIXELS 178956970

/* Reads PNG, JPEG or WebP, told apart by content, in the file's own mode as Pillow's open() gives it. EXIF orientation, colour profiles and
 * gamma are not applied; of an animation the first picture is read. 16-bit channels keep their high byte, but 16-bit grey becomes L by
 * cutting at 255, which is what Pillow's convert("L") does with it. A truncated, corrupt, empty or unknown file is SV_E_INPUT. `name` is for the error. */
sv_status sv_image_read(sv_image *im, const char *path, sv_error *err);
sv_status sv_image_decode(sv_image *im, const void *bytes, size_t size, const char *name, sv_error *err);

/* As `datasets` and Data-Juicer load it: sv_image_read, then turned upright by its EXIF (or XMP) orientation. */
sv_status sv_image_read_upright(sv_image *im, const char *path, sv_error *err);

typedef enum sv_format { SV_FORMAT_JPEG, SV_FORMAT_PNG, SV_FORMAT_WEBP } sv_format;
/* The format that a file name's ending asks for: .jpg .jpeg .jpe, .png, .webp in any letter case. Others are SV_E_USAGE. */
sv_status sv_format_of_name(const char *path, sv_format *format, sv_error *err);
/* Where a generated picture is from, for people and programs that come upon the file: written as XMP (IPTC's digital source type
 * trainedAlgorithmicMedia, prompt, model…) and, in PNG, also as the text "parameters". docs/DATASETS.md says which field holds what. Text is UTF-8;
 * what no file may hold becomes U+FFFD. The decoded pixels are the same with and without. */
typedef struct sv_provenance {
    const char *prompt;
    const char *negative;        /* NULL: none */
    const char *model;           /* its family, for people; NULL: not said. The next three likewise */
    const char *model_hash;      /* SHA-256, hex */
    const char *scheduler;       /* class name */
    const char *settings;        /* a JSON object with everything else that the picture follows from */
    uint64_t seed;
    int steps;
    double guidance;
} sv_provenance;
typedef struct sv_encode_options {
    sv_format format;
    int quality;                 /* 1..100: JPEG 95, WebP 90; 100 is lossless for WebP */
    bool chroma_444;             /* JPEG: no chroma subsampling. Default false (4:2:0) */
    int compression;             /* PNG: zlib level, 6 */
    const char *const *text;     /* pairs: key, value, key, value, NULL; or NULL. PNG: text chunks; JPEG: comments "key: value"; WebP: left out */
    const sv_provenance *provenance;   /* NULL: none is written */
} sv_encode_options;
void sv_encode_options_init(sv_encode_options *o, sv_format format);
/* Bytes (malloc, the caller frees). The same input, options and library version give the same bytes. PNG holds 1, L, LA, P, RGB and RGBA
 * exactly; JPEG 1, L, RGB and CMYK; WebP RGB and RGBA (others are turned into these). Another mode is SV_E_USAGE. */
sv_status sv_image_encode(const sv_image *im, const sv_encode_options *o, uint8_t **bytes, size_t *size, sv_error *err);
/* Encodes by the file name's extension and writes atomically. */
sv_status sv_image_write(const sv_image *im, const char *path, const sv_encode_options *o, sv_error *err);

/* Pillow's convert() to L, RGB (alpha dropped), RGBA. out may not be in. */
sv_status sv_image_convert(const sv_image *in, sv_mode mode, sv_image *out, sv_error *err);
/* Alpha composited on white, then RGB (transformers 5). Images without alpha: as sv_image_convert. */
sv_status sv_image_on_white(const sv_image *in, sv_image *out, sv_error *err);

typedef enum sv_filter { SV_FILTER_BICUBIC, SV_FILTER_BILINEAR, SV_FILTER_LANCZOS, SV_FILTER_BOX, SV_FILTER_NEAREST, SV_FILTER_HAMMING } sv_filter;
sv_status sv_filter_parse(const char *name, sv_filter *out, sv_error *err);
/* Pillow's resize. order: 13 (vertical pass first where that is less work, Pillow 13) or 11 (always horizontal first). */
sv_status sv_image_resize(const sv_image *in, int width, int height, sv_filter filter, int order, sv_image *out, sv_error *err);

/* SSIM of two images of equal size and mode (L or RGB; RGB: mean over channels), range 255, K1 0.01, K2 0.03. Formula: Wang et al. 2004.
 * The mean runs over the windows that lie inside the image, unless `reflect` is set. */
typedef struct sv_ssim_options {
    bool gaussian;               /* false: uniform window */
    int window;                  /* side of the uniform window, odd, 7; ignored for gaussian (sigma 1.5, 11 taps) */
    bool sample_covariance;      /* divide by n-1. Uniform true; gaussian false (Wang) */
    bool reflect;                /* mirror the image at its border without repeating the edge, mean over every pixel (torchmetrics) */
    bool float_taps;             /* gaussian taps rounded to float32 (pytorch-msssim) */
} sv_ssim_options;
void sv_ssim_options_init(sv_ssim_options *o, bool gaussian);
/* The settings of a library by name: "skimage" (its defaults), "wang" (skimage with gaussian weights and population covariance),
 * "torchmetrics" (1.4.2 and later), "pytorch-msssim". Unknown: SV_E_USAGE. */
sv_status sv_ssim_options_named(sv_ssim_options *o, const char *name, sv_error *err);
/* An image smaller than the window is SV_E_INPUT. */
sv_status sv_ssim(const sv_image *a, const sv_image *b, const sv_ssim_options *o, double *value, sv_error *err);

/* SynthVLM's SSIMScore: resize to base x base, to low x low, back (bilinear, own mode), both grey, default SSIM. Memory is taken from
 * `work`, which may be reused from call to call by one thread (zero-initialise, sv_ssim_work_free). */
typedef struct sv_ssim_work sv_ssim_work;
void sv_ssim_work_free(sv_ssim_work **w);
sv_status sv_ssim_score(const sv_image *im, int base, int low, int order, sv_ssim_work **work, double *value, sv_error *err);

/* Perceptual hashes of an image of any mode (taken as RGB): 64 bits each, row by row, the first one highest, equal to imagededup's. Few bits differ
 * where two images look alike. */
typedef struct sv_image_hashes { uint64_t phash, dhash, ahash; } sv_image_hashes;
sv_status sv_image_hash_all(const sv_image *im, sv_image_hashes *out, sv_error *err);

/* A contact sheet: cells of equal size in rows, each with up to `lines` lines of text under the picture (bundled bitmap font, ASCII; other
 * characters appear as boxes). */
typedef struct sv_sheet_cell {
    const sv_image *image;       /* NULL: an empty frame */
    const char *caption;         /* wrapped, cut with "…" */
    const char *note;            /* one line, e.g. the scores; may be NULL */
    bool chosen;                 /* framed */
} sv_sheet_cell;
typedef struct sv_sheet_options {
    int columns;                 /* 0: chosen for a landscape sheet */
    int cell;                    /* picture side in pixels, 160 */
    int lines;                   /* caption lines, 3 */
    const char *title;           /* NULL: none */
} sv_sheet_options;
void sv_sheet_options_init(sv_sheet_options *o);
sv_status sv_sheet(const sv_sheet_cell *cells, size_t n, const sv_sheet_options *o, sv_image *out, sv_error *err);

#ifdef __cplusplus
}
#endif
#endif
