/* cmd_score.c - synthvlm score RECIPE | DIR */
#include "run_args.h"

static sv_status run(const sv_args *args, sv_error *err) {
    sv_run_args a;
    int64_t scored = 0;
    sv_status st = sv_run_args_read(args, &a, err);
    if (st == SV_OK) st = sv_stage_score(a.dir, a.recipe, &a.options, &scored, err);
    sv_cli_progress_end();
    if (st == SV_OK || st == SV_SHORT) {
        if (sv_arg_on(args, "json"))
            printf("{\"scored\":%lld}\n", (long long)scored);
        else
            printf("%s: %lld candidates scored\n", a.dir, (long long)scored);
    }
    sv_run_args_free(&a);
    return st;
}

const sv_command sv_cmd_score = {
    .name = "score",
    .group = "Datasets",
    .usage = "RECIPE | DIR [-o DIR] [--set KEY=VALUE]…",
    .summary = "one stage: score the candidates that lack a score",
    .about = "Scores stored pictures under the current score settings. `run` does this while it draws; this stage is for other settings later.\n\n"
             "  synthvlm score demo-run --set score.clip.prefix='a picture of'",
    .flags = (const sv_flag[]){SV_RUN_FLAG_OUT, SV_RUN_FLAG_SET, SV_RUN_FLAG_STRICT, {"json", 0, NULL, "the count as JSON"}, {0}},
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
