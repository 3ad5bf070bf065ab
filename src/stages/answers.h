/* answers.h - what the judge of captions and the judge of pictures do alike: find the key, and keep in the ledger what a server answered, at once,
 * because answers are paid for. */
#ifndef SV_STAGES_ANSWERS_H
#define SV_STAGES_ANSWERS_H

#include "remote/judge.h"
#include "stages/rundir.h"

/* The key that the environment variable `name` holds (not ours to free); NULL if no variable is named. what: the recipe's key that names it. */
sv_status sv_answers_key(const char *name, const char *what, const char **key, sv_error *err);

/* Answers on their way into the ledger, committed every second. */
typedef struct sv_answers {
    sv_rundir *run;
    int64_t setup;               /* of the judge */
    sv_judge_cost cost;          /* of this call */
    bool begun;
    double committed, shown;
} sv_answers;
void sv_answers_init(sv_answers *a, sv_rundir *run, int64_t setup);
/* To be called before a row of one's own is written beside the answers. */
sv_status sv_answers_begin(sv_answers *a, sv_error *err);
sv_status sv_answers_add(sv_answers *a, const sv_judgement *j, sv_error *err);
/* Progress and commit where it is time for them; the error of a stop once one is asked for. */
sv_status sv_answers_tick(sv_answers *a, const char *stage, int64_t done, int64_t total, sv_error *err);
/* Commits what there is, whatever ended the asking (`st`), and notes the cost in run.log. Returns st, or the commit's own failure. */
sv_status sv_answers_end(sv_answers *a, const char *stage, const char *setup_hash, sv_status st, sv_error *err);

#endif
