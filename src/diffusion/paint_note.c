/* paint_note.c - what a picture's file says of its making: model, scheduler, and settings as JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "diffusion/pipeline.h"
#include "diffusion/scheduler.h"

static void add_if_set(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, double value) {
    if (!isnan(value)) yyjson_mut_obj_add_real(doc, o, key, value);
}

/* The scheduler with every key, which is where its name is from, too. */
static sv_status add_scheduler(sv_paint_note *note, sv_pipeline *p, const char *override, yyjson_mut_doc *doc, yyjson_mut_val *o, sv_error *err) {
    sv_scheduler *s = NULL;
    SV_TRY(sv_pipeline_scheduler(p, override, &s, err));
    snprintf(note->scheduler, sizeof note->scheduler, "%s", sv_scheduler_class(s));
    const char *json = sv_scheduler_json(s);
    yyjson_doc *config = yyjson_read(json, strlen(json), YYJSON_READ_ALLOW_INF_AND_NAN);
    yyjson_mut_val *copy = yyjson_val_mut_copy(doc, yyjson_doc_get_root(config));
    sv_status st = copy && yyjson_mut_obj_add_val(doc, o, "scheduler", copy) ? SV_OK : sv_fail_memory(err, "settings", 0);
    yyjson_doc_free(config);
    sv_scheduler_close(&s);
    return st;
}

static sv_status add_refiner(const sv_paint_options *o, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err) {
    char hash[65];
    SV_TRY(sv_pipeline_hash(o->refiner, hash, err));
    yyjson_mut_val *r = yyjson_mut_obj_add_obj(doc, object, "refiner");
    yyjson_mut_obj_add_strcpy(doc, r, "model", hash);
    double end = isnan(o->denoising_end) ? 0.8 : o->denoising_end;
    if (!o->refiner_authors_call) yyjson_mut_obj_add_real(doc, r, "start", isnan(o->refiner_start) ? end : o->refiner_start);
    yyjson_mut_obj_add_str(doc, r, "handover", o->refiner_authors_call ? "synthvlm" : "diffusers");
    yyjson_mut_obj_add_real(doc, r, "aesthetic_score", o->aesthetic_score);
    yyjson_mut_obj_add_real(doc, r, "negative_aesthetic_score", o->negative_aesthetic_score);
    return SV_OK;
}

static sv_status write_settings(sv_paint_note *note, sv_pipeline *p, const sv_paint_options *o, const sv_text_options *text, yyjson_mut_doc *doc, sv_error *err) {
    static const char *const begins[] = {[SV_FROM_NOISE] = NULL, [SV_FROM_IMAGE] = "picture", [SV_FROM_LATENTS] = "latents"};
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_int(doc, root, "width", o->width);
    yyjson_mut_obj_add_int(doc, root, "height", o->height);
    if (o->guidance_rescale != 0) yyjson_mut_obj_add_real(doc, root, "guidance_rescale", o->guidance_rescale);
    if (o->guidance_from > 0) yyjson_mut_obj_add_real(doc, root, "guidance_from", o->guidance_from);
    if (o->guidance_until < 1) yyjson_mut_obj_add_real(doc, root, "guidance_until", o->guidance_until);
    if (o->eta != 0) yyjson_mut_obj_add_real(doc, root, "eta", o->eta);
    if (o->vae_tile) yyjson_mut_obj_add_int(doc, root, "vae_tile", o->vae_tile);
    if (text->clip_skip) yyjson_mut_obj_add_int(doc, root, "clip_skip", text->clip_skip);
    if (text->max_sequence_length) yyjson_mut_obj_add_int(doc, root, "max_sequence_length", text->max_sequence_length);
    if (text->windows) yyjson_mut_obj_add_str(doc, root, "long_captions", "windows");
    if (begins[o->from]) {
        yyjson_mut_obj_add_str(doc, root, "begins_with", begins[o->from]);
        add_if_set(doc, root, "strength", o->strength);
    }
    add_if_set(doc, root, "denoising_start", o->denoising_start);
    add_if_set(doc, root, "denoising_end", o->denoising_end);
    SV_TRY(add_scheduler(note, p, o->scheduler, doc, root, err));
    if (o->refiner) SV_TRY(add_refiner(o, doc, root, err));
    yyjson_mut_val *engine = yyjson_mut_obj_add_obj(doc, root, "engine");
    yyjson_mut_obj_add_strncpy(doc, engine, "provider", p->provider, strcspn(p->provider, "="));   /* of NAME=LIBRARY the name alone */
    yyjson_mut_obj_add_str(doc, engine, "onnxruntime", sv_runtime_version(NULL));
    yyjson_mut_obj_add_int(doc, engine, "threads_per_image", p->threads);
    bool ok = yyjson_mut_obj_add_int(doc, engine, "batch", o->batch);
    note->settings = ok ? yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INF_AND_NAN, NULL) : NULL;
    return note->settings ? SV_OK : sv_fail_memory(err, "settings", 0);
}

sv_status sv_paint_note_make(sv_paint_note *note, sv_pipeline *p, const sv_paint_options *o, const sv_text_options *text, sv_error *err) {
    memset(note, 0, sizeof *note);
    SV_TRY(sv_pipeline_hash(p, note->model_hash, err));
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    sv_status st = doc ? write_settings(note, p, o, text, doc, err) : sv_fail_memory(err, "settings", 0);
    yyjson_mut_doc_free(doc);
    note->about = (sv_provenance){.model = sv_pipeline_family(p), .model_hash = note->model_hash, .scheduler = note->scheduler, .settings = note->settings,
                                  .steps = o->steps, .guidance = o->guidance};
    return st;
}

void sv_paint_note_free(sv_paint_note *note) {
    free(note->settings);
    memset(note, 0, sizeof *note);
}
