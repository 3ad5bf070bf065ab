/* schema.c - the tables and views of a ledger. What each column means to a reader: docs/LEDGER.md.
 *
 * Ten million candidates shape it: rows that are walked whole (scores, samples, picks) are narrow, hold integers only and lie in key order (WITHOUT
 * ROWID); what is counted by reason has an index that covers the count; nothing repeats a text per candidate but the file name.
 */
#include "ledger/internal.h"

/* Terms of the weighted score other than clip and ssim, and the first of them that is below its limit: of the selection s and its candidate d.
 * Their weights and limits stand in the selection's settings. */
#define OTHER_SCORES                                                                                                                        \
    "FROM selection_scores z JOIN scores q ON q.setup = z.setup AND q.generate = d.setup AND q.number = d.number AND q.k = d.k"             \
    " WHERE z.selection = s.id AND z.name NOT IN ('clip', 'ssim')"
#define OTHERS "+ coalesce((SELECT sum(json_extract(s.settings, '$.weights.' || z.name) * q.value) " OTHER_SCORES "), 0)"
#define BELOW "(SELECT z.name " OTHER_SCORES " AND q.value < json_extract(s.settings, '$.min.' || z.name) ORDER BY z.name LIMIT 1)"

static const char *const tables[] = {
    /* What a stage's result depends on, as canonical JSON; every row below names the setup that it was made under. */
    "CREATE TABLE setups(id INTEGER PRIMARY KEY, stage TEXT NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL, json TEXT NOT NULL,"
    " UNIQUE(stage, name, hash)) STRICT",
    /* The setups in force; stage 'select' holds the current selection's id. */
    "CREATE TABLE current(stage TEXT NOT NULL, name TEXT NOT NULL, setup INTEGER NOT NULL, PRIMARY KEY(stage, name)) STRICT, WITHOUT ROWID",

    "CREATE TABLE sources(id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, reading TEXT NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL,"
    " mtime_ns INTEGER NOT NULL, complete INTEGER NOT NULL, rows INTEGER NOT NULL, added INTEGER NOT NULL, repeated INTEGER NOT NULL,"
    " faults INTEGER NOT NULL, UNIQUE(sha256, reading)) STRICT",
    "CREATE TABLE origins(id INTEGER PRIMARY KEY, origin TEXT NOT NULL, license TEXT NOT NULL, UNIQUE(origin, license)) STRICT",
    "CREATE TABLE captions(number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, text TEXT NOT NULL, source INTEGER NOT NULL REFERENCES sources,"
    " line INTEGER NOT NULL, origin INTEGER NOT NULL REFERENCES origins) STRICT",
    "CREATE TABLE ingest_faults(source INTEGER NOT NULL, line INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,"
    " PRIMARY KEY(source, line)) STRICT, WITHOUT ROWID",

    "CREATE TABLE verdicts(setup INTEGER NOT NULL, number INTEGER NOT NULL, keep INTEGER NOT NULL, rule TEXT, value REAL, min REAL, max REAL,"
    " duplicate_of INTEGER, text TEXT, stats TEXT, PRIMARY KEY(setup, number)) STRICT, WITHOUT ROWID",
    "CREATE INDEX verdicts_by_rule ON verdicts(setup, keep, rule)",
    "CREATE TABLE samples(setup INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY(setup, number)) STRICT, WITHOUT ROWID",

    "CREATE TABLE candidates(setup INTEGER NOT NULL, number INTEGER NOT NULL, k INTEGER NOT NULL, seed INTEGER NOT NULL, outcome TEXT NOT NULL,"
    " reason TEXT, detail TEXT, file TEXT, bytes INTEGER, sha256 BLOB, width INTEGER, height INTEGER, tokens_cut INTEGER NOT NULL,"
    " PRIMARY KEY(setup, number, k), CHECK(outcome IN ('ok', 'failed'))) STRICT, WITHOUT ROWID",
    "CREATE INDEX candidates_by_outcome ON candidates(setup, outcome, reason)",
    "CREATE TABLE scores(setup INTEGER NOT NULL, generate INTEGER NOT NULL, number INTEGER NOT NULL, k INTEGER NOT NULL, value REAL,"
    " PRIMARY KEY(setup, generate, number, k)) STRICT, WITHOUT ROWID",
    "CREATE TABLE timings(id INTEGER PRIMARY KEY, stage TEXT NOT NULL, number INTEGER NOT NULL, k INTEGER NOT NULL, seconds REAL NOT NULL,"
    " finished_ms INTEGER NOT NULL) STRICT",

    "CREATE TABLE selections(id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, settings TEXT NOT NULL, curate INTEGER NOT NULL,"
    " sample INTEGER NOT NULL, generate INTEGER NOT NULL, rank_by TEXT NOT NULL, weight_clip REAL NOT NULL, weight_ssim REAL NOT NULL,"
    " min_clip REAL, min_ssim REAL, min_weighted REAL, per_caption INTEGER NOT NULL, candidates INTEGER NOT NULL, eligible INTEGER NOT NULL,"
    " captions INTEGER NOT NULL, asked INTEGER NOT NULL, picked INTEGER NOT NULL, cutoff REAL) STRICT",
    "CREATE TABLE selection_scores(selection INTEGER NOT NULL, name TEXT NOT NULL, setup INTEGER NOT NULL, PRIMARY KEY(selection, name))"
    " STRICT, WITHOUT ROWID",
    "CREATE TABLE selection_means(selection INTEGER NOT NULL, name TEXT NOT NULL, before REAL, after REAL, PRIMARY KEY(selection, name))"
    " STRICT, WITHOUT ROWID",
    "CREATE TABLE picks(selection INTEGER NOT NULL, rank INTEGER NOT NULL, number INTEGER NOT NULL, k INTEGER NOT NULL, score REAL NOT NULL,"
    " PRIMARY KEY(selection, rank)) STRICT, WITHOUT ROWID",
    "CREATE UNIQUE INDEX picks_by_candidate ON picks(selection, number, k)",
    "CREATE TABLE exports(path TEXT PRIMARY KEY, format TEXT NOT NULL, options TEXT NOT NULL, selection INTEGER NOT NULL, pairs INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, digest TEXT NOT NULL) STRICT, WITHOUT ROWID",
};

