/* cmd_embeddings.c - `synthvlm embeddings`: near-duplicates, outliers and coverage from the kept embeddings of a run. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "synthvlm/embeddings.h"

static const sv_flag flags[] = {
    {"all", 0, NULL, "every good picture, not only the picks of the current selection"},
    {"near", 0, "COSINE", "from which two pictures are near-duplicates (default 0.97)"},
    {"neighbours", 0, "K", "nearest others that tell how alone a picture is (default 10)"},
    {"list", 0, "N", "how many pairs and outliers are listed (default 20)"},
    {"most", 0, "N", "more pictures than this are thinned out evenly (default 10000)"},
    {"npy", 0, "FILE", "write the embeddings as a numpy array (float16), and FILE.jsonl with the candidate of each row"},
    {"json", 0, NULL, "the findings as one JSON object"},
    {0}};

static const char about[] =
    "Reads what `score: {clip: {keep: true}}` kept beside the ledger; opens no model and no picture. Says which pictures are nearly the same to CLIP,\n"
    "which stand apart from all others, and how well the picks stand for everything that was drawn (docs/EMBEDDINGS.md).\n"
    "\n"
    "  synthvlm embeddings demo-run --near 0.95\n"
    "  synthvlm embeddings demo-run --all --npy all.npy\n";

static const char *text_of(yyjson_val *o, const char *key) {
    const char *s = yyjson_get_str(yyjson_obj_get(o, key));
    return s ? s : "";
}

static long long whole(yyjson_val *o, const char *key) { return (long long)yyjson_get_sint(yyjson_obj_get(o, key)); }
static double real(yyjson_val *o, const char *key) { return yyjson_get_num(yyjson_obj_get(o, key)); }

static void print_text(yyjson_val *root) {
    yyjson_val *near = yyjson_obj_get(root, "near"), *coverage = yyjson_obj_get(root, "coverage"), *outliers = yyjson_obj_get(root, "outliers"), *v;
    size_t i, n;
    const char *what = strcmp(text_of(root, "of"), "all") ? "pick" : "picture";
    printf("%lld %s%s, %lld looked at", whole(root, "pictures"), what, whole(root, "pictures") == 1 ? "" : "s", whole(root, "looked_at"));
    if (whole(root, "without_embedding")) printf(", %lld without an embedding (synthvlm score makes what is missing)", whole(root, "without_embedding"));
    printf("\n\nnear-duplicates (cosine %.4g or more): %lld pair%s; %lld pictures repeat another\n", real(near, "cosine"), whole(near, "pairs"),
           whole(near, "pairs") == 1 ? "" : "s", whole(near, "repeats"));
    yyjson_arr_foreach(yyjson_obj_get(near, "list"), i, n, v) {
        printf("  %s  %s  %.4f\n", text_of(v, "a"), text_of(v, "b"), real(v, "cosine"));
    }
    printf("\nmost alone (mean cosine with the nearest others)\n");
    yyjson_arr_foreach(outliers, i, n, v) {
        printf("  %s  %.4f\n", text_of(v, "candidate"), real(v, "similarity"));
    }
    if (coverage)
        printf("\ncoverage: the nearest pick of a picture has cosine %.4f in the mean, %.4f at the 5th percentile;\n"
               "          %.1f %% of %lld pictures have one that is near\n",
               real(coverage, "mean"), real(coverage, "p05"), 100 * real(coverage, "near"), whole(coverage, "pictures"));
}

static sv_status run(const sv_args *args, sv_error *err) {
    sv_embeddings_options o;
    sv_embeddings_options_init(&o);
    int64_t neighbours = o.neighbours, list = o.list;
    sv_status st = sv_arg_real(args, "near", -1, 1, &o.near, err);
    if (st == SV_OK) st = sv_arg_int(args, "neighbours", 1, 256, &neighbours, err);
    if (st == SV_OK) st = sv_arg_int(args, "list", 0, 1000000, &list, err);
    if (st == SV_OK) st = sv_arg_int(args, "most", 2, 1000000, &o.most, err);
    if (st != SV_OK) return st;
    o.neighbours = (int)neighbours;
    o.list = (int)list;
    o.all = sv_arg_on(args, "all");
    o.npy = sv_arg(args, "npy");
    char *json;
    st = sv_run_embeddings(sv_arg_at(args, 0), &o, &json, err);
    if (st != SV_OK) return st;
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    if (sv_arg_on(args, "json")) puts(json);
    else if (doc) print_text(yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    free(json);
    return SV_OK;
}

const sv_command sv_cmd_embeddings = {
    .name = "embeddings", .group = "Datasets", .usage = "DIR [--all] [--near COSINE] [--npy FILE] [--json]",
    .summary = "near-duplicates, outliers and coverage by CLIP's embeddings", .about = about, .flags = flags, .min_args = 1, .max_args = 1, .run = run};
