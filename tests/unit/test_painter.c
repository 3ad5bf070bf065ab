/* Painting in steps: a picture that is halted, looked at, saved, and finished in another row of another painter is the picture of an unbroken run. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diffusion/scheduler.h"
#include "synthvlm/diffusion.h"

#define MODELS "tests/golden/models/"
enum { ROWS = 3, SIDE = 64, BYTES = SIDE * SIDE * 3 };

static sv_error err;

static void check(sv_status st) {
    char text[2048];
    if (st != SV_OK) fail_msg("%s", sv_error_text(&err, text, sizeof text));
}

static void free_painted(sv_painted *p, size_t n) {
    for (size_t i = 0; i < n; i++) sv_image_free(&p[i].image);
}

/* ---- halting ---- */

typedef struct kase {
    const char *model, *refiner, *scheduler;
    int steps;
    double guidance, eta, from, until;     /* until 0: no interval */
} kase;

static const kase kases[] = {
    {"tiny-sd15", NULL, "{\"_class_name\": \"PNDMScheduler\", \"skip_prk_steps\": true}", 6, 7.5, 0},
    {"tiny-sd15", NULL, "{\"_class_name\": \"PNDMScheduler\", \"skip_prk_steps\": false}", 6, 1, 0},
    {"tiny-sd15", NULL, "{\"_class_name\": \"DPMSolverMultistepScheduler\", \"solver_order\": 3}", 6, 7.5, 0},
    {"tiny-sd15", NULL, "{\"_class_name\": \"DPMSolverMultistepScheduler\", \"algorithm_type\": \"sde-dpmsolver++\", \"use_karras_sigmas\": true}", 5, 7.5, 0},
    {"tiny-sd15", NULL, "{\"_class_name\": \"UniPCMultistepScheduler\", \"solver_order\": 3}", 6, 7.5, 0},
    {"tiny-sd15", NULL, "heun", 4, 7.5, 0},
    {"tiny-sd15", NULL, "euler-a", 5, 7.5, 0},
    {"tiny-sd15", NULL, "ddpm", 5, 1, 0},
    {"tiny-sd2", NULL, "ddim", 5, 7.5, 0.5},
    {"tiny-lcm", NULL, NULL, 4, 8.5, 0},
    {"tiny-sdxl", NULL, "euler", 5, 5, 0},
    {"tiny-sdxl", "tiny-sdxl-refiner", NULL, 6, 5, 0},
    {"tiny-sdxl", "tiny-sdxl-refiner", "euler-a", 6, 5, 0},
    {"tiny-sdxl", NULL, "euler-a", 6, 5, 0, 0.3, 0.7},
    {"tiny-sd3", NULL, NULL, 4, 7, 0},
    {"tiny-flux", NULL, NULL, 4, 3.5, 0},
    {"tiny-flux", NULL, "{\"stochastic_sampling\": true}", 4, 3.5, 0},
};

/* Everything that a case needs; pictures and what an unbroken run makes of them. */
enum { PICTURES = 2 * ROWS };
typedef struct bench {
    sv_pipeline *model, *refiner;
    sv_condition *texts[2][2], *negative[2];     /* [of the model, of the refiner][which] */
    sv_paint_options o;
    sv_picture pictures[PICTURES];
    sv_painted want[PICTURES];
} bench;

static void open_model(const char *name, sv_pipeline **p, sv_condition **texts, sv_condition **negative) {
    char path[256];
    snprintf(path, sizeof path, MODELS "%s", name);
    check(sv_pipeline_open(p, path, NULL, NULL, &err));
    check(sv_pipeline_encode(*p, "a red cup", &texts[0], &err));
    check(sv_pipeline_encode(*p, "two dogs on a boat", &texts[1], &err));
    check(sv_pipeline_encode(*p, NULL, negative, &err));
}

