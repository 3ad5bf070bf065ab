/* story.c - one caption's, and one selection's, whole story as JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "ledger/internal.h"

/* A document under construction. yyjson's functions take NULL and return false or NULL when memory runs out, so one check at the end is enough. */
typedef struct story {
    sv_ledger *l;
    yyjson_mut_doc *doc;
    bool failed;
} story;

static void put(story *t, yyjson_mut_val *object, const char *key, yyjson_mut_val *value) {
    if (!value || !yyjson_mut_obj_add_val(t->doc, object, key, value)) t->failed = true;
}

static void put_text(story *t, yyjson_mut_val *object, const char *key, const char *value) {
    put(t, object, key, value ? yyjson_mut_strcpy(t->doc, value) : yyjson_mut_null(t->doc));
}

static void put_int(story *t, yyjson_mut_val *object, const char *key, int64_t value) {
    put(t, object, key, yyjson_mut_sint(t->doc, value));
}

static void put_real(story *t, yyjson_mut_val *object, const char *key, double value) {
    put(t, object, key, isnan(value) ? yyjson_mut_null(t->doc) : yyjson_mut_real(t->doc, value));
}

/* Stored JSON text as a value of the document; text that is not JSON stays text. */
static void put_json(story *t, yyjson_mut_val *object, const char *key, const char *text) {
    yyjson_doc *parsed = text ? yyjson_read(text, strlen(text), YYJSON_READ_ALLOW_INF_AND_NAN) : NULL;
    if (parsed)
        put(t, object, key, yyjson_val_mut_copy(t->doc, yyjson_doc_get_root(parsed)));
    else
        put_text(t, object, key, text);
    yyjson_doc_free(parsed);
}

/* A column as whatever type it has. */
static void put_column(story *t, yyjson_mut_val *object, const char *key, sqlite3_stmt *s, int i) {
    switch (sqlite3_column_type(s, i)) {
    case SQLITE_INTEGER: put_int(t, object, key, sqlite3_column_int64(s, i)); break;
    case SQLITE_FLOAT: put_real(t, object, key, sqlite3_column_double(s, i)); break;
    case SQLITE_TEXT: put_text(t, object, key, sv_column_text(s, i)); break;
    default: put_text(t, object, key, NULL);
    }
}

static yyjson_mut_val *open_object(story *t, yyjson_mut_val *parent, const char *key) {
    yyjson_mut_val *o = yyjson_mut_obj(t->doc);
    put(t, parent, key, o);
    return o;
}

static sv_status finish(story *t, sv_status st, char **json, sv_error *err) {
    if (st == SV_OK && (t->failed || !(*json = yyjson_mut_write(t->doc, YYJSON_WRITE_ALLOW_INF_AND_NAN, NULL)))) st = sv_fail_memory(err, t->l->path, 0);
    yyjson_mut_doc_free(t->doc);
    return st;
}

/* The picture that the caption came with, if it did. */
static sv_status tell_picture(story *t, yyjson_mut_val *root, int64_t number, sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    if (t->l->version < 3) return SV_OK;
    SV_TRY(sv_sql_query(t->l, &s, err, "SELECT p.name, f.folder FROM pictures p LEFT JOIN picture_folders f USING(source) WHERE p.number = ?1", "i", number));
    SV_TRY(sv_sql_step(t->l, s, &row, err));
    if (!row) return SV_OK;
    yyjson_mut_val *o = open_object(t, root, "picture");
    put_column(t, o, "name", s, 0);
    put_column(t, o, "folder", s, 1);
    sv_sql_done(s);
    return SV_OK;
}

