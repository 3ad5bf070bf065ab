/* rounds.c - rounds over all captions, captions that stopped, and what a decision between two rounds reads. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ledger/internal.h"

sv_status sv_ledger_last_round(sv_ledger *l, int64_t rounds, sv_round *out, sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    *out = (sv_round){0};
    SV_TRY(sv_sql_query(l, &s, err, "SELECT round, want, captions, given FROM rounds WHERE setup = ?1 ORDER BY round DESC LIMIT 1", "i", rounds));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (!row) return SV_OK;
    *out = (sv_round){.round = sqlite3_column_int(s, 0), .want = sqlite3_column_int(s, 1), .captions = sqlite3_column_int64(s, 2), .given = sqlite3_column_int64(s, 3)};
    sv_sql_done(s);
    return SV_OK;
}

sv_status sv_ledger_add_round(sv_ledger *l, int64_t rounds, const sv_round *r, sv_error *err) {
    return sv_sql_exec(l, err, "INSERT INTO rounds(setup, round, want, captions, given) VALUES(?1, ?2, ?3, ?4, ?5)", "innii", rounds, r->round, r->want,
                       r->captions, r->given);
}

sv_status sv_ledger_add_stop(sv_ledger *l, int64_t rounds, const sv_stop *s, sv_error *err) {
    return sv_sql_exec(l, err, "INSERT INTO stops(setup, number, round, reason, k, value) VALUES(?1, ?2, ?3, ?4, CASE WHEN ?5 >= 0 THEN ?5 END, ?6)", "iintnd",
                       rounds, s->number, s->round, s->reason, s->k, s->value);
}

sv_status sv_ledger_each_stop_reason(sv_ledger *l, int64_t rounds, sv_stop_fn fn, void *user, sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    if (l->version < 3) return SV_OK;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT reason, count(*) AS n FROM stops WHERE setup = ?1 GROUP BY reason ORDER BY n DESC, reason", "i", rounds));
    for (;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        sv_status st = fn(user, sv_column_text(s, 0), sqlite3_column_int64(s, 1), err);
        if (st != SV_OK) {
            sv_sql_done(s);
            return st;
        }
    }
}

sv_status sv_ledger_dropped(sv_ledger *l, int64_t rounds, int64_t **numbers, size_t *count, sv_error *err) {
    sqlite3_stmt *s;
    size_t capacity = 0;
    bool row;
    *numbers = NULL;
    *count = 0;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT number FROM stops WHERE setup = ?1 AND reason = 'dropped' ORDER BY number", "i", rounds));
    sv_status st;
    while ((st = sv_sql_step(l, s, &row, err)) == SV_OK && row) {
        if (!sv_grow((void **)numbers, &capacity, *count, sizeof **numbers)) {
            sv_sql_done(s);
            st = sv_fail_memory(err, l->path, capacity * sizeof **numbers);
            break;
        }
        (*numbers)[(*count)++] = sqlite3_column_int64(s, 0);
    }
    if (st != SV_OK) {
        free(*numbers);
        *numbers = NULL;
    }
    return st;
}

/* Four kinds of narrow lists, walked side by side. */
typedef struct walk {
    sv_cursor sample, stops, tried, at[SV_MAX_SCORERS];
    size_t n;
} walk;

static sv_status walk_open(sv_ledger *l, walk *w, sv_scope scope, int64_t rounds, int64_t generate, const int64_t *scores, size_t n, sv_error *err) {
    SV_TRY(sv_cursor_sample(l, &w->sample, scope.sample, 0, err));
    SV_TRY(sv_cursor_stops(l, &w->stops, rounds, err));
    SV_TRY(sv_cursor_tried(l, &w->tried, generate, err));
    for (; w->n < n; w->n++) SV_TRY(sv_cursor_scores(l, &w->at[w->n], scores[w->n], generate, 0, -1, err));
    return SV_OK;
}