static void set_up(bench *b, const kase *k) {
    *b = (bench){0};
    open_model(k->model, &b->model, b->texts[0], &b->negative[0]);
    if (k->refiner) open_model(k->refiner, &b->refiner, b->texts[1], &b->negative[1]);
    sv_paint_options_init(&b->o);
    b->o.width = b->o.height = SIDE;
    b->o.batch = ROWS;
    b->o.steps = k->steps;
    b->o.guidance = k->guidance;
    b->o.eta = k->eta;
    if (k->until > 0) b->o.guidance_from = k->from, b->o.guidance_until = k->until;
    b->o.scheduler = k->scheduler;
    b->o.refiner = b->refiner;
    b->o.denoising_end = b->refiner ? 0.5 : NAN;
    sv_painter *w;
    check(sv_painter_open(&w, b->model, &b->o, &err));
    for (int i = 0; i < PICTURES; i++)
        b->pictures[i] = (sv_picture){.text = b->texts[0][i % 2], .negative = b->negative[0], .refiner_text = b->texts[1][i % 2],
                                      .refiner_negative = b->negative[1], .seed = 100 + (uint64_t)i};
    for (int i = 0; i < PICTURES; i += ROWS) check(sv_painter_draw(w, b->pictures + i, ROWS, b->want + i, NULL, &err));
    for (int i = 1; i < PICTURES; i++) assert_memory_not_equal(b->want[0].image.data, b->want[i].image.data, BYTES);
    sv_painter_close(&w);
}

static void tear_down(bench *b) {
    free_painted(b->want, PICTURES);
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 2; k++) sv_condition_close(&b->texts[i][k]);
        sv_condition_close(&b->negative[i]);
    }
    sv_pipeline_close(&b->model);
    sv_pipeline_close(&b->refiner);
}

/* Two batches are halted after `at` calls; pictures 5, 0 and 4 of the six go on together. */
static void halt_and_go_on(const bench *b, const char *name, size_t at) {
    static const int on[ROWS] = {5, 0, 4};
    sv_painter *first, *second;
    sv_paint_state *states[ROWS] = {0};
    sv_picture pictures[ROWS];
    sv_painted got[ROWS] = {{{0}, 0, false}}, look = {{0}, 0, false};
    check(sv_painter_open(&first, b->model, &b->o, &err));
    check(sv_painter_open(&second, b->model, &b->o, &err));
    for (int i = 0; i < PICTURES; i += ROWS) {
        check(sv_painter_begin(first, b->pictures + i, ROWS, &err));
        if (at) assert_int_equal(sv_painter_preview(first, 0, &look, &err), SV_E_INTERNAL);
        check(sv_painter_advance(first, at / 2, NULL, &err));
        check(sv_painter_advance(first, at, NULL, &err));
        assert_int_equal(sv_painter_position(first), at);
        for (int r = 0; r < ROWS; r++) {
            if (at) check(sv_painter_preview(first, (size_t)r, &look, &err));
            if (at) assert_true(look.finite && look.image.width == SIDE && look.image.height == SIDE);
            for (int k = 0; k < ROWS; k++)
                if (on[k] == i + r) check(sv_painter_save(first, (size_t)r, &states[k], &err));
        }
    }
    for (int k = 0; k < ROWS; k++) {
        assert_int_equal(sv_paint_state_position(states[k]), at);
        pictures[k] = b->pictures[on[k]];
        pictures[k].seed = 0;                      /* the state knows it */
    }
    check(sv_painter_resume(second, (const sv_paint_state *const *)states, pictures, ROWS, &err));
    assert_int_equal(sv_painter_position(second), at);
    assert_int_equal(sv_painter_finish(second, 0, &got[0], &err), SV_E_INTERNAL);
    check(sv_painter_advance(second, sv_painter_calls(second), NULL, &err));
    for (int k = 0; k < ROWS; k++) {
        check(sv_painter_finish(second, (size_t)k, &got[k], &err));
        if (got[k].latents_sum != b->want[on[k]].latents_sum || memcmp(got[k].image.data, b->want[on[k]].image.data, BYTES) != 0)
            fail_msg("%s, halted after %zu calls: picture %d is another one in row %d", name, at, on[k], k);
    }
    /* Two of them alone: the third row is filled up and changes nothing. */
    check(sv_painter_resume(first, (const sv_paint_state *const *)states + 1, pictures + 1, 2, &err));
    check(sv_painter_advance(first, sv_painter_calls(first), NULL, &err));
    check(sv_painter_finish(first, 1, &got[0], &err));
    assert_memory_equal(got[0].image.data, b->want[on[2]].image.data, BYTES);
    free_painted(got, ROWS);
    sv_image_free(&look.image);
    for (int k = 0; k < ROWS; k++) sv_paint_state_close(&states[k]);
    sv_painter_close(&first);
    sv_painter_close(&second);
}

