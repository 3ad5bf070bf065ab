/* model_dir.c - reads a model directory, says what is missing and how to get it, and lists the files that count. */
#include "diffusion/model_dir.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "diffusion/family.h"

static const char *const tokenizer_dirs[SV_MAX_TOKENIZERS] = {"tokenizer", "tokenizer_2", "tokenizer_3"};

static const struct {
    const char *folder, *what;   /* for people */
} part_table[SV_PARTS] = {
    [SV_PART_TEXT_ENCODER] = {"text_encoder", "the text encoder"},
    [SV_PART_TEXT_ENCODER_2] = {"text_encoder_2", "the second text encoder"},
    [SV_PART_TEXT_ENCODER_3] = {"text_encoder_3", "the third text encoder"},
    [SV_PART_DENOISER] = {"unet", "the denoiser"},
    [SV_PART_DECODER] = {"vae_decoder", "the decoder"},
    [SV_PART_ENCODER] = {"vae_encoder", "the encoder"},
};

const char *sv_tokenizer_folder(int i) {
    return i >= 0 && i < SV_MAX_TOKENIZERS ? tokenizer_dirs[i] : NULL;
}

/* DIR/a/b; NULL when memory runs out. */
static char *join3(const char *dir, const char *a, const char *b) {
    char *x = sv_path_join(dir, a), *y = x && b ? sv_path_join(x, b) : NULL;
    if (!b) return x;
    free(x);
    return y;
}

static sv_status read_json(const char *path, yyjson_doc **doc, sv_error *err) {
    char *text;
    size_t size;
    yyjson_read_err why;
    SV_TRY(sv_file_read(path, 64u << 20, &text, &size, err));
    *doc = yyjson_read_opts(text, size, YYJSON_READ_ALLOW_INF_AND_NAN, NULL, &why);
    free(text);
    if (!*doc) return sv_fail(err, SV_E_MODEL, path, "is not JSON: %s at byte %zu", why.msg, why.pos);
    if (!yyjson_is_obj(yyjson_doc_get_root(*doc))) return sv_fail(err, SV_E_MODEL, path, "is not a JSON object");
    return SV_OK;
}

/* The graph of a part: model.onnx, or the only .onnx file. Also looks for weights in other forms. */
static sv_status find_graph(const char *dir, sv_part_files *part, sv_error *err) {
    DIR *d = opendir(dir);
    if (!d) return SV_OK;                          /* reported as missing by sv_model_dir_check */
    const struct dirent *e;
    char *only = NULL, *torch = NULL;
    int graphs = 0;
    bool ok = true;
    while (ok && (e = readdir(d))) {
        bool main_graph = strcmp(e->d_name, "model.onnx") == 0;
        if (main_graph || sv_str_ends(e->d_name, ".onnx")) {
            if (main_graph || graphs == 0) {
                free(only);
                only = sv_path_join(dir, e->d_name);
                ok = only != NULL;
            }
            graphs = main_graph ? -1000000 : graphs + 1;
        } else if (!torch && (sv_str_ends(e->d_name, ".safetensors") || sv_str_ends(e->d_name, ".bin"))) {
            torch = sv_path_join(dir, e->d_name);
            ok = torch != NULL;
        }
    }
    closedir(d);
    if (graphs > 1) {                              /* several and none is model.onnx: not ours to guess */
        free(only);
        only = NULL;
        part->several = true;
    }
    if (!part->torch)
        part->torch = torch;
    else
        free(torch);
    if (!part->graph)
        part->graph = only;
    else
        free(only);
    return ok ? SV_OK : sv_fail_memory(err, dir, 0);
}

static bool is_off(const sv_model_dir *m, const char *name) {
    yyjson_val *pair = yyjson_obj_get(yyjson_doc_get_root(m->index), name);
    return yyjson_is_arr(pair) && yyjson_arr_size(pair) == 2 && yyjson_is_null(yyjson_arr_get(pair, 0)) && yyjson_is_null(yyjson_arr_get(pair, 1));
}

/* PyTorch keeps both halves of the autoencoder, and their one config, in a folder of their own: weights there, and the config if the half has none. */
static sv_status look_in_vae(const sv_model_dir *m, sv_part_files *part, sv_error *err) {
    sv_part_files vae = {0};
    char *dir = sv_path_join(m->path, "vae"), *config = dir ? sv_path_join(dir, "config.json") : NULL;
    sv_status st = config ? find_graph(dir, &vae, err) : sv_fail_memory(err, m->path, 0);
    if (st == SV_OK && !part->config && sv_is_file(config)) {
        part->config_folder = "vae";
        st = read_json(config, &part->config, err);
    }
    if (!part->torch) part->torch = vae.torch;
    else free(vae.torch);
    free(vae.graph);
    free(dir);
    free(config);
    return st;
}

