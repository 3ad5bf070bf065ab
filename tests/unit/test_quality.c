/* test_quality.c - quality measures and perceptual hashes against numpy, SciPy and scikit-image; what each measure catches; the index of hashes
 * against looking at all of them. */
#include "image.h"

#include "image/font.h"
#include "image/phash.h"
#include "image/quality.h"
#include "stages/draw/gates.h"

static double measure(const sv_image *im, sv_measure m) {
    sv_quality_work w = {0};
    sv_error err = {0};
    double value;
    must(sv_quality(im, m, 256, &w, &value, &err), &err);
    sv_quality_work_free(&w);
    assert_true(value >= 0 && value <= 1);
    return value;
}

static void measures(void **state) {
    static const char *const names[SV_MEASURES] = {"sharpness", "exposure", "contrast", "detail", "colour", "clean", "unmarked"};
    golden g = golden_read(GOLDEN "quality.jsonl");
    sv_quality_work w = {0};
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *row = golden_at(&g, i);
        sv_image im = {0};
        sv_error err = {0};
        double value;
        int brightest;
        read_golden(row, "image", &im);
        for (int m = 0; m <= SV_MEASURES; m++) {
            const char *name = m < SV_MEASURES ? names[m] : "sharpness_64";
            must(sv_quality(&im, m < SV_MEASURES ? (sv_measure)m : SV_MEASURE_SHARPNESS, m < SV_MEASURES ? 256 : 64, &w, &value, &err), &err);
            double want = golden_num(row, name);
            if (!(fabs(value - want) <= 1e-12)) fail_msg("%s, %s: %.17g, not %.17g", golden_str(row, "image"), name, value, want);
        }
        must(sv_quality_brightest(&im, &w, &brightest, &err), &err);
        assert_int_equal(brightest, (int)golden_num(row, "brightest"));
        sv_image_free(&im);
    }
    sv_quality_work_free(&w);
    golden_free(&g);
}

/* A scene with everything that the measures look for: discs of many colours and a fine texture, 192 x 192. */
static void paint_scene(sv_image *im) {
    enum { SIDE = 192 };
    sv_error err = {0};
    must(sv_image_alloc(im, SIDE, SIDE, SV_MODE_RGB, &err), &err);
    uint32_t seed = 5;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            int cx = x % 50 - 25, cy = y % 50 - 25, disc = cx * cx + cy * cy < 300, which = x / 50 * 4 + y / 50;
            uint8_t *p = im->data + 3 * (y * SIDE + x);
            seed = seed * 1664525u + 1013904223u;
            int grain = (int)(seed >> 28) - 8;
            p[0] = (uint8_t)((disc ? 20 + which * 13 : 40 + x / 2) + (grain > 0 ? grain : 0));
            p[1] = (uint8_t)((disc ? 225 - which * 12 : 60 + y / 2) + (grain > 0 ? grain : 0));
            p[2] = (uint8_t)((disc ? which * 31 % 200 + 20 : 90 + (x + y) / 4) + (grain > 0 ? grain : 0));
        }
}

/* Three passes of a box of 5 x 5, close to a gaussian of radius 2.4; `times` of that. */
static void blur(const sv_image *in, sv_image *out, int times) {
    sv_error err = {0};
    must(sv_image_convert(in, SV_MODE_RGB, out, &err), &err);
    sv_image from = {0};
    for (int pass = 0; pass < 3 * times; pass++) {
        must(sv_image_convert(out, SV_MODE_RGB, &from, &err), &err);
        for (int y = 0; y < in->height; y++)
            for (int x = 0; x < in->width; x++)
                for (int c = 0; c < 3; c++) {
                    int sum = 0;
                    for (int dy = -2; dy <= 2; dy++)
                        for (int dx = -2; dx <= 2; dx++) {
                            int sy = y + dy < 0 ? 0 : y + dy >= in->height ? in->height - 1 : y + dy;
                            int sx = x + dx < 0 ? 0 : x + dx >= in->width ? in->width - 1 : x + dx;
                            sum += from.data[3 * (sy * in->width + sx) + c];
                        }
                    out->data[3 * (y * in->width + x) + c] = (uint8_t)((sum + 12) / 25);
                }
    }
    sv_image_free(&from);
}

