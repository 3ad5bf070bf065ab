/* blip.c - BLIP's image-text matching: one call of one graph for a text and some pictures. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "diffusion/model_files.h"
#include "score/clip.h"

/* Memory of one thread for rows of one length; kept in a list while nobody uses it. */
typedef struct itm_call {
    sv_call *call;
    int64_t *ids, *mask;         /* [batch, length] */
    int64_t length;
    float *pixels;               /* [batch, 3, height, width] */
    const float *logits;         /* [batch, 2] */
    sv_clip_preprocess_work work;
    struct itm_call *next;
} itm_call;

struct sv_itm {
    sv_clip_files files;
    sv_session *session;
    sv_wordpiece *words;
    sv_clip_preprocess_options preprocess;
    const char *output;          /* the logits' name */
    int width, height;
    int64_t batch, longest;      /* pictures per call; ids in the longest row */
    bool fixed;                  /* the graph takes rows of `longest` only */
    pthread_mutex_t lock;        /* guards what follows */
    itm_call *calls;
    char hash[65];
};

void sv_itm_options_init(sv_itm_options *o) {
    *o = (sv_itm_options){.pillow = 13, .batch = 1};
    sv_engine_options_init(&o->engine);
}

bool sv_itm_is_model(const char *dir) {
    char *path = sv_path_join(dir, "config.json"), *text = NULL;
    size_t size = 0;
    yyjson_doc *doc = NULL;
    if (path && sv_is_file(path) && sv_file_read(path, 1u << 24, &text, &size, NULL) == SV_OK)
        doc = yyjson_read_opts(text, size, YYJSON_READ_ALLOW_INF_AND_NAN, NULL, NULL);
    bool blip = yyjson_equals_str(yyjson_obj_get(yyjson_doc_get_root(doc), "model_type"), "blip");
    yyjson_doc_free(doc);
    free(text);
    free(path);
    return blip;
}

/* ---- open ---- */

static sv_status find_files(sv_itm *m, const char *dir, sv_error *err) {
    static const char how[] = "export BlipForImageTextRetrieval with torch.onnx.export: input_ids, attention_mask and pixel_values in, itm_logits out";
    sv_status st = sv_clip_files_find(&m->files, dir, err);
    if (st == SV_OK && !m->files.joint) st = sv_fail(err, SV_E_MODEL, dir, "is a CLIP directory, not one of a BLIP matching model");
    if (st == SV_OK && !sv_itm_is_model(dir))
        return sv_hint(err, sv_fail(err, SV_E_MODEL, dir, "is not a BLIP model: model_type in its config.json is not \"blip\""), "clip-score is for CLIP models");
    if (st == SV_E_MODEL && err && strstr(err->why, "model.onnx")) return sv_hint(err, st, "%s", how);
    return st;
}

static sv_status read_preprocessor(sv_itm *m, const sv_itm_options *o, sv_error *err) {
    yyjson_val *config = yyjson_doc_get_root(m->files.preprocessor);
    sv_clip_preprocess_options *p = &m->preprocess;
    SV_TRY(sv_clip_read_preprocessor(config, m->files.dir, p, err));
    if (o->pillow != 13 && o->pillow != 11) return sv_fail(err, SV_E_USAGE, "pillow", "%d is neither 13 nor 11", o->pillow);
    if (o->batch < 1 || o->batch > 4096) return sv_fail(err, SV_E_USAGE, "batch", "%d is not in 1..4096", o->batch);
    if (!yyjson_obj_get(config, "do_center_crop")) p->crop_width = p->crop_height = 0;   /* unlike CLIP, BLIP resizes straight to its size */
    if (!yyjson_obj_get(config, "size")) {
        p->shortest_edge = 0;
        p->width = p->height = 384;
    }
    p->pipeline = o->opaque ? SV_CLIP_DATA_JUICER : SV_CLIP_HF;
    p->order = o->pillow;
    m->batch = o->batch;
    if (sv_clip_preprocess_size(p, &m->width, &m->height, err) == SV_OK) return SV_OK;
    if (err) err->status = SV_E_MODEL;
    return SV_E_MODEL;
}

