/* cmd_select.c - synthvlm select DIR */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_args.h"
#include "status_text.h"

static void print_real(const char *before, double v) {
    if (isfinite(v))
        printf("%s%.17g", before, v);
    else
        printf("%snull", before);
}

static void print_json(const sv_select_report *r, yyjson_val *selection) {
    printf("{\"by\":\"%s\",\"candidates\":%lld,\"eligible\":%lld,\"captions\":%lld,\"picked\":%lld", r->by, (long long)r->candidates, (long long)r->eligible,
           (long long)r->captions, (long long)r->picked);
    print_real(",\"cutoff\":", r->cutoff);
    printf(",\"means\":{");
    for (size_t i = 0; i < r->mean_count; i++) {
        printf("%s\"%s\":", i ? "," : "", r->means[i].name);
        print_real("{\"eligible\":", r->means[i].before);
        print_real(",\"picked\":", r->means[i].after);
        printf("}");
    }
    char *steps = yyjson_val_write(yyjson_obj_get(selection, "steps"), 0, NULL);
    printf("},%s%s%s\"new\":%s}\n", steps ? "\"steps\":" : "", steps ? steps : "", steps ? "," : "", r->idle ? "false" : "true");
    free(steps);
}

/* Of nothing there is no mean. */
static void mean_text(char *to, size_t size, double v) {
    if (isfinite(v))
        snprintf(to, size, "%.4f", v);
    else
        snprintf(to, size, "-");
}

static void print_text(const char *dir, const sv_select_report *r, yyjson_val *selection) {
    char a[32], b[32], c[32];
    printf("%s: %s\n", dir, r->idle ? "the same selection as before" : "selected");
    printf("%-12s %12s   of %s eligible images of %s captions, by %s", "picked", sv_cli_count(r->picked, a), sv_cli_count(r->eligible, b),
           sv_cli_count(r->captions, c), r->by);
    if (isfinite(r->cutoff)) printf(" down to %.4f", r->cutoff);
    putchar('\n');
    sv_cli_steps_text(stdout, selection);
    if (r->mean_count) printf("%-12s %12s   %-11s %9s %9s\n", "", "", "mean of", "eligible", "picked");
    for (size_t i = 0; i < r->mean_count; i++) {
        char before[32], after[32];
        mean_text(before, sizeof before, r->means[i].before);
        mean_text(after, sizeof after, r->means[i].after);
        printf("%-12s %12s   %-11s %9s %9s\n", "", "", r->means[i].name, before, after);
    }
}

static sv_status run(const sv_args *args, sv_error *err) {
    sv_run_args a;
    sv_select_report report = {0};
    sv_status st = sv_run_args_read(args, &a, err);
    if (st == SV_OK) st = sv_stage_select(a.dir, a.recipe, &a.options, &report, err);
    sv_cli_progress_end();
    bool done = st == SV_OK || st == SV_SHORT, json = sv_arg_on(args, "json");
    char *answer = NULL;
    if (done && sv_run_selection(a.dir, &answer, NULL) != SV_OK) answer = NULL;   /* a message may be waiting in err */
    yyjson_doc *doc = !answer ? NULL : json ? yyjson_read(answer, strlen(answer), 0) : sv_cli_read_visible(answer);
    if (done && json)
        print_json(&report, yyjson_doc_get_root(doc));
    else if (done)
        print_text(a.dir, &report, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    free(answer);
    sv_run_args_free(&a);
    return st;
}

const sv_command sv_cmd_select = {
    .name = "select",
    .group = "Datasets",
    .usage = "RECIPE | DIR [-o DIR] [--set KEY=VALUE]…",
    .summary = "one stage: pick the pairs that go into the dataset",
    .about = "Ranks the scored images as the recipe's `select` says: best of each caption, without near-duplicates, within quotas, then the top share or a\n"
             "count; lists of images by hand come before all. Needs no model, and images only to find near-duplicates the first time;\n"
             "selections with other settings stay beside each other, the last one is what `export` writes. Why an image was not picked:\n"
             "synthvlm show DIR ID. Fewer pairs than select.count asks for: exit code 1.\n\n"
             "  synthvlm select demo-run --set select.keep=25%\n"
             "  synthvlm select demo-run --set select.by=clip --set 'select.min={clip: 0.28}'\n"
             "  synthvlm select demo-run --set select.dedup.hash=phash --set select.exclude=rejected.txt",
    .flags = (const sv_flag[]){SV_RUN_FLAG_OUT, SV_RUN_FLAG_SET, {"json", 0, NULL, "the result as JSON"}, {0}},
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
