/* scorer_ssim.c - SSIMScore. */
#include "stages/score/scorer.h"

static bool ssim_wanted(sv_term term, const sv_recipe *r) {
    return true;
}

static sv_status ssim_describe(sv_term term, void *state, const sv_recipe *r, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err) {
    yyjson_mut_obj_add_int(doc, object, "base", r->score.ssim.base);
    yyjson_mut_obj_add_int(doc, object, "low", r->score.ssim.low);
    yyjson_mut_obj_add_int(doc, object, "pillow", r->score.pillow);
    return SV_OK;
}

static sv_status ssim_score(sv_term term, void *state, const sv_recipe *r, int rows, sv_score_memory *m, const sv_scored_text *const *texts,
                            const sv_image *const *images, double *values, sv_error *err) {
    const sv_ssim_settings *s = &r->score.ssim;
    for (int i = 0; i < rows; i++)
        if (images[i]) SV_TRY(sv_ssim_score(images[i], (int)s->base, (int)s->low, (int)r->score.pillow, &m->ssim, &values[i], err));
    return SV_OK;
}

const sv_scorer_kind sv_scorer_ssim = {SV_TERM_SSIM, ssim_wanted, NULL, NULL, ssim_describe, ssim_score};
