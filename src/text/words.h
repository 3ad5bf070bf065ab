/* words.h - what the word operators split a text into: plain words, or with `tokenization: true` the pieces of a SentencePiece model. */
#ifndef SV_TEXT_WORDS_H
#define SV_TEXT_WORDS_H

#include "text/ops/op.h"
#include "text/tokenizer/sentencepiece.h"

/* Settings that the word operators share; `pieces` is NULL for plain words. */
typedef struct sv_word_source {
    char *lang, *spm;
    bool tokenization;
    sv_spm *pieces;
} sv_word_source;

#define SV_WORD_OPTIONS(type)                                                                                                               \
    {"lang", SV_OPT_STRING, offsetof(type, source.lang), "en",                                                                              \
     .help = "language: names the list of flagged words, and the model file where none is given"},                                          \
    {"tokenization", SV_OPT_BOOL, offsetof(type, source.tokenization), "false", .help = "SentencePiece pieces instead of words"},           \
    {"spm", SV_OPT_PATH, offsetof(type, source.spm), "null", .nullable = true,                                                              \
     .help = "SentencePiece model for tokenization; null: LANG.sp.model where Data-Juicer looks for it"}

sv_status sv_word_source_open(sv_word_source *w, const char *where, sv_error *err);
void sv_word_source_close(sv_word_source *w);

/* If *path is NULL, sets it to LANG followed by `ending` in the working directory or in Data-Juicer's cache. SV_E_MODEL says which option,
 * `key`, may name the file. */
sv_status sv_model_file(char **path, const char *lang, const char *ending, const char *key, const char *what, const char *where, sv_error *err);

#endif
