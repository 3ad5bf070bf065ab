/* shares.c - how much of each source came how far: counted when a stage has ended, so that asking costs nothing. */
#include <string.h>

#include "ledger/internal.h"

/* Where captions are from: twice the id of the origin that they state, or one more than twice the id of the file, as in sv_ledger_each_origin. */
#define FROM "CASE WHEN o.origin = '' THEN 2 * c.source + 1 ELSE 2 * c.origin END"
/* Counted row by row: GROUP BY would first sort all rows, in memory. */
#define INSERT "INSERT INTO shares(what, setup, origin, captions) SELECT ?1, ?2, " FROM ", 1 FROM "
#define ORIGINS " JOIN origins o ON o.id = c.origin WHERE true ON CONFLICT(what, setup, origin) DO UPDATE SET captions = captions + 1"

sv_status sv_ledger_count_shares(sv_ledger *l, sv_share_of what, bool again, sv_error *err) {
    static const char *const names[] = {[SV_SHARE_CAPTIONS] = "captions", [SV_SHARE_KEPT] = "kept", [SV_SHARE_SAMPLED] = "sampled", [SV_SHARE_DRAWN] = "drawn",
                                        [SV_SHARE_PICKED] = "picked"};
    static const char *const current[] = {[SV_SHARE_CAPTIONS] = NULL, [SV_SHARE_KEPT] = "curate", [SV_SHARE_SAMPLED] = "sample", [SV_SHARE_DRAWN] = "generate",
                                          [SV_SHARE_PICKED] = "select"};
    /* How many there must be in all: what tells counts of before a pool grew. Which ones are drawn can change while their number does not. */
    static const char *const totals[] = {[SV_SHARE_CAPTIONS] = "SELECT max(number) FROM captions WHERE ?1 = 0",
                                         [SV_SHARE_KEPT] = "SELECT count(*) FROM verdicts WHERE setup = ?1 AND keep = 1 AND rule IS NULL",
                                         [SV_SHARE_SAMPLED] = "SELECT count(*) FROM samples WHERE setup = ?1", [SV_SHARE_DRAWN] = "SELECT -1 WHERE ?1",
                                         [SV_SHARE_PICKED] = "SELECT count(*) FROM picks WHERE selection = ?1"};
    int64_t setup = 0, there = -1, total = 0;
    if (current[what]) SV_TRY(sv_sql_int(l, &setup, err, "SELECT setup FROM current WHERE stage = ?1 AND name = ''", "t", current[what]));
    if (current[what] && !setup) return SV_OK;
    SV_TRY(sv_sql_int(l, &there, err, "SELECT coalesce(sum(captions), 0) FROM shares WHERE what = ?1 AND setup = ?2", "ti", names[what], setup));
    SV_TRY(sv_sql_int(l, &total, err, totals[what], "i", setup));
    if (there == total && !again) return SV_OK;
    SV_TRY(sv_ledger_begin(l, err));
    sv_status st = sv_sql_exec(l, err, "DELETE FROM shares WHERE what = ?1 AND setup = ?2", "ti", names[what], setup);
    if (st == SV_OK && what == SV_SHARE_CAPTIONS) st = sv_sql_exec(l, err, INSERT "captions c" ORIGINS, "ti", names[what], setup);
    if (st == SV_OK && what == SV_SHARE_KEPT)
        st = sv_sql_exec(l, err, INSERT "verdicts v CROSS JOIN captions c ON c.number = v.number AND v.setup = ?2 AND v.keep = 1 AND v.rule IS NULL" ORIGINS,
                         "ti", names[what], setup);
    if (st == SV_OK && what == SV_SHARE_SAMPLED)
        st = sv_sql_exec(l, err, INSERT "samples s CROSS JOIN captions c ON c.number = s.number AND s.setup = ?2" ORIGINS, "ti", names[what], setup);
    if (st == SV_OK && what == SV_SHARE_DRAWN)
        st = sv_sql_exec(l, err, INSERT "current n CROSS JOIN samples s ON s.setup = n.setup AND EXISTS(SELECT 1 FROM candidates d WHERE d.setup = ?2"
                         " AND d.number = s.number AND d.outcome = 'ok') JOIN captions c ON c.number = s.number AND n.stage = 'sample'" ORIGINS,
                         "ti", names[what], setup);
    if (st == SV_OK && what == SV_SHARE_PICKED)
        st = sv_sql_exec(l, err, INSERT "picks p CROSS JOIN captions c ON c.number = p.number AND p.selection = ?2" ORIGINS, "ti", names[what], setup);
    if (st == SV_OK) return sv_ledger_commit(l, err);
    sv_ledger_rollback(l);
    return st;
}

sv_status sv_ledger_each_share(sv_ledger *l, sv_share_fn fn, void *user, sv_error *err) {
    sqlite3_stmt *s;
    if (l->version < 3) return SV_OK;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT name, is_file, captions, kept, sampled, drawn, picked FROM by_source", ""));
    for (bool row = true;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        const char *name = sv_column_text(s, 0), *base = strrchr(name, '/');
        const sv_share share = {.name = base && sqlite3_column_int(s, 1) ? base + 1 : name, .captions = sqlite3_column_int64(s, 2), .kept = sqlite3_column_int64(s, 3),
                                .sampled = sqlite3_column_int64(s, 4), .drawn = sqlite3_column_int64(s, 5), .picked = sqlite3_column_int64(s, 6)};
        sv_status st = fn(user, &share, err);
        if (st != SV_OK) {
            sv_sql_done(s);
            return st;
        }
    }
}
