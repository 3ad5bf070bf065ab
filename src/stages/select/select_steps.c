/* select_steps.c - from the ranking to the picks where more than the rank counts: lists by hand, near-duplicates, quotas.
 *
 * The ranking is sorted, and hashes are looked up, only as far as the walk comes: ten million competitors of which a tenth is wanted are never all in order.
 */
#include <stdlib.h>
#include <string.h>

#include "image/phash.h"
#include "stages/select/select.h"

enum { LEAST_PIECE = 4096 };

/* Near-duplicates by their place, until it is known how far the walk comes. */
typedef struct repeat {
    uint64_t who;
    uint32_t of, before;         /* index of the survivor that it repeats; how many survivors rank before it */
} repeat;

/* The ranking: items[0 .. kept) are survivors in order, items[kept .. sorted) are leftovers, from sorted on all is in no order. */
typedef struct ranking {
    sv_steps *s;
    sv_rivals *r;
    size_t sorted, kept, piece;
    size_t by_hand;              /* so many survivors are from the include list */
    sv_hash_index *index;        /* NULL: no near-duplicates are looked for */
    repeat *repeats;
    size_t repeat_count, repeat_capacity;
} ranking;

bool sv_drops_add(sv_drops *d, sv_drop one) {
    if (d->count == d->capacity) {
        size_t capacity = d->capacity ? d->capacity * 2 : 1024;
        sv_drop *items = realloc(d->items, capacity * sizeof *items);
        if (!items) return false;
        d->items = items;
        d->capacity = capacity;
    }
    d->items[d->count++] = one;
    return true;
}

/* ---- near-duplicates ---- */

typedef struct place { uint64_t who; size_t at; } place;

static int by_who(const void *a, const void *b) {
    uint64_t x = ((const place *)a)->who, y = ((const place *)b)->who;
    return (x > y) - (x < y);
}

/* The hashes of a piece, looked up in the order of the table, which keeps its pages at hand. */
static sv_status read_hashes(ranking *k, const sv_rival *items, size_t n, uint64_t *hashes, sv_error *err) {
    place *order = malloc(n * sizeof *order);
    if (!order) return sv_fail_memory(err, "select.dedup", n * sizeof *order);
    for (size_t i = 0; i < n; i++) order[i] = (place){items[i].who, i};
    qsort(order, n, sizeof *order, by_who);
    sv_status st = SV_OK;
    for (size_t i = 0; st == SV_OK && i < n; i++) {
        const sv_rival *r = &items[order[i].at];
        sv_hashes h = {0};
        bool found = false;
        st = sv_ledger_find_hash(k->s->ledger, k->s->generate, sv_rival_number(r), sv_rival_k(r), &h, &found, err);
        if (st == SV_OK && !found)
            st = sv_fail(err, SV_E_INTERNAL, "select.dedup", "candidate %lld-%d has no hash", (long long)sv_rival_number(r), sv_rival_k(r));
        hashes[order[i].at] = k->s->dedup->hash == SV_DEDUP_PHASH ? h.phash : h.dhash;
    }
    free(order);
    return st;
}

static bool add_repeat(ranking *k, repeat one) {
    if (k->repeat_count == k->repeat_capacity) {
        size_t capacity = k->repeat_capacity ? k->repeat_capacity * 2 : 1024;
        repeat *items = realloc(k->repeats, capacity * sizeof *items);
        if (!items) return false;
        k->repeats = items;
        k->repeat_capacity = capacity;
    }
    k->repeats[k->repeat_count++] = one;
    return true;
}

/* items[sorted .. sorted + n) are in order: those that repeat no survivor become survivors. `spare`: they all do. */
static sv_status admit(ranking *k, size_t n, bool spare, sv_error *err) {
    sv_rival *items = k->r->items;
    uint64_t *hashes = k->index ? malloc((n ? n : 1) * sizeof *hashes) : NULL;
    if (k->index && !hashes) return sv_fail_memory(err, "select.dedup", n * sizeof *hashes);
    sv_status st = k->index ? read_hashes(k, items + k->sorted, n, hashes, err) : SV_OK;
    for (size_t i = 0; st == SV_OK && i < n; i++) {
        sv_rival one = items[k->sorted + i];
        uint32_t of;
        if (k->index && !spare && sv_hash_index_find(k->index, hashes[i], &of)) {
            if (!add_repeat(k, (repeat){one.who, of, (uint32_t)k->kept})) st = sv_fail_memory(err, "select.dedup", 0);
            continue;
        }
        if (k->index) st = sv_hash_index_add(k->index, hashes[i], (uint32_t)k->kept, err);
        items[k->kept++] = one;
    }
    if (st == SV_OK) k->sorted += n;
    free(hashes);
    return st;
}

