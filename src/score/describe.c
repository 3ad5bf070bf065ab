/* describe.c - what a model directory holds, as JSON: parts, tensors, tokenizers, scheduler, memory, and what is missing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "diffusion/family.h"
#include "infer/graph_file.h"
#include "score/clip.h"
#include "score/safety.h"
#include "synthvlm/model.h"
#include "text/tokenizer/t5_tokenizer.h"

/* One description under way. */
typedef struct account {
    yyjson_mut_doc *doc;
    yyjson_mut_val *root, *parts, *tokenizers, *missing;
    uint64_t bytes, memory;      /* of the files that are needed, and of their weights once loaded on a CPU */
} account;

static bool begin(account *a, const char *dir, const char *kind) {
    a->doc = yyjson_mut_doc_new(NULL);
    if (!a->doc) return false;
    a->root = yyjson_mut_obj(a->doc);
    a->parts = yyjson_mut_arr(a->doc);
    a->tokenizers = yyjson_mut_arr(a->doc);
    a->missing = yyjson_mut_arr(a->doc);
    yyjson_mut_doc_set_root(a->doc, a->root);
    return yyjson_mut_obj_add_strcpy(a->doc, a->root, "directory", dir) && yyjson_mut_obj_add_str(a->doc, a->root, "kind", kind);
}

/* why: what is wrong with a file that is there, or NULL: it is not there. */
static void add_unfit(account *a, const char *what, const char *file, const char *why) {
    yyjson_mut_val *m = yyjson_mut_obj(a->doc);
    yyjson_mut_obj_add_strcpy(a->doc, m, "what", what);
    yyjson_mut_obj_add_strcpy(a->doc, m, "file", file);
    if (why) yyjson_mut_obj_add_strcpy(a->doc, m, "why", why);
    yyjson_mut_arr_add_val(a->missing, m);
}

static void add_missing(account *a, const char *what, const char *file) {
    add_unfit(a, what, file, NULL);
}

/* A repository that was cloned without Git LFS holds notes of a few lines in place of large files. */
static bool is_lfs_note(const char *path) {
    static const char sign[] = "version https://git-lfs.github.com/spec/";
    char head[sizeof sign - 1];
    FILE *f = fopen(path, "rb");
    bool yes = f && fread(head, 1, sizeof head, f) == sizeof head && memcmp(head, sign, sizeof head) == 0;
    if (f) fclose(f);
    return yes;
}

static yyjson_mut_val *strings(account *a, char *const *items, size_t count) {
    yyjson_mut_val *list = yyjson_mut_arr(a->doc);
    for (size_t i = 0; i < count; i++) yyjson_mut_arr_add_strcpy(a->doc, list, items[i]);
    return list;
}

/* Bytes of a graph's external data. A file that is missing is added to the list of those. */
static uint64_t external_bytes(account *a, const sv_graph_file *g, const char *graph, const char *root) {
    uint64_t bytes = 0;
    char *dir = sv_path_dir(graph);
    for (size_t i = 0; dir && i < g->external_count; i++) {
        char *path = sv_path_join(dir, g->externals[i]);
        struct stat info;
        if (path && stat(path, &info) == 0)
            bytes += (uint64_t)info.st_size;
        else if (path)
            add_missing(a, "external data", sv_str_starts(path, root) ? path + strlen(root) + 1 : path);
        free(path);
    }
    free(dir);
    return bytes;
}

/* One graph. `name`: the part; `needed`: counts for memory and size. */
static void add_graph(account *a, const char *root, const char *name, const char *graph, bool needed) {
    sv_graph_file g;
    sv_error err;
    yyjson_mut_val *p = yyjson_mut_obj(a->doc);
    const char *relative = sv_str_starts(graph, root) ? graph + strlen(root) + 1 : graph;
    yyjson_mut_arr_add_val(a->parts, p);
    yyjson_mut_obj_add_strcpy(a->doc, p, "name", name);
    yyjson_mut_obj_add_strcpy(a->doc, p, "file", relative);
    yyjson_mut_obj_add_bool(a->doc, p, "needed", needed);
    if (sv_graph_file_read(graph, &g, &err) != SV_OK) {
        char text[2048];
        yyjson_mut_obj_add_strcpy(a->doc, p, "error", sv_error_text(&err, text, sizeof text));
        if (needed) add_unfit(a, name, relative, is_lfs_note(graph) ? "is a note of Git LFS, not the file: git lfs pull fetches it" : err.why);
    } else {
        uint64_t bytes = g.size + external_bytes(a, &g, graph, root);
        yyjson_mut_obj_add_uint(a->doc, p, "bytes", bytes);
        yyjson_mut_obj_add_uint(a->doc, p, "weights", g.weights);
        yyjson_mut_obj_add_bool(a->doc, p, "half_precision", g.half);
        yyjson_mut_obj_add_val(a->doc, p, "inputs", strings(a, g.inputs, g.input_count));
        yyjson_mut_obj_add_val(a->doc, p, "outputs", strings(a, g.outputs, g.output_count));
        if (needed) {
            a->bytes += bytes;
            a->memory += g.float_bytes;
        }
    }
    sv_graph_file_free(&g);
}

