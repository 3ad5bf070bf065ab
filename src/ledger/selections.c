/* selections.c - what select reads and writes, and what exporters read. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "ledger/internal.h"

/* Good candidates of sampled captions, without scores: what chance selects from where nothing has been scored. */
static sv_status each_good(sv_ledger *l, sv_scope scope, int64_t generate, sv_scored_fn fn, void *user, sv_error *err) {
    sv_cursor drawn = {.end = true}, sample = {.end = true};
    sv_status st = sv_cursor_candidates(l, &drawn, generate, 0, -1, err);
    if (st == SV_OK) st = sv_cursor_sample(l, &sample, scope.sample, 0, err);
    while (st == SV_OK && !drawn.end) {
        st = sv_cursor_seek(l, &sample, drawn.number, 0, err);
        if (st == SV_OK && sv_cursor_at(&sample, drawn.number, 0)) st = fn(user, drawn.number, drawn.k, NULL, err);
        if (st == SV_OK) st = sv_cursor_next(l, &drawn, err);
    }
    sv_cursor_close(&sample);
    sv_cursor_close(&drawn);
    return st;
}

/* The walk over the first scorer's rows leads; a row says that the candidate is a good one, so candidates themselves are not read. */
static sv_status walk_scored(sv_ledger *l, sv_scope scope, int64_t generate, const int64_t *scores, size_t n, sv_scored_fn fn, void *user, int64_t *complete,
                             sv_error *err) {
    double values[SV_MAX_SCORERS];
    sv_cursor sample = {.end = true}, at[SV_MAX_SCORERS] = {0};
    sv_status st = sv_cursor_sample(l, &sample, scope.sample, 0, err);
    for (size_t i = 0; st == SV_OK && i < n; i++) st = sv_cursor_scores(l, &at[i], scores[i], generate, 0, -1, err);
    while (st == SV_OK && !at[0].end) {
        int64_t number = at[0].number;
        int k = at[0].k;
        bool all = true;
        values[0] = at[0].value;
        for (size_t i = 1; st == SV_OK && i < n; i++) {
            st = sv_cursor_seek(l, &at[i], number, k, err);
            all = all && sv_cursor_at(&at[i], number, k);
            values[i] = at[i].value;
        }
        *complete += all;
        if (st == SV_OK && all) st = sv_cursor_seek(l, &sample, number, 0, err);
        if (st == SV_OK && all && sv_cursor_at(&sample, number, 0)) st = fn(user, number, k, values, err);
        if (st == SV_OK) st = sv_cursor_next(l, &at[0], err);
    }
    for (size_t i = 0; i < n; i++) sv_cursor_close(&at[i]);
    sv_cursor_close(&sample);
    return st;
}

sv_status sv_ledger_each_scored(sv_ledger *l, sv_scope scope, int64_t generate, const int64_t *scores, size_t n, sv_scored_fn fn, void *user,
                                int64_t *unscored, sv_error *err) {
    if (n > SV_MAX_SCORERS) return sv_fail(err, SV_E_INTERNAL, l->path, "%zu scorers asked for", n);
    *unscored = 0;
    if (!n) return each_good(l, scope, generate, fn, user, err);
    int64_t complete = 0, good = 0;
    SV_TRY(walk_scored(l, scope, generate, scores, n, fn, user, &complete, err));
    SV_TRY(sv_sql_int(l, &good, err, "SELECT count(*) FROM candidates WHERE setup = ?1 AND outcome = 'ok'", "i", generate));
    /* Usually every good candidate has its scores, which two counts tell; only otherwise those of sampled captions are counted one by one. */
    return good == complete ? SV_OK : sv_ledger_score_count(l, scope, generate, scores, n, unscored, err);
}

