/* select against a plain statement of its rules: sort everything that is eligible, take from the top. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "stages/rundir.h"
#include "stages/select.h"

static char dir[64], run_dir[96];
static sv_error err;
static char said[4096];

static void hear(void *user, sv_log_level level, const char *line) {
    size_t n = strlen(said);
    snprintf(said + n, sizeof said - n, "%s\n", line);
}

#define OK(expr)                                                                              \
    do {                                                                                      \
        char ok_text_[2048];                                                                  \
        if ((expr) != SV_OK) fail_msg("%s: %s", #expr, sv_error_text(&err, ok_text_, sizeof ok_text_)); \
    } while (0)

static int set_up(void **state) {
    strcpy(dir, "/tmp/sv-select-XXXXXX");
    if (!mkdtemp(dir)) return 1;
    snprintf(run_dir, sizeof run_dir, "%s/run", dir);
    memset(&err, 0, sizeof err);
    said[0] = 0;
    return 0;
}

static int tear_down(void **state) {
    return sv_dir_empty(dir, NULL) == SV_OK ? rmdir(dir) : 1;
}

/* ---- a run with scores that are coarse, so that ties abound ---- */

enum { CAPTIONS = 200, K = 4, TOTAL = CAPTIONS * K };
typedef struct item {
    char id[16];
    int number, k;
    double clip, ssim;           /* NaN: not finite */
    bool ok, scored, sampled;
    double rank_value;
    uint64_t lot;
} item;
static item items[TOTAL];

static uint32_t random_bits(uint32_t *s) {
    *s ^= *s << 13, *s ^= *s >> 17, *s ^= *s << 5;
    return *s;
}

static void make_items(uint32_t seed, int levels) {
    for (int i = 0; i < TOTAL; i++) {
        item *x = &items[i];
        *x = (item){.number = i / K + 1, .k = i % K};
        snprintf(x->id, sizeof x->id, "c%d", (x->number * 7919) % 1000);   /* byte order of ids is not the order of numbers */
        x->clip = (double)(random_bits(&seed) % (uint32_t)levels) / levels - 0.1;
        x->ssim = (double)(random_bits(&seed) % (uint32_t)levels) / levels;
        uint32_t fate = random_bits(&seed) % 40;
        x->ok = fate != 0;
        x->scored = x->ok && fate != 1;
        if (fate == 2) x->ssim = NAN;
        x->sampled = x->number % 13 != 0;
    }
}

