/* The safety checker: the verdicts of diffusers' own, on the same weights; and what becomes of directories that have none, or a broken one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "image.h"
#include "score/safety.h"

#define MODEL "tests/golden/safety"

static sv_safety *open_model(void) {
    sv_engine_options engine;
    sv_safety *s = NULL;
    sv_error err = {0};
    sv_engine_options_init(&engine);
    must(sv_safety_open(&s, MODEL, &engine, &err), &err);
    return s;
}

static void verdicts_are_those_of_diffusers(void **state) {
    golden g = golden_read(MODEL "/cases.jsonl");
    sv_safety *s = open_model();
    sv_safety_work *work = NULL;
    size_t flagged_cases = 0, cases = 0;
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *row = golden_at(&g, i);
        sv_image im = {0};
        sv_error err = {0};
        bool flagged = false;
        must(sv_image_read(&im, golden_str(row, "image"), &err), &err);
        must(sv_safety_check(s, &im, &work, &flagged, &err), &err);
        if (flagged != yyjson_get_bool(yyjson_obj_get(row, "flagged_onnx"))) fail_msg("%s: flagged %d", golden_str(row, "image"), flagged);
        if (flagged != yyjson_get_bool(yyjson_obj_get(row, "flagged"))) fail_msg("%s: flagged %d, not as forward says", golden_str(row, "image"), flagged);
        flagged_cases += flagged;
        cases++;
        sv_image_free(&im);
    }
    assert_true(cases > 20 && flagged_cases > 4 && flagged_cases < cases / 2);
    golden_free(&g);
    sv_safety_work_free(&work);
    sv_safety_close(&s);
}

static void write_text(const char *path, const char *text) {
    sv_error err = {0};
    must(sv_file_write_atomic(path, text, strlen(text), &err), &err);
}

/* A directory is looked at, not loaded. */
static void what_is_there(void **state) {
    char dir[] = "/tmp/safety-XXXXXX", path[256];
    const char *why = "unset";
    assert_true(sv_safety_there(MODEL, &why));
    assert_null(why);
    assert_non_null(mkdtemp(dir));
    assert_false(sv_safety_there(dir, &why));
    assert_null(why);                                    /* no word of one anywhere */
    snprintf(path, sizeof path, "%s/model_index.json", dir);
    write_text(path, "{\"safety_checker\": [\"stable_diffusion\", \"StableDiffusionSafetyChecker\"]}");
    assert_false(sv_safety_there(dir, &why));
    assert_non_null(strstr(why, "no safety_checker/model.onnx"));
    snprintf(path, sizeof path, "%s/safety_checker", dir);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/safety_checker/model.onnx", dir);
    write_text(path, "no graph");
    assert_false(sv_safety_there(dir, &why));
    assert_non_null(strstr(why, "feature_extractor"));
    snprintf(path, sizeof path, "%s/feature_extractor", dir);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/feature_extractor/preprocessor_config.json", dir);
    write_text(path, "{\"size\": 32, \"crop_size\": 32}");
    assert_true(sv_safety_there(dir, &why));
    sv_safety *s = NULL;
    sv_engine_options engine;
    sv_error err = {0};
    sv_engine_options_init(&engine);
    assert_int_equal(sv_safety_open(&s, dir, &engine, &err), SV_E_MODEL);
    assert_null(s);
    snprintf(path, sizeof path, "%s/model_index.json", dir);
    write_text(path, "{\"safety_checker\": [null, null]}");
    assert_false(sv_safety_there(dir, &why));
    assert_non_null(strstr(why, "switches it off"));
    static const char *const files[] = {"safety_checker/model.onnx", "feature_extractor/preprocessor_config.json", "model_index.json", "safety_checker",
                                        "feature_extractor", ""};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        assert_int_equal(remove(path), 0);
    }
}

static void hash_is_of_its_files(void **state) {
    sv_safety *s = open_model();
    sv_error err = {0};
    char one[65], two[65];
    must(sv_safety_hash(s, one, &err), &err);
    must(sv_safety_hash(s, two, &err), &err);
    assert_int_equal(strlen(one), 64);
    assert_string_equal(one, two);
    sv_safety_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(verdicts_are_those_of_diffusers), cmocka_unit_test(what_is_there), cmocka_unit_test(hash_is_of_its_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
