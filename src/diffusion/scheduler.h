/* scheduler.h - what the registry, the shared arithmetic and the classes in schedulers/ agree on. See docs/SCHEDULERS.md.
 *
 * A class is one file in schedulers/ that defines a const sv_scheduler_kind, and one line in the table of scheduler.c. Everything follows
 * diffusers 0.42.1, down to the order and the width (float32, float64) of each operation: "as diffusers" below means that.
 */
#ifndef SV_DIFFUSION_SCHEDULER_H
#define SV_DIFFUSION_SCHEDULER_H

#include "base/error.h"
#include "synthvlm/diffusion.h"

/* ---- configuration ---- */

/* The values of the keys that are names, in the order of the key table in scheduler_config.c. */
typedef enum sv_beta_schedule {
    SV_BETAS_LINEAR, SV_BETAS_SCALED_LINEAR, SV_BETAS_SQUAREDCOS, SV_BETAS_EXP, SV_BETAS_SIGMOID, SV_BETAS_LAPLACE
} sv_beta_schedule;
typedef enum sv_prediction { SV_PREDICT_EPSILON, SV_PREDICT_V, SV_PREDICT_SAMPLE, SV_PREDICT_ORIGINAL_SAMPLE, SV_PREDICT_FLOW } sv_prediction;
typedef enum sv_spacing { SV_SPACE_LEADING, SV_SPACE_TRAILING, SV_SPACE_LINSPACE } sv_spacing;
typedef enum sv_final_sigma { SV_FINAL_ZERO, SV_FINAL_SIGMA_MIN } sv_final_sigma;
typedef enum sv_interpolation { SV_INTERPOLATE_LINEAR, SV_INTERPOLATE_LOG_LINEAR } sv_interpolation;
typedef enum sv_timestep_type { SV_TIMESTEPS_DISCRETE, SV_TIMESTEPS_CONTINUOUS } sv_timestep_type;
typedef enum sv_time_shift { SV_SHIFT_EXPONENTIAL, SV_SHIFT_LINEAR } sv_time_shift;
typedef enum sv_solver_type { SV_SOLVER_MIDPOINT, SV_SOLVER_HEUN, SV_SOLVER_LOGRHO, SV_SOLVER_BH1, SV_SOLVER_BH2 } sv_solver_type;
typedef enum sv_algorithm { SV_DPM, SV_DPM_PP, SV_SDE_DPM, SV_SDE_DPM_PP, SV_DEIS } sv_algorithm;
typedef enum sv_variance {
    SV_VARIANCE_NONE = -1, SV_VARIANCE_FIXED_SMALL, SV_VARIANCE_FIXED_SMALL_LOG, SV_VARIANCE_FIXED_LARGE, SV_VARIANCE_FIXED_LARGE_LOG,
    SV_VARIANCE_LEARNED, SV_VARIANCE_LEARNED_RANGE
} sv_variance;

/* Every key of every class; a class sees only those of its own list. A null real is NaN, a null name -1, a null list NULL. */
typedef struct sv_scheduler_config {
    int64_t num_train_timesteps, steps_offset, solver_order, original_inference_steps, base_image_seq_len, max_image_seq_len;
    double beta_start, beta_end, clip_sample_range, dynamic_thresholding_ratio, sample_max_value, sigma_min, sigma_max, lambda_min_clipped, flow_shift;
    double timestep_scaling, shift, base_shift, max_shift, shift_terminal;
    int beta_schedule, prediction_type, timestep_spacing, final_sigmas_type, interpolation_type, timestep_type, time_shift_type, solver_type;
    int algorithm_type, variance_type, solver_p;
    bool clip_sample, set_alpha_to_one, thresholding, rescale_betas_zero_snr, skip_prk_steps, use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas;
    bool use_lu_lambdas, use_flow_sigmas, lower_order_final, euler_at_final, use_dynamic_shifting, predict_x0, invert_sigmas, stochastic_sampling;
    double *trained_betas;       /* owned */
    size_t trained_count;
    int64_t *disable_corrector;  /* owned */
    size_t disable_count;
} sv_scheduler_config;

/* A constructor argument of a class: its default as JSON text, and the names it can use where they are fewer than the key has ("a|b"). */
typedef struct sv_scheduler_key {
    const char *name, *fallback, *allowed;
} sv_scheduler_key;

typedef struct sv_scheduler_kind sv_scheduler_kind;

/* What diffusers' Stable Diffusion 1 and 2 pipelines change in the configuration of the scheduler they load (not in one that replaces it):
 * steps_offset becomes 1 and clip_sample false. */
#define SV_AMEND_STABLE_DIFFUSION 1u
sv_status sv_scheduler_open_amended(sv_scheduler **out, const char *config, const char *override, unsigned amend, sv_error *err);

/* Reads a configuration: finds the class and fills in c. On failure nothing is held. json: every key of the class written out, malloc. */
sv_status sv_scheduler_config_read(const char *text, const char *override, unsigned amend, const sv_scheduler_kind **kind, sv_scheduler_config *c,
                                   char **json, sv_error *err);
/* A class by name or alias; the error lists what there is. */
sv_status sv_scheduler_find_kind(const char *name, const sv_scheduler_kind **kind, sv_error *err);
void sv_scheduler_config_free(sv_scheduler_config *c);
/* Whether the value of a name key is among those that the class allows: beta_schedule when the betas are made from it, prediction_type when a loop is to
 * run. Not when the file is read, because a value that is not used does no harm there. */
