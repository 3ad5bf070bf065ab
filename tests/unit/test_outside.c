/* Filters that are measured outside the process list, the selector of the highest values, what of a text is held against a picture, and turned pictures. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/orient.h"
#include "text/ops/outside.h"
#include "text/view.h"

static sv_error err;

/* ---- the list asks, in its order, about what is left ---- */

typedef struct asked {
    int calls, texts[4];
    char seen[64];               /* the text of caption 3 */
} asked;

/* Captions 1, 2, 3 …: width 10 * number; the similarity is number / 10. Caption 5 has no picture, caption 6 cannot be read. */
static sv_status answer(void *user, unsigned thread, size_t filter, sv_outside_row *rows, size_t n, sv_error *e) {
    asked *a = user;
    assert_true(n > 0 && n <= SV_OUTSIDE_ROWS);
    a->calls++;
    for (size_t i = 0; i < n; i++) {
        a->texts[filter]++;
        if (rows[i].number == 5) continue;
        if (rows[i].number == 6) rows[i].reason = "image_unreadable";
        else rows[i].value = filter == 0 ? 10.0 * (double)rows[i].number : filter == 1 ? 7 : (double)rows[i].number / 10;
        if (rows[i].number == 3) snprintf(a->seen, sizeof a->seen, "%s", rows[i].text);
    }
    return SV_OK;
}

static void filters_ask_about_what_is_left(void **state) {
    sv_process *p;
    asked a = {0};
    const char *list = "[{\"image_shape_filter\":{\"min_width\":20,\"max_height\":9}},{\"whitespace_normalization_mapper\":null},"
                       "{\"image_text_similarity_filter\":{\"hf_clip\":\"tests/golden/models/tiny-clip\",\"min_score\":0.4}},"
                       "{\"text_length_filter\":{\"min_len\":1}}]";
    assert_int_equal(sv_process_open(&p, list, SV_VIEW_BARE, NULL, &err), SV_OK);
    assert_int_equal(sv_process_outside_count(p), 3);
    assert_string_equal(sv_process_outside(p, 0)->op->info.stat, "image_width");
    assert_string_equal(sv_process_outside(p, 1)->op->info.stat, "image_height");
    assert_string_equal(sv_process_outside(p, 2)->op->info.stat, "image_text_similarity");
    assert_int_equal(sv_process_outside(p, 2)->op->outside, SV_PICTURE_SIMILARITY);
    sv_caption_in in[9];
    sv_caption_out out[9];
    for (int i = 0; i < 9; i++) in[i] = (sv_caption_in){(uint64_t)i + 1, " a  cup ", 8};
    assert_int_equal(sv_process_run(p, in, 9, 1, out, &err), SV_E_USAGE);   /* nobody answers */
    sv_process_answer(p, answer, &a);
    assert_int_equal(sv_process_run(p, in, 9, 1, out, &err), SV_OK);
    static const char *const rules[9] = {"image_shape_filter", "image_text_similarity_filter", "image_text_similarity_filter", NULL, NULL,
                                         "image_unreadable",   NULL,                           NULL,                           NULL};
    for (int i = 0; i < 9; i++) {
        assert_int_equal(out[i].keep, rules[i] == NULL);
        if (rules[i]) assert_string_equal(out[i].rule, rules[i]);
    }
    assert_true(out[0].value == 10 && out[0].min == 20 && isnan(out[0].max) && out[0].stats[1] == 7);
    assert_true(out[1].value == 0.2 && out[1].min == 0.4 && out[1].stats[1] == 7);
    assert_true(isnan(out[4].stats[2]));
    assert_int_equal(a.texts[0], 9);
    assert_int_equal(a.texts[1], 9);             /* both sides of a shape are measured */
    assert_int_equal(a.texts[2], 7);             /* not about the first and the unreadable one */
    assert_string_equal(a.seen, "a  cup");       /* after the mapper, without blanks around */
    assert_true(strstr(sv_process_json(p), "\"hf_clip\":\"sha256:") != NULL);
    sv_process_close(&p);
}

/* ---- the selector ---- */

static double lot(uint64_t *s) {
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (double)(*s >> 40) / 16;
}

