/* codepoints.h - a growable array of code points, for work that looks at a text by characters. */
#ifndef SV_TEXT_CODEPOINTS_H
#define SV_TEXT_CODEPOINTS_H

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/utf8.h"
#include "text/unicode/unicode.h"

/* Zero-initialise, sv_cps_free. `failed` as in sv_buf: additions stop, one check at the end. */
typedef struct sv_cps {
    uint32_t *data;
    size_t size, capacity;
    bool failed;
} sv_cps;

static inline void sv_cps_free(sv_cps *a) {
    free(a->data);
    *a = (sv_cps){0};
}

static inline bool sv_cps_reserve(sv_cps *a, size_t more) {
    if (a->failed) return false;
    if (more <= a->capacity - a->size) return true;
    size_t want = a->size + more < 64 ? 64 : (a->size + more) + (a->size + more) / 2;
    uint32_t *grown = realloc(a->data, want * sizeof *grown);
    if (!grown) {
        a->failed = true;
        return false;
    }
    a->data = grown;
    a->capacity = want;
    return true;
}

static inline void sv_cps_add(sv_cps *a, uint32_t c) {
    if (a->size == a->capacity && !sv_cps_reserve(a, 1)) return;
    a->data[a->size++] = c;
}

static inline void sv_cps_add_all(sv_cps *a, const uint32_t *from, size_t n) {
    if (n == 0 || !sv_cps_reserve(a, n)) return;
    memcpy(a->data + a->size, from, n * sizeof *from);
    a->size += n;
}

/* Adds the code points of valid UTF-8. */
static inline void sv_cps_add_utf8(sv_cps *a, const char *s, size_t n) {
    for (const char *p = s, *end = s + n; p < end;) sv_cps_add(a, sv_next_char(&p));
}

static inline bool sv_cps_equal(const sv_cps *a, const sv_cps *b) {
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size * sizeof *a->data) == 0);
}

static inline void sv_cps_swap(sv_cps *a, sv_cps *b) {
    sv_cps t = *a;
    *a = *b;
    *b = t;
}

/* Appends the array as UTF-8. */
static inline void sv_cps_encode(const sv_cps *a, sv_buf *out) {
    if (!sv_buf_reserve(out, a->size * 4)) return;
    for (size_t i = 0; i < a->size; i++) {
        char bytes[4];
        sv_buf_add(out, bytes, (size_t)sv_utf8_encode(a->data[i], bytes));
    }
}

#endif
