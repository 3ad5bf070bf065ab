/* select.h - between the files of select: the candidates that compete, the order in which they win, and what may still come between. */
#ifndef SV_STAGES_SELECT_H
#define SV_STAGES_SELECT_H

#include "ledger/ledger.h"
#include "stages/select/select_quota.h"

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

/* ---- lists of candidates by hand (select_list.c) ---- */

typedef struct sv_listed { uint64_t who; int64_t line; } sv_listed;
typedef struct sv_list {         /* ascending by who; path is borrowed */
    const char *path;
    sv_listed *items;
    size_t count;
} sv_list;
/* Reads a file of candidates; path NULL: an empty list. `key` is what a file that cannot be read is laid to. */
sv_status sv_list_read(sv_list *out, const char *key, const char *path, sv_error *err);
void sv_list_free(sv_list *list);
/* Both lists of a recipe can be read: asked before they become the run's own, and before anything is drawn. */
sv_status sv_lists_check(const sv_recipe *r, sv_error *err);
const sv_listed *sv_list_find(const sv_list *list, uint64_t who);
/* Over the ids in order: what a selection's settings say of the list. */
sv_status sv_list_hash(const sv_list *list, char hash[SV_SHA256_HEX], sv_error *err);
/* Every candidate must be there; must_be_good: with a picture, and not in `other`. Errors name file and line. */
sv_status sv_list_check(const sv_list *list, const sv_list *other, bool must_be_good, sv_ledger *l, int64_t generate, sv_error *err);
/* SV_E_INPUT about one of the list. */
sv_status sv_list_missed(const sv_list *list, const sv_listed *item, const char *why, const char *help, sv_error *err);

/* ---- the steps after the ranking (select_steps.c) ---- */

/* A competitor that was passed over. */
typedef struct sv_drop {
    uint64_t who, of;            /* of: the better candidate that it repeats, or one of those below, which are no candidates */
} sv_drop;
enum { SV_DROP_MANUAL = 1, SV_DROP_FULL, SV_DROP_RESERVED, SV_DROP_VETOED };
typedef struct sv_drops {        /* zero-initialise, free(items) */
    sv_drop *items;
    size_t count, capacity;
} sv_drops;
bool sv_drops_add(sv_drops *d, sv_drop one);

typedef struct sv_steps {
    sv_ledger *ledger;
    int64_t generate;
    const sv_dedup_settings *dedup;
    sv_quotas *quotas;           /* NULL: none */
    const sv_list *include;
    int64_t near_duplicates, full, reserved;   /* out: how many were passed over before the last pick, and why */
} sv_steps;
/* Walks the competitors from the best on, those of the include list before all others: near-duplicates of a better one are passed over, then those whose
 * quota is full, until `want` are picked. Picks come back best first; rivals is used up. What was passed over is added to drops. */
sv_status sv_steps_run(sv_steps *s, sv_rivals *rivals, size_t want, sv_rivals *picks, sv_drops *drops, sv_error *err);

#endif
