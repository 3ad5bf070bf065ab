/* candidates.c - what has been drawn, what is still to be drawn, what is still to be scored. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "ledger/internal.h"

/* ---- to draw ---- */

void sv_draw_batch_free(sv_draw_batch *b) {
    sv_arena_free(&b->memory);
    free(b->items);
    *b = (sv_draw_batch){0};
}

/* The candidates that a caption has already. */
static sv_status read_have(sv_ledger *l, int64_t generate, sv_draw_batch *b, sv_draw_item *item, sv_error *err) {
    enum { MOST = 2048 };          /* max and retries of a recipe together */
    sqlite3_stmt *s;
    bool row;
    sv_have list[MOST];
    SV_TRY(sv_sql_query(l, &s, err, "SELECT k, outcome = 'ok', outcome = 'pruned' FROM candidates WHERE setup = ?1 AND number = ?2 ORDER BY k", "ii",
                        generate, item->number));
    for (;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) break;
        if (item->have_count == MOST) {
            sv_sql_done(s);
            return sv_fail(err, SV_E_INTERNAL, l->path, "caption %lld has more than %zu candidates", (long long)item->number, item->have_count);
        }
        list[item->have_count++] = (sv_have){.k = sqlite3_column_int(s, 0), .ok = sqlite3_column_int(s, 1), .pruned = sqlite3_column_int(s, 2)};
    }
    sv_have *copy = sv_arena_take(&b->memory, item->have_count * sizeof *list);
    if (!copy) return sv_fail_memory(err, l->path, item->have_count * sizeof *list);
    memcpy(copy, list, item->have_count * sizeof *list);
    item->have = copy;
    return SV_OK;
}

static sv_status read_previews(sv_ledger *l, int64_t generate, sv_draw_batch *b, sv_draw_item *item, sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    int64_t count = 0;
    size_t n = 0;
    SV_TRY(sv_sql_int(l, &count, err, "SELECT count(*) FROM previews WHERE generate = ?1 AND number = ?2", "ii", generate, item->number));
    if (!count) return SV_OK;
    sv_preview *list = sv_arena_take(&b->memory, (size_t)count * sizeof *list);
    if (!list) return sv_fail_memory(err, l->path, (size_t)count * sizeof *list);
    SV_TRY(sv_sql_query(l, &s, err, "SELECT k, calls, value FROM previews WHERE generate = ?1 AND number = ?2 ORDER BY k, calls", "ii", generate, item->number));
    for (;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) break;
        if (n < (size_t)count) list[n++] = (sv_preview){.k = sqlite3_column_int(s, 0), .calls = sqlite3_column_int(s, 1), .value = sv_column_real(s, 2)};
    }
    item->previews = list;
    item->preview_count = n;
    return SV_OK;
}

/* The sample with what each of its captions is to have: ?1 sample, ?2 rounds, ?3 want. */
#define QUOTAS                                                                                                                                        \
    "(SELECT m.number AS number, coalesce((SELECT r.want FROM stops t JOIN rounds r ON r.setup = t.setup AND r.round = t.round WHERE t.setup = ?2"   \
    " AND t.number = m.number), ?3) AS want FROM samples m WHERE m.setup = ?1)"

