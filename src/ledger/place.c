/* place.c - where one candidate stands in the ranking of the current selection. */
#include <math.h>
#include <string.h>

#include "ledger/internal.h"

#define MOST_LOOKED_AT 2000000   /* about a second */

typedef struct placing {
    size_t n;
    double weights[SV_MAX_SCORERS];   /* of the score setups, in order; by one score: 1 for it */
    double mine;
    sv_place place;
} placing;

static double weigh(const placing *p, const double *values) {
    double sum = 0;
    for (size_t i = 0; i < p->n; i++)
        if (!isfinite(values[i])) return NAN;
        else if (p->weights[i] != 0) sum += p->weights[i] * values[i];
    return sum;
}

static sv_status compare(void *user, int64_t number, int k, const double *values, sv_error *err) {
    placing *p = user;
    double value = weigh(p, values);
    p->place.of += !isnan(value);
    p->place.at += value > p->mine;
    return SV_OK;
}

/* The score setups of the selection, and what each of them counts. */
static sv_status read_weights(sv_ledger *l, int64_t selection, placing *p, int64_t setups[SV_MAX_SCORERS], sv_error *err) {
    sqlite3_stmt *s;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT z.setup, CASE WHEN s.rank_by = z.name THEN 1.0 WHEN s.rank_by = 'weighted'"
                        " THEN coalesce(json_extract(s.settings, '$.weights.' || z.name), 0.0) ELSE 0.0 END FROM selections s JOIN selection_scores z"
                        " ON z.selection = s.id WHERE s.id = ?1 ORDER BY z.name", "i", selection));
    for (bool row = true;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        if (p->n == SV_MAX_SCORERS) continue;
        setups[p->n] = sqlite3_column_int64(s, 0);
        p->weights[p->n++] = sqlite3_column_double(s, 1);
    }
}

sv_status sv_ledger_place(sv_ledger *l, int64_t number, int k, sv_place *out, sv_error *err) {
    placing p = {0};
    int64_t setups[SV_MAX_SCORERS], selection = 0, generate = 0, unscored;
    double values[SV_MAX_SCORERS];
    sv_scope scope = {0};
    sqlite3_stmt *s;
    bool row;
    *out = (sv_place){0};
    SV_TRY(sv_sql_query(l, &s, err, "SELECT s.id, s.generate, s.curate, s.sample FROM now JOIN selections s ON s.id = now.selection"
                        " WHERE s.candidates <= ?1 AND s.rank_by <> 'random'", "n", MOST_LOOKED_AT));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (!row) return SV_OK;
    selection = sqlite3_column_int64(s, 0);
    generate = sqlite3_column_int64(s, 1);
    scope = (sv_scope){sqlite3_column_int64(s, 2), sqlite3_column_int64(s, 3)};
    sv_sql_done(s);
    SV_TRY(read_weights(l, selection, &p, setups, err));
    if (!p.n) return SV_OK;
    SV_TRY(sv_ledger_scores_of(l, generate, setups, p.n, number, k, values, err));
    p.mine = weigh(&p, values);
    if (isnan(p.mine)) return SV_OK;
    SV_TRY(sv_ledger_each_scored(l, scope, generate, setups, p.n, compare, &p, &unscored, err));
    *out = (sv_place){p.place.at + 1, p.place.of};
    return SV_OK;
}
