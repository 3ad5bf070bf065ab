/* family_sdxl.c - Stable Diffusion XL, its turbo relatives and its refiner: penultimate states of one or two CLIP encoders side by side, the
 * second's pooled text, and six (refiner: five) numbers on size, crop and beauty.
 *
 * Source: diffusers, StableDiffusionXLPipeline and StableDiffusionXLImg2ImgPipeline; Podell et al. 2023, arXiv 2307.01952.
 */
#include <stdlib.h>
#include <string.h>

#include "diffusion/pipeline.h"

static bool index_flag(const sv_model_dir *m, const char *key, bool fallback) {
    yyjson_val *v = yyjson_obj_get(yyjson_doc_get_root(m->index), key);
    return yyjson_is_bool(v) ? yyjson_get_bool(v) : fallback;
}

static const char *name(const sv_model_dir *m) {
    (void)m;
    return "Stable Diffusion XL";
}

static const char *refiner_name(const sv_model_dir *m) {
    (void)m;
    return "Stable Diffusion XL refiner";
}

/* Rows of a and b side by side; a may be empty. */
static sv_status join(const sv_encoded *a, const sv_encoded *b, sv_condition *out, sv_error *err) {
    out->rows = b->rows;
    out->width = a->width + b->width;
    size_t n = (size_t)(out->rows * out->width);
    out->hidden = malloc(n * sizeof(float));
    if (!out->hidden) return sv_fail_memory(err, "encoded text", n * sizeof(float));
    for (int64_t r = 0; r < out->rows; r++) {
        float *row = out->hidden + r * out->width;
        if (a->width) memcpy(row, a->hidden + r * a->width, (size_t)a->width * sizeof(float));
        memcpy(row + a->width, b->hidden + r * b->width, (size_t)b->width * sizeof(float));
    }
    return SV_OK;
}

static sv_status encode_one(sv_pipeline *p, int i, const char *text, const sv_text_options *o, const char *pooled, sv_encoded *out, sv_error *err) {
    char hidden[32];
    SV_TRY(sv_hidden_state_name(p, i, o->clip_skip + 1, hidden, sizeof hidden, err));
    return sv_encode_clip(p, i, text, o->windows, hidden, pooled, out, err);
}

static sv_status encode(sv_pipeline *p, const char *text, const sv_text_options *o, sv_condition *out, sv_error *err) {
    sv_encoded first = {0}, second = {0};
    bool zero = !text && index_flag(&p->dir, "force_zeros_for_empty_prompt", true);
    sv_status st = SV_OK;
    if (!text) text = "";
    if (sv_model_dir_needs(&p->dir, SV_PART_TEXT_ENCODER)) st = encode_one(p, 0, text, o, NULL, &first, err);
    if (st == SV_OK) st = encode_one(p, 1, text, o, "text_embeds", &second, err);
    if (st == SV_OK && first.width && first.rows != second.rows)
        st = sv_fail(err, SV_E_MODEL, p->dir.path, "the text encoders take rows of %lld and %lld ids", (long long)first.rows, (long long)second.rows);
    if (st == SV_OK) st = join(&first, &second, out, err);
    if (st == SV_OK) {
        out->tokens = second.tokens;
        out->cut = second.cut;
        out->pooled_width = second.pooled_width;
        out->pooled = second.pooled;
        second.pooled = NULL;
        if (zero) {
            memset(out->hidden, 0, (size_t)(out->rows * out->width) * sizeof(float));
            memset(out->pooled, 0, (size_t)out->pooled_width * sizeof(float));
        }
    }
    sv_encoded_free(&first);
    sv_encoded_free(&second);
    return st;
}

static sv_status bind(sv_painter *w, sv_denoiser *d, sv_error *err) {
    w->time_id_count = index_flag(&w->p->dir, "requires_aesthetics_score", false) ? 5 : 6;
    return sv_call_floats(d->call, "time_ids", (int64_t[]){(int64_t)d->rows, w->time_id_count}, 2, &d->time_ids, err);
}

/* Original size, crop, and target size or aesthetic score: as if every picture had been made at the size that is asked for. */
static void fill(sv_painter *w, sv_denoiser *d, size_t first, size_t rows, bool negative) {
    float height = (float)w->o.height, width = (float)w->o.width;
    float score = (float)(negative ? w->o.negative_aesthetic_score : w->o.aesthetic_score);
    for (size_t r = first; r < first + rows; r++) {
        float *t = d->time_ids + (int64_t)r * w->time_id_count;
        t[0] = height;
        t[1] = width;
        t[2] = t[3] = 0;
        t[4] = w->time_id_count == 5 ? score : height;
        if (w->time_id_count == 6) t[5] = width;
    }
}

#define COMMON                                                                                                                    \
    .parts = SV_BIT(SV_PART_TEXT_ENCODER) | SV_BIT(SV_PART_TEXT_ENCODER_2) | SV_BIT(SV_PART_DENOISER) | SV_BIT(SV_PART_DECODER),   \
    .tokenizers = SV_BIT(0) | SV_BIT(1), .windows = true, .denoiser = "unet", .sample = "sample", .output = "out_sample", .pooled = "text_embeds",  \
    .spread = true, .steps = 50, .guidance = 5.0, .strength = 0.3, .encode = encode, .bind = bind, .fill = fill

const sv_family sv_family_sdxl = {
    .class_name = "StableDiffusionXLPipeline",
    .help = "Stable Diffusion XL and SDXL turbo",
    .name = name,
    COMMON,
};

const sv_family sv_family_sdxl_refiner = {
    .class_name = "StableDiffusionXLImg2ImgPipeline",
    .help = "Stable Diffusion XL refiner: goes on from a base model's latents or from a picture",
    .needs_source = true,
    .name = refiner_name,
    COMMON,
};