static void fill_ledger(void) {
    sv_ledger *l;
    char path[128], json[128];
    sv_setup curate, sample, generate, clip, ssim;
    mkdir(run_dir, 0777);
    snprintf(path, sizeof path, "%s/ledger.sqlite", run_dir);
    OK(sv_ledger_open(&l, path, SV_LEDGER_WRITE, &err));
    OK(sv_ledger_setup(l, SV_STAGE_CURATE, "", "{}", &curate, &err));
    snprintf(json, sizeof json, "{\"curate\":\"%s\"}", curate.hash);
    OK(sv_ledger_setup(l, SV_STAGE_SAMPLE, "", json, &sample, &err));
    OK(sv_ledger_setup(l, SV_STAGE_GENERATE, "", "{}", &generate, &err));
    OK(sv_ledger_setup(l, SV_STAGE_SCORE, "clip", "{\"x\":1}", &clip, &err));
    OK(sv_ledger_setup(l, SV_STAGE_SCORE, "ssim", "{\"x\":2}", &ssim, &err));
    OK(sv_ledger_begin(l, &err));
    sv_source source = {.size = 1};
    memset(source.sha256, 'a', 64);
    OK(sv_ledger_add_source(l, &source, "x", "{}", &err));
    int64_t numbers[CAPTIONS];
    size_t sampled = 0;
    for (int i = 0; i < TOTAL; i++) {
        item *x = &items[i];
        char file[64];
        if (x->k == 0) {
            sv_added what;
            int64_t number;
            sv_caption_row row = {.id = x->id, .id_size = strlen(x->id), .text = "text", .text_size = 4, .source = source.id, .line = x->number,
                .origin = "", .license = ""};
            OK(sv_ledger_add_caption(l, &row, &what, &number, &err));
            assert_int_equal(number, x->number);
            sv_verdict v = {.number = x->number, .keep = true, .value = NAN, .min = NAN, .max = NAN, .duplicate_of = -1};
            OK(sv_ledger_add_verdict(l, curate.id, &v, false, &err));
            if (x->sampled) numbers[sampled++] = x->number;
        }
        snprintf(file, sizeof file, "images/%d-%d.jpg", x->number, x->k);
        char hash[SV_SHA256_HEX];
        sv_sha256_hex(file, strlen(file), hash);
        sv_candidate c = {.number = x->number, .k = x->k, .seed = 1, .ok = x->ok, .reason = "not_finite", .file = file, .bytes = 5, .sha256 = hash,
            .width = 8, .height = 8};
        OK(sv_ledger_add_candidate(l, generate.id, &c, &err));
        if (x->scored) {
            OK(sv_ledger_add_score(l, clip.id, generate.id, x->number, x->k, x->clip, &err));
            OK(sv_ledger_add_score(l, ssim.id, generate.id, x->number, x->k, x->ssim, &err));
        }
    }
    OK(sv_ledger_commit(l, &err));
    OK(sv_ledger_set_sample(l, sample.id, curate.id, numbers, sampled, &err));
    OK(sv_ledger_use(l, SV_STAGE_CURATE, &curate.id, 1, &err));
    OK(sv_ledger_use(l, SV_STAGE_SAMPLE, &sample.id, 1, &err));
    OK(sv_ledger_use(l, SV_STAGE_GENERATE, &generate.id, 1, &err));
    OK(sv_ledger_use(l, SV_STAGE_SCORE, (int64_t[]){clip.id, ssim.id}, 2, &err));
    sv_ledger_close(&l);
}

static sv_status select_as(const char *select, const char *weights, sv_select_report *r) {
    char yaml[1024];
    snprintf(yaml, sizeof yaml, "name: t\nseed: 5\ncaptions: {sources: [{path: x.txt}]}\ngenerate: {model: m, candidates: 4, steps: 2}\nscore: {clip: "
        "{model: c}, weights: %s}\n"
             "select: %s\nexport: [{format: llava}]\n", weights, select);
    sv_recipe *recipe = NULL;
    sv_stage_options o = {.log = {.fn = hear}};
    sv_status st = sv_recipe_read(&recipe, yaml, strlen(yaml), "recipe.yaml", dir, NULL, 0, &err);
    if (st != SV_OK) fail_msg("%s: %s", err.what, err.why);
    st = sv_stage_select(run_dir, recipe, &o, r, &err);
    sv_recipe_close(&recipe);
    return st;
}

/* ---- the plain statement ---- */

static int better(const void *a, const void *b) {
    const item *x = *(item *const *)a, *y = *(item *const *)b;
    if (x->lot != y->lot) return x->lot < y->lot ? -1 : 1;
    if (x->rank_value != y->rank_value) return x->rank_value > y->rank_value ? -1 : 1;
    int d = strcmp(x->id, y->id);
    return d ? d : x->k - y->k;
}

