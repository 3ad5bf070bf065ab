/* test_image_codec.c - reading, converting and writing images against Pillow, and files that are no good. */
#include "image.h"

/* ---- against Pillow ---- */

static void jpeg_files(void **state) {
    golden g = golden_read(GOLDEN "jpeg_decode.jsonl");
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *row = golden_at(&g, i);
        sv_image im = {0}, rgb = {0};
        sv_error err = {0};
        read_golden(row, "src", &im);
        assert_string_equal(sv_mode_name(im.mode), golden_str(row, "mode"));
        must(sv_image_convert(&im, SV_MODE_RGB, &rgb, &err), &err);
        assert_pixels(&rgb, golden_str(row, "sha256"), golden_str(row, "src"));
        sv_image_free(&im);
        sv_image_free(&rgb);
    }
    golden_free(&g);
}

static size_t unhex(const char *hex, uint8_t **bytes) {
    size_t n = strlen(hex) / 2;
    *bytes = malloc(n);
    assert_non_null(*bytes);
    for (size_t i = 0; i < n; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        (*bytes)[i] = (uint8_t)strtol(two, NULL, 16);
    }
    return n;
}

/* Every depth and colour type of PNG, JPEG and WebP of all kinds: own mode, the three conversions, on white. */
static void modes(void **state) {
    golden g = golden_read(GOLDEN "modes.jsonl");
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *row = golden_at(&g, i);
        const char *name = golden_str(row, "name"), *mode = golden_str(row, "mode"), *sha;
        uint8_t *bytes;
        size_t n = unhex(golden_str(row, "file"), &bytes);
        sv_image im = {0}, out = {0};
        sv_error err = {0};
        must(sv_image_decode(&im, bytes, n, name, &err), &err);
        assert_int_equal(im.width, golden_num(row, "w"));
        assert_int_equal(im.height, golden_num(row, "h"));
        assert_string_equal(sv_mode_name(im.mode), strcmp(mode, "I;16") ? mode : "L");
        if ((sha = golden_str(row, "own"))) assert_pixels(&im, sha, name);
        static const char *const to[] = {"L", "RGB", "RGBA"};
        for (int k = 0; k < 3; k++) {
            if (!(sha = golden_str(row, to[k]))) continue;
            must(sv_image_convert(&im, mode_of(to[k]), &out, &err), &err);
            assert_pixels(&out, sha, name);
        }
        if ((sha = golden_str(row, "white"))) {
            must(sv_image_on_white(&im, &out, &err), &err);
            assert_pixels(&out, sha, name);
        }
        sv_image_free(&im);
        sv_image_free(&out);
        free(bytes);
    }
    golden_free(&g);
}

static void luma_variants(void **state) {
    sv_error err = {0};
    for (int width = 1; width < 70; width++) {
        sv_image in = {0}, a = {0}, b = {0};
        fill(&in, width, 3, SV_MODE_RGB, (uint32_t)width);
        must(sv_image_convert(&in, SV_MODE_L, &a, &err), &err);
        sv_cpu_plain(true);
        must(sv_image_convert(&in, SV_MODE_L, &b, &err), &err);
        sv_cpu_plain(false);
        assert_memory_equal(a.data, b.data, sv_image_bytes(&a));
        sv_image_free(&in);
        sv_image_free(&a);
        sv_image_free(&b);
    }
}

/* ---- round trips ---- */

static void assert_same(const sv_image *a, const sv_image *b) {
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    assert_memory_equal(a->data, b->data, sv_image_bytes(a));
    assert_int_equal(a->keyed, b->keyed);
    if (a->keyed) assert_memory_equal(a->key, b->key, 3);
}

static void round_trip(const sv_image *im, sv_format format, int quality, sv_image *back) {
    sv_encode_options o;
    sv_encode_options_init(&o, format);
    o.quality = quality;
    uint8_t *one, *two;
    size_t n, m;
    sv_error err = {0};
    must(sv_image_encode(im, &o, &one, &n, &err), &err);
    must(sv_image_encode(im, &o, &two, &m, &err), &err);
    assert_int_equal(n, m);
    assert_memory_equal(one, two, n);
    must(sv_image_decode(back, one, n, "round trip", &err), &err);
    free(one);
    free(two);
}

static void png_keeps_everything(void **state) {
    static const sv_mode all[] = {SV_MODE_1, SV_MODE_L, SV_MODE_LA, SV_MODE_P, SV_MODE_RGB, SV_MODE_RGBA};
    for (size_t m = 0; m < sizeof all / sizeof *all; m++)
        for (int variant = 0; variant < 4; variant++) {
            sv_image im = {0}, back = {0};
            fill(&im, 13 + variant, 9, all[m], (uint32_t)(m * 10) + (uint32_t)variant);
            int colours[] = {2, 4, 16, 256};
            if (all[m] == SV_MODE_P)
                for (size_t i = 0; i < sv_image_bytes(&im); i++) im.data[i] = (uint8_t)(im.data[i] % colours[variant]);
            if ((all[m] == SV_MODE_1 || all[m] == SV_MODE_L || all[m] == SV_MODE_RGB) && variant % 2) {
                im.keyed = true;
                for (int c = 0; c < 3; c++) im.key[c] = im.data[all[m] == SV_MODE_RGB ? c : 0];
            }
            round_trip(&im, SV_FORMAT_PNG, 95, &back);
            assert_same(&im, &back);
            if (all[m] == SV_MODE_P)
                for (size_t i = 0; i < sv_image_bytes(&im); i++) assert_memory_equal(im.palette + 4 * im.data[i], back.palette + 4 * im.data[i], 4);
            sv_image_free(&im);
            sv_image_free(&back);
        }
}

