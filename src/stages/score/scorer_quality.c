/* scorer_quality.c - one scorer for each measure of image/quality.h, computed only where the recipe has a use for it. */
#include "stages/score/scorer.h"

enum { FORMULA = 1 };            /* raised when a formula changes, so that its values become rows of another setup */

static sv_measure measure_of(sv_term term) {
    switch (term) {
    case SV_TERM_CLEAN: return SV_MEASURE_CLEAN;
    case SV_TERM_COLOUR: return SV_MEASURE_COLOUR;
    case SV_TERM_CONTRAST: return SV_MEASURE_CONTRAST;
    case SV_TERM_DETAIL: return SV_MEASURE_DETAIL;
    case SV_TERM_EXPOSURE: return SV_MEASURE_EXPOSURE;
    case SV_TERM_SHARPNESS: return SV_MEASURE_SHARPNESS;
    case SV_TERM_UNMARKED: return SV_MEASURE_UNMARKED;
    default: return SV_MEASURES;   /* refused by sv_quality */
    }
}

static bool quality_wanted(sv_term term, const sv_recipe *r) {
    return sv_recipe_uses(r, term);
}

static sv_status quality_describe(sv_term term, void *state, const sv_recipe *r, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err) {
    yyjson_mut_obj_add_int(doc, object, "formula", FORMULA);
    if (term == SV_TERM_SHARPNESS) yyjson_mut_obj_add_int(doc, object, "side", r->score.sharpness.side);
    return SV_OK;
}

static sv_status quality_score(sv_term term, void *state, const sv_recipe *r, int rows, sv_score_memory *m, const sv_scored_text *const *texts,
                               const sv_image *const *images, double *values, sv_error *err) {
    for (int i = 0; i < rows; i++)
        if (images[i]) SV_TRY(sv_quality(images[i], measure_of(term), (int)r->score.sharpness.side, &m->quality, &values[i], err));
    return SV_OK;
}

#define QUALITY(term) {term, quality_wanted, NULL, NULL, quality_describe, quality_score}
const sv_scorer_kind sv_scorer_clean = QUALITY(SV_TERM_CLEAN), sv_scorer_colour = QUALITY(SV_TERM_COLOUR),
                     sv_scorer_contrast = QUALITY(SV_TERM_CONTRAST), sv_scorer_detail = QUALITY(SV_TERM_DETAIL), sv_scorer_exposure = QUALITY(SV_TERM_EXPOSURE),
                     sv_scorer_sharpness = QUALITY(SV_TERM_SHARPNESS), sv_scorer_unmarked = QUALITY(SV_TERM_UNMARKED);