static sv_status tell_caption(story *t, yyjson_mut_val *root, int64_t number, sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    SV_TRY(sv_sql_query(t->l, &s, err, "SELECT c.id, c.text, o.origin, o.license, r.path, c.line, r.sha256 FROM captions c JOIN origins o ON o.id = c.origin"
                        " JOIN sources r ON r.id = c.source WHERE c.number = ?1", "i", number));
    SV_TRY(sv_sql_step(t->l, s, &row, err));
    if (!row) return sv_fail(err, SV_E_INPUT, t->l->path, "there is no caption number %lld", (long long)number);
    put_column(t, root, "id", s, 0);
    put_int(t, root, "number", number);
    put_column(t, root, "caption", s, 1);
    put_column(t, root, "source", s, 2);
    put_column(t, root, "license", s, 3);
    yyjson_mut_val *file = open_object(t, root, "read_from");
    put_column(t, file, "path", s, 4);
    put_column(t, file, "line", s, 5);
    put_column(t, file, "sha256", s, 6);
    sv_sql_done(s);
    return tell_picture(t, root, number, err);
}

/* What the judge said of the caption, if it was asked. */
static sv_status tell_judgement(story *t, yyjson_mut_val *verdict, int64_t number, sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    if (t->l->version < 2) return SV_OK;
    SV_TRY(sv_sql_query(t->l, &s, err, "SELECT a.outcome, a.answer, a.value, a.p_yes, a.detail, a.requests, a.tokens_in, a.tokens_out FROM now"
                        " CROSS JOIN judged d ON d.setup = now.curate AND d.number = ?1 JOIN judgements a ON a.id = d.judgement", "i", number));
    SV_TRY(sv_sql_step(t->l, s, &row, err));
    if (!row) return SV_OK;
    static const char *const names[] = {"outcome", "answer", "value", "p_yes", "detail", "requests", "tokens_in", "tokens_out"};
    yyjson_mut_val *o = open_object(t, verdict, "judge");
    for (int i = 0; i < 8; i++)
        if (sqlite3_column_type(s, i) != SQLITE_NULL) put_column(t, o, names[i], s, i);
    sv_sql_done(s);
    return SV_OK;
}

/* What the caption speaks of, by the recipe's concepts. */
static sv_status tell_concepts(story *t, yyjson_mut_val *verdict, int64_t number, sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    if (t->l->version < 3) return SV_OK;
    SV_TRY(sv_sql_query(t->l, &s, err, "SELECT c.name FROM now CROSS JOIN caption_concepts x ON x.setup = now.concepts AND x.number = ?1"
                        " JOIN concepts c ON c.setup = x.setup AND c.concept = x.concept WHERE x.concept > 0 ORDER BY x.concept", "i", number));
    yyjson_mut_val *list = NULL;
    for (;;) {
        SV_TRY(sv_sql_step(t->l, s, &row, err));
        if (!row) return SV_OK;
        if (!list) put(t, verdict, "concepts", list = yyjson_mut_arr(t->doc));
        if (!yyjson_mut_arr_add_strcpy(t->doc, list, sv_column_text(s, 0))) t->failed = true;
    }
}

static sv_status tell_verdict(story *t, yyjson_mut_val *root, int64_t number, sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    SV_TRY(sv_sql_query(t->l, &s, err, "SELECT v.keep, v.rule, v.value, v.min, v.max, d.id, v.text, v.stats, u.hash,"
                        " EXISTS(SELECT 1 FROM samples m WHERE m.setup = now.sample AND m.number = v.number) FROM now CROSS JOIN verdicts v ON v.setup = now.curate"
                        " JOIN setups u ON u.id = v.setup LEFT JOIN captions d ON d.number = v.duplicate_of WHERE v.number = ?1", "i", number));
    SV_TRY(sv_sql_step(t->l, s, &row, err));
    if (!row) {
        put(t, root, "verdict", yyjson_mut_null(t->doc));
        return SV_OK;
    }
    yyjson_mut_val *v = open_object(t, root, "verdict");
    put(t, v, "keep", yyjson_mut_bool(t->doc, sqlite3_column_int(s, 0)));
    put_column(t, v, "rule", s, 1);
    put_column(t, v, "value", s, 2);
    put_column(t, v, "min", s, 3);
    put_column(t, v, "max", s, 4);
    put_column(t, v, "duplicate_of", s, 5);
    put_column(t, v, "text", s, 6);
    put_json(t, v, "stats", sv_column_text(s, 7));
    put_column(t, v, "setup", s, 8);
    put(t, v, "sampled", yyjson_mut_bool(t->doc, sqlite3_column_int(s, 9)));
    sv_sql_done(s);
    if (t->l->version >= 3) {
        SV_TRY(sv_sql_query(t->l, &s, err, "SELECT v.detail FROM now CROSS JOIN verdicts v ON v.setup = now.curate WHERE v.number = ?1", "i", number));
        SV_TRY(sv_sql_step(t->l, s, &row, err));
        if (row && sqlite3_column_type(s, 0) != SQLITE_NULL) put_column(t, v, "detail", s, 0);
        sv_sql_done(s);
    }
    SV_TRY(tell_concepts(t, v, number, err));
    return tell_judgement(t, v, number, err);
}

