/* sentencepiece.h - pieces of a text by a SentencePiece model (.model): unigram and BPE, equal to sentencepiece 0.2's encode_as_pieces.
 *
 * A model is read-only once open and shared by any number of threads.
 */
#ifndef SV_TEXT_SENTENCEPIECE_H
#define SV_TEXT_SENTENCEPIECE_H

#include "base/str.h"

typedef struct sv_spm sv_spm;

/* Reads a .model file. SV_E_MODEL for anything that is none, is cut short, or is of a kind that is not supported (word and char models). */
sv_status sv_spm_open(sv_spm **out, const char *path, sv_error *err);
void sv_spm_close(sv_spm **m);

/* The same from memory; `name` is for errors. */
sv_status sv_spm_parse(sv_spm **out, const void *bytes, size_t size, const char *name, sv_error *err);

/* Replaces `out` by the pieces with one space between them. The text must be valid UTF-8; it may hold anything, NUL included. Any thread. */
sv_status sv_spm_encode(const sv_spm *m, const char *text, size_t size, sv_buf *out, sv_error *err);

#endif
