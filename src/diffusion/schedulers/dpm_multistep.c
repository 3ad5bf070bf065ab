/* dpm_multistep.c - DPM-Solver (arXiv 2206.00927), DPM-Solver++ (arXiv 2211.01095) and their SDE forms, multistep, orders 1 to 3.
 *
 * The ++ solvers integrate the predicted original sample, the others the predicted noise; h is the step in lambda = ln(alpha / sigma).
 */
#include <math.h>
#include <string.h>

#include "diffusion/schedule_math.h"

static const sv_scheduler_key keys[] = {
    {"num_train_timesteps", "1000"}, {"beta_start", "0.0001"}, {"beta_end", "0.02"},
    {"beta_schedule", "linear", "linear|scaled_linear|squaredcos_cap_v2"},
    {"trained_betas", "null"}, {"solver_order", "2"},
    {"prediction_type", "epsilon", "epsilon|sample|v_prediction|flow_prediction"},
    {"thresholding", "false"}, {"dynamic_thresholding_ratio", "0.995"}, {"sample_max_value", "1.0"},
    {"algorithm_type", "dpmsolver++"}, {"solver_type", "midpoint"}, {"lower_order_final", "true"}, {"euler_at_final", "false"},
    {"use_karras_sigmas", "false"}, {"use_exponential_sigmas", "false"}, {"use_beta_sigmas", "false"}, {"use_lu_lambdas", "false"},
    {"use_flow_sigmas", "false"}, {"flow_shift", "1.0"}, {"final_sigmas_type", "zero"}, {"lambda_min_clipped", "-Infinity"},
    {"variance_type", "null"}, {"timestep_spacing", "linspace"}, {"steps_offset", "0"}, {"rescale_betas_zero_snr", "false"},
    {"use_dynamic_shifting", "false"}, {"time_shift_type", "exponential"}, {0}};

static bool predicts_noise(const sv_scheduler_config *c) { return c->algorithm_type == SV_DPM || c->algorithm_type == SV_SDE_DPM; }
static bool is_stochastic(const sv_scheduler_config *c) { return c->algorithm_type == SV_SDE_DPM || c->algorithm_type == SV_SDE_DPM_PP; }

static sv_status settle(sv_scheduler_config *c, sv_error *err) {
    SV_TRY(sv_check_one_schedule(c, "DPMSolverMultistepScheduler", err));
    bool plus_plus = c->algorithm_type == SV_DPM_PP || c->algorithm_type == SV_SDE_DPM_PP;
    if (!plus_plus && c->final_sigmas_type == SV_FINAL_ZERO) {
        sv_fail(err, SV_E_INPUT, "scheduler config", "DPMSolverMultistepScheduler: only the dpmsolver++ algorithms can end at sigma zero");
        return sv_hint(err, SV_E_INPUT, "set final_sigmas_type to sigma_min, or choose dpmsolver++ or sde-dpmsolver++");
    }
    /* Names that other solvers' files carry. */
    if (c->algorithm_type == SV_DEIS) c->algorithm_type = SV_DPM_PP;
    if (c->solver_type != SV_SOLVER_HEUN) c->solver_type = SV_SOLVER_MIDPOINT;
    return SV_OK;
}

/* ---- timesteps ---- */

/* Timesteps whose lambda is below lambda_min_clipped are left out: they are the last ones, so a search finds where to stop. */
static int64_t last_timestep(const sv_scheduler *s) {
    float least = (float)s->config.lambda_min_clipped;
    size_t low = 0, high = s->levels;   /* in descending time, that is ascending lambda */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        float a = s->alphas_cumprod[s->levels - 1 - middle];
        float lambda = sv_tlog(sv_tsqrt(a)) - sv_tlog(sv_tsqrt(1.0f - a));
        if (lambda < least) low = middle + 1;
        else high = middle;
    }
    return s->config.num_train_timesteps - (int64_t)low;
}

static void flow_sigmas(const sv_sampler *p, size_t steps, double *sigmas) {
    const sv_scheduler_config *c = &p->scheduler->config;
    double shift = isnan(p->options.mu) ? c->flow_shift : exp(p->options.mu);
    for (size_t i = 0; i < steps; i++) {
        double sigma = 1.0 - sv_linspace64(1, 1 / (double)c->num_train_timesteps, steps + 1, steps - i);
        sigmas[i] = shift * sigma / (1 + (shift - 1) * sigma);
    }
}

static void lu_sigmas(const sv_training_sigmas *train, size_t steps, double *sigmas) {
    double first = train->logs[train->n - 1], last = train->logs[0];
    for (size_t i = 0; i < steps; i++) sigmas[i] = exp(first + sv_linspace64(0, 1, steps, i) * (last - first));
}

