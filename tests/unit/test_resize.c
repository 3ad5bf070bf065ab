/* test_resize.c - resize against Pillow 13 and 11, byte for byte, with plain and with vector code; CLIP preprocessing. */
#include "image.h"

#include "image/clip_preprocess.h"

static void run_golden(golden *g, sv_resize_work *work) {
    for (size_t i = 0; i < g->count; i++) {
        yyjson_val *row = golden_at(g, i);
        const char *convert = golden_str(row, "convert");
        sv_image im = {0}, converted = {0}, out = {0};
        sv_filter filter;
        sv_error err = {0};
        read_golden(row, "src", &im);
        if (convert) must(sv_image_convert(&im, mode_of(convert), &converted, &err), &err);
        must(sv_filter_parse(golden_str(row, "filter"), &filter, &err), &err);
        for (int order = 11; order <= 13; order += 2) {
            must(sv_image_resize_with(convert ? &converted : &im, (int)golden_num(row, "w"), (int)golden_num(row, "h"), filter, order, work, &out,
                                      &err),
                 &err);
            assert_string_equal(sv_mode_name(out.mode), golden_str(row, "mode"));
            assert_pixels(&out, golden_str(row, order == 13 ? "sha256" : "sha256_pillow_11"), golden_str(row, "src"));
        }
        sv_image_free(&im);
        sv_image_free(&converted);
        sv_image_free(&out);
    }
}

static void pillow(void **state) {
    golden g = golden_read(GOLDEN "resize.jsonl");
    sv_resize_work work = {0}; /* kept over all images, so that what is left from one cannot hurt the next */
    run_golden(&g, &work);
    sv_cpu_plain(true);
    run_golden(&g, &work);
    sv_cpu_plain(false);
    sv_resize_work_free(&work);
    golden_free(&g);
}

/* Odd sizes, every mode and filter: vector code and plain code agree, and images that end exactly at their last byte are not overrun. */
static void variants(void **state) {
    static const sv_mode all[] = {SV_MODE_L, SV_MODE_LA, SV_MODE_RGB, SV_MODE_RGBA, SV_MODE_CMYK};
    uint32_t seed = 7;
    sv_error err = {0};
    for (size_t m = 0; m < sizeof all / sizeof *all; m++)
        for (int filter = SV_FILTER_BICUBIC; filter <= SV_FILTER_HAMMING; filter++)
            for (int i = 0; i < 30; i++) {
                int size[4];
                for (int k = 0; k < 4; k++) {
                    seed = seed * 1664525u + 1013904223u;
                    size[k] = 1 + (int)((seed >> 16) % (i % 3 ? 40u : 150u));
                }
                sv_image in = {0}, a = {0}, b = {0};
                fill(&in, size[0], size[1], all[m], seed);
                must(sv_image_resize(&in, size[2], size[3], (sv_filter)filter, 13, &a, &err), &err);
                sv_cpu_plain(true);
                must(sv_image_resize(&in, size[2], size[3], (sv_filter)filter, 13, &b, &err), &err);
                sv_cpu_plain(false);
                assert_memory_equal(a.data, b.data, sv_image_bytes(&a));
                sv_image_free(&in);
                sv_image_free(&a);
                sv_image_free(&b);
            }
}

/* The worked example of the reference notes: A[i][j] = 37 (8 i + j) mod 256, bicubic, horizontal pass first. */
static void by_hand(void **state) {
    static const uint8_t three[] = {73, 161, 91, 169, 104, 103, 106, 111, 187},
                         five[] = {48, 111, 174, 141, 53, 161, 171, 97, 71, 131, 137, 72, 107, 180, 184};
    sv_image in = {0}, out = {0};
    sv_error err = {0};
    must(sv_image_alloc(&in, 8, 8, SV_MODE_L, &err), &err);
    for (int i = 0; i < 64; i++) in.data[i] = (uint8_t)(37 * i);
    must(sv_image_resize(&in, 3, 3, SV_FILTER_BICUBIC, 11, &out, &err), &err);
    assert_memory_equal(out.data, three, 9);
    must(sv_image_resize(&in, 5, 3, SV_FILTER_BICUBIC, 11, &out, &err), &err);
    assert_memory_equal(out.data, five, 15);
    sv_image_free(&in);
    sv_image_free(&out);
}

static void wrong_calls(void **state) {
    sv_image in = {0}, out = {0};
    sv_filter f;
    sv_error err = {0};
    fill(&in, 5, 5, SV_MODE_L, 1);
    assert_int_equal(sv_image_resize(&in, 0, 5, SV_FILTER_BOX, 13, &out, &err), SV_E_INPUT);
    assert_int_equal(sv_image_resize(&in, 100000, 100000, SV_FILTER_BOX, 13, &out, &err), SV_E_INPUT);
    assert_int_equal(sv_image_resize(&in, 4, 4, SV_FILTER_BOX, 12, &out, &err), SV_E_USAGE);
    assert_int_equal(sv_image_resize(&in, 4, 4, (sv_filter)77, 13, &out, &err), SV_E_USAGE);
    assert_int_equal(sv_filter_parse("cubic", &f, &err), SV_E_USAGE);
    assert_int_equal(sv_filter_parse(NULL, &f, &err), SV_E_USAGE);
    sv_image_free(&in);
    sv_image_free(&out);
}

