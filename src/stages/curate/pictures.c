/* pictures.c - answers of pictures to the process list's filters, as Data-Juicer measures them: the picture turned by its EXIF orientation, made RGB (which drops
 * alpha), then its size, its cosine with the text by CLIP, or the probability of a match by BLIP. */
#include "stages/curate/pictures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/thread.h"
#include "image/orient.h"
#include "stages/setups.h"
#include "synthvlm/score.h"
#include "text/ops/outside.h"

enum { ROWS = 4 };               /* pictures per call of CLIP; caption number n is always in row (n - 1) mod ROWS, so that a value depends on nothing else */

/* One filter that measures. */
typedef struct gauge {
    sv_outside what;
    const sv_image_text_settings *settings;   /* the two with a model */
    sv_clip *clip;
    sv_itm *itm;
    sv_setup setup;              /* what its values are filed under */
} gauge;

/* A value of one gauge about one caption of the piece. */
typedef struct known {
    int64_t key;                 /* of the text and the file it was measured on */
    double value;
    enum { NOTHING, FROM_BEFORE, MEASURED_NOW } state;
} known;

/* A picture that a thread has at hand. */
typedef struct seat {
    uint64_t number;             /* of the caption; 0: free */
    const char *reason;          /* it cannot be used; the caption is rejected for it */
    bool there, decoded;
    int64_t bytes, mtime_ns;
    int width, height;           /* upright */
    sv_image image;              /* upright, RGB; kept only where a model will look at it */
} seat;

typedef struct desk {
    seat seats[SV_OUTSIDE_ROWS];
    sv_image raw, turned;        /* on the way to a seat; flipped for a model */
    sv_image flipped[ROWS];
    float *of_text, *of_images;  /* embeddings: [dim], [ROWS, dim] of the widest model */
} desk;

struct sv_pictures {
    sv_rundir *run;
    gauge *gauges;
    size_t gauge_count, widest;
    bool models;                 /* a gauge has one */
    desk *desks;                 /* by thread */
    unsigned desk_count;
    int64_t after;               /* the piece: captions after + 1 … */
    char *paths[SV_PICTURES_PIECE];
    known *table;                /* [SV_PICTURES_PIECE, gauges] */
};

/* ---- opening ---- */

static bool has_model(sv_outside what) { return what == SV_PICTURE_SIMILARITY || what == SV_PICTURE_MATCHING; }

static sv_status open_model(const sv_recipe *r, gauge *g, char hash[65], sv_error *err) {
    sv_clip_options clip;
    sv_itm_options itm;
    if (g->what == SV_PICTURE_SIMILARITY) {
        sv_clip_options_init(&clip);
        clip.flavour = "data-juicer";
        clip.pillow = (int)r->score.pillow;
        clip.batch = ROWS;
        sv_engine_of(r, 1, &clip.engine);
        SV_TRY(sv_clip_open(&g->clip, g->settings->model, &clip, err));
        return sv_clip_hash(g->clip, hash, err);
    }
    sv_itm_options_init(&itm);
    itm.pillow = (int)r->score.pillow;
    sv_engine_of(r, 1, &itm.engine);
    SV_TRY(sv_itm_open(&g->itm, g->settings->model, &itm, err));
    return sv_itm_hash(g->itm, hash, err);
}

