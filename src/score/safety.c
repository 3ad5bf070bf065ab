#include "score/safety.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "diffusion/model_files.h"
#include "infer/infer.h"
#include "score/clip.h"

#define FOLDER "safety_checker"
#define EXTRACTOR "feature_extractor"

struct sv_safety {
    char *dir, *graph;
    sv_session *session;
    sv_clip_preprocess_options preprocess;
    int width, height;           /* of clip_input */
    bool channels_first;         /* of images */
};

struct sv_safety_work {
    sv_call *call;
    int picture_width, picture_height;   /* that the call is bound for */
    float *clip_input;           /* [1, 3, height, width] */
    float *images;               /* [1, picture height, picture width, 3] or [1, 3, …], 0..1 */
    const sv_call_result *flags;
    sv_clip_preprocess_work work;
    sv_image rgb;
};

/* MODEL/safety_checker/NAME if that is a file (malloc). */
static char *part_file(const char *dir, const char *folder, const char *name) {
    char *in = sv_path_join(dir, folder), *path = in ? sv_path_join(in, name) : NULL;
    free(in);
    if (path && sv_is_file(path)) return path;
    free(path);
    return NULL;
}

/* What model_index.json says of it: false for [null, null]. *named: it has an entry at all. */
static bool switched_on(const char *dir, bool *named) {
    char *path = part_file(dir, ".", "model_index.json"), *text = NULL;
    size_t size;
    *named = false;
    bool on = true;
    if (path && sv_file_read(path, 1 << 20, &text, &size, NULL) == SV_OK) {
        yyjson_doc *doc = yyjson_read(text, size, YYJSON_READ_ALLOW_INF_AND_NAN);
        yyjson_val *pair = yyjson_obj_get(yyjson_doc_get_root(doc), FOLDER);
        *named = yyjson_is_arr(pair) && !yyjson_is_null(yyjson_arr_get_first(pair));
        on = !pair || *named;
        yyjson_doc_free(doc);
    }
    free(path);
    free(text);
    return on;
}

bool sv_safety_there(const char *dir, const char **why) {
    bool named, on = switched_on(dir, &named);
    char *graph = part_file(dir, FOLDER, "model.onnx"), *extractor = part_file(dir, EXTRACTOR, "preprocessor_config.json");
    bool there = on && graph && extractor;
    if (why) {
        *why = NULL;
        if (!on && graph) *why = "model_index.json switches it off";
        else if (named && !graph) *why = "there is no safety_checker/model.onnx (docs/MODELS.md has the lines that export one)";
        else if (on && graph && !extractor) *why = "there is no feature_extractor/preprocessor_config.json";
    }
    free(graph);
    free(extractor);
    return there;
}

/* ---- open and close ---- */

static sv_status read_extractor(sv_safety *s, sv_error *err) {
    char *path = part_file(s->dir, EXTRACTOR, "preprocessor_config.json"), *text = NULL;
    size_t size;
    if (!path) {
        sv_fail(err, SV_E_MODEL, s->dir, "has no " EXTRACTOR "/preprocessor_config.json, which the safety checker's pictures are made by");
        return sv_hint(err, SV_E_MODEL, "copy the folder from the original model, or do without: score.gates.safety: never");
    }
    sv_status st = sv_file_read(path, 1 << 20, &text, &size, err);
    yyjson_doc *doc = st == SV_OK ? yyjson_read(text, size, 0) : NULL;
    if (st == SV_OK && !yyjson_is_obj(yyjson_doc_get_root(doc))) st = sv_fail(err, SV_E_MODEL, path, "is not a JSON object");
    if (st == SV_OK) st = sv_clip_read_preprocessor(yyjson_doc_get_root(doc), path, &s->preprocess, err);
    if (st == SV_OK) st = sv_clip_preprocess_size(&s->preprocess, &s->width, &s->height, err);
    yyjson_doc_free(doc);
    free(text);
    free(path);
    return st;
}

static sv_status check_graph(sv_safety *s, sv_error *err) {
    const sv_tensor_info *images = sv_session_input(s->session, "images"), *flags = sv_session_output(s->session, "has_nsfw_concepts");
    if (!sv_session_input(s->session, "clip_input") || !images || !flags || images->rank != 4) {
        sv_fail(err, SV_E_MODEL, s->graph, "is not a safety checker: it has not the inputs clip_input, images and the output has_nsfw_concepts");
        return sv_hint(err, SV_E_MODEL, "docs/MODELS.md has the lines that export one; score.gates.safety: never does without");
    }
    s->channels_first = images->dims[1] == 3;
    return SV_OK;
}

