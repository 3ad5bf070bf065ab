/* judge.h - asking a language model about captions: prompts, what its answers mean, and the loop that asks many of them.
 *
 * What an answer is worth
 * - grade yes_no: its first word is Yes or No, in any case and punctuation ("**Yes.**", "Answer: no"). The value is P(yes) where the server gives log
 *   probabilities: over the likeliest tokens at the place of that word, the sum of those that say yes divided by the sum of those that say yes
 *   or no. Otherwise it is 1 or 0.
 * - grade score: a number from 1 to 5 ("4", "Score: 4", "4/5", "4.5 out of 5"), which is the value.
 * - Anything else is unclear, and is recorded as such without a value.
 */
#ifndef SV_REMOTE_JUDGE_H
#define SV_REMOTE_JUDGE_H

#include "base/log.h"
#include "remote/chat.h"

typedef enum sv_grade { SV_GRADE_YES_NO, SV_GRADE_SCORE } sv_grade;

typedef struct sv_judge_settings {
    const char *url;             /* "https://host/v1"; "/chat/completions" is added unless it ends so */
    const char *model;
    const char *prompt;          /* {caption} stands for the caption; NULL: the grade's own (sv_judge_prompt) */
    sv_grade grade;
    int64_t max_tokens, seed;    /* seed INT64_MIN: not sent */
    double temperature;
    int side;                    /* pictures are shown with the captions, reduced to this many pixels where they are larger; 0: no pictures */
    /* What follows changes no answer. */
    const char *section;         /* of the recipe, for hints: "captions.judge" (NULL likewise), "score.judge_image" */
    const char *key;             /* sent as bearer token; NULL: none */
    double timeout;              /* seconds of one request */
    int concurrency;             /* requests at once, at most */
    int retries;                 /* of one caption, after failures of the server */
} sv_judge_settings;

/* The prompt of a grade. */
const char *sv_judge_prompt(sv_grade grade);
/* SV_E_USAGE if a prompt cannot be used: no {caption} in it, not UTF-8, NUL in it. size: of the text. */
sv_status sv_judge_check_prompt(const char *text, size_t size, const char *what, sv_error *err);
/* Everything that can change an answer, as JSON (added to out): url, model, prompt, grade, max_tokens, temperature, seed, side. */
sv_status sv_judge_setup(const sv_judge_settings *s, sv_buf *out, sv_error *err);

/* ---- what answers mean ---- */

typedef enum sv_vote { SV_VOTE_UNCLEAR, SV_VOTE_NO, SV_VOTE_YES } sv_vote;
sv_vote sv_judge_vote(const char *text);
/* 1 to 5; NaN: unclear. */
double sv_judge_points(const char *text);
/* P(yes) of an answer; NaN if the server gave no log probabilities for it. */
double sv_judge_p_yes(const sv_chat_answer *a);

/* ---- asking ---- */

typedef enum sv_judge_outcome { SV_JUDGE_ANSWERED, SV_JUDGE_UNCLEAR, SV_JUDGE_FAILED } sv_judge_outcome;

#define SV_JUDGE_KEY 32
typedef struct sv_judgement {
    uint8_t key[SV_JUDGE_KEY];   /* of the task */
    sv_judge_outcome outcome;
    double value, p_yes;         /* NaN: none */
    int64_t tokens_in, tokens_out;   /* as counted by the server; 0 where it does not say */
    int64_t requests;            /* sent for this caption, failed ones included */
    char answer[256];            /* what the model said, on one line, cut */
    char detail[256];            /* failed: why */
} sv_judgement;

/* One caption to ask about. The text is used before the next one is asked for. */
typedef struct sv_judge_task {
    uint8_t key[SV_JUDGE_KEY];   /* the caller's name for it */
    const char *text;            /* valid UTF-8 */
    size_t size;
    char *picture;               /* a data URL (malloc; becomes the judge's); NULL: none */
} sv_judge_task;

typedef struct sv_judge sv_judge;

/* Where captions come from and answers go to; all are called from the thread that called sv_judge_ask. */
typedef struct sv_judge_feed {
    void *user;
    sv_status (*next)(void *user, sv_judge_task *out, bool *any, sv_error *err);       /* *any false: there are no more */
    sv_status (*done)(void *user, const sv_judgement *j, sv_error *err);
    sv_status (*tick)(void *user, sv_error *err);   /* at least five times a second; any failure ends the asking and is returned */
} sv_judge_feed;

sv_status sv_judge_open(sv_judge **out, const sv_judge_settings *s, const sv_log *log, sv_error *err);
void sv_judge_close(sv_judge **j);
/* True while this key is being asked about, or waits for proof of its failure. */
bool sv_judge_is_asking(const sv_judge *j, const uint8_t key[SV_JUDGE_KEY]);

/* Asks about every caption. A request that fails through the server (no connection, cut, time-out, 5xx, an answer that is no chat completion) is
 * repeated `retries` times; 429 only slows down. A caption whose requests all failed is handed to `done` as failed once the server has shown, by
 * answering something else afterwards, that it is not at fault; at the end one harmless question is asked for that. SV_E_NETWORK: the key or the
 * address is refused, the server only fails, or it asks for a pause of more than five minutes; what was handed out stays valid. */
sv_status sv_judge_ask(sv_judge *j, const sv_judge_feed *feed, sv_error *err);

#endif
