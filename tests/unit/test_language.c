/* test_language.c - fastText classifiers against fastText itself (tests/golden/fasttext), broken files, and the filter. */
#include "golden.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "synthvlm/text.h"
#include "text/models/fasttext.h"
#include "text/unicode/unicode.h"

#define GOLDEN "tests/golden/fasttext/"

static const char *const models[] = {"softmax.bin", "tree.bin", "ova.bin", "negative.bin", "words.bin", "quant.ftz", "quant_norm.ftz",
                                     "quant_pruned.ftz", "quant_out.ftz", "quant_odd.ftz"};
enum { MODELS = sizeof models / sizeof *models };

static void test_predictions(void **state) {
    golden g = golden_read(GOLDEN "predictions.jsonl");
    sv_fasttext_scratch scratch = {0};      /* one for models of different sizes */
    sv_buf line = {0};
    for (size_t k = 0; k < MODELS; k++) {
        char path[96];
        sv_error err = {0};
        sv_fasttext *m;
        snprintf(path, sizeof path, GOLDEN "%s", models[k]);
        if (sv_fasttext_open(&m, path, &err) != SV_OK) fail_msg("%s: %s", err.what, err.why);
        for (size_t i = 0; i < g.count; i++) {
            yyjson_val *row = golden_at(&g, i), *want = golden_get(row, models[k]);
            int64_t label;
            float probability;
            sv_buf_clear(&line);
            sv_lower_append(golden_str(row, "text"), golden_len(row, "text"), &line);
            assert_int_equal(sv_fasttext_predict(m, line.data ? line.data : "", line.size, &scratch, &label, &probability, &err), SV_OK);
            if (yyjson_is_null(want)) {
                assert_int_equal(label, -1);
                assert_true(isnan(probability));
                continue;
            }
            assert_true(label >= 0);
            assert_string_equal(sv_fasttext_label(m, (size_t)label), yyjson_get_str(yyjson_arr_get(want, 0)));
            double expected = yyjson_get_real(yyjson_arr_get(want, 1));
            if (fabs((double)probability - expected) > 1e-6) fail_msg("%s, line %zu: %.9g instead of %.9g", models[k], i + 1, (double)probability, expected);
        }
        assert_null(sv_fasttext_label(m, sv_fasttext_label_count(m)));
        sv_fasttext_close(&m);
    }
    sv_fasttext_scratch_free(&scratch);
    sv_buf_free(&line);
    golden_free(&g);
    (void)state;
}

static char scratch_file[] = "/tmp/test_language.XXXXXX";