/* Every score that a candidate ever got under the current scorers, by name. */
static sv_status tell_scores(story *t, yyjson_mut_val *candidate, int64_t generate, int64_t number, int k, sv_error *err) {
    yyjson_mut_val *list = open_object(t, candidate, "scores");
    sqlite3_stmt *s;
    bool row;
    SV_TRY(sv_sql_query(t->l, &s, err, "SELECT c.name, x.value FROM current c CROSS JOIN scores x ON x.setup = c.setup"
                        " WHERE c.stage IN ('score', 'judge_image') AND x.generate = ?1 AND x.number = ?2 AND x.k = ?3 ORDER BY c.name", "iin", generate, number, k));
    for (;;) {
        SV_TRY(sv_sql_step(t->l, s, &row, err));
        if (!row) return SV_OK;
        yyjson_mut_val *key = yyjson_mut_strcpy(t->doc, sv_column_text(s, 0));
        double value = sv_column_real(s, 1);
        if (!yyjson_mut_obj_add(list, key, isnan(value) ? yyjson_mut_str(t->doc, "not finite") : yyjson_mut_real(t->doc, value))) t->failed = true;
    }
}

/* After which round the caption got no more candidates, and why. */
static sv_status tell_stop(story *t, yyjson_mut_val *root, int64_t number, sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    if (t->l->version < 3) return SV_OK;
    SV_TRY(sv_sql_query(t->l, &s, err, "SELECT reason, round, images, printf('%09d-%d', number, k), value FROM stopped WHERE number = ?1", "i", number));
    SV_TRY(sv_sql_step(t->l, s, &row, err));
    if (!row) return SV_OK;
    static const char *const names[] = {"reason", "round", "images", "best", "weighted"};
    yyjson_mut_val *o = open_object(t, root, "stopped");
    for (int i = 0; i < 5; i++)
        if (sqlite3_column_type(s, i) != SQLITE_NULL) put_column(t, o, names[i], s, i);
    sv_sql_done(s);
    return SV_OK;
}

/* What a half-drawn picture was worth on the way, by the number of model calls. */
static sv_status tell_previews(story *t, yyjson_mut_val *candidate, int64_t generate, int64_t number, int k, sv_error *err) {
    yyjson_mut_val *list = NULL;
    sqlite3_stmt *s;
    bool row;
    if (t->l->version < 3) return SV_OK;
    SV_TRY(sv_sql_query(t->l, &s, err, "SELECT calls, value FROM previews WHERE generate = ?1 AND number = ?2 AND k = ?3 ORDER BY calls", "iin", generate, number, k));
    for (;;) {
        SV_TRY(sv_sql_step(t->l, s, &row, err));
        if (!row) return SV_OK;
        if (!list) {
            list = yyjson_mut_arr(t->doc);
            put(t, candidate, "previews", list);
        }
        yyjson_mut_val *one = yyjson_mut_arr_add_obj(t->doc, list);
        if (!one) t->failed = true;
        put_column(t, one, "calls", s, 0);
        put_column(t, one, "weighted", s, 1);
    }
}

