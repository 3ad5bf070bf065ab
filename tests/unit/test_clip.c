/* CLIPScore: cosines of transformers on a tiny model, split and joint graphs, flavours, prefixes, and directories that are not whole. */
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
#include "synthvlm/score.h"

#define CLIP "tests/golden/models/tiny-clip"
#define GOLDEN "tests/golden/diffusion/"

static sv_error err;
static char root[64];

static void check(sv_status st) {
    char text[2048];
    if (st != SV_OK) fail_msg("%s", sv_error_text(&err, text, sizeof text));
}

static int make_root(void **state) {
    snprintf(root, sizeof root, "/tmp/synthvlm-clip-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state) {
    return sv_dir_empty(root, NULL) == SV_OK && rmdir(root) == 0 ? 0 : -1;
}

/* Links tiny-clip's files into root; with `joint` without onnx/. */
static void copy_model(bool joint) {
    static const char *const files[] = {"config.json", "merges.txt", "vocab.json", "tokenizer_config.json", "special_tokens_map.json", "preprocessor_config.json",
                                        "model.onnx", "onnx"};
    char here[512], from[1024], to[256];
    assert_non_null(getcwd(here, sizeof here));
    check(sv_dir_empty(root, &err));
    for (size_t i = 0; i < sizeof files / sizeof files[0] - joint; i++) {
        snprintf(from, sizeof from, "%s/" CLIP "/%s", here, files[i]);
        snprintf(to, sizeof to, "%s/%s", root, files[i]);
        assert_int_equal(symlink(from, to), 0);
    }
}

static double cosine_of(sv_clip *c, const char *text, const char *name) {
    char path[256];
    float a[64], b[64];
    sv_image im = {0};
    const sv_image *one = &im;
    snprintf(path, sizeof path, GOLDEN "%s", name);
    assert_true(sv_clip_dim(c) <= 64);
    check(sv_image_read(&im, path, &err));
    check(sv_clip_images(c, &one, 1, a, &err));
    check(sv_clip_text(c, text, b, NULL, &err));
    sv_image_free(&im);
    return sv_clip_cosine(c, a, b);
}

static void compare_goldens(const char *dir, int batch) {
    char *text;
    size_t size, cases = 0;
    sv_clip *c;
    sv_clip_options o;
    sv_clip_options_init(&o);
    o.flavour = "data-juicer";
    o.batch = batch;
    check(sv_clip_open(&c, dir, &o, &err));
    assert_int_equal(sv_clip_dim(c), 20);
    check(sv_file_read(GOLDEN "clip.jsonl", 0, &text, &size, &err));
    for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        yyjson_doc *doc = yyjson_read(line, strlen(line), 0);
        yyjson_val *g = yyjson_doc_get_root(doc);
        double want = yyjson_get_num(yyjson_obj_get(g, "cosine"));
        double got = cosine_of(c, yyjson_get_str(yyjson_obj_get(g, "text")), yyjson_get_str(yyjson_obj_get(g, "image")));
        if (fabs(got - want) > 1e-6) fail_msg("line %zu: %.9g instead of %.9g", cases, got, want);
        yyjson_doc_free(doc);
        cases++;
    }
    assert_int_equal(cases, 6);
    free(text);
    sv_clip_close(&c);
}

static void cosines_of_transformers(void **state) {
    compare_goldens(CLIP, 1);
    compare_goldens(CLIP, 3);
}

static void joint_graphs_say_the_same(void **state) {
    copy_model(true);
    compare_goldens(root, 1);
    compare_goldens(root, 2);
}

static void a_batch_is_its_rows(void **state) {
    static const char *const names[] = {"score-1.png", "score-4.png", "score-6.png"};
    sv_image images[3] = {{0}};
    const sv_image *list[3];
    float all[3 * 20], some[3 * 20];
    sv_clip *c;
    sv_clip_options o;
    sv_clip_options_init(&o);
    o.batch = 3;
    check(sv_clip_open(&c, CLIP, &o, &err));
    for (int i = 0; i < 3; i++) {
        char path[256];
        snprintf(path, sizeof path, GOLDEN "%s", names[i]);
        check(sv_image_read(&images[i], path, &err));
        list[i] = &images[i];
    }
    check(sv_clip_images(c, list, 3, all, &err));
    check(sv_clip_images(c, list, 2, some, &err));
    assert_memory_equal(all, some, 2 * 20 * sizeof(float));
    for (int i = 0; i < 3; i++) {
        double length = 0;
        for (int k = 0; k < 20; k++) length += (double)all[i * 20 + k] * all[i * 20 + k];
        assert_true(fabs(length - 1) < 1e-6);
        sv_image_free(&images[i]);
    }
    assert_int_equal(sv_clip_images(c, list, 4, all, &err), SV_E_INTERNAL);
    sv_clip_close(&c);
}

