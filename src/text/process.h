/* process.h - a compiled process list, as process.c makes it and process_run.c uses it. */
#ifndef SV_TEXT_PROCESS_H
#define SV_TEXT_PROCESS_H

#include "text/ops/op.h"
#include "text/ops/outside.h"
#include "text/scan.h"

/* One operator of the list. */
typedef struct sv_step {
    sv_instance in;
    int list_index;
    size_t stat;                 /* filters: which statistic (and the one after it, if a word goes with it) */
    bool measures;               /* ... and whether this filter is the one that measures it */
    size_t measured_by;          /* ... otherwise which step does: that one knows the word */
    size_t recalled;             /* ... and in this pass, if a later one */
    size_t outside;              /* filters that are measured outside: which of them */
    bool borrowed;               /* the settings belong to the step before: the second filter of one entry */
} sv_step;

/* Where a caption of the current call stands between two runs of operators. */
typedef struct sv_row {
    bool alive;
    bool changed;                /* by a mapper: text lies in a worker's chunks, with the view's wrapping; otherwise it is the caller's, bare */
    const char *text;
    size_t size;
} sv_row;

/* Memory for changed texts. It never moves: other threads read what one has written. */
typedef struct sv_chunk {
    struct sv_chunk *next;
    size_t used, size;
    char data[];
} sv_chunk;

typedef struct sv_worker {
    sv_scan scan;
    sv_buf outside[SV_OUTSIDE_ROWS];   /* texts of questions */
    sv_chunk *chunks;
} sv_worker;

void sv_worker_free(sv_worker *w);

struct sv_process {
    sv_view view;
    sv_step *steps;
    size_t step_count;
    char **stat_names;
    size_t *stat_words;          /* of a statistic that is a word: the step that measures it; SIZE_MAX for numbers */
    size_t stat_count;
    char *json;
    size_t *outside;             /* the steps that are measured outside */
    size_t outside_count;
    sv_outside_fn answer;
    void *answer_user;
    int passes, pass;            /* pass: 0 .. passes - 1, the one that is running */

    /* memory of the current call, reused */
    sv_worker *workers;
    unsigned worker_count;
    sv_row *rows;
    size_t row_capacity;
    double *stats;               /* row_capacity x stat_count */
    unsigned char *keys;         /* row_capacity x key_size: what the captions look like to the deduplicator that comes next */
    size_t key_size;
};

#endif
