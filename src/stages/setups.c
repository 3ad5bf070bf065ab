#include "stages/setups.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash_cache.h"
#include "base/thread.h"
#include "infer/infer.h"
#include "stages/draw/gates.h"
#include "stages/draw/rounds.h"
#include "synthvlm/text.h"

/* Vector instructions that ONNX Runtime's kernels tell apart: other ones give other last bits. */
static const char *processor_features(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return __builtin_cpu_supports("avx512vnni") ? "x86-64 avx512vnni" : "x86-64 avx512";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "x86-64 avx2";
    return "x86-64";
#elif defined(__aarch64__)
    return "aarch64";
#else
    return "other";
#endif
}

/* The numbers that this directory's current generate setup was made with; 0 if there is none. */
static sv_status recorded(sv_rundir *run, int64_t *batch, int64_t *threads, sv_error *err) {
    sv_setup setup;
    *batch = *threads = 0;
    SV_TRY(sv_ledger_current(run->ledger, SV_STAGE_GENERATE, "", &setup, err));
    if (!setup.id) return SV_OK;
    char *json = NULL;
    SV_TRY(sv_ledger_setup_json(run->ledger, setup.id, &json, err));
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    yyjson_val *engine = yyjson_obj_get(yyjson_doc_get_root(doc), "engine");
    *batch = yyjson_get_sint(yyjson_obj_get(engine, "batch"));
    *threads = yyjson_get_sint(yyjson_obj_get(engine, "threads_per_image"));
    yyjson_doc_free(doc);
    free(json);
    return SV_OK;
}

sv_status sv_engine_resolve(sv_rundir *run, sv_engine_plan *out, sv_error *err) {
    const sv_generate_settings *s = &run->recipe->generate;
    const sv_engine_settings *e = &s->engine;
    int64_t batch, threads;
    SV_TRY(recorded(run, &batch, &threads, err));
    out->open = !batch && (!e->batch || !e->threads_per_image);
    if (e->batch) batch = e->batch;
    bool shared = sv_recipe_adaptive(run->recipe) || s->prune.at;   /* calls are filled with pictures of several captions anyway */
    if (!batch)
        for (batch = 4; !shared && s->candidates.max % batch; batch--) continue;
    if (e->threads_per_image) threads = e->threads_per_image;
    out->threads = threads ? (int)threads : 1;
    out->batch = (int)batch;
    int64_t workers = run->o.workers ? run->o.workers : e->workers;
    if (!workers) workers = (int64_t)sv_cpu_count() / out->threads;
    out->workers = workers < 1 ? 1 : (int)workers;
    return SV_OK;
}

void sv_engine_of(const sv_recipe *r, int threads, sv_engine_options *out) {
    const sv_provider_settings *p = &r->generate.engine.provider;
    sv_engine_options_init(out);
    out->provider = p->name;
    out->provider_library = p->library;
    out->provider_options = p->options;
    out->threads_per_image = threads;
    out->lazy = true;            /* a run that has nothing left to score loads nothing */
}

sv_status sv_provider_describe(const sv_provider_settings *p, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err) {
    bool ok = yyjson_mut_obj_add_str(doc, object, "provider", p->name);
    if (p->library) {
        char hash[SV_SHA256_HEX];
        SV_TRY(sv_sha256_file_cached(p->library, hash, err));
        ok = ok && yyjson_mut_obj_add_strcpy(doc, object, "provider_library", hash);
    }
    if (p->options) {
        yyjson_doc *options = yyjson_read(p->options, strlen(p->options), YYJSON_READ_ALLOW_INF_AND_NAN);
        yyjson_mut_val *copy = yyjson_val_mut_copy(doc, yyjson_doc_get_root(options));
        ok = ok && copy && yyjson_mut_obj_add_val(doc, object, "provider_options", copy);
        yyjson_doc_free(options);
    }
    return ok ? SV_OK : sv_fail_memory(err, "setup", 0);
}

void sv_paint_plan(const sv_recipe *r, const sv_draw_models *m, const sv_engine_plan *engine, sv_paint_options *out) {
    const sv_generate_settings *s = &r->generate;
    sv_paint_options_init(out);
    out->width = s->size[0];
    out->height = s->size[1];
    if (!out->width) sv_pipeline_default_size(m->base, &out->width, &out->height);
    out->batch = engine->batch;
    out->steps = (int)s->steps;
    out->guidance = s->guidance;
    out->guidance_rescale = s->guidance_rescale;
    out->scheduler = s->scheduler;
    out->eta = s->eta;
    sv_recipe_guidance_interval(s, &out->guidance_from, &out->guidance_until);
    if (s->vae_tiling == SV_TILING_ON || (s->vae_tiling == SV_TILING_AUTO && (int64_t)out->width * out->height > 1500000))
        out->vae_tile = s->vae_tile > 0 ? (int)s->vae_tile : sv_pipeline_tile(m->base);
    if (out->width <= out->vae_tile && out->height <= out->vae_tile) out->vae_tile = 0;
    if (m->refiner) {
        out->refiner = m->refiner;
        out->denoising_end = s->refiner.at;
        out->refiner_authors_call = s->refiner.handover == SV_HANDOVER_SYNTHVLM;
        out->aesthetic_score = s->refiner.aesthetic_score;
        out->negative_aesthetic_score = s->refiner.negative_aesthetic_score;
    }
}

