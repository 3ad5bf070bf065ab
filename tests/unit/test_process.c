/* test_process.c - whole process lists: verdicts, mappers, views, errors, and what a list says about itself. */
#include "golden.h"

#include <math.h>

#include "synthvlm/text.h"

#define GOLDEN "tests/golden/text/"

static sv_process *open_list(const char *json, sv_view view) {
    sv_process *p;
    sv_error err = {0};
    if (sv_process_open(&p, json, view, NULL, &err) != SV_OK) fail_msg("%s: %s", err.what, err.why);
    return p;
}

/* Opens a list that is wrong; the error must name all of the words. */
static void refuse(const char *json, const char *first, const char *second) {
    sv_process *p;
    sv_error err = {0};
    char text[2048];
    assert_int_not_equal(sv_process_open(&p, json, SV_VIEW_BARE, NULL, &err), SV_OK);
    assert_null(p);
    sv_error_text(&err, text, sizeof text);
    if (!strstr(text, first) || !strstr(text, second)) fail_msg("%s", text);
}

static sv_caption_out judge_one(sv_process *p, const char *text) {
    sv_caption_in in = {7, text, strlen(text)};
    sv_caption_out out;
    sv_error err = {0};
    if (sv_process_run(p, &in, 1, 1, &out, &err) != SV_OK) fail_msg("%s: %s", err.what, err.why);
    return out;
}

/* The published thresholds: every verdict, and the operator that is blamed. */
static void test_published_list(void **state) {
    static const struct {
        const char *key, *entry;
    } ops[] = {{"alphanumeric", "{\"alphanumeric_filter\": {\"tokenization\": false, \"min_ratio\": 0.60}}"},
               {"character_repetition", "{\"character_repetition_filter\": {\"rep_len\": 10, \"max_ratio\": 0.09373663}}"},
               {"flagged_words",
                "{\"flagged_words_filter\": {\"lang\": \"en\", \"tokenization\": false, \"max_ratio\": 0.0, \"flagged_words_dir\": \"" GOLDEN
                                 "flagged_words.json\"}}"},
               {"special_characters", "{\"special_characters_filter\": {\"min_ratio\": 0.16534802, \"max_ratio\": 0.42023757}}"},
               {"word_repetition",
                "{\"word_repetition_filter\": {\"lang\": \"en\", \"tokenization\": false, \"rep_len\": 10, \"max_ratio\": 0.03085751}}"}};
    enum { OPS = sizeof ops / sizeof *ops };
    golden texts = golden_read(GOLDEN "caption_stats.jsonl"), keep = golden_read(GOLDEN "keep.jsonl");
    sv_buf list = {0};
    sv_buf_puts(&list, "[");
    for (size_t k = 0; k < OPS; k++) sv_buf_printf(&list, "%s%s", k ? ", " : "", ops[k].entry);
    sv_buf_puts(&list, "]");
    sv_process *p = open_list(list.data, SV_VIEW_BARE);
    sv_buf_free(&list);
    sv_caption_in *in = calloc(texts.count, sizeof *in);
    sv_caption_out *out = calloc(texts.count, sizeof *out);
    for (size_t i = 0; i < texts.count; i++) {
        yyjson_val *row = golden_at(&texts, i);
        in[i] = (sv_caption_in){i, golden_str(row, "text"), golden_len(row, "text")};
    }
    for (unsigned threads = 1; threads <= 3; threads++) {
        assert_int_equal(sv_process_run(p, in, texts.count, threads, out, NULL), SV_OK);
        for (size_t i = 0; i < texts.count; i++) {
            int blamed = -1;
            for (int k = OPS - 1; k >= 0; k--)
                if (!yyjson_get_bool(golden_get(golden_at(&keep, i), ops[k].key))) blamed = k;
            if (out[i].op != blamed || out[i].keep != (blamed < 0)) fail_msg("line %zu: operator %d, should be %d", i + 1, out[i].op, blamed);
            assert_ptr_equal(out[i].text, in[i].text);
        }
    }
    free(in);
    free(out);
    sv_process_close(&p);
    golden_free(&texts);
    golden_free(&keep);
}

