/* scan.h - one text under judgement, and what several operators want to know about it, measured once.
 *
 * A scan belongs to one thread and keeps its memory from text to text: judging a caption allocates nothing. Texts are valid UTF-8 of less
 * than 2^31 bytes; whoever sets one has checked that.
 */
#ifndef SV_TEXT_SCAN_H
#define SV_TEXT_SCAN_H

#include "base/str.h"
#include "synthvlm/tokenizer.h"
#include "text/models/fasttext.h"
#include "text/dedup/ngrams.h"
#include "text/tokenizer/sentencepiece.h"

/* Largest text, in bytes: positions are 32 bits wide. */
#define SV_TEXT_MAX 0x7FFFFFFFu

typedef struct sv_scan {
    const char *text;            /* as the mappers so far left it; in the caller's memory or in one of the two buffers */
    size_t size;
    bool changed;                /* a mapper has replaced it */

    /* Read after sv_scan_counts. */
    bool ascii;
    uint32_t length, alnum, special;          /* code points: all, alphanumeric, special */

    /* Read after sv_scan_words: the refined, lower-cased words, in one run of bytes with a space after each. */
    sv_buf words;
    const sv_spm *word_pieces;                /* the model they came from, NULL: plain words */
    uint32_t *word_begin;                     /* word_count + 1 entries; a word ends one byte before the next begins */
    uint64_t *word_hash;
    size_t word_count, word_capacity;

    sv_ngrams ngrams;
    unsigned known;                           /* which of the groups above are up to date */
    sv_buf buffers[2];                        /* results of mappers, in turns: [turn] may hold the text, the other is spare */
    int turn;
    uint32_t *begin;                          /* where each code point begins; after sv_scan_begins, for texts that are not ASCII */
    size_t begin_capacity;
    sv_buf pieces;                            /* scratch: pieces of a SentencePiece model, a space between */
    sv_ids ids;                               /* scratch of the token filters */
    sv_fasttext_scratch language;             /* scratch of the language filter */
    uint32_t *marks;                          /* scratch of sv_scan_marks */
    size_t mark_capacity;
} sv_scan;

void sv_scan_free(sv_scan *s);

/* Sets the text, which stays the caller's and must outlive its use here. */
void sv_scan_set(sv_scan *s, const char *text, size_t size);
/* The same with a wrapping around it, built in memory of the scan. */
sv_status sv_scan_set_wrapped(sv_scan *s, const char *before, const char *text, size_t size, const char *after, sv_error *err);

/* For mappers: an empty buffer to write a new text to, and making that the text. Without the second call it is mere scratch memory. */
sv_buf *sv_scan_spare(sv_scan *s);
sv_status sv_scan_adopt(sv_scan *s, sv_error *err);

void sv_scan_counts(sv_scan *s);
/* pieces: NULL for words, or the model whose pieces take their place. */
sv_status sv_scan_words(sv_scan *s, const sv_spm *pieces, sv_error *err);
sv_status sv_scan_begins(sv_scan *s, sv_error *err);

/* Scratch memory for n positions. */
sv_status sv_scan_marks(sv_scan *s, size_t n, uint32_t **marks, sv_error *err);

/* Words after refinement without lower case: a lower-case letter can be special where its capital is not. */
sv_status sv_scan_word_number(sv_scan *s, const sv_spm *pieces, uint32_t *number, sv_error *err);

/* Strips special characters off both ends. */
void sv_strip_special(const char **text, size_t *size);

#endif