/* ---- CLIP preprocessing ---- */

static void clip(void **state) {
    golden g = golden_read(GOLDEN "clip_preprocess.jsonl");
    sv_clip_preprocess_work work = {0};
    size_t n = 3 * 224 * 224;
    float *out = malloc(n * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *row = golden_at(&g, i), *index = golden_get(row, "index");
        bool hf = !strcmp(golden_str(row, "pipeline"), "hf");
        sv_image im = {0};
        read_golden(row, "image", &im);
        for (int run = 0; run < 3; run++) {
            static const char *const values[] = {"value", "value_pillow_11", "value_transformers_4"};
            if (run == 2 && !yyjson_obj_get(row, values[2])) continue;
            yyjson_val *value = golden_get(row, values[run]);
            if (yyjson_is_null(value)) value = golden_get(row, "value");
            sv_clip_preprocess_options o;
            sv_error err = {0};
            sv_clip_preprocess_options_init(&o);
            o.pipeline = !hf ? SV_CLIP_OPENAI : run == 2 ? SV_CLIP_HF_4 : SV_CLIP_HF;
            o.order = run == 1 ? 11 : 13;
            must(sv_clip_preprocess(&im, &o, &work, out, &err), &err);
            for (size_t k = 0; k < yyjson_arr_size(index); k++) {
                float want = (float)yyjson_get_num(yyjson_arr_get(value, k)), got = out[yyjson_get_uint(yyjson_arr_get(index, k))];
                if (want != got) fail_msg("%s, %s: value %zu is %.9g, not %.9g", golden_str(row, "image"), values[run], k, got, want);
            }
            if (run) continue;
            double sum = 0, squares = 0;
            for (size_t k = 0; k < n; k++) {
                sum += out[k];
                squares += (double)out[k] * out[k];
            }
            assert_true(fabs(sum - golden_num(row, "sum")) <= 1e-9 * fabs(sum) + 1e-6);
            assert_true(fabs(squares - golden_num(row, "sum_of_squares")) <= 1e-9 * squares);
        }
        sv_image_free(&im);
    }
    free(out);
    sv_clip_preprocess_work_free(&work);
    golden_free(&g);
}

/* A crop larger than the image: zeros around it. Rows of 5 into 8: transformers puts 2 before, torchvision 1; the options that make no sense. */
static void clip_crop(void **state) {
    sv_clip_preprocess_work work = {0};
    sv_clip_preprocess_options o;
    sv_image im = {0};
    sv_error err = {0};
    float out[3 * 8 * 8];
    int w, h;
    fill(&im, 5, 5, SV_MODE_RGB, 3);
    memset(im.data, 255, 75);
    sv_clip_preprocess_options_init(&o);
    o.shortest_edge = 0;
    o.crop_width = o.crop_height = 8;
    for (int c = 0; c < 3; c++) o.mean[c] = 0, o.std[c] = 1;
    static const sv_clip_pipeline pipelines[] = {SV_CLIP_HF, SV_CLIP_OPENAI};
    for (size_t p = 0; p < 2; p++) {
        o.pipeline = pipelines[p];
        must(sv_clip_preprocess(&im, &o, &work, out, &err), &err);
        int before = pipelines[p] == SV_CLIP_HF ? 2 : 1;
        for (int i = 0; i < 8; i++) assert_true(out[8 * 4 + i] == (i >= before && i < before + 5 ? 1.0f : 0.0f));
        for (int i = 0; i < 8; i++) assert_true(out[8 * i + 4] == (i >= before && i < before + 5 ? 1.0f : 0.0f));
    }
    o.crop_width = o.crop_height = 0;
    assert_int_equal(sv_clip_preprocess_size(&o, &w, &h, &err), SV_E_USAGE);
    o.shortest_edge = 224;
    o.width = o.height = 30;
    assert_int_equal(sv_clip_preprocess_size(&o, &w, &h, &err), SV_E_USAGE);
    o.shortest_edge = 0;
    must(sv_clip_preprocess_size(&o, &w, &h, &err), &err);
    assert_int_equal(w, 30);
    o.std[1] = 0;
    assert_int_equal(sv_clip_preprocess_size(&o, &w, &h, &err), SV_E_USAGE);
    sv_clip_preprocess_work_free(&work);
    sv_image_free(&im);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pillow), cmocka_unit_test(variants), cmocka_unit_test(by_hand),
                                       cmocka_unit_test(wrong_calls), cmocka_unit_test(clip), cmocka_unit_test(clip_crop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
