/* ledger.c - opening, closing, transactions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "ledger/internal.h"

/* File systems whose pages are not shared memory between machines, or whose locks are another program's word (statfs(2), linux/magic.h). */
static const struct { unsigned long magic; const char *name; } network_systems[] = {
    {0x6969, "NFS"},         {0x517B, "SMB"},       {0xFF534D42, "CIFS"},  {0xFE534D42, "SMB2"},   {0x65735546, "FUSE"},  {0x01021997, "9P"},
    {0x00C36400, "Ceph"},    {0x5346414F, "AFS"},   {0x6B414653, "kAFS"},  {0x73757245, "Coda"},   {0x0BD00BD0, "Lustre"}, {0x47504653, "GPFS"},
    {0x19830326, "BeeGFS"},  {0x7461636F, "OCFS2"}, {0x01161970, "GFS2"},  {0x786F4256, "vboxsf"}, {0xAAD7AAEA, "PanFS"},
};

static bool is_network(const char *path) {
    char *dir = sv_path_dir(path);
    struct statfs s;
    bool found = false;
    if (dir && statfs(dir, &s) == 0)
        for (size_t i = 0; i < sizeof network_systems / sizeof *network_systems; i++)
            if (((unsigned long)s.f_type & 0xFFFFFFFFul) == network_systems[i].magic) found = true;
    free(dir);
    return found;
}

static sv_status open_file(sv_ledger *l, const char *name, int flags, sv_error *err) {
    int rc = sqlite3_open_v2(name, &l->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK) return sv_sql_fail(l, rc, err);
    sqlite3_extended_result_codes(l->db, 0);
    sqlite3_busy_timeout(l->db, 10000);
    return SV_OK;
}

/* A finished ledger on a disk that cannot be written (a read-only mount, somebody else's directory): SQLite cannot make the index of the write-ahead
 * log there, and does not need it when there is no log. */
static sv_status reopen_immutable(sv_ledger *l, sv_error *err) {
    sv_buf uri = {0};
    sv_buf_puts(&uri, "file:");
    for (const char *p = l->path; *p; p++) {
        if (*p == '?' || *p == '#' || *p == '%')
            sv_buf_printf(&uri, "%%%02X", (unsigned char)*p);
        else
            sv_buf_putc(&uri, *p);
    }
    sv_buf_puts(&uri, "?immutable=1");
    sv_status st = sv_buf_ok(&uri, err);
    sqlite3_close(l->db);
    l->db = NULL;
    if (st == SV_OK) st = open_file(l, uri.data, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, err);
    sv_buf_free(&uri);
    return st;
}

static bool has_log(const sv_ledger *l) {
    sv_buf wal = {0};
    sv_buf_printf(&wal, "%s-wal", l->path);
    struct stat s;
    bool found = wal.data && stat(wal.data, &s) == 0 && s.st_size > 0;
    sv_buf_free(&wal);
    return found;
}

static sv_status set_up(sv_ledger *l, bool fresh, sv_error *err) {
    if (!l->writable) {
        sv_status st = sv_sql_script(l, "PRAGMA query_only = ON; SELECT count(*) FROM sqlite_schema", err);
        if ((st == SV_E_IO) && !has_log(l)) st = reopen_immutable(l, err);
        SV_TRY(st);
    } else if (l->network) {
        SV_TRY(sv_sql_script(l, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL", err));
    } else {
        SV_TRY(sv_sql_script(l, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864", err));
    }
    /* 64 MB of pages: enough for the hot ends of every index; memory stays flat however large the ledger grows. */
    SV_TRY(sv_sql_script(l, "PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF", err));
    return sv_schema_prepare(l, fresh, err);
}

sv_status sv_ledger_open(sv_ledger **out, const char *path, int mode, sv_error *err) {
    *out = NULL;
    sv_ledger *l = calloc(1, sizeof *l);
    if (!l || !(l->path = sv_strdup(path))) {
        free(l);
        return sv_fail_memory(err, path, sizeof *l);
    }
    l->writable = mode & SV_LEDGER_WRITE;
    l->network = (mode & SV_LEDGER_NETWORK) || is_network(path);
    struct stat s;
    bool fresh = stat(path, &s) != 0;
    sv_status st;
    if (fresh && errno != ENOENT && errno != ENOTDIR)
        st = sv_fail_errno(err, path, "cannot open");
    else if (fresh && !l->writable)
        st = sv_fail(err, SV_E_INPUT, path, "there is no ledger");
    else
        st = open_file(l, path, l->writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY, err);
    if (st == SV_OK) st = set_up(l, fresh, err);
    if (st != SV_OK) {
        sv_ledger_close(&l);
        return st;
    }
    *out = l;
    return SV_OK;
}

void sv_ledger_close(sv_ledger **lp) {
    sv_ledger *l = *lp;
    if (!l) return;
    *lp = NULL;
    sv_ledger_rollback(l);
    for (size_t i = 0; i < SV_STATEMENTS; i++) sqlite3_finalize(l->cache[i].stmt);
    if (l->db && l->writable && !l->network) {
        /* At rest the ledger is one plain file that can be read from anywhere, read-only disks included. While somebody reads that cannot be had; then the
         * log stays, and the next writer's close brings it in. */
        sqlite3_busy_timeout(l->db, 0);
        sqlite3_wal_checkpoint_v2(l->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        sqlite3_exec(l->db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    }
    sqlite3_close(l->db);
    free(l->origin);
    free(l->license);
    free(l->path);
    free(l);
}

bool sv_ledger_on_network(const sv_ledger *l) {
    return l->network;
}

static sv_status begin(sv_ledger *l, const char *how, sv_error *err) {
    if (l->begun) return sv_fail(err, SV_E_INTERNAL, l->path, "a transaction is open already");
    SV_TRY(sv_sql_script(l, how, err));
    l->begun = true;
    return SV_OK;
}

sv_status sv_ledger_begin(sv_ledger *l, sv_error *err) {
    return begin(l, "BEGIN IMMEDIATE", err);
}

sv_status sv_ledger_begin_read(sv_ledger *l, sv_error *err) {
    return begin(l, "BEGIN", err);
}

sv_status sv_ledger_commit(sv_ledger *l, sv_error *err) {
    if (!l->begun) return sv_fail(err, SV_E_INTERNAL, l->path, "no transaction is open");
    sv_status st = sv_sql_script(l, "COMMIT", err);
    if (st == SV_OK)
        l->begun = false;
    else
        sv_ledger_rollback(l);
    return st;
}

void sv_ledger_rollback(sv_ledger *l) {
    if (!l->begun) return;
    for (size_t i = 0; i < SV_STATEMENTS; i++) sqlite3_reset(l->cache[i].stmt);   /* a statement in the middle of its rows would hold it open */
    if (!sqlite3_get_autocommit(l->db)) sqlite3_exec(l->db, "ROLLBACK", NULL, NULL, NULL);
    l->begun = false;
    l->origin_id = 0;   /* the row may have gone with the transaction */
}
