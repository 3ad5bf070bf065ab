/* heun.c - Heun's method (Karras et al. 2022, algorithm 1): an Euler step and a correction at its end, two model calls a step but for the last. */
#include <math.h>
#include <string.h>

#include "diffusion/schedule_math.h"

static const sv_scheduler_key keys[] = {
    {"num_train_timesteps", "1000"}, {"beta_start", "0.00085"}, {"beta_end", "0.012"},
    {"beta_schedule", "linear", "linear|scaled_linear|squaredcos_cap_v2|exp"},
    {"trained_betas", "null"},
    {"prediction_type", "epsilon", "epsilon|v_prediction|sample"},
    {"use_karras_sigmas", "false"}, {"use_exponential_sigmas", "false"}, {"use_beta_sigmas", "false"},
    {"clip_sample", "false"}, {"clip_sample_range", "1.0"}, {"timestep_spacing", "linspace"}, {"steps_offset", "0"}, {0}};

enum { SLOPE, SAMPLE, ORIGINAL };   /* buffers: the slope and the sample at the beginning of the step, and the predicted original */

static sv_status settle(sv_scheduler_config *c, sv_error *err) { return sv_check_one_schedule(c, "HeunDiscreteScheduler", err); }

static sv_status plan(sv_sampler *p, sv_error *err) {
    const sv_scheduler *s = p->scheduler;
    const sv_scheduler_config *c = &s->config;
    size_t steps = (size_t)p->options.steps;
    SV_TRY(sv_sampler_reserve(p, 2 * steps + 4, true, err));
    size_t n = sv_space_timesteps(c, steps, c->num_train_timesteps, false, false, p->timesteps);
    sv_training_sigmas train;
    SV_TRY(sv_training_sigmas_open(&train, s, steps + 2, err));
    double *sigmas = train.scratch;
    for (size_t i = 0; i < n; i++) sigmas[i] = sv_interpolate(p->timesteps[i], train.sigmas, train.n);
    if (sv_convert_sigmas(c, sigmas[0], sigmas[n - 1], steps, sigmas)) {
        n = steps;
        for (size_t i = 0; i < n; i++) p->timesteps[i] = (double)(float)sv_sigma_to_timestep(sigmas[i], train.logs, train.n);
    }
    /* Every sigma and timestep but the first twice, from the back so that nothing is overwritten; then sigma 0. */
    for (size_t i = n; i-- > 1;) {
        p->timesteps[2 * i] = p->timesteps[2 * i - 1] = p->timesteps[i];
        p->sigmas[2 * i] = p->sigmas[2 * i - 1] = (float)sigmas[i];
    }
    p->sigmas[0] = (float)sigmas[0];
    p->length = 2 * n - 1;
    p->sigmas[p->length] = 0;
    p->sigma_count = p->length + 1;
    p->init_noise_sigma = sv_init_sigma(p);
    sv_training_sigmas_close(&train);
    return SV_OK;
}

static size_t buffers(const sv_sampler *p) { return 3; }

static void step(sv_sampler *p, size_t i, float *restrict out, float *restrict x, sv_generator *g) {
    const sv_scheduler_config *c = &p->scheduler->config;
    bool first = p->calls % 2 == 0;
    float sigma = first ? p->sigmas[i] : p->sigmas[i - 1], next = first ? p->sigmas[i + 1] : p->sigmas[i], here = first ? sigma : next;
    float *restrict x0 = p->buffers[ORIGINAL], *restrict slope = p->buffers[SLOPE], *restrict start = p->buffers[SAMPLE];
    size_t n = p->n;
    if (c->prediction_type == SV_PREDICT_EPSILON)
        for (size_t k = 0; k < n; k++) x0[k] = x[k] - here * out[k];
    else if (c->prediction_type == SV_PREDICT_V) {
        float root = here * here + 1.0f, c_out = -here / sv_tsqrt(root);
        for (size_t k = 0; k < n; k++) x0[k] = out[k] * c_out + x[k] / root;
    } else {
        memcpy(x0, out, n * sizeof *x0);
    }
    sv_sampler_limit(p, x0);
    float dt = next - sigma;
    if (first) {
        memcpy(start, x, n * sizeof *x);
        for (size_t k = 0; k < n; k++) {
            slope[k] = (x[k] - x0[k]) / here;
            x[k] = x[k] + slope[k] * dt;
        }
    } else {
        for (size_t k = 0; k < n; k++) x[k] = start[k] + (slope[k] + (x[k] - x0[k]) / here) / 2.0f * dt;
    }
}

const sv_scheduler_kind sv_scheduler_heun = {
    .info = {"HeunDiscreteScheduler", "heun", "Heun's method; about two model calls a step"},
    .keys = keys, .sigma_family = true, .scales_input = true, .settle = settle, .plan = plan, .buffers = buffers,
    .scratch = 1u << ORIGINAL, .step = step, .mix = sv_mix_by_sigma};
