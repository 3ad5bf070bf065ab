/* painter.c - the loop that turns noise into pictures: scale, predict, guide, step; then decode. Memory is taken at open and at the first run. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/pipeline.h"
#include "diffusion/scheduler.h"

void sv_paint_options_init(sv_paint_options *o) {
    *o = (sv_paint_options){.batch = 1, .steps = 50, .guidance = 7.5, .strength = NAN, .denoising_start = NAN, .denoising_end = NAN,
                            .aesthetic_score = 6, .negative_aesthetic_score = 2.5};
}

/* ---- open and close ---- */

static sv_status check_options(const sv_pipeline *p, const sv_paint_options *o, sv_error *err) {
    int m = p->sizes.multiple;
    if (o->width < 1 || o->height < 1 || o->width % m || o->height % m) {
        int w = (o->width + m / 2) / m * m, h = (o->height + m / 2) / m * m;
        sv_fail(err, SV_E_USAGE, "size", "%dx%d does not fit this model: both sides must be multiples of %d", o->width, o->height, m);
        return sv_hint(err, SV_E_USAGE, "%dx%d would; the model's own size is %dx%d", w > 0 ? w : m, h > 0 ? h : m, p->sizes.width, p->sizes.height);
    }
    if (o->width > 16384 || o->height > 16384) return sv_fail(err, SV_E_USAGE, "size", "%dx%d is too large, at most 16384 on a side", o->width, o->height);
    if (o->batch < 1 || o->batch > 4096) return sv_fail(err, SV_E_USAGE, "batch", "%d is not in 1..4096", o->batch);
    if (!isfinite(o->guidance)) return sv_fail(err, SV_E_USAGE, "guidance", "is not a finite number");
    if (!(o->guidance_rescale >= 0 && o->guidance_rescale <= 1)) return sv_fail(err, SV_E_USAGE, "guidance_rescale", "%g is not in 0..1", o->guidance_rescale);
    if (o->from == SV_FROM_NOISE && p->family->needs_source) {
        sv_fail(err, SV_E_USAGE, "model", "%s refines pictures and cannot begin with noise", p->family->name(&p->dir));
        return sv_hint(err, SV_E_USAGE, "give it an init_image, or name it as the refiner of a base model");
    }
    if (o->from != SV_FROM_NOISE && p->family->packed)
        return sv_fail(err, SV_E_USAGE, "init_image", "is not available for %s", p->family->name(&p->dir));
    return SV_OK;
}

/* Pictures are decoded one by one: the decoder needs the most memory of all, and gains nothing from a batch on a CPU. */
static sv_status bind_decoder(sv_painter *w, sv_error *err) {
    sv_pipeline *p = w->p;
    SV_TRY(sv_call_open(&w->decode, p->sessions[SV_PART_DECODER], err));
    SV_TRY(sv_call_floats(w->decode, "latent_sample", (int64_t[]){1, p->sizes.channels, w->h, w->w}, 4, &w->code, err));
    return sv_call_output(w->decode, "sample", (int64_t[]){1, 3, w->o.height, w->o.width}, 4, &w->picture, err);
}

/* Large pictures need more noise: mu grows linearly with the number of patches (diffusers' calculate_shift). */
static double shift_for_size(const sv_painter *w) {
    const sv_scheduler_config *c = &w->scheduler->config;
    int64_t patch = w->p->sizes.patch, patches = w->h / patch * (w->w / patch);
    double slope = (c->max_shift - c->base_shift) / (double)(c->max_image_seq_len - c->base_image_seq_len);
    return (double)patches * slope + (c->base_shift - slope * (double)c->base_image_seq_len);
}

static sv_status open_sampler(sv_painter *w, const sv_paint_options *o, sv_error *err) {
    sv_sample_options so;
    sv_sample_options_init(&so, o->steps);
    so.eta = o->eta;
    so.unit_sigmas = w->p->family->packed;
    SV_TRY(sv_pipeline_scheduler(w->p, o->scheduler, &w->scheduler, err));
    bool own_sigmas = strcmp(sv_scheduler_class(w->scheduler), "FlowMatchEulerDiscreteScheduler") == 0 || w->scheduler->config.use_flow_sigmas;
    if (so.unit_sigmas && !own_sigmas)
        return sv_fail(err, SV_E_USAGE, "scheduler", "%s gives its own sigmas, which %s does not take", w->p->family->name(&w->p->dir), sv_scheduler_class(w->scheduler));
    if (w->scheduler->config.use_dynamic_shifting) so.mu = shift_for_size(w);
    SV_TRY(sv_sampler_open(&w->sampler, w->scheduler, &so, w->batch, w->values, err));
    return sv_painter_range(w, err);
}

