/* BLIP's image-text matching and its WordPiece tokenizer against transformers and onnxruntime (tests/golden/pairs). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <yyjson.h>

#include "synthvlm/score.h"
#include "synthvlm/tokenizer.h"

#define MODEL "tests/golden/models/tiny-blip-itm"

static sv_error err;

/* Calls fn with every line of a file; returns their number. */
static int each_line(const char *path, void (*fn)(yyjson_val *line, void *user), void *user) {
    static char text[1 << 16];
    FILE *f = fopen(path, "r");
    int n = 0;
    assert_non_null(f);
    for (; fgets(text, sizeof text, f); n++) {
        yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
        assert_non_null(doc);
        fn(yyjson_doc_get_root(doc), user);
        yyjson_doc_free(doc);
    }
    fclose(f);
    return n;
}

static void compare_ids(yyjson_val *line, void *user) {
    yyjson_val *text = yyjson_obj_get(line, "text"), *want = yyjson_obj_get(line, "ids");
    sv_ids ids = {0};
    assert_int_equal(sv_wordpiece_encode(user, yyjson_get_str(text), yyjson_get_len(text), &ids, &err), SV_OK);
    assert_int_equal(ids.size, yyjson_arr_size(want));
    for (size_t i = 0; i < ids.size; i++) assert_int_equal(ids.data[i], yyjson_get_int(yyjson_arr_get(want, i)));
    sv_ids_free(&ids);
}

static void ids_of_transformers(void **state) {
    sv_wordpiece *w;
    assert_true(sv_wordpiece_is_model(MODEL));
    assert_int_equal(sv_wordpiece_open(&w, MODEL, &err), SV_OK);
    assert_int_equal(sv_wordpiece_vocabulary(w), 185);
    assert_int_equal(sv_wordpiece_max_length(w), 128);
    assert_int_equal(each_line("tests/golden/pairs/wordpiece.jsonl", compare_ids, w), 176);
    sv_ids ids = {0};
    assert_int_equal(sv_wordpiece_encode(w, "a\xff", 2, &ids, &err), SV_E_INPUT);
    sv_ids_free(&ids);
    sv_wordpiece_close(&w);
}

static void rows_are_cut_and_padded(void **state) {
    sv_wordpiece *w;
    int32_t data[4] = {9, 8, 7, 6};
    sv_ids ids = {data, 4, 4};
    int64_t row[8];
    assert_int_equal(sv_wordpiece_open(&w, MODEL, &err), SV_OK);
    assert_int_equal(sv_wordpiece_row(w, &ids, 8, row), 0);
    assert_memory_equal(row, ((int64_t[]){2, 9, 8, 7, 6, 3, 0, 0}), sizeof row);
    assert_int_equal(sv_wordpiece_row(w, &ids, 4, row), 2);
    assert_memory_equal(row, ((int64_t[]){2, 9, 8, 3}), 4 * sizeof *row);
    sv_wordpiece_close(&w);
}

static void compare_score(yyjson_val *line, void *user) {
    sv_image im = {0};
    const sv_image *image = &im;
    double itm = -1;
    assert_int_equal(sv_image_read(&im, yyjson_get_str(yyjson_obj_get(line, "image")), &err), SV_OK);
    assert_int_equal(sv_itm_score(user, yyjson_get_str(yyjson_obj_get(line, "text")), &image, 1, &itm, NULL, &err), SV_OK);
    assert_true(itm >= yyjson_get_num(yyjson_obj_get(line, "itm")) - 1e-5 && itm <= yyjson_get_num(yyjson_obj_get(line, "itm")) + 1e-5);
    sv_image_free(&im);
}

static void probabilities_of_the_reference(void **state) {
    sv_itm *m;
    assert_true(sv_itm_is_model(MODEL));
    assert_false(sv_itm_is_model("tests/golden/models/tiny-clip"));
    assert_int_equal(sv_itm_open(&m, MODEL, NULL, &err), SV_OK);
    assert_int_equal(each_line("tests/golden/pairs/itm.jsonl", compare_score, m), 22);
    sv_itm_close(&m);
}

/* A row's probability does not depend on its neighbours; what does not fit is counted. */
static void rows_of_a_batch_are_independent(void **state) {
    sv_itm *one, *three;
    sv_itm_options o;
    sv_itm_options_init(&o);
    assert_int_equal(sv_itm_open(&one, MODEL, &o, &err), SV_OK);
    o.batch = 3;
    assert_int_equal(sv_itm_open(&three, MODEL, &o, &err), SV_OK);
    sv_image a = {0}, b = {0};
    assert_int_equal(sv_image_read(&a, "tests/golden/diffusion/score-1.png", &err), SV_OK);
    assert_int_equal(sv_image_read(&b, "tests/golden/diffusion/score-3.png", &err), SV_OK);
    const sv_image *both[2] = {&a, &b};
    double together[2], alone[2];
    size_t cut = 9;
    char text[700] = "a red cup";
    assert_int_equal(sv_itm_score(three, text, both, 2, together, &cut, &err), SV_OK);
    assert_int_equal(cut, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sv_itm_score(one, text, &both[i], 1, &alone[i], NULL, &err), SV_OK);
        assert_true(alone[i] - together[i] < 1e-6 && together[i] - alone[i] < 1e-6);
    }
    assert_true(alone[0] != alone[1]);
    for (int i = 0; i < 200; i++) memcpy(text + 3 * i, "cup", 4), text[3 * i + 2] = ' ';
    assert_int_equal(sv_itm_score(one, text, both, 1, alone, &cut, &err), SV_OK);
    assert_int_equal(cut, 400 - 126);
    assert_int_equal(sv_itm_score(one, text, both, 2, alone, NULL, &err), SV_E_INTERNAL);
    sv_image_free(&a);
    sv_image_free(&b);
    sv_itm_close(&one);
    sv_itm_close(&three);
}

static void other_models_are_refused(void **state) {
    sv_itm *m;
    sv_wordpiece *w;
    assert_int_equal(sv_itm_open(&m, "tests/golden/models/tiny-clip", NULL, &err), SV_E_MODEL);
    assert_null(m);
    assert_int_equal(sv_itm_open(&m, "tests/golden/models/tiny-sd15", NULL, &err), SV_E_MODEL);
    assert_int_equal(sv_itm_open(&m, "no-such-directory", NULL, &err), SV_E_MODEL);
    assert_int_equal(sv_wordpiece_open(&w, "tests/golden/models/tiny-clip", &err), SV_E_MODEL);
    assert_null(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_of_transformers),           cmocka_unit_test(rows_are_cut_and_padded),
        cmocka_unit_test(probabilities_of_the_reference), cmocka_unit_test(rows_of_a_batch_are_independent),
        cmocka_unit_test(other_models_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
