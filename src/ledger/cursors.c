/* cursors.c - ordered walks over the narrow tables. Choosing the best of ten million candidates, and finding those without a score, are merges
 * of such walks: each touches every row of a compact b-tree once, in order, where a join would seek ten million times. */
#include <math.h>

#include "ledger/internal.h"

/* Not from the cache: several cursors of one kind are open at a time. */
static sv_status open_cursor(sv_ledger *l, sv_cursor *c, const char *sql, const int64_t *args, int n, sv_error *err) {
    *c = (sv_cursor){0};
    int rc = sqlite3_prepare_v2(l->db, sql, -1, &c->stmt, NULL);
    for (int i = 0; rc == SQLITE_OK && i < n; i++) rc = sqlite3_bind_int64(c->stmt, i + 1, args[i]);
    if (rc != SQLITE_OK) {
        sv_status st = sv_sql_fail(l, rc, err);
        sv_cursor_close(c);
        return st;
    }
    return sv_cursor_next(l, c, err);
}

sv_status sv_cursor_candidates(sv_ledger *l, sv_cursor *c, int64_t generate, int64_t after_number, int after_k, sv_error *err) {
    return open_cursor(l, c,
                       "SELECT number, k, 0.0 FROM candidates WHERE setup = ?1 AND outcome = 'ok' AND reason IS NULL AND (number, k) > (?2, ?3) "
                       "ORDER BY number, k",
                       (const int64_t[]){generate, after_number, after_k}, 3, err);
}

sv_status sv_cursor_scores(sv_ledger *l, sv_cursor *c, int64_t score, int64_t generate, int64_t after_number, int after_k, sv_error *err) {
    return open_cursor(l, c,
                       "SELECT number, k, value FROM scores WHERE setup = ?1 AND generate = ?2 AND (number, k) > (?3, ?4) ORDER BY number, k",
                       (const int64_t[]){score, generate, after_number, after_k}, 4, err);
}

/* From `after_number` itself on: a caption's candidates may have been read in part. */
sv_status sv_cursor_sample(sv_ledger *l, sv_cursor *c, int64_t sample, int64_t after_number, sv_error *err) {
    return open_cursor(l, c, "SELECT number, 0, 0.0 FROM samples WHERE setup = ?1 AND number >= ?2 ORDER BY number",
                       (const int64_t[]){sample, after_number}, 2, err);
}

sv_status sv_cursor_tried(sv_ledger *l, sv_cursor *c, int64_t generate, sv_error *err) {
    return open_cursor(l, c, "SELECT number, k, CASE outcome WHEN 'ok' THEN 1.0 WHEN 'pruned' THEN 2.0 ELSE 0.0 END FROM candidates WHERE setup = ?1"
                       " ORDER BY number, k", (const int64_t[]){generate}, 1, err);
}

sv_status sv_cursor_stops(sv_ledger *l, sv_cursor *c, int64_t rounds, sv_error *err) {
    return open_cursor(l, c, "SELECT number, 0, 0.0 FROM stops WHERE setup = ?1 ORDER BY number", (const int64_t[]){rounds}, 1, err);
}

sv_status sv_cursor_hashes(sv_ledger *l, sv_cursor *c, int64_t generate, int64_t after_number, int after_k, sv_error *err) {
    return open_cursor(l, c, "SELECT number, k, 0.0 FROM hashes WHERE generate = ?1 AND (number, k) > (?2, ?3) ORDER BY number, k",
                       (const int64_t[]){generate, after_number, after_k}, 3, err);
}

sv_status sv_cursor_next(sv_ledger *l, sv_cursor *c, sv_error *err) {
    int rc = sqlite3_step(c->stmt);
    c->end = rc != SQLITE_ROW;
    if (rc == SQLITE_ROW) {
        c->number = sqlite3_column_int64(c->stmt, 0);
        c->k = sqlite3_column_int(c->stmt, 1);
        c->value = sqlite3_column_double(c->stmt, 2);
        if (c->value == 0 && sqlite3_column_type(c->stmt, 2) == SQLITE_NULL) c->value = NAN;   /* NULL reads as 0; asking for the type each time costs */
        return SV_OK;
    }
    return rc == SQLITE_DONE ? SV_OK : sv_sql_fail(l, rc, err);
}

sv_status sv_cursor_seek(sv_ledger *l, sv_cursor *c, int64_t number, int k, sv_error *err) {
    while (!c->end && (c->number < number || (c->number == number && c->k < k))) SV_TRY(sv_cursor_next(l, c, err));
    return SV_OK;
}

void sv_cursor_close(sv_cursor *c) {
    sqlite3_finalize(c->stmt);
    *c = (sv_cursor){.end = true};
}