/* What the values of a filter depend on, its limits left out: another limit measures nothing anew. */
static sv_status gauge_setup(sv_rundir *run, gauge *g, const char *stat, sv_error *err) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = doc ? yyjson_mut_obj(doc) : NULL;
    char hash[65], *json = NULL;
    sv_status st = o && yyjson_mut_obj_add_str(doc, o, "measure", stat) ? SV_OK : sv_fail_memory(err, "pictures", 0);
    if (st == SV_OK && has_model(g->what)) {
        st = open_model(run->recipe, g, hash, err);
        bool ok = st == SV_OK && yyjson_mut_obj_add_str(doc, o, "model", hash) && yyjson_mut_obj_add_bool(doc, o, "horizontal_flip", g->settings->horizontal_flip) &&
                  yyjson_mut_obj_add_bool(doc, o, "vertical_flip", g->settings->vertical_flip) && yyjson_mut_obj_add_int(doc, o, "pillow", run->recipe->score.pillow);
        if (st == SV_OK) st = ok ? sv_provider_describe(&run->recipe->generate.engine.provider, doc, o, err) : sv_fail_memory(err, "pictures", 0);
    }
    if (st == SV_OK && !(json = yyjson_mut_val_write(o, YYJSON_WRITE_ALLOW_INF_AND_NAN, NULL))) st = sv_fail_memory(err, "pictures", 0);
    if (st == SV_OK) st = sv_ledger_setup(run->ledger, SV_STAGE_CURATE, stat, json, &g->setup, err);
    free(json);
    yyjson_mut_doc_free(doc);
    return st;
}

static sv_status open_gauge(sv_pictures *p, gauge *g, const sv_instance *in, sv_error *err) {
    g->what = (sv_outside)in->op->outside;
    if (has_model(g->what)) {
        g->settings = in->state;
        p->models = true;
    }
    SV_TRY(gauge_setup(p->run, g, in->op->info.stat, err));
    if (g->clip && sv_clip_dim(g->clip) > p->widest) p->widest = sv_clip_dim(g->clip);
    return SV_OK;
}

static sv_status make_desks(sv_pictures *p, sv_error *err) {
    p->desk_count = sv_cpu_count();
    p->desks = calloc(p->desk_count, sizeof *p->desks);
    p->table = calloc(SV_PICTURES_PIECE * p->gauge_count, sizeof *p->table);
    if (!p->desks || !p->table) return sv_fail_memory(err, "pictures", SV_PICTURES_PIECE * p->gauge_count * sizeof *p->table);
    for (unsigned i = 0; i < p->desk_count && p->widest; i++) {
        p->desks[i].of_text = malloc(p->widest * sizeof(float));
        p->desks[i].of_images = malloc(ROWS * p->widest * sizeof(float));
        if (!p->desks[i].of_text || !p->desks[i].of_images) return sv_fail_memory(err, "pictures", ROWS * p->widest * sizeof(float));
    }
    return SV_OK;
}

static sv_status answer(void *user, unsigned thread, size_t filter, sv_outside_row *rows, size_t n, sv_error *err);

sv_status sv_pictures_open(sv_pictures **out, sv_rundir *run, sv_process *process, sv_error *err) {
    size_t n = sv_process_outside_count(process);
    *out = NULL;
    if (!n) return SV_OK;
    sv_pictures *p = calloc(1, sizeof *p);
    if (!p) return sv_fail_memory(err, "pictures", sizeof *p);
    p->run = run;
    p->gauges = calloc(n, sizeof *p->gauges);
    sv_status st = p->gauges ? SV_OK : sv_fail_memory(err, "pictures", n * sizeof *p->gauges);
    for (size_t i = 0; st == SV_OK && i < n; i++)
        st = open_gauge(p, &p->gauges[p->gauge_count++], sv_process_outside(process, i), err);
    if (st == SV_OK) st = make_desks(p, err);
    if (st != SV_OK) {
        sv_pictures_close(&p);
        return st;
    }
    sv_process_answer(process, answer, p);
    *out = p;
    return SV_OK;
}

static void forget_paths(sv_pictures *p) {
    for (int i = 0; i < SV_PICTURES_PIECE; i++) {
        free(p->paths[i]);
        p->paths[i] = NULL;
    }
}

void sv_pictures_close(sv_pictures **handle) {
    sv_pictures *p = *handle;
    if (!p) return;
    *handle = NULL;
    for (unsigned i = 0; p->desks && i < p->desk_count; i++) {
        desk *d = &p->desks[i];
        for (int k = 0; k < SV_OUTSIDE_ROWS; k++) sv_image_free(&d->seats[k].image);
        for (int k = 0; k < ROWS; k++) sv_image_free(&d->flipped[k]);
        sv_image_free(&d->raw);
        sv_image_free(&d->turned);
        free(d->of_text);
        free(d->of_images);
    }
    for (size_t i = 0; i < p->gauge_count; i++) {
        sv_clip_close(&p->gauges[i].clip);
        sv_itm_close(&p->gauges[i].itm);
    }
    forget_paths(p);
    free(p->desks);
    free(p->table);
    free(p->gauges);
    free(p);
}

