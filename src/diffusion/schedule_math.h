/* schedule_math.h - the arithmetic of noise schedules, rounded as numpy and PyTorch round it.
 *
 * diffusers computes schedules partly in float32 tensors, partly in float64 arrays, and sometimes rounds or truncates the result to whole
 * timesteps, so that the last bit can decide a timestep. Each function here says which width it follows.
 */
#ifndef SV_DIFFUSION_SCHEDULE_MATH_H
#define SV_DIFFUSION_SCHEDULE_MATH_H

#include "diffusion/scheduler.h"

/* Number of betas of a configuration. */
size_t sv_beta_count(const sv_scheduler_config *c);
/* alphas_cumprod, sv_beta_count values, after the rescaling for zero terminal SNR if asked for (arXiv 2305.08891, algorithm 1); the last is
 * then 0, or 2^-24 if `keep_finite`. betas: room for as many floats. */
void sv_alphas_cumprod(const sv_scheduler_config *c, bool keep_finite, float *betas, float *out);
/* sigma = sqrt((1 - a) / a), float32. */
float sv_sigma_of_alpha(float alpha_cumprod);

/* The training sigmas in ascending order, their logarithms (numpy's), and room for `scratch` doubles. */
typedef struct sv_training_sigmas {
    float *sigmas, *logs;
    size_t n;
    double *scratch;
} sv_training_sigmas;
sv_status sv_training_sigmas_open(sv_training_sigmas *out, const sv_scheduler *s, size_t scratch, sv_error *err);
void sv_training_sigmas_close(sv_training_sigmas *t);

/* torch.linspace in float32, element i of n. */
float sv_linspace32(float first, float last, size_t n, size_t i);
/* numpy.linspace in float64, element i of n. */
double sv_linspace64(double first, double last, size_t n, size_t i);
/* numpy.log of a float32. */
float sv_log32(float x);
/* torch's float32 sqrt, log, exp, expm1; the first to the bit. */
float sv_tsqrt(float x);
float sv_tlog(float x);
float sv_texp(float x);
float sv_texpm1(float x);

/* numpy.interp(x, arange(n), values): clamped at both ends, float64. */
double sv_interpolate(double x, const float *values, size_t n);
/* The (fractional) timestep of a sigma, by interpolation among the logarithms of the training sigmas in ascending order. */
double sv_sigma_to_timestep(double sigma, const float *log_sigmas, size_t n);

/* Descending timesteps into out (steps + 2 values of room); returns how many. `last`: one more than the largest (num_train_timesteps unless
 * clipped). `multistep`: the DPM-Solver family divides into one interval more and leaves out the end. `whole`: linspace is rounded. */
size_t sv_space_timesteps(const sv_scheduler_config *c, size_t steps, int64_t last, bool multistep, bool whole, double *out);

/* Sigma schedules from `first` (largest) to `last` in n steps, float64: Karras et al. 2022 with rho 7; evenly spaced logarithms; quantiles of
 * Beta(0.6, 0.6) (arXiv 2407.12173). */
void sv_karras_sigmas(double first, double last, size_t n, double *out);
void sv_exponential_sigmas(double first, double last, size_t n, double *out);
void sv_beta_sigmas(double first, double last, size_t n, double *out);
/* Whichever of the three the configuration asks for; false if none. config's sigma_max and sigma_min replace first and last. */
bool sv_convert_sigmas(const sv_scheduler_config *c, double first, double last, size_t n, double *out);

/* A flow sigma under dynamic shifting: exp(mu) / (exp(mu) + 1/sigma - 1), or with mu itself for linear. */
double sv_shift_time(int type, double mu, double sigma);
/* Stretches n flow sigmas so that the last becomes `terminal`; NaN and 0 mean no. */
void sv_stretch_to_terminal(double terminal, double *sigmas, size_t n);

/* Quantile p of the Beta(a, b) distribution: inverse of the regularised incomplete beta function (incomplete_beta.c). */
double sv_beta_quantile(double p, double a, double b);

#endif
