/* calibrate_cuts.c - what labels say of thresholds: one statistic at a time, and a list of filters together.
 *
 * The list is found step by step: of all cuts that one more threshold could make, the one that removes the most bad captions for each good one (bad removed /
 * (good removed + 1)) is taken, as long as what it removes is worse than what is there. How well the list does on captions that it has not seen is told by
 * five-fold cross-validation. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stages/calibrate/calibrate.h"
#include "text/ops/op.h"

enum { MOST_SHOWN = 200, FOLDS = 5, LEAST_FOR_FOLDS = 50, MOST_STEPS = 64 };

typedef struct item { double value; bool good; } item;

static int by_value(const void *a, const void *b) {
    const item *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

/* The rows of a statistic in order; NaN is left out. */
static item *sorted(const sv_labelled *l, size_t stat, size_t *n) {
    item *list = malloc((l->rows + 1) * sizeof *list);
    *n = 0;
    for (size_t r = 0; list && r < l->rows; r++) {
        double v = l->values[stat * l->rows + r];
        if (!isnan(v)) list[(*n)++] = (item){v, l->is_good[r]};
    }
    if (list) qsort(list, *n, sizeof *list, by_value);
    return list;
}

typedef struct outcome { double precision, recall, f1; } outcome;

static outcome outcome_of(size_t kept, size_t kept_good, size_t good) {
    outcome o = {kept ? (double)kept_good / (double)kept : 1, good ? (double)kept_good / (double)good : 0, 0};
    if (o.precision + o.recall > 0) o.f1 = 2 * o.precision * o.recall / (o.precision + o.recall);
    return o;
}

static bool put_outcome(yyjson_mut_doc *doc, yyjson_mut_val *o, size_t kept, outcome x) {
    return o && yyjson_mut_obj_add_uint(doc, o, "kept", kept) && yyjson_mut_obj_add_real(doc, o, "precision", x.precision) &&
           yyjson_mut_obj_add_real(doc, o, "recall", x.recall) && yyjson_mut_obj_add_real(doc, o, "f1", x.f1);
}

/* The chance that a good caption has the larger value, ties by half: the area under the ROC curve. */
static double area(const item *list, size_t n) {
    double sum = 0, good = 0, bad = 0;
    for (size_t i = 0, k; i < n; i = k) {
        double g = 0, b = 0;
        for (k = i; k < n && list[k].value == list[i].value; k++) *(list[k].good ? &g : &b) += 1;
        sum += g * (bad + b / 2);
        good += g;
        bad += b;
    }
    return good && bad ? sum / (good * bad) : NAN;
}

static double middle(const item *list, size_t n, bool good) {
    size_t count = 0, seen = 0;
    double low = NAN;
    for (size_t i = 0; i < n; i++) count += list[i].good == good;
    for (size_t i = 0; i < n; i++) {
        if (list[i].good != good) continue;
        if (seen == (count - 1) / 2) low = list[i].value;
        if (seen++ == count / 2) return (low + list[i].value) / 2;
    }
    return NAN;
}

static bool put_number(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, double v) {
    return isfinite(v) ? yyjson_mut_obj_add_real(doc, o, key, v) : yyjson_mut_obj_add_null(doc, o, key);
}

/* One entry for each distinct value (at most MOST_SHOWN, evenly by rank): what would be kept from there on. */
static bool put_thresholds(const item *list, size_t n, size_t good, bool keep_large, yyjson_mut_doc *doc, yyjson_mut_val *o) {
    yyjson_mut_val *shown = yyjson_mut_obj_add_arr(doc, o, "thresholds"), *best = yyjson_mut_obj_add_obj(doc, o, "best");
    size_t distinct = 0, number = 0, below = 0, here = 0, in_list = 0, best_kept = 0;
    double best_at = NAN;
    outcome best_outcome = {0, 0, -1};
    bool ok = shown && best;
    for (size_t i = 0; i < n; i++) {
        distinct += i == 0 || list[i].value != list[i - 1].value;
        in_list += list[i].good;
    }
    for (size_t i = 0, k; ok && i < n; i = k, number++, below += here) {
        here = 0;
        for (k = i; k < n && list[k].value == list[i].value; k++) here += list[k].good;
        size_t kept = keep_large ? n - i : k, kept_good = keep_large ? in_list - below : below + here;
        outcome x = outcome_of(kept, kept_good, good);
        if (x.f1 > best_outcome.f1) {
            best_outcome = x;
            best_at = list[i].value;
            best_kept = kept;
        }
        if (distinct > MOST_SHOWN && number * MOST_SHOWN / distinct == (number + 1) * MOST_SHOWN / distinct) continue;
        yyjson_mut_val *one = yyjson_mut_arr_add_obj(doc, shown);
        ok = one && put_number(doc, one, "at", list[i].value) && put_outcome(doc, one, kept, x);
    }
    return ok && put_number(doc, best, "at", best_at) && put_outcome(doc, best, best_kept, best_outcome);
}

