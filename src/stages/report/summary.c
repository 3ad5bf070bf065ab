/* summary.c - one screen that tells what came of a run. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "stages/draw/adopt.h"
#include "stages/rundir.h"
#include "synthvlm/stages.h"

enum { MOST_REASONS = 6, MOST_MEANS = 16, MOST_EXPORTS = 16 };
#define LEAST_SECONDS 5   /* a speed measured over less says nothing */

typedef struct reason { char name[64]; int64_t count; } reason;
typedef struct reasons {
    reason list[MOST_REASONS];
    size_t count;
    int64_t others;              /* sum of what did not fit */
    size_t other_count;
} reasons;

/* What the steps of a selection after its ranking did. */
static const struct { const char *key, *text; } step_names[] = {
    {"included", "included by hand"}, {"excluded", "excluded by hand"}, {"judge_image", "left out: judge_image does not say yes"},
    {"near_duplicates", "near-duplicates of better ones"},
    {"quota_full", "over the quota of their source or concept"}, {"quota_reserved", "in places kept for the least of others"}};
enum { STEPS = sizeof step_names / sizeof step_names[0] };

enum { MOST_SHARES = 20 };

typedef struct share_line { char name[64]; sv_share counts; } share_line;   /* counts.name is not used */
typedef struct export_line { char path[128]; int64_t pairs, bytes; bool current; } export_line;

/* All that is shown, whatever the form. */
typedef struct summary {
    const char *dir;
    char name[64];
    sv_funnel funnel;
    reasons faults, rules, failures;
    bool has_judge;
    sv_judge_cost judge, judge_image;   /* judge_image.texts 0: none was asked about pictures */
    sv_rate rate;
    sv_mean means[MOST_MEANS];
    size_t mean_count;
    char by[16];
    double cutoff;
    int64_t steps[STEPS];
    int64_t selection;           /* the current one */
    bool own;                    /* the pictures are those that the captions came with */
    export_line exports[MOST_EXPORTS];
    size_t export_count;
    bool has_sheet;
    share_line shares[MOST_SHARES + 1];   /* the last one is for all others */
    size_t share_count;
} summary;

static sv_status add_reason(void *user, const char *name, int64_t count, sv_error *err) {
    reasons *r = user;
    if (r->count < MOST_REASONS) {
        snprintf(r->list[r->count].name, sizeof r->list[0].name, "%s", name);
        r->list[r->count++].count = count;
    } else {
        r->others += count;
        r->other_count++;
    }
    return SV_OK;
}

static sv_status add_export(void *user, const sv_export_row *row, sv_error *err) {
    summary *s = user;
    if (s->export_count == MOST_EXPORTS) return SV_OK;
    export_line *e = &s->exports[s->export_count++];
    snprintf(e->path, sizeof e->path, "%s", row->path);
    e->pairs = row->pairs;
    e->bytes = row->bytes;
    e->current = row->selection == s->selection;
    return SV_OK;
}

static sv_status add_share(void *user, const sv_share *row, sv_error *err) {
    summary *s = user;
    share_line *line = &s->shares[s->share_count < MOST_SHARES ? s->share_count++ : MOST_SHARES];
    bool others = line == &s->shares[MOST_SHARES];
    snprintf(line->name, sizeof line->name, "%s", others ? "others" : row->name);
    line->name[sv_utf8_valid(line->name, strlen(line->name))] = 0;   /* cut in the middle of a character */
    for (char *p = line->name; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F) *p = '?';         /* nothing from data is sent to the terminal as it is */
    if (others) s->share_count = MOST_SHARES + 1;
    sv_share_add(&line->counts, row);
    return SV_OK;
}

/* Of nothing there is no mean: null. */
static double number_or_nan(yyjson_val *v) { return yyjson_is_num(v) ? yyjson_get_num(v) : NAN; }

