/* painter_decode.c - latents to pixels: in one piece, or in overlapping tiles that are blended where they meet.
 *
 * Source of the tiling: diffusers, AutoencoderKL.tiled_decode. Tiles overlap by a quarter; the first quarter of each goes over linearly from the tile
 * above and then from the one to the left, as they are after their own blending.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/pipeline.h"

/* 255 * clamp(x / 2 + 1/2), half to even, of a part of a picture [3, h, w] to a place in an image. Returns whether every value was finite. */
static bool to_bytes(const float *picture, int64_t w, int64_t h, int64_t part_w, int64_t part_h, uint8_t *out, size_t stride) {
    bool finite = true;
    for (int64_t y = 0; y < part_h; y++)
        for (int64_t x = 0; x < part_w; x++)
            for (int64_t c = 0; c < 3; c++) {
                float v = picture[(c * h + y) * w + x];
                finite &= isfinite(v) != 0;
                v = v * 0.5f + 0.5f;
                v = v > 0 ? v < 1 ? v : 1 : 0;     /* not a number becomes 0 */
                out[(size_t)y * stride + (size_t)(x * 3 + c)] = (uint8_t)lrintf(v * 255.0f);
            }
    return finite;
}

/* Pictures are decoded one by one: the decoder needs the most memory of all, and gains nothing from a batch on a CPU. */
static sv_status bind_decoder(sv_painter *w, int64_t code_h, int64_t code_w, sv_error *err) {
    sv_pipeline *p = w->p;
    if (w->decode && w->code_h == code_h && w->code_w == code_w) return SV_OK;
    sv_call_close(&w->decode);
    SV_TRY(sv_pipeline_call(p, SV_PART_DECODER, &w->decode, err));
    w->code_h = code_h;
    w->code_w = code_w;
    sv_status st = sv_call_floats(w->decode, "latent_sample", (int64_t[]){1, p->sizes.channels, code_h, code_w}, 4, &w->code, err);
    if (st == SV_OK)
        st = sv_call_output(w->decode, "sample", (int64_t[]){1, 3, code_h * p->sizes.factor, code_w * p->sizes.factor}, 4, &w->picture, err);
    if (st != SV_OK) sv_call_close(&w->decode);
    return st;
}

/* From the denoiser's latents to the decoder's: [c, h, w], unscaled. */
static void unscale(const sv_painter *w, const float *x, float *code) {
    const sv_model_sizes *s = &w->p->sizes;
    size_t plane = (size_t)(w->h * w->w);
    if (w->p->family->packed)
        sv_unpack(x, s->channels, w->h, w->w, code);
    else if (code != x)
        memcpy(code, x, w->values * sizeof(float));
    for (int c = 0; c < s->channels; c++)
        for (size_t i = 0; i < plane; i++) {
            float *v = code + (size_t)c * plane + i;
            *v = s->has_spread ? *v * s->std[c] / s->scaling + s->mean[c] : *v / s->scaling + s->shift;
        }
}

/* ---- tiles ---- */

typedef struct tile {
    float *data;                 /* [3, h, w] */
    int64_t h, w;
} tile;

/* b's first rows go over from a's last ones, or its first columns. */
static void blend(const tile *a, tile *b, int64_t extent, bool down) {
    int64_t most = down ? (a->h < b->h ? a->h : b->h) : (a->w < b->w ? a->w : b->w), across = down ? b->w : b->h;
    if (extent > most) extent = most;
    for (int64_t c = 0; c < 3; c++)
        for (int64_t k = 0; k < extent; k++) {
            float to = (float)((double)k / (double)extent), from = (float)(1 - (double)k / (double)extent);
            for (int64_t i = 0; i < across; i++) {
                int64_t ay = down ? a->h - extent + k : i, ax = down ? i : a->w - extent + k, by = down ? k : i, bx = down ? i : k;
                float *v = &b->data[(c * b->h + by) * b->w + bx];
                *v = a->data[(c * a->h + ay) * a->w + ax] * from + *v * to;
            }
        }
}