bool sv_label_thresholds(const sv_labelled *l, size_t stat, yyjson_mut_doc *doc, yyjson_mut_val *o) {
    size_t n;
    item *list = sorted(l, stat, &n);
    if (!list) return false;
    double auc = area(list, n);
    bool keep_large = !(auc < 0.5);
    bool ok = put_number(doc, o, "auc", auc) && yyjson_mut_obj_add_str(doc, o, "keep", keep_large ? "min" : "max") &&
              put_number(doc, o, "good", middle(list, n, true)) && put_number(doc, o, "bad", middle(list, n, false)) &&
              put_thresholds(list, n, l->good, keep_large, doc, o);
    free(list);
    return ok;
}

/* ---- a list of filters ---- */

/* The limits of one statistic; NaN: none. */
typedef struct limits { double min, max; } limits;

typedef struct search {
    const sv_labelled *l;
    const sv_calibrate_options *o;
    size_t stats;
    uint32_t **order;            /* by statistic: rows by value, NaN first */
    size_t *nans;                /* by statistic: how many rows have none */
    bool *alive;
    size_t rows, good, kept, kept_good;   /* of the rows that are searched; of these still alive */
    limits *found;
} search;

typedef struct cut { size_t stat; bool at_top; double limit, utility; } cut;

static double value_at(const search *s, size_t stat, size_t row) { return s->l->values[stat * s->l->rows + row]; }

static const sv_option *limit_option(const search *s, size_t stat, bool top) {
    const sv_op *op = sv_op_row(sv_stats_filter(s->l->stats, stat));
    size_t at = op ? op->range_at + (top ? offsetof(sv_range, max) : offsetof(sv_range, min)) : 0;
    for (const sv_option *o = op ? op->options : NULL; o && o->name; o++)
        if (o->offset == at && o->type == SV_OPT_REAL) return o;
    return NULL;
}

/* The shortest number that lies between the last value removed and the first one kept. */
static double between(double removed, double kept, bool integer) {
    if (integer) return kept;
    double lo = removed < kept ? removed : kept, hi = removed < kept ? kept : removed, middle_of = lo + (hi - lo) / 2;
    for (int digits = 1; digits < 17; digits++) {
        char text[40];
        snprintf(text, sizeof text, "%.*g", digits, middle_of);
        double t = strtod(text, NULL);
        if (removed < kept ? t > removed && t <= kept : t < removed && t >= kept) return t;
    }
    return kept;
}

/* Looks for the best cut of one side of one statistic. need: good captions that must stay. */
static void look(const search *s, size_t stat, bool top, size_t need, cut *best) {
    size_t n = s->l->rows, bad = 0, good = 0, least_bad = (s->rows - s->good) / 100;
    double last = NAN;
    bool integer = sv_stats_is_integer(s->l->stats, stat);
    for (size_t i = 0; i < n; i++) {
        /* Rows without a value come first, from either side: they fail any limit. */
        size_t row = s->order[stat][top && i >= s->nans[stat] ? n - 1 - (i - s->nans[stat]) : i];
        double v = value_at(s, stat, row);
        if (!s->alive[row]) continue;
        if (bad > least_bad && v != last && !isnan(v)) {
            double utility = (double)bad / ((double)good + 1), removed_bad = (double)bad / (double)(bad + good);
            bool worse = removed_bad > (double)(s->kept - s->kept_good) / (double)s->kept;
            if (s->kept_good - good >= need && worse && utility > best->utility)
                *best = (cut){stat, top, isnan(last) ? v : between(last, v, integer), utility};
        }
        *(s->l->is_good[row] ? &good : &bad) += 1;
        last = v;
    }
}

static void apply(search *s, const cut *c) {
    double *limit = c->at_top ? &s->found[c->stat].max : &s->found[c->stat].min;
    *limit = c->limit;
    for (size_t row = 0; row < s->l->rows; row++) {
        double v = value_at(s, c->stat, row);
        if (!s->alive[row] || (c->at_top ? v <= c->limit : v >= c->limit)) continue;
        s->alive[row] = false;
        s->kept--;
        s->kept_good -= s->l->is_good[row];
    }
}

/* Finds the limits over the rows that are alive. */
static void find_limits(search *s) {
    double precision = s->o->precision, recall = isnan(s->o->recall) ? isnan(precision) ? 0.95 : 0 : s->o->recall;
    size_t need = (size_t)ceil(recall * (double)s->good - 1e-9);
    for (size_t i = 0; i < s->stats; i++) s->found[i] = (limits){NAN, NAN};
    for (int step = 0; step < MOST_STEPS && s->kept; step++) {
        if (!isnan(precision) && (double)s->kept_good >= precision * (double)s->kept) return;
        cut best = {.utility = -1};
        for (size_t i = 0; i < s->stats; i++) {
            if (sv_stats_is_word(s->l->stats, i)) continue;
            if (limit_option(s, i, false)) look(s, i, false, need, &best);
            if (limit_option(s, i, true)) look(s, i, true, need, &best);
        }
        if (best.utility < 0) return;
        apply(s, &best);
    }
}

