/* cmd_txt2img.c - `synthvlm txt2img`: one picture from a prompt, or many from JSON lines on one shared model. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "studio.h"

static const sv_flag flags[] = {
    {"model", 'm', "DIR", "model directory in diffusers' layout with ONNX parts"},
    {"prompt", 'p', "TEXT", "what to draw"},
    {"negative", 'n', "TEXT", "what not to draw (default none)"},
    {"seed", 0, "S", "seed of the noise (default 0)"},
    {"steps", 0, "N", "steps (default: the model family's)"},
    {"guidance", 0, "G", "classifier-free guidance, off at 1 and below (default: the model family's)"},
    {"guidance-interval", 0, "A,B", "shares of the steps between which guidance acts, half the cost outside (default 0,1)"},
    {"guidance-rescale", 0, "X", "0..1, against overexposure (default 0)"},
    {"scheduler", 0, "NAME|JSON", "a scheduler's name, or an object of config keys (default: the model's own)"},
    {"size", 0, "WxH", "size in pixels (default: the model's own)"},
    {"init-image", 'i', "FILE", "begin with this picture instead of noise; it sets the size"},
    {"strength", 0, "X", "0..1, how much of the schedule is run from it (default: the model family's)"},
    {"refiner", 0, "DIR", "SDXL refiner that takes over for the last fifth of the schedule"},
    {"vae-tile", 0, "N", "decode pictures larger than N pixels a side in overlapping tiles of N (default 0: whole)"},
    {"long-captions", 0, "HOW", "texts longer than the encoder takes: cut, or windows (default cut)"},
    {"output", 'o', "FILE|DIR", "the picture (.png, .jpg, .webp); with --jobs a directory"},
    {"jobs", 'j', "FILE|-", "draw one picture per JSON line; the flags above are the lines' defaults"},
    {"workers", 0, "N", "pictures drawn at the same time with --jobs (default: all cores)"},
    {"threads", 0, "N", "threads per picture (default 1)"},
    {"provider", 0, "NAME", "ONNX Runtime's execution provider (default cpu); NAME=LIBRARY for a plugin"},
    {"provider-options", 0, "JSON", "the provider's own options, as an object"},
    {"no-metadata", 0, NULL, "picture files do not say how they were made"},
    {"json", 0, NULL, "print the result of a single picture as JSON"},
    {0}};

static const char about[] =
    "Draws pictures that equal those of diffusers on the same weights, seed and settings, within 2 of 255 at every pixel.\n"
    "\n"
    "  synthvlm txt2img -m models/tabletop -p \"a small red ball on a wooden table\" --seed 7 -o ball.png\n"
    "\n"
    "With --jobs every line is an object with \"prompt\" and any of: negative_prompt, seed, steps, guidance, guidance_rescale, width, height,\n"
    "long_captions (\"cut\" or \"windows\"), guidance_interval (two shares of the steps between which guidance acts),\n"
    "vae_tile (pixels; larger pictures are decoded in tiles),\n"
    "scheduler (a name or an object of config keys), image (the file's name inside the output directory; default NUMBER.png), init_image,\n"
    "strength, refiner, denoising_end, denoising_start, handover (\"synthvlm\": call the refiner as the SynthVLM program did, which leaves\n"
    "noise), aesthetic_score, negative_aesthetic_score, clip_skip, max_sequence_length. Each\n"
    "line comes back on standard output, in order, with file, latents_sum (float64 sum of the final latents) and seconds. A negative_prompt\n"
    "that is absent means none; \"\" is encoded. A line that fails gets an \"error\", the others go on, and the exit code is 1.\n"
    "\n"
    "  echo '{\"prompt\":\"two blue cubes\",\"seed\":1,\"image\":\"a.png\"}' | synthvlm txt2img -m models/tabletop --jobs - -o out\n";

typedef struct jobs {
    sv_studio *studio;
    sv_request defaults;
    const char *dir;             /* where --jobs writes */
} jobs;