void sv_pictures_describe(const sv_rundir *run, const sv_process *process, sv_buf *json) {
    bool models = false;
    for (size_t i = 0; i < sv_process_outside_count(process); i++) models |= has_model((sv_outside)sv_process_outside(process, i)->op->outside);
    if (!models) return;
    if (run->recipe->score.pillow != 13) sv_buf_printf(json, ",\"pillow\":%d", (int)run->recipe->score.pillow);
    const char *provider = run->recipe->generate.engine.provider.name;
    if (!sv_str_eq(provider, "cpu")) sv_buf_printf(json, ",\"provider\":\"%s\"", provider);
}

sv_status sv_pictures_any(const sv_pictures *p, sv_error *err) {
    int64_t count;
    if (!p) return SV_OK;
    SV_TRY(sv_ledger_picture_count(p->run->ledger, &count, err));
    if (!count)
        sv_say(&p->run->o.log, SV_LOG_WARN, "no caption came with a picture, so the filters on pictures keep everything; a source's `images` names their folder");
    return SV_OK;
}

/* ---- a piece of the pool ---- */

static sv_status note_picture(void *user, int64_t number, const char *folder, const char *name, sv_error *err) {
    sv_pictures *p = user;
    char *place = sv_path_join(p->run->dir, folder), *path = place ? sv_path_join(place, name) : NULL;
    free(place);
    if (!path) return sv_fail_memory(err, name, 0);
    p->paths[number - p->after - 1] = path;
    return SV_OK;
}

typedef struct filing {
    sv_pictures *p;
    size_t gauge;
} filing;

static sv_status note_value(void *user, int64_t number, int64_t key, double value, sv_error *err) {
    const filing *f = user;
    f->p->table[(size_t)(number - f->p->after - 1) * f->p->gauge_count + f->gauge] = (known){key, value, FROM_BEFORE};
    return SV_OK;
}

sv_status sv_pictures_prepare(sv_pictures *p, int64_t after, int64_t upto, sv_error *err) {
    if (upto - after > SV_PICTURES_PIECE) return sv_fail(err, SV_E_INTERNAL, "pictures", "a piece of %lld captions", (long long)(upto - after));
    forget_paths(p);
    memset(p->table, 0, SV_PICTURES_PIECE * p->gauge_count * sizeof *p->table);
    for (unsigned i = 0; i < p->desk_count; i++)
        for (int k = 0; k < SV_OUTSIDE_ROWS; k++) p->desks[i].seats[k].number = 0;
    p->after = after;
    SV_TRY(sv_ledger_each_picture(p->run->ledger, after, upto, note_picture, p, err));
    for (size_t g = 0; g < p->gauge_count; g++) {
        filing f = {p, g};
        SV_TRY(sv_ledger_each_picture_stat(p->run->ledger, p->gauges[g].setup.id, after, upto, note_value, &f, err));
    }
    return SV_OK;
}

sv_status sv_pictures_store(sv_pictures *p, sv_error *err) {
    sv_ledger *l = p->run->ledger;
    SV_TRY(sv_ledger_begin(l, err));
    sv_status st = SV_OK;
    for (size_t i = 0; st == SV_OK && i < SV_PICTURES_PIECE * p->gauge_count; i++) {
        const known *k = &p->table[i];
        if (k->state == MEASURED_NOW)
            st = sv_ledger_put_picture_stat(l, p->gauges[i % p->gauge_count].setup.id, p->after + 1 + (int64_t)(i / p->gauge_count), k->key, k->value, err);
    }
    if (st == SV_OK) return sv_ledger_commit(l, err);
    sv_ledger_rollback(l);
    return st;
}

