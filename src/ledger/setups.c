/* setups.c - setups by the hash of their canonical JSON, and which of them are in force. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "ledger/internal.h"

const char *sv_stage_name(sv_stage stage) {
    static const char *const names[SV_STAGE_COUNT] = {"curate", "sample", "generate", "score", "judge", "concepts", "rounds", "judge_image"};
    return (unsigned)stage < SV_STAGE_COUNT ? names[stage] : "unknown";
}

static void put_setup(sqlite3_stmt *s, sv_setup *out) {
    *out = (sv_setup){.id = sqlite3_column_int64(s, 0)};
    snprintf(out->name, sizeof out->name, "%s", sv_column_text(s, 1));
    snprintf(out->hash, sizeof out->hash, "%s", sv_column_text(s, 2));
}

static sv_status canonical(sv_ledger *l, const char *json, char **out, sv_error *err) {
    yyjson_read_err why;
    yyjson_doc *doc = yyjson_read_opts((char *)json, strlen(json), YYJSON_READ_ALLOW_INF_AND_NAN, NULL, &why);
    if (!doc) return sv_fail(err, SV_E_INTERNAL, l->path, "a setup is not JSON: %s at byte %zu", why.msg, why.pos);
    *out = sv_json_canonical(yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    return *out ? SV_OK : sv_fail_memory(err, l->path, 0);
}

sv_status sv_ledger_setup(sv_ledger *l, sv_stage stage, const char *name, const char *json, sv_setup *out, sv_error *err) {
    *out = (sv_setup){0};
    if (strlen(name) >= sizeof out->name) return sv_fail(err, SV_E_INTERNAL, l->path, "the scorer name %s is too long", name);
    char *text = NULL;
    SV_TRY(canonical(l, json, &text, err));
    snprintf(out->name, sizeof out->name, "%s", name);
    sv_sha256_hex(text, strlen(text), out->hash);
    static const char find[] = "SELECT id FROM setups WHERE stage = ?1 AND name = ?2 AND hash = ?3";
    sv_status st = sv_sql_int(l, &out->id, err, find, "ttt", sv_stage_name(stage), name, out->hash);
    if (st == SV_OK && !out->id) {
        out->is_new = true;
        if ((st = sv_ledger_begin(l, err)) == SV_OK) {
            st = sv_sql_exec(l, err, "INSERT INTO setups(stage, name, hash, json) VALUES(?1, ?2, ?3, ?4)", "tttt", sv_stage_name(stage), name, out->hash, text);
            out->id = sqlite3_last_insert_rowid(l->db);
            if (st == SV_OK)
                st = sv_ledger_commit(l, err);
            else
                sv_ledger_rollback(l);
        }
    }
    free(text);
    return st;
}

static sv_status use(sv_ledger *l, sv_stage stage, const int64_t *setups, size_t n, sv_error *err) {
    SV_TRY(sv_sql_exec(l, err, "DELETE FROM current WHERE stage = ?1", "t", sv_stage_name(stage)));
    for (size_t i = 0; i < n; i++) {
        SV_TRY(sv_sql_exec(l, err, "INSERT INTO current(stage, name, setup) SELECT stage, name, id FROM setups WHERE id = ?1 AND stage = ?2", "it",
                           setups[i], sv_stage_name(stage)));
        if (sqlite3_changes(l->db) != 1)
            return sv_fail(err, SV_E_INTERNAL, l->path, "setup %lld is not one of stage %s", (long long)setups[i], sv_stage_name(stage));
    }
    return SV_OK;
}

sv_status sv_ledger_use(sv_ledger *l, sv_stage stage, const int64_t *setups, size_t n, sv_error *err) {
    /* Nothing to write is the usual case; a write transaction for it would cost a sync. */
    int64_t there = 0, same = 0;
    SV_TRY(sv_sql_int(l, &there, err, "SELECT count(*) FROM current WHERE stage = ?1", "t", sv_stage_name(stage)));
    for (size_t i = 0; i < n; i++) {
        int64_t one = 0;
        SV_TRY(sv_sql_int(l, &one, err, "SELECT count(*) FROM current WHERE stage = ?1 AND setup = ?2", "ti", sv_stage_name(stage), setups[i]));
        same += one;
    }
    if (there == (int64_t)n && same == there) return SV_OK;
    SV_TRY(sv_ledger_begin(l, err));
    sv_status st = use(l, stage, setups, n, err);
    if (st == SV_OK) return sv_ledger_commit(l, err);
    sv_ledger_rollback(l);
    return st;
}

sv_status sv_ledger_current(sv_ledger *l, sv_stage stage, const char *name, sv_setup *out, sv_error *err) {
    *out = (sv_setup){0};
    sqlite3_stmt *s;
    bool row;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT s.id, s.name, s.hash FROM current c JOIN setups s ON s.id = c.setup WHERE c.stage = ?1 AND c.name = ?2",
                        "tt", sv_stage_name(stage), name));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (row) put_setup(s, out);
    sv_sql_done(s);
    return SV_OK;
}

sv_status sv_ledger_current_scores(sv_ledger *l, sv_setup out[SV_MAX_SCORERS], size_t *n, sv_error *err) {
    *n = 0;
    sqlite3_stmt *s;
    bool row;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT s.id, s.name, s.hash FROM current c JOIN setups s ON s.id = c.setup WHERE c.stage = 'score' ORDER BY c.name", ""));
    for (;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        if (*n == SV_MAX_SCORERS) {
            sv_sql_done(s);
            return sv_fail(err, SV_E_INTERNAL, l->path, "more than %d scorers", SV_MAX_SCORERS);
        }
        put_setup(s, &out[(*n)++]);
    }
}

sv_status sv_ledger_setup_hash(sv_ledger *l, int64_t setup, char hash[SV_SHA256_HEX], sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT hash FROM setups WHERE id = ?1", "i", setup));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (!row) return sv_fail(err, SV_E_INTERNAL, l->path, "there is no setup %lld", (long long)setup);
    snprintf(hash, SV_SHA256_HEX, "%s", sv_column_text(s, 0));
    sv_sql_done(s);
    return SV_OK;
}

sv_status sv_ledger_setup_json(sv_ledger *l, int64_t setup, char **json, sv_error *err) {
    *json = NULL;
    sqlite3_stmt *s;
    bool row;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT json FROM setups WHERE id = ?1", "i", setup));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (!row) return sv_fail(err, SV_E_INTERNAL, l->path, "there is no setup %lld", (long long)setup);
    *json = sv_strdup(sv_column_text(s, 0));
    sv_sql_done(s);
    return *json ? SV_OK : sv_fail_memory(err, l->path, 0);
}

/* The curation is the one that the sample was drawn from, which is an older one while a new curation is under way. */
sv_status sv_ledger_scope(sv_ledger *l, sv_scope *out, sv_error *err) {
    sv_setup sample;
    *out = (sv_scope){0};
    SV_TRY(sv_ledger_current(l, SV_STAGE_SAMPLE, "", &sample, err));
    out->sample = sample.id;
    SV_TRY(sv_sql_int(l, &out->curate, err, "SELECT c.id FROM setups s JOIN setups c ON c.stage = 'curate' AND c.hash = json_extract(s.json, '$.curate')"
                      " WHERE s.id = ?1", "i", sample.id));
    if (out->curate) return SV_OK;
    sv_fail(err, SV_E_INPUT, l->path, "the captions have not been curated yet");
    return sv_hint(err, SV_E_INPUT, "synthvlm curate RECIPE -o DIR, or synthvlm run RECIPE -o DIR for everything");
}
