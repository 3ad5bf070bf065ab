/* run.h - a run directory and the stages that fill it: captions in, verified training set out.
 *
 *     sv_run_open → sv_run_curate → … → sv_run_select → … → sv_run_close
 *
 * Every stage does what is not done yet and can be repeated: work finished under the same settings is never done twice, rows made under
 * other settings stay beside the new ones. A killed run loses at most the batch in flight. Readers (sv_run_status, sv_run_show) take
 * no lock and work while a run is active. Layout of the directory and meaning of its tables: docs/LEDGER.md.
 */
#ifndef SYNTHVLM_RUN_H
#define SYNTHVLM_RUN_H

#include "synthvlm/log.h"
#include "synthvlm/recipe.h"
#include "synthvlm/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sv_run sv_run;   /* an open run directory; belongs to one thread */

typedef struct sv_progress {
    const char *stage;           /* "ingest", "curate", "generate" … */
    const char *unit;            /* "captions", "images" */
    int64_t done, total;         /* total -1: not known */
} sv_progress;

typedef struct sv_run_options {
    const volatile int *stop;    /* polled; not 0: the stage finishes its batch and returns SV_E_STOPPED. May be NULL */
    sv_log log;
    void (*progress)(void *user, const sv_progress *p);   /* called now and then from the stage's thread; may be NULL */
    void *progress_user;
    bool strict;                 /* the first bad row of a source ends the run (SV_E_INPUT) instead of being recorded */
    unsigned threads;            /* 0: all cores */
} sv_run_options;
void sv_run_options_init(sv_run_options *o);

/* Opens a run directory for writing. `what`: a recipe file, or a run directory (then its own recipe.yaml goes on). dir: where; NULL: the
 * directory `what`, or runs/NAME of the recipe. sets: n settings "key=value" laid over the recipe. A directory in which another process
 * works is SV_E_BUSY with its host and pid. o is copied (NULL: defaults). */
sv_status sv_run_open(sv_run **out, const char *what, const char *dir, const char *const *sets, size_t n, const sv_run_options *o, sv_error *err);
void sv_run_close(sv_run **run);
const char *sv_run_dir(const sv_run *run);
const sv_recipe *sv_run_recipe(const sv_run *run);

/* Reads the captions in and judges them; draws the sample. */
typedef struct sv_curate_report {
    int64_t captions, added, repeated, faults;   /* in the ledger; of this call: new ones, met again, bad rows */
    int64_t judged, kept, sampled;               /* under the current setups */
    bool idle;                                   /* everything was done already */
} sv_curate_report;
sv_status sv_run_curate(sv_run *run, sv_curate_report *report, sv_error *err);

/* Picks pairs by the recipe's `select` from what has been generated and scored last. SV_SHORT with err filled in: fewer than `count`. */
#define SV_MAX_MEANS 8
typedef struct sv_select_report {
    char by[16];
    int64_t candidates, eligible, captions, picked;   /* scored candidates; past finiteness and min; captions with one of these; pairs */
    double cutoff;                                    /* score of the last pick; NaN if none */
    struct { char name[32]; double before, after; } means[SV_MAX_MEANS];   /* over the eligible candidates, over the picks */
    size_t mean_count;
    bool idle;                                        /* the same selection was there already */
} sv_select_report;
sv_status sv_run_select(sv_run *run, sv_select_report *report, sv_error *err);

/* What is done, as one JSON object (malloc; the caller frees): captions, rules, candidates, selection, the process that is at work. */
sv_status sv_run_status(const char *dir, char **json, sv_error *err);
/* The whole story of a caption id, a caption number or a candidate id ("000000012-2"), as JSON (malloc). SV_E_INPUT: there is none. */
sv_status sv_run_show(const char *dir, const char *id, char **json, sv_error *err);

#ifdef __cplusplus
}
#endif
#endif
