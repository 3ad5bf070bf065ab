/* image.h - helpers of the image tests. */
#ifndef SV_TEST_IMAGE_H
#define SV_TEST_IMAGE_H

#include <math.h>

#include "base/cpu.h"
#include "base/hash.h"
#include "golden.h"
#include "image/codec.h"

#define GOLDEN "tests/golden/image/"

static inline void must(sv_status st, const sv_error *err) {
    char text[2048];
    if (st != SV_OK) fail_msg("%s", sv_error_text(err, text, sizeof text));
}

/* The golden picture that the row's key names. */
static inline void read_golden(yyjson_val *row, const char *key, sv_image *im) {
    sv_error err = {0};
    char *path = sv_path_join(GOLDEN, golden_str(row, key));
    must(sv_image_read(im, path, &err), &err);
    free(path);
}

static inline void assert_pixels(const sv_image *im, const char *sha256, const char *what) {
    char hex[SV_SHA256_HEX];
    sv_sha256_hex(im->data, sv_image_bytes(im), hex);
    if (strcmp(hex, sha256) != 0) fail_msg("%s: the pixels differ (%d x %d %s)", what, im->width, im->height, sv_mode_name(im->mode));
}

static inline sv_mode mode_of(const char *name) {
    for (int m = SV_MODE_1; m <= SV_MODE_CMYK; m++)
        if (!strcmp(name, sv_mode_name((sv_mode)m))) return (sv_mode)m;
    fail_msg("no mode %s", name);
    return SV_MODE_1;
}

/* Pixels from a small linear congruential generator, the same everywhere. */
static inline void fill(sv_image *im, int width, int height, sv_mode mode, uint32_t seed) {
    sv_error err = {0};
    must(sv_image_alloc(im, width, height, mode, &err), &err);
    for (size_t i = 0, n = sv_image_bytes(im); i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        im->data[i] = mode == SV_MODE_1 ? (seed >> 31) * 255 : (uint8_t)(seed >> 24);
    }
    for (int i = 0; im->palette && i < 1024; i++) {
        seed = seed * 1664525u + 1013904223u;
        im->palette[i] = (uint8_t)(seed >> 24);
    }
}

#endif
