#include <stdlib.h>
#include <string.h>

#include "ledger/internal.h"

struct sv_arena_block {
    sv_arena_block *next;
    size_t size, used;
    _Alignas(16) char data[];
};

#define FIRST_BLOCK (64 * 1024)

void *sv_arena_take(sv_arena_block **a, size_t size) {
    size = (size + 7) & ~(size_t)7;
    sv_arena_block *b = *a;
    if (!b || b->size - b->used < size) {
        size_t capacity = b ? b->size * 2 : FIRST_BLOCK;
        if (capacity < size) capacity = size;
        b = malloc(sizeof *b + capacity);
        if (!b) return NULL;
        *b = (sv_arena_block){.next = *a, .size = capacity};
        *a = b;
    }
    void *p = b->data + b->used;
    b->used += size;
    return p;
}

char *sv_arena_text(sv_arena_block **a, const char *s, size_t n) {
    char *p = sv_arena_take(a, n + 1);
    if (!p) return NULL;
    if (n) memcpy(p, s, n);
    p[n] = 0;
    return p;
}

char *sv_arena_column(sv_arena_block **a, sqlite3_stmt *s, int i, size_t *size) {
    const unsigned char *text = sqlite3_column_text(s, i);
    size_t n = text ? (size_t)sqlite3_column_bytes(s, i) : 0;
    if (size) *size = n;
    return sv_arena_text(a, (const char *)text, n);
}

/* The newest block is the largest, so keeping that one alone makes the next batch fit without asking for more. */
void sv_arena_reset(sv_arena_block **a) {
    if (!*a) return;
    sv_arena_block *rest = (*a)->next;
    (*a)->next = NULL;
    (*a)->used = 0;
    sv_arena_free(&rest);
}

void sv_arena_free(sv_arena_block **a) {
    while (*a) {
        sv_arena_block *next = (*a)->next;
        free(*a);
        *a = next;
    }
}

bool sv_grow(void **items, size_t *capacity, size_t count, size_t size) {
    if (count < *capacity) return true;
    size_t more = *capacity ? *capacity * 2 : 64;
    void *p = realloc(*items, more * size);
    if (!p) return false;
    *items = p;
    *capacity = more;
    return true;
}
