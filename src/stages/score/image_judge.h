/* image_judge.h - the vision model that is asked whether pictures show their captions (score.judge_image). */
#ifndef SV_STAGES_IMAGE_JUDGE_H
#define SV_STAGES_IMAGE_JUDGE_H

#include "remote/judge.h"
#include "stages/rundir.h"

/* The recipe's judge, resolved. Zero-initialised: none. */
typedef struct sv_image_judge {
    bool on;
    sv_judge_settings settings;
    char *prompt;                /* of the recipe's file */
    sv_setup setup;              /* under which answers and values are filed */
} sv_image_judge;

/* Reads the recipe's judge, registers its setup and makes it the current one. Without a judge: on is false. Asks nothing. */
sv_status sv_image_judge_open(sv_rundir *run, sv_image_judge *out, sv_error *err);
void sv_image_judge_close(sv_image_judge *j);

/* Candidates to ask about, in any order, each at most once. */
typedef struct sv_ask { int64_t number; int k; } sv_ask;
typedef struct sv_asks {         /* zero-initialise, free(items) */
    sv_ask *items;
    size_t count, capacity;
} sv_asks;
bool sv_asks_add(sv_asks *a, sv_ask one);        /* false when memory runs out */

/* Asks about every one of them that has no answer yet, keeping answers as they come (committed every second): as judgements, filed by picture and caption, and
 * as scores of the candidate. An answer that the same picture and caption already have is not paid for twice. */
sv_status sv_image_judge_ask(sv_rundir *run, sv_image_judge *j, sv_scope scope, int64_t generate, const sv_asks *asks, sv_error *err);

/* `select`, with the judge asked first about whatever the selection turns on: plan, ask, plan again with what is known, until there is nothing to ask; only
 * then is the selection written. Without a judge: sv_select. */
sv_status sv_select_asking(sv_rundir *run, sv_select_report *report, sv_error *err);
/* Decides as sv_select does, but writes nothing: what it would ask about (select.c). */
sv_status sv_select_plan(sv_rundir *run, sv_asks *asks, sv_scope *scope, int64_t *generate, sv_error *err);

#endif
