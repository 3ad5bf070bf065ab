/* select.h - between select.c and select_top.c: the candidates that compete, and the order in which they win. */
#ifndef SV_STAGES_SELECT_H
#define SV_STAGES_SELECT_H

#include "ledger/ledger.h"

/* One competitor in 16 bytes, so that ten million fit in 160 MB. Larger keys win; equal keys are decided by caption id (byte order), then k. */
typedef struct sv_rival {
    uint64_t key;                /* sv_key_of_score, or for random the complement of the lot */
    uint64_t who;                /* number << 16 | k */
} sv_rival;

typedef struct sv_rivals {       /* zero-initialise, sv_rivals_free */
    sv_rival *items;
    size_t count, capacity;
} sv_rivals;
bool sv_rivals_add(sv_rivals *r, sv_rival one);      /* false when memory runs out */
void sv_rivals_free(sv_rivals *r);

static inline uint64_t sv_rival_who(int64_t number, int k) { return (uint64_t)number << 16 | (uint64_t)(k & 0xFFFF); }
static inline int64_t sv_rival_number(const sv_rival *r) { return (int64_t)(r->who >> 16); }
static inline int sv_rival_k(const sv_rival *r) { return (int)(r->who & 0xFFFF); }

/* A finite double as an integer of the same order, and back. */
uint64_t sv_key_of_score(double score);
double sv_score_of_key(uint64_t key);
/* The lot of a candidate when chance decides: the first 64 bits, big-endian, of SHA-256("select:<seed>/<id>/<k>"); the lowest wins. */
uint64_t sv_lot(int64_t seed, const char *id, int k);

/* Brings the `want` best to the front, best first. The rest is left in no order. Captions' ids are read only where keys are equal. */
sv_status sv_rivals_top(sv_rivals *r, size_t want, sv_ledger *l, sv_error *err);

#endif