/* Runs a list over one text and compares what the mappers made of it. */
static void check_mapped(sv_process *p, size_t line, yyjson_val *text, yyjson_val *result) {
    sv_caption_in in = {line, yyjson_get_str(text), yyjson_get_len(text)};
    sv_caption_out out;
    sv_error err = {0};
    if (sv_process_run(p, &in, 1, 1, &out, &err) != SV_OK) fail_msg("%s: %s", err.what, err.why);
    if (out.size != yyjson_get_len(result) || memcmp(out.text, yyjson_get_str(result), out.size) != 0)
        fail_msg("line %zu: %.*s", line + 1, (int)out.size, out.text);
}

static void test_mappers(void **state) {
    golden g = golden_read(GOLDEN "mappers.jsonl");
    sv_process *punctuation = open_list("[{\"punctuation_normalization_mapper\": null}]", SV_VIEW_BARE);
    sv_process *fix = open_list("[{\"fix_unicode_mapper\": {\"normalization\": \"nfc\"}}]", SV_VIEW_BARE);
    sv_process *both = open_list("[{\"fix_unicode_mapper\": null}, {\"punctuation_normalization_mapper\": null}]", SV_VIEW_BARE);
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *row = golden_at(&g, i), *text = golden_get(row, "text");
        check_mapped(punctuation, i, text, golden_get(row, "punctuation_normalization"));
        check_mapped(fix, i, text, golden_get(row, "fix_unicode"));
        check_mapped(both, i, text, golden_get(row, "both"));
    }
    sv_process_close(&punctuation);
    sv_process_close(&fix);
    sv_process_close(&both);
    golden_free(&g);
}

/* Files of [text, result]. */
static void check_pairs(const char *file, const char *list) {
    golden g = golden_read(file);
    sv_process *p = open_list(list, SV_VIEW_BARE);
    for (size_t i = 0; i < g.count; i++) check_mapped(p, i, yyjson_arr_get(golden_at(&g, i), 0), yyjson_arr_get(golden_at(&g, i), 1));
    sv_process_close(&p);
    golden_free(&g);
}

static void test_white_space(void **state) { check_pairs(GOLDEN "whitespace.jsonl", "[{\"whitespace_normalization_mapper\": {}}]"); }

static void test_html(void **state) { check_pairs(GOLDEN "html.jsonl", "[{\"clean_html_mapper\": {}}]"); }

/* Lines of [text, NFKC, NFD, NFKD]. */
static void test_normal_forms(void **state) {
    static const char *const forms[] = {"NFKC", "NFD", "nfkd"};
    golden g = golden_read(GOLDEN "normal_forms.jsonl");
    for (size_t k = 0; k < 3; k++) {
        char list[80];
        snprintf(list, sizeof list, "[{\"fix_unicode_mapper\": {\"normalization\": \"%s\"}}]", forms[k]);
        sv_process *p = open_list(list, SV_VIEW_BARE);
        for (size_t i = 0; i < g.count; i++) check_mapped(p, i, yyjson_arr_get(golden_at(&g, i), 0), yyjson_arr_get(golden_at(&g, i), k + 1));
        sv_process_close(&p);
    }
    golden_free(&g);
}

/* Lines of [pattern, text, result]: classes mean what they mean in Python's regex module. */
static void test_patterns(void **state) {
    golden g = golden_read(GOLDEN "patterns.jsonl");
    for (size_t i = 0; i < g.count; i++) {
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *list = yyjson_mut_arr(doc), *op = yyjson_mut_arr_add_obj(doc, list), *params = yyjson_mut_obj(doc);
        yyjson_mut_obj_add_val(doc, op, "clean_links_mapper", params);
        yyjson_mut_obj_add_str(doc, params, "pattern", yyjson_get_str(yyjson_arr_get(golden_at(&g, i), 0)));
        yyjson_mut_obj_add_str(doc, params, "repl", "_");
        char *json = yyjson_mut_val_write(list, 0, NULL);
        sv_process *p = open_list(json, SV_VIEW_BARE);
        check_mapped(p, i, yyjson_arr_get(golden_at(&g, i), 1), yyjson_arr_get(golden_at(&g, i), 2));
        sv_process_close(&p);
        free(json);
        yyjson_mut_doc_free(doc);
    }
    golden_free(&g);
}

