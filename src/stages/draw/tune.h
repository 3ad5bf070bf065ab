/* tune.h - what `auto` stands for where it is worth measuring: threads, batch and workers that draw the most pictures a second on this machine. */
#ifndef SV_STAGES_TUNE_H
#define SV_STAGES_TUNE_H

#include "stages/setups.h"

/* Puts measured numbers in the place of those of `plan` that the recipe leaves to `auto`, for drawing about `pictures` pictures. What was measured before for
 * this model, size, provider and machine is taken from the ledger; otherwise calls of the denoiser are timed for some eight seconds, and the result is written
 * down there. Where less than ten minutes of work are to be expected, and where one call alone takes seconds, the plan stays as it is: runs that can be
 * compared are not to differ by a measurement. Only for a directory without pictures: numbers that pictures were drawn with stay (sv_engine_resolve). */
sv_status sv_engine_tune(sv_rundir *run, const sv_draw_models *models, int64_t pictures, sv_engine_plan *plan, sv_error *err);

/* One way to draw, and its speed. */
typedef struct sv_trial {
    sv_engine_plan plan;
    double rate;                 /* pictures advanced by one step, a second */
} sv_trial;
/* The best of n trials, of which the first is the usual one: another must beat it, and those before, by a twentieth, so that noise decides nothing. */
size_t sv_trial_best(const sv_trial *trials, size_t n);

#endif