sv_status sv_ledger_to_draw(sv_ledger *l, sv_scope scope, int64_t generate, sv_quota quota, int64_t after, size_t limit, sv_draw_batch *out, sv_error *err) {
    out->count = 0;
    sv_arena_reset(&out->memory);
    sqlite3_stmt *s;
    SV_TRY(sv_sql_query(l, &s, err,
                        "SELECT q.number, c.id, coalesce(v.text, c.text), q.want FROM " QUOTAS " q CROSS JOIN captions c ON c.number = q.number"
                        " LEFT JOIN verdicts v ON v.setup = ?5 AND v.number = q.number WHERE q.number > ?6"
                        " AND (SELECT coalesce(sum(d.outcome <> 'failed'), 0) < q.want AND count(*) < q.want + ?4 FROM candidates d WHERE d.setup = ?7"
                        " AND d.number = q.number) ORDER BY q.number LIMIT ?8",
                        "iinniiii", scope.sample, quota.rounds, quota.want, quota.retries, scope.curate, after, generate, (int64_t)limit));
    for (bool row = true;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        sv_draw_item item = {.number = sqlite3_column_int64(s, 0), .want = sqlite3_column_int(s, 3)};
        item.id = sv_arena_column(&out->memory, s, 1, NULL);
        item.text = sv_arena_column(&out->memory, s, 2, &item.size);
        bool room = item.id && item.text && sv_grow((void **)&out->items, &out->capacity, out->count, sizeof *out->items);
        sv_status st = room ? read_have(l, generate, out, &item, err) : sv_fail_memory(err, l->path, item.size);
        if (st == SV_OK) st = read_previews(l, generate, out, &item, err);
        if (st != SV_OK) {
            sv_sql_done(s);
            return st;
        }
        out->items[out->count++] = item;
    }
}

sv_status sv_ledger_draw_count(sv_ledger *l, sv_scope scope, int64_t generate, sv_quota quota, int64_t *count, sv_error *err) {
    *count = 0;
    return sv_sql_int(l, count, err,
                      "SELECT sum((SELECT max(0, min(q.want - coalesce(sum(d.outcome <> 'failed'), 0), q.want + ?4 - count(*))) FROM candidates d"
                      " WHERE d.setup = ?5 AND d.number = q.number)) FROM " QUOTAS " q",
                      "iinni", scope.sample, quota.rounds, quota.want, quota.retries, generate);
}

/* ---- rows ---- */

sv_status sv_ledger_add_candidate(sv_ledger *l, int64_t generate, const sv_candidate *c, sv_error *err) {
    uint8_t sha256[32];
    const char *reason = c->ok || c->pruned ? NULL : c->reason ? c->reason : "unknown";
    if (c->sha256) SV_TRY(sv_sha256_parse(c->sha256, sha256, err));
    return sv_sql_exec(l, err, "INSERT INTO candidates(setup, number, k, seed, outcome, reason, detail, file, bytes, sha256, width, height, tokens_cut)"
                       " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)", "iinitttTiBnni", generate, c->number, c->k, (int64_t)c->seed,
                       c->ok ? "ok" : c->pruned ? "pruned" : "failed", reason, c->ok ? NULL : c->detail, c->ok ? c->file : NULL,
                       c->ok && c->file ? strlen(c->file) : (size_t)0, c->ok ? c->bytes : (int64_t)0, c->ok && c->sha256 ? sha256 : NULL, (size_t)32,
                       c->width, c->height, c->tokens_cut);
}

sv_status sv_ledger_add_preview(sv_ledger *l, int64_t generate, int64_t number, const sv_preview *p, sv_error *err) {
    /* A picture that was forgotten and is drawn again leaves the previews that it had. */
    return sv_sql_exec(l, err, "INSERT OR IGNORE INTO previews(generate, number, k, calls, value) VALUES(?1, ?2, ?3, ?4, ?5)", "iinnd", generate, number, p->k,
                       p->calls, isfinite(p->value) ? p->value : NAN);
}

sv_status sv_ledger_add_score(sv_ledger *l, int64_t score, int64_t generate, int64_t number, int k, double value, sv_error *err) {
    return sv_sql_exec(l, err, "INSERT INTO scores(setup, generate, number, k, value) VALUES(?1, ?2, ?3, ?4, ?5)", "iiind", score, generate, number, k,
                       isfinite(value) ? value : NAN);
}

sv_status sv_ledger_add_timing(sv_ledger *l, sv_stage stage, int64_t number, int k, double seconds, sv_error *err) {
    return sv_sql_exec(l, err, "INSERT INTO timings(stage, number, k, seconds, finished_ms) VALUES(?1, ?2, ?3, ?4, ?5)", "tindi", sv_stage_name(stage),
                       number, k, seconds, sv_wall_ms());
}

