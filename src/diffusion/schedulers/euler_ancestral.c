/* euler_ancestral.c - Euler steps with ancestral noise: goes down further than asked and adds fresh noise up to the next sigma. */
#include <math.h>

#include "diffusion/schedule_math.h"

static const sv_scheduler_key keys[] = {
    {"num_train_timesteps", "1000"}, {"beta_start", "0.0001"}, {"beta_end", "0.02"},
    {"beta_schedule", "linear", "linear|scaled_linear|squaredcos_cap_v2"},
    {"trained_betas", "null"},
    {"prediction_type", "epsilon", "epsilon|v_prediction"},
    {"timestep_spacing", "linspace"}, {"steps_offset", "0"}, {"rescale_betas_zero_snr", "false"}, {0}};

static sv_status plan(sv_sampler *p, sv_error *err) {
    const sv_scheduler_config *c = &p->scheduler->config;
    size_t steps = (size_t)p->options.steps;
    SV_TRY(sv_sampler_reserve(p, steps + 2, true, err));
    p->length = sv_space_timesteps(c, steps, c->num_train_timesteps, false, false, p->timesteps);
    sv_training_sigmas train;
    SV_TRY(sv_training_sigmas_open(&train, p->scheduler, 0, err));
    for (size_t i = 0; i < p->length; i++) p->sigmas[i] = (float)sv_interpolate(p->timesteps[i], train.sigmas, train.n);
    p->sigma_count = p->length + 1;
    p->init_noise_sigma = sv_init_sigma(p);
    sv_training_sigmas_close(&train);
    return SV_OK;
}

static size_t buffers(const sv_sampler *p) { return 1; }

static void step(sv_sampler *p, size_t i, float *restrict out, float *restrict x, sv_generator *g) {
    float from = p->sigmas[i], to = p->sigmas[i + 1];
    float up = sv_tsqrt(to * to * (from * from - to * to) / (from * from)), down = sv_tsqrt(to * to - up * up);
    float dt = down - from;
    if (p->scheduler->config.prediction_type == SV_PREDICT_EPSILON)
        for (size_t k = 0; k < p->n; k++) x[k] = x[k] + (x[k] - (x[k] - from * out[k])) / from * dt;
    else {
        float root = from * from + 1.0f, c_out = -from / sv_tsqrt(root);
        for (size_t k = 0; k < p->n; k++) x[k] = x[k] + (x[k] - (out[k] * c_out + x[k] / root)) / from * dt;
    }
    float *restrict z = p->buffers[0];
    sv_sampler_draw(p, g, z);   /* at the last step too, where up is 0 */
    for (size_t k = 0; k < p->n; k++) x[k] = x[k] + z[k] * up;
}

const sv_scheduler_kind sv_scheduler_euler_ancestral = {
    .info = {"EulerAncestralDiscreteScheduler", "euler-a", "Euler with ancestral noise; stochastic"},
    .keys = keys, .sigma_family = true, .scales_input = true, .plan = plan, .buffers = buffers, .scratch = 1, .step = step, .mix = sv_mix_by_sigma};
