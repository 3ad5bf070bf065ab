/* Pipelines: pictures and latents of diffusers on tiny models, batches, and what is said of models that are incomplete or wrong. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <yyjson.h>

#include "base/file.h"
#include "diffusion/pipeline.h"
#include "synthvlm/diffusion.h"
#include "synthvlm/model.h"

#define MODELS "tests/golden/models/"
#define GOLDEN "tests/golden/diffusion/"

static sv_error err;

static void check(sv_status st) {
    char text[2048];
    if (st != SV_OK) fail_msg("%s", sv_error_text(&err, text, sizeof text));
}

/* ---- against diffusers ---- */

static double number(yyjson_val *o, const char *key, double fallback) {
    yyjson_val *v = yyjson_obj_get(o, key);
    return v ? yyjson_get_num(v) : fallback;
}

static void compare_image(const sv_image *got, const char *name) {
    char path[256];
    sv_image want = {0};
    snprintf(path, sizeof path, GOLDEN "%s", name);
    check(sv_image_read(&want, path, &err));
    assert_int_equal(want.mode, SV_MODE_RGB);
    assert_int_equal(want.width, got->width);
    assert_int_equal(want.height, got->height);
    int worst = 0;
    for (int i = 0; i < want.width * want.height * 3; i++) {
        int d = abs(want.data[i] - got->data[i]);
        if (d > worst) worst = d;
    }
    if (worst > 1) fail_msg("%s: %d of 255 apart", name, worst);
    sv_image_free(&want);
}

static char *model_path(const char *name, char path[256]) {
    snprintf(path, 256, MODELS "%s", name);
    return path;
}

static void read_options(yyjson_val *c, sv_paint_options *o) {
    sv_paint_options_init(o);
    o->width = (int)number(c, "width", 0);
    o->height = (int)number(c, "height", 0);
    o->steps = (int)number(c, "steps", 0);
    o->guidance = number(c, "guidance", 0);
    o->guidance_rescale = number(c, "guidance_rescale", 0);
    o->strength = number(c, "strength", NAN);
    o->denoising_end = number(c, "denoising_end", NAN);
    o->aesthetic_score = number(c, "aesthetic_score", o->aesthetic_score);
    o->negative_aesthetic_score = number(c, "negative_aesthetic_score", o->negative_aesthetic_score);
    o->vae_tile = (int)number(c, "vae_tile", 0);
    yyjson_val *interval = yyjson_obj_get(c, "guidance_interval");
    if (interval) o->guidance_from = yyjson_get_num(yyjson_arr_get(interval, 0)), o->guidance_until = yyjson_get_num(yyjson_arr_get(interval, 1));
    if (yyjson_obj_get(c, "init_image")) o->from = SV_FROM_IMAGE;
}

/* One model's share of a case. The painter is handed out: its latents may be wanted. */
static sv_painter *draw(yyjson_val *c, sv_pipeline *p, const sv_paint_options *o, const sv_paint_source *source, sv_painted *out) {
    sv_painter *w;
    sv_condition *text, *negative;
    uint64_t seed = yyjson_get_uint(yyjson_obj_get(c, "seed"));
    sv_text_options t = {.max_sequence_length = (int)number(c, "max_sequence_length", 0), .windows = yyjson_obj_get(c, "long_captions") != NULL};
    check(sv_painter_open(&w, p, o, &err));
    check(sv_pipeline_encode_with(p, yyjson_get_str(yyjson_obj_get(c, "prompt")), &t, &text, &err));
    check(sv_pipeline_encode_with(p, yyjson_get_str(yyjson_obj_get(c, "negative_prompt")), &t, &negative, &err));
    sv_picture picture = {.text = text, .negative = negative, .seed = seed, .source = *source};
    check(sv_painter_draw(w, &picture, 1, out, NULL, &err));
    assert_true(out->finite);
    sv_condition_close(&text);
    sv_condition_close(&negative);
    return w;
}

