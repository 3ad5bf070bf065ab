/* str.h - a growable byte string and a few string helpers. */
#ifndef SV_BASE_STR_H
#define SV_BASE_STR_H

#include "base/error.h"

/* Zero-initialise, use, sv_buf_free. `data` is always NUL-terminated once anything was added; `size` does not count the NUL.
 * When memory runs out the buffer turns `failed` and ignores further additions, so that a long sequence of additions needs
 * one check at its end (sv_buf_ok). */
typedef struct sv_buf {
    char *data;
    size_t size, capacity;
    bool failed;
} sv_buf;

void sv_buf_free(sv_buf *b);
void sv_buf_clear(sv_buf *b);                                  /* keeps the memory */
bool sv_buf_reserve(sv_buf *b, size_t more);
void sv_buf_add(sv_buf *b, const void *data, size_t size);
void sv_buf_puts(sv_buf *b, const char *s);
void sv_buf_putc(sv_buf *b, char c);
void sv_buf_printf(sv_buf *b, const char *fmt, ...) SV_PRINTF(2, 3);
sv_status sv_buf_ok(const sv_buf *b, sv_error *err);           /* SV_OK or SV_E_MEMORY */

char *sv_strdup(const char *s);                                /* NULL in, NULL out */
char *sv_strndup(const char *s, size_t n);
bool sv_str_eq(const char *a, const char *b);                  /* NULL equals NULL only */
bool sv_str_starts(const char *s, const char *prefix);
bool sv_str_ends(const char *s, const char *suffix);

/* Printed form of a double that reads back to the same double, shortest first (%.15g, %.16g, %.17g); buf of 32 bytes. */
const char *sv_real_text(double v, char buf[32]);

/* Damerau-Levenshtein distance for "did you mean"; nearest of n candidates, or NULL if none is close. */
const char *sv_nearest(const char *word, const char *const *candidates, size_t n);

#endif
