/* painter_start.c - which steps are run, and what the latents are before the first: noise, an encoded picture, or another model's latents.
 *
 * Source: diffusers, StableDiffusionXLPipeline, StableDiffusionXLImg2ImgPipeline (get_timesteps, prepare_latents), StableDiffusionImg2ImgPipeline.
 */
#include <math.h>
#include <string.h>

#include "diffusion/pipeline.h"
#include "diffusion/scheduler.h"

/* A part of the schedule as a timestep, rounded as Python's round(). */
static double cut_off(const sv_painter *w, double part) {
    double levels = (double)w->scheduler->config.num_train_timesteps;
    return rint(levels - part * levels);
}

/* Model calls that belong to one step: Heun makes two. */
static size_t calls_per_step(const sv_painter *w) {
    return strcmp(sv_scheduler_class(w->scheduler), "HeunDiscreteScheduler") == 0 ? 2 : 1;
}

static sv_status check_part(const char *name, double v, sv_error *err) {
    return isnan(v) || (v >= 0 && v <= 1) ? SV_OK : sv_fail(err, SV_E_USAGE, name, "%g is not in 0..1", v);
}

sv_status sv_painter_range(sv_painter *w, sv_error *err) {
    const double *t = sv_sampler_timesteps(w->sampler);
    const sv_paint_options *o = &w->o;
    size_t length = sv_sampler_length(w->sampler);
    /* diffusers passes over 0 and 1, which cut nothing off. */
    bool starts_late = o->denoising_start > 0 && o->denoising_start < 1, ends_early = o->denoising_end > 0 && o->denoising_end < 1;
    SV_TRY(check_part("denoising_start", o->denoising_start, err));
    SV_TRY(check_part("denoising_end", o->denoising_end, err));
    SV_TRY(check_part("strength", o->strength, err));
    if (starts_late && ends_early && o->denoising_start >= o->denoising_end)
        return sv_fail(err, SV_E_USAGE, "denoising_start", "%g does not come before denoising_end, %g", o->denoising_start, o->denoising_end);
    w->begin = 0;
    w->end = length;
    if (starts_late) {
        double limit = cut_off(w, o->denoising_start);
        size_t n = 0;
        for (size_t i = 0; i < length; i++) n += t[i] < limit;
        if (calls_per_step(w) == 2 && n % 2 == 0) n++;      /* not in the middle of a step */
        w->begin = n < length ? length - n : 0;
    } else if (o->from != SV_FROM_NOISE) {
        double run = o->steps * (isnan(o->strength) ? w->p->family->strength : o->strength);
        /* Transformers round the number of steps left out down, unets that of the steps run. */
        double skipped = w->p->family->timestep_unit > 0 ? trunc(o->steps - fmin(run, o->steps)) : o->steps - fmin(trunc(run), o->steps);
        w->begin = (size_t)skipped * calls_per_step(w);
    }
    if (ends_early) {
        double limit = cut_off(w, o->denoising_end);
        size_t n = 0;
        for (size_t i = w->begin; i < length; i++) n += t[i] >= limit;
        w->end = w->begin + n;
    }
    if (w->begin >= w->end)
        return sv_fail(err, SV_E_USAGE, "steps", "none of %d is left to run (strength, denoising_start, denoising_end)", o->steps);
    return SV_OK;
}

static sv_status bind_encoder(sv_painter *w, sv_error *err) {
    sv_pipeline *p = w->p;
    if (w->encode) return SV_OK;
    SV_TRY(sv_pipeline_call(p, SV_PART_ENCODER, &w->encode, err));
    sv_status st = sv_call_floats(w->encode, "sample", (int64_t[]){1, 3, w->o.height, w->o.width}, 4, &w->scene, err);
    if (st == SV_OK)
        st = sv_call_output(w->encode, "latent_parameters", (int64_t[]){1, 2 * p->sizes.channels, w->h, w->w}, 4, &w->moments, err);
    if (st != SV_OK) sv_call_close(&w->encode);
    return st;
}

