/* process_run.c - judging captions. The list falls into runs of mappers and filters, which look at one caption at a time and go on all
 * threads, runs of filters that somebody else measures (outside.h), a few captions at a time, and deduplicators and selectors between them, which see
 * the captions in order. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "base/utf8.h"
#include "text/process.h"
#include "text/view.h"

enum { CAPTIONS_PER_TURN = 256, CHUNK_BYTES = 1 << 18 };

void sv_worker_free(sv_worker *w) {
    sv_scan_free(&w->scan);
    for (int i = 0; i < SV_OUTSIDE_ROWS; i++) sv_buf_free(&w->outside[i]);
    while (w->chunks) {
        sv_chunk *next = w->chunks->next;
        free(w->chunks);
        w->chunks = next;
    }
}

static sv_status keep_text(sv_worker *w, sv_row *row, sv_error *err) {
    size_t size = w->scan.size;
    sv_chunk *c = w->chunks;
    if (!c || c->size - c->used < size) {
        size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        c = malloc(sizeof *c + room);
        if (!c) return sv_fail_memory(err, "process", room);
        *c = (sv_chunk){.next = w->chunks, .size = room};
        w->chunks = c;
    }
    if (size) memcpy(c->data + c->used, w->scan.text, size);
    row->text = c->data + c->used;
    row->size = size;
    row->changed = true;
    c->used += size;
    return SV_OK;
}

/* What one call hands to its threads: steps [begin, end), and the deduplicator after them, if it wants keys. */
typedef struct sv_turn {
    sv_process *p;
    const sv_caption_in *in;
    sv_caption_out *out;
    size_t begin, end;
    const sv_step *keys;
} sv_turn;

static void reject(sv_caption_out *out, sv_row *row, const sv_step *step) {
    row->alive = false;
    out->keep = false;
    out->op = step->list_index;
    out->rule = step->in.op->info.name;
}

/* Runs one caption through the turn's steps. */
static sv_status judge(const sv_turn *t, sv_worker *w, size_t i, sv_error *err) {
    sv_process *p = t->p;
    sv_row *row = &p->rows[i];
    double *stats = p->stats + i * p->stat_count;
    if (row->changed) sv_scan_set(&w->scan, row->text, row->size);
    else SV_TRY(sv_view_set(p->view, &w->scan, row->text, row->size, err));
    for (size_t k = t->begin; k < t->end; k++) {
        const sv_step *step = &p->steps[k];
        if (step->in.op->map) {
            SV_TRY(step->in.op->map(step->in.state, &w->scan, err));
            continue;
        }
        double *value = &stats[step->stat];
        if (step->measures) SV_TRY(step->in.op->measure(step->in.state, &w->scan, value, err));
        const sv_range *range = step->in.state;
        const char *word = NULL;
        bool keeps = sv_range_keeps(range, *value);
        if (step->in.op->word_stat) {
            word = sv_process_stat_word(p, step->stat + 1, value[1]);
            keeps = keeps && step->in.op->keeps_word(step->in.state, word);
        }
        if (keeps) continue;
        reject(&t->out[i], row, step);
        t->out[i].word = word;
        t->out[i].value = *value;
        t->out[i].min = range->min;
        t->out[i].max = range->max;
        break;
    }
    if (row->alive && t->keys) {
        const sv_dedup *d = t->keys->in.op->dedup;
        unsigned char *key = p->keys + i * p->key_size;
        if (d->stat) memcpy(key, &stats[t->keys->stat], sizeof *stats);
        else SV_TRY(d->key(t->keys->in.state, &w->scan, key, err));
    }
    return w->scan.changed ? keep_text(w, row, err) : SV_OK;
}

static sv_status judge_range(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    const sv_turn *t = user;
    for (size_t i = begin; i < end; i++)
        if (t->p->rows[i].alive) SV_TRY(judge(t, &t->p->workers[thread], i, err));
    return SV_OK;
}

/* ---- what is measured outside ---- */

