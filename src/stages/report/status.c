/* status.c - what is done in a run directory, as JSON; reads while a writer works. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/thread.h"
#include "stages/draw/rounds.h"
#include "stages/rundir.h"

/* A document that is being built; one check at its end covers every addition. */
typedef struct answer {
    yyjson_mut_doc *doc;
    bool failed;
} answer;

static yyjson_mut_val *put(answer *a, yyjson_mut_val *o, const char *key, yyjson_mut_val *v) {
    if (!v || !yyjson_mut_obj_add(o, yyjson_mut_strcpy(a->doc, key), v)) a->failed = true;
    return v;
}

static void put_int(answer *a, yyjson_mut_val *o, const char *key, int64_t v) {
    put(a, o, key, yyjson_mut_sint(a->doc, v));
}

static void put_real(answer *a, yyjson_mut_val *o, const char *key, double v) {
    put(a, o, key, isfinite(v) ? yyjson_mut_real(a->doc, v) : yyjson_mut_null(a->doc));
}

static void put_text(answer *a, yyjson_mut_val *o, const char *key, const char *v) {
    put(a, o, key, yyjson_mut_strcpy(a->doc, v));
}

typedef struct counting { answer *a; yyjson_mut_val *o; } counting;

static sv_status add_count(void *user, const char *name, int64_t count, sv_error *err) {
    counting *c = user;
    put_int(c->a, c->o, name, count);
    return SV_OK;
}

static sv_status put_tally(answer *a, yyjson_mut_val *o, const char *key, sv_ledger *l, sv_tally which, sv_error *err) {
    counting c = {a, put(a, o, key, yyjson_mut_obj(a->doc))};
    return sv_ledger_tally(l, which, add_count, &c, err);
}

static sv_status add_export(void *user, const sv_export_row *row, sv_error *err) {
    counting *c = user;
    yyjson_mut_val *o = yyjson_mut_obj(c->a->doc);
    if (!yyjson_mut_arr_append(c->o, o)) c->a->failed = true;
    put_text(c->a, o, "path", row->path);
    put_text(c->a, o, "format", row->format);
    put_int(c->a, o, "pairs", row->pairs);
    put_int(c->a, o, "bytes", row->bytes);
    return SV_OK;
}

enum { MOST_SOURCES = 100 };

typedef struct listing { answer *a; yyjson_mut_val *list; int64_t count; sv_share others; } listing;

static void put_share(answer *a, yyjson_mut_val *list, const sv_share *s) {
    yyjson_mut_val *o = yyjson_mut_obj(a->doc);
    if (!yyjson_mut_arr_append(list, o)) a->failed = true;
    put_text(a, o, "source", s->name);
    put_int(a, o, "captions", s->captions);
    put_int(a, o, "kept", s->kept);
    put_int(a, o, "sampled", s->sampled);
    put_int(a, o, "drawn", s->drawn);
    put_int(a, o, "picked", s->picked);
}

static sv_status add_share(void *user, const sv_share *s, sv_error *err) {
    listing *l = user;
    if (l->count++ < MOST_SOURCES) put_share(l->a, l->list, s);
    else sv_share_add(&l->others, s);
    return SV_OK;
}

/* Captions by where they are from; beyond the largest hundred in one row. */
static sv_status put_sources(answer *a, yyjson_mut_val *root, sv_ledger *l, sv_error *err) {
    listing sources = {a, put(a, root, "by_source", yyjson_mut_arr(a->doc)), 0, {.name = "others"}};
    SV_TRY(sv_ledger_each_share(l, add_share, &sources, err));
    if (sources.count > MOST_SOURCES) put_share(a, sources.list, &sources.others);
    return SV_OK;
}

static sv_status add_concept(void *user, const sv_concept_row *row, sv_error *err) {
    counting *c = user;
    yyjson_mut_val *o = yyjson_mut_obj(c->a->doc);
    if (!yyjson_mut_arr_append(c->o, o)) c->a->failed = true;
    put_text(c->a, o, "concept", row->name);
    put_int(c->a, o, "captions", row->captions);
    if (row->cap >= 0) put_int(c->a, o, "cap", row->cap);
    if (row->quota) put_int(c->a, o, "quota", row->quota);
    put_int(c->a, o, "kept", row->kept);
    return SV_OK;
}

/* What captions speak of, the most frequent hundred concepts ("" : none), if the recipe names any. */
static sv_status put_concepts(answer *a, yyjson_mut_val *root, sv_ledger *l, sv_error *err) {
    sv_setup setup;
    SV_TRY(sv_ledger_current(l, SV_STAGE_CONCEPTS, "", &setup, err));
    if (!setup.id) return SV_OK;
    counting c = {a, put(a, root, "concepts", yyjson_mut_arr(a->doc))};
    return sv_ledger_concept_table(l, 100, add_concept, &c, err);
}

