/* utf8.h - strict UTF-8 (no surrogates, no overlong forms, at most U+10FFFF). */
#ifndef SV_BASE_UTF8_H
#define SV_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes one code point at s (n > 0 bytes left). Returns its length 1..4, or 0 if the bytes are not valid UTF-8. */
int sv_utf8_decode(const char *s, size_t n, uint32_t *cp);
/* Encodes cp into out (4 bytes at most). Returns the length. */
int sv_utf8_encode(uint32_t cp, char out[4]);
/* Offset of the first invalid byte, or n if all is valid. */
size_t sv_utf8_valid(const char *s, size_t n);
/* Number of code points of a valid string. */
size_t sv_utf8_count(const char *s, size_t n);

#endif