/* qsort_r's order: by value, NaN first. */
static int by_row(const void *a, const void *b, void *column) {
    const double *values = column;
    double x = values[*(const uint32_t *)a], y = values[*(const uint32_t *)b];
    if (isnan(x) || isnan(y)) return isnan(y) - isnan(x);
    return (x > y) - (x < y);
}

static void close_search(search *s) {
    for (size_t i = 0; s->order && i < s->stats; i++) free(s->order[i]);
    free(s->order);
    free(s->nans);
    free(s->alive);
    free(s->found);
}

static sv_status open_search(search *s, const sv_labelled *l, const sv_calibrate_options *o, sv_error *err) {
    *s = (search){.l = l, .o = o, .stats = sv_stats_count(l->stats)};
    if (l->rows > UINT32_MAX) return sv_fail(err, SV_E_INPUT, "labels", "more than 4294967295 labelled captions");
    s->order = calloc(s->stats, sizeof *s->order);
    s->nans = calloc(s->stats, sizeof *s->nans);
    s->alive = malloc(l->rows + 1);
    s->found = calloc(s->stats, sizeof *s->found);
    bool ok = s->order && s->nans && s->alive && s->found;
    for (size_t i = 0; ok && i < s->stats; i++) {
        s->order[i] = malloc((l->rows + 1) * sizeof **s->order);
        ok = s->order[i] != NULL;
        for (size_t r = 0; ok && r < l->rows; r++) {
            s->order[i][r] = (uint32_t)r;
            s->nans[i] += isnan(value_at(s, i, r)) != 0;
        }
        if (ok) qsort_r(s->order[i], l->rows, sizeof **s->order, by_row, l->values + i * l->rows);
    }
    return ok ? SV_OK : sv_fail_memory(err, "labels", s->stats * l->rows * sizeof **s->order);
}

/* The rows that a search is over: all, or all but one fold. */
static void begin_search(search *s, int without_fold) {
    s->rows = s->good = 0;
    for (size_t r = 0; r < s->l->rows; r++) {
        s->alive[r] = (int)(s->l->fold[r] % FOLDS) != without_fold;
        s->rows += s->alive[r];
        s->good += s->alive[r] && s->l->is_good[r];
    }
    s->kept = s->rows;
    s->kept_good = s->good;
}

static bool passes(const search *s, size_t row) {
    for (size_t i = 0; i < s->stats; i++) {
        double v = value_at(s, i, row);
        if ((!isnan(s->found[i].min) && !(v >= s->found[i].min)) || (!isnan(s->found[i].max) && !(v <= s->found[i].max))) return false;
    }
    return true;
}

/* How the list that is found without a fold does on that fold, over all folds. */
static outcome cross_validate(search *s) {
    size_t kept = 0, kept_good = 0;
    for (int fold = 0; fold < FOLDS; fold++) {
        begin_search(s, fold);
        find_limits(s);
        for (size_t r = 0; r < s->l->rows; r++) {
            if ((int)(s->l->fold[r] % FOLDS) != fold || !passes(s, r)) continue;
            kept++;
            kept_good += s->l->is_good[r];
        }
    }
    return outcome_of(kept, kept_good, s->l->good);
}

/* ---- the list as text ---- */

static void put_key(sv_buf *b, bool yaml, const char *key) {
    if (b->size && b->data[b->size - 1] != '{') sv_buf_puts(b, ", ");
    sv_buf_printf(b, yaml ? "%s: " : "\"%s\": ", key);
}

/* What a filter must be told besides its limits, so that it measures what was measured here. */
static void put_parameters(const search *s, const char *filter, bool yaml, sv_buf *b) {
    const sv_stats_options *o = &s->o->stats;
    const struct { const char *filter, *key, *text; int64_t number; } told[] = {
        {"character_repetition_filter", "rep_len", NULL, o->char_rep_len}, {"word_repetition_filter", "rep_len", NULL, o->word_rep_len},
        {"flagged_words_filter", "lang", o->lang, 0}, {"flagged_words_filter", "flagged_words_dir", o->flagged_file, 0},
        {"perplexity_filter", "lm", o->lm, 0}, {"perplexity_filter", "spm", o->spm, 0}, {"token_num_filter", "hf_tokenizer", o->tokenizer, 0},
        {"language_id_score_filter", "model", o->lang_model, 0}};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        if (strcmp(told[i].filter, filter) != 0) continue;
        put_key(b, yaml, told[i].key);
        if (!told[i].text) {
            sv_buf_printf(b, "%lld", (long long)told[i].number);
            continue;
        }
        sv_buf_putc(b, '"');
        for (const char *p = told[i].text; *p; p++) {
            if (*p == '"' || *p == '\\') sv_buf_putc(b, '\\');
            if ((unsigned char)*p < 0x20) sv_buf_printf(b, "\\u%04x", (unsigned)*p);
            else sv_buf_putc(b, *p);
        }
        sv_buf_putc(b, '"');
    }
}