static sv_status put_setup(answer *a, yyjson_mut_val *o, sv_ledger *l, sv_stage stage, sv_error *err) {
    sv_setup s;
    SV_TRY(sv_ledger_current(l, stage, "", &s, err));
    put_text(a, o, "setup", s.hash);
    return SV_OK;
}

static sv_status put_judge(answer *a, yyjson_mut_val *root, const char *key, sv_ledger *l, const sv_setup *judge, sv_error *err) {
    sv_judge_cost c;
    SV_TRY(sv_ledger_judge_cost(l, judge->id, &c, err));
    yyjson_mut_val *o = put(a, root, key, yyjson_mut_obj(a->doc));
    put_text(a, o, "setup", judge->hash);
    put_int(a, o, "asked", c.texts);
    put_int(a, o, "unclear", c.unclear);
    put_int(a, o, "failed", c.failed);
    put_int(a, o, "requests", c.requests);
    put_int(a, o, "tokens_in", c.tokens_in);
    put_int(a, o, "tokens_out", c.tokens_out);
    return SV_OK;
}

/* Images that the recipe in the directory asks for; -1 if it cannot be read. With rounds that number can only shrink: what may still come of the budget. */
static int64_t wanted_images(const char *dir, const sv_funnel *f, const sv_round *round) {
    sv_recipe *r = NULL;
    char *path = sv_path_join(dir, "recipe.yaml");
    int64_t n = -1;
    if (path && sv_recipe_load(&r, path, NULL, 0, NULL) == SV_OK)
        n = round->round ? round->given + sv_rounds_left(r, f->sampled, round) : f->sampled * r->generate.candidates.max;
    sv_recipe_close(&r);
    free(path);
    return n;
}

static sv_status add_stop(void *user, const char *reason, int64_t captions, sv_error *err) {
    return add_count(user, reason, captions, err);
}

/* The numbers that pictures are drawn with: those of the recipe, or what auto came to. */
static sv_status put_engine(answer *a, yyjson_mut_val *o, sv_ledger *l, sv_error *err) {
    static const char *const names[] = {"provider", "threads_per_image", "batch"};
    sv_setup s;
    char *json = NULL;
    SV_TRY(sv_ledger_current(l, SV_STAGE_GENERATE, "", &s, err));
    SV_TRY(sv_ledger_setup_json(l, s.id, &json, err));
    yyjson_doc *doc = yyjson_read(json, strlen(json), YYJSON_READ_ALLOW_INF_AND_NAN);
    yyjson_val *engine = yyjson_obj_get(yyjson_doc_get_root(doc), "engine");
    yyjson_mut_val *out = put(a, o, "engine", yyjson_mut_obj(a->doc));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (yyjson_obj_get(engine, names[i])) put(a, out, names[i], yyjson_val_mut_copy(a->doc, yyjson_obj_get(engine, names[i])));
    yyjson_doc_free(doc);
    free(json);
    return SV_OK;
}

/* Where the rounds stand. */
static sv_status put_rounds(answer *a, yyjson_mut_val *o, sv_ledger *l, int64_t rounds, const sv_round *r, sv_error *err) {
    yyjson_mut_val *now = put(a, o, "round", yyjson_mut_obj(a->doc));
    put_int(a, now, "round", r->round);
    put_int(a, now, "want", r->want);
    put_int(a, now, "captions", r->captions);
    put_int(a, now, "given", r->given);
    counting c = {a, put(a, o, "stopped", yyjson_mut_obj(a->doc))};
    return sv_ledger_each_stop_reason(l, rounds, add_stop, &c, err);
}

enum { LEAST_SECONDS = 2 };   /* images of one call end together: a speed measured over less says nothing */

/* Speed and time left, while somebody is at work. */
static sv_status put_speed(answer *a, yyjson_mut_val *o, sv_ledger *l, sv_stage stage, int64_t left, sv_error *err) {
    sv_rate r;
    SV_TRY(sv_ledger_rate(l, stage, 500, &r, err));
    if (r.count < 2 || r.seconds < LEAST_SECONDS) return SV_OK;
    double rate = (double)(r.count - 1) / r.seconds;
    put_real(a, o, "per_second", rate);
    put_real(a, o, "last_seconds_ago", (double)(sv_wall_ms() - r.last_ms) / 1000);
    if (left > 0) put_real(a, o, "seconds_left", (double)left / rate);
    return SV_OK;
}