static sv_status read_selection(sv_ledger *l, summary *s, sv_error *err) {
    char *json = NULL;
    SV_TRY(sv_ledger_selection_json(l, &json, err));
    if (!json) return SV_OK;
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *cutoff = yyjson_obj_get(root, "cutoff"), *name, *mean;
    const char *by = yyjson_get_str(yyjson_obj_get(root, "by"));
    snprintf(s->by, sizeof s->by, "%s", by ? by : "");
    s->cutoff = number_or_nan(cutoff);
    size_t i, n;
    yyjson_obj_foreach(yyjson_obj_get(root, "means"), i, n, name, mean) {
        if (s->mean_count == MOST_MEANS) break;
        sv_mean *m = &s->means[s->mean_count++];
        snprintf(m->name, sizeof m->name, "%s", yyjson_get_str(name));
        m->before = number_or_nan(yyjson_obj_get(mean, "before"));
        m->after = number_or_nan(yyjson_obj_get(mean, "after"));
    }
    yyjson_val *steps = yyjson_obj_get(root, "steps");
    for (size_t step = 0; step < STEPS; step++) s->steps[step] = yyjson_get_sint(yyjson_obj_get(steps, step_names[step].key));
    yyjson_doc_free(doc);
    free(json);
    return SV_OK;
}

static sv_status read_source(sv_ledger *l, summary *s, sv_error *err) {
    sv_setup setup;
    char *json = NULL;
    SV_TRY(sv_ledger_current(l, SV_STAGE_GENERATE, "", &setup, err));
    if (!setup.id) return SV_OK;
    SV_TRY(sv_ledger_setup_json(l, setup.id, &json, err));
    s->own = sv_setup_is_adopted(json);
    free(json);
    return SV_OK;
}

static sv_status read_all(sv_ledger *l, summary *s, sv_error *err) {
    SV_TRY(read_source(l, s, err));
    SV_TRY(sv_ledger_funnel(l, &s->funnel, err));
    SV_TRY(sv_ledger_tally(l, SV_TALLY_FAULTS, add_reason, &s->faults, err));
    SV_TRY(sv_ledger_tally(l, SV_TALLY_RULES, add_reason, &s->rules, err));
    SV_TRY(sv_ledger_tally(l, SV_TALLY_FAILURES, add_reason, &s->failures, err));
    sv_setup judge;
    SV_TRY(sv_ledger_current(l, SV_STAGE_JUDGE, "", &judge, err));
    s->has_judge = judge.id;
    SV_TRY(sv_ledger_judge_cost(l, judge.id, &s->judge, err));
    SV_TRY(sv_ledger_current(l, SV_STAGE_JUDGE_IMAGE, "judge_image", &judge, err));
    SV_TRY(sv_ledger_judge_cost(l, judge.id, &s->judge_image, err));
    SV_TRY(sv_ledger_rate(l, SV_STAGE_GENERATE, 10000, &s->rate, err));
    SV_TRY(read_selection(l, s, err));
    char hash[SV_SHA256_HEX];
    int64_t picked;
    SV_TRY(sv_ledger_current_selection(l, &s->selection, hash, &picked, err));
    SV_TRY(sv_ledger_each_share(l, add_share, s, err));
    return sv_ledger_each_export(l, add_export, s, err);
}

/* ---- text ---- */

static void line(sv_buf *b, const char *label, int64_t count, const char *unit) {
    sv_buf_printf(b, "  %-10s %9lld %s", label, (long long)(count < 0 ? 0 : count), unit);
}

/* Reasons on lines of their own, right below the step that they belong to. */
static void add_reasons(sv_buf *b, const reasons *r) {
    for (size_t i = 0; i < r->count; i++) sv_buf_printf(b, "             %9lld   %s\n", (long long)r->list[i].count, r->list[i].name);
    if (r->other_count) sv_buf_printf(b, "             %9lld   for %zu other reason%s\n", (long long)r->others, r->other_count, r->other_count == 1 ? "" : "s");
}