static void draw_case(yyjson_val *c, sv_pipeline *p) {
    sv_paint_options o;
    sv_painted out = {0};
    sv_image scene = {0};
    sv_paint_source source = {.image = &scene};
    const char *image = yyjson_get_str(yyjson_obj_get(c, "image")), *init = yyjson_get_str(yyjson_obj_get(c, "init_image"));
    const char *refiner = yyjson_get_str(yyjson_obj_get(c, "refiner"));
    yyjson_val *scheduler = yyjson_obj_get(c, "scheduler");
    char *override = scheduler ? yyjson_val_write(scheduler, 0, NULL) : NULL, path[256];
    read_options(c, &o);
    o.scheduler = override;
    if (init) {
        snprintf(path, sizeof path, GOLDEN "%s", init);
        check(sv_image_read(&scene, path, &err));
    }
    sv_painter *w = draw(c, p, &o, &source, &out);
    if (refiner) {
        sv_pipeline *q;
        size_t values;
        double apart = fabs(out.latents_sum - number(c, "base_latents_sum", 0));
        if (!(apart <= 1e-4 * number(c, "elements", 0))) fail_msg("%s: the base's latents are %g off", image, apart);
        check(sv_pipeline_open(&q, model_path(refiner, path), NULL, NULL, &err));
        source.latents = sv_painter_latents(w, &values);
        o.from = SV_FROM_LATENTS;
        o.denoising_end = NAN;
        o.denoising_start = number(c, "denoising_start", NAN);
        sv_painter *after = draw(c, q, &o, &source, &out);
        sv_painter_close(&after);
        sv_pipeline_close(&q);
    }
    double apart = fabs(out.latents_sum - number(c, "latents_sum", 0));
    if (!(apart <= 1e-4 * number(c, "elements", 0))) fail_msg("%s: latents_sum is %g off", yyjson_get_str(yyjson_obj_get(c, "prompt")), apart);
    if (image) compare_image(&out.image, image);
    sv_image_free(&scene);
    sv_image_free(&out.image);
    sv_painter_close(&w);
    free(override);
}

static void draws_what_diffusers_draws(void **state) {
    char *text, model[64] = "", path[256];
    size_t size, cases = 0;
    sv_pipeline *p = NULL;
    check(sv_file_read(GOLDEN "golden.jsonl", 0, &text, &size, &err));
    for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        yyjson_doc *doc = yyjson_read(line, strlen(line), 0);
        yyjson_val *c = yyjson_doc_get_root(doc);
        assert_non_null(c);
        const char *name = yyjson_get_str(yyjson_obj_get(c, "model"));
        if (strcmp(name, model) != 0) {
            snprintf(model, sizeof model, "%s", name);
            sv_pipeline_close(&p);
            check(sv_pipeline_open(&p, model_path(name, path), NULL, NULL, &err));
        }
        draw_case(c, p);
        yyjson_doc_free(doc);
        cases++;
    }
    sv_pipeline_close(&p);
    free(text);
    assert_true(cases >= 44);
}

/* ---- batches ---- */

/* Row i of a batch is the picture of seeds[i]; rows that nobody asked for change nothing; a second run of the same painter gives the same bytes. */
static void batches_keep_rows_apart(void **state) {
    sv_pipeline *p;
    sv_painter *one, *four;
    sv_condition *text, *negative;
    sv_paint_options o;
    sv_painted single = {0}, full[4] = {{{0}, 0, false}}, partial[4] = {{{0}, 0, false}};
    const uint64_t seeds[4] = {7, 8, 9, 10};
    check(sv_pipeline_open(&p, MODELS "tiny-sd15", NULL, NULL, &err));
    sv_paint_options_init(&o);
    o.width = o.height = 64;
    o.steps = 3;
    o.scheduler = "EulerAncestralDiscreteScheduler";       /* draws noise on its way: each row from its own generator */
    check(sv_painter_open(&one, p, &o, &err));
    o.batch = 4;
    check(sv_painter_open(&four, p, &o, &err));
    check(sv_pipeline_encode(p, "a red cup", &text, &err));
    check(sv_pipeline_encode(p, NULL, &negative, &err));
    check(sv_painter_run(four, text, negative, seeds, 4, full, NULL, &err));
    check(sv_painter_run(four, text, negative, seeds, 2, partial, NULL, &err));
    for (int i = 0; i < 4; i++) {
        check(sv_painter_run(one, text, negative, &seeds[i], 1, &single, NULL, &err));
        for (int k = 0; k < 64 * 64 * 3; k++) assert_true(abs(single.image.data[k] - full[i].image.data[k]) <= 1);
    }
    for (int i = 0; i < 2; i++) {
        assert_memory_equal(full[i].image.data, partial[i].image.data, 64 * 64 * 3);
        assert_true(full[i].latents_sum == partial[i].latents_sum);
    }
    assert_memory_not_equal(full[0].image.data, full[1].image.data, 64 * 64 * 3);
    for (int i = 0; i < 4; i++) {
        sv_image_free(&full[i].image);
        sv_image_free(&partial[i].image);
    }
    sv_image_free(&single.image);
    sv_condition_close(&text);
    sv_condition_close(&negative);
    sv_painter_close(&one);
    sv_painter_close(&four);
    sv_pipeline_close(&p);
}

