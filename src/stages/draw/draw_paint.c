/* draw_paint.c - painters: the captions of a convoy are encoded, their missing pictures denoised in waves, and handed on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stages/draw/drawing.h"

/* ---- one caption ---- */

/* A caption that is too long and may not be cut: every candidate it could have had is recorded as failed, so that it is not tried again. */
static sv_status refuse_task(sv_drawing *d, task *t, size_t tokens, sv_error *err) {
    int most = t->want + (int)d->plan.recipe->generate.retries;
    sv_draw_result *r = sv_draw_result_new(t, (size_t)most);
    if (!r) return sv_fail_memory(err, t->id, 0);
    for (int k = 0; k < most; k++) {
        if (t->have[k]) continue;
        sv_drawn *out = &r->drawn[r->count++];
        sv_draw_fill(out, t, k, sv_candidate_seed(d->plan.recipe->seed, t->id, k));
        out->candidate.reason = "caption_too_long";
        snprintf(out->file, sizeof out->file, "%zu tokens, %lld too many", tokens, (long long)t->tokens_cut);
        out->candidate.detail = out->file;
        t->have[k] = KNOWN_FAILED;
    }
    if (!sv_queue_push(d->results, r)) free(r);
    return SV_OK;
}

/* Encodes what all candidates of a caption share. *refused: there is nothing to draw. */
static sv_status prepare_task(sv_drawing *d, task *t, bool *refused, sv_error *err) {
    const sv_generate_settings *s = &d->plan.recipe->generate;
    if (!t->told.text) SV_TRY(sv_told_make(&t->told, d->plan.models, s->prompt, t->text, err));
    t->tokens_cut = (int64_t)sv_condition_cut(t->told.text);
    t->from = 0;
    t->limit = t->want;
    *refused = t->tokens_cut && s->long_captions == SV_LONG_REFUSE;
    if (*refused) return refuse_task(d, t, sv_condition_tokens(t->told.text), err);
    return d->plan.scorers ? sv_scorers_prepare(d->plan.scorers, t->text, &t->scored, err) : SV_OK;
}

/* The next wave of a caption: what failed so far is tried with further k. False: it has all it can get. */
static bool next_wave(const sv_drawing *d, task *t) {
    int failures = 0;
    for (int k = 0; k < t->limit; k++) failures += t->have[k] == KNOWN_FAILED;
    t->from = t->limit;
    t->limit = sv_draw_limit(t->want, (int)d->plan.recipe->generate.retries, failures);
    return t->from < t->limit;
}

/* ---- rows ---- */

static void clear_rows(painter *w) {
    for (size_t i = 0; i < w->count; i++) sv_paint_state_close(&w->rows[i].state);
    w->count = 0;
}

/* Adds what is missing of a caption's wave. */
static sv_status add_rows(const sv_drawing *d, painter *w, task *t, const size_t *checks, int check_count, sv_error *err) {
    for (int k = t->from; k < t->limit; k++) {
        if (t->have[k]) continue;
        if (w->count == w->room) {
            size_t room = w->room ? 2 * w->room : 64;
            row *more = realloc(w->rows, room * sizeof *more);
            if (!more) return sv_fail_memory(err, t->id, room * sizeof *more);
            w->rows = more;
            w->room = room;
        }
        w->rows[w->count++] = (row){.task = t, .k = k, .seed = sv_candidate_seed(d->plan.recipe->seed, t->id, k),
                                    .decided = sv_compare_decided(t, k, checks, check_count)};
    }
    return SV_OK;
}

/* Texts in several windows are drawn with others as long. */
static bool same_shape(const sv_drawing *d, const row *a, const row *b) {
    sv_picture p = sv_told_picture(&a->task->told, d->plan.models, 0), q = sv_told_picture(&b->task->told, d->plan.models, 0);
    return sv_picture_same_shape(&p, &q);
}

/* The next rows that are still drawn, at most a batch of them, from *at on. */
static size_t take_rows(const sv_drawing *d, painter *w, size_t *at, row **out) {
    size_t n = 0;
    for (; *at < w->count && n < (size_t)d->plan.paint.batch; ++*at) {
        row *r = &w->rows[*at];
        if (r->out) continue;
        if (n && !same_shape(d, out[0], r)) break;
        out[n++] = r;
    }
    return n;
}

/* Denoises rows together up to the call `to`. No stop flag: an interrupted run finishes the call in hand. */
static sv_status advance(sv_drawing *d, painter *w, row *const *rows, size_t n, size_t to, sv_error *err) {
    sv_picture pictures[SV_MOST_ROWS];
    const sv_paint_state *states[SV_MOST_ROWS];
    double begin = sv_now();
    for (size_t i = 0; i < n; i++) {
        pictures[i] = sv_told_picture(&rows[i]->task->told, d->plan.models, rows[i]->seed);
        states[i] = rows[i]->state;
    }
    SV_TRY(rows[0]->state ? sv_painter_resume(w->painter, states, pictures, n, err) : sv_painter_begin(w->painter, pictures, n, err));
    SV_TRY(sv_painter_advance(w->painter, to, NULL, err));
    for (size_t i = 0; i < n; i++) rows[i]->seconds += (sv_now() - begin) / (double)n;
    return SV_OK;
}