/* Since version 2: what a language model said about a text, and whose caption's answer it is. */
static const char *const tables_2[] = {
    "CREATE TABLE judgements(id INTEGER PRIMARY KEY, setup INTEGER NOT NULL, text_sha256 BLOB NOT NULL, outcome TEXT NOT NULL, answer TEXT, detail TEXT,"
    " value REAL, p_yes REAL, tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, requests INTEGER NOT NULL, UNIQUE(setup, text_sha256),"
    " CHECK(outcome IN ('answered', 'unclear', 'failed'))) STRICT",
    "CREATE TABLE judged(setup INTEGER NOT NULL, number INTEGER NOT NULL, judgement INTEGER NOT NULL REFERENCES judgements,"
    " PRIMARY KEY(setup, number)) STRICT, WITHOUT ROWID",
};

/* Since version 3: what a verdict goes by beside its number (the language found, the benchmark's text that a caption repeats); perceptual hashes of
 * pictures, what a selection dropped among its competitors and by whose hand a pick is there, and how many each
 * step left (JSON). */
static const char *const tables_3[] = {
    "ALTER TABLE verdicts ADD COLUMN detail TEXT",
    "CREATE TABLE hashes(generate INTEGER NOT NULL, number INTEGER NOT NULL, k INTEGER NOT NULL, phash INTEGER NOT NULL, dhash INTEGER NOT NULL,"
    " compared INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(generate, number, k)) STRICT, WITHOUT ROWID",
    "CREATE TABLE drops(selection INTEGER NOT NULL, number INTEGER NOT NULL, k INTEGER NOT NULL, reason TEXT NOT NULL, of_number INTEGER, of_k INTEGER,"
    " PRIMARY KEY(selection, number, k)) STRICT, WITHOUT ROWID",
    "ALTER TABLE picks ADD COLUMN manual INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE selections ADD COLUMN steps TEXT",

    /* Pictures given up half-drawn are candidates with an outcome of their own; a CHECK can only be changed by making the table anew. */
    "CREATE TABLE candidates_3(setup INTEGER NOT NULL, number INTEGER NOT NULL, k INTEGER NOT NULL, seed INTEGER NOT NULL, outcome TEXT NOT NULL,"
    " reason TEXT, detail TEXT, file TEXT, bytes INTEGER, sha256 BLOB, width INTEGER, height INTEGER, tokens_cut INTEGER NOT NULL,"
    " PRIMARY KEY(setup, number, k), CHECK(outcome IN ('ok', 'failed', 'pruned'))) STRICT, WITHOUT ROWID",
    "INSERT INTO candidates_3 SELECT * FROM candidates",
    "DROP TABLE candidates",
    "ALTER TABLE candidates_3 RENAME TO candidates",
    "CREATE INDEX candidates_by_outcome ON candidates(setup, outcome, reason)",
    "CREATE TABLE previews(generate INTEGER NOT NULL, number INTEGER NOT NULL, k INTEGER NOT NULL, calls INTEGER NOT NULL, value REAL,"
    " PRIMARY KEY(generate, number, k, calls)) STRICT, WITHOUT ROWID",
    /* Rounds over all captions: how many pictures each caption of a round has in all, and after which round a caption stopped, and why. */
    "CREATE TABLE rounds(setup INTEGER NOT NULL, round INTEGER NOT NULL, want INTEGER NOT NULL, captions INTEGER NOT NULL, given INTEGER NOT NULL,"
    " PRIMARY KEY(setup, round)) STRICT, WITHOUT ROWID",
    "CREATE TABLE stops(setup INTEGER NOT NULL, number INTEGER NOT NULL, round INTEGER NOT NULL, reason TEXT NOT NULL, k INTEGER, value REAL,"
    " PRIMARY KEY(setup, number)) STRICT, WITHOUT ROWID",
    /* What `auto` was measured to be, by what it was measured for; times are in it, so it is no part of `stable`. */
    "CREATE TABLE tuned(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    /* What captions speak of (concept 0: nothing that has a name), and what balancing made of it. */
    "CREATE TABLE concepts(setup INTEGER NOT NULL, concept INTEGER NOT NULL, name TEXT NOT NULL, captions INTEGER NOT NULL, PRIMARY KEY(setup, concept))"
    " STRICT, WITHOUT ROWID",
    "CREATE TABLE caption_concepts(setup INTEGER NOT NULL, number INTEGER NOT NULL, concept INTEGER NOT NULL, PRIMARY KEY(setup, number, concept))"
    " STRICT, WITHOUT ROWID",
    "CREATE TABLE balances(setup INTEGER NOT NULL, concept INTEGER NOT NULL, cap INTEGER, quota INTEGER, kept INTEGER NOT NULL,"
    " PRIMARY KEY(setup, concept)) STRICT, WITHOUT ROWID",
    /* Captions that came with a picture: its name within the folder of its source, and that folder, relative to the run directory. What filters have
     * measured of it is kept, so that another limit measures nothing anew; `key` stands for the text and the file it was measured on. */
    "CREATE TABLE pictures(number INTEGER PRIMARY KEY REFERENCES captions, source INTEGER NOT NULL REFERENCES sources, name TEXT NOT NULL) STRICT",
    "CREATE TABLE picture_folders(source INTEGER PRIMARY KEY REFERENCES sources, folder TEXT NOT NULL) STRICT",
    "CREATE TABLE picture_stats(setup INTEGER NOT NULL, number INTEGER NOT NULL, key INTEGER NOT NULL, value REAL NOT NULL,"
    " PRIMARY KEY(setup, number)) STRICT, WITHOUT ROWID",
    /* How many captions of each source came how far (sources are numbered as in shares.c): counted at the end of a stage. */
    "CREATE TABLE shares(what TEXT NOT NULL, setup INTEGER NOT NULL, origin INTEGER NOT NULL, captions INTEGER NOT NULL, PRIMARY KEY(what, setup, origin))"
    " STRICT, WITHOUT ROWID",
};

