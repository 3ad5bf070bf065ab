/* schedule_math.c - betas, spacings, sigma schedules. See schedule_math.h. Formulas: diffusers 0.42.1, schedulers/scheduling_*.py. */
#include "diffusion/schedule_math.h"

#include <math.h>
#include <stdlib.h>

/* ---- betas ---- */

size_t sv_beta_count(const sv_scheduler_config *c) {
    return c->trained_betas ? c->trained_count : (size_t)c->num_train_timesteps;
}

/* The continuous alpha_bar(t), t in [0, 1], of the schedules that are defined by it. */
static double alpha_bar(int schedule, double t) {
    if (schedule == SV_BETAS_EXP) return exp(t * -12.0);
    if (schedule == SV_BETAS_LAPLACE) {
        double lambda = -0.5 * copysign(1, 0.5 - t) * log(1 - 2 * fabs(0.5 - t) + 1e-6);
        double snr = exp(lambda);
        return sqrt(snr / (1 + snr));
    }
    double c = cos((t + 0.008) / 1.008 * M_PI / 2);
    return c * c;
}

static void fill_betas(const sv_scheduler_config *c, float *out, size_t n) {
    float b0 = (float)c->beta_start;
    for (size_t i = 0; i < n; i++) {
        if (c->trained_betas) {
            out[i] = (float)c->trained_betas[i];
            continue;
        }
        switch (c->beta_schedule) {
        case SV_BETAS_LINEAR: out[i] = sv_linspace32(b0, (float)c->beta_end, n, i); break;
        case SV_BETAS_SCALED_LINEAR: {
            float root = sv_linspace32((float)pow(c->beta_start, 0.5), (float)pow(c->beta_end, 0.5), n, i);
            out[i] = root * root;
            break;
        }
        case SV_BETAS_SIGMOID: {
            float x = sv_linspace32(-6, 6, n, i), s = (float)(1.0 / (1.0 + exp(-(double)x)));
            out[i] = s * (float)(c->beta_end - c->beta_start) + b0;
            break;
        }
        default: {
            double beta = 1 - alpha_bar(c->beta_schedule, (double)(i + 1) / (double)n) / alpha_bar(c->beta_schedule, (double)i / (double)n);
            out[i] = (float)(beta < 0.999 ? beta : 0.999);
        }
        }
    }
}

/* torch.cumprod multiplies in double and stores float32. */
static void cumulate(const float *betas, float *out, size_t n) {
    double product = 1;
    for (size_t i = 0; i < n; i++) {
        product *= 1.0f - betas[i];
        out[i] = (float)product;
    }
}

/* Shifts sqrt(alphas_cumprod) so that the last is zero, scales it so that the first is what it was, and goes back to betas. */
static void rescale_zero_snr(float *betas, float *a, size_t n) {
    cumulate(betas, a, n);
    for (size_t i = 0; i < n; i++) a[i] = sv_tsqrt(a[i]);
    float first = a[0], last = a[n - 1], scale = first / (first - last);
    for (size_t i = 0; i < n; i++) {
        float root = (a[i] - last) * scale;
        a[i] = root * root;
    }
    betas[0] = 1.0f - a[0];
    for (size_t i = 1; i < n; i++) betas[i] = 1.0f - a[i] / a[i - 1];
}

void sv_alphas_cumprod(const sv_scheduler_config *c, bool keep_finite, float *betas, float *out) {
    size_t n = sv_beta_count(c);
    fill_betas(c, betas, n);
    if (c->rescale_betas_zero_snr) rescale_zero_snr(betas, out, n);
    cumulate(betas, out, n);
    if (c->rescale_betas_zero_snr && keep_finite) out[n - 1] = 0x1p-24f;
}

float sv_sigma_of_alpha(float a) { return sv_tsqrt((1.0f - a) / a); }

sv_status sv_training_sigmas_open(sv_training_sigmas *out, const sv_scheduler *s, size_t scratch, sv_error *err) {
    *out = (sv_training_sigmas){.n = s->levels};
    out->sigmas = calloc(s->levels, sizeof(float));
    out->logs = calloc(s->levels, sizeof(float));
    out->scratch = calloc(scratch + 1, sizeof(double));
    if (!out->sigmas || !out->logs || !out->scratch) {
        sv_training_sigmas_close(out);
        return sv_fail_memory(err, "sampler", s->levels * 2 * sizeof(float));
    }
    for (size_t i = 0; i < s->levels; i++) {
        out->sigmas[i] = sv_sigma_of_alpha(s->alphas_cumprod[i]);
        out->logs[i] = sv_log32(out->sigmas[i]);
    }
    return SV_OK;
}

void sv_training_sigmas_close(sv_training_sigmas *t) {
    free(t->sigmas);
    free(t->logs);
    free(t->scratch);
    *t = (sv_training_sigmas){0};
}

