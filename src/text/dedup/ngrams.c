#include "text/dedup/ngrams.h"

#include <stdlib.h>
#include <string.h>

/* Above this a table is given back after use, so that one huge text does not cost memory for good. */
enum { KEEP_SLOTS = 1 << 16 };

static const uint64_t BASE = 0x9E3779B97F4A7C15u;   /* odd: a polynomial hash modulo 2^64 */

void sv_ngrams_free(sv_ngrams *g) {
    free(g->slots);
    free(g->repeated);
    *g = (sv_ngrams){0};
}

/* Free slots for `count` n-grams. A small table is cleared in a few cache lines: cheaper than marking slots by generation. */
static sv_status prepare(sv_ngrams *g, size_t count, sv_error *err) {
    size_t need = 64, spare = count > KEEP_SLOTS ? count / 8 : count / 2;
    while (need < count + spare) need *= 2;
    if (need > g->capacity || (g->capacity > KEEP_SLOTS && need <= KEEP_SLOTS)) {
        struct sv_ngram_slot *slots = malloc(need * sizeof *slots);
        if (!slots) return sv_fail_memory(err, "counting repetitions", need * sizeof *slots);
        free(g->slots);
        g->slots = slots;
        g->capacity = need;
    }
    g->mask = need - 1;
    memset(g->slots, 0, need * sizeof *g->slots);
    return SV_OK;
}

static inline uint32_t unit_begin(const sv_units *u, size_t i) { return u->begin ? u->begin[i] : (uint32_t)i; }

static uint64_t unit_hash(const sv_units *u, size_t i) {
    if (u->hash) return u->hash[i];
    uint64_t h = 0;
    for (uint32_t p = unit_begin(u, i), end = unit_begin(u, i + 1); p < end; p++) h = h << 8 | (unsigned char)u->text[p];
    return h;
}

static sv_status collect(sv_ngrams *g, size_t repeats, sv_ngram_counts *out, sv_error *err) {
    if (repeats > g->repeated_capacity) {
        size_t capacity = repeats < 64 ? 64 : repeats;
        uint32_t *grown = realloc(g->repeated, capacity * sizeof *grown);
        if (!grown) return sv_fail_memory(err, "counting repetitions", capacity * sizeof *grown);
        g->repeated = grown;
        g->repeated_capacity = capacity;
    }
    size_t n = 0;
    for (size_t i = 0; repeats && i <= g->mask; i++)
        if (g->slots[i].count > 1) g->repeated[n++] = g->slots[i].count;
    out->repeated = g->repeated;
    out->repeated_count = n;
    return SV_OK;
}

sv_status sv_ngrams_count(sv_ngrams *g, const sv_units *u, size_t n, sv_ngram_counts *out, sv_error *err) {
    *out = (sv_ngram_counts){0};
    if (n == 0 || u->length < n) return SV_OK;
    size_t count = u->length - n + 1;
    SV_TRY(prepare(g, count, err));
    uint64_t out_factor = 1, hash = 0;           /* BASE^(n-1) */
    for (size_t i = 0; i + 1 < n; i++) {
        out_factor *= BASE;
        hash = hash * BASE + unit_hash(u, i);
    }
    size_t distinct = 0, repeats = 0;
    for (size_t i = 0; i < count; i++) {
        hash = hash * BASE + unit_hash(u, i + n - 1);
        uint32_t at = unit_begin(u, i), size = unit_begin(u, i + n) - u->gap - at;
        uint64_t mixed = hash ^ hash >> 29;
        size_t slot = (size_t)(mixed * 0xBF58476D1CE4E5B9u >> 32) & g->mask;
        for (;; slot = (slot + 1) & g->mask) {
            struct sv_ngram_slot *s = &g->slots[slot];
            if (s->count == 0) {
                *s = (struct sv_ngram_slot){(uint32_t)i, 1};
                distinct++;
                break;
            }
            uint32_t other = unit_begin(u, s->at);
            if (unit_begin(u, s->at + n) - u->gap - other == size && memcmp(u->text + other, u->text + at, size) == 0) {
                repeats += s->count++ == 1;
                break;
            }
        }
        hash -= unit_hash(u, i) * out_factor;
    }
    out->total = count;
    out->distinct = distinct;
    return collect(g, repeats, out, err);
}