static void text_funnel(const summary *s, sv_buf *b) {
    const sv_funnel *f = &s->funnel;
    line(b, "read", f->rows, "captions");
    if (f->repeated > 0) sv_buf_printf(b, ", %lld met again", (long long)f->repeated);
    if (f->faults > 0) sv_buf_printf(b, ", %lld rows unusable:", (long long)f->faults);
    sv_buf_putc(b, '\n');
    add_reasons(b, &s->faults);
    line(b, "kept", f->kept, "");
    sv_buf_printf(b, f->judged > f->kept ? "past the process list%s; %lld rejected by\n" : "past the process list%s\n", s->has_judge ? " and the judge" : "",
                  (long long)(f->judged - f->kept));
    add_reasons(b, &s->rules);
    if (s->has_judge) {
        line(b, "asked", s->judge.texts, "of the judge");
        sv_buf_printf(b, " by %lld requests, %lld tokens in, %lld out\n", (long long)s->judge.requests, (long long)s->judge.tokens_in, (long long)s->judge.tokens_out);
    }
    line(b, "sampled", f->sampled, s->own ? "of these, with pictures of their own\n" : "of these, to be drawn\n");
    line(b, s->own ? "taken in" : "drawn", f->drawn, s->own ? "pictures as they are: none was generated" : "pictures");
    if (s->rate.seconds >= LEAST_SECONDS && !s->own) sv_buf_printf(b, ", %.1f images/s", (double)s->rate.count / s->rate.seconds);
    if (f->pruned > 0) sv_buf_printf(b, "; %lld more given up half-drawn", (long long)f->pruned);
    sv_buf_puts(b, f->failed > 0 ? "; failed:\n" : "\n");
    add_reasons(b, &s->failures);
    line(b, "scored", f->scored, "pictures\n");
    if (f->picked < 0) return;
    if (s->judge_image.texts) {
        line(b, "asked", s->judge_image.texts, "pictures of judge_image");
        sv_buf_printf(b, " by %lld requests, %lld tokens in, %lld out\n", (long long)s->judge_image.requests, (long long)s->judge_image.tokens_in,
                      (long long)s->judge_image.tokens_out);
        if (s->judge_image.unclear) sv_buf_printf(b, "             %9lld   neither yes nor no\n", (long long)s->judge_image.unclear);
        if (s->judge_image.failed) sv_buf_printf(b, "             %9lld   refused by the server\n", (long long)s->judge_image.failed);
    }
    line(b, "eligible", f->eligible, "");
    sv_buf_printf(b, "pictures of %lld captions\n", (long long)f->eligible_captions);
    for (size_t i = 0; i < STEPS; i++)
        if (s->steps[i]) sv_buf_printf(b, "             %9lld   %s\n", (long long)s->steps[i], step_names[i].text);
    line(b, "selected", f->picked, f->picked == 1 ? "pair" : "pairs");
    if (isfinite(s->cutoff)) sv_buf_printf(b, ", by %s score, cut off at %.4f", s->by, s->cutoff);
    sv_buf_putc(b, '\n');
}

static void mean_text(sv_buf *b, double v) {
    if (isfinite(v))
        sv_buf_printf(b, " %10.4f", v);
    else
        sv_buf_printf(b, " %10s", "-");
}

static void text_means(const summary *s, sv_buf *b) {
    if (!s->mean_count) return;
    sv_buf_printf(b, "\n  mean score     %8s   selected\n", s->own ? "taken in" : "drawn");
    for (size_t i = 0; i < s->mean_count; i++) {
        sv_buf_printf(b, "  %-12s", s->means[i].name);
        mean_text(b, s->means[i].before);
        mean_text(b, s->means[i].after);
        sv_buf_putc(b, '\n');
    }
}

/* Where the captions are from, and the pairs; one source alone needs no table. */
static void text_shares(const summary *s, sv_buf *b) {
    if (s->share_count < 2) return;
    sv_buf_puts(b, "\n  by source              captions       kept    sampled      drawn   selected\n");
    for (size_t i = 0; i < s->share_count; i++) {
        const sv_share *c = &s->shares[i].counts;
        sv_buf_printf(b, "  %-20.60s %10lld %10lld %10lld %10lld %10lld", s->shares[i].name, (long long)c->captions, (long long)c->kept, (long long)c->sampled,
                      (long long)c->drawn, (long long)c->picked);
        if (s->funnel.picked > 0) sv_buf_printf(b, "  %5.1f%%", 100.0 * (double)c->picked / (double)s->funnel.picked);
        sv_buf_putc(b, '\n');
    }
}

