/* Gates that compare pictures: candidates that repeat others, decided between rounds, and pictures of a benchmark. */
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
#include "stages/draw/duplicates.h"
#include "stages/draw/gates.h"

static char dir[64], run_dir[96];
static sv_error err;
static sv_setup curate, sample, generate, clip;

#define OK(expr)                                                                              \
    do {                                                                                      \
        char ok_text_[2048];                                                                  \
        if ((expr) != SV_OK) fail_msg("%s: %s", #expr, sv_error_text(&err, ok_text_, sizeof ok_text_)); \
    } while (0)

static int set_up(void **state) {
    strcpy(dir, "/tmp/sv-duplicates-XXXXXX");
    if (!mkdtemp(dir)) return 1;
    setenv("XDG_CACHE_HOME", dir, 1);
    snprintf(run_dir, sizeof run_dir, "%s/run", dir);
    memset(&err, 0, sizeof err);
    return 0;
}

static int tear_down(void **state) {
    return sv_dir_empty(dir, NULL) == SV_OK ? rmdir(dir) : 1;
}

/* A picture of coarse random blocks by number, as PNG. */
static void write_picture(const char *path, uint32_t number) {
    enum { SIDE = 64, BLOCK = 8 };
    sv_image im = {0};
    uint8_t *bytes;
    size_t size;
    OK(sv_image_alloc(&im, SIDE, SIDE, SV_MODE_RGB, &err));
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            uint32_t v = (number * 2654435761u) ^ (uint32_t)((y / BLOCK) * 40503 + (x / BLOCK) * 30011);
            v ^= v >> 15, v *= 0x2c1b3c6d, v ^= v >> 12, v *= 0x297a2d39, v ^= v >> 15;
            memset(im.data + (y * SIDE + x) * 3, (int)(v & 255), 3);
        }
    sv_encode_options o;
    sv_encode_options_init(&o, SV_FORMAT_PNG);
    OK(sv_image_encode(&im, &o, &bytes, &size, &err));
    OK(sv_file_write_atomic(path, bytes, size, &err));
    free(bytes);
    sv_image_free(&im);
}

static void draw(sv_ledger *l, int64_t number, int k, uint32_t picture) {
    char file[64], path[192], sha256[SV_SHA256_HEX];
    snprintf(file, sizeof file, "images/%d-%d.png", (int)number, k);
    snprintf(path, sizeof path, "%s/%s", run_dir, file);
    write_picture(path, picture);
    sv_sha256_hex(file, strlen(file), sha256);
    sv_candidate c = {.number = number, .k = k, .seed = 1, .ok = true, .file = file, .bytes = 5, .sha256 = sha256, .width = 64, .height = 64};
    OK(sv_ledger_add_candidate(l, generate.id, &c, &err));
    OK(sv_ledger_add_score(l, clip.id, generate.id, number, k, 0.5, &err));
}

static sv_ledger *make_ledger(void) {
    sv_ledger *l;
    char path[128];
    snprintf(path, sizeof path, "%s/images", run_dir);
    OK(sv_dir_make(path, &err));
    snprintf(path, sizeof path, "%s/ledger.sqlite", run_dir);
    OK(sv_ledger_open(&l, path, SV_LEDGER_WRITE, &err));
    OK(sv_ledger_setup(l, SV_STAGE_CURATE, "", "{}", &curate, &err));
    snprintf(path, sizeof path, "{\"curate\":\"%s\"}", curate.hash);
    OK(sv_ledger_setup(l, SV_STAGE_SAMPLE, "", path, &sample, &err));
    OK(sv_ledger_setup(l, SV_STAGE_GENERATE, "", "{}", &generate, &err));
    OK(sv_ledger_setup(l, SV_STAGE_SCORE, "clip", "{}", &clip, &err));
    OK(sv_ledger_begin(l, &err));
    sv_source source = {.size = 1};
    memset(source.sha256, 'a', 64);
    OK(sv_ledger_add_source(l, &source, "x", "{}", &err));
    for (int i = 1; i <= 4; i++) {
        char id[16];
        sv_added what;
        int64_t number;
        snprintf(id, sizeof id, "c%d", i);
        sv_caption_row row = {.id = id, .id_size = strlen(id), .text = "text", .text_size = 4, .source = source.id, .line = i, .origin = "", .license = ""};
        OK(sv_ledger_add_caption(l, &row, &what, &number, &err));
        sv_verdict v = {.number = number, .keep = true, .value = NAN, .min = NAN, .max = NAN, .duplicate_of = -1};
        OK(sv_ledger_add_verdict(l, curate.id, &v, false, &err));
    }
    OK(sv_ledger_commit(l, &err));
    OK(sv_ledger_set_sample(l, sample.id, curate.id, NULL, 0, &err));
    return l;
}

