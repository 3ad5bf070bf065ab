/* pipeline_parts.c - the graphs of a pipeline: loaded when first needed, let go by phase. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "diffusion/pipeline.h"

/* ---- what the files say ---- */

/* Missing external data would be an error of ONNX Runtime's too, but one that does not say what to do. */
static sv_status check_externals(const sv_pipeline *p, const char *graph, const sv_graph_file *g, sv_error *err) {
    char *dir = sv_path_dir(graph);
    sv_status st = dir ? SV_OK : sv_fail_memory(err, graph, 0);
    for (size_t i = 0; st == SV_OK && i < g->external_count; i++) {
        char *file = sv_path_join(dir, g->externals[i]), command[512];
        if (!file) {
            st = sv_fail_memory(err, graph, 0);
        } else if (!sv_is_file(file)) {
            sv_fail(err, SV_E_MODEL, file, "the weights of %s are missing", graph);
            st = sv_hint(err, SV_E_MODEL, "copy the file beside the graph, or export again: %s", sv_model_dir_command(&p->dir, command, sizeof command));
        }
        free(file);
    }
    free(dir);
    return st;
}

/* Says so once for all parts that compute in half precision on a CPU. */
static void warn_of_half(const sv_pipeline *p) {
    sv_buf names = {0};
    if (strcmp(p->provider, "cpu") != 0) return;
    for (int i = 0; i < SV_PARTS; i++)
        if (p->graphs[i].half_values) sv_buf_printf(&names, "%s%s", names.size ? ", " : "", p->dir.parts[i].name);
    if (names.size)
        sv_say(&p->log, SV_LOG_WARN, "%s: %s in half precision, which the cpu provider converts step by step: slower than a float32 export, and pictures "
               "differ a little from a GPU's", p->dir.path, names.data);
    sv_buf_free(&names);
}

sv_status sv_pipeline_read_graphs(sv_pipeline *p, sv_error *err) {
    for (int i = 0; i < SV_PARTS; i++) {
        const char *graph = p->dir.parts[i].graph;
        if (!sv_model_dir_needs(&p->dir, (sv_part)i)) continue;
        SV_TRY(sv_graph_file_read(graph, &p->graphs[i], err));
        SV_TRY(check_externals(p, graph, &p->graphs[i], err));
    }
    warn_of_half(p);
    return SV_OK;
}

/* ---- loading ---- */

static unsigned phase_of(sv_part part) {
    switch (part) {
    case SV_PART_DENOISER: return SV_PHASE_DENOISE;
    case SV_PART_DECODER: return SV_PHASE_DECODE;
    case SV_PART_ENCODER: return SV_PHASE_PICTURE;
    default: return SV_PHASE_TEXT;
    }
}

/* Few need the encoder of pictures, so it is looked at only here. */
static sv_status check_encoder(const sv_pipeline *p, sv_error *err) {
    const char *graph = p->dir.parts[SV_PART_ENCODER].graph;
    sv_graph_file g;
    if (!graph) {
        char command[512];
        sv_fail(err, SV_E_MODEL, p->dir.path, "has no vae_encoder/model.onnx, which turns pictures into latents");
        return sv_hint(err, SV_E_MODEL, "get it with `%s`", sv_model_dir_command(&p->dir, command, sizeof command));
    }
    sv_status st = sv_graph_file_read(graph, &g, err);
    if (st == SV_OK) st = check_externals(p, graph, &g, err);
    sv_graph_file_free(&g);
    return st;
}

/* Loads a part if it is not there. The caller holds its lock. */
static sv_status need(sv_pipeline *p, sv_part part, sv_error *err) {
    if (p->sessions[part]) return SV_OK;
    if (part == SV_PART_ENCODER) SV_TRY(check_encoder(p, err));
    sv_session_options o = {.provider = p->provider, .provider_library = p->provider_library, .provider_options = p->provider_options, .threads = p->threads};
    /* A text encoder runs once for many calls of the denoiser, and may be the largest part of all: its weights are used where they lie. */
    o.mapped = phase_of(part) == SV_PHASE_TEXT && p->graphs[part].external_count > 0;
    sv_status st = sv_session_open(&p->sessions[part], p->dir.parts[part].graph, &o, err);
    if (st != SV_OK && st != SV_E_MEMORY && p->graphs[part].bfloat && strcmp(p->provider, "cpu") == 0)
        sv_hint(err, st, "its weights are bfloat16, which the cpu provider cannot compute with: export it in float32 (--dtype fp32)");
    return st;
}

sv_status sv_pipeline_call(sv_pipeline *p, sv_part part, sv_call **out, sv_error *err) {
    *out = NULL;
    pthread_mutex_lock(&p->part_locks[part]);
    sv_status st = need(p, part, err);
    if (st == SV_OK) st = sv_call_open(out, p->sessions[part], err);
    pthread_mutex_unlock(&p->part_locks[part]);
    return st;
}

/* ---- phases ---- */

typedef struct preparing {
    sv_pipeline *p;
    sv_part parts[SV_PARTS];
} preparing;

static sv_status prepare_range(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    preparing *l = user;
    for (size_t i = begin; i < end; i++) {
        pthread_mutex_lock(&l->p->part_locks[l->parts[i]]);
        sv_status st = need(l->p, l->parts[i], err);
        pthread_mutex_unlock(&l->p->part_locks[l->parts[i]]);
        if (st != SV_OK) return st;
    }
    return SV_OK;
}

sv_status sv_pipeline_prepare(sv_pipeline *p, unsigned phases, sv_error *err) {
    /* Sessions are built one per thread, so the slowest one, the denoiser, sets the time. It goes first. */
    static const sv_part order[SV_PARTS] = {SV_PART_DENOISER, SV_PART_TEXT_ENCODER_3, SV_PART_TEXT_ENCODER_2, SV_PART_TEXT_ENCODER, SV_PART_DECODER, SV_PART_ENCODER};
    preparing l = {.p = p};
    size_t n = 0;
    for (int i = 0; i < SV_PARTS; i++)
        if ((phases & phase_of(order[i])) && (order[i] == SV_PART_ENCODER || sv_model_dir_needs(&p->dir, order[i]))) l.parts[n++] = order[i];
    return n ? sv_parallel((unsigned)n, n, 1, prepare_range, &l, err) : SV_OK;
}

void sv_pipeline_release(sv_pipeline *p, unsigned phases) {
    for (int i = 0; i < SV_PARTS; i++) {
        if (!(phases & phase_of((sv_part)i))) continue;
        pthread_mutex_lock(&p->part_locks[i]);
        sv_session_close(&p->sessions[i]);
        pthread_mutex_unlock(&p->part_locks[i]);
    }
#ifdef __GLIBC__
    malloc_trim(0);              /* the C library would keep what was freed */
#endif
}
