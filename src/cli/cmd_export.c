/* cmd_export.c - synthvlm export RECIPE | DIR */
#include <stdlib.h>

#include "run_args.h"

static sv_status run(const sv_args *args, sv_error *err) {
    sv_run_args a;
    sv_status st = sv_run_args_read(args, &a, err);
    if (st == SV_OK) st = sv_stage_export(a.dir, a.recipe, &a.options, err);
    sv_cli_progress_end();
    if (st == SV_OK) printf("%s/dataset: written\n", a.dir);
    sv_run_args_free(&a);
    return st;
}

const sv_command sv_cmd_export = {
    .name = "export",
    .group = "Datasets",
    .usage = "RECIPE | DIR [-o DIR] [--set KEY=VALUE]…",
    .summary = "one stage: write the selected pairs in the recipe's formats",
    .about = "Writes DIR/dataset/FORMAT for every format of the recipe from the current selection; a format that is up to date is left alone.\n\n"
             "  synthvlm export demo-run --set 'export=[{format: webdataset, shard_size: 200MB}]'",
    .flags = (const sv_flag[]){SV_RUN_FLAG_OUT, SV_RUN_FLAG_SET, {0}},
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