sv_status sv_ledger_scores_of(sv_ledger *l, int64_t generate, const int64_t *scores, size_t n, int64_t number, int k, double *values, sv_error *err) {
    for (size_t i = 0; i < n; i++) {
        sqlite3_stmt *s;
        bool row;
        SV_TRY(sv_sql_query(l, &s, err, "SELECT value FROM scores WHERE setup = ?1 AND generate = ?2 AND number = ?3 AND k = ?4", "iiin", scores[i], generate,
                            number, k));
        SV_TRY(sv_sql_step(l, s, &row, err));
        values[i] = row ? sv_column_real(s, 0) : NAN;
        sv_sql_done(s);
    }
    return SV_OK;
}

/* ---- writing ---- */

sv_status sv_ledger_outcome(sv_ledger *l, int64_t generate, int64_t number, int k, char *text, size_t size, sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    text[0] = 0;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT outcome || CASE WHEN reason IS NULL THEN '' ELSE ': ' || reason END FROM candidates"
                        " WHERE setup = ?1 AND number = ?2 AND k = ?3", "iin", generate, number, k));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (row) snprintf(text, size, "%s", sv_column_text(s, 0));
    sv_sql_done(s);
    return SV_OK;
}

sv_status sv_ledger_each_origin(sv_ledger *l, sv_origin_fn fn, void *user, sv_error *err) {
    sqlite3_stmt *s;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT 2 * id, origin FROM origins WHERE origin <> '' UNION ALL SELECT 2 * id + 1, path FROM sources ORDER BY 1", ""));
    for (bool row = true;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        int64_t id = sqlite3_column_int64(s, 0);
        sv_status st = fn(user, id, id % 2 ? sv_path_base(sv_column_text(s, 1)) : sv_column_text(s, 1), err);
        if (st != SV_OK) {
            sv_sql_done(s);
            return st;
        }
    }
}

sv_status sv_ledger_each_caption_origin(sv_ledger *l, sv_caption_origin_fn fn, void *user, sv_error *err) {
    sqlite3_stmt *s;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT c.number, CASE WHEN o.origin = '' THEN 2 * c.source + 1 ELSE 2 * c.origin END"
                        " FROM captions c CROSS JOIN origins o ON o.id = c.origin ORDER BY c.number", ""));
    for (bool row = true;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        sv_status st = fn(user, sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), err);
        if (st != SV_OK) {
            sv_sql_done(s);
            return st;
        }
    }
}

static sv_status write_selection(sv_ledger *l, sv_selection *s, const int64_t *scores, size_t n, const sv_mean *means, size_t mean_count,
                                 const sv_selection_rows *rows, sv_error *err) {
    SV_TRY(sv_sql_exec(l, err, "INSERT INTO selections(hash, settings, curate, sample, generate, rank_by, weight_clip, weight_ssim, min_clip, min_ssim,"
                       " min_weighted, per_caption, candidates, eligible, captions, asked, picked, cutoff, steps)"
                       " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)", "ttiiitdddddniiiiidt", s->hash, s->settings,
                       s->scope.curate, s->scope.sample, s->generate, s->by, s->weight_clip, s->weight_ssim, s->min_clip, s->min_ssim, s->min_weighted,
                       s->per_caption, s->candidates, s->eligible, s->captions, s->asked, s->picked, s->cutoff, s->steps));
    s->id = sqlite3_last_insert_rowid(l->db);
    for (size_t i = 0; i < n; i++)
        SV_TRY(sv_sql_exec(l, err, "INSERT INTO selection_scores(selection, name, setup) SELECT ?1, name, id FROM setups WHERE id = ?2", "ii", s->id, scores[i]));
    for (size_t i = 0; i < mean_count; i++)
        SV_TRY(sv_sql_exec(l, err, "INSERT INTO selection_means(selection, name, before, after) VALUES(?1, ?2, ?3, ?4)", "itdd", s->id, means[i].name,
                           means[i].before, means[i].after));
    for (int64_t rank = 0; rank < s->picked; rank++) {
        sv_pick_row row = {0};
        SV_TRY(rows->pick(rows->user, (size_t)rank, &row, err));
        SV_TRY(sv_sql_exec(l, err, "INSERT INTO picks(selection, rank, number, k, score, manual) VALUES(?1, ?2, ?3, ?4, ?5, ?6)", "iiindn", s->id, rank + 1,
                           row.number, row.k, row.score, (int)row.manual));
    }
    for (size_t i = 0; i < rows->drops; i++) {
        sv_drop_row row = {0};
        SV_TRY(rows->drop(rows->user, i, &row, err));
        SV_TRY(sv_sql_exec(l, err, "INSERT INTO drops(selection, number, k, reason, of_number, of_k)"
                           " VALUES(?1, ?2, ?3, ?4, nullif(?5, 0), CASE WHEN ?5 > 0 THEN ?6 END)", "iintin", s->id, row.number, row.k, row.reason, row.of_number,
                           row.of_k));
    }
    return SV_OK;
}

