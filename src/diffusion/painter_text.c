/* painter_text.c - the denoiser's inputs that stay the same from step to step: texts, guidance where it is embedded, and the family's own numbers. */
#include <math.h>
#include <string.h>

#include "diffusion/pipeline.h"

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

static sv_status bind_guidance(sv_painter *w, sv_denoiser *d, sv_error *err) {
    sv_pipeline *p = w->p;
    const sv_tensor_info *t = sv_session_input(sv_call_session(d->call), "timestep_cond");
    float *cond;
    int64_t width;
    if (!t) return SV_OK;
    SV_TRY(sv_config_int(&p->dir.parts[SV_PART_DENOISER], "time_cond_proj_dim", t->rank == 2 ? t->dims[1] : -1, &width, err));
    if (width < 4) return sv_fail(err, SV_E_MODEL, p->dir.path, "unet/config.json does not say how wide timestep_cond is (time_cond_proj_dim)");
    SV_TRY(sv_call_floats(d->call, "timestep_cond", (int64_t[]){(int64_t)d->rows, width}, 2, &cond, err));
    for (size_t r = 0; r < d->rows; r++) embed_guidance(w->o.guidance, width, cond + (int64_t)r * width);
    return SV_OK;
}

static sv_status bind_denoiser(sv_painter *w, sv_denoiser *d, size_t count, const sv_condition *c, sv_error *err) {
    const sv_family *f = w->p->family;
    int64_t rows = (int64_t)count, shape[4] = {rows, w->p->sizes.channels, w->h, w->w}, row[3] = {rows, w->h / 2 * (w->w / 2), 4 * w->p->sizes.channels};
    const int64_t *dims = f->packed ? row : shape;
    int rank = f->packed ? 3 : 4;
    sv_call_close(&d->call);
    *d = (sv_denoiser){.rows = count};
    SV_TRY(sv_pipeline_call(w->p, SV_PART_DENOISER, &d->call, err));
    SV_TRY(sv_call_floats(d->call, f->sample, dims, rank, &d->sample, err));
    SV_TRY(sv_call_number(d->call, "timestep", f->timestep_unit > 0 ? rows : 1, &d->timestep, err));
    SV_TRY(sv_call_output(d->call, f->output, dims, rank, &d->output, err));
    SV_TRY(sv_call_floats(d->call, "encoder_hidden_states", (int64_t[]){rows, c->rows, c->width}, 3, &d->hidden, err));
    if (f->pooled) SV_TRY(sv_call_floats(d->call, f->pooled, (int64_t[]){rows, c->pooled_width}, 2, &d->pooled, err));
    w->text_rows = c->rows;
    w->text_width = c->width;
    w->pooled_width = c->pooled_width;
    SV_TRY(bind_guidance(w, d, err));
    return f->bind ? f->bind(w, d, err) : SV_OK;
}

static const sv_condition *longer(const sv_condition *a, const sv_condition *b) {
    return b && b->rows > a->rows ? b : a;
}

bool sv_picture_same_shape(const sv_picture *a, const sv_picture *b) {
    bool base = longer(a->text, a->negative)->rows == longer(b->text, b->negative)->rows;
    return base && (!a->refiner_text || !b->refiner_text || longer(a->refiner_text, a->refiner_negative)->rows == longer(b->refiner_text, b->refiner_negative)->rows);
}

/* Whether a text fits the rows that are bound: it has them, or can be filled up with empty windows. */
static sv_status check_text(const sv_painter *w, const sv_condition *c, sv_error *err) {
    bool fits = c->rows == w->text_rows || (c->rows < w->text_rows && c->empty && w->text_rows % (c->rows / (int64_t)c->windows) == 0);
    if (fits && c->width == w->text_width && c->pooled_width == w->pooled_width) return SV_OK;
    return sv_fail(err, SV_E_INTERNAL, "painter", "the texts of a batch were encoded with different settings");
}

/* Writes one condition into a row of the denoiser's inputs. */
static void fill_row(sv_painter *w, sv_denoiser *d, const sv_condition *c, size_t row, bool negative) {
    size_t n = (size_t)(c->rows * c->width), all = (size_t)(w->text_rows * c->width), window = n / c->windows, k = (size_t)c->pooled_width;
    float *hidden = d->hidden + row * all;
    memcpy(hidden, c->hidden, n * sizeof(float));
    for (size_t at = n; at < all; at += window) memcpy(hidden + at, c->empty, window * sizeof(float));
    if (d->pooled) memcpy(d->pooled + row * k, c->pooled, k * sizeof(float));
    if (w->p->family->fill) w->p->family->fill(w, d, row, 1, negative);
}

sv_status sv_painter_set_texts(sv_painter *w, const sv_picture *pictures, size_t n, bool refiner, sv_error *err) {
    for (size_t b = 0; b < w->batch; b++) {
        const sv_picture *k = &pictures[b < n ? b : 0];
        const sv_condition *text = refiner ? k->refiner_text : k->text, *negative = refiner ? k->refiner_negative : k->negative;
        if (!text || (w->guided && !negative)) return sv_fail(err, SV_E_INTERNAL, "painter", text ? "guidance needs the negative text" : "a picture without a text");
        const sv_condition *shape = longer(text, w->guided ? negative : NULL);
        bool bound = w->denoise.call && shape->rows == w->text_rows && shape->width == w->text_width && shape->pooled_width == w->pooled_width;
        if (b > 0 && shape->rows != w->text_rows) return sv_fail(err, SV_E_INTERNAL, "painter", "the texts of a batch are not equally long");
        if (b == 0 && !bound) {
            sv_status st = bind_denoiser(w, &w->denoise, w->rows, shape, err);
            if (st == SV_OK && w->skips) st = bind_denoiser(w, &w->alone, w->batch, shape, err);
            if (st != SV_OK) {
                sv_painter_release(w, SV_PHASE_DENOISE);
                return st;
            }
        }
        SV_TRY(check_text(w, text, err));
        if (w->guided) {
            SV_TRY(check_text(w, negative, err));
            fill_row(w, &w->denoise, negative, b, true);
        }
        fill_row(w, &w->denoise, text, w->rows - w->batch + b, false);
        if (w->skips) fill_row(w, &w->alone, text, b, false);
    }
    return SV_OK;
}
