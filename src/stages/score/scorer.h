/* scorer.h - between scorers.c and the scorers themselves: what a scorer is. */
#ifndef SV_STAGES_SCORER_H
#define SV_STAGES_SCORER_H

#include <yyjson.h>

#include "base/error.h"
#include "image/quality.h"
#include "stages/score/scorers.h"
#include "synthvlm/score.h"

/* What scorers keep of a caption. */
struct sv_scored_text {
    float *clip, *held_out;      /* [dim], NULL where that CLIP is off */
    char *text;                  /* itself, for scorers that look at both sides together; NULL where there is none */
};

/* Memory of one thread. */
struct sv_score_memory {
    sv_ssim_work *ssim;
    float *embeddings, *held_out;   /* [rows, dim], of the newest call */
    sv_quality_work quality;
};

/* One row of the table of scorers. `state` is what open made; it may stay NULL. */
typedef struct sv_scorer_kind {
    sv_term term;                /* names its rows */
    bool (*wanted)(sv_term term, const sv_recipe *r);
    sv_status (*open)(void **state, const sv_recipe *r, int rows, sv_error *err);
    void (*close)(void **state);
    /* Adds every setting that can change a value. */
    sv_status (*describe)(sv_term term, void *state, const sv_recipe *r, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err);
    /* values and texts: one per row; images[i] NULL: that row is empty. */
    sv_status (*score)(sv_term term, void *state, const sv_recipe *r, int rows, sv_score_memory *memory, const sv_scored_text *const *texts,
                       const sv_image *const *images, double *values, sv_error *err);
} sv_scorer_kind;

extern const sv_scorer_kind sv_scorer_clip, sv_scorer_ssim, sv_scorer_held_out, sv_scorer_itm;
/* Cosine of a text's embedding (length 1) and a picture's as it is kept in half precision. */
double sv_kept_cosine(const float *text, const float *kept, size_t dim);
/* For every measure of image/quality.h. */
extern const sv_scorer_kind sv_scorer_clean, sv_scorer_colour, sv_scorer_contrast, sv_scorer_detail, sv_scorer_exposure, sv_scorer_sharpness,
                            sv_scorer_unmarked;

#endif