sv_status sv_safety_open(sv_safety **out, const char *dir, const sv_engine_options *engine, sv_error *err) {
    *out = NULL;
    sv_safety *s = calloc(1, sizeof *s);
    if (!s) return sv_fail_memory(err, dir, sizeof *s);
    sv_session_options o = {.provider = engine->provider, .provider_library = engine->provider_library, .provider_options = engine->provider_options,
                            .threads = engine->threads_per_image, .lazy = engine->lazy};
    sv_status st = (s->dir = sv_strdup(dir)) ? SV_OK : sv_fail_memory(err, dir, 0);
    if (st == SV_OK && !(s->graph = part_file(dir, FOLDER, "model.onnx"))) {
        st = sv_fail(err, SV_E_MODEL, dir, "has no " FOLDER "/model.onnx");
        sv_hint(err, st, "docs/MODELS.md has the lines that export one");
    }
    if (st == SV_OK) st = read_extractor(s, err);
    if (st == SV_OK) st = sv_session_open(&s->session, s->graph, &o, err);
    if (st == SV_OK) st = check_graph(s, err);
    if (st != SV_OK) sv_safety_close(&s);
    *out = s;
    return st;
}

void sv_safety_close(sv_safety **safety) {
    sv_safety *s = *safety;
    if (!s) return;
    sv_session_close(&s->session);
    free(s->graph);
    free(s->dir);
    free(s);
    *safety = NULL;
}

sv_status sv_safety_hash(const sv_safety *s, char out[65], sv_error *err) {
    sv_file_list l = {0};
    sv_status st = sv_file_list_add_graph(&l, FOLDER, s->graph, err);
    if (st == SV_OK) st = sv_file_list_add(&l, EXTRACTOR, "preprocessor_config.json", err);
    if (st == SV_OK) st = sv_file_list_hash(&l, s->dir, out, err);
    sv_file_list_free(&l);
    return st;
}

/* ---- checking ---- */

void sv_safety_work_free(sv_safety_work **work) {
    sv_safety_work *w = *work;
    if (!w) return;
    sv_call_close(&w->call);
    sv_clip_preprocess_work_free(&w->work);
    sv_image_free(&w->rgb);
    free(w);
    *work = NULL;
}

/* Pictures of a run are all of one size, so this happens once a thread. */
static sv_status bind(const sv_safety *s, sv_safety_work *w, const sv_image *im, sv_error *err) {
    if (w->call && w->picture_width == im->width && w->picture_height == im->height) return SV_OK;
    int64_t first[4] = {1, 3, im->height, im->width}, last[4] = {1, im->height, im->width, 3};
    sv_call_close(&w->call);
    SV_TRY(sv_call_open(&w->call, s->session, err));
    SV_TRY(sv_call_floats(w->call, "clip_input", (int64_t[]){1, 3, s->height, s->width}, 4, &w->clip_input, err));
    SV_TRY(sv_call_floats(w->call, "images", s->channels_first ? first : last, 4, &w->images, err));
    SV_TRY(sv_call_output_any(w->call, "has_nsfw_concepts", &w->flags, err));
    w->picture_width = im->width;
    w->picture_height = im->height;
    return SV_OK;
}

static void fill_images(const sv_safety *s, const sv_image *rgb, float *out) {
    size_t pixels = (size_t)rgb->width * (size_t)rgb->height;
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 3; c++) out[s->channels_first ? c * pixels + i : 3 * i + c] = (float)rgb->data[3 * i + c] / 255;
}

sv_status sv_safety_check(const sv_safety *s, const sv_image *im, sv_safety_work **work, bool *flagged, sv_error *err) {
    if (!*work && !(*work = calloc(1, sizeof **work))) return sv_fail_memory(err, "safety checker", sizeof **work);
    sv_safety_work *w = *work;
    SV_TRY(bind(s, w, im, err));
    if (im->mode != SV_MODE_RGB) SV_TRY(sv_image_convert(im, SV_MODE_RGB, &w->rgb, err));
    fill_images(s, im->mode == SV_MODE_RGB ? im : &w->rgb, w->images);
    SV_TRY(sv_clip_preprocess(im, &s->preprocess, &w->work, w->clip_input, err));
    SV_TRY(sv_call_run(w->call, err));
    *flagged = w->flags->data[0] != 0;
    return SV_OK;
}
