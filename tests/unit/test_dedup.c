/* test_dedup.c - duplicates and near-duplicates: Data-Juicer's verdicts, signatures, and the captions that are named. */
#include "golden.h"

#include <stdio.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/hash.h"
#include "synthvlm/text.h"
#include "text/dedup/clusters.h"
#include "text/dedup/minhash.h"
#include "text/ops/op.h"

#define GOLDEN "tests/golden/text/"

static sv_process *open_op(const char *name, const char *params) {
    char list[1024];
    sv_process *p;
    sv_error err = {0};
    snprintf(list, sizeof list, "[{\"%s\": %s}]", name, params);
    if (sv_process_open(&p, list, SV_VIEW_BARE, NULL, &err) != SV_OK) fail_msg("%s: %s", err.what, err.why);
    return p;
}

/* Streams a pool through every pass, `step` captions a call. */
static void run_pool(sv_process *p, const sv_caption_in *in, size_t n, size_t step, unsigned threads, sv_caption_out *out) {
    sv_error err = {0};
    for (int pass = 0; pass < sv_process_passes(p); pass++) {
        for (size_t i = 0; i < n; i += step)
            if (sv_process_run(p, in + i, n - i < step ? n - i : step, threads, out + i, &err) != SV_OK) fail_msg("%s: %s", err.what, err.why);
        assert_int_equal(sv_process_end_pass(p, &err), SV_OK);
    }
}

static void test_verdicts(void **state) {
    golden g = golden_read(GOLDEN "minhash.jsonl");
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *row = golden_at(&g, i), *texts = golden_get(row, "texts"), *keep = golden_get(row, "keep");
        size_t n = yyjson_arr_size(texts);
        sv_caption_in *in = calloc(n, sizeof *in);
        sv_caption_out *out = calloc(n, sizeof *out);
        for (size_t k = 0; k < n; k++) {
            yyjson_val *t = yyjson_arr_get(texts, k);
            in[k] = (sv_caption_in){1000 + k, yyjson_get_str(t), yyjson_get_len(t)};
        }
        char *params = yyjson_val_write(golden_get(row, "params"), 0, NULL);
        for (size_t step = 7; step <= n + 7; step += n) {
            sv_process *p = open_op(golden_str(row, "op"), params);
            run_pool(p, in, n, step, 2, out);
            for (size_t k = 0; k < n; k++) {
                if (out[k].keep != yyjson_get_bool(yyjson_arr_get(keep, k))) fail_msg("line %zu, text %zu", i + 1, k);
                if (out[k].keep) continue;
                assert_string_equal(out[k].rule, golden_str(row, "op"));
                size_t first = (size_t)out[k].duplicate_of - 1000;
                assert_true(first < k && out[first].keep);
            }
            sv_process_close(&p);
        }
        free(params);
        free(in);
        free(out);
    }
    golden_free(&g);
}

/* One text before one deduplicator. */
typedef struct one {
    yyjson_doc *params;
    sv_instance in;
    sv_scan scan;
} one;

static one open_one(yyjson_val *row) {
    one o = {0};
    char *params = yyjson_val_write(golden_get(row, "params"), 0, NULL);
    o.params = yyjson_read(params, strlen(params), 0);
    free(params);
    assert_int_equal(sv_instance_open(&o.in, sv_op_row(golden_str(row, "op")), yyjson_doc_get_root(o.params), "op", NULL, NULL), SV_OK);
    sv_scan_set(&o.scan, golden_str(row, "text"), golden_len(row, "text"));
    return o;
}

static void close_one(one *o) {
    sv_scan_free(&o->scan);
    sv_instance_close(&o->in);
    yyjson_doc_free(o->params);
}