static const char *const views[] = {
    /* One row: the current setup of each stage. */
    "CREATE VIEW now AS SELECT"
    " (SELECT setup FROM current WHERE stage = 'curate') AS curate, (SELECT setup FROM current WHERE stage = 'sample') AS sample,"
    " (SELECT setup FROM current WHERE stage = 'concepts') AS concepts,"
    " (SELECT setup FROM current WHERE stage = 'generate') AS generate, (SELECT setup FROM current WHERE stage = 'select') AS selection,"
    " (SELECT setup FROM current WHERE stage = 'score' AND name = 'clip') AS clip,"
    " (SELECT setup FROM current WHERE stage = 'score' AND name = 'ssim') AS ssim",

    "CREATE VIEW funnel AS"
    " SELECT 1 AS step, 'rows read' AS what, coalesce(sum(rows), 0) AS count FROM sources"
    " UNION ALL SELECT 2, 'bad rows', count(*) FROM ingest_faults"
    " UNION ALL SELECT 3, 'captions', count(*) FROM captions"
    " UNION ALL SELECT 4, 'judged', count(*) FROM now JOIN verdicts ON setup = curate"
    " UNION ALL SELECT 5, 'kept', count(*) FROM now JOIN verdicts ON setup = curate AND keep = 1"
    " UNION ALL SELECT 6, 'in the sample', count(*) FROM now JOIN samples ON setup = sample"
    " UNION ALL SELECT 7, 'images', count(*) FROM now JOIN candidates ON setup = generate AND outcome = 'ok'"
    " UNION ALL SELECT 8, 'failed images', count(*) FROM now JOIN candidates ON setup = generate AND outcome = 'failed'"
    " UNION ALL SELECT 9, 'picked', count(*) FROM now JOIN picks p ON p.selection = now.selection",

    /* Captions that passed the process list, with the text that was drawn. */
    "CREATE VIEW kept AS SELECT c.number, c.id, coalesce(v.text, c.text) AS text, o.origin, o.license, v.stats,"
    " EXISTS(SELECT 1 FROM samples s WHERE s.setup = now.sample AND s.number = c.number) AS sampled"
    " FROM now CROSS JOIN verdicts v ON v.setup = now.curate AND v.keep = 1 JOIN captions c ON c.number = v.number JOIN origins o ON o.id = c.origin",

    "CREATE VIEW rejected AS SELECT c.number, c.id, c.text, v.rule, v.value, v.min, v.max, d.id AS duplicate_of, v.detail, v.stats"
    " FROM now CROSS JOIN verdicts v ON v.setup = now.curate AND v.keep = 0 JOIN captions c ON c.number = v.number"
    " LEFT JOIN captions d ON d.number = v.duplicate_of",

    /* What the judge said of each caption that the process list kept. */
    "CREATE VIEW judge_answers AS SELECT c.number, c.id, coalesce(v.text, c.text) AS text, v.keep, a.outcome, a.answer, a.value, a.p_yes, a.detail"
    " FROM now CROSS JOIN judged d ON d.setup = now.curate JOIN judgements a ON a.id = d.judgement JOIN captions c ON c.number = d.number"
    " JOIN verdicts v ON v.setup = d.setup AND v.number = d.number",

    /* Captions by where they are from, at each step of the current setups; as of when the step last ended. */
    "CREATE VIEW by_source AS SELECT name, is_file, coalesce(sum(n) FILTER (WHERE what = 'captions'), 0) AS captions,"
    " coalesce(sum(n) FILTER (WHERE what = 'kept'), 0) AS kept, coalesce(sum(n) FILTER (WHERE what = 'sampled'), 0) AS sampled,"
    " coalesce(sum(n) FILTER (WHERE what = 'drawn'), 0) AS drawn, coalesce(sum(n) FILTER (WHERE what = 'picked'), 0) AS picked"
    " FROM (SELECT coalesce(f.path, o.origin) AS name, f.id IS NOT NULL AS is_file, s.what, s.captions AS n FROM now CROSS JOIN shares s"
    "  LEFT JOIN sources f ON s.origin % 2 = 1 AND f.id = s.origin / 2 LEFT JOIN origins o ON s.origin % 2 = 0 AND o.id = s.origin / 2"
    "  WHERE s.setup = CASE s.what WHEN 'captions' THEN 0 WHEN 'kept' THEN now.curate WHEN 'sampled' THEN now.sample WHEN 'drawn' THEN now.generate"
    "   ELSE now.selection END)"
    " GROUP BY name, is_file ORDER BY captions DESC, name",

    /* The concepts in force: how many captions have each, and what balancing kept of them. */
    "CREATE VIEW concept_counts AS SELECT c.concept, c.name, c.captions, b.cap, b.quota, b.kept FROM now JOIN concepts c ON c.setup = now.concepts"
    " LEFT JOIN balances b ON b.setup = now.curate AND b.concept = c.concept ORDER BY c.captions DESC, c.concept",

    "CREATE VIEW rejected_by_rule AS SELECT rule, count(*) AS captions FROM now JOIN verdicts ON setup = curate AND keep = 0 GROUP BY rule"
    " ORDER BY captions DESC, rule",

    /* Candidates of the current generate setup with the current scores. */
    "CREATE VIEW scored AS SELECT printf('%09d-%d', d.number, d.k) AS candidate, d.number, d.k, c.id AS caption, d.outcome, d.reason, d.seed, d.file,"
    " x.value AS clip, y.value AS ssim"
    " FROM now CROSS JOIN candidates d ON d.setup = now.generate JOIN captions c ON c.number = d.number"
    " LEFT JOIN scores x ON x.setup = now.clip AND x.generate = d.setup AND x.number = d.number AND x.k = d.k"
    " LEFT JOIN scores y ON y.setup = now.ssim AND y.generate = d.setup AND y.number = d.number AND y.k = d.k",

    /* Where the number of pictures follows the scores: after which round each caption stopped, with how many pictures, and why. */
    "CREATE VIEW stopped AS SELECT c.id AS caption, t.number, t.round, r.want AS images, t.reason, t.k, t.value"
    " FROM current n CROSS JOIN stops t ON t.setup = n.setup JOIN rounds r ON r.setup = t.setup AND r.round = t.round"
    " JOIN captions c ON c.number = t.number WHERE n.stage = 'rounds'",

    /* All current scores, one row for each. */
    "CREATE VIEW measured AS SELECT printf('%09d-%d', x.number, x.k) AS candidate, x.number, x.k, c.name, x.value"
    " FROM now CROSS JOIN current c ON c.stage IN ('score', 'judge_image') CROSS JOIN scores x ON x.setup = c.setup AND x.generate = now.generate",

    /* Every candidate that a selection looked at, and what became of it: of any selection, then of the current one. */
    "CREATE VIEW explained_by AS SELECT s.id AS selection, printf('%09d-%d', d.number, d.k) AS candidate, d.number, d.k, c.id AS caption, x.value AS clip,"
    " y.value AS ssim, coalesce(s.weight_clip * x.value, 0) + coalesce(s.weight_ssim * y.value, 0) " OTHERS " AS weighted, p.rank, p.manual AS by_hand,"
    " CASE WHEN w.of_number IS NOT NULL THEN printf('%09d-%d', w.of_number, w.of_k) END AS duplicate_of, CASE"
    " WHEN p.rank IS NOT NULL THEN 'picked'"
    " WHEN d.outcome = 'failed' THEN 'failed: ' || d.reason"
    " WHEN d.outcome = 'pruned' THEN 'pruned'"
    " WHEN EXISTS(SELECT 1 FROM setups u JOIN stops t ON t.setup = u.id AND t.number = d.number AND t.reason = 'dropped' WHERE u.stage = 'rounds'"
    "  AND u.name = '' AND u.hash = json_extract(s.settings, '$.rounds')) THEN 'caption_dropped'"
    " WHEN w.reason IS NOT NULL THEN w.reason"
    " WHEN NOT EXISTS(SELECT 1 FROM samples m WHERE m.setup = s.sample AND m.number = d.number) THEN 'caption_not_in_sample'"
    " WHEN EXISTS(SELECT 1 FROM selection_scores z WHERE z.selection = s.id AND NOT EXISTS(SELECT 1 FROM scores q WHERE q.setup = z.setup"
    "  AND q.generate = d.setup AND q.number = d.number AND q.k = d.k)) THEN 'not_scored'"
    " WHEN EXISTS(SELECT 1 FROM selection_scores z JOIN scores q ON q.setup = z.setup AND q.generate = d.setup AND q.number = d.number AND q.k = d.k"
    "  WHERE z.selection = s.id AND q.value IS NULL) THEN 'score_not_finite'"
    " WHEN x.value < s.min_clip THEN 'below_min_clip'"
    " WHEN y.value < s.min_ssim THEN 'below_min_ssim'"
    " WHEN " BELOW " IS NOT NULL THEN 'below_min_' || " BELOW
    " WHEN coalesce(s.weight_clip * x.value, 0) + coalesce(s.weight_ssim * y.value, 0) " OTHERS " < s.min_weighted THEN 'below_min_weighted'"
    " WHEN (SELECT count(*) FROM picks r WHERE r.selection = s.id AND r.number = d.number) + (SELECT count(*) FROM drops r WHERE r.selection = s.id"
    "  AND r.number = d.number AND r.reason NOT IN ('manual', 'judge_image')) >= s.per_caption THEN 'better_sibling'"
    " ELSE 'below_cutoff' END AS reason"
    " FROM selections s CROSS JOIN candidates d ON d.setup = s.generate JOIN captions c ON c.number = d.number"
    " LEFT JOIN selection_scores cs ON cs.selection = s.id AND cs.name = 'clip'"
    " LEFT JOIN selection_scores ss ON ss.selection = s.id AND ss.name = 'ssim'"
    " LEFT JOIN scores x ON x.setup = cs.setup AND x.generate = d.setup AND x.number = d.number AND x.k = d.k"
    " LEFT JOIN scores y ON y.setup = ss.setup AND y.generate = d.setup AND y.number = d.number AND y.k = d.k"
    " LEFT JOIN picks p ON p.selection = s.id AND p.number = d.number AND p.k = d.k"
    " LEFT JOIN drops w ON w.selection = s.id AND w.number = d.number AND w.k = d.k",
    "CREATE VIEW explained AS SELECT e.candidate, e.number, e.k, e.caption, e.clip, e.ssim, e.weighted, e.rank, e.by_hand, e.duplicate_of, e.reason"
    " FROM now CROSS JOIN explained_by e ON e.selection = now.selection",

    "CREATE VIEW picked AS SELECT p.rank, printf('%09d-%d', p.number, p.k) AS candidate, c.id AS caption, coalesce(v.text, c.text) AS text, p.score,"
    " d.seed, d.file, o.origin, o.license"
    " FROM now CROSS JOIN selections s ON s.id = now.selection CROSS JOIN picks p ON p.selection = s.id JOIN captions c ON c.number = p.number"
    " JOIN origins o ON o.id = c.origin LEFT JOIN verdicts v ON v.setup = s.curate AND v.number = p.number"
    " LEFT JOIN candidates d ON d.setup = s.generate AND d.number = p.number AND d.k = p.k",

    /* Everything that must be equal after any interruption, as (kind, key, value): setups by hash instead of by id, sources by their bytes, no times.
     * `SELECT * FROM stable ORDER BY kind, key, value` of two runs of one recipe is the same text, however often one of them was killed. */
    "CREATE VIEW stable AS"
    " SELECT 'setup' AS kind, stage || ' ' || name || ' ' || hash AS key, json AS value FROM setups"
    " UNION ALL SELECT 'current', c.stage || ' ' || c.name, s.hash FROM current c JOIN setups s ON s.id = c.setup WHERE c.stage <> 'select'"
    " UNION ALL SELECT 'current', c.stage, s.hash FROM current c JOIN selections s ON s.id = c.setup WHERE c.stage = 'select'"
    " UNION ALL SELECT 'source', sha256, json_array(reading, size, complete, rows, added, repeated, faults) FROM sources"
    " UNION ALL SELECT 'caption', printf('%012d', c.number), json_array(c.id, c.text, s.sha256, c.line, o.origin, o.license)"
    "  FROM captions c JOIN sources s ON s.id = c.source JOIN origins o ON o.id = c.origin"
    " UNION ALL SELECT 'picture', printf('%012d', p.number), json_array(s.sha256, p.name) FROM pictures p JOIN sources s ON s.id = p.source"
    " UNION ALL SELECT 'fault', s.sha256 || printf(' %012d', f.line), json_array(f.reason, f.detail) FROM ingest_faults f JOIN sources s ON s.id = f.source"
    " UNION ALL SELECT 'verdict', s.hash || printf(' %012d', v.number), json_array(v.keep, v.rule, printf('%!.17g', v.value), printf('%!.17g', v.min),"
    "  printf('%!.17g', v.max), v.duplicate_of, v.text, v.stats, v.detail) FROM verdicts v JOIN setups s ON s.id = v.setup"
    " UNION ALL SELECT 'judgement', s.hash || ' ' || lower(hex(a.text_sha256)), json_array(a.outcome, a.answer, a.detail, printf('%!.17g', a.value),"
    "  printf('%!.17g', a.p_yes)) FROM judgements a JOIN setups s ON s.id = a.setup"
    " UNION ALL SELECT 'judged', s.hash || printf(' %012d', d.number), lower(hex(a.text_sha256)) FROM judged d JOIN setups s ON s.id = d.setup"
    "  JOIN judgements a ON a.id = d.judgement"
    " UNION ALL SELECT 'concept', s.hash || printf(' %07d', c.concept), json_array(c.name, c.captions) FROM concepts c JOIN setups s ON s.id = c.setup"
    " UNION ALL SELECT 'caption concept', s.hash || printf(' %012d %07d', c.number, c.concept), '' FROM caption_concepts c JOIN setups s ON s.id = c.setup"
    " UNION ALL SELECT 'balance', s.hash || printf(' %07d', b.concept), json_array(b.cap, b.quota, b.kept) FROM balances b JOIN setups s ON s.id = b.setup"
    " UNION ALL SELECT 'sample', s.hash || printf(' %012d', m.number), '' FROM samples m JOIN setups s ON s.id = m.setup"
    " UNION ALL SELECT 'candidate', s.hash || printf(' %012d-%06d', d.number, d.k), json_array(d.seed, d.outcome, d.reason, d.detail, d.file, d.bytes,"
    "  lower(hex(d.sha256)), d.width, d.height, d.tokens_cut) FROM candidates d JOIN setups s ON s.id = d.setup"
    " UNION ALL SELECT 'score', s.name || ' ' || s.hash || ' ' || g.hash || printf(' %012d-%06d', x.number, x.k),"
    "  CASE WHEN x.value IS NULL THEN 'not finite' ELSE printf('%!.17g', x.value) END"
    "  FROM scores x JOIN setups s ON s.id = x.setup JOIN setups g ON g.id = x.generate"
    " UNION ALL SELECT 'hash', g.hash || printf(' %012d-%06d', h.number, h.k), printf('%016x %016x %d', h.phash, h.dhash, h.compared)"
    "  FROM hashes h JOIN setups g ON g.id = h.generate"
    " UNION ALL SELECT 'preview', g.hash || printf(' %012d-%06d %06d', v.number, v.k, v.calls), printf('%!.17g', v.value)"
    "  FROM previews v JOIN setups g ON g.id = v.generate"
    " UNION ALL SELECT 'round', s.hash || printf(' %06d', r.round), json_array(r.want, r.captions, r.given) FROM rounds r JOIN setups s ON s.id = r.setup"
    " UNION ALL SELECT 'stop', s.hash || printf(' %012d', t.number), json_array(t.round, t.reason, t.k, printf('%!.17g', t.value))"
    "  FROM stops t JOIN setups s ON s.id = t.setup"
    " UNION ALL SELECT 'selection', hash, json_array(settings, candidates, eligible, captions, asked, picked, printf('%!.17g', cutoff), steps) FROM selections"
    " UNION ALL SELECT 'mean', s.hash || ' ' || m.name, json_array(printf('%!.17g', m.before), printf('%!.17g', m.after))"
    "  FROM selection_means m JOIN selections s ON s.id = m.selection"
    " UNION ALL SELECT 'pick', s.hash || printf(' %012d', p.rank), json_array(p.number, p.k, printf('%!.17g', p.score), p.manual)"
    "  FROM picks p JOIN selections s ON s.id = p.selection"
    " UNION ALL SELECT 'drop', s.hash || printf(' %012d-%06d', w.number, w.k), json_array(w.reason, w.of_number, w.of_k)"
    "  FROM drops w JOIN selections s ON s.id = w.selection"
    " UNION ALL SELECT 'export', e.path, json_array(e.format, e.options, s.hash, e.pairs, e.bytes, e.digest)"
    "  FROM exports e JOIN selections s ON s.id = e.selection",
};