/* Brings the next piece into order. *more false: there was none. */
static sv_status extend(ranking *k, bool *more, sv_error *err) {
    sv_rivals rest = {k->r->items + k->sorted, k->r->count - k->sorted, k->r->count - k->sorted};
    size_t n = rest.count < k->piece ? rest.count : k->piece;
    *more = n > 0;
    if (!n) return SV_OK;
    SV_TRY(sv_rivals_top(&rest, n, k->s->ledger, err));
    return admit(k, n, false, err);
}

/* Those of the include list come first, whatever their rank, and repeat nothing. */
static sv_status put_first(ranking *k, sv_error *err) {
    sv_rival *items = k->r->items;
    size_t n = 0;
    if (!k->s->include->count) return SV_OK;
    for (size_t i = 0; i < k->r->count; i++) {
        if (!sv_list_find(k->s->include, items[i].who)) continue;
        sv_rival one = items[i];
        items[i] = items[n];
        items[n++] = one;
    }
    sv_rivals first = {items, n, n};
    SV_TRY(sv_rivals_top(&first, n, k->s->ledger, err));
    k->by_hand = n;
    return admit(k, n, true, err);
}

/* ---- picking ---- */

static sv_status pick_one(ranking *k, size_t i, sv_rivals *picks, sv_drops *drops, sv_error *err) {
    sv_steps *s = k->s;
    const sv_rival *one = &k->r->items[i];
    int64_t number = sv_rival_number(one);
    sv_quota_answer answer = s->quotas && i >= k->by_hand ? sv_quotas_ask(s->quotas, number) : SV_QUOTA_FREE;
    if (answer != SV_QUOTA_FREE) {
        bool full = answer == SV_QUOTA_FULL;
        s->full += full;
        s->reserved += !full;
        return sv_drops_add(drops, (sv_drop){one->who, full ? SV_DROP_FULL : SV_DROP_RESERVED}) ? SV_OK : sv_fail_memory(err, "select", 0);
    }
    if (s->quotas) sv_quotas_take(s->quotas, number);
    return sv_rivals_add(picks, *one) ? SV_OK : sv_fail_memory(err, "select", 0);
}

/* What ranks behind the last pick is below the cut-off, whatever else it is: of near-duplicates only those before it are told. */
static sv_status tell_repeats(ranking *k, size_t reached, sv_drops *drops, sv_error *err) {
    for (size_t i = 0; i < k->repeat_count && k->repeats[i].before < reached; i++) {
        k->s->near_duplicates++;
        if (!sv_drops_add(drops, (sv_drop){k->repeats[i].who, k->r->items[k->repeats[i].of].who})) return sv_fail_memory(err, "select", 0);
    }
    return SV_OK;
}

static sv_status walk(ranking *k, size_t want, sv_rivals *picks, sv_drops *drops, sv_error *err) {
    sv_steps *s = k->s;
    bool more = true;
    SV_TRY(put_first(k, err));
    if (s->quotas && sv_quotas_need_supply(s->quotas)) {
        while (more) SV_TRY(extend(k, &more, err));
        for (size_t i = 0; i < k->kept; i++) sv_quotas_supply(s->quotas, sv_rival_number(&k->r->items[i]));
    }
    if (s->quotas) SV_TRY(sv_quotas_start(s->quotas, (int64_t)want, err));
    size_t i = 0;
    for (more = true; picks->count < want && more;) {
        if (i < k->kept)
            SV_TRY(pick_one(k, i++, picks, drops, err));
        else
            SV_TRY(extend(k, &more, err));
    }
    return tell_repeats(k, picks->count < want ? SIZE_MAX : i, drops, err);
}

sv_status sv_steps_run(sv_steps *s, sv_rivals *rivals, size_t want, sv_rivals *picks, sv_drops *drops, sv_error *err) {
    ranking k = {.s = s, .r = rivals, .piece = want + want / 4 > LEAST_PIECE ? want + want / 4 : LEAST_PIECE};
    if (rivals->count > UINT32_MAX) return sv_fail(err, SV_E_INTERNAL, "select", "%zu competitors are too many", rivals->count);
    sv_status st = s->dedup->hash == SV_DEDUP_NONE ? SV_OK : sv_hash_index_open(&k.index, (int)s->dedup->distance, err);
    if (st == SV_OK) st = walk(&k, want, picks, drops, err);
    sv_hash_index_close(&k.index);
    free(k.repeats);
    if (st == SV_OK && k.by_hand) st = sv_rivals_top(picks, picks->count, s->ledger, err);
    return st;
}
