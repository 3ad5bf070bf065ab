/* The ledger: transactions, setups, what is still to be drawn and scored, selections, files that are not ledgers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "ledger/ledger.h"

static char dir[64], path[128];
static sv_error err;

#define OK(expr)                                                       \
    do {                                                               \
        sv_status ok_ = (expr);                                        \
        char ok_text_[2048];                                           \
        if (ok_ != SV_OK) fail_msg("%s: %s", #expr, sv_error_text(&err, ok_text_, sizeof ok_text_)); \
    } while (0)

static int set_up(void **state) {
    strcpy(dir, "/tmp/sv-ledger-XXXXXX");
    if (!mkdtemp(dir)) return 1;
    snprintf(path, sizeof path, "%s/ledger.sqlite", dir);
    memset(&err, 0, sizeof err);
    return 0;
}

static int tear_down(void **state) {
    if (sv_dir_empty(dir, NULL) != SV_OK) return 1;
    return rmdir(dir);
}

static sv_ledger *open_ledger(int mode) {
    sv_ledger *l = NULL;
    OK(sv_ledger_open(&l, path, mode, &err));
    return l;
}

/* One integer from SQL, over a connection of its own: what any other program sees. */
static int64_t ask(const char *sql) {
    sqlite3 *db;
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    int64_t v = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return v;
}

/* All of `stable`, in order (malloc). */
static char *stable(void) {
    sqlite3 *db;
    sqlite3_stmt *s;
    sv_buf b = {0};
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT kind, key, value FROM stable ORDER BY 1, 2, 3", -1, &s, NULL), SQLITE_OK);
    while (sqlite3_step(s) == SQLITE_ROW)
        sv_buf_printf(&b, "%s|%s|%s\n", sqlite3_column_text(s, 0), sqlite3_column_text(s, 1), sqlite3_column_text(s, 2));
    sqlite3_finalize(s);
    sqlite3_close(db);
    assert_non_null(b.data);
    return b.data;
}

static int64_t add_source(sv_ledger *l) {
    sv_source s = {.size = 10};
    sv_sha256_hex("x", 1, s.sha256);
    OK(sv_ledger_add_source(l, &s, "pool.jsonl", "{}", &err));
    return s.id;
}

static sv_added add_caption(sv_ledger *l, int64_t source, const char *id, const char *text, int64_t *number) {
    sv_added what;
    sv_caption_row row = {.id = id, .id_size = strlen(id), .text = text, .text_size = strlen(text), .source = source, .line = 1, .origin = "web", .license = "CC0"};
    OK(sv_ledger_add_caption(l, &row, &what, number, &err));
    return what;
}

static sv_setup make_setup(sv_ledger *l, sv_stage stage, const char *name, const char *json) {
    sv_setup s;
    OK(sv_ledger_setup(l, stage, name, json, &s, &err));
    return s;
}

/* A run with n captions "c0001"…, all kept and sampled. */
typedef struct world {
    sv_ledger *l;
    sv_scope scope;
    int64_t generate, clip, ssim;
} world;

static world make_world(int n, int mode) {
    world w = {.l = open_ledger(SV_LEDGER_WRITE | mode)};
    sv_setup curate = make_setup(w.l, SV_STAGE_CURATE, "", "{\"process\":[]}");
    char json[128];
    snprintf(json, sizeof json, "{\"curate\":\"%s\"}", curate.hash);
    w.scope = (sv_scope){curate.id, make_setup(w.l, SV_STAGE_SAMPLE, "", json).id};
    w.generate = make_setup(w.l, SV_STAGE_GENERATE, "", "{\"steps\":20}").id;
    w.clip = make_setup(w.l, SV_STAGE_SCORE, "clip", "{\"score\":\"clip\"}").id;
    w.ssim = make_setup(w.l, SV_STAGE_SCORE, "ssim", "{\"score\":\"ssim\"}").id;
    OK(sv_ledger_begin(w.l, &err));
    int64_t source = add_source(w.l);
    for (int i = 1; i <= n; i++) {
        char id[16], text[32];
        int64_t number;
        snprintf(id, sizeof id, "c%04d", i);
        snprintf(text, sizeof text, "caption %d", i);
        assert_int_equal(add_caption(w.l, source, id, text, &number), SV_ADDED);
        assert_int_equal(number, i);
        sv_verdict v = {.number = i, .keep = true, .value = NAN, .min = NAN, .max = NAN, .duplicate_of = -1};
        OK(sv_ledger_add_verdict(w.l, w.scope.curate, &v, false, &err));
    }
    OK(sv_ledger_commit(w.l, &err));
    OK(sv_ledger_set_sample(w.l, w.scope.sample, w.scope.curate, NULL, 0, &err));
    OK(sv_ledger_use(w.l, SV_STAGE_CURATE, &w.scope.curate, 1, &err));
    OK(sv_ledger_use(w.l, SV_STAGE_SAMPLE, &w.scope.sample, 1, &err));
    OK(sv_ledger_use(w.l, SV_STAGE_GENERATE, &w.generate, 1, &err));
    OK(sv_ledger_use(w.l, SV_STAGE_SCORE, (int64_t[]){w.clip, w.ssim}, 2, &err));
    return w;
}

