/* cmd_describe.c - `synthvlm describe`: what a model directory holds, and what is missing. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "synthvlm/model.h"

static const sv_flag flags[] = {{"json", 0, NULL, "everything as one JSON object"},
                                {"memory", 0, NULL, "measure peak memory: load the model and draw with few steps"},
                                {"size", 0, "WxH", "of the picture that is measured (default: the model's own)"},
                                {"batch", 0, "N", "pictures per call (default 1)"},
                                {"workers", 0, "N", "calls at the same time (default 1)"},
                                {"threads", 0, "N", "threads per call (default 1)"},
                                {0}};

static const char about[] =
    "Reads a text-to-image directory (diffusers' layout, ONNX parts) or one of CLIP, SigLIP or BLIP, without loading it: family, parts with their\n"
    "tensors and sizes, tokenizers, scheduler, sizes of pictures, memory for the weights on a CPU. If parts are missing it says which, and\n"
    "the command that gets them, and the exit code is 1.\n"
    "\n"
    "  synthvlm describe models/tabletop\n"
    "\n"
    "--memory measures what drawing takes in main memory, per phase and at the peak, for a size, a batch and a number of workers.\n"
    "\n"
    "  synthvlm describe models/tabletop --memory --size 256x256 --batch 4\n";

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
        else if (strcmp(text_of(t, "pieces", ""), "wordpiece") == 0)
            printf("\ntokenizer\n  WordPiece, %lld ids, rows of %lld\n", (long long)yyjson_get_int(yyjson_obj_get(t, "vocabulary")),
                   (long long)yyjson_get_int(yyjson_obj_get(t, "max_length")));
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

static void print_unavailable(yyjson_val *root) {
    yyjson_val *v;
    size_t i, n;
    printf("  %s: models of this kind are not available\n  these are: ", text_of(root, "class", ""));
    yyjson_arr_foreach(yyjson_obj_get(root, "classes"), i, n, v) printf("%s%s", i ? ", " : "", yyjson_get_str(v));
    putchar('\n');
}

static void print_text(yyjson_val *root) {
    char size[32];
    yyjson_val *s = yyjson_obj_get(root, "size"), *scheduler = yyjson_obj_get(root, "scheduler"), *missing = yyjson_obj_get(root, "missing"), *m;
    bool matching = strcmp(text_of(root, "kind", ""), "matching") == 0, clip = matching || strcmp(text_of(root, "kind", ""), "clip") == 0;
    printf("%s\n", text_of(root, "directory", ""));
    if (clip)
        printf("  %s (%s graphs): scores pictures against texts\n", text_of(root, "family", "CLIP"), text_of(root, "layout", ""));
    else if (yyjson_get_bool(yyjson_obj_get(root, "available")))
        printf("  %s (%s)\n", text_of(root, "family", ""), text_of(root, "class", ""));
    else
        print_unavailable(root);
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
    bool draws = !clip && yyjson_get_bool(yyjson_obj_get(root, "available")) && yyjson_arr_size(missing) == 0;
    const char *more = draws && !yyjson_obj_get(root, "memory") ? "; the peak of a run: --memory" : "";
    printf("%s of memory for the weights on a CPU%s\n", bytes_text(yyjson_obj_get(root, "memory_bytes"), size), more);
    print_parts(root);
    print_tokenizers(root);
    if (yyjson_arr_size(missing) == 0) return;
    size_t i, n;
    printf("\nmissing\n");
    yyjson_arr_foreach(missing, i, n, m) {
        const char *why = text_of(m, "why", NULL);
        printf("  %s  (%s)%s%s\n", text_of(m, "what", ""), text_of(m, "file", ""), why ? ": " : "", why ? why : "");
    }
    const char *command = text_of(root, "get_it_with", "");
    printf("  get it with: %s\n", command);
    if (strstr(command, " MODEL ")) puts("  MODEL: the original's name on the hub, or its directory");
    puts("  once before: pip install \"optimum[onnxruntime]\" diffusers");
}

/* ---- memory ---- */

static sv_status measure(const sv_args *args, sv_model_memory *m, sv_error *err) {
    sv_measure_options o;
    int64_t batch = 1, workers = 1, threads = 1;
    sv_measure_options_init(&o);
    sv_status st = sv_arg_int(args, "batch", 1, 4096, &batch, err);
    if (st == SV_OK) st = sv_arg_int(args, "workers", 1, 256, &workers, err);
    if (st == SV_OK) st = sv_arg_int(args, "threads", 1, 1024, &threads, err);
    if (st == SV_OK) st = sv_arg_size(args, "size", &o.width, &o.height, err);
    o.batch = (int)batch;
    o.workers = (int)workers;
    o.engine.threads_per_image = (int)threads;
    return st == SV_OK ? sv_model_measure(sv_arg_at(args, 0), &o, m, err) : st;
}