static sv_status run_all(sv_ledger *l, const char *const *sql, size_t n, sv_error *err) {
    for (size_t i = 0; i < n; i++) SV_TRY(sv_sql_script(l, sql[i], err));
    return SV_OK;
}

/* Views hold no rows: those of an older version are dropped and made anew. */
static sv_status drop_views(sv_ledger *l, sv_error *err) {
    sv_buf drops = {0};
    sqlite3_stmt *s;
    bool row = true;
    sv_status st = sv_sql_query(l, &s, err, "SELECT name FROM sqlite_schema WHERE type = 'view'", "");
    while (st == SV_OK && (st = sv_sql_step(l, s, &row, err)) == SV_OK && row) sv_buf_printf(&drops, "DROP VIEW \"%s\";", sv_column_text(s, 0));
    if (st == SV_OK) st = sv_buf_ok(&drops, err);
    if (st == SV_OK && drops.data) st = sv_sql_script(l, drops.data, err);
    sv_buf_free(&drops);
    return st;
}

/* Brings a ledger from a version (0: empty) to this one. */
static sv_status build(sv_ledger *l, int64_t from, sv_error *err) {
    if (from < 1) SV_TRY(run_all(l, tables, sizeof tables / sizeof *tables, err));
    if (from < 2) SV_TRY(run_all(l, tables_2, sizeof tables_2 / sizeof *tables_2, err));
    if (from) SV_TRY(drop_views(l, err));   /* first: a table that a view names cannot be made anew */
    if (from < 3) SV_TRY(run_all(l, tables_3, sizeof tables_3 / sizeof *tables_3, err));
    SV_TRY(run_all(l, views, sizeof views / sizeof *views, err));
    sv_buf mark = {0};
    sv_buf_printf(&mark, "PRAGMA application_id = %d; PRAGMA user_version = %d", SV_LEDGER_APPLICATION, SV_LEDGER_VERSION);
    sv_status st = sv_buf_ok(&mark, err);
    if (st == SV_OK) st = sv_sql_script(l, mark.data, err);
    sv_buf_free(&mark);
    return st;
}

