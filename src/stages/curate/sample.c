#include "stages/curate/sample.h"

#include <stdlib.h>

#include "base/hash.h"

#define PIECE 20000

uint64_t sv_lot_for(const char *purpose, int64_t seed, const char *id, const char *of, sv_buf *text) {
    uint8_t hash[32];
    uint64_t lot = 0;
    sv_buf_clear(text);
    sv_buf_printf(text, "%s:%lld/%s", purpose, (long long)seed, id);
    if (of) sv_buf_printf(text, "/%s", of);
    sv_sha256(text->data, text->size, hash);
    for (int i = 0; i < 8; i++) lot = lot << 8 | hash[i];
    return lot;
}

bool sv_drawn_after(const sv_drawn *a, const sv_drawn *b) {
    return a->lot != b->lot ? a->lot > b->lot : a->number > b->number;
}

sv_status sv_lowest_open(sv_lowest *l, size_t n, sv_error *err) {
    *l = (sv_lowest){.heap = malloc((n ? n : 1) * sizeof *l->heap), .n = n};
    return l->heap ? SV_OK : sv_fail_memory(err, "sample", n * sizeof *l->heap);
}

void sv_lowest_close(sv_lowest *l) {
    free(l->heap);
    *l = (sv_lowest){0};
}

/* Restores the heap (highest first) below i. */
static void sift(sv_drawn *heap, size_t n, size_t i) {
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) return;
        if (child + 1 < n && sv_drawn_after(&heap[child + 1], &heap[child])) child++;
        if (!sv_drawn_after(&heap[child], &heap[i])) return;
        sv_drawn t = heap[i];
        heap[i] = heap[child];
        heap[child] = t;
        i = child;
    }
}

void sv_lowest_offer(sv_lowest *l, sv_drawn d) {
    if (l->size < l->n) {
        size_t at = l->size++;
        for (; at && sv_drawn_after(&d, &l->heap[(at - 1) / 2]); at = (at - 1) / 2) l->heap[at] = l->heap[(at - 1) / 2];
        l->heap[at] = d;
    } else if (l->n && sv_drawn_after(&l->heap[0], &d)) {
        l->heap[0] = d;
        sift(l->heap, l->size, 0);
    }
}

static int by_lot(const void *a, const void *b) {
    return sv_drawn_after(a, b) ? 1 : sv_drawn_after(b, a) ? -1 : 0;
}

static int by_number(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* ---- drawing ---- */

typedef struct drawing {
    sv_rundir *run;
    const sv_balance *balance;
    sv_lowest all;               /* the n lowest of the kept captions: memory is that of the sample, not of the pool */
    sv_lowest *quotas;           /* of each concept with a quota; by concept, NULL: there are none */
} drawing;

static bool has_quotas(const sv_balance *b) {
    for (size_t i = 0; b->on && i < b->plan.count; i++)
        if (b->plan.quotas[i]) return true;
    return false;
}

static sv_status open_drawing(drawing *d, size_t n, sv_error *err) {
    const sv_balance_plan *plan = &d->balance->plan;
    SV_TRY(sv_lowest_open(&d->all, n, err));
    if (!has_quotas(d->balance)) return SV_OK;
    d->quotas = calloc(plan->count, sizeof *d->quotas);
    if (!d->quotas) return sv_fail_memory(err, "sample", plan->count * sizeof *d->quotas);
    for (size_t i = 0; i < plan->count; i++)
        if (plan->quotas[i]) SV_TRY(sv_lowest_open(&d->quotas[i], (size_t)plan->quotas[i], err));
    return SV_OK;
}

static void close_drawing(drawing *d) {
    sv_lowest_close(&d->all);
    for (size_t i = 0; d->quotas && i < d->balance->plan.count; i++) sv_lowest_close(&d->quotas[i]);
    free(d->quotas);
}

static sv_status draw_piece(drawing *d, const sv_caption_batch *b, int64_t after, sv_piece_concepts *concepts, sv_buf *text, sv_error *err) {
    if (d->quotas) SV_TRY(sv_piece_concepts_read(d->run->ledger, d->balance->concepts.id, after, b->items[b->count - 1].number, concepts, err));
    for (size_t i = 0, at = 0; i < b->count; i++) {
        sv_drawn one = {sv_lot_for("sample", d->run->recipe->seed, b->items[i].id, NULL, text), b->items[i].number};
        sv_lowest_offer(&d->all, one);
        for (; d->quotas && at < concepts->count && concepts->rows[at].number <= one.number; at++)
            if (concepts->rows[at].number == one.number) sv_lowest_offer(&d->quotas[concepts->rows[at].concept], one);
    }
    return sv_buf_ok(text, err);
}

/* The captions that quotas ask for, by lot, each once. */
static sv_status forced(const drawing *d, sv_drawn **out, size_t *count, sv_error *err) {
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < d->balance->plan.count; i++) n += d->quotas[i].size;
    sv_drawn *list = malloc((n ? n : 1) * sizeof *list);
    if (!list) return sv_fail_memory(err, "sample", n * sizeof *list);
    n = 0;
    for (size_t i = 0; i < d->balance->plan.count; i++)
        for (size_t k = 0; k < d->quotas[i].size; k++) list[n++] = d->quotas[i].heap[k];
    qsort(list, n, sizeof *list, by_lot);
    for (size_t i = 0; i < n; i++)
        if (!kept || list[kept - 1].number != list[i].number) list[kept++] = list[i];
    *out = list;
    *count = kept;
    return SV_OK;
}

