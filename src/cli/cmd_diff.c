/* cmd_diff.c - synthvlm diff DIR [DIR] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "cli.h"
#include "status_text.h"
#include "synthvlm/run.h"

static const char *text(yyjson_val *o, const char *key) {
    const char *s = yyjson_get_str(yyjson_obj_get(o, key));
    return s ? s : "";
}

static int64_t number(yyjson_val *o, const char *key) { return yyjson_get_sint(yyjson_obj_get(o, key)); }

static void real(yyjson_val *v) {
    if (yyjson_is_num(v))
        printf(" %10.4f", yyjson_get_num(v));
    else
        printf(" %10s", "-");
}

static void print_side(const char *name, yyjson_val *s) {
    char count[32];
    yyjson_val *cutoff = yyjson_obj_get(s, "cutoff");
    printf("%s  %s, selection %lld (%.8s): %s pairs by %s", name, text(s, "dir"), (long long)number(s, "id"), text(s, "hash"),
           sv_cli_count(number(s, "picked"), count), text(s, "by"));
    if (yyjson_is_num(cutoff)) printf(" down to %.4f", yyjson_get_num(cutoff));
    putchar('\n');
}

static void print_list(const char *name, const char *other, yyjson_val *list, int64_t all) {
    size_t i, n;
    yyjson_val *p, *key, *value;
    if (!all) return;
    printf("\nonly in %s%s\n", name, (int64_t)yyjson_arr_size(list) < all ? " (the best; --limit shows more)" : "");
    yyjson_arr_foreach(list, i, n, p) {
        size_t j, m;
        printf("  %-14s rank %-6lld", text(p, "candidate"), (long long)number(p, "rank"));
        yyjson_obj_foreach(yyjson_obj_get(p, "scores"), j, m, key, value) {
            printf(" %s", yyjson_get_str(key));
            if (yyjson_is_num(value)) printf(" %.4f", yyjson_get_num(value));
            else printf(" -");
        }
        printf("  in %s: %s%s%s%s\n", other, text(p, "there"), *text(p, "repeats") ? " " : "", text(p, "repeats"),
               yyjson_is_false(yyjson_obj_get(p, "same_picture")) ? ", another picture" : "");
    }
}

static void print_text(yyjson_val *root) {
    char a[32], b[32], both[32], captions[32];
    yyjson_val *name, *v;
    size_t i, n;
    print_side("A", yyjson_obj_get(root, "a"));
    print_side("B", yyjson_obj_get(root, "b"));
    printf("\nin both     %10s   pairs; captions in both: %s\nonly in A   %10s\nonly in B   %10s\n", sv_cli_count(number(root, "both"), both),
           sv_cli_count(number(root, "captions_in_both"), captions), sv_cli_count(number(root, "only_a"), a), sv_cli_count(number(root, "only_b"), b));
    if (yyjson_obj_size(yyjson_obj_get(root, "means"))) printf("\n%-12s %10s %10s %10s %10s\n", "mean of", "A", "B", "only in A", "only in B");
    yyjson_obj_foreach(yyjson_obj_get(root, "means"), i, n, name, v) {
        printf("%-12s", yyjson_get_str(name));
        real(yyjson_obj_get(v, "a"));
        real(yyjson_obj_get(v, "b"));
        real(yyjson_obj_get(v, "only_a"));
        real(yyjson_obj_get(v, "only_b"));
        putchar('\n');
    }
    printf("\n%-32s %10s %10s %10s\n", "source", "A", "B", "both");
    yyjson_obj_foreach(yyjson_obj_get(root, "sources"), i, n, name, v)
        printf("%-32.60s %10lld %10lld %10lld\n", yyjson_get_str(name), (long long)number(v, "a"), (long long)number(v, "b"), (long long)number(v, "both"));
    print_list("A", "B", yyjson_obj_get(root, "list_a"), number(root, "only_a"));
    print_list("B", "A", yyjson_obj_get(root, "list_b"), number(root, "only_b"));
}

static sv_status run(const sv_args *args, sv_error *err) {
    bool json = sv_arg_on(args, "json");
    int64_t limit = json ? -1 : 20;
    char *answer = NULL;
    sv_status st = sv_arg_int(args, "limit", 0, INT64_MAX, &limit, err);
    if (st == SV_OK) st = sv_run_diff(sv_arg_at(args, 0), sv_arg_count(args) > 1 ? sv_arg_at(args, 1) : NULL, limit, &answer, err);
    if (st != SV_OK) return st;
    yyjson_doc *doc = json ? yyjson_read(answer, strlen(answer), 0) : sv_cli_read_visible(answer);
    bool same = yyjson_get_bool(yyjson_obj_get(yyjson_doc_get_root(doc), "same"));
    if (json)
        puts(answer);
    else
        print_text(yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    free(answer);
    if (same) return SV_OK;
    *err = (sv_error){.status = SV_SHORT};   /* the answer has said it */
    return SV_SHORT;
}

static const sv_flag flags[] = {
    {"limit", 0, "N", "pairs listed of each side; default 20, with --json all"}, {"json", 0, NULL, "the comparison as one JSON object"}, {0}};

const sv_command sv_cmd_diff = {
    .name = "diff",
    .group = "Datasets",
    .usage = "DIR[:SELECTION] [DIR[:SELECTION]] [--limit N] [--json]",
    .summary = "compare two selections: pairs in both, in only one, and why",
    .about = "SELECTION is a selection's number in the run, the beginning of its hash, or `previous`; without it the current one is meant. With one\n"
             "DIR its previous selection is compared with the current one. A pair is in both where caption id and picture are the same; of\n"
             "the others, their scores and what the other selection made of them. Exit code 0: the same pairs, 1: they differ.\n\n"
             "  synthvlm select demo-run --set select.by=random && synthvlm diff demo-run\n"
             "  synthvlm diff demo-run:1 other-run --json",
    .flags = flags,
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
