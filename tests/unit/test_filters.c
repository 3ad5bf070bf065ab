/* test_filters.c - statistics and range tests against Data-Juicer's own numbers. */
#include "golden.h"

#include <math.h>

#include "synthvlm/text.h"
#include "text/ops/op.h"
#include "text/unicode/unicode.h"

#define GOLDEN "tests/golden/text/"

static sv_stats *open_stats(int64_t char_rep, int64_t word_rep) {
    sv_stats_options o;
    sv_stats_options_init(&o);
    o.char_rep_len = char_rep;
    o.word_rep_len = word_rep;
    o.flagged_file = GOLDEN "flagged_words.json";
    sv_stats *s;
    sv_error err = {0};
    if (sv_stats_open(&s, &o, &err) != SV_OK) fail_msg("%s: %s", err.what, err.why);
    return s;
}

static double statistic(const sv_stats *s, const char *text, size_t size, const char *name) {
    double values[32];
    sv_error err = {0};
    if (sv_stats_compute(s, text, size, values, &err) != SV_OK) fail_msg("%s: %s", err.what, err.why);
    for (size_t i = 0; i < sv_stats_count(s); i++)
        if (!strcmp(sv_stats_name(s, i), name)) return values[i];
    fail_msg("no statistic %s", name);
    return NAN;
}

static void test_goldens(void **state) {
    static const char *const names[] = {"alnum_ratio", "special_char_ratio", "char_rep_ratio", "word_rep_ratio", "flagged_words_ratio", "num_words",
                                        "text_len"};
    golden g = golden_read(GOLDEN "caption_stats.jsonl");
    sv_stats *s10 = open_stats(10, 10), *s5 = open_stats(5, 3);
    assert_int_equal(g.count, 400);
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *row = golden_at(&g, i);
        const char *text = golden_str(row, "text");
        size_t size = golden_len(row, "text");
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (statistic(s10, text, size, names[k]) != golden_num(row, names[k])) fail_msg("line %zu: %s", i + 1, names[k]);
        if (statistic(s5, text, size, "char_rep_ratio") != golden_num(row, "char_rep_ratio_5")) fail_msg("line %zu: 5 characters", i + 1);
        if (statistic(s5, text, size, "word_rep_ratio") != golden_num(row, "word_rep_ratio_3")) fail_msg("line %zu: 3 words", i + 1);
    }
    sv_stats_close(&s10);
    sv_stats_close(&s5);
    golden_free(&g);
}

