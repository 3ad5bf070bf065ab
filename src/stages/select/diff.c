/* diff.c - two selections, of one run or of two, side by side. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/file.h"
#include "stages/rundir.h"

/* A pick as two numbers that are equal where the caption, or the caption and the picture, are. */
typedef struct mark { uint64_t caption, pair; int64_t rank; } mark;

typedef struct sums { char name[32]; double all, only; int64_t all_count, only_count; } sums;
typedef struct source { char *name; int64_t all[2], both; } source;

typedef struct side {
    char *dir, *which;
    sv_ledger *ledger;
    int64_t selection;
    mark *marks;
    size_t count, capacity;
    bool *shared;                /* by rank - 1: the other side has the pair, too */
    sums sums[SV_MAX_SCORERS];
    size_t sum_count;
    yyjson_mut_val *list;        /* of pairs that only this side has */
    int64_t listed;
} side;

typedef struct comparison {
    side sides[2];
    int64_t both, captions_both, most;
    source *sources;
    size_t source_count, source_capacity;
    yyjson_mut_doc *doc;
    bool failed;                 /* the document ran out of memory */
} comparison;

typedef struct pass { comparison *c; int at; } pass;

/* ---- opening ---- */

/* "DIR" or "DIR:WHICH"; a directory whose own name holds a colon is taken as it is. */
static sv_status open_side(side *s, const char *operand, const char *which, sv_error *err) {
    const char *colon = strrchr(operand, ':');
    bool whole = sv_is_dir(operand) || !colon;
    s->dir = whole ? sv_strdup(operand) : sv_strndup(operand, (size_t)(colon - operand));
    s->which = sv_strdup(which ? which : whole ? NULL : colon + 1);
    if (!s->dir || (!s->which && (which || !whole))) return sv_fail_memory(err, operand, 0);
    SV_TRY(sv_rundir_read(s->dir, &s->ledger, err));
    return sv_ledger_find_selection(s->ledger, s->which, &s->selection, err);
}

static void close_side(side *s) {
    sv_ledger_close(&s->ledger);
    free(s->dir);
    free(s->which);
    free(s->marks);
    free(s->shared);
}

/* ---- which pairs both have ---- */

static uint64_t first_bits(const uint8_t raw[32]) {
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v = v << 8 | raw[i];
    return v;
}

static sv_status mark_pick(void *user, const sv_pick *p, sv_error *err) {
    side *s = user;
    uint8_t raw[32];
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 1024;
        mark *more = realloc(s->marks, capacity * sizeof *more);
        if (!more) return sv_fail_memory(err, s->dir, capacity * sizeof *more);
        s->marks = more;
        s->capacity = capacity;
    }
    mark *m = &s->marks[s->count++];
    sv_sha256(p->id, strlen(p->id), raw);
    m->caption = first_bits(raw);
    sv_sha256(p->sha256, strlen(p->sha256), raw);
    m->pair = first_bits(raw);
    m->rank = p->rank;
    return SV_OK;
}

static int by_mark(const void *a, const void *b) {
    const mark *x = a, *y = b;
    if (x->caption != y->caption) return x->caption < y->caption ? -1 : 1;
    return (x->pair > y->pair) - (x->pair < y->pair);
}

static sv_status mark_side(side *s, sv_error *err) {
    SV_TRY(sv_ledger_each_pick(s->ledger, s->selection, true, mark_pick, s, err));
    s->shared = calloc(s->count + 1, sizeof *s->shared);
    if (!s->shared) return sv_fail_memory(err, s->dir, s->count);
    if (s->count) qsort(s->marks, s->count, sizeof *s->marks, by_mark);
    return SV_OK;
}

static void match(comparison *c) {
    side *a = &c->sides[0], *b = &c->sides[1];
    uint64_t last = 0;
    bool any = false;
    for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
        int order = by_mark(&a->marks[i], &b->marks[j]);
        if (order == 0) {
            a->shared[a->marks[i++].rank - 1] = b->shared[b->marks[j++].rank - 1] = true;
            c->both++;
        } else if (order < 0)
            i++;
        else
            j++;
    }
    for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
        uint64_t x = a->marks[i].caption, y = b->marks[j].caption;
        if (x == y && (!any || x != last)) {
            c->captions_both++;
            last = x;
            any = true;
        }
        if (x <= y) i++;
        else j++;
    }
}

/* ---- means, sources, lists ---- */

static yyjson_mut_val *put(comparison *c, yyjson_mut_val *o, const char *key, yyjson_mut_val *v) {
    if (!v || !yyjson_mut_obj_add(o, yyjson_mut_strcpy(c->doc, key), v)) c->failed = true;
    return v;
}

