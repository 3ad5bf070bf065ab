/* unipc.c - UniPC (arXiv 2302.04867): a multistep predictor, and a corrector that uses each model output a second time. */
#include <math.h>
#include <string.h>

#include "diffusion/schedule_math.h"

#define MAX_ORDER 16

static const sv_scheduler_key keys[] = {
    {"num_train_timesteps", "1000"}, {"beta_start", "0.0001"}, {"beta_end", "0.02"},
    {"beta_schedule", "linear", "linear|scaled_linear|squaredcos_cap_v2"},
    {"trained_betas", "null"}, {"solver_order", "2"},
    {"prediction_type", "epsilon", "epsilon|sample|v_prediction|flow_prediction"},
    {"thresholding", "false"}, {"dynamic_thresholding_ratio", "0.995"}, {"sample_max_value", "1.0"}, {"predict_x0", "true"},
    {"solver_type", "bh2"}, {"lower_order_final", "true"}, {"disable_corrector", "[]"}, {"solver_p", "null"},
    {"use_karras_sigmas", "false"}, {"use_exponential_sigmas", "false"}, {"use_beta_sigmas", "false"}, {"use_flow_sigmas", "false"},
    {"flow_shift", "1.0"}, {"timestep_spacing", "linspace"}, {"steps_offset", "0"}, {"final_sigmas_type", "zero"},
    {"rescale_betas_zero_snr", "false"}, {"use_dynamic_shifting", "false"}, {"time_shift_type", "exponential"},
    {"sigma_min", "null"}, {"sigma_max", "null"}, {"shift_terminal", "null"}, {0}};

static sv_status settle(sv_scheduler_config *c, sv_error *err) {
    SV_TRY(sv_check_one_schedule(c, "UniPCMultistepScheduler", err));
    if (!isnan(c->shift_terminal) && !c->use_flow_sigmas)
        return sv_fail(err, SV_E_INPUT, "scheduler config", "UniPCMultistepScheduler: shift_terminal needs use_flow_sigmas");
    if (c->solver_type != SV_SOLVER_BH1) c->solver_type = SV_SOLVER_BH2;   /* names that other solvers' files carry */
    return SV_OK;
}

/* ---- timesteps ---- */

static void flow_sigmas(const sv_sampler *p, size_t steps, double *sigmas) {
    const sv_scheduler_config *c = &p->scheduler->config;
    const double eps = 1e-6;
    for (size_t i = 0; i < steps; i++) {
        double sigma = sv_linspace64(1, 1 / (double)c->num_train_timesteps, steps + 1, i);
        sigmas[i] = c->use_dynamic_shifting ? sv_shift_time(c->time_shift_type, p->options.mu, sigma)
                                            : c->flow_shift * sigma / (1 + (c->flow_shift - 1) * sigma);
    }
    sv_stretch_to_terminal(c->shift_terminal, sigmas, steps);
    if (fabs(sigmas[0] - 1) < eps) sigmas[0] -= eps;   /* alpha must not be 0 */
}

static sv_status plan(sv_sampler *p, sv_error *err) {
    const sv_scheduler *s = p->scheduler;
    const sv_scheduler_config *c = &s->config;
    size_t steps = (size_t)p->options.steps;
    double train_steps = (double)c->num_train_timesteps;
    if (c->use_dynamic_shifting && isnan(p->options.mu)) {
        sv_fail(err, SV_E_INPUT, "UniPCMultistepScheduler", "use_dynamic_shifting needs mu, which follows from the picture's size");
        return sv_hint(err, SV_E_INPUT, "give mu");
    }
    SV_TRY(sv_sampler_reserve(p, steps + 2, true, err));
    p->length = sv_space_timesteps(c, steps, c->num_train_timesteps, true, true, p->timesteps);
    sv_training_sigmas train;
    SV_TRY(sv_training_sigmas_open(&train, s, steps + 2, err));
    double *sigmas = train.scratch, last;
    bool converted = sv_convert_sigmas(c, train.sigmas[train.n - 1], train.sigmas[0], steps, sigmas), as_flow = c->use_flow_sigmas;
    if (converted && c->use_karras_sigmas && as_flow)
        for (size_t i = 0; i < steps; i++) sigmas[i] = sigmas[i] / (sigmas[i] + 1);
    else if (converted)
        as_flow = false;
    else if (as_flow)
        flow_sigmas(p, steps, sigmas);

    if (converted || as_flow) {
        p->length = steps;
        for (size_t i = 0; i < steps; i++) {
            double t = as_flow ? sigmas[i] * train_steps : sv_sigma_to_timestep(sigmas[i], train.logs, train.n);
            p->timesteps[i] = c->use_karras_sigmas && !as_flow ? rint(t) : trunc(t);
        }
        last = sigmas[steps - 1];
    } else {
        for (size_t i = 0; i < p->length; i++) sigmas[i] = sv_interpolate(p->timesteps[i], train.sigmas, train.n);
        last = train.sigmas[0];
    }
    for (size_t i = 0; i < p->length; i++) p->sigmas[i] = (float)sigmas[i];
    p->sigmas[p->length] = c->final_sigmas_type == SV_FINAL_ZERO ? 0.0f : (float)last;
    p->sigma_count = p->length + 1;
    sv_training_sigmas_close(&train);
    return SV_OK;
}

