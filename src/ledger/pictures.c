/* pictures.c - captions that came with a picture, and what filters have measured of it. */
#include "ledger/internal.h"

sv_status sv_ledger_put_picture(sv_ledger *l, int64_t number, int64_t source, const char *name, sv_error *err) {
    return sv_sql_exec(l, err, "INSERT INTO pictures(number, source, name) VALUES(?1, ?2, ?3)"
                       " ON CONFLICT DO UPDATE SET source = excluded.source, name = excluded.name", "iit", number, source, name);
}

sv_status sv_ledger_put_picture_folder(sv_ledger *l, int64_t source, const char *folder, sv_error *err) {
    int64_t known = 0;
    SV_TRY(sv_sql_int(l, &known, err, "SELECT 1 FROM picture_folders WHERE source = ?1 AND folder = ?2", "it", source, folder));
    if (known) return SV_OK;
    SV_TRY(sv_ledger_begin(l, err));
    sv_status st = sv_sql_exec(l, err, "INSERT INTO picture_folders(source, folder) VALUES(?1, ?2) ON CONFLICT DO UPDATE SET folder = excluded.folder", "it",
                               source, folder);
    if (st == SV_OK) return sv_ledger_commit(l, err);
    sv_ledger_rollback(l);
    return st;
}

sv_status sv_ledger_each_picture(sv_ledger *l, int64_t after, int64_t upto, sv_picture_fn fn, void *user, sv_error *err) {
    sqlite3_stmt *s;
    if (l->version < 3) return SV_OK;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT p.number, f.folder, p.name FROM pictures p JOIN picture_folders f ON f.source = p.source"
                        " WHERE p.number > ?1 AND p.number <= ?2 ORDER BY p.number", "ii", after, upto));
    for (bool row = true;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        sv_status st = fn(user, sqlite3_column_int64(s, 0), sv_column_text(s, 1), sv_column_text(s, 2), err);
        if (st != SV_OK) {
            sv_sql_done(s);
            return st;
        }
    }
}

sv_status sv_ledger_picture_count(sv_ledger *l, int64_t *count, sv_error *err) {
    *count = 0;
    return l->version < 3 ? SV_OK : sv_sql_int(l, count, err, "SELECT count(*) FROM pictures", "");
}

sv_status sv_ledger_put_picture_stat(sv_ledger *l, int64_t setup, int64_t number, int64_t key, double value, sv_error *err) {
    return sv_sql_exec(l, err, "INSERT INTO picture_stats(setup, number, key, value) VALUES(?1, ?2, ?3, ?4)"
                       " ON CONFLICT DO UPDATE SET key = excluded.key, value = excluded.value", "iiid", setup, number, key, value);
}

sv_status sv_ledger_each_picture_stat(sv_ledger *l, int64_t setup, int64_t after, int64_t upto, sv_picture_stat_fn fn, void *user, sv_error *err) {
    sqlite3_stmt *s;
    SV_TRY(sv_sql_query(l, &s, err, "SELECT number, key, value FROM picture_stats WHERE setup = ?1 AND number > ?2 AND number <= ?3 ORDER BY number", "iii",
                        setup, after, upto));
    for (bool row = true;;) {
        SV_TRY(sv_sql_step(l, s, &row, err));
        if (!row) return SV_OK;
        sv_status st = fn(user, sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), sqlite3_column_double(s, 2), err);
        if (st != SV_OK) {
            sv_sql_done(s);
            return st;
        }
    }
}