/* MD5s of what is compared; of min-hashes, the bands that the golden line shows whole. */
static void test_signatures(void **state) {
    golden g = golden_read(GOLDEN "minhash_signatures.jsonl");
    size_t md5s = 0, bands = 0;
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *row = golden_at(&g, i);
        one o = open_one(row);
        if (yyjson_obj_get(row, "md5")) {
            const char *text;
            size_t size;
            uint8_t md5[16];
            char hex[33];
            assert_int_equal(sv_document_comparable(o.in.state, &o.scan, &text, &size, NULL), SV_OK);
            sv_md5(text, size, md5);
            sv_hex(md5, sizeof md5, hex);
            assert_string_equal(hex, golden_str(row, "md5"));
            md5s++;
        } else {
            uint64_t key[SV_MINHASH_MAX];
            size_t rows = (size_t)golden_num(row, "rows_per_band");
            assert_int_equal(o.in.op->dedup->key_size(o.in.state), golden_num(row, "bands") * sizeof *key);
            assert_int_equal(o.in.op->dedup->key(o.in.state, &o.scan, key, NULL), SV_OK);
            for (size_t b = 0; (b + 1) * rows <= 8; b++, bands++) {
                uint32_t band[8];
                for (size_t k = 0; k < rows; k++) band[k] = (uint32_t)yyjson_get_uint(yyjson_arr_get(golden_get(row, "first"), b * rows + k));
                if (key[b] != sv_hash64(band, rows * sizeof *band, 0)) fail_msg("line %zu, band %zu", i + 1, b);
            }
        }
        close_one(&o);
    }
    assert_true(md5s > 10 && bands > 10);
    golden_free(&g);
}

/* Values of the reference implementation that no golden line shows: what every signature is made of. */
static void test_permutations(void **state) {
    sv_permutation p[256];
    sv_minhash_permutations(p, 256);
    assert_true(p[0].a == 2297359619001564596u && p[0].b == 1396682528897996046u && p[3].a == 1071453510346823115u && p[3].b == 2143071682933157236u);
    assert_true(p[255].a == 2092141031243851673u && p[255].b == 797693216700694537u);
    assert_int_equal(sv_minhash_shingle("hello", 5), 499578026);
    uint32_t s[256];
    memset(s, 0xFF, sizeof s);
    static const char *const shingles[] = {"do you need a cup", "you need a cup of", "need a cup of coffee"};
    for (int i = 0; i < 3; i++) sv_minhash_add(p, 256, sv_minhash_shingle(shingles[i], strlen(shingles[i])), s);
    assert_true(s[0] == 1052592554 && s[1] == 766490931 && s[2] == 69496541 && s[3] == 394352099 && s[4] == 385034676 && s[5] == 1079012704);
}

static void test_bands(void **state) {
    static const struct {
        double threshold;
        size_t permutations, bands, rows;
    } v[] = {{0.7, 256, 25, 10}, {0.5, 256, 42, 6}, {0.8, 256, 17, 15}, {0.9, 256, 9, 28}, {0.7, 128, 14, 9}, {0.5, 1, 1, 1}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        size_t bands, rows;
        assert_int_equal(sv_minhash_bands(v[i].threshold, v[i].permutations, &bands, &rows, NULL), SV_OK);
        assert_true(bands == v[i].bands && rows == v[i].rows);
    }
}

/* Chains join: 0-1 in one band, 1-2 in another; 3 stands alone; keys of 0 join nothing. */
static void test_clusters(void **state) {
    sv_clusters c = {.bands = 2};
    static const uint64_t keys[][2] = {{5, 0}, {5, 9}, {6, 9}, {7, 5}, {0, 0}, {0, 0}};
    for (size_t i = 0; i < 6; i++) assert_int_equal(sv_clusters_add(&c, keys[i], 100 + i, NULL), SV_OK);
    assert_int_equal(sv_clusters_settle(&c, NULL), SV_OK);
    static const uint64_t first[] = {100, 100, 100, 103, 104, 105};
    for (size_t i = 0; i < 6; i++) assert_int_equal(sv_clusters_first(&c, i), first[i]);
    sv_clusters_clear(&c);
}

