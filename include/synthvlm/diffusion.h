/* diffusion.h - noise, schedulers and text-to-image pipelines, equal to diffusers on the same weights.
 *
 * A pipeline is read-only once open and shared by any number of painters; a painter belongs to one thread and owns the buffers of one
 * fixed shape (batch, width, height), so that drawing allocates nothing large.
 */
#ifndef SYNTHVLM_DIFFUSION_H
#define SYNTHVLM_DIFFUSION_H

#include "synthvlm/image.h"
#include "synthvlm/log.h"
#include "synthvlm/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- noise: torch.Generator("cpu").manual_seed(seed) and torch.randn on it (PyTorch, ATen/native/cpu; MT19937) ---- */
typedef struct sv_generator {
    uint32_t state[624];
    int next;
    bool has_spare;              /* draws of fewer than 16 values leave a spare normal */
    double spare;
} sv_generator;
void sv_generator_seed(sv_generator *g, uint64_t seed);          /* modulo 2^32, as PyTorch's CPU generator */
uint32_t sv_generator_next(sv_generator *g);
void sv_randn(sv_generator *g, float *out, size_t n);            /* one torch.randn call of n values */

/* ---- schedulers ---- */
typedef struct sv_scheduler sv_scheduler;                        /* a configuration; read-only once open */

typedef struct sv_scheduler_info {
    const char *name;            /* diffusers' class name */
    const char *alias;           /* short name: "euler", "dpm++"… */
    const char *help;
} sv_scheduler_info;
size_t sv_scheduler_count(void);
const sv_scheduler_info *sv_scheduler_at(size_t i);
const sv_scheduler_info *sv_scheduler_find(const char *name_or_alias);

/* config: the text of scheduler_config.json (may hold -Infinity). override: NULL, a class name or alias (bare, or as a JSON string), or a JSON
 * object of keys laid over the config as diffusers' Class.from_config(config, **override) does, with the class as "_class_name". Keys of other
 * schedulers are ignored, a key that belongs to none is an error. docs/SCHEDULERS.md has the details. */
sv_status sv_scheduler_open(sv_scheduler **out, const char *config, const char *override, sv_error *err);
void sv_scheduler_close(sv_scheduler **s);
const char *sv_scheduler_class(const sv_scheduler *s);
/* The configuration in force, every key of the class written out, as JSON text owned by s (-Infinity as a string, which is read back). */
const char *sv_scheduler_json(const sv_scheduler *s);

/* Options of one run of the loop. A class ignores those that it does not have, except mu. */
typedef struct sv_sample_options {
    int steps;
    double mu;                                        /* dynamic shifting of flow matching; NaN: none */
    bool unit_sigmas;                                 /* flow matching: from sigmas 1 .. 1/steps, as Flux asks, instead of the class's own. false */
    double eta;                                       /* DDIM, 0 */
    bool use_clipped_model_output;                    /* DDIM, false */
    double s_churn, s_tmin, s_tmax, s_noise;          /* Euler: 0, 0, inf, 1 */
} sv_sample_options;
void sv_sample_options_init(sv_sample_options *o, int steps);

/* The timesteps of one run and the solver's memory: belongs to one thread, and needs the scheduler to stay open. samples * values_per_sample
 * values are denoised together, each sample with its own generator. With values_per_sample 0 there are timesteps and sigmas only, also for a
 * configuration whose loop cannot run (a prediction_type that the class cannot step with, timesteps beyond the training's). */
typedef struct sv_sampler sv_sampler;
sv_status sv_sampler_open(sv_sampler **out, const sv_scheduler *s, const sv_sample_options *o, size_t samples, size_t values_per_sample, sv_error *err);
void sv_sampler_close(sv_sampler **p);
void sv_sampler_restart(sv_sampler *p);               /* for the next picture with the same options: forgets history, keeps memory */

size_t sv_sampler_length(const sv_sampler *p);        /* model calls: may exceed steps (Heun, PNDM) */
const double *sv_sampler_timesteps(const sv_sampler *p);
bool sv_sampler_timesteps_are_integers(const sv_sampler *p);
const float *sv_sampler_sigmas(const sv_sampler *p, size_t *count);   /* NULL if the class has none */
float sv_sampler_init_noise_sigma(const sv_sampler *p);

/* The model's input at i. x and out may be the same memory. */
void sv_sampler_scale_input(const sv_sampler *p, size_t i, const float *x, float *out);
/* x := the previous sample, given the model's output. The first call after opening or restarting may be at any i (image to image, a hand-over between
 * models; as diffusers' begin index), the next ones at i + 1, i + 2, …; stopping early is fine. `g`: one generator per sample (samples entries), drawn
 * from only by stochastic solvers, in diffusers' order. model_out is changed; it must not overlap x. */