/* ---- one picture ---- */

const char *sv_picture_fault(const char *path, const sv_error *err) {
    if (!sv_file_exists(path)) return "image_missing";
    return err && strstr(err->why, "more than the limit") ? "image_too_large" : "image_unreadable";
}

/* The seat of a caption's picture; NULL: the caption came without. */
static seat *sit(sv_pictures *p, desk *d, uint64_t number) {
    const char *path = p->paths[(int64_t)number - p->after - 1];
    if (!path) return NULL;
    seat *free_seat = &d->seats[(number - 1) % SV_OUTSIDE_ROWS];
    if (free_seat->number == number) return free_seat;
    struct stat s;
    *free_seat = (seat){.number = number, .image = free_seat->image};
    free_seat->there = stat(path, &s) == 0;
    if (!free_seat->there) free_seat->reason = "image_missing";
    else if (!S_ISREG(s.st_mode)) free_seat->reason = "image_unreadable";
    free_seat->bytes = free_seat->there ? s.st_size : 0;
    free_seat->mtime_ns = free_seat->there ? (int64_t)s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec : 0;
    return free_seat;
}

/* Reads, turns and converts the picture of a seat. One that cannot be read is the picture's fault, anything else (memory) the machine's. */
static sv_status decode(const sv_pictures *p, desk *d, seat *s, sv_error *err) {
    if (s->decoded || s->reason) return SV_OK;
    const char *path = p->paths[(int64_t)s->number - p->after - 1];
    char *bytes = NULL;
    size_t size = 0;
    sv_error why = {0};
    sv_status st = sv_file_read(path, 0, &bytes, &size, &why);
    const sv_image *im = &d->raw;
    if (st == SV_OK) st = sv_image_decode(&d->raw, bytes, size, path, &why);
    sv_orientation way = st == SV_OK ? sv_image_orientation(bytes, size) : SV_UPRIGHT;
    free(bytes);
    if (st == SV_OK && way != SV_UPRIGHT) {
        st = sv_image_turn(im, way, &d->turned, &why);
        im = &d->turned;
    }
    if (st == SV_OK && p->models) st = sv_image_rgb_with_key(im, &s->image, &why);
    s->decoded = st == SV_OK;
    s->width = im->width;
    s->height = im->height;
    if (st == SV_OK) return SV_OK;
    if (st != SV_E_INPUT && st != SV_E_IO) {
        if (err) *err = why;
        return st;
    }
    s->reason = sv_picture_fault(path, &why);
    sv_say(&p->run->o.log, SV_LOG_DEBUG, "%s: %s", path, why.why);
    return SV_OK;
}

/* ---- models ---- */

/* The picture as the model shall see it; `room` holds a flipped one. */
static sv_status as_wanted(const gauge *g, const sv_image *im, sv_image *room, const sv_image **out, sv_error *err) {
    *out = im;
    if (!g->settings->horizontal_flip && !g->settings->vertical_flip) return SV_OK;
    sv_orientation how = g->settings->horizontal_flip && g->settings->vertical_flip ? SV_TURN_180 : g->settings->horizontal_flip ? SV_MIRROR : SV_FLIP;
    *out = room;
    return sv_image_turn(im, how, room, err);
}

/* A caption that is to be measured: its row of the question, its place in the table, its picture. */
typedef struct job {
    sv_outside_row *row;
    known *known;
    seat *seat;
} job;