/* Candidates under every generate setup, the current one's first. */
static sv_status tell_candidates(story *t, yyjson_mut_val *root, int64_t number, int only_k, int64_t *count, sv_error *err) {
    yyjson_mut_val *list = yyjson_mut_arr(t->doc);
    put(t, root, "candidates", list);
    sqlite3_stmt *s;
    bool row;
    SV_TRY(sv_sql_query(t->l, &s, err, "SELECT printf('%09d-%d', d.number, d.k), d.k, nullif(d.seed, -1), d.outcome, d.reason, d.detail,"
                        " d.file, d.bytes, d.width, d.height, d.tokens_cut, u.hash, u.id = now.generate, u.id, d.sha256 FROM now"
                        " CROSS JOIN setups u ON u.stage = 'generate' CROSS JOIN candidates d ON d.setup = u.id AND d.number = ?1"
                        " WHERE ?2 < 0 OR d.k = ?2 ORDER BY (u.id = now.generate) DESC, u.id, d.k",
                        "in", number, only_k));
    for (;;) {
        SV_TRY(sv_sql_step(t->l, s, &row, err));
        if (!row) return SV_OK;
        ++*count;
        yyjson_mut_val *c = yyjson_mut_obj(t->doc);
        if (!yyjson_mut_arr_append(list, c)) t->failed = true;
        static const char *const names[] = {"candidate", "k", "seed", "outcome", "reason", "detail", "file", "bytes", "width", "height", "tokens_cut", "setup"};
        bool ok = strcmp(sv_column_text(s, 3), "ok") == 0, pruned = strcmp(sv_column_text(s, 3), "pruned") == 0;
        for (int i = 0; i < 12; i++) {
            bool of_failure = i == 4 || i == 5, of_success = i >= 6 && i <= 9;
            if ((ok && !of_failure) || (!ok && !of_success && !(pruned && i == 4))) put_column(t, c, names[i], s, i);
        }
        put(t, c, "current", yyjson_mut_bool(t->doc, sqlite3_column_int(s, 12)));
        char sha256[SV_SHA256_HEX];
        sv_column_sha256(s, 14, sha256);
        if (ok) put_text(t, c, "sha256", sha256);
        sv_status st = tell_scores(t, c, sqlite3_column_int64(s, 13), number, sqlite3_column_int(s, 1), err);
        if (st == SV_OK) st = tell_previews(t, c, sqlite3_column_int64(s, 13), number, sqlite3_column_int(s, 1), err);
        if (st != SV_OK) {
            sv_sql_done(s);
            return st;
        }
    }
}

/* Where a candidate below the cut-off stands among all that have scores. */
static sv_status tell_place(story *t, yyjson_mut_val *candidate, int64_t number, int k, sv_error *err) {
    sv_place place;
    SV_TRY(sv_ledger_place(t->l, number, k, &place, err));
    if (!place.of) return SV_OK;
    put_int(t, candidate, "place", place.at);
    put_int(t, candidate, "place_of", place.of);
    return SV_OK;
}