static sv_status open_painter(sv_painter *w, const sv_paint_options *o, sv_error *err) {
    sv_pipeline *p = w->p;
    SV_TRY(check_options(p, o, err));
    w->o = *o;
    w->o.scheduler = NULL;                         /* the caller's memory */
    /* Guidance that was distilled into the denoiser is an input of it, also in a family that otherwise compares two texts. */
    bool embedded = p->family->guidance_kind == SV_GUIDANCE_EMBEDDED || sv_session_input(p->sessions[SV_PART_DENOISER], "timestep_cond");
    w->guided = o->guidance > 1 && !embedded;
    w->batch = (size_t)o->batch;
    w->rows = w->guided ? 2 * w->batch : w->batch;
    w->h = o->height / p->sizes.factor;
    w->w = o->width / p->sizes.factor;
    w->values = (size_t)(p->sizes.channels * w->h * w->w);
    SV_TRY(open_sampler(w, o, err));
    w->generators = calloc(w->batch, sizeof *w->generators);
    w->latents = calloc(w->batch * w->values, sizeof *w->latents);
    w->predicted = calloc(w->batch * w->values, sizeof *w->predicted);
    if (!w->generators || !w->latents || !w->predicted) return sv_fail_memory(err, "painter", w->batch * w->values * 2 * sizeof(float));
    if (o->from == SV_FROM_IMAGE) SV_TRY(sv_painter_bind_encoder(w, err));
    return bind_decoder(w, err);
}

sv_status sv_painter_open(sv_painter **out, sv_pipeline *p, const sv_paint_options *o, sv_error *err) {
    *out = NULL;
    sv_painter *w = calloc(1, sizeof *w);
    if (!w) return sv_fail_memory(err, "painter", sizeof *w);
    w->p = p;
    sv_status st = open_painter(w, o, err);
    if (st != SV_OK) {
        sv_painter_close(&w);
        return st;
    }
    *out = w;
    return SV_OK;
}

void sv_painter_close(sv_painter **painter) {
    sv_painter *w = *painter;
    if (!w) return;
    sv_call_close(&w->denoise);
    sv_call_close(&w->decode);
    sv_call_close(&w->encode);
    sv_sampler_close(&w->sampler);
    sv_scheduler_close(&w->scheduler);
    free(w->generators);
    free(w->latents);
    free(w->predicted);
    free(w);
    *painter = NULL;
}

/* ---- text ---- */

/* The guidance scale as a sinusoid of `width` values, sines first, for denoisers that guidance was distilled into (Meng et al. 2022, arXiv
 * 2210.03142). diffusers' get_guidance_scale_embedding: of guidance - 1, times 1000, in float32. */
static void embed_guidance(double guidance, int64_t width, float *out) {
    int64_t half = width / 2;
    float scale = (float)(guidance - 1) * 1000.0f, rate = (float)(log(10000.0) / (double)(half - 1));
    for (int64_t i = 0; i < half; i++) {
        float angle = scale * expf((float)i * -rate);
        out[i] = sinf(angle);
        out[half + i] = cosf(angle);
    }
    if (width % 2) out[width - 1] = 0;
}

static sv_status bind_guidance(sv_painter *w, sv_error *err) {
    sv_pipeline *p = w->p;
    const sv_tensor_info *t = sv_session_input(p->sessions[SV_PART_DENOISER], "timestep_cond");
    float *cond;
    int64_t width;
    if (!t) return SV_OK;
    SV_TRY(sv_config_int(&p->dir.parts[SV_PART_DENOISER], "time_cond_proj_dim", t->rank == 2 ? t->dims[1] : -1, &width, err));
    if (width < 4) return sv_fail(err, SV_E_MODEL, p->dir.path, "unet/config.json does not say how wide timestep_cond is (time_cond_proj_dim)");
    SV_TRY(sv_call_floats(w->denoise, "timestep_cond", (int64_t[]){(int64_t)w->rows, width}, 2, &cond, err));
    for (size_t r = 0; r < w->rows; r++) embed_guidance(w->o.guidance, width, cond + (int64_t)r * width);
    return SV_OK;
}