sv_status sv_scheduler_allows(const sv_scheduler_kind *kind, const char *key, const sv_scheduler_config *c, sv_error *err);

/* ---- scheduler and sampler ---- */

struct sv_scheduler {
    const sv_scheduler_kind *kind;
    sv_scheduler_config config;
    float *alphas_cumprod;       /* one per training timestep; NULL for flow matching */
    size_t levels;               /* how many: num_train_timesteps, or the length of trained_betas */
    char *json;
};

#define SV_SAMPLER_BUFFERS 24

struct sv_sampler {
    const sv_scheduler *scheduler;
    sv_sample_options options;
    size_t samples, per_sample, n;
    size_t length, capacity;     /* timesteps, and room for them */
    double *timesteps;
    float *sigmas;               /* length + 1 or more; NULL if the class has none */
    size_t sigma_count;
    float init_noise_sigma;
    size_t calls, last;          /* steps since the restart, and the index of the latest */
    size_t warm_up;              /* PNDM: Runge-Kutta calls at the beginning */
    int order;                   /* UniPC: of the latest predictor */
    float *buffers[SV_SAMPLER_BUFFERS];   /* n floats each, as many as the class asked for */
    float *sort;                 /* per_sample floats, for dynamic thresholding */
};

struct sv_scheduler_kind {
    sv_scheduler_info info;
    const sv_scheduler_key *keys;
    bool integer_timesteps, takes_mu;
    bool plain_time;             /* no betas: flow matching */
    bool sigma_family;           /* zero terminal SNR ends at 2^-24 instead of 0, so that sigma stays finite */

    /* The constructor's own checks, and the replacements it makes. NULL: none. */
    sv_status (*settle)(sv_scheduler_config *c, sv_error *err);
    /* set_timesteps: fills in length, timesteps, sigmas and init_noise_sigma. */
    sv_status (*plan)(sv_sampler *p, sv_error *err);
    /* Why the loop cannot run although the timesteps exist; NULL: it can. */
    const char *(*unfit)(const sv_sampler *p);
    /* Buffers that step needs. NULL: none. */
    size_t (*buffers)(const sv_sampler *p);
    unsigned scratch;            /* bits: those of them that hold nothing from one step to the next */
    /* scale_model_input divides by sqrt(sigma^2 + 1). */
    bool scales_input;
    /* One step at index i. */
    void (*step)(sv_sampler *p, size_t i, float *restrict out, float *restrict x, sv_generator *g);
    /* add_noise is signal * x + noise * z. */
    void (*mix)(const sv_sampler *p, size_t i, float *signal, float *noise);
};

/* ---- halting a loop (scheduler_sampler.c) ---- */

/* Values that the steps so far left behind for the next ones, for one sample; then copying them out and in. A sampler that goes on with samples of
 * another one takes over its calls, last and order, too. */
size_t sv_sampler_memory(const sv_sampler *p);
void sv_sampler_save(const sv_sampler *p, size_t sample, float *out);
void sv_sampler_load(sv_sampler *p, size_t sample, const float *in);
/* What the model's output at step i says the original sample is, before the step is made: x and model_out as sv_sampler_step gets them. */
void sv_sampler_predict(const sv_sampler *p, size_t i, const float *model_out, const float *x, float *x0);

/* ---- what the classes share (scheduler_sampler.c) ---- */

/* Room for `capacity` timesteps and, if sigmas, one sigma more than that. */
sv_status sv_sampler_reserve(sv_sampler *p, size_t capacity, bool sigmas, sv_error *err);
/* One torch.randn per sample, each from its own generator. */
void sv_sampler_draw(const sv_sampler *p, sv_generator *g, float *out);
/* Dynamic thresholding of a predicted original sample (Imagen, arXiv 2205.11487), sample by sample. */
void sv_sampler_threshold(const sv_sampler *p, float *x0);
/* thresholding, else clip_sample, else nothing. */
void sv_sampler_limit(const sv_sampler *p, float *x0);
/* The predicted original sample from epsilon, v or the sample itself, given sqrt(alphas_cumprod) and sqrt(1 - alphas_cumprod). x0 may be out. */
void sv_predict_original(int prediction_type, float signal, float noise, const float *x, const float *out, float *x0, size_t n);
/* alphas_cumprod at a timestep; a negative one counts from the end, as a Python index does. */
float sv_alpha_at(const sv_scheduler *s, int64_t t);
/* x = alpha * picture + sigma * noise at index i of the sigmas (there sigma / alpha, or with flow sigmas sigma itself), lambda = ln(alpha / sigma). */
typedef struct sv_noise_level {
    float alpha, sigma, lambda;
} sv_noise_level;
sv_noise_level sv_level_at(const sv_sampler *p, size_t i);
/* mix for the classes that index alphas_cumprod, for those that add noise * sigma, and for those that go by sv_level_at. */
void sv_mix_by_alpha(const sv_sampler *p, size_t i, float *signal, float *noise);
void sv_mix_by_sigma(const sv_sampler *p, size_t i, float *signal, float *noise);
void sv_mix_by_level(const sv_sampler *p, size_t i, float *signal, float *noise);
/* init_noise_sigma of the Euler family: the largest sigma, or sqrt(sigma^2 + 1) for leading spacing. */
float sv_init_sigma(const sv_sampler *p);
/* "Only one of …" for the three sigma schedules. */
sv_status sv_check_one_schedule(const sv_scheduler_config *c, const char *cls, sv_error *err);
/* steps larger than num_train_timesteps is an error for some classes. */
sv_status sv_check_steps(const sv_sampler *p, sv_error *err);

#endif