static void halted_pictures_are_the_same(void **state) {
    for (size_t i = 0; i < sizeof kases / sizeof kases[0]; i++) {
        bench b;
        sv_painter *w;
        char name[256];
        snprintf(name, sizeof name, "%s %s %s", kases[i].model, kases[i].refiner ? "refined" : "", kases[i].scheduler ? kases[i].scheduler : "");
        set_up(&b, &kases[i]);
        check(sv_painter_open(&w, b.model, &b.o, &err));
        size_t calls = sv_painter_calls(w);
        sv_painter_close(&w);
        assert_true(calls >= 4);
        halt_and_go_on(&b, name, i % 2);
        halt_and_go_on(&b, name, calls / 2);       /* with a refiner: where it takes over */
        halt_and_go_on(&b, name, calls - 1);
        tear_down(&b);
    }
}

static void misuse_is_an_error(void **state) {
    bench b;
    sv_painter *w, *other;
    sv_paint_state *s, *later;
    sv_painted out = {{0}, 0, false};
    int stop = 1;
    set_up(&b, &kases[4]);
    check(sv_painter_open(&w, b.model, &b.o, &err));
    assert_int_equal(sv_painter_advance(w, 1, NULL, &err), SV_E_INTERNAL);
    assert_int_equal(sv_painter_save(w, 0, &s, &err), SV_E_INTERNAL);
    assert_int_equal(sv_painter_begin(w, b.pictures, ROWS + 1, &err), SV_E_INTERNAL);
    check(sv_painter_begin(w, b.pictures, 2, &err));
    check(sv_painter_advance(w, 2, NULL, &err));
    assert_int_equal(sv_painter_advance(w, 4, &stop, &err), SV_E_STOPPED);
    assert_int_equal(sv_painter_position(w), 2);
    check(sv_painter_save(w, 0, &s, &err));
    /* values: 4 x 8 x 8, and UniPC keeps order + 2 times as many */
    assert_true(sv_paint_state_size(s) >= 6 * 256 * 4 && sv_paint_state_size(s) < 6 * 256 * 4 + 4096);
    check(sv_painter_advance(w, 3, NULL, &err));
    check(sv_painter_save(w, 1, &later, &err));
    assert_int_equal(sv_painter_resume(w, (const sv_paint_state *const[]){s, later}, b.pictures, 2, &err), SV_E_INTERNAL);
    assert_int_equal(sv_painter_advance(w, 6, NULL, &err), SV_E_INTERNAL);
    b.o.guidance = 7.25;
    check(sv_painter_open(&other, b.model, &b.o, &err));
    assert_int_equal(sv_painter_resume(other, (const sv_paint_state *const *)&s, b.pictures, 1, &err), SV_E_INTERNAL);
    assert_non_null(strstr(err.why, "other options"));
    sv_painter_close(&other);
    b.o.refiner = b.model;                         /* any model can go on with its own latents, but not without a text */
    b.o.guidance = 7.5;
    b.o.denoising_end = NAN;
    check(sv_painter_open(&other, b.model, &b.o, &err));
    assert_int_equal(sv_painter_begin(other, b.pictures, 1, &err), SV_E_INTERNAL);
    assert_non_null(strstr(err.why, "without a text"));
    sv_painter_close(&other);
    sv_image_free(&out.image);
    sv_paint_state_close(&s);
    sv_paint_state_close(&later);
    sv_painter_close(&w);
    tear_down(&b);
}

