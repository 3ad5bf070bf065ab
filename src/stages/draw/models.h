/* models.h - the models that draw a run's pictures, and what they are told: a base model, its refiner if the recipe names one, negative texts, and
 * what picture files say of it all. */
#ifndef SV_STAGES_MODELS_H
#define SV_STAGES_MODELS_H

#include "recipe/recipe.h"
#include "score/safety.h"
#include "stages/draw/taboo.h"
#include "synthvlm/diffusion.h"

typedef struct sv_draw_models {
    sv_pipeline *base, *refiner;                         /* refiner NULL: none */
    sv_safety *safety;                                   /* a gate; NULL: none */
    sv_taboo *taboo;                                     /* pictures of a benchmark, likewise */
    sv_text_options text;                                /* of captions; negative texts have their own, as in diffusers */
    sv_condition *negative, *refiner_negative;           /* NULL: guidance is off */
    sv_paint_note note;
    bool noted;                                          /* files carry the note */
} sv_draw_models;

/* Zero-initialise, open, close (also after a failure). Nothing is loaded yet. */
sv_status sv_draw_models_open(sv_draw_models *m, const sv_recipe *r, int threads, const sv_log *log, sv_error *err);
void sv_draw_models_close(sv_draw_models *m);
/* Loads what drawing needs, encodes the negative texts, makes the note. */
sv_status sv_draw_models_prepare(sv_draw_models *m, const sv_recipe *r, const sv_paint_options *paint, sv_error *err);

/* A prompt as every model encodes it. */
typedef struct sv_told {
    char *prompt;
    sv_condition *text, *refiner_text;
} sv_told;
sv_status sv_told_make(sv_told *t, const sv_draw_models *m, const char *template, const char *caption, sv_error *err);
void sv_told_free(sv_told *t);

/* One picture of it. */
sv_picture sv_told_picture(const sv_told *t, const sv_draw_models *m, uint64_t seed);

/* The prompt of a caption: the recipe's template with every {caption} replaced (malloc; NULL when memory runs out). */
char *sv_prompt(const char *template, const char *caption);

#endif
