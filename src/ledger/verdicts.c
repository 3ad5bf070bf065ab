/* verdicts.c - what the process list said of each caption, and the sample of those it kept. */
#include "ledger/internal.h"

sv_status sv_ledger_add_verdict(sv_ledger *l, int64_t curate, const sv_verdict *v, bool replace, sv_error *err) {
    static const char keep_old[] = "INSERT INTO verdicts(setup, number, keep, rule, value, min, max, duplicate_of, text, stats, detail)"
                                   " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, nullif(?8, -1), ?9, ?10, ?11) ON CONFLICT DO NOTHING";
    static const char put_new[] = "INSERT OR REPLACE INTO verdicts(setup, number, keep, rule, value, min, max, duplicate_of, text, stats, detail)"
                                  " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, nullif(?8, -1), ?9, ?10, ?11)";
    return sv_sql_exec(l, err, replace ? put_new : keep_old, "iintdddiTtt", curate, v->number, (int)v->keep, v->rule, v->value, v->min, v->max,
                       v->duplicate_of, v->text, v->text_size, v->stats, v->detail);
}

sv_status sv_ledger_verdict_counts(sv_ledger *l, int64_t curate, int64_t *judged, int64_t *kept, sv_error *err) {
    int64_t rejected = 0;
    *judged = *kept = 0;
    SV_TRY(sv_sql_int(l, kept, err, "SELECT count(*) FROM verdicts WHERE setup = ?1 AND keep = 1", "i", curate));
    SV_TRY(sv_sql_int(l, &rejected, err, "SELECT count(*) FROM verdicts WHERE setup = ?1 AND keep = 0", "i", curate));
    *judged = *kept + rejected;
    return SV_OK;
}

/* Verdicts are written in number order without gaps, also where a second curation replaces them, so the last one says it all. */
sv_status sv_ledger_judged_up_to(sv_ledger *l, int64_t curate, int64_t *number, sv_error *err) {
    *number = 0;
    return sv_sql_int(l, number, err, "SELECT max(number) FROM verdicts WHERE setup = ?1", "i", curate);
}

sv_status sv_ledger_sample_count(sv_ledger *l, int64_t sample, int64_t *count, sv_error *err) {
    *count = 0;
    return sv_sql_int(l, count, err, "SELECT count(*) FROM samples WHERE setup = ?1", "i", sample);
}

static sv_status is_same_list(sv_ledger *l, int64_t sample, const int64_t *numbers, size_t n, bool *same, sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    size_t i = 0;
    *same = false;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT number FROM samples WHERE setup = ?1 ORDER BY number", "i", sample));
    for (;; i++) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) break;
        if (i >= n || sqlite3_column_int64(s, 0) != numbers[i]) {
            sv_sql_done(s);
            return SV_OK;
        }
    }
    *same = i == n;
    return SV_OK;
}

/* Whether the sample is exactly the kept captions: no kept one missing, none too many. */
static sv_status is_all_kept(sv_ledger *l, int64_t sample, int64_t curate, bool *same, sv_error *err) {
    int64_t count = 0, missing = 1, judged, kept;
    SV_TRY(sv_ledger_sample_count(l, sample, &count, err));
    SV_TRY(sv_ledger_verdict_counts(l, curate, &judged, &kept, err));
    *same = false;
    if (count != kept) return SV_OK;
    SV_TRY(sv_sql_int(l, &missing, err, "SELECT EXISTS(SELECT 1 FROM verdicts v WHERE v.setup = ?2 AND v.keep = 1 AND v.rule IS NULL"
                      " AND NOT EXISTS(SELECT 1 FROM samples s WHERE s.setup = ?1 AND s.number = v.number))", "ii", sample, curate));
    *same = !missing;
    return SV_OK;
}

static sv_status write_sample(sv_ledger *l, int64_t sample, int64_t curate, const int64_t *numbers, size_t n, sv_error *err) {
    SV_TRY(sv_sql_exec(l, err, "DELETE FROM samples WHERE setup = ?1", "i", sample));
    if (!numbers)
        return sv_sql_exec(l, err, "INSERT INTO samples(setup, number)"
                           " SELECT ?1, number FROM verdicts WHERE setup = ?2 AND keep = 1 AND rule IS NULL ORDER BY number", "ii", sample, curate);
    for (size_t i = 0; i < n; i++)
        SV_TRY(sv_sql_exec(l, err, "INSERT INTO samples(setup, number) VALUES(?1, ?2)", "ii", sample, numbers[i]));
    return SV_OK;
}

sv_status sv_ledger_set_sample(sv_ledger *l, int64_t sample, int64_t curate, const int64_t *numbers, size_t n, sv_error *err) {
    bool same;
    SV_TRY(numbers ? is_same_list(l, sample, numbers, n, &same, err) : is_all_kept(l, sample, curate, &same, err));
    if (same) return SV_OK;
    SV_TRY(sv_ledger_begin(l, err));
    sv_status st = write_sample(l, sample, curate, numbers, n, err);
    if (st == SV_OK) return sv_ledger_commit(l, err);
    sv_ledger_rollback(l);
    return st;
}
