/* calibrate.c - statistics of many captions: their distribution and, where the captions are labelled, what each threshold would do. */
#include "stages/calibrate/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/thread.h"
#include "base/utf8.h"
#include "stages/ingest/ingest.h"

enum { BATCH = 4096, MOST_STATS = 32, MOST_WORDS = 4096 };

void sv_calibrate_options_init(sv_calibrate_options *o) {
    *o = (sv_calibrate_options){.text = "text", .good = "good", .precision = NAN, .recall = NAN};
    sv_stats_options_init(&o->stats);
}

/* One line of the file and what was found in it. */
typedef struct row {
    size_t at, size;             /* of the line, in `lines` */
    int64_t line;
    int good;                    /* 1, 0; -1: no label */
    uint64_t fold;
    char fault[160];             /* "": none */
    double values[MOST_STATS];
} row;

typedef struct words { char **names; uint64_t *counts; size_t count; } words;

typedef struct calibration {
    const sv_calibrate_options *o;
    sv_stats *stats;
    size_t stat_count;
    row *rows;                   /* BATCH of them */
    size_t row_count;
    sv_buf lines;
    sv_column *columns;
    words *found;                /* of statistics that are words */
    /* labelled rows, row after row */
    double *values;
    bool *is_good;
    uint64_t *folds;
    size_t labelled, capacity, good;
    int64_t measured, unlabelled, faults;
    char first_fault[256];
} calibration;

/* ---- one batch ---- */

static sv_status measure_row(const calibration *c, row *r, sv_error *err) {
    const char *line = c->lines.data + r->at;
    yyjson_read_err why;
    yyjson_doc *doc = yyjson_read_opts((char *)line, r->size, YYJSON_READ_NOFLAG, NULL, &why);
    yyjson_val *root = yyjson_doc_get_root(doc), *text = yyjson_obj_get(root, c->o->text), *good = yyjson_obj_get(root, c->o->good);
    sv_status st = SV_OK;
    r->fault[0] = 0;
    r->good = yyjson_is_bool(good) ? yyjson_get_bool(good) : yyjson_is_int(good) && yyjson_get_uint(good) <= 1 ? (int)yyjson_get_uint(good) : -1;
    if (!doc)
        snprintf(r->fault, sizeof r->fault, "not JSON: %.80s at byte %zu", why.msg, why.pos + 1);
    else if (!yyjson_is_obj(root))
        snprintf(r->fault, sizeof r->fault, "not an object");
    else if (!yyjson_is_str(text))
        snprintf(r->fault, sizeof r->fault, text ? "\"%.40s\" is not a text" : "there is no field \"%.40s\"", c->o->text);
    else if (good && !yyjson_is_null(good) && r->good < 0)
        snprintf(r->fault, sizeof r->fault, "\"%.40s\" must be true or false", c->o->good);
    else {
        sv_error own = {0};
        r->fold = sv_hash64(yyjson_get_str(text), yyjson_get_len(text), 7);
        st = sv_stats_compute(c->stats, yyjson_get_str(text), yyjson_get_len(text), r->values, &own);
        if (st == SV_E_INPUT) snprintf(r->fault, sizeof r->fault, "%.140s", own.why);
        if (st == SV_E_INPUT) st = SV_OK;
        else if (st != SV_OK && err) *err = own;
    }
    yyjson_doc_free(doc);
    return st;
}

static sv_status measure_range(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    calibration *c = user;
    for (size_t i = begin; i < end; i++) SV_TRY(measure_row(c, &c->rows[i], err));
    return SV_OK;
}

static sv_status count_word(words *w, const char *name, sv_error *err) {
    if (!name) return SV_OK;
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->names[i], name) == 0) {
            w->counts[i]++;
            return SV_OK;
        }
    if (w->count == MOST_WORDS) return SV_OK;
    char **names = realloc(w->names, (w->count + 1) * sizeof *names);
    if (names) w->names = names;
    uint64_t *counts = realloc(w->counts, (w->count + 1) * sizeof *counts);
    if (counts) w->counts = counts;
    char *copy = names && counts ? sv_strdup(name) : NULL;
    if (!copy) return sv_fail_memory(err, "calibrate", 0);
    w->names[w->count] = copy;
    w->counts[w->count++] = 1;
    return SV_OK;
}

static sv_status keep_label(calibration *c, const row *r, sv_error *err) {
    if (c->labelled == c->capacity) {
        size_t more = c->capacity ? c->capacity * 2 : 1024;
        double *values = realloc(c->values, more * c->stat_count * sizeof *values);
        if (values) c->values = values;
        bool *good = realloc(c->is_good, more * sizeof *good);
        if (good) c->is_good = good;
        uint64_t *folds = realloc(c->folds, more * sizeof *folds);
        if (folds) c->folds = folds;
        if (!values || !good || !folds) return sv_fail_memory(err, "labels", more * c->stat_count * sizeof *values);
        c->capacity = more;
    }
    memcpy(c->values + c->labelled * c->stat_count, r->values, c->stat_count * sizeof *r->values);
    c->is_good[c->labelled] = r->good;
    c->folds[c->labelled++] = r->fold;
    c->good += r->good == 1;
    return SV_OK;
}