static void add_tokenizer(account *a, const char *name, const char *dir) {
    sv_tokenizer *t = NULL;
    sv_error err;
    yyjson_mut_val *o = yyjson_mut_obj(a->doc);
    yyjson_mut_arr_add_val(a->tokenizers, o);
    yyjson_mut_obj_add_strcpy(a->doc, o, "name", name);
    if (sv_tokenizer_open(&t, dir, &err) != SV_OK) {
        char text[2048];
        yyjson_mut_obj_add_strcpy(a->doc, o, "error", sv_error_text(&err, text, sizeof text));
        add_unfit(a, "tokenizer", name, err.why);
        return;
    }
    yyjson_mut_obj_add_uint(a->doc, o, "vocabulary", sv_tokenizer_vocabulary(t));
    yyjson_mut_obj_add_uint(a->doc, o, "max_length", sv_tokenizer_max_length(t));
    yyjson_mut_obj_add_int(a->doc, o, "start", sv_tokenizer_bos(t));
    yyjson_mut_obj_add_int(a->doc, o, "end", sv_tokenizer_eos(t));
    yyjson_mut_obj_add_int(a->doc, o, "padding", sv_tokenizer_pad(t));
    sv_tokenizer_close(&t);
}

static void add_t5(account *a, const char *name, const char *dir) {
    sv_t5 *t = NULL;
    sv_error err;
    yyjson_mut_val *o = yyjson_mut_obj(a->doc);
    yyjson_mut_arr_add_val(a->tokenizers, o);
    yyjson_mut_obj_add_strcpy(a->doc, o, "name", name);
    if (sv_t5_open(&t, dir, &err) != SV_OK) {
        char text[2048];
        yyjson_mut_obj_add_strcpy(a->doc, o, "error", sv_error_text(&err, text, sizeof text));
        add_unfit(a, "tokenizer", name, err.why);
        return;
    }
    yyjson_mut_obj_add_uint(a->doc, o, "vocabulary", sv_t5_vocabulary(t));
    yyjson_mut_obj_add_bool(a->doc, o, "t5", true);
    sv_t5_close(&t);
}

static void add_wordpiece(account *a, const char *name, const char *dir) {
    sv_wordpiece *w = NULL;
    sv_error err;
    yyjson_mut_val *o = yyjson_mut_obj(a->doc);
    yyjson_mut_arr_add_val(a->tokenizers, o);
    yyjson_mut_obj_add_strcpy(a->doc, o, "name", name);
    if (sv_wordpiece_open(&w, dir, &err) != SV_OK) {
        char text[2048];
        yyjson_mut_obj_add_strcpy(a->doc, o, "error", sv_error_text(&err, text, sizeof text));
        add_unfit(a, "tokenizer", name, err.why);
        return;
    }
    yyjson_mut_obj_add_uint(a->doc, o, "vocabulary", sv_wordpiece_vocabulary(w));
    yyjson_mut_obj_add_uint(a->doc, o, "max_length", sv_wordpiece_max_length(w));
    yyjson_mut_obj_add_str(a->doc, o, "pieces", "wordpiece");
    sv_wordpiece_close(&w);
}

