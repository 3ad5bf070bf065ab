/* siglip_tokenizer.h - the tokenizers of SigLIP and SigLIP 2, as transformers runs them: text to a row of ids of fixed length.
 *
 * SigLIP: lower case, ASCII punctuation removed, white space to single blanks, unigram pieces (spiece.model, or tokenizer.json). SigLIP 2: lower case,
 * Gemma's BPE pieces (tokenizer.json, or tokenizer.model). Both end with the end token and are padded to the full length, which is how the models were
 * trained: they see no attention mask. Special tokens written out in a text are ordinary text.
 */
#ifndef SV_TEXT_SIGLIP_TOKENIZER_H
#define SV_TEXT_SIGLIP_TOKENIZER_H

#include "synthvlm/tokenizer.h"

typedef struct sv_siglip sv_siglip;      /* read-only once open; shared by any number of threads */

/* SV_E_MODEL: no tokenizer of these kinds, or one without its end or padding token. */
sv_status sv_siglip_open(sv_siglip **out, const char *dir, sv_error *err);
void sv_siglip_close(sv_siglip **t);

size_t sv_siglip_vocabulary(const sv_siglip *t);
size_t sv_siglip_max_length(const sv_siglip *t);         /* 64 where tokenizer_config.json does not say */
int32_t sv_siglip_end(const sv_siglip *t);
int32_t sv_siglip_pad(const sv_siglip *t);
bool sv_siglip_is_bpe(const sv_siglip *t);               /* SigLIP 2 */

/* Content ids, without special tokens. Valid UTF-8 only (SV_E_INPUT). Any thread. */
sv_status sv_siglip_encode(const sv_siglip *t, const char *text, size_t size, sv_ids *ids, sv_error *err);
/* A row of `length` ids: start token where the model has one, content, end token, padding. Returns the number of content ids that did not fit. */
size_t sv_siglip_row(const sv_siglip *t, const sv_ids *ids, size_t length, int32_t *row);
/* Content ids that fit into a row of `length`. */
size_t sv_siglip_room(const sv_siglip *t, size_t length);

#endif
