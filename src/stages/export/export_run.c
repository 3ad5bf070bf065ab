/* export_run.c - the export stage: the current selection in every format of the recipe. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "stages/export/export.h"
#include "stages/produce.h"

enum { MOST_SETUPS = SV_STAGE_COUNT + SV_MAX_SCORERS + 1 };

/* What dataset.json says about how the set was made. */
typedef struct provenance {
    sv_export_setup setups[MOST_SETUPS];
    char hashes[MOST_SETUPS][SV_SHA256_HEX];
    char names[MOST_SETUPS][48];
    char *json[MOST_SETUPS];
    size_t count;
} provenance;

static sv_status add_setup(provenance *p, const char *stage, const char *name, const char *hash, char *json, sv_error *err) {
    size_t i = p->count++;
    snprintf(p->names[i], sizeof p->names[i], "%s%s%s", stage, *name ? "." : "", name);
    snprintf(p->hashes[i], sizeof p->hashes[i], "%s", hash);
    p->json[i] = json;
    p->setups[i] = (sv_export_setup){.stage = p->names[i], .sha256 = p->hashes[i], .json = json};
    return SV_OK;
}

static sv_status add_current(provenance *p, sv_ledger *l, sv_stage stage, const sv_setup *setup, sv_error *err) {
    if (!setup->id) return SV_OK;
    char *json = NULL;
    SV_TRY(sv_ledger_setup_json(l, setup->id, &json, err));
    return add_setup(p, sv_stage_name(stage), setup->name, setup->hash, json, err);
}

/* The settings of the current selection (malloc), cut out of its report, with what its steps came to. */
static sv_status selection_settings(sv_ledger *l, char **settings, sv_error *err) {
    char *report = NULL;
    *settings = NULL;
    SV_TRY(sv_ledger_selection_json(l, &report, err));
    yyjson_doc *doc = report ? yyjson_read(report, strlen(report), 0) : NULL;
    yyjson_val *v = yyjson_obj_get(yyjson_doc_get_root(doc), "settings"), *steps = yyjson_obj_get(yyjson_doc_get_root(doc), "steps");
    yyjson_mut_doc *both = v ? yyjson_mut_doc_new(NULL) : NULL;
    yyjson_mut_val *root = yyjson_val_mut_copy(both, v);
    bool ok = root && (!steps || yyjson_mut_obj_add_val(both, root, "steps", yyjson_val_mut_copy(both, steps)));
    if (ok) *settings = yyjson_mut_val_write(root, 0, NULL);
    yyjson_mut_doc_free(both);
    yyjson_doc_free(doc);
    free(report);
    return *settings ? SV_OK : sv_fail(err, SV_E_INTERNAL, "selection", "has no settings");
}

static sv_status read_provenance(sv_rundir *run, const char *selection_hash, provenance *p, sv_error *err) {
    sv_ledger *l = run->ledger;
    for (sv_stage stage = SV_STAGE_CURATE; stage <= SV_STAGE_GENERATE; stage++) {
        sv_setup setup;
        SV_TRY(sv_ledger_current(l, stage, "", &setup, err));
        SV_TRY(add_current(p, l, stage, &setup, err));
    }
    sv_setup scores[SV_MAX_SCORERS];
    size_t n;
    SV_TRY(sv_ledger_current_scores(l, scores, &n, err));
    for (size_t i = 0; i < n; i++) SV_TRY(add_current(p, l, SV_STAGE_SCORE, &scores[i], err));
    sv_setup asked;
    SV_TRY(sv_ledger_current(l, SV_STAGE_JUDGE_IMAGE, "judge_image", &asked, err));
    asked.name[0] = 0;           /* the stage's own name says it */
    SV_TRY(add_current(p, l, SV_STAGE_JUDGE_IMAGE, &asked, err));
    char *settings;
    SV_TRY(selection_settings(l, &settings, err));
    return add_setup(p, "select", "", selection_hash, settings, err);
}

enum { MOST_OPINIONS = 2 };

/* Means of the current selection that nothing was ranked by. */
static sv_status read_opinions(sv_ledger *l, sv_mean out[MOST_OPINIONS], size_t *count, sv_error *err) {
    static const char *const names[MOST_OPINIONS] = {SV_HELD_OUT, "judge_image"};
    char *report = NULL;
    *count = 0;
    SV_TRY(sv_ledger_selection_json(l, &report, err));
    yyjson_doc *doc = report ? yyjson_read(report, strlen(report), 0) : NULL;
    for (size_t i = 0; i < MOST_OPINIONS; i++) {
        yyjson_val *mean = yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "means"), names[i]);
        yyjson_val *before = yyjson_obj_get(mean, "before"), *after = yyjson_obj_get(mean, "after");
        if (!mean) continue;
        sv_mean *m = &out[(*count)++];
        snprintf(m->name, sizeof m->name, "%s", names[i]);
        m->before = yyjson_is_num(before) ? yyjson_get_num(before) : NAN;
        m->after = yyjson_is_num(after) ? yyjson_get_num(after) : NAN;
    }
    yyjson_doc_free(doc);
    free(report);
    return SV_OK;
}

/* Looks for the row that says that this selection is already written there. */
typedef struct lookup {
    const char *path, *format, *options;
    int64_t selection;
    bool found;
} lookup;

