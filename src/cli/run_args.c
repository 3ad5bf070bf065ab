#include "run_args.h"

#include <stdlib.h>

#include "args.h"

sv_status sv_run_args_read(const sv_args *args, sv_run_args *out, sv_error *err) {
    *out = (sv_run_args){0};
    int64_t workers = 0;
    const char *const *sets;
    size_t n = sv_arg_all(args, "set", &sets);
    sv_status st = sv_arg_int(args, "workers", 1, 1024, &workers, err);
    if (st != SV_OK) return st;
    const char *dir = sv_arg(args, "out");
    if (dir && !*dir) return sv_cli_usage(err, sv_arg_command(args), "--out", "must name a directory");
    sv_cli_stage_options(&out->options);
    out->options.workers = (int)workers;
    out->options.strict = sv_arg_on(args, "strict");
    return sv_run_find(sv_arg_at(args, 0), dir, sets, n, &out->recipe, &out->dir, err);
}

void sv_run_args_free(sv_run_args *a) {
    sv_recipe_close(&a->recipe);
    free(a->dir);
    a->dir = NULL;
}