static sv_status take_row(calibration *c, const row *r, sv_error *err) {
    if (r->fault[0]) {
        if (!c->faults++) snprintf(c->first_fault, sizeof c->first_fault, "line %lld: %s", (long long)r->line, r->fault);
        return SV_OK;
    }
    c->measured++;
    for (size_t i = 0; i < c->stat_count; i++) {
        if (sv_stats_is_word(c->stats, i)) SV_TRY(count_word(&c->found[i], sv_stats_word(c->stats, i, r->values[i]), err));
        else SV_TRY(sv_column_add(&c->columns[i], r->values[i], err));
    }
    if (r->good >= 0) return keep_label(c, r, err);
    c->unlabelled++;
    return SV_OK;
}

static sv_status finish_batch(calibration *c, sv_error *err) {
    SV_TRY(sv_buf_ok(&c->lines, err));
    SV_TRY(sv_parallel(c->o->threads, c->row_count, 64, measure_range, c, err));
    for (size_t i = 0; i < c->row_count; i++) SV_TRY(take_row(c, &c->rows[i], err));
    c->row_count = 0;
    sv_buf_clear(&c->lines);
    return SV_OK;
}

static sv_status read_all(calibration *c, const char *path, sv_error *err) {
    sv_stream *in;
    SV_TRY(sv_stream_open(&in, strcmp(path, "-") == 0 ? "/dev/stdin" : path, err));
    sv_status st = SV_OK;
    for (bool end = false; st == SV_OK && !end;) {
        const char *line = "";
        size_t n = 0;
        if ((st = sv_stream_line(in, &line, &n, &end, err)) != SV_OK || end) break;
        bool blank = true;
        for (size_t i = 0; i < n && blank; i++) blank = line[i] == ' ' || line[i] == '\t';
        if (blank) continue;
        row *r = &c->rows[c->row_count++];
        r->at = c->lines.size;
        r->size = n;
        r->line = sv_stream_line_number(in);
        sv_buf_add(&c->lines, line, n);
        if (c->row_count == BATCH || c->lines.size > ((size_t)16 << 20)) st = finish_batch(c, err);
    }
    if (st == SV_OK) st = finish_batch(c, err);
    sv_stream_close(&in);
    return st;
}

/* ---- the answer ---- */

static bool put_real(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, double v) {
    return isfinite(v) ? yyjson_mut_obj_add_real(doc, o, key, v) : yyjson_mut_obj_add_null(doc, o, key);
}

static bool put_described(const calibration *c, size_t i, yyjson_mut_doc *doc, yyjson_mut_val *o) {
    if (sv_stats_is_word(c->stats, i)) {
        const words *w = &c->found[i];
        uint64_t all = 0;
        size_t top = 0;
        for (size_t k = 0; k < w->count; k++) {
            all += w->counts[k];
            if (w->counts[k] > w->counts[top]) top = k;
        }
        return yyjson_mut_obj_add_uint(doc, o, "count", all) && yyjson_mut_obj_add_uint(doc, o, "unique", w->count) &&
               (w->count ? yyjson_mut_obj_add_strcpy(doc, o, "top", w->names[top]) : yyjson_mut_obj_add_null(doc, o, "top")) &&
               yyjson_mut_obj_add_uint(doc, o, "freq", w->count ? w->counts[top] : 0);
    }
    sv_described d;
    sv_column_describe(&c->columns[i], &d);
    return yyjson_mut_obj_add_uint(doc, o, "count", d.count) && put_real(doc, o, "mean", d.mean) && put_real(doc, o, "std", d.std) && put_real(doc, o, "min", d.min) &&
           put_real(doc, o, "25%", d.quartile[0]) && put_real(doc, o, "50%", d.quartile[1]) && put_real(doc, o, "75%", d.quartile[2]) &&
           put_real(doc, o, "max", d.max);
}

/* Labelled rows by statistic instead of by row. */
static sv_status turn(const calibration *c, sv_labelled *l, sv_error *err) {
    *l = (sv_labelled){.stats = c->stats, .rows = c->labelled, .good = c->good, .is_good = c->is_good, .fold = c->folds};
    l->values = malloc((c->labelled * c->stat_count + 1) * sizeof *l->values);
    if (!l->values) return sv_fail_memory(err, "labels", c->labelled * c->stat_count * sizeof *l->values);
    for (size_t r = 0; r < c->labelled; r++)
        for (size_t s = 0; s < c->stat_count; s++) l->values[s * c->labelled + r] = c->values[r * c->stat_count + s];
    return SV_OK;
}

