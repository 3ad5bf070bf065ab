/* score.c - the stage that scores stored pictures: whatever has no row under a current score setup. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/thread.h"
#include "stages/produce.h"
#include "stages/setups.h"

enum { PIECE = 1024 };

/* Candidates of one caption that are scored in one call: items[begin .. end). */
typedef struct span {
    size_t begin, end;
    bool lost[SV_MOST_ROWS];
    double values[SV_MOST_ROWS][SV_MOST_SCORERS];   /* by row */
    double seconds;
} span;

typedef struct scoring {
    sv_rundir *run;
    sv_scorers *scorers;
    int rows;
    const sv_file_batch *batch;
    span *spans;
    sv_score_memory *memory[SV_MOST_THREADS];
    sv_image (*images)[SV_MOST_ROWS];               /* by thread */
} scoring;

/* Reads one picture. One that is gone or damaged is said by name and *lost; any other fault, such as too little memory, is no fault of the file. */
static sv_status read_picture(scoring *s, const sv_file_item *item, sv_image *im, bool *lost, sv_error *err) {
    char *path = sv_path_join(s->run->dir, item->file);
    if (!path) return sv_fail_memory(err, item->file, 0);
    sv_status st = sv_image_read(im, path, err);
    free(path);
    if (st == SV_OK && (im->width != item->width || im->height != item->height))
        st = sv_fail(err, SV_E_INPUT, item->file, "has %d by %d pixels, and had %d by %d when it was written", im->width, im->height, item->width, item->height);
    *lost = st == SV_E_INPUT;
    if (!*lost) return st;
    sv_say(&s->run->o.log, SV_LOG_WARN, "%s: %s; it will be drawn again", item->file, err ? err->why : "cannot be read");
    return SV_OK;
}

/* Scores the pictures of a span: those that a kept embedding can answer for are not read. */
static sv_status score_span(scoring *s, unsigned thread, span *p, const sv_scored_text *text, sv_error *err) {
    const sv_image *rows[SV_MOST_ROWS] = {NULL};
    const sv_scored_text *texts[SV_MOST_ROWS];
    double kept[SV_MOST_ROWS][SV_MOST_SCORERS];
    bool answered[SV_MOST_ROWS] = {false};
    for (int i = 0; i < s->rows; i++) texts[i] = text;
    for (size_t j = p->begin; j < p->end; j++) {
        const sv_file_item *item = &s->batch->items[j];
        int row = item->k % s->rows;
        answered[row] = sv_scorers_from_kept(s->scorers, text, item->sha256, item->missing, kept[row]);
        if (answered[row]) continue;
        SV_TRY(read_picture(s, item, &s->images[thread][row], &p->lost[row], err));
        if (!p->lost[row]) rows[row] = &s->images[thread][row];
    }
    SV_TRY(sv_scorers_run(s->scorers, &s->memory[thread], texts, rows, p->values, err));
    for (size_t j = p->begin; j < p->end; j++) {
        int row = s->batch->items[j].k % s->rows;
        if (answered[row]) memcpy(p->values[row], kept[row], sizeof kept[row]);
        else if (rows[row]) SV_TRY(sv_scorers_keep_row(s->scorers, s->memory[thread], row, s->batch->items[j].sha256, err));
    }
    return SV_OK;
}

static sv_status score_spans(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    scoring *s = user;
    for (size_t i = begin; i < end; i++) {
        span *p = &s->spans[i];
        sv_scored_text *text = NULL;
        double start = sv_now();
        SV_TRY(sv_scorers_prepare(s->scorers, s->batch->items[p->begin].text, &text, err));
        sv_status st = score_span(s, thread, p, text, err);
        sv_scored_text_free(&text);
        if (st != SV_OK) return st;
        p->seconds = (sv_now() - start) / (double)(p->end - p->begin);
    }
    return SV_OK;
}

/* Cuts a batch into spans. Returns their number. */
static size_t cut_spans(scoring *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->batch->count;) {
        const sv_file_item *first = &s->batch->items[i];
        span *p = &s->spans[n++];
        memset(p, 0, sizeof *p);
        p->begin = i;
        while (i < s->batch->count && s->batch->items[i].number == first->number && s->batch->items[i].k / s->rows == first->k / s->rows) i++;
        p->end = i;
    }
    return n;
}

static sv_status write_rows(scoring *s, int64_t generate, const sv_setup *setups, size_t spans, int64_t *scored, int64_t *lost, sv_error *err) {
    sv_ledger *l = s->run->ledger;
    SV_TRY(sv_ledger_begin(l, err));
    for (size_t i = 0; i < spans; i++)
        for (size_t j = s->spans[i].begin; j < s->spans[i].end; j++) {
            const sv_file_item *item = &s->batch->items[j];
            int row = item->k % s->rows;
            if (s->spans[i].lost[row]) {
                SV_TRY(sv_ledger_forget_candidate(l, generate, item->number, item->k, err));
                ++*lost;
                continue;
            }
            for (size_t c = 0; c < sv_scorers_count(s->scorers); c++)
                if (item->missing >> c & 1) SV_TRY(sv_ledger_add_score(l, setups[c].id, generate, item->number, item->k, s->spans[i].values[row][c], err));
            SV_TRY(sv_ledger_add_timing(l, SV_STAGE_SCORE, item->number, item->k, s->spans[i].seconds, err));
            ++*scored;
        }
    return sv_ledger_commit(l, err);
}

