/* drawing.h - between draw.c, draw_paint.c, draw_compare.c and draw_finish.c: captions in hand, convoys, groups. */
#ifndef SV_STAGES_DRAWING_H
#define SV_STAGES_DRAWING_H

#include <stdatomic.h>

#include "base/file.h"
#include "base/thread.h"
#include "stages/draw/draw.h"
#include "stages/draw/gates.h"

enum { MOST_CONVOY = 64 };       /* captions */

/* What is known of a candidate. */
typedef enum sv_known { KNOWN_FAILED = -1, KNOWN_NOT, KNOWN_GOOD, KNOWN_PRUNED } sv_known;

/* A caption in hand. Held by its painter and by every group with a picture of it that is on its way. */
typedef struct task {
    int64_t number;
    char *id, *text;
    int want;
    signed char *have;           /* sv_known by k; `room` entries */
    int room;
    sv_preview *previews;        /* of its candidates, in no order; painters' business */
    size_t preview_count, preview_room;
    /* Filled in by the painter. */
    sv_told told;
    sv_scored_text *scored;
    int64_t tokens_cut;
    int from, limit;             /* k of the wave that is drawn */
    atomic_int holders;
    atomic_flag broke;           /* a fault of it is noted in `end` */
    sv_draw_result *end;         /* made beforehand, so that the last word on a caption always comes */
} task;

/* Captions that are drawn together. */
typedef struct convoy {
    size_t count;
    task *tasks[MOST_CONVOY];
} convoy;

/* One picture on its way to a finisher. */
typedef struct placed {
    task *task;
    int k;
    uint64_t seed;
    double seconds;              /* of denoising */
    sv_painted painted;
    sv_refusal refused;          /* by the gates; of a finite picture */
    sv_preview previews[SV_MOST_CHECKS];
    int preview_count;
} placed;

/* One call's worth of pictures; recycled. */
typedef struct group {
    size_t count;
    placed rows[SV_MOST_ROWS];
} group;

typedef struct finisher {
    sv_drawing *d;
    sv_image decoded[SV_MOST_ROWS];
    sv_score_memory *memory;
    pthread_t thread;
} finisher;

/* A picture that is being drawn. */
typedef struct row {
    task *task;
    int k;
    uint64_t seed;
    sv_paint_state *state;       /* between two checks */
    double seconds;
    sv_preview previews[SV_MOST_CHECKS];
    int preview_count;
    bool decided;                /* was drawn before and lost: it is not compared again */
    bool out;                    /* pruned */
} row;

typedef struct painter {
    sv_drawing *d;
    sv_painter *painter;
    sv_gate_work gates;          /* memory of what the gates look at */
    sv_painted preview[SV_MOST_ROWS];
    sv_score_memory *memory;
    row *rows;                   /* of the wave in hand */
    size_t count, room;
    pthread_t thread;
} painter;

struct sv_drawing {
    sv_draw_plan plan;
    sv_encode_options encode;
    sv_queue *convoys, *groups, *spare, *results;
    painter *painters;
    finisher *finishers;
    group *group_memory;
    size_t group_count;
    int painter_count, finisher_count;   /* threads started */
    int painters_open;                   /* painters made */
    convoy *loading;                     /* not yet full */
    convoy **held;                       /* with chunks: full ones, not yet sent off */
    size_t held_count;
    bool sealed;                         /* the chunk in hand takes no more */
    size_t convoy_size;                  /* captions of a full one */
    size_t in_hand;                      /* captions submitted and not yet come back */
    atomic_bool broken;
};

/* ---- draw.c ---- */
bool sv_draw_halted(const sv_drawing *d);
sv_draw_result *sv_draw_result_new(const task *t, size_t count);
/* Halts the machine; the caption's last result says why. */
void sv_draw_break(sv_drawing *d, task *t, sv_status status, const sv_error *err);
void sv_task_release(sv_drawing *d, task *t);
void sv_draw_fill(sv_drawn *out, const task *t, int k, uint64_t seed);

/* ---- draw_compare.c: which half-drawn pictures go on ---- */
/* Scores rows[0..n-1] of w as they are previewed at this halt of w->painter, in rows 0..n-1 of its batch, after `calls` calls; notes the values in
 * rows and tasks. */
sv_status sv_compare_look(sv_drawing *d, painter *w, row *const *rows, size_t n, size_t calls, sv_error *err);
/* Marks those of the wave's rows that do not go on after the check at `calls`, and hands in what came of them. */
sv_status sv_compare_prune(sv_drawing *d, painter *w, size_t calls, size_t all_calls, sv_error *err);
/* Whether candidate k passed every check before; then it was drawn once and its file was lost. */
bool sv_compare_decided(const task *t, int k, const size_t *checks, int n);

/* ---- threads ---- */
void *sv_painter_main(void *painter);
void *sv_finisher_main(void *finisher);

#endif
