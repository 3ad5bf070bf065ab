/* pndm.c - pseudo numerical methods (arXiv 2202.09778): linear multistep of order 4, started by Runge-Kutta calls or, with skip_prk_steps, by lower
 * orders. The default of Stable Diffusion 1.
 *
 * There is no step index: what a call does follows from how many calls were made since the restart, also when sampling begins in the middle.
 */
#include <math.h>
#include <string.h>

#include "diffusion/schedule_math.h"

static const sv_scheduler_key keys[] = {
    {"num_train_timesteps", "1000"}, {"beta_start", "0.0001"}, {"beta_end", "0.02"},
    {"beta_schedule", "linear", "linear|scaled_linear|squaredcos_cap_v2"},
    {"trained_betas", "null"}, {"skip_prk_steps", "false"}, {"set_alpha_to_one", "false"},
    {"prediction_type", "epsilon", "epsilon|v_prediction"},
    {"timestep_spacing", "leading"}, {"steps_offset", "0"}, {0}};

enum { SAMPLE, SUM, HISTORY };   /* buffers: the sample that several calls start from, the Runge-Kutta sum, and four outputs from HISTORY on */

static sv_status plan(sv_sampler *p, sv_error *err) {
    const sv_scheduler_config *c = &p->scheduler->config;
    size_t steps = (size_t)p->options.steps;
    SV_TRY(sv_sampler_reserve(p, steps + 16, false, err));
    size_t n = sv_space_timesteps(c, steps, c->num_train_timesteps, false, true, p->timesteps);
    double *t = p->timesteps;
    if (c->skip_prk_steps) {   /* the second timestep twice */
        if (n > 1) memmove(t + 2, t + 1, (n - 1) * sizeof *t);
        p->length = n > 1 ? n + 1 : n;
        return SV_OK;
    }
    if (n < 4) return sv_fail(err, SV_E_INPUT, "PNDMScheduler", "%d steps are too few for its Runge-Kutta start; it needs 4, or skip_prk_steps", p->options.steps);
    /* The first three of the steps by four calls each, at t, twice half-way, and at the next; then the others. */
    double first[4], half = (double)(c->num_train_timesteps / p->options.steps / 2);
    memcpy(first, t, sizeof first);
    memmove(t + 12, t + 3, (n - 3) * sizeof *t);
    for (int k = 0; k < 3; k++) {
        t[4 * k] = first[k];
        t[4 * k + 1] = t[4 * k + 2] = first[k + 1] + half;
        t[4 * k + 3] = first[k + 1];
    }
    p->warm_up = 12;
    p->length = n + 9;
    return SV_OK;
}

static size_t buffers(const sv_sampler *p) { return HISTORY + 4; }

/* Formula 9: x := the sample at timestep `to`, from the sample `from` at timestep t. */
static void transfer(const sv_sampler *p, int64_t t, int64_t to, const float *from, float *restrict out, float *x) {
    const sv_scheduler_config *c = &p->scheduler->config;
    float a = sv_alpha_at(p->scheduler, t), a_to;
    if (to >= 0) a_to = sv_alpha_at(p->scheduler, to);
    else a_to = c->set_alpha_to_one ? 1.0f : p->scheduler->alphas_cumprod[0];
    float b = 1.0f - a, b_to = 1.0f - a_to;
    if (c->prediction_type == SV_PREDICT_V) {
        float signal = sv_tsqrt(a), noise = sv_tsqrt(b);
        for (size_t k = 0; k < p->n; k++) out[k] = signal * out[k] + noise * from[k];
    }
    float keep = sv_tsqrt(a_to / a), gain = a_to - a, divisor = a * sv_tsqrt(b_to) + sv_tsqrt(a * b * a_to);
    for (size_t k = 0; k < p->n; k++) x[k] = keep * from[k] - gain * out[k] / divisor;
}

static void step_runge_kutta(sv_sampler *p, int64_t t, float *restrict out, float *x) {
    const sv_scheduler_config *c = &p->scheduler->config;
    const float sixth = (float)(1.0 / 6), third = (float)(1.0 / 3);
    size_t phase = p->calls % 4;
    float *restrict sum = p->buffers[SUM];
    int64_t to = p->calls % 2 ? t : t - c->num_train_timesteps / p->options.steps / 2;
    switch (phase) {
    case 0:
        for (size_t k = 0; k < p->n; k++) sum[k] = sixth * out[k];
        memcpy(p->buffers[HISTORY + p->calls / 4], out, p->n * sizeof *out);
        memcpy(p->buffers[SAMPLE], x, p->n * sizeof *x);
        break;
    case 3:
        for (size_t k = 0; k < p->n; k++) out[k] = sum[k] + sixth * out[k];
        break;
    default:
        for (size_t k = 0; k < p->n; k++) sum[k] = sum[k] + third * out[k];
    }
    transfer(p, (int64_t)p->timesteps[p->calls / 4 * 4], to, p->buffers[SAMPLE], out, x);
}

static void step_linear_multistep(sv_sampler *p, int64_t t, float *restrict out, float *x) {
    const sv_scheduler_config *c = &p->scheduler->config;
    int64_t stride = c->num_train_timesteps / p->options.steps, to = t - stride;
    const float *from = x;
    /* Outputs so far, this one included: the second call of a start without Runge-Kutta repeats the first step and is not kept. */
    size_t kept = p->warm_up ? p->calls - p->warm_up + 4 : p->calls < 2 ? 1 : p->calls;
    const float *e[4];
    if (p->calls == 1) {
        to = t;
        t += stride;
    } else {
        memcpy(p->buffers[HISTORY + (kept - 1) % 4], out, p->n * sizeof *out);
    }
    for (size_t k = 0; k < 4 && k < kept; k++) e[k] = p->buffers[HISTORY + (kept - 1 - k) % 4];
    if (p->calls == 0) memcpy(p->buffers[SAMPLE], x, p->n * sizeof *x);
    else if (p->calls == 1) {
        for (size_t k = 0; k < p->n; k++) out[k] = (out[k] + e[0][k]) / 2.0f;
        from = p->buffers[SAMPLE];
    } else if (kept == 2)
        for (size_t k = 0; k < p->n; k++) out[k] = (3.0f * e[0][k] - e[1][k]) / 2.0f;
    else if (kept == 3)
        for (size_t k = 0; k < p->n; k++) out[k] = (23.0f * e[0][k] - 16.0f * e[1][k] + 5.0f * e[2][k]) / 12.0f;
    else
        for (size_t k = 0; k < p->n; k++) out[k] = (float)(1.0 / 24) * (55.0f * e[0][k] - 59.0f * e[1][k] + 37.0f * e[2][k] - 9.0f * e[3][k]);
    transfer(p, t, to, from, out, x);
}

static void step(sv_sampler *p, size_t i, float *restrict out, float *restrict x, sv_generator *g) {
    int64_t t = (int64_t)p->timesteps[i];
    if (p->calls < p->warm_up) step_runge_kutta(p, t, out, x);
    else step_linear_multistep(p, t, out, x);
}

const sv_scheduler_kind sv_scheduler_pndm = {
    .info = {"PNDMScheduler", "pndm", "pseudo linear multistep; one or more calls above the number of steps"},
    .keys = keys, .integer_timesteps = true, .plan = plan, .buffers = buffers, .step = step, .mix = sv_mix_by_alpha};
