/* cmd_show.c - synthvlm show DIR ID */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "status_text.h"
#include "synthvlm/run.h"

static const char *text(yyjson_val *o, const char *key) {
    const char *s = yyjson_get_str(yyjson_obj_get(o, key));
    return s ? s : "";
}

static void print_value(yyjson_val *v) {
    if (yyjson_is_int(v))
        printf("%lld", (long long)yyjson_get_sint(v));
    else if (yyjson_is_num(v))
        printf(yyjson_get_num(v) == floor(yyjson_get_num(v)) ? "%.0f" : "%.6g", yyjson_get_num(v));   /* lengths are doubles too */
    else if (yyjson_is_str(v))
        fputs(yyjson_get_str(v), stdout);
    else
        putchar('-');
}

static void print_caption(yyjson_val *root) {
    yyjson_val *from = yyjson_obj_get(root, "read_from");
    printf("caption    %s (number %lld)\n", text(root, "id"), (long long)yyjson_get_sint(yyjson_obj_get(root, "number")));
    printf("text       %s\n", text(root, "caption"));
    const char *path = text(from, "path");
    printf("read from  %s, line %lld\n", strcmp(path, "-") == 0 ? "standard input" : path, (long long)yyjson_get_sint(yyjson_obj_get(from, "line")));
    yyjson_val *picture = yyjson_obj_get(root, "picture");
    if (picture) printf("picture    %s in %s\n", text(picture, "name"), text(picture, "folder"));
    if (*text(root, "source")) printf("source     %s\n", text(root, "source"));
    if (*text(root, "license")) printf("license    %s\n", text(root, "license"));
}

/* "word_rep_ratio 0.31, allowed: at most 0.1" of a rejected caption. */
static void print_rejection(yyjson_val *v) {
    yyjson_val *value = yyjson_obj_get(v, "value"), *min = yyjson_obj_get(v, "min"), *max = yyjson_obj_get(v, "max");
    printf("verdict    rejected by %s", text(v, "rule"));
    if (yyjson_is_num(value)) {
        printf(": ");
        print_value(value);
    }
    const char *sep = ", allowed: ";
    if (yyjson_is_num(min)) {
        printf("%sat least ", sep);
        print_value(min);
        sep = ", ";
    }
    if (yyjson_is_num(max)) {
        printf("%sat most ", sep);
        print_value(max);
    }
    if (*text(v, "detail")) printf("; %s", text(v, "detail"));
    if (*text(v, "duplicate_of")) printf("; repeats caption %s", text(v, "duplicate_of"));
    putchar('\n');
}

static void print_verdict(yyjson_val *root) {
    yyjson_val *v = yyjson_obj_get(root, "verdict"), *key, *value;
    if (!yyjson_is_obj(v)) {
        puts("verdict    not judged yet");
        return;
    }
    if (yyjson_get_bool(yyjson_obj_get(v, "keep")))
        printf("verdict    kept%s\n", yyjson_get_bool(yyjson_obj_get(v, "sampled")) ? ", in the sample" : ", not in the sample");
    else
        print_rejection(v);
    yyjson_val *judge = yyjson_obj_get(v, "judge");
    if (judge) {
        bool failed = yyjson_obj_get(judge, "detail") != NULL;
        printf("judge      %s: %s", text(judge, "outcome"), text(judge, failed ? "detail" : "answer"));
        if (yyjson_is_num(yyjson_obj_get(judge, "p_yes"))) printf(" (P(yes) %.4f)", yyjson_get_num(yyjson_obj_get(judge, "p_yes")));
        putchar('\n');
    }
    if (yyjson_is_str(yyjson_obj_get(v, "text"))) printf("drawn as   %s\n", text(v, "text"));
    size_t i, n;
    yyjson_obj_foreach(yyjson_obj_get(v, "stats"), i, n, key, value) {
        printf("%-10s %-26s ", i ? "" : "statistics", yyjson_get_str(key));
        print_value(value);
        putchar('\n');
    }
}

/* Why the caption got no more images, where their number follows the scores. */
static void print_stop(yyjson_val *o) {
    static const struct { const char *reason, *text; } reasons[] = {
        {"good_enough", "an image is good enough"}, {"dropped", "the model cannot draw it: nothing of it is selected"},
        {"most", "it has all the images it may have"}, {"budget", "the budget went to captions with lower scores"}};
    if (!o) return;
    const char *why = text(o, "reason");
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (strcmp(why, reasons[i].reason) == 0) why = reasons[i].text;
    printf("stopped    after round %lld with %lld images: %s", (long long)yyjson_get_sint(yyjson_obj_get(o, "round")),
           (long long)yyjson_get_sint(yyjson_obj_get(o, "images")), why);
    if (*text(o, "best")) {
        printf("; best %s, weighted ", text(o, "best"));
        print_value(yyjson_obj_get(o, "weighted"));
    }
    putchar('\n');
}

