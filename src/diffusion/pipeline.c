/* pipeline.c - opening a model: its parts are loaded side by side, and everything that a picture depends on is read from configs and graphs. */
#include "diffusion/pipeline.h"
#include "diffusion/scheduler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "infer/graph_file.h"

void sv_engine_options_init(sv_engine_options *o) {
    *o = (sv_engine_options){.provider = "cpu", .threads_per_image = 1};
}

/* ---- loading ---- */

typedef struct loading {
    sv_pipeline *p;
    sv_session_options options;
    sv_part parts[SV_PARTS];
} loading;

/* Missing external data would be an error of ONNX Runtime's too, but one that does not say what to do. */
static sv_status check_externals(const sv_pipeline *p, const sv_part_files *part, sv_error *err) {
    sv_graph_file g;
    sv_status st = sv_graph_file_read(part->graph, &g, err);
    char *dir = st == SV_OK ? sv_path_dir(part->graph) : NULL;
    for (size_t i = 0; dir && st == SV_OK && i < g.external_count; i++) {
        char *file = sv_path_join(dir, g.externals[i]), command[512];
        if (!file) {
            st = sv_fail_memory(err, part->graph, 0);
        } else if (!sv_is_file(file)) {
            sv_fail(err, SV_E_MODEL, file, "the weights of %s are missing", part->graph);
            st = sv_hint(err, SV_E_MODEL, "copy the file beside the graph, or export again: %s", sv_model_dir_command(&p->dir, command, sizeof command));
        }
        free(file);
    }
    if (st == SV_OK && !dir) st = sv_fail_memory(err, part->graph, 0);
    free(dir);
    sv_graph_file_free(&g);
    return st;
}

static sv_status load_range(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    loading *l = user;
    for (size_t i = begin; i < end; i++) {
        const sv_part_files *part = &l->p->dir.parts[l->parts[i]];
        SV_TRY(check_externals(l->p, part, err));
        SV_TRY(sv_session_open(&l->p->sessions[l->parts[i]], part->graph, &l->options, err));
    }
    return SV_OK;
}

/* Says so once for all of the first n parts of the list that compute in half precision on a CPU. */
static void warn_of_half(const sv_pipeline *p, const sv_part *parts, size_t n) {
    sv_buf names = {0};
    if (strcmp(p->provider, "cpu") != 0) return;
    for (size_t i = 0; i < n; i++)
        if (sv_session_has_f16(p->sessions[parts[i]])) sv_buf_printf(&names, "%s%s", names.size ? ", " : "", p->dir.parts[parts[i]].name);
    if (names.size)
        sv_say(&p->log, SV_LOG_WARN, "%s: %s in half precision, which the cpu provider converts step by step: slower than a float32 export, and pictures "
               "differ a little from a GPU's", p->dir.path, names.data);
    sv_buf_free(&names);
}

static sv_status load_sessions(sv_pipeline *p, sv_error *err) {
    loading l = {.p = p, .options = {.provider = p->provider, .threads = p->threads}};
    size_t n = 0;
    /* Sessions are built one per thread, so the slowest one, the denoiser, sets the time. It goes first. */
    static const sv_part order[SV_PARTS] = {SV_PART_DENOISER, SV_PART_TEXT_ENCODER_3, SV_PART_TEXT_ENCODER_2, SV_PART_TEXT_ENCODER, SV_PART_DECODER, SV_PART_ENCODER};
    for (int i = 0; i < SV_PARTS; i++)
        if (sv_model_dir_needs(&p->dir, order[i])) l.parts[n++] = order[i];
    SV_TRY(sv_parallel((unsigned)n, n, 1, load_range, &l, err));
    warn_of_half(p, l.parts, n);
    return SV_OK;
}

sv_status sv_pipeline_need_encoder(sv_pipeline *p, sv_error *err) {
    const sv_part_files *part = &p->dir.parts[SV_PART_ENCODER];
    if (!part->graph) {
        char command[512];
        sv_fail(err, SV_E_MODEL, p->dir.path, "has no vae_encoder/model.onnx, which turns pictures into latents");
        return sv_hint(err, SV_E_MODEL, "get it with `%s`", sv_model_dir_command(&p->dir, command, sizeof command));
    }
    pthread_mutex_lock(&p->lock);
    sv_status st = SV_OK;
    if (!p->sessions[SV_PART_ENCODER]) {
        loading l = {.p = p, .options = {.provider = p->provider, .threads = p->threads}, .parts = {SV_PART_ENCODER}};
        st = load_range(&l, 0, 0, 1, err);
        if (st == SV_OK) warn_of_half(p, l.parts, 1);
    }
    pthread_mutex_unlock(&p->lock);
    return st;
}

