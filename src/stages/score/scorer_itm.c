/* scorer_itm.c - BLIP's probability that the caption describes the picture. Every pair is a call of its own: model and text have no embeddings to share. */
#include "stages/score/scorer.h"
#include "stages/setups.h"

static bool itm_wanted(sv_term term, const sv_recipe *r) {
    return r->score.itm.model != NULL;
}

static sv_status itm_open(void **state, const sv_recipe *r, int rows, sv_error *err) {
    sv_itm_options o;
    sv_itm_options_init(&o);
    o.pillow = (int)r->score.pillow;
    sv_engine_of(r, 1, &o.engine);
    return sv_itm_open((sv_itm **)state, r->score.itm.model, &o, err);
}

static void itm_close(void **state) {
    sv_itm_close((sv_itm **)state);
}

static sv_status itm_describe(sv_term term, void *state, const sv_recipe *r, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err) {
    char hash[65];
    SV_TRY(sv_itm_hash(state, hash, err));
    yyjson_mut_obj_add_strcpy(doc, object, "model", hash);
    yyjson_mut_obj_add_int(doc, object, "pillow", r->score.pillow);
    return sv_provider_describe(&r->generate.engine.provider, doc, object, err);
}

static sv_status itm_score(sv_term term, void *state, const sv_recipe *r, int rows, sv_score_memory *m, const sv_scored_text *const *texts,
                           const sv_image *const *images, double *values, sv_error *err) {
    for (int i = 0; i < rows; i++)
        if (images[i]) SV_TRY(sv_itm_score(state, texts[i]->text, &images[i], 1, &values[i], NULL, err));
    return SV_OK;
}

const sv_scorer_kind sv_scorer_itm = {SV_TERM_ITM, itm_wanted, itm_open, itm_close, itm_describe, itm_score};