static sv_status fail(sv_error *err, sv_status st, const char *what, const char *why) {
    snprintf(err->what, sizeof err->what, "%s", what);
    snprintf(err->why, sizeof err->why, "%s", why);
    err->hint[0] = 0;
    return err->status = st;
}

/* ---- one line of --jobs ---- */

static sv_status bad_key(sv_error *err, const char *key, const char *allowed) {
    char why[256];
    snprintf(why, sizeof why, "must be %s", allowed);
    return fail(err, SV_E_INPUT, key, why);
}

static sv_status get_int(yyjson_mut_val *root, const char *key, int min, int max, int *out, sv_error *err) {
    yyjson_mut_val *v = yyjson_mut_obj_get(root, key);
    char allowed[64];
    if (!v || yyjson_mut_is_null(v)) return SV_OK;
    if (yyjson_mut_is_int(v) && yyjson_mut_get_num(v) >= min && yyjson_mut_get_num(v) <= max) {
        *out = (int)yyjson_mut_get_num(v);
        return SV_OK;
    }
    snprintf(allowed, sizeof allowed, "a whole number in %d..%d", min, max);
    return bad_key(err, key, allowed);
}

static sv_status get_real(yyjson_mut_val *root, const char *key, double min, double max, double *out, sv_error *err) {
    yyjson_mut_val *v = yyjson_mut_obj_get(root, key);
    char allowed[64];
    if (!v || yyjson_mut_is_null(v)) return SV_OK;
    if (yyjson_mut_is_num(v) && yyjson_mut_get_num(v) >= min && yyjson_mut_get_num(v) <= max) {
        *out = yyjson_mut_get_num(v);
        return SV_OK;
    }
    snprintf(allowed, sizeof allowed, "a number in %g..%g", min, max);
    return bad_key(err, key, allowed);
}

/* Two shares of the steps. */
static sv_status get_interval(yyjson_mut_val *root, double *from, double *until, sv_error *err) {
    yyjson_mut_val *v = yyjson_mut_obj_get(root, "guidance_interval"), *a = yyjson_mut_arr_get(v, 0), *b = yyjson_mut_arr_get(v, 1);
    if (!v || yyjson_mut_is_null(v)) return SV_OK;
    *from = yyjson_mut_get_num(a);
    *until = yyjson_mut_get_num(b);
    if (yyjson_mut_arr_size(v) == 2 && yyjson_mut_is_num(a) && yyjson_mut_is_num(b) && *from >= 0 && *from < *until && *until <= 1) return SV_OK;
    return bad_key(err, "guidance_interval", "a list of two numbers in 0..1, the smaller one first");
}

static sv_status get_seed(yyjson_mut_val *root, uint64_t *out, sv_error *err) {
    yyjson_mut_val *v = yyjson_mut_obj_get(root, "seed");
    if (!v || yyjson_mut_is_null(v)) return SV_OK;
    if (!yyjson_mut_is_uint(v)) return bad_key(err, "seed", "a whole number in 0..18446744073709551615");
    *out = yyjson_mut_get_uint(v);
    return SV_OK;
}

/* A name, or an object of config keys as JSON text (malloc, into *owned). */
static sv_status get_scheduler(yyjson_mut_val *root, const char **out, char **owned, sv_error *err) {
    yyjson_mut_val *v = yyjson_mut_obj_get(root, "scheduler");
    if (!v || yyjson_mut_is_null(v)) return SV_OK;
    if (yyjson_mut_is_str(v)) {
        *out = yyjson_mut_get_str(v);
        return SV_OK;
    }
    if (!yyjson_mut_is_obj(v)) return bad_key(err, "scheduler", "a name or an object of config keys");
    *owned = yyjson_mut_val_write(v, YYJSON_WRITE_ALLOW_INF_AND_NAN, NULL);
    if (!*owned) return fail(err, SV_E_MEMORY, "scheduler", "out of memory");
    *out = *owned;
    return SV_OK;
}

