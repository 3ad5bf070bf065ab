/* calibrate: distributions as pandas describes them, thresholds and lists from labels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/file.h"
#include "stages/calibrate/calibrate.h"

static sv_error err;

#define OK(expr)                                                                                        \
    do {                                                                                                \
        char ok_text_[2048];                                                                            \
        if ((expr) != SV_OK) fail_msg("%s: %s", #expr, sv_error_text(&err, ok_text_, sizeof ok_text_)); \
    } while (0)

static yyjson_doc *calibrate(const char *path, double precision, double recall) {
    sv_calibrate_options o;
    char *json = NULL;
    sv_calibrate_options_init(&o);
    o.precision = precision;
    o.recall = recall;
    OK(sv_calibrate(path, &o, &json, &err));
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    assert_non_null(doc);
    free(json);
    return doc;
}

static double number(yyjson_val *o, const char *key) {
    yyjson_val *v = yyjson_obj_get(o, key);
    if (!yyjson_is_num(v)) fail_msg("%s is no number", key);
    return yyjson_get_num(v);
}

static void describes_as_pandas(void **state) {
    char *text;
    size_t size, i, n;
    OK(sv_file_read("tests/golden/pools/describe.json", 0, &text, &size, &err));
    yyjson_doc *golden = yyjson_read(text, size, 0), *doc = calibrate("tests/golden/pools/labels.jsonl", NAN, NAN);
    yyjson_val *name, *expected, *stats = yyjson_obj_get(yyjson_doc_get_root(doc), "statistics");
    size_t compared = 0;
    yyjson_obj_foreach(yyjson_doc_get_root(golden), i, n, name, expected) {
        static const char *const keys[] = {"count", "mean", "std", "min", "25%", "50%", "75%", "max"};
        yyjson_val *ours = yyjson_obj_get(stats, yyjson_get_str(name));
        for (size_t k = 0; k < 8; k++, compared++) {
            double a = number(ours, keys[k]), b = number(expected, keys[k]);
            bool exact = k == 0 || k > 2;   /* mean and std are sums: the order of additions shows in the last digits */
            if (exact ? a != b : fabs(a - b) > 1e-14 * fmax(1, fabs(b))) fail_msg("%s %s: %.17g, pandas says %.17g", yyjson_get_str(name), keys[k], a, b);
        }
    }
    assert_int_equal(compared, 8 * 8);
    yyjson_doc_free(golden);
    yyjson_doc_free(doc);
    free(text);
}

/* Quantiles without sorting against sorting: ties, negative numbers, infinities, one number, none. */
static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void quantiles(void **state) {
    for (int round = 0; round < 40; round++) {
        sv_column c;
        double values[4000];   /* a few are sorted, many are counted */
        int n = round < 4 ? round : 5 + round * 99;
        uint64_t x = 88172645463325252u + (uint64_t)round;
        OK(sv_column_open(&c, &err));
        for (int i = 0; i < n; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            values[i] = round % 3 == 0 ? (double)(x % 7) - 3 : ((double)(x >> 11) * 0x1p-53 - 0.5) * (round % 3 == 1 ? 1 : 1e9);
            if (round == 20 && i == 5) values[i] = INFINITY;
            OK(sv_column_add(&c, values[i], &err));
            OK(sv_column_add(&c, NAN, &err));          /* left out */
        }
        OK(sv_column_seal(&c, &err));
        sv_described d;
        sv_column_describe(&c, &d);
        assert_int_equal(d.count, n);
        if (n) qsort(values, (size_t)n, sizeof *values, by_size);
        for (int q = 0; n && q < 3; q++) {
            double at = 0.25 * (q + 1) * (n - 1), t = at - floor(at), a = values[(int)at], b = t ? values[(int)at + 1] : a;
            double expected = t == 0 ? a : t >= 0.5 ? b - (b - a) * (1 - t) : a + (b - a) * t;
            bool same = d.quartile[q] == expected || (isnan(expected) && isnan(d.quartile[q]));
            if (!same) fail_msg("round %d, quartile %d: %.17g, wanted %.17g", round, q, d.quartile[q], expected);
        }
        if (n) assert_true(d.min == values[0] && d.max == values[n - 1]);
        else assert_true(isnan(d.min) && isnan(d.mean));
        if (n == 1) assert_true(isnan(d.std));
        sv_column_close(&c);
    }
}

