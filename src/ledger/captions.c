/* captions.c - sources and captions. */
#include <stdlib.h>
#include <string.h>

#include "ledger/internal.h"

static void put_source(sqlite3_stmt *s, sv_source *out) {
    strncpy(out->sha256, sv_column_text(s, 1), sizeof out->sha256 - 1);
    out->id = sqlite3_column_int64(s, 0);
    out->size = sqlite3_column_int64(s, 2);
    out->mtime_ns = sqlite3_column_int64(s, 3);
    out->complete = sqlite3_column_int(s, 4);
    out->rows = sqlite3_column_int64(s, 5);
    out->added = sqlite3_column_int64(s, 6);
    out->repeated = sqlite3_column_int64(s, 7);
    out->faults = sqlite3_column_int64(s, 8);
}

sv_status sv_ledger_find_source(sv_ledger *l, const char *sha256, const char *path, int64_t size, int64_t mtime_ns, const char *reading,
                                sv_source *out, sv_error *err) {
    *out = (sv_source){0};
    sqlite3_stmt *s;
    bool row;
    if (sha256)
        SV_TRY(sv_sql_query(l, &s, err, "SELECT id, sha256, size, mtime_ns, complete, rows, added, repeated, faults FROM sources"
                            " WHERE sha256 = ?1 AND reading = ?2", "tt", sha256, reading));
    else
        SV_TRY(sv_sql_query(l, &s, err, "SELECT id, sha256, size, mtime_ns, complete, rows, added, repeated, faults FROM sources"
                            " WHERE path = ?1 AND size = ?2 AND mtime_ns = ?3 AND reading = ?4 ORDER BY id DESC LIMIT 1", "tiit", path, size, mtime_ns, reading));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (row) put_source(s, out);
    sv_sql_done(s);
    return SV_OK;
}

sv_status sv_ledger_find_path(sv_ledger *l, const char *path, const char *reading, sv_source *out, sv_error *err) {
    *out = (sv_source){0};
    sqlite3_stmt *s;
    bool row;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT id, sha256, size, mtime_ns, complete, rows, added, repeated, faults FROM sources"
                        " WHERE path = ?1 AND reading = ?2 AND complete = 1 ORDER BY id DESC LIMIT 1", "tt", path, reading));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (row) put_source(s, out);
    sv_sql_done(s);
    return SV_OK;
}

sv_status sv_ledger_add_source(sv_ledger *l, sv_source *s, const char *path, const char *reading, sv_error *err) {
    SV_TRY(sv_sql_exec(l, err, "INSERT INTO sources(sha256, reading, path, size, mtime_ns, complete, rows, added, repeated, faults)"
                       " VALUES(?1, ?2, ?3, ?4, ?5, 0, 0, 0, 0, 0)", "tttii", s->sha256, reading, path, s->size, s->mtime_ns));
    s->id = sqlite3_last_insert_rowid(l->db);
    return SV_OK;
}

sv_status sv_ledger_update_source(sv_ledger *l, const sv_source *s, sv_error *err) {
    return sv_sql_exec(l, err, "UPDATE sources SET complete = ?2, rows = ?3, added = ?4, repeated = ?5, faults = ?6 WHERE id = ?1", "iniiii", s->id,
                       (int)s->complete, s->rows, s->added, s->repeated, s->faults);
}

sv_status sv_ledger_touch_source(sv_ledger *l, int64_t source, const char *path, int64_t size, int64_t mtime_ns, sv_error *err) {
    return sv_sql_exec(l, err, "UPDATE sources SET path = ?2, size = ?3, mtime_ns = ?4 WHERE id = ?1", "itii", source, path, size, mtime_ns);
}

/* The id of a pair of origin and licence, remembered from row to row. */
static sv_status origin_id(sv_ledger *l, const char *origin, const char *license, int64_t *id, sv_error *err) {
    if (l->origin_id && strcmp(l->origin, origin) == 0 && strcmp(l->license, license) == 0) {
        *id = l->origin_id;
        return SV_OK;
    }
    static const char find[] = "SELECT id FROM origins WHERE origin = ?1 AND license = ?2";
    *id = 0;
    SV_TRY(sv_sql_int(l, id, err, find, "tt", origin, license));
    if (!*id) {
        SV_TRY(sv_sql_exec(l, err, "INSERT INTO origins(origin, license) VALUES(?1, ?2)", "tt", origin, license));
        *id = sqlite3_last_insert_rowid(l->db);
    }
    char *a = sv_strdup(origin), *b = sv_strdup(license);
    if (!a || !b) {
        free(a);
        free(b);
        return sv_fail_memory(err, l->path, 0);
    }
    free(l->origin);
    free(l->license);
    l->origin = a;
    l->license = b;
    l->origin_id = *id;
    return SV_OK;
}

