/* adopt.c - pictures that captions came with, taken in as candidates: linked or copied into images/ as they are, hashed, decoded once to see that they can be. */
#include "stages/draw/adopt.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/thread.h"
#include "stages/draw/duplicates.h"
#include "stages/draw/gates.h"
#include "stages/curate/pictures.h"
#include "stages/produce.h"
#include "stages/setups.h"

enum { PIECE = 256 };

/* What became of one caption's picture. */
typedef struct taken {
    char *path;                  /* where it lies; NULL: the caption came without */
    sv_candidate candidate;
    sv_refusal refused;
    double seconds;
    char file[SV_IMAGE_NAME], sha256[SV_SHA256_HEX], detail[200];
} taken;

typedef struct adoption {
    sv_rundir *run;
    sv_setup setup;
    sv_scope scope;
    sv_draw_batch batch;
    taken *taken;                /* by item of the batch */
    sv_image *images;            /* by thread */
    sv_gate_work *gates;
    sv_taboo *taboo;             /* pictures of a benchmark; NULL: none */
    unsigned threads;
    int64_t done, total;
    sv_draw_report report;
} adoption;

/* ---- the setup ---- */

/* What decides which pictures there are and what they are scored against. Their bytes are told by the rows. */
static sv_status register_setup(adoption *a, sv_error *err) {
    const sv_recipe *r = a->run->recipe;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = doc ? yyjson_mut_obj(doc) : NULL;
    char *json = NULL;
    sv_status st = o && yyjson_mut_obj_add_str(doc, o, "source", "captions") ? SV_OK : sv_fail_memory(err, "generate setup", 0);
    if (st == SV_OK) st = sv_gates_describe(&r->score.gates, NULL, a->taboo, doc, o, err);
    if (st == SV_OK) st = sv_add_mappers(r, doc, o, err);
    if (st == SV_OK && !(json = yyjson_mut_val_write(o, YYJSON_WRITE_ALLOW_INF_AND_NAN, NULL))) st = sv_fail_memory(err, "generate setup", 0);
    if (st == SV_OK) st = sv_rundir_setup(a->run, SV_STAGE_GENERATE, "", json, &a->setup, err);
    if (st == SV_OK) st = sv_ledger_use(a->run->ledger, SV_STAGE_GENERATE, &a->setup.id, 1, err);
    free(json);
    yyjson_mut_doc_free(doc);
    return st;
}

bool sv_setup_is_adopted(const char *json) {
    yyjson_doc *doc = json ? yyjson_read(json, strlen(json), YYJSON_READ_ALLOW_INF_AND_NAN) : NULL;
    bool adopted = yyjson_equals_str(yyjson_obj_get(yyjson_doc_get_root(doc), "source"), "captions");
    yyjson_doc_free(doc);
    return adopted;
}

/* ---- one picture ---- */

static void fail(taken *t, const char *reason, const char *detail) {
    t->candidate.ok = false;
    t->candidate.reason = reason;
    snprintf(t->detail, sizeof t->detail, "%s", detail);
    t->candidate.detail = t->detail;
}

static const char *extension_of(const char *bytes, size_t size) {
    if (size > 3 && memcmp(bytes, "\xFF\xD8\xFF", 3) == 0) return "jpg";
    if (size > 12 && memcmp(bytes, "RIFF", 4) == 0) return "webp";
    return "png";
}

/* A second name for the file, or a copy where the file system or its rights do not give one. Either appears whole or not at all. */
static sv_status put_file(const adoption *a, unsigned thread, const char *from, const char *to, const char *bytes, size_t size, sv_error *err) {
    char name[32];
    snprintf(name, sizeof name, "adopt-%u", thread);
    char *folder = sv_path_dir(to), *tmp = sv_path_join(a->run->tmp, name);
    sv_status st = folder && tmp ? SV_OK : sv_fail_memory(err, to, 0);
    if (st == SV_OK) st = sv_dir_make(folder, err);
    if (st == SV_OK) {
        unlink(tmp);
        bool linked = linkat(AT_FDCWD, from, AT_FDCWD, tmp, AT_SYMLINK_FOLLOW) == 0 && rename(tmp, to) == 0;
        unlink(tmp);             /* still there where `to` was the same file already */
        st = linked ? sv_dir_sync(folder, err) : sv_file_write_via(a->run->tmp, to, bytes, size, err);
    }
    free(folder);
    free(tmp);
    return st;
}

