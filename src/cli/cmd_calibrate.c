/* cmd_calibrate.c - synthvlm calibrate LABELS: what each threshold would do, and a list that does what is wanted. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats_args.h"
#include "synthvlm/calibrate.h"

enum { MOST_LINES = 11 };        /* thresholds of a statistic on the screen */

static const sv_flag flags[] = {
    {"precision", 0, "P", "what share of the captions that the proposed list keeps must be good"},
    {"recall", 0, "R", "what share of the good captions it must keep (default 0.95, or any with --precision)"},
    {"text", 0, "FIELD", "field with the text (default text)"},
    {"good", 0, "FIELD", "field with the label, true or false (default good)"},
    {"all", 0, NULL, "every threshold of every statistic, not only a few"},
    {"json", 0, NULL, "the whole answer as JSON"},
    SV_STATS_FLAGS,
    {0}};

static const char about[] =
    "Reads JSON lines {\"text\": \"a red cube\", \"good\": true} (a file, .gz and .zst too, or - for standard input) and tells, for each statistic that\n"
    "caption-stats knows, what precision, recall and F1 a threshold would have. Then proposes a process list, ready to paste into a recipe, that\n"
    "keeps at least the wanted share of the good captions (--recall), or of which at least the wanted share is good (--precision), or both.\n"
    "\"unseen\" is what such a list reaches on captions that it was not made from (five-fold cross-validation): believe that number.\n"
    "Without labels: count, mean, std, min, quartiles and max of every statistic, as Data-Juicer's analyser writes them, over any number of\n"
    "captions in flat memory (values wait in temporary files: TMPDIR). Exit code 1: lines were unusable, or the wanted share was not reached.\n"
    "\n"
    "  synthvlm calibrate labels.jsonl --recall 0.98\n"
    "  zcat captions.jsonl.gz | synthvlm calibrate - --text caption --json\n";

static double number(yyjson_val *o, const char *key) {
    yyjson_val *v = yyjson_obj_get(o, key);
    return yyjson_is_num(v) ? yyjson_get_num(v) : NAN;
}

static void cell(double v) {
    char text[32];
    if (isnan(v)) snprintf(text, sizeof text, "-");
    else snprintf(text, sizeof text, fabs(v) >= 1e6 || (v != 0 && fabs(v) < 1e-4) ? "%.4g" : "%.6g", v);
    printf(" %11s", text);
}

static void distribution(yyjson_val *stats) {
    static const char *const keys[] = {"count", "mean", "std", "min", "25%", "50%", "75%", "max"};
    size_t i, n;
    yyjson_val *name, *s;
    printf("%-20s", "");
    for (size_t k = 0; k < 8; k++) printf(" %11s", keys[k]);
    putchar('\n');
    yyjson_obj_foreach(stats, i, n, name, s) {
        if (yyjson_obj_get(s, "unique")) continue;
        printf("%-20s", yyjson_get_str(name));
        for (size_t k = 0; k < 8; k++) cell(number(s, keys[k]));
        putchar('\n');
    }
    yyjson_obj_foreach(stats, i, n, name, s) {
        const char *top = yyjson_get_str(yyjson_obj_get(s, "top"));
        if (yyjson_obj_get(s, "unique"))
            printf("%-20s %11.0f of %.0f kinds; most often %s, %.0f times\n", yyjson_get_str(name), number(s, "count"), number(s, "unique"), top ? top : "-",
                   number(s, "freq"));
    }
}

static void thresholds(yyjson_val *stats, bool all) {
    size_t i, n, k, m;
    yyjson_val *name, *s, *t;
    yyjson_obj_foreach(stats, i, n, name, s) {
        yyjson_val *list = yyjson_obj_get(s, "thresholds"), *best = yyjson_obj_get(s, "best");
        const char *keep = yyjson_get_str(yyjson_obj_get(s, "keep"));
        if (!list) continue;
        size_t count = yyjson_arr_size(list);
        printf("\n%s: AUC %.3f, median of good %.6g, of bad %.6g\n", yyjson_get_str(name), number(s, "auc"), number(s, "good"), number(s, "bad"));
        printf("  %11s        kept  precision   recall       F1\n", keep);
        yyjson_arr_foreach(list, k, m, t) {
            bool is_best = number(t, "at") == number(best, "at");
            if (!all && !is_best && count > MOST_LINES && k * (MOST_LINES - 1) / (count - 1) == (k + 1) * (MOST_LINES - 1) / (count - 1) && k + 1 != count) continue;
            printf("  %11.6g %11.0f %10.4f %8.4f %8.4f%s\n", number(t, "at"), number(t, "kept"), number(t, "precision"), number(t, "recall"), number(t, "f1"),
                   is_best ? "  best F1" : "");
        }
    }
}