static void facts_and_limits(void **state) {
    sv_pipeline *p;
    sv_painter *w;
    sv_condition *c;
    sv_paint_options o;
    int width, height, steps, stop = 1;
    double guidance;
    char hash[65], again[65];
    sv_painted out = {0};
    uint64_t seed = 1;
    check(sv_pipeline_open(&p, MODELS "tiny-sd2", NULL, NULL, &err));
    assert_string_equal(sv_pipeline_family(p), "Stable Diffusion 2.x");
    sv_pipeline_default_size(p, &width, &height);
    sv_pipeline_defaults(p, &steps, &guidance);
    assert_int_equal(width, 64);
    assert_int_equal(height, 64);
    assert_int_equal(steps, 50);
    assert_true(guidance == 7.5);
    assert_int_equal(sv_pipeline_multiple(p), 8);
    check(sv_pipeline_hash(p, hash, &err));
    check(sv_pipeline_hash(p, again, &err));
    assert_string_equal(hash, again);

    check(sv_pipeline_encode(p, "a bright morning! what a day", &c, &err));
    assert_int_equal(sv_condition_tokens(c), 15);
    assert_int_equal(sv_condition_cut(c), 0);
    sv_condition_close(&c);
    assert_int_equal(sv_pipeline_encode(p, "\xff", &c, &err), SV_E_INPUT);
    check(sv_pipeline_encode(p, "a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a "
                                "a a a a a a a a a a a a a a a", &c, &err));
    assert_int_equal(sv_condition_tokens(c), 80);
    assert_int_equal(sv_condition_cut(c), 5);

    sv_paint_options_init(&o);
    o.width = 64;
    o.height = 60;
    assert_int_equal(sv_painter_open(&w, p, &o, &err), SV_E_USAGE);
    assert_non_null(strstr(err.why, "multiples of 8"));
    o.width = o.height = 16384;
    assert_int_equal(sv_painter_open(&w, p, &o, &err), SV_E_MEMORY);       /* at once, and with the sum */
    assert_non_null(strstr(err.why, "in a single layer"));
    o.width = o.height = 64;
    o.guidance_from = 0.5, o.guidance_until = 0.5;
    assert_int_equal(sv_painter_open(&w, p, &o, &err), SV_E_USAGE);
    o.guidance_from = 0, o.guidance_until = 1;
    o.vae_tile = 20;
    assert_int_equal(sv_painter_open(&w, p, &o, &err), SV_E_USAGE);
    assert_non_null(strstr(err.why, "multiple of 16"));
    o.vae_tile = 0;
    o.scheduler = "NoSuchScheduler";
    assert_int_not_equal(sv_painter_open(&w, p, &o, &err), SV_OK);
    assert_null(w);
    o.scheduler = NULL;
    o.guidance = 1;
    check(sv_painter_open(&w, p, &o, &err));
    assert_int_equal(sv_painter_run(w, c, NULL, &seed, 1, &out, &stop, &err), SV_E_STOPPED);
    sv_painter_close(&w);
    sv_condition_close(&c);
    sv_image_free(&out.image);
    sv_pipeline_close(&p);
}