/* Asks one filter about those of the captions [begin, end) that are left. reasons: why one cannot be measured, by caption - begin; else NULL. */
static sv_status ask(const sv_turn *t, unsigned thread, const sv_step *step, size_t begin, size_t end, const char **reasons, sv_error *err) {
    sv_process *p = t->p;
    sv_worker *w = &p->workers[thread];
    sv_outside_row rows[SV_OUTSIDE_ROWS];
    size_t of[SV_OUTSIDE_ROWS], n = 0;
    if (!step->measures) return SV_OK;
    for (size_t i = begin; i < end; i++) {
        const sv_row *row = &p->rows[i];
        bool spoken;
        if (!row->alive) continue;
        SV_TRY(sv_view_spoken(p->view, row->changed, row->text, row->size, &w->outside[n], &spoken, err));
        rows[n] = (sv_outside_row){.number = t->in[i].number, .text = spoken ? w->outside[n].data : NULL, .size = w->outside[n].size, .value = NAN};
        of[n++] = i;
    }
    if (n) SV_TRY(p->answer(p->answer_user, thread, step->outside, rows, n, err));
    for (size_t k = 0; k < n; k++) {
        p->stats[of[k] * p->stat_count + step->stat] = rows[k].value;
        reasons[of[k] - begin] = rows[k].reason;
    }
    return SV_OK;
}

/* Takes captions out of the run that the filter's range rejects, or that it could not measure. One that has nothing to measure stays. */
static void apply(const sv_turn *t, const sv_step *step, size_t begin, size_t end, const char *const *reasons) {
    const sv_range *range = sv_instance_range(&step->in);
    for (size_t i = begin; i < end; i++) {
        sv_row *row = &t->p->rows[i];
        const char *reason = reasons[i - begin];
        double value = t->p->stats[i * t->p->stat_count + step->stat];
        if (!row->alive || (!reason && (isnan(value) || sv_range_keeps(range, value)))) continue;
        reject(&t->out[i], row, step);
        if (reason) {
            t->out[i].rule = reason;
            continue;
        }
        t->out[i].value = value;
        t->out[i].min = range->min;
        t->out[i].max = range->max;
    }
}

/* Two filters of one entry both measure before either rejects, as the entry would. */
static sv_status ask_range(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    const sv_turn *t = user;
    for (size_t k = t->begin; k < t->end; k++) {
        const char *reasons[2][SV_OUTSIDE_ROWS] = {{NULL}};
        const sv_step *step = &t->p->steps[k];
        bool pair = step->in.op->also != NULL;
        SV_TRY(ask(t, thread, step, begin, end, reasons[0], err));
        if (pair) SV_TRY(ask(t, thread, step + 1, begin, end, reasons[1], err));
        apply(t, step, begin, end, reasons[0]);
        if (pair) apply(t, &t->p->steps[++k], begin, end, reasons[1]);
    }
    return SV_OK;
}

/* ---- what sees the captions in order ---- */

/* One thread, in order. In the learning pass of a deduplicator that must see the whole pool every caption ends here. */
static sv_status look_for_duplicates(sv_turn *t, sv_step *step, bool learning, size_t n, sv_error *err) {
    sv_process *p = t->p;
    const sv_dedup *d = step->in.op->dedup;
    for (size_t i = 0; i < n; i++) {
        if (!p->rows[i].alive) continue;
        int64_t duplicate_of = -1;
        if (learning || !d->recall) SV_TRY(d->learn(step->in.state, p->keys + i * p->key_size, t->in[i].number, &duplicate_of, err));
        else SV_TRY(d->recall(step->in.state, step->recalled++, t->in[i].number, &duplicate_of, err));
        if (learning) {
            p->rows[i].alive = false;
            continue;
        }
        if (duplicate_of < 0) continue;
        reject(&t->out[i], &p->rows[i], step);
        if (!d->cut) {
            t->out[i].duplicate_of = duplicate_of;
            continue;
        }
        double cut = d->cut(step->in.state);
        bool lowest = p->stats[i * p->stat_count + step->stat] > cut;
        t->out[i].value = p->stats[i * p->stat_count + step->stat];
        *(lowest ? &t->out[i].max : &t->out[i].min) = cut;
    }
    return SV_OK;
}

static sv_status make_room(sv_process *p, size_t n, unsigned threads, sv_error *err) {
    if (n > p->row_capacity) {
        free(p->rows);
        free(p->stats);
        free(p->keys);
        p->row_capacity = 0;
        p->rows = malloc(n * sizeof *p->rows);
        p->stats = malloc((n * p->stat_count + 1) * sizeof *p->stats);
        p->keys = malloc(n * p->key_size + 1);
        size_t each = sizeof *p->rows + p->stat_count * sizeof *p->stats + p->key_size;
        if (!p->rows || !p->stats || !p->keys) return sv_fail_memory(err, "process", n * each);
        p->row_capacity = n;
    }
    if (threads > p->worker_count) {
        sv_worker *workers = realloc(p->workers, threads * sizeof *workers);
        if (!workers) return sv_fail_memory(err, "process", threads * sizeof *workers);
        memset(workers + p->worker_count, 0, (threads - p->worker_count) * sizeof *workers);
        p->workers = workers;
        p->worker_count = threads;
    }
    for (unsigned i = 0; i < p->worker_count; i++) {
        sv_chunk *first = p->workers[i].chunks;
        while (first && first->next) {
            sv_chunk *next = first->next;
            free(first);
            first = next;
        }
        if (first) first->used = 0;
        p->workers[i].chunks = first;
    }
    return SV_OK;
}