static sv_status check_vocabulary(const sv_pipeline *p, int i, size_t vocabulary, sv_error *err) {
    const sv_part_files *encoder = &p->dir.parts[SV_PART_TEXT_ENCODER + i];
    int64_t rows;
    SV_TRY(sv_config_int(encoder, "vocab_size", 0, &rows, err));
    if (rows <= 0 || vocabulary <= (size_t)rows) return SV_OK;
    sv_fail(err, SV_E_MODEL, p->dir.tokenizers[i], "has %zu entries, but %s was trained with %lld", vocabulary, encoder->name, (long long)rows);
    return sv_hint(err, SV_E_MODEL, "tokenizer and text encoder are of different models");
}

static sv_status load_tokenizers(sv_pipeline *p, sv_error *err) {
    for (int i = 0; i < SV_MAX_TOKENIZERS; i++) {
        if (!sv_model_dir_needs_tokenizer(&p->dir, i)) continue;
        if (p->family->t5 & SV_BIT(i)) {
            SV_TRY(sv_t5_open(&p->t5[i], p->dir.tokenizers[i], err));
            SV_TRY(check_vocabulary(p, i, sv_t5_vocabulary(p->t5[i]), err));
            continue;
        }
        SV_TRY(sv_tokenizer_open(&p->tokenizers[i], p->dir.tokenizers[i], err));
        SV_TRY(check_vocabulary(p, i, sv_tokenizer_vocabulary(p->tokenizers[i]), err));
        int64_t positions;
        size_t longest = sv_tokenizer_max_length(p->tokenizers[i]);
        SV_TRY(sv_config_int(&p->dir.parts[SV_PART_TEXT_ENCODER + i], "max_position_embeddings", 77, &positions, err));
        /* Tokenizers without a limit say a number beyond all sense; the encoder's table of positions is the limit then. */
        p->text_length[i] = longest > 2 && longest <= (size_t)positions ? (int)longest : (int)positions;
        if (p->text_length[i] < 3) return sv_fail(err, SV_E_MODEL, p->dir.tokenizers[i], "gives no room for a text: %d ids", p->text_length[i]);
    }
    return SV_OK;
}

sv_status sv_pipeline_open(sv_pipeline **out, const char *model_dir, const sv_engine_options *o, const sv_log *log, sv_error *err) {
    *out = NULL;
    sv_engine_options defaults;
    sv_engine_options_init(&defaults);
    if (!o) o = &defaults;
    sv_pipeline *p = calloc(1, sizeof *p);
    if (!p) return sv_fail_memory(err, model_dir, sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    if (log) p->log = *log;
    p->threads = o->threads_per_image;
    p->provider = sv_strdup(o->provider ? o->provider : "cpu");
    sv_status st = p->provider ? sv_model_dir_read(&p->dir, model_dir, err) : sv_fail_memory(err, model_dir, 0);
    if (st == SV_OK) st = sv_model_dir_check(&p->dir, err);
    if (st == SV_OK) {
        p->family = p->dir.family;
        st = sv_model_dir_sizes(&p->dir, &p->sizes, err);
    }
    if (st == SV_OK) st = load_tokenizers(p, err);
    if (st == SV_OK) st = load_sessions(p, err);
    if (st != SV_OK) {
        sv_pipeline_close(&p);
        return st;
    }
    *out = p;
    return SV_OK;
}

void sv_pipeline_close(sv_pipeline **pipeline) {
    sv_pipeline *p = *pipeline;
    if (!p) return;
    for (int i = 0; i < SV_PARTS; i++) sv_session_close(&p->sessions[i]);
    for (int i = 0; i < SV_MAX_TOKENIZERS; i++) {
        sv_tokenizer_close(&p->tokenizers[i]);
        sv_t5_close(&p->t5[i]);
    }
    sv_model_dir_free(&p->dir);
    pthread_mutex_destroy(&p->lock);
    free(p->provider);
    free(p);
    *pipeline = NULL;
}

const char *sv_pipeline_family(const sv_pipeline *p) {
    return p->family->name(&p->dir);
}

sv_status sv_pipeline_scheduler(const sv_pipeline *p, const char *override, sv_scheduler **out, sv_error *err) {
    return sv_scheduler_open_amended(out, p->dir.scheduler, override, p->family->amend, err);
}

int sv_pipeline_multiple(const sv_pipeline *p) {
    return p->sizes.multiple;
}

void sv_pipeline_default_size(const sv_pipeline *p, int *width, int *height) {
    *width = p->sizes.width;
    *height = p->sizes.height;
}

void sv_pipeline_defaults(const sv_pipeline *p, int *steps, double *guidance) {
    *steps = p->family->steps;
    *guidance = p->family->guidance;
}

sv_status sv_pipeline_hash(sv_pipeline *p, char out[65], sv_error *err) {
    sv_status st = SV_OK;
    pthread_mutex_lock(&p->lock);
    if (!p->hash[0]) {
        sv_file_list files = {0};
        st = sv_model_dir_files(&p->dir, &files, err);
        if (st == SV_OK) st = sv_file_list_hash(&files, p->dir.path, p->hash, err);
        sv_file_list_free(&files);
    }
    if (st == SV_OK) memcpy(out, p->hash, sizeof p->hash);
    pthread_mutex_unlock(&p->lock);
    return st;
}