static void flavours_differ_as_they_should(void **state) {
    sv_clip *c;
    sv_clip_options o;
    double raw, prefixed;
    sv_clip_options_init(&o);
    check(sv_clip_open(&c, CLIP, &o, &err));
    assert_string_equal(sv_clip_prefix(c), "A photo depicts ");
    prefixed = cosine_of(c, "a red cup on the table", "score-1.png");
    assert_true(sv_clip_score(c, -0.5) == 0);
    assert_true(sv_clip_score(c, 0.25) == 0.25);
    sv_clip_close(&c);

    o.flavour = "hessel";
    check(sv_clip_open(&c, CLIP, &o, &err));
    assert_true(sv_clip_score(c, 0.25) == 0.625);
    sv_clip_close(&c);

    o.flavour = "raw";
    check(sv_clip_open(&c, CLIP, &o, &err));
    assert_true(sv_clip_score(c, -0.5) == -0.5);
    raw = cosine_of(c, "A photo depicts a red cup on the table", "score-1.png");
    assert_true(raw == prefixed);
    sv_clip_close(&c);

    o.prefix = "A photo depicts    ";                      /* exactly one blank is left */
    check(sv_clip_open(&c, CLIP, &o, &err));
    assert_string_equal(sv_clip_prefix(c), "A photo depicts ");
    assert_true(cosine_of(c, "a red cup on the table", "score-1.png") == raw);
    sv_clip_close(&c);

    o.flavour = "nonsense";
    assert_int_equal(sv_clip_open(&c, CLIP, &o, &err), SV_E_USAGE);
    assert_non_null(strstr(err.hint, "torchmetrics"));
}

static void cut_texts_are_counted(void **state) {
    sv_clip *c;
    float e[20];
    size_t cut;
    char text[201];
    check(sv_clip_open(&c, CLIP, NULL, &err));
    for (int i = 0; i < 200; i++) text[i] = i % 2 ? ' ' : 'a';
    text[200] = 0;
    check(sv_clip_text(c, text, e, &cut, &err));
    assert_true(cut >= 100 - 75 && cut < 100);
    assert_int_equal(sv_clip_text(c, "\xff", e, &cut, &err), SV_E_INPUT);
    sv_clip_close(&c);
}

static void incomplete_directories(void **state) {
    sv_clip *c;
    char path[256];
    copy_model(true);
    snprintf(path, sizeof path, "%s/model.onnx", root);
    unlink(path);
    assert_int_equal(sv_clip_open(&c, root, NULL, &err), SV_E_MODEL);
    assert_non_null(strstr(err.hint, "optimum-cli export onnx"));
    copy_model(false);
    snprintf(path, sizeof path, "%s/preprocessor_config.json", root);
    unlink(path);
    assert_int_equal(sv_clip_open(&c, root, NULL, &err), SV_E_MODEL);
    assert_non_null(strstr(err.why, "preprocessor_config.json"));
    check(sv_file_write_atomic(path, "{\"size\": {\"shortest_edge\": -3}}", 31, &err));
    assert_int_equal(sv_clip_open(&c, root, NULL, &err), SV_E_MODEL);
    assert_int_equal(sv_clip_open(&c, "tests/golden/models/tiny-sd15", NULL, &err), SV_E_MODEL);
    assert_int_equal(sv_clip_open(&c, "no/such/dir", NULL, &err), SV_E_MODEL);
    assert_null(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cosines_of_transformers),
        cmocka_unit_test_setup_teardown(joint_graphs_say_the_same, make_root, remove_root),
        cmocka_unit_test(a_batch_is_its_rows),
        cmocka_unit_test(flavours_differ_as_they_should),
        cmocka_unit_test(cut_texts_are_counted),
        cmocka_unit_test_setup_teardown(incomplete_directories, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
