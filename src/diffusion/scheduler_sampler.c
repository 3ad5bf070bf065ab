/* scheduler_sampler.c - one run of a scheduler: options, timesteps, memory, and what the classes' steps share. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "diffusion/schedule_math.h"

#define MAX_STEPS 10000

void sv_sample_options_init(sv_sample_options *o, int steps) {
    *o = (sv_sample_options){.steps = steps, .mu = NAN, .s_tmax = INFINITY, .s_noise = 1};
}

/* ---- opening ---- */

static sv_status check_finite(const sv_sampler *p, sv_error *err) {
    bool fine = true;
    for (size_t i = 0; i < p->length; i++) fine = fine && isfinite(p->timesteps[i]);
    for (size_t i = 0; i < p->sigma_count; i++) fine = fine && isfinite(p->sigmas[i]);
    if (!p->length) return sv_fail(err, SV_E_INPUT, sv_scheduler_class(p->scheduler), "this configuration leaves no timestep");
    if (fine) return SV_OK;
    sv_fail(err, SV_E_INPUT, sv_scheduler_class(p->scheduler), "with this configuration and %d steps the schedule is not finite", p->options.steps);
    return sv_hint(err, SV_E_INPUT, "look at sigma_min, sigma_max, the shifts and trained_betas");
}

/* The classes without sigmas look their timesteps up in alphas_cumprod. */
static sv_status check_timesteps(const sv_sampler *p, sv_error *err) {
    double levels = (double)p->scheduler->levels;
    for (size_t i = 0; i < p->length; i++)
        if (p->timesteps[i] >= levels || p->timesteps[i] < -levels) {
            sv_fail(err, SV_E_INPUT, sv_scheduler_class(p->scheduler), "with %d steps it reaches timestep %.0f, but there are only %zu", p->options.steps,
                    p->timesteps[i], p->scheduler->levels);
            return sv_hint(err, SV_E_INPUT, "fewer steps, or a smaller steps_offset");
        }
    return SV_OK;
}

static sv_status allocate(sv_sampler *p, sv_error *err) {
    size_t count = p->scheduler->kind->buffers ? p->scheduler->kind->buffers(p) : 0;
    for (size_t i = 0; i < count; i++) {
        p->buffers[i] = malloc(p->n * sizeof(float));
        if (!p->buffers[i]) return sv_fail_memory(err, "sampler", p->n * sizeof(float));
    }
    if (p->scheduler->config.thresholding && !(p->sort = malloc(p->per_sample * sizeof(float))))
        return sv_fail_memory(err, "sampler", p->per_sample * sizeof(float));
    return SV_OK;
}

sv_status sv_sampler_open(sv_sampler **out, const sv_scheduler *s, const sv_sample_options *o, size_t samples, size_t values_per_sample, sv_error *err) {
    *out = NULL;
    const char *name = sv_scheduler_class(s);
    if (o->steps < 1 || o->steps > MAX_STEPS) return sv_fail(err, SV_E_INPUT, name, "steps is %d; it is from 1 to %d", o->steps, MAX_STEPS);
    if (!isnan(o->mu) && !s->kind->takes_mu) return sv_fail(err, SV_E_INPUT, name, "it takes no mu, which belongs to dynamic shifting");
    if (values_per_sample && samples > SIZE_MAX / sizeof(float) / values_per_sample) return sv_fail_memory(err, name, SIZE_MAX);
    sv_sampler *p = calloc(1, sizeof *p);
    if (!p) return sv_fail_memory(err, name, sizeof *p);
    p->scheduler = s;
    p->options = *o;
    p->samples = samples;
    p->per_sample = values_per_sample;
    p->n = samples * values_per_sample;
    p->init_noise_sigma = 1;
    sv_status st;
    SV_TRY_GOTO(done, s->kind->plan(p, err));
    SV_TRY_GOTO(done, check_finite(p, err));
    if (p->n) {
        SV_TRY_GOTO(done, sv_scheduler_allows(s->kind, "prediction_type", &s->config, err));
        SV_TRY_GOTO(done, p->sigmas ? SV_OK : check_timesteps(p, err));
        const char *why = s->kind->unfit ? s->kind->unfit(p) : NULL;
        SV_TRY_GOTO(done, why ? sv_fail(err, SV_E_INPUT, name, "%s", why) : SV_OK);
        SV_TRY_GOTO(done, allocate(p, err));
    }
    *out = p;
    p = NULL;
done:
    sv_sampler_close(&p);
    return st;
}

