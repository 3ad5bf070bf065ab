/* cmd_describe.c - `synthvlm describe`: what a model directory holds, and what is missing. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "synthvlm/model.h"

static const sv_flag flags[] = {{"json", 0, NULL, "everything as one JSON object"}, {0}};

static const char about[] =
    "Reads a text-to-image directory (diffusers' layout, ONNX parts) or a CLIP or SigLIP directory, without loading it: family, parts with their\n"
    "tensors and sizes, tokenizers, scheduler, sizes of pictures, memory for the weights on a CPU. If parts are missing it says which, and\n"
    "the command that gets them, and the exit code is 1.\n"
    "\n"
    "  synthvlm describe models/tabletop\n";

/* 1234567 -> "1.2 MB" */
static const char *bytes_text(yyjson_val *v, char buf[32]) {
    double n = yyjson_get_num(v);
    const char *unit = "bytes";
    if (n >= 1e9) n /= 1e9, unit = "GB";
    else if (n >= 1e6) n /= 1e6, unit = "MB";
    else if (n >= 1e3) n /= 1e3, unit = "KB";
    snprintf(buf, 32, strcmp(unit, "bytes") ? "%.1f %s" : "%.0f %s", n, unit);
    return buf;
}

static const char *text_of(yyjson_val *o, const char *key, const char *fallback) {
    const char *s = yyjson_get_str(yyjson_obj_get(o, key));
    return s ? s : fallback;
}

static void print_list(yyjson_val *list, const char *before) {
    size_t i, n;
    yyjson_val *v;
    yyjson_arr_foreach(list, i, n, v) printf("%s%s\n", before, yyjson_get_str(v));
}

static void print_parts(yyjson_val *root) {
    size_t i, n;
    char size[32], weights[32];
    yyjson_val *p;
    yyjson_arr_foreach(yyjson_obj_get(root, "parts"), i, n, p) {
        const char *error = text_of(p, "error", NULL);
        printf("\n%s  (%s%s)\n", text_of(p, "name", ""), text_of(p, "file", ""), yyjson_get_bool(yyjson_obj_get(p, "needed")) ? "" : ", not needed for text to image");
        if (error) {
            printf("  %s\n", error);
            continue;
        }
        double count = yyjson_get_num(yyjson_obj_get(p, "weights"));
        snprintf(weights, sizeof weights, count >= 1e9 ? "%.2f G" : "%.2f M", count / (count >= 1e9 ? 1e9 : 1e6));
        printf("  %s, %s weights%s\n", bytes_text(yyjson_obj_get(p, "bytes"), size), weights,
               yyjson_get_bool(yyjson_obj_get(p, "half_precision")) ? ", stored in half precision" : "");
        print_list(yyjson_obj_get(p, "inputs"), "  in   ");
        print_list(yyjson_obj_get(p, "outputs"), "  out  ");
    }
}

static void print_tokenizers(yyjson_val *root) {
    size_t i, n;
    yyjson_val *t;
    yyjson_arr_foreach(yyjson_obj_get(root, "tokenizers"), i, n, t) {
        if (text_of(t, "error", NULL))
            printf("\n%s\n  %s\n", text_of(t, "name", ""), text_of(t, "error", ""));
        else if (yyjson_get_bool(yyjson_obj_get(t, "t5")))
            printf("\n%s\n  T5, %lld ids\n", text_of(t, "name", ""), (long long)yyjson_get_int(yyjson_obj_get(t, "vocabulary")));
        else if (text_of(t, "pieces", NULL))
            printf("\ntokenizer\n  SentencePiece (%s), %lld ids, rows of %lld: end %lld, padding %lld\n", text_of(t, "pieces", ""),
                   (long long)yyjson_get_int(yyjson_obj_get(t, "vocabulary")), (long long)yyjson_get_int(yyjson_obj_get(t, "max_length")),
                   (long long)yyjson_get_int(yyjson_obj_get(t, "end")), (long long)yyjson_get_int(yyjson_obj_get(t, "padding")));
        else
            printf("\n%s\n  %lld ids, rows of %lld: start %lld, end %lld, padding %lld\n", strcmp(text_of(t, "name", ""), ".") ? text_of(t, "name", "") : "tokenizer",
                   (long long)yyjson_get_int(yyjson_obj_get(t, "vocabulary")), (long long)yyjson_get_int(yyjson_obj_get(t, "max_length")),
                   (long long)yyjson_get_int(yyjson_obj_get(t, "start")), (long long)yyjson_get_int(yyjson_obj_get(t, "end")),
                   (long long)yyjson_get_int(yyjson_obj_get(t, "padding")));
    }
}