static const char *unfit(const sv_sampler *p) {
    const sv_scheduler_config *c = &p->scheduler->config;
    bool to_zero = p->sigmas[p->length] == 0, high_order_end = !c->lower_order_final && c->solver_order > 1 && p->length > 1;
    if (!c->predict_x0 && c->prediction_type == SV_PREDICT_FLOW) return "flow_prediction needs predict_x0";
    if (to_zero && (c->solver_type == SV_SOLVER_BH1 || high_order_end))
        return "its last step to sigma 0 is not a number with solver_type bh1, or without lower_order_final; set final_sigmas_type to sigma_min";
    return NULL;
}

/* ---- steps ---- */

enum { LAST, DIFFERENCES, HISTORY };   /* buffers: the sample before the latest predictor, weighted differences of outputs, and the outputs */

static size_t kept(const sv_sampler *p) { return (size_t)p->scheduler->config.solver_order + 1; }
static size_t buffers(const sv_sampler *p) { return HISTORY + kept(p); }

/* The model output of `back` calls ago, 0 the present one. */
static float *output(const sv_sampler *p, size_t back) { return p->buffers[HISTORY + (p->calls + kept(p) - back) % kept(p)]; }

static void convert(const sv_sampler *p, size_t i, const float *restrict x, const float *restrict out, float *restrict m) {
    const sv_scheduler_config *c = &p->scheduler->config;
    sv_noise_level l = sv_level_at(p, i);
    size_t n = p->n;
    if (c->predict_x0) {
        if (c->prediction_type == SV_PREDICT_FLOW) {
            float sigma = p->sigmas[i];
            for (size_t k = 0; k < n; k++) m[k] = x[k] - sigma * out[k];
        } else {
            sv_predict_original(c->prediction_type, l.alpha, l.sigma, x, out, m, n);
        }
        if (c->thresholding) sv_sampler_threshold(p, m);
    } else if (c->prediction_type == SV_PREDICT_EPSILON)
        memcpy(m, out, n * sizeof *m);
    else if (c->prediction_type == SV_PREDICT_SAMPLE)
        for (size_t k = 0; k < n; k++) m[k] = (x[k] - l.alpha * out[k]) / l.sigma;
    else
        for (size_t k = 0; k < n; k++) m[k] = l.alpha * out[k] + l.sigma * x[k];
}

/* Solves a x = b for the leading n x n part, in float32 with row pivoting; b becomes x. */
static void solve(float a[MAX_ORDER][MAX_ORDER], float *b, int n) {
    for (int col = 0; col < n; col++) {
        int best = col;
        for (int r = col + 1; r < n; r++)
            if (fabsf(a[r][col]) > fabsf(a[best][col])) best = r;
        for (int k = 0; k < n && best != col; k++) {
            float t = a[col][k];
            a[col][k] = a[best][k];
            a[best][k] = t;
        }
        float t = b[col];
        b[col] = b[best];
        b[best] = t;
        for (int r = col + 1; r < n; r++) {
            float f = a[r][col] / a[col][col];
            for (int k = col + 1; k < n; k++) a[r][k] -= f * a[col][k];
            b[r] -= f * b[col];
        }
    }
    for (int r = n - 1; r >= 0; r--) {
        for (int k = r + 1; k < n; k++) b[r] -= a[r][k] * b[k];
        b[r] /= a[r][r];
    }
}

/* What predictor and corrector share: from the level at index `from` to the one after it, `order` model outputs, the latest `back` calls ago. */
typedef struct uni_step {
    float keep, gain, spread;        /* x := keep * x - gain * m0 - spread * (sum of weighted differences) */
    float ratio[MAX_ORDER];          /* distances in lambda of the earlier outputs, in units of the step; 1 for the end itself */
    float weight[MAX_ORDER];
} uni_step;

