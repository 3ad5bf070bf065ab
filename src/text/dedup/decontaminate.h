/* decontaminate.h - whether a caption repeats a text of a benchmark: the whole of it, a run of its words, or most of its word groups.
 *
 * Texts are compared as sequences of words: in lower case, without punctuation (ASCII punctuation and symbols, and the Unicode categories P), split at
 * white space, which is what GPT-3's and lm-eval's decontamination do. The benchmarks' texts are added once; then any number of threads look captions up.
 *
 * Memory: 16 to 32 bytes for every different run of words and every text; for near-duplicates 16 to 32 bytes a band (25 by default) and 4 bytes a word
 * group of every text; and the place that a text is named by. Captions cost nothing.
 */
#ifndef SV_TEXT_DECONTAMINATE_H
#define SV_TEXT_DECONTAMINATE_H

#include "base/str.h"

typedef struct sv_decontaminate_options {
    size_t ngram;                /* words of a run that is too much; 0: runs are not looked at */
    double similarity;           /* Jaccard similarity of word groups from which on a caption repeats a text; NaN: not looked at */
    size_t window, permutations; /* words of a group, length of a signature */
} sv_decontaminate_options;

typedef struct sv_decontaminator sv_decontaminator;
sv_status sv_decontaminator_open(sv_decontaminator **out, const sv_decontaminate_options *o, sv_error *err);
void sv_decontaminator_close(sv_decontaminator **d);

/* One thread's scratch memory: zero-initialise, reuse, free. */
typedef struct sv_decontaminate_scratch {
    sv_buf lower, words;         /* the words, a space after each */
    uint32_t *begin;             /* word_count + 1 entries */
    size_t word_count, capacity;
    uint32_t *groups;            /* hashes of word groups, sorted, each once */
    size_t group_count, group_capacity;
} sv_decontaminate_scratch;
void sv_decontaminate_scratch_free(sv_decontaminate_scratch *s);

/* Adds a text of a benchmark (valid UTF-8). place: what a hit is named by, "bench.jsonl:12, id q7"; copied. A text without words, or one whose words are there
 * already, adds nothing. */
sv_status sv_decontaminator_add(sv_decontaminator *d, const char *text, size_t size, const char *place, sv_decontaminate_scratch *s, sv_error *err);

/* What is there: texts, different runs of words, bytes of memory. */
typedef struct sv_decontaminator_size { size_t texts, runs, bytes; } sv_decontaminator_size;
sv_decontaminator_size sv_decontaminator_measure(const sv_decontaminator *d);

/* Looks a caption up (valid UTF-8). *hit: it repeats a text; then `detail` is "PLACE: \"the words\"" or "PLACE: a near-duplicate" (what was in it is replaced),
 * and *similarity the Jaccard similarity, NaN where words are repeated outright. Of several texts the most similar is named, then the earliest. Any thread. */
sv_status sv_decontaminator_find(const sv_decontaminator *d, const char *text, size_t size, sv_decontaminate_scratch *s, bool *hit, double *similarity,
                                 sv_buf *detail, sv_error *err);

#endif