/* Every threshold of every statistic, counted anew from caption-stats' own numbers. */
static void thresholds_count_right(void **state) {
    yyjson_doc *doc = calibrate("tests/golden/pools/labels.jsonl", NAN, NAN);
    yyjson_val *root = yyjson_doc_get_root(doc), *name, *s, *t;
    sv_stats_options o;
    sv_stats *stats;
    double values[200][32];
    bool good[200];
    size_t rows = 0, all_good = 0, size, i, n, k, m;
    char *text;
    sv_stats_options_init(&o);
    OK(sv_stats_open(&stats, &o, &err));
    OK(sv_file_read("tests/golden/pools/labels.jsonl", 0, &text, &size, &err));
    for (char *line = text, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        yyjson_doc *d = yyjson_read(line, (size_t)(end - line), 0);
        yyjson_val *caption = yyjson_obj_get(yyjson_doc_get_root(d), "text");
        OK(sv_stats_compute(stats, yyjson_get_str(caption), yyjson_get_len(caption), values[rows], &err));
        good[rows] = yyjson_get_bool(yyjson_obj_get(yyjson_doc_get_root(d), "good"));
        all_good += good[rows++];
        yyjson_doc_free(d);
    }
    assert_int_equal(rows, 200);
    assert_int_equal((int)number(root, "good"), (int)all_good);
    size_t stat = 0, checked = 0;
    yyjson_obj_foreach(yyjson_obj_get(root, "statistics"), i, n, name, s) {
        bool large = yyjson_equals_str(yyjson_obj_get(s, "keep"), "min");
        double best = -1, pairs = 0, wins = 0;
        yyjson_arr_foreach(yyjson_obj_get(s, "thresholds"), k, m, t) {
            size_t kept = 0, kept_good = 0;
            for (size_t r = 0; r < rows; r++) {
                double v = values[r][stat];
                if (large ? v >= number(t, "at") : v <= number(t, "at")) kept++, kept_good += good[r];
            }
            assert_int_equal((int)number(t, "kept"), (int)kept);
            assert_true(fabs(number(t, "precision") - (double)kept_good / (double)kept) < 1e-12);
            assert_true(fabs(number(t, "recall") - (double)kept_good / (double)all_good) < 1e-12);
            best = fmax(best, number(t, "f1"));
            checked++;
        }
        assert_true(number(yyjson_obj_get(s, "best"), "f1") == best);
        for (size_t a = 0; a < rows; a++)
            for (size_t b = 0; b < rows; b++)
                if (good[a] && !good[b]) pairs++, wins += values[a][stat] > values[b][stat] ? 1 : values[a][stat] == values[b][stat] ? 0.5 : 0;
        assert_true(fabs(number(s, "auc") - wins / pairs) < 1e-9);
        stat++;
    }
    assert_true(checked > 300);
    sv_stats_close(&stats);
    yyjson_doc_free(doc);
    free(text);
}

/* The proposed list is what it says it is: run over the captions, it keeps as many, and as many good ones. */
static void the_list_does_what_it_says(void **state) {
    static const struct { double precision, recall; bool reached; } asked[] = {{NAN, NAN, true}, {NAN, 1, true}, {0.8, NAN, true}, {0.85, 0.5, true}, {1, 0.99, false}};
    for (size_t a = 0; a < sizeof asked / sizeof *asked; a++) {
        yyjson_doc *doc = calibrate("tests/golden/pools/labels.jsonl", asked[a].precision, asked[a].recall);
        yyjson_val *root = yyjson_doc_get_root(doc), *p = yyjson_obj_get(root, "proposal");
        char *list = yyjson_val_write(yyjson_obj_get(p, "process"), 0, NULL), *text;
        sv_process *process;
        size_t size, kept = 0, kept_good = 0;
        OK(sv_process_open(&process, list, SV_VIEW_BARE, NULL, &err));
        OK(sv_file_read("tests/golden/pools/labels.jsonl", 0, &text, &size, &err));
        uint64_t number_of = 0;
        for (char *line = text, *end; *line; line = end + 1) {
            end = strchr(line, '\n');
            yyjson_doc *d = yyjson_read(line, (size_t)(end - line), 0);
            yyjson_val *caption = yyjson_obj_get(yyjson_doc_get_root(d), "text");
            sv_caption_in in = {++number_of, yyjson_get_str(caption), yyjson_get_len(caption)};
            sv_caption_out out;
            OK(sv_process_run(process, &in, 1, 1, &out, &err));
            kept += out.keep;
            kept_good += out.keep && yyjson_get_bool(yyjson_obj_get(yyjson_doc_get_root(d), "good"));
            yyjson_doc_free(d);
        }
        assert_int_equal((int)number(p, "kept"), (int)kept);
        assert_true(fabs(number(p, "precision") - (double)kept_good / (double)kept) < 1e-12);
        assert_true(fabs(number(p, "recall") - (double)kept_good / number(root, "good")) < 1e-12);
        assert_int_equal(yyjson_get_bool(yyjson_obj_get(p, "reached")), asked[a].reached);
        double least = isnan(asked[a].recall) ? isnan(asked[a].precision) ? 0.95 : 0 : asked[a].recall;
        assert_true(number(p, "recall") >= least);
        assert_true(number(p, "precision") > number(root, "good") / 200);
        assert_non_null(yyjson_obj_get(yyjson_obj_get(p, "unseen"), "precision"));
        sv_process_close(&process);
        yyjson_doc_free(doc);
        free(list);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(describes_as_pandas), cmocka_unit_test(quantiles), cmocka_unit_test(thresholds_count_right),
                                       cmocka_unit_test(the_list_does_what_it_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