static sv_recipe *make_recipe(const char *gates) {
    char yaml[512];
    sv_recipe *r = NULL;
    snprintf(yaml, sizeof yaml, "name: t\ncaptions: {sources: [{path: x.txt}]}\ngenerate: {model: m}\nscore: {clip: {model: c}, gates: %s}\n"
             "export: [{format: llava}]\n", gates);
    OK(sv_recipe_read(&r, yaml, strlen(yaml), "recipe.yaml", dir, NULL, 0, &err));
    return r;
}

static int64_t ask(sv_rundir *run, int64_t expected) {
    int64_t refused;
    OK(sv_duplicates_refuse(run, (sv_scope){curate.id, sample.id}, generate.id, &refused, &err));
    assert_int_equal(refused, expected);
    return refused;
}

static void refused(sv_ledger *l, int64_t number, int k, const char *outcome) {
    char text[96];
    OK(sv_ledger_outcome(l, generate.id, number, k, text, sizeof text, &err));
    assert_string_equal(text, outcome);
}

/* Whatever came first by number and k stays; in a later round what has passed stays, whatever its number. */
static void repeats_are_refused_between_rounds(void **state) {
    sv_ledger *l = make_ledger();
    sv_recipe *r = make_recipe("{duplicate: 0}");
    sv_rundir run = {.dir = run_dir, .ledger = l, .recipe = r};
    char path[160];
    OK(sv_ledger_begin(l, &err));
    draw(l, 4, 0, 7);            /* the order of rows says nothing */
    draw(l, 2, 1, 7);
    draw(l, 2, 0, 1);
    draw(l, 1, 0, 1);
    draw(l, 3, 0, 3);
    OK(sv_ledger_commit(l, &err));
    ask(&run, 2);
    refused(l, 1, 0, "ok");
    refused(l, 2, 0, "failed: duplicate");
    refused(l, 2, 1, "ok");
    refused(l, 4, 0, "failed: duplicate");
    snprintf(path, sizeof path, "%s/images/4-0.png", run_dir);
    assert_false(sv_file_exists(path));
    double value;
    OK(sv_ledger_scores_of(l, generate.id, &clip.id, 1, 2, 0, &value, &err));
    assert_true(isnan(value));
    ask(&run, 0);

    OK(sv_ledger_begin(l, &err));
    draw(l, 1, 1, 3);            /* the next round: 3-0 has passed, and stays */
    draw(l, 4, 1, 9);
    OK(sv_ledger_commit(l, &err));
    ask(&run, 1);
    refused(l, 1, 1, "failed: duplicate");
    refused(l, 3, 0, "ok");
    refused(l, 4, 1, "ok");
    run.o.strict = true;
    OK(sv_ledger_begin(l, &err));
    draw(l, 3, 1, 9);
    OK(sv_ledger_commit(l, &err));
    int64_t n;
    assert_int_equal(sv_duplicates_refuse(&run, (sv_scope){curate.id, sample.id}, generate.id, &n, &err), SV_E_INPUT);
    sv_recipe_close(&r);

    r = make_recipe("{}");       /* off: nothing is looked at */
    run = (sv_rundir){.dir = run_dir, .ledger = l, .recipe = r};
    OK(sv_ledger_begin(l, &err));
    draw(l, 3, 2, 9);
    OK(sv_ledger_commit(l, &err));
    ask(&run, 0);
    refused(l, 3, 2, "ok");
    sv_recipe_close(&r);
    sv_ledger_close(&l);
}

static void expect(const sv_recipe *r, uint32_t picture, const char *detail) {
    sv_taboo *taboo;
    sv_gate_work w = {0};
    sv_refusal out;
    sv_image im = {0};
    char path[160];
    snprintf(path, sizeof path, "%s/one.png", dir);
    write_picture(path, picture);
    OK(sv_image_read(&im, path, &err));
    OK(sv_gates_taboo(&r->score.gates, NULL, &taboo, &err));
    OK(sv_gates_ask(&r->score.gates, NULL, taboo, &im, &w, &out, &err));
    if (!detail)
        assert_null(out.reason);
    else {
        assert_string_equal(out.reason, "benchmark");
        assert_string_equal(out.detail, detail);
    }
    sv_gate_work_free(&w);
    sv_taboo_close(&taboo);
    sv_image_free(&im);
}

static void describe(const sv_recipe *r, char hash[SV_SHA256_HEX]) {
    sv_taboo *taboo;
    OK(sv_gates_taboo(&r->score.gates, NULL, &taboo, &err));
    sv_taboo_hash(taboo, hash);
    sv_taboo_close(&taboo);
}