/* Up to ROWS captions, by row; empty rows repeat another picture, because the call always has all of them. */
static sv_status run_clip(const gauge *g, desk *d, job jobs[ROWS], sv_error *err) {
    const sv_image *images[ROWS] = {NULL}, *any = NULL;
    size_t dim = sv_clip_dim(g->clip);
    for (int i = 0; i < ROWS; i++)
        if (jobs[i].row) {
            SV_TRY(as_wanted(g, &jobs[i].seat->image, &d->flipped[i], &images[i], err));
            any = images[i];
        }
    if (!any) return SV_OK;
    for (int i = 0; i < ROWS; i++)
        if (!images[i]) images[i] = any;
    SV_TRY(sv_clip_images(g->clip, images, ROWS, d->of_images, err));
    for (int i = 0; i < ROWS; i++) {
        if (!jobs[i].row) continue;
        SV_TRY(sv_clip_text(g->clip, jobs[i].row->text, d->of_text, NULL, err));
        jobs[i].row->value = sv_clip_cosine(g->clip, d->of_text, d->of_images + (size_t)i * dim);
    }
    return SV_OK;
}

static sv_status run_itm(const gauge *g, desk *d, job jobs[ROWS], sv_error *err) {
    for (int i = 0; i < ROWS; i++) {
        const sv_image *image;
        if (!jobs[i].row) continue;
        SV_TRY(as_wanted(g, &jobs[i].seat->image, &d->flipped[0], &image, err));
        SV_TRY(sv_itm_score(g->itm, jobs[i].row->text, &image, 1, &jobs[i].row->value, NULL, err));
    }
    return SV_OK;
}

static double size_of(sv_outside what, const seat *s) {
    switch (what) {
    case SV_PICTURE_ASPECT: return (double)s->width / s->height;
    case SV_PICTURE_WIDTH: return s->width;
    case SV_PICTURE_HEIGHT: return s->height;
    case SV_PICTURE_BYTES: return (double)s->bytes;
    default: return NAN;
    }
}

/* What a value depends on beside the setup. */
static int64_t key_of(const gauge *g, const seat *s, const sv_outside_row *row) {
    const int64_t file[2] = {s->bytes, s->mtime_ns};
    uint64_t text = has_model(g->what) ? sv_hash64(row->text, row->size, 0) : 0;
    return (int64_t)sv_hash64(file, sizeof file, text);
}

/* Finds out what of a row is known, or makes it a job. */
static sv_status look_up(sv_pictures *p, desk *d, size_t filter, sv_outside_row *row, job *out, sv_error *err) {
    const gauge *g = &p->gauges[filter];
    seat *s = sit(p, d, row->number);
    *out = (job){NULL, NULL, NULL};
    if (!s || (has_model(g->what) && !row->text)) return SV_OK;      /* no picture, or no longer spoken of: the caption stays */
    known *k = &p->table[((int64_t)row->number - p->after - 1) * (int64_t)p->gauge_count + (int64_t)filter];
    int64_t key = key_of(g, s, row);
    if (k->state != NOTHING && k->key == key) {
        row->value = k->value;
        return SV_OK;
    }
    if (g->what != SV_PICTURE_BYTES) SV_TRY(decode(p, d, s, err));
    if (s->reason) {
        row->reason = s->reason;
        return SV_OK;
    }
    k->key = key;
    k->state = NOTHING;
    *out = (job){row, k, s};
    return SV_OK;
}

static sv_status answer(void *user, unsigned thread, size_t filter, sv_outside_row *rows, size_t n, sv_error *err) {
    sv_pictures *p = user;
    const gauge *g = &p->gauges[filter];
    desk *d = &p->desks[thread];
    for (size_t i = 0; i < n;) {
        job jobs[ROWS] = {{NULL, NULL, NULL}};
        for (uint64_t group = (rows[i].number - 1) / ROWS; i < n && (rows[i].number - 1) / ROWS == group; i++)
            SV_TRY(look_up(p, d, filter, &rows[i], &jobs[(rows[i].number - 1) % ROWS], err));
        if (g->clip) SV_TRY(run_clip(g, d, jobs, err));
        else if (g->itm) SV_TRY(run_itm(g, d, jobs, err));
        for (int k = 0; k < ROWS; k++) {
            if (!jobs[k].row) continue;
            if (!has_model(g->what)) jobs[k].row->value = size_of(g->what, jobs[k].seat);
            jobs[k].known->value = jobs[k].row->value;
            jobs[k].known->state = MEASURED_NOW;
        }
    }
    return SV_OK;
}
