/* test_decontaminate.c - captions that repeat texts of benchmarks: whole texts, runs of words, near-duplicates, and what is no repetition. */
#include "golden.h"

#include <math.h>
#include <stdio.h>

#include "text/dedup/decontaminate.h"

static sv_decontaminator *with(const sv_decontaminate_options *o, const char *const *texts, size_t n) {
    sv_decontaminator *d;
    sv_decontaminate_scratch s = {0};
    sv_error err = {0};
    assert_int_equal(sv_decontaminator_open(&d, o, &err), SV_OK);
    for (size_t i = 0; i < n; i++) {
        char place[32];
        snprintf(place, sizeof place, "bench:%zu", i + 1);
        assert_int_equal(sv_decontaminator_add(d, texts[i], strlen(texts[i]), place, &s, &err), SV_OK);
    }
    sv_decontaminate_scratch_free(&s);
    return d;
}

/* detail NULL: no hit is expected. */
static double check(const sv_decontaminator *d, const char *text, const char *detail) {
    sv_decontaminate_scratch s = {0};
    sv_buf got = {0};
    sv_error err = {0};
    bool hit;
    double similarity;
    assert_int_equal(sv_decontaminator_find(d, text, strlen(text), &s, &hit, &similarity, &got, &err), SV_OK);
    if (hit != (detail != NULL)) fail_msg("\"%s\": %s", text, hit ? got.data : "no hit");
    if (detail && strcmp(got.data, detail) != 0) fail_msg("\"%s\" instead of \"%s\"", got.data, detail);
    sv_decontaminate_scratch_free(&s);
    sv_buf_free(&got);
    return similarity;
}

static void test_runs(void **state) {
    (void)state;
    static const char *const texts[] = {"What is the man in the red shirt holding?", "The man, in the RED shirt, holds a cup.", "A cup", "", "?!"};
    const sv_decontaminate_options o = {.ngram = 5, .similarity = NAN};
    sv_decontaminator *d = with(&o, texts, 5);
    assert_int_equal(sv_decontaminator_measure(d).texts, 3);
    assert_int_equal(sv_decontaminator_measure(d).runs, 5 + 5 - 2);          /* two runs of five words are in both */
    assert_true(isnan(check(d, "I think the man in the red shirt is here", "bench:1: \"the man in the red\"")));
    check(d, "so the\tred  shirt... holds a -- cup today", "bench:2: \"the red shirt holds a\"");
    check(d, "red shirt holds a glass", NULL);
    check(d, "a, CUP!", "bench:3: \"a cup\"");                              /* the whole text, however short */
    check(d, "a cup of tea", NULL);                                         /* but not as a part */
    check(d, "", NULL);
    check(d, " \xE2\x80\x94 ?", NULL);
    check(d, "WHAT IS\xC2\xA0THE MAN\nIN THE RED SHIRT HOLDING", "bench:1: \"what is the man in the red shirt holding\"");
    sv_decontaminator_close(&d);
}

static void test_runs_off(void **state) {
    (void)state;
    static const char *const texts[] = {"one two three four five six seven"};
    const sv_decontaminate_options o = {.similarity = NAN};
    sv_decontaminator *d = with(&o, texts, 1);
    check(d, "one two three four five six seven", "bench:1: \"one two three four five six seven\"");
    check(d, "one two three four five six seven eight", NULL);
    sv_decontaminator_close(&d);
}

static void test_near_duplicates(void **state) {
    (void)state;
    static const char *const texts[] = {"a b c d e f g h i j k l m n o p q r s t", "a b c d e f g h i j k l m n o p q r s x", "one two three"};
    const sv_decontaminate_options o = {.similarity = 0.7, .window = 5, .permutations = 256};
    sv_decontaminator *d = with(&o, texts, 3);
    assert_true(check(d, "zero a b c d e f g h i j k l m n o p q r s t", "bench:1: a near-duplicate") == 16.0 / 17.0);
    assert_true(check(d, "zero a b c d e f g h i j k l m n o p q r s x", "bench:2: a near-duplicate") == 16.0 / 17.0);   /* the most similar one */
    assert_true(check(d, "a b c d e f g h i j k l m n o p q r s y", "bench:1: a near-duplicate") == 15.0 / 17.0);       /* then the first */
    assert_true(isnan(check(d, "a b c d e f g h v w x y z j k l m n o p", NULL)));
    assert_true(isnan(check(d, "one two three four", NULL)));
    assert_true(isnan(check(d, "one two", NULL)));
    check(d, "one two three", "bench:3: \"one two three\"");
    sv_decontaminator_close(&d);
}

/* Every similarity that is reported is the exact one, and reaches the limit: bands alone would let others through. */
static void test_similarity_is_exact(void **state) {
    (void)state;
    enum { TEXTS = 300, WORDS = 24 };
    static char texts[TEXTS][WORDS * 6];
    const char *list[TEXTS];
    uint32_t r = 7;
    for (size_t i = 0; i < TEXTS; i++) {
        size_t at = 0;
        for (size_t k = 0; k < WORDS; k++) {
            r = r * 1664525 + 1013904223;
            at += (size_t)snprintf(texts[i] + at, sizeof texts[i] - at, "w%u ", k % 8 == i % 8 ? r >> 24 : (unsigned)(k * 3 + i / 30));
        }
        list[i] = texts[i];
    }
    const sv_decontaminate_options o = {.similarity = 0.5, .window = 2, .permutations = 128};
    sv_decontaminator *d = with(&o, list, TEXTS / 2);
    sv_decontaminate_scratch s = {0};
    sv_buf got = {0};
    size_t hits = 0;
    for (size_t i = TEXTS / 2; i < TEXTS; i++) {
        bool hit;
        double similarity;
        assert_int_equal(sv_decontaminator_find(d, texts[i], strlen(texts[i]), &s, &hit, &similarity, &got, NULL), SV_OK);
        if (!hit || isnan(similarity)) continue;
        hits++;
        assert_true(similarity >= 0.5 && similarity < 1.0);
    }
    assert_true(hits > 0);
    sv_decontaminate_scratch_free(&s);
    sv_buf_free(&got);
    sv_decontaminator_close(&d);
}

static void test_long_words_are_cut_in_the_detail(void **state) {
    (void)state;
    char text[1200];
    for (size_t i = 0; i < 400; i++) memcpy(text + i * 3, "\xE7\x8B\x97", 3);
    text[1199] = '\0';
    text[1197] = '\0';
    const char *list[] = {text};
    const sv_decontaminate_options o = {.ngram = 3, .similarity = NAN};
    sv_decontaminator *d = with(&o, list, 1);
    sv_decontaminate_scratch s = {0};
    sv_buf got = {0};
    bool hit;
    double similarity;
    assert_int_equal(sv_decontaminator_find(d, text, strlen(text), &s, &hit, &similarity, &got, NULL), SV_OK);
    assert_true(hit);
    assert_int_equal(got.size, strlen("bench:1: \"") + 198 + strlen("\xE2\x80\xA6\""));
    sv_decontaminate_scratch_free(&s);
    sv_buf_free(&got);
    sv_decontaminator_close(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_runs), cmocka_unit_test(test_runs_off), cmocka_unit_test(test_near_duplicates),
                                       cmocka_unit_test(test_similarity_is_exact), cmocka_unit_test(test_long_words_are_cut_in_the_detail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
