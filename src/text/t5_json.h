/* t5_json.h - a unigram tokenizer.json (tokenizers library) as a SentencePiece model: newer exports hold only that. */
#ifndef SV_TEXT_T5_JSON_H
#define SV_TEXT_T5_JSON_H

#include "text/sentencepiece.h"

/* SV_E_MODEL: not JSON, or not a unigram model of T5's kind. */
sv_status sv_t5_json_open(sv_spm **out, const char *path, sv_error *err);

#endif
