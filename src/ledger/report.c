/* report.c - questions about a run as a whole: the funnel, counts by reason, speed. */
#include <string.h>

#include "ledger/internal.h"

/* Distinct captions of the sample with a good candidate: one walk over two narrow lists. */
static sv_status count_drawn_captions(sv_ledger *l, int64_t sample, int64_t generate, int64_t *count, sv_error *err) {
    sv_cursor drawn = {.end = true}, in = {.end = true};
    int64_t last = 0;
    *count = 0;
    sv_status st = sv_cursor_candidates(l, &drawn, generate, 0, -1, err);
    if (st == SV_OK) st = sv_cursor_sample(l, &in, sample, 0, err);
    while (st == SV_OK && !drawn.end) {
        if (drawn.number != last && (st = sv_cursor_seek(l, &in, drawn.number, 0, err)) == SV_OK) *count += sv_cursor_at(&in, drawn.number, 0);
        last = drawn.number;
        if (st == SV_OK) st = sv_cursor_next(l, &drawn, err);
    }
    sv_cursor_close(&in);
    sv_cursor_close(&drawn);
    return st;
}

sv_status sv_ledger_funnel(sv_ledger *l, sv_funnel *f, sv_error *err) {
    *f = (sv_funnel){.judged = -1, .kept = -1, .sampled = -1, .drawn = -1, .failed = -1, .pruned = -1, .drawn_captions = -1, .scored = -1, .eligible = -1,
                     .eligible_captions = -1, .picked = -1};
    SV_TRY(sv_sql_int(l, &f->sources, err, "SELECT count(*) FROM sources", ""));
    SV_TRY(sv_sql_int(l, &f->rows, err, "SELECT sum(rows) FROM sources", ""));
    SV_TRY(sv_sql_int(l, &f->repeated, err, "SELECT sum(repeated) FROM sources", ""));
    SV_TRY(sv_sql_int(l, &f->faults, err, "SELECT sum(faults) FROM sources", ""));
    SV_TRY(sv_ledger_caption_count(l, &f->captions, err));
    sv_setup curate, sample, generate, scores[SV_MAX_SCORERS];
    size_t n;
    SV_TRY(sv_ledger_current(l, SV_STAGE_CURATE, "", &curate, err));
    SV_TRY(sv_ledger_current(l, SV_STAGE_SAMPLE, "", &sample, err));
    SV_TRY(sv_ledger_current(l, SV_STAGE_GENERATE, "", &generate, err));
    SV_TRY(sv_ledger_current_scores(l, scores, &n, err));
    if (curate.id) SV_TRY(sv_ledger_verdict_counts(l, curate.id, &f->judged, &f->kept, err));
    if (sample.id) SV_TRY(sv_ledger_sample_count(l, sample.id, &f->sampled, err));
    if (generate.id) {
        f->drawn = f->failed = f->pruned = 0;
        SV_TRY(sv_sql_int(l, &f->drawn, err, "SELECT count(*) FROM candidates WHERE setup = ?1 AND outcome = 'ok'", "i", generate.id));
        SV_TRY(sv_sql_int(l, &f->failed, err, "SELECT count(*) FROM candidates WHERE setup = ?1 AND outcome = 'failed'", "i", generate.id));
        SV_TRY(sv_sql_int(l, &f->pruned, err, "SELECT count(*) FROM candidates WHERE setup = ?1 AND outcome = 'pruned'", "i", generate.id));
        SV_TRY(count_drawn_captions(l, sample.id, generate.id, &f->drawn_captions, err));
    }
    for (size_t i = 0; i < n && generate.id; i++) {
        int64_t rows = 0;
        SV_TRY(sv_sql_int(l, &rows, err, "SELECT count(*) FROM scores WHERE setup = ?1 AND generate = ?2", "ii", scores[i].id, generate.id));
        if (i == 0 || rows < f->scored) f->scored = rows;
    }
    SV_TRY(sv_sql_int(l, &f->picked, err, "SELECT s.picked FROM current c JOIN selections s ON s.id = c.setup WHERE c.stage = 'select'", ""));
    SV_TRY(sv_sql_int(l, &f->eligible, err, "SELECT s.eligible FROM current c JOIN selections s ON s.id = c.setup WHERE c.stage = 'select'", ""));
    return sv_sql_int(l, &f->eligible_captions, err, "SELECT s.captions FROM current c JOIN selections s ON s.id = c.setup WHERE c.stage = 'select'", "");
}

sv_status sv_ledger_tally(sv_ledger *l, sv_tally which, sv_tally_fn fn, void *user, sv_error *err) {
    sqlite3_stmt *s;
    switch (which) {
    case SV_TALLY_FAULTS:
        SV_TRY(sv_sql_query(l, &s, err, "SELECT reason, count(*) AS n FROM ingest_faults GROUP BY reason ORDER BY n DESC, reason", ""));
        break;
    case SV_TALLY_RULES:
        SV_TRY(sv_sql_query(l, &s, err, "SELECT rule, count(*) AS n FROM now CROSS JOIN verdicts ON setup = curate AND keep = 0 GROUP BY rule"
                            " ORDER BY n DESC, rule", ""));
        break;
    default:
        SV_TRY(sv_sql_query(l, &s, err, "SELECT reason, count(*) AS n FROM now CROSS JOIN candidates ON setup = generate AND outcome = 'failed'"
                            " GROUP BY reason ORDER BY n DESC, reason", ""));
    }
    for (bool row = true;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        const char *name = sv_column_text(s, 0);
        sv_status st = fn(user, name ? name : "", sqlite3_column_int64(s, 1), err);
        if (st != SV_OK) {
            sv_sql_done(s);
            return st;
        }
    }
}

/* The rows of timings lie in the order of finishing, so the newest are the last; 4 times as many are looked at, since stages mix. */
sv_status sv_ledger_rate(sv_ledger *l, sv_stage stage, int last, sv_rate *out, sv_error *err) {
    *out = (sv_rate){0};
    sqlite3_stmt *s;
    bool row;
    /* The time between two finishes counts if it is explained by the work: a longer one is a pause between two processes. */
    SV_TRY(sv_sql_query(l, &s, err, "SELECT count(*), sum(CASE WHEN gap <= 3000 + 24000 * seconds THEN gap ELSE 0 END), max(finished_ms), avg(seconds) FROM"
                        " (SELECT finished_ms, seconds, finished_ms - lag(finished_ms) OVER (ORDER BY finished_ms) AS gap FROM (SELECT finished_ms, seconds FROM timings"
                        " WHERE id > (SELECT max(id) FROM timings) - 4 * ?2 AND stage = ?1 ORDER BY id DESC LIMIT ?2))", "tn", sv_stage_name(stage), last));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (row) {
        out->count = sqlite3_column_int64(s, 0);
        out->seconds = (double)sqlite3_column_int64(s, 1) / 1000;
        out->last_ms = sqlite3_column_int64(s, 2);
        out->mean_cost = sqlite3_column_double(s, 3);
    }
    sv_sql_done(s);
    return SV_OK;
}
