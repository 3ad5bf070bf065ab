/* draw.h - the machine that turns captions into scored picture files: painters, finishers, and a stream of results.
 *
 *     submit ─▶ convoys ─▶ painters (denoise) ─▶ groups ─▶ finishers (encode, hash, write, decode, score) ─▶ results ─▶ next
 *
 * The thread that submits is also the one that takes results and owns the ledger. Painters and finishers overlap: while one group of pictures is
 * denoised, the group before is encoded, written, synced and scored.
 *
 * A convoy is a few captions whose pictures are drawn together by one painter, so that calls of the model are full where a caption alone would not fill
 * them: pictures lie in the batch in order of caption and k, whoever they belong to. A group is one call's worth of finished pictures. That a
 * picture's bytes do not depend on its row, nor on what the other rows hold, is what the painter promises (synthvlm/diffusion.h); so neither
 * interruptions, nor the number of workers, nor who else is in the convoy change a byte.
 *
 * Half-drawn pictures can be compared on the way (pruning): at each check the picture that every row is heading for is scored, and of each caption's
 * candidates the best share is drawn on. What is compared is a caption's own candidates up to the limit of their wave, those of the ledger by the
 * value that they had there; so the outcome follows from caption and k alone.
 */
#ifndef SV_STAGES_DRAW_H
#define SV_STAGES_DRAW_H

#include "ledger/ledger.h"
#include "stages/draw/models.h"
#include "stages/rundir.h"
#include "stages/score/scorers.h"
#include "synthvlm/diffusion.h"

/* Fixed as long as the machine is open; everything is borrowed until sv_drawing_close. */
typedef struct sv_draw_plan {
    const sv_recipe *recipe;
    const sv_draw_models *models;       /* prepared */
    const sv_scorers *scorers;          /* NULL: pictures are not scored */
    sv_paint_options paint;
    const char *dir, *tmp;              /* run directory; where files are written before they get their name */
    const char *setup;                  /* hash of the generate setup: names the image folder */
    int workers;
    int text_chunk;                     /* captions whose texts are encoded while nothing is drawn; 0: painters encode as they draw */
    double checks[SV_MOST_CHECKS];      /* shares of the model calls after which siblings are compared; only with scorers */
    int check_count;
    double keep;                        /* share that goes on at each check */
    const volatile int *stop;           /* may be NULL */
} sv_draw_plan;

/* One finished candidate. Strings live inside. */
typedef struct sv_drawn {
    sv_candidate candidate;
    double values[SV_MOST_SCORERS];     /* by scorer, if ok */
    double draw_seconds, score_seconds;
    sv_preview previews[SV_MOST_CHECKS];
    int preview_count;
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

/* Says how many new pictures most captions will need, from which follows how many captions make a convoy. Only while nothing is in hand. */
void sv_drawing_expect(sv_drawing *d, int pictures);
/* Hands in a caption that still needs candidates (copied). At most sv_drawing_room() at a time; never waits. */
sv_status sv_drawing_submit(sv_drawing *d, const sv_draw_item *item, sv_error *err);
/* Sends a convoy off that is not full; with chunks all of them: their texts are encoded, and the text encoders let go. */
void sv_drawing_flush(sv_drawing *d);
/* Captions that can be submitted now; with chunks none from the flush until all have come back. */
size_t sv_drawing_room(const sv_drawing *d);
/* The next result; NULL if nothing came for `seconds`, or nothing is in hand. */
sv_draw_result *sv_drawing_next(sv_drawing *d, double seconds);
bool sv_drawing_busy(const sv_drawing *d);
void sv_draw_result_free(sv_draw_result *r);

/* The seed of candidate k of a caption: the first 32 bits, big-endian, of SHA-256("<run seed>/<caption id>/<k>"). */
uint64_t sv_candidate_seed(int64_t run_seed, const char *caption_id, int64_t k);

/* How many of the k = 0, 1, 2 … are to be tried, given the outcomes so far: `want`, and one more for every failure up to `retries`. */
int sv_draw_limit(int want, int retries, int failures);

/* The model calls after which siblings are compared, ascending and different, of `calls` in all. Returns their number. */
int sv_draw_checks(const double *shares, int n, size_t calls, size_t out[SV_MOST_CHECKS]);

#endif