/* Names from data stay inside the output directory. */
static bool stays_inside(const char *name, size_t size) {
    if (!size || strlen(name) != size || name[0] == '/') return false;
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p < 32) return false;
    for (const char *p = name; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || !p[2])) return false;
    }
    return true;
}

/* DIR/NAME with the folders on the way made. `name` must fit; path has `size` bytes. */
static sv_status place(const jobs *t, yyjson_mut_val *root, size_t number, char *path, size_t size, sv_error *err) {
    const char *name;
    char numbered[40];
    size_t length;
    sv_status st = sv_line_get_str(root, "image", false, &name, &length, err);
    if (st != SV_OK) return st;
    if (!name) length = (size_t)snprintf(numbered, sizeof numbered, "%09zu.png", number), name = numbered;
    if (!stays_inside(name, length)) return bad_key(err, "image", "a file name inside the output directory");
    if (snprintf(path, size, "%s/%s", t->dir, name) >= (int)size) return bad_key(err, "image", "a shorter name");
    for (char *p = path + strlen(t->dir) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        bool ok = mkdir(path, 0777) == 0 || errno == EEXIST;
        if (!ok) return fail(err, SV_E_IO, path, strerror(errno));
        *p = '/';
    }
    return SV_OK;
}

/* Keys of one kind that are read alike; `at` is an offset into sv_request. */
typedef struct real_key {
    const char *name;
    double min, max;
    size_t at;
} real_key;

static sv_status read_reals(yyjson_mut_val *root, sv_request *r, sv_error *err) {
    static const real_key keys[] = {
        {"guidance", -1000, 1000, offsetof(sv_request, paint.guidance)},
        {"guidance_rescale", 0, 1, offsetof(sv_request, paint.guidance_rescale)},
        {"strength", 0, 1, offsetof(sv_request, paint.strength)},
        {"denoising_start", 0, 1, offsetof(sv_request, paint.denoising_start)},
        {"denoising_end", 0, 1, offsetof(sv_request, paint.denoising_end)},
        {"aesthetic_score", -1000, 1000, offsetof(sv_request, paint.aesthetic_score)},
        {"negative_aesthetic_score", -1000, 1000, offsetof(sv_request, paint.negative_aesthetic_score)},
    };
    sv_status st = SV_OK;
    for (size_t i = 0; st == SV_OK && i < sizeof keys / sizeof keys[0]; i++)
        st = get_real(root, keys[i].name, keys[i].min, keys[i].max, (double *)((char *)r + keys[i].at), err);
    return st;
}

static sv_status read_request(const jobs *t, yyjson_mut_val *root, sv_request *r, char **owned, sv_error *err) {
    const char *text, *lengthy = NULL;
    *r = t->defaults;
    sv_status st = sv_line_get_str(root, "prompt", !r->prompt, &text, NULL, err);
    if (st == SV_OK && text) r->prompt = text;
    if (st == SV_OK) st = sv_line_get_str(root, "negative_prompt", false, &text, NULL, err);
    if (st == SV_OK && text) r->negative = text;
    if (st == SV_OK) st = sv_line_get_str(root, "init_image", false, &r->init_image, NULL, err);
    if (st == SV_OK) st = sv_line_get_str(root, "refiner", false, &r->refiner, NULL, err);
    if (st == SV_OK) st = sv_line_get_str(root, "handover", false, &text, NULL, err);
    if (st == SV_OK && text && strcmp(text, "diffusers") && strcmp(text, "synthvlm")) st = bad_key(err, "handover", "\"diffusers\" or \"synthvlm\"");
    if (st == SV_OK) st = sv_line_get_str(root, "long_captions", false, &lengthy, NULL, err);
    if (st == SV_OK && lengthy && strcmp(lengthy, "cut") && strcmp(lengthy, "windows")) st = bad_key(err, "long_captions", "\"cut\" or \"windows\"");
    if (st == SV_OK && lengthy) r->text.windows = strcmp(lengthy, "windows") == 0;
    r->authors_call = st == SV_OK && text && strcmp(text, "synthvlm") == 0;
    if (st == SV_OK) st = get_seed(root, &r->seed, err);
    if (st == SV_OK) st = get_int(root, "steps", 1, 10000, &r->paint.steps, err);
    if (st == SV_OK) st = read_reals(root, r, err);
    if (st == SV_OK) st = get_interval(root, &r->paint.guidance_from, &r->paint.guidance_until, err);
    if (st == SV_OK) st = get_int(root, "vae_tile", 0, 8192, &r->paint.vae_tile, err);
    if (st == SV_OK) st = get_int(root, "width", 1, 16384, &r->paint.width, err);
    if (st == SV_OK) st = get_int(root, "height", 1, 16384, &r->paint.height, err);
    if (st == SV_OK) st = get_int(root, "clip_skip", 0, 1000, &r->text.clip_skip, err);
    if (st == SV_OK) st = get_int(root, "max_sequence_length", 1, 512, &r->text.max_sequence_length, err);
    if (st == SV_OK) st = get_scheduler(root, &r->paint.scheduler, owned, err);
    r->sized |= yyjson_mut_obj_get(root, "width") || yyjson_mut_obj_get(root, "height");
    return st;
}

