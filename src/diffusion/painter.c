/* painter.c - opening a painter: options are checked, the schedule is made, memory is taken. painter_run.c is what it does then. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "diffusion/pipeline.h"
#include "diffusion/scheduler.h"

void sv_paint_options_init(sv_paint_options *o) {
    *o = (sv_paint_options){.batch = 1, .steps = 50, .guidance = 7.5, .strength = NAN, .denoising_start = NAN, .denoising_end = NAN,
                            .aesthetic_score = 6, .negative_aesthetic_score = 2.5, .refiner_start = NAN,
                            .guidance_until = 1};
}

/* ---- open and close ---- */

/* The least that a picture of this size takes in one layer of decoder and denoiser, in bytes. Real needs are larger; this is to know at once what
 * cannot be. */
static double least_memory(const sv_pipeline *p, const sv_paint_options *o) {
    double width = o->width, height = o->height;
    int64_t channels = 1;
    const sv_part_files *decoder = &p->dir.parts[SV_PART_DECODER], *denoiser = &p->dir.parts[SV_PART_DENOISER];
    if (o->vae_tile) width = fmin(width, o->vae_tile), height = fmin(height, o->vae_tile);
    if (sv_config_int(decoder, "block_out_channels", 1, &channels, NULL) != SV_OK) channels = 1;
    double decode = 2 * width * height * (double)channels * 4;         /* in and out of a convolution at full size */
    /* Attention compares every place with every other, at the first level of a unet that attends, or among a transformer's patches. */
    double side = p->sizes.factor * (p->family->packed || p->sizes.patch > 1 ? p->sizes.patch : sv_config_attention_stride(denoiser));
    double places = o->width / side * (o->height / side), attend = places * places * 4 * o->batch;
    return fmax(decode, attend);
}

static sv_status check_memory(const sv_pipeline *p, const sv_paint_options *o, sv_error *err) {
    double have = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE), need = least_memory(p, o);
    if (!(have > 0) || need < have || strcmp(p->provider, "cpu") != 0) return SV_OK;
    sv_fail(err, SV_E_MEMORY, "size", "%dx%d takes at least %.0f GB in a single layer (batch %d), and this machine has %.0f GB", o->width, o->height, need / 1e9,
            o->batch, have / 1e9);
    return sv_hint(err, SV_E_MEMORY, "the model's own size is %dx%d; `synthvlm describe --memory --size` measures what a size takes", p->sizes.width, p->sizes.height);
}

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
    if (!(o->guidance_from >= 0 && o->guidance_from < o->guidance_until && o->guidance_until <= 1))
        return sv_fail(err, SV_E_USAGE, "guidance_interval", "%g to %g is no part of 0..1", o->guidance_from, o->guidance_until);
    if (o->vae_tile && (o->vae_tile < 0 || o->vae_tile % (4 * p->sizes.factor)))
        return sv_fail(err, SV_E_USAGE, "vae_tile", "%d is no multiple of %d, four values of this model's latents", o->vae_tile, 4 * p->sizes.factor);
    SV_TRY(check_memory(p, o, err));
    if (o->from == SV_FROM_NOISE && p->family->needs_source) {
        sv_fail(err, SV_E_USAGE, "model", "%s refines pictures and cannot begin with noise", p->family->name(&p->dir));
        return sv_hint(err, SV_E_USAGE, "give it an init_image, or name it as the refiner of a base model");
    }
    if (o->from != SV_FROM_NOISE && p->family->packed)
        return sv_fail(err, SV_E_USAGE, "init_image", "is not available for %s", p->family->name(&p->dir));
    return SV_OK;
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

/* States can go from one painter to another if this is equal. The batch is left out: it changes last bits, and nothing else. */
static uint64_t likeness(const sv_painter *w) {
    const sv_paint_options *o = &w->o;
    const double reals[] = {o->guidance, o->guidance_rescale, o->guidance_from, o->guidance_until, o->eta, o->aesthetic_score, o->negative_aesthetic_score};
    const uint64_t wholes[] = {(uint64_t)o->width, (uint64_t)o->height, w->begin, w->end, w->values, w->after ? w->after->likeness : 0};
    const char *config = sv_scheduler_json(w->scheduler), *model = w->p->dir.path;
    uint64_t h = sv_hash64(config, strlen(config), 0);
    h = sv_hash64(model, strlen(model), h);
    h = sv_hash64(reals, sizeof reals, h);
    h = sv_hash64(wholes, sizeof wholes, h);
    return sv_hash64(sv_sampler_timesteps(w->sampler), sv_sampler_length(w->sampler) * sizeof(double), h);
}