/* What only some families take is refused by the others, with words. */
static void families_say_what_they_do_not_take(void **state) {
    sv_pipeline *p;
    sv_painter *w;
    sv_condition *c;
    sv_paint_options o;
    sv_text_options skip = {.clip_skip = 1};
    check(sv_pipeline_open(&p, MODELS "tiny-sdxl-refiner", NULL, NULL, &err));
    sv_paint_options_init(&o);
    o.width = o.height = 64;
    assert_int_equal(sv_painter_open(&w, p, &o, &err), SV_E_USAGE);
    assert_non_null(strstr(err.why, "cannot begin with noise"));
    o.from = SV_FROM_IMAGE;
    o.strength = 0.001;
    assert_int_equal(sv_painter_open(&w, p, &o, &err), SV_E_USAGE);
    assert_non_null(strstr(err.why, "is left to run"));
    o.strength = 1.5;
    assert_int_equal(sv_painter_open(&w, p, &o, &err), SV_E_USAGE);
    skip.clip_skip = 7;
    assert_int_equal(sv_pipeline_encode_with(p, "a", &skip, &c, &err), SV_E_INPUT);
    sv_pipeline_close(&p);

    check(sv_pipeline_open(&p, MODELS "tiny-sd15", NULL, NULL, &err));
    skip.clip_skip = 1;
    assert_int_equal(sv_pipeline_encode_with(p, "a", &skip, &c, &err), SV_E_INPUT);
    sv_pipeline_close(&p);

    check(sv_pipeline_open(&p, MODELS "tiny-sd15-old", NULL, NULL, &err));
    o.strength = 0.5;
    assert_int_equal(sv_painter_open(&w, p, &o, &err), SV_E_MODEL);
    assert_non_null(strstr(err.why, "vae_encoder"));
    sv_pipeline_close(&p);

    check(sv_pipeline_open(&p, MODELS "tiny-flux", NULL, NULL, &err));
    assert_int_equal(sv_painter_open(&w, p, &o, &err), SV_E_USAGE);
    assert_int_equal(sv_pipeline_encode_with(p, "a", &(sv_text_options){.windows = true}, &c, &err), SV_E_USAGE);
    assert_non_null(strstr(err.why, "windows are not available for Flux"));
    o.from = SV_FROM_NOISE;
    o.scheduler = "euler";
    assert_int_equal(sv_painter_open(&w, p, &o, &err), SV_E_USAGE);
    assert_null(w);
    sv_pipeline_close(&p);
}

/* ---- memory ---- */

static unsigned in_memory(const sv_pipeline *p) {
    unsigned parts = 0;
    for (int i = 0; i < SV_PARTS; i++) parts |= p->sessions[i] ? SV_BIT(i) : 0;
    return parts;
}

