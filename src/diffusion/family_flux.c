/* family_flux.c - Flux: T5's states, CLIP's pooled text, latents as a row of 2 x 2 patches with their places, guidance as an input.
 *
 * Source: diffusers, FluxPipeline.
 */
#include <string.h>

#include "diffusion/pipeline.h"

#define DEFAULT_T5_LENGTH 512

static const char *name(const sv_model_dir *m) {
    return sv_config_bool(&m->parts[SV_PART_DENOISER], "guidance_embeds", false) ? "Flux, guidance embedded" : "Flux, without guidance";
}

static sv_status encode(sv_pipeline *p, const char *text, const sv_text_options *o, sv_condition *out, sv_error *err) {
    sv_encoded clip, t5;
    if (o->clip_skip) return sv_fail(err, SV_E_INPUT, "clip_skip", "is not available for Flux, which takes CLIP's pooled text only");
    if (!text) text = "";
    SV_TRY(sv_encode_clip(p, 0, text, false, "last_hidden_state", "pooler_output", &clip, err));
    sv_status st = sv_encode_t5(p, 1, text, o->max_sequence_length ? o->max_sequence_length : DEFAULT_T5_LENGTH, &t5, err);
    if (st == SV_OK) {
        out->tokens = t5.tokens;
        out->cut = t5.cut;
        out->rows = t5.rows;
        out->width = t5.width;
        out->hidden = t5.hidden;
        out->pooled_width = clip.pooled_width;
        out->pooled = clip.pooled;
        clip.pooled = NULL;
    }
    sv_encoded_free(&clip);
    return st;
}

static sv_status bind(sv_painter *w, sv_denoiser *d, sv_error *err) {
    int64_t high = w->h / 2, wide = w->w / 2;
    float *places, *texts, *guidance;
    SV_TRY(sv_call_floats(d->call, "img_ids", (int64_t[]){high * wide, 3}, 2, &places, err));
    SV_TRY(sv_call_floats(d->call, "txt_ids", (int64_t[]){w->text_rows, 3}, 2, &texts, err));      /* all zero */
    for (int64_t y = 0; y < high; y++)
        for (int64_t x = 0; x < wide; x++) {
            places[(y * wide + x) * 3 + 1] = (float)y;
            places[(y * wide + x) * 3 + 2] = (float)x;
        }
    if (!sv_graph_file_has_input(&w->p->graphs[SV_PART_DENOISER], "guidance")) return SV_OK;
    SV_TRY(sv_call_floats(d->call, "guidance", (int64_t[]){(int64_t)d->rows}, 1, &guidance, err));
    for (size_t r = 0; r < d->rows; r++) guidance[r] = (float)w->o.guidance;
    return SV_OK;
}

const sv_family sv_family_flux = {
    .class_name = "FluxPipeline",
    .help = "Flux.1 dev and schnell",
    .parts = SV_BIT(SV_PART_TEXT_ENCODER) | SV_BIT(SV_PART_TEXT_ENCODER_2) | SV_BIT(SV_PART_DENOISER) | SV_BIT(SV_PART_DECODER),
    .tokenizers = SV_BIT(0) | SV_BIT(1),
    .t5 = SV_BIT(1),
    .denoiser = "transformer",
    .sample = "hidden_states",
    .output = "out_hidden_states",
    .pooled = "pooled_projections",
    .guidance_kind = SV_GUIDANCE_EMBEDDED,
    .packed = true,
    .timestep_unit = 1000,
    .steps = 28,
    .guidance = 3.5,
    .strength = 0.6,
    .name = name,
    .encode = encode,
    .bind = bind,
};