static sv_status check_graph(sv_itm *m, sv_error *err) {
    const char *graph = m->files.vision;
    static const char *const inputs[] = {"input_ids", "attention_mask", "pixel_values"};
    for (int i = 0; i < 3; i++)
        if (!sv_session_input(m->session, inputs[i])) return sv_fail(err, SV_E_MODEL, graph, "the graph has no input \"%s\"", inputs[i]);
    m->output = sv_session_output(m->session, "itm_logits") ? "itm_logits" : "itm_score";
    const sv_tensor_info *out = sv_session_output(m->session, m->output), *ids = sv_session_input(m->session, "input_ids");
    if (!out) return sv_fail(err, SV_E_MODEL, graph, "the graph has no output \"itm_logits\"");
    if (out->rank != 2 || (out->dims[1] > 0 && out->dims[1] != 2)) return sv_fail(err, SV_E_MODEL, graph, "\"%s\" is not two numbers a picture", m->output);
    yyjson_val *of_text = yyjson_obj_get(yyjson_doc_get_root(m->files.config), "text_config");
    yyjson_val *positions = yyjson_obj_get(of_text, "max_position_embeddings"), *rows = yyjson_obj_get(of_text, "vocab_size");
    m->longest = yyjson_is_int(positions) && yyjson_get_sint(positions) > 2 && yyjson_get_sint(positions) <= 1 << 16 ? yyjson_get_sint(positions) : 512;
    if (ids->rank == 2 && ids->dims[1] > 2) {
        m->fixed = true;
        m->longest = ids->dims[1];
    }
    if (yyjson_is_uint(rows) && sv_wordpiece_vocabulary(m->words) > yyjson_get_uint(rows)) {
        sv_fail(err, SV_E_MODEL, m->files.dir, "the tokenizer has ids up to %zu, but the model was trained with %llu", sv_wordpiece_vocabulary(m->words) - 1,
                (unsigned long long)yyjson_get_uint(rows));
        return sv_hint(err, SV_E_MODEL, "tokenizer and model do not belong together");
    }
    return SV_OK;
}

sv_status sv_itm_open(sv_itm **out, const char *dir, const sv_itm_options *o, sv_error *err) {
    *out = NULL;
    sv_itm_options defaults;
    sv_itm_options_init(&defaults);
    if (!o) o = &defaults;
    sv_itm *m = calloc(1, sizeof *m);
    if (!m) return sv_fail_memory(err, dir, sizeof *m);
    pthread_mutex_init(&m->lock, NULL);
    sv_session_options session = {.provider = o->engine.provider, .provider_library = o->engine.provider_library,
                                   .provider_options = o->engine.provider_options, .threads = o->engine.threads_per_image, .lazy = o->engine.lazy};
    sv_status st = find_files(m, dir, err);
    if (st == SV_OK) st = read_preprocessor(m, o, err);
    if (st == SV_OK) st = sv_wordpiece_open(&m->words, dir, err);
    if (st == SV_OK) st = sv_session_open(&m->session, m->files.vision, &session, err);
    if (st == SV_OK) st = check_graph(m, err);
    if (st != SV_OK) sv_itm_close(&m);
    *out = m;
    return st;
}

static void free_call(itm_call *k) {
    if (!k) return;
    sv_call_close(&k->call);
    sv_clip_preprocess_work_free(&k->work);
    free(k);
}

void sv_itm_close(sv_itm **itm) {
    sv_itm *m = *itm;
    if (!m) return;
    for (itm_call *k = m->calls; k;) {
        itm_call *next = k->next;
        free_call(k);
        k = next;
    }
    sv_session_close(&m->session);
    sv_wordpiece_close(&m->words);
    sv_clip_files_free(&m->files);
    pthread_mutex_destroy(&m->lock);
    free(m);
    *itm = NULL;
}

static sv_status hash_files(const sv_itm *m, char out[65], sv_error *err) {
    sv_file_list l = {0};
    const sv_clip_files *f = &m->files;
    sv_status st = sv_file_list_add(&l, NULL, "preprocessor_config.json", err);
    if (st == SV_OK) st = sv_file_list_add(&l, NULL, "config.json", err);
    if (st == SV_OK) st = sv_file_list_add_graph(&l, f->folder, f->vision, err);
    if (st == SV_OK) st = sv_file_list_add_tokenizer(&l, NULL, f->dir, err);
    if (st == SV_OK) st = sv_file_list_hash(&l, f->dir, out, err);
    sv_file_list_free(&l);
    return st;
}

sv_status sv_itm_hash(sv_itm *m, char out[65], sv_error *err) {
    sv_status st = SV_OK;
    pthread_mutex_lock(&m->lock);
    if (!m->hash[0]) st = hash_files(m, m->hash, err);
    if (st == SV_OK) memcpy(out, m->hash, sizeof m->hash);
    pthread_mutex_unlock(&m->lock);
    return st;
}