static sv_status begin_rows(sv_process *p, const sv_caption_in *in, size_t n, sv_caption_out *out, sv_error *err) {
    for (size_t i = 0; i < n; i++) {
        if (in[i].size > SV_TEXT_MAX / 2 || sv_utf8_valid(in[i].text, in[i].size) != in[i].size)
            return sv_fail(err, SV_E_INPUT, "caption", "number %llu is not valid UTF-8 or longer than 1 GiB", (unsigned long long)in[i].number);
        p->rows[i] = (sv_row){.alive = true, .text = in[i].text, .size = in[i].size};
        out[i] = (sv_caption_out){.keep = true, .op = -1, .value = NAN, .min = NAN, .max = NAN, .duplicate_of = -1,
                                  .stats = p->stats + i * p->stat_count};
    }
    for (size_t i = 0; i < n * p->stat_count; i++) p->stats[i] = NAN;
    return SV_OK;
}

sv_status sv_process_run(sv_process *p, const sv_caption_in *in, size_t n, unsigned threads, sv_caption_out *out, sv_error *err) {
    if (p->pass >= p->passes) return sv_fail(err, SV_E_USAGE, "process", "captions were given after the last pass had ended");
    if (n == 0) return SV_OK;
    if (threads == 0) threads = sv_cpu_count();
    SV_TRY(make_room(p, n, threads, err));
    SV_TRY(begin_rows(p, in, n, out, err));
    sv_turn t = {.p = p, .in = in, .out = out};
    int whole_pool = 0;                          /* deduplicators passed that see the whole pool: the k-th learns in pass k */
    while (t.begin < p->step_count) {
        t.end = t.begin;
        if (p->steps[t.begin].in.op->outside) {
            while (t.end < p->step_count && p->steps[t.end].in.op->outside) t.end++;
            if (!p->answer) return sv_fail(err, SV_E_USAGE, p->steps[t.begin].in.op->info.name, "needs pictures, and there are none here");
            SV_TRY(sv_parallel(threads, n, SV_OUTSIDE_ROWS, ask_range, &t, err));
            t.begin = t.end;
            continue;
        }
        while (t.end < p->step_count && !p->steps[t.end].in.op->dedup && !p->steps[t.end].in.op->outside) t.end++;
        sv_step *dedup = t.end < p->step_count && p->steps[t.end].in.op->dedup ? &p->steps[t.end] : NULL;
        bool learning = false;
        if (dedup && dedup->in.op->dedup->recall) learning = whole_pool++ == p->pass;
        t.keys = dedup && (learning || !dedup->in.op->dedup->recall) ? dedup : NULL;
        SV_TRY(sv_parallel(threads, n, CAPTIONS_PER_TURN, judge_range, &t, err));
        if (!dedup) {
            t.begin = t.end;
            continue;
        }
        SV_TRY(look_for_duplicates(&t, dedup, learning, n, err));
        if (learning) break;
        t.begin = t.end + 1;
    }
    for (size_t i = 0; i < n; i++) {
        out[i].text = p->rows[i].text;
        out[i].size = p->rows[i].size;
        if (p->rows[i].changed) sv_view_unwrap(p->view, &out[i].text, &out[i].size);
    }
    return SV_OK;
}

sv_status sv_process_end_pass(sv_process *p, sv_error *err) {
    if (p->pass >= p->passes) return sv_fail(err, SV_E_USAGE, "process", "the last pass had ended");
    int whole_pool = 0;
    for (size_t i = 0; i < p->step_count; i++) {
        sv_step *step = &p->steps[i];
        const sv_dedup *d = step->in.op->dedup;
        if (!d) continue;
        step->recalled = 0;
        if (!d->recall) d->restart(step->in.state);
        else if (whole_pool++ == p->pass) SV_TRY(d->settle(step->in.state, err));
    }
    p->pass++;
    return SV_OK;
}