/* More captions than one block holds, every 1000th a copy of one long before it. */
static void test_many(void **state) {
    sv_clusters c = {.bands = 1};
    for (uint64_t i = 0; i < 140000; i++) {
        uint64_t key = i % 1000 == 999 ? i / 2000 * 1000 + 1 : i + 1;
        assert_int_equal(sv_clusters_add(&c, &key, i, NULL), SV_OK);
    }
    assert_int_equal(sv_clusters_settle(&c, NULL), SV_OK);
    for (uint64_t i = 0; i < 140000; i++) assert_int_equal(sv_clusters_first(&c, i), i % 1000 == 999 ? i / 2000 * 1000 : i);
    sv_clusters_clear(&c);
}

/* Filters before and after, and both deduplicators in one list. */
static void test_in_a_list(void **state) {
    static const char list[] = "[{\"text_length_filter\": {\"min_len\": 3}}, {\"document_deduplicator\": {\"lowercase\": true}}, "
                               "{\"punctuation_normalization_mapper\": {}}, {\"document_minhash_deduplicator\": {\"window_size\": 1}}, "
                               "{\"text_length_filter\": {\"recompute\": true, \"max_len\": 30}}]";
    static const char *const texts[] = {"one two three four five six", "ab", "One Two Three Four Five Six", "one two three four five six six",
                                        "something else altogether",
                                        "this one is much longer than thirty characters", "this one is much longer than thirty characters \u2026"};
    static const int op[] = {-1, 0, 1, 3, -1, 4, 3};
    static const int64_t of[] = {-1, -1, 0, 0, -1, -1, 5};
    sv_caption_in in[7];
    sv_caption_out out[7];
    sv_process *p;
    assert_int_equal(sv_process_open(&p, list, SV_VIEW_BARE, NULL, NULL), SV_OK);
    assert_int_equal(sv_process_passes(p), 2);
    for (size_t i = 0; i < 7; i++) in[i] = (sv_caption_in){i, texts[i], strlen(texts[i])};
    run_pool(p, in, 7, 3, 1, out);
    for (size_t i = 0; i < 7; i++)
        if (out[i].op != op[i] || out[i].duplicate_of != of[i])
            fail_msg("text %zu: operator %d, of %lld", i, out[i].op, (long long)out[i].duplicate_of);
    sv_process_close(&p);
}

static void test_short_texts_kept(void **state) {
    sv_process *p = open_op("document_minhash_deduplicator", "{\"short_texts\": \"keep\"}");
    sv_caption_in in[3] = {{0, "a", 1}, {1, "a", 1}, {2, "", 0}};
    sv_caption_out out[3];
    run_pool(p, in, 3, 3, 1, out);
    assert_true(out[0].keep && out[1].keep && out[2].keep);
    sv_process_close(&p);
}

/* Signatures with vector instructions are those without, whatever the number of permutations, also where the modulus is met exactly. */
static void test_vector_signatures(void **state) {
    static sv_permutation p[300];
    static const uint64_t m = ((uint64_t)1 << 61) - 1;
    sv_minhash_permutations(p, 300);
    p[1] = (sv_permutation){1, m};
    p[2] = (sv_permutation){1, m - 1};
    p[3] = (sv_permutation){0, 3 * m + 2};
    p[4] = (sv_permutation){m, UINT64_MAX};
    uint32_t r = 1;
    for (int round = 0; round < 3000; round++) {
        uint32_t plain[300], vector[300], hash = round % 5 ? r : round % 2 ? 0 : UINT32_MAX;
        size_t n = 1 + r % 300;
        memset(plain, 0xFF, sizeof plain);
        memset(vector, 0xFF, sizeof vector);
        for (int k = 0; k < 3; k++, hash = hash * 2654435761u + 1) {
            sv_cpu_plain(true);
            sv_minhash_add(p, n, hash, plain);
            sv_cpu_plain(false);
            sv_minhash_add(p, n, hash, vector);
        }
        assert_memory_equal(plain, vector, sizeof plain);
        r = r * 1664525 + 1013904223;
    }
}