void sv_sampler_close(sv_sampler **p) {
    if (!*p) return;
    for (size_t i = 0; i < SV_SAMPLER_BUFFERS; i++) free((*p)->buffers[i]);
    free((*p)->timesteps);
    free((*p)->sigmas);
    free((*p)->sort);
    free(*p);
    *p = NULL;
}

void sv_sampler_restart(sv_sampler *p) {
    p->calls = 0;
    p->order = 0;
}

sv_status sv_sampler_reserve(sv_sampler *p, size_t capacity, bool sigmas, sv_error *err) {
    p->capacity = capacity;
    p->timesteps = calloc(capacity, sizeof(double));
    if (sigmas) p->sigmas = calloc(capacity + 1, sizeof(float));
    return p->timesteps && (p->sigmas || !sigmas) ? SV_OK : sv_fail_memory(err, "sampler", capacity * sizeof(double));
}

/* ---- running ---- */

size_t sv_sampler_length(const sv_sampler *p) { return p->length; }
const double *sv_sampler_timesteps(const sv_sampler *p) { return p->timesteps; }
bool sv_sampler_timesteps_are_integers(const sv_sampler *p) { return p->scheduler->kind->integer_timesteps; }
float sv_sampler_init_noise_sigma(const sv_sampler *p) { return p->init_noise_sigma; }

const float *sv_sampler_sigmas(const sv_sampler *p, size_t *count) {
    *count = p->sigma_count;
    return p->sigmas;
}

void sv_sampler_scale_input(const sv_sampler *p, size_t i, const float *x, float *out) {
    if (!p->scheduler->kind->scales_input) {
        if (out != x) memcpy(out, x, p->n * sizeof(float));
        return;
    }
    float sigma = p->sigmas[i], scale = sv_tsqrt(sigma * sigma + 1.0f);
    for (size_t k = 0; k < p->n; k++) out[k] = x[k] / scale;
}

sv_status sv_sampler_step(sv_sampler *p, size_t i, float *model_out, float *x, sv_generator *g, sv_error *err) {
    if (i >= p->length || (p->calls && i != p->last + 1))
        return sv_fail(err, SV_E_INTERNAL, sv_scheduler_class(p->scheduler), "step %zu of %zu is out of order", i, p->length);
    p->scheduler->kind->step(p, i, model_out, x, g);
    p->calls++;
    p->last = i;
    return SV_OK;
}

void sv_sampler_add_noise(const sv_sampler *p, size_t i, const float *x, const float *noise, float *out) {
    float a, b;
    p->scheduler->kind->mix(p, i, &a, &b);
    for (size_t k = 0; k < p->n; k++) out[k] = a * x[k] + b * noise[k];
}

/* ---- halting ---- */

static bool remembers(const sv_sampler *p, size_t buffer) {
    return p->buffers[buffer] && !(p->scheduler->kind->scratch >> buffer & 1);
}

size_t sv_sampler_memory(const sv_sampler *p) {
    size_t n = 0;
    for (size_t i = 0; i < SV_SAMPLER_BUFFERS; i++) n += remembers(p, i) ? p->per_sample : 0;
    return n;
}

void sv_sampler_save(const sv_sampler *p, size_t sample, float *out) {
    for (size_t i = 0; i < SV_SAMPLER_BUFFERS; i++) {
        if (!remembers(p, i)) continue;
        memcpy(out, p->buffers[i] + sample * p->per_sample, p->per_sample * sizeof *out);
        out += p->per_sample;
    }
}