static sv_status draw_line(void *user, unsigned thread, size_t number, yyjson_mut_doc *doc, yyjson_mut_val *root, sv_error *err) {
    jobs *t = user;
    sv_request r;
    sv_drawn drawn;
    char path[4096], *owned = NULL;
    sv_status st = read_request(t, root, &r, &owned, err);
    if (st == SV_OK) st = place(t, root, number, path, sizeof path, err);
    if (st == SV_OK) st = sv_studio_draw(t->studio, thread, &r, path, &drawn, err);
    if (st == SV_OK) {
        sv_line_put_str(doc, root, "file", path);
        sv_line_put_real(doc, root, "latents_sum", drawn.latents_sum);
        sv_line_put_real(doc, root, "seconds", drawn.seconds);
    }
    free(owned);
    return st;
}

/* ---- the command ---- */

static sv_status run_jobs(const sv_args *args, jobs *t, unsigned workers, sv_error *err) {
    FILE *in;
    t->dir = sv_arg(args, "output");
    if (mkdir(t->dir, 0777) != 0 && errno != EEXIST) return fail(err, SV_E_IO, t->dir, strerror(errno));
    sv_status st = sv_input_open(sv_arg(args, "jobs"), &in, err);
    if (st != SV_OK) return st;
    st = sv_jobs_run(in, workers, draw_line, t, err);
    sv_input_close(in);
    return st;
}

static sv_status run_one(const sv_args *args, jobs *t, sv_error *err) {
    const char *file = sv_arg(args, "output");
    sv_drawn drawn;
    sv_status st = sv_studio_draw(t->studio, 0, &t->defaults, file, &drawn, err);
    if (st != SV_OK || !sv_arg_on(args, "json")) return st;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    if (!doc) return fail(err, SV_E_MEMORY, "result", "out of memory");
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    sv_line_put_str(doc, root, "file", file);
    sv_line_put_real(doc, root, "latents_sum", drawn.latents_sum);
    sv_line_put_real(doc, root, "seconds", drawn.seconds);
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_INF_AND_NAN_AS_NULL, NULL);
    yyjson_mut_doc_free(doc);
    if (!text) return fail(err, SV_E_MEMORY, "result", "out of memory");
    puts(text);
    free(text);
    return SV_OK;
}

static sv_status read_interval(const char *text, sv_paint_options *o, sv_error *err) {
    char *end = NULL, *last = NULL;
    if (!text) return SV_OK;
    o->guidance_from = strtod(text, &end);
    o->guidance_until = end > text && *end == ',' ? strtod(end + 1, &last) : -1;
    if (last && last > end + 1 && !*last && o->guidance_from >= 0 && o->guidance_from < o->guidance_until && o->guidance_until <= 1) return SV_OK;
    return fail(err, SV_E_USAGE, "--guidance-interval", "must be two numbers in 0..1, the smaller one first, as in 0.2,0.8");
}