/* The sample's numbers, ascending: what quotas ask for, filled up with the lowest lots. */
static sv_status settle(drawing *d, int64_t **numbers, size_t *count, sv_error *err) {
    sv_drawn *first = NULL;
    size_t first_count = 0, n = d->all.size, size = 0;
    if (d->quotas) SV_TRY(forced(d, &first, &first_count, err));
    int64_t *list = malloc((n ? n : 1) * sizeof *list);
    if (!list) {
        free(first);
        return sv_fail_memory(err, "sample", n * sizeof *list);
    }
    if (first_count > n)
        sv_say(&d->run->o.log, SV_LOG_WARN, "the quotas ask for %zu captions, the sample has %zu: those with the highest lots are left out", first_count, n);
    for (; size < n && size < first_count; size++) list[size] = first[size].number;
    qsort(d->all.heap, d->all.size, sizeof *d->all.heap, by_lot);
    for (size_t i = 0; i < d->all.size && size < n; i++)
        if (!first_count || !bsearch(&d->all.heap[i], first, first_count, sizeof *first, by_lot)) list[size++] = d->all.heap[i].number;
    qsort(list, size, sizeof *list, by_number);
    free(first);
    *numbers = list;
    *count = size;
    return SV_OK;
}

static sv_status draw(drawing *d, int64_t curate, size_t n, int64_t **numbers, size_t *count, sv_error *err) {
    sv_caption_batch b = {0};
    sv_piece_concepts concepts = {0};
    sv_buf text = {0};
    int64_t after = 0;
    sv_status st = open_drawing(d, n, err);
    while (st == SV_OK && (st = sv_ledger_read_kept(d->run->ledger, curate, after, PIECE, &b, err)) == SV_OK && b.count) {
        st = draw_piece(d, &b, after, &concepts, &text, err);
        after = b.items[b.count - 1].number;
    }
    if (st == SV_OK) st = settle(d, numbers, count, err);
    sv_buf_free(&text);
    sv_piece_concepts_free(&concepts);
    sv_caption_batch_free(&b);
    close_drawing(d);
    return st;
}

sv_status sv_sample_captions(sv_rundir *run, const sv_balance *balance, int64_t curate, int64_t sample, int64_t kept, sv_error *err) {
    int64_t n = run->recipe->captions.sample, *numbers = NULL;
    if (n == INT64_MIN || kept <= n) return sv_ledger_set_sample(run->ledger, sample, curate, NULL, 0, err);
    size_t count = 0;
    drawing d = {.run = run, .balance = balance};
    sv_status st = draw(&d, curate, (size_t)n, &numbers, &count, err);
    if (st == SV_OK) st = sv_ledger_set_sample(run->ledger, sample, curate, numbers, count, err);
    free(numbers);
    return st;
}
