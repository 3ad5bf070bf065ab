/* clip_files.c - finds the graphs of a CLIP directory: split (text_model.onnx, vision_model.onnx) or joint (model.onnx), there or in onnx/. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "score/clip.h"

static sv_status read_json(const char *dir, const char *name, yyjson_doc **doc, sv_error *err) {
    char *path = sv_path_join(dir, name), *text = NULL;
    size_t size;
    yyjson_read_err why;
    if (!path) return sv_fail_memory(err, dir, 0);
    sv_status st = SV_OK;
    if (sv_is_file(path)) {
        st = sv_file_read(path, 64u << 20, &text, &size, err);
        if (st == SV_OK) {
            *doc = yyjson_read_opts(text, size, YYJSON_READ_ALLOW_INF_AND_NAN, NULL, &why);
            if (!*doc) st = sv_fail(err, SV_E_MODEL, path, "is not JSON: %s at byte %zu", why.msg, why.pos);
        }
        free(text);
    }
    free(path);
    return st;
}

/* dir/folder/name where it is a file, else NULL. */
static char *file_in(const char *dir, const char *folder, const char *name) {
    char *place = folder ? sv_path_join(dir, folder) : sv_strdup(dir), *path = place ? sv_path_join(place, name) : NULL;
    free(place);
    if (path && !sv_is_file(path)) {
        free(path);
        path = NULL;
    }
    return path;
}

bool sv_clip_files_siglip(const sv_clip_files *f) {
    const char *type = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(f->config), "model_type"));
    return type && sv_str_starts(type, "siglip");
}

static sv_status find_graphs(sv_clip_files *f, sv_error *err) {
    static const char *const folders[] = {NULL, "onnx"};
    for (int i = 0; i < 2; i++) {
        f->folder = folders[i];
        f->text = file_in(f->dir, folders[i], "text_model.onnx");
        f->vision = file_in(f->dir, folders[i], "vision_model.onnx");
        if (f->text && f->vision) return SV_OK;
        free(f->text);
        free(f->vision);
        f->text = f->vision = NULL;
    }
    for (int i = 0; i < 2; i++) {
        f->folder = folders[i];
        f->text = file_in(f->dir, folders[i], "model.onnx");
        if (!f->text) continue;
        f->joint = true;
        f->vision = sv_strdup(f->text);
        return f->vision ? SV_OK : sv_fail_memory(err, f->dir, 0);
    }
    char *index = file_in(f->dir, NULL, "model_index.json");
    bool pipeline = index != NULL;
    free(index);
    sv_fail(err, SV_E_MODEL, f->dir, "has neither text_model.onnx and vision_model.onnx nor model.onnx, there or in onnx/");
    if (pipeline) return sv_hint(err, SV_E_MODEL, "this is a text-to-image model; the scorer is a CLIP directory, such as models/tabletop/clip");
    return sv_hint(err, SV_E_MODEL, "get them with `optimum-cli export onnx --model openai/clip-vit-base-patch32 %s` (pip install "
        "\"optimum[onnxruntime]\" diffusers)", f->dir);
}

sv_status sv_clip_files_find(sv_clip_files *out, const char *dir, sv_error *err) {
    *out = (sv_clip_files){0};
    if (!sv_is_dir(dir)) {
        sv_fail(err, SV_E_MODEL, dir, sv_file_exists(dir) ? "is not a directory" : "no such directory");
        return sv_hint(err, SV_E_MODEL, "a scorer is a local directory; for a CLIP on a hub: optimum-cli export onnx --model %s DIR", dir);
    }
    out->dir = sv_strdup(dir);
    sv_status st = out->dir ? SV_OK : sv_fail_memory(err, dir, 0);
    if (st == SV_OK) st = find_graphs(out, err);
    if (st == SV_OK) st = read_json(dir, "config.json", &out->config, err);
    if (st == SV_OK) st = read_json(dir, "preprocessor_config.json", &out->preprocessor, err);
    if (st == SV_OK && !out->preprocessor) {
        sv_fail(err, SV_E_MODEL, dir, "has no preprocessor_config.json");
        st = sv_hint(err, SV_E_MODEL, "copy the one of the original model: it says how pictures are resized and normalised");
    }
    if (st != SV_OK) sv_clip_files_free(out);
    return st;
}

void sv_clip_files_free(sv_clip_files *f) {
    free(f->dir);
    free(f->text);
    free(f->vision);
    yyjson_doc_free(f->config);
    yyjson_doc_free(f->preprocessor);
    *f = (sv_clip_files){0};
}
