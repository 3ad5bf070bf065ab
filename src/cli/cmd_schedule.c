/* cmd_schedule.c - synthvlm schedule: the timesteps and sigmas of a scheduler, and the table of schedulers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "synthvlm/diffusion.h"

static const sv_flag flags[] = {
    {"config", 0, "FILE", "a scheduler_config.json, - for stdin", false},
    {"override", 0, "NAME|JSON", "a scheduler's name, or an object of keys laid over the file's", false},
    {"steps", 0, "N", "inference steps", false},
    {"mu", 0, "X", "the shift of schedulers with use_dynamic_shifting", false},
    {"list", 0, NULL, "print the table of schedulers instead", false},
    {"json", 0, NULL, "with --list: as JSON (the schedule itself always is)", false},
    {0}};

static const char about[] =
    "Prints what diffusers' set_timesteps(N) would: {\"timesteps\": [...], \"sigmas\": [...] or null, \"init_noise_sigma\": x}. The timesteps are one for\n"
    "each call of the model, which can be more than N. An override does what Class.from_config(config, **override) does; \"_class_name\" in it\n"
    "changes the class. docs/SCHEDULERS.md has every key.\n\n"
    "  synthvlm schedule --config model/scheduler/scheduler_config.json --steps 20\n"
    "  synthvlm schedule --config scheduler_config.json --override euler --steps 20\n"
    "  synthvlm schedule --config scheduler_config.json --override '{\"use_karras_sigmas\": true}' --steps 20\n";

#define MOST_BYTES ((size_t)64 << 20)

static sv_status plain_error(sv_error *err, sv_status status, const char *what, const char *why) {
    snprintf(err->what, sizeof err->what, "%s", what);
    snprintf(err->why, sizeof err->why, "%s", why);
    return err->status = status;
}

/* The whole file as text; the caller frees it. */
static sv_status read_text(const char *path, char **out, sv_error *err) {
    FILE *f;
    sv_status st = sv_input_open(path, &f, err);
    if (st != SV_OK) return st;
    size_t size = 0, room = 0, got = 1;
    char *text = NULL;
    while (got > 0) {
        if (size + 1 >= room) {
            char *more = size < MOST_BYTES ? realloc(text, room = room ? 2 * room : 16384) : NULL;
            if (!more) break;
            text = more;
        }
        got = fread(text + size, 1, room - size - 1, f);
        size += got;
    }
    if (ferror(f)) st = plain_error(err, SV_E_IO, path, "cannot read");
    else if (got > 0) st = plain_error(err, SV_E_INPUT, path, "too large to be a scheduler's configuration");
    else if (memchr(text, 0, size)) st = plain_error(err, SV_E_INPUT, path, "not JSON: it holds a NUL byte");
    sv_input_close(f);
    if (st != SV_OK) {
        free(text);
        return st;
    }
    text[size] = 0;
    *out = text;
    return SV_OK;
}

static sv_status print_json(yyjson_mut_doc *doc, bool ok, yyjson_write_flag how, sv_error *err) {
    char *text = ok ? yyjson_mut_write(doc, how, NULL) : NULL;
    if (text) puts(text);
    free(text);
    yyjson_mut_doc_free(doc);
    if (!text) return plain_error(err, SV_E_MEMORY, "schedule", "out of memory");
    if (fflush(stdout) == 0 && !ferror(stdout)) return SV_OK;
    return plain_error(err, SV_E_IO, "stdout", "cannot write");
}

static sv_status print_list(bool json, sv_error *err) {
    if (!json) {
        for (size_t i = 0; i < sv_scheduler_count(); i++) {
            const sv_scheduler_info *info = sv_scheduler_at(i);
            printf("%-32s %-11s %s\n", info->name, info->alias, info->help);
        }
        return SV_OK;
    }
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    yyjson_mut_doc_set_root(doc, list);
    bool ok = list != NULL;
    for (size_t i = 0; i < sv_scheduler_count(); i++) {
        const sv_scheduler_info *info = sv_scheduler_at(i);
        yyjson_mut_val *row = yyjson_mut_arr_add_obj(doc, list);
        ok = ok && yyjson_mut_obj_add_str(doc, row, "name", info->name) && yyjson_mut_obj_add_str(doc, row, "alias", info->alias) &&
             yyjson_mut_obj_add_str(doc, row, "help", info->help);
    }
    return print_json(doc, ok, YYJSON_WRITE_PRETTY_TWO_SPACES, err);
}

static sv_status print_schedule(const sv_sampler *p, sv_error *err) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_val *timesteps = yyjson_mut_arr(doc), *list = yyjson_mut_null(doc);
    bool ok = root && timesteps, whole = sv_sampler_timesteps_are_integers(p);
    const double *t = sv_sampler_timesteps(p);
    for (size_t i = 0; i < sv_sampler_length(p); i++)
        ok = ok && (whole ? yyjson_mut_arr_add_sint(doc, timesteps, (int64_t)t[i]) : yyjson_mut_arr_add_real(doc, timesteps, t[i]));
    size_t count;
    const float *sigmas = sv_sampler_sigmas(p, &count);
    if (sigmas) list = yyjson_mut_arr(doc);
    for (size_t i = 0; sigmas && i < count; i++) ok = ok && yyjson_mut_arr_add_real(doc, list, (double)sigmas[i]);
    ok = ok && yyjson_mut_obj_add_val(doc, root, "timesteps", timesteps) && yyjson_mut_obj_add_val(doc, root, "sigmas", list) &&
         yyjson_mut_obj_add_real(doc, root, "init_noise_sigma", (double)sv_sampler_init_noise_sigma(p));
    return print_json(doc, ok, 0, err);
}

static sv_status run(const sv_args *args, sv_error *err) {
    if (sv_arg_on(args, "list")) return print_list(sv_arg_on(args, "json"), err);
    const sv_command *c = sv_arg_command(args);
    if (!sv_arg(args, "config")) return sv_cli_usage(err, c, "--config", "is missing");
    if (!sv_arg(args, "steps")) return sv_cli_usage(err, c, "--steps", "is missing");
    int64_t steps = 0;
    double mu = NAN;
    char *config = NULL;
    sv_scheduler *s = NULL;
    sv_sampler *p = NULL;
    sv_sample_options o;
    sv_status st = sv_arg_int(args, "steps", 1, 10000, &steps, err);
    if (st == SV_OK) st = sv_arg_real(args, "mu", -100, 100, &mu, err);
    if (st == SV_OK) st = read_text(sv_arg(args, "config"), &config, err);
    if (st == SV_OK) st = sv_scheduler_open(&s, config, sv_arg(args, "override"), err);
    if (st == SV_OK) {
        sv_sample_options_init(&o, (int)steps);
        o.mu = mu;
        st = sv_sampler_open(&p, s, &o, 0, 0, err);
    }
    if (st == SV_OK) st = print_schedule(p, err);
    sv_sampler_close(&p);
    sv_scheduler_close(&s);
    free(config);
    return st;
}

const sv_command sv_cmd_schedule = {
    .name = "schedule", .group = "Models", .usage = "--config FILE [--override NAME|JSON] --steps N [--mu X] | --list [--json]",
    .summary = "print a scheduler's timesteps and sigmas", .about = about, .flags = flags, .run = run};
