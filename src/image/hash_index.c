/* hash_index.c - hashes near a hash, without looking at all of them: four tables, each by 16 of the 64 bits.
 *
 * If no band b differs in at most r[b] bits, the bands together differ in at least the sum of r[b] + 1. With that sum just above the distance
 * that is asked for, one band must be near; a query looks only into the buckets that its bands reach with r[b] flips. */
#include <stdlib.h>

#include "base/error.h"
#include "image/phash.h"

enum { BANDS = 4, BAND_BITS = 16, BUCKETS = 1 << BAND_BITS };

typedef struct entry {
    uint64_t hash;
    uint32_t name;
} entry;

typedef struct bucket {
    entry *items;
    uint32_t count, capacity;
} bucket;

struct sv_hash_index {
    int distance;
    bucket *buckets[BANDS];
    uint16_t *flips;             /* patterns to flip in a band, those with the fewest bits first */
    size_t flip_count[BANDS];    /* so many of them are tried in each band */
};

static unsigned band_of(uint64_t hash, int band) { return (unsigned)(hash >> (band * BAND_BITS)) & (BUCKETS - 1); }

static bool list_flips(sv_hash_index *x) {
    size_t upto[BAND_BITS + 1], n = 0;   /* patterns of at most so many bits */
    x->flips = malloc(BUCKETS * sizeof *x->flips);
    if (!x->flips) return false;
    for (int bits = 0; bits <= x->distance / BANDS; bits++) {
        for (unsigned v = 0; v < BUCKETS; v++)
            if (__builtin_popcount(v) == bits) x->flips[n++] = (uint16_t)v;
        upto[bits] = n;
    }
    /* distance + 1 in all, shared out: band b gets its share less one as its radius; a band without a share need not be looked at. */
    for (int b = 0; b < BANDS; b++) {
        int share = (x->distance + 1) / BANDS + (b < (x->distance + 1) % BANDS);
        x->flip_count[b] = share ? upto[share - 1] : 0;
    }
    return true;
}

sv_status sv_hash_index_open(sv_hash_index **out, int distance, sv_error *err) {
    *out = NULL;
    if (distance < 0 || distance > SV_HASH_MOST_DISTANCE)
        return sv_fail(err, SV_E_USAGE, "hash index", "distance %d is not between 0 and %d", distance, SV_HASH_MOST_DISTANCE);
    sv_hash_index *x = calloc(1, sizeof *x);
    if (!x) return sv_fail_memory(err, "hash index", sizeof *x);
    x->distance = distance;
    bool ok = list_flips(x);
    for (int b = 0; b < BANDS; b++) ok = (x->buckets[b] = calloc(BUCKETS, sizeof **x->buckets)) && ok;
    if (!ok) {
        sv_hash_index_close(&x);
        return sv_fail_memory(err, "hash index", BANDS * BUCKETS * sizeof(bucket));
    }
    *out = x;
    return SV_OK;
}

void sv_hash_index_close(sv_hash_index **index) {
    sv_hash_index *x = *index;
    if (!x) return;
    for (int b = 0; b < BANDS; b++) {
        for (int i = 0; x->buckets[b] && i < BUCKETS; i++) free(x->buckets[b][i].items);
        free(x->buckets[b]);
    }
    free(x->flips);
    free(x);
    *index = NULL;
}

sv_status sv_hash_index_add(sv_hash_index *x, uint64_t hash, uint32_t name, sv_error *err) {
    for (int b = 0; b < BANDS && x->flip_count[b]; b++) {
        bucket *at = &x->buckets[b][band_of(hash, b)];
        if (at->count == at->capacity) {
            uint32_t capacity = at->capacity ? at->capacity + at->capacity / 2 + 1 : 4;
            entry *items = realloc(at->items, capacity * sizeof *items);
            if (!items) return sv_fail_memory(err, "hash index", capacity * sizeof *items);
            at->items = items;
            at->capacity = capacity;
        }
        at->items[at->count++] = (entry){hash, name};
    }
    return SV_OK;
}

bool sv_hash_index_find(const sv_hash_index *x, uint64_t hash, uint32_t *name) {
    return sv_hash_index_find_if(x, hash, NULL, NULL, name);
}

bool sv_hash_index_find_if(const sv_hash_index *x, uint64_t hash, sv_hash_accept accept, const void *user, uint32_t *name) {
    bool found = false;
    for (int b = 0; b < BANDS; b++) {
        unsigned own = band_of(hash, b);
        for (size_t f = 0; f < x->flip_count[b]; f++) {
            const bucket *at = &x->buckets[b][own ^ x->flips[f]];
            for (uint32_t i = 0; i < at->count; i++) {
                if (sv_hash_distance(at->items[i].hash, hash) > x->distance || (found && at->items[i].name >= *name)) continue;
                if (accept && !accept(user, at->items[i].name)) continue;
                *name = at->items[i].name;
                found = true;
            }
        }
    }
    return found;
}
