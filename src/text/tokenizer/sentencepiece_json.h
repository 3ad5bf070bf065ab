/* sentencepiece_json.h - a tokenizer.json (tokenizers library) as the SentencePiece model that it was made from: newer exports hold only that. */
#ifndef SV_TEXT_SENTENCEPIECE_JSON_H
#define SV_TEXT_SENTENCEPIECE_JSON_H

#include "text/tokenizer/sentencepiece.h"

/* Unigram models, and BPE models with SentencePiece's space symbol (Gemma's kind). SV_E_MODEL: not JSON, or neither of the two. */
sv_status sv_spm_json_open(sv_spm **out, const char *path, sv_error *err);

#endif