static void test_links(void **state) {
    check_pairs(GOLDEN "links.jsonl", "[{\"clean_links_mapper\": {}}]");
    /* a pattern that would keep a backtracking matcher busy for longer than the universe lasts */
    enum { SIZE = 100000 };
    char *text = malloc(SIZE + 1);
    assert_non_null(text);
    memset(text, '!', SIZE);
    memcpy(text, "http:", 5);
    text[SIZE] = 0;
    sv_process *p = open_list("[{\"clean_links_mapper\": {\"repl\": \"LINK\"}}]", SV_VIEW_BARE);
    sv_caption_in in = {0, text, SIZE};
    sv_caption_out out;
    assert_int_equal(sv_process_run(p, &in, 1, 1, &out, NULL), SV_OK);
    assert_int_equal(out.size, SIZE);
    sv_process_close(&p);
    free(text);
}

static void test_own_pattern(void **state) {
    static const struct {
        const char *list, *text, *result;
    } v[] = {{"[{\"clean_links_mapper\": {\"pattern\": \"b+\", \"repl\": \"-\"}}]", "abba", "a-a"},
             {"[{\"clean_links_mapper\": {\"pattern\": \"r'x*'\", \"repl\": \"-\"}}]", "axb", "-a--b-"},
             {"[{\"clean_links_mapper\": {\"pattern\": \"a.c\"}}]", "xa\nc\u00e9", "x\u00e9"}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        sv_process *p = open_list(v[i].list, SV_VIEW_BARE);
        sv_caption_in in = {0, v[i].text, strlen(v[i].text)};
        sv_caption_out out;
        assert_int_equal(sv_process_run(p, &in, 1, 1, &out, NULL), SV_OK);
        if (out.size != strlen(v[i].result) || memcmp(out.text, v[i].result, out.size) != 0) fail_msg("%zu: %.*s", i, (int)out.size, out.text);
        sv_process_close(&p);
    }
    refuse("[{\"clean_links_mapper\": {\"pattern\": \"(\"}}]", "clean_links_mapper", "pattern");
    refuse("[{\"clean_links_mapper\": {\"repl\": \"\\\\1\"}}]", "clean_links_mapper", "backslash");
    refuse("[{\"fix_unicode_mapper\": {\"normalization\": \"NFX\"}}]", "NFX", "NFC, NFKC, NFD or NFKD");
}

/* tokenization: true. */
static void test_pieces(void **state) {
    static const char *const names[] = {"word_rep_ratio", "num_words", "flagged_words_ratio"};
    static const char common[] = "\"tokenization\": true, \"spm\": \"tests/golden/language-model/en.sp.model\"";
    sv_buf list = {0};
    sv_buf_printf(&list, "[{\"word_repetition_filter\": {%s, \"rep_len\": 3, \"max_ratio\": null}}, {\"words_num_filter\": {%s, \"min_num\": null}}, "
                         "{\"flagged_words_filter\": {%s, \"use_words_aug\": true, \"flagged_words_dir\": \"" GOLDEN "flagged_words.json\"}}]",
                  common, common, common);
    sv_process *p = open_list(list.data, SV_VIEW_BARE);
    sv_buf_free(&list);
    golden g = golden_read(GOLDEN "pieces.jsonl");
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *row = golden_at(&g, i);
        sv_caption_in in = {i, golden_str(row, "text"), golden_len(row, "text")};
        sv_caption_out out;
        assert_int_equal(sv_process_run(p, &in, 1, 1, &out, NULL), SV_OK);
        for (size_t k = 0; k < 3; k++)
            if (out.stats[k] != golden_num(row, names[k])) fail_msg("line %zu: %s", i + 1, names[k]);
    }
    golden_free(&g);
    sv_process_close(&p);
}