sv_status sv_sampler_step(sv_sampler *p, size_t i, float *model_out, float *x, sv_generator *g, sv_error *err);
/* diffusers' add_noise / scale_noise at timesteps[i]. */
void sv_sampler_add_noise(const sv_sampler *p, size_t i, const float *x, const float *noise, float *out);

/* ---- pipelines ---- */
typedef struct sv_engine_options {
    const char *provider;        /* "cpu", or an execution provider's short name; NAME=LIBRARY for one that comes as a plugin */
    int threads_per_image;       /* ONNX Runtime's intra-op threads; 0: 1 */
    const char *provider_library;   /* the plugin, another way to say so; NULL: none */
    const char *provider_options;   /* a JSON object of the provider's own options, and "device" (cpu, gpu, npu) for a plugin; NULL: none */
    bool lazy;                   /* of scorers: their graphs are loaded at the first text or picture. (A pipeline's always are.) false */
} sv_engine_options;
void sv_engine_options_init(sv_engine_options *o);

typedef struct sv_pipeline sv_pipeline;
/* model_dir: diffusers layout with ONNX parts. A missing part is SV_E_MODEL with how to get it. Opening reads configurations, tokenizers and what the graphs
 * say of themselves; no weight is loaded yet. */
sv_status sv_pipeline_open(sv_pipeline **out, const char *model_dir, const sv_engine_options *o, const sv_log *log, sv_error *err);
void sv_pipeline_close(sv_pipeline **p);

/* Memory. A part (text encoders, denoiser, decoder of latents, encoder of pictures) is loaded when it is first needed, and stays until it is released or
 * the pipeline closed; a part that was released is loaded again when it is needed again, which changes no picture. prepare loads now, side by side,
 * what would be loaded then: quicker where there is memory for all. release lets go what no painter holds: a painter holds denoiser, decoder and encoder
 * from its first picture on until sv_painter_release. All may be called from any thread. */
enum { SV_PHASE_TEXT = 1, SV_PHASE_DENOISE = 2, SV_PHASE_DECODE = 4, SV_PHASE_PICTURE = 8,
       SV_PHASE_DRAW = SV_PHASE_TEXT | SV_PHASE_DENOISE | SV_PHASE_DECODE,      /* what every picture needs */
       SV_PHASE_ALL = 15 };
sv_status sv_pipeline_prepare(sv_pipeline *p, unsigned phases, sv_error *err);
void sv_pipeline_release(sv_pipeline *p, unsigned phases);

const char *sv_pipeline_family(const sv_pipeline *p);            /* "Stable Diffusion 1.x" … */
int sv_pipeline_multiple(const sv_pipeline *p);                  /* image sides must be multiples of this */
void sv_pipeline_default_size(const sv_pipeline *p, int *width, int *height);
int sv_pipeline_tile(const sv_pipeline *p);                      /* side of a tile as diffusers' enable_tiling has it, in pixels */
void sv_pipeline_defaults(const sv_pipeline *p, int *steps, double *guidance);   /* of a call, as diffusers has them for the family */
/* The scheduler that a painter of this pipeline uses: the model's own with `override` (as in sv_scheduler_open, may be NULL) laid over it, and with what
 * diffusers' pipeline class amends in it. */
sv_status sv_pipeline_scheduler(const sv_pipeline *p, const char *override, sv_scheduler **out, sv_error *err);
/* Whether a model can take a base model's latents over: both are of the SDXL kind, with latents of the same size. SV_E_MODEL says why not. */
sv_status sv_pipeline_can_refine(const sv_pipeline *refiner, const sv_pipeline *base, sv_error *err);
/* SHA-256 (hex) over the sorted (relative path, SHA-256) of the files used; cached beside nothing: computed at first call. */
sv_status sv_pipeline_hash(sv_pipeline *p, char out[65], sv_error *err);

/* An encoded text: [tokens, width]; shared, read-only. text NULL: as diffusers treats None for this family. */
typedef struct sv_condition sv_condition;
sv_status sv_pipeline_encode(sv_pipeline *p, const char *text, sv_condition **out, sv_error *err);
typedef struct sv_text_options {
    int clip_skip;               /* layers of the CLIP encoders left out at the end beyond the usual, 0; diffusers leaves the negative text at 0 */
    int max_sequence_length;     /* ids of a T5 row; 0: the family's default */
    bool windows;                /* a text longer than a CLIP row is encoded in several rows, one after the other (docs/MODELS.md), and not cut; for
                                  * families that have no other encoder, SV_E_USAGE for the others */
} sv_text_options;
sv_status sv_pipeline_encode_with(sv_pipeline *p, const char *text, const sv_text_options *o, sv_condition **out, sv_error *err);
void sv_condition_close(sv_condition **c);
size_t sv_condition_tokens(const sv_condition *c);               /* content tokens of the whole text */
size_t sv_condition_cut(const sv_condition *c);                  /* content tokens that did not fit */
size_t sv_condition_windows(const sv_condition *c);              /* rows of the encoder that it was encoded in, 1 unless windows were asked for */