static void json_shares(yyjson_mut_doc *doc, yyjson_mut_val *root, const summary *s) {
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "by_source");
    for (size_t i = 0; i < s->share_count; i++) {
        const sv_share *c = &s->shares[i].counts;
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
        yyjson_mut_obj_add_str(doc, o, "source", s->shares[i].name);
        yyjson_mut_obj_add_sint(doc, o, "captions", c->captions);
        yyjson_mut_obj_add_sint(doc, o, "kept", c->kept);
        yyjson_mut_obj_add_sint(doc, o, "sampled", c->sampled);
        yyjson_mut_obj_add_sint(doc, o, "drawn", c->drawn);
        yyjson_mut_obj_add_sint(doc, o, "picked", c->picked);
    }
}

enum { PLACE_WIDTH = 34 };

static void place(sv_buf *b, const char *label, const char *dir, const char *path, int width, const char *remark) {
    sv_buf full = {0};
    sv_buf_printf(&full, "%s/%s", dir, path);
    sv_buf_printf(b, "  %-10s %-*s %s\n", label, width, full.data ? full.data : path, remark);
    sv_buf_free(&full);
}

static void text_places(const summary *s, sv_buf *b) {
    char remark[256];
    int width = PLACE_WIDTH;
    for (size_t i = 0; i < s->export_count; i++) {
        int n = (int)(strlen(s->dir) + 1 + strlen(s->exports[i].path));
        if (n > width) width = n;
    }
    sv_buf_puts(b, "\n");
    for (size_t i = 0; i < s->export_count; i++) {
        const export_line *e = &s->exports[i];
        double size = (double)e->bytes;
        const char *unit = size < 1e6 ? "KB" : size < 1e9 ? "MB" : "GB";
        snprintf(remark, sizeof remark, "%lld %s, %.1f %s%s", (long long)e->pairs, e->pairs == 1 ? "pair" : "pairs",
                 size / (size < 1e6 ? 1e3 : size < 1e9 ? 1e6 : 1e9), unit, e->current ? "" : ", of an earlier selection");
        place(b, i ? "" : "datasets", s->dir, e->path, width, remark);
    }
    if (s->has_sheet) place(b, "sheet", s->dir, "sheet.png", width, "candidates of up to six captions, side by side");
    snprintf(remark, sizeof remark, "why a pair was dropped: synthvlm show %.150s ID", s->dir);
    place(b, "ledger", s->dir, "ledger.sqlite", width, remark);
}

/* ---- JSON ---- */

static void json_reasons(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key, const reasons *r) {
    yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, root, key);
    for (size_t i = 0; i < r->count; i++) yyjson_mut_obj_add(o, yyjson_mut_strcpy(doc, r->list[i].name), yyjson_mut_sint(doc, r->list[i].count));
    if (r->other_count) yyjson_mut_obj_add_sint(doc, o, "other", r->others);
}

static void json_judge(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key, const sv_judge_cost *c) {
    yyjson_mut_val *j = yyjson_mut_obj_add_obj(doc, root, key);
    yyjson_mut_obj_add_sint(doc, j, "asked", c->texts);
    yyjson_mut_obj_add_sint(doc, j, "unclear", c->unclear);
    yyjson_mut_obj_add_sint(doc, j, "failed", c->failed);
    yyjson_mut_obj_add_sint(doc, j, "requests", c->requests);
    yyjson_mut_obj_add_sint(doc, j, "tokens_in", c->tokens_in);
    yyjson_mut_obj_add_sint(doc, j, "tokens_out", c->tokens_out);
}

static yyjson_mut_val *mean_json(yyjson_mut_doc *doc, double v) { return isfinite(v) ? yyjson_mut_real(doc, v) : yyjson_mut_null(doc); }

