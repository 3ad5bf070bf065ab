/* select_top.c - the best of many: selection in linear time, sorting only what is kept, ids only for ties. */
#include "stages/select/select.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool sv_rivals_add(sv_rivals *r, sv_rival one) {
    if (r->count == r->capacity) {
        size_t capacity = r->capacity ? r->capacity * 2 : 4096;
        sv_rival *items = realloc(r->items, capacity * sizeof *items);
        if (!items) return false;
        r->items = items;
        r->capacity = capacity;
    }
    r->items[r->count++] = one;
    return true;
}

void sv_rivals_free(sv_rivals *r) {
    free(r->items);
    *r = (sv_rivals){0};
}

#define SIGN ((uint64_t)1 << 63)

uint64_t sv_key_of_score(double score) {
    uint64_t bits;
    score += 0.0;   /* -0 becomes 0: they are equal */
    memcpy(&bits, &score, sizeof bits);
    return bits & SIGN ? ~bits : bits | SIGN;
}

double sv_score_of_key(uint64_t key) {
    double score;
    key = key & SIGN ? key & ~SIGN : ~key;
    memcpy(&score, &key, sizeof score);
    return score;
}

uint64_t sv_lot(int64_t seed, const char *id, int k) {
    char small[256], *text = small;
    size_t room = strlen(id) + 64;
    if (room > sizeof small && !(text = malloc(room))) return UINT64_MAX;
    int n = snprintf(text, room > sizeof small ? room : sizeof small, "select:%lld/%s/%d", (long long)seed, id, k);
    uint8_t hash[32];
    uint64_t lot = 0;
    sv_sha256(text, (size_t)n, hash);
    if (text != small) free(text);
    for (int i = 0; i < 8; i++) lot = lot << 8 | hash[i];
    return lot;
}

static void swap(sv_rival *a, sv_rival *b) {
    sv_rival t = *a;
    *a = *b;
    *b = t;
}

/* Three-way partition around the median of three, again and again in the part that holds position `nth`: afterwards every key before `nth` is not
 * smaller, every key behind it not larger. Many equal keys cost nothing extra. */
static void select_nth(sv_rival *a, size_t n, size_t nth) {
    size_t low = 0, high = n;
    while (high - low > 1) {
        uint64_t x = a[low].key, y = a[low + (high - low) / 2].key, z = a[high - 1].key;
        uint64_t pivot = x < y ? (y < z ? y : x < z ? z : x) : (x < z ? x : y < z ? z : y);
        size_t above = low, i = low, below = high;   /* [low, above) > pivot, [above, i) = pivot, [below, high) < pivot */
        while (i < below) {
            if (a[i].key > pivot)
                swap(&a[i++], &a[above++]);
            else if (a[i].key < pivot)
                swap(&a[i], &a[--below]);
            else
                i++;
        }
        if (nth < above)
            high = above;
        else if (nth >= below)
            low = below;
        else
            return;
    }
}

static int by_key(const void *a, const void *b) {
    uint64_t x = ((const sv_rival *)a)->key, y = ((const sv_rival *)b)->key;
    return (x < y) - (x > y);
}

/* ---- ties ---- */

typedef struct named {
    char *id;
    sv_rival rival;
} named;

static int by_id(const void *a, const void *b) {
    const named *x = a, *y = b;
    int d = strcmp(x->id, y->id);
    if (d) return d;
    return sv_rival_k(&x->rival) - sv_rival_k(&y->rival);
}

static sv_status order_tie(sv_rival *a, size_t n, sv_ledger *l, sv_error *err) {
    if (n < 2) return SV_OK;
    named *list = calloc(n, sizeof *list);
    if (!list) return sv_fail_memory(err, "select", n * sizeof *list);
    sv_status st = SV_OK;
    for (size_t i = 0; st == SV_OK && i < n; i++) {
        size_t capacity = 0;
        list[i].rival = a[i];
        st = sv_ledger_caption_id(l, sv_rival_number(&a[i]), &list[i].id, &capacity, err);
    }
    if (st == SV_OK) {
        qsort(list, n, sizeof *list, by_id);
        for (size_t i = 0; i < n; i++) a[i] = list[i].rival;
    }
    for (size_t i = 0; i < n; i++) free(list[i].id);
    free(list);
    return st;
}

/* The winners of the tie at the border come first in it. */
static sv_status settle_border(sv_rivals *r, size_t want, sv_ledger *l, sv_error *err) {
    uint64_t key = r->items[want - 1].key;
    size_t above = 0, end = want;   /* the tie's members are gathered in [above, end) */
    for (size_t i = 0; i < want; i++)
        if (r->items[i].key > key) swap(&r->items[i], &r->items[above++]);
    for (size_t i = want; i < r->count; i++)
        if (r->items[i].key == key) swap(&r->items[i], &r->items[end++]);
    return end > want ? order_tie(r->items + above, end - above, l, err) : SV_OK;
}

sv_status sv_rivals_top(sv_rivals *r, size_t want, sv_ledger *l, sv_error *err) {
    if (want > r->count) want = r->count;
    if (!want) return SV_OK;
    if (want < r->count) {
        select_nth(r->items, r->count, want - 1);
        SV_TRY(settle_border(r, want, l, err));
    }
    qsort(r->items, want, sizeof *r->items, by_key);
    for (size_t i = 0, end; i < want; i = end) {
        for (end = i + 1; end < want && r->items[end].key == r->items[i].key;) end++;
        SV_TRY(order_tie(r->items + i, end - i, l, err));
    }
    return SV_OK;
}