/* The expected picks, best first, as "number-k number-k …". mode: 0 weighted, 1 clip, 2 ssim, 3 random. */
static char *expected(int mode, double wc, double ws, double min_clip, double min_weighted, int per_caption, double keep, int count, int *captions) {
    static char text[TOTAL * 12];
    item *list[TOTAL];
    int n = 0, used[CAPTIONS + 1] = {0}, seen[CAPTIONS + 1] = {0};
    *captions = 0;
    for (int i = 0; i < TOTAL; i++) {
        item *x = &items[i];
        double weighted = wc * x->clip + ws * x->ssim;
        if (!x->sampled || !x->scored || !isfinite(x->clip) || !isfinite(x->ssim)) continue;
        if (x->clip < min_clip || weighted < min_weighted) continue;
        *captions += !seen[x->number];
        seen[x->number] = 1;
        x->rank_value = mode == 0 ? weighted : mode == 1 ? x->clip : mode == 2 ? x->ssim : 0;
        x->lot = 0;
        if (mode == 3) {
            char lot[64];
            uint8_t h[32];
            int len = snprintf(lot, sizeof lot, "select:5/%s/%d", x->id, x->k);
            sv_sha256(lot, (size_t)len, h);
            for (int b = 0; b < 8; b++) x->lot = x->lot << 8 | h[b];
        }
        list[n++] = x;
    }
    qsort(list, (size_t)n, sizeof *list, better);
    int want = !isnan(keep) ? (int)(keep * *captions) : count;
    text[0] = 0;
    size_t at = 0;
    for (int i = 0; i < n && want > 0; i++) {
        if (used[list[i]->number]++ >= per_caption) continue;
        at += (size_t)snprintf(text + at, sizeof text - at, "%d-%d ", list[i]->number, list[i]->k);
        want--;
    }
    return text;
}

static const char *rows(const char *sql) {
    static char text[TOTAL * 40];
    char path[128];
    sqlite3 *db;
    sqlite3_stmt *s;
    size_t n = 0;
    snprintf(path, sizeof path, "%s/ledger.sqlite", run_dir);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    text[0] = 0;
    while (sqlite3_step(s) == SQLITE_ROW) n += (size_t)snprintf(text + n, sizeof text - n, "%s ", sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    sqlite3_close(db);
    return text;
}

static const char picks_sql[] = "SELECT p.number || '-' || p.k FROM now JOIN picks p ON p.selection = now.selection ORDER BY rank";

static void equals_the_plain_statement(void **state) {
    const struct { const char *select, *weights; int mode; double wc, ws, min_clip, min_weighted; int per_caption; double keep; int count; } cases[] = {
        {"{by: weighted, keep: 10%}", "{clip: 1.0, ssim: 0.5}", 0, 1, 0.5, -9, -9, 1, 0.1, 0},
        {"{by: weighted, keep: 0.37}", "{clip: 1.0, ssim: 0.5, scale: 2.5}", 0, 2.5, 0.5, -9, -9, 1, 0.37, 0},
        {"{by: clip, keep: 50%}", "{clip: 1.0, ssim: 0.5}", 1, 1, 0.5, -9, -9, 1, 0.5, 0},
        {"{by: ssim, keep: 100%, per_caption: 2}", "{clip: 1.0, ssim: 0.5}", 2, 1, 0.5, -9, -9, 2, 1.0, 0},
        {"{by: random, count: 77}", "{clip: 1.0, ssim: 0.5}", 3, 1, 0.5, -9, -9, 1, NAN, 77},
        {"{by: random, per_caption: 3, keep: 80%, min: {clip: 0.1}}", "{clip: 1.0, ssim: 0.5}", 3, 1, 0.5, 0.1, -9, 3, 0.8, 0},
        {"{by: weighted, per_caption: 4, min: {clip: 0.3, weighted: 0.5}}", "{clip: 1.0, ssim: 0.5}", 0, 1, 0.5, 0.3, 0.5, 4, NAN, TOTAL},
        {"{by: weighted, count: 5}", "{clip: 0.0, ssim: 1.0}", 0, 0, 1, -9, -9, 1, NAN, 5},
    };
    for (int levels = 3; levels <= 3000; levels *= 31) {
        make_items(77u + (uint32_t)levels, levels);
        fill_ledger();
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            sv_select_report r;
            int captions;
            OK(select_as(cases[i].select, cases[i].weights, &r));
            const char *want = expected(cases[i].mode, cases[i].wc, cases[i].ws, cases[i].min_clip, cases[i].min_weighted, cases[i].per_caption, cases[i].keep,
                                        cases[i].count, &captions);
            assert_string_equal(rows(picks_sql), want);
            assert_int_equal(r.captions, captions);
            assert_false(r.idle);
        }
        assert_string_equal(rows("SELECT count(*) FROM selections"), "8 ");
        OK(sv_dir_empty(run_dir, &err));
    }
}