/* Decodes the part of the latents at (y, x) into t, whose memory holds a full tile. */
static sv_status decode_tile(sv_painter *w, const float *code, int64_t y, int64_t x, int64_t side, tile *t, sv_error *err) {
    int64_t h = w->h - y < side ? w->h - y : side, wide = w->w - x < side ? w->w - x : side, factor = w->p->sizes.factor;
    SV_TRY(bind_decoder(w, h, wide, err));
    for (int64_t c = 0; c < w->p->sizes.channels; c++)
        for (int64_t r = 0; r < h; r++) memcpy(w->code + (c * h + r) * wide, code + (c * w->h + y + r) * w->w + x, (size_t)wide * sizeof(float));
    SV_TRY(sv_call_run(w->decode, err));
    t->h = h * factor;
    t->w = wide * factor;
    memcpy(t->data, w->picture, (size_t)(3 * t->h * t->w) * sizeof(float));
    return SV_OK;
}

/* tiles: two rows of them, the one in hand and the one above. */
static sv_status decode_rows(sv_painter *w, const float *code, tile *tiles, int64_t columns, int64_t side, sv_painted *out, sv_error *err) {
    int64_t step = side / 4 * 3, factor = w->p->sizes.factor, extent = side * factor / 4, limit = side * factor - extent;
    size_t stride = (size_t)w->o.width * 3;
    for (int64_t y = 0, i = 0; y < w->h; y += step, i++) {
        tile *row = tiles + i % 2 * columns, *above = tiles + (i + 1) % 2 * columns;
        for (int64_t x = 0, j = 0; x < w->w; x += step, j++) {
            SV_TRY(decode_tile(w, code, y, x, side, &row[j], err));
            if (i) blend(&above[j], &row[j], extent, true);
            if (j) blend(&row[j - 1], &row[j], extent, false);
            int64_t h = row[j].h < limit ? row[j].h : limit, wide = row[j].w < limit ? row[j].w : limit;
            uint8_t *place = out->image.data + (size_t)(y * factor) * stride + (size_t)(x * factor) * 3;
            out->finite &= to_bytes(row[j].data, row[j].w, row[j].h, wide, h, place, stride);
        }
    }
    return SV_OK;
}

static sv_status decode_tiled(sv_painter *w, const float *x, sv_painted *out, sv_error *err) {
    int64_t factor = w->p->sizes.factor, side = w->o.vae_tile / factor, step = side / 4 * 3, columns = (w->w + step - 1) / step;
    size_t values = (size_t)(3 * side * side * factor * factor);
    float *code = malloc(w->values * sizeof *code);
    tile *tiles = calloc((size_t)columns * 2, sizeof *tiles);
    sv_status st = code && tiles ? SV_OK : sv_fail_memory(err, "tiles", w->values * sizeof *code);
    for (int64_t i = 0; st == SV_OK && i < 2 * columns; i++)
        if (!(tiles[i].data = malloc(values * sizeof(float)))) st = sv_fail_memory(err, "tiles", values * sizeof(float));
    if (st == SV_OK) {
        unscale(w, x, code);
        st = decode_rows(w, code, tiles, columns, side, out, err);
    }
    for (int64_t i = 0; tiles && i < 2 * columns; i++) free(tiles[i].data);
    free(tiles);
    free(code);
    return st;
}

sv_status sv_painter_decode(sv_painter *w, const float *x, sv_painted *out, sv_error *err) {
    out->latents_sum = 0;
    for (size_t i = 0; i < w->values; i++) out->latents_sum += x[i];
    out->finite = isfinite(out->latents_sum);
    SV_TRY(sv_image_alloc(&out->image, w->o.width, w->o.height, SV_MODE_RGB, err));
    if (!out->finite) return SV_OK;
    if (w->o.vae_tile && (w->o.width > w->o.vae_tile || w->o.height > w->o.vae_tile)) return decode_tiled(w, x, out, err);
    SV_TRY(bind_decoder(w, w->h, w->w, err));
    unscale(w, x, w->code);
    SV_TRY(sv_call_run(w->decode, err));
    out->finite = to_bytes(w->picture, w->o.width, w->o.height, w->o.width, w->o.height, out->image.data, (size_t)w->o.width * 3);
    return SV_OK;
}
