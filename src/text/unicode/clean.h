/* clean.h - repairing and normalising text: ftfy's fix_text, HTML entities, NFC, lower case, and the clean-up in front of OpenAI's CLIP
 * tokenizer.
 *
 * All functions take valid UTF-8 (SV_E_INPUT otherwise; NUL bytes are ordinary), clear `out` and fill it; `in` must not lie in `out`.
 * Any thread.
 */
#ifndef SV_TEXT_CLEAN_H
#define SV_TEXT_CLEAN_H

#include "base/str.h"
#include "text/unicode/nfc.h"

/* ftfy.fix_text(text, normalization=form) of ftfy 6.3.1, line by line: HTML entities (until a "<" is seen), wrongly decoded text, C1
 * controls, Latin ligatures, character width, curly quotes, line breaks, terminal escapes, control characters, the normal form. */
sv_status sv_fix_unicode(const char *in, size_t n, sv_normal_form form, sv_buf *out, sv_error *err);

/* Python's html.unescape: named references with and without ";" by longest match, numeric ones as HTML 5 reads them. */
sv_status sv_html_unescape(const char *in, size_t n, sv_buf *out, sv_error *err);

/* Unicode normalisation form C. */
sv_status sv_nfc(const char *in, size_t n, sv_buf *out, sv_error *err);

/* What openai/CLIP does to a text before it splits it: fix_text, html.unescape twice, white space to single spaces, no space at either
 * end, lower case. */
sv_status sv_clean_openai(const char *in, size_t n, sv_buf *out, sv_error *err);

#endif
