/* fasttext_internal.h - a classifier in memory, as fasttext_model.c takes it from its file and fasttext.c uses it.
 *
 * Numbers stay in the mapped file, where they are aligned to nothing, and are copied out as they are used. The file is untrusted: what could lead outside of
 * it is checked once, at opening.
 */
#ifndef SV_TEXT_FASTTEXT_INTERNAL_H
#define SV_TEXT_FASTTEXT_INTERNAL_H

#include <string.h>

#include "text/models/fasttext.h"

typedef enum sv_fasttext_loss { SV_FASTTEXT_TREE = 1, SV_FASTTEXT_NEGATIVE, SV_FASTTEXT_SOFTMAX, SV_FASTTEXT_ONE_VS_ALL } sv_fasttext_loss;

enum { SV_FASTTEXT_SIGMOIDS = 512, SV_FASTTEXT_CENTROIDS = 256 };

/* rows x columns floats, or codes for them: a row falls into `parts` stretches of `step` columns (the last has `last_step`), each of which is one of
 * 256 centroids. `norms` (NULL: none) are codes of factors. */
typedef struct sv_fasttext_matrix {
    int64_t rows, columns;
    const unsigned char *floats;          /* NULL: quantised */
    const unsigned char *codes, *centroids, *norms, *norm_centroids;
    int32_t parts, step, last_step;
} sv_fasttext_matrix;

typedef struct sv_fasttext_word {
    const char *text;                     /* in the file; ends with a NUL */
    uint32_t size, hash;
} sv_fasttext_word;

/* Huffman tree of the labels: node i < labels is a leaf; the root is the last. */
typedef struct sv_fasttext_node {
    uint32_t left, right;
} sv_fasttext_node;

struct sv_fasttext {
    int32_t dimensions, word_ngrams, buckets, shortest, longest;   /* of n-grams of characters, in code points; longest 0: none */
    sv_fasttext_loss loss;
    uint32_t word_count, label_count;                              /* entry i is a word, or from word_count on a label */
    sv_fasttext_word *entries;
    uint32_t *table;                                               /* entry + 1 by hash; 0: free */
    uint32_t table_mask;
    char **labels;
    int64_t pruned;                                                /* -1: every bucket has its row; otherwise so many have */
    int32_t *kept;                                                 /* pairs bucket + 1, row, by bucket; 0: free */
    uint32_t kept_mask;
    sv_fasttext_matrix input, output;
    sv_fasttext_node *tree;                                        /* 2 label_count - 1 nodes */
    float sigmoid[SV_FASTTEXT_SIGMOIDS + 1];
    void *map;
    size_t map_size;
};

/* fastText's hash of words and parts of words: FNV-1a over bytes that are taken as signed. */
#define SV_FASTTEXT_HASH 2166136261u
static inline uint32_t sv_fasttext_hash_on(uint32_t h, char c) { return (h ^ (uint32_t)(signed char)c) * 16777619u; }
static inline uint32_t sv_fasttext_hash(const char *text, size_t size) {
    uint32_t h = SV_FASTTEXT_HASH;
    for (size_t i = 0; i < size; i++) h = sv_fasttext_hash_on(h, text[i]);
    return h;
}

static inline float sv_fasttext_float(const unsigned char *at, size_t i) {
    float v;
    memcpy(&v, at + i * sizeof v, sizeof v);
    return v;
}

/* Maps the file and takes it apart. */
sv_status sv_fasttext_map(sv_fasttext *m, const char *path, sv_error *err);

#endif
