/* tokenizer_internal.h - what reading a tokenizer (tokenizer_files.c) fills in and encoding (tokenizer.c) uses. */
#ifndef SV_TEXT_TOKENIZER_INTERNAL_H
#define SV_TEXT_TOKENIZER_INTERNAL_H

#include "text/tokenizer/tokenizer_bpe.h"

/* A token that is cut out of the text before anything is split (transformers' AddedToken). Its lstrip and rstrip only move white space,
 * which makes no tokens, and are not kept. */
typedef struct sv_added_token {
    char *content;           /* as it is looked for: clean already if normalized */
    size_t size;
    int32_t id;
    bool normalized;         /* looked for in the normalised text, else in the raw one */
    bool single_word;        /* only where no word character touches it */
} sv_added_token;

typedef struct sv_added_tokens {
    sv_added_token *data;    /* longest first */
    size_t count;
    bool starts[256];        /* first bytes of the contents */
} sv_added_tokens;

struct sv_tokenizer {
    sv_bpe *bpe;
    sv_added_tokens raw, normalized;
    int32_t bos, eos, pad;
    int32_t openai_start, openai_end;   /* ids of the two strings that OpenAI's tokenizer knows, whatever this one's special tokens are called */
    size_t max_length;
};

/* Reads the files of a directory into a zeroed t. */
sv_status sv_tokenizer_read(sv_tokenizer *t, const char *dir, sv_error *err);

/* transformers' normaliser: NFC, white space runs to one space, lower case by code point. Appends; the text must be valid UTF-8. */
sv_status sv_tokenizer_normalize(const char *text, size_t n, sv_buf *out, sv_error *err);

/* Rust's char::to_lowercase as `tokenizers` has it; U+0130, which becomes two code points, is the caller's. */
uint32_t sv_tokenizer_lower(uint32_t c);

#endif
