/* tokenizer_bpe.h - byte-level byte-pair encoding of single words: vocabulary, merges, and a cache of words already encoded.
 *
 * The symbols of a word are its UTF-8 bytes, the last one marked "</w>". The adjacent pair of lowest rank is merged (the leftmost of equals)
 * until no pair has a rank (Sennrich et al. 2016, as in openai/CLIP and `tokenizers`).
 */
#ifndef SV_TEXT_TOKENIZER_BPE_H
#define SV_TEXT_TOKENIZER_BPE_H

#include "base/str.h"
#include "synthvlm/tokenizer.h"

typedef struct sv_bpe sv_bpe;

sv_bpe *sv_bpe_new(void);                                              /* NULL when memory runs out */
void sv_bpe_free(sv_bpe **b);

/* Building. `what` names the file in errors. Ids may come in any order and leave gaps, but each id and each piece comes once. */
sv_status sv_bpe_add_piece(sv_bpe *b, const char *what, const char *piece, size_t size, int64_t id, sv_error *err);
/* A merge of two pieces into one, all three in the vocabulary. where: "line 12" or the like. A pair given twice has the later rank. */
sv_status sv_bpe_add_merge(sv_bpe *b, const char *what, size_t where, const char *left, size_t left_size, const char *right, size_t right_size,
                           sv_error *err);
/* Ends building: checks that every byte has its two symbols. After this b is read-only but for its cache, and may be shared. */
sv_status sv_bpe_seal(sv_bpe *b, const char *what, sv_error *err);

int32_t sv_bpe_find(const sv_bpe *b, const char *piece, size_t size);   /* -1 if there is none */
const char *sv_bpe_piece(const sv_bpe *b, int32_t id);                  /* NULL if there is none */
size_t sv_bpe_size(const sv_bpe *b);                                    /* highest id + 1 */

/* Appends the ids of one word (n > 0 bytes). Any thread. Time n log n. */
bool sv_bpe_encode(const sv_bpe *b, const char *word, size_t n, sv_ids *ids);

bool sv_ids_add(sv_ids *ids, int32_t id);                               /* false when memory runs out */

#endif
