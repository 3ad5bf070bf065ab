/* family_sd3.c - Stable Diffusion 3: penultimate states of two CLIP encoders side by side, T5's states below them, both pooled texts.
 *
 * Source: diffusers, StableDiffusion3Pipeline; Esser et al. 2024, arXiv 2403.03206. Without T5 its rows are zeros.
 */
#include <stdlib.h>
#include <string.h>

#include "diffusion/pipeline.h"

#define DEFAULT_T5_LENGTH 256

static const char *name(const sv_model_dir *m) {
    return m->parts[SV_PART_TEXT_ENCODER_3].off ? "Stable Diffusion 3 (without T5)" : "Stable Diffusion 3";
}

/* CLIP rows a | b | zeros up to the width, then T5's rows. t5 without states stands for zeros. */
static sv_status join(const sv_encoded *a, const sv_encoded *b, const sv_encoded *t5, const char *model, sv_condition *out, sv_error *err) {
    if (a->rows != b->rows || a->width + b->width > t5->width)
        return sv_fail(err, SV_E_MODEL, model, "the text encoders do not fit together: %lld and %lld wide beside %lld", (long long)a->width, (long long)b->width,
                       (long long)t5->width);
    out->rows = a->rows + t5->rows;
    out->width = t5->width;
    out->hidden = calloc((size_t)(out->rows * out->width), sizeof(float));
    out->pooled_width = a->pooled_width + b->pooled_width;
    out->pooled = malloc((size_t)out->pooled_width * sizeof(float));
    if (!out->hidden || !out->pooled) return sv_fail_memory(err, "encoded text", (size_t)(out->rows * out->width) * sizeof(float));
    for (int64_t r = 0; r < a->rows; r++) {
        memcpy(out->hidden + r * out->width, a->hidden + r * a->width, (size_t)a->width * sizeof(float));
        memcpy(out->hidden + r * out->width + a->width, b->hidden + r * b->width, (size_t)b->width * sizeof(float));
    }
    if (t5->hidden) memcpy(out->hidden + a->rows * out->width, t5->hidden, (size_t)(t5->rows * t5->width) * sizeof(float));
    memcpy(out->pooled, a->pooled, (size_t)a->pooled_width * sizeof(float));
    memcpy(out->pooled + a->pooled_width, b->pooled, (size_t)b->pooled_width * sizeof(float));
    return SV_OK;
}

static sv_status encode_clip(sv_pipeline *p, int i, const char *text, int clip_skip, sv_encoded *out, sv_error *err) {
    char hidden[32];
    SV_TRY(sv_hidden_state_name(p, i, clip_skip + 1, hidden, sizeof hidden, err));
    return sv_encode_clip(p, i, text, false, hidden, "text_embeds", out, err);
}

static sv_status encode(sv_pipeline *p, const char *text, const sv_text_options *o, sv_condition *out, sv_error *err) {
    sv_encoded a = {0}, b = {0}, t5 = {0};
    int length = o->max_sequence_length ? o->max_sequence_length : DEFAULT_T5_LENGTH;
    if (!text) text = "";
    sv_status st = encode_clip(p, 0, text, o->clip_skip, &a, err);
    if (st == SV_OK) st = encode_clip(p, 1, text, o->clip_skip, &b, err);
    if (st == SV_OK && sv_model_dir_needs(&p->dir, SV_PART_TEXT_ENCODER_3)) {
        st = sv_encode_t5(p, 2, text, length, &t5, err);
    } else if (st == SV_OK) {
        t5.rows = length;
        t5.tokens = b.tokens;
        t5.cut = b.cut;
        st = sv_config_int(&p->dir.parts[SV_PART_DENOISER], "joint_attention_dim", 4096, &t5.width, err);
    }
    if (st == SV_OK) st = join(&a, &b, &t5, p->dir.path, out, err);
    /* T5 sees the longest text: what it cut, nobody saw. */
    out->tokens = t5.tokens;
    out->cut = t5.cut;
    sv_encoded_free(&a);
    sv_encoded_free(&b);
    sv_encoded_free(&t5);
    return st;
}

const sv_family sv_family_sd3 = {
    .class_name = "StableDiffusion3Pipeline",
    .help = "Stable Diffusion 3 and 3.5, with or without T5",
    .parts = SV_BIT(SV_PART_TEXT_ENCODER) | SV_BIT(SV_PART_TEXT_ENCODER_2) | SV_BIT(SV_PART_TEXT_ENCODER_3) | SV_BIT(SV_PART_DENOISER) | SV_BIT(SV_PART_DECODER),
    .tokenizers = SV_BIT(0) | SV_BIT(1) | SV_BIT(2),
    .t5 = SV_BIT(2),
    .denoiser = "transformer",
    .sample = "hidden_states",
    .output = "out_hidden_states",
    .pooled = "pooled_projections",
    .timestep_unit = 1,
    .steps = 28,
    .guidance = 7.0,
    .strength = 0.6,
    .name = name,
    .encode = encode,
};
