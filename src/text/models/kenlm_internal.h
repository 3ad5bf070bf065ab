/* kenlm_internal.h - a language model in memory, whichever file it came from.
 *
 * Every n-gram is looked up from its last word backwards: (w), (v w), (u v w) … Files are untrusted: every index that comes from one is
 * checked against the size of what it points into, at opening or at each look-up.
 */
#ifndef SV_TEXT_KENLM_INTERNAL_H
#define SV_TEXT_KENLM_INTERNAL_H

#include <string.h>

#include "text/models/kenlm.h"

/* Model types as numbered in binary files; ARPA has none. */
typedef enum sv_kenlm_type { SV_KENLM_PROBING, SV_KENLM_REST_PROBING, SV_KENLM_TRIE, SV_KENLM_QUANT_TRIE, SV_KENLM_ARRAY_TRIE, SV_KENLM_QUANT_ARRAY_TRIE,
                             SV_KENLM_ARPA } sv_kenlm_type;

/* Hash table with linear probing: entries of `stride` bytes begin with a 64-bit key, 0 for a free one. */
typedef struct sv_kenlm_table {
    unsigned char *base;
    uint64_t buckets;
    uint32_t stride;
} sv_kenlm_table;

/* One order of a trie: entries of `bits` bits, packed: word, values, and (but for the longest order) where its extensions begin. */
typedef struct sv_kenlm_level {
    const unsigned char *base;
    uint64_t entries;
    unsigned bits, word_bits, value_bits, next_bits;
    const unsigned char *offsets;        /* array compression: 64-bit first indices of each high part of `next`; NULL without */
    uint64_t offset_count;
    const unsigned char *probs, *backoffs;   /* quantisation: tables of floats; NULL without */
    unsigned prob_bits, backoff_bits;
} sv_kenlm_level;

struct sv_kenlm {
    sv_kenlm_type type;
    int order;
    uint64_t unigram_count;              /* words including <unk>: indices are below it */
    uint32_t begin, end;                 /* <s>, </s> */
    const unsigned char *unigrams;       /* probability and back-off as floats, then what the kind adds */
    uint32_t unigram_stride;
    /* hashed kinds */
    sv_kenlm_table vocabulary;           /* word hash -> 32-bit index */
    sv_kenlm_table tables[SV_KENLM_MAX_ORDER - 1];   /* orders 2 .. order */
    /* tries */
    const unsigned char *sorted;         /* word hashes, ascending; index = place + 1 */
    uint64_t sorted_count;
    sv_kenlm_level levels[SV_KENLM_MAX_ORDER - 1];
    /* what is to be given back */
    void *map;
    size_t map_size;
    bool owns_tables;                    /* tables, vocabulary and unigrams are from malloc */
};

/* MurmurHash64A, seed 0: KenLM's hash of words. */
uint64_t sv_kenlm_hash(const char *word, size_t size);
static inline uint64_t sv_kenlm_combine(uint64_t hash, uint32_t next) {
    return hash * 8978948897894561157u ^ (uint64_t)(1 + next) * 17894857484156487943u;
}

static inline uint64_t sv_load64(const unsigned char *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint32_t sv_load32(const unsigned char *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline float sv_load_float(const unsigned char *p) {
    float v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The entry of a key, or NULL. */
unsigned char *sv_kenlm_find(const sv_kenlm_table *t, uint64_t key);

sv_status sv_kenlm_read_arpa(sv_kenlm *m, const char *path, sv_error *err);
/* Maps a file that begins with KenLM's magic string. */
sv_status sv_kenlm_map_binary(sv_kenlm *m, const char *path, sv_error *err);

#endif
