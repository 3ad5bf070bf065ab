/* internal.h - what the files of src/ledger/ share: the handle, prepared statements, error translation, memory of batches. */
#ifndef SV_LEDGER_INTERNAL_H
#define SV_LEDGER_INTERNAL_H

#include <sqlite3.h>

#include "base/str.h"
#include "ledger/ledger.h"

#define SV_LEDGER_APPLICATION 0x53564C31   /* "SVL1" in the file's header: tells a ledger from any other SQLite file */
#define SV_LEDGER_VERSION 3

#define SV_STATEMENTS 256                  /* slots, a power of two well above the number of statements in this directory */

struct sv_ledger {
    sqlite3 *db;
    char *path;
    bool writable, network, begun;
    int version;                           /* of the schema; below SV_LEDGER_VERSION only where an older ledger is read and not written */
    struct { const char *sql; sqlite3_stmt *stmt; } cache[SV_STATEMENTS];   /* keyed by the address of the SQL literal */
    int64_t origin_id;                     /* the last pair of origin and licence looked up: nearly every row has the same */
    char *origin, *license;
};

/* ---- schema.c ---- */
/* Makes the tables of a new file, or checks that this is a ledger of a version that this program reads. */
sv_status sv_schema_prepare(sv_ledger *l, bool fresh, sv_error *err);

/* ---- sql.c ---- */
/* The error of the last failed call on l, translated: what failed, why, and what helps. */
sv_status sv_sql_fail(sv_ledger *l, int rc, sv_error *err);
/* Runs SQL text without parameters or results, not kept. */
sv_status sv_sql_script(sv_ledger *l, const char *sql, sv_error *err);

/* Prepares (once; sql must be a literal) and binds. Each letter of `types` takes one argument: n int, i int64_t, d double (NaN becomes NULL),
 * t const char * (NULL becomes NULL), T const char * and size_t, B const void * and size_t. Text is not copied: it must live until the
 * statement has run. The statement must be reset by whoever steps it (sv_sql_done). */
sv_status sv_sql_query(sv_ledger *l, sqlite3_stmt **out, sv_error *err, const char *sql, const char *types, ...);
/* Steps: *row true if there is one. At the end, and on failure, the statement is reset. */
sv_status sv_sql_step(sv_ledger *l, sqlite3_stmt *s, bool *row, sv_error *err);
/* Ends a query before its last row. */
void sv_sql_done(sqlite3_stmt *s);
/* Query without results. */
sv_status sv_sql_exec(sv_ledger *l, sv_error *err, const char *sql, const char *types, ...);
/* Query for one integer; *out keeps its value when there is no row or it is NULL. */
sv_status sv_sql_int(sv_ledger *l, int64_t *out, sv_error *err, const char *sql, const char *types, ...);

/* A column as double: NaN for NULL. */
double sv_column_real(sqlite3_stmt *s, int i);
/* A column as text that lives until the next step; NULL for NULL. */
const char *sv_column_text(sqlite3_stmt *s, int i);
/* SHA-256 columns are 32-byte blobs; hex gets 64 digits, or "" for NULL. */
void sv_column_sha256(sqlite3_stmt *s, int i, char hex[SV_SHA256_HEX]);
/* 64 hex digits to 32 bytes; SV_E_INTERNAL for anything else. */
sv_status sv_sha256_parse(const char *hex, uint8_t out[32], sv_error *err);

/* ---- arena.c: the strings of one batch, freed or reused as a whole ---- */
typedef struct sv_arena_block sv_arena_block;
void *sv_arena_take(sv_arena_block **a, size_t size);                       /* aligned to 8; NULL when memory runs out */
char *sv_arena_text(sv_arena_block **a, const char *s, size_t n);           /* a NUL-terminated copy */
char *sv_arena_column(sv_arena_block **a, sqlite3_stmt *s, int i, size_t *size);   /* copy of a text column ("" for NULL) */
void sv_arena_reset(sv_arena_block **a);                                    /* keeps one block */
void sv_arena_free(sv_arena_block **a);
/* Makes room for one more item of `size` bytes in a growing array. */
bool sv_grow(void **items, size_t *capacity, size_t count, size_t size);

/* ---- cursors.c: narrow tables walked side by side in (number, k) order ---- */
typedef struct sv_cursor {
    sqlite3_stmt *stmt;
    int64_t number;
    int k;
    double value;        /* scores only */
    bool end;
} sv_cursor;
/* Opens on good candidates, scores, or the sample (k is then 0), after (number, k). Cursors have statements of their own: any number may be open. */
sv_status sv_cursor_candidates(sv_ledger *l, sv_cursor *c, int64_t generate, int64_t after_number, int after_k, sv_error *err);
sv_status sv_cursor_scores(sv_ledger *l, sv_cursor *c, int64_t score, int64_t generate, int64_t after_number, int after_k, sv_error *err);
sv_status sv_cursor_sample(sv_ledger *l, sv_cursor *c, int64_t sample, int64_t after_number, sv_error *err);
/* Candidates of any outcome (value: sv_outcome), and captions that stopped (k is 0). */
sv_status sv_cursor_tried(sv_ledger *l, sv_cursor *c, int64_t generate, sv_error *err);
sv_status sv_cursor_stops(sv_ledger *l, sv_cursor *c, int64_t rounds, sv_error *err);
/* Candidates that have hashes. */
sv_status sv_cursor_hashes(sv_ledger *l, sv_cursor *c, int64_t generate, int64_t after_number, int after_k, sv_error *err);
sv_status sv_cursor_next(sv_ledger *l, sv_cursor *c, sv_error *err);
/* Moves on until the cursor is at or past (number, k). */
sv_status sv_cursor_seek(sv_ledger *l, sv_cursor *c, int64_t number, int k, sv_error *err);
static inline bool sv_cursor_at(const sv_cursor *c, int64_t number, int k) { return !c->end && c->number == number && c->k == k; }
void sv_cursor_close(sv_cursor *c);

#endif