static void add_siglip(account *a, const char *name, const char *dir) {
    sv_siglip *t = NULL;
    sv_error err;
    yyjson_mut_val *o = yyjson_mut_obj(a->doc);
    yyjson_mut_arr_add_val(a->tokenizers, o);
    yyjson_mut_obj_add_strcpy(a->doc, o, "name", name);
    if (sv_siglip_open(&t, dir, &err) != SV_OK) {
        char text[2048];
        yyjson_mut_obj_add_strcpy(a->doc, o, "error", sv_error_text(&err, text, sizeof text));
        add_unfit(a, "tokenizer", name, err.why);
        return;
    }
    yyjson_mut_obj_add_uint(a->doc, o, "vocabulary", sv_siglip_vocabulary(t));
    yyjson_mut_obj_add_uint(a->doc, o, "max_length", sv_siglip_max_length(t));
    yyjson_mut_obj_add_str(a->doc, o, "pieces", sv_siglip_is_bpe(t) ? "bpe" : "unigram");
    yyjson_mut_obj_add_int(a->doc, o, "end", sv_siglip_end(t));
    yyjson_mut_obj_add_int(a->doc, o, "padding", sv_siglip_pad(t));
    sv_siglip_close(&t);
}

/* JSON has no infinity: a scheduler's -Infinity is told as the text that diffusers' files spell it with. */
static void spell_infinities(yyjson_mut_val *v) {
    size_t i, n;
    yyjson_mut_val *key, *item;
    if (yyjson_mut_is_real(v) && isinf(yyjson_mut_get_real(v))) yyjson_mut_set_str(v, yyjson_mut_get_real(v) > 0 ? "Infinity" : "-Infinity");
    if (yyjson_mut_is_obj(v)) {
        yyjson_mut_obj_foreach(v, i, n, key, item) {
            spell_infinities(item);
        }
    } else if (yyjson_mut_is_arr(v)) {
        yyjson_mut_arr_foreach(v, i, n, item) {
            spell_infinities(item);
        }
    }
}

static sv_status finish(account *a, const char *command, char **json, const char *dir, sv_error *err) {
    bool complete = yyjson_mut_arr_size(a->missing) == 0;
    yyjson_mut_obj_add_val(a->doc, a->root, "parts", a->parts);
    yyjson_mut_obj_add_val(a->doc, a->root, "tokenizers", a->tokenizers);
    yyjson_mut_obj_add_uint(a->doc, a->root, "bytes", a->bytes);
    yyjson_mut_obj_add_uint(a->doc, a->root, "memory_bytes", a->memory);
    yyjson_mut_obj_add_bool(a->doc, a->root, "complete", complete);
    yyjson_mut_obj_add_val(a->doc, a->root, "missing", a->missing);
    if (!complete) yyjson_mut_obj_add_strcpy(a->doc, a->root, "get_it_with", command);
    spell_infinities(a->root);
    *json = yyjson_mut_write(a->doc, YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_INF_AND_NAN_AS_NULL, NULL);
    yyjson_mut_doc_free(a->doc);
    a->doc = NULL;
    return *json ? SV_OK : sv_fail_memory(err, dir, 0);
}

/* ---- text to image ---- */

/* Sizes that the configs tell, as sv_pipeline_open reads them. */
static void add_sizes(account *a, const sv_model_dir *m) {
    const sv_part_files *denoiser = &m->parts[SV_PART_DENOISER], *decoder = &m->parts[SV_PART_DECODER];
    sv_model_sizes s;
    if (!denoiser->config || !decoder->config || sv_model_dir_sizes(m, &s, NULL) != SV_OK) return;
    yyjson_mut_val *o = yyjson_mut_obj(a->doc);
    yyjson_mut_obj_add_int(a->doc, o, "width", s.width);
    yyjson_mut_obj_add_int(a->doc, o, "height", s.height);
    yyjson_mut_obj_add_int(a->doc, o, "multiple", s.multiple);
    yyjson_mut_obj_add_int(a->doc, o, "latent_channels", s.channels);
    yyjson_mut_obj_add_int(a->doc, o, "latent_factor", s.factor);
    yyjson_mut_obj_add_val(a->doc, a->root, "size", o);
}

static void add_scheduler(account *a, const sv_model_dir *m) {
    static const char file[] = "scheduler/scheduler_config.json";
    yyjson_doc *config = m->scheduler ? yyjson_read_opts(m->scheduler, strlen(m->scheduler), YYJSON_READ_ALLOW_INF_AND_NAN, NULL, NULL) : NULL;
    sv_scheduler *scheduler = NULL;
    sv_error err;
    if (!m->scheduler)
        add_missing(a, "scheduler", file);
    else if (sv_scheduler_open(&scheduler, m->scheduler, NULL, &err) != SV_OK)
        add_unfit(a, "scheduler", file, err.why);
    sv_scheduler_close(&scheduler);
    if (!config) return;
    yyjson_mut_obj_add_val(a->doc, a->root, "scheduler", yyjson_val_mut_copy(a->doc, yyjson_doc_get_root(config)));
    yyjson_doc_free(config);
}