sv_status sv_ledger_add_selection(sv_ledger *l, sv_selection *s, const int64_t *scores, size_t n, const sv_mean *means, size_t mean_count,
                                  const sv_selection_rows *rows, bool *is_new, sv_error *err) {
    int64_t current = 0;
    s->id = 0;
    SV_TRY(sv_sql_int(l, &s->id, err, "SELECT id FROM selections WHERE hash = ?1", "t", s->hash));
    SV_TRY(sv_sql_int(l, &current, err, "SELECT setup FROM current WHERE stage = 'select'", ""));
    *is_new = !s->id;
    if (s->id && s->id == current) return SV_OK;
    SV_TRY(sv_ledger_begin(l, err));
    sv_status st = s->id ? SV_OK : write_selection(l, s, scores, n, means, mean_count, rows, err);
    if (st == SV_OK) st = sv_sql_exec(l, err, "INSERT OR REPLACE INTO current(stage, name, setup) VALUES('select', '', ?1)", "i", s->id);
    if (st == SV_OK) return sv_ledger_commit(l, err);
    sv_ledger_rollback(l);
    return st;
}

sv_status sv_ledger_current_selection(sv_ledger *l, int64_t *id, char hash[SV_SHA256_HEX], int64_t *picked, sv_error *err) {
    *id = *picked = 0;
    hash[0] = 0;
    sqlite3_stmt *s;
    bool row;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT s.id, s.hash, s.picked FROM current c JOIN selections s ON s.id = c.setup WHERE c.stage = 'select'", ""));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (row) {
        *id = sqlite3_column_int64(s, 0);
        strncpy(hash, sv_column_text(s, 1), SV_SHA256_HEX - 1);
        hash[SV_SHA256_HEX - 1] = 0;
        *picked = sqlite3_column_int64(s, 2);
    }
    sv_sql_done(s);
    return SV_OK;
}

/* ---- reading picks ---- */

/* The score setups of a selection with their names (in memory of `names`). */
static sv_status read_scorers(sv_ledger *l, int64_t selection, int64_t setups[SV_MAX_SCORERS], char names[SV_MAX_SCORERS][32], size_t *n, sv_error *err) {
    *n = 0;
    sqlite3_stmt *s;
    bool row;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT setup, name FROM selection_scores WHERE selection = ?1 ORDER BY name", "i", selection));
    for (;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        if (*n == SV_MAX_SCORERS) {
            sv_sql_done(s);
            return sv_fail(err, SV_E_INTERNAL, l->path, "more than %d scorers", SV_MAX_SCORERS);
        }
        setups[*n] = sqlite3_column_int64(s, 0);
        strncpy(names[*n], sv_column_text(s, 1), 31);
        names[*n][31] = 0;
        ++*n;
    }
}

