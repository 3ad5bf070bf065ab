/* test_ssim.c - SSIM and SSIMScore against scikit-image, torchmetrics and pytorch-msssim, with plain and with vector code. */
#include "image.h"

#include "image/ssim.h"

static void set_flavour(const char *name, sv_ssim_options *o, bool *rgb, double *tolerance) {
    sv_error err = {0};
    *rgb = strstr(name, "_rgb") != NULL;
    *tolerance = 1e-9;
    if (!strncmp(name, "wang", 4)) must(sv_ssim_options_named(o, "wang", &err), &err);
    else if (!strncmp(name, "torchmetrics", 12)) must(sv_ssim_options_named(o, "torchmetrics", &err), &err);
    else if (!strncmp(name, "pytorch_msssim", 14)) must(sv_ssim_options_named(o, "pytorch-msssim", &err), &err);
    else must(sv_ssim_options_named(o, "skimage", &err), &err);
    if (!strcmp(name, "gaussian_sample_covariance")) {
        sv_ssim_options_init(o, true);
        o->sample_covariance = true;
    }
    if (!strcmp(name, "uniform11")) o->window = 11;
    if (!strcmp(name, "float32")) *tolerance = 1e-4; /* the reference is computed in float32 there */
}

static void run_golden(golden *g) {
    for (size_t i = 0; i < g->count; i++) {
        yyjson_val *row = golden_at(g, i);
        sv_ssim_options o;
        bool rgb;
        double tolerance, value, want = golden_num(row, "value");
        sv_image a = {0}, b = {0}, x = {0}, y = {0};
        sv_error err = {0};
        set_flavour(golden_str(row, "flavour"), &o, &rgb, &tolerance);
        read_golden(row, "a", &a);
        read_golden(row, "b", &b);
        must(sv_image_convert(&a, rgb ? SV_MODE_RGB : SV_MODE_L, &x, &err), &err);
        must(sv_image_convert(&b, rgb ? SV_MODE_RGB : SV_MODE_L, &y, &err), &err);
        must(sv_ssim(&x, &y, &o, &value, &err), &err);
        if (!(fabs(value - want) <= tolerance)) fail_msg("%s, %s: %.17g, not %.17g", golden_str(row, "b"), golden_str(row, "flavour"), value, want);
        sv_image *all[] = {&a, &b, &x, &y};
        for (int k = 0; k < 4; k++) sv_image_free(all[k]);
    }
}

static void libraries(void **state) {
    golden g = golden_read(GOLDEN "ssim.jsonl");
    run_golden(&g);
    sv_cpu_plain(true);
    run_golden(&g);
    sv_cpu_plain(false);
    golden_free(&g);
}

/* Vector and plain code give the same bits, for every window and width. */
static void variants(void **state) {
    sv_error err = {0};
    for (int i = 0; i < 40; i++) {
        sv_image a = {0}, b = {0};
        fill(&a, 13 + i, 12 + i % 5, SV_MODE_L, (uint32_t)i);
        fill(&b, 13 + i, 12 + i % 5, SV_MODE_L, (uint32_t)i + 100);
        for (int window = 3; window <= 13; window += 2) {
            sv_ssim_options o;
            double fast, plain;
            sv_ssim_options_init(&o, window == 13);
            if (window < 13) o.window = window;
            must(sv_ssim(&a, &b, &o, &fast, &err), &err);
            sv_cpu_plain(true);
            must(sv_ssim(&a, &b, &o, &plain, &err), &err);
            sv_cpu_plain(false);
            assert_memory_equal(&fast, &plain, sizeof fast);
        }
        sv_image_free(&a);
        sv_image_free(&b);
    }
}