/* Each fault lowers the measure that is there for it, where SSIMScore does not mind or is even pleased. */
static void what_they_catch(void **state) {
    sv_image scene = {0}, bad = {0};
    sv_ssim_work *work = NULL;
    sv_error err = {0};
    double before, after;
    paint_scene(&scene);
    size_t bytes = sv_image_bytes(&scene);
    must(sv_ssim_score(&scene, 192, 84, 13, &work, &before, &err), &err);

    blur(&scene, &bad, 3);
    must(sv_ssim_score(&bad, 192, 84, 13, &work, &after, &err), &err);
    assert_true(after > before);
    assert_true(measure(&bad, SV_MEASURE_SHARPNESS) < 0.2 * measure(&scene, SV_MEASURE_SHARPNESS));

    for (size_t i = 0; i < bytes; i++) bad.data[i] = 128;
    must(sv_ssim_score(&bad, 192, 84, 13, &work, &after, &err), &err);
    assert_true(after > 0.999999);
    assert_true(measure(&bad, SV_MEASURE_SHARPNESS) == 0 && measure(&bad, SV_MEASURE_CONTRAST) == 0 && measure(&bad, SV_MEASURE_DETAIL) == 0);
    assert_true(measure(&bad, SV_MEASURE_COLOUR) == 0);
    assert_true(measure(&scene, SV_MEASURE_CONTRAST) > 0.25 && measure(&scene, SV_MEASURE_DETAIL) > 0.7 && measure(&scene, SV_MEASURE_COLOUR) > 0.5);

    for (size_t i = 0; i < bytes; i++) bad.data[i] = scene.data[i] > 95 ? 255 : (uint8_t)(scene.data[i] + 160);
    assert_true(measure(&bad, SV_MEASURE_EXPOSURE) < 0.4 && measure(&scene, SV_MEASURE_EXPOSURE) > 0.8);
    for (size_t i = 0; i < bytes; i++) bad.data[i] = scene.data[i] / 12;
    assert_true(measure(&bad, SV_MEASURE_EXPOSURE) < 0.4 && measure(&bad, SV_MEASURE_CONTRAST) < 0.1);

    uint8_t *file = NULL;
    size_t size = 0;
    sv_encode_options o;
    sv_encode_options_init(&o, SV_FORMAT_JPEG);
    o.quality = 5;
    must(sv_image_encode(&scene, &o, &file, &size, &err), &err);
    must(sv_image_decode(&bad, file, size, "scene", &err), &err);
    free(file);
    assert_true(measure(&scene, SV_MEASURE_CLEAN) > 0.97);
    assert_true(measure(&bad, SV_MEASURE_CLEAN) < 0.85);

    sv_ssim_work_free(&work);
    sv_image_free(&scene);
    sv_image_free(&bad);
}

/* Lines of letters on the scene, whole or as a faint watermark. cap: their height in pixels. */
static void write_letters(const sv_image *scene, sv_image *out, double cap, double strength) {
    static const char text[] = "SAMPLE No. 24 The quick brown fox";
    sv_error err = {0};
    sv_font font;
    must(sv_image_convert(scene, SV_MODE_RGB, out, &err), &err);
    must(sv_font_open(&font, cap, 1, &err), &err);
    for (int y = (int)cap + 8; y < out->height; y += 3 * (int)cap)
        must(sv_font_draw(&font, out, 3, y, text, strlen(text), (sv_colour){250, 250, 250}, &err), &err);
    sv_font_close(&font);
    for (size_t i = 0; i < sv_image_bytes(out); i++) out->data[i] = (uint8_t)(scene->data[i] + strength * (out->data[i] - scene->data[i]));
}

static void letters_are_seen(void **state) {
    sv_image scene = {0}, bad = {0};
    sv_error err = {0};
    paint_scene(&scene);
    assert_true(measure(&scene, SV_MEASURE_UNMARKED) == 1);
    for (int cap = 7; cap <= 21; cap += 7) {
        write_letters(&scene, &bad, cap, 1);
        if (!(measure(&bad, SV_MEASURE_UNMARKED) < 0.96)) fail_msg("letters of %d pixels: %g", cap, measure(&bad, SV_MEASURE_UNMARKED));
    }
    write_letters(&scene, &bad, 14, 0.5);
    assert_true(measure(&bad, SV_MEASURE_UNMARKED) < 0.97);

    /* Neither noise, nor a run of greys, nor stripes, nor a single edge are letters. */
    must(sv_image_alloc(&bad, 128, 128, SV_MODE_L, &err), &err);
    uint32_t seed = 9;
    for (int kind = 0; kind < 4; kind++) {
        for (int i = 0; i < 128 * 128; i++) {
            int x = i % 128, y = i / 128, sum = 0;
            for (int k = 0; k < 4; k++) sum += (int)((seed = seed * 1664525u + 1013904223u) >> 26);
            bad.data[i] = (uint8_t)(kind == 0 ? sum : kind == 1 ? x + y : kind == 2 ? x / 4 % 2 * 200 : x > y ? 220 : 20);
        }
        if (measure(&bad, SV_MEASURE_UNMARKED) != 1) fail_msg("kind %d: %g", kind, measure(&bad, SV_MEASURE_UNMARKED));
    }
    sv_image_free(&scene);
    sv_image_free(&bad);
}

