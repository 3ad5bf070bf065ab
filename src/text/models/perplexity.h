/* perplexity.h - how surprised a language model is by a text: Data-Juicer's perplexity_filter. */
#ifndef SV_TEXT_PERPLEXITY_H
#define SV_TEXT_PERPLEXITY_H

#include "base/error.h"

typedef struct sv_perplexity sv_perplexity;   /* read-only once open; shared by any number of threads */

/* spm: a SentencePiece model (.model); lm: an ARPA file (plain or gzip) or a KenLM binary over its pieces. */
sv_status sv_perplexity_open(sv_perplexity **out, const char *spm, const char *lm, sv_error *err);
void sv_perplexity_close(sv_perplexity **p);

/* 10 ^ (-log10 p / (tokens + 1)) of the text's pieces, summed over its lines, rounded to one decimal; 0 for a text without any piece.
 * Any text of valid UTF-8. */
sv_status sv_perplexity_value(const sv_perplexity *p, const char *text, size_t n, double *ppl, sv_error *err);

#endif
