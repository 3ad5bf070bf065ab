/* painter_run.c - the loop that turns noise into pictures: scale, predict, guide, step; then decode (painter_decode.c). It can be halted between any two model calls. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/pipeline.h"
#include "diffusion/scheduler.h"

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
    const float *uncond = w->denoise.output, *cond = uncond + all;
    float g = (float)w->o.guidance, phi = (float)w->o.guidance_rescale;
    for (size_t i = 0; i < all; i++) w->predicted[i] = uncond[i] + g * (cond[i] - uncond[i]);
    if (!(phi > 0)) return;
    for (size_t b = 0; b < w->batch; b++) {
        float *e = w->predicted + b * w->values;
        float text = (float)deviation(cond + b * w->values, w->values), ours = (float)deviation(e, w->values), ratio = text / ours;
        for (size_t i = 0; i < w->values; i++) e[i] = phi * (e[i] * ratio) + (1 - phi) * e[i];
    }
}

/* Whether guidance acts at model call i: its place in the whole schedule lies in the interval, the end not included but for 1. */
static bool guides_at(const sv_painter *w, size_t i) {
    double place = (double)i / (double)sv_sampler_length(w->sampler);
    return !w->skips || (place >= w->o.guidance_from && (place < w->o.guidance_until || w->o.guidance_until >= 1));
}

/* ---- drawing ---- */

/* Runs the steps next .. to - 1 of this painter's own. look: what the last one takes the picture to be is kept for a preview. */
static sv_status denoise(sv_painter *w, size_t to, bool look, const volatile int *stop, sv_error *err) {
    size_t all = w->batch * w->values;
    const double *timesteps = sv_sampler_timesteps(w->sampler);
    float unit = w->p->family->timestep_unit;
    if (look && !w->clean && !(w->clean = malloc(all * sizeof *w->clean))) return sv_fail_memory(err, "painter", all * sizeof *w->clean);
    for (; w->next < to; w->next++) {
        size_t i = w->next;
        if (stop && *stop) return sv_fail(err, SV_E_STOPPED, "drawing", "stopped on request");
        bool guided = w->guided && guides_at(w, i);
        sv_denoiser *d = guided || !w->guided ? &w->denoise : &w->alone;
        sv_sampler_scale_input(w->sampler, i, w->latents, d->sample);
        if (guided) memcpy(d->sample + all, d->sample, all * sizeof(float));
        *d->timestep = unit > 0 ? (float)timesteps[i] / unit : timesteps[i];
        SV_TRY(sv_call_run(d->call, err));
        if (guided)
            guide(w);
        else
            memcpy(w->predicted, d->output, all * sizeof(float));
        w->has_clean = look && i + 1 == to;
        if (w->has_clean) sv_sampler_predict(w->sampler, i, w->predicted, w->latents, w->clean);
        SV_TRY(sv_sampler_step(w->sampler, i, w->predicted, w->latents, w->generators, err));
    }
    return SV_OK;
}

/* ---- from the first call to the last ---- */

sv_status sv_painter_begin(sv_painter *w, const sv_picture *pictures, size_t n, sv_error *err) {
    w->begun = w->has_clean = w->handed_over = false;
    if (n < 1 || n > w->batch) return sv_fail(err, SV_E_INTERNAL, "painter", "%zu pictures asked of a batch of %zu", n, w->batch);
    SV_TRY(sv_painter_set_texts(w, pictures, n, false, err));
    if (w->after) SV_TRY(sv_painter_set_texts(w->after, pictures, n, true, err));
    sv_sampler_restart(w->sampler);
    SV_TRY(sv_painter_start(w, pictures, n, err));
    w->next = w->begin;
    w->begun = true;
    return SV_OK;
}

/* The refiner begins with the latents that the base model ends with. Its texts are there already. */
static sv_status hand_over(sv_painter *w, sv_error *err) {
    sv_painter *to = w->after;
    for (size_t b = 0; b < w->batch; b++) to->pictures[b] = (sv_picture){.seed = w->seeds[b], .source.latents = w->latents + b * w->values};
    sv_sampler_restart(to->sampler);
    SV_TRY(sv_painter_start(to, to->pictures, to->batch, err));
    to->next = to->begin;
    to->has_clean = false;
    w->handed_over = to->begun = true;
    return SV_OK;
}

static size_t own_calls(const sv_painter *w) {
    return w->end - w->begin;
}

size_t sv_painter_calls(const sv_painter *w) {
    return own_calls(w) + (w->after ? own_calls(w->after) : 0);
}

size_t sv_painter_position(const sv_painter *w) {
    if (!w->begun) return 0;
    return w->next - w->begin + (w->handed_over ? w->after->next - w->after->begin : 0);
}

sv_status sv_painter_advance(sv_painter *w, size_t to, const volatile int *stop, sv_error *err) {
    size_t all = sv_painter_calls(w), own = own_calls(w);
    if (!w->begun) return sv_fail(err, SV_E_INTERNAL, "painter", "nothing was begun");
    if (to > all) to = all;
    if (to <= sv_painter_position(w)) return SV_OK;
    if (!(w->handed_over ? w->after : w)->denoise.call) return sv_fail(err, SV_E_INTERNAL, "painter", "the denoiser was released in the middle of a picture");
    bool look = to < all;
    if (!w->handed_over) SV_TRY(denoise(w, w->begin + (to < own ? to : own), look && to <= own, stop, err));
    if (to <= own) return SV_OK;
    if (!w->handed_over) SV_TRY(hand_over(w, err));
    return denoise(w->after, w->after->begin + (to - own), look, stop, err);
}

/* The painter that holds the rows now. */
static sv_painter *holder(sv_painter *w) {
    return w->handed_over ? w->after : w;
}

sv_status sv_painter_preview(sv_painter *w, size_t row, sv_painted *out, sv_error *err) {
    sv_painter *in = holder(w);
    if (row >= w->batch || !w->begun || !in->has_clean) return sv_fail(err, SV_E_INTERNAL, "painter", "row %zu has nothing to be looked at", row);
    return sv_painter_decode(in, in->clean + row * in->values, out, err);
}

sv_status sv_painter_finish(sv_painter *w, size_t row, sv_painted *out, sv_error *err) {
    sv_painter *in = holder(w);
    if (row >= w->batch || !w->begun || sv_painter_position(w) < sv_painter_calls(w))
        return sv_fail(err, SV_E_INTERNAL, "painter", "row %zu is not finished", row);
    return sv_painter_decode(in, in->latents + row * in->values, out, err);
}

sv_status sv_painter_draw(sv_painter *w, const sv_picture *pictures, size_t n, sv_painted *out, const volatile int *stop, sv_error *err) {
    SV_TRY(sv_painter_begin(w, pictures, n, err));
    SV_TRY(sv_painter_advance(w, sv_painter_calls(w), stop, err));
    for (size_t b = 0; b < n; b++) SV_TRY(sv_painter_finish(w, b, &out[b], err));
    return SV_OK;
}

sv_status sv_painter_run(sv_painter *w, const sv_condition *text, const sv_condition *negative, const uint64_t *seeds, size_t n, sv_painted *out,
                         const volatile int *stop, sv_error *err) {
    for (size_t b = 0; b < n && b < w->batch; b++) w->pictures[b] = (sv_picture){.text = text, .negative = negative, .seed = seeds[b]};
    return sv_painter_draw(w, w->pictures, n, out, stop, err);
}

const float *sv_painter_latents(const sv_painter *w, size_t *values) {
    *values = w->values;
    return w->handed_over ? w->after->latents : w->latents;
}
