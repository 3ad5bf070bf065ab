/* cmd_status.c - synthvlm status DIR */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "status_text.h"
#include "synthvlm/run.h"

/* Prints once. *active: somebody works in the directory. */
static sv_status once(const char *dir, bool json, bool clear, bool *active, sv_error *err) {
    char *answer = NULL;
    sv_status st = sv_run_status(dir, &answer, err);
    if (st != SV_OK) return st;
    yyjson_doc *doc = sv_cli_read_visible(answer);
    yyjson_val *root = yyjson_doc_get_root(doc);
    *active = yyjson_is_obj(yyjson_obj_get(root, "active"));
    if (clear) fputs("\033[H\033[J", stdout);
    if (json)
        puts(answer);
    else if (root)
        sv_cli_status_text(stdout, root, SV_SHOW_ALL);
    fflush(stdout);
    yyjson_doc_free(doc);
    free(answer);
    return SV_OK;
}

static sv_status run(const sv_args *args, sv_error *err) {
    const char *dir = sv_arg_at(args, 0);
    bool json = sv_arg_on(args, "json"), watch = sv_arg_on(args, "watch"), clear = watch && !json && isatty(STDOUT_FILENO), active;
    if (watch) sv_cli_catch_signals();
    sv_status st = once(dir, json, clear, &active, err);
    while (st == SV_OK && watch && active && !sv_cli_stop) {
        for (int i = 0; i < 20 && !sv_cli_stop; i++) nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
        if (!sv_cli_stop && !clear && !json) putchar('\n');
        if (!sv_cli_stop) st = once(dir, json, clear, &active, err);
    }
    return st;
}

static const sv_flag flags[] = {
    {"json", 0, NULL, "one JSON object (with --watch: one a line)"},
    {"watch", 0, NULL, "again every 2 seconds while somebody is at work there"},
    {0},
};

const sv_command sv_cmd_status = {
    .name = "status",
    .group = "Datasets",
    .usage = "DIR [--watch] [--json]",
    .summary = "what is done in a run directory: counts at each step with reasons, speed, time left",
    .about = "Reads while a run is at work and never disturbs it.\n\nExample: synthvlm status demo-run --watch",
    .flags = flags,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
