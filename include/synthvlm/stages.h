/* stages.h - the stages of a run that draw, score, export, or do everything: what `synthvlm run` is made of.
 *
 * All work on a run directory (docs/LEDGER.md). Each takes the directory's lock, does whatever has no finished row under the recipe's current
 * setups, and leaves what is finished on disk at every instant: a stage that was killed is simply called again.
 */
#ifndef SYNTHVLM_STAGES_H
#define SYNTHVLM_STAGES_H

#include "synthvlm/log.h"
#include "synthvlm/recipe.h"
#include "synthvlm/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Called by a stage some ten times a second at most, from the thread that called the stage. total 0: not known. */
typedef struct sv_progress {
    void (*fn)(void *user, const char *stage, uint64_t done, uint64_t total, uint64_t failed);
    void *user;
} sv_progress;

typedef struct sv_stage_options {
    sv_log log;
    sv_progress progress;
    const volatile int *stop;    /* polled; when it turns non-zero a stage finishes the batch in hand and returns SV_E_STOPPED. May be NULL */
    int workers;                 /* overrides the recipe's engine.workers; 0: the recipe's. Never changes bytes */
    bool strict;                 /* the first bad row stops the run instead of being recorded */
} sv_stage_options;

/* Draws candidates that are missing. Needs curated captions. report may be NULL. */
typedef struct sv_draw_report {
    int64_t drawn, failed;       /* of this call */
    int64_t pruned;              /* given up half-drawn */
    int64_t unscored;            /* pictures that lack a score of the recipe's scorers; 0 if this call did not look */
    double seconds;              /* of drawing, without start-up */
    bool own;                    /* nothing was drawn: `drawn` pictures came with their captions and were taken in (generate.source: captions) */
    double first_seconds;        /* from the call to the first finished picture */
} sv_draw_report;
sv_status sv_stage_generate(const char *dir, const sv_recipe *r, const sv_stage_options *o, sv_draw_report *report, sv_error *err);

/* Scores what has been drawn and has no score under the recipe's score setups. *scored (may be NULL): candidates of this call. */
sv_status sv_stage_score(const char *dir, const sv_recipe *r, const sv_stage_options *o, int64_t *scored, sv_error *err);

/* Writes the recipe's exports from the current selection. */
sv_status sv_stage_export(const char *dir, const sv_recipe *r, const sv_stage_options *o, sv_error *err);

/* Everything: ingest, curate, generate and score fused, select, export, and verification of what was exported. SV_SHORT if fewer pairs than asked
 * came out. */
sv_status sv_run(const char *dir, const sv_recipe *r, const sv_stage_options *o, sv_error *err);

/* The contact sheet of a run directory: the best picks and their rivals; written as a PNG (or by the name's extension). */
sv_status sv_run_sheet(const char *dir, const char *out, int captions, sv_error *err);

/* One screen that tells what came of a run, as text or as a line of JSON (malloc): funnel with reasons, scores before and after selection,
 * speed, where everything lies. */
sv_status sv_run_summary(const char *dir, bool json, char **text, sv_error *err);

#ifdef __cplusplus
}
#endif
#endif