/* The base model stops where the refiner begins. */
static sv_status open_refiner(sv_painter *w, const sv_paint_options *o, sv_error *err) {
    sv_paint_options after = *o;
    after.refiner = NULL;
    after.from = SV_FROM_LATENTS;
    after.denoising_start = isnan(o->refiner_start) ? o->denoising_end : o->refiner_start;
    after.denoising_end = NAN;
    if (o->refiner_authors_call) {
        after.denoising_start = NAN;
        after.denoising_end = o->denoising_end;
    }
    SV_TRY(sv_painter_open(&w->after, o->refiner, &after, err));
    if (w->after->values == w->values) return SV_OK;
    return sv_fail(err, SV_E_MODEL, o->refiner->dir.path, "its latents have %zu values where those of %s have %zu: it cannot go on with them", w->after->values,
                   w->p->dir.path, w->values);
}

static sv_status open_painter(sv_painter *w, const sv_paint_options *o, sv_error *err) {
    sv_pipeline *p = w->p;
    w->o = *o;
    if (o->refiner && isnan(o->denoising_end)) w->o.denoising_end = 0.8;
    o = &w->o;
    SV_TRY(check_options(p, o, err));
    /* Guidance that was distilled into the denoiser is an input of it, also in a family that otherwise compares two texts. */
    bool embedded = p->family->guidance_kind == SV_GUIDANCE_EMBEDDED || sv_graph_file_has_input(&p->graphs[SV_PART_DENOISER], "timestep_cond");
    w->guided = o->guidance > 1 && !embedded;
    w->skips = w->guided && (o->guidance_from > 0 || o->guidance_until < 1);
    w->batch = (size_t)o->batch;
    w->rows = w->guided ? 2 * w->batch : w->batch;
    w->h = o->height / p->sizes.factor;
    w->w = o->width / p->sizes.factor;
    w->values = (size_t)(p->sizes.channels * w->h * w->w);
    SV_TRY(open_sampler(w, o, err));
    if (o->refiner) SV_TRY(open_refiner(w, o, err));
    w->likeness = likeness(w);
    w->o.scheduler = NULL;                         /* the caller's memory */
    w->seeds = calloc(w->batch, sizeof *w->seeds);
    w->pictures = calloc(w->batch, sizeof *w->pictures);
    w->generators = calloc(w->batch, sizeof *w->generators);
    w->latents = calloc(w->batch * w->values, sizeof *w->latents);
    w->predicted = calloc(w->batch * w->values, sizeof *w->predicted);
    if (!w->seeds || !w->pictures || !w->generators || !w->latents || !w->predicted) return sv_fail_memory(err, "painter", w->batch * w->values * 2 * sizeof(float));
    if (o->from == SV_FROM_IMAGE && !p->dir.parts[SV_PART_ENCODER].graph) return sv_pipeline_prepare(p, SV_PHASE_PICTURE, err);   /* which says why not */
    return SV_OK;
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

void sv_painter_release(sv_painter *w, unsigned phases) {
    if (w->after) sv_painter_release(w->after, phases);
    if (phases & SV_PHASE_DENOISE) {
        sv_call_close(&w->denoise.call);
        sv_call_close(&w->alone.call);
    }
    if (phases & SV_PHASE_DECODE) sv_call_close(&w->decode);
    if (phases & SV_PHASE_PICTURE) sv_call_close(&w->encode);
}

void sv_painter_close(sv_painter **painter) {
    sv_painter *w = *painter;
    if (!w) return;
    sv_painter_release(w, SV_PHASE_ALL);
    sv_painter_close(&w->after);
    sv_sampler_close(&w->sampler);
    sv_scheduler_close(&w->scheduler);
    free(w->seeds);
    free(w->pictures);
    free(w->generators);
    free(w->latents);
    free(w->predicted);
    free(w->clean);
    free(w);
    *painter = NULL;
}