static char *to_json(const summary *s) {
    const sv_funnel *f = &s->funnel;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = doc ? yyjson_mut_obj(doc) : NULL;
    if (!o) {
        yyjson_mut_doc_free(doc);
        return NULL;
    }
    yyjson_mut_doc_set_root(doc, o);
    yyjson_mut_obj_add_str(doc, o, "dir", s->dir);
    const struct { const char *key; int64_t value; } counts[] = {
        {"rows", f->rows}, {"repeated", f->repeated}, {"faults", f->faults}, {"captions", f->captions}, {"judged", f->judged}, {"kept", f->kept}, {"sampled", f->sampled},
        {"drawn", f->drawn}, {"failed", f->failed}, {"pruned", f->pruned}, {"scored", f->scored}, {"eligible", f->eligible},
        {"eligible_captions", f->eligible_captions}, {"picked", f->picked}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (counts[i].value < 0)
            yyjson_mut_obj_add_null(doc, o, counts[i].key);
        else
            yyjson_mut_obj_add_sint(doc, o, counts[i].key, counts[i].value);
    }
    yyjson_mut_val *steps = yyjson_mut_obj_add_obj(doc, o, "selection_steps");
    for (size_t i = 0; i < STEPS; i++)
        if (s->steps[i]) yyjson_mut_obj_add_sint(doc, steps, step_names[i].key, s->steps[i]);
    json_reasons(doc, o, "fault_reasons", &s->faults);
    json_reasons(doc, o, "rejected_by", &s->rules);
    json_reasons(doc, o, "failure_reasons", &s->failures);
    if (s->has_judge) json_judge(doc, o, "judge", &s->judge);
    if (s->judge_image.texts) json_judge(doc, o, "judge_image", &s->judge_image);
    if (s->rate.seconds >= LEAST_SECONDS) yyjson_mut_obj_add_real(doc, o, "images_per_second", (double)s->rate.count / s->rate.seconds);
    yyjson_mut_val *means = yyjson_mut_obj_add_obj(doc, o, "means");
    for (size_t i = 0; i < s->mean_count; i++) {
        yyjson_mut_val *m = yyjson_mut_obj_add_obj(doc, means, s->means[i].name);
        yyjson_mut_obj_add_val(doc, m, "before", mean_json(doc, s->means[i].before));
        yyjson_mut_obj_add_val(doc, m, "after", mean_json(doc, s->means[i].after));
    }
    json_shares(doc, o, s);
    yyjson_mut_val *exports = yyjson_mut_obj_add_arr(doc, o, "datasets");
    for (size_t i = 0; i < s->export_count; i++) {
        yyjson_mut_val *e = yyjson_mut_arr_add_obj(doc, exports);
        yyjson_mut_obj_add_str(doc, e, "path", s->exports[i].path);
        yyjson_mut_obj_add_sint(doc, e, "pairs", s->exports[i].pairs);
        yyjson_mut_obj_add_sint(doc, e, "bytes", s->exports[i].bytes);
        yyjson_mut_obj_add_bool(doc, e, "current", s->exports[i].current);
    }
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_INF_AND_NAN_AS_NULL, NULL);
    yyjson_mut_doc_free(doc);
    return text;
}

sv_status sv_run_summary(const char *dir, bool json, char **text, sv_error *err) {
    summary *s = calloc(1, sizeof *s);
    sv_ledger *l = NULL;
    sv_buf b = {0};
    *text = NULL;
    if (!s) return sv_fail_memory(err, dir, sizeof *s);
    s->dir = dir;
    sv_buf_printf(&b, "%s/sheet.png", dir);
    s->has_sheet = b.data && sv_is_file(b.data);
    sv_buf_clear(&b);
    sv_status st = sv_rundir_read(dir, &l, err);
    if (st == SV_OK) st = read_all(l, s, err);
    if (st == SV_OK && json)
        *text = to_json(s);
    else if (st == SV_OK) {
        sv_buf_printf(&b, "%s\n\n", dir);
        text_funnel(s, &b);
        text_means(s, &b);
        text_shares(s, &b);
        text_places(s, &b);
        *text = b.failed ? NULL : sv_strdup(b.data);
    }
    if (st == SV_OK && !*text) st = sv_fail_memory(err, dir, 0);
    sv_buf_free(&b);
    sv_ledger_close(&l);
    free(s);
    return st;
}
