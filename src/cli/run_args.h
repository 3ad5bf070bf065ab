/* run_args.h - what all commands that work on a run directory share: RECIPE or DIR, -o, --set, --workers, --strict. */
#ifndef SV_CLI_RUN_ARGS_H
#define SV_CLI_RUN_ARGS_H

#include "cli.h"
#include "progress.h"
#include "synthvlm/run.h"

/* Rows for a command's flag table. */
#define SV_RUN_FLAG_OUT {"out", 'o', "DIR", "the run directory; default: runs/NAME of the recipe, or the directory that was given"}
#define SV_RUN_FLAG_SET {"set", 0, "KEY=VALUE", "lay a setting over the recipe, such as generate.steps=30 (YAML; repeats)", true}
#define SV_RUN_FLAG_WORKERS {"workers", 0, "N", "pictures drawn side by side; default: the recipe's. Never changes bytes"}
#define SV_RUN_FLAG_STRICT {"strict", 0, NULL, "end at the first bad row instead of recording it"}

typedef struct sv_run_args {
    sv_recipe *recipe;
    char *dir;
    sv_stage_options options;
} sv_run_args;

/* Reads the first positional argument and the flags above (those that the command has). Free with sv_run_args_free, also after a failure. */
sv_status sv_run_args_read(const sv_args *args, sv_run_args *out, sv_error *err);
void sv_run_args_free(sv_run_args *a);

#endif