static void print_text(yyjson_val *root) {
    char size[32];
    yyjson_val *s = yyjson_obj_get(root, "size"), *scheduler = yyjson_obj_get(root, "scheduler"), *missing = yyjson_obj_get(root, "missing"), *m;
    bool clip = strcmp(text_of(root, "kind", ""), "clip") == 0;
    printf("%s\n", text_of(root, "directory", ""));
    if (clip)
        printf("  %s (%s graphs): scores pictures against texts\n", text_of(root, "family", "CLIP"), text_of(root, "layout", ""));
    else if (yyjson_get_bool(yyjson_obj_get(root, "available")))
        printf("  %s (%s)\n", text_of(root, "family", ""), text_of(root, "class", ""));
    else
        printf("  %s: models of this kind are not available\n", text_of(root, "class", ""));
    if (s && clip)
        printf("  pictures become %lldx%lld pixels, texts rows of %lld ids\n", (long long)yyjson_get_int(yyjson_obj_get(s, "width")),
               (long long)yyjson_get_int(yyjson_obj_get(s, "height")), (long long)yyjson_get_int(yyjson_obj_get(root, "text_length")));
    else if (s)
        printf("  pictures of %lldx%lld by default, sides in multiples of %lld; latents of %lld channels, %lld times smaller\n",
               (long long)yyjson_get_int(yyjson_obj_get(s, "width")), (long long)yyjson_get_int(yyjson_obj_get(s, "height")),
               (long long)yyjson_get_int(yyjson_obj_get(s, "multiple")), (long long)yyjson_get_int(yyjson_obj_get(s, "latent_channels")),
               (long long)yyjson_get_int(yyjson_obj_get(s, "latent_factor")));
    if (text_of(root, "safety_checker", NULL)) printf("  safety checker: %s\n", text_of(root, "safety_checker", ""));
    if (scheduler) printf("  scheduler %s\n", text_of(scheduler, "_class_name", "?"));
    printf("  %s of files, ", bytes_text(yyjson_obj_get(root, "bytes"), size));
    printf("%s of memory for the weights on a CPU\n", bytes_text(yyjson_obj_get(root, "memory_bytes"), size));
    print_parts(root);
    print_tokenizers(root);
    if (yyjson_arr_size(missing) == 0) return;
    size_t i, n;
    printf("\nmissing\n");
    yyjson_arr_foreach(missing, i, n, m) printf("  %s  (%s)\n", text_of(m, "what", ""), text_of(m, "file", ""));
    printf("  get it with: %s\n", text_of(root, "get_it_with", ""));
}

static sv_status run(const sv_args *args, sv_error *err) {
    char *json;
    sv_status st = sv_model_describe(sv_arg_at(args, 0), &json, err);
    if (st != SV_OK) return st;
    yyjson_doc *doc = yyjson_read(json, strlen(json), YYJSON_READ_ALLOW_INF_AND_NAN);
    yyjson_val *root = yyjson_doc_get_root(doc);
    if (!root) {
        free(json);
        return err->status = SV_E_MEMORY;
    }
    if (sv_arg_on(args, "json"))
        puts(json);
    else
        print_text(root);
    bool complete = yyjson_get_bool(yyjson_obj_get(root, "complete"));
    yyjson_doc_free(doc);
    free(json);
    return complete ? SV_OK : SV_SHORT;
}

const sv_command sv_cmd_describe = {
    .name = "describe", .group = "Models", .usage = "MODEL_DIR [--json]", .summary = "say what a model directory holds and what it lacks",
    .about = about, .flags = flags, .min_args = 1, .max_args = 1, .run = run};