/* Values worked out by hand from the definitions. */
static void test_vectors(void **state) {
    static const struct {
        const char *text;
        double length, alnum, special, char5, char10, word3, words;
    } v[] = {
        {"a=1\nb\nc=1+2+3+5\nd=6", 19, 10 / 19., 15 / 19., 0, 0, 0, 4},
        {"Today is Sund Sund Sund Sunda and it's a happy day!\nYou know", 60, 46 / 60., 14 / 60., 0.2857142857142857, 0.2156862745098039, 0, 13},
        {"a v s e e f g a qkc", 19, 11 / 19., 8 / 19., 0, 0, 0, 9},
        {"emoji\u8868\u60c5\u6d4b\u8bd5\u4e0b\U0001f60a\uff0c\U0001f63831231\n", 19, 15 / 19., 9 / 19., 0, 0, 0, 1},
        {"Today is Sund Sund Sund Sund Sunda and it's a happy day!", 56, 43 / 56., 13 / 56., 0.4038461538461539, 0.3404255319148936, 0.2, 12},
        {"a v s e c s f e f g a a a a a a a a a a", 39, 20 / 39., 19 / 39., 0.4571428571428571, 0.3666666666666666, 0.4444444444444444, 20},
        {"\u4e2d\u6587\u4e5f\u662f\u4e00\u4e2a\u5b57\u7b97\u4e00\u4e2a\u957f\u5ea6", 12, 1, 2 / 12., 0, 0, 0, 1},
        {"a v s e c s f e f g a a a  ", 27, 13 / 27., 14 / 27., 0.08695652173913043, 0, 0, 13},
        {"plusieurs \u00e8rdash@hqbchd.ckd d'acc\u00e9der \u00e0 ces wwwasdasd fonc", 58, 49 / 58., 9 / 58., 0, 0, 0, 7},
        {"", 0, 0, 0, 0, 0, 0, 0}, {" ", 1, 0, 1, 0, 0, 0, 0}, {"\n\n", 2, 0, 1, 0, 0, 0, 0}, {"!!!", 3, 0, 1, 0, 0, 0, 0},
        {"aaaaaaaaaaaaaaaaaaaa", 20, 1, 0, 1, 1, 0, 1},
        {"a photo of a cat, a photo of a cat, a photo of a cat", 52, 36 / 52., 16 / 52., 0.25, 0.2790697674418605, 1, 15}};
    sv_stats *s10 = open_stats(10, 10), *s5 = open_stats(5, 3);
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        const char *t = v[i].text;
        size_t n = strlen(t);
        if (statistic(s10, t, n, "text_len") != v[i].length || statistic(s10, t, n, "alnum_ratio") != v[i].alnum ||
            statistic(s10, t, n, "special_char_ratio") != v[i].special || statistic(s10, t, n, "num_words") != v[i].words)
            fail_msg("vector %zu", i);
        /* these are written with 16 digits */
        if (fabs(statistic(s5, t, n, "char_rep_ratio") - v[i].char5) > 1e-15 || fabs(statistic(s10, t, n, "char_rep_ratio") - v[i].char10) > 1e-15 ||
            fabs(statistic(s5, t, n, "word_rep_ratio") - v[i].word3) > 1e-15)
            fail_msg("repetition, vector %zu", i);
    }
    assert_true(statistic(s10, v[14].text, strlen(v[14].text), "word_rep_ratio") == 1 / 3.);
    sv_stats_close(&s10);
    sv_stats_close(&s5);
}

static void test_lines(void **state) {
    static const struct {
        const char *text;
        double average, longest;
    } v[] = {{"", 0, 0}, {"ab", 2, 2}, {"ab\n", 3, 2}, {"ab\r\ncde", 3.5, 3}, {"\n\n", 1, 0},
             {"a\u2028bc\x1d" "d", 2, 2}, {"\r\r\n", 1.5, 0}, {"\u00e9\u00e9\x0b", 3, 2}};
    sv_stats *s = open_stats(10, 10);
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        assert_true(statistic(s, v[i].text, strlen(v[i].text), "avg_line_length") == v[i].average);
        assert_true(statistic(s, v[i].text, strlen(v[i].text), "max_line_length") == v[i].longest);
    }
    sv_stats_close(&s);
}

/* The wrapping decides samples: the counts of the bare caption plus those of the tokens. */
static void test_views(void **state) {
    static const struct {
        sv_view view;
        double length, alnum, words;
    } v[] = {{SV_VIEW_BARE, 24, 0.791667, 6}, {SV_VIEW_LLAVA, 46, 0.630435, 8}, {SV_VIEW_DATA_JUICER, 52, 0.596154, 8}};
    for (size_t i = 0; i < 3; i++) {
        sv_stats_options o;
        sv_stats_options_init(&o);
        o.view = v[i].view;
        sv_stats *s;
        assert_int_equal(sv_stats_open(&s, &o, NULL), SV_OK);
        const char *t = "the bus is white and red";
        assert_true(statistic(s, t, strlen(t), "text_len") == v[i].length);
        assert_true(fabs(statistic(s, t, strlen(t), "alnum_ratio") - v[i].alnum) < 1e-6);
        assert_true(statistic(s, t, strlen(t), "num_words") == v[i].words);
        sv_stats_close(&s);
    }
}

