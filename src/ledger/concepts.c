/* concepts.c - which concepts each kept caption has, and what balancing made of them. Concept 0 stands for captions without any, so that every caption
 * that was looked at has a row: the last one says how far the looking came. */
#include <stdlib.h>
#include <string.h>

#include "ledger/internal.h"

sv_status sv_ledger_put_concepts_of(sv_ledger *l, int64_t setup, int64_t number, const uint32_t *concepts, size_t n, sv_error *err) {
    static const char put[] = "INSERT INTO caption_concepts(setup, number, concept) VALUES(?1, ?2, ?3) ON CONFLICT DO NOTHING";
    if (!n) return sv_sql_exec(l, err, put, "iii", setup, number, (int64_t)0);
    for (size_t i = 0; i < n; i++) SV_TRY(sv_sql_exec(l, err, put, "iii", setup, number, (int64_t)concepts[i]));
    return SV_OK;
}

sv_status sv_ledger_clear_concepts(sv_ledger *l, int64_t setup, int64_t after, int64_t upto, sv_error *err) {
    return sv_sql_exec(l, err, "DELETE FROM caption_concepts WHERE setup = ?1 AND number > ?2 AND number <= ?3", "iii", setup, after, upto);
}

sv_status sv_ledger_concepts_up_to(sv_ledger *l, int64_t setup, int64_t *number, sv_error *err) {
    *number = 0;
    return sv_sql_int(l, number, err, "SELECT max(number) FROM caption_concepts WHERE setup = ?1", "i", setup);
}

sv_status sv_ledger_put_concept(sv_ledger *l, int64_t setup, int64_t concept, const char *name, int64_t captions, sv_error *err) {
    return sv_sql_exec(l, err, "INSERT INTO concepts(setup, concept, name, captions) VALUES(?1, ?2, ?3, ?4)"
                       " ON CONFLICT DO UPDATE SET captions = excluded.captions", "iiti", setup, concept, name, captions);
}

sv_status sv_ledger_each_concept(sv_ledger *l, int64_t setup, sv_concept_fn fn, void *user, sv_error *err) {
    sqlite3_stmt *s;
    if (l->version < 3) return SV_OK;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT concept, name, captions FROM concepts WHERE setup = ?1 ORDER BY concept", "i", setup));
    for (bool row = true;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        sv_status st = fn(user, sqlite3_column_int64(s, 0), sv_column_text(s, 1), sqlite3_column_int64(s, 2), err);
        if (st != SV_OK) {
            sv_sql_done(s);
            return st;
        }
    }
}

sv_status sv_ledger_each_caption_concept(sv_ledger *l, int64_t setup, int64_t after, int64_t upto, sv_caption_concept_fn fn, void *user, sv_error *err) {
    sqlite3_stmt *s;
    if (l->version < 3) return SV_OK;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT number, concept FROM caption_concepts WHERE setup = ?1 AND number > ?2 AND number <= ?3"
                        " ORDER BY number, concept", "iii", setup, after, upto));
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

sv_status sv_ledger_concepts_of(sv_ledger *l, int64_t setup, int64_t number, sv_concept_numbers *out, sv_error *err) {
    sqlite3_stmt *s;
    out->count = 0;
    if (l->version < 3) return SV_OK;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT concept FROM caption_concepts WHERE setup = ?1 AND number = ?2 AND concept > 0 ORDER BY concept", "ii", setup, number));
    for (bool row = true;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        if (!sv_grow((void **)&out->list, &out->capacity, out->count, sizeof *out->list)) {
            sv_sql_done(s);
            return sv_fail_memory(err, l->path, 0);
        }
        out->list[out->count++] = sqlite3_column_int64(s, 0);
    }
}

/* ---- balance ---- */

sv_status sv_ledger_copy_verdicts(sv_ledger *l, int64_t curate, int64_t from, int64_t after, int64_t upto, sv_error *err) {
    SV_TRY(sv_ledger_unlink_judgements(l, curate, after, upto, err));
    SV_TRY(sv_sql_exec(l, err, "INSERT INTO judged(setup, number, judgement) SELECT ?1, number, judgement FROM judged WHERE setup = ?2 AND number > ?3 AND number <= ?4",
                       "iiii", curate, from, after, upto));
    return sv_sql_exec(l, err, "INSERT OR REPLACE INTO verdicts(setup, number, keep, rule, value, min, max, duplicate_of, text, stats, detail)"
                       " SELECT ?1, number, keep, rule, value, min, max, duplicate_of, text, stats, detail FROM verdicts"
                       " WHERE setup = ?2 AND number > ?3 AND number <= ?4", "iiii", curate, from, after, upto);
}

sv_status sv_ledger_reject_balanced(sv_ledger *l, int64_t curate, int64_t number, const char *concept, int64_t count, int64_t cap, sv_error *err) {
    return sv_sql_exec(l, err, "UPDATE verdicts SET keep = 0, rule = 'balance', value = ?3, min = NULL, max = ?4, detail = ?5 WHERE setup = ?1 AND number = ?2",
                       "iiddt", curate, number, (double)count, (double)cap, concept);
}

sv_status sv_ledger_put_balance(sv_ledger *l, int64_t curate, int64_t concept, int64_t cap, int64_t quota, int64_t kept, sv_error *err) {
    return sv_sql_exec(l, err, "INSERT OR REPLACE INTO balances(setup, concept, cap, quota, kept) VALUES(?1, ?2, nullif(?3, -1), nullif(?4, 0), ?5)", "iiiii",
                       curate, concept, cap, quota, kept);
}

sv_status sv_ledger_concept_table(sv_ledger *l, int64_t limit, sv_concept_table_fn fn, void *user, sv_error *err) {
    sqlite3_stmt *s;
    if (l->version < 3) return SV_OK;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT c.name, c.captions, b.cap, b.quota, b.kept FROM now"
                        " JOIN concepts c ON c.setup = now.concepts LEFT JOIN balances b ON b.setup = now.curate AND b.concept = c.concept"
                        " ORDER BY c.captions DESC, c.concept LIMIT ?1", "i", limit));
    for (bool row = true;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        const sv_concept_row r = {.name = sv_column_text(s, 0), .captions = sqlite3_column_int64(s, 1),
                                  .cap = sqlite3_column_type(s, 2) == SQLITE_NULL ? -1 : sqlite3_column_int64(s, 2),
                                  .quota = sqlite3_column_int64(s, 3), .kept = sqlite3_column_int64(s, 4)};
        sv_status st = fn(user, &r, err);
        if (st != SV_OK) {
            sv_sql_done(s);
            return st;
        }
    }
}
