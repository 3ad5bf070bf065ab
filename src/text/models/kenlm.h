/* kenlm.h - n-gram language models as KenLM reads them: ARPA text (plain or gzip) and KenLM's binary files (format version 5: probing hash tables,
 * with and without rest costs; tries, quantised and array-compressed), which are mapped into memory.
 *
 * Scores are log10 probabilities, equal to KenLM's: the same float additions in the same order. A model is read-only once open and shared by
 * any number of threads. A binary file must not be cut short while it is in use.
 */
#ifndef SV_TEXT_KENLM_H
#define SV_TEXT_KENLM_H

#include "base/error.h"

#define SV_KENLM_MAX_ORDER 12

typedef struct sv_kenlm sv_kenlm;

/* SV_E_MODEL for anything that is no language model, is broken, or is of another version; says which. */
sv_status sv_kenlm_open(sv_kenlm **out, const char *path, sv_error *err);
void sv_kenlm_close(sv_kenlm **m);

int sv_kenlm_order(const sv_kenlm *m);
const char *sv_kenlm_kind(const sv_kenlm *m);            /* "ARPA", "probing hash tables", "trie with quantization" … */

/* Index of a word; 0 (<unk>) if the model does not know it. */
uint32_t sv_kenlm_word(const sv_kenlm *m, const char *word, size_t size);

/* What the model needs of the words so far: the latest first, no more of them than can matter. */
typedef struct sv_kenlm_state {
    uint32_t words[SV_KENLM_MAX_ORDER - 1];
    float backoff[SV_KENLM_MAX_ORDER - 1];
    int length;
} sv_kenlm_state;
void sv_kenlm_begin(const sv_kenlm *m, sv_kenlm_state *state);      /* after <s> */
/* log10 p(word | in); the state after it into `out` (not `in`). matched: words of the n-gram found; may be NULL. */
float sv_kenlm_step(const sv_kenlm *m, const sv_kenlm_state *in, uint32_t word, sv_kenlm_state *out, int *matched);

/* log10 probability of a line between <s> and </s>. Words are separated by the bytes 09-0D and 20; a NUL ends the line. */
float sv_kenlm_score(const sv_kenlm *m, const char *line, size_t size);

#endif
