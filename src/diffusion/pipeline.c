/* pipeline.c - opening a model: everything that a picture's settings depend on is read from configs, tokenizers and the graphs' own words. The graphs
 * themselves are loaded when first needed (pipeline_parts.c). */
#include "diffusion/pipeline.h"
#include "diffusion/scheduler.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

void sv_engine_options_init(sv_engine_options *o) {
    *o = (sv_engine_options){.provider = "cpu", .threads_per_image = 1};
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
    for (int i = 0; i < SV_PARTS; i++) pthread_mutex_init(&p->part_locks[i], NULL);
    if (log) p->log = *log;
    p->threads = o->threads_per_image;
    p->provider = sv_strdup(o->provider ? o->provider : "cpu");
    p->provider_library = sv_strdup(o->provider_library);
    p->provider_options = sv_strdup(o->provider_options);
    bool copied = p->provider && !p->provider_library == !o->provider_library && !p->provider_options == !o->provider_options;
    sv_status st = copied ? sv_model_dir_read(&p->dir, model_dir, err) : sv_fail_memory(err, model_dir, 0);
    if (st == SV_OK) st = sv_model_dir_check(&p->dir, err);
    if (st == SV_OK) {
        p->family = p->dir.family;
        st = sv_model_dir_sizes(&p->dir, &p->sizes, err);
    }
    if (st == SV_OK) st = load_tokenizers(p, err);
    if (st == SV_OK) st = sv_pipeline_read_graphs(p, err);
    if (st == SV_OK) st = sv_provider_check(&(sv_session_options){.provider = p->provider, .provider_library = p->provider_library,
                                                                 .provider_options = p->provider_options}, err);
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
    for (int i = 0; i < SV_PARTS; i++) {
        sv_session_close(&p->sessions[i]);
        sv_graph_file_free(&p->graphs[i]);
        pthread_mutex_destroy(&p->part_locks[i]);
    }
    for (int i = 0; i < SV_MAX_TOKENIZERS; i++) {
        sv_tokenizer_close(&p->tokenizers[i]);
        sv_t5_close(&p->t5[i]);
    }
    sv_model_dir_free(&p->dir);
    pthread_mutex_destroy(&p->lock);
    free(p->provider);
    free(p->provider_library);
    free(p->provider_options);
    free(p);
    *pipeline = NULL;
}

const char *sv_pipeline_family(const sv_pipeline *p) {
    return p->family->name(&p->dir);
}

sv_status sv_pipeline_scheduler(const sv_pipeline *p, const char *override, sv_scheduler **out, sv_error *err) {
    sv_status st = sv_scheduler_open_amended(out, p->dir.scheduler, override, p->family->amend, err);
    if (st != SV_E_INPUT || !err || (override && *override)) return st;
    /* The model's own file is at fault, not what the caller asked for. */
    snprintf(err->what, sizeof err->what, "%s/scheduler/scheduler_config.json", p->dir.path);
    return err->status = SV_E_MODEL;
}

int sv_pipeline_multiple(const sv_pipeline *p) {
    return p->sizes.multiple;
}

void sv_pipeline_default_size(const sv_pipeline *p, int *width, int *height) {
    *width = p->sizes.width;
    *height = p->sizes.height;
}

int sv_pipeline_tile(const sv_pipeline *p) {
    int64_t side = 0;
    int step = 4 * p->sizes.factor;
    if (sv_config_int(&p->dir.parts[SV_PART_DECODER], "sample_size", 0, &side, NULL) != SV_OK || side < step || side > 1 << 14) side = p->sizes.width;
    return (int)side < step ? step : (int)side / step * step;
}

sv_status sv_pipeline_can_refine(const sv_pipeline *refiner, const sv_pipeline *base, sv_error *err) {
    const sv_pipeline *both[] = {base, refiner};
    for (int i = 0; i < 2; i++) {
        if (sv_str_starts(both[i]->family->class_name, "StableDiffusionXL")) continue;
        sv_fail(err, SV_E_MODEL, both[i]->dir.path, "is %s, which cannot %s", sv_pipeline_family(both[i]), i ? "be a refiner" : "hand its latents over to a refiner");
        return sv_hint(err, SV_E_MODEL, "refiner and base are SDXL models: stabilityai/stable-diffusion-xl-refiner-1.0 goes with SDXL");
    }
    if (refiner->sizes.channels == base->sizes.channels && refiner->sizes.factor == base->sizes.factor) return SV_OK;
    return sv_fail(err, SV_E_MODEL, refiner->dir.path, "has latents of %d channels, %d times smaller than pictures, and its base %d and %d", refiner->sizes.channels,
                   refiner->sizes.factor, base->sizes.channels, base->sizes.factor);
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
