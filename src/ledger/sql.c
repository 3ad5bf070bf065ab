/* sql.c - prepared statements by the address of their text, typed binding, errors in words. */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "ledger/internal.h"

sv_status sv_sql_fail(sv_ledger *l, int rc, sv_error *err) {
    const char *said = l->db ? sqlite3_errmsg(l->db) : sqlite3_errstr(rc);
    switch (rc & 0xFF) {
    case SQLITE_FULL:
        sv_fail(err, SV_E_IO, l->path, "the disk is full");
        return sv_hint(err, SV_E_IO, "free some space; what was finished is kept, and the same call goes on from there");
    case SQLITE_IOERR:
        sv_fail(err, SV_E_IO, l->path, "cannot read or write: %s (SQLite code %d)", said, l->db ? sqlite3_extended_errcode(l->db) : rc);
        return sv_hint(err, SV_E_IO, "is the disk full or gone? What was finished is kept, and the same call goes on from there");
    case SQLITE_CANTOPEN: return sv_fail(err, SV_E_IO, l->path, "cannot open: %s", said);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        sv_fail(err, SV_E_IO, l->path, "cannot write: %s", said);
        return sv_hint(err, SV_E_IO, "is the directory writable for this user?");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        sv_fail(err, SV_E_BUSY, l->path, "another process holds the ledger");
        return sv_hint(err, SV_E_BUSY, l->network ? "on a network file system nobody can read while a run works; wait until it has ended"
                                                  : "wait until it has ended");
    case SQLITE_NOTADB:
        sv_fail(err, SV_E_INPUT, l->path, "is not a ledger (not an SQLite file)");
        return sv_hint(err, SV_E_INPUT, "name another run directory, or move this file away");
    case SQLITE_CORRUPT:
        sv_fail(err, SV_E_INPUT, l->path, "the ledger is damaged: %s", said);
        return sv_hint(err, SV_E_INPUT, "bring it back from a copy, or let `sqlite3 %s .recover` save its rows", l->path);
    case SQLITE_NOMEM: return sv_fail_memory(err, l->path, 0);
    default: return sv_fail(err, SV_E_INTERNAL, l->path, "SQLite: %s (code %d)", said, rc);
    }
}

sv_status sv_sql_script(sv_ledger *l, const char *sql, sv_error *err) {
    int rc = sqlite3_exec(l->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? SV_OK : sv_sql_fail(l, rc, err);
}

/* The kept statement of a literal. Two literals of equal text may have two addresses: they are then kept twice, which does no harm. */
static sv_status prepare(sv_ledger *l, const char *sql, sqlite3_stmt **out, sv_error *err) {
    size_t slot = ((uintptr_t)sql * 0x9E3779B97F4A7C15u >> 32) & (SV_STATEMENTS - 1);
    size_t tried = 0;
    while (l->cache[slot].sql && l->cache[slot].sql != sql && tried++ < SV_STATEMENTS) slot = (slot + 1) & (SV_STATEMENTS - 1);
    if (l->cache[slot].sql && l->cache[slot].sql != sql) return sv_fail(err, SV_E_INTERNAL, l->path, "more SQL statements than slots for them");
    if (!l->cache[slot].sql) {
        int rc = sqlite3_prepare_v3(l->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &l->cache[slot].stmt, NULL);
        if (rc != SQLITE_OK) return sv_sql_fail(l, rc, err);
        l->cache[slot].sql = sql;
    }
    *out = l->cache[slot].stmt;
    sqlite3_reset(*out);
    return SV_OK;
}

static sv_status bind(sv_ledger *l, sqlite3_stmt *s, const char *types, va_list ap, sv_error *err) {
    int rc = SQLITE_OK;
    for (int i = 1; *types && rc == SQLITE_OK; types++, i++) {
        switch (*types) {
        case 'n': rc = sqlite3_bind_int(s, i, va_arg(ap, int)); break;
        case 'i': rc = sqlite3_bind_int64(s, i, va_arg(ap, int64_t)); break;
        case 'd': {
            double v = va_arg(ap, double);
            rc = isnan(v) ? sqlite3_bind_null(s, i) : sqlite3_bind_double(s, i, v);
            break;
        }
        case 't': {
            const char *t = va_arg(ap, const char *);
            rc = t ? sqlite3_bind_text(s, i, t, -1, SQLITE_STATIC) : sqlite3_bind_null(s, i);
            break;
        }
        default: {
            const void *p = va_arg(ap, const void *);
            size_t n = va_arg(ap, size_t);
            if (!p)
                rc = sqlite3_bind_null(s, i);
            else if (*types == 'T')
                rc = sqlite3_bind_text64(s, i, p, n, SQLITE_STATIC, SQLITE_UTF8);
            else
                rc = sqlite3_bind_blob64(s, i, p, n, SQLITE_STATIC);
        }
        }
    }
    return rc == SQLITE_OK ? SV_OK : sv_sql_fail(l, rc, err);
}

sv_status sv_sql_step(sv_ledger *l, sqlite3_stmt *s, bool *row, sv_error *err) {
    int rc = sqlite3_step(s);
    *row = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW) return SV_OK;
    sv_status st = rc == SQLITE_DONE ? SV_OK : sv_sql_fail(l, rc, err);   /* before the reset, which clears the text */
    sqlite3_reset(s);
    return st;
}