/* Hands finished rows on, in a group. What became of them is noted in their captions. */
static sv_status hand_on(sv_drawing *d, painter *w, row *const *rows, size_t n, sv_error *err) {
    group *g = sv_queue_pop(d->spare);
    if (!g) return SV_OK;
    sv_status st = SV_OK;
    g->count = n;
    for (size_t i = 0; st == SV_OK && i < n; i++) {
        placed *p = &g->rows[i];
        double begin = sv_now();
        p->task = rows[i]->task;
        p->k = rows[i]->k;
        p->seed = rows[i]->seed;
        p->refused.reason = NULL;
        p->preview_count = rows[i]->preview_count;
        memcpy(p->previews, rows[i]->previews, sizeof p->previews);
        st = sv_painter_finish(w->painter, i, &p->painted, err);
        if (st == SV_OK && p->painted.finite)
            st = sv_gates_ask(&d->plan.recipe->score.gates, d->plan.models->safety, d->plan.models->taboo, &p->painted.image, &w->gates, &p->refused, err);
        p->seconds = rows[i]->seconds + sv_now() - begin;
    }
    if (st != SV_OK) {
        sv_queue_push(d->spare, g);
        return st;
    }
    for (size_t i = 0; i < n; i++) {
        task *t = rows[i]->task;
        t->have[rows[i]->k] = g->rows[i].painted.finite && !g->rows[i].refused.reason ? KNOWN_GOOD : KNOWN_FAILED;
        atomic_fetch_add(&t->holders, 1);
    }
    if (!sv_queue_push(d->groups, g))
        for (size_t i = 0; i < n; i++) sv_task_release(d, rows[i]->task);
    return SV_OK;
}

/* Draws the rows of a wave up to a check, compares them, and so on to the end. */
static sv_status draw_wave(sv_drawing *d, painter *w, const size_t *checks, int check_count, sv_error *err) {
    row *rows[SV_MOST_ROWS];
    size_t calls = sv_painter_calls(w->painter);
    for (int c = 0; c < check_count; c++) {
        for (size_t at = 0, n; !sv_draw_halted(d) && (n = take_rows(d, w, &at, rows));) {
            SV_TRY(advance(d, w, rows, n, checks[c], err));
            SV_TRY(sv_compare_look(d, w, rows, n, checks[c], err));
            for (size_t i = 0; i < n; i++) {
                sv_paint_state_close(&rows[i]->state);
                SV_TRY(sv_painter_save(w->painter, i, &rows[i]->state, err));
            }
        }
        if (sv_draw_halted(d)) return SV_OK;         /* nobody may be compared with only some of the others */
        SV_TRY(sv_compare_prune(d, w, checks[c], calls, err));
    }
    for (size_t at = 0, n; !sv_draw_halted(d) && (n = take_rows(d, w, &at, rows));) {
        SV_TRY(advance(d, w, rows, n, calls, err));
        SV_TRY(hand_on(d, w, rows, n, err));
    }
    return SV_OK;
}

/* ---- a convoy ---- */

/* Which caption a fault belongs to does not matter: any of them can carry it. */
static sv_status paint_convoy(sv_drawing *d, painter *w, convoy *c, sv_error *err) {
    size_t checks[SV_MOST_CHECKS];
    int check_count = sv_draw_checks(d->plan.checks, d->plan.scorers ? d->plan.check_count : 0, sv_painter_calls(w->painter), checks);
    bool live[MOST_CONVOY], any = true;
    for (size_t i = 0; i < c->count; i++) {
        bool refused = false;
        if (sv_draw_halted(d)) return SV_OK;
        SV_TRY(prepare_task(d, c->tasks[i], &refused, err));
        live[i] = !refused;
    }
    while (any && !sv_draw_halted(d)) {
        any = false;
        clear_rows(w);
        for (size_t i = 0; i < c->count; i++)
            if (live[i]) SV_TRY(add_rows(d, w, c->tasks[i], checks, check_count, err));
        if (w->count) SV_TRY(draw_wave(d, w, checks, check_count, err));
        for (size_t i = 0; i < c->count && !sv_draw_halted(d); i++) any |= live[i] = live[i] && next_wave(d, c->tasks[i]);
    }
    return SV_OK;
}

void *sv_painter_main(void *arg) {
    painter *w = arg;
    sv_drawing *d = w->d;
    for (convoy *c; (c = sv_queue_pop(d->convoys));) {
        sv_error err = {0};
        if (!sv_draw_halted(d)) {
            sv_status st = paint_convoy(d, w, c, &err);
            if (st != SV_OK) sv_draw_break(d, c->tasks[0], st, &err);
        }
        clear_rows(w);
        for (size_t i = 0; i < c->count; i++) sv_task_release(d, c->tasks[i]);
        free(c);
    }
    return NULL;
}
