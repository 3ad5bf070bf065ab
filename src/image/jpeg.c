/* jpeg.c - JPEG through libjpeg-turbo: accurate integer DCT, smooth chroma upsampling, which is what Pillow uses.
 *
 * libjpeg reports errors by longjmp. Everything that lives across the jump is in a struct of the caller.
 */
#include <stddef.h>
#include <stdio.h>
/* jpeglib.h needs the two above. */
#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "image/codec.h"
#include "image/provenance.h"

/* A progressive file may repeat scans without end at the price of a few bytes each; no encoder writes more than some dozens. */
#define MAX_SCANS 500

typedef struct trap {
    struct jpeg_error_mgr base; /* first, so that libjpeg's pointer is ours */
    jmp_buf back;
    const char *damaged;        /* what libjpeg would only have warned of */
    bool scans;
    char why[JMSG_LENGTH_MAX];
} trap;

static void on_error(j_common_ptr c) {
    trap *t = (trap *)c->err;
    t->base.format_message(c, t->why);
    longjmp(t->back, 1);
}

/* libjpeg goes on after damage and fills in grey. Its warnings mean lost pixels, but for a few about odd markers and extra bytes. */
static void on_message(j_common_ptr c, int level) {
    trap *t = (trap *)c->err;
    if (level >= 0) return;
    switch (t->base.msg_code) {
    case JWRN_JPEG_EOF: t->damaged = "the JPEG data ends early"; break;
    case JWRN_ADOBE_XFORM:
    case JWRN_BOGUS_ICC:
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_TOO_MUCH_DATA: break;
    default:
        if (!t->damaged) t->damaged = "broken JPEG: damaged picture data";
        break;
    }
}

static void on_output(j_common_ptr c) {}

static void on_progress(j_common_ptr c) {
    trap *t = (trap *)c->err;
    if (c->is_decompressor && ((j_decompress_ptr)c)->input_scan_number > MAX_SCANS) {
        t->scans = true;
        longjmp(t->back, 1);
    }
}

static void trap_set(trap *t) {
    jpeg_std_error(&t->base);
    t->base.error_exit = on_error;
    t->base.emit_message = on_message;
    t->base.output_message = on_output;
}

/* ---- reading ---- */

typedef struct reader {
    struct jpeg_decompress_struct c;
    struct jpeg_progress_mgr progress;
    trap trap;
} reader;

static sv_status damaged(const char *name, const char *why, sv_error *err) {
    sv_fail(err, SV_E_INPUT, name, "%s", why);
    return sv_hint(err, SV_E_INPUT, "the file is cut off or damaged; get it again");
}

static sv_status decode(reader *r, sv_image *im, const uint8_t *bytes, size_t size, const char *name, sv_error *err) {
    struct jpeg_decompress_struct *c = &r->c;
    trap_set(&r->trap);
    c->err = &r->trap.base;
    if (setjmp(r->trap.back)) {
        if (r->trap.scans) return sv_fail(err, SV_E_INPUT, name, "the JPEG has more than %d scans", MAX_SCANS);
        if (r->trap.damaged) return damaged(name, r->trap.damaged, err);
        char why[JMSG_LENGTH_MAX + 16];
        snprintf(why, sizeof why, "broken JPEG: %s", r->trap.why);
        return damaged(name, why, err);
    }
    jpeg_create_decompress(c);
    r->progress.progress_monitor = on_progress;
    c->progress = &r->progress;
    jpeg_mem_src(c, bytes, (unsigned long)size);
    jpeg_read_header(c, TRUE);
    SV_TRY(sv_image_check_size(c->image_width, c->image_height, name, err));
    if (r->trap.damaged) return damaged(name, r->trap.damaged, err);
    /* With Huffman codes every block of 64 pixels takes a bit at least. Found out now, before memory is taken for pixels that cannot come. */
    if (!c->arith_code && (size_t)c->image_width * c->image_height / 1024 > size) return damaged(name, "the JPEG data ends early", err);

    sv_mode mode;
    switch (c->num_components) {
    case 1: mode = SV_MODE_L, c->out_color_space = JCS_GRAYSCALE; break;
    case 3: mode = SV_MODE_RGB, c->out_color_space = JCS_RGB; break;
    case 4: mode = SV_MODE_CMYK, c->out_color_space = JCS_CMYK; break;
    default: return sv_fail(err, SV_E_INPUT, name, "a JPEG of %d components is neither grey, colour nor CMYK", c->num_components);
    }
    c->dct_method = JDCT_ISLOW;
    c->do_fancy_upsampling = TRUE;
    SV_TRY(sv_image_alloc(im, (int)c->image_width, (int)c->image_height, mode, err));
    jpeg_start_decompress(c);
    size_t row = sv_image_row(im);
    while (c->output_scanline < c->output_height) {
        JSAMPROW rows[4];
        JDIMENSION n = 0;
        for (; n < 4 && c->output_scanline + n < c->output_height; n++) rows[n] = im->data + (c->output_scanline + n) * row;
        jpeg_read_scanlines(c, rows, n);
    }
    jpeg_finish_decompress(c);
    if (r->trap.damaged) return damaged(name, r->trap.damaged, err);
    if (mode == SV_MODE_CMYK) /* Adobe's programs write inverted inks, and Pillow takes every file as theirs */
        for (size_t i = 0, n = sv_image_bytes(im); i < n; i++) im->data[i] = (uint8_t)(255 - im->data[i]);
    return SV_OK;
}