/* The refiner inside a painter gives what two painters give, one after the other. */
static void refiner_takes_over(void **state) {
    bench b;
    size_t values;
    set_up(&b, &kases[11]);
    for (int faulty = 0; faulty < 2; faulty++) {
        sv_painter *one, *base, *after;
        sv_painted got = {{0}, 0, false}, want = {{0}, 0, false};
        sv_paint_options o = b.o;
        o.batch = 1;
        o.refiner_authors_call = faulty;
        if (faulty) o.steps = 20, o.denoising_end = 0.8;   /* its strength of 0.3 begins at timestep 300, and the end is cut off at 200 */
        check(sv_painter_open(&one, b.model, &o, &err));
        check(sv_painter_draw(one, b.pictures, 1, &got, NULL, &err));
        o.refiner = NULL;
        check(sv_painter_open(&base, b.model, &o, &err));
        check(sv_painter_draw(base, b.pictures, 1, &want, NULL, &err));
        o.from = SV_FROM_LATENTS;
        if (!faulty) o.denoising_start = o.denoising_end, o.denoising_end = NAN;
        check(sv_painter_open(&after, b.refiner, &o, &err));
        sv_picture p = {.text = b.texts[1][0], .negative = b.negative[1], .seed = b.pictures[0].seed, .source.latents = sv_painter_latents(base, &values)};
        check(sv_painter_draw(after, &p, 1, &want, NULL, &err));
        assert_true(got.latents_sum == want.latents_sum);
        assert_memory_equal(got.image.data, want.image.data, BYTES);
        free_painted(&got, 1);
        free_painted(&want, 1);
        sv_painter_close(&one);
        sv_painter_close(&base);
        sv_painter_close(&after);
    }
    tear_down(&b);
}

/* ---- the predicted original sample ---- */

/* A class whose schedule ends without noise lands, in its last step, on the sample that was predicted there. */
static void prediction_is_where_the_last_step_ends(void **state) {
    static const char *const classes[] = {"EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "DDIMScheduler", "DDPMScheduler",
                                          "LCMScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler"};
    static const char *const kinds[] = {"epsilon", "v_prediction", "sample"};
    enum { N = 64 };
    size_t cases = 0;
    for (size_t c = 0; c < sizeof classes / sizeof classes[0]; c++)
        for (size_t k = 0; k < 3; k++) {
            char config[256];
            sv_scheduler *s;
            sv_sampler *p;
            sv_sample_options o;
            sv_generator g;
            float x[N], out[N], x0[N], sum[N];
            snprintf(config, sizeof config,
                     c == 8 ? "{\"_class_name\": \"%s\", \"shift\": 3.0}" : "{\"_class_name\": \"%s\", \"prediction_type\": \"%s\"}", classes[c], kinds[k]);
            check(sv_scheduler_open(&s, config, NULL, &err));
            sv_sample_options_init(&o, 5);
            if (sv_sampler_open(&p, s, &o, 1, N, &err) != SV_OK) {     /* a prediction that the class does not take */
                assert_non_null(strstr(err.why, "prediction_type"));
                sv_scheduler_close(&s);
                continue;
            }
            sv_generator_seed(&g, 3);
            sv_randn(&g, x, N);
            for (size_t i = 0; i < sv_sampler_length(p); i++) {
                sv_sampler_scale_input(p, i, x, sum);
                for (int v = 0; v < N; v++) out[v] = 0.3f * sum[v] + 0.01f;
                sv_sampler_predict(p, i, out, x, x0);
                check(sv_sampler_step(p, i, out, x, &g, &err));
            }
            for (int v = 0; v < N; v++)
                if (!(fabsf(x[v] - x0[v]) <= 2e-3f * fmaxf(1, fabsf(x[v])))) fail_msg("%s, %s: %g is not %g", classes[c], kinds[k], (double)x0[v], (double)x[v]);
            cases++;
            sv_sampler_close(&p);
            sv_scheduler_close(&s);
        }
    assert_true(cases >= 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halted_pictures_are_the_same),
        cmocka_unit_test(misuse_is_an_error),
        cmocka_unit_test(refiner_takes_over),
        cmocka_unit_test(prediction_is_where_the_last_step_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
