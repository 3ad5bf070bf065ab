/* flow_euler.c - Euler's method for flow matching (Stable Diffusion 3, arXiv 2403.03206; Flux). The model predicts noise minus picture. */
#include <math.h>

#include "diffusion/schedule_math.h"

static const sv_scheduler_key keys[] = {
    {"num_train_timesteps", "1000"}, {"shift", "1.0"}, {"use_dynamic_shifting", "false"}, {"base_shift", "0.5"}, {"max_shift", "1.15"},
    {"base_image_seq_len", "256"}, {"max_image_seq_len", "4096"}, {"invert_sigmas", "false"}, {"shift_terminal", "null"},
    {"use_karras_sigmas", "false"}, {"use_exponential_sigmas", "false"}, {"use_beta_sigmas", "false"}, {"time_shift_type", "exponential"},
    {"stochastic_sampling", "false"}, {0}};

static sv_status settle(sv_scheduler_config *c, sv_error *err) { return sv_check_one_schedule(c, "FlowMatchEulerDiscreteScheduler", err); }

/* A training sigma, k / T, shifted in float32 unless shifting is dynamic. */
static float training_sigma(const sv_scheduler_config *c, int64_t k) {
    float sigma = (float)k / (float)c->num_train_timesteps;
    if (c->use_dynamic_shifting) return sigma;
    return (float)c->shift * sigma / (1.0f + (float)(c->shift - 1) * sigma);
}

/* A sigma that the caller gives: shifted once, in float32, as numpy does with a float32 array and Python's numbers. */
static float given_sigma(const sv_scheduler_config *c, double mu, float sigma) {
    float odds = 1.0f / sigma - 1.0f, m = (float)(c->time_shift_type == SV_SHIFT_LINEAR ? mu : exp(mu));
    if (c->use_dynamic_shifting) return m / (m + odds);
    return (float)c->shift * sigma / (1.0f + (float)(c->shift - 1) * sigma);
}

/* The ends of the range are shifted once in training_sigma, and once more here with the points between them: as diffusers. */
static sv_status plan(sv_sampler *p, sv_error *err) {
    const sv_scheduler_config *c = &p->scheduler->config;
    size_t n = (size_t)p->options.steps;
    double train = (double)c->num_train_timesteps, mu = p->options.mu;
    if (c->use_dynamic_shifting && isnan(mu)) {
        sv_fail(err, SV_E_INPUT, "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting needs mu, which follows from the picture's size");
        return sv_hint(err, SV_E_INPUT, "give mu");
    }
    SV_TRY(sv_sampler_reserve(p, n, true, err));
    double *sigmas = p->timesteps;   /* float64 until the end */
    double first = (double)training_sigma(c, c->num_train_timesteps) * train, last = (double)training_sigma(c, 1) * train;
    for (size_t i = 0; i < n; i++) {
        double sigma = sv_linspace64(first, last, n, i) / train;
        if (p->options.unit_sigmas) sigmas[i] = given_sigma(c, mu, (float)sv_linspace64(1, 1 / (double)n, n, i));
        else sigmas[i] = c->use_dynamic_shifting ? sv_shift_time(c->time_shift_type, mu, sigma) : c->shift * sigma / (1 + (c->shift - 1) * sigma);
    }
    sv_stretch_to_terminal(c->shift_terminal, sigmas, n);
    sv_convert_sigmas(c, sigmas[0], sigmas[n - 1], n, sigmas);
    p->length = n;
    for (size_t i = 0; i < n; i++) {
        p->sigmas[i] = (float)sigmas[i];
        if (c->invert_sigmas) p->sigmas[i] = 1.0f - p->sigmas[i];
        p->timesteps[i] = (double)(p->sigmas[i] * (float)train);
    }
    p->sigmas[n] = c->invert_sigmas ? 1.0f : 0.0f;
    p->sigma_count = n + 1;
    return SV_OK;
}

static size_t buffers(const sv_sampler *p) { return p->scheduler->config.stochastic_sampling ? 1 : 0; }

static void step(sv_sampler *p, size_t i, float *restrict out, float *restrict x, sv_generator *g) {
    float sigma = p->sigmas[i], next = p->sigmas[i + 1];
    if (!p->scheduler->config.stochastic_sampling) {
        float dt = next - sigma;
        for (size_t k = 0; k < p->n; k++) x[k] = x[k] + dt * out[k];
        return;
    }
    float *restrict z = p->buffers[0], keep = 1.0f - next;
    sv_sampler_draw(p, g, z);   /* at the last step too */
    for (size_t k = 0; k < p->n; k++) x[k] = keep * (x[k] - sigma * out[k]) + next * z[k];
}

static void mix(const sv_sampler *p, size_t i, float *signal, float *noise) {
    *noise = p->sigmas[i];
    *signal = 1.0f - p->sigmas[i];
}

const sv_scheduler_kind sv_scheduler_flow_euler = {
    .info = {"FlowMatchEulerDiscreteScheduler", "flow-euler", "Euler's method for flow matching models (SD3, Flux)"},
    .keys = keys, .takes_mu = true, .plain_time = true, .settle = settle, .plan = plan, .buffers = buffers, .scratch = 1, .step = step, .mix = mix};