/* Reads, decodes and files the picture of one caption. What is wrong with the picture is recorded; errors are the machine's. */
static sv_status take(adoption *a, unsigned thread, const sv_draw_item *item, taken *t, sv_error *err) {
    char *bytes = NULL, *to = NULL;
    size_t size = 0;
    sv_error why = {0};
    sv_candidate *c = &t->candidate;
    sv_image *im = &a->images[thread];
    *c = (sv_candidate){.number = item->number, .seed = SV_NO_SEED};
    if (!t->path) {
        fail(t, "image_missing", "the caption came without a picture");
        return SV_OK;
    }
    sv_status st = sv_file_read(t->path, 0, &bytes, &size, &why);
    if (st == SV_OK) st = sv_image_decode(im, bytes, size, t->path, &why);
    if (st == SV_E_INPUT || st == SV_E_IO) {
        fail(t, sv_picture_fault(t->path, &why), why.why);
        free(bytes);
        return SV_OK;
    }
    if (st == SV_OK) st = sv_gates_ask(&a->run->recipe->score.gates, NULL, a->taboo, im, &a->gates[thread], &t->refused, &why);
    if (st == SV_OK && t->refused.reason) {
        fail(t, t->refused.reason, t->refused.detail);
        free(bytes);
        return SV_OK;
    }
    if (st == SV_OK) {
        sv_image_name(t->file, a->setup.hash, item->number, 0, extension_of(bytes, size));
        sv_sha256_hex(bytes, size, t->sha256);
        to = sv_path_join(a->run->dir, t->file);
        st = to ? put_file(a, thread, t->path, to, bytes, size, &why) : sv_fail_memory(&why, t->file, 0);
    }
    *c = (sv_candidate){.number = item->number, .seed = SV_NO_SEED, .ok = true, .file = t->file, .sha256 = t->sha256, .bytes = (int64_t)size,
                        .width = im->width, .height = im->height};
    free(to);
    free(bytes);
    if (st != SV_OK && err) *err = why;
    return st;
}

static sv_status take_range(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    adoption *a = user;
    for (size_t i = begin; i < end; i++) {
        double start = sv_now();
        SV_TRY(take(a, thread, &a->batch.items[i], &a->taken[i], err));
        a->taken[i].seconds = sv_now() - start;
    }
    return SV_OK;
}

/* ---- a piece of the sample ---- */

/* Items are in number order, and so are pictures: the two lists are walked side by side. */
typedef struct walk {
    adoption *a;
    size_t at;
} walk;

static sv_status note_picture(void *user, int64_t number, const char *folder, const char *name, sv_error *err) {
    walk *w = user;
    adoption *a = w->a;
    while (w->at < a->batch.count && a->batch.items[w->at].number < number) w->at++;
    if (w->at == a->batch.count || a->batch.items[w->at].number != number) return SV_OK;
    char *place = sv_path_join(a->run->dir, folder);
    a->taken[w->at].path = place ? sv_path_join(place, name) : NULL;
    free(place);
    return a->taken[w->at].path ? SV_OK : sv_fail_memory(err, name, 0);
}

static sv_status write_rows(adoption *a, sv_error *err) {
    sv_ledger *l = a->run->ledger;
    for (size_t i = 0; i < a->batch.count; i++) {
        const sv_candidate *c = &a->taken[i].candidate;
        SV_TRY(sv_ledger_add_candidate(l, a->setup.id, c, err));
        SV_TRY(sv_ledger_add_timing(l, SV_STAGE_GENERATE, c->number, 0, a->taken[i].seconds, err));
        if (c->ok) a->report.drawn++;
        else a->report.failed++;
        if (!c->ok && a->run->o.strict) return sv_fail(err, SV_E_INPUT, c->detail, "a picture cannot be used (%s) and the run is strict", c->reason);
    }
    return SV_OK;
}

static sv_status take_piece(adoption *a, sv_error *err) {
    walk w = {a, 0};
    memset(a->taken, 0, PIECE * sizeof *a->taken);
    sv_status st = sv_ledger_each_picture(a->run->ledger, a->batch.items[0].number - 1, a->batch.items[a->batch.count - 1].number, note_picture, &w, err);
    if (st == SV_OK) st = sv_parallel(a->threads, a->batch.count, 4, take_range, a, err);
    if (st == SV_OK) st = sv_ledger_begin(a->run->ledger, err);
    if (st == SV_OK) st = write_rows(a, err);
    if (st == SV_OK) st = sv_ledger_commit(a->run->ledger, err);
    else sv_ledger_rollback(a->run->ledger);
    for (size_t i = 0; i < a->batch.count; i++) free(a->taken[i].path);
    return st;
}

