/* ddim.c - DDIM (arXiv 2010.02502). With eta 1 it is DDPM sampling on the same timesteps. */
#include <math.h>

#include "diffusion/schedule_math.h"

static const sv_scheduler_key keys[] = {
    {"num_train_timesteps", "1000"}, {"beta_start", "0.0001"}, {"beta_end", "0.02"},
    {"beta_schedule", "linear", "linear|scaled_linear|squaredcos_cap_v2"},
    {"trained_betas", "null"}, {"clip_sample", "true"}, {"set_alpha_to_one", "true"}, {"steps_offset", "0"},
    {"prediction_type", "epsilon", "epsilon|sample|v_prediction"},
    {"thresholding", "false"}, {"dynamic_thresholding_ratio", "0.995"}, {"clip_sample_range", "1.0"}, {"sample_max_value", "1.0"},
    {"timestep_spacing", "leading"}, {"rescale_betas_zero_snr", "false"}, {0}};

static sv_status plan(sv_sampler *p, sv_error *err) {
    const sv_scheduler_config *c = &p->scheduler->config;
    size_t steps = (size_t)p->options.steps;
    SV_TRY(sv_check_steps(p, err));
    SV_TRY(sv_sampler_reserve(p, steps + 2, false, err));
    p->length = sv_space_timesteps(c, steps, c->num_train_timesteps, false, true, p->timesteps);
    return SV_OK;
}

static size_t buffers(const sv_sampler *p) { return p->options.eta > 0 ? 2 : 1; }

/* Formulas 12 and 16. The direction keeps the model's epsilon when x0 was clipped, unless use_clipped_model_output asks to derive it anew. */
static void step(sv_sampler *p, size_t i, float *restrict out, float *restrict x, sv_generator *g) {
    const sv_scheduler_config *c = &p->scheduler->config;
    int64_t t = (int64_t)p->timesteps[i], before = t - c->num_train_timesteps / p->options.steps;
    float a = sv_alpha_at(p->scheduler, t), a_before;
    if (before >= 0) a_before = sv_alpha_at(p->scheduler, before);
    else a_before = c->set_alpha_to_one ? 1.0f : p->scheduler->alphas_cumprod[0];
    float b = 1.0f - a, signal = sv_tsqrt(a), noise = sv_tsqrt(b);
    float variance = ((1.0f - a_before) / b) * (1.0f - a / a_before);
    float deviation = (float)p->options.eta * sv_tsqrt(variance);
    float *restrict x0 = p->buffers[0];

    sv_predict_original(c->prediction_type, signal, noise, x, out, x0, p->n);
    if (c->prediction_type == SV_PREDICT_V)
        for (size_t k = 0; k < p->n; k++) out[k] = signal * out[k] + noise * x[k];
    else if (c->prediction_type == SV_PREDICT_SAMPLE)
        for (size_t k = 0; k < p->n; k++) out[k] = (x[k] - signal * x0[k]) / noise;
    sv_sampler_limit(p, x0);
    if (p->options.use_clipped_model_output)
        for (size_t k = 0; k < p->n; k++) out[k] = (x[k] - signal * x0[k]) / noise;

    float direction = sv_tsqrt(1.0f - a_before - deviation * deviation), keep = sv_tsqrt(a_before);
    for (size_t k = 0; k < p->n; k++) x[k] = keep * x0[k] + direction * out[k];
    if (p->options.eta > 0) {
        float *restrict z = p->buffers[1];
        sv_sampler_draw(p, g, z);
        for (size_t k = 0; k < p->n; k++) x[k] = x[k] + deviation * z[k];
    }
}

const sv_scheduler_kind sv_scheduler_ddim = {
    .info = {"DDIMScheduler", "ddim", "DDIM; deterministic unless eta is given"},
    .keys = keys, .integer_timesteps = true, .plan = plan, .buffers = buffers, .scratch = 3, .step = step, .mix = sv_mix_by_alpha};