static sv_status plan(sv_sampler *p, sv_error *err) {
    const sv_scheduler *s = p->scheduler;
    const sv_scheduler_config *c = &s->config;
    size_t steps = (size_t)p->options.steps;
    if (!isnan(p->options.mu) && !(c->use_dynamic_shifting && c->time_shift_type == SV_SHIFT_EXPONENTIAL))
        return sv_fail(err, SV_E_INPUT, "DPMSolverMultistepScheduler", "mu needs use_dynamic_shifting with time_shift_type exponential");
    SV_TRY(sv_sampler_reserve(p, steps + 2, true, err));
    p->length = sv_space_timesteps(c, steps, last_timestep(s), true, true, p->timesteps);

    sv_training_sigmas train;
    SV_TRY(sv_training_sigmas_open(&train, s, steps + 2, err));
    double *sigmas = train.scratch;
    bool converted = true, whole = c->beta_schedule != SV_BETAS_SQUAREDCOS;
    if (c->use_lu_lambdas && !c->use_karras_sigmas) lu_sigmas(&train, steps, sigmas);
    else if (!sv_convert_sigmas(c, train.sigmas[train.n - 1], train.sigmas[0], steps, sigmas)) converted = false;
    if (converted) {
        bool rounds = whole && (c->use_karras_sigmas || c->use_lu_lambdas);   /* the others are truncated */
        p->length = steps;
        for (size_t i = 0; i < steps; i++) {
            double t = sv_sigma_to_timestep(sigmas[i], train.logs, train.n);
            p->timesteps[i] = rounds ? rint(t) : trunc(t);
        }
    } else if (c->use_flow_sigmas) {
        flow_sigmas(p, steps, sigmas);
        p->length = steps;
        for (size_t i = 0; i < steps; i++) p->timesteps[i] = trunc(sigmas[i] * (double)c->num_train_timesteps);
    } else {
        for (size_t i = 0; i < p->length; i++) sigmas[i] = sv_interpolate(p->timesteps[i], train.sigmas, train.n);
    }
    for (size_t i = 0; i < p->length; i++) p->sigmas[i] = (float)sigmas[i];
    p->sigmas[p->length] = c->final_sigmas_type == SV_FINAL_ZERO ? 0.0f : train.sigmas[0];
    p->sigma_count = p->length + 1;
    sv_training_sigmas_close(&train);
    return SV_OK;
}

/* ---- steps ---- */

/* Order of step i when `calls` steps were made before it. */
static int order_at(const sv_sampler *p, size_t i, size_t calls) {
    const sv_scheduler_config *c = &p->scheduler->config;
    bool few = c->lower_order_final && p->length < 15;
    bool final = i == p->length - 1 && (c->euler_at_final || few || c->final_sigmas_type == SV_FINAL_ZERO);
    if (c->solver_order == 1 || calls < 1 || final) return 1;
    return c->solver_order == 2 || calls < 2 || (i == p->length - 2 && few) ? 2 : 3;
}

static const char *unfit(const sv_sampler *p) {
    const sv_scheduler_config *c = &p->scheduler->config;
    if (c->prediction_type == SV_PREDICT_EPSILON && c->variance_type >= SV_VARIANCE_LEARNED)
        return "models that predict their variance (variance_type learned) are not supported";
    if (predicts_noise(c) && c->prediction_type == SV_PREDICT_FLOW) return "flow_prediction needs a dpmsolver++ algorithm";
    if (c->algorithm_type == SV_SDE_DPM)
        for (size_t i = 0; i < p->length; i++)
            if (order_at(p, i, i) == 3) return "sde-dpmsolver has no third order; set solver_order to 2";
    return NULL;
}

enum { NOISE, HISTORY };   /* buffers: fresh noise, and the three latest model outputs from HISTORY on */

static size_t buffers(const sv_sampler *p) { return HISTORY + (size_t)(p->scheduler->config.solver_order < 3 ? p->scheduler->config.solver_order : 3); }

/* The model's output as predicted original sample (++), or as predicted noise. */
static void convert(const sv_sampler *p, size_t i, const float *restrict x, const float *restrict out, float *restrict m) {
    const sv_scheduler_config *c = &p->scheduler->config;
    sv_noise_level l = sv_level_at(p, i);
    size_t n = p->n;
    if (!predicts_noise(c)) {
        if (c->prediction_type == SV_PREDICT_FLOW) {
            float sigma = p->sigmas[i];
            for (size_t k = 0; k < n; k++) m[k] = x[k] - sigma * out[k];
        } else {
            sv_predict_original(c->prediction_type, l.alpha, l.sigma, x, out, m, n);
        }
        if (c->thresholding) sv_sampler_threshold(p, m);
        return;
    }
    if (c->prediction_type == SV_PREDICT_EPSILON) memcpy(m, out, n * sizeof *m);
    else if (c->prediction_type == SV_PREDICT_SAMPLE)
        for (size_t k = 0; k < n; k++) m[k] = (x[k] - l.alpha * out[k]) / l.sigma;
    else
        for (size_t k = 0; k < n; k++) m[k] = l.alpha * out[k] + l.sigma * x[k];
    if (c->thresholding) {
        for (size_t k = 0; k < n; k++) m[k] = (x[k] - l.sigma * m[k]) / l.alpha;
        sv_sampler_threshold(p, m);
        for (size_t k = 0; k < n; k++) m[k] = (x[k] - l.alpha * m[k]) / l.sigma;
    }
}

