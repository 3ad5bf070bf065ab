/* T5's tokenizer against transformers' on the vocabulary of tiny-sd3 (188 pieces, nmt_nfkc). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "text/tokenizer/t5_tokenizer.h"

static sv_error err;

static const struct {
    const char *text, *ids;
} cases[] = {
    {"", ""},
    {"a red cup on the table", "5 57 10 114 3 59 7 4 88"},
    {"  two   green dogs ", "36 69 60 62 20 102 13"},
    {"a cat\xe2\x80\xa6 and a \xef\xbd\x84\xef\xbd\x8f\xef\xbd\x87, caf\xc3\xa9", "5 78 17 17 17 5 71 5 102 6 3 15 186 70 181"},
    {"tab\x09" "and\x0aline", "36 186 187 5 71 3 31 8 55"},
    {"a</s>b", "5 1 3 187"},
    {"<extra_id_0> and <extra_id_99>", "287 5 71 188"},
    {"end \xe3\x80\x80", "3 24 10"},
    {"x\xe2\x80\xa8y", "3 44 3 18"},
    {"na\xc3\xafve \xe2\x91\xa0\xe2\x91\xa1", "3 20 186 2 156 4 3 2"},
    {"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "3 2"},
    {"a\xe2\x80\x8b" "b", "5 187"},
    {"<unk><pad>", "2 0"},
    {"<extra_id_100>", "3 141 4 44 32 14 170 80 170 34 9 9 143"},
};

static void compare(const char *dir) {
    sv_t5 *t;
    sv_ids ids = {0};
    assert_int_equal(sv_t5_open(&t, dir, &err), SV_OK);
    assert_int_equal(sv_t5_vocabulary(t), 288);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char got[512] = "";
        size_t used = 0;
        assert_int_equal(sv_t5_encode(t, cases[i].text, strlen(cases[i].text), &ids, &err), SV_OK);
        for (size_t k = 0; k < ids.size && used < sizeof got - 8; k++) used += (size_t)snprintf(got + used, sizeof got - used, "%s%d", k ? " " : "", ids.data[k]);
        assert_string_equal(got, cases[i].ids);
    }
    assert_int_equal(sv_t5_encode(t, "\xff", 1, &ids, &err), SV_E_INPUT);
    sv_ids_free(&ids);
    sv_t5_close(&t);
}

static void ids_of_transformers(void **state) {
    compare("tests/golden/models/tiny-sd3/tokenizer_3");
    compare("tests/golden/models/tiny-sd3/tokenizer_json");       /* the same from tokenizer.json alone */
}

static void rows_end_and_are_padded(void **state) {
    int32_t data[5] = {7, 8, 9, 10, 11}, row[6];
    sv_ids ids = {data, 5, 5};
    assert_int_equal(sv_t5_row(&ids, 6, row), 0);
    assert_int_equal(row[5], 1);
    assert_int_equal(sv_t5_row(&ids, 3, row), 3);
    assert_memory_equal(row, ((int32_t[]){7, 8, 1}), 12);
    ids.size = 1;
    assert_int_equal(sv_t5_row(&ids, 4, row), 0);
    assert_memory_equal(row, ((int32_t[]){7, 1, 0, 0}), 16);
}

static void not_a_t5_model(void **state) {
    sv_t5 *t;
    assert_int_equal(sv_t5_open(&t, "tests/golden/models/tiny-sd3/tokenizer", &err), SV_E_MODEL);
    assert_null(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_of_transformers),
        cmocka_unit_test(rows_end_and_are_padded),
        cmocka_unit_test(not_a_t5_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