static void webp_lossless(void **state) {
    for (int alpha = 0; alpha < 2; alpha++) {
        sv_image im = {0}, back = {0};
        fill(&im, 21, 14, alpha ? SV_MODE_RGBA : SV_MODE_RGB, 5);
        round_trip(&im, SV_FORMAT_WEBP, 100, &back);
        assert_same(&im, &back);
        sv_image_free(&im);
        sv_image_free(&back);
    }
}

/* A smooth picture survives JPEG nearly; every mode that JPEG knows. */
static void jpeg_is_close(void **state) {
    static const sv_mode all[] = {SV_MODE_L, SV_MODE_RGB, SV_MODE_CMYK};
    for (size_t m = 0; m < 3; m++) {
        sv_image im = {0}, back = {0};
        sv_error err = {0};
        must(sv_image_alloc(&im, 40, 30, all[m], &err), &err);
        int n = sv_mode_channels(all[m]);
        for (int i = 0; i < 40 * 30 * n; i++) im.data[i] = (uint8_t)(60 + i / n % 40 * 2 + i / n / 40 + 10 * (i % n));
        round_trip(&im, SV_FORMAT_JPEG, 95, &back);
        assert_int_equal(back.mode, im.mode);
        for (size_t i = 0; i < sv_image_bytes(&im); i++) assert_true(abs(im.data[i] - back.data[i]) <= 6);
        sv_image_free(&im);
        sv_image_free(&back);
    }
}

static const uint8_t *find(const uint8_t *in, size_t n, const char *word) {
    return memmem(in, n, word, strlen(word));
}

static void text_is_kept(void **state) {
    static const char *const pairs[] = {"prompt", "a red cube", "unicode", "caf\xc3\xa9", NULL};
    sv_image im = {0};
    fill(&im, 8, 8, SV_MODE_RGB, 1);
    for (int f = SV_FORMAT_JPEG; f <= SV_FORMAT_PNG; f++) {
        sv_encode_options o;
        uint8_t *bytes;
        size_t n;
        sv_error err = {0};
        sv_encode_options_init(&o, (sv_format)f);
        o.text = pairs;
        must(sv_image_encode(&im, &o, &bytes, &n, &err), &err);
        assert_non_null(find(bytes, n, "a red cube"));
        assert_non_null(find(bytes, n, "caf\xc3\xa9"));
        free(bytes);
    }
    sv_image_free(&im);
}

/* ---- files that are no good ---- */

static const char *const samples[] = {"resize/rgba.png",     "resize/palette.png",          "resize/bilevel.png",
                                      "resize/photo.jpg",    "resize/jpeg_progressive.jpg", "resize/jpeg_restart.jpg",
                                      "resize/jpeg_cmyk.jpg"};

static void cut_files(void **state) {
    for (size_t s = 0; s < sizeof samples / sizeof *samples; s++) {
        char *path = sv_path_join(GOLDEN, samples[s]), *bytes;
        size_t n;
        sv_error err = {0};
        must(sv_file_read(path, 0, &bytes, &n, &err), &err);
        sv_image im = {0};
        for (size_t cut = 0; cut < n; cut += 1 + n / 60) {
            uint8_t *part = malloc(cut + 1); /* of its own, so that reading beyond it is noticed */
            assert_non_null(part);
            memcpy(part, bytes, cut);
            if (sv_image_decode(&im, part, cut, "cut", &err) != SV_E_INPUT) fail_msg("%s cut to %zu of %zu bytes was accepted", samples[s], cut, n);
            assert_true(err.why[0] != '\0');
            free(part);
        }
        /* The very end: without its last byte no file is whole. */
        assert_int_equal(sv_image_decode(&im, bytes, n - 1, "cut", &err), SV_E_INPUT);
        sv_image_free(&im);
        free(bytes);
        free(path);
    }
}

static void damaged_png(void **state) {
    char *bytes;
    size_t n;
    sv_error err = {0};
    must(sv_file_read(GOLDEN "resize/rgba.png", 0, &bytes, &n, &err), &err);
    sv_image im = {0};
    for (size_t at = 60; at + 20 < n; at += 97) {
        bytes[at] ^= 0x10;
        assert_int_equal(sv_image_decode(&im, bytes, n, "damaged", &err), SV_E_INPUT);
        bytes[at] ^= 0x10;
    }
    must(sv_image_decode(&im, bytes, n, "whole again", &err), &err);
    sv_image_free(&im);
    free(bytes);
}