void sv_sampler_load(sv_sampler *p, size_t sample, const float *in) {
    for (size_t i = 0; i < SV_SAMPLER_BUFFERS; i++) {
        if (!remembers(p, i)) continue;
        memcpy(p->buffers[i] + sample * p->per_sample, in, p->per_sample * sizeof *in);
        in += p->per_sample;
    }
}

/* Every class says with mix how picture and noise make a sample, x = s x0 + n z; the rest is what the output means. v is s' z - n' x0 with both
 * divided by r = sqrt(s^2 + n^2), which is 1 except where samples are kept unscaled (s = 1, the Euler family). */
void sv_sampler_predict(const sv_sampler *p, size_t i, const float *model_out, const float *x, float *x0) {
    const sv_scheduler_kind *kind = p->scheduler->kind;
    int type = kind->plain_time ? SV_PREDICT_FLOW : p->scheduler->config.prediction_type;
    float s, n;
    kind->mix(p, i, &s, &n);
    if (type == SV_PREDICT_FLOW) {
        float way = (kind->plain_time ? p->sigmas[p->length] : 0) - p->sigmas[i];
        for (size_t k = 0; k < p->n; k++) x0[k] = x[k] + way * model_out[k];
    } else if (type == SV_PREDICT_V) {
        float r2 = s * s + n * n, r = sv_tsqrt(r2);
        for (size_t k = 0; k < p->n; k++) x0[k] = s * x[k] / r2 - n * model_out[k] / r;
    } else {
        sv_predict_original(type, s, n, x, model_out, x0, p->n);
    }
    sv_sampler_limit(p, x0);
}

/* ---- shared by the classes ---- */

void sv_sampler_draw(const sv_sampler *p, sv_generator *g, float *out) {
    for (size_t s = 0; s < p->samples; s++) sv_randn(&g[s], out + s * p->per_sample, p->per_sample);
}

/* The k-th smallest of n values, which are reordered: smaller ones before it, larger ones after (Hoare's selection). */
static float select_kth(float *v, size_t n, size_t k) {
    size_t low = 0, high = n - 1;
    while (low < high) {
        float pivot = v[low + (high - low) / 2];
        size_t i = low, j = high;
        for (;;) {
            while (v[i] < pivot) i++;
            while (v[j] > pivot) j--;
            if (i >= j) break;
            float t = v[i];
            v[i++] = v[j];
            v[j--] = t;
        }
        if (k <= j) high = j;
        else low = j + 1;
    }
    return v[k];
}

/* torch.quantile with linear interpolation; position and weight are float32 there. v is reordered. */
static float quantile(float *v, size_t n, float q) {
    float rank = q * (float)(n - 1);
    size_t below = (size_t)rank;
    if (below >= n - 1) return select_kth(v, n, n - 1);
    float low = select_kth(v, n, below), weight = rank - (float)below;
    if (weight == 0) return low;
    float high = v[below + 1];
    for (size_t i = below + 2; i < n; i++) high = v[i] < high ? v[i] : high;
    return weight < 0.5f ? low + weight * (high - low) : high - (high - low) * (1.0f - weight);
}

void sv_sampler_threshold(const sv_sampler *p, float *x0) {
    const sv_scheduler_config *c = &p->scheduler->config;
    for (size_t s = 0; s < p->samples; s++) {
        float *v = x0 + s * p->per_sample;
        bool finite = true;
        for (size_t i = 0; i < p->per_sample; i++) {
            p->sort[i] = fabsf(v[i]);
            finite = finite && isfinite(v[i]);
        }
        if (!finite) continue;   /* the picture is lost, and selection needs an order */
        float limit = quantile(p->sort, p->per_sample, (float)c->dynamic_thresholding_ratio);
        if (limit < 1) limit = 1;
        if (limit > (float)c->sample_max_value) limit = (float)c->sample_max_value;
        for (size_t i = 0; i < p->per_sample; i++) {
            float x = v[i] < -limit ? -limit : v[i];
            v[i] = (x > limit ? limit : x) / limit;
        }
    }
}