static sv_status read_part(sv_model_dir *m, sv_part i, sv_error *err) {
    sv_part_files *part = &m->parts[i];
    part->name = i == SV_PART_DENOISER && m->family ? m->family->denoiser : part_table[i].folder;
    part->config_folder = part->name;
    part->off = is_off(m, part->name);
    char *dir = join3(m->path, part->name, NULL), *config = dir ? sv_path_join(dir, "config.json") : NULL;
    sv_status st = dir && config ? SV_OK : sv_fail_memory(err, m->path, 0);
    if (st == SV_OK) st = find_graph(dir, part, err);
    if (st == SV_OK && sv_is_file(config)) st = read_json(config, &part->config, err);
    free(dir);
    free(config);
    if (st == SV_OK && (i == SV_PART_DECODER || i == SV_PART_ENCODER)) st = look_in_vae(m, part, err);
    return st;
}

static sv_status read_tokenizers(sv_model_dir *m, sv_error *err) {
    for (int i = 0; i < SV_MAX_TOKENIZERS; i++) {
        m->tokenizer_off[i] = is_off(m, tokenizer_dirs[i]);
        char *dir = sv_path_join(m->path, tokenizer_dirs[i]);
        if (!dir) return sv_fail_memory(err, m->path, 0);
        if (sv_is_dir(dir))
            m->tokenizers[i] = dir;
        else
            free(dir);
    }
    return SV_OK;
}

static sv_status read_scheduler(sv_model_dir *m, sv_error *err) {
    char *path = join3(m->path, "scheduler", "scheduler_config.json");
    if (!path) return sv_fail_memory(err, m->path, 0);
    size_t size;
    sv_status st = sv_is_file(path) ? sv_file_read(path, 1u << 20, &m->scheduler, &size, err) : SV_OK;
    free(path);
    return st;
}

/* What lies in a directory that has no model_index.json. */
typedef struct sv_contents {
    bool any, scorer, graph, part;
    char checkpoint[256];        /* name of the first .safetensors or .ckpt file */
} sv_contents;

static void look_around(const char *path, sv_contents *out) {
    DIR *d = opendir(path);
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        if (e->d_name[0] == '.') continue;
        out->any = true;
        out->scorer |= strcmp(e->d_name, "preprocessor_config.json") == 0;
        out->graph |= sv_str_ends(e->d_name, ".onnx") || strcmp(e->d_name, "onnx") == 0;
        for (int i = 0; i < SV_PARTS; i++) out->part |= strcmp(e->d_name, part_table[i].folder) == 0;
        out->part |= strcmp(e->d_name, "transformer") == 0;
        bool weights = sv_str_ends(e->d_name, ".safetensors") || sv_str_ends(e->d_name, ".ckpt");
        if (weights && !out->checkpoint[0]) snprintf(out->checkpoint, sizeof out->checkpoint, "%s", e->d_name);
    }
    if (d) closedir(d);
}

/* No model_index.json: say what the directory seems to be instead, and what to do about it. */
static sv_status fail_no_index(const char *path, const char *index, sv_error *err) {
    sv_contents in = {0};
    look_around(path, &in);
    sv_fail(err, SV_E_MODEL, index, in.any ? "no such file" : "no such file: the directory is empty");
    if (in.part)
        return sv_hint(err, SV_E_MODEL, "the parts of a model are there, but not the file that says which kind it is: copy model_index.json from the original, or export "
                       "again with `optimum-cli export onnx --model MODEL %s`", path);
    if (in.scorer) return sv_hint(err, SV_E_MODEL, "%s looks like a scorer (CLIP, SigLIP or BLIP), not a text-to-image model", path);
    if (in.graph)
        return sv_hint(err, SV_E_MODEL, "%s holds graphs, but neither model_index.json (a text-to-image model) nor preprocessor_config.json (a scorer): copy what is "
                       "missing from the original, or export again with `optimum-cli export onnx --model MODEL %s`", path, path);
    if (in.checkpoint[0])
        return sv_hint(err, SV_E_MODEL, "a single checkpoint: convert it with `python -c \"from diffusers import StableDiffusionXLPipeline as P; "
                       "P.from_single_file('%s/%s').save_pretrained('%s-diffusers')\"` (or StableDiffusionPipeline, StableDiffusion3Pipeline, FluxPipeline), then "
                       "`optimum-cli export onnx --model %s-diffusers %s-onnx`", path, in.checkpoint, path, path, path);
    return sv_hint(err, SV_E_MODEL, "a model is a directory in diffusers' layout with ONNX parts, as `optimum-cli export onnx --model MODEL %s` makes it", path);
}