/* Bytes of a JPEG's picture data changed here and there: an error or a picture, never a crash. */
static void damaged_jpeg(void **state) {
    char *bytes;
    size_t n, refused = 0;
    sv_error err = {0};
    must(sv_file_read(GOLDEN "resize/photo.jpg", 0, &bytes, &n, &err), &err);
    sv_image im = {0};
    for (size_t at = 2; at < n; at += 7) {
        bytes[at] = (char)~bytes[at];
        sv_status st = sv_image_decode(&im, bytes, n, "damaged", &err);
        assert_true(st == SV_OK || st == SV_E_INPUT);
        refused += st == SV_E_INPUT;
        bytes[at] = (char)~bytes[at];
    }
    assert_true(refused > 20);
    sv_image_free(&im);
    free(bytes);
}

static sv_status decode(const void *bytes, size_t n, sv_error *err) {
    sv_image im = {0};
    sv_status st = sv_image_decode(&im, bytes, n, "x.png", err);
    sv_image_free(&im);
    return st;
}

static void strange_files(void **state) {
    sv_error err = {0};
    assert_int_equal(decode("", 0, &err), SV_E_INPUT);
    assert_non_null(strstr(err.why, "empty"));
    assert_int_equal(decode("GIF89a......", 12, &err), SV_E_INPUT);
    assert_non_null(strstr(err.why, "not a PNG"));
    assert_int_equal(decode("\xff\xd8\xff", 3, &err), SV_E_INPUT);
    assert_int_equal(decode("RIFF\x04\0\0\0WEBPVP8 ", 16, &err), SV_E_INPUT);
    /* Headers with correct checksums: 20000 x 20000 and 0 x 5 pixels, and 10000 x 10000 without data. */
    static const uint8_t bomb[] = "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x4e\x20\0\0\x4e\x20\x08\x02\0\0\0\x6c\x12\xd1\x6e\0\0\0\0IDAT\x35\xaf\x06\x1e";
    static const uint8_t none[] = "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\0\0\0\0\x05\x08\x02\0\0\0\xe4\x24\x7a\xf6\0\0\0\0IDAT\x35\xaf\x06\x1e";
    static const uint8_t hollow[] =
        "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x27\x10\0\0\x27\x10\x08\x02\0\0\0\x35\x2c\xf5\x70\0\0\0\0IDAT\x35\xaf\x06\x1e";
    assert_int_equal(decode(bomb, sizeof bomb - 1, &err), SV_E_INPUT);
    assert_non_null(strstr(err.why, "limit"));
    assert_int_equal(decode(none, sizeof none - 1, &err), SV_E_INPUT);
    assert_int_equal(decode(hollow, sizeof hollow - 1, &err), SV_E_INPUT);
    assert_non_null(strstr(err.why, "ends early"));
}

static void wrong_calls(void **state) {
    sv_image im = {0}, out = {0};
    sv_encode_options o;
    sv_error err = {0};
    uint8_t *bytes = NULL;
    size_t n;
    assert_int_equal(sv_image_read(&im, GOLDEN "nothing.png", &err), SV_E_INPUT);
    assert_int_equal(sv_image_read(&im, GOLDEN, &err), SV_E_INPUT);
    assert_int_equal(sv_image_alloc(&im, 0, 5, SV_MODE_L, &err), SV_E_INPUT);
    assert_int_equal(sv_image_alloc(&im, 100000, 100000, SV_MODE_L, &err), SV_E_INPUT);
    fill(&im, 4, 4, SV_MODE_RGBA, 1);
    sv_encode_options_init(&o, SV_FORMAT_JPEG);
    assert_int_equal(sv_image_encode(&im, &o, &bytes, &n, &err), SV_E_USAGE);
    assert_null(bytes);
    o.quality = 0;
    assert_int_equal(sv_image_encode(&im, &o, &bytes, &n, &err), SV_E_USAGE);
    fill(&im, 4, 4, SV_MODE_CMYK, 1);
    sv_encode_options_init(&o, SV_FORMAT_PNG);
    assert_int_equal(sv_image_encode(&im, &o, &bytes, &n, &err), SV_E_USAGE);
    assert_int_equal(sv_image_convert(&im, SV_MODE_P, &out, &err), SV_E_USAGE);
    assert_int_equal(sv_image_write(&im, "picture.gif", NULL, &err), SV_E_USAGE);
    sv_format f;
    must(sv_format_of_name("a/b.JPeG", &f, &err), &err);
    assert_int_equal(f, SV_FORMAT_JPEG);
    assert_int_equal(sv_format_of_name("a.png/b", &f, &err), SV_E_USAGE);
    assert_int_equal(sv_format_of_name("b.", &f, &err), SV_E_USAGE);
    sv_image_free(&im);
    sv_image_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jpeg_files),    cmocka_unit_test(modes),        cmocka_unit_test(luma_variants), cmocka_unit_test(png_keeps_everything),
        cmocka_unit_test(webp_lossless), cmocka_unit_test(jpeg_is_close), cmocka_unit_test(text_is_kept), cmocka_unit_test(cut_files),
        cmocka_unit_test(damaged_png),   cmocka_unit_test(damaged_jpeg), cmocka_unit_test(strange_files), cmocka_unit_test(wrong_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
