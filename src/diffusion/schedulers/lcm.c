/* lcm.c - latent consistency models (arXiv 2310.04378): each step jumps to the end and noises back to the next timestep. */
#include <math.h>

#include "diffusion/schedule_math.h"

static const sv_scheduler_key keys[] = {
    {"num_train_timesteps", "1000"}, {"beta_start", "0.00085"}, {"beta_end", "0.012"},
    {"beta_schedule", "scaled_linear", "linear|scaled_linear|squaredcos_cap_v2"},
    {"trained_betas", "null"}, {"original_inference_steps", "50"}, {"clip_sample", "false"}, {"clip_sample_range", "1.0"},
    {"set_alpha_to_one", "true"}, {"steps_offset", "0"},
    {"prediction_type", "epsilon", "epsilon|sample|v_prediction"},
    {"thresholding", "false"}, {"dynamic_thresholding_ratio", "0.995"}, {"sample_max_value", "1.0"}, {"timestep_spacing", "leading"},
    {"timestep_scaling", "10.0"}, {"rescale_betas_zero_snr", "false"}, {0}};

/* Evenly chosen ones of the timesteps that the model was distilled on, k - 1, 2k - 1, …; spacing and offset play no part. */
static sv_status plan(sv_sampler *p, sv_error *err) {
    const sv_scheduler_config *c = &p->scheduler->config;
    int64_t original = c->original_inference_steps, steps = p->options.steps;
    if (original > c->num_train_timesteps)
        return sv_fail(err, SV_E_INPUT, "LCMScheduler", "original_inference_steps %lld is more than its %lld training timesteps", (long long)original,
                       (long long)c->num_train_timesteps);
    SV_TRY(sv_check_steps(p, err));
    if (steps > original)
        return sv_fail(err, SV_E_INPUT, "LCMScheduler", "%lld steps are more than its original_inference_steps, %lld", (long long)steps,
                       (long long)original);
    SV_TRY(sv_sampler_reserve(p, (size_t)steps, false, err));
    int64_t stride = c->num_train_timesteps / original;
    double spread = (double)original / (double)steps;
    p->length = (size_t)steps;
    for (int64_t i = 0; i < steps; i++) p->timesteps[i] = (double)((original - (int64_t)floor((double)i * spread)) * stride - 1);
    return SV_OK;
}

static size_t buffers(const sv_sampler *p) { return 2; }

static void step(sv_sampler *p, size_t i, float *restrict out, float *restrict x, sv_generator *g) {
    const sv_scheduler_config *c = &p->scheduler->config;
    int64_t t = (int64_t)p->timesteps[i];
    float a = sv_alpha_at(p->scheduler, t), scaled = (float)t * (float)c->timestep_scaling;
    /* The boundary condition, with sigma_data 0.5. */
    float c_skip = 0.25f / (scaled * scaled + 0.25f), c_out = scaled / sv_tsqrt(scaled * scaled + 0.25f);
    float *restrict x0 = p->buffers[0];
    sv_predict_original(c->prediction_type, sv_tsqrt(a), sv_tsqrt(1.0f - a), x, out, x0, p->n);
    sv_sampler_limit(p, x0);
    for (size_t k = 0; k < p->n; k++) x[k] = c_out * x0[k] + c_skip * x[k];
    if (i + 1 < p->length) {
        float *restrict z = p->buffers[1];
        float next = sv_alpha_at(p->scheduler, (int64_t)p->timesteps[i + 1]), keep = sv_tsqrt(next), spread = sv_tsqrt(1.0f - next);
        sv_sampler_draw(p, g, z);
        for (size_t k = 0; k < p->n; k++) x[k] = keep * x[k] + spread * z[k];
    }
}

const sv_scheduler_kind sv_scheduler_lcm = {
    .info = {"LCMScheduler", "lcm", "latent consistency models, 1 to 8 steps; stochastic from 2 steps on"},
    .keys = keys, .integer_timesteps = true, .plan = plan, .buffers = buffers, .scratch = 3, .step = step, .mix = sv_mix_by_alpha};
