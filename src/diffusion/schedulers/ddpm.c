/* ddpm.c - ancestral sampling of denoising diffusion models (arXiv 2006.11239), on a sub-sequence of the timesteps. */
#include <math.h>

#include "diffusion/schedule_math.h"

static const sv_scheduler_key keys[] = {
    {"num_train_timesteps", "1000"}, {"beta_start", "0.0001"}, {"beta_end", "0.02"},
    {"beta_schedule", "linear", "linear|scaled_linear|squaredcos_cap_v2|sigmoid|laplace"},
    {"trained_betas", "null"}, {"variance_type", "fixed_small"}, {"clip_sample", "true"},
    {"prediction_type", "epsilon", "epsilon|sample|v_prediction"},
    {"thresholding", "false"}, {"dynamic_thresholding_ratio", "0.995"}, {"clip_sample_range", "1.0"}, {"sample_max_value", "1.0"},
    {"timestep_spacing", "leading"}, {"steps_offset", "0"}, {"rescale_betas_zero_snr", "false"}, {0}};

static sv_status plan(sv_sampler *p, sv_error *err) {
    const sv_scheduler_config *c = &p->scheduler->config;
    size_t steps = (size_t)p->options.steps;
    SV_TRY(sv_check_steps(p, err));
    SV_TRY(sv_sampler_reserve(p, steps + 2, false, err));
    p->length = sv_space_timesteps(c, steps, c->num_train_timesteps, false, true, p->timesteps);
    return SV_OK;
}

static const char *unfit(const sv_sampler *p) {
    int type = p->scheduler->config.variance_type;
    if (type == SV_VARIANCE_LEARNED || type == SV_VARIANCE_LEARNED_RANGE)
        return "models that predict their variance (variance_type learned) are not supported";
    if (type == SV_VARIANCE_FIXED_LARGE_LOG) return "variance_type fixed_large_log takes the root of a negative number; use fixed_large";
    return NULL;
}

static size_t buffers(const sv_sampler *p) { return 2; }

/* How far the fresh noise of a step spreads. beta: of the whole step from t down. */
static float deviation(int type, float variance, float beta) {
    if (!(variance > 1e-20f)) variance = 1e-20f;
    if (type == SV_VARIANCE_FIXED_SMALL_LOG) return sv_texp(0.5f * sv_tlog(variance));
    return sv_tsqrt(type == SV_VARIANCE_FIXED_LARGE ? beta : variance);
}

/* Formula 7. */
static void step(sv_sampler *p, size_t i, float *restrict out, float *restrict x, sv_generator *g) {
    const sv_scheduler_config *c = &p->scheduler->config;
    int64_t t = (int64_t)p->timesteps[i], before = i + 1 < p->length ? (int64_t)p->timesteps[i + 1] : -1;
    float a = sv_alpha_at(p->scheduler, t), a_before = before >= 0 ? sv_alpha_at(p->scheduler, before) : 1.0f;
    float b = 1.0f - a, b_before = 1.0f - a_before, alpha = a / a_before, beta = 1.0f - alpha;
    float *restrict x0 = p->buffers[0];
    sv_predict_original(c->prediction_type, sv_tsqrt(a), sv_tsqrt(b), x, out, x0, p->n);
    sv_sampler_limit(p, x0);
    float from_x0 = sv_tsqrt(a_before) * beta / b, from_x = sv_tsqrt(alpha) * b_before / b;
    for (size_t k = 0; k < p->n; k++) x[k] = from_x0 * x0[k] + from_x * x[k];
    if (t > 0) {
        float *restrict z = p->buffers[1], spread = deviation(c->variance_type, b_before / b * beta, beta);
        sv_sampler_draw(p, g, z);
        for (size_t k = 0; k < p->n; k++) x[k] = x[k] + spread * z[k];
    }
}

const sv_scheduler_kind sv_scheduler_ddpm = {
    .info = {"DDPMScheduler", "ddpm", "ancestral sampling; stochastic, for many steps"},
    .keys = keys, .integer_timesteps = true, .plan = plan, .unfit = unfit, .buffers = buffers, .scratch = 3, .step = step, .mix = sv_mix_by_alpha};