static void test_range(void **state) {
    golden g = golden_read(GOLDEN "range_keep.jsonl");
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *row = golden_at(&g, i);
        sv_range r = {.min = golden_num(row, "min"), .max = golden_num(row, "max"),
                      .min_closed = yyjson_get_bool(golden_get(row, "min_closed_interval")),
                      .max_closed = yyjson_get_bool(golden_get(row, "max_closed_interval")),
                      .reversed = yyjson_get_bool(golden_get(row, "reversed_range"))};
        if (sv_range_keeps(&r, golden_num(row, "value")) != yyjson_get_bool(golden_get(row, "keep"))) fail_msg("line %zu", i + 1);
    }
    golden_free(&g);
    sv_range open = {.min = NAN, .max = NAN, .min_closed = true, .max_closed = true};
    assert_true(sv_range_keeps(&open, -1e300) && sv_range_keeps(&open, 1e300));
    sv_range below = {.min = NAN, .max = 2, .min_closed = true, .max_closed = true};
    assert_true(sv_range_keeps(&below, 2) && !sv_range_keeps(&below, 2.5) && !sv_range_keeps(&below, NAN));
    below.reversed = true;
    assert_true(sv_range_keeps(&below, NAN) && sv_range_keeps(&below, 2));
}

static void test_lower(void **state) {
    static const char *const pairs[][2] = {
        {"\u0391\u03a3", "\u03b1\u03c2"}, {"\u0391\u03a3\u0391", "\u03b1\u03c3\u03b1"}, {"\u03a3", "\u03c3"}, {"A\u03a3.", "a\u03c2."},
        {"A.\u03a3.", "a.\u03c2."}, {"A\u03a3.B", "a\u03c3.b"}, {"\u0130", "i\u0307"},
        {"\u1e9e\u023a", "\u00df\u2c65"}, {"ABC z", "abc z"}, {"", ""}};
    sv_buf b = {0};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        sv_buf_clear(&b);
        sv_lower_append(pairs[i][0], strlen(pairs[i][0]), &b);
        assert_string_equal(b.data, pairs[i][1]);
    }
    sv_buf_free(&b);
}

static void test_invalid_text(void **state) {
    sv_stats *s = open_stats(10, 10);
    double values[32];
    sv_error err = {0};
    assert_int_equal(sv_stats_compute(s, "a\xff", 2, values, &err), SV_E_INPUT);
    assert_non_null(strstr(err.why, "byte 1"));
    assert_int_equal(sv_stats_compute(s, "\xed\xa0\x80", 3, values, &err), SV_E_INPUT);
    assert_int_equal(sv_stats_compute(s, "caf\xc3", 4, values, &err), SV_E_INPUT);
    assert_true(statistic(s, "a\0b", 3, "text_len") == 3 && statistic(s, "a\0b", 3, "alnum_ratio") == 2 / 3.);
    sv_stats_close(&s);
}

/* A text long enough to grow every table, and one after it that needs little. */
static void test_long_text(void **state) {
    enum { SIZE = 3 << 20 };
    char *text = malloc(SIZE);
    assert_non_null(text);
    uint32_t random = 1;
    for (size_t i = 0; i < SIZE; i++) {
        random = random * 1664525u + 1013904223u;
        text[i] = i % 7 == 6 ? ' ' : (char)('a' + (random >> 16) % 26);
    }
    sv_stats *s = open_stats(10, 10);
    double whole = statistic(s, text, SIZE, "char_rep_ratio");
    assert_true(whole >= 0 && whole < 0.01);
    assert_true(statistic(s, text, SIZE, "num_words") == (SIZE + 6) / 7);
    memset(text, 'x', SIZE);
    assert_true(statistic(s, text, SIZE, "char_rep_ratio") == 1);
    assert_true(statistic(s, "aaaaaaaaaaaaaaaaaaaa", 20, "char_rep_ratio") == 1);
    sv_stats_close(&s);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens), cmocka_unit_test(test_vectors), cmocka_unit_test(test_lines), cmocka_unit_test(test_views),
        cmocka_unit_test(test_range), cmocka_unit_test(test_lower), cmocka_unit_test(test_invalid_text), cmocka_unit_test(test_long_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