/* Parts come when they are needed and go when they are let go, and a picture is the same whatever came and went. */
static void parts_come_and_go(void **state) {
    const unsigned texts = SV_BIT(SV_PART_TEXT_ENCODER) | SV_BIT(SV_PART_TEXT_ENCODER_2), denoiser = SV_BIT(SV_PART_DENOISER), decoder = SV_BIT(SV_PART_DECODER);
    sv_pipeline *p;
    sv_painter *w;
    sv_condition *text, *negative;
    sv_paint_options o;
    sv_scheduler *s;
    sv_painted whole = {{0}, 0, false}, phased = {{0}, 0, false};
    char hash[65];
    uint64_t seed = 5;
    check(sv_pipeline_open(&p, MODELS "tiny-sdxl", NULL, NULL, &err));
    sv_paint_options_init(&o);
    o.width = o.height = 64;
    o.steps = 3;
    check(sv_pipeline_hash(p, hash, &err));
    check(sv_pipeline_scheduler(p, "euler", &s, &err));
    check(sv_painter_open(&w, p, &o, &err));
    assert_int_equal(in_memory(p), 0);
    check(sv_pipeline_prepare(p, SV_PHASE_DRAW, &err));
    assert_int_equal(in_memory(p), texts | denoiser | decoder);
    check(sv_pipeline_encode(p, "a red cup", &text, &err));
    check(sv_pipeline_encode(p, NULL, &negative, &err));
    check(sv_painter_run(w, text, negative, &seed, 1, &whole, NULL, &err));
    sv_condition_close(&text);
    sv_condition_close(&negative);
    sv_painter_release(w, SV_PHASE_ALL);
    sv_pipeline_release(p, SV_PHASE_ALL);
    assert_int_equal(in_memory(p), 0);

    check(sv_pipeline_encode(p, "a red cup", &text, &err));
    check(sv_pipeline_encode(p, NULL, &negative, &err));
    assert_int_equal(in_memory(p), texts);
    sv_pipeline_release(p, SV_PHASE_TEXT);
    sv_picture picture = {.text = text, .negative = negative, .seed = seed};
    check(sv_painter_begin(w, &picture, 1, &err));
    assert_int_equal(in_memory(p), denoiser);
    check(sv_painter_advance(w, 3, NULL, &err));
    sv_painter_release(w, SV_PHASE_DENOISE);
    sv_pipeline_release(p, SV_PHASE_DENOISE);
    assert_int_equal(in_memory(p), 0);
    check(sv_painter_finish(w, 0, &phased, &err));
    assert_int_equal(in_memory(p), decoder);
    assert_memory_equal(whole.image.data, phased.image.data, 64 * 64 * 3);
    check(sv_painter_begin(w, &picture, 1, &err));
    sv_painter_release(w, SV_PHASE_DENOISE);
    assert_int_equal(sv_painter_advance(w, 1, NULL, &err), SV_E_INTERNAL);
    sv_scheduler_close(&s);
    sv_condition_close(&text);
    sv_condition_close(&negative);
    sv_image_free(&whole.image);
    sv_image_free(&phased.image);
    sv_painter_close(&w);
    sv_pipeline_close(&p);
}

/* In a process of its own, whose peak is nobody else's: 0, or what went wrong in words. KB: the peak. */
static long in_a_child(void (*work)(void *), void *user) {
    struct rusage use;
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        work(user);
        _exit(0);
    }
    assert_int_equal(wait4(pid, &status, 0, &use), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return use.ru_maxrss;
}

static void measure_tabletop(void *user) {
    sv_measure_options o;
    sv_measure_options_init(&o);
    o.width = o.height = 256;
    o.batch = 2;
    if (sv_model_measure("models/tabletop", &o, user, &err) != SV_OK) _exit(1);
}

/* Two batches of three steps, with everything in memory, or (user is set) one phase after the other. */
static void draw_tabletop(void *user) {
    sv_pipeline *p;
    sv_painter *w;
    sv_condition *text, *negative;
    sv_paint_options o;
    sv_painted out[2] = {{{0}, 0, false}};
    sv_picture pictures[2];
    bool by_phase = user != NULL;
    sv_status st = sv_pipeline_open(&p, "models/tabletop", NULL, NULL, &err);
    sv_paint_options_init(&o);
    o.width = o.height = 256;
    o.batch = 2;
    o.steps = 3;
    if (st == SV_OK && !by_phase) st = sv_pipeline_prepare(p, SV_PHASE_DRAW, &err);
    if (st == SV_OK) st = sv_painter_open(&w, p, &o, &err);
    if (st == SV_OK) st = sv_pipeline_encode(p, "a small red ball", &text, &err);
    if (st == SV_OK) st = sv_pipeline_encode(p, NULL, &negative, &err);
    if (st == SV_OK && by_phase) sv_pipeline_release(p, SV_PHASE_TEXT);
    for (int i = 0; i < 2 && st == SV_OK; i++) {
        for (int k = 0; k < 2; k++) pictures[k] = (sv_picture){.text = text, .negative = negative, .seed = (uint64_t)(2 * i + k)};
        st = sv_painter_begin(w, pictures, 2, &err);
        if (st == SV_OK) st = sv_painter_advance(w, 3, NULL, &err);
        if (by_phase) sv_painter_release(w, SV_PHASE_DENOISE), sv_pipeline_release(p, SV_PHASE_DENOISE);
        for (size_t k = 0; k < 2 && st == SV_OK; k++) st = sv_painter_finish(w, k, &out[k], &err);
        if (by_phase) sv_painter_release(w, SV_PHASE_DECODE), sv_pipeline_release(p, SV_PHASE_DECODE);
    }
    if (st != SV_OK) _exit(1);
}