static void benchmark_pictures_are_known_again(void **state) {
    char path[160], gates[256], first[SV_SHA256_HEX], second[SV_SHA256_HEX];
    snprintf(path, sizeof path, "%s/bench/deep", dir);
    OK(sv_dir_make(path, &err));
    snprintf(path, sizeof path, "%s/bench/deep/b.png", dir);
    write_picture(path, 11);
    snprintf(path, sizeof path, "%s/bench/a.PNG", dir);
    write_picture(path, 12);
    snprintf(path, sizeof path, "%s/bench/broken.jpg", dir);
    OK(sv_file_write_atomic(path, "no picture", 10, &err));
    snprintf(gates, sizeof gates, "{benchmark: %s/bench, benchmark_distance: 2}", dir);
    sv_recipe *r = make_recipe(gates);
    expect(r, 11, "repeats deep/b.png");
    expect(r, 12, "repeats a.PNG");
    expect(r, 13, NULL);
    describe(r, first);
    snprintf(path, sizeof path, "%s/bench/a.PNG", dir);          /* another picture under the name: the remembered hash counts no more */
    write_picture(path, 13);
    struct stat s;
    assert_int_equal(stat(path, &s), 0);
    expect(r, 13, "repeats a.PNG");
    expect(r, 12, NULL);
    describe(r, second);
    assert_string_not_equal(first, second);
    sv_recipe_close(&r);

    /* A list: with both hashes, and imagededup's map of one. */
    sv_image im = {0};
    sv_image_hashes h;
    char text[256];
    snprintf(path, sizeof path, "%s/one.png", dir);
    write_picture(path, 21);
    OK(sv_image_read(&im, path, &err));
    OK(sv_image_hash_all(&im, &h, &err));
    sv_image_free(&im);
    for (int map = 0; map < 2; map++) {
        snprintf(text, sizeof text, map ? "{\"x.jpg\": \"%016llx\"}" : "\n{\"image\": \"x.jpg\", \"phash\": \"%016llx\", \"dhash\": \"%016llx\"}\n",
                 (unsigned long long)h.phash, (unsigned long long)h.dhash);
        snprintf(path, sizeof path, "%s/list", dir);
        OK(sv_file_write_atomic(path, text, strlen(text), &err));
        snprintf(gates, sizeof gates, "{benchmark: %s}", path);
        r = make_recipe(gates);
        expect(r, 21, "repeats x.jpg");
        expect(r, 22, NULL);
        sv_recipe_close(&r);
    }
}

static void refuse_benchmark(const char *text, const char *says) {
    char path[160], gates[256];
    sv_taboo *taboo;
    snprintf(path, sizeof path, "%s/list", dir);
    OK(sv_file_write_atomic(path, text, strlen(text), &err));
    snprintf(gates, sizeof gates, "{benchmark: %s}", path);
    sv_recipe *r = make_recipe(gates);
    assert_int_equal(sv_gates_taboo(&r->score.gates, NULL, &taboo, &err), SV_E_RECIPE);
    assert_null(taboo);
    assert_string_equal(err.what, "score.gates.benchmark");
    if (!strstr(err.why, says)) fail_msg("%s instead of %s", err.why, says);
    sv_recipe_close(&r);
}

static void bad_benchmarks(void **state) {
    char gates[256];
    sv_taboo *taboo;
    refuse_benchmark("", "holds no hashes");
    refuse_benchmark("{\"image\": \"a\"}\n", "\"image\" has no hash");
    refuse_benchmark("{\"image\": \"a\", \"size\": 5}\n", "line 1, has no hash");
    refuse_benchmark("\n\n{\"image\": \"a\", \"phash\": \"0123456789abcdeg\"}", "line 3, has no hash");
    refuse_benchmark("{\"a.jpg\": \"12\"}", "\"a.jpg\" has no hash");
    refuse_benchmark("rubbish", "line 1, has no hash");
    snprintf(gates, sizeof gates, "{benchmark: %s/nowhere}", dir);
    sv_recipe *r = make_recipe(gates);
    assert_int_equal(sv_gates_taboo(&r->score.gates, NULL, &taboo, &err), SV_E_RECIPE);
    sv_recipe_close(&r);
    snprintf(gates, sizeof gates, "%s/empty", dir);
    OK(sv_dir_make(gates, &err));
    snprintf(gates, sizeof gates, "{benchmark: %s/empty}", dir);
    r = make_recipe(gates);
    assert_int_equal(sv_gates_taboo(&r->score.gates, NULL, &taboo, &err), SV_E_RECIPE);
    assert_non_null(strstr(err.why, "holds no pictures"));
    sv_recipe_close(&r);
}

int main(void) {
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {CASE(repeats_are_refused_between_rounds), CASE(benchmark_pictures_are_known_again), CASE(bad_benchmarks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