static void same_settings_write_nothing(void **state) {
    sv_select_report r, again;
    make_items(3, 50);
    fill_ledger();
    OK(select_as("{by: weighted, keep: 20%}", "{clip: 1.0, ssim: 0.5}", &r));
    OK(select_as("{by: weighted, keep: 20%}", "{clip: 1.0, ssim: 0.5}", &again));
    assert_true(again.idle);
    assert_string_equal(rows("SELECT count(*) FROM selections"), "1 ");
    OK(select_as("{by: clip, keep: 20%}", "{clip: 1.0, ssim: 0.5}", &again));
    assert_false(again.idle);
    OK(select_as("{by: weighted, keep: 20%}", "{clip: 1.0, ssim: 0.5}", &again));   /* back to the first: it is there */
    assert_true(again.idle);
    assert_string_equal(rows("SELECT selection FROM now"), "1 ");
    assert_int_equal(again.picked, r.picked);
    assert_float_equal(again.cutoff, r.cutoff, 0);
}

/* Every candidate has a reason, and it is the right one. */
static void explains_every_candidate(void **state) {
    sv_select_report r;
    int captions, used[CAPTIONS + 1] = {0};
    char want[TOTAL * 40], picks[TOTAL * 12], one[32];
    size_t at = 0;
    make_items(9, 40);
    fill_ledger();
    OK(select_as("{by: weighted, keep: 30%, min: {clip: 0.2}}", "{clip: 1.0, ssim: 0.5}", &r));
    snprintf(picks, sizeof picks, " %s", expected(0, 1, 0.5, 0.2, -9, 1, 0.3, 0, &captions));
    for (int i = 0; i < TOTAL; i++) {
        snprintf(one, sizeof one, " %d-%d ", items[i].number, items[i].k);
        used[items[i].number] |= strstr(picks, one) != NULL;
    }
    for (int i = 0; i < TOTAL; i++) {
        const item *x = &items[i];
        snprintf(one, sizeof one, " %d-%d ", x->number, x->k);
        const char *why = strstr(picks, one) ? "picked" : !x->ok ? "failed: not_finite" : !x->sampled ? "caption_not_in_sample" : !x->scored ? "not_scored"
                          : isnan(x->ssim) ? "score_not_finite" : x->clip < 0.2 ? "below_min_clip" : used[x->number] ? "better_sibling" : "below_cutoff";
        at += (size_t)snprintf(want + at, sizeof want - at, "%s ", why);
    }
    assert_string_equal(rows("SELECT reason FROM explained ORDER BY number, k"), want);
    assert_non_null(strstr(said, "have no score yet"));
}

static void means_before_and_after(void **state) {
    sv_select_report r;
    double before = 0, after = 0;
    int n = 0, m = 0, captions;
    char picks[TOTAL * 12], one[32];
    make_items(21, 1000);
    fill_ledger();
    OK(select_as("{by: weighted, keep: 25%}", "{clip: 1.0, ssim: 0.5}", &r));
    snprintf(picks, sizeof picks, " %s", expected(0, 1, 0.5, -9, -9, 1, 0.25, 0, &captions));
    for (int i = 0; i < TOTAL; i++) {
        const item *x = &items[i];
        if (!x->sampled || !x->scored || isnan(x->ssim)) continue;
        before += x->clip + 0.5 * x->ssim, n++;
        snprintf(one, sizeof one, " %d-%d ", x->number, x->k);
        if (strstr(picks, one)) after += x->clip + 0.5 * x->ssim, m++;
    }
    assert_int_equal(r.mean_count, 3);
    assert_string_equal(r.means[2].name, "weighted");
    assert_float_equal(r.means[2].before, before / n, 1e-12);
    assert_float_equal(r.means[2].after, after / m, 1e-12);
    assert_int_equal(r.eligible, n);
    assert_int_equal(r.picked, m);
    assert_true(r.means[2].after > r.means[2].before);
}