/* What describe --memory prints is what drawing then takes, at most, and not much more than that. */
static void measured_memory_is_met(void **state) {
    sv_model_memory *m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(m != MAP_FAILED);
#if defined(__SANITIZE_ADDRESS__)
    skip();                                        /* its shadow memory is counted too */
#endif
    in_a_child(measure_tabletop, m);
    uint64_t together = (uint64_t)in_a_child(draw_tabletop, NULL) * 1024, phased = (uint64_t)in_a_child(draw_tabletop, &err) * 1024;
    assert_int_equal(m->width, 256);
    if (together > m->together || m->together > together * 3 / 2) fail_msg("%.0f bytes taken, %.0f measured", (double)together, (double)m->together);
    if (phased > m->by_phase || m->by_phase > phased * 3 / 2) fail_msg("by phase: %.0f bytes taken, %.0f measured", (double)phased, (double)m->by_phase);
    assert_true(m->by_phase < m->together && m->denoise.weights > m->text.weights && m->decode.working > 0);
    munmap(m, sizeof *m);
}

/* ---- models that are not whole ---- */

static char root[64];

static int make_root(void **state) {
    snprintf(root, sizeof root, "/tmp/synthvlm-model-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state) {
    return sv_dir_empty(root, NULL) == SV_OK && rmdir(root) == 0 ? 0 : -1;
}

/* A copy of tiny-sd15 whose parts are links, so that single files can be changed. */
static void copy_model(void) {
    static const char *const parts[] = {"scheduler/scheduler_config.json", "text_encoder/config.json", "text_encoder/model.onnx", "tokenizer/merges.txt",
                                        "tokenizer/vocab.json", "tokenizer/tokenizer_config.json", "unet/config.json", "unet/model.onnx",
                                        "vae_decoder/config.json", "vae_decoder/model.onnx", "model_index.json"};
    char here[512], from[1024], to[256];
    assert_non_null(getcwd(here, sizeof here));
    check(sv_dir_empty(root, &err));
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        snprintf(from, sizeof from, "%s/" MODELS "tiny-sd15/%s", here, parts[i]);
        snprintf(to, sizeof to, "%s/%s", root, parts[i]);
        char *dir = sv_path_dir(to);
        check(sv_dir_make(dir, &err));
        free(dir);
        assert_int_equal(symlink(from, to), 0);
    }
}

static void replace(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    unlink(path);
    if (text) check(sv_file_write_atomic(path, text, strlen(text), &err));
}

/* Opening fails with SV_E_MODEL, and the error's text holds all of `words`. */
static void expect_refused(const char *const *words) {
    sv_pipeline *p;
    char text[2048];
    err = (sv_error){0};
    assert_int_equal(sv_pipeline_open(&p, root, NULL, NULL, &err), SV_E_MODEL);
    assert_null(p);
    sv_error_text(&err, text, sizeof text);
    for (; *words; words++)
        if (!strstr(text, *words)) fail_msg("\"%s\" does not say \"%s\"", text, *words);
}

#define REFUSED(...) expect_refused((const char *const[]){__VA_ARGS__, NULL})

