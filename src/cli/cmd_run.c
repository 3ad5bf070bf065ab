/* cmd_run.c - synthvlm run RECIPE | DIR */
#include <stdlib.h>

#include "run_args.h"

static sv_status run(const sv_args *args, sv_error *err) {
    sv_run_args a;
    char *text = NULL;
    sv_status st = sv_run_args_read(args, &a, err), shown;
    if (st == SV_OK) st = sv_run(a.dir, a.recipe, &a.options, err);
    sv_cli_progress_end();
    if (st == SV_OK || st == SV_SHORT) {
        sv_error ignored;        /* the run's own outcome is what counts */
        shown = sv_run_summary(a.dir, sv_arg_on(args, "json"), &text, st == SV_OK ? err : &ignored);
        if (shown == SV_OK)
            fputs(text, stdout);
        else if (st == SV_OK)
            st = shown;
        free(text);
    }
    sv_run_args_free(&a);
    return st;
}

const sv_command sv_cmd_run = {
    .name = "run",
    .group = "Datasets",
    .usage = "RECIPE | DIR [-o DIR] [--set KEY=VALUE]…",
    .summary = "captions in, verified training set out: every stage, going on where it stopped",
    .about = "Reads the captions in, judges them, draws candidates for the kept ones, scores and selects, exports, verifies, and prints a summary.\n"
             "Whatever is finished under the recipe's settings is never done again: after a crash, a kill or Ctrl-C the same call goes on.\n"
             "A changed setting makes new rows beside the old ones. See `synthvlm help recipe` for what a recipe can say.\n\n"
             "  synthvlm run recipes/demo.yaml -o demo-run\n"
             "  synthvlm run demo-run --set select.keep=25%",
    .flags = (const sv_flag[]){SV_RUN_FLAG_OUT, SV_RUN_FLAG_SET, SV_RUN_FLAG_WORKERS, SV_RUN_FLAG_STRICT, {"json", 0, NULL, "the summary as JSON"}, {0}},
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