/* The flags over the model family's defaults. */
static sv_status read_flags(const sv_args *args, const sv_studio *s, sv_request *r, sv_error *err) {
    int64_t steps, tile = 0;
    sv_studio_defaults(s, r);
    steps = r->paint.steps;
    r->prompt = sv_arg(args, "prompt");
    r->negative = sv_arg(args, "negative");
    r->init_image = sv_arg(args, "init-image");
    r->refiner = sv_arg(args, "refiner");
    r->paint.scheduler = sv_arg(args, "scheduler");
    r->sized = sv_arg(args, "size") != NULL;
    const char *lengthy = sv_arg(args, "long-captions");
    if (lengthy && strcmp(lengthy, "cut") && strcmp(lengthy, "windows")) return fail(err, SV_E_USAGE, "--long-captions", "must be cut or windows");
    r->text.windows = lengthy && strcmp(lengthy, "windows") == 0;
    r->metadata = !sv_arg_on(args, "no-metadata");
    sv_status st = sv_arg_seed(args, "seed", &r->seed, err);
    if (st == SV_OK) st = sv_arg_int(args, "steps", 1, 10000, &steps, err);
    if (st == SV_OK) st = sv_arg_real(args, "guidance", -1000, 1000, &r->paint.guidance, err);
    if (st == SV_OK) st = read_interval(sv_arg(args, "guidance-interval"), &r->paint, err);
    if (st == SV_OK) st = sv_arg_int(args, "vae-tile", 0, 8192, &tile, err);
    r->paint.vae_tile = (int)tile;
    if (st == SV_OK) st = sv_arg_real(args, "guidance-rescale", 0, 1, &r->paint.guidance_rescale, err);
    if (st == SV_OK) st = sv_arg_real(args, "strength", 0, 1, &r->paint.strength, err);
    if (st == SV_OK) st = sv_arg_size(args, "size", &r->paint.width, &r->paint.height, err);
    r->paint.steps = (int)steps;
    return st;
}

static sv_status run(const sv_args *args, sv_error *err) {
    bool many = sv_arg(args, "jobs") != NULL;
    if (!sv_arg(args, "model")) return fail(err, SV_E_USAGE, "--model", "is missing: the model's directory");
    if (!many && !sv_arg(args, "prompt")) return fail(err, SV_E_USAGE, "--prompt", "is missing (or --jobs FILE)");
    if (!sv_arg(args, "output")) return fail(err, SV_E_USAGE, "-o", many ? "is missing: the directory for the pictures" : "is missing: the picture's file");
    int64_t workers = sysconf(_SC_NPROCESSORS_ONLN), threads = 1;
    sv_engine_options engine;
    sv_engine_options_init(&engine);
    sv_status st = sv_arg_int(args, "workers", 1, 256, &workers, err);
    if (st == SV_OK) st = sv_arg_int(args, "threads", 1, 1024, &threads, err);
    if (st != SV_OK) return st;
    if (workers < 1 || !many) workers = 1;
    if (workers > 256) workers = 256;
    engine.threads_per_image = (int)threads;
    if (sv_arg(args, "provider")) engine.provider = sv_arg(args, "provider");
    engine.provider_options = sv_arg(args, "provider-options");
    jobs t = {0};
    sv_cli_catch_signals();
    st = sv_studio_open(&t.studio, sv_arg(args, "model"), &engine, (unsigned)workers, err);
    if (st == SV_OK) st = read_flags(args, t.studio, &t.defaults, err);
    if (st == SV_OK) st = many ? run_jobs(args, &t, (unsigned)workers, err) : run_one(args, &t, err);
    sv_studio_close(&t.studio);
    return st;
}

const sv_command sv_cmd_txt2img = {
    .name = "txt2img", .group = "Images", .usage = "--model DIR (--prompt TEXT -o FILE | --jobs FILE -o DIR)",
    .summary = "draw pictures from text, equal to diffusers", .about = about, .flags = flags, .run = run};