static sv_status upgrade(sv_ledger *l, int64_t from, sv_error *err) {
    SV_TRY(sv_ledger_begin(l, err));
    sv_status st = build(l, from, err);
    if (st != SV_OK) {
        sv_ledger_rollback(l);
        return st;
    }
    l->version = SV_LEDGER_VERSION;
    return sv_ledger_commit(l, err);
}

sv_status sv_schema_prepare(sv_ledger *l, bool fresh, sv_error *err) {
    int64_t application = 0, version = 0, objects = 0;
    SV_TRY(sv_sql_int(l, &application, err, "PRAGMA application_id", ""));
    SV_TRY(sv_sql_int(l, &version, err, "PRAGMA user_version", ""));
    SV_TRY(sv_sql_int(l, &objects, err, "SELECT count(*) FROM sqlite_schema", ""));
    /* An empty database is what a process leaves that was killed before its first commit. */
    if (!application && !version && !objects && l->writable) return upgrade(l, 0, err);
    if (application != SV_LEDGER_APPLICATION) {
        sv_fail(err, SV_E_INPUT, l->path, fresh || !objects ? "holds nothing: the run was stopped before its first row"
            : "is not a ledger (an SQLite file of something else)");
        return sv_hint(err, SV_E_INPUT, fresh || !objects ? "start the run again" : "name another run directory, or move this file away");
    }
    if (version > SV_LEDGER_VERSION) {
        sv_fail(err, SV_E_INPUT, l->path, "was written by a newer version of this program (schema %lld; this one reads %d)", (long long)version, SV_LEDGER_VERSION);
        return sv_hint(err, SV_E_INPUT, "use that version");
    }
    if (version < SV_LEDGER_VERSION && l->writable) return upgrade(l, version, err);
    l->version = (int)version;
    return SV_OK;
}
