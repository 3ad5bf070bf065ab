/* produce.h - the stages that make things, on an open run directory: pictures, scores, datasets. */
#ifndef SV_STAGES_PRODUCE_H
#define SV_STAGES_PRODUCE_H

#include "stages/rundir.h"
#include "stages/score/scorers.h"

/* Draws what is missing under the recipe's generate setup; with_scores: scores each candidate as it is finished. report may be NULL. (generate.c) */
sv_status sv_generate(sv_rundir *run, bool with_scores, sv_draw_report *report, sv_error *err);

/* Scores candidates of the current generate setup that lack a score. A picture that cannot be read is named, forgotten and counted in *lost, so that
 * the next generate makes it again. (score.c) */
sv_status sv_score(sv_rundir *run, int64_t *scored, int64_t *lost, sv_error *err);

/* Writes the current selection in every format of the recipe; a dataset that is up to date is left alone. (export_run.c) */
sv_status sv_export_run(sv_rundir *run, sv_error *err);

/* Checks what the recipe's exports hold. SV_SHORT: faults were found. (run.c) */
sv_status sv_verify_run(sv_rundir *run, sv_error *err);

/* Registers the setups of all scorers and makes them the current ones; setups: one per scorer. (generate.c) */
sv_status sv_scorers_use(sv_rundir *run, const sv_scorers *scorers, sv_setup *setups, sv_error *err);

#endif
