/* mojibake.h - repair of text that was UTF-8 and has been decoded as a single-byte encoding ("cafÃ©"), as ftfy 6.3.1 does it. */
#ifndef SV_TEXT_MOJIBAKE_H
#define SV_TEXT_MOJIBAKE_H

#include "text/unicode/codepoints.h"

/* ftfy.fix_encoding, in place. False when memory runs out. */
bool sv_mojibake_repair(sv_cps *text);

/* ftfy.badness.is_bad: whether the text holds a sequence that is far likelier to be wrongly decoded than meant. */
bool sv_mojibake_is_bad(const uint32_t *text, size_t n);

#endif