/* Keys that lie on disk make the clusters that keys in memory make, and the file is gone from its folder at once. */
static void test_clusters_on_disk(void **state) {
    enum { N = 200000, BANDS = 3 };
    char dir[] = "/tmp/test_dedup.XXXXXX";
    sv_clusters c[2] = {{.bands = BANDS}, {.bands = BANDS, .dir = dir}};
    sv_error err = {0};
    assert_non_null(mkdtemp(dir));
    uint64_t r = 1;
    for (uint64_t i = 0; i < N; i++) {
        uint64_t keys[BANDS];
        for (int b = 0; b < BANDS; b++) {
            r = r * 6364136223846793005u + 1442695040888963407u;
            keys[b] = (r >> 40) % 400000;
        }
        for (int k = 0; k < 2; k++) assert_int_equal(sv_clusters_add(&c[k], keys, 2 * i, &err), SV_OK);
    }
    assert_int_equal(rmdir(dir), 0);     /* empty */
    size_t repeated = 0;
    for (int k = 0; k < 2; k++) assert_int_equal(sv_clusters_settle(&c[k], &err), SV_OK);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(sv_clusters_first(&c[0], i), sv_clusters_first(&c[1], i));
        repeated += sv_clusters_first(&c[0], i) != 2 * i;
    }
    assert_true(repeated > 1000);
    for (int k = 0; k < 2; k++) sv_clusters_clear(&c[k]);
    sv_clusters lost = {.bands = BANDS, .dir = dir};     /* a folder that is not there */
    sv_status st = SV_OK;
    uint64_t keys[BANDS] = {1, 2, 3};
    for (uint64_t i = 0; st == SV_OK && i < N; i++) st = sv_clusters_add(&lost, keys, i, &err);
    assert_int_equal(st, SV_E_IO);
    sv_clusters_clear(&lost);
}

/* The second pass must bring the same captions. */
static void test_another_pool(void **state) {
    sv_process *p = open_op("document_minhash_deduplicator", "{}");
    sv_caption_in in = {5, "a b c d e f", 11}, other = {6, "a b c d e f", 11};
    sv_caption_out out;
    sv_error err = {0};
    assert_int_equal(sv_process_run(p, &in, 1, 1, &out, NULL), SV_OK);
    assert_int_equal(sv_process_end_pass(p, NULL), SV_OK);
    assert_int_equal(sv_process_run(p, &other, 1, 1, &out, &err), SV_E_USAGE);
    assert_non_null(strstr(err.why, "number 6"));
    sv_process_close(&p);
}

static void test_wrong_settings(void **state) {
    static const char *const wrong[][2] = {{"{\"num_bands\": 30, \"num_rows_per_band\": 10}", "300"}, {"{\"ignore_pattern\": \"(\"}", "pattern"},
                                           {"{\"jaccard_threshold\": 1.5}", "jaccard_threshold"},
                                           {"{\"tokenization\": \"sentencepiece\"}", "sentencepiece"},
                                           {"{\"tokenization\": \"words\"}", "space"}, {"{\"window_size\": 0}", "window_size"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char list[256], text[2048];
        sv_process *p;
        sv_error err = {0};
        snprintf(list, sizeof list, "[{\"document_minhash_deduplicator\": %s}]", wrong[i][0]);
        assert_int_equal(sv_process_open(&p, list, SV_VIEW_BARE, NULL, &err), SV_E_RECIPE);
        assert_non_null(strstr(sv_error_text(&err, text, sizeof text), wrong[i][1]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts), cmocka_unit_test(test_signatures), cmocka_unit_test(test_permutations), cmocka_unit_test(test_bands),
        cmocka_unit_test(test_clusters), cmocka_unit_test(test_many), cmocka_unit_test(test_in_a_list), cmocka_unit_test(test_short_texts_kept),
        cmocka_unit_test(test_another_pool), cmocka_unit_test(test_vector_signatures), cmocka_unit_test(test_clusters_on_disk),
        cmocka_unit_test(test_wrong_settings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
