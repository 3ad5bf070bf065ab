/* scorer_clip.c - CLIPScore. The raw cosine is kept; flavours' scale and clamp are applied by whoever reads it. */
#include <stdlib.h>

#include "stages/scorer.h"
#include "stages/setups.h"

static bool clip_wanted(sv_term term, const sv_recipe *r) {
    return r->score.clip.model != NULL;
}

static sv_status clip_open(void **state, const sv_recipe *r, int rows, sv_error *err) {
    sv_clip_options o;
    sv_clip_options_init(&o);
    o.flavour = r->score.clip.flavour;
    o.prefix = r->score.clip.prefix;
    o.pillow = (int)r->score.pillow;
    o.batch = rows;
    sv_engine_of(r, o.engine.threads_per_image, &o.engine);
    return sv_clip_open((sv_clip **)state, r->score.clip.model, &o, err);
}

static void clip_close(void **state) {
    sv_clip_close((sv_clip **)state);
}

static sv_status clip_describe(sv_term term, void *state, const sv_recipe *r, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err) {
    char hash[65];
    SV_TRY(sv_clip_hash(state, hash, err));
    yyjson_mut_obj_add_strcpy(doc, object, "model", hash);
    yyjson_mut_obj_add_str(doc, object, "flavour", r->score.clip.flavour);
    yyjson_mut_obj_add_strcpy(doc, object, "prefix", sv_clip_prefix(state));
    yyjson_mut_obj_add_int(doc, object, "pillow", r->score.pillow);
    return sv_provider_describe(&r->generate.engine.provider, doc, object, err);
}

static sv_status clip_score(sv_term term, void *state, const sv_recipe *r, int rows, sv_score_memory *m, const sv_scored_text *const *texts,
                            const sv_image *const *images, double *values, sv_error *err) {
    size_t dim = sv_clip_dim(state);
    if (!m->embeddings) m->embeddings = malloc((size_t)rows * dim * sizeof *m->embeddings);
    if (!m->embeddings) return sv_fail_memory(err, "CLIPScore", (size_t)rows * dim * sizeof *m->embeddings);
    const sv_image *full[SV_MOST_ROWS], *any = NULL;
    for (int i = 0; i < rows && !any; i++) any = images[i];
    for (int i = 0; i < rows; i++) full[i] = images[i] ? images[i] : any;   /* the call always has all its rows */
    SV_TRY(sv_clip_images(state, full, (size_t)rows, m->embeddings, err));
    for (int i = 0; i < rows; i++) values[i] = !images[i] ? 0 : sv_clip_cosine(state, texts[i]->clip, m->embeddings + (size_t)i * dim);
    return SV_OK;
}

const sv_scorer_kind sv_scorer_clip = {SV_TERM_CLIP, clip_wanted, clip_open, clip_close, clip_describe, clip_score};
