/* judge.h - the judge of the curate stage: a language model that is asked about every caption that the process list keeps. */
#ifndef SV_STAGES_JUDGE_H
#define SV_STAGES_JUDGE_H

#include "remote/judge.h"
#include "stages/rundir.h"

/* The recipe's judge, resolved. Zero-initialised: none. */
typedef struct sv_caption_judge {
    bool on;
    sv_judge_settings settings;
    char *prompt;                /* of the recipe's file */
    sv_buf json;                 /* what an answer depends on; the key is not part of it */
    double min;
    sv_setup setup;              /* under which answers are filed */
} sv_caption_judge;

/* Reads the recipe's judge and registers its setup. Without a judge: on is false. */
sv_status sv_caption_judge_open(sv_rundir *run, sv_caption_judge *out, sv_error *err);
void sv_caption_judge_close(sv_caption_judge *j);

/* Takes the key from the environment. SV_E_INPUT if the variable is not set or does not hold a key; what it holds is in no text. */
sv_status sv_caption_judge_key(const sv_rundir *run, sv_caption_judge *j, sv_error *err);

/* Asks about every caption kept under `rules` whose text has no answer yet, keeping answers as they come (committed every second), and then makes the
 * verdicts of `curate` from both. captions: how many there are in all. */
sv_status sv_caption_judge_run(sv_rundir *run, sv_caption_judge *j, int64_t rules, int64_t curate, int64_t captions, sv_error *err);

#endif