/* A uniform window that covers the whole image, from the definition. */
static void from_the_definition(void **state) {
    for (int window = 3; window <= 301; window += window < 15 ? 4 : 286) {
        sv_image a = {0}, b = {0};
        sv_ssim_options o;
        sv_error err = {0};
        double value, n = (double)window * window, ux = 0, uy = 0, vx = 0, vy = 0, vxy = 0;
        fill(&a, window, window, SV_MODE_L, 1);
        fill(&b, window, window, SV_MODE_L, 2);
        for (int i = 0; i < window * window; i++) b.data[i] = (uint8_t)((a.data[i] * 3 + b.data[i]) / 4);
        for (int i = 0; i < window * window; i++) {
            ux += a.data[i] / n;
            uy += b.data[i] / n;
        }
        for (int i = 0; i < window * window; i++) {
            vx += (a.data[i] - ux) * (a.data[i] - ux) / (n - 1);
            vy += (b.data[i] - uy) * (b.data[i] - uy) / (n - 1);
            vxy += (a.data[i] - ux) * (b.data[i] - uy) / (n - 1);
        }
        double c1 = 6.5025, c2 = 58.5225, want = (2 * ux * uy + c1) * (2 * vxy + c2) / ((ux * ux + uy * uy + c1) * (vx + vy + c2));
        sv_ssim_options_init(&o, false);
        o.window = window;
        must(sv_ssim(&a, &b, &o, &value, &err), &err);
        assert_true(fabs(value - want) < 1e-12);
        must(sv_ssim(&a, &a, &o, &value, &err), &err);
        assert_true(value == 1.0);
        sv_image_free(&a);
        sv_image_free(&b);
    }
}

static void score(void **state) {
    golden g = golden_read(GOLDEN "ssim_score.jsonl");
    sv_ssim_work *work = NULL;
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *row = golden_at(&g, i);
        sv_image im = {0};
        read_golden(row, "image", &im);
        for (int order = 11; order <= 13; order += 2) {
            double value, want = golden_num(row, order == 13 ? "value" : "value_pillow_11");
            sv_error err = {0};
            must(sv_ssim_score(&im, (int)golden_num(row, "base"), (int)golden_num(row, "low"), order, &work, &value, &err), &err);
            if (!(fabs(value - want) <= 1e-9)) fail_msg("%s: %.17g, not %.17g", golden_str(row, "image"), value, want);
        }
        sv_image_free(&im);
    }
    sv_ssim_work_free(&work);
    assert_null(work);
    golden_free(&g);
}

static void wrong_calls(void **state) {
    sv_image a = {0}, b = {0};
    sv_ssim_work *work = NULL;
    sv_ssim_options o;
    sv_error err = {0};
    double v;
    fill(&a, 9, 9, SV_MODE_L, 1);
    fill(&b, 9, 8, SV_MODE_L, 1);
    sv_ssim_options_init(&o, false);
    assert_int_equal(sv_ssim(&a, &b, &o, &v, &err), SV_E_INPUT);
    o.window = 11;
    assert_int_equal(sv_ssim(&a, &a, &o, &v, &err), SV_E_INPUT);
    o.window = 4;
    assert_int_equal(sv_ssim(&a, &a, &o, &v, &err), SV_E_USAGE);
    o.window = 1;
    assert_int_equal(sv_ssim(&a, &a, &o, &v, &err), SV_E_USAGE);
    must(sv_ssim_options_named(&o, "torchmetrics", &err), &err);
    must(sv_ssim(&a, &a, &o, &v, &err), &err); /* mirrored, 9 pixels are enough */
    fill(&b, 5, 5, SV_MODE_L, 1);
    assert_int_equal(sv_ssim(&b, &b, &o, &v, &err), SV_E_INPUT);
    fill(&b, 9, 9, SV_MODE_RGB, 1);
    assert_int_equal(sv_ssim(&a, &b, &o, &v, &err), SV_E_USAGE);
    assert_int_equal(sv_ssim_options_named(&o, "opencv", &err), SV_E_USAGE);
    assert_int_equal(sv_ssim_score(&a, 6, 3, 13, &work, &v, &err), SV_E_USAGE);
    assert_int_equal(sv_ssim_score(&a, 16, 0, 13, &work, &v, &err), SV_E_USAGE);
    assert_int_equal(sv_ssim_score(&a, 16, 8, 12, &work, &v, &err), SV_E_USAGE);
    sv_ssim_work_free(&work);
    sv_image_free(&a);
    sv_image_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(libraries), cmocka_unit_test(variants), cmocka_unit_test(from_the_definition),
                                       cmocka_unit_test(score), cmocka_unit_test(wrong_calls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