/* ---- scoring ---- */

/* Rows are padded to 16, 32, 64 … ids, so that a few bound shapes serve every text; the padding is masked out. */
static int64_t row_length(const sv_itm *m, size_t ids) {
    int64_t length = 16;
    while (length < (int64_t)ids + 2 && length < m->longest) length *= 2;
    return m->fixed || length > m->longest ? m->longest : length;
}

static sv_status borrow(sv_itm *m, int64_t length, itm_call **out, sv_error *err) {
    itm_call *k = NULL;
    pthread_mutex_lock(&m->lock);
    for (itm_call **at = &m->calls; *at && !k; at = &(*at)->next)
        if ((*at)->length == length) {
            k = *at;
            *at = k->next;
            break;
        }
    pthread_mutex_unlock(&m->lock);
    if (!k) {
        const int64_t row[2] = {m->batch, length}, pixels[4] = {m->batch, 3, m->height, m->width}, logits[2] = {m->batch, 2};
        k = calloc(1, sizeof *k);
        if (!k) return sv_fail_memory(err, "itm", sizeof *k);
        k->length = length;
        sv_status st = sv_call_open(&k->call, m->session, err);
        if (st == SV_OK) st = sv_call_ints(k->call, "input_ids", row, 2, &k->ids, err);
        if (st == SV_OK) st = sv_call_ints(k->call, "attention_mask", row, 2, &k->mask, err);
        if (st == SV_OK) st = sv_call_floats(k->call, "pixel_values", pixels, 4, &k->pixels, err);
        if (st == SV_OK) st = sv_call_output(k->call, m->output, logits, 2, &k->logits, err);
        if (st != SV_OK) {
            free_call(k);
            return st;
        }
    }
    *out = k;
    return SV_OK;
}

static void give_back(sv_itm *m, itm_call *k) {
    pthread_mutex_lock(&m->lock);
    k->next = m->calls;
    m->calls = k;
    pthread_mutex_unlock(&m->lock);
}

/* The text into every row, the pictures into theirs. Rows beyond n repeat the last picture: the call always has all its rows. */
static sv_status lay_out(sv_itm *m, itm_call *k, const sv_ids *ids, const sv_image *const *images, size_t n, size_t *cut, sv_error *err) {
    size_t over = sv_wordpiece_row(m->words, ids, (size_t)k->length, k->ids), used = ids->size - over + 2;
    if (cut) *cut = over;
    for (int64_t i = 0; i < k->length; i++) k->mask[i] = i < (int64_t)used;
    size_t bytes = (size_t)k->length * sizeof *k->ids, picture = (size_t)3 * (size_t)m->height * (size_t)m->width;
    for (int64_t row = 1; row < m->batch; row++) {
        memcpy(k->ids + row * k->length, k->ids, bytes);
        memcpy(k->mask + row * k->length, k->mask, bytes);
    }
    for (size_t i = 0; i < n; i++) SV_TRY(sv_clip_preprocess(images[i], &m->preprocess, &k->work, k->pixels + i * picture, err));
    for (size_t i = n; i < (size_t)m->batch; i++) memcpy(k->pixels + i * picture, k->pixels + (n - 1) * picture, picture * sizeof *k->pixels);
    return SV_OK;
}

sv_status sv_itm_score(sv_itm *m, const char *text, const sv_image *const *images, size_t n, double *probabilities, size_t *cut, sv_error *err) {
    if (n < 1 || n > (size_t)m->batch) return sv_fail(err, SV_E_INTERNAL, "itm", "%zu pictures given to a batch of %lld", n, (long long)m->batch);
    sv_ids ids = {0};
    itm_call *k = NULL;
    sv_status st = sv_wordpiece_encode(m->words, text, strlen(text), &ids, err);
    if (st == SV_OK) st = borrow(m, row_length(m, ids.size), &k, err);
    if (st == SV_OK) st = lay_out(m, k, &ids, images, n, cut, err);
    if (st == SV_OK) st = sv_call_run(k->call, err);
    for (size_t i = 0; st == SV_OK && i < n; i++) probabilities[i] = 1 / (1 + exp((double)k->logits[2 * i] - (double)k->logits[2 * i + 1]));
    if (k) give_back(m, k);
    sv_ids_free(&ids);
    return st;
}
