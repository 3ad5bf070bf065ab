/* hashes.c - perceptual hashes of pictures: which are missing, and what they are. */
#include <stdlib.h>
#include <string.h>

#include "ledger/internal.h"

sv_status sv_ledger_add_hash(sv_ledger *l, int64_t generate, int64_t number, int k, const sv_hashes *h, sv_error *err) {
    return sv_sql_exec(l, err, "INSERT OR REPLACE INTO hashes(generate, number, k, phash, dhash) VALUES(?1, ?2, ?3, ?4, ?5)", "iinii", generate, number, k,
                       (int64_t)h->phash, (int64_t)h->dhash);
}

sv_status sv_ledger_find_hash(sv_ledger *l, int64_t generate, int64_t number, int k, sv_hashes *out, bool *found, sv_error *err) {
    sqlite3_stmt *s;
    *found = false;
    if (l->version < 3) return SV_OK;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT phash, dhash FROM hashes WHERE generate = ?1 AND number = ?2 AND k = ?3", "iin", generate, number, k));
    SV_TRY(sv_sql_step(l, s, found, err));
    if (*found) *out = (sv_hashes){(uint64_t)sqlite3_column_int64(s, 0), (uint64_t)sqlite3_column_int64(s, 1)};
    sv_sql_done(s);
    return SV_OK;
}

static sv_status put_unhashed(sv_ledger *l, int64_t generate, int64_t number, int k, sv_file_batch *out, sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    if (!sv_grow((void **)&out->items, &out->capacity, out->count, sizeof *out->items)) return sv_fail_memory(err, l->path, 0);
    sv_file_item *item = &out->items[out->count];
    *item = (sv_file_item){.number = number, .k = k};
    SV_TRY(sv_sql_query(l, &s, err, "SELECT file FROM candidates WHERE setup = ?1 AND number = ?2 AND k = ?3", "iin", generate, number, k));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (!row) return sv_fail(err, SV_E_INTERNAL, l->path, "candidate %lld-%d vanished while it was read", (long long)number, k);
    item->file = sv_arena_column(&out->memory, s, 0, NULL);
    sv_sql_done(s);
    if (!item->file) return sv_fail_memory(err, l->path, 0);
    out->count++;
    return SV_OK;
}

sv_status sv_ledger_to_hash(sv_ledger *l, sv_scope scope, int64_t generate, int64_t after_number, int after_k, size_t limit, sv_file_batch *out,
                            sv_error *err) {
    sv_cursor drawn = {.end = true}, sample = {.end = true}, hashed = {.end = true};
    out->count = 0;
    sv_arena_reset(&out->memory);
    sv_status st = sv_cursor_candidates(l, &drawn, generate, after_number, after_k, err);
    if (st == SV_OK) st = sv_cursor_sample(l, &sample, scope.sample, after_number, err);
    if (st == SV_OK) st = sv_cursor_hashes(l, &hashed, generate, after_number, after_k, err);
    while (st == SV_OK && !drawn.end && out->count < limit) {
        st = sv_cursor_seek(l, &sample, drawn.number, 0, err);
        if (st == SV_OK) st = sv_cursor_seek(l, &hashed, drawn.number, drawn.k, err);
        if (st == SV_OK && sv_cursor_at(&sample, drawn.number, 0) && !sv_cursor_at(&hashed, drawn.number, drawn.k))
            st = put_unhashed(l, generate, drawn.number, drawn.k, out, err);
        if (st == SV_OK) st = sv_cursor_next(l, &drawn, err);
    }
    sv_cursor_close(&hashed);
    sv_cursor_close(&sample);
    sv_cursor_close(&drawn);
    return st;
}

sv_status sv_ledger_each_hash(sv_ledger *l, int64_t generate, sv_hash_fn fn, void *user, sv_error *err) {
    sqlite3_stmt *s;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT number, k, phash, dhash, compared FROM hashes WHERE generate = ?1 ORDER BY number, k", "i", generate));
    for (bool row = true;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        const sv_hashes h = {(uint64_t)sqlite3_column_int64(s, 2), (uint64_t)sqlite3_column_int64(s, 3)};
        sv_status st = fn(user, sqlite3_column_int64(s, 0), sqlite3_column_int(s, 1), &h, sqlite3_column_int(s, 4), err);
        if (st != SV_OK) {
            sv_sql_done(s);
            return st;
        }
    }
}

sv_status sv_ledger_mark_compared(sv_ledger *l, int64_t generate, sv_error *err) {
    return sv_sql_exec(l, err, "UPDATE hashes SET compared = 1 WHERE generate = ?1 AND compared = 0", "i", generate);
}

sv_status sv_ledger_refuse_candidate(sv_ledger *l, int64_t generate, int64_t number, int k, const char *reason, const char *detail, char **file,
                                     sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    *file = NULL;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT seed, file, tokens_cut FROM candidates WHERE setup = ?1 AND number = ?2 AND k = ?3", "iin", generate, number, k));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (!row) return sv_fail(err, SV_E_INTERNAL, l->path, "there is no candidate %lld-%d to refuse", (long long)number, k);
    const sv_candidate c = {.number = number, .k = k, .seed = (uint64_t)sqlite3_column_int64(s, 0), .reason = reason, .detail = detail,
                            .tokens_cut = sqlite3_column_int64(s, 2)};
    *file = sv_strdup(sv_column_text(s, 1));
    sv_sql_done(s);
    SV_TRY(sv_ledger_forget_candidate(l, generate, number, k, err));
    return sv_ledger_add_candidate(l, generate, &c, err);
}

sv_status sv_ledger_all_hashed(sv_ledger *l, int64_t generate, bool *all, sv_error *err) {
    int64_t good = 0, hashed = 0;
    SV_TRY(sv_sql_int(l, &good, err, "SELECT count(*) FROM candidates WHERE setup = ?1 AND outcome = 'ok'", "i", generate));
    SV_TRY(sv_sql_int(l, &hashed, err, "SELECT count(*) FROM hashes WHERE generate = ?1", "i", generate));
    *all = hashed == good;   /* a forgotten picture takes its hash with it */
    return SV_OK;
}