void sv_sampler_limit(const sv_sampler *p, float *x0) {
    const sv_scheduler_config *c = &p->scheduler->config;
    if (c->thresholding) sv_sampler_threshold(p, x0);
    else if (c->clip_sample) {
        float high = (float)c->clip_sample_range, low = (float)-c->clip_sample_range;
        for (size_t i = 0; i < p->n; i++) {
            float x = x0[i] < low ? low : x0[i];
            x0[i] = x > high ? high : x;
        }
    }
}

void sv_predict_original(int prediction_type, float signal, float noise, const float *x, const float *out, float *x0, size_t n) {
    if (prediction_type == SV_PREDICT_EPSILON)
        for (size_t i = 0; i < n; i++) x0[i] = (x[i] - noise * out[i]) / signal;
    else if (prediction_type == SV_PREDICT_V)
        for (size_t i = 0; i < n; i++) x0[i] = signal * x[i] - noise * out[i];
    else if (x0 != out)
        memcpy(x0, out, n * sizeof(float));
}

float sv_alpha_at(const sv_scheduler *s, int64_t t) {
    int64_t at = t < 0 ? t + (int64_t)s->levels : t, last = (int64_t)s->levels - 1;
    return s->alphas_cumprod[at < 0 ? 0 : at > last ? last : at];
}

void sv_mix_by_alpha(const sv_sampler *p, size_t i, float *signal, float *noise) {
    float a = sv_alpha_at(p->scheduler, (int64_t)p->timesteps[i]);
    *signal = sv_tsqrt(a);
    *noise = sv_tsqrt(1.0f - a);
}

void sv_mix_by_sigma(const sv_sampler *p, size_t i, float *signal, float *noise) {
    *signal = 1;
    *noise = p->sigmas[i];
}

sv_noise_level sv_level_at(const sv_sampler *p, size_t i) {
    sv_noise_level l;
    float sigma = p->sigmas[i];
    if (p->scheduler->config.use_flow_sigmas) {
        l.alpha = 1.0f - sigma;
        l.sigma = sigma;
    } else {
        l.alpha = 1.0f / sv_tsqrt(sigma * sigma + 1.0f);
        l.sigma = sigma * l.alpha;
    }
    l.lambda = sv_tlog(l.alpha) - sv_tlog(l.sigma);
    return l;
}

void sv_mix_by_level(const sv_sampler *p, size_t i, float *signal, float *noise) {
    sv_noise_level l = sv_level_at(p, i);
    *signal = l.alpha;
    *noise = l.sigma;
}

float sv_init_sigma(const sv_sampler *p) {
    float most = p->sigmas[0];
    for (size_t i = 1; i < p->sigma_count; i++) most = p->sigmas[i] > most ? p->sigmas[i] : most;
    return p->scheduler->config.timestep_spacing == SV_SPACE_LEADING ? sv_tsqrt(most * most + 1.0f) : most;
}

sv_status sv_check_one_schedule(const sv_scheduler_config *c, const char *name, sv_error *err) {
    if (c->use_karras_sigmas + c->use_exponential_sigmas + c->use_beta_sigmas <= 1) return SV_OK;
    return sv_fail(err, SV_E_INPUT, "scheduler config", "%s: only one of use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas can be true", name);
}

sv_status sv_check_steps(const sv_sampler *p, sv_error *err) {
    int64_t most = p->scheduler->config.num_train_timesteps;
    if (p->options.steps <= most) return SV_OK;
    return sv_fail(err, SV_E_INPUT, sv_scheduler_class(p->scheduler), "%d steps are more than its %lld training timesteps", p->options.steps,
                   (long long)most);
}
