/* draw.h - the machine that turns captions into scored picture files: painters, finishers, and a stream of results.
 *
 *     submit ─▶ tasks ─▶ painters (denoise) ─▶ groups ─▶ finishers (encode, hash, write, decode, score) ─▶ results ─▶ next
 *
 * The thread that submits is also the one that takes results and owns the ledger. Painters and finishers overlap: while one group of pictures is
 * denoised, the group before is encoded, written, synced and scored.
 *
 * A group is the candidates k = g*batch … g*batch + batch-1 of one caption, drawn by one call of the model, candidate k always in row k mod batch.
 * A group is drawn whole even if only some of its candidates are missing, so that a picture's bytes never depend on what was there before,
 * on interruptions, or on the number of workers.
 */
#ifndef SV_STAGES_DRAW_H
#define SV_STAGES_DRAW_H

#include "ledger/ledger.h"
#include "stages/rundir.h"
#include "stages/scorers.h"
#include "synthvlm/diffusion.h"

/* Fixed for one stage; everything is borrowed until sv_drawing_close. */
typedef struct sv_draw_plan {
    const sv_recipe *recipe;
    sv_pipeline *pipeline;
    const sv_scorers *scorers;          /* NULL: pictures are not scored */
    const sv_condition *negative;       /* NULL: guidance is off */
    sv_paint_options paint;
    const char *dir, *tmp;              /* run directory; where files are written before they get their name */
    const char *setup;                  /* hash of the generate setup: names the image folder */
    int workers;
    const volatile int *stop;           /* may be NULL */
} sv_draw_plan;

/* One finished candidate. Strings live inside. */
typedef struct sv_drawn {
    sv_candidate candidate;
    double values[SV_MOST_SCORERS];     /* by scorer, if ok */
    double draw_seconds, score_seconds;
    char file[SV_IMAGE_NAME], sha256[SV_SHA256_HEX];
} sv_drawn;

/* What `next` hands out; free with sv_draw_result_free. */
typedef struct sv_draw_result {
    int64_t number;                     /* the caption */
    bool last;                          /* nothing more comes of this caption */
    sv_status status;                   /* not SV_OK: the machine broke down; error says why */
    sv_error error;
    size_t count;
    sv_drawn drawn[];
} sv_draw_result;

typedef struct sv_drawing sv_drawing;
sv_status sv_drawing_open(sv_drawing **out, const sv_draw_plan *plan, sv_error *err);
/* Stops taking work, waits for the groups in hand, throws their results away unless they were taken, frees everything. */
void sv_drawing_close(sv_drawing **d);

/* Hands in a caption that still needs candidates (copied). At most sv_drawing_room() at a time; never waits. */
sv_status sv_drawing_submit(sv_drawing *d, const sv_draw_item *item, sv_error *err);
/* Captions that can be submitted now. */
size_t sv_drawing_room(const sv_drawing *d);
/* The next result; NULL if nothing came for `seconds`, or nothing is in hand. */
sv_draw_result *sv_drawing_next(sv_drawing *d, double seconds);
bool sv_drawing_busy(const sv_drawing *d);
void sv_draw_result_free(sv_draw_result *r);

/* The prompt of a caption: the recipe's template with every {caption} replaced (malloc; NULL when memory runs out). */
char *sv_prompt(const char *template, const char *caption);

/* The seed of candidate k of a caption: the first 32 bits, big-endian, of SHA-256("<run seed>/<caption id>/<k>"). */
uint64_t sv_candidate_seed(int64_t run_seed, const char *caption_id, int64_t k);

/* How many of the k = 0, 1, 2 … are to be tried, given the outcomes so far: `want`, and one more for every failure up to `retries`. */
int sv_draw_limit(int want, int retries, int failures);

#endif
