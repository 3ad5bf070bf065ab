/* cmd_curate.c - synthvlm curate RECIPE | DIR */
#include <stdlib.h>
#include <string.h>

#include "run_args.h"
#include "status_text.h"

static sv_status print_text(const char *dir, const sv_curate_report *r, sv_error *err) {
    char *answer = NULL;
    sv_status st = sv_run_status(dir, &answer, err);
    if (st != SV_OK) return st;
    yyjson_doc *doc = yyjson_read(answer, strlen(answer), YYJSON_READ_ALLOW_INF_AND_NAN);
    printf("%s: %s\n", dir, r->idle ? "nothing was left to do" : "captions read and judged");
    if (doc) sv_cli_status_text(stdout, yyjson_doc_get_root(doc), SV_SHOW_CAPTIONS);
    yyjson_doc_free(doc);
    free(answer);
    return SV_OK;
}

static void print_json(const sv_curate_report *r) {
    printf("{\"captions\":%lld,\"added\":%lld,\"repeated\":%lld,\"faults\":%lld,\"judged\":%lld,\"kept\":%lld,\"sampled\":%lld}\n", (long long)r->captions,
           (long long)r->added, (long long)r->repeated, (long long)r->faults, (long long)r->judged, (long long)r->kept, (long long)r->sampled);
}

static sv_status run(const sv_args *args, sv_error *err) {
    sv_run_args a;
    sv_curate_report report = {0};
    sv_status st = sv_run_args_read(args, &a, err);
    if (st == SV_OK) st = sv_stage_curate(a.dir, a.recipe, &a.options, &report, err);
    sv_cli_progress_end();
    if (st == SV_OK && sv_arg_on(args, "json"))
        print_json(&report);
    else if (st == SV_OK)
        st = print_text(a.dir, &report, err);
    sv_run_args_free(&a);
    return st;
}

const sv_command sv_cmd_curate = {
    .name = "curate",
    .group = "Datasets",
    .usage = "RECIPE | DIR [-o DIR] [--set KEY=VALUE]…",
    .summary = "one stage: read the captions in, judge them, draw the sample",
    .about = "Reads every source of the recipe into the run directory (a source that is in already is skipped), passes the captions through\n"
             "captions.process, asks captions.judge (if there is one) about those that are kept, thins out what too many of them speak of\n"
             "(captions.balance, if there is one), and draws captions.sample of them.\n"
             "Bad rows are recorded with line and reason. The recipe needs no generate.model for this.\n\n"
             "  synthvlm curate recipes/demo.yaml -o demo-run --set captions.sample=50",
    .flags = (const sv_flag[]){SV_RUN_FLAG_OUT, SV_RUN_FLAG_SET, SV_RUN_FLAG_STRICT, {"json", 0, NULL, "the counts as JSON"}, {0}},
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
