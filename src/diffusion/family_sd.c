/* family_sd.c - Stable Diffusion 1.x and 2.x, and latent consistency models on them: one CLIP text encoder, its last hidden state.
 *
 * Source: diffusers, StableDiffusionPipeline, StableDiffusionImg2ImgPipeline, LatentConsistencyModelPipeline. A missing negative prompt is the
 * empty text there.
 */
#include "diffusion/pipeline.h"
#include "diffusion/scheduler.h"

static const char *name(const sv_model_dir *m) {
    /* The 2.x networks project attention linearly; nothing else in the configs tells the two apart at every size. */
    return sv_config_bool(&m->parts[SV_PART_DENOISER], "use_linear_projection", false) ? "Stable Diffusion 2.x" : "Stable Diffusion 1.x";
}

static const char *lcm_name(const sv_model_dir *m) {
    (void)m;
    return "Latent consistency model";
}

static sv_status encode(sv_pipeline *p, const char *text, const sv_text_options *o, sv_condition *out, sv_error *err) {
    sv_encoded e;
    /* An earlier layer would have to go through the encoder's last layer norm, which exported graphs hold inside. */
    if (o->clip_skip) return sv_fail(err, SV_E_INPUT, "clip_skip", "is not available for %s: its text encoder gives the last layer only", p->family->name(&p->dir));
    SV_TRY(sv_encode_clip(p, 0, text ? text : "", o->windows, "last_hidden_state", NULL, &e, err));
    out->tokens = e.tokens;
    out->cut = e.cut;
    out->rows = e.rows;
    out->width = e.width;
    out->hidden = e.hidden;
    return SV_OK;
}

const sv_family sv_family_sd = {
    .class_name = "StableDiffusionPipeline",
    .help = "Stable Diffusion 1.x and 2.x",
    .parts = SV_BIT(SV_PART_TEXT_ENCODER) | SV_BIT(SV_PART_DENOISER) | SV_BIT(SV_PART_DECODER),
    .tokenizers = SV_BIT(0),
    .denoiser = "unet",
    .windows = true,
    .sample = "sample",
    .output = "out_sample",
    .steps = 50,
    .guidance = 7.5,
    .strength = 0.8,
    .amend = SV_AMEND_STABLE_DIFFUSION,
    .name = name,
    .encode = encode,
};

const sv_family sv_family_lcm = {
    .class_name = "LatentConsistencyModelPipeline",
    .help = "Latent consistency models: a few steps, guidance built in",
    .parts = SV_BIT(SV_PART_TEXT_ENCODER) | SV_BIT(SV_PART_DENOISER) | SV_BIT(SV_PART_DECODER),
    .tokenizers = SV_BIT(0),
    .denoiser = "unet",
    .windows = true,
    .sample = "sample",
    .output = "out_sample",
    .guidance_kind = SV_GUIDANCE_EMBEDDED,
    .steps = 4,
    .guidance = 8.5,
    .strength = 0.8,
    .name = lcm_name,
    .encode = encode,
};
