/* sentencepiece_internal.h - a SentencePiece model in memory: what reading it (sentencepiece_model.c) fills in and encoding uses. */
#ifndef SV_TEXT_SENTENCEPIECE_INTERNAL_H
#define SV_TEXT_SENTENCEPIECE_INTERNAL_H

#include "text/tokenizer/sentencepiece.h"

/* ModelProto.SentencePiece.Type */
typedef enum sv_piece_type { SV_PIECE_NORMAL = 1, SV_PIECE_UNKNOWN, SV_PIECE_CONTROL, SV_PIECE_USER, SV_PIECE_UNUSED, SV_PIECE_BYTE } sv_piece_type;

typedef struct sv_piece {
    const char *text;            /* points into the file's bytes */
    uint32_t size;
    float score;
    sv_piece_type type;
} sv_piece;

/* A byte trie. Children of a node lie side by side, in ascending order of their byte. */
typedef struct sv_trie_node {
    uint32_t first;              /* first child */
    int32_t value;               /* -1: no string ends here */
    uint16_t children;
    uint8_t byte;
} sv_trie_node;
typedef struct sv_trie {
    sv_trie_node *nodes;         /* node 0 is the root */
    size_t count;
    uint32_t start[256];         /* children of the root by byte, 0 for none */
} sv_trie;

struct sv_spm {
    char *bytes;                 /* the file */
    size_t size;
    sv_piece *pieces;
    size_t count;
    bool bpe, byte_fallback;
    int32_t unknown;             /* index of the unknown piece */
    float min_score, max_score;  /* of normal pieces */
    sv_trie words;               /* normal, user-defined and unused pieces: a text never holds the others */
    sv_trie user;                /* user-defined pieces alone: matched in the raw text, too */

    /* NormalizerSpec */
    const unsigned char *charsmap;      /* double array of 32-bit units, little-endian, any alignment */
    size_t charsmap_units;
    const char *replacements;           /* NUL-terminated strings that the double array points to */
    size_t replacements_size;
    bool dummy_prefix, remove_extra_spaces, escape_spaces, space_as_suffix;
};

/* The child of a node by byte, 0 if there is none (the root is nobody's child). */
uint32_t sv_trie_next(const sv_trie *t, uint32_t node, unsigned char byte);
/* Value of exactly this string, -1 if it is not in the trie. */
int32_t sv_trie_find(const sv_trie *t, const char *s, size_t size);

#endif
