/* png.c - PNG through libpng, with the modes that Pillow's open() gives.
 *
 * libpng reports errors by longjmp. Everything that lives across the jump is therefore in a struct of the caller, and no function that
 * calls setjmp has locals that change after it.
 */
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "image/codec.h"
#include "image/provenance.h"

/* ---- reading ---- */

/* Chunks that say nothing about pixels are passed over: libpng would take the memory that a lying length names, and inflate what is packed. */
static const png_byte passed_over[] = "eXIf\0hIST\0iCCP\0iTXt\0pCAL\0sCAL\0sPLT\0tEXt\0zTXt";   /* 5 bytes each, as libpng wants them */

typedef struct reader {
    const uint8_t *bytes;
    size_t size, at;
    png_structp png;
    png_infop info;
    png_bytep *rows;
    uint8_t *wide;       /* 16-bit grey as the file has it, when that is the file's form */
    bool truncated;
    char why[160];
} reader;

static void on_read(png_structp png, png_bytep out, size_t n) {
    reader *r = png_get_io_ptr(png);
    if (n > r->size - r->at) {
        r->truncated = true;
        png_error(png, "the data ends early");
    }
    memcpy(out, r->bytes + r->at, n);
    r->at += n;
}

static void on_read_error(png_structp png, png_const_charp why) {
    reader *r = png_get_error_ptr(png);
    snprintf(r->why, sizeof r->why, "%s", why);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp why) {}

/* Which of Pillow's modes the file's colour type and depth become, and the transformations that lead there. False: not a PNG combination. */
static bool choose_mode(reader *r, int depth, int type, sv_mode *mode) {
    switch (type) {
    case PNG_COLOR_TYPE_GRAY:
        *mode = depth == 1 ? SV_MODE_1 : SV_MODE_L;
        if (depth == 1) png_set_packing(r->png);
        else if (depth < 8) png_set_expand_gray_1_2_4_to_8(r->png);
        return true;
    case PNG_COLOR_TYPE_PALETTE:
        *mode = SV_MODE_P;
        if (depth < 8) png_set_packing(r->png);
        return true;
    case PNG_COLOR_TYPE_GRAY_ALPHA:
        *mode = depth == 16 ? SV_MODE_RGBA : SV_MODE_LA;
        if (depth == 16) {
            png_set_strip_16(r->png);
            png_set_gray_to_rgb(r->png);
        }
        return true;
    case PNG_COLOR_TYPE_RGB:
    case PNG_COLOR_TYPE_RGB_ALPHA:
        *mode = type == PNG_COLOR_TYPE_RGB ? SV_MODE_RGB : SV_MODE_RGBA;
        if (depth == 16) png_set_strip_16(r->png);
        return true;
    default: return false;
    }
}

/* Palette with its transparency, or the one transparent colour. */
static void read_colours(reader *r, sv_image *im) {
    png_colorp plte = NULL;
    png_bytep alpha = NULL;
    png_color_16p key = NULL;
    int n = 0;
    if (im->mode == SV_MODE_P && png_get_PLTE(r->png, r->info, &plte, &n))
        for (int i = 0; i < n && i < 256; i++) memcpy(im->palette + 4 * i, (uint8_t[4]){plte[i].red, plte[i].green, plte[i].blue, 255}, 4);
    n = 0;
    if (!png_get_valid(r->png, r->info, PNG_INFO_tRNS) || !png_get_tRNS(r->png, r->info, &alpha, &n, &key)) return;
    if (im->mode == SV_MODE_P) {
        for (int i = 0; alpha && i < n && i < 256; i++) im->palette[4 * i + 3] = alpha[i];
    } else if (key) {
        /* Pillow compares the low byte of the stored sample with the 8-bit pixel, whatever the depth; mode 1 with 0 or 255. */
        im->keyed = true;
        if (im->mode == SV_MODE_RGB) memcpy(im->key, (uint8_t[3]){(uint8_t)key->red, (uint8_t)key->green, (uint8_t)key->blue}, 3);
        else memset(im->key, im->mode == SV_MODE_1 ? (key->gray ? 255 : 0) : (uint8_t)key->gray, 3);
    }
}