static void add_phase(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *name, const sv_phase_memory *p) {
    yyjson_mut_val *v = yyjson_mut_obj_add_obj(doc, o, name);
    yyjson_mut_obj_add_uint(doc, v, "weights", p->weights);
    yyjson_mut_obj_add_uint(doc, v, "loading", p->loading);
    yyjson_mut_obj_add_uint(doc, v, "working", p->working);
}

/* Adds "memory" to the description; what comes back replaces it. */
static yyjson_doc *with_memory(yyjson_doc *doc, const sv_model_memory *m) {
    yyjson_mut_doc *copy = yyjson_doc_mut_copy(doc, NULL);
    yyjson_mut_val *o = copy ? yyjson_mut_obj_add_obj(copy, yyjson_mut_doc_get_root(copy), "memory") : NULL;
    if (o) {
        yyjson_mut_obj_add_int(copy, o, "width", m->width);
        yyjson_mut_obj_add_int(copy, o, "height", m->height);
        yyjson_mut_obj_add_int(copy, o, "batch", m->batch);
        yyjson_mut_obj_add_int(copy, o, "workers", m->workers);
        yyjson_mut_obj_add_uint(copy, o, "program", m->program);
        add_phase(copy, o, "text", &m->text);
        add_phase(copy, o, "denoise", &m->denoise);
        add_phase(copy, o, "decode", &m->decode);
        yyjson_mut_obj_add_uint(copy, o, "together", m->together);
        yyjson_mut_obj_add_uint(copy, o, "by_phase", m->by_phase);
    }
    yyjson_doc *out = o ? yyjson_mut_doc_imut_copy(copy, NULL) : NULL;
    yyjson_mut_doc_free(copy);
    yyjson_doc_free(doc);
    return out;
}

static void print_memory(yyjson_val *m) {
    static const char *const phases[] = {"text", "denoise", "decode"};
    char a[32], b[32], c[32];
    if (!m) return;
    printf("\nmemory  (%lldx%lld, batch %lld, workers %lld)\n",
           (long long)yyjson_get_int(yyjson_obj_get(m, "width")), (long long)yyjson_get_int(yyjson_obj_get(m, "height")),
           (long long)yyjson_get_int(yyjson_obj_get(m, "batch")), (long long)yyjson_get_int(yyjson_obj_get(m, "workers")));
    printf("  the program itself %s\n", bytes_text(yyjson_obj_get(m, "program"), a));
    for (int i = 0; i < 3; i++) {
        yyjson_val *p = yyjson_obj_get(m, phases[i]);
        printf("  %-8s weights %s, while they load %s, work %s\n", phases[i], bytes_text(yyjson_obj_get(p, "weights"), a), bytes_text(yyjson_obj_get(p, "loading"), b),
               bytes_text(yyjson_obj_get(p, "working"), c));
    }
    printf("  peak %s with all parts in memory, %s one phase after the other\n",
           bytes_text(yyjson_obj_get(m, "together"), a), bytes_text(yyjson_obj_get(m, "by_phase"), b));
}

static sv_status run(const sv_args *args, sv_error *err) {
    char *json;
    sv_model_memory memory;
    bool measured = sv_arg_on(args, "memory");
    sv_status st = sv_model_describe(sv_arg_at(args, 0), &json, err);
    if (st != SV_OK) return st;
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    bool complete = yyjson_get_bool(yyjson_obj_get(yyjson_doc_get_root(doc), "complete"));
    free(json);
    if (measured && complete) {
        st = measure(args, &memory, err);
        if (st == SV_OK) doc = with_memory(doc, &memory);
    }
    yyjson_val *root = yyjson_doc_get_root(doc);
    char *text = st == SV_OK && root ? yyjson_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, NULL) : NULL;
    if (st == SV_OK && !text) {
        snprintf(err->what, sizeof err->what, "description");
        snprintf(err->why, sizeof err->why, "out of memory");
        st = err->status = SV_E_MEMORY;
    }
    if (st == SV_OK && sv_arg_on(args, "json")) {
        puts(text);
    } else if (st == SV_OK) {
        print_text(root);
        print_memory(yyjson_obj_get(root, "memory"));
    }
    yyjson_doc_free(doc);
    free(text);
    return st != SV_OK ? st : complete ? SV_OK : SV_SHORT;
}

const sv_command sv_cmd_describe = {
    .name = "describe", .group = "Models", .usage = "MODEL_DIR [--memory] [--json]", .summary = "say what a model directory holds and what it lacks",
    .about = about, .flags = flags, .min_args = 1, .max_args = 1, .run = run};