/* What the current selection made of them: added to the candidates by k. */
static sv_status tell_outcomes(story *t, yyjson_mut_val *root, int64_t number, sv_error *err) {
    yyjson_mut_val *list = yyjson_mut_obj_get(root, "candidates"), *c;
    sqlite3_stmt *s;
    bool row;
    if (t->l->version < 3)
        SV_TRY(sv_sql_query(t->l, &s, err, "SELECT e.k, e.reason, e.rank, e.weighted, g.hash, s.cutoff, s.rank_by, NULL, 0 FROM explained e,"
                            " now JOIN selections s ON s.id = now.selection JOIN setups g ON g.id = s.generate WHERE e.number = ?1", "i", number));
    else
        SV_TRY(sv_sql_query(t->l, &s, err, "SELECT e.k, e.reason, e.rank, e.weighted, g.hash, s.cutoff, s.rank_by, e.duplicate_of, e.by_hand FROM explained e,"
                            " now JOIN selections s ON s.id = now.selection JOIN setups g ON g.id = s.generate WHERE e.number = ?1", "i", number));
    for (;;) {
        SV_TRY(sv_sql_step(t->l, s, &row, err));
        if (!row) return SV_OK;
        size_t i, n;
        yyjson_mut_arr_foreach(list, i, n, c) {
            if (yyjson_mut_get_sint(yyjson_mut_obj_get(c, "k")) != sqlite3_column_int64(s, 0)) continue;
            const char *setup = yyjson_mut_get_str(yyjson_mut_obj_get(c, "setup"));
            if (!setup || strcmp(setup, sv_column_text(s, 4)) != 0) continue;
            put_column(t, c, "selection", s, 1);
            if (sqlite3_column_type(s, 2) != SQLITE_NULL) put_column(t, c, "rank", s, 2);
            put_column(t, c, "ranked_by", s, 6);
            put_column(t, c, "cutoff", s, 5);
            if (sqlite3_column_type(s, 7) != SQLITE_NULL) put_column(t, c, "repeats", s, 7);
            if (sqlite3_column_int(s, 8)) put(t, c, "by_hand", yyjson_mut_bool(t->doc, true));
            if (strcmp(sv_column_text(s, 1), "below_cutoff") == 0) {
                sv_status st = tell_place(t, c, number, sqlite3_column_int(s, 0), err);
                if (st != SV_OK) {
                    sv_sql_done(s);
                    return st;
                }
            }
            bool finished = strncmp(sv_column_text(s, 1), "failed", 6) != 0 && strcmp(sv_column_text(s, 1), "pruned") != 0;
            if (finished) put_column(t, c, "weighted", s, 3);
        }
    }
}

sv_status sv_ledger_story(sv_ledger *l, int64_t number, int k, char **json, sv_error *err) {
    *json = NULL;
    story t = {.l = l, .doc = yyjson_mut_doc_new(NULL)};
    yyjson_mut_val *root = yyjson_mut_obj(t.doc);
    if (!root) {
        yyjson_mut_doc_free(t.doc);
        return sv_fail_memory(err, l->path, 0);
    }
    yyjson_mut_doc_set_root(t.doc, root);
    int64_t count = 0;
    sv_status st = tell_caption(&t, root, number, err);
    if (st == SV_OK) st = tell_verdict(&t, root, number, err);
    if (st == SV_OK) st = tell_stop(&t, root, number, err);
    if (st == SV_OK) st = tell_candidates(&t, root, number, k, &count, err);
    if (st == SV_OK && k >= 0 && !count) st = sv_fail(err, SV_E_INPUT, l->path, "there is no candidate %09lld-%d", (long long)number, k);
    if (st == SV_OK) st = tell_outcomes(&t, root, number, err);
    return finish(&t, st, json, err);
}

sv_status sv_ledger_selection_json_of(sv_ledger *l, int64_t selection, char **json, sv_error *err) {
    *json = NULL;
    sqlite3_stmt *s;
    bool row;
    if (l->version < 3)
        SV_TRY(sv_sql_query(l, &s, err, "SELECT s.id, s.hash, s.settings, s.rank_by, s.candidates, s.eligible, s.captions, s.asked, s.picked, s.cutoff, NULL"
                            " FROM selections s WHERE s.id = ?1", "i", selection));
    else
        SV_TRY(sv_sql_query(l, &s, err, "SELECT s.id, s.hash, s.settings, s.rank_by, s.candidates, s.eligible, s.captions, s.asked, s.picked, s.cutoff, s.steps"
                            " FROM selections s WHERE s.id = ?1", "i", selection));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (!row) return SV_OK;
    story t = {.l = l, .doc = yyjson_mut_doc_new(NULL)};
    yyjson_mut_val *root = yyjson_mut_obj(t.doc);
    yyjson_mut_doc_set_root(t.doc, root);
    static const char *const names[] = {"id", "hash", NULL, "by", "candidates", "eligible", "captions", "asked", "picked", "cutoff"};
    for (int i = 0; i < 10; i++)
        if (names[i]) put_column(&t, root, names[i], s, i);
    put_json(&t, root, "settings", sv_column_text(s, 2));
    if (sv_column_text(s, 10)) put_json(&t, root, "steps", sv_column_text(s, 10));
    int64_t id = sqlite3_column_int64(s, 0);
    sv_sql_done(s);
    yyjson_mut_val *means = open_object(&t, root, "means");
    sv_status st = sv_sql_query(l, &s, err, "SELECT name, before, after FROM selection_means WHERE selection = ?1 ORDER BY name", "i", id);
    while (st == SV_OK && (st = sv_sql_step(l, s, &row, err)) == SV_OK && row) {
        yyjson_mut_val *mean = yyjson_mut_obj(t.doc);
        if (!yyjson_mut_obj_add(means, yyjson_mut_strcpy(t.doc, sv_column_text(s, 0)), mean)) t.failed = true;
        put_column(&t, mean, "before", s, 1);
        put_column(&t, mean, "after", s, 2);
    }
    return finish(&t, st, json, err);
}

