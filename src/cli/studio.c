/* studio.c - what txt2img keeps: pipelines for the process, painters and encoded negative texts for each thread. */
#include "studio.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One thread's painter for one model, with the options that it was made for. */
typedef struct easel {
    sv_painter *painter;
    sv_pipeline *model;
    sv_paint_options options;
    char *scheduler;             /* the options' */
    sv_condition *negative;
    char *negative_text;         /* NULL: none was given */
    sv_text_options negative_options;
} easel;

typedef struct seat {
    easel base, refiner;
    sv_image source;
    sv_painted picture;
} seat;

typedef struct refiner {
    char *dir;
    sv_pipeline *model;
    struct refiner *next;
} refiner;

struct sv_studio {
    sv_pipeline *model;
    sv_engine_options engine;    /* its texts are the caller's */
    sv_log log;
    pthread_mutex_t lock;        /* guards refiners */
    refiner *refiners;
    seat *seats;
    unsigned count;
};

static sv_status fail(sv_error *err, sv_status st, const char *what, const char *why) {
    snprintf(err->what, sizeof err->what, "%s", what);
    snprintf(err->why, sizeof err->why, "%s", why);
    err->hint[0] = 0;
    return err->status = st;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool same_text(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_real(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

/* ---- open and close ---- */

sv_status sv_studio_open(sv_studio **out, const char *model, const sv_engine_options *engine, unsigned seats, sv_error *err) {
    *out = NULL;
    sv_studio *s = calloc(1, sizeof *s);
    if (!s) return fail(err, SV_E_MEMORY, model, "out of memory");
    pthread_mutex_init(&s->lock, NULL);
    s->count = seats;
    s->seats = calloc(seats, sizeof *s->seats);
    s->engine = *engine;
    s->log = sv_cli_log();
    sv_status st = s->seats ? SV_OK : fail(err, SV_E_MEMORY, model, "out of memory");
    if (st == SV_OK) st = sv_pipeline_open(&s->model, model, &s->engine, &s->log, err);
    if (st != SV_OK) {
        sv_studio_close(&s);
        return st;
    }
    *out = s;
    return SV_OK;
}

static void clear_easel(easel *e) {
    sv_painter_close(&e->painter);
    sv_condition_close(&e->negative);
    free(e->scheduler);
    free(e->negative_text);
    *e = (easel){0};
}

void sv_studio_close(sv_studio **studio) {
    sv_studio *s = *studio;
    if (!s) return;
    for (unsigned i = 0; s->seats && i < s->count; i++) {
        clear_easel(&s->seats[i].base);
        clear_easel(&s->seats[i].refiner);
        sv_image_free(&s->seats[i].source);
        sv_image_free(&s->seats[i].picture.image);
    }
    while (s->refiners) {
        refiner *r = s->refiners;
        s->refiners = r->next;
        sv_pipeline_close(&r->model);
        free(r->dir);
        free(r);
    }
    sv_pipeline_close(&s->model);
    pthread_mutex_destroy(&s->lock);
    free(s->seats);
    free(s);
    *studio = NULL;
}

void sv_studio_defaults(const sv_studio *s, sv_request *r) {
    *r = (sv_request){.metadata = true};
    sv_paint_options_init(&r->paint);
    sv_pipeline_defaults(s->model, &r->paint.steps, &r->paint.guidance);
    sv_pipeline_default_size(s->model, &r->paint.width, &r->paint.height);
}

/* The refiner in a directory, loaded at its first mention. */
static sv_status find_refiner(sv_studio *s, const char *dir, sv_pipeline **out, sv_error *err) {
    sv_status st = SV_OK;
    refiner *r;
    pthread_mutex_lock(&s->lock);
    for (r = s->refiners; r && strcmp(r->dir, dir) != 0;) r = r->next;
    if (!r) {
        r = calloc(1, sizeof *r);
        char *copy = strdup(dir);
        st = r && copy ? sv_pipeline_open(&r->model, dir, &s->engine, &s->log, err) : fail(err, SV_E_MEMORY, dir, "out of memory");
        if (st == SV_OK) st = sv_pipeline_can_refine(r->model, s->model, err);
        if (st == SV_OK) {
            r->dir = copy;
            r->next = s->refiners;
            s->refiners = r;
        } else {
            if (r) sv_pipeline_close(&r->model);
            free(r);
            free(copy);
        }
    }
    pthread_mutex_unlock(&s->lock);
    if (st == SV_OK) *out = r->model;
    return st;
}

/* ---- easels ---- */

static bool same_options(const sv_paint_options *a, const sv_paint_options *b) {
    return a->width == b->width && a->height == b->height && a->steps == b->steps && a->guidance == b->guidance && a->guidance_rescale == b->guidance_rescale &&
           a->from == b->from && same_real(a->strength, b->strength) && same_real(a->denoising_start, b->denoising_start) &&
           same_real(a->denoising_end, b->denoising_end) && a->guidance_from == b->guidance_from && a->guidance_until == b->guidance_until &&
           a->vae_tile == b->vae_tile && a->aesthetic_score == b->aesthetic_score && a->negative_aesthetic_score == b->negative_aesthetic_score;
}

/* Makes the painter fit the options; the one of the last picture is kept if it does. */
static sv_status set_up(easel *e, sv_pipeline *model, const sv_paint_options *o, sv_error *err) {
    if (e->painter && e->model == model && same_options(&e->options, o) && same_text(e->scheduler, o->scheduler)) return SV_OK;
    if (e->model != model) clear_easel(e);
    sv_painter_close(&e->painter);
    free(e->scheduler);
    e->scheduler = o->scheduler ? strdup(o->scheduler) : NULL;
    if (o->scheduler && !e->scheduler) return fail(err, SV_E_MEMORY, "scheduler", "out of memory");
    e->model = model;
    e->options = *o;
    e->options.scheduler = e->scheduler;
    return sv_painter_open(&e->painter, model, &e->options, err);
}

static sv_status set_negative(easel *e, const sv_request *r, sv_error *err) {
    if (!(r->paint.guidance > 1)) return SV_OK;
    sv_text_options o = {.max_sequence_length = r->text.max_sequence_length, .windows = r->text.windows};   /* diffusers skips no layers of the negative text */
    bool same = e->negative && same_text(e->negative_text, r->negative) && e->negative_options.max_sequence_length == o.max_sequence_length &&
                e->negative_options.windows == o.windows;
    if (same) return SV_OK;
    sv_condition_close(&e->negative);
    free(e->negative_text);
    e->negative_text = r->negative ? strdup(r->negative) : NULL;
    e->negative_options = o;
    if (r->negative && !e->negative_text) return fail(err, SV_E_MEMORY, "negative prompt", "out of memory");
    return sv_pipeline_encode_with(e->model, r->negative, &o, &e->negative, err);
}

/* One model's share of a picture. */
static sv_status paint(easel *e, sv_pipeline *model, const sv_request *r, const sv_paint_options *o, const sv_paint_source *source, sv_painted *out, sv_error *err) {
    sv_condition *text = NULL;
    sv_status st = set_up(e, model, o, err);
    if (st == SV_OK) st = set_negative(e, r, err);
    if (st == SV_OK) st = sv_pipeline_encode_with(model, r->prompt, &r->text, &text, err);
    sv_picture picture = {.text = text, .negative = e->negative, .seed = r->seed, .source = *source};
    if (st == SV_OK) st = sv_painter_draw(e->painter, &picture, 1, out, (const volatile int *)&sv_cli_stop, err);
    sv_condition_close(&text);
    if (st == SV_OK && !out->finite) st = fail(err, SV_E_MODEL, "drawing", "the picture holds values that are not numbers (the model overflows at these settings)");
    return st;
}

/* ---- drawing ---- */

/* The picture to begin with sets the size, which must fit the model. */
static sv_status read_source(seat *t, const sv_request *r, sv_paint_options *o, sv_error *err) {
    sv_status st = sv_image_read(&t->source, r->init_image, err);
    if (st != SV_OK) return st;
    if (r->sized && (o->width != t->source.width || o->height != t->source.height)) {
        char why[128];
        snprintf(why, sizeof why, "is %dx%d, and %dx%d is asked for", t->source.width, t->source.height, o->width, o->height);
        return fail(err, SV_E_INPUT, r->init_image, why);
    }
    o->width = t->source.width;
    o->height = t->source.height;
    o->from = SV_FROM_IMAGE;
    return SV_OK;
}

static sv_status draw(sv_studio *s, seat *t, const sv_request *r, sv_error *err) {
    sv_paint_options base = r->paint, after;
    sv_paint_source source = {.image = &t->source};
    sv_pipeline *model = NULL;
    sv_status st = r->init_image ? read_source(t, r, &base, err) : SV_OK;
    if (st == SV_OK && r->refiner) st = find_refiner(s, r->refiner, &model, err);
    if (st != SV_OK) return st;
    if (!model) return paint(&t->base, s->model, r, &base, &source, &t->picture, err);
    /* The base model stops where the refiner begins. */
    after = base;
    if (isnan(base.denoising_end) && isnan(base.denoising_start)) base.denoising_end = 0.8;
    if (isnan(base.denoising_end)) base.denoising_end = after.denoising_start;
    if (isnan(after.denoising_start)) after.denoising_start = base.denoising_end;
    base.denoising_start = after.denoising_end = NAN;
    if (r->authors_call) {       /* noise is added again and the end cut off once more: the picture keeps some of it */
        after.denoising_start = NAN;
        after.denoising_end = base.denoising_end;
    }
    after.from = SV_FROM_LATENTS;
    st = paint(&t->base, s->model, r, &base, &source, &t->picture, err);
    if (st != SV_OK) return st;
    size_t values;
    source.latents = sv_painter_latents(t->base.painter, &values);
    return paint(&t->refiner, model, r, &after, &source, &t->picture, err);
}

/* The painter's options with the refiner among them, as a painter that has both would be told. */
static sv_status make_note(sv_studio *s, const seat *t, const sv_request *r, sv_paint_note *note, sv_error *err) {
    sv_paint_options o = t->base.options;
    if (r->refiner) {
        sv_status st = find_refiner(s, r->refiner, &o.refiner, err);
        if (st != SV_OK) return st;
        o.refiner_start = r->authors_call ? NAN : t->refiner.options.denoising_start;
        o.refiner_authors_call = r->authors_call;
    }
    return sv_paint_note_make(note, s->model, &o, &r->text, err);
}

static sv_status write_picture(sv_studio *s, const seat *t, const sv_request *r, const char *file, sv_format format, sv_error *err) {
    sv_encode_options o;
    sv_paint_note note = {0};
    sv_encode_options_init(&o, format);
    sv_status st = r->metadata ? make_note(s, t, r, &note, err) : SV_OK;
    note.about.prompt = r->prompt;
    note.about.negative = r->negative;
    note.about.seed = r->seed & 0xFFFFFFFF;        /* what the generator makes of it */
    if (r->metadata) o.provenance = &note.about;
    if (st == SV_OK) st = sv_image_write(&t->picture.image, file, &o, err);
    sv_paint_note_free(&note);
    return st;
}

sv_status sv_studio_draw(sv_studio *s, unsigned number, const sv_request *r, const char *file, sv_drawn *out, sv_error *err) {
    seat *t = &s->seats[number];
    double start = now();
    sv_format format;
    sv_status st = sv_format_of_name(file, &format, err);   /* before the work, not after it */
    if (st == SV_OK) st = draw(s, t, r, err);
    out->seconds = now() - start;
    out->latents_sum = t->picture.latents_sum;
    if (st == SV_OK) st = write_picture(s, t, r, file, format, err);
    return st;
}