static void incomplete_models_say_what_to_do(void **state) {
    char *json;
    copy_model();
    replace("unet/model.onnx", NULL);
    REFUSED("unet/model.onnx", "the denoiser is missing", "optimum-cli export onnx --model MODEL", root);
    check(sv_model_describe(root, &json, &err));
    assert_non_null(strstr(json, "\"complete\": false"));
    assert_non_null(strstr(json, "\"file\": \"unet/model.onnx\""));
    free(json);
    replace("unet/diffusion_pytorch_model.safetensors", "x");
    REFUSED("PyTorch weights", "optimum-cli export onnx --model", "-onnx");

    copy_model();
    replace("tokenizer/merges.txt", NULL);
    REFUSED("merges.txt");
    copy_model();
    replace("scheduler/scheduler_config.json", NULL);
    REFUSED("scheduler_config.json", "is missing");
    copy_model();
    replace("model_index.json", NULL);
    REFUSED("model_index.json", "no such file", "optimum-cli");
}

static void wrong_models_are_refused(void **state) {
    copy_model();
    replace("model_index.json", "{\"_class_name\": \"KandinskyPipeline\"}");
    REFUSED("KandinskyPipeline", "not available", "StableDiffusionPipeline");
    replace("model_index.json", "{\"_class_name\": ");
    REFUSED("model_index.json", "is not JSON");
    copy_model();
    replace("vae_decoder/model.onnx", "version https://git-lfs.github.com/spec/v1\n");
    REFUSED("vae_decoder/model.onnx", "not an ONNX graph", "LFS");
    copy_model();
    replace("text_encoder/config.json", "{\"vocab_size\": 700, \"max_position_embeddings\": 77}");
    REFUSED("780 entries", "700");
    copy_model();
    replace("unet/config.json", "{\"in_channels\": 9, \"block_out_channels\": [8, 12]}");
    REFUSED("9 channels", "not a text-to-image model");
    copy_model();
    replace("vae_decoder/config.json", NULL);
    REFUSED("vae_decoder/config.json", "block_out_channels");
    char vae[256];
    sv_pipeline *p;
    snprintf(vae, sizeof vae, "%s/vae", root);                     /* the original's place serves as well */
    check(sv_dir_make(vae, &err));
    replace("vae/config.json", "{\"block_out_channels\": [8, 8, 8, 8], \"latent_channels\": 4, \"scaling_factor\": 0.18215}");
    check(sv_pipeline_open(&p, root, NULL, NULL, &err));
    sv_pipeline_close(&p);
    /* A graph whose one weight lies in a file that is not there: ModelProto.graph.initializer.external_data. */
    copy_model();
    replace("text_encoder/model.onnx", "\x3a\x1f\x2a\x1d\x08\x01\x10\x01\x6a\x15\x0a\x08location\x12\x09" "model.bin\x70\x01");
    REFUSED("text_encoder/model.bin", "the weights of", "are missing");
}

/* ---- half precision ---- */

static void halves(void **state) {
    static const struct { float f; uint16_t h; } pairs[] = {{0, 0}, {1, 0x3c00}, {-2, 0xc000}, {65504, 0x7bff}, {65520, 0x7c00}, {65519, 0x7bff}, {5.9604645e-8f, 1},
        {2.9802322e-8f, 0}, {2.9802325e-8f, 1}, {6.0975552e-5f, 0x03ff}, {6.1035156e-5f, 0x0400}, {1.00048828125f, 0x3c00}, {1.00146484375f, 0x3c02}, {0.1f, 0x2e66}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) assert_int_equal(sv_half_from_float(pairs[i].f), pairs[i].h);
    for (uint32_t h = 0; h < 0x10000; h++) {
        float f = sv_half_to_float((uint16_t)h);
        if (isnan(f))
            assert_true((h & 0x7c00) == 0x7c00 && (h & 0x3ff));
        else
            assert_int_equal(sv_half_from_float(f), h);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_what_diffusers_draws),
        cmocka_unit_test(batches_keep_rows_apart),
        cmocka_unit_test(facts_and_limits),
        cmocka_unit_test(parts_come_and_go),
        cmocka_unit_test(measured_memory_is_met),
        cmocka_unit_test(families_say_what_they_do_not_take),
        cmocka_unit_test_setup_teardown(incomplete_models_say_what_to_do, make_root, remove_root),
        cmocka_unit_test_setup_teardown(wrong_models_are_refused, make_root, remove_root),
        cmocka_unit_test(halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
