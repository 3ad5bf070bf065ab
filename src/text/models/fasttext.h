/* fasttext.h - text classifiers as fastText writes them: supervised models, dense (.bin) and quantised (.ftz), of format versions 11 and 12, mapped into
 * memory and read where they lie. Made for language identification (lid.176.bin), good for any classifier of that kind.
 *
 * Predictions are fastText's: the same sums of floats in the same order, for every loss (hierarchical softmax, softmax, negative sampling, one against
 * all). A model is read-only once open and shared by any number of threads. The file must not be cut short while it is in use.
 */
#ifndef SV_TEXT_FASTTEXT_H
#define SV_TEXT_FASTTEXT_H

#include "base/error.h"

typedef struct sv_fasttext sv_fasttext;

/* SV_E_MODEL for anything that is no supervised model, is broken, or is of another version; says which. */
sv_status sv_fasttext_open(sv_fasttext **out, const char *path, sv_error *err);
void sv_fasttext_close(sv_fasttext **m);

size_t sv_fasttext_label_count(const sv_fasttext *m);
/* The label without "__label__": "en". UTF-8. NULL for a number that is none. */
const char *sv_fasttext_label(const sv_fasttext *m, size_t i);

/* One thread's scratch memory: zero-initialise, reuse, free. */
typedef struct sv_fasttext_scratch {
    float *values;               /* dimensions of a text, then a number per label, then a stack of the tree */
    uint32_t *nodes;
    size_t value_capacity, node_capacity;
    int32_t *hashes;             /* of the words */
    size_t hash_count, hash_capacity;
} sv_fasttext_scratch;
void sv_fasttext_scratch_free(sv_fasttext_scratch *s);

/* The most likely label of a line (one without U+000A; words end at the bytes 00, 09-0D and 20) and its probability, as fastText rounds it (up to 1.00001).
 * *label is -1, and *probability NaN, if the model knows nothing of the line: no word, no part of one. */
sv_status sv_fasttext_predict(const sv_fasttext *m, const char *line, size_t size, sv_fasttext_scratch *s, int64_t *label, float *probability,
                              sv_error *err);

#endif
