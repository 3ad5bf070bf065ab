/* euler.c - Euler's method on the probability flow ODE (Karras et al. 2022, algorithm 2 with s_churn). The default of SDXL. */
#include <math.h>

#include "diffusion/schedule_math.h"

static const sv_scheduler_key keys[] = {
    {"num_train_timesteps", "1000"}, {"beta_start", "0.0001"}, {"beta_end", "0.02"},
    {"beta_schedule", "linear", "linear|scaled_linear|squaredcos_cap_v2"},
    {"trained_betas", "null"},
    {"prediction_type", "epsilon", "epsilon|v_prediction|sample|original_sample"},
    {"interpolation_type", "linear"}, {"use_karras_sigmas", "false"}, {"use_exponential_sigmas", "false"}, {"use_beta_sigmas", "false"},
    {"sigma_min", "null"}, {"sigma_max", "null"}, {"timestep_spacing", "linspace"}, {"timestep_type", "discrete"}, {"steps_offset", "0"},
    {"rescale_betas_zero_snr", "false"}, {"final_sigmas_type", "zero"}, {0}};

static sv_status settle(sv_scheduler_config *c, sv_error *err) { return sv_check_one_schedule(c, "EulerDiscreteScheduler", err); }

static sv_status plan(sv_sampler *p, sv_error *err) {
    const sv_scheduler *s = p->scheduler;
    const sv_scheduler_config *c = &s->config;
    size_t steps = (size_t)p->options.steps;
    SV_TRY(sv_sampler_reserve(p, steps + 2, true, err));
    p->length = sv_space_timesteps(c, steps, c->num_train_timesteps, false, false, p->timesteps);

    sv_training_sigmas train;
    SV_TRY(sv_training_sigmas_open(&train, s, steps + 2, err));
    double *sigmas = train.scratch;
    size_t count = p->length;
    if (c->interpolation_type == SV_INTERPOLATE_LOG_LINEAR) {   /* one sigma more than timesteps, as there */
        count = steps + 1;
        for (size_t i = 0; i < count; i++) sigmas[i] = (double)sv_texp(sv_linspace32(train.logs[train.n - 1], train.logs[0], count, i));
    } else {
        for (size_t i = 0; i < count; i++) sigmas[i] = sv_interpolate(p->timesteps[i], train.sigmas, train.n);
    }
    if (sv_convert_sigmas(c, sigmas[0], sigmas[count - 1], steps, sigmas)) {
        count = p->length = steps;
        for (size_t i = 0; i < steps; i++) p->timesteps[i] = (double)(float)sv_sigma_to_timestep(sigmas[i], train.logs, train.n);
    }
    for (size_t i = 0; i < count; i++) p->sigmas[i] = (float)sigmas[i];
    p->sigmas[count] = c->final_sigmas_type == SV_FINAL_ZERO ? 0.0f : train.sigmas[0];
    p->sigma_count = count + 1;
    if (c->timestep_type == SV_TIMESTEPS_CONTINUOUS && c->prediction_type == SV_PREDICT_V) {
        p->length = count;
        for (size_t i = 0; i < count; i++) p->timesteps[i] = (double)(0.25f * sv_tlog(p->sigmas[i]));
    }
    p->init_noise_sigma = sv_init_sigma(p);
    sv_training_sigmas_close(&train);
    return SV_OK;
}

static size_t buffers(const sv_sampler *p) { return p->options.s_churn > 0 ? 1 : 0; }

static void step(sv_sampler *p, size_t i, float *restrict out, float *restrict x, sv_generator *g) {
    const sv_sample_options *o = &p->options;
    float sigma = p->sigmas[i];
    double gamma = 0;
    if ((float)o->s_tmin <= sigma && sigma <= (float)o->s_tmax) gamma = fmin(o->s_churn / (double)(p->sigma_count - 1), sqrt(2.0) - 1);
    float hat = sigma * (float)(gamma + 1);
    if (gamma > 0) {
        float *restrict z = p->buffers[0];
        float spread = sv_tsqrt(hat * hat - sigma * sigma), scale = (float)o->s_noise;
        sv_sampler_draw(p, g, z);
        for (size_t k = 0; k < p->n; k++) x[k] = x[k] + z[k] * scale * spread;
    }
    float dt = p->sigmas[i + 1] - hat;
    switch (p->scheduler->config.prediction_type) {
    case SV_PREDICT_EPSILON:
        for (size_t k = 0; k < p->n; k++) x[k] = x[k] + (x[k] - (x[k] - hat * out[k])) / hat * dt;
        break;
    case SV_PREDICT_V: {
        float root = sigma * sigma + 1.0f, c_out = -sigma / sv_tsqrt(root);
        for (size_t k = 0; k < p->n; k++) x[k] = x[k] + (x[k] - (out[k] * c_out + x[k] / root)) / hat * dt;
        break;
    }
    default:
        for (size_t k = 0; k < p->n; k++) x[k] = x[k] + (x[k] - out[k]) / hat * dt;
    }
}

const sv_scheduler_kind sv_scheduler_euler = {
    .info = {"EulerDiscreteScheduler", "euler", "Euler's method; optional churn"},
    .keys = keys, .sigma_family = true, .scales_input = true, .settle = settle, .plan = plan, .buffers = buffers, .scratch = 1, .step = step, .mix = sv_mix_by_sigma};
