/* tokenizer.h - CLIP's byte-pair tokenizer, equal to openai/CLIP's and to transformers' CLIPTokenizer; at the end BERT's WordPiece, which BLIP uses.
 *
 * Reads a tokenizer directory in transformers' layout: vocab.json + merges.txt, or tokenizer.json alone, with tokenizer_config.json and
 * special_tokens_map.json where present (padding token, maximum length, special tokens in old and new style).
 */
#ifndef SYNTHVLM_TOKENIZER_H
#define SYNTHVLM_TOKENIZER_H

#include "synthvlm/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sv_tokenizer sv_tokenizer;   /* read-only once open; shared by any number of threads */

typedef enum sv_clean {
    SV_CLEAN_HF,      /* transformers: NFC, white space, lower case per code point; special tokens matched first */
    SV_CLEAN_OPENAI   /* openai/CLIP: ftfy, html.unescape twice, white space, lower case */
} sv_clean;

sv_status sv_tokenizer_open(sv_tokenizer **out, const char *dir, sv_error *err);
void sv_tokenizer_close(sv_tokenizer **t);

int32_t sv_tokenizer_bos(const sv_tokenizer *t);
int32_t sv_tokenizer_eos(const sv_tokenizer *t);
int32_t sv_tokenizer_pad(const sv_tokenizer *t);
size_t sv_tokenizer_vocabulary(const sv_tokenizer *t);     /* number of ids: the embedding must have as many rows */
size_t sv_tokenizer_max_length(const sv_tokenizer *t);     /* with both special tokens: 77 */
const char *sv_tokenizer_piece(const sv_tokenizer *t, int32_t id);  /* "cat</w>", NULL if out of range */

/* A growable list of ids: zero-initialise, reuse, sv_ids_free. */
typedef struct sv_ids {
    int32_t *data;
    size_t size, capacity;
} sv_ids;
void sv_ids_free(sv_ids *ids);

/* Content ids of a text (no start, end or padding) into ids (cleared first). Valid UTF-8 only (SV_E_INPUT otherwise). */
sv_status sv_tokenizer_encode(const sv_tokenizer *t, const char *text, size_t size, sv_clean clean, sv_ids *ids, sv_error *err);

/* Lays content ids out as a model row of `length` ids: start, at most length-2 ids, end, then `pad` to the end.
 * Returns the number of content ids that did not fit (0: nothing was cut). */
size_t sv_tokenizer_row(const sv_tokenizer *t, const sv_ids *ids, size_t length, int32_t pad, int32_t *row);

/* ---- WordPiece (BERT's tokenizer as transformers runs it, for BLIP's text encoder) ---- */

/* Reads vocab.txt of a tokenizer directory, or the vocabulary of its tokenizer.json; tokenizer_config.json and special_tokens_map.json, where
 * present, say what is done to letters and what the special tokens are called. Special tokens written out in a text ([SEP], [MASK]) are taken as such. */
typedef struct sv_wordpiece sv_wordpiece;                   /* read-only once open; shared by any number of threads */
sv_status sv_wordpiece_open(sv_wordpiece **out, const char *dir, sv_error *err);
void sv_wordpiece_close(sv_wordpiece **w);
bool sv_wordpiece_is_model(const char *dir);                /* whether the directory holds such a tokenizer */
size_t sv_wordpiece_vocabulary(const sv_wordpiece *w);      /* the highest id and one */
size_t sv_wordpiece_max_length(const sv_wordpiece *w);      /* model_max_length with [CLS] and [SEP]; 512 where no file says */

/* Content ids, without [CLS] and [SEP], into ids (cleared first). Valid UTF-8 only (SV_E_INPUT). Any thread. */
sv_status sv_wordpiece_encode(const sv_wordpiece *w, const char *text, size_t size, sv_ids *ids, sv_error *err);
/* A row of `length` ids: [CLS], at most length - 2 of content, [SEP], padding. Returns the number of content ids that did not fit. */
size_t sv_wordpiece_row(const sv_wordpiece *w, const sv_ids *ids, size_t length, int64_t *row);

/* ---- SigLIP and SigLIP 2: SentencePiece, padded to the full row (src/text/tokenizer/siglip_tokenizer.c) ---- */

typedef struct sv_siglip sv_siglip;      /* read-only once open; shared by any number of threads */

/* SV_E_MODEL: no tokenizer of these kinds, or one without its end or padding token. */
sv_status sv_siglip_open(sv_siglip **out, const char *dir, sv_error *err);
void sv_siglip_close(sv_siglip **t);

size_t sv_siglip_vocabulary(const sv_siglip *t);
size_t sv_siglip_max_length(const sv_siglip *t);         /* 64 where tokenizer_config.json does not say */
int32_t sv_siglip_end(const sv_siglip *t);
int32_t sv_siglip_pad(const sv_siglip *t);
bool sv_siglip_is_model(const char *dir);                /* whether tokenizer_config.json names a tokenizer of SigLIP or Gemma */
bool sv_siglip_is_bpe(const sv_siglip *t);               /* SigLIP 2 */

/* Content ids, without special tokens. Valid UTF-8 only (SV_E_INPUT). Any thread. */
sv_status sv_siglip_encode(const sv_siglip *t, const char *text, size_t size, sv_ids *ids, sv_error *err);
/* A row of `length` ids: start token where the model has one, content, end token, padding. Returns the number of content ids that did not fit. */
size_t sv_siglip_row(const sv_siglip *t, const sv_ids *ids, size_t length, int32_t *row);
/* Content ids that fit into a row of `length`. */
size_t sv_siglip_room(const sv_siglip *t, size_t length);

#ifdef __cplusplus
}
#endif
#endif