sv_status sv_ledger_forget_failed(sv_ledger *l, int64_t generate, sv_error *err) {
    return sv_sql_exec(l, err, "DELETE FROM candidates WHERE setup = ?1 AND outcome = 'failed'", "i", generate);
}

sv_status sv_ledger_forget_candidate(sv_ledger *l, int64_t generate, int64_t number, int k, sv_error *err) {
    SV_TRY(sv_sql_exec(l, err, "DELETE FROM candidates WHERE setup = ?1 AND number = ?2 AND k = ?3", "iin", generate, number, k));
    SV_TRY(sv_sql_exec(l, err, "DELETE FROM hashes WHERE generate = ?1 AND number = ?2 AND k = ?3", "iin", generate, number, k));
    SV_TRY(sv_sql_exec(l, err, "DELETE FROM exports WHERE EXISTS(SELECT 1 FROM picks p WHERE p.selection = exports.selection AND p.number = ?1 AND p.k = ?2)",
                       "in", number, k));
    return sv_sql_exec(l, err, "DELETE FROM scores WHERE setup IN (SELECT id FROM setups WHERE stage = 'score') AND generate = ?1 AND number = ?2 AND k = ?3",
                       "iin", generate, number, k);
}

/* ---- files, and what is to be scored ---- */

void sv_file_batch_free(sv_file_batch *b) {
    sv_arena_free(&b->memory);
    free(b->items);
    *b = (sv_file_batch){0};
}

/* One more item with the file's columns, which begin at column 0: number, k, file, sha256, bytes, width, height. */
static sv_status put_file(sv_ledger *l, sv_file_batch *b, sqlite3_stmt *s, sv_error *err) {
    if (!sv_grow((void **)&b->items, &b->capacity, b->count, sizeof *b->items)) return sv_fail_memory(err, l->path, 0);
    sv_file_item *item = &b->items[b->count];
    *item = (sv_file_item){.number = sqlite3_column_int64(s, 0), .k = sqlite3_column_int(s, 1), .bytes = sqlite3_column_int64(s, 4),
                           .width = sqlite3_column_int(s, 5), .height = sqlite3_column_int(s, 6)};
    char hex[SV_SHA256_HEX];
    sv_column_sha256(s, 3, hex);
    item->file = sv_arena_column(&b->memory, s, 2, NULL);
    item->sha256 = sv_arena_text(&b->memory, hex, strlen(hex));
    if (!item->file || !item->sha256) return sv_fail_memory(err, l->path, 0);
    b->count++;
    return SV_OK;
}

sv_status sv_ledger_read_files(sv_ledger *l, int64_t generate, int64_t after_number, int after_k, size_t limit, sv_file_batch *out, sv_error *err) {
    out->count = 0;
    sv_arena_reset(&out->memory);
    sqlite3_stmt *s;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT number, k, file, sha256, bytes, width, height FROM candidates WHERE setup = ?1 AND (number, k) > (?2, ?3)"
                        " AND outcome = 'ok' ORDER BY number, k LIMIT ?4", "iini", generate, after_number, after_k, (int64_t)limit));
    for (bool row = true;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        sv_status st = put_file(l, out, s, err);
        if (st != SV_OK) {
            sv_sql_done(s);
            return st;
        }
    }
}

/* The candidate's file, caption id and text. */
static sv_status put_unscored(sv_ledger *l, sv_scope scope, int64_t generate, int64_t number, int k, uint32_t missing, sv_file_batch *out, sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT d.number, d.k, d.file, d.sha256, d.bytes, d.width, d.height, c.id, coalesce(v.text, c.text) FROM candidates d"
                        " JOIN captions c ON c.number = d.number LEFT JOIN verdicts v ON v.setup = ?4 AND v.number = d.number"
                        " WHERE d.setup = ?1 AND d.number = ?2 AND d.k = ?3", "iini", generate, number, k, scope.curate));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (!row) return sv_fail(err, SV_E_INTERNAL, l->path, "candidate %lld-%d vanished while it was read", (long long)number, k);
    sv_status st = put_file(l, out, s, err);
    if (st == SV_OK) {
        sv_file_item *item = &out->items[out->count - 1];
        item->missing = missing;
        item->id = sv_arena_column(&out->memory, s, 7, NULL);
        item->text = sv_arena_column(&out->memory, s, 8, NULL);
        if (!item->id || !item->text) st = sv_fail_memory(err, l->path, 0);
    }
    sv_sql_done(s);
    return st;
}