static void test_tokens(void **state) {
    refuse("[{\"token_num_filter\": {}}]", "token_num_filter", "hf_tokenizer");
    refuse("[{\"token_num_filter\": {\"hf_tokenizer\": \"no/directory\"}}]", "hf_tokenizer", "no/directory");
    refuse("[{\"clip_token_length_filter\": {\"tokenizer\": \"" GOLDEN "\"}}]", "tests/golden/text", "vocab");
    sv_process *p = open_list("[{\"clip_token_length_filter\": {\"tokenizer\": \"tests/golden/models/tiny-sd15/tokenizer\", \"max_num\": 6}}, "
                              "{\"token_num_filter\": {\"hf_tokenizer\": \"tests/golden/models/tiny-sd15/tokenizer\", \"min_num\": 4}}]", SV_VIEW_BARE);
    sv_caption_out out = judge_one(p, "A photo of a cat");
    assert_true(out.keep && out.stats[0] == 6 && out.stats[1] == 6);
    out = judge_one(p, "a photo of a cat!");
    assert_true(!out.keep && out.op == 0 && out.value == 7);
    out = judge_one(p, "a cat");
    assert_true(!out.keep && out.op == 1 && out.value == 3);
    sv_process_close(&p);
}

/* Operators see the wrapped text, callers get the caption back without the wrapping. */
static void test_mappers_and_views(void **state) {
    static const struct {
        sv_view view;
        const char *result;
        double length;
    } v[] = {{SV_VIEW_BARE, "a \"cat\"", 7}, {SV_VIEW_LLAVA, " a \"cat\"\n", 9 + 22}, {SV_VIEW_DATA_JUICER, " a \"cat\"\n", 9 + 28}};
    for (size_t i = 0; i < 3; i++) {
        sv_process *p = open_list("[{\"whitespace_normalization_mapper\": {}}, "
                                  "{\"punctuation_normalization_mapper\": {}}, {\"text_length_filter\": {\"min_len\": 1}}]", v[i].view);
        sv_caption_out out = judge_one(p, "\u3000a\u00a0\u201ccat\u201d\n");
        assert_true(out.keep);
        assert_int_equal(out.size, strlen(v[i].result));
        assert_memory_equal(out.text, v[i].result, out.size);
        assert_true(out.stats[0] == v[i].length);
        sv_process_close(&p);
    }
}

static void test_rejection_says_why(void **state) {
    sv_process *p = open_list("[{\"alphanumeric_filter\": {\"min_ratio\": 0.6}}, "
                              "{\"text_length_filter\": {\"min_len\": 3, \"max_len\": 5}}]", SV_VIEW_BARE);
    assert_int_equal(sv_process_stat_count(p), 2);
    assert_string_equal(sv_process_stat_name(p, 0), "alnum_ratio");
    sv_caption_out out = judge_one(p, "too long");
    assert_false(out.keep);
    assert_int_equal(out.op, 1);
    assert_string_equal(out.rule, "text_length_filter");
    assert_true(out.value == 8 && out.min == 3 && out.max == 5 && out.duplicate_of == -1);
    assert_true(out.stats[0] == 7 / 8. && out.stats[1] == 8);
    out = judge_one(p, "?!?!");
    assert_true(!out.keep && out.op == 0 && out.value == 0 && isnan(out.max) && isnan(out.stats[1]));
    sv_process_close(&p);
}