static sv_status tell(answer *a, yyjson_mut_val *root, const char *dir, sv_ledger *l, sv_error *err) {
    sv_funnel f;
    sv_holder who;
    bool active = sv_rundir_holder(dir, &who);
    SV_TRY(sv_ledger_funnel(l, &f, err));
    put_text(a, root, "dir", dir);
    yyjson_mut_val *o = put(a, root, "active", active ? yyjson_mut_obj(a->doc) : yyjson_mut_null(a->doc));
    if (active) {
        put_text(a, o, "host", who.host);
        put_int(a, o, "pid", who.pid);
    }
    o = put(a, root, "captions", yyjson_mut_obj(a->doc));
    put_int(a, o, "sources", f.sources);
    put_int(a, o, "rows", f.rows);
    put_int(a, o, "repeated", f.repeated);
    put_int(a, o, "faults", f.faults);
    SV_TRY(put_tally(a, o, "fault_reasons", l, SV_TALLY_FAULTS, err));
    put_int(a, o, "captions", f.captions);
    if (f.judged >= 0) {
        o = put(a, root, "curate", yyjson_mut_obj(a->doc));
        SV_TRY(put_setup(a, o, l, SV_STAGE_CURATE, err));
        put_int(a, o, "judged", f.judged);
        put_int(a, o, "rejected", f.judged - f.kept);
        SV_TRY(put_tally(a, o, "rules", l, SV_TALLY_RULES, err));
        put_int(a, o, "kept", f.kept);
        if (f.sampled >= 0) put_int(a, o, "sampled", f.sampled);
    }
    sv_setup judge;
    SV_TRY(sv_ledger_current(l, SV_STAGE_JUDGE, "", &judge, err));
    if (judge.id) SV_TRY(put_judge(a, root, "judge", l, &judge, err));
    SV_TRY(sv_ledger_current(l, SV_STAGE_JUDGE_IMAGE, "judge_image", &judge, err));
    if (judge.id) SV_TRY(put_judge(a, root, "judge_image", l, &judge, err));
    if (f.drawn >= 0) {
        sv_setup rounds;
        sv_round round = {0};
        SV_TRY(sv_ledger_current(l, SV_STAGE_ROUNDS, "", &rounds, err));
        if (rounds.id) SV_TRY(sv_ledger_last_round(l, rounds.id, &round, err));
        int64_t wanted = wanted_images(dir, &f, &round);
        o = put(a, root, "generate", yyjson_mut_obj(a->doc));
        SV_TRY(put_setup(a, o, l, SV_STAGE_GENERATE, err));
        SV_TRY(put_engine(a, o, l, err));
        put_int(a, o, "images", f.drawn);
        if (wanted >= 0) put_int(a, o, "wanted", wanted);
        put_int(a, o, "captions", f.drawn_captions);
        if (f.pruned) put_int(a, o, "pruned", f.pruned);
        if (round.round) SV_TRY(put_rounds(a, o, l, rounds.id, &round, err));
        put_int(a, o, "failed", f.failed);
        SV_TRY(put_tally(a, o, "failures", l, SV_TALLY_FAILURES, err));
        if (active) SV_TRY(put_speed(a, o, l, SV_STAGE_GENERATE, wanted - f.drawn - f.pruned, err));
    }
    if (f.scored >= 0) {
        sv_setup s[SV_MAX_SCORERS];
        size_t n;
        SV_TRY(sv_ledger_current_scores(l, s, &n, err));
        o = put(a, root, "score", yyjson_mut_obj(a->doc));
        yyjson_mut_val *setups = put(a, o, "setups", yyjson_mut_obj(a->doc));
        for (size_t i = 0; i < n; i++) put_text(a, setups, s[i].name, s[i].hash);
        put_int(a, o, "scored", f.scored);
    }
    char *selection = NULL;
    SV_TRY(sv_ledger_selection_json(l, &selection, err));
    yyjson_doc *parsed = selection ? yyjson_read(selection, strlen(selection), YYJSON_READ_ALLOW_INF_AND_NAN) : NULL;
    if (parsed) put(a, root, "selection", yyjson_val_mut_copy(a->doc, yyjson_doc_get_root(parsed)));
    yyjson_doc_free(parsed);
    free(selection);
    SV_TRY(put_sources(a, root, l, err));
    SV_TRY(put_concepts(a, root, l, err));
    counting exports = {a, put(a, root, "exports", yyjson_mut_arr(a->doc))};
    return sv_ledger_each_export(l, add_export, &exports, err);
}

sv_status sv_run_status(const char *dir, char **json, sv_error *err) {
    *json = NULL;
    sv_ledger *l = NULL;
    SV_TRY(sv_rundir_read(dir, &l, err));
    answer a = {.doc = yyjson_mut_doc_new(NULL)};
    yyjson_mut_val *root = yyjson_mut_obj(a.doc);
    yyjson_mut_doc_set_root(a.doc, root);
    sv_status st = root ? sv_ledger_begin_read(l, err) : sv_fail_memory(err, dir, 0);   /* one moment for all counts */
    if (st == SV_OK) st = tell(&a, root, dir, l, err);
    if (st == SV_OK && (a.failed || !(*json = yyjson_mut_write(a.doc, YYJSON_WRITE_NOFLAG, NULL)))) st = sv_fail_memory(err, dir, 0);
    yyjson_mut_doc_free(a.doc);
    sv_ledger_close(&l);
    return st;
}