/* Lengths of texts, many of them equal, against sorting. */
static void top_values_are_those_of_sorting(void **state) {
    enum { N = 500 };
    static char texts[N][64];
    sv_caption_in in[N];
    sv_caption_out out[N];
    uint64_t seed = 5;
    for (int round = 0; round < 40; round++) {
        double ratio = round % 8 / 7.0;
        int n = round < 4 ? round : N - round, top = round % 3 ? 1 + round * 7 : 0, reverse = round % 2;
        char list[400], topk[40] = "null";
        if (top) snprintf(topk, sizeof topk, "%d", top);
        snprintf(list, sizeof list, "[{\"text_length_filter\":{\"min_len\":null}},{\"topk_specified_field_selector\":{\"field_key\":\"__dj__stats__.text_len\","
                 "\"top_ratio\":%.17g,\"topk\":%s,\"reverse\":%s}}]", ratio, topk, reverse ? "true" : "false");
        sv_process *p;
        assert_int_equal(sv_process_open(&p, list, SV_VIEW_BARE, NULL, &err), SV_OK);
        assert_int_equal(sv_process_passes(p), 2);
        int length[N];
        for (int i = 0; i < n; i++) {
            length[i] = (int)fmod(lot(&seed), 30);
            memset(texts[i], 'x', sizeof texts[i]);
            in[i] = (sv_caption_in){(uint64_t)i + 1, texts[i], (size_t)length[i]};
        }
        for (int pass = 0; pass < 2; pass++) {
            assert_int_equal(sv_process_run(p, in, (size_t)n, 2, out, &err), SV_OK);
            assert_int_equal(sv_process_end_pass(p, &err), SV_OK);
        }
        double most = ratio > 0 ? ratio * n : NAN;
        if (top && !(top >= most)) most = top;
        int wanted = n <= 1 || isnan(most) || most > n ? n : (int)most;
        for (int i = 0; i < n; i++) {
            int before = 0;              /* those that come before it in a stable sort */
            for (int k = 0; k < n; k++) before += reverse ? length[k] > length[i] || (length[k] == length[i] && k < i)
                                                          : length[k] < length[i] || (length[k] == length[i] && k < i);
            assert_int_equal(out[i].keep, before < wanted);
            if (!out[i].keep) assert_string_equal(out[i].rule, "topk_specified_field_selector");
            if (!out[i].keep) assert_true(out[i].value == length[i] && out[i].duplicate_of == -1);
        }
        sv_process_close(&p);
    }
}

static void refuse(const char *list, const char *why) {
    sv_process *p;
    char text[2048];
    assert_int_not_equal(sv_process_open(&p, list, SV_VIEW_BARE, NULL, &err), SV_OK);
    if (!strstr(sv_error_text(&err, text, sizeof text), why)) fail_msg("%s\nexpected: %s", text, why);
}

static void mistakes_are_named(void **state) {
    refuse("[{\"topk_specified_field_selector\":{\"topk\":5}}]", "field_key is missing");
    refuse("[{\"text_length_filter\":null},{\"topk_specified_field_selector\":{\"field_key\":\"text_lem\",\"topk\":5}}]", "did you mean \"text_len\"");
    refuse("[{\"topk_specified_field_selector\":{\"field_key\":\"text_len\",\"topk\":5}},{\"text_length_filter\":null}]", "no filter before it measures");
    refuse("[{\"image_text_similarity_filter\":null}]", "set hf_clip");
    refuse("[{\"image_text_similarity_filter\":{\"hf_clip\":\"openai/clip-vit-base-patch32\"}}]", "names no directory");
    refuse("[{\"image_text_matching_filter\":{\"hf_blip\":\"x\"}}]", "hf_blip names no directory");
    refuse("[{\"image_size_filter\":{\"max_size\":\"1.5MB\"}}]", "max_size is no size");
    refuse("[{\"image_size_filter\":{\"min_size\":\"20 apples\"}}]", "min_size is no size");
    refuse("[{\"image_size_filter\":{\"min_size\":\"KB\"}}]", "min_size is no size");
    refuse("[{\"image_aspect_ratio_filter\":{\"any_or_all\":\"most\"}}]", "any_or_all");
}