/* "picked, rank 3", or why not. */
static void print_outcome(yyjson_val *c) {
    if (!*text(c, "selection")) return;
    if (yyjson_obj_get(c, "rank")) {
        printf("%-10s picked, rank %lld%s\n", "", (long long)yyjson_get_sint(yyjson_obj_get(c, "rank")),
               yyjson_get_bool(yyjson_obj_get(c, "by_hand")) ? ", by hand" : "");
        return;
    }
    printf("%-10s not picked: %s", "", text(c, "selection"));
    if (strcmp(text(c, "selection"), "below_cutoff") == 0) {
        yyjson_val *cutoff = yyjson_obj_get(c, "cutoff");
        if (yyjson_is_num(cutoff)) printf(", which is %s %.6g", text(c, "ranked_by"), yyjson_get_num(cutoff));
        if (yyjson_obj_get(c, "place"))
            printf("; place %lld of %lld scored images", (long long)yyjson_get_sint(yyjson_obj_get(c, "place")),
                   (long long)yyjson_get_sint(yyjson_obj_get(c, "place_of")));
    }
    if (*text(c, "repeats")) printf(", it repeats %s", text(c, "repeats"));
    putchar('\n');
}

static void print_candidate(yyjson_val *c) {
    yyjson_val *key, *value;
    size_t i, n;
    printf("image      %s, ", text(c, "candidate"));
    if (yyjson_is_num(yyjson_obj_get(c, "seed"))) printf("seed %llu, ", (unsigned long long)yyjson_get_uint(yyjson_obj_get(c, "seed")));
    else printf("its own picture, not generated, ");
    printf("setup %.8s%s\n%-10s ", text(c, "setup"), yyjson_get_bool(yyjson_obj_get(c, "current")) ? "" : " (not the current one)", "");
    if (strcmp(text(c, "outcome"), "ok") != 0) {
        bool pruned = strcmp(text(c, "outcome"), "pruned") == 0;
        printf("%s%s%s%s\n", pruned ? "given up half-drawn" : "failed, ", text(c, "reason"), *text(c, "detail") ? ": " : "", text(c, "detail"));
        return;
    }
    const char *sep = "";
    yyjson_obj_foreach(yyjson_obj_get(c, "scores"), i, n, key, value) {
        printf("%s%s ", sep, yyjson_get_str(key));
        print_value(value);
        sep = ", ";
    }
    value = yyjson_obj_get(c, "weighted");
    if (yyjson_is_num(value)) {
        printf("%sweighted ", sep);
        print_value(value);
    }
    if (!*sep) printf("not scored");
    putchar('\n');
    printf("%-10s %s", "", text(c, "file"));
    if (yyjson_get_sint(yyjson_obj_get(c, "tokens_cut"))) printf("; %lld tokens of the caption did not fit", (long long)yyjson_get_sint(yyjson_obj_get(c, "tokens_cut")));
    putchar('\n');
    print_outcome(c);
}

static sv_status run(const sv_args *args, sv_error *err) {
    char *answer = NULL;
    sv_status st = sv_run_show(sv_arg_at(args, 0), sv_arg_at(args, 1), &answer, err);
    if (st != SV_OK) return st;
    yyjson_doc *doc = sv_arg_on(args, "json") ? NULL : sv_cli_read_visible(answer);
    if (doc) {
        yyjson_val *root = yyjson_doc_get_root(doc), *c;
        size_t i, n;
        print_caption(root);
        print_verdict(root);
        print_stop(yyjson_obj_get(root, "stopped"));
        yyjson_arr_foreach(yyjson_obj_get(root, "candidates"), i, n, c) print_candidate(c);
    } else
        puts(answer);
    yyjson_doc_free(doc);
    free(answer);
    return SV_OK;
}

static const sv_flag flags[] = {{"json", 0, NULL, "the story as one JSON object"}, {0}};

const sv_command sv_cmd_show = {
    .name = "show",
    .group = "Datasets",
    .usage = "DIR ID [--json]",
    .summary = "one caption's or image's whole story: where from, how judged, how scored, why picked or not",
    .about = "ID is a caption's id, its number in the run, or an image such as 000000012-2.\n\n"
             "  synthvlm show demo-run tt-000012",
    .flags = flags,
    .min_args = 2,
    .max_args = 2,
    .run = run,
};