/* A step is x := a x + b0 D0 + b1 D1 + b2 D2 + d z: D0 the latest output, D1 and D2 its divided differences, z fresh noise. */
typedef struct weights { float a, b0, b1, b2, d; } weights;

/* to, from: the levels at the end and the beginning. order: 1..3. */
static weights weights_of(const sv_scheduler_config *c, sv_noise_level to, sv_noise_level from, float h, int order) {
    weights w = {0};
    bool heun = c->solver_type == SV_SOLVER_HEUN || order == 3;
    switch (c->algorithm_type) {
    case SV_DPM_PP: {
        float e = sv_texp(-h) - 1.0f;
        w.a = to.sigma / from.sigma;
        w.b0 = -(to.alpha * e);
        w.b1 = heun ? to.alpha * (e / h + 1.0f) : -(0.5f * (to.alpha * e));
        w.b2 = -(to.alpha * ((e + h) / (h * h) - 0.5f));
        break;
    }
    case SV_DPM: {
        float e = sv_texp(h) - 1.0f;
        w.a = to.alpha / from.alpha;
        w.b0 = -(to.sigma * e);
        w.b1 = heun ? -(to.sigma * (e / h - 1.0f)) : -(0.5f * (to.sigma * e));
        w.b2 = -(to.sigma * ((e - h) / (h * h) - 0.5f));
        break;
    }
    case SV_SDE_DPM_PP: {
        float e = 1.0f - sv_texp(-2.0f * h), h2 = 2.0f * h;
        w.a = to.sigma / from.sigma * sv_texp(-h);
        w.b0 = to.alpha * e;
        w.b1 = heun ? to.alpha * (e / (-2.0f * h) + 1.0f) : 0.5f * (to.alpha * e);
        w.b2 = to.alpha * ((e - h2) / (h2 * h2) - 0.5f);
        w.d = to.sigma * sv_tsqrt(e);
        break;
    }
    default: {
        float e = sv_texp(h) - 1.0f;
        w.a = to.alpha / from.alpha;
        w.b0 = -(2.0f * (to.sigma * e));
        w.b1 = heun ? -(2.0f * (to.sigma * (e / h - 1.0f))) : -(to.sigma * e);
        w.d = to.sigma * sv_tsqrt(sv_texp(2.0f * h) - 1.0f);
    }
    }
    return w;
}

static void step(sv_sampler *p, size_t i, float *restrict out, float *restrict x, sv_generator *g) {
    const sv_scheduler_config *c = &p->scheduler->config;
    size_t n = p->n, kept = c->solver_order < 3 ? (size_t)c->solver_order : 3;
    float *restrict m0 = p->buffers[HISTORY + p->calls % kept];
    convert(p, i, x, out, m0);
    sv_noise_level to = sv_level_at(p, i + 1), from = sv_level_at(p, i);
    float h = to.lambda - from.lambda;
    int order = order_at(p, i, p->calls);
    weights w = weights_of(c, to, from, h, order);
    const float *restrict z = p->buffers[NOISE];
    if (is_stochastic(c)) sv_sampler_draw(p, g, p->buffers[NOISE]);

    if (order == 1) {
        for (size_t k = 0; k < n; k++) x[k] = w.a * x[k] + w.b0 * m0[k];
    } else if (order == 2) {
        const float *restrict m1 = p->buffers[HISTORY + (p->calls - 1) % kept];
        float r = 1.0f / ((from.lambda - sv_level_at(p, i - 1).lambda) / h);
        for (size_t k = 0; k < n; k++) x[k] = w.a * x[k] + w.b0 * m0[k] + w.b1 * (r * (m0[k] - m1[k]));
    } else {
        const float *restrict m1 = p->buffers[HISTORY + (p->calls - 1) % kept], *restrict m2 = p->buffers[HISTORY + (p->calls - 2) % kept];
        float lambda1 = sv_level_at(p, i - 1).lambda, lambda2 = sv_level_at(p, i - 2).lambda;
        float r0 = (from.lambda - lambda1) / h, r1 = (lambda1 - lambda2) / h;
        float q0 = 1.0f / r0, q1 = 1.0f / r1, share = r0 / (r0 + r1), both = 1.0f / (r0 + r1);
        for (size_t k = 0; k < n; k++) {
            float d10 = q0 * (m0[k] - m1[k]), d11 = q1 * (m1[k] - m2[k]), bend = d10 - d11;
            x[k] = w.a * x[k] + w.b0 * m0[k] + w.b1 * (d10 + share * bend) + w.b2 * (both * bend);
        }
    }
    if (is_stochastic(c))
        for (size_t k = 0; k < n; k++) x[k] = x[k] + w.d * z[k];
}

const sv_scheduler_kind sv_scheduler_dpm_multistep = {
    .info = {"DPMSolverMultistepScheduler", "dpm++", "DPM-Solver and DPM-Solver++, orders 1 to 3, deterministic or SDE"},
    .keys = keys, .integer_timesteps = true, .takes_mu = true, .sigma_family = true, .settle = settle, .plan = plan, .unfit = unfit, .buffers = buffers,
    .scratch = 1u << NOISE,    .step = step, .mix = sv_mix_by_level};