static sv_status take_all(adoption *a, sv_error *err) {
    const sv_quota one = {.want = 1};
    int64_t after = 0;
    SV_TRY(sv_ledger_begin(a->run->ledger, err));
    SV_TRY(sv_ledger_forget_failed(a->run->ledger, a->setup.id, err));   /* a picture that was missing may have come since */
    SV_TRY(sv_ledger_commit(a->run->ledger, err));
    SV_TRY(sv_ledger_draw_count(a->run->ledger, a->scope, a->setup.id, one, &a->total, err));
    for (;;) {
        SV_TRY(sv_ledger_to_draw(a->run->ledger, a->scope, a->setup.id, one, after, PIECE, &a->batch, err));
        if (!a->batch.count) return SV_OK;
        after = a->batch.items[a->batch.count - 1].number;
        SV_TRY(take_piece(a, err));
        a->done += (int64_t)a->batch.count;
        sv_rundir_progress(a->run, "generate", a->done, a->total, a->report.failed);
        if (sv_rundir_stopping(a->run)) return sv_rundir_stopped(a->run, "generate", err);
    }
}

/* ---- the stage ---- */

/* The scorers' setups are made current, so that the score stage finds what is missing. */
static sv_status count_unscored(adoption *a, sv_error *err) {
    sv_scorers *scorers = NULL;
    sv_setup setups[SV_MOST_SCORERS];
    int64_t ids[SV_MOST_SCORERS];
    sv_engine_plan engine;
    SV_TRY(sv_engine_resolve(a->run, &engine, err));
    SV_TRY(sv_scorers_open(&scorers, a->run->recipe, engine.batch, err));
    sv_status st = sv_scorers_use(a->run, scorers, setups, err);
    size_t n = sv_scorers_count(scorers);
    for (size_t i = 0; i < n; i++) ids[i] = setups[i].id;
    if (st == SV_OK) st = sv_ledger_score_count(a->run->ledger, a->scope, a->setup.id, ids, n, &a->report.unscored, err);
    sv_scorers_close(&scorers);
    return st;
}

sv_status sv_adopt(sv_rundir *run, bool with_scores, sv_draw_report *report, sv_error *err) {
    adoption a = {.run = run, .threads = sv_cpu_count(), .report = {.own = true}};
    double begin = sv_now();
    int64_t lost = 0, refused = 0;
    sv_status st = SV_OK;
    a.taken = calloc(PIECE, sizeof *a.taken);
    a.images = calloc(a.threads, sizeof *a.images);
    a.gates = calloc(a.threads, sizeof *a.gates);
    if (!a.taken || !a.images || !a.gates) st = sv_fail_memory(err, "pictures", PIECE * sizeof *a.taken);
    if (st == SV_OK) st = sv_ledger_scope(run->ledger, &a.scope, err);
    if (st == SV_OK) st = sv_gates_taboo(&run->recipe->score.gates, &run->o.log, &a.taboo, err);
    if (st == SV_OK) st = register_setup(&a, err);
    if (st == SV_OK) st = sv_rundir_check_files(run, a.setup.id, false, &lost, err);
    if (st == SV_OK) st = take_all(&a, err);
    if (st != SV_OK) sv_ledger_rollback(run->ledger);
    if (st == SV_OK) st = sv_duplicates_refuse(run, a.scope, a.setup.id, &refused, err);
    a.report.drawn -= refused;
    a.report.failed += refused;
    a.report.seconds = sv_now() - begin;
    if (st == SV_OK && with_scores) st = count_unscored(&a, err);
    const sv_field end[] = {SV_TEXT("setup", a.setup.hash), SV_INT("taken", a.report.drawn), SV_INT("failed", a.report.failed), SV_REAL("seconds", a.report.seconds)};
    sv_rundir_event(run, "adopted", end, sizeof end / sizeof end[0]);
    sv_draw_batch_free(&a.batch);
    for (unsigned i = 0; a.images && a.gates && i < a.threads; i++) {
        sv_image_free(&a.images[i]);
        sv_gate_work_free(&a.gates[i]);
    }
    free(a.taken);
    free(a.images);
    free(a.gates);
    sv_taboo_close(&a.taboo);
    if (report) *report = a.report;
    return st;
}
