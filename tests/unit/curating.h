/* curating.h - a run directory of a test: recipes in, rows out. Included once by a test program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "stages/rundir.h"

static char dir[64], run_dir[96], said[8192];
static sv_error err;
static int stop_after;               /* ticks of progress until the stop flag is raised; -1: never */
static volatile int stop_flag;

static void hear(void *user, sv_log_level level, const char *line) {
    size_t n = strlen(said);
    snprintf(said + n, sizeof said - n, "%s\n", line);
}

static void tick(void *user, const char *stage, uint64_t done, uint64_t total, uint64_t failed) {
    if (stop_after >= 0 && stop_after-- == 0) stop_flag = 1;
}

static int set_up(void **state) {
    strcpy(dir, "/tmp/sv-curating-XXXXXX");
    if (!mkdtemp(dir)) return 1;
    snprintf(run_dir, sizeof run_dir, "%s/run", dir);
    memset(&err, 0, sizeof err);
    stop_after = -1;
    stop_flag = 0;
    said[0] = 0;
    return 0;
}

static int tear_down(void **state) {
    return sv_dir_empty(dir, NULL) == SV_OK ? rmdir(dir) : 1;
}

static void put(const char *name, const void *data, size_t size) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (sv_file_write_atomic(path, data, size, &err) != SV_OK) fail_msg("%s: %s", path, err.why);
}

/* Curates with sources and more keys of `captions` (lines that begin with two blanks). */
static sv_status curate(const char *sources, const char *captions, sv_curate_report *r) {
    sv_recipe *recipe = NULL;
    sv_stage_options o = {.log = {.fn = hear}, .progress = {.fn = tick}, .stop = &stop_flag};
    char *text = NULL;
    if (asprintf(&text, "name: t\nseed: 7\ncaptions:\n  sources: [%s]\n%sgenerate: {model: m}\nscore: {clip: {model: c}}\n", sources, captions) < 0) fail();
    stop_flag = 0;
    sv_status st = sv_recipe_read(&recipe, text, strlen(text), "recipe.yaml", dir, NULL, 0, &err);
    if (st == SV_OK) st = sv_stage_curate(run_dir, recipe, &o, r, &err);
    sv_recipe_close(&recipe);
    free(text);
    return st;
}

#define OK(expr)                                                                              \
    do {                                                                                      \
        char ok_text_[2048];                                                                  \
        if ((expr) != SV_OK) fail_msg("%s: %s", #expr, sv_error_text(&err, ok_text_, sizeof ok_text_)); \
    } while (0)

/* Rows as "a|b\nc|d\n" (malloc). */
static char *rows(const char *sql) {
    sqlite3 *db;
    sqlite3_stmt *s;
    sv_buf b = {0};
    char path[160];
    snprintf(path, sizeof path, "%s/ledger.sqlite", run_dir);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sv_buf_puts(&b, "");
    while (sqlite3_step(s) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(s); i++) {
            const char *v = (const char *)sqlite3_column_text(s, i);
            sv_buf_printf(&b, "%s%c", v ? v : "-", i + 1 < sqlite3_column_count(s) ? '|' : '\n');
        }
    sqlite3_finalize(s);
    sqlite3_close(db);
    return b.data;
}

static void assert_rows(const char *sql, const char *expected) {
    char *found = rows(sql);
    assert_string_equal(found, expected);
    free(found);
}

static inline int64_t ask(const char *sql) {
    char *found = rows(sql);
    int64_t n = strtoll(found, NULL, 10);
    free(found);
    return n;
}
