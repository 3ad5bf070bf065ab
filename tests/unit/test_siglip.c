/* SigLIP: ids, cosines and probabilities of transformers, joint and split; windows of long texts; directories that do not fit together. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <yyjson.h>

#include "base/file.h"
#include "synthvlm/model.h"
#include "synthvlm/score.h"
#include "synthvlm/tokenizer.h"

#define SIGLIP "tests/golden/models/tiny-siglip"
#define SIGLIP2 "tests/golden/tokenizer/siglip2"
#define IMAGES "tests/golden/diffusion/"

static sv_error err;
static char root[64];

static void check(sv_status st) {
    char text[2048];
    if (st != SV_OK) fail_msg("%s", sv_error_text(&err, text, sizeof text));
}

static int make_root(void **state) {
    snprintf(root, sizeof root, "/tmp/synthvlm-siglip-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state) {
    return sv_dir_empty(root, NULL) == SV_OK && rmdir(root) == 0 ? 0 : -1;
}

/* Links the model's files into root, but for the one named. */
static void copy_model(const char *without) {
    static const char *const files[] = {"config.json", "preprocessor_config.json", "spiece.model", "tokenizer_config.json", "model.onnx", "onnx"};
    char here[512], from[1024], to[256];
    assert_non_null(getcwd(here, sizeof here));
    check(sv_dir_empty(root, &err));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (strcmp(files[i], without) == 0) continue;
        snprintf(from, sizeof from, "%s/" SIGLIP "/%s", here, files[i]);
        snprintf(to, sizeof to, "%s/%s", root, files[i]);
        assert_int_equal(symlink(from, to), 0);
    }
}

static void write_file(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    check(sv_file_write_atomic(path, text, strlen(text), &err));
}

static double cosine_of(sv_clip *c, const char *text, const char *name, size_t *cut) {
    char path[256];
    float a[64], b[64];
    sv_image im = {0};
    const sv_image *one = &im;
    snprintf(path, sizeof path, IMAGES "%s", name);
    assert_true(sv_clip_dim(c) <= 64);
    check(sv_image_read(&im, path, &err));
    check(sv_clip_images(c, &one, 1, a, &err));
    check(sv_clip_text(c, text, b, cut, &err));
    sv_image_free(&im);
    return sv_clip_cosine(c, a, b);
}

static double number(yyjson_val *g, const char *key) { return yyjson_get_num(yyjson_obj_get(g, key)); }

static void compare(const char *dir, bool windows, bool has_sigmoid) {
    char *text;
    size_t size, cases = 0, cut;
    sv_clip *c;
    sv_clip_options o;
    sv_clip_options_init(&o);
    o.prefix = "";
    o.batch = 1;
    o.windows = windows;
    check(sv_clip_open(&c, dir, &o, &err));
    assert_int_equal(sv_clip_row(c), 32);
    check(sv_file_read(SIGLIP "/cosines.jsonl", 0, &text, &size, &err));
    for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        yyjson_doc *doc = yyjson_read(line, strlen(line), 0);
        yyjson_val *g = yyjson_doc_get_root(doc);
        double got = cosine_of(c, yyjson_get_str(yyjson_obj_get(g, "text")), yyjson_get_str(yyjson_obj_get(g, "image")), &cut);
        double want = number(g, windows ? "windowed" : "cosine"), p = sv_clip_probability(c, got);
        if (fabs(got - want) > 2e-5) fail_msg("%s, line %zu: %.9g instead of %.9g", dir, cases, got, want);
        assert_int_equal(cut, windows ? 0 : (size_t)number(g, "cut"));
        assert_int_equal(has_sigmoid, !isnan(p));
        if (has_sigmoid && !windows) assert_true(fabs(p - number(g, "probability")) < 1e-4);
        yyjson_doc_free(doc);
        cases++;
    }
    assert_int_equal(cases, 6);
    free(text);
    sv_clip_close(&c);
}

static void cosines_of_transformers(void **state) {
    compare(SIGLIP, false, false);           /* onnx/: the halves */
    copy_model("onnx");
    compare(root, false, true);              /* model.onnx: scale and bias are read off */
}

static void sigmoid_from_the_configuration(void **state) {
    char *text;
    size_t size;
    copy_model("config.json");
    check(sv_file_read(SIGLIP "/config.json", 0, &text, &size, &err));
    char *more = malloc(size + 100);
    assert_non_null(more);
    snprintf(more, size + 100, "{\"logit_scale\": 2.995732273553991, \"logit_bias\": -2.5,%s", strchr(text, '{') + 1);
    write_file("config.json", more);
    compare(root, false, true);
    free(more);
    free(text);
}