static sv_status look(void *user, const sv_export_row *row, sv_error *err) {
    lookup *q = user;
    q->found |= row->selection == q->selection && !strcmp(row->path, q->path) && !strcmp(row->format, q->format) && !strcmp(row->options, q->options);
    return SV_OK;
}

static sv_status add_pick(void *user, const sv_pick *pick, sv_error *err) {
    return sv_export_add(user, pick, err);
}

static char *canonical(const char *options) {
    yyjson_doc *doc = options ? yyjson_read(options, strlen(options), 0) : NULL;
    char *text = doc ? sv_json_canonical(yyjson_doc_get_root(doc)) : sv_strdup("{}");
    yyjson_doc_free(doc);
    return text;
}

enum { MOST_SHARES = 100 };      /* sources that are named; the others are one row */

typedef struct shares { sv_share list[MOST_SHARES + 1]; size_t count; } shares;

static sv_status add_share(void *user, const sv_share *s, sv_error *err) {
    shares *all = user;
    bool named = all->count < MOST_SHARES;
    sv_share *to = &all->list[named ? all->count : MOST_SHARES];
    sv_share_add(to, s);
    if (to->name) return SV_OK;   /* the others' row has its name */
    all->count++;
    to->name = sv_strdup(named ? s->name : "others");
    return to->name ? SV_OK : sv_fail_memory(err, "sources", 0);
}

/* Counts are as of now: picks of a selection made earlier, too. */
static sv_status read_shares(sv_rundir *run, shares *all, sv_error *err) {
    SV_TRY(sv_ledger_count_shares(run->ledger, SV_SHARE_PICKED, false, err));
    return sv_ledger_each_share(run->ledger, add_share, all, err);
}

static sv_status export_one(sv_rundir *run, const sv_export_settings *s, int64_t selection, const sv_export_facts *facts, sv_error *err) {
    const char *format = sv_export_formats[s->format]->name;
    sv_export *x = NULL;
    sv_export_report report;
    sv_buf path = {0};
    sv_buf_printf(&path, "dataset/%s", format);
    char *full = path.data ? sv_path_join(run->dir, path.data) : NULL, *options = canonical(s->options), *parent = sv_path_join(run->dir, "dataset");
    sv_status st = full && options && parent ? SV_OK : sv_fail_memory(err, format, 0);
    lookup q = {.path = path.data, .format = format, .options = options, .selection = selection};
    if (st == SV_OK) st = sv_ledger_each_export(run->ledger, look, &q, err);
    if (st != SV_OK || (q.found && sv_is_dir(full))) goto done;
    SV_TRY_GOTO(done, sv_export_open(&x, parent, s->format, s->options, facts, err));
    SV_TRY_GOTO(done, sv_ledger_each_pick(run->ledger, selection, true, add_pick, x, err));
    SV_TRY_GOTO(done, sv_export_finish(x, &report, err));
    const sv_export_row row = {.path = path.data, .format = format, .options = options, .selection = selection, .pairs = report.pairs,
        .bytes = report.bytes, .digest = report.digest};
    SV_TRY_GOTO(done, sv_ledger_begin(run->ledger, err));
    SV_TRY_GOTO(done, sv_ledger_put_export(run->ledger, &row, err));
    SV_TRY_GOTO(done, sv_ledger_commit(run->ledger, err));
    const sv_field fields[] = {SV_TEXT("path", path.data), SV_INT("pairs", report.pairs), SV_TEXT("digest", report.digest)};
    sv_rundir_event(run, "exported", fields, sizeof fields / sizeof fields[0]);
done:
    if (st != SV_OK) sv_ledger_rollback(run->ledger);
    sv_export_close(&x);
    sv_buf_free(&path);
    free(full);
    free(options);
    free(parent);
    return st;
}

sv_status sv_export_run(sv_rundir *run, sv_error *err) {
    int64_t selection, picked;
    char hash[SV_SHA256_HEX];
    provenance p = {.count = 0};
    SV_TRY(sv_ledger_current_selection(run->ledger, &selection, hash, &picked, err));
    if (!selection) {
        sv_fail(err, SV_E_INPUT, run->dir, "nothing has been selected yet");
        return sv_hint(err, SV_E_INPUT, "`synthvlm select %s` selects, `synthvlm run %s` does everything", run->dir, run->dir);
    }
    shares by_source = {.count = 0};
    sv_status st = read_provenance(run, hash, &p, err);
    if (st == SV_OK) st = read_shares(run, &by_source, err);
    sv_mean opinions[MOST_OPINIONS];
    size_t opinion_count = 0;
    if (st == SV_OK) st = read_opinions(run->ledger, opinions, &opinion_count, err);
    const sv_export_facts facts = {.name = run->recipe->name, .seed = run->recipe->seed, .run_dir = run->dir, .stop = run->o.stop, .setups = p.setups,
        .setup_count = p.count, .shares = by_source.list, .share_count = by_source.count,
        .opinions = opinions, .opinion_count = opinion_count};
    for (size_t i = 0; st == SV_OK && i < run->recipe->export_count; i++) st = export_one(run, &run->recipe->exports[i], selection, &facts, err);
    for (size_t i = 0; i < p.count; i++) free(p.json[i]);
    for (size_t i = 0; i < by_source.count; i++) free((char *)by_source.list[i].name);
    return st;
}
