/* ops.c - the operator table, and instances of its rows. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash_cache.h"
#include "text/ops/op.h"

static const sv_op *const rows[] = {
    &sv_op_fix_unicode, &sv_op_punctuation_normalization, &sv_op_whitespace_normalization, &sv_op_clean_links,
    &sv_op_clean_html,
    &sv_op_alphanumeric, &sv_op_special_characters, &sv_op_character_repetition, &sv_op_word_repetition, &sv_op_flagged_words,
    &sv_op_text_length, &sv_op_words_num, &sv_op_average_line_length, &sv_op_maximum_line_length,
    &sv_op_token_num, &sv_op_clip_token_length, &sv_op_perplexity, &sv_op_language_id,
    &sv_op_image_text_similarity, &sv_op_image_text_matching, &sv_op_image_aspect_ratio, &sv_op_image_shape, &sv_op_image_size,
    &sv_op_document_dedup, &sv_op_minhash_dedup, &sv_op_topk,
};
enum { ROWS = sizeof rows / sizeof *rows };

/* Operators that users of Data-Juicer bring along and that this version does not have. */
static const char *const later[] = {
    "document_simhash_deduplicator", "image_deduplicator", "stopwords_filter", "range_specified_field_selector", "frequency_specified_field_selector",
    "random_selector"};
enum { LATER = sizeof later / sizeof *later };

/* Parameters of every Data-Juicer operator that say how it is run there and change no verdict: read over. */
static const char *const run_time[] = {
    "work_dir", "skip_op_error", "adaptive_batching", "auto_op_parallelism", "batch_mode", "accelerator", "batch_size", "num_proc", "turbo",
    "cpu_required", "gpu_required", "mem_required", "num_cpus", "num_gpus", "memory", "runtime_env", "ray_execution_mode", "image_key",
    "audio_key", "video_key"};
enum { RUN_TIME = sizeof run_time / sizeof *run_time };

size_t sv_op_count(void) { return ROWS; }

const sv_op_info *sv_op_at(size_t i) { return i < ROWS ? &rows[i]->info : NULL; }

const sv_op *sv_op_row(const char *name) {
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i]->info.name, name) == 0) return rows[i];
    return NULL;
}

const sv_op_info *sv_op_find(const char *name) {
    const sv_op *op = name ? sv_op_row(name) : NULL;
    return op ? &op->info : NULL;
}

const char *sv_op_help(const sv_op_info *info, char *buf, size_t size) {
    sv_buf b = {0};
    const sv_op *op = sv_op_row(info->name);
    for (const sv_option *o = op ? op->options : NULL; o && o->name; o++) {
        char type[256];
        const char *fallback = !o->fallback ? "none" : *o->fallback ? o->fallback : "\"\"";
        sv_buf_printf(&b, "%s  %s, default %s  %s\n", o->name, sv_option_type_text(o, type, sizeof type), fallback, o->help);
    }
    snprintf(buf, size, "%s", b.data ? b.data : "");
    sv_buf_free(&b);
    return buf;
}

sv_status sv_op_unknown(const char *name, const char *where, sv_error *err) {
    const char *names[ROWS];
    for (size_t i = 0; i < LATER; i++)
        if (strcmp(later[i], name) == 0) return sv_fail(err, SV_E_RECIPE, where, "the operator \"%s\" is not available in this version", name);
    for (size_t i = 0; i < ROWS; i++) names[i] = rows[i]->info.name;
    const char *near = sv_nearest(name, names, ROWS);
    sv_fail(err, SV_E_RECIPE, where, "unknown operator \"%s\"", name);
    if (near) return sv_hint(err, SV_E_RECIPE, "did you mean \"%s\"?", near);
    sv_buf all = {0};
    for (size_t i = 0; i < ROWS; i++) sv_buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
    sv_hint(err, SV_E_RECIPE, "there are %s", all.data ? all.data : "");
    sv_buf_free(&all);
    return SV_E_RECIPE;
}

bool sv_range_keeps(const sv_range *r, double value) {
    bool min_closed = r->min_closed != r->reversed, max_closed = r->max_closed != r->reversed;
    bool keep = true;
    if (!isnan(r->min)) keep = min_closed ? value >= r->min : value > r->min;
    if (keep && !isnan(r->max)) keep = max_closed ? value <= r->max : value < r->max;
    return keep != r->reversed;
}

/* The parameters without those that only say how Data-Juicer runs the operator. */
static sv_status drop_run_time(yyjson_val *params, const char *where, yyjson_doc **out, sv_error *err) {
    *out = NULL;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL;
    bool ok = root != NULL;
    sv_status st = SV_OK;
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(params, i, n, key, value) {
        const char *name = yyjson_get_str(key);
        bool skip = false;
        for (size_t k = 0; k < RUN_TIME; k++) skip = skip || strcmp(run_time[k], name) == 0;
        if (strcmp(name, "text_key") == 0) {
            skip = true;
            if (!yyjson_is_null(value) && !yyjson_equals_str(value, "text"))
                st = sv_hint(err, sv_fail(err, SV_E_RECIPE, where, "text_key must be \"text\""),
                             "the field that holds the caption is named by its source");
        }
        if (!skip) ok = ok && yyjson_mut_obj_add(root, yyjson_val_mut_copy(doc, key), yyjson_val_mut_copy(doc, value));
    }
    if (ok && st == SV_OK) *out = yyjson_mut_val_imut_copy(root, NULL);
    yyjson_mut_doc_free(doc);
    if (st == SV_OK && !*out) return sv_fail_memory(err, where, 0);
    return st;
}

