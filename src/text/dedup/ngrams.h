/* ngrams.h - counts equal stretches of a text: the heart of the two repetition filters. */
#ifndef SV_TEXT_NGRAMS_H
#define SV_TEXT_NGRAMS_H

#include "base/error.h"

/* A table that is reused from text to text: open addressing over positions in the text, no copies of the n-grams. Zero-initialise. */
typedef struct sv_ngrams {
    struct sv_ngram_slot { uint32_t at, count; } *slots;   /* at: index of the first n-gram of its kind; count 0: free */
    size_t capacity, mask;
    uint32_t *repeated;                                    /* scratch: the counts above 1 */
    size_t repeated_capacity;
} sv_ngrams;

void sv_ngrams_free(sv_ngrams *g);

/* The n-grams of a sequence of `length` units (code points or words), n at a time. Unit i lies in text at [begin[i], begin[i+1] - gap);
 * begin NULL: units are single bytes. hash[i], if not NULL, is the hash of unit i; otherwise units are hashed by their bytes. */
typedef struct sv_units {
    const char *text;
    const uint32_t *begin;       /* length + 1 entries */
    uint32_t gap;                /* bytes between units: 1 where words are joined by a space */
    const uint64_t *hash;
    size_t length;
} sv_units;

typedef struct sv_ngram_counts {
    uint64_t total, distinct;    /* n-grams, and different ones */
    const uint32_t *repeated;    /* how often each of those occurs that occur more than once; order not defined; until the next call */
    size_t repeated_count;
} sv_ngram_counts;

sv_status sv_ngrams_count(sv_ngrams *g, const sv_units *units, size_t n, sv_ngram_counts *out, sv_error *err);

#endif
