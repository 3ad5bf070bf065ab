/* cmd_itm_score.c - `synthvlm itm-score`: the probability that a text describes a picture, by BLIP's matching head. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "synthvlm/score.h"

static const sv_flag flags[] = {
    {"model", 'm', "DIR", "BLIP directory: model.onnx there or in onnx/, vocab.txt, config.json, preprocessor_config.json"},
    {"images", 0, "DIR", "directory that picture names are relative to (default: the working directory)"},
    {"flavour", 0, "NAME", "how pictures are loaded: transformers, or data-juicer: turned by EXIF, alpha dropped (default transformers)"},
    {"pillow", 0, "13|11", "order of the resize passes (default 13)"},
    {"workers", 0, "N", "pairs scored at the same time (default: all cores)"},
    {"provider", 0, "NAME", "ONNX Runtime's execution provider (default cpu); NAME=LIBRARY for a plugin"},
    {"provider-options", 0, "JSON", "the provider's own options, as an object"},
    {0}};

static const char about[] =
    "Reads JSON lines with \"image\" (a file) and \"text\" on standard input and gives each back with \"itm\", the probability of a match:\n"
    "softmax(itm_logits)[1] of a BLIP image-text matching model, as Data-Juicer's image_text_matching_filter takes it. \"tokens_cut\" is added\n"
    "where a text is longer than the model reads. A line that fails gets an \"error\", the others go on, and the exit code is 1.\n"
    "\n"
    "  echo '{\"image\":\"ball.png\",\"text\":\"a small red ball\"}' | synthvlm itm-score --model blip-itm-base-coco\n";

#define MOST_WORKERS 256

typedef struct scoring {
    sv_itm *itm;
    const char *images;
    bool upright;
    sv_image image[MOST_WORKERS];    /* by thread */
} scoring;

static sv_status score_line(void *user, unsigned thread, size_t number, yyjson_mut_doc *doc, yyjson_mut_val *root, sv_error *err) {
    scoring *t = user;
    const char *name, *text;
    char path[4096];
    sv_status st = sv_line_get_str(root, "image", true, &name, NULL, err);
    if (st == SV_OK) st = sv_line_get_str(root, "text", true, &text, NULL, err);
    if (st != SV_OK) return st;
    bool joined = t->images && name[0] != '/';
    int n = snprintf(path, sizeof path, "%s%s%s", joined ? t->images : "", joined ? "/" : "", name);
    if (n < 0 || n >= (int)sizeof path) {
        snprintf(err->what, sizeof err->what, "image");
        snprintf(err->why, sizeof err->why, "the name is too long");
        return err->status = SV_E_INPUT;
    }
    double value = 0;
    size_t cut = 0;
    const sv_image *image = &t->image[thread];
    st = t->upright ? sv_image_read_upright(&t->image[thread], path, err) : sv_image_read(&t->image[thread], path, err);
    if (st == SV_OK) st = sv_itm_score(t->itm, text, &image, 1, &value, &cut, err);
    if (st != SV_OK) return st;
    sv_line_put_real(doc, root, "itm", value);
    if (cut) sv_line_put_int(doc, root, "tokens_cut", (int64_t)cut);
    return SV_OK;
}

static sv_status run(const sv_args *args, sv_error *err) {
    int64_t workers = sysconf(_SC_NPROCESSORS_ONLN), pillow = 13;
    static scoring t;            /* one command per process */
    sv_itm_options o;
    sv_itm_options_init(&o);
    if (!sv_arg(args, "model")) {
        snprintf(err->what, sizeof err->what, "--model");
        snprintf(err->why, sizeof err->why, "is missing: the BLIP model's directory");
        return err->status = SV_E_USAGE;
    }
    sv_status st = sv_arg_int(args, "workers", 1, MOST_WORKERS, &workers, err);
    if (st == SV_OK) st = sv_arg_int(args, "pillow", 11, 13, &pillow, err);
    if (st != SV_OK) return st;
    if (workers < 1) workers = 1;
    if (workers > MOST_WORKERS) workers = MOST_WORKERS;
    if (sv_arg(args, "provider")) o.engine.provider = sv_arg(args, "provider");
    o.engine.provider_options = sv_arg(args, "provider-options");
    o.pillow = (int)pillow;
    const char *flavour = sv_arg(args, "flavour");
    t.upright = o.opaque = flavour && strcmp(flavour, "data-juicer") == 0;
    if (flavour && !o.opaque && strcmp(flavour, "transformers") != 0) {
        snprintf(err->what, sizeof err->what, "--flavour");
        snprintf(err->why, sizeof err->why, "there is no \"%.60s\"", flavour);
        snprintf(err->hint, sizeof err->hint, "these are: transformers, data-juicer");
        return err->status = SV_E_USAGE;
    }
    t.images = sv_arg(args, "images");
    st = sv_itm_open(&t.itm, sv_arg(args, "model"), &o, err);
    sv_cli_catch_signals();
    if (st == SV_OK) st = sv_jobs_run(stdin, (unsigned)workers, score_line, &t, err);
    for (int64_t i = 0; i < workers; i++) sv_image_free(&t.image[i]);
    sv_itm_close(&t.itm);
    return st;
}

const sv_command sv_cmd_itm_score = {
    .name = "itm-score", .group = "Images", .usage = "--model DIR [--images DIR] < LINES",
    .summary = "score pictures against their texts with BLIP's matching head", .about = about, .flags = flags, .run = run};
