/* painter.c - the loop that turns noise into pictures: scale, predict, guide, step; then decode. All memory is taken at open. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/pipeline.h"
#include "diffusion/scheduler.h"

void sv_paint_options_init(sv_paint_options *o) {
    *o = (sv_paint_options){.batch = 1, .steps = 50, .guidance = 7.5};
}

/* ---- open and close ---- */

static sv_status check_options(const sv_pipeline *p, const sv_paint_options *o, sv_error *err) {
    if (o->width < 1 || o->height < 1 || o->width % p->sizes.multiple || o->height % p->sizes.multiple) {
        sv_fail(err, SV_E_USAGE, "size", "%dx%d does not fit this model: both sides must be multiples of %d", o->width, o->height, p->sizes.multiple);
        int w = (o->width + p->sizes.multiple / 2) / p->sizes.multiple * p->sizes.multiple, h = (o->height + p->sizes.multiple / 2) / p->sizes.multiple * p->sizes.multiple;
        return sv_hint(err, SV_E_USAGE, "%dx%d would; the model's own size is %dx%d", w > 0 ? w : p->sizes.multiple, h > 0 ? h : p->sizes.multiple, p->sizes.width, p->sizes.height);
    }
    if (o->width > 16384 || o->height > 16384) return sv_fail(err, SV_E_USAGE, "size", "%dx%d is too large, at most 16384 on a side", o->width, o->height);
    if (o->batch < 1 || o->batch > 4096) return sv_fail(err, SV_E_USAGE, "batch", "%d is not in 1..4096", o->batch);
    if (!isfinite(o->guidance)) return sv_fail(err, SV_E_USAGE, "guidance", "is not a finite number");
    if (!(o->guidance_rescale >= 0 && o->guidance_rescale <= 1)) return sv_fail(err, SV_E_USAGE, "guidance_rescale", "%g is not in 0..1", o->guidance_rescale);
    return SV_OK;
}

static sv_status bind_denoiser(sv_painter *w, sv_error *err) {
    sv_pipeline *p = w->p;
    int64_t shape[4] = {(int64_t)w->rows, p->sizes.channels, w->h, w->w};
    SV_TRY(sv_call_open(&w->denoise, p->sessions[SV_PART_DENOISER], err));
    SV_TRY(sv_call_floats(w->denoise, "sample", shape, 4, &w->sample, err));
    SV_TRY(sv_call_number(w->denoise, "timestep", 1, &w->timestep, err));
    SV_TRY(sv_call_output(w->denoise, "out_sample", shape, 4, &w->output, err));
    return p->family->bind(w, err);
}

/* Pictures are decoded one by one: the decoder needs the most memory of all, and gains nothing from a batch on a CPU. */
static sv_status bind_decoder(sv_painter *w, sv_error *err) {
    sv_pipeline *p = w->p;
    SV_TRY(sv_call_open(&w->decode, p->sessions[SV_PART_DECODER], err));
    SV_TRY(sv_call_floats(w->decode, "latent_sample", (int64_t[]){1, p->sizes.channels, w->h, w->w}, 4, &w->code, err));
    return sv_call_output(w->decode, "sample", (int64_t[]){1, 3, w->o.height, w->o.width}, 4, &w->picture, err);
}

static sv_status open_painter(sv_painter *w, const sv_paint_options *o, sv_error *err) {
    sv_pipeline *p = w->p;
    SV_TRY(check_options(p, o, err));
    w->o = *o;
    w->o.scheduler = NULL;                         /* the caller's memory */
    w->guided = o->guidance > 1;
    w->batch = (size_t)o->batch;
    w->rows = w->guided ? 2 * w->batch : w->batch;
    w->h = o->height / p->sizes.factor;
    w->w = o->width / p->sizes.factor;
    w->values = (size_t)(p->sizes.channels * w->h * w->w);

    sv_sample_options so;
    sv_sample_options_init(&so, o->steps);
    so.eta = o->eta;
    SV_TRY(sv_scheduler_open_amended(&w->scheduler, p->dir.scheduler, o->scheduler, p->family->amend, err));
    SV_TRY(sv_sampler_open(&w->sampler, w->scheduler, &so, w->batch, w->values, err));

    w->generators = calloc(w->batch, sizeof *w->generators);
    w->latents = calloc(w->batch * w->values, sizeof *w->latents);
    w->predicted = calloc(w->batch * w->values, sizeof *w->predicted);
    if (!w->generators || !w->latents || !w->predicted) return sv_fail_memory(err, "painter", w->batch * w->values * 2 * sizeof(float));
    SV_TRY(bind_denoiser(w, err));
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
    sv_sampler_close(&w->sampler);
    sv_scheduler_close(&w->scheduler);
    free(w->generators);
    free(w->latents);
    free(w->predicted);
    free(w);
    *painter = NULL;
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
    size_t all = w->batch * w->values, steps = sv_sampler_length(w->sampler);
    const double *timesteps = sv_sampler_timesteps(w->sampler);
    for (size_t i = 0; i < steps; i++) {
        if (stop && *stop) return sv_fail(err, SV_E_STOPPED, "drawing", "stopped on request");
        sv_sampler_scale_input(w->sampler, i, w->latents, w->sample);
        if (w->guided) memcpy(w->sample + all, w->sample, all * sizeof(float));
        *w->timestep = timesteps[i];
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
    const sv_pipeline *p = w->p;
    out->latents_sum = 0;
    for (size_t i = 0; i < w->values; i++) out->latents_sum += x[i];
    out->finite = isfinite(out->latents_sum);
    SV_TRY(sv_image_alloc(&out->image, w->o.width, w->o.height, SV_MODE_RGB, err));
    if (!out->finite) return SV_OK;
    for (size_t i = 0; i < w->values; i++) w->code[i] = x[i] / p->sizes.scaling + p->sizes.shift;
    SV_TRY(sv_call_run(w->decode, err));
    out->finite = to_bytes(w->picture, w->o.width, w->o.height, out->image.data);
    return SV_OK;
}

sv_status sv_painter_run(sv_painter *w, const sv_condition *text, const sv_condition *negative, const uint64_t *seeds, size_t n, sv_painted *out,
                         const volatile int *stop, sv_error *err) {
    if (n < 1 || n > w->batch) return sv_fail(err, SV_E_INTERNAL, "painter", "%zu pictures asked of a batch of %zu", n, w->batch);
    if (w->guided && !negative) return sv_fail(err, SV_E_INTERNAL, "painter", "guidance needs the negative text");
    float sigma = sv_sampler_init_noise_sigma(w->sampler);
    sv_sampler_restart(w->sampler);
    if (w->guided) SV_TRY(w->p->family->fill(w, negative, 0, w->batch, err));
    SV_TRY(w->p->family->fill(w, text, w->rows - w->batch, w->batch, err));
    for (size_t b = 0; b < w->batch; b++) {
        /* Rows that nobody asked for draw the first picture again: the call keeps its shape, and so every row its bits. */
        float *x = w->latents + b * w->values;
        sv_generator_seed(&w->generators[b], seeds[b < n ? b : 0]);
        sv_randn(&w->generators[b], x, w->values);
        for (size_t i = 0; i < w->values; i++) x[i] *= sigma;
    }
    SV_TRY(denoise(w, stop, err));
    for (size_t b = 0; b < n; b++) SV_TRY(decode(w, b, &out[b], err));
    return SV_OK;
}