/* Runs the encoder on a picture. */
static sv_status encode_picture(sv_painter *w, const sv_image *image, sv_error *err) {
    sv_image rgb = {0};
    const sv_image *in = image;
    SV_TRY(bind_encoder(w, err));
    if (image->width != w->o.width || image->height != w->o.height)
        return sv_fail(err, SV_E_INTERNAL, "painter", "a picture of %dx%d given to a painter of %dx%d", image->width, image->height, w->o.width, w->o.height);
    if (image->mode != SV_MODE_RGB) {
        SV_TRY(sv_image_convert(image, SV_MODE_RGB, &rgb, err));
        in = &rgb;
    }
    size_t plane = (size_t)in->width * (size_t)in->height;
    for (size_t i = 0; i < plane; i++)
        for (size_t c = 0; c < 3; c++) w->scene[c * plane + i] = 2.0f * ((float)in->data[i * 3 + c] / 255.0f) - 1.0f;
    sv_image_free(&rgb);
    return sv_call_run(w->encode, err);
}

/* A draw from the encoder's normal distribution: mean + std z, scaled as the denoiser knows latents. */
static void draw_code(sv_painter *w, size_t b, float *x) {
    const sv_model_sizes *s = &w->p->sizes;
    const float *mean = w->moments, *log_variance = w->moments + w->values;
    sv_randn(&w->generators[b], x, w->values);
    for (size_t i = 0; i < w->values; i++) {
        float v = log_variance[i] < -30.0f ? -30.0f : log_variance[i] > 20.0f ? 20.0f : log_variance[i];
        float drawn = mean[i] + expf(0.5f * v) * x[i];
        size_t c = i / (size_t)(w->h * w->w);
        x[i] = s->has_spread ? (drawn - s->mean[c]) * s->scaling / s->std[c] : s->scaling * (drawn - s->shift);
    }
}

void sv_pack(const float *x, int64_t c, int64_t h, int64_t w, float *out) {
    for (int64_t y = 0; y < h; y++)
        for (int64_t k = 0; k < w; k++)
            for (int64_t i = 0; i < c; i++) out[((y / 2 * (w / 2) + k / 2) * c + i) * 4 + y % 2 * 2 + k % 2] = x[(i * h + y) * w + k];
}

void sv_unpack(const float *x, int64_t c, int64_t h, int64_t w, float *out) {
    for (int64_t y = 0; y < h; y++)
        for (int64_t k = 0; k < w; k++)
            for (int64_t i = 0; i < c; i++) out[(i * h + y) * w + k] = x[((y / 2 * (w / 2) + k / 2) * c + i) * 4 + y % 2 * 2 + k % 2];
}

sv_status sv_painter_start(sv_painter *w, const sv_picture *pictures, size_t n, sv_error *err) {
    float sigma = sv_sampler_init_noise_sigma(w->sampler);
    bool noisy = w->o.from != SV_FROM_NOISE && !(w->o.denoising_start > 0 && w->o.denoising_start < 1);
    const sv_image *encoded = NULL;
    for (size_t b = 0; b < w->batch; b++) {
        /* Rows that nobody asked for draw the first picture again: the call keeps its shape, and so every row its bits. */
        const sv_picture *as = &pictures[b < n ? b : 0];
        const sv_paint_source *source = &as->source;
        float *x = w->latents + b * w->values;
        if (w->o.from != SV_FROM_NOISE && !(w->o.from == SV_FROM_IMAGE ? (const void *)source->image : (const void *)source->latents))
            return sv_fail(err, SV_E_INTERNAL, "painter", "nothing to begin with");
        w->seeds[b] = as->seed;
        sv_generator_seed(&w->generators[b], as->seed);
        if (w->o.from == SV_FROM_NOISE) {
            sv_randn(&w->generators[b], x, w->values);
            for (size_t i = 0; i < w->values; i++) x[i] *= sigma;
            if (w->p->family->packed) {
                memcpy(w->predicted, x, w->values * sizeof(float));
                sv_pack(w->predicted, w->p->sizes.channels, w->h, w->w, x);
            }
        } else if (w->o.from == SV_FROM_LATENTS) {
            memcpy(x, source->latents, w->values * sizeof(float));
        } else {
            if (encoded != source->image) SV_TRY(encode_picture(w, source->image, err));
            encoded = source->image;
            draw_code(w, b, x);
        }
        if (noisy) sv_randn(&w->generators[b], w->predicted + b * w->values, w->values);
    }
    if (noisy) sv_sampler_add_noise(w->sampler, w->begin, w->latents, w->predicted, w->latents);
    return SV_OK;
}