/* Walks the good candidates of sampled captions beside their scores. Counts those that lack one; with `out` collects up to limit of them. */
static sv_status walk_unscored(sv_ledger *l, sv_scope scope, int64_t generate, const int64_t *scores, size_t n, int64_t after_number, int after_k,
                               size_t limit, sv_file_batch *out, int64_t *count, sv_error *err) {
    if (n > SV_MAX_SCORERS) return sv_fail(err, SV_E_INTERNAL, l->path, "%zu scorers asked for", n);
    sv_cursor drawn = {.end = true}, sample = {.end = true}, at[SV_MAX_SCORERS] = {0};
    sv_status st = sv_cursor_candidates(l, &drawn, generate, after_number, after_k, err);
    if (st == SV_OK) st = sv_cursor_sample(l, &sample, scope.sample, after_number, err);
    for (size_t i = 0; st == SV_OK && i < n; i++) st = sv_cursor_scores(l, &at[i], scores[i], generate, after_number, after_k, err);
    while (st == SV_OK && !drawn.end && (!out || out->count < limit)) {
        st = sv_cursor_seek(l, &sample, drawn.number, 0, err);
        uint32_t missing = 0;
        bool sampled = st == SV_OK && sv_cursor_at(&sample, drawn.number, 0);
        for (size_t i = 0; st == SV_OK && sampled && i < n; i++) {
            st = sv_cursor_seek(l, &at[i], drawn.number, drawn.k, err);
            if (st == SV_OK && !sv_cursor_at(&at[i], drawn.number, drawn.k)) missing |= 1u << i;
        }
        if (st == SV_OK && missing) {
            ++*count;
            if (out) st = put_unscored(l, scope, generate, drawn.number, drawn.k, missing, out, err);
        }
        if (st == SV_OK) st = sv_cursor_next(l, &drawn, err);
    }
    for (size_t i = 0; i < n; i++) sv_cursor_close(&at[i]);
    sv_cursor_close(&sample);
    sv_cursor_close(&drawn);
    return st;
}

sv_status sv_ledger_to_score(sv_ledger *l, sv_scope scope, int64_t generate, const int64_t *scores, size_t n, int64_t after_number, int after_k,
                             size_t limit, sv_file_batch *out, sv_error *err) {
    int64_t count = 0;
    out->count = 0;
    sv_arena_reset(&out->memory);
    return walk_unscored(l, scope, generate, scores, n, after_number, after_k, limit, out, &count, err);
}

sv_status sv_ledger_score_count(sv_ledger *l, sv_scope scope, int64_t generate, const int64_t *scores, size_t n, int64_t *count, sv_error *err) {
    *count = 0;
    return walk_unscored(l, scope, generate, scores, n, 0, -1, 0, NULL, count, err);
}

sv_status sv_ledger_read_file(sv_ledger *l, sv_scope scope, int64_t generate, int64_t number, int k, sv_file_batch *out, sv_error *err) {
    out->count = 0;
    sv_arena_reset(&out->memory);
    return put_unscored(l, scope, generate, number, k, 0, out, err);
}

sv_status sv_ledger_find_score(sv_ledger *l, int64_t setup, int64_t generate, int64_t number, int k, double *value, bool *found, sv_error *err) {
    sqlite3_stmt *s;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT value FROM scores WHERE setup = ?1 AND generate = ?2 AND number = ?3 AND k = ?4", "iiin", setup, generate, number, k));
    SV_TRY(sv_sql_step(l, s, found, err));
    *value = *found ? sv_column_real(s, 0) : NAN;
    sv_sql_done(s);
    return SV_OK;
}