sv_status sv_op_read(const sv_op *op, yyjson_val *params, const char *where, const char *base_dir, void *state, sv_error *err) {
    yyjson_doc *reduced = NULL;
    if (yyjson_is_obj(params)) {
        SV_TRY(drop_run_time(params, where, &reduced, err));
        params = yyjson_doc_get_root(reduced);
    }
    sv_status st = sv_options_read(op->options, params, where, base_dir, state, err);
    yyjson_doc_free(reduced);
    return st;
}

sv_status sv_instance_open(sv_instance *in, const sv_op *op, yyjson_val *params, const char *where, const char *base_dir, sv_error *err) {
    *in = (sv_instance){0};
    void *state = calloc(1, op->size);
    if (!state) return sv_fail_memory(err, where, op->size);
    sv_status st = sv_op_read(op, params, where, base_dir, state, err);
    if (st != SV_OK) {
        free(state);
        return st;
    }
    in->op = op;
    in->state = state;
    if (op->open) st = op->open(state, where, err);
    if (st != SV_OK) sv_instance_close(in);
    return st;
}

void sv_instance_close(sv_instance *in) {
    if (!in->op) return;
    if (in->op->close) in->op->close(in->state);
    sv_options_free(in->op->options, in->state);
    free(in->state);
    *in = (sv_instance){0};
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

enum { MOST_FILES = 256 };
typedef struct file_lines {
    char *lines[MOST_FILES];     /* "name sha256\n" */
    size_t count;
} file_lines;

static sv_status add_folder(file_lines *l, const char *path, const char *folder, sv_error *err);

static sv_status add_entry(file_lines *l, const char *path, const char *folder, const char *name, sv_error *err) {
    char *full = sv_path_join(path, name), hex[SV_SHA256_HEX];
    if (!full) return sv_fail_memory(err, path, 0);
    sv_status st = SV_OK;
    if (sv_is_file(full) && (st = sv_sha256_file_cached(full, hex, err)) == SV_OK) {
        sv_buf line = {0};
        sv_buf_printf(&line, "%s%s%s %s\n", *folder ? folder : "", *folder ? "/" : "", name, hex);
        if ((st = sv_buf_ok(&line, err)) == SV_OK) l->lines[l->count++] = line.data;
    } else if (st == SV_OK && !*folder && sv_str_eq(name, "onnx") && sv_is_dir(full)) {
        st = add_folder(l, full, name, err);      /* where models keep their graphs */
    }
    free(full);
    return st;
}

static sv_status add_folder(file_lines *l, const char *path, const char *folder, sv_error *err) {
    DIR *dir = opendir(path);
    if (!dir) return sv_fail_errno(err, path, "cannot list");
    sv_status st = SV_OK;
    for (struct dirent *e; st == SV_OK && (e = readdir(dir));) {
        if (l->count == MOST_FILES) st = sv_fail(err, SV_E_INPUT, path, "the directory holds more than %d files", MOST_FILES);
        else st = add_entry(l, path, folder, e->d_name, err);
    }
    closedir(dir);
    return st;
}

/* SHA-256 of a file; of a directory: of the sorted lines "name sha256" of its files, those of its folder onnx among them. */
static sv_status hash_path(const char *path, char out[SV_SHA256_HEX], sv_error *err) {
    if (!sv_is_dir(path)) return sv_sha256_file_cached(path, out, err);
    file_lines l = {.count = 0};
    sv_status st = add_folder(&l, path, "", err);
    qsort(l.lines, l.count, sizeof *l.lines, by_text);
    sv_buf all = {0};
    for (size_t i = 0; i < l.count; i++) {
        sv_buf_puts(&all, l.lines[i]);
        free(l.lines[i]);
    }
    if (st == SV_OK) st = sv_buf_ok(&all, err);
    if (st == SV_OK) sv_sha256_hex(all.data ? all.data : "", all.size, out);
    sv_buf_free(&all);
    return st;
}

sv_status sv_instance_write(const sv_instance *in, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err) {
    if (!sv_options_write(in->op->options, in->state, NULL, doc, object)) return sv_fail_memory(err, in->op->info.name, 0);
    for (const sv_option *o = in->op->options; o->name; o++) {
        const char *path = o->type == SV_OPT_PATH && !o->later ? *(char *const *)((const char *)in->state + o->offset) : NULL;
        if (!path) continue;
        char hex[SV_SHA256_HEX], text[SV_SHA256_HEX + 8];
        SV_TRY(hash_path(path, hex, err));
        snprintf(text, sizeof text, "sha256:%s", hex);
        yyjson_mut_val *v = yyjson_mut_strcpy(doc, text);
        if (!v || !yyjson_mut_obj_put(object, yyjson_mut_str(doc, o->name), v)) return sv_fail_memory(err, in->op->info.name, 0);
    }
    return SV_OK;
}