/* ---- building blocks ---- */

double sv_linspace64(double first, double last, size_t n, size_t i) {
    if (n == 1) return first;
    if (i == n - 1) return last;
    double step = (last - first) / (double)(n - 1);
    return (double)i * step + first;
}

double sv_interpolate(double x, const float *values, size_t n) {
    if (!(x > 0)) return values[0];
    if (x >= (double)(n - 1)) return values[n - 1];
    size_t j = (size_t)x;
    double low = values[j], at = (double)j;
    if (x == at) return low;
    return ((double)values[j + 1] - low) * (x - at) + low;
}

double sv_sigma_to_timestep(double sigma, const float *log_sigmas, size_t n) {
    if (n < 2) return 0;
    double log_sigma = log(sigma > 1e-10 ? sigma : 1e-10);
    size_t low = n - 1;
    while (low > 0 && !(log_sigma - (double)log_sigmas[low] >= 0)) low--;
    if (low > n - 2) low = n - 2;
    float gap = log_sigmas[low] - log_sigmas[low + 1];
    double w = ((double)log_sigmas[low] - log_sigma) / (double)gap;
    if (w < 0) w = 0;
    if (w > 1) w = 1;
    return (1 - w) * (double)low + w * (double)(low + 1);
}

/* ---- spacings (table 2 of arXiv 2305.08891) ---- */

/* numpy.arange(last, 0, -T / steps), rounded, minus one. The quotient is not exact, so that for some step counts (61 of 1000) one value more
 * than asked for comes out, as in diffusers. */
static size_t space_trailing(double train, double last, size_t steps, double *out) {
    double ratio = train / (double)steps;
    double second = last - ratio, delta = second - last;
    double count = ceil((0 - last) / -ratio);
    size_t n = count > 0 ? (size_t)count : 0;
    if (n > steps + 2) n = steps + 2;
    for (size_t i = 0; i < n; i++) out[i] = rint(i == 1 ? second : last + (double)i * delta) - 1;
    return n;
}

size_t sv_space_timesteps(const sv_scheduler_config *c, size_t steps, int64_t last, bool multistep, bool whole, double *out) {
    size_t points = steps + multistep;
    switch (c->timestep_spacing) {
    case SV_SPACE_TRAILING: return space_trailing((double)c->num_train_timesteps, (double)last, steps, out);
    case SV_SPACE_LEADING: {
        int64_t stride = (int64_t)floor((double)last / (double)points);
        for (size_t i = 0; i < steps; i++) out[i] = (double)((int64_t)(points - 1 - i) * stride + c->steps_offset);
        return steps;
    }
    default:
        for (size_t i = 0; i < steps; i++) {
            double t = sv_linspace64(0, (double)(last - 1), points, points - 1 - i);
            out[i] = whole ? rint(t) : (double)(float)t;
        }
        return steps;
    }
}

/* ---- sigma schedules ---- */

void sv_karras_sigmas(double first, double last, size_t n, double *out) {
    const double rho = 7.0;
    double high = pow(first, 1 / rho), low = pow(last, 1 / rho);
    for (size_t i = 0; i < n; i++) out[i] = pow(high + sv_linspace64(0, 1, n, i) * (low - high), rho);
}

void sv_exponential_sigmas(double first, double last, size_t n, double *out) {
    double high = log(first), low = log(last);
    for (size_t i = 0; i < n; i++) out[i] = exp(sv_linspace64(high, low, n, i));
}

void sv_beta_sigmas(double first, double last, size_t n, double *out) {
    for (size_t i = 0; i < n; i++) out[i] = last + sv_beta_quantile(1 - sv_linspace64(0, 1, n, i), 0.6, 0.6) * (first - last);
}

bool sv_convert_sigmas(const sv_scheduler_config *c, double first, double last, size_t n, double *out) {
    if (!isnan(c->sigma_max)) first = c->sigma_max;
    if (!isnan(c->sigma_min)) last = c->sigma_min;
    if (c->use_karras_sigmas) sv_karras_sigmas(first, last, n, out);
    else if (c->use_exponential_sigmas) sv_exponential_sigmas(first, last, n, out);
    else if (c->use_beta_sigmas) sv_beta_sigmas(first, last, n, out);
    else return false;
    return true;
}

double sv_shift_time(int type, double mu, double sigma) {
    double weight = type == SV_SHIFT_EXPONENTIAL ? exp(mu) : mu;
    return weight / (weight + (1 / sigma - 1));
}

void sv_stretch_to_terminal(double terminal, double *sigmas, size_t n) {
    if (isnan(terminal) || terminal == 0) return;
    double scale = (1 - sigmas[n - 1]) / (1 - terminal);
    for (size_t i = 0; i < n; i++) sigmas[i] = 1 - (1 - sigmas[i]) / scale;
}
