/* run.h - a run directory's first and last deciding stages, and the questions that can be asked of it. Drawing and scoring: stages.h.
 *
 * Every stage does what is not done yet and can be repeated: work finished under the same settings is never done twice, rows made under
 * other settings stay beside the new ones. A killed stage loses at most the batch in flight. Readers (sv_run_status, sv_run_show) take
 * no lock and work while a stage is active. Layout of the directory and meaning of its tables: docs/LEDGER.md.
 */
#ifndef SYNTHVLM_RUN_H
#define SYNTHVLM_RUN_H

#include "synthvlm/stages.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The recipe and the run directory that a command line means (both malloc; the caller frees). `what`: a recipe file, or a run directory, whose
 * own recipe.yaml is then taken. dir: the run directory; NULL: `what` if it is one, otherwise runs/NAME of the recipe. sets: n settings
 * "key=value" laid over the recipe. */
sv_status sv_run_find(const char *what, const char *dir, const char *const *sets, size_t n, sv_recipe **recipe, char **run_dir, sv_error *err);

/* Reads the captions in, judges them, draws the sample. Makes the directory if needed. report may be NULL. */
typedef struct sv_curate_report {
    int64_t captions, added, repeated, faults;   /* in the ledger; of this call: new ones, met again, bad rows */
    int64_t judged, kept, sampled;               /* under the current setups */
    bool idle;                                   /* everything was done already */
} sv_curate_report;
sv_status sv_stage_curate(const char *dir, const sv_recipe *r, const sv_stage_options *o, sv_curate_report *report, sv_error *err);

/* Picks pairs by the recipe's `select` from what has been generated and scored last. SV_SHORT with err filled in: fewer than `count`; the picks
 * that there are stand. report may be NULL. */
#define SV_MAX_MEANS 16
typedef struct sv_select_report {
    char by[16];
    int64_t candidates, eligible, captions, picked;   /* scored candidates; past finiteness and min; captions with one of these; pairs */
    double cutoff;                                    /* score of the last pick; NaN if none */
    struct { char name[32]; double before, after; } means[SV_MAX_MEANS];   /* over the eligible candidates, over the picks */
    size_t mean_count;
    bool idle;                                        /* the same selection was there already */
} sv_select_report;
sv_status sv_stage_select(const char *dir, const sv_recipe *r, const sv_stage_options *o, sv_select_report *report, sv_error *err);

/* The current selection as one JSON object (malloc; the caller frees): settings, counts, cutoff, means, and what near-duplicates, quotas and lists by hand
 * took out ("steps"). NULL: nothing has been selected yet. */
sv_status sv_run_selection(const char *dir, char **json, sv_error *err);
/* Two selections compared, as one JSON object (malloc): which pairs both have, which only one, with scores and what the other made of them; means and
 * sources. A selection is "DIR" for the current one of a run, or "DIR:WHICH" with its number, the beginning of its hash, or "previous"; b NULL: the previous one of
 * a's run is compared with a. A pair is the same where caption id and picture are. most: pairs listed of each side; -1: all. */
sv_status sv_run_diff(const char *a, const char *b, int64_t most, char **json, sv_error *err);
/* What is done, as one JSON object (malloc; the caller frees): captions, rules, candidates, selection, the process that is at work. */
sv_status sv_run_status(const char *dir, char **json, sv_error *err);
/* The whole story of a caption id, a caption number or a candidate id ("000000012-2"), as JSON (malloc). SV_E_INPUT: there is none. */
sv_status sv_run_show(const char *dir, const char *id, char **json, sv_error *err);

#ifdef __cplusplus
}
#endif
#endif