static void walk_close(walk *w) {
    sv_cursor_close(&w->sample);
    sv_cursor_close(&w->stops);
    sv_cursor_close(&w->tried);
    for (size_t i = 0; i < w->n; i++) sv_cursor_close(&w->at[i]);
}

/* The candidates of one caption. */
static sv_status walk_caption(sv_ledger *l, walk *w, int64_t number, sv_tried_fn fn, void *user, sv_error *err) {
    double values[SV_MAX_SCORERS];
    for (size_t i = 0; i < w->n; i++) values[i] = NAN;
    SV_TRY(sv_cursor_seek(l, &w->tried, number, 0, err));
    if (w->tried.end || w->tried.number != number) return fn(user, number, -1, SV_FAILED, values, err);
    for (; !w->tried.end && w->tried.number == number;) {
        int k = w->tried.k;
        sv_outcome outcome = (sv_outcome)w->tried.value;
        for (size_t i = 0; i < w->n; i++) {
            SV_TRY(sv_cursor_seek(l, &w->at[i], number, k, err));
            values[i] = outcome == SV_GOOD && sv_cursor_at(&w->at[i], number, k) ? w->at[i].value : NAN;
        }
        SV_TRY(fn(user, number, k, outcome, values, err));
        SV_TRY(sv_cursor_next(l, &w->tried, err));
    }
    return SV_OK;
}

sv_status sv_ledger_each_tried(sv_ledger *l, sv_scope scope, int64_t rounds, int64_t generate, const int64_t *scores, size_t n, sv_tried_fn fn, void *user,
                               sv_error *err) {
    walk w = {0};
    if (n > SV_MAX_SCORERS) return sv_fail(err, SV_E_INTERNAL, l->path, "%zu scorers asked for", n);
    sv_status st = walk_open(l, &w, scope, rounds, generate, scores, n, err);
    while (st == SV_OK && !w.sample.end) {
        int64_t number = w.sample.number;
        st = sv_cursor_seek(l, &w.stops, number, 0, err);
        if (st == SV_OK && !sv_cursor_at(&w.stops, number, 0)) st = walk_caption(l, &w, number, fn, user, err);
        if (st == SV_OK) st = sv_cursor_next(l, &w.sample, err);
    }
    walk_close(&w);
    return st;
}

sv_status sv_ledger_sample_digest(sv_ledger *l, int64_t sample, char hex[SV_SHA256_HEX], sv_error *err) {
    sv_cursor c;
    uint8_t hash[32];
    SV_TRY(sv_cursor_sample(l, &c, sample, 0, err));
    sv_sha256_stream *s = sv_sha256_begin();
    sv_status st = s ? SV_OK : sv_fail_memory(err, l->path, 0);
    while (st == SV_OK && !c.end) {
        char text[24];
        int size = snprintf(text, sizeof text, "%lld\n", (long long)c.number);
        sv_sha256_more(s, text, (size_t)size);
        st = sv_cursor_next(l, &c, err);
    }
    sv_sha256_end(s, hash);
    sv_hex(hash, sizeof hash, hex);
    sv_cursor_close(&c);
    return st;
}

sv_status sv_ledger_tuned(sv_ledger *l, const char *key, char **value, sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    *value = NULL;
    if (l->version < 3) return SV_OK;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT value FROM tuned WHERE key = ?1", "t", key));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (!row) return SV_OK;
    *value = sv_strdup(sv_column_text(s, 0));
    sv_sql_done(s);
    return *value ? SV_OK : sv_fail_memory(err, l->path, 0);
}

sv_status sv_ledger_put_tuned(sv_ledger *l, const char *key, const char *value, sv_error *err) {
    SV_TRY(sv_ledger_begin(l, err));
    sv_status st = sv_sql_exec(l, err, "INSERT OR REPLACE INTO tuned(key, value) VALUES(?1, ?2)", "tt", key, value);
    if (st == SV_OK) return sv_ledger_commit(l, err);
    sv_ledger_rollback(l);
    return st;
}