/* Each only where the recipe uses it, so that setups without them keep their hash. */
static sv_status add_extras(const sv_recipe *r, const sv_paint_options *paint, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err) {
    const sv_generate_settings *s = &r->generate;
    bool ok = true;
    if (paint->guidance_from > 0 || paint->guidance_until < 1) {
        yyjson_mut_val *interval = yyjson_mut_obj_add_arr(doc, object, "guidance_interval");
        ok = interval && yyjson_mut_arr_add_real(doc, interval, paint->guidance_from) && yyjson_mut_arr_add_real(doc, interval, paint->guidance_until);
    }
    if (paint->vae_tile) ok = ok && yyjson_mut_obj_add_int(doc, object, "vae_tile", paint->vae_tile);
    if (s->clip_skip) ok = ok && yyjson_mut_obj_add_int(doc, object, "clip_skip", s->clip_skip);
    if (s->metadata) ok = ok && yyjson_mut_obj_add_int(doc, object, "metadata", 1);      /* the version of what is written */
    if (paint->refiner) {
        char hash[65];
        SV_TRY(sv_pipeline_hash(paint->refiner, hash, err));
        yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, object, "refiner");
        ok = ok && o && yyjson_mut_obj_add_strcpy(doc, o, "model", hash) && yyjson_mut_obj_add_real(doc, o, "at", s->refiner.at) &&
             yyjson_mut_obj_add_str(doc, o, "handover", s->refiner.handover == SV_HANDOVER_SYNTHVLM ? "synthvlm" : "diffusers") &&
             yyjson_mut_obj_add_real(doc, o, "aesthetic_score", s->refiner.aesthetic_score) &&
             yyjson_mut_obj_add_real(doc, o, "negative_aesthetic_score", s->refiner.negative_aesthetic_score);
    }
    return ok ? SV_OK : sv_fail_memory(err, "generate setup", 0);
}

static sv_status add_pruning(const sv_recipe *r, const sv_pruning *p, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err) {
    double checks[SV_MOST_CHECKS];
    int n = sv_recipe_checks(&r->generate.prune, checks);
    yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, object, "prune"), *at = o ? yyjson_mut_obj_add_arr(doc, o, "at") : NULL;
    bool ok = at && yyjson_mut_obj_add_real(doc, o, "keep", r->generate.prune.keep);
    for (int i = 0; ok && i < n; i++) ok = yyjson_mut_arr_add_real(doc, at, checks[i]);
    ok = ok && sv_rounds_describe(r, doc, o) && sv_rounds_describe_scores(p->scorers, p->score, doc, o);
    return ok ? SV_OK : sv_fail_memory(err, "generate setup", 0);
}

/* The mappers of a process list, as a JSON list (malloc). */
static char *mappers_of(const char *process) {
    yyjson_doc *list = process ? yyjson_read(process, strlen(process), YYJSON_READ_ALLOW_INF_AND_NAN) : NULL;
    yyjson_mut_doc *out = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *mappers = out ? yyjson_mut_arr(out) : NULL;
    char *text = NULL;
    if (mappers) {
        size_t i, n;
        yyjson_val *op;
        yyjson_mut_doc_set_root(out, mappers);
        yyjson_arr_foreach(yyjson_doc_get_root(list), i, n, op) {
            yyjson_obj_iter it = yyjson_obj_iter_with(op);
            yyjson_val *key = yyjson_obj_iter_next(&it);
            const sv_op_info *info = key ? sv_op_find(yyjson_get_str(key)) : NULL;
            if (info && info->kind == SV_OP_MAPPER) yyjson_mut_arr_append(mappers, yyjson_val_mut_copy(out, op));
        }
        text = yyjson_mut_write(out, 0, NULL);
    }
    yyjson_doc_free(list);
    yyjson_mut_doc_free(out);
    return text;
}