/* A side without a limit is written as null, where the filter has a default of its own that would be one. */
static void put_limit(const search *s, size_t stat, bool top, bool yaml, sv_buf *b) {
    char number[32];
    const sv_option *o = limit_option(s, stat, top);
    double v = top ? s->found[stat].max : s->found[stat].min;
    if (!o || (isnan(v) && (!o->nullable || sv_str_eq(o->fallback, "null")))) return;
    put_key(b, yaml, o->name);
    sv_buf_puts(b, isnan(v) ? "null" : sv_real_text(v, number));
}

static sv_status put_list(const search *s, bool yaml, sv_buf *b, sv_error *err) {
    sv_buf entry = {0};
    size_t n = 0;
    sv_buf_puts(b, yaml ? "process:\n" : "[");
    for (size_t i = 0; i < s->stats; i++) {
        if (isnan(s->found[i].min) && isnan(s->found[i].max)) continue;
        const char *filter = sv_stats_filter(s->l->stats, i);
        sv_buf_clear(&entry);
        sv_buf_putc(&entry, '{');
        put_parameters(s, filter, yaml, &entry);
        put_limit(s, i, false, yaml, &entry);
        put_limit(s, i, true, yaml, &entry);
        sv_buf_putc(&entry, '}');
        if (yaml) sv_buf_printf(b, "  - %s: %s\n", filter, entry.data ? entry.data : "");
        else sv_buf_printf(b, "%s{\"%s\": %s}", n ? ", " : "", filter, entry.data ? entry.data : "");
        n++;
    }
    if (!yaml) sv_buf_putc(b, ']');
    else if (!n) {
        sv_buf_clear(b);
        sv_buf_puts(b, "process: []\n");
    }
    sv_status st = sv_buf_ok(&entry, err);
    sv_buf_free(&entry);
    return st == SV_OK ? sv_buf_ok(b, err) : st;
}

static bool put_unseen(const sv_labelled *l, const outcome *unseen, yyjson_mut_doc *doc, yyjson_mut_val *o) {
    if (l->rows < LEAST_FOR_FOLDS) return yyjson_mut_obj_add_null(doc, o, "unseen");
    yyjson_mut_val *u = yyjson_mut_obj_add_obj(doc, o, "unseen");
    return u && yyjson_mut_obj_add_real(doc, u, "precision", unseen->precision) && yyjson_mut_obj_add_real(doc, u, "recall", unseen->recall);
}

static sv_status put_proposal(search *s, yyjson_mut_doc *doc, yyjson_mut_val *root, sv_error *err) {
    sv_buf yaml = {0}, json = {0};
    outcome unseen = {0, 0, 0};
    if (s->l->rows >= LEAST_FOR_FOLDS) unseen = cross_validate(s);
    begin_search(s, -1);
    find_limits(s);
    outcome x = outcome_of(s->kept, s->kept_good, s->good);
    bool reached = !(x.precision < s->o->precision) && !(x.recall < s->o->recall);
    sv_status st = put_list(s, true, &yaml, err);
    if (st == SV_OK) st = put_list(s, false, &json, err);
    yyjson_doc *list = st == SV_OK ? yyjson_read(json.data, json.size, 0) : NULL;
    yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, root, "proposal");
    bool ok = list && o && yyjson_mut_obj_add_val(doc, o, "process", yyjson_val_mut_copy(doc, yyjson_doc_get_root(list))) &&
              yyjson_mut_obj_add_strcpy(doc, o, "yaml", yaml.data) && put_outcome(doc, o, s->kept, x) && put_unseen(s->l, &unseen, doc, o) &&
              yyjson_mut_obj_add_bool(doc, o, "reached", reached);
    yyjson_doc_free(list);
    sv_buf_free(&yaml);
    sv_buf_free(&json);
    return st != SV_OK ? st : ok ? SV_OK : sv_fail_memory(err, "calibrate", 0);
}

sv_status sv_label_proposal(const sv_labelled *l, const sv_calibrate_options *o, yyjson_mut_doc *doc, yyjson_mut_val *root, sv_error *err) {
    search s;
    sv_status st = open_search(&s, l, o, err);
    if (st == SV_OK) st = put_proposal(&s, doc, root, err);
    close_search(&s);
    return st;
}