/* Data-Juicer computes a statistic once and keeps it; `recompute` measures again. */
static void test_statistic_is_reused(void **state) {
    sv_process *p = open_list("[{\"text_length_filter\": {\"min_len\": 1}}, "
                              "{\"punctuation_normalization_mapper\": {}}, {\"text_length_filter\": {\"min_len\": 3}}]", SV_VIEW_BARE);
    assert_int_equal(sv_process_stat_count(p), 1);
    assert_false(judge_one(p, "\u2026").keep);
    sv_process_close(&p);
    p = open_list("[{\"text_length_filter\": {\"min_len\": 1}}, "
                              "{\"punctuation_normalization_mapper\": {}}, {\"text_length_filter\": {\"min_len\": 3, \"recompute\": true}}]",
                  SV_VIEW_BARE);
    assert_int_equal(sv_process_stat_count(p), 2);
    assert_string_equal(sv_process_stat_name(p, 1), "text_len#2");
    sv_caption_out out = judge_one(p, "\u2026");
    assert_true(out.keep && out.stats[0] == 1 && out.stats[1] == 3);
    sv_process_close(&p);
}

static void test_list_with_defaults(void **state) {
    sv_process *p = open_list("[{\"text_length_filter\": null}, "
                              "{\"alphanumeric_filter\": {\"min_ratio\": null, \"num_proc\": 4, \"text_key\": \"text\"}}, "
                              "{\"flagged_words_filter\": {\"flagged_words_dir\": \"" GOLDEN "flagged_words.json\"}}]", SV_VIEW_BARE);
    const char *json = sv_process_json(p);
    assert_non_null(strstr(json, "{\"text_length_filter\":{\"min_len\":10.0,\"max_len\":null,\"min_closed_interval\":true"));
    assert_non_null(strstr(json, "{\"alphanumeric_filter\":{\"tokenization\":false,\"min_ratio\":null"));
    assert_null(strstr(json, "num_proc"));
    assert_non_null(strstr(json, "\"flagged_words_dir\":\"sha256:"));
    assert_null(strstr(json, "tests/golden"));
    assert_false(judge_one(p, "123456789").keep);
    assert_true(judge_one(p, "..........").keep);
    sv_process *again = open_list("[]", SV_VIEW_BARE);
    assert_string_equal(sv_process_json(again), "[]");
    assert_true(judge_one(again, "").keep);
    sv_process_close(&again);
    sv_process_close(&p);
}

static void test_wrong_lists(void **state) {
    refuse("{", "process", "not JSON");
    refuse("{}", "process", "must be a list");
    refuse("[\"text_length_filter\"]", "process[0]", "one operator");
    refuse("[{\"text_length_filter\": {}, \"words_num_filter\": {}}]", "process[0]", "one operator");
    refuse("[{\"text_lenght_filter\": {}}]", "process[0]", "text_length_filter");
    refuse("[{\"stopwords_filter\": {}}]", "stopwords_filter", "not available");
    refuse("[{\"words_num_filter\": {}}, {\"text_length_filter\": {\"min_length\": 3}}]", "process[1].text_length_filter.min_length", "min_len");
    refuse("[{\"text_length_filter\": {\"min_len\": \"3\"}}]", "process[0].text_length_filter.min_len", "a number");
    refuse("[{\"character_repetition_filter\": {\"rep_len\": 0}}]", "rep_len", "from 1");
    refuse("[{\"character_repetition_filter\": {\"rep_len\": null}}]", "rep_len", "null");
    refuse("[{\"alphanumeric_filter\": {\"tokenization\": true}}]", "process[0].alphanumeric_filter", "pythia");
    refuse("[{\"word_repetition_filter\": {\"tokenization\": true, \"lang\": \"qq\"}}]", "word_repetition_filter", "qq.sp.model");
    refuse("[{\"words_num_filter\": {\"tokenization\": true, \"spm\": \"no.model\"}}]", "no.model", "no such file");
    refuse("[{\"flagged_words_filter\": {}}]", "process[0].flagged_words_filter", "flagged_words_dir");
    refuse("[{\"flagged_words_filter\": {\"flagged_words_dir\": \"no/such.json\"}}]", "no/such.json", "no such file");
    refuse("[{\"flagged_words_filter\": {\"flagged_words_dir\": \"" GOLDEN "flagged_words.json\", \"lang\": \"de\"}}]", "\"de\"", "en, xx");
    refuse("[{\"flagged_words_filter\": {\"flagged_words_dir\": \"" GOLDEN "keep.jsonl\"}}]", "keep.jsonl", "not JSON");
    refuse("[{\"text_length_filter\": {\"text_key\": \"caption\"}}]", "text_key", "source");
}