static sv_status read_index(sv_model_dir *m, sv_error *err) {
    char *index = sv_path_join(m->path, "model_index.json");
    if (!index) return sv_fail_memory(err, m->path, 0);
    sv_status st = sv_is_file(index) ? read_json(index, &m->index, err) : fail_no_index(m->path, index, err);
    if (st == SV_OK) {
        const char *name = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(m->index), "_class_name"));
        if (name) {
            /* Exporters and older diffusers put their own word before the same class. */
            if (sv_str_starts(name, "Onnx")) name += 4;
            else if (sv_str_starts(name, "ORT")) name += 3;
            m->class_name = name;
            m->family = sv_family_find(name);
        } else {
            st = sv_fail(err, SV_E_MODEL, index, "has no _class_name, which says what kind of model it is");
            sv_hint(err, st, "copy model_index.json from the original");
        }
    }
    free(index);
    return st;
}

sv_status sv_model_dir_read(sv_model_dir *out, const char *path, sv_error *err) {
    *out = (sv_model_dir){0};
    if (!sv_is_dir(path)) {
        if (sv_file_exists(path)) {
            sv_fail(err, SV_E_MODEL, path, "is not a directory");
            return sv_hint(err, SV_E_MODEL, "give the directory that holds model_index.json; a lone graph or checkpoint is not a model");
        }
        sv_fail(err, SV_E_MODEL, path, "no such directory");
        return sv_hint(err, SV_E_MODEL, "a model is a local directory with ONNX parts; for a model on a hub: optimum-cli export onnx --model %s DIR", path);
    }
    sv_status st = SV_OK;
    out->path = sv_strdup(path);
    if (!out->path) return sv_fail_memory(err, path, 0);
    size_t n = strlen(out->path);
    while (n > 1 && out->path[n - 1] == '/') out->path[--n] = 0;
    st = read_index(out, err);
    for (int i = 0; st == SV_OK && i < SV_PARTS; i++) st = read_part(out, (sv_part)i, err);
    if (st == SV_OK) st = read_tokenizers(out, err);
    if (st == SV_OK) st = read_scheduler(out, err);
    if (st != SV_OK) sv_model_dir_free(out);
    return st;
}

void sv_model_dir_free(sv_model_dir *m) {
    for (int i = 0; i < SV_PARTS; i++) {
        free(m->parts[i].graph);
        free(m->parts[i].torch);
        yyjson_doc_free(m->parts[i].config);
    }
    for (int i = 0; i < SV_MAX_TOKENIZERS; i++) free(m->tokenizers[i]);
    free(m->scheduler);
    free(m->path);
    yyjson_doc_free(m->index);
    *m = (sv_model_dir){0};
}

/* ---- what is missing ---- */

bool sv_model_dir_needs(const sv_model_dir *m, sv_part part) {
    return m->family && (m->family->parts & SV_BIT(part)) && !m->parts[part].off;
}

bool sv_model_dir_needs_tokenizer(const sv_model_dir *m, int i) {
    return m->family && (m->family->tokenizers & SV_BIT(i)) && !m->tokenizer_off[i];
}

static bool has_torch(const sv_model_dir *m) {
    for (int i = 0; i < SV_PARTS; i++)
        if (m->parts[i].torch) return true;
    return false;
}

const char *sv_model_dir_command(const sv_model_dir *m, char *buf, size_t size) {
    const char *name = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(m->index), "_name_or_path"));
    if (has_torch(m))
        snprintf(buf, size, "optimum-cli export onnx --model %s %s-onnx", m->path, m->path);
    else
        snprintf(buf, size, "optimum-cli export onnx --model %s %s", name && *name && *name != '/' && *name != '.' ? name : "MODEL", m->path);
    return buf;
}

static sv_status fail_missing(const sv_model_dir *m, const char *path, const char *what, sv_error *err) {
    char command[512];
    sv_model_dir_command(m, command, sizeof command);
    sv_fail(err, SV_E_MODEL, path, "%s is missing", what);
    if (has_torch(m))
        return sv_hint(err, SV_E_MODEL, "the directory holds PyTorch weights; export them once with `%s` (pip install \"optimum[onnxruntime]\" "
            "diffusers) and use %s-onnx", command, m->path);
    return sv_hint(err, SV_E_MODEL, "get it with `%s` (pip install \"optimum[onnxruntime]\" diffusers; MODEL is the directory or hub name of the original)", command);
}

static sv_status fail_family(const sv_model_dir *m, sv_error *err) {
    sv_buf list = {0};
    for (size_t i = 0; i < sv_family_count(); i++) sv_buf_printf(&list, "%s%s", i ? ", " : "", sv_family_at(i)->class_name);
    sv_fail(err, SV_E_MODEL, m->path, "models of the kind %s are not available", m->class_name);
    sv_status st = sv_hint(err, SV_E_MODEL, "these are: %s", list.data ? list.data : "none");
    sv_buf_free(&list);
    return st;
}

