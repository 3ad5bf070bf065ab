/* opinions.h - what a selection is told by judges that do not rank: a held-out CLIP, and the vision model that is asked about pictures. */
#ifndef SV_STAGES_OPINIONS_H
#define SV_STAGES_OPINIONS_H

#include "stages/score/image_judge.h"
#include "stages/select/select.h"

enum { SV_HELD_OUT_OPINION, SV_IMAGE_OPINION, SV_OPINIONS };

/* Sum and number of the values there are. */
typedef struct sv_tally_sum { double sum; int64_t count; } sv_tally_sum;

typedef struct sv_opinions {
    sv_ledger *ledger;
    const sv_image_judge_settings *judge;
    int64_t generate;
    sv_setup setup[SV_OPINIONS]; /* id 0: no such opinion */
    sv_tally_sum before[SV_OPINIONS], after[SV_OPINIONS];   /* of the eligible candidates; of the picks */
    sv_asks *asks;               /* collects what is to be asked about; NULL: nothing is */
    int64_t unasked;             /* picks without an answer */
    sv_asks ties;                /* candidates of captions with a tie that have no answer, in order */
} sv_opinions;

/* Finds the setups that the recipe's opinions stand under. */
sv_status sv_opinions_open(sv_opinions *o, sv_rundir *run, int64_t generate, sv_asks *asks, sv_error *err);
void sv_opinions_close(sv_opinions *o);

/* A good candidate was met; an eligible one; a picked one. */
sv_status sv_opinions_meet(sv_opinions *o, int64_t number, int k, sv_error *err);
sv_status sv_opinions_eligible(sv_opinions *o, int64_t number, int k, sv_error *err);
sv_status sv_opinions_picked(sv_opinions *o, int64_t number, int k, sv_error *err);
/* Whether the vision model's veto falls on a candidate: an answer below the limit, or one that is unclear or failed. Without an answer: not. */
sv_status sv_opinions_veto(sv_opinions *o, int64_t number, int k, bool *veto, sv_error *err);
/* True if ties are broken: then a caption's candidates are all kept until its end. */
bool sv_opinions_break_ties(const sv_opinions *o);
/* Which of a caption's candidates, best first, is the best: the first, or one that scores no less than `tie` below it and of which the model is surer. */
sv_status sv_opinions_best(sv_opinions *o, const sv_rival *group, size_t n, size_t *best, sv_error *err);

/* Adds what the selection depends on, and what is told with it. */
bool sv_opinions_describe(const sv_opinions *o, yyjson_mut_doc *doc, yyjson_mut_val *settings);
/* Adds the means, as many as there are opinions with values. */
void sv_opinions_means(const sv_opinions *o, sv_mean *means, size_t *n);

#endif
