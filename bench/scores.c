/* scores.c - CPU seconds of resizing and SSIM on decoded arrays, one thread, and of CLIP by batch; a line of JSON each. Driven by bench/scores.sh.
 *
 *     bench_scores [CLIP_DIR]
 *
 * The pictures are made by a formula that scores_reference.py knows, too. Each figure is the best of several rounds of about a tenth of a second.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "synthvlm/score.h"

static sv_error err;

static void must(sv_status st) {
    char text[2048];
    if (st == SV_OK) return;
    fprintf(stderr, "%s\n", sv_error_text(&err, text, sizeof text));
    exit(1);
}

/* RGB: ((7x + 13y + 5(xy mod 17)) mod 256, (3x² + 5y² + xy) / 8 mod 256, (3x + 2y + shift) mod 256); L: the second. */
static void paint(sv_image *im, int width, int height, sv_mode mode, int shift) {
    must(sv_image_alloc(im, width, height, mode, &err));
    uint8_t *p = im->data;
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) {
            uint8_t second = (uint8_t)((3 * x * x + 5 * y * y + x * y) / 8 + shift);
            if (mode == SV_MODE_L) {
                *p++ = second;
                continue;
            }
            *p++ = (uint8_t)(7 * x + 13 * y + 5 * (x * y % 17));
            *p++ = second;
            *p++ = (uint8_t)(3 * x + 2 * y + shift);
        }
}

static double cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Best CPU seconds of one call of fn. */
static double best_of(void (*fn)(void *), void *user) {
    double best = 1e9;
    fn(user);
    for (int round = 0; round < 3; round++) {
        double begin = cpu(), spent = 0;
        int calls = 0;
        for (; spent < 0.08; calls++, spent = cpu() - begin) fn(user);
        if (spent / calls < best) best = spent / calls;
    }
    return best;
}

typedef struct work {
    sv_image a, b, out;
    int side;
    sv_filter filter;
    sv_ssim_options ssim;
    sv_ssim_work *score;
    double value;
} work;

static void resize(void *user) {
    work *w = user;
    must(sv_image_resize(&w->a, w->side, w->side, w->filter, 13, &w->out, &err));
}

static void ssim(void *user) {
    work *w = user;
    must(sv_ssim(&w->a, &w->b, &w->ssim, &w->value, &err));
}

static void ssim_score(void *user) {
    work *w = user;
    must(sv_ssim_score(&w->a, 768, 336, 13, &w->score, &w->value, &err));
}

typedef struct clip_work {
    sv_clip *clip;
    const sv_image *images[64];
    size_t batch;
    float *embeddings;
} clip_work;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Wall time: ONNX Runtime's threads are its own. One intra-op thread. */
static void clip(const char *dir) {
    sv_image im = {0};
    paint(&im, 512, 512, SV_MODE_RGB, 0);
    for (size_t batch = 1; batch <= 16; batch *= 4) {
        clip_work w = {.batch = batch};
        sv_clip_options o;
        sv_clip_options_init(&o);
        o.batch = (int)batch;
        must(sv_clip_open(&w.clip, dir, &o, &err));
        w.embeddings = malloc(batch * sv_clip_dim(w.clip) * sizeof *w.embeddings);
        if (!w.embeddings) exit(1);
        for (size_t i = 0; i < batch; i++) w.images[i] = &im;
        must(sv_clip_images(w.clip, w.images, batch, w.embeddings, &err));
        double begin = now(), spent = 0;
        size_t images = 0;
        for (; spent < 0.7; images += batch, spent = now() - begin) must(sv_clip_images(w.clip, w.images, batch, w.embeddings, &err));
        printf("{\"what\":\"clip batch %zu\",\"per_second\":%.1f}\n", batch, (double)images / spent);
        free(w.embeddings);
        sv_clip_close(&w.clip);
    }
    sv_image_free(&im);
}

int main(int argc, char **argv) {
    static const struct { const char *what; int from, to; sv_filter filter; } resizes[] = {
        {"resize bilinear 1024 768", 1024, 768, SV_FILTER_BILINEAR}, {"resize bilinear 768 336", 768, 336, SV_FILTER_BILINEAR},
        {"resize bilinear 336 768", 336, 768, SV_FILTER_BILINEAR}, {"resize bicubic 1024 224", 1024, 224, SV_FILTER_BICUBIC},
        {"resize bicubic 512 224", 512, 224, SV_FILTER_BICUBIC}, {"resize lanczos 1024 512", 1024, 512, SV_FILTER_LANCZOS},
    };
    for (size_t i = 0; i < sizeof resizes / sizeof resizes[0]; i++) {
        work w = {.side = resizes[i].to, .filter = resizes[i].filter};
        paint(&w.a, resizes[i].from, resizes[i].from, SV_MODE_RGB, 0);
        printf("{\"what\":\"%s\",\"seconds\":%.9f}\n", resizes[i].what, best_of(resize, &w));
        sv_image_free(&w.a);
        sv_image_free(&w.out);
    }
    for (int side = 256; side <= 1024; side += 256) {
        work w = {.side = side};
        sv_ssim_options_init(&w.ssim, false);
        paint(&w.a, side, side, SV_MODE_L, 0);
        paint(&w.b, side, side, SV_MODE_L, 9);
        double seconds = best_of(ssim, &w);
        printf("{\"what\":\"ssim %d\",\"seconds\":%.9f,\"value\":%.15f}\n", side, seconds, w.value);
        sv_image_free(&w.a);
        sv_image_free(&w.b);
    }
    work w = {0};
    paint(&w.a, 1024, 1024, SV_MODE_RGB, 0);
    double seconds = best_of(ssim_score, &w);
    printf("{\"what\":\"ssim_score 1024 768 336\",\"seconds\":%.9f,\"value\":%.15f}\n", seconds, w.value);
    sv_ssim_work_free(&w.score);
    sv_image_free(&w.a);
    if (argc > 1) clip(argv[1]);
    return 0;
}