static void draw(world *w, int64_t number, int k, bool ok) {
    char file[64], sha256[SV_SHA256_HEX];
    snprintf(file, sizeof file, "images/x/%09d-%d.jpg", (int)number, k);
    sv_sha256_hex(file, strlen(file), sha256);
    sv_candidate c = {.number = number, .k = k, .seed = 4294967295u, .ok = ok, .reason = "not_finite", .detail = "NaN", .file = file, .bytes = 1000, .sha256 = sha256,
                      .width = 128, .height = 96};
    OK(sv_ledger_add_candidate(w->l, w->generate, &c, &err));
}

/* ---- cases ---- */

static void opens_and_refuses(void **state) {
    sv_ledger *l = NULL;
    assert_int_equal(sv_ledger_open(&l, path, SV_LEDGER_READ, &err), SV_E_INPUT);
    assert_null(l);
    l = open_ledger(SV_LEDGER_WRITE);
    sv_ledger_close(&l);
    assert_null(l);
    assert_false(sv_file_exists("ledger.sqlite-wal"));
    l = open_ledger(SV_LEDGER_READ);
    assert_int_not_equal(sv_ledger_begin(l, &err), SV_OK);   /* a reader changes nothing */
    sv_ledger_close(&l);

    OK(sv_file_write_atomic(path, "this is no database at all, but it is long enough to look at: ........................................", 100, &err));
    assert_int_equal(sv_ledger_open(&l, path, SV_LEDGER_WRITE, &err), SV_E_INPUT);
    assert_non_null(strstr(err.why, "not a ledger"));
    unlink(path);

    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE other(x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(sv_ledger_open(&l, path, SV_LEDGER_WRITE, &err), SV_E_INPUT);
    assert_non_null(strstr(err.why, "something else"));
    unlink(path);

    l = open_ledger(SV_LEDGER_WRITE);
    sv_ledger_close(&l);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(sv_ledger_open(&l, path, SV_LEDGER_WRITE, &err), SV_E_INPUT);
    assert_non_null(strstr(err.why, "newer version"));
    assert_non_null(strstr(err.why, "99"));
}

static void damaged_file_is_told(void **state) {
    world w = make_world(2000, 0);
    sv_ledger_close(&w.l);
    char *data;
    size_t size;
    OK(sv_file_read(path, 0, &data, &size, &err));
    memset(data + 4096, 0xAB, size - 4096);   /* every page but the first */
    OK(sv_file_write_atomic(path, data, size, &err));
    free(data);
    sv_ledger *l = NULL;
    sv_status st = sv_ledger_open(&l, path, SV_LEDGER_READ, &err);
    sv_caption_batch b = {0};
    if (st == SV_OK) st = sv_ledger_read_captions(l, 0, 100, &b, &err);
    assert_int_equal(st, SV_E_INPUT);
    assert_non_null(strstr(err.why, "damaged"));
    sv_caption_batch_free(&b);
    sv_ledger_close(&l);
}

static void transactions(void **state) {
    sv_ledger *l = open_ledger(SV_LEDGER_WRITE);
    int64_t number, count;
    OK(sv_ledger_begin(l, &err));
    int64_t source = add_source(l);
    add_caption(l, source, "a", "one", &number);
    assert_int_equal(ask("SELECT count(*) FROM captions"), 0);   /* a reader sees only what is committed */
    sv_ledger_rollback(l);
    OK(sv_ledger_caption_count(l, &count, &err));
    assert_int_equal(count, 0);

    OK(sv_ledger_begin(l, &err));
    source = add_source(l);
    assert_int_equal(add_caption(l, source, "a", "one", &number), SV_ADDED);
    assert_int_equal(number, 1);
    assert_int_equal(add_caption(l, source, "a", "one", &number), SV_ADDED_SAME);
    assert_int_equal(number, 1);
    assert_int_equal(add_caption(l, source, "a", "two", &number), SV_ADDED_OTHER);
    assert_int_equal(add_caption(l, source, "b", "", &number), SV_ADDED);
    assert_int_equal(number, 2);
    OK(sv_ledger_commit(l, &err));
    assert_int_equal(ask("SELECT count(*) FROM captions"), 2);
    OK(sv_ledger_caption_number(l, "b", &number, &err));
    assert_int_equal(number, 2);
    OK(sv_ledger_caption_number(l, "c", &number, &err));
    assert_int_equal(number, 0);
    OK(sv_ledger_begin(l, &err));
    add_caption(l, source, "lost", "not committed", &number);
    sv_ledger_close(&l);                                        /* closing rolls back */
    assert_int_equal(ask("SELECT count(*) FROM captions"), 2);
    l = open_ledger(SV_LEDGER_READ);
    OK(sv_ledger_caption_count(l, &count, &err));
    sv_ledger_close(&l);
    char wal[160];
    snprintf(wal, sizeof wal, "%s-wal", path);
    assert_false(sv_file_exists(wal));                          /* ledger.sqlite alone is complete, also after somebody has read it */
}

static void setups(void **state) {
    sv_ledger *l = open_ledger(SV_LEDGER_WRITE);
    sv_setup a = make_setup(l, SV_STAGE_GENERATE, "", "{\"b\": 1, \"a\": [1.0, null]}"), b = make_setup(l, SV_STAGE_GENERATE, "", "{\"a\":[1,null],\"b\":1}");
    char hash[SV_SHA256_HEX];
    sv_sha256_hex("{\"a\":[1,null],\"b\":1}", 20, hash);
    assert_true(a.is_new);
    assert_false(b.is_new);
    assert_int_equal(a.id, b.id);
    assert_string_equal(a.hash, hash);
    sv_setup c = make_setup(l, SV_STAGE_SCORE, "clip", "{}"), s = make_setup(l, SV_STAGE_SCORE, "ssim", "{}"), now;
    assert_int_not_equal(c.id, s.id);
    OK(sv_ledger_current(l, SV_STAGE_GENERATE, "", &now, &err));
    assert_int_equal(now.id, 0);
    OK(sv_ledger_use(l, SV_STAGE_GENERATE, &a.id, 1, &err));
    OK(sv_ledger_current(l, SV_STAGE_GENERATE, "", &now, &err));
    assert_string_equal(now.hash, a.hash);
    sv_setup list[SV_MAX_SCORERS];
    size_t n;
    OK(sv_ledger_use(l, SV_STAGE_SCORE, (int64_t[]){s.id, c.id}, 2, &err));
    OK(sv_ledger_current_scores(l, list, &n, &err));
    assert_int_equal(n, 2);
    assert_string_equal(list[0].name, "clip");
    OK(sv_ledger_use(l, SV_STAGE_SCORE, &s.id, 1, &err));
    OK(sv_ledger_current_scores(l, list, &n, &err));
    assert_int_equal(n, 1);
    assert_string_equal(list[0].name, "ssim");
    assert_int_equal(sv_ledger_use(l, SV_STAGE_SCORE, &a.id, 1, &err), SV_E_INTERNAL);   /* a setup of another stage */
    OK(sv_ledger_current_scores(l, list, &n, &err));
    assert_int_equal(n, 1);
    char *json;
    OK(sv_ledger_setup_json(l, a.id, &json, &err));
    assert_string_equal(json, "{\"a\":[1,null],\"b\":1}");
    free(json);
    sv_ledger_close(&l);
}

static void to_draw(void **state) {
    world w = make_world(5, 0);
    OK(sv_ledger_begin(w.l, &err));
    draw(&w, 1, 0, true), draw(&w, 1, 1, true);                          /* has what it needs */
    draw(&w, 2, 0, true), draw(&w, 2, 1, false);                         /* one failed, one retry left */
    draw(&w, 3, 0, false), draw(&w, 3, 1, false), draw(&w, 3, 2, false); /* retries used up */
    draw(&w, 4, 1, true);                                                /* k 0 was forgotten */
    OK(sv_ledger_commit(w.l, &err));
    sv_draw_batch b = {0};
    OK(sv_ledger_to_draw(w.l, w.scope, w.generate, ((sv_quota){.want = 2, .retries = 1}), 0, 100, &b, &err));
    assert_int_equal(b.count, 3);
    assert_int_equal(b.items[0].number, 2);
    assert_string_equal(b.items[0].id, "c0002");
    assert_string_equal(b.items[0].text, "caption 2");
    assert_int_equal(b.items[0].have_count, 2);
    assert_int_equal(b.items[0].have[0].ok + b.items[0].have[1].ok, 1);
    assert_true(b.items[0].have[0].ok && !b.items[0].have[1].ok && b.items[0].have[1].k == 1);
    assert_int_equal(b.items[1].number, 4);
    assert_int_equal(b.items[1].have[0].k, 1);
    assert_int_equal(b.items[2].number, 5);
    assert_int_equal(b.items[2].have_count, 0);
    OK(sv_ledger_to_draw(w.l, w.scope, w.generate, ((sv_quota){.want = 2, .retries = 1}), 2, 1, &b, &err));
    assert_int_equal(b.count, 1);
    assert_int_equal(b.items[0].number, 4);
    OK(sv_ledger_to_draw(w.l, w.scope, w.generate, ((sv_quota){.want = 2, .retries = 1}), 5, 1, &b, &err));
    assert_int_equal(b.count, 0);
    int64_t left;
    OK(sv_ledger_draw_count(w.l, w.scope, w.generate, ((sv_quota){.want = 2, .retries = 1}), &left, &err));
    assert_int_equal(left, 1 + 1 + 2);
    sv_draw_batch_free(&b);
    sv_ledger_close(&w.l);
}

static void text_after_mappers_is_drawn(void **state) {
    world w = make_world(2, 0);
    OK(sv_ledger_begin(w.l, &err));
    sv_verdict v = {.number = 2, .keep = true, .value = NAN, .min = NAN, .max = NAN, .duplicate_of = -1, .text = "CAPTION TWO", .text_size = 11};
    OK(sv_ledger_add_verdict(w.l, w.scope.curate, &v, false, &err));   /* there already: stays */
    OK(sv_ledger_commit(w.l, &err));
    sv_draw_batch b = {0};
    OK(sv_ledger_to_draw(w.l, w.scope, w.generate, ((sv_quota){.want = 1, .retries = 0}), 1, 9, &b, &err));
    assert_string_equal(b.items[0].text, "caption 2");
    OK(sv_ledger_begin(w.l, &err));
    OK(sv_ledger_add_verdict(w.l, w.scope.curate, &v, true, &err));
    OK(sv_ledger_commit(w.l, &err));
    OK(sv_ledger_to_draw(w.l, w.scope, w.generate, ((sv_quota){.want = 1, .retries = 0}), 1, 9, &b, &err));
    assert_string_equal(b.items[0].text, "CAPTION TWO");
    assert_int_equal(b.items[0].size, 11);
    sv_draw_batch_free(&b);
    sv_ledger_close(&w.l);
}

static void to_score_and_forget(void **state) {
    world w = make_world(3, 0);
    const int64_t scores[] = {w.clip, w.ssim};
    OK(sv_ledger_begin(w.l, &err));
    draw(&w, 1, 0, true), draw(&w, 1, 1, true), draw(&w, 2, 0, false), draw(&w, 2, 1, true), draw(&w, 3, 0, true);
    OK(sv_ledger_add_score(w.l, w.clip, w.generate, 1, 0, 0.25, &err));
    OK(sv_ledger_add_score(w.l, w.ssim, w.generate, 1, 0, 0.5, &err));
    OK(sv_ledger_add_score(w.l, w.ssim, w.generate, 2, 1, NAN, &err));
    OK(sv_ledger_commit(w.l, &err));
    OK(sv_ledger_set_sample(w.l, w.scope.sample, w.scope.curate, (int64_t[]){1, 2}, 2, &err));   /* 3 is not wanted any more */
    sv_file_batch b = {0};
    OK(sv_ledger_to_score(w.l, w.scope, w.generate, scores, 2, 0, -1, 10, &b, &err));
    assert_int_equal(b.count, 2);
    assert_true(b.items[0].number == 1 && b.items[0].k == 1 && b.items[0].missing == 3);
    assert_string_equal(b.items[0].id, "c0001");
    assert_string_equal(b.items[0].text, "caption 1");
    assert_string_equal(b.items[0].file, "images/x/000000001-1.jpg");
    assert_int_equal(strlen(b.items[0].sha256), 64);
    assert_int_equal(b.items[0].width, 128);
    assert_true(b.items[1].number == 2 && b.items[1].missing == 1);
    OK(sv_ledger_to_score(w.l, w.scope, w.generate, scores, 2, 1, 1, 10, &b, &err));
    assert_int_equal(b.count, 1);
    int64_t n;
    OK(sv_ledger_score_count(w.l, w.scope, w.generate, scores, 2, &n, &err));
    assert_int_equal(n, 2);
    OK(sv_ledger_read_files(w.l, w.generate, 0, -1, 10, &b, &err));
    assert_int_equal(b.count, 4);
    OK(sv_ledger_begin(w.l, &err));
    OK(sv_ledger_forget_candidate(w.l, w.generate, 1, 0, &err));
    OK(sv_ledger_commit(w.l, &err));
    assert_int_equal(ask("SELECT count(*) FROM candidates"), 4);
    assert_int_equal(ask("SELECT count(*) FROM scores"), 1);
    sv_draw_batch d = {0};
    OK(sv_ledger_to_draw(w.l, w.scope, w.generate, ((sv_quota){.want = 2, .retries = 0}), 0, 9, &d, &err));
    assert_int_equal(d.count, 1);
    assert_int_equal(d.items[0].number, 1);
    sv_draw_batch_free(&d);
    sv_file_batch_free(&b);
    sv_ledger_close(&w.l);
}

typedef struct seen { int count; sv_pick last; char id[16], file[64]; } seen;
static sv_status see(void *user, const sv_pick *p, sv_error *e) {
    seen *s = user;
    s->count++;
    s->last = *p;
    snprintf(s->id, sizeof s->id, "%s", p->id);
    snprintf(s->file, sizeof s->file, "%s", p->file);
    assert_int_equal(p->score_count, 2);
    assert_string_equal(p->scores[0].name, "clip");
    assert_float_equal(p->scores[1].value, 0.5, 0);
    assert_int_equal(p->seed, 4294967295u);
    assert_string_equal(p->origin, "web");
    assert_string_equal(p->license, "CC0");
    return SV_OK;
}
static sv_status give(void *user, size_t rank, sv_pick_row *out, sv_error *e) {
    *out = (sv_pick_row){3 - (int64_t)rank, 0, 1.0 - 0.1 * (double)rank};
    return SV_OK;
}

static void selections(void **state) {
    world w = make_world(3, 0);
    OK(sv_ledger_begin(w.l, &err));
    for (int i = 1; i <= 3; i++) {
        draw(&w, i, 0, true);
        OK(sv_ledger_add_score(w.l, w.clip, w.generate, i, 0, 0.1 * i, &err));
        OK(sv_ledger_add_score(w.l, w.ssim, w.generate, i, 0, 0.5, &err));
    }
    OK(sv_ledger_commit(w.l, &err));
    const int64_t scores[] = {w.clip, w.ssim};
    sv_mean mean = {"clip", 0.2, 0.25};
    sv_selection s = {.hash = "aa", .settings = "{\"by\":\"weighted\"}", .generate = w.generate, .scope = w.scope, .by = "weighted", .weight_clip = 1, .weight_ssim = 0.5,
                      .min_clip = 0.15, .min_ssim = NAN, .min_weighted = NAN, .per_caption = 1, .candidates = 3, .eligible = 2, .captions = 2, .asked = 2, .picked = 2,
                      .cutoff = 0.9};
    bool is_new;
    OK(sv_ledger_add_selection(w.l, &s, scores, 2, &mean, 1, &(sv_selection_rows){.pick = give}, &is_new, &err));
    assert_true(is_new);
    int64_t first = s.id, id, picked;
    char hash[SV_SHA256_HEX];
    OK(sv_ledger_add_selection(w.l, &s, scores, 2, &mean, 1, &(sv_selection_rows){.pick = give}, &is_new, &err));
    assert_false(is_new);
    assert_int_equal(s.id, first);
    OK(sv_ledger_current_selection(w.l, &id, hash, &picked, &err));
    assert_int_equal(id, first);
    assert_int_equal(picked, 2);
    seen by_rank = {0}, by_number = {0};
    OK(sv_ledger_each_pick(w.l, id, true, see, &by_rank, &err));
    assert_int_equal(by_rank.count, 2);
    assert_string_equal(by_rank.id, "c0002");
    assert_int_equal(by_rank.last.rank, 2);
    OK(sv_ledger_each_pick(w.l, id, false, see, &by_number, &err));
    assert_string_equal(by_number.id, "c0003");
    assert_string_equal(by_number.file, "images/x/000000003-0.jpg");
    assert_int_equal(ask("SELECT count(*) FROM explained WHERE reason = 'picked'"), 2);
    assert_int_equal(ask("SELECT count(*) FROM explained WHERE reason = 'below_min_clip' AND number = 1"), 1);
    char *json;
    OK(sv_ledger_story(w.l, 3, 0, &json, &err));
    assert_non_null(strstr(json, "\"selection\":\"picked\""));
    assert_non_null(strstr(json, "\"rank\":1"));
    free(json);
    assert_int_equal(sv_ledger_story(w.l, 3, 7, &json, &err), SV_E_INPUT);
    assert_int_equal(sv_ledger_story(w.l, 4, -1, &json, &err), SV_E_INPUT);
    const sv_export_row row = {.path = "dataset/llava", .format = "llava", .options = "{}", .selection = id, .pairs = 2, .bytes = 9, .digest = "d"};
    OK(sv_ledger_begin(w.l, &err));
    OK(sv_ledger_put_export(w.l, &row, &err));
    OK(sv_ledger_forget_candidate(w.l, w.generate, 1, 0, &err));
    OK(sv_ledger_commit(w.l, &err));
    assert_int_equal(ask("SELECT count(*) FROM exports"), 1);      /* number 1 was not picked */
    OK(sv_ledger_begin(w.l, &err));
    OK(sv_ledger_forget_candidate(w.l, w.generate, 2, 0, &err));
    OK(sv_ledger_commit(w.l, &err));
    assert_int_equal(ask("SELECT count(*) FROM exports"), 0);
    assert_int_equal(sv_ledger_each_pick(w.l, id, true, see, &by_rank, &err), SV_E_INPUT);
    sv_ledger_close(&w.l);
}

/* The order of work must not show in `stable`. */
static void stable_is_free_of_order(void **state) {
    char *text[2];
    for (int turn = 0; turn < 2; turn++) {
        sv_ledger *l = open_ledger(SV_LEDGER_WRITE);
        if (turn) make_setup(l, SV_STAGE_SCORE, "ssim", "{\"score\":\"ssim\"}");   /* other ids for the same setups */
        sv_ledger_close(&l);
        world w = make_world(4, 0);
        OK(sv_ledger_begin(w.l, &err));
        for (int i = 0; i < 4; i++) {
            int number = turn ? 4 - i : i + 1;
            draw(&w, number, 0, number != 2);
            OK(sv_ledger_add_timing(w.l, SV_STAGE_GENERATE, number, 0, 1.5 + turn, &err));
            if (number != 2) OK(sv_ledger_add_score(w.l, w.clip, w.generate, number, 0, 1.0 / number, &err));
        }
        OK(sv_ledger_commit(w.l, &err));
        sv_ledger_close(&w.l);
        text[turn] = stable();
        unlink(path);
    }
    assert_string_equal(text[0], text[1]);
    assert_non_null(strstr(text[0], "0.33333333333333331"));
    free(text[0]);
    free(text[1]);
}

static void network_mode(void **state) {
    world w = make_world(2, SV_LEDGER_NETWORK);
    assert_true(sv_ledger_on_network(w.l));
    char wal[160];
    snprintf(wal, sizeof wal, "%s-wal", path);
    assert_false(sv_file_exists(wal));
    sv_ledger_close(&w.l);
    assert_int_equal(ask("SELECT count(*) FROM captions"), 2);
    sv_ledger *l = open_ledger(SV_LEDGER_WRITE);   /* and back again on a local disk */
    OK(sv_ledger_begin(l, &err));
    OK(sv_ledger_commit(l, &err));
    sv_ledger_close(&l);
}

/* A file that may not grow stands for a full disk. */
static void full_disk_keeps_what_is_committed(void **state) {
    world w = make_world(100, 0);
    struct rlimit old, tight = {0};
    getrlimit(RLIMIT_FSIZE, &old);
    tight = old;
    tight.rlim_cur = 400 * 1024;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &tight);
    int64_t source = 1, number;
    sv_status st = sv_ledger_begin(w.l, &err);
    char *text = malloc(1 << 20);
    memset(text, 'x', (1 << 20) - 1);
    text[(1 << 20) - 1] = 0;
    sv_added what;
    sv_caption_row row = {.id = "big", .id_size = 3, .text = text, .text_size = (1 << 20) - 1, .source = source, .line = 1, .origin = "", .license = ""};
    if (st == SV_OK) st = sv_ledger_add_caption(w.l, &row, &what, &number, &err);
    if (st == SV_OK) st = sv_ledger_commit(w.l, &err);
    assert_int_equal(st, SV_E_IO);
    assert_true(strlen(err.hint) > 0);
    sv_ledger_rollback(w.l);
    setrlimit(RLIMIT_FSIZE, &old);
    int64_t count;
    OK(sv_ledger_caption_count(w.l, &count, &err));
    assert_int_equal(count, 100);
    OK(sv_ledger_begin(w.l, &err));                /* and with room again it goes on */
    OK(sv_ledger_add_caption(w.l, &row, &what, &number, &err));
    OK(sv_ledger_commit(w.l, &err));
    assert_int_equal(number, 101);
    free(text);
    sv_ledger_close(&w.l);
}