static sv_status decode(reader *r, sv_image *im, const char *name, sv_error *err) {
    r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, on_read_error, on_warning);
    r->info = r->png ? png_create_info_struct(r->png) : NULL;
    if (!r->info) return sv_fail_memory(err, name, 0);
    if (setjmp(png_jmpbuf(r->png))) {
        sv_fail(err, SV_E_INPUT, name, r->truncated ? "the PNG data ends early" : "broken PNG: %s", r->why);
        return sv_hint(err, SV_E_INPUT, "the file is cut off or damaged; get it again");
    }
    png_set_read_fn(r->png, r, on_read);
    png_set_user_limits(r->png, SV_IMAGE_MAX_PIXELS, SV_IMAGE_MAX_PIXELS); /* the product is checked below, with a better message */
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, passed_over, sizeof passed_over / 5);
    png_read_info(r->png, r->info);

    png_uint_32 width, height;
    int depth, type;
    png_get_IHDR(r->png, r->info, &width, &height, &depth, &type, NULL, NULL, NULL);
    SV_TRY(sv_image_check_size(width, height, name, err));
    /* Deflate shrinks to 1/1032 at best. Found out now, before memory is taken for pixels that cannot come. */
    if (png_get_rowbytes(r->png, r->info) / 1040 * height > r->size) {
        sv_fail(err, SV_E_INPUT, name, "the PNG data ends early: %zu bytes cannot hold %u x %u pixels", r->size, width, height);
        return sv_hint(err, SV_E_INPUT, "the file is cut off or damaged; get it again");
    }
    sv_mode mode;
    if (!choose_mode(r, depth, type, &mode)) return sv_fail(err, SV_E_INPUT, name, "broken PNG: colour type %d does not exist", type);
    SV_TRY(sv_image_alloc(im, (int)width, (int)height, mode, err));
    read_colours(r, im);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);

    size_t row = png_get_rowbytes(r->png, r->info);
    bool wide = type == PNG_COLOR_TYPE_GRAY && depth == 16;
    if (row != sv_image_row(im) * (wide ? 2 : 1))
        return sv_fail(err, SV_E_INTERNAL, name, "PNG rows of %zu bytes are not what mode %s needs", row, sv_mode_name(mode));
    if (wide && !(r->wide = malloc(row * height))) return sv_fail_memory(err, name, row * height);
    if (!(r->rows = malloc(height * sizeof *r->rows))) return sv_fail_memory(err, name, height * sizeof *r->rows);
    for (size_t y = 0; y < height; y++) r->rows[y] = (wide ? r->wide : im->data) + y * row;
    png_read_image(r->png, r->rows);
    png_read_end(r->png, NULL);

    size_t n = sv_image_bytes(im);
    if (wide)
        for (size_t i = 0; i < n; i++) im->data[i] = r->wide[2 * i] ? 255 : r->wide[2 * i + 1];
    if (mode == SV_MODE_1)
        for (size_t i = 0; i < n; i++) im->data[i] = im->data[i] ? 255 : 0;
    return SV_OK;
}

sv_status sv_png_decode(sv_image *im, const uint8_t *bytes, size_t size, const char *name, sv_error *err) {
    reader r = {.bytes = bytes, .size = size};
    sv_status st = decode(&r, im, name, err);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    free(r.rows);
    free(r.wide);
    return st;
}

/* ---- writing ---- */

typedef struct writer {
    sv_buf out;
    png_structp png;
    png_infop info;
    png_text *text;
    sv_buf parameters, xmp;      /* of the provenance */
    char why[160];
} writer;

static void on_write(png_structp png, png_bytep data, size_t n) {
    writer *w = png_get_io_ptr(png);
    sv_buf_add(&w->out, data, n);
    if (w->out.failed) png_error(png, "out of memory");
}

static void on_flush(png_structp png) {}

static void on_write_error(png_structp png, png_const_charp why) {
    writer *w = png_get_error_ptr(png);
    snprintf(w->why, sizeof w->why, "%s", why);
    png_longjmp(png, 1);
}

static bool is_ascii(const char *s) {
    for (; *s; s++)
        if ((unsigned char)*s >= 128) return false;
    return true;
}

static png_text text_chunk(const char *key, const char *value, bool international) {
    png_text t = {.key = (char *)key, .text = (char *)value, .compression = international ? PNG_ITXT_COMPRESSION_NONE : PNG_TEXT_COMPRESSION_NONE};
    if (international) t.itxt_length = strlen(value);
    else t.text_length = strlen(value);
    return t;
}

