/* cmd_generate.c - synthvlm generate RECIPE | DIR */
#include "run_args.h"

static void print_json(const sv_draw_report *r) {
    printf("{\"drawn\":%lld,\"failed\":%lld", (long long)r->drawn, (long long)r->failed);
    if (r->pruned) printf(",\"pruned\":%lld", (long long)r->pruned);
    printf(",\"seconds\":%.3f}\n", r->seconds);
}

static void print_text(const char *dir, const sv_draw_report *r) {
    if (r->own) {
        printf("%s: %lld pictures taken in as they are, %lld cannot be used\n", dir, (long long)r->drawn, (long long)r->failed);
        return;
    }
    printf("%s: %lld drawn, ", dir, (long long)r->drawn);
    if (r->pruned) printf("%lld given up half-drawn, ", (long long)r->pruned);
    printf("%lld failed, %.2f images/s\n", (long long)r->failed, r->seconds > 0 ? (double)r->drawn / r->seconds : 0.0);
}

static sv_status run(const sv_args *args, sv_error *err) {
    sv_run_args a;
    sv_draw_report report = {0};
    sv_status st = sv_run_args_read(args, &a, err);
    if (st == SV_OK) st = sv_stage_generate(a.dir, a.recipe, &a.options, &report, err);
    sv_cli_progress_end();
    if (st == SV_OK && sv_arg_on(args, "json"))
        print_json(&report);
    else if (st == SV_OK && report.drawn + report.failed + report.pruned == 0)
        printf("%s: nothing is missing\n", a.dir);
    else if (st == SV_OK)
        print_text(a.dir, &report);
    sv_run_args_free(&a);
    return st;
}

const sv_command sv_cmd_generate = {
    .name = "generate",
    .group = "Datasets",
    .usage = "RECIPE | DIR [-o DIR] [--set KEY=VALUE]…",
    .summary = "one stage: draw the candidates that are missing",
    .about = "Draws for every sampled caption of a curated run directory the candidates that have no finished row under the current settings. Where\n"
             "the number of candidates follows their scores, or half-drawn ones are compared, they are scored as well.\n"
             "With generate.source: captions nothing is drawn: the pictures that captions came with are taken in.\n\n"
             "  synthvlm generate demo-run --set generate.candidates=8",
    .flags = (const sv_flag[]){SV_RUN_FLAG_OUT, SV_RUN_FLAG_SET, SV_RUN_FLAG_WORKERS, SV_RUN_FLAG_STRICT, {"json", 0, NULL, "the counts as JSON"}, {0}},
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