static sv_status bind_denoiser(sv_painter *w, const sv_condition *c, sv_error *err) {
    const sv_family *f = w->p->family;
    int64_t rows = (int64_t)w->rows, shape[4] = {rows, w->p->sizes.channels, w->h, w->w}, row[3] = {rows, w->h / 2 * (w->w / 2), 4 * w->p->sizes.channels};
    const int64_t *dims = f->packed ? row : shape;
    int rank = f->packed ? 3 : 4;
    sv_call_close(&w->denoise);
    w->pooled = NULL;
    SV_TRY(sv_call_open(&w->denoise, w->p->sessions[SV_PART_DENOISER], err));
    SV_TRY(sv_call_floats(w->denoise, f->sample, dims, rank, &w->sample, err));
    SV_TRY(sv_call_number(w->denoise, "timestep", f->timestep_unit > 0 ? rows : 1, &w->timestep, err));
    SV_TRY(sv_call_output(w->denoise, f->output, dims, rank, &w->output, err));
    SV_TRY(sv_call_floats(w->denoise, "encoder_hidden_states", (int64_t[]){rows, c->rows, c->width}, 3, &w->hidden, err));
    if (f->pooled) SV_TRY(sv_call_floats(w->denoise, f->pooled, (int64_t[]){rows, c->pooled_width}, 2, &w->pooled, err));
    w->text_rows = c->rows;
    w->text_width = c->width;
    w->pooled_width = c->pooled_width;
    SV_TRY(bind_guidance(w, err));
    return f->bind ? f->bind(w, err) : SV_OK;
}

static sv_status check_text(const sv_painter *w, const sv_condition *c, sv_error *err) {
    if (c->rows == w->text_rows && c->width == w->text_width && c->pooled_width == w->pooled_width) return SV_OK;
    return sv_fail(err, SV_E_INTERNAL, "painter", "text and negative text were encoded with different settings");
}

/* Writes one condition into `rows` rows of the denoiser's inputs. */
static void fill_rows(sv_painter *w, const sv_condition *c, size_t first, size_t rows, bool negative) {
    size_t n = (size_t)(c->rows * c->width), k = (size_t)c->pooled_width;
    for (size_t r = first; r < first + rows; r++) {
        memcpy(w->hidden + r * n, c->hidden, n * sizeof(float));
        if (w->pooled) memcpy(w->pooled + r * k, c->pooled, k * sizeof(float));
    }
    if (w->p->family->fill) w->p->family->fill(w, first, rows, negative);
}

static sv_status set_text(sv_painter *w, const sv_condition *text, const sv_condition *negative, sv_error *err) {
    if (w->guided && !negative) return sv_fail(err, SV_E_INTERNAL, "painter", "guidance needs the negative text");
    if (!w->denoise || check_text(w, text, NULL) != SV_OK) {
        sv_status st = bind_denoiser(w, text, err);
        if (st != SV_OK) {
            sv_call_close(&w->denoise);
            return st;
        }
    }
    if (w->guided) {
        SV_TRY(check_text(w, negative, err));
        fill_rows(w, negative, 0, w->batch, true);
    }
    fill_rows(w, text, w->rows - w->batch, w->batch, false);
    return SV_OK;
}

/* ---- guidance ---- */

/* torch.std over one sample: unbiased. */
static double deviation(const float *x, size_t n) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        double d = x[i] - mean;
        squares += d * d;
    }
    return sqrt(squares / (double)(n > 1 ? n - 1 : 1));
}

/* Classifier-free guidance, e = e_u + g (e_c - e_u), and the rescaling of "Common Diffusion Noise Schedules and Sample Steps are Flawed"
 * (arXiv 2305.08891, equations 15 and 16), in diffusers' order of operations. */
static void guide(sv_painter *w) {
    size_t all = w->batch * w->values;
    const float *uncond = w->output, *cond = w->output + all;
    float g = (float)w->o.guidance, phi = (float)w->o.guidance_rescale;
    for (size_t i = 0; i < all; i++) w->predicted[i] = uncond[i] + g * (cond[i] - uncond[i]);
    if (!(phi > 0)) return;
    for (size_t b = 0; b < w->batch; b++) {
        float *e = w->predicted + b * w->values;
        float text = (float)deviation(cond + b * w->values, w->values), ours = (float)deviation(e, w->values), ratio = text / ours;
        for (size_t i = 0; i < w->values; i++) e[i] = phi * (e[i] * ratio) + (1 - phi) * e[i];
    }
}

