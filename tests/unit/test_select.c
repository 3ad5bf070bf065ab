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
#include "stages/select/select.h"

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
    uint64_t lot, phash, dhash;
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
        /* Few pictures, each in many copies that differ in some bits. */
        x->phash = 0x9E3779B97F4A7C15u * (1 + random_bits(&seed) % 40);
        x->dhash = ~x->phash;
        for (uint32_t flips = random_bits(&seed) % 6; flips; flips--) x->phash ^= (uint64_t)1 << random_bits(&seed) % 64;
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
                .origin = x->number % 5 == 4 ? "" : x->number % 5 ? "web" : "coco", .license = x->number % 2 ? "CC0" : ""};
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
        if (x->ok) OK(sv_ledger_add_hash(l, generate.id, x->number, x->k, &(sv_hashes){x->phash, x->dhash}, &err));
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

/* ---- the steps after the ranking ---- */

/* One list of competitors in order, walked once by the rules' own words. sources: most of "coco", "web" and the unnamed (whose file is x); least of web. */
typedef struct rules { int distance; int most[3], web_least, count; const char *include[3], *exclude[3]; } rules;

static bool named(const char *const list[3], const item *x) {
    char id[32];
    snprintf(id, sizeof id, "%09d-%d", x->number, x->k);
    for (int i = 0; i < 3; i++)
        if (list[i] && strcmp(list[i], id) == 0) return true;
    return false;
}

static int source_of(const item *x) { return x->number % 5 == 4 ? 2 : x->number % 5 ? 1 : 0; }

/* Every candidate's reason, "number-k reason" in order; picks as rows() has them. */
static void walk_plainly(const rules *r, char *picks, char *reasons) {
    item *list[TOTAL], *kept[TOTAL], *picked[TOTAL];
    const char *why[TOTAL] = {NULL};
    int n = 0, m = 0, p = 0, used[CAPTIONS + 1] = {0}, taken[3] = {0}, supply[3] = {0}, group[CAPTIONS + 1] = {0};
    for (int i = 0; i < TOTAL; i++) {
        item *x = &items[i];
        x->rank_value = x->clip + 0.5 * x->ssim;
        x->lot = 0;
        if (!x->ok) why[i] = "failed: not_finite";
        else if (!x->sampled) why[i] = "caption_not_in_sample";
        else if (!x->scored) why[i] = "not_scored";
        else if (named(r->exclude, x)) why[i] = "manual";
        else if (isnan(x->ssim)) why[i] = "score_not_finite";
        else list[n++] = x;
    }
    qsort(list, (size_t)n, sizeof *list, better);
    int by_hand = 0, competing = 0;
    item *order[TOTAL];
    for (int hand = 1; hand >= 0; hand--)
        for (int i = 0; i < n; i++) {
            if (named(r->include, list[i]) != hand || (!hand && used[list[i]->number]++ >= 1)) continue;
            if (hand) used[list[i]->number]++, by_hand++;
            order[competing++] = list[i];
        }
    int before[TOTAL];
    for (int i = 0; i < competing; i++) {
        bool repeats = false;
        for (int j = 0; j < m && i >= by_hand && !repeats && r->distance >= 0; j++)
            repeats = __builtin_popcountll(kept[j]->phash ^ order[i]->phash) <= r->distance;
        before[order[i] - items] = m;
        if (repeats) why[order[i] - items] = "near_duplicate";
        else kept[m++] = order[i];
    }
    for (int i = 0; i < m; i++) supply[source_of(kept[i])]++;
    int least = r->web_least < supply[1] ? r->web_least : supply[1], i = 0;
    for (; i < m && p < r->count; i++) {
        int s = source_of(kept[i]), lacking = least - taken[1] > 0 ? least - taken[1] : 0;
        if (i >= by_hand && taken[s] >= r->most[s]) why[kept[i] - items] = "quota_full";
        else if (i >= by_hand && lacking - (s == 1 && lacking) > r->count - p - 1) why[kept[i] - items] = "quota_reserved";
        else picked[p++] = kept[i], taken[s]++, why[kept[i] - items] = "picked";
    }
    for (int j = 0; j < TOTAL; j++)
        if (why[j] && strcmp(why[j], "near_duplicate") == 0 && p == r->count && before[j] >= i) why[j] = NULL;
    for (int j = 0; j < TOTAL; j++)
        if (why[j] && (why[j][0] == 'p' || why[j][0] == 'q' || !strcmp(why[j], "near_duplicate"))) group[items[j].number]++;
    qsort(picked, (size_t)p, sizeof *picked, better);
    for (int j = 0; j < p; j++) picks += sprintf(picks, "%d-%d ", picked[j]->number, picked[j]->k);
    *picks = 0;
    for (int j = 0; j < TOTAL; j++) reasons += sprintf(reasons, "%s ", why[j] ? why[j] : group[items[j].number] ? "better_sibling" : "below_cutoff");
}