static sv_status score_all(scoring *s, sv_scope scope, int64_t generate, const sv_setup *setups, int64_t *scored, int64_t *lost, sv_error *err) {
    size_t n = sv_scorers_count(s->scorers);
    int64_t ids[SV_MOST_SCORERS], total, after = 0;
    int after_k = -1;
    sv_file_batch batch = {0};
    sv_status st;
    for (size_t i = 0; i < n; i++) ids[i] = setups[i].id;
    SV_TRY(sv_ledger_score_count(s->run->ledger, scope, generate, ids, n, &total, err));
    s->batch = &batch;
    for (;;) {
        SV_TRY_GOTO(done, sv_ledger_to_score(s->run->ledger, scope, generate, ids, n, after, after_k, PIECE, &batch, err));
        if (!batch.count) break;
        after = batch.items[batch.count - 1].number;
        after_k = batch.items[batch.count - 1].k;
        size_t spans = cut_spans(s);
        SV_TRY_GOTO(done, sv_parallel(0, spans, 4, score_spans, s, err));
        SV_TRY_GOTO(done, write_rows(s, generate, setups, spans, scored, lost, err));
        sv_rundir_progress(s->run, "score", *scored, total, *lost);
        if (sv_rundir_stopping(s->run)) {
            st = sv_rundir_stopped(s->run, "score", err);
            break;
        }
    }
done:
    if (st != SV_OK) sv_ledger_rollback(s->run->ledger);
    sv_file_batch_free(&batch);
    return st;
}

/* ---- embeddings that are missing: their file was lost or damaged ---- */

static sv_status embed_spans(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    scoring *s = user;
    for (size_t i = begin; i < end; i++) {
        span *p = &s->spans[i];
        const sv_image *rows[SV_MOST_ROWS] = {NULL};
        bool any = false;
        for (size_t j = p->begin; j < p->end; j++) {
            const sv_file_item *item = &s->batch->items[j];
            int row = item->k % s->rows;
            if (sv_scorers_has_kept(s->scorers, item->sha256)) continue;
            SV_TRY(read_picture(s, item, &s->images[thread][row], &p->lost[row], err));
            if (!p->lost[row]) rows[row] = &s->images[thread][row];
            any |= rows[row] != NULL;
        }
        if (!any) continue;
        SV_TRY(sv_scorers_embed(s->scorers, &s->memory[thread], rows, err));
        for (size_t j = p->begin; j < p->end; j++) {
            int row = s->batch->items[j].k % s->rows;
            if (rows[row]) SV_TRY(sv_scorers_keep_row(s->scorers, s->memory[thread], row, s->batch->items[j].sha256, err));
        }
    }
    return SV_OK;
}

static sv_status embed_all(scoring *s, int64_t generate, sv_error *err) {
    sv_file_batch batch = {0};
    sv_status st = SV_OK;
    int64_t after = 0;
    int after_k = -1;
    s->batch = &batch;
    while (st == SV_OK && !sv_rundir_stopping(s->run)) {
        st = sv_ledger_read_files(s->run->ledger, generate, after, after_k, PIECE, &batch, err);
        if (st != SV_OK || !batch.count) break;
        after = batch.items[batch.count - 1].number;
        after_k = batch.items[batch.count - 1].k;
        st = sv_parallel(0, cut_spans(s), 4, embed_spans, s, err);
    }
    sv_file_batch_free(&batch);
    return st;
}

/* What was added in this call is found by a handle that was opened after it. */
static sv_status embed_missing(scoring *s, int64_t generate, sv_error *err) {
    if (!sv_scorers_keeps(s->scorers)) return SV_OK;
    SV_TRY(sv_scorers_keep(s->scorers, s->run->dir, err));
    return embed_all(s, generate, err);
}

sv_status sv_score(sv_rundir *run, int64_t *scored, int64_t *lost, sv_error *err) {
    scoring s = {.run = run};
    sv_scope scope;
    sv_setup generate, setups[SV_MOST_SCORERS];
    sv_engine_plan engine;
    *scored = *lost = 0;
    SV_TRY(sv_ledger_scope(run->ledger, &scope, err));
    SV_TRY(sv_ledger_current(run->ledger, SV_STAGE_GENERATE, "", &generate, err));
    if (!generate.id) {
        sv_fail(err, SV_E_INPUT, run->dir, "nothing has been drawn yet");
        return sv_hint(err, SV_E_INPUT, "`synthvlm generate %s` draws the candidates", run->dir);
    }
    SV_TRY(sv_engine_resolve(run, &engine, err));
    s.rows = engine.batch;
    unsigned threads = sv_cpu_count();
    s.spans = malloc(PIECE * sizeof *s.spans);
    s.images = calloc(threads, sizeof *s.images);
    sv_status st = s.spans && s.images ? SV_OK : sv_fail_memory(err, "scores", 0);
    if (st == SV_OK) st = sv_scorers_open(&s.scorers, run->recipe, s.rows, err);
    if (st == SV_OK) st = sv_scorers_use(run, s.scorers, setups, err);
    if (st == SV_OK) st = sv_scorers_keep(s.scorers, run->dir, err);
    if (st == SV_OK) st = score_all(&s, scope, generate.id, setups, scored, lost, err);
    if (st == SV_OK) st = embed_missing(&s, generate.id, err);
    for (unsigned i = 0; i < threads && i < SV_MOST_THREADS; i++) sv_score_memory_free(&s.memory[i]);
    for (unsigned i = 0; s.images && i < threads; i++)
        for (int j = 0; j < SV_MOST_ROWS; j++) sv_image_free(&s.images[i][j]);
    free(s.images);
    free(s.spans);
    sv_scorers_close(&s.scorers);
    return st;
}