/* ---- drawing ---- */

static sv_status denoise(sv_painter *w, const volatile int *stop, sv_error *err) {
    size_t all = w->batch * w->values;
    const double *timesteps = sv_sampler_timesteps(w->sampler);
    float unit = w->p->family->timestep_unit;
    for (size_t i = w->begin; i < w->end; i++) {
        if (stop && *stop) return sv_fail(err, SV_E_STOPPED, "drawing", "stopped on request");
        sv_sampler_scale_input(w->sampler, i, w->latents, w->sample);
        if (w->guided) memcpy(w->sample + all, w->sample, all * sizeof(float));
        *w->timestep = unit > 0 ? (float)timesteps[i] / unit : timesteps[i];
        SV_TRY(sv_call_run(w->denoise, err));
        if (w->guided)
            guide(w);
        else
            memcpy(w->predicted, w->output, all * sizeof(float));
        SV_TRY(sv_sampler_step(w->sampler, i, w->predicted, w->latents, w->generators, err));
    }
    return SV_OK;
}

/* 255 * clamp(x / 2 + 1/2), half to even. Returns whether every value was finite. */
static bool to_bytes(const float *picture, int width, int height, uint8_t *out) {
    size_t plane = (size_t)width * (size_t)height;
    bool finite = true;
    for (size_t i = 0; i < plane; i++)
        for (size_t c = 0; c < 3; c++) {
            float v = picture[c * plane + i];
            finite &= isfinite(v) != 0;
            v = v * 0.5f + 0.5f;
            v = v > 0 ? v < 1 ? v : 1 : 0;         /* not a number becomes 0 */
            out[i * 3 + c] = (uint8_t)lrintf(v * 255.0f);
        }
    return finite;
}

static sv_status decode(sv_painter *w, size_t b, sv_painted *out, sv_error *err) {
    const float *x = w->latents + b * w->values;
    const sv_model_sizes *s = &w->p->sizes;
    out->latents_sum = 0;
    for (size_t i = 0; i < w->values; i++) out->latents_sum += x[i];
    out->finite = isfinite(out->latents_sum);
    SV_TRY(sv_image_alloc(&out->image, w->o.width, w->o.height, SV_MODE_RGB, err));
    if (!out->finite) return SV_OK;
    if (w->p->family->packed)
        sv_unpack(x, s->channels, w->h, w->w, w->code);
    else
        memcpy(w->code, x, w->values * sizeof(float));
    for (size_t i = 0; i < w->values; i++) w->code[i] = w->code[i] / s->scaling + s->shift;
    SV_TRY(sv_call_run(w->decode, err));
    out->finite = to_bytes(w->picture, w->o.width, w->o.height, out->image.data);
    return SV_OK;
}

sv_status sv_painter_run_from(sv_painter *w, const sv_paint_source *source, const sv_condition *text, const sv_condition *negative, const uint64_t *seeds,
                              size_t n, sv_painted *out, const volatile int *stop, sv_error *err) {
    if (n < 1 || n > w->batch) return sv_fail(err, SV_E_INTERNAL, "painter", "%zu pictures asked of a batch of %zu", n, w->batch);
    SV_TRY(set_text(w, text, negative, err));
    sv_sampler_restart(w->sampler);
    SV_TRY(sv_painter_start(w, source, seeds, n, err));
    SV_TRY(denoise(w, stop, err));
    for (size_t b = 0; b < n; b++) SV_TRY(decode(w, b, &out[b], err));
    return SV_OK;
}

sv_status sv_painter_run(sv_painter *w, const sv_condition *text, const sv_condition *negative, const uint64_t *seeds, size_t n, sv_painted *out,
                         const volatile int *stop, sv_error *err) {
    sv_paint_source none = {0};
    return sv_painter_run_from(w, &none, text, negative, seeds, n, out, stop, err);
}

const float *sv_painter_latents(const sv_painter *w, size_t *values) {
    *values = w->values;
    return w->latents;
}
