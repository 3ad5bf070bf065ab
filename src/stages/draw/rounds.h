/* rounds.h - adaptive best of N: how many candidates each caption gets follows from how good the ones before were.
 *
 * Work is done in rounds over all captions of the sample. In a round every caption that goes on gets candidates up to the same number; decisions are made
 * between rounds only, once every candidate of the round is drawn and scored, from nothing but rows of the ledger. They therefore do not depend on order, workers
 * or interruptions. A caption stops
 *     good_enough   its best candidate has a weighted score of stop_at or more,
 *     dropped       after drop_after candidates its best one is still below drop_below: nothing of it is selected,
 *     most          it has max candidates,
 *     budget        the budget of the whole sample is spent on captions with lower scores.
 * What captions that stop early leave of the budget is what the others are drawn from.
 *
 * Rounds have a setup of their own (stage "rounds"): the generate setup, the sample, the score setups and weights that decide, and the recipe's numbers. Other numbers
 * decide anew over the candidates that there are, and draw only what is missing.
 */
#ifndef SV_STAGES_ROUNDS_H
#define SV_STAGES_ROUNDS_H

#include "stages/rundir.h"
#include "stages/score/scorers.h"

typedef struct sv_rounds {
    sv_rundir *run;
    const sv_scorers *scorers;
    sv_scope scope;
    int64_t generate;
    sv_setup setup;
    int64_t scores[SV_MOST_SCORERS];   /* ids of the score setups */
    int64_t sampled;                   /* captions */
    int64_t budget;                    /* candidates for all of them */
    sv_round now;                      /* the last round begun */
} sv_rounds;

/* Registers the setup, makes it the current one, and begins the first round if there is none. `score`: the setups of the scorers. */
sv_status sv_rounds_open(sv_rounds *out, sv_rundir *run, const sv_scorers *scorers, sv_scope scope, const sv_setup *generate, const sv_setup *score,
                         sv_error *err);
/* True once every caption has stopped. */
bool sv_rounds_over(const sv_rounds *r);
/* What captions are to have in the round in hand; also in the end, for what was lost. */
sv_quota sv_rounds_quota(const sv_rounds *r);
/* Candidates that may still be drawn after the round in hand, at most; the second for readers: of a recipe, a sample of so many captions, and its last round. */
int64_t sv_rounds_later(const sv_rounds *r);
int64_t sv_rounds_left(const sv_recipe *r, int64_t sampled, const sv_round *now);
/* Ends the round in hand, all of whose candidates are drawn and scored: notes which captions stop and why, and begins the next one. */
sv_status sv_rounds_decide(sv_rounds *r, sv_error *err);

/* Adds the recipe's numbers that say which candidates belong to one round, to the JSON of a setup. */
bool sv_rounds_describe(const sv_recipe *r, yyjson_mut_doc *doc, yyjson_mut_val *object);
/* Adds the setups and weights of the scores that decide. */
bool sv_rounds_describe_scores(const sv_scorers *scorers, const sv_setup *score, yyjson_mut_doc *doc, yyjson_mut_val *object);

#endif
