/* cmd_clip_score.c - `synthvlm clip-score`: how well pictures fit their texts, by a CLIP model. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "synthvlm/score.h"

static const sv_flag flags[] = {
    {"model", 'm', "DIR", "CLIP directory: text_model.onnx and vision_model.onnx, or model.onnx, there or in onnx/"},
    {"flavour", 0, "NAME", "synthvlm, hessel, data-juicer, torchmetrics or raw (default synthvlm)"},
    {"prefix", 0, "TEXT", "put before every text, with one blank (default: the flavour's)"},
    {"images", 0, "DIR", "directory that picture names are relative to (default: the working directory)"},
    {"window", 0, NULL, "read texts that are too long in windows and take the mean, instead of cutting them"},
    {"pillow", 0, "13|11", "order of the resize passes (default 13)"},
    {"workers", 0, "N", "pairs scored at the same time (default: all cores)"},
    {"provider", 0, "NAME", "ONNX Runtime's execution provider (default cpu); NAME=LIBRARY for a plugin"},
    {"provider-options", 0, "JSON", "the provider's own options, as an object"},
    {0}};

static const char about[] =
    "Reads JSON lines with \"image\" (a file) and \"text\" on standard input and gives each back with \"cosine\" (raw) and \"clip_score\" (the\n"
    "flavour's: max(cosine, 0) by default). SigLIP models add \"probability\", their sigmoid, where scale and bias are known. A text that does not fit\n"
    "is cut, and \"tokens_cut\" says by how much. A line that fails gets an \"error\", the others go on, and the exit code is 1.\n"
    "\n"
    "  echo '{\"image\":\"ball.png\",\"text\":\"a small red ball\"}' | synthvlm clip-score --model models/tabletop/clip\n"
    "\n"
    "Flavours:\n"
    "  synthvlm      \"A photo depicts \" before the text, OpenAI's clean-up and preprocessing, max(cos, 0)\n"
    "  hessel        the same times 2.5\n"
    "  data-juicer   no prefix, transformers' clean-up and preprocessing, cos; pictures turned by their EXIF orientation, alpha dropped\n"
    "  torchmetrics  no prefix, transformers, max(100 cos, 0); a text that is too long loses its end token\n"
    "  raw           no prefix, OpenAI's clean-up and preprocessing, cos\n";

/* What one thread keeps from line to line. */
typedef struct seat {
    sv_image image;
    float *of_text, *of_image;
} seat;

typedef struct scoring {
    sv_clip *clip;
    const char *images;
    bool upright;                /* pictures are turned by their EXIF orientation first, as Data-Juicer does */
    seat *seats;
} scoring;

static sv_status score_line(void *user, unsigned thread, size_t number, yyjson_mut_doc *doc, yyjson_mut_val *root, sv_error *err) {
    scoring *t = user;
    seat *s = &t->seats[thread];
    const char *name, *text;
    char path[4096];
    size_t size = 0;
    sv_status st = sv_line_get_str(root, "image", true, &name, NULL, err);
    if (st == SV_OK) st = sv_line_get_str(root, "text", true, &text, &size, err);
    if (st != SV_OK) return st;
    if (strlen(text) != size) {
        snprintf(err->what, sizeof err->what, "text");
        snprintf(err->why, sizeof err->why, "holds a NUL character");
        return err->status = SV_E_INPUT;
    }
    bool joined = t->images && name[0] != '/';
    int n = snprintf(path, sizeof path, "%s%s%s", joined ? t->images : "", joined ? "/" : "", name);
    if (n < 0 || n >= (int)sizeof path) {
        snprintf(err->what, sizeof err->what, "image");
        snprintf(err->why, sizeof err->why, "the name is too long");
        return err->status = SV_E_INPUT;
    }
    st = t->upright ? sv_image_read_upright(&s->image, path, err) : sv_image_read(&s->image, path, err);
    const sv_image *image = &s->image;
    if (st == SV_OK) st = sv_clip_images(t->clip, &image, 1, s->of_image, err);
    size_t cut = 0;
    if (st == SV_OK) st = sv_clip_text(t->clip, text, s->of_text, &cut, err);
    if (st != SV_OK) return st;
    double cosine = sv_clip_cosine(t->clip, s->of_text, s->of_image);
    sv_line_put_real(doc, root, "cosine", cosine);
    sv_line_put_real(doc, root, "clip_score", sv_clip_score(t->clip, cosine));
    double probability = sv_clip_probability(t->clip, cosine);
    if (!isnan(probability)) sv_line_put_real(doc, root, "probability", probability);
    if (cut) sv_line_put_int(doc, root, "tokens_cut", (int64_t)cut);
    return SV_OK;
}