/* A text encoder has a row for every id of its tokenizer; more ids are of another model. */
static void check_vocabulary(account *a, const sv_model_dir *m, int i) {
    const sv_part_files *encoder = &m->parts[SV_PART_TEXT_ENCODER + i];
    yyjson_mut_val *about = yyjson_mut_arr_get_last(a->tokenizers);
    int64_t rows, ids = yyjson_mut_get_sint(yyjson_mut_obj_get(about, "vocabulary"));
    if (sv_config_int(encoder, "vocab_size", 0, &rows, NULL) != SV_OK || rows <= 0 || ids <= rows) return;
    char why[160];
    snprintf(why, sizeof why, "has %lld entries, but %s was trained with %lld: they are of different models", (long long)ids, encoder->name, (long long)rows);
    add_unfit(a, "tokenizer", sv_tokenizer_folder(i), why);
}

/* Parts without their config.json say nothing of channels and sizes. */
static void check_config(account *a, const sv_model_dir *m, sv_part i) {
    const sv_part_files *part = &m->parts[i];
    if ((i != SV_PART_DENOISER && i != SV_PART_DECODER) || !sv_model_dir_needs(m, i) || !part->graph || part->config) return;
    char file[256];
    snprintf(file, sizeof file, "%s/config.json", part->name);
    add_missing(a, "configuration", file);
}

static void add_part(account *a, const sv_model_dir *m, sv_part i) {
    const sv_part_files *part = &m->parts[i];
    bool needed = sv_model_dir_needs(m, i);
    char file[256], *folder;
    check_config(a, m, i);
    if (part->graph) {
        add_graph(a, m->path, part->name, part->graph, needed);
        return;
    }
    if (!needed) return;
    snprintf(file, sizeof file, "%s/model.onnx", part->name);
    folder = sv_path_join(m->path, part->name);
    add_unfit(a, part->name, file, part->several ? "is not there, and the folder holds several other .onnx files: rename the one to use"
                                   : part->torch ? "is not there, only PyTorch weights"
                                   : folder && !sv_is_dir(folder) ? "there is no such folder" : NULL);
    free(folder);
}

static void add_safety_checker(account *a, const sv_model_dir *m) {
    const char *why;
    char text[256];
    if (sv_safety_there(m->path, &why)) {
        yyjson_mut_obj_add_str(a->doc, a->root, "safety_checker", "run as a gate (score.gates.safety)");
    } else if (why) {
        snprintf(text, sizeof text, "not run: %s", why);
        yyjson_mut_obj_add_strcpy(a->doc, a->root, "safety_checker", text);
    }
}

static void add_family(account *a, const sv_model_dir *m) {
    yyjson_mut_obj_add_strcpy(a->doc, a->root, "class", m->class_name);
    yyjson_mut_obj_add_bool(a->doc, a->root, "available", m->family != NULL);
    if (m->family) {
        yyjson_mut_obj_add_strcpy(a->doc, a->root, "family", m->family->name(m));
        return;
    }
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(a->doc, a->root, "classes");
    for (size_t i = 0; i < sv_family_count(); i++) yyjson_mut_arr_add_str(a->doc, list, sv_family_at(i)->class_name);
}

static sv_status describe_pipeline(const char *dir, char **json, sv_error *err) {
    sv_model_dir m;
    account a = {0};
    char command[512];
    SV_TRY(sv_model_dir_read(&m, dir, err));
    if (!begin(&a, m.path, "text-to-image")) {
        sv_model_dir_free(&m);
        yyjson_mut_doc_free(a.doc);
        return sv_fail_memory(err, dir, 0);
    }
    add_family(&a, &m);
    for (int i = 0; i < SV_PARTS; i++) add_part(&a, &m, (sv_part)i);
    for (int i = 0; i < SV_MAX_TOKENIZERS; i++) {
        const char *name = sv_tokenizer_folder(i);
        if (!sv_model_dir_needs_tokenizer(&m, i)) continue;
        if (!m.tokenizers[i]) {
            add_missing(&a, "tokenizer", name);
            continue;
        }
        if (m.family->t5 & SV_BIT(i)) add_t5(&a, name, m.tokenizers[i]);
        else add_tokenizer(&a, name, m.tokenizers[i]);
        check_vocabulary(&a, &m, i);
    }
    add_safety_checker(&a, &m);
    add_scheduler(&a, &m);
    add_sizes(&a, &m);
    sv_status st = finish(&a, sv_model_dir_command(&m, command, sizeof command), json, dir, err);
    sv_model_dir_free(&m);
    return st;
}

