/* t5_tokenizer.h - T5's tokenizer as transformers runs it: SentencePiece unigram pieces, the end token, padding.
 *
 * Reads spiece.model of a tokenizer directory, or tokenizer.json where that is all there is. Special tokens written out in a text (</s>, <pad>,
 * <unk>, <extra_id_0> … <extra_id_99>) are taken as such.
 */
#ifndef SV_TEXT_T5_TOKENIZER_H
#define SV_TEXT_T5_TOKENIZER_H

#include "synthvlm/tokenizer.h"

typedef struct sv_t5 sv_t5;      /* read-only once open; shared by any number of threads */

sv_status sv_t5_open(sv_t5 **out, const char *dir, sv_error *err);
void sv_t5_close(sv_t5 **t);
size_t sv_t5_vocabulary(const sv_t5 *t);     /* number of ids, the extra ones included */

/* Content ids, without the end token. Valid UTF-8 only (SV_E_INPUT). Any thread. */
sv_status sv_t5_encode(const sv_t5 *t, const char *text, size_t size, sv_ids *ids, sv_error *err);

/* A row of `length` ids: at most length - 1 of content, the end token, padding. Returns the number of content ids that did not fit. */
size_t sv_t5_row(const sv_ids *ids, size_t length, int32_t *row);

#endif
