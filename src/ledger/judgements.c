/* judgements.c - what a language model said about captions, and the verdicts that follow. */
#include <math.h>

#include "ledger/internal.h"

sv_status sv_ledger_add_judgement(sv_ledger *l, int64_t judge, const sv_judgement_row *r, sv_error *err) {
    return sv_sql_exec(l, err, "INSERT INTO judgements(setup, text_sha256, outcome, answer, detail, value, p_yes, tokens_in, tokens_out, requests)"
                       " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING", "iBtttddiii", judge, r->text, (size_t)SV_TEXT_HASH,
                       r->outcome, r->answer, r->detail, r->value, r->p_yes, r->tokens_in, r->tokens_out, r->requests);
}

sv_status sv_ledger_find_judgement(sv_ledger *l, int64_t judge, const uint8_t text[SV_TEXT_HASH], int64_t *id, sv_error *err) {
    *id = 0;
    return sv_sql_int(l, id, err, "SELECT id FROM judgements WHERE setup = ?1 AND text_sha256 = ?2", "iB", judge, text, (size_t)SV_TEXT_HASH);
}

sv_status sv_ledger_judgement_value(sv_ledger *l, int64_t judge, const uint8_t text[SV_TEXT_HASH], double *value, bool *found, sv_error *err) {
    sqlite3_stmt *s;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT value FROM judgements WHERE setup = ?1 AND text_sha256 = ?2", "iB", judge, text, (size_t)SV_TEXT_HASH));
    SV_TRY(sv_sql_step(l, s, found, err));
    *value = *found ? sv_column_real(s, 0) : NAN;
    sv_sql_done(s);
    return SV_OK;
}

sv_status sv_ledger_link_judgement(sv_ledger *l, int64_t curate, int64_t number, int64_t judgement, sv_error *err) {
    return sv_sql_exec(l, err, "INSERT OR REPLACE INTO judged(setup, number, judgement) VALUES(?1, ?2, ?3)", "iii", curate, number, judgement);
}

sv_status sv_ledger_unlink_judgements(sv_ledger *l, int64_t curate, int64_t after, int64_t upto, sv_error *err) {
    return sv_sql_exec(l, err, "DELETE FROM judged WHERE setup = ?1 AND number > ?2 AND number <= ?3", "iii", curate, after, upto);
}

/* A kept caption without a linked answer would be a broken promise of the caller: it gets no verdict, which the counts then show. */
sv_status sv_ledger_judge_verdicts(sv_ledger *l, int64_t curate, int64_t rules, double min, int64_t after, int64_t upto, sv_error *err) {
    return sv_sql_exec(l, err, "INSERT OR REPLACE INTO verdicts(setup, number, keep, rule, value, min, max, duplicate_of, text, stats, detail)"
                       " SELECT ?1, v.number, v.keep, v.rule, v.value, v.min, v.max, v.duplicate_of, v.text, v.stats, v.detail FROM verdicts v"
                       "  WHERE v.setup = ?2 AND v.number > ?4 AND v.number <= ?5 AND v.keep = 0"
                       " UNION ALL SELECT ?1, v.number, a.value >= ?3 IS TRUE,"
                       "  CASE WHEN a.value >= ?3 THEN NULL WHEN a.outcome = 'answered' THEN 'llm_judge' ELSE 'llm_judge_' || a.outcome END,"
                       "  CASE WHEN a.value >= ?3 THEN v.value ELSE a.value END, CASE WHEN a.value >= ?3 THEN v.min ELSE ?3 END,"
                       "  CASE WHEN a.value >= ?3 THEN v.max END, v.duplicate_of, v.text, v.stats, NULL"
                       "  FROM verdicts v CROSS JOIN judged d ON d.setup = ?1 AND d.number = v.number CROSS JOIN judgements a ON a.id = d.judgement"
                       "  WHERE v.setup = ?2 AND v.number > ?4 AND v.number <= ?5 AND v.keep = 1", "iidii", curate, rules, min, after, upto);
}

sv_status sv_ledger_judge_cost(sv_ledger *l, int64_t judge, sv_judge_cost *out, sv_error *err) {
    *out = (sv_judge_cost){0};
    if (l->version < 2 || !judge) return SV_OK;
    sqlite3_stmt *s;
    bool row;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT count(*), sum(outcome = 'unclear'), sum(outcome = 'failed'), sum(requests), sum(tokens_in), sum(tokens_out)"
                        " FROM judgements WHERE setup = ?1", "i", judge));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (!row) return SV_OK;
    int64_t *const fields[] = {&out->texts, &out->unclear, &out->failed, &out->requests, &out->tokens_in, &out->tokens_out};
    for (int i = 0; i < 6; i++) *fields[i] = sqlite3_column_int64(s, i);
    sv_sql_done(s);
    return SV_OK;
}