/* What a picture begins as. */
typedef enum sv_paint_from {
    SV_FROM_NOISE,
    SV_FROM_IMAGE,               /* a picture, encoded, with noise according to strength (or none with denoising_start) */
    SV_FROM_LATENTS              /* another painter's latents, likewise: with denoising_start the hand-over from a base model to its refiner */
} sv_paint_from;

typedef struct sv_paint_options {
    int width, height;
    int batch;                   /* pictures per call of the model; the call always has this shape */
    int steps;
    double guidance;             /* classifier-free guidance, active if > 1 */
    double guidance_rescale;     /* 0 */
    double guidance_from, guidance_until;   /* the part of the schedule, by model calls, in which guidance acts; elsewhere only the text's own
                                  * prediction is computed, at half the cost (Kynkäänniemi et al. 2024, arXiv 2404.07724). 0, 1 */
    int vae_tile;                /* pictures larger than so many pixels along a side are decoded in overlapping tiles of that size; 0: whole */
    const char *scheduler;       /* override as in sv_scheduler_open; NULL: the model's */
    double eta;                  /* 0 */
    sv_paint_from from;
    double strength;             /* 0..1, how much of the schedule is run from a picture; NaN: the family's default */
    double denoising_start, denoising_end;   /* 0..1, part of the schedule that is run (SDXL); NaN: all */
    double aesthetic_score, negative_aesthetic_score;   /* SDXL's refiner; 6 and 2.5 */
    /* A second model that takes the latents over where this one stops, and finishes the picture (SDXL's refiner): same size, steps, guidance, scheduler
     * and seed. It stays the caller's and must outlive the painter. NULL: none. With one, denoising_end NaN means 0.8. */
    sv_pipeline *refiner;
    double refiner_start;        /* the refiner's denoising_start; NaN: denoising_end */
    bool refiner_authors_call;   /* call it as the SynthVLM program does: with denoising_end once more and no denoising_start, so that noise is added
                                  * again, by strength, and some of it stays */
} sv_paint_options;
void sv_paint_options_init(sv_paint_options *o);

/* What the files of pictures painted with these options say of their making: `about` lacks only prompt, negative and seed. Its texts point into the note,
 * which must stay where it is. No path is in it. Zero-initialise, sv_paint_note_free. */
typedef struct sv_paint_note {
    sv_provenance about;
    char model_hash[65], scheduler[64];
    char *settings;              /* JSON: size, text options, scheduler with every key, refiner, engine */
} sv_paint_note;
sv_status sv_paint_note_make(sv_paint_note *note, sv_pipeline *p, const sv_paint_options *o, const sv_text_options *text, sv_error *err);
void sv_paint_note_free(sv_paint_note *note);

typedef struct sv_painter sv_painter;
sv_status sv_painter_open(sv_painter **out, sv_pipeline *p, const sv_paint_options *o, sv_error *err);
void sv_painter_close(sv_painter **w);
/* Lets go of parts and of the memory bound to them (SV_PHASE_ bits), its refiner's too. Without the denoiser a picture in hand can be finished once its
 * calls are done, and saved, but not advanced; begin and resume bind what they need again. */
void sv_painter_release(sv_painter *w, unsigned phases);

/* What came of one picture. */
typedef struct sv_painted {
    sv_image image;              /* RGB; owned by the caller, reused from call to call */
    double latents_sum;          /* float64 sum of the final latents, before scaling for the decoder */
    bool finite;                 /* false: NaN or infinity in the latents or the picture, which then holds nothing of use */
} sv_painted;

/* What a painter that does not begin with noise begins with, according to its `from`: a picture of the painter's size, or latents, [values]. */
typedef struct sv_paint_source {
    const sv_image *image;
    const float *latents;
} sv_paint_source;

/* One picture to be drawn. */
typedef struct sv_picture {
    const sv_condition *text;
    const sv_condition *negative;         /* used if guidance is active, may be NULL otherwise */
    const sv_condition *refiner_text, *refiner_negative;   /* the same two as the refiner's pipeline encodes them, where the painter has a refiner */
    uint64_t seed;
    sv_paint_source source;
} sv_picture;

/* Whether two pictures can be drawn in one batch: their texts have as many windows, the longer of text and negative text counting. */
bool sv_picture_same_shape(const sv_picture *a, const sv_picture *b);