static sv_status answer(const calibration *c, char **json, sv_error *err) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list = NULL;
    sv_labelled l = {0};
    bool labels = c->labelled > 0;
    yyjson_mut_doc_set_root(doc, root);
    bool ok = root && yyjson_mut_obj_add_int(doc, root, "rows", c->measured);
    if (labels) ok = ok && yyjson_mut_obj_add_uint(doc, root, "good", c->good) && yyjson_mut_obj_add_uint(doc, root, "bad", c->labelled - c->good) &&
                     yyjson_mut_obj_add_int(doc, root, "unlabelled", c->unlabelled);
    ok = ok && yyjson_mut_obj_add_int(doc, root, "faults", c->faults) &&
         (c->faults ? yyjson_mut_obj_add_strcpy(doc, root, "first_fault", c->first_fault) : yyjson_mut_obj_add_null(doc, root, "first_fault")) &&
         yyjson_mut_obj_add_str(doc, root, "view", sv_view_name(c->o->stats.view)) && (list = yyjson_mut_obj_add_obj(doc, root, "statistics"));
    sv_status st = labels ? turn(c, &l, err) : SV_OK;
    for (size_t i = 0; st == SV_OK && ok && i < c->stat_count; i++) {
        yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, list, sv_stats_name(c->stats, i));
        ok = o && put_described(c, i, doc, o) && (!labels || sv_stats_is_word(c->stats, i) || sv_label_thresholds(&l, i, doc, o));
    }
    if (st == SV_OK && ok && labels) st = sv_label_proposal(&l, c->o, doc, root, err);
    if (st == SV_OK && (!ok || !(*json = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, NULL)))) st = sv_fail_memory(err, "calibrate", 0);
    free(l.values);
    yyjson_mut_doc_free(doc);
    return st;
}

static sv_status prepare(calibration *c, sv_error *err) {
    SV_TRY(sv_stats_open(&c->stats, &c->o->stats, err));
    size_t n = sv_stats_count(c->stats);
    if (n > MOST_STATS) return sv_fail(err, SV_E_INTERNAL, "calibrate", "%zu statistics are more than it was made for", n);
    c->rows = malloc(BATCH * sizeof *c->rows);
    c->columns = calloc(n, sizeof *c->columns);
    c->found = calloc(n, sizeof *c->found);
    if (!c->rows || !c->columns || !c->found) return sv_fail_memory(err, "calibrate", BATCH * sizeof *c->rows);
    for (; c->stat_count < n; c->stat_count++) SV_TRY(sv_column_open(&c->columns[c->stat_count], err));
    return SV_OK;
}

static sv_status check(const calibration *c, const char *path, sv_error *err) {
    if (!c->measured) {
        sv_fail(err, SV_E_INPUT, path, "has no usable line%s%s", c->faults ? "; the first: " : "", c->faults ? c->first_fault : "");
        return sv_hint(err, SV_E_INPUT, "one JSON object a line: {\"text\": \"a red cube\", \"good\": true}; --text and --good name other fields");
    }
    if (c->labelled && (c->good == 0 || c->good == c->labelled)) {
        sv_fail(err, SV_E_INPUT, path, "all %zu labelled captions are %s: there is nothing to tell apart", c->labelled, c->good ? "good" : "bad");
        return sv_hint(err, SV_E_INPUT, "label some of both kinds, or leave the labels out to see the distribution");
    }
    return SV_OK;
}

sv_status sv_calibrate(const char *path, const sv_calibrate_options *o, char **json, sv_error *err) {
    calibration c = {.o = o};
    *json = NULL;
    sv_status st = prepare(&c, err);
    if (st == SV_OK) st = read_all(&c, path, err);
    if (st == SV_OK) st = check(&c, strcmp(path, "-") == 0 ? "standard input" : path, err);
    for (size_t i = 0; st == SV_OK && i < c.stat_count; i++) st = sv_column_seal(&c.columns[i], err);
    if (st == SV_OK) st = answer(&c, json, err);
    for (size_t i = 0; i < c.stat_count; i++) {
        sv_column_close(&c.columns[i]);
        for (size_t k = 0; k < c.found[i].count; k++) free(c.found[i].names[k]);
        free(c.found[i].names);
        free(c.found[i].counts);
    }
    free(c.columns);
    free(c.found);
    free(c.rows);
    free(c.values);
    free(c.is_good);
    free(c.folds);
    sv_buf_free(&c.lines);
    sv_stats_close(&c.stats);
    return st;
}