static sv_status no_memory(sv_error *err) {
    snprintf(err->why, sizeof err->why, "out of memory");
    return err->status = SV_E_MEMORY;
}

static sv_status make_seats(scoring *t, unsigned n, sv_error *err) {
    t->seats = calloc(n, sizeof *t->seats);
    if (!t->seats) return no_memory(err);
    for (unsigned i = 0; i < n; i++) {
        t->seats[i].of_text = calloc(sv_clip_dim(t->clip), sizeof(float));
        t->seats[i].of_image = calloc(sv_clip_dim(t->clip), sizeof(float));
        if (!t->seats[i].of_text || !t->seats[i].of_image) return no_memory(err);
    }
    return SV_OK;
}

static void free_seats(scoring *t, unsigned n) {
    for (unsigned i = 0; t->seats && i < n; i++) {
        sv_image_free(&t->seats[i].image);
        free(t->seats[i].of_text);
        free(t->seats[i].of_image);
    }
    free(t->seats);
}

static sv_status run(const sv_args *args, sv_error *err) {
    int64_t workers = sysconf(_SC_NPROCESSORS_ONLN), pillow = 13;
    sv_clip_options o;
    sv_clip_options_init(&o);
    if (!sv_arg(args, "model")) {
        snprintf(err->what, sizeof err->what, "--model");
        snprintf(err->why, sizeof err->why, "is missing: the CLIP model's directory");
        return err->status = SV_E_USAGE;
    }
    sv_status st = sv_arg_int(args, "workers", 1, 256, &workers, err);
    if (st == SV_OK) st = sv_arg_int(args, "pillow", 11, 13, &pillow, err);
    if (st != SV_OK) return st;
    if (workers < 1) workers = 1;
    if (workers > 256) workers = 256;
    if (sv_arg(args, "flavour")) o.flavour = sv_arg(args, "flavour");
    if (sv_arg(args, "provider")) o.engine.provider = sv_arg(args, "provider");
    o.engine.provider_options = sv_arg(args, "provider-options");
    o.prefix = sv_arg(args, "prefix");
    o.pillow = (int)pillow;
    o.windows = sv_arg_on(args, "window");
    o.batch = 1;                 /* one line, one call: a line's numbers do not depend on its neighbours */
    scoring t = {.images = sv_arg(args, "images"), .upright = o.flavour && strcmp(o.flavour, "data-juicer") == 0};
    st = sv_clip_open(&t.clip, sv_arg(args, "model"), &o, err);
    if (st == SV_OK) st = make_seats(&t, (unsigned)workers, err);
    sv_cli_catch_signals();
    if (st == SV_OK) st = sv_jobs_run(stdin, (unsigned)workers, score_line, &t, err);
    free_seats(&t, (unsigned)workers);
    sv_clip_close(&t.clip);
    return st;
}

const sv_command sv_cmd_clip_score = {
    .name = "clip-score", .group = "Images", .usage = "--model DIR [--flavour NAME] [--prefix TEXT] < LINES",
    .summary = "score pictures against their texts with CLIP", .about = about, .flags = flags, .run = run};