/* Draws n <= batch pictures of one text, picture i from seeds[i]; the row that a picture has in the batch is i. negative: used if guidance
 * is active, may be NULL otherwise. `stop`: polled between model calls, may be NULL; SV_E_STOPPED. The painter has no refiner. */
sv_status sv_painter_run(sv_painter *w, const sv_condition *text, const sv_condition *negative, const uint64_t *seeds, size_t n,
                         sv_painted *out, const volatile int *stop, sv_error *err);
/* Draws n <= batch pictures, each with its own text; the same as begin, advance to the end, and finish of every row. */
sv_status sv_painter_draw(sv_painter *w, const sv_picture *pictures, size_t n, sv_painted *out, const volatile int *stop, sv_error *err);

/* ---- painting in steps: begin, advance, look, keep or drop, go on, finish ----
 *
 * The work on a batch is a row of model calls, 0 .. calls - 1 (more than steps with Heun and PNDM; those of a refiner follow the base model's). It can be
 * halted between any two of them. At a halt every row can be previewed, and saved as an object of its own that needs no painter; states that were saved
 * at the same call, by whichever painters of the same options, can go on together, in any rows. So the survivors of several batches fill one:
 *
 *     begin(w, a, 4)  advance(w, 8)  preview rows, save(w, 0, &s[0]), save(w, 2, &s[1])
 *     begin(w, b, 4)  advance(w, 8)  preview rows, save(w, 1, &s[2]), save(w, 3, &s[3])
 *     resume(w, s, pictures, 4)      advance(w, calls)  finish rows 0..3
 *
 * A picture's bytes do not depend on whether and where it was halted, on its row, or on what the other rows hold, as long as the calls of the model have
 * the same shape: the same batch, and texts of the same shape. (True of ONNX Runtime's CPU kernels, and tested; other providers may round otherwise.)
 * Everything that a picture needs is copied by begin and resume: the conditions, images and latents may be freed after them. A call of begin or resume
 * forgets what the painter held. After an error other than SV_E_STOPPED only begin, resume and close are of use. */

/* Begins pictures[0..n-1], n <= batch, in rows 0..n-1. All must have the same shape (sv_picture_same_shape), SV_E_INTERNAL otherwise. */
sv_status sv_painter_begin(sv_painter *w, const sv_picture *pictures, size_t n, sv_error *err);
/* Model calls of a whole picture, and how many of them the rows in hand have had. */
size_t sv_painter_calls(const sv_painter *w);
size_t sv_painter_position(const sv_painter *w);
/* Goes on until `to` model calls are done; nothing happens if they are already. SV_E_STOPPED: `stop` (may be NULL) was set; advancing again goes on. */
sv_status sv_painter_advance(sv_painter *w, size_t to, const volatile int *stop, sv_error *err);
/* Decodes what the last model call took the finished picture of a row to be (the predicted original sample, whatever the model predicts and whichever
 * solver steps), as it is before the end. latents_sum is the preview's. SV_E_INTERNAL before the first call after begin or resume. */
sv_status sv_painter_preview(sv_painter *w, size_t row, sv_painted *out, sv_error *err);
/* Decodes a row after the last call. */
sv_status sv_painter_finish(sv_painter *w, size_t row, sv_painted *out, sv_error *err);

/* A picture that is half done: latents, what the solver remembers of earlier calls, generator, seed. It holds no text. About (1 + h) * values * 4 bytes,
 * where h is the solver's memory in latents: 0 Euler, DDIM, LCM, flow matching; 2 Heun; order DPM-Solver++; order + 2 UniPC; 6 PNDM. */
typedef struct sv_paint_state sv_paint_state;
sv_status sv_painter_save(const sv_painter *w, size_t row, sv_paint_state **out, sv_error *err);
void sv_paint_state_close(sv_paint_state **s);
size_t sv_paint_state_size(const sv_paint_state *s);             /* bytes */
size_t sv_paint_state_position(const sv_paint_state *s);         /* model calls done */
/* Goes on with states[0..n-1] in rows 0..n-1. pictures: their texts again (seed and source are not looked at). SV_E_INTERNAL: the states are of other
 * options (batch may differ), or not at the same call. The states stay the caller's and can be resumed again. */
sv_status sv_painter_resume(sv_painter *w, const sv_paint_state *const *states, const sv_picture *pictures, size_t n, sv_error *err);

/* Latents of the rows in hand, [batch, values] (the refiner's once it has taken over), and the number of values of one picture. */
const float *sv_painter_latents(const sv_painter *w, size_t *values);

#ifdef __cplusplus
}
#endif
#endif
