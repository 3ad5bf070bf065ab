/* cmd_generate.c - synthvlm generate RECIPE | DIR */
#include "run_args.h"

static sv_status run(const sv_args *args, sv_error *err) {
    sv_run_args a;
    sv_draw_report report = {0};
    sv_status st = sv_run_args_read(args, &a, err);
    if (st == SV_OK) st = sv_stage_generate(a.dir, a.recipe, &a.options, &report, err);
    sv_cli_progress_end();
    if (st == SV_OK && sv_arg_on(args, "json"))
        printf("{\"drawn\":%lld,\"failed\":%lld,\"seconds\":%.3f}\n", (long long)report.drawn, (long long)report.failed, report.seconds);
    else if (st == SV_OK && report.drawn + report.failed == 0)
        printf("%s: nothing is missing\n", a.dir);
    else if (st == SV_OK)
        printf("%s: %lld drawn, %lld failed, %.2f images/s\n", a.dir, (long long)report.drawn, (long long)report.failed,
               report.seconds > 0 ? (double)report.drawn / report.seconds : 0.0);
    sv_run_args_free(&a);
    return st;
}

const sv_command sv_cmd_generate = {
    .name = "generate",
    .group = "Datasets",
    .usage = "RECIPE | DIR [-o DIR] [--set KEY=VALUE]…",
    .summary = "one stage: draw the candidates that are missing",
    .about = "Draws for every sampled caption of a curated run directory the candidates that have no finished row under the current settings.\n\n"
             "Example: synthvlm generate demo-run --set generate.candidates=8",
    .flags = (const sv_flag[]){SV_RUN_FLAG_OUT, SV_RUN_FLAG_SET, SV_RUN_FLAG_WORKERS, SV_RUN_FLAG_STRICT, {"json", 0, NULL, "the counts as JSON"}, {0}},
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