/* An id that is taken: by the same text, or by another. */
static sv_status compare_known(sv_ledger *l, const sv_caption_row *row, sv_added *what, int64_t *number, sv_error *err) {
    sqlite3_stmt *s;
    bool found;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT number, text FROM captions WHERE id = ?1", "T", row->id, row->id_size));
    SV_TRY(sv_sql_step(l, s, &found, err));
    if (!found) return sv_fail(err, SV_E_INTERNAL, l->path, "a caption id is both taken and missing");
    *number = sqlite3_column_int64(s, 0);
    const char *text = sv_column_text(s, 1);
    bool same = text && (size_t)sqlite3_column_bytes(s, 1) == row->text_size && memcmp(text, row->text, row->text_size) == 0;
    *what = same ? SV_ADDED_SAME : SV_ADDED_OTHER;
    sv_sql_done(s);
    return SV_OK;
}

sv_status sv_ledger_add_caption(sv_ledger *l, const sv_caption_row *row, sv_added *what, int64_t *number, sv_error *err) {
    int64_t origin;
    SV_TRY(origin_id(l, row->origin, row->license, &origin, err));
    SV_TRY(sv_sql_exec(l, err, "INSERT INTO captions(id, text, source, line, origin) VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(id) DO NOTHING", "TTiii",
                       row->id, row->id_size, row->text, row->text_size, row->source, row->line, origin));
    if (!sqlite3_changes(l->db)) return compare_known(l, row, what, number, err);
    *what = SV_ADDED;
    *number = sqlite3_last_insert_rowid(l->db);
    return SV_OK;
}

sv_status sv_ledger_add_fault(sv_ledger *l, int64_t source, int64_t line, const char *reason, const char *detail, sv_error *err) {
    return sv_sql_exec(l, err, "INSERT INTO ingest_faults(source, line, reason, detail) VALUES(?1, ?2, ?3, ?4)", "iitt", source, line, reason, detail);
}

/* Numbers have no gaps: the last one is the count. */
sv_status sv_ledger_caption_count(sv_ledger *l, int64_t *count, sv_error *err) {
    *count = 0;
    return sv_sql_int(l, count, err, "SELECT max(number) FROM captions", "");
}

sv_status sv_ledger_caption_number(sv_ledger *l, const char *id, int64_t *number, sv_error *err) {
    *number = 0;
    return sv_sql_int(l, number, err, "SELECT number FROM captions WHERE id = ?1", "t", id);
}

sv_status sv_ledger_caption_id(sv_ledger *l, int64_t number, char **id, size_t *capacity, sv_error *err) {
    sqlite3_stmt *s;
    bool row;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT id FROM captions WHERE number = ?1", "i", number));
    SV_TRY(sv_sql_step(l, s, &row, err));
    if (!row) return sv_fail(err, SV_E_INTERNAL, l->path, "there is no caption number %lld", (long long)number);
    const char *text = sv_column_text(s, 0);
    size_t n = text ? (size_t)sqlite3_column_bytes(s, 0) : 0;
    if (n + 1 > *capacity) {
        char *more = realloc(*id, n + 64);
        if (!more) {
            sv_sql_done(s);
            return sv_fail_memory(err, l->path, n + 64);
        }
        *id = more;
        *capacity = n + 64;
    }
    memcpy(*id, text ? text : "", n);
    (*id)[n] = 0;
    sv_sql_done(s);
    return SV_OK;
}

void sv_caption_batch_free(sv_caption_batch *b) {
    sv_arena_free(&b->memory);
    free(b->items);
    *b = (sv_caption_batch){0};
}

/* Rows of (number, id, text) into the batch, to the end of the query. */
static sv_status fill(sv_ledger *l, sqlite3_stmt *s, sv_caption_batch *out, sv_error *err) {
    out->count = 0;
    sv_arena_reset(&out->memory);
    for (bool row = true;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        sv_caption_item item = {.number = sqlite3_column_int64(s, 0)};
        item.id = sv_arena_column(&out->memory, s, 1, NULL);
        item.text = sv_arena_column(&out->memory, s, 2, &item.size);
        if (!item.id || !item.text || !sv_grow((void **)&out->items, &out->capacity, out->count, sizeof *out->items)) {
            sv_sql_done(s);
            return sv_fail_memory(err, l->path, item.size);
        }
        out->items[out->count++] = item;
    }
}

sv_status sv_ledger_read_captions(sv_ledger *l, int64_t after, size_t limit, sv_caption_batch *out, sv_error *err) {
    sqlite3_stmt *s;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT number, id, text FROM captions WHERE number > ?1 ORDER BY number LIMIT ?2", "ii", after, (int64_t)limit));
    return fill(l, s, out, err);
}

sv_status sv_ledger_read_kept(sv_ledger *l, int64_t curate, int64_t after, size_t limit, sv_caption_batch *out, sv_error *err) {
    sqlite3_stmt *s;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT v.number, c.id, coalesce(v.text, c.text) FROM verdicts v CROSS JOIN captions c ON c.number = v.number"
                        " WHERE v.setup = ?1 AND v.number > ?2 AND v.keep = 1 ORDER BY v.number LIMIT ?3", "iii", curate, after, (int64_t)limit));
    return fill(l, s, out, err);
}
