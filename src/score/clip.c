/* clip.c - opening a CLIP model, and the cosine and the score of two embeddings. */
#include "score/clip.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "base/thread.h"
#include "diffusion/model_files.h"

void sv_clip_options_init(sv_clip_options *o) {
    *o = (sv_clip_options){.flavour = "synthvlm", .pillow = 13, .batch = 4};
    sv_engine_options_init(&o->engine);
}

/* ---- open ---- */

static sv_status set_flavour(sv_clip *c, const sv_clip_options *o, sv_error *err) {
    c->flavour = sv_clip_flavour_find(o->flavour ? o->flavour : "synthvlm");
    if (!c->flavour) {
        sv_buf names = {0};
        for (size_t i = 0; i < sv_clip_flavour_count(); i++) sv_buf_printf(&names, "%s%s", i ? ", " : "", sv_clip_flavour_at(i)->name);
        sv_fail(err, SV_E_USAGE, "flavour", "there is no \"%s\"", o->flavour);
        sv_hint(err, SV_E_USAGE, "these are: %s", names.data ? names.data : "");
        sv_buf_free(&names);
        return SV_E_USAGE;
    }
    /* Exactly one blank between prefix and caption. */
    const char *prefix = o->prefix ? o->prefix : c->flavour->prefix;
    size_t n = strlen(prefix);
    while (n && prefix[n - 1] == ' ') n--;
    c->prefix = malloc(n + 2);
    if (!c->prefix) return sv_fail_memory(err, "prefix", n + 2);
    memcpy(c->prefix, prefix, n);
    memcpy(c->prefix + n, n ? " " : "", n ? 2 : 1);
    return SV_OK;
}

static sv_status read_configs(sv_clip *c, const sv_clip_options *o, sv_error *err) {
    SV_TRY(sv_clip_read_preprocessor(yyjson_doc_get_root(c->files.preprocessor), c->files.dir, &c->preprocess, err));
    if (o->pillow != 13 && o->pillow != 11) return sv_fail(err, SV_E_USAGE, "pillow", "%d is neither 13 nor 11", o->pillow);
    if (o->batch < 1 || o->batch > 4096) return sv_fail(err, SV_E_USAGE, "batch", "%d is not in 1..4096", o->batch);
    /* OpenAI's program knows no SigLIP: its texts and pictures are always prepared as transformers does. */
    c->preprocess.pipeline = c->flavour->openai_image && !sv_clip_files_siglip(&c->files) ? SV_CLIP_OPENAI : c->flavour->opaque ? SV_CLIP_DATA_JUICER : SV_CLIP_HF;
    c->preprocess.order = o->pillow;
    c->batch = o->batch;
    c->windows = o->windows;
    if (sv_clip_preprocess_size(&c->preprocess, &c->width, &c->height, err) != SV_OK) {
        if (err) err->status = SV_E_MODEL;
        return SV_E_MODEL;
    }
    return SV_OK;
}

typedef struct loading {
    sv_clip *c;
    sv_session_options options;
} loading;

static sv_status load_range(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    loading *l = user;
    sv_clip *c = l->c;
    for (size_t i = begin; i < end; i++) {
        if (i == 0) SV_TRY(sv_session_open(&c->vision, c->files.vision, &l->options, err));
        if (i == 1) SV_TRY(sv_session_open(&c->text, c->files.text, &l->options, err));
        if (i == 2 && sv_clip_files_siglip(&c->files)) SV_TRY(sv_siglip_open(&c->siglip, c->files.dir, err));
        else if (i == 2) SV_TRY(sv_tokenizer_open(&c->tokenizer, c->files.dir, err));
    }
    return SV_OK;
}

static sv_status load(sv_clip *c, const sv_clip_options *o, sv_error *err) {
    loading l = {.c = c, .options = {.provider = o->engine.provider, .provider_library = o->engine.provider_library,
                                        .provider_options = o->engine.provider_options, .threads = o->engine.threads_per_image, .lazy = o->engine.lazy}};
    if (!c->files.joint) return sv_parallel(3, 3, 1, load_range, &l, err);
    SV_TRY(load_range(&l, 0, 0, 1, err));
    c->text = c->vision;
    return load_range(&l, 0, 2, 3, err);
}