static void put_text(comparison *c, yyjson_mut_val *o, const char *key, const char *v) { put(c, o, key, yyjson_mut_strcpy(c->doc, v)); }
static void put_int(comparison *c, yyjson_mut_val *o, const char *key, int64_t v) { put(c, o, key, yyjson_mut_sint(c->doc, v)); }
static void put_real(comparison *c, yyjson_mut_val *o, const char *key, double v) {
    put(c, o, key, isfinite(v) ? yyjson_mut_real(c->doc, v) : yyjson_mut_null(c->doc));
}

static void add_score(side *s, const char *name, double value, bool only) {
    size_t i = 0;
    while (i < s->sum_count && strcmp(s->sums[i].name, name) != 0) i++;
    if (i == SV_MAX_SCORERS || !isfinite(value)) return;
    if (i == s->sum_count) {
        s->sums[s->sum_count++] = (sums){0};
        snprintf(s->sums[i].name, sizeof s->sums[i].name, "%s", name);
    }
    s->sums[i].all += value;
    s->sums[i].all_count++;
    if (!only) return;
    s->sums[i].only += value;
    s->sums[i].only_count++;
}

static sv_status count_source(comparison *c, int at, const char *name, bool shared, sv_error *err) {
    enum { MOST = 1000 };        /* a pool can name a source for each caption: what is left is counted together */
    size_t i = 0;
    if (!*name) name = "not stated";
    if (c->source_count >= MOST) name = "others";
    while (i < c->source_count && strcmp(c->sources[i].name, name) != 0) i++;
    if (i == c->source_count) {
        if (i == c->source_capacity) {
            size_t capacity = i ? 2 * i : 16;
            source *more = realloc(c->sources, capacity * sizeof *more);
            if (!more) return sv_fail_memory(err, "sources", capacity * sizeof *more);
            c->sources = more;
            c->source_capacity = capacity;
        }
        c->sources[i] = (source){.name = sv_strdup(name)};
        if (!c->sources[i].name) return sv_fail_memory(err, "sources", 0);
        c->source_count++;
    }
    c->sources[i].all[at]++;
    c->sources[i].both += shared && at == 0;
    return SV_OK;
}

/* What the other side made of a pair that it does not have. */
static sv_status tell_other(comparison *c, yyjson_mut_val *o, const side *other, const sv_pick *p, sv_error *err) {
    int64_t number;
    sv_reason r = {0};
    SV_TRY(sv_ledger_caption_number(other->ledger, p->id, &number, err));
    if (!number) {
        put_text(c, o, "there", "no_such_caption");
        return SV_OK;
    }
    SV_TRY(sv_ledger_reason(other->ledger, other->selection, number, p->k, &r, err));
    bool same = r.sha256[0] && strcmp(r.sha256, p->sha256) == 0;
    put_text(c, o, "there", r.reason[0] ? r.reason : "not_drawn");
    if (r.sha256[0]) put(c, o, "same_picture", yyjson_mut_bool(c->doc, same));
    if (r.repeats[0]) put_text(c, o, "repeats", r.repeats);
    return SV_OK;
}

static sv_status list_pick(comparison *c, side *s, const side *other, const sv_pick *p, sv_error *err) {
    char id[40];
    if (c->most >= 0 && s->listed >= c->most) return SV_OK;
    s->listed++;
    yyjson_mut_val *o = yyjson_mut_obj(c->doc);
    if (!o || !yyjson_mut_arr_append(s->list, o)) c->failed = true;
    snprintf(id, sizeof id, "%09lld-%d", (long long)p->number, p->k);
    put_text(c, o, "candidate", id);
    put_text(c, o, "caption", p->id);
    put_int(c, o, "rank", p->rank);
    put_real(c, o, "score", p->score);
    yyjson_mut_val *scores = put(c, o, "scores", yyjson_mut_obj(c->doc));
    for (size_t i = 0; i < p->score_count; i++) put_real(c, scores, p->scores[i].name, p->scores[i].value);
    return tell_other(c, o, other, p, err);
}

static sv_status tell_pick(void *user, const sv_pick *p, sv_error *err) {
    pass *at = user;
    comparison *c = at->c;
    side *s = &c->sides[at->at];
    bool shared = s->shared[p->rank - 1];
    for (size_t i = 0; i < p->score_count; i++) add_score(s, p->scores[i].name, p->scores[i].value, !shared);
    SV_TRY(count_source(c, at->at, p->origin, shared, err));
    return shared ? SV_OK : list_pick(c, s, &c->sides[!at->at], p, err);
}

/* ---- the answer ---- */