/* `unknowns` weights are solved for: the predictor leaves out the end, whose output is not known yet. */
static uni_step plan_step(const sv_sampler *p, size_t from, int order, int unknowns) {
    const sv_scheduler_config *c = &p->scheduler->config;
    sv_noise_level to = sv_level_at(p, from + 1), at = sv_level_at(p, from);
    uni_step u = {0};
    float h = to.lambda - at.lambda, hh = c->predict_x0 ? -h : h, e = sv_texpm1(hh), phi = e / hh - 1.0f;
    float b_h = c->solver_type == SV_SOLVER_BH1 ? hh : e;
    float a[MAX_ORDER][MAX_ORDER] = {{0}};
    double factorial = 1;
    for (int j = 1; j < order; j++) u.ratio[j - 1] = (sv_level_at(p, from - (size_t)j).lambda - at.lambda) / h;
    u.ratio[order - 1] = 1;
    for (int k = 0; k < order; k++) {
        for (int j = 0; j < order; j++) a[k][j] = k == 0 ? 1.0f : k == 1 ? u.ratio[j] : k == 2 ? u.ratio[j] * u.ratio[j] : powf(u.ratio[j], (float)k);
        u.weight[k] = phi * (float)factorial / b_h;
        factorial *= k + 2;
        phi = phi / hh - (float)(1 / factorial);
    }
    if (unknowns == 1) u.weight[0] = 0.5f;   /* the simplified form of the lowest order */
    else solve(a, u.weight, unknowns);
    u.keep = c->predict_x0 ? to.sigma / at.sigma : to.alpha / at.alpha;
    u.gain = (c->predict_x0 ? to.alpha : to.sigma) * e;
    u.spread = (c->predict_x0 ? to.alpha : to.sigma) * b_h;
    return u;
}

/* Sum of weight * (m - m0) / ratio over the earlier outputs. */
static void add_differences(const sv_sampler *p, const uni_step *u, int order, size_t back, float *restrict sum) {
    const float *m0 = output(p, back);
    memset(sum, 0, p->n * sizeof *sum);
    for (int j = 1; j < order; j++) {
        const float *m = output(p, back + (size_t)j);
        float weight = u->weight[j - 1], ratio = u->ratio[j - 1];
        for (size_t k = 0; k < p->n; k++) sum[k] = sum[k] + weight * ((m[k] - m0[k]) / ratio);
    }
}

/* x at index i, from the sample before the latest predictor and now also the output at i. */
static void correct(const sv_sampler *p, size_t i, float *restrict x) {
    int order = p->order;
    uni_step u = plan_step(p, i - 1, order, order);
    float *restrict sum = p->buffers[DIFFERENCES];
    const float *restrict from = p->buffers[LAST], *m0 = output(p, 1), *now = output(p, 0);
    add_differences(p, &u, order, 1, sum);
    float weight = u.weight[order - 1];
    for (size_t k = 0; k < p->n; k++) x[k] = u.keep * from[k] - u.gain * m0[k] - u.spread * (sum[k] + weight * (now[k] - m0[k]));
}

static void predict(const sv_sampler *p, size_t i, float *restrict x) {
    int order = p->order;
    uni_step u = plan_step(p, i, order, order - 1);
    float *restrict sum = p->buffers[DIFFERENCES];
    const float *m0 = output(p, 0);
    add_differences(p, &u, order, 0, sum);
    for (size_t k = 0; k < p->n; k++) x[k] = u.keep * x[k] - u.gain * m0[k] - u.spread * sum[k];
}

static bool corrects(const sv_sampler *p, size_t i) {
    const sv_scheduler_config *c = &p->scheduler->config;
    if (i == 0 || p->calls == 0) return false;
    for (size_t k = 0; k < c->disable_count; k++)
        if (c->disable_corrector[k] == (int64_t)i - 1) return false;
    return true;
}

static void step(sv_sampler *p, size_t i, float *restrict out, float *restrict x, sv_generator *g) {
    const sv_scheduler_config *c = &p->scheduler->config;
    convert(p, i, x, out, output(p, 0));
    if (corrects(p, i)) correct(p, i, x);
    size_t order = (size_t)c->solver_order;
    if (c->lower_order_final && order > p->length - i) order = p->length - i;
    if (order > p->calls + 1) order = p->calls + 1;
    p->order = (int)order;
    memcpy(p->buffers[LAST], x, p->n * sizeof *x);
    predict(p, i, x);
}

const sv_scheduler_kind sv_scheduler_unipc = {
    .info = {"UniPCMultistepScheduler", "unipc", "UniPC predictor and corrector, any order"},
    .keys = keys, .integer_timesteps = true, .takes_mu = true, .sigma_family = true, .settle = settle, .plan = plan, .unfit = unfit, .buffers = buffers,
    .scratch = 1u << DIFFERENCES,    .step = step, .mix = sv_mix_by_level};