/* Sizes that the graphs or the config tell: width of an embedding, ids in a row. */
static sv_status read_sizes(sv_clip *c, sv_error *err) {
    bool siglip = c->siglip != NULL;
    c->text_output = sv_clip_output_name(c->text, "text_embeds", siglip);
    c->image_output = sv_clip_output_name(c->vision, "image_embeds", siglip);
    const sv_tensor_info *text = c->text_output ? sv_session_output(c->text, c->text_output) : NULL;
    if (!text || !c->image_output) {
        sv_fail(err, SV_E_MODEL, text ? c->files.vision : c->files.text, "the graph has no output \"%s\"", text ? "image_embeds" : "text_embeds");
        return sv_hint(err, SV_E_MODEL, "export the model with its projections, as transformers.js and optimum do");
    }
    yyjson_val *config = yyjson_doc_get_root(c->files.config), *of_text = yyjson_obj_get(config, "text_config");
    yyjson_val *projection = yyjson_obj_get(config, "projection_dim"), *positions = yyjson_obj_get(of_text, "max_position_embeddings");
    yyjson_val *rows = yyjson_obj_get(of_text, "vocab_size");
    if (!projection) projection = yyjson_obj_get(of_text, siglip ? "projection_size" : "projection_dim");
    if (!projection && siglip) projection = yyjson_obj_get(of_text, "hidden_size");
    c->dim = text->rank == 2 && text->dims[1] > 0 ? text->dims[1] : yyjson_get_int(projection);
    if (c->dim < 1) return sv_fail(err, SV_E_MODEL, c->files.dir, "neither the graph nor config.json says how long an embedding is");
    size_t vocabulary = siglip ? sv_siglip_vocabulary(c->siglip) : sv_tokenizer_vocabulary(c->tokenizer);
    size_t longest = siglip ? sv_siglip_max_length(c->siglip) : sv_tokenizer_max_length(c->tokenizer);
    if (yyjson_is_int(rows) && vocabulary > yyjson_get_uint(rows)) {
        sv_fail(err, SV_E_MODEL, c->files.dir, "the tokenizer has %zu entries, but the model was trained with %llu", vocabulary,
                (unsigned long long)yyjson_get_uint(rows));
        return sv_hint(err, SV_E_MODEL, "tokenizer and model do not belong together");
    }
    size_t limit = yyjson_is_int(positions) && yyjson_get_int(positions) > 2 ? (size_t)yyjson_get_int(positions) : siglip ? 64 : 77;
    c->length = (int64_t)(longest > 2 && longest < limit ? longest : limit);
    const sv_tensor_info *ids = sv_session_input(c->text, "input_ids");
    if (ids && ids->rank == 2 && ids->dims[1] > 2) c->length = ids->dims[1];
    return SV_OK;
}

const char *sv_clip_output_name(const sv_session *s, const char *name, bool siglip) {
    if (sv_session_output(s, name)) return name;
    return siglip && sv_session_output(s, "pooler_output") ? "pooler_output" : NULL;
}

/* A graph for pictures of another size than preprocessor_config.json makes them, or one that wants something else altogether. */
static sv_status check_pixels(const sv_clip *c, sv_error *err) {
    const sv_tensor_info *pixels = sv_session_input(c->vision, "pixel_values");
    yyjson_val *of_vision = yyjson_obj_get(yyjson_doc_get_root(c->files.config), "vision_config"), *size = yyjson_obj_get(of_vision, "image_size");
    char text[256];
    if (!pixels || pixels->rank != 4) {
        sv_fail(err, SV_E_MODEL, c->files.vision, "the graph does not take pictures: %s",
                pixels ? sv_tensor_text(pixels, text, sizeof text) : "no input \"pixel_values\"");
        return sv_hint(err, SV_E_MODEL, "models that take patches of any size (NaFlex) are not supported; take one of a fixed resolution");
    }
    int64_t height = pixels->dims[2] > 0 ? pixels->dims[2] : yyjson_is_int(size) ? yyjson_get_int(size) : c->height;
    int64_t width = pixels->dims[3] > 0 ? pixels->dims[3] : yyjson_is_int(size) ? yyjson_get_int(size) : c->width;
    if (height == c->height && width == c->width) return SV_OK;
    sv_fail(err, SV_E_MODEL, c->files.dir, "the model takes pictures of %lldx%lld pixels, but preprocessor_config.json makes them %dx%d", (long long)width,
            (long long)height, c->width, c->height);
    return sv_hint(err, SV_E_MODEL, "copy preprocessor_config.json from the same model: graph and configuration do not belong together");
}

