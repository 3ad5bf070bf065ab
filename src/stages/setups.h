/* setups.h - what the generate stage is made of, resolved: the numbers that `auto` stands for, and the JSON that its rows are filed under. */
#ifndef SV_STAGES_SETUPS_H
#define SV_STAGES_SETUPS_H

#include "stages/draw/models.h"
#include "stages/rundir.h"
#include "stages/score/scorers.h"
#include "synthvlm/diffusion.h"

/* The engine's numbers. threads and batch change bytes, so they belong to the setup; workers do not. */
typedef struct sv_engine_plan {
    int threads;                 /* intra-op threads per call */
    int batch;                   /* pictures per call */
    int workers;                 /* calls side by side */
    bool open;                   /* nothing has been drawn with these numbers, and measuring may give better ones (tune.h) */
} sv_engine_plan;

/* Resolves `auto` without measuring. threads and batch: what this run directory used before; otherwise 1 thread, and as batch the largest divisor of
 * `candidates` that is at most 4, or 4 where their number follows the scores (measured: a larger batch gains nothing on a CPU, a batch of 1 loses about an
 * eighth). workers: cores / threads. */
sv_status sv_engine_resolve(sv_rundir *run, sv_engine_plan *out, sv_error *err);

/* What computes, as the recipe says; the texts are the recipe's. */
void sv_engine_of(const sv_recipe *r, int threads, sv_engine_options *out);
/* Adds the provider to the engine's part of a setup: its name, and only where there is any its plugin (by hash) and options. */
sv_status sv_provider_describe(const sv_provider_settings *p, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err);

/* Painting options of the recipe; sizes and scheduler of the model where the recipe leaves them open. */
void sv_paint_plan(const sv_recipe *r, const sv_draw_models *m, const sv_engine_plan *engine, sv_paint_options *out);

/* By what half-drawn pictures are compared. */
typedef struct sv_pruning {
    const sv_scorers *scorers;
    const sv_setup *score;       /* their setups */
} sv_pruning;

/* The JSON of the generate setup (malloc): model hash, mappers, prompt template, negative, size, steps, guidance, scheduler with all its keys, image
 * format, run seed, and the engine: provider, its version, processor features, threads and batch. With
 * pruning (NULL: none) everything that decides which pictures are finished: where they are compared and by what, and the numbers of the rounds. */
sv_status sv_generate_setup(const sv_recipe *r, const sv_draw_models *m, const sv_engine_plan *engine, const sv_paint_options *paint,
                            const sv_pruning *pruning, char **json, sv_error *err);

/* Adds the process list's mappers, which change the text that is drawn and scored. */
sv_status sv_add_mappers(const sv_recipe *r, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err);

#endif
