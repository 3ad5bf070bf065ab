/* cmd_verify.c - synthvlm verify: is a finished dataset what it says it is? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "synthvlm/dataset.h"

static void print_text(const char *path, const sv_verify_report *r) {
    double size = (double)r->bytes;
    const char *unit = size < 1e6 ? "KB" : size < 1e9 ? "MB" : "GB";
    printf("%s: %s, %lld pairs, %lld images decoded, %lld files, %.1f %s\n", path, r->format, (long long)r->pairs, (long long)r->images,
           (long long)r->files, size / (size < 1e6 ? 1e3 : size < 1e9 ? 1e6 : 1e9), unit);
    for (int f = 0; f < SV_FAULT_COUNT; f++) {
        int64_t n = r->count[f];
        if (!n) continue;
        printf("%-14s %8lld  %s\n", sv_fault_name(f), (long long)n, sv_fault_help(f));
        for (int i = 0; i < SV_FAULTS_NAMED && i < n; i++) printf("    %s: %s\n", r->named[f][i].where, r->named[f][i].why);
        if (n > SV_FAULTS_NAMED) printf("    and %lld more\n", (long long)(n - SV_FAULTS_NAMED));
    }
    if (r->faults == 0) puts("no faults");
    else printf("%lld fault%s\n", (long long)r->faults, r->faults == 1 ? "" : "s");
}

static sv_status print_json(const char *path, const sv_verify_report *r, sv_error *err) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL;
    bool good = root != NULL;
    if (good) {
        yyjson_mut_doc_set_root(doc, root);
        good = yyjson_mut_obj_add_strcpy(doc, root, "dataset", path) && yyjson_mut_obj_add_strcpy(doc, root, "format", r->format)
            && yyjson_mut_obj_add_int(doc, root, "pairs", r->pairs) && yyjson_mut_obj_add_int(doc, root, "images", r->images)
            && yyjson_mut_obj_add_int(doc, root, "files", r->files) && yyjson_mut_obj_add_int(doc, root, "bytes", r->bytes)
            && yyjson_mut_obj_add_int(doc, root, "faults", r->faults);
    }
    yyjson_mut_val *kinds = good ? yyjson_mut_obj_add_obj(doc, root, "kinds") : NULL, *named = good ? yyjson_mut_obj_add_arr(doc, root, "named")
        : NULL;
    good = kinds && named;
    for (int f = 0; good && f < SV_FAULT_COUNT; f++) {
        if (r->count[f]) good = yyjson_mut_obj_add_int(doc, kinds, sv_fault_name(f), r->count[f]);
        for (int i = 0; good && i < SV_FAULTS_NAMED && i < r->count[f]; i++) {
            yyjson_mut_val *one = yyjson_mut_arr_add_obj(doc, named);
            good = one && yyjson_mut_obj_add_str(doc, one, "kind", sv_fault_name(f))
                && yyjson_mut_obj_add_strcpy(doc, one, "where", r->named[f][i].where)
                && yyjson_mut_obj_add_strcpy(doc, one, "why", r->named[f][i].why);
        }
    }
    char *text = good ? yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL) : NULL;
    yyjson_mut_doc_free(doc);
    if (!text) {
        if (err) *err = (sv_error){.status = SV_E_MEMORY, .what = "report", .why = "out of memory"};
        return SV_E_MEMORY;
    }
    puts(text);
    free(text);
    return SV_OK;
}

static sv_status run(const sv_args *args, sv_error *err) {
    static sv_verify_report report;   /* large, and one is enough */
    int64_t threads = 0;
    sv_status st = sv_arg_int(args, "threads", 0, 1024, &threads, err);
    if (st != SV_OK) return st;
    const char *path = sv_arg_at(args, 0);
    sv_cli_catch_signals();
    const sv_verify_options o = {.threads = (unsigned)threads, .stop = &sv_cli_stop, .images = sv_arg(args, "images")};
    st = sv_verify(path, &o, &report, err);
    if (st != SV_OK && st != SV_SHORT) return st;
    if (sv_arg_on(args, "json")) {
        sv_status printed = print_json(path, &report, err);
        if (printed != SV_OK) return printed;
    } else {
        print_text(path, &report);
    }
    if (st == SV_SHORT && err) *err = (sv_error){.status = SV_SHORT};   /* the report has said it */
    return st;
}

static const sv_flag flags[] = {
    {"images", 0, "DIR", "where the images of a LLaVA file lie; default: images/ beside it, or beside it"},
    {"threads", 0, "N", "threads that hash and decode; default 0, all cores"},
    {"json", 0, NULL, "the report as one JSON object"},
    {0},
};

const sv_command sv_cmd_verify = {
    .name = "verify",
    .group = "Datasets",
    .usage = "DATASET [--images DIR] [--json] [--threads N]",
    .summary = "check a finished dataset: structure, captions, images, checksums",
    .about = "DATASET is a directory, a LLaVA JSON file, or a WebDataset shard; it need not be one of ours. Every image is decoded to its end, every\n"
             "archive read to its closing blocks, and where there is a SHA256SUMS, every file is compared with it and no other may be there.\n"
             "Prints how many pairs there are and each kind of fault with its first five places. Exit code 0: no fault; 1: faults; 2: not\n"
             "a dataset.\n\n"
             "  synthvlm verify demo-run/dataset/llava",
    .flags = flags,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