static sv_status put_side(comparison *c, yyjson_mut_val *root, const char *key, side *s, sv_error *err) {
    static const char *const facts[] = {"id", "hash", "by", "picked", "cutoff", "settings", "steps"};
    char *json = NULL;
    SV_TRY(sv_ledger_selection_json_of(s->ledger, s->selection, &json, err));
    yyjson_doc *doc = json ? yyjson_read(json, strlen(json), YYJSON_READ_ALLOW_INF_AND_NAN) : NULL;
    yyjson_mut_val *o = put(c, root, key, yyjson_mut_obj(c->doc));
    put_text(c, o, "dir", s->dir);
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        yyjson_val *v = yyjson_obj_get(yyjson_doc_get_root(doc), facts[i]);
        if (v) put(c, o, facts[i], yyjson_val_mut_copy(c->doc, v));
    }
    yyjson_doc_free(doc);
    free(json);
    return SV_OK;
}

static double mean(double sum, int64_t n) { return n ? sum / (double)n : NAN; }

static void put_means(comparison *c, yyjson_mut_val *root) {
    static const char *const keys[2][2] = {{"a", "only_a"}, {"b", "only_b"}};
    yyjson_mut_val *means = put(c, root, "means", yyjson_mut_obj(c->doc));
    for (int at = 0; at < 2; at++)
        for (size_t i = 0; i < c->sides[at].sum_count; i++) {
            const sums *s = &c->sides[at].sums[i];
            yyjson_mut_val *o = yyjson_mut_obj_get(means, s->name);
            if (!o) o = put(c, means, s->name, yyjson_mut_obj(c->doc));
            put_real(c, o, keys[at][0], mean(s->all, s->all_count));
            put_real(c, o, keys[at][1], mean(s->only, s->only_count));
        }
}

static sv_status tell(comparison *c, yyjson_mut_val *root, sv_error *err) {
    side *a = &c->sides[0], *b = &c->sides[1];
    for (int at = 0; at < 2; at++) SV_TRY(mark_side(&c->sides[at], err));
    match(c);
    int64_t only_a = (int64_t)a->count - c->both, only_b = (int64_t)b->count - c->both;
    SV_TRY(put_side(c, root, "a", a, err));
    SV_TRY(put_side(c, root, "b", b, err));
    put(c, root, "same", yyjson_mut_bool(c->doc, !only_a && !only_b));
    put_int(c, root, "both", c->both);
    put_int(c, root, "only_a", only_a);
    put_int(c, root, "only_b", only_b);
    put_int(c, root, "captions_in_both", c->captions_both);
    put_real(c, root, "jaccard", mean((double)c->both, c->both + only_a + only_b));
    a->list = yyjson_mut_arr(c->doc);
    b->list = yyjson_mut_arr(c->doc);
    for (int at = 0; at < 2; at++) {
        pass p = {c, at};
        SV_TRY(sv_ledger_each_pick(c->sides[at].ledger, c->sides[at].selection, true, tell_pick, &p, err));
    }
    put_means(c, root);
    yyjson_mut_val *sources = put(c, root, "sources", yyjson_mut_obj(c->doc));
    for (size_t i = 0; i < c->source_count; i++) {
        const source *s = &c->sources[i];
        yyjson_mut_val *o = put(c, sources, s->name, yyjson_mut_obj(c->doc));
        put_int(c, o, "a", s->all[0]);
        put_int(c, o, "b", s->all[1]);
        put_int(c, o, "both", s->both);
    }
    put(c, root, "list_a", a->list);
    put(c, root, "list_b", b->list);
    return SV_OK;
}

sv_status sv_run_diff(const char *a, const char *b, int64_t most, char **json, sv_error *err) {
    comparison c = {.most = most, .doc = yyjson_mut_doc_new(NULL)};
    yyjson_mut_val *root = c.doc ? yyjson_mut_obj(c.doc) : NULL;
    *json = NULL;
    sv_status st = root ? SV_OK : sv_fail_memory(err, a, 0);
    if (root) yyjson_mut_doc_set_root(c.doc, root);
    if (st == SV_OK) st = b ? open_side(&c.sides[0], a, NULL, err) : open_side(&c.sides[0], a, "previous", err);
    if (st == SV_OK) st = open_side(&c.sides[1], b ? b : a, NULL, err);
    if (st == SV_OK) st = tell(&c, root, err);
    if (st == SV_OK && (c.failed || !(*json = yyjson_mut_write(c.doc, YYJSON_WRITE_NOFLAG, NULL)))) st = sv_fail_memory(err, a, 0);
    for (size_t i = 0; i < c.source_count; i++) free(c.sources[i].name);
    free(c.sources);
    close_side(&c.sides[0]);
    close_side(&c.sides[1]);
    yyjson_mut_doc_free(c.doc);
    return st;
}