/* ---- CLIP ---- */

/* What the configs say of the model: its kind, sizes and the pictures that it takes. */
static void add_clip_facts(account *a, const sv_clip_files *f) {
    yyjson_val *config = yyjson_doc_get_root(f->config), *text = yyjson_obj_get(config, "text_config"), *vision = yyjson_obj_get(config, "vision_config");
    const char *type = yyjson_get_str(yyjson_obj_get(config, "model_type"));
    yyjson_val *projection = yyjson_obj_get(config, "projection_dim"), *patch = yyjson_obj_get(vision, "patch_size");
    sv_clip_preprocess_options o;
    sv_error err;
    int width, height;
    yyjson_mut_obj_add_strcpy(a->doc, a->root, "family",
                            sv_str_eq(type, "blip") ? "BLIP image-text matching" : !sv_clip_files_siglip(f) ? "CLIP" :
                            sv_str_starts(type, "siglip2") ? "SigLIP 2" : "SigLIP");
    yyjson_mut_obj_add_str(a->doc, a->root, "layout", f->joint ? "joint" : "split");
    if (yyjson_is_int(projection)) yyjson_mut_obj_add_int(a->doc, a->root, "embedding", yyjson_get_int(projection));
    if (yyjson_is_int(patch)) yyjson_mut_obj_add_int(a->doc, a->root, "patch", yyjson_get_int(patch));
    if (yyjson_is_int(yyjson_obj_get(text, "max_position_embeddings")))
        yyjson_mut_obj_add_int(a->doc, a->root, "text_length", yyjson_get_int(yyjson_obj_get(text, "max_position_embeddings")));
    if (sv_clip_read_preprocessor(yyjson_doc_get_root(f->preprocessor), f->dir, &o, &err) != SV_OK || sv_clip_preprocess_size(&o, &width, &height, &err) != SV_OK) return;
    yyjson_mut_val *size = yyjson_mut_obj(a->doc);
    yyjson_mut_obj_add_int(a->doc, size, "width", width);
    yyjson_mut_obj_add_int(a->doc, size, "height", height);
    yyjson_mut_obj_add_val(a->doc, a->root, "size", size);
}

static sv_status describe_clip(const char *dir, char **json, sv_error *err) {
    sv_clip_files f;
    account a = {0};
    SV_TRY(sv_clip_files_find(&f, dir, err));
    bool blip = sv_itm_is_model(dir);
    if (!begin(&a, dir, blip ? "matching" : "clip")) {
        sv_clip_files_free(&f);
        yyjson_mut_doc_free(a.doc);
        return sv_fail_memory(err, dir, 0);
    }
    add_clip_facts(&a, &f);
    if (f.joint) {
        add_graph(&a, f.dir, "text and vision", f.text, true);
    } else {
        add_graph(&a, f.dir, "text", f.text, true);
        add_graph(&a, f.dir, "vision", f.vision, true);
    }
    if (blip) add_wordpiece(&a, ".", f.dir);
    else if (sv_clip_files_siglip(&f)) add_siglip(&a, ".", f.dir);
    else add_tokenizer(&a, ".", f.dir);
    yyjson_mut_obj_add_val(a.doc, a.root, "preprocessor", yyjson_val_mut_copy(a.doc, yyjson_doc_get_root(f.preprocessor)));
    const char *how = blip ? "the lines of Python in docs/SCORES.md, Matching" : "optimum-cli export onnx --model openai/clip-vit-base-patch32 DIR";
    sv_status st = finish(&a, how, json, dir, err);
    sv_clip_files_free(&f);
    return st;
}

sv_status sv_model_describe(const char *dir, char **json, sv_error *err) {
    *json = NULL;
    char *index = sv_path_join(dir, "model_index.json"), *scorer = sv_path_join(dir, "preprocessor_config.json");
    if (!index || !scorer) {
        free(index);
        free(scorer);
        return sv_fail_memory(err, dir, 0);
    }
    bool clip = !sv_is_file(index) && sv_is_file(scorer);
    free(index);
    free(scorer);
    return clip ? describe_clip(dir, json, err) : describe_pipeline(dir, json, err);
}