static void sizes_are_data_juicers(void **state) {
    static const struct { const char *text; double bytes; } cases[] = {
        {"0", 0}, {"500", 500}, {"20KB", 20480}, {"124 KiB", 126976}, {"1mb", 1048576}, {"3GB", 3221225472.0}, {"1TB", 1099511627776.0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char list[100];
        sv_process *p;
        snprintf(list, sizeof list, "[{\"image_size_filter\":{\"min_size\":\"%s\"}}]", cases[i].text);
        assert_int_equal(sv_process_open(&p, list, SV_VIEW_BARE, NULL, &err), SV_OK);
        assert_true(((const sv_range *)sv_process_outside(p, 0)->state)->min == cases[i].bytes);
        sv_process_close(&p);
    }
}

/* ---- what of a text is held against a picture ---- */

static void spoken_text(void **state) {
    static const struct { sv_view view; bool wrapped; const char *text, *want; } cases[] = {   /* want NULL: nothing */
        {SV_VIEW_BARE, false, "  a cup ", "a cup"},
        {SV_VIEW_BARE, false, "", ""},
        {SV_VIEW_BARE, false, "a<|__dj__eoc|>b", "a"},
        {SV_VIEW_LLAVA, false, "a cup", "a cup"},
        {SV_VIEW_LLAVA, true, "<image>\na cup <|__dj__eoc|>", "a cup"},
        {SV_VIEW_LLAVA, true, "<__dj__image>\na cup <|__dj__eoc|>", NULL},
        {SV_VIEW_DATA_JUICER, true, "no token <|__dj__eoc|> b <__dj__image> c", "b  c"},
        {SV_VIEW_DATA_JUICER, true, "<__dj__image> a <__dj__image>", "a"},
        {SV_VIEW_DATA_JUICER, true, "<__dj__image>\n <__dj__audio> \xC2\xA0 x", "x"},
        {SV_VIEW_DATA_JUICER, true, "a cup", NULL},
        {SV_VIEW_DATA_JUICER, true, "", NULL}};
    sv_buf out = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool spoken;
        assert_int_equal(sv_view_spoken(cases[i].view, cases[i].wrapped, cases[i].text, strlen(cases[i].text), &out, &spoken, &err), SV_OK);
        assert_int_equal(spoken, cases[i].want != NULL);
        if (cases[i].want) assert_string_equal(out.data, cases[i].want);
    }
    sv_buf_free(&out);
}

/* ---- turned pictures ---- */

static void all_eight_ways(void **state) {
    /* ab      of a picture 2 wide and 3 high
     * cd
     * ef */
    static const char *const want[9] = {"", "abcdef", "badcfe", "fedcba", "efcdab", "acebdf", "ecafdb", "fdbeca", "bdface"};
    sv_image in = {0}, out = {0};
    assert_int_equal(sv_image_alloc(&in, 2, 3, SV_MODE_L, &err), SV_OK);
    memcpy(in.data, "abcdef", 6);
    for (int way = 1; way <= 8; way++) {
        assert_int_equal(sv_image_turn(&in, (sv_orientation)way, &out, &err), SV_OK);
        assert_int_equal(out.width, way < 5 ? 2 : 3);
        assert_memory_equal(out.data, want[way], 6);
    }
    sv_image_free(&in);
    sv_image_free(&out);
}

static int orientation_of(const char *name) {
    static char bytes[1 << 16];
    char path[200];
    snprintf(path, sizeof path, "tests/golden/pairs/images/%s", name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    int way = sv_image_orientation(bytes, n);
    /* Cut anywhere, it is read no further than it goes. */
    for (size_t i = 0; i < n && i < 3000; i++) {
        char *part = malloc(i + 1);
        memcpy(part, bytes, i);
        int cut = sv_image_orientation(part, i);
        assert_true(cut == SV_UPRIGHT || cut == way);
        free(part);
    }
    return way;
}

static void orientations_of_files(void **state) {
    assert_int_equal(orientation_of("rgb.png"), 1);
    assert_int_equal(orientation_of("turned-2.png"), 2);
    assert_int_equal(orientation_of("turned-3.jpg"), 3);
    assert_int_equal(orientation_of("turned-5.jpg"), 5);
    assert_int_equal(orientation_of("turned-6.jpg"), 6);
    assert_int_equal(orientation_of("turned-7.webp"), 7);
    assert_int_equal(orientation_of("turned-8.jpg"), 8);
    assert_int_equal(orientation_of("xmp-6.jpg"), 6);
    sv_image im = {0};
    assert_int_equal(sv_image_read_upright(&im, "tests/golden/pairs/images/turned-6.jpg", &err), SV_OK);
    assert_true(im.width == 30 && im.height == 50);
    sv_image_free(&im);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_ask_about_what_is_left), cmocka_unit_test(top_values_are_those_of_sorting), cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(sizes_are_data_juicers),         cmocka_unit_test(spoken_text),                     cmocka_unit_test(all_eight_ways),
        cmocka_unit_test(orientations_of_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