static void too_few_for_count(void **state) {
    sv_select_report r;
    make_items(4, 100);
    fill_ledger();
    assert_int_equal(select_as("{by: clip, count: 5000}", "{clip: 1.0, ssim: 0.5}", &r), SV_SHORT);
    assert_non_null(strstr(err.why, "5000 pairs were asked for"));
    assert_non_null(strstr(err.hint, "synthvlm score"));            /* some have no score: that first */
    assert_int_equal(r.picked, r.captions);                         /* what there is stands */
    assert_true(r.picked > 100);
    OK(select_as("{by: clip, keep: 0.1%}", "{clip: 1.0, ssim: 0.5}", &r));   /* a share of little may be nothing: said, no failure */
    assert_int_equal(r.picked, 0);
    assert_non_null(strstr(said, "nothing was picked"));
}

static void needs_scores(void **state) {
    sv_select_report r;
    sv_ledger *l;
    char path[128];
    make_items(4, 100);
    fill_ledger();
    snprintf(path, sizeof path, "%s/ledger.sqlite", run_dir);
    OK(sv_ledger_open(&l, path, SV_LEDGER_WRITE, &err));
    sv_setup clip;
    OK(sv_ledger_current(l, SV_STAGE_SCORE, "ssim", &clip, &err));
    OK(sv_ledger_use(l, SV_STAGE_SCORE, &clip.id, 1, &err));
    sv_ledger_close(&l);
    assert_int_equal(select_as("{by: clip, keep: 10%}", "{clip: 1.0, ssim: 0.5}", &r), SV_E_INPUT);
    assert_non_null(strstr(err.why, "CLIPScore"));
    assert_int_equal(select_as("{by: ssim, min: {clip: 0.1}}", "{clip: 1.0, ssim: 0.5}", &r), SV_E_INPUT);
    OK(select_as("{by: weighted, keep: 10%}", "{clip: 1.0, ssim: 0.5}", &r));   /* what there is, weighs */
    OK(sv_ledger_open(&l, path, SV_LEDGER_WRITE, &err));
    OK(sv_ledger_use(l, SV_STAGE_SCORE, NULL, 0, &err));
    sv_ledger_close(&l);
    assert_int_equal(select_as("{by: weighted, keep: 10%}", "{clip: 1.0, ssim: 0.5}", &r), SV_E_INPUT);
    OK(select_as("{by: random, count: 10}", "{clip: 1.0, ssim: 0.5}", &r));     /* chance needs no score */
    assert_int_equal(r.picked, 10);
}

static void keys_keep_the_order(void **state) {
    const double in_order[] = {-1e308, -2.5, -1e-310, 0, 1e-310, 0.1, 0.10000000000000002, 3, 1e308};
    for (size_t i = 0; i < sizeof in_order / sizeof *in_order; i++) {
        assert_true(sv_score_of_key(sv_key_of_score(in_order[i])) == in_order[i]);
        if (i) assert_true(sv_key_of_score(in_order[i - 1]) < sv_key_of_score(in_order[i]));
    }
    assert_true(sv_key_of_score(-0.0) == sv_key_of_score(0.0));
}

int main(void) {
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(equals_the_plain_statement), CASE(same_settings_write_nothing), CASE(explains_every_candidate), CASE(means_before_and_after),
        CASE(too_few_for_count), CASE(needs_scores), CASE(keys_keep_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