static void long_texts_in_windows(void **state) {
    compare(SIGLIP, true, false);
    copy_model("onnx");
    compare(root, true, true);
    sv_clip *c;
    sv_clip_options o;
    float e[64];
    size_t cut, n = 100000;
    sv_clip_options_init(&o);
    o.windows = true;
    char *endless = malloc(2 * n + 1);
    assert_non_null(endless);
    for (size_t i = 0; i < n; i++) memcpy(endless + 2 * i, "a ", 3);
    check(sv_clip_open(&c, SIGLIP, &o, &err));
    check(sv_clip_text(c, endless, e, &cut, &err));
    assert_true(cut > n - 31 * SV_CLIP_MOST_WINDOWS - 1 && cut < n);
    sv_clip_close(&c);
    free(endless);
}

static void ids_of_siglip2(void **state) {
    char *text;
    size_t size, cases = 0;
    sv_siglip *t;
    sv_ids ids = {0};
    int32_t row[8];
    check(sv_siglip_open(&t, SIGLIP2, &err));
    assert_true(sv_siglip_is_bpe(t));
    check(sv_file_read(SIGLIP2 "/ids.jsonl", 0, &text, &size, &err));
    for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        yyjson_doc *doc = yyjson_read(line, strlen(line), 0);
        yyjson_val *g = yyjson_doc_get_root(doc), *want = yyjson_obj_get(g, "ids"), *s = yyjson_obj_get(g, "text"), *id;
        size_t i, n;
        check(sv_siglip_encode(t, yyjson_get_str(s), yyjson_get_len(s), &ids, &err));
        if (ids.size != yyjson_arr_size(want)) fail_msg("line %zu: %zu ids instead of %zu", cases, ids.size, yyjson_arr_size(want));
        yyjson_arr_foreach(want, i, n, id) {
            if (ids.data[i] != yyjson_get_int(id)) fail_msg("line %zu, id %zu: %d instead of %d", cases, i, (int)ids.data[i], yyjson_get_int(id));
        }
        yyjson_doc_free(doc);
        cases++;
    }
    assert_int_equal(cases, 25);
    check(sv_siglip_encode(t, "a small red cube", 16, &ids, &err));
    assert_int_equal(sv_siglip_row(t, &ids, 8, row), 0);
    assert_int_equal(row[ids.size], 1);
    assert_int_equal(row[7], 0);
    assert_int_equal(sv_siglip_row(t, &ids, 3, row), ids.size - 2);
    assert_int_equal(row[2], 1);
    assert_int_equal(sv_siglip_encode(t, "\xff", 1, &ids, &err), SV_E_INPUT);
    sv_ids_free(&ids);
    free(text);
    sv_siglip_close(&t);
}

static void what_does_not_fit(void **state) {
    sv_clip *c;
    copy_model("preprocessor_config.json");
    write_file("preprocessor_config.json", "{\"image_processor_type\": \"SiglipImageProcessor\", \"size\": {\"height\": 48, \"width\": 48}}");
    assert_int_equal(sv_clip_open(&c, root, NULL, &err), SV_E_MODEL);
    assert_non_null(strstr(err.why, "32x32"));
    assert_non_null(strstr(err.why, "48x48"));
    copy_model("spiece.model");
    assert_int_equal(sv_clip_open(&c, root, NULL, &err), SV_E_MODEL);
    assert_non_null(strstr(err.why, "spiece.model"));
    write_file("tokenizer.json", "{\"model\": {\"type\": \"WordPiece\"}}");
    assert_int_equal(sv_clip_open(&c, root, NULL, &err), SV_E_MODEL);
    write_file("tokenizer.json", "{\"model\": {\"type\": \"BPE\", \"unk_token\": \"<unk>\", \"vocab\": {\"<unk>\": 7}, \"merges\": []}}");
    assert_int_equal(sv_clip_open(&c, root, NULL, &err), SV_E_MODEL);
    copy_model("tokenizer_config.json");
    write_file("tokenizer_config.json", "{\"eos_token\": \"<end>\"}");
    assert_int_equal(sv_clip_open(&c, root, NULL, &err), SV_E_MODEL);
    assert_non_null(strstr(err.why, "<end>"));
    assert_null(c);
}

static void described(void **state) {
    char *json;
    check(sv_model_describe(SIGLIP, &json, &err));
    assert_non_null(strstr(json, "\"family\": \"SigLIP\""));
    assert_non_null(strstr(json, "\"layout\": \"split\""));
    assert_non_null(strstr(json, "\"text_length\": 32"));
    assert_non_null(strstr(json, "\"complete\": true"));
    free(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cosines_of_transformers, make_root, remove_root),
        cmocka_unit_test_setup_teardown(sigmoid_from_the_configuration, make_root, remove_root),
        cmocka_unit_test_setup_teardown(long_texts_in_windows, make_root, remove_root),
        cmocka_unit_test(ids_of_siglip2),
        cmocka_unit_test_setup_teardown(what_does_not_fit, make_root, remove_root),
        cmocka_unit_test(described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