/* Text chunks: plain ones for ASCII, else the international form, which is UTF-8. XMP's is always international. */
static sv_status set_text(writer *w, const sv_image *im, const sv_encode_options *o, sv_error *err) {
    int n = 0, pairs = 0;
    while (o->text && o->text[2 * pairs]) pairs++;
    if (!pairs && !o->provenance) return SV_OK;
    if (!(w->text = calloc((size_t)pairs + 2, sizeof *w->text))) return sv_fail_memory(err, "PNG text", 0);
    if (o->provenance) {
        sv_provenance_parameters(o->provenance, im->width, im->height, &w->parameters);
        sv_provenance_xmp(o->provenance, &w->xmp);
        SV_TRY(sv_buf_ok(&w->parameters, err));
        SV_TRY(sv_buf_ok(&w->xmp, err));
        w->text[n++] = text_chunk("parameters", w->parameters.data, true);
        w->text[n++] = text_chunk("XML:com.adobe.xmp", w->xmp.data, true);
    }
    for (int i = 0; i < pairs; i++) w->text[n++] = text_chunk(o->text[2 * i], o->text[2 * i + 1], !is_ascii(o->text[2 * i + 1]));
    png_set_text(w->png, w->info, w->text, n);
    return SV_OK;
}

static int highest_index(const sv_image *im) {
    int top = 0;
    for (size_t i = 0, n = sv_image_bytes(im); i < n; i++)
        if (im->data[i] > top) top = im->data[i];
    return top;
}

/* The palette up to the highest index in use. */
static void set_palette(writer *w, const sv_image *im, int top) {
    png_color colours[256] = {{0}};
    png_byte alpha[256];
    int translucent = 0;
    for (int i = 0; i <= top; i++) {
        const uint8_t *p = im->palette + 4 * i;
        colours[i] = (png_color){p[0], p[1], p[2]};
        alpha[i] = p[3];
        if (p[3] != 255) translucent = i + 1;
    }
    png_set_PLTE(w->png, w->info, colours, top + 1);
    if (translucent) png_set_tRNS(w->png, w->info, alpha, translucent, NULL);
}

static sv_status encode(writer *w, const sv_image *im, const sv_encode_options *o, int type, int depth, int top, sv_error *err) {
    w->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, w, on_write_error, on_warning);
    w->info = w->png ? png_create_info_struct(w->png) : NULL;
    if (!w->info) return sv_fail_memory(err, "PNG", 0);
    if (setjmp(png_jmpbuf(w->png)))
        return w->out.failed ? sv_fail_memory(err, "PNG", 0) : sv_fail(err, SV_E_INPUT, "PNG", "cannot write: %s", w->why);
    png_set_write_fn(w->png, w, on_write, on_flush);
    png_set_user_limits(w->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_compression_level(w->png, o->compression);
    png_set_IHDR(w->png, w->info, (png_uint_32)im->width, (png_uint_32)im->height, depth, type, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (im->mode == SV_MODE_P) set_palette(w, im, top);
    if (im->keyed) {
        png_color_16 key = {.red = im->key[0], .green = im->key[1], .blue = im->key[2], .gray = im->mode == SV_MODE_1 ? im->key[0] != 0 : im->key[0]};
        png_set_tRNS(w->png, w->info, NULL, 0, &key);
    }
    SV_TRY(set_text(w, im, o, err));
    png_write_info(w->png, w->info);
    if (depth < 8) png_set_packing(w->png);
    size_t row = sv_image_row(im);
    for (int y = 0; y < im->height; y++) png_write_row(w->png, im->data + (size_t)y * row);
    png_write_end(w->png, w->info);
    return SV_OK;
}

sv_status sv_png_encode(const sv_image *im, const sv_encode_options *o, uint8_t **bytes, size_t *size, sv_error *err) {
    int type, depth = 8, top = 0;
    switch (im->mode) {
    case SV_MODE_1: type = PNG_COLOR_TYPE_GRAY, depth = 1; break;
    case SV_MODE_L: type = PNG_COLOR_TYPE_GRAY; break;
    case SV_MODE_LA: type = PNG_COLOR_TYPE_GRAY_ALPHA; break;
    case SV_MODE_P:
        type = PNG_COLOR_TYPE_PALETTE;
        top = highest_index(im);
        depth = top < 2 ? 1 : top < 4 ? 2 : top < 16 ? 4 : 8;
        break;
    case SV_MODE_RGB: type = PNG_COLOR_TYPE_RGB; break;
    case SV_MODE_RGBA: type = PNG_COLOR_TYPE_RGB_ALPHA; break;
    default:
        return sv_hint(err, sv_fail(err, SV_E_USAGE, "PNG", "mode %s cannot be written as PNG", sv_mode_name(im->mode)), "convert it to RGB first");
    }
    writer w = {0};
    sv_status st = encode(&w, im, o, type, depth, top, err);
    png_destroy_write_struct(&w.png, &w.info);
    free(w.text);
    sv_buf_free(&w.parameters);
    sv_buf_free(&w.xmp);
    if (st == SV_OK) {
        *bytes = (uint8_t *)w.out.data;
        *size = w.out.size;
    } else {
        sv_buf_free(&w.out);
    }
    return st;
}