/* Noise is what SSIMScore is good for, and what passes for sharpness. */
static void noise(void **state) {
    sv_image scene = {0};
    sv_ssim_work *work = NULL;
    sv_error err = {0};
    double before, after;
    paint_scene(&scene);
    must(sv_ssim_score(&scene, 192, 84, 13, &work, &before, &err), &err);
    double sharp = measure(&scene, SV_MEASURE_SHARPNESS);
    uint32_t seed = 11;
    for (size_t i = 0; i < sv_image_bytes(&scene); i++) {
        int v = scene.data[i] + (int)((seed = seed * 1664525u + 1013904223u) >> 25) - 64;
        scene.data[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
    must(sv_ssim_score(&scene, 192, 84, 13, &work, &after, &err), &err);
    assert_true(after < 0.7 * before);
    assert_true(measure(&scene, SV_MEASURE_SHARPNESS) > sharp);
    sv_ssim_work_free(&work);
    sv_image_free(&scene);
}

static const char *refusal(const sv_image *im, int64_t black, double flat) {
    const sv_gate_settings g = {.black = black, .flat = flat};
    sv_gate_work w = {0};
    sv_error err = {0};
    sv_refusal r;
    must(sv_gates_ask(&g, NULL, NULL, im, &w, &r, &err), &err);
    sv_gate_work_free(&w);
    assert_true((r.reason != NULL) == (r.detail[0] != 0));
    return r.reason ? r.reason : "";
}

static void gates(void **state) {
    sv_image im = {0};
    paint_scene(&im);
    size_t bytes = sv_image_bytes(&im);
    assert_string_equal(refusal(&im, 16, 0.02), "");
    memset(im.data, 100, bytes);
    assert_string_equal(refusal(&im, 16, 0.02), "flat");
    assert_string_equal(refusal(&im, 100, NAN), "black");
    assert_string_equal(refusal(&im, 99, NAN), "");
    memset(im.data, 3, bytes);
    im.data[0] = im.data[1] = im.data[2] = 255;   /* a speck does not save it */
    assert_string_equal(refusal(&im, 16, 0.02), "black");
    assert_string_equal(refusal(&im, INT64_MIN, 0.02), "flat");
    assert_string_equal(refusal(&im, INT64_MIN, NAN), "");   /* off */
    sv_image_free(&im);
}

/* Pictures of a few pixels have a value, too. */
static void tiny(void **state) {
    for (int w = 1; w <= 9; w++)
        for (int h = 1; h <= 9; h++) {
            sv_image im = {0};
            fill(&im, w, h, w % 2 ? SV_MODE_RGB : SV_MODE_RGBA, (uint32_t)(10 * w + h));
            for (int m = 0; m < SV_MEASURES; m++) measure(&im, (sv_measure)m);
            sv_image_free(&im);
        }
}

static uint64_t hash_of(const sv_image *im, sv_hash_method method) {
    sv_hash_work w = {0};
    sv_error err = {0};
    uint64_t hash;
    must(sv_image_hash(im, method, &w, &hash, &err), &err);
    sv_hash_work_free(&w);
    return hash;
}

static const char *const methods[] = {"phash", "dhash", "ahash"};

static void hashes(void **state) {
    golden g = golden_read(GOLDEN "quality.jsonl");
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *row = golden_at(&g, i);
        sv_image im = {0};
        read_golden(row, "image", &im);
        for (int m = 0; m < 3; m++) {
            char hex[17];
            snprintf(hex, sizeof hex, "%016llx", (unsigned long long)hash_of(&im, (sv_hash_method)m));
            assert_string_equal(hex, golden_str(row, methods[m]));
        }
        sv_image_free(&im);
    }
    golden_free(&g);
    /* What imagededup itself says of a picture of 64 x 48 pixels. */
    sv_image im = {0};
    sv_error err = {0};
    must(sv_image_alloc(&im, 48, 64, SV_MODE_RGB, &err), &err);
    for (int y = 0; y < 64; y++)
        for (int x = 0; x < 48; x++) {
            uint8_t *p = im.data + 3 * (y * 48 + x);
            p[0] = (uint8_t)(4 * y);
            p[1] = (uint8_t)(5 * x);
            p[2] = (uint8_t)(3 * (x + y));
        }
    assert_true(hash_of(&im, SV_HASH_PHASH) == 0x88334e172d5b756b);
    assert_true(hash_of(&im, SV_HASH_DHASH) == 0xfffffffffffefff7);
    assert_true(hash_of(&im, SV_HASH_AHASH) == 0x0307070f0f1f3f3f);
    sv_image_free(&im);
}

/* Blurred, brightened and badly saved copies are near; another picture is not. */
static void nearness(void **state) {
    static const char *const copies[] = {"photo_jpeg.png", "photo_blur.png", "photo_level.png"};
    sv_image photo = {0}, other = {0};
    sv_error err = {0};
    must(sv_image_read(&photo, GOLDEN "resize/photo.jpg", &err), &err);
    must(sv_image_read(&other, GOLDEN "resize/edges.png", &err), &err);
    for (int m = 0; m < 3; m++) {
        uint64_t hash = hash_of(&photo, (sv_hash_method)m);
        assert_true(sv_hash_distance(hash, hash_of(&other, (sv_hash_method)m)) > 16);
        for (size_t i = 0; i < sizeof copies / sizeof *copies; i++) {
            sv_image copy = {0};
            char path[128];
            snprintf(path, sizeof path, GOLDEN "resize/%s", copies[i]);
            must(sv_image_read(&copy, path, &err), &err);
            assert_true(sv_hash_distance(hash, hash_of(&copy, (sv_hash_method)m)) <= 6);
            sv_image_free(&copy);
        }
    }
    sv_image_free(&photo);
    sv_image_free(&other);
}

static uint64_t state_of_chance = 88172645463325252u;

static uint64_t chance(void) {
    state_of_chance ^= state_of_chance << 13;
    state_of_chance ^= state_of_chance >> 7;
    return state_of_chance ^= state_of_chance << 17;
}

static void index_finds_what_a_scan_finds(void **state) {
    enum { COUNT = 3000, QUERIES = 400 };
    static uint64_t known[COUNT];
    sv_error err = {0};
    sv_hash_index *x = NULL;
    for (int distance = 0; distance <= SV_HASH_MOST_DISTANCE; distance++) {
        int hits = 0;
        must(sv_hash_index_open(&x, distance, &err), &err);
        for (uint32_t i = 0; i < COUNT; i++) {
            known[i] = chance();
            must(sv_hash_index_add(x, known[i], i, &err), &err);
        }
        for (int q = 0; q < QUERIES; q++) {
            uint64_t hash = q % 4 ? known[chance() % COUNT] : chance();
            for (int flips = (int)(chance() % 20); flips > 0; flips--) hash ^= (uint64_t)1 << chance() % 64;
            uint32_t name = 0, want = COUNT;
            for (uint32_t i = 0; i < COUNT && want == COUNT; i++)
                if (sv_hash_distance(known[i], hash) <= distance) want = i;
            bool found = sv_hash_index_find(x, hash, &name);
            assert_true(found == (want < COUNT));
            if (found) assert_int_equal(name, want);
            hits += found;
        }
        assert_true(hits > 0 && hits < QUERIES);
        sv_hash_index_close(&x);
    }
    assert_int_equal(sv_hash_index_open(&x, SV_HASH_MOST_DISTANCE + 1, &err), SV_E_USAGE);
    assert_null(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measures), cmocka_unit_test(what_they_catch), cmocka_unit_test(letters_are_seen), cmocka_unit_test(noise),
        cmocka_unit_test(gates), cmocka_unit_test(tiny), cmocka_unit_test(hashes),
        cmocka_unit_test(nearness), cmocka_unit_test(index_finds_what_a_scan_finds),
    };
    return cmocka_run_group_tests_name("quality", tests, NULL, NULL);
}
