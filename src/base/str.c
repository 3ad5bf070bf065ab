#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sv_buf_free(sv_buf *b) {
    free(b->data);
    *b = (sv_buf){0};
}

void sv_buf_clear(sv_buf *b) {
    b->size = 0;
    b->failed = false;
    if (b->data) b->data[0] = 0;
}

bool sv_buf_reserve(sv_buf *b, size_t more) {
    if (b->failed) return false;
    if (more > SIZE_MAX / 2 - b->size) {
        b->failed = true;
        return false;
    }
    size_t need = b->size + more + 1;
    if (need <= b->capacity) return true;
    size_t capacity = b->capacity ? b->capacity * 2 : 64;
    if (capacity < need) capacity = need;
    char *data = realloc(b->data, capacity);
    if (!data) {
        b->failed = true;
        return false;
    }
    if (!b->data) data[0] = 0;
    b->data = data;
    b->capacity = capacity;
    return true;
}

void sv_buf_add(sv_buf *b, const void *data, size_t size) {
    if (!sv_buf_reserve(b, size)) return;
    if (size) memcpy(b->data + b->size, data, size);
    b->size += size;
    b->data[b->size] = 0;
}

void sv_buf_puts(sv_buf *b, const char *s) {
    sv_buf_add(b, s, strlen(s));
}

void sv_buf_putc(sv_buf *b, char c) {
    sv_buf_add(b, &c, 1);
}

void sv_buf_printf(sv_buf *b, const char *fmt, ...) {
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        b->failed = true;
    else if (sv_buf_reserve(b, (size_t)n)) {
        vsnprintf(b->data + b->size, (size_t)n + 1, fmt, again);
        b->size += (size_t)n;
    }
    va_end(again);
}

sv_status sv_buf_ok(const sv_buf *b, sv_error *err) {
    return b->failed ? sv_fail_memory(err, "text", b->capacity) : SV_OK;
}

char *sv_strdup(const char *s) {
    return s ? strdup(s) : NULL;
}

char *sv_strndup(const char *s, size_t n) {
    char *out = malloc(n + 1);
    if (!out) return NULL;
    if (n) memcpy(out, s, n);
    out[n] = 0;
    return out;
}

bool sv_str_eq(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool sv_str_starts(const char *s, const char *prefix) {
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool sv_str_ends(const char *s, const char *suffix) {
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

const char *sv_real_text(double v, char buf[32]) {
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buf, 32, "%.*g", digits, v);
        if (digits == 17 || strtod(buf, NULL) == v) break;
    }
    return buf;
}

/* Optimal string alignment distance of two short words, case ignored. */
static size_t word_distance(const char *a, const char *b) {
    enum { MAX = 63 };
    size_t n = strlen(a), m = strlen(b);
    if (n > MAX || m > MAX) return MAX;
    size_t rows[3][MAX + 1], *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= m; j++) last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            char x = (char)(a[i - 1] | 32), y = (char)(b[j - 1] | 32);
            size_t best = last[j - 1] + (x != y);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && x == (char)(b[j - 2] | 32) && (char)(a[i - 2] | 32) == y && before[j - 2] + 1 < best) best = before[j - 2] + 1;
            now[j] = best;
        }
        size_t *t = before;
        before = last;
        last = now;
        now = t;
    }
    return last[m];
}

const char *sv_nearest(const char *word, const char *const *candidates, size_t n) {
    const char *found = NULL;
    size_t best = strlen(word) / 3 + 2;   /* further away than this is no typo */
    for (size_t i = 0; i < n; i++) {
        size_t d = word_distance(word, candidates[i]);
        if (d < best) {
            best = d;
            found = candidates[i];
        }
    }
    return found;
}