static void proposal(yyjson_val *root) {
    yyjson_val *p = yyjson_obj_get(root, "proposal"), *unseen = yyjson_obj_get(p, "unseen");
    if (!p) return;
    double rows = number(root, "good") + number(root, "bad");
    printf("\nProposed list (view: %s): keeps %.0f of %.0f captions, precision %.4f, recall %.4f, F1 %.4f; without it %.4f of them are good\n",
           yyjson_get_str(yyjson_obj_get(root, "view")), number(p, "kept"), rows, number(p, "precision"), number(p, "recall"), number(p, "f1"),
           number(root, "good") / rows);
    if (yyjson_is_obj(unseen))
        printf("on unseen captions, by five-fold cross-validation: precision %.4f, recall %.4f\n", number(unseen, "precision"), number(unseen, "recall"));
    else
        printf("too few captions for cross-validation (50): what it does on others is not known\n");
    printf("\n%s", yyjson_get_str(yyjson_obj_get(p, "yaml")));
}

static sv_status show(const char *json, bool all, sv_error *err) {
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *stats = yyjson_obj_get(root, "statistics");
    if (!doc) return SV_E_MEMORY;
    printf("%.0f captions", number(root, "rows"));
    if (yyjson_obj_get(root, "good")) printf(", %.0f good and %.0f bad", number(root, "good"), number(root, "bad"));
    if (number(root, "unlabelled") > 0) printf(", %.0f without a label", number(root, "unlabelled"));
    puts("\n");
    distribution(stats);
    thresholds(stats, all);
    proposal(root);
    yyjson_doc_free(doc);
    return SV_OK;
}

/* Exit code 1 if lines were left out, or if what was asked for (wants: a share was) was not reached. */
static sv_status judge(const char *json, bool wants) {
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *p = yyjson_obj_get(root, "proposal");
    double faults = number(root, "faults");
    const char *first = yyjson_get_str(yyjson_obj_get(root, "first_fault"));
    bool missed = p && !yyjson_get_bool(yyjson_obj_get(p, "reached"));
    if (faults > 0) fprintf(stderr, "synthvlm: calibrate: %.0f unusable line%s left out; the first: %s\n", faults, faults == 1 ? "" : "s", first ? first : "");
    if (missed) fprintf(stderr, "synthvlm: calibrate: no list reaches what was asked for; the best one found is shown\n");
    if (wants && !p) fprintf(stderr, "synthvlm: calibrate: no line has a label, so there is no list of the share asked for (--good names the field with the label)\n");
    yyjson_doc_free(doc);
    return faults > 0 || missed || (wants && !p) ? SV_SHORT : SV_OK;
}

static sv_status run(const sv_args *args, sv_error *err) {
    sv_calibrate_options o;
    char *json = NULL;
    sv_calibrate_options_init(&o);
    sv_status st = sv_stats_args_read(args, &o.stats, &o.threads, err);
    if (st == SV_OK) st = sv_arg_real(args, "precision", 0, 1, &o.precision, err);
    if (st == SV_OK) st = sv_arg_real(args, "recall", 0, 1, &o.recall, err);
    if (st != SV_OK) return st;
    if (sv_arg(args, "text")) o.text = sv_arg(args, "text");
    if (sv_arg(args, "good")) o.good = sv_arg(args, "good");
    o.log = sv_cli_log();
    st = sv_calibrate(sv_arg_at(args, 0), &o, &json, err);
    if (st == SV_OK && sv_arg_on(args, "json")) puts(json);
    else if (st == SV_OK) st = show(json, sv_arg_on(args, "all"), err);
    if (st == SV_OK) {
        fflush(stdout);
        st = judge(json, sv_arg(args, "precision") || sv_arg(args, "recall"));
    }
    free(json);
    return st;
}

const sv_command sv_cmd_calibrate = {
    .name = "calibrate", .group = "Text", .usage = "LABELS | - [--precision P] [--recall R] [--json]",
    .summary = "find thresholds from captions labelled good or bad; without labels, how statistics are distributed", .about = about, .flags = flags,
    .min_args = 1, .max_args = 1, .run = run};