static void test_flagged_words(void **state) {
    static const char head[] = "[{\"flagged_words_filter\": {\"max_ratio\": 0.0, \"flagged_words_dir\": \"" GOLDEN "\"";
    char list[512];
    snprintf(list, sizeof list, "%s}}]", head);
    sv_process *p = open_list(list, SV_VIEW_BARE);       /* a directory: *flagged_words*.json */
    assert_true(judge_one(p, "a grumble fish").keep);
    assert_true(judge_one(p, "12 \"PLIMSY!\" x").stats[0] == 0.5);
    sv_process_close(&p);
    snprintf(list, sizeof list, "%s, \"use_words_aug\": true, \"words_aug_join_char\": \" \"}}]", head);
    p = open_list(list, SV_VIEW_BARE);
    assert_true(judge_one(p, "a grumble fish").stats[0] == 1 / 5.);
    sv_process_close(&p);
    snprintf(list, sizeof list, "%s, \"lang\": \"xx\"}}]", head);
    p = open_list(list, SV_VIEW_BARE);
    assert_true(judge_one(p, "plimsy zibbet").stats[0] == 0.5);
    sv_process_close(&p);
    snprintf(list, sizeof list, "%s, \"lang\": \"all\"}}]", head);
    p = open_list(list, SV_VIEW_BARE);
    assert_true(judge_one(p, "plimsy zibbet").stats[0] == 1);
    sv_process_close(&p);
}

static void test_invalid_caption(void **state) {
    sv_process *p = open_list("[{\"text_length_filter\": {}}]", SV_VIEW_BARE);
    sv_caption_in in = {12, "\xc3(", 2};
    sv_caption_out out;
    sv_error err = {0};
    assert_int_equal(sv_process_run(p, &in, 1, 1, &out, &err), SV_E_INPUT);
    assert_non_null(strstr(err.why, "number 12"));
    assert_int_equal(sv_process_end_pass(p, &err), SV_OK);
    assert_int_equal(sv_process_end_pass(p, &err), SV_E_USAGE);
    sv_process_close(&p);
}

static void test_table(void **state) {
    char help[4096];
    assert_true(sv_op_count() > 10);
    for (size_t i = 0; i < sv_op_count(); i++) {
        const sv_op_info *op = sv_op_at(i);
        assert_ptr_equal(sv_op_find(op->name), op);
        assert_true((op->stat != NULL) == (op->kind == SV_OP_FILTER));
        sv_op_help(op, help, sizeof help);
        assert_true((strstr(help, "min_closed_interval") != NULL) == (op->kind == SV_OP_FILTER));
    }
    assert_null(sv_op_at(sv_op_count()));
    assert_null(sv_op_find("no_filter"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_list), cmocka_unit_test(test_mappers), cmocka_unit_test(test_white_space),
        cmocka_unit_test(test_links), cmocka_unit_test(test_normal_forms), cmocka_unit_test(test_patterns), cmocka_unit_test(test_html),
        cmocka_unit_test(test_own_pattern), cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_pieces), cmocka_unit_test(test_mappers_and_views),
        cmocka_unit_test(test_rejection_says_why), cmocka_unit_test(test_statistic_is_reused), cmocka_unit_test(test_list_with_defaults),
        cmocka_unit_test(test_wrong_lists), cmocka_unit_test(test_flagged_words), cmocka_unit_test(test_invalid_caption), cmocka_unit_test(test_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