sv_status sv_ledger_selection_json(sv_ledger *l, char **json, sv_error *err) {
    int64_t id = 0;
    *json = NULL;
    SV_TRY(sv_sql_int(l, &id, err, "SELECT setup FROM current WHERE stage = 'select'", ""));
    return id ? sv_ledger_selection_json_of(l, id, json, err) : SV_OK;
}

sv_status sv_ledger_find_selection(sv_ledger *l, const char *which, int64_t *id, sv_error *err) {
    int64_t current = 0, matches = 0;
    *id = 0;
    SV_TRY(sv_sql_int(l, &current, err, "SELECT setup FROM current WHERE stage = 'select'", ""));
    if (!which)
        *id = current;
    else if (strcmp(which, "previous") == 0)
        SV_TRY(sv_sql_int(l, id, err, "SELECT max(id) FROM selections WHERE id <> ?1", "i", current));
    else {
        size_t digits = strspn(which, "0123456789");
        if (!which[digits] && digits && digits < 10) SV_TRY(sv_sql_int(l, id, err, "SELECT id FROM selections WHERE id = ?1", "i", (int64_t)strtoll(which, NULL, 10)));
        if (!*id && strlen(which) >= 6 && strspn(which, "0123456789abcdef") == strlen(which)) {
            SV_TRY(sv_sql_int(l, &matches, err, "SELECT count(*) FROM selections WHERE substr(hash, 1, length(?1)) = ?1", "t", which));
            if (matches == 1) SV_TRY(sv_sql_int(l, id, err, "SELECT id FROM selections WHERE substr(hash, 1, length(?1)) = ?1", "t", which));
        }
    }
    if (*id) return SV_OK;
    if (!current) return sv_fail(err, SV_E_INPUT, l->path, "nothing has been selected yet");
    if (!which || strcmp(which, "previous") == 0) return sv_fail(err, SV_E_INPUT, l->path, "there is no other selection than the current one");
    sv_fail(err, SV_E_INPUT, l->path, "there is no selection \"%.80s\"", which);
    return sv_hint(err, SV_E_INPUT, "SELECT id, hash, settings FROM selections lists them");
}

sv_status sv_ledger_reason(sv_ledger *l, int64_t selection, int64_t number, int k, sv_reason *out, sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    *out = (sv_reason){0};
    if (l->version < 3) {
        sv_fail(err, SV_E_INPUT, l->path, "was written by an earlier version of this program");
        return sv_hint(err, SV_E_INPUT, "any command that writes to it, such as select, brings it up to date");
    }
    SV_TRY(sv_sql_query(l, &s, err, "SELECT e.reason, e.duplicate_of, d.sha256 FROM explained_by e JOIN selections s ON s.id = e.selection JOIN candidates d"
                        " ON d.setup = s.generate AND d.number = e.number AND d.k = e.k WHERE e.selection = ?1 AND e.number = ?2 AND e.k = ?3", "iin", selection,
                        number, k));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (!row) return SV_OK;
    snprintf(out->reason, sizeof out->reason, "%s", sv_column_text(s, 0));
    if (sv_column_text(s, 1)) snprintf(out->repeats, sizeof out->repeats, "%s", sv_column_text(s, 1));
    sv_column_sha256(s, 2, out->sha256);
    sv_sql_done(s);
    return SV_OK;
}
