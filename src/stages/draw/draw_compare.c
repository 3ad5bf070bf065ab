/* draw_compare.c - pruning: half-drawn pictures of a caption are compared, and the best share goes on. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stages/draw/drawing.h"

int sv_draw_checks(const double *shares, int n, size_t calls, size_t out[SV_MOST_CHECKS]) {
    int count = 0;
    for (int i = 0; i < n; i++) {
        size_t at = (size_t)lround(shares[i] * (double)calls);
        if (at >= 1 && at < calls && (!count || at > out[count - 1])) out[count++] = at;
    }
    return count;
}

bool sv_compare_decided(const task *t, int k, const size_t *checks, int n) {
    for (size_t i = 0; n && i < t->preview_count; i++)
        if (t->previews[i].k == k && t->previews[i].calls == (int)checks[n - 1]) return true;
    return false;
}

static bool note(task *t, sv_preview p) {
    if (t->preview_count == t->preview_room) {
        size_t room = t->preview_room ? 2 * t->preview_room : 16;
        sv_preview *more = realloc(t->previews, room * sizeof *more);
        if (!more) return false;
        t->previews = more;
        t->preview_room = room;
    }
    t->previews[t->preview_count++] = p;
    return true;
}

sv_status sv_compare_look(sv_drawing *d, painter *w, row *const *rows, size_t n, size_t calls, sv_error *err) {
    const sv_scored_text *texts[SV_MOST_ROWS] = {NULL};
    const sv_image *images[SV_MOST_ROWS] = {NULL};
    double values[SV_MOST_ROWS][SV_MOST_SCORERS];
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (rows[i]->decided) continue;
        SV_TRY(sv_painter_preview(w->painter, i, &w->preview[i], err));
        texts[i] = rows[i]->task->scored;
        if (w->preview[i].finite) images[i] = &w->preview[i].image;
        any |= w->preview[i].finite;
    }
    if (any) SV_TRY(sv_scorers_run(d->plan.scorers, &w->memory, texts, images, values, err));
    for (size_t i = 0; i < n; i++) {
        if (rows[i]->decided) continue;
        sv_preview p = {.k = rows[i]->k, .calls = (int)calls, .value = images[i] ? sv_scorers_weigh(d->plan.scorers, values[i]) : NAN};
        rows[i]->previews[rows[i]->preview_count++] = p;
        if (!note(rows[i]->task, p)) return sv_fail_memory(err, rows[i]->task->id, 0);
    }
    return SV_OK;
}

/* Better first; what is not a number is last; equals by k. */
static bool before(const sv_preview *a, const sv_preview *b) {
    bool x = !isnan(a->value), y = !isnan(b->value);
    if (x != y) return x;
    if (x && a->value != b->value) return a->value > b->value;
    return a->k < b->k;
}

/* The place, from 0, of candidate k among the caption's candidates of this wave and the waves before it; *all: how many were compared. */
static int place_of(const task *t, int k, size_t calls, int *all, double *value) {
    const sv_preview *own = NULL;
    int better = 0;
    *all = 0;
    for (size_t i = 0; i < t->preview_count; i++)
        if (t->previews[i].k == k && t->previews[i].calls == (int)calls) own = &t->previews[i];
    for (size_t i = 0; own && i < t->preview_count; i++) {
        const sv_preview *p = &t->previews[i];
        if (p->calls != (int)calls || p->k >= t->limit) continue;
        ++*all;
        better += p != own && before(p, own);
    }
    *value = own ? own->value : NAN;
    return better;
}

static int survivors(double keep, int n) {
    int most = (int)ceil(keep * n - 1e-9);
    return most < 1 ? 1 : most;
}

static sv_status hand_in(sv_drawing *d, const row *p, int place, int all, double value, size_t calls, size_t all_calls, sv_error *err) {
    task *t = p->task;
    sv_draw_result *r = sv_draw_result_new(t, 1);
    if (!r) return sv_fail_memory(err, t->id, 0);
    sv_drawn *out = &r->drawn[r->count++];
    sv_draw_fill(out, t, p->k, p->seed);
    out->candidate.pruned = true;
    out->draw_seconds = p->seconds;
    out->preview_count = p->preview_count;
    memcpy(out->previews, p->previews, sizeof p->previews);
    snprintf(out->file, sizeof out->file, "after %zu of %zu calls: %.4f, place %d of %d", calls, all_calls, value, place + 1, all);
    out->candidate.detail = out->file;
    if (!sv_queue_push(d->results, r)) free(r);
    return SV_OK;
}

sv_status sv_compare_prune(sv_drawing *d, painter *w, size_t calls, size_t all_calls, sv_error *err) {
    for (size_t i = 0; i < w->count; i++) {
        row *p = &w->rows[i];
        int all;
        double value;
        if (p->out || p->decided) continue;
        int place = place_of(p->task, p->k, calls, &all, &value);
        if (place < survivors(d->plan.keep, all)) continue;
        p->out = true;
        sv_paint_state_close(&p->state);
        p->task->have[p->k] = KNOWN_PRUNED;
        SV_TRY(hand_in(d, p, place, all, value, calls, all_calls, err));
    }
    return SV_OK;
}