#define PICK_COLUMNS                                                                                                                         \
    "SELECT p.rank, p.number, p.k, p.score, d.seed, c.id, coalesce(v.text, c.text), c.text, d.file, d.sha256, d.bytes, d.width, d.height,"    \
    " o.origin, o.license, s.generate FROM selections s CROSS JOIN picks p ON p.selection = s.id JOIN captions c ON c.number = p.number"      \
    " JOIN origins o ON o.id = c.origin LEFT JOIN verdicts v ON v.setup = s.curate AND v.number = p.number"                                  \
    " LEFT JOIN candidates d ON d.setup = s.generate AND d.number = p.number AND d.k = p.k WHERE s.id = ?1 "

sv_status sv_ledger_each_pick(sv_ledger *l, int64_t selection, bool by_rank, sv_pick_fn fn, void *user, sv_error *err) {
    int64_t setups[SV_MAX_SCORERS];
    char names[SV_MAX_SCORERS][32];
    double values[SV_MAX_SCORERS];
    sv_pick_score scores[SV_MAX_SCORERS];
    size_t n;
    SV_TRY(read_scorers(l, selection, setups, names, &n, err));
    sqlite3_stmt *s;
    SV_TRY(by_rank ? sv_sql_query(l, &s, err, PICK_COLUMNS "ORDER BY p.rank", "i", selection)
                   : sv_sql_query(l, &s, err, PICK_COLUMNS "ORDER BY p.number, p.k", "i", selection));
    for (bool row = true;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        char sha256[SV_SHA256_HEX];
        sv_column_sha256(s, 9, sha256);
        sv_pick p = {.rank = sqlite3_column_int64(s, 0), .number = sqlite3_column_int64(s, 1), .k = sqlite3_column_int(s, 2),
                     .score = sqlite3_column_double(s, 3), .seed = (uint64_t)sqlite3_column_int64(s, 4), .id = sv_column_text(s, 5),
                     .text = sv_column_text(s, 6), .original = sv_column_text(s, 7), .file = sv_column_text(s, 8), .sha256 = sha256,
                     .bytes = sqlite3_column_int64(s, 10), .width = sqlite3_column_int(s, 11), .height = sqlite3_column_int(s, 12),
                     .origin = sv_column_text(s, 13), .license = sv_column_text(s, 14), .scores = scores, .score_count = n};
        sv_status st = SV_OK;
        if (!p.file) {
            sv_fail(err, SV_E_INPUT, l->path, "the picked candidate %09lld-%d is not there any more", (long long)p.number, p.k);
            st = sv_hint(err, SV_E_INPUT, "synthvlm generate DIR makes it again");
        }
        if (st == SV_OK) st = sv_ledger_scores_of(l, sqlite3_column_int64(s, 15), setups, n, p.number, p.k, values, err);
        for (size_t i = 0; i < n; i++) scores[i] = (sv_pick_score){names[i], values[i]};
        if (st == SV_OK) st = fn(user, &p, err);
        if (st != SV_OK) {
            sv_sql_done(s);
            return st;
        }
    }
}

/* ---- exports ---- */

sv_status sv_ledger_put_export(sv_ledger *l, const sv_export_row *r, sv_error *err) {
    return sv_sql_exec(l, err, "INSERT OR REPLACE INTO exports(path, format, options, selection, pairs, bytes, digest) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                       "tttiiit", r->path, r->format, r->options, r->selection, r->pairs, r->bytes, r->digest);
}

sv_status sv_ledger_each_export(sv_ledger *l, sv_export_fn fn, void *user, sv_error *err) {
    sqlite3_stmt *s;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT path, format, options, selection, pairs, bytes, digest FROM exports ORDER BY path", ""));
    for (bool row = true;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        sv_export_row r = {.path = sv_column_text(s, 0), .format = sv_column_text(s, 1), .options = sv_column_text(s, 2), .selection = sqlite3_column_int64(s, 3),
                           .pairs = sqlite3_column_int64(s, 4), .bytes = sqlite3_column_int64(s, 5), .digest = sv_column_text(s, 6)};
        sv_status st = fn(user, &r, err);
        if (st != SV_OK) {
            sv_sql_done(s);
            return st;
        }
    }
}