/* Mappers change what is drawn; filters do not. They are filed as the compiled list says them, with every default. */
sv_status sv_add_mappers(const sv_recipe *r, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err) {
    char *list = mappers_of(r->captions.process);
    if (!list) return sv_fail_memory(err, "generate setup", 0);
    sv_process *process = NULL;
    sv_status st = sv_process_open(&process, list, (sv_view)r->captions.view, r->dir, err);
    free(list);
    if (st != SV_OK) return st;
    const char *json = sv_process_json(process);
    yyjson_doc *compiled = yyjson_read(json, strlen(json), YYJSON_READ_ALLOW_INF_AND_NAN);
    yyjson_mut_val *copy = yyjson_val_mut_copy(doc, yyjson_doc_get_root(compiled));
    if (!copy || !yyjson_mut_obj_add_val(doc, object, "mappers", copy)) st = sv_fail_memory(err, "generate setup", 0);
    yyjson_doc_free(compiled);
    sv_process_close(&process);
    return st;
}

static sv_status add_scheduler(const sv_recipe *r, const sv_pipeline *p, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err) {
    sv_scheduler *scheduler = NULL;
    SV_TRY(sv_pipeline_scheduler(p, r->generate.scheduler, &scheduler, err));
    const char *json = sv_scheduler_json(scheduler);
    yyjson_doc *config = yyjson_read(json, strlen(json), YYJSON_READ_ALLOW_INF_AND_NAN);
    yyjson_mut_val *copy = yyjson_val_mut_copy(doc, yyjson_doc_get_root(config));
    sv_status st = copy && yyjson_mut_obj_add_val(doc, object, "scheduler", copy) ? SV_OK : sv_fail_memory(err, "scheduler", 0);
    yyjson_doc_free(config);
    sv_scheduler_close(&scheduler);
    return st;
}

sv_status sv_generate_setup(const sv_recipe *r, const sv_draw_models *m, const sv_engine_plan *engine, const sv_paint_options *paint,
                            const sv_pruning *pruning, char **json, sv_error *err) {
    static const char *const formats[] = {[SV_FORMAT_JPEG] = "jpeg", [SV_FORMAT_PNG] = "png", [SV_FORMAT_WEBP] = "webp"};
    const sv_generate_settings *s = &r->generate;
    char hash[65];
    *json = NULL;
    SV_TRY(sv_pipeline_hash(m->base, hash, err));
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = doc ? yyjson_mut_obj(doc) : NULL;
    sv_status st = SV_OK;
    if (!o) {
        st = sv_fail_memory(err, "generate setup", 0);
        goto done;
    }
    yyjson_mut_doc_set_root(doc, o);
    yyjson_mut_obj_add_strcpy(doc, o, "model", hash);
    yyjson_mut_obj_add_str(doc, o, "prompt", s->prompt);
    if (s->negative)
        yyjson_mut_obj_add_str(doc, o, "negative", s->negative);
    else
        yyjson_mut_obj_add_null(doc, o, "negative");
    yyjson_mut_obj_add_int(doc, o, "width", paint->width);
    yyjson_mut_obj_add_int(doc, o, "height", paint->height);
    yyjson_mut_obj_add_int(doc, o, "steps", paint->steps);
    yyjson_mut_obj_add_real(doc, o, "guidance", paint->guidance);
    yyjson_mut_obj_add_real(doc, o, "guidance_rescale", paint->guidance_rescale);
    yyjson_mut_obj_add_real(doc, o, "eta", paint->eta);
    yyjson_mut_obj_add_str(doc, o, "long_captions", s->long_captions == SV_LONG_REFUSE ? "refuse" : s->long_captions == SV_LONG_WINDOWS ? "windows" : "cut");
    yyjson_mut_obj_add_int(doc, o, "seed", r->seed);
    yyjson_mut_val *image = yyjson_mut_obj_add_obj(doc, o, "image");
    yyjson_mut_obj_add_str(doc, image, "format", formats[s->image.format]);
    yyjson_mut_obj_add_int(doc, image, "quality", s->image.quality);
    yyjson_mut_val *e = yyjson_mut_obj_add_obj(doc, o, "engine");
    SV_TRY_GOTO(done, sv_provider_describe(&s->engine.provider, doc, e, err));
    yyjson_mut_obj_add_str(doc, e, "onnxruntime", sv_runtime_version(NULL));
    yyjson_mut_obj_add_str(doc, e, "processor", processor_features());
    yyjson_mut_obj_add_int(doc, e, "threads_per_image", engine->threads);
    yyjson_mut_obj_add_int(doc, e, "batch", engine->batch);
    SV_TRY_GOTO(done, sv_gates_describe(&r->score.gates, m->safety, m->taboo, doc, o, err));
    st = sv_add_mappers(r, doc, o, err);
    if (st == SV_OK) st = add_scheduler(r, m->base, doc, o, err);
    if (st == SV_OK) st = add_extras(r, paint, doc, o, err);
    if (st == SV_OK && pruning) st = add_pruning(r, pruning, doc, o, err);
    if (st == SV_OK && !(*json = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INF_AND_NAN, NULL))) st = sv_fail_memory(err, "generate setup", 0);
done:
    yyjson_mut_doc_free(doc);
    return st;
}
