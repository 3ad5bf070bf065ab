/* scorer_clip.c - CLIPScore, and the second CLIP of which is only told. The raw cosine is kept; flavours' scale and clamp are applied by whoever reads it.
 *
 * Where embeddings are kept (score.clip.keep), the cosine is that of the picture's embedding as it is kept, in half precision: it is then the same number
 * whether it comes from the picture or from the file of embeddings.
 */
#include <math.h>
#include <stdlib.h>

#include "infer/infer.h"
#include "stages/score/scorer.h"
#include "stages/setups.h"

/* Settings of the CLIP that a term stands for. */
static sv_clip_settings settings_of(sv_term term, const sv_recipe *r) {
    const sv_held_out_settings *h = &r->score.held_out;
    return term == SV_TERM_CLIP ? r->score.clip : (sv_clip_settings){.model = h->model, .flavour = h->flavour, .prefix = h->prefix, .window = h->window};
}

static bool clip_wanted(sv_term term, const sv_recipe *r) {
    return settings_of(term, r).model != NULL;
}

static sv_status open_clip(sv_term term, void **state, const sv_recipe *r, int rows, sv_error *err) {
    sv_clip_settings s = settings_of(term, r);
    sv_clip_options o;
    sv_clip_options_init(&o);
    o.flavour = s.flavour;
    o.prefix = s.prefix;
    o.windows = s.window;
    o.pillow = (int)r->score.pillow;
    o.batch = rows;
    sv_engine_of(r, o.engine.threads_per_image, &o.engine);
    return sv_clip_open((sv_clip **)state, s.model, &o, err);
}

static sv_status clip_open(void **state, const sv_recipe *r, int rows, sv_error *err) {
    return open_clip(SV_TERM_CLIP, state, r, rows, err);
}

static sv_status held_out_open(void **state, const sv_recipe *r, int rows, sv_error *err) {
    return open_clip(SV_TERM_HELD_OUT, state, r, rows, err);
}

static void clip_close(void **state) {
    sv_clip_close((sv_clip **)state);
}

static sv_status clip_describe(sv_term term, void *state, const sv_recipe *r, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err) {
    sv_clip_settings s = settings_of(term, r);
    char hash[65];
    SV_TRY(sv_clip_hash(state, hash, err));
    yyjson_mut_obj_add_strcpy(doc, object, "model", hash);
    yyjson_mut_obj_add_strcpy(doc, object, "flavour", s.flavour);
    yyjson_mut_obj_add_strcpy(doc, object, "prefix", sv_clip_prefix(state));
    yyjson_mut_obj_add_int(doc, object, "pillow", r->score.pillow);
    if (s.window) yyjson_mut_obj_add_bool(doc, object, "window", true);
    if (s.keep) yyjson_mut_obj_add_str(doc, object, "embedding", "float16");
    return sv_provider_describe(&r->generate.engine.provider, doc, object, err);
}

/* As a kept embedding reads: rounded to half precision, no longer exactly of length 1. */
static void round_to_half(float *e, size_t n) {
    for (size_t i = 0; i < n; i++) e[i] = sv_half_to_float(sv_half_from_float(e[i]));
}

double sv_kept_cosine(const float *text, const float *kept, size_t dim) {
    double dot = 0, norm = 0;
    for (size_t i = 0; i < dim; i++) {
        dot += (double)text[i] * kept[i];
        norm += (double)kept[i] * kept[i];
    }
    return dot / sqrt(norm);
}

static sv_status clip_score(sv_term term, void *state, const sv_recipe *r, int rows, sv_score_memory *m, const sv_scored_text *const *texts,
                            const sv_image *const *images, double *values, sv_error *err) {
    size_t dim = sv_clip_dim(state);
    bool held_out = term == SV_TERM_HELD_OUT, keep = !held_out && r->score.clip.keep;
    float **memory = held_out ? &m->held_out : &m->embeddings;
    if (!*memory) *memory = malloc((size_t)rows * dim * sizeof **memory);
    if (!*memory) return sv_fail_memory(err, "CLIPScore", (size_t)rows * dim * sizeof **memory);
    const sv_image *full[SV_MOST_ROWS], *any = NULL;
    for (int i = 0; i < rows && !any; i++) any = images[i];
    for (int i = 0; i < rows; i++) full[i] = images[i] ? images[i] : any;   /* the call always has all its rows */
    SV_TRY(sv_clip_images(state, full, (size_t)rows, *memory, err));
    for (int i = 0; i < rows; i++) {
        float *e = *memory + (size_t)i * dim;
        const float *text = !images[i] || !texts[i] ? NULL : held_out ? texts[i]->held_out : texts[i]->clip;
        if (keep) round_to_half(e, dim);
        values[i] = !text ? 0 : keep ? sv_kept_cosine(text, e, dim) : sv_clip_cosine(state, text, e);
    }
    return SV_OK;
}

const sv_scorer_kind sv_scorer_clip = {SV_TERM_CLIP, clip_wanted, clip_open, clip_close, clip_describe, clip_score};
const sv_scorer_kind sv_scorer_held_out = {SV_TERM_HELD_OUT, clip_wanted, held_out_open, clip_close, clip_describe, clip_score};