sv_status sv_model_dir_check(const sv_model_dir *m, sv_error *err) {
    if (!m->family) return fail_family(m, err);
    char path[4096];
    for (int i = 0; i < SV_PARTS; i++) {
        if (!sv_model_dir_needs(m, (sv_part)i) || m->parts[i].graph) continue;
        snprintf(path, sizeof path, "%s/%s/model.onnx", m->path, m->parts[i].name);
        return fail_missing(m, path, part_table[i].what, err);
    }
    for (int i = 0; i < SV_MAX_TOKENIZERS; i++) {
        if (!sv_model_dir_needs_tokenizer(m, i) || m->tokenizers[i]) continue;
        snprintf(path, sizeof path, "%s/%s", m->path, tokenizer_dirs[i]);
        return fail_missing(m, path, "the tokenizer", err);
    }
    if (!m->scheduler) {
        snprintf(path, sizeof path, "%s/scheduler/scheduler_config.json", m->path);
        return fail_missing(m, path, "the scheduler's configuration", err);
    }
    return SV_OK;
}

/* ---- files ---- */

sv_status sv_model_dir_files(const sv_model_dir *m, sv_file_list *l, sv_error *err) {
    SV_TRY(sv_file_list_add(l, NULL, "model_index.json", err));
    if (m->scheduler) SV_TRY(sv_file_list_add(l, "scheduler", "scheduler_config.json", err));
    for (int i = 0; i < SV_PARTS; i++) {
        const sv_part_files *part = &m->parts[i];
        if (!sv_model_dir_needs(m, (sv_part)i) || !part->graph) continue;
        SV_TRY(sv_file_list_add_graph(l, part->name, part->graph, err));
        if (part->config) SV_TRY(sv_file_list_add(l, part->config_folder, "config.json", err));
    }
    for (int i = 0; i < SV_MAX_TOKENIZERS; i++)
        if (sv_model_dir_needs_tokenizer(m, i) && m->tokenizers[i]) SV_TRY(sv_file_list_add_tokenizer(l, tokenizer_dirs[i], m->tokenizers[i], err));
    return SV_OK;
}

/* ---- values of config.json ---- */

static yyjson_val *get(const sv_part_files *part, const char *key) {
    return part->config ? yyjson_obj_get(yyjson_doc_get_root(part->config), key) : NULL;
}

sv_status sv_config_real(const sv_part_files *part, const char *key, double fallback, double *out, sv_error *err) {
    yyjson_val *v = get(part, key);
    if (yyjson_is_arr(v)) v = yyjson_arr_get_first(v);
    *out = fallback;
    if (!v || yyjson_is_null(v)) return SV_OK;
    if (!yyjson_is_num(v)) return sv_fail(err, SV_E_MODEL, part->name, "config.json: \"%s\" is not a number", key);
    *out = yyjson_get_num(v);
    return SV_OK;
}

sv_status sv_config_int(const sv_part_files *part, const char *key, int64_t fallback, int64_t *out, sv_error *err) {
    double v;
    SV_TRY(sv_config_real(part, key, (double)fallback, &v, err));
    if (!(fabs(v) < 9e15) || v != floor(v)) return sv_fail(err, SV_E_MODEL, part->name, "config.json: \"%s\" is not a whole number", key);
    *out = (int64_t)v;
    return SV_OK;
}

bool sv_config_bool(const sv_part_files *part, const char *key, bool fallback) {
    yyjson_val *v = get(part, key);
    return yyjson_is_bool(v) ? yyjson_get_bool(v) : fallback;
}

size_t sv_config_list_size(const sv_part_files *part, const char *key) {
    return yyjson_arr_size(get(part, key));
}

double sv_config_attention_stride(const sv_part_files *denoiser) {
    size_t i, n;
    yyjson_val *type;
    double stride = 1;
    yyjson_arr_foreach(get(denoiser, "down_block_types"), i, n, type) {
        const char *name = yyjson_get_str(type);
        if (name && strstr(name, "Attn")) return stride;
        stride *= 2;
    }
    return 1e9;
}

sv_status sv_config_list(const sv_part_files *part, const char *key, size_t n, float *out, sv_error *err) {
    size_t i, count;
    yyjson_val *v, *list = get(part, key);
    bool fine = yyjson_arr_size(list) == n;
    yyjson_arr_foreach(list, i, count, v) {
        fine = fine && yyjson_is_num(v);
        if (fine) out[i] = (float)yyjson_get_num(v);
    }
    return fine ? SV_OK : sv_fail(err, SV_E_MODEL, part->name, "config.json: \"%s\" is no list of %zu numbers", key, n);
}