static void steps_equal_the_plain_statement(void **state) {
    static char picks[TOTAL * 12], reasons[TOTAL * 40];
    char select[1024], path[2][96], text[128];
    const rules cases[] = {
        {4, {999, 999, 999}, 0, 20, {0}, {0}},
        {0, {999, 999, 999}, 0, 60, {0}, {0}},
        {12, {999, 999, 999}, 0, 200, {0}, {0}},
        {-1, {3, 5, 2}, 0, 9, {0}, {0}},
        {-1, {3, 5, 999}, 0, 40, {0}, {0}},
        {-1, {999, 999, 999}, 19, 20, {0}, {0}},
        {6, {4, 999, 4}, 12, 15, {"000000009-2", "000000002-3", NULL}, {"000000003-0", "000000004-1", "000000013-0"}},
        {3, {0, 8, 1}, 0, 9, {"000000010-0", "000000010-1", "000000015-3"}, {0}},
    };
    const char *const files[2] = {"in.txt", "out.txt"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const rules *r = &cases[i];
        sv_select_report report;
        make_items(51u + (uint32_t)i, 30);
        for (int j = 0; j < TOTAL; j++)
            if (named(r->include, &items[j])) items[j].ok = items[j].scored = items[j].sampled = true, items[j].ssim = 0.01;
        fill_ledger();
        for (int f = 0; f < 2; f++) {
            const char *const *list = f ? r->exclude : r->include;
            snprintf(path[f], sizeof path[f], "%s/%s", dir, files[f]);
            snprintf(text, sizeof text, f ? "# by hand\r\n\n{\"candidate\": \"%s\", \"why\": \"blurred\"}\n%s\n  %s " : "%s\n%s\n%s",
                     list[0] ? list[0] : "", list[1] ? list[1] : "", list[2] ? list[2] : "");
            if (f && !list[0]) text[0] = 0;
            OK(sv_file_write_atomic(path[f], text, strlen(text), &err));
        }
        snprintf(select, sizeof select, "{by: weighted, count: %d, dedup: {hash: %s, distance: %d}, quotas: {source: {coco: %d, web: {min: %d, max: %d}, x: %d}},"
                 " include: %s, exclude: %s}", r->count, r->distance < 0 ? "none" : "phash", r->distance < 0 ? 4 : r->distance, r->most[0], r->web_least, r->most[1],
                 r->most[2], path[0], path[1]);
        walk_plainly(r, picks, reasons);
        sv_status st = select_as(select, "{clip: 1.0, ssim: 0.5}", &report);
        if (st != SV_OK && st != SV_SHORT) fail_msg("case %zu: %s: %s", i, err.what, err.why);
        assert_string_equal(rows(picks_sql), picks);
        assert_string_equal(rows("SELECT reason FROM explained ORDER BY number, k"), reasons);
        assert_int_equal(st == SV_SHORT, report.picked < r->count);
        OK(sv_dir_empty(run_dir, &err));
    }
}

static void refuse_list(const char *key, const char *text, const char *says) {
    char path[96], select[256];
    sv_select_report r;
    snprintf(path, sizeof path, "%s/list", dir);
    OK(sv_file_write_atomic(path, text, strlen(text), &err));
    snprintf(select, sizeof select, "{by: clip, count: 2, %s: %s}", key, path);
    assert_int_equal(select_as(select, "{clip: 1.0, ssim: 0.5}", &r), SV_E_INPUT);
    if (!strstr(err.why, says)) fail_msg("%s instead of %s", err.why, says);
}

static void lists_name_file_and_line(void **state) {
    sv_select_report r;
    make_items(4, 100);
    items[7].ok = items[7].scored = false;
    items[5].ok = items[5].scored = true;
    items[5].clip = NAN;
    for (int i = 8; i < 12; i++) items[i].ok = items[i].scored = true, items[i].ssim = 0.5;
    fill_ledger();
    refuse_list("include", "000000003-1\n\n000000999-0\n", "line 3: candidate 000000999-0 is not there");
    refuse_list("exclude", "000000003-9", "line 1: candidate 000000003-9 is not there");
    refuse_list("include", "hello", "line 1 is no candidate: \"hello\"");
    refuse_list("include", "{\"candidate\": 5}", "line 1 is no candidate");
    refuse_list("include", "000000002-3", "has no picture (failed: not_finite)");
    refuse_list("include", "000000002-1", "not finite");
    refuse_list("include", "000000013-0", "is not in the sample");
    refuse_list("include", "000000003-0\n000000003-1\n000000003-2\n", "");
    assert_non_null(strstr(err.why, "names 3 candidates, and select.count is 2"));
    assert_int_equal(select_as("{by: clip, count: 2, include: /no/such/file}", "{clip: 1.0}", &r), SV_E_RECIPE);
    assert_int_equal(select_as("{by: clip, count: 2, quotas: {source: {cocoa: 1}}}", "{clip: 1.0}", &r), SV_E_INPUT);
    assert_non_null(strstr(err.why, "no caption has the source \"cocoa\""));
    assert_int_equal(select_as("{by: clip, count: 2, quotas: {source: {coco: {min: 2}, web: {min: 2}}}}", "{clip: 1.0}", &r), SV_E_INPUT);
    assert_non_null(strstr(err.why, "add up to 4 of the 2 pairs"));
    assert_int_equal(select_as("{by: clip, count: 2, quotas: {concept: {dog: 1}}}", "{clip: 1.0}", &r), SV_E_INPUT);
    assert_non_null(strstr(err.why, "no concepts"));
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
        CASE(equals_the_plain_statement), CASE(steps_equal_the_plain_statement), CASE(lists_name_file_and_line),
        CASE(same_settings_write_nothing), CASE(explains_every_candidate), CASE(means_before_and_after),
        CASE(too_few_for_count), CASE(needs_scores), CASE(keys_keep_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