/* A ledger as version 2 of the schema wrote it: read as it is, and brought up to date with all its rows by whoever writes. */
static void ledger_of_version_2(void **state) {
    char *sql, *story = NULL, *before, *after;
    size_t size;
    sqlite3 *db;
    OK(sv_file_read("tests/golden/ledger/version-2.sql", 0, &sql, &size, &err));
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    free(sql);
    assert_int_equal(ask("PRAGMA user_version"), 2);
    sv_ledger *l = open_ledger(SV_LEDGER_READ);
    sv_funnel f;
    OK(sv_ledger_funnel(l, &f, &err));
    assert_int_equal(f.picked, 2);
    OK(sv_ledger_story(l, 1, -1, &before, &err));
    OK(sv_ledger_selection_json(l, &story, &err));
    assert_non_null(strstr(before, "better_sibling"));
    assert_non_null(strstr(story, "\"picked\":2"));
    free(story);
    sv_ledger_close(&l);
    assert_int_equal(ask("PRAGMA user_version"), 2);             /* nobody has written */

    l = open_ledger(SV_LEDGER_WRITE);
    OK(sv_ledger_story(l, 1, -1, &after, &err));
    assert_non_null(strstr(after, "better_sibling"));
    free(before);
    free(after);
    sv_ledger_close(&l);
    assert_int_equal(ask("PRAGMA user_version"), 3);
    assert_int_equal(ask("SELECT count(*) FROM explained WHERE reason = 'picked' AND by_hand = 0"), 2);
    assert_int_equal(ask("SELECT count(*) FROM explained WHERE reason = 'below_cutoff' AND duplicate_of IS NULL"), 2);
    assert_int_equal(ask("SELECT count(*) FROM hashes"), 0);
    assert_int_equal(ask("SELECT count(*) FROM stable WHERE kind = 'pick'"), 2);
    l = open_ledger(SV_LEDGER_WRITE);                             /* a second time there is nothing to do */
    sv_ledger_close(&l);
}

int main(void) {
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(opens_and_refuses), CASE(damaged_file_is_told), CASE(transactions), CASE(setups), CASE(to_draw), CASE(text_after_mappers_is_drawn),
        CASE(to_score_and_forget), CASE(selections), CASE(stable_is_free_of_order), CASE(network_mode), CASE(full_disk_keeps_what_is_committed),
        CASE(ledger_of_version_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