sv_status sv_jpeg_decode(sv_image *im, const uint8_t *bytes, size_t size, const char *name, sv_error *err) {
    reader r = {0};
    sv_status st = decode(&r, im, bytes, size, name, err);
    jpeg_destroy_decompress(&r.c);
    return st;
}

/* ---- writing ---- */

typedef struct writer {
    struct jpeg_compress_struct c;
    trap trap;
    unsigned char *out; /* malloc by libjpeg */
    unsigned long size;
    uint8_t *row;
    sv_buf comment;             /* of one marker */
} writer;

static sv_status encode(writer *w, const sv_image *im, const sv_encode_options *o, sv_error *err) {
    struct jpeg_compress_struct *c = &w->c;
    trap_set(&w->trap);
    c->err = &w->trap.base;
    if (setjmp(w->trap.back))
        return sv_fail(err, w->trap.base.msg_code == JERR_OUT_OF_MEMORY ? SV_E_MEMORY : SV_E_INPUT, "JPEG", "cannot write: %s", w->trap.why);
    jpeg_create_compress(c);
    jpeg_mem_dest(c, &w->out, &w->size);
    c->image_width = (JDIMENSION)im->width;
    c->image_height = (JDIMENSION)im->height;
    c->input_components = sv_mode_channels(im->mode);
    c->in_color_space = im->mode == SV_MODE_RGB ? JCS_RGB : im->mode == SV_MODE_CMYK ? JCS_CMYK : JCS_GRAYSCALE;
    jpeg_set_defaults(c); /* 4:2:0 for RGB; CMYK is not subsampled */
    jpeg_set_quality(c, o->quality, TRUE);
    c->dct_method = JDCT_ISLOW;
    if (im->mode == SV_MODE_RGB && o->chroma_444) c->comp_info[0].h_samp_factor = c->comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(c, TRUE);
    if (o->provenance) {
        static const char xmp[] = "http://ns.adobe.com/xap/1.0/";      /* says, with its NUL, that this APP1 segment holds XMP */
        sv_buf_add(&w->comment, xmp, sizeof xmp);
        sv_provenance_xmp(o->provenance, &w->comment);
        SV_TRY(sv_buf_ok(&w->comment, err));
        jpeg_write_marker(c, JPEG_APP0 + 1, (const JOCTET *)w->comment.data, (unsigned)w->comment.size);
    }
    for (const char *const *t = o->text; t && t[0]; t += 2) {
        sv_buf_clear(&w->comment);
        sv_buf_printf(&w->comment, "%s: %s", t[0], t[1]);
        SV_TRY(sv_buf_ok(&w->comment, err));
        if (w->comment.size > 65533) return sv_fail(err, SV_E_USAGE, "JPEG comment", "%zu bytes are more than the 65533 that fit", w->comment.size);
        jpeg_write_marker(c, JPEG_COM, (const JOCTET *)w->comment.data, (unsigned)w->comment.size);
    }
    size_t row = sv_image_row(im);
    if (!(w->row = malloc(row))) return sv_fail_memory(err, "JPEG", row);
    while (c->next_scanline < c->image_height) {
        const uint8_t *in = im->data + c->next_scanline * row;
        if (im->mode == SV_MODE_CMYK)
            for (size_t i = 0; i < row; i++) w->row[i] = (uint8_t)(255 - in[i]);
        else memcpy(w->row, in, row);
        JSAMPROW line = w->row;
        jpeg_write_scanlines(c, &line, 1);
    }
    jpeg_finish_compress(c);
    return SV_OK;
}

sv_status sv_jpeg_encode(const sv_image *im, const sv_encode_options *o, uint8_t **bytes, size_t *size, sv_error *err) {
    if (im->mode != SV_MODE_1 && im->mode != SV_MODE_L && im->mode != SV_MODE_RGB && im->mode != SV_MODE_CMYK)
        return sv_hint(err, sv_fail(err, SV_E_USAGE, "JPEG", "mode %s cannot be written as JPEG", sv_mode_name(im->mode)),
                       "convert it to RGB first, or write PNG");
    if (im->width > JPEG_MAX_DIMENSION || im->height > JPEG_MAX_DIMENSION)
        return sv_hint(err,
                       sv_fail(err, SV_E_INPUT, "JPEG", "%d x %d is more than the %ld pixels a side that JPEG can hold", im->width, im->height,
                               (long)JPEG_MAX_DIMENSION),
                       "write PNG");
    writer w = {0};
    sv_status st = encode(&w, im, o, err);
    jpeg_destroy_compress(&w.c);
    free(w.row);
    sv_buf_free(&w.comment);
    if (st == SV_OK) {
        *bytes = w.out;
        *size = w.size;
    } else {
        free(w.out);
    }
    return st;
}