/* Scale and bias of SigLIP's sigmoid: told by config.json, else fitted to what a joint graph says. Halves do not say them. */
static sv_status read_sigmoid(sv_clip *c, sv_error *err) {
    yyjson_val *config = yyjson_doc_get_root(c->files.config), *scale = yyjson_obj_get(config, "logit_scale"), *bias = yyjson_obj_get(config, "logit_bias");
    c->logit_scale = c->logit_bias = NAN;
    if (!c->siglip) return SV_OK;
    if (yyjson_is_num(scale) && yyjson_is_num(bias)) {
        c->logit_scale = exp(yyjson_get_num(scale));   /* the parameter is a logarithm, as in the checkpoint */
        c->logit_bias = yyjson_get_num(bias);
        return SV_OK;
    }
    return c->files.joint && sv_session_output(c->text, "logits_per_image") ? sv_clip_fit_sigmoid(c, err) : SV_OK;
}

sv_status sv_clip_open(sv_clip **out, const char *dir, const sv_clip_options *o, sv_error *err) {
    *out = NULL;
    sv_clip_options defaults;
    sv_clip_options_init(&defaults);
    if (!o) o = &defaults;
    sv_clip *c = calloc(1, sizeof *c);
    if (!c) return sv_fail_memory(err, dir, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    sv_status st = set_flavour(c, o, err);
    if (st == SV_OK) st = sv_clip_files_find(&c->files, dir, err);
    if (st == SV_OK && sv_itm_is_model(dir))
        st = sv_hint(err, sv_fail(err, SV_E_MODEL, dir, "is a BLIP matching model, not a CLIP"), "its score is itm-score, score.itm in a recipe");
    if (st == SV_OK) st = read_configs(c, o, err);
    if (st == SV_OK) st = load(c, o, err);
    if (st == SV_OK) st = read_sizes(c, err);
    if (st == SV_OK) st = check_pixels(c, err);
    if (st == SV_OK) st = read_sigmoid(c, err);
    if (st != SV_OK) {
        sv_clip_close(&c);
        return st;
    }
    *out = c;
    return SV_OK;
}

static void free_calls(sv_clip_call *list) {
    while (list) {
        sv_clip_call *next = list->next;
        sv_clip_call_free(list);
        list = next;
    }
}

void sv_clip_close(sv_clip **clip) {
    sv_clip *c = *clip;
    if (!c) return;
    free_calls(c->text_calls);
    free_calls(c->image_calls);
    if (c->text != c->vision) sv_session_close(&c->text);
    sv_session_close(&c->vision);
    sv_tokenizer_close(&c->tokenizer);
    sv_siglip_close(&c->siglip);
    sv_clip_files_free(&c->files);
    pthread_mutex_destroy(&c->lock);
    free(c->prefix);
    free(c);
    *clip = NULL;
}

/* ---- facts and scores ---- */

size_t sv_clip_dim(const sv_clip *c) {
    return (size_t)c->dim;
}

const char *sv_clip_prefix(const sv_clip *c) {
    return c->prefix;
}

static sv_status hash_files(const sv_clip *c, char out[65], sv_error *err) {
    sv_file_list l = {0};
    const sv_clip_files *f = &c->files;
    sv_status st = sv_file_list_add(&l, NULL, "preprocessor_config.json", err);
    if (st == SV_OK && f->config) st = sv_file_list_add(&l, NULL, "config.json", err);
    if (st == SV_OK) st = sv_file_list_add_graph(&l, f->folder, f->text, err);
    if (st == SV_OK && !f->joint) st = sv_file_list_add_graph(&l, f->folder, f->vision, err);
    if (st == SV_OK) st = sv_file_list_add_tokenizer(&l, NULL, f->dir, err);
    if (st == SV_OK) st = sv_file_list_hash(&l, f->dir, out, err);
    sv_file_list_free(&l);
    return st;
}

sv_status sv_clip_hash(sv_clip *c, char out[65], sv_error *err) {
    sv_status st = SV_OK;
    pthread_mutex_lock(&c->lock);
    if (!c->hash[0]) st = hash_files(c, c->hash, err);
    if (st == SV_OK) memcpy(out, c->hash, sizeof c->hash);
    pthread_mutex_unlock(&c->lock);
    return st;
}

double sv_clip_cosine(const sv_clip *c, const float *a, const float *b) {
    double sum = 0;
    for (int64_t i = 0; i < c->dim; i++) sum += (double)a[i] * b[i];
    return sum;
}

double sv_clip_probability(const sv_clip *c, double cosine) {
    return 1.0 / (1.0 + exp(-(c->logit_scale * cosine + c->logit_bias)));
}

size_t sv_clip_row(const sv_clip *c) {
    return (size_t)c->length;
}

double sv_clip_score(const sv_clip *c, double cosine) {
    if (c->flavour->clamp && cosine < 0) cosine = 0;
    return cosine * c->flavour->scale;
}