static void check_refused(const char *data, size_t size, const char *why) {
    sv_fasttext *m;
    sv_error err = {0};
    FILE *f = fopen(scratch_file, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
    assert_int_equal(sv_fasttext_open(&m, scratch_file, &err), SV_E_MODEL);
    assert_null(m);
    if (why && !strstr(err.why, why)) fail_msg("\"%s\" does not say \"%s\"", err.why, why);
}

static void test_broken(void **state) {
    (void)state;
    int fd = mkstemp(scratch_file);
    assert_true(fd >= 0);
    close(fd);
    sv_error err = {0};
    char *data;
    size_t size;
    for (size_t k = 0; k < MODELS; k++) {       /* cut anywhere */
        char path[96];
        snprintf(path, sizeof path, GOLDEN "%s", models[k]);
        assert_int_equal(sv_file_read(path, 0, &data, &size, &err), SV_OK);
        for (size_t n = 1; n < size; n += n < 1200 ? 7 : 977) check_refused(data, n, NULL);
        check_refused(data, size - 1, "cut short");
        free(data);
    }
    assert_int_equal(sv_file_read(GOLDEN "softmax.bin", 0, &data, &size, &err), SV_OK);
    data[4] = 13;
    check_refused(data, size, "format version 13");
    data[4] = 10;
    check_refused(data, size, "format version 10");
    data[4] = 12;
    data[8] = 0;
    check_refused(data, size, "dimensions");
    data[0] ^= 1;
    check_refused(data, size, "not a fastText model");
    check_refused("x", 1, "not a fastText model");
    check_refused("", 0, "empty");
    free(data);
    assert_int_equal(sv_file_read(GOLDEN "vectors.bin", 0, &data, &size, &err), SV_OK);
    check_refused(data, size, "word vectors");
    free(data);
    unlink(scratch_file);
    sv_fasttext *m;
    assert_int_equal(sv_fasttext_open(&m, scratch_file, &err), SV_E_MODEL);
    assert_int_equal(sv_fasttext_open(&m, "/dev/null", &err), SV_E_MODEL);
}

static void test_filter(void **state) {
    (void)state;
    sv_error err = {0};
    sv_process *p;
    const char *list = "[{\"language_id_score_filter\": {\"lang\": [\"en\", \"de\"], \"min_score\": 0.9, \"model\": \"" GOLDEN "softmax.bin\"}}]";
    if (sv_process_open(&p, list, SV_VIEW_BARE, NULL, &err) != SV_OK) fail_msg("%s: %s", err.what, err.why);
    assert_int_equal(sv_process_stat_count(p), 2);
    assert_string_equal(sv_process_stat_name(p, 0), "lang_score");
    assert_string_equal(sv_process_stat_name(p, 1), "lang");
    assert_non_null(strstr(sv_process_json(p), "sha256:"));
    static const char *const texts[] = {"a red dog sits on the chair", "der Hund sitzt auf dem Stuhl im Park", "le chien rouge assis sur la chaise", "zzz q"};
    sv_caption_in in[4];
    sv_caption_out out[4];
    for (size_t i = 0; i < 4; i++) in[i] = (sv_caption_in){i, texts[i], strlen(texts[i])};
    assert_int_equal(sv_process_run(p, in, 4, 2, out, &err), SV_OK);
    assert_true(out[0].keep && out[1].keep && !out[2].keep && !out[3].keep);
    assert_string_equal(sv_process_stat_word(p, 1, out[0].stats[1]), "en");
    assert_string_equal(sv_process_stat_word(p, 1, out[1].stats[1]), "de");
    assert_null(sv_process_stat_word(p, 0, out[0].stats[0]));
    assert_null(sv_process_stat_word(p, 1, NAN));
    assert_string_equal(out[2].word, "fr");             /* sure of it, but it is not wanted */
    assert_true(out[2].value >= 0.9);
    assert_true(out[3].value < 0.9);
    assert_null(out[0].word);
    sv_process_close(&p);
}

/* A second filter judges what the first one found, as in Data-Juicer: with the first one's model. */
static void test_shared_statistic(void **state) {
    (void)state;
    sv_error err = {0};
    sv_process *p;
    const char *list = "[{\"language_id_score_filter\": {\"min_score\": 0, \"model\": \"" GOLDEN "quant_out.ftz\"}},"
                       " {\"language_id_score_filter\": {\"lang\": \"en\", \"min_score\": null, \"model\": \"" GOLDEN "softmax.bin\"}},"
                       " {\"language_id_score_filter\": {\"lang\": \"en\", \"min_score\": 0.9, \"recompute\": true, \"model\": \"" GOLDEN "softmax.bin\"}}]";
    if (sv_process_open(&p, list, SV_VIEW_BARE, NULL, &err) != SV_OK) fail_msg("%s: %s", err.what, err.why);
    assert_int_equal(sv_process_stat_count(p), 4);
    assert_string_equal(sv_process_stat_name(p, 3), "lang#2");
    sv_caption_in in = {1, "a red dog sits on the chair", 27};
    sv_caption_out out;
    assert_int_equal(sv_process_run(p, &in, 1, 1, &out, &err), SV_OK);
    assert_false(out.keep);
    assert_int_equal(out.op, 1);
    assert_true(strlen(out.word) > 2);                  /* a label such as en17 of the larger model */
    sv_process_close(&p);
}

static void check_list(const char *params, sv_status want, const char *why) {
    sv_error err = {0};
    sv_process *p;
    char list[512];
    snprintf(list, sizeof list, "[{\"language_id_score_filter\": %s}]", params);
    assert_int_equal(sv_process_open(&p, list, SV_VIEW_BARE, NULL, &err), want);
    if (why && !strstr(err.why, why)) fail_msg("\"%s\" does not say \"%s\"", err.why, why);
    sv_process_close(&p);
}

static void test_parameters(void **state) {
    (void)state;
#define WITH(x) "{" x "\"model\": \"" GOLDEN "tree.bin\"}"
    check_list(WITH("\"lang\": \"\","), SV_OK, NULL);
    check_list(WITH("\"lang\": [],"), SV_OK, NULL);
    check_list(WITH("\"lang\": null,"), SV_OK, NULL);
    check_list(WITH("\"lang\": 5,"), SV_E_RECIPE, "lang must be a language or a list");
    check_list(WITH("\"lang\": [\"en\", 5],"), SV_E_RECIPE, "lang must be a language or a list");
    check_list(WITH("\"max_score\": 1,"), SV_E_RECIPE, NULL);
    check_list("null", SV_E_MODEL, "no model for language identification is given");
    check_list("{\"model\": \"nowhere.bin\"}", SV_E_MODEL, "no such file");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_predictions), cmocka_unit_test(test_broken), cmocka_unit_test(test_filter),
                                       cmocka_unit_test(test_shared_statistic), cmocka_unit_test(test_parameters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
