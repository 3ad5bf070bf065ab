/* family_sd.c - Stable Diffusion 1.x and 2.x: one CLIP text encoder, its last hidden state, nothing else.
 *
 * Source: diffusers, StableDiffusionPipeline. A missing negative prompt is the empty text there.
 */
#include <string.h>

#include "diffusion/pipeline.h"
#include "diffusion/scheduler.h"

static const char *name(const sv_model_dir *m) {
    /* The 2.x networks project attention linearly; nothing else in the configs tells the two apart at every size. */
    return sv_config_bool(&m->parts[SV_PART_DENOISER], "use_linear_projection", false) ? "Stable Diffusion 2.x" : "Stable Diffusion 1.x";
}

static sv_status encode(sv_pipeline *p, const char *text, sv_condition *out, sv_error *err) {
    return sv_encode_text(p, 0, text ? text : "", "last_hidden_state", out, err);
}

static sv_status bind(sv_painter *w, sv_error *err) {
    const sv_tensor_info *t = sv_session_input(w->p->sessions[SV_PART_DENOISER], "encoder_hidden_states");
    int64_t width;
    SV_TRY(sv_config_int(&w->p->dir.parts[SV_PART_DENOISER], "cross_attention_dim", t && t->rank == 3 ? t->dims[2] : -1, &width, err));
    w->text_rows = w->p->text_length[0];
    w->text_width = width;
    return sv_call_floats(w->denoise, "encoder_hidden_states", (int64_t[]){(int64_t)w->rows, w->text_rows, w->text_width}, 3, &w->hidden, err);
}

static sv_status fill(sv_painter *w, const sv_condition *c, size_t first, size_t rows, sv_error *err) {
    if (c->rows != w->text_rows || c->width != w->text_width)
        return sv_fail(err, SV_E_MODEL, w->p->dir.path, "the text encoder gives [%lld, %lld] values where the denoiser wants [%lld, %lld]", (long long)c->rows,
                       (long long)c->width, (long long)w->text_rows, (long long)w->text_width);
    size_t n = (size_t)(c->rows * c->width);
    for (size_t r = first; r < first + rows; r++) memcpy(w->hidden + r * n, c->hidden, n * sizeof(float));
    return SV_OK;
}

const sv_family sv_family_sd = {
    .class_name = "StableDiffusionPipeline",
    .help = "Stable Diffusion 1.x and 2.x, text to image",
    .parts = SV_BIT(SV_PART_TEXT_ENCODER) | SV_BIT(SV_PART_DENOISER) | SV_BIT(SV_PART_DECODER),
    .tokenizers = SV_BIT(0),
    .denoiser = "unet",
    .steps = 50,
    .guidance = 7.5,
    .amend = SV_AMEND_STABLE_DIFFUSION,
    .name = name,
    .encode = encode,
    .bind = bind,
    .fill = fill,
};