void sv_sql_done(sqlite3_stmt *s) {
    if (s) sqlite3_reset(s);
}

sv_status sv_sql_query(sv_ledger *l, sqlite3_stmt **out, sv_error *err, const char *sql, const char *types, ...) {
    SV_TRY(prepare(l, sql, out, err));
    va_list ap;
    va_start(ap, types);
    sv_status st = bind(l, *out, types, ap, err);
    va_end(ap);
    return st;
}

sv_status sv_sql_exec(sv_ledger *l, sv_error *err, const char *sql, const char *types, ...) {
    sqlite3_stmt *s;
    SV_TRY(prepare(l, sql, &s, err));
    va_list ap;
    va_start(ap, types);
    sv_status st = bind(l, s, types, ap, err);
    va_end(ap);
    bool row = true;
    while (st == SV_OK && row) st = sv_sql_step(l, s, &row, err);
    return st;
}

sv_status sv_sql_int(sv_ledger *l, int64_t *out, sv_error *err, const char *sql, const char *types, ...) {
    sqlite3_stmt *s;
    SV_TRY(prepare(l, sql, &s, err));
    va_list ap;
    va_start(ap, types);
    sv_status st = bind(l, s, types, ap, err);
    va_end(ap);
    bool row = false;
    if (st == SV_OK) st = sv_sql_step(l, s, &row, err);
    if (st == SV_OK && row && sqlite3_column_type(s, 0) != SQLITE_NULL) *out = sqlite3_column_int64(s, 0);
    if (row) sv_sql_done(s);
    return st;
}

double sv_column_real(sqlite3_stmt *s, int i) {
    return sqlite3_column_type(s, i) == SQLITE_NULL ? NAN : sqlite3_column_double(s, i);
}

const char *sv_column_text(sqlite3_stmt *s, int i) {
    return (const char *)sqlite3_column_text(s, i);
}

void sv_column_sha256(sqlite3_stmt *s, int i, char hex[SV_SHA256_HEX]) {
    const void *raw = sqlite3_column_blob(s, i);
    hex[0] = 0;
    if (raw && sqlite3_column_bytes(s, i) == 32) sv_hex(raw, 32, hex);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

sv_status sv_sha256_parse(const char *hex, uint8_t out[32], sv_error *err) {
    bool good = strlen(hex) == 64;
    for (int i = 0; good && i < 32; i++) {
        int a = hex_digit(hex[2 * i]), b = hex_digit(hex[2 * i + 1]);
        good = a >= 0 && b >= 0;
        if (good) out[i] = (uint8_t)(a << 4 | b);
    }
    return good ? SV_OK : sv_fail(err, SV_E_INTERNAL, "ledger", "\"%.80s\" is not a SHA-256 in lower-case hex", hex);
}
