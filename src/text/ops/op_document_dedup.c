/* op_document_dedup.c - document_deduplicator: keeps the first of all captions with the same text. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "text/ops/op.h"
#include "text/unicode/unicode.h"

/* 16 bytes per different caption, 21 to 27 with the free slots between them. Data-Juicer compares MD5s; 96 bits tell ten million captions apart as well (two of
 * them are alike by chance once in 10^15 pools), and these come twenty times faster. */
typedef struct seen_slot {
    uint32_t key[3];             /* never all zero */
    uint32_t number;
} seen_slot;

/* One of many tables, so that not all grow at once and the old and the new of one are all that is ever held twice. */
typedef struct seen_table {
    seen_slot *slots;
    size_t capacity, count;
} seen_table;
enum { TABLE_BITS = 6 };

typedef struct sv_document_dedup {
    bool lowercase, ignore_non_character;
    seen_table seen[1 << TABLE_BITS];
} sv_document_dedup;

static const sv_option options[] = {
    {"lowercase", SV_OPT_BOOL, offsetof(sv_document_dedup, lowercase), "false", .help = "compare in lower case"},
    {"ignore_non_character", SV_OPT_BOOL, offsetof(sv_document_dedup, ignore_non_character), "false",
     .help = "compare without white space, digits and ASCII punctuation"},
    {0}};

static bool is_ascii_punctuation(unsigned char c) {
    return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) || (c >= 0x7B && c <= 0x7E);
}

static void drop_non_characters(sv_buf *b) {
    char *to = b->data;
    for (const char *p = b->data, *end = p + b->size; p < end;) {
        const char *at = p;
        uint32_t c = sv_next_char(&p);
        if (sv_char_is(c, SV_CH_RE_SPACE | SV_CH_RE_DIGIT) || (c < 0x80 && is_ascii_punctuation((unsigned char)c))) continue;
        memmove(to, at, (size_t)(p - at));
        to += p - at;
    }
    b->size = (size_t)(to - b->data);
}

sv_status sv_document_comparable(const void *state, sv_scan *s, const char **out, size_t *out_size, sv_error *err) {
    const sv_document_dedup *d = state;
    const char *text = s->text;
    size_t size = s->size;
    if (d->lowercase || d->ignore_non_character) {
        sv_buf *b = sv_scan_spare(s);    /* not adopted: the caption keeps its text */
        if (d->lowercase) sv_lower_append(text, size, b);
        else sv_buf_add(b, text, size);
        SV_TRY(sv_buf_ok(b, err));
        if (d->ignore_non_character && b->size) drop_non_characters(b);
        text = b->data ? b->data : "";
        size = b->size;
    }
    sv_strip(&text, &size);
    *out = text;
    *out_size = size;
    return SV_OK;
}

static size_t document_key_size(const void *state) { return sizeof ((seen_slot *)0)->key; }

static sv_status document_key(const void *state, sv_scan *s, void *key, sv_error *err) {
    const char *text;
    size_t size;
    SV_TRY(sv_document_comparable(state, s, &text, &size, err));
    uint64_t a = sv_hash64(text, size, 0), b = sv_hash64(text, size, 1);
    uint32_t k[3] = {(uint32_t)a, (uint32_t)(a >> 32), (uint32_t)b};
    if (!(k[0] | k[1] | k[2])) k[2] = 1;
    memcpy(key, k, sizeof k);
    return SV_OK;
}

static bool is_free(const seen_slot *s) { return !(s->key[0] | s->key[1] | s->key[2]); }

/* Where a key stands, or belongs. There is always a free slot. */
static seen_slot *find(const seen_table *t, const uint32_t key[3]) {
    size_t i = (size_t)((uint64_t)key[0] * t->capacity >> 32);
    while (!is_free(&t->slots[i]) && memcmp(t->slots[i].key, key, sizeof t->slots[i].key) != 0)
        if (++i == t->capacity) i = 0;
    return &t->slots[i];
}

/* By a quarter: little is free at any time, and moving costs four times what growing to the double would. */
static sv_status grow(seen_table *t, sv_error *err) {
    seen_table fresh = {.capacity = t->capacity ? t->capacity + t->capacity / 4 : 64, .count = t->count};
    if (fresh.capacity > UINT32_MAX) return sv_fail(err, SV_E_INPUT, "document_deduplicator", "too many captions");
    fresh.slots = calloc(fresh.capacity, sizeof *fresh.slots);
    if (!fresh.slots) return sv_fail_memory(err, "document_deduplicator", fresh.capacity * sizeof *fresh.slots);
    for (size_t i = 0; i < t->capacity; i++)
        if (!is_free(&t->slots[i])) *find(&fresh, t->slots[i].key) = t->slots[i];
    free(t->slots);
    *t = fresh;
    return SV_OK;
}

static sv_status document_learn(void *state, const void *key, uint64_t number, int64_t *duplicate_of, sv_error *err) {
    uint32_t k[3];
    memcpy(k, key, sizeof k);
    seen_table *t = &((sv_document_dedup *)state)->seen[k[1] >> (32 - TABLE_BITS)];
    if (number > UINT32_MAX) return sv_fail(err, SV_E_INPUT, "document_deduplicator", "more than 4,294,967,295 captions");
    if (t->count * 4 >= t->capacity * 3) SV_TRY(grow(t, err));
    seen_slot *s = find(t, k);
    *duplicate_of = is_free(s) ? -1 : (int64_t)s->number;
    if (*duplicate_of >= 0) return SV_OK;
    *s = (seen_slot){{k[0], k[1], k[2]}, (uint32_t)number};
    t->count++;
    return SV_OK;
}

static void document_restart(void *state) {
    sv_document_dedup *d = state;
    for (size_t i = 0; i < sizeof d->seen / sizeof *d->seen; i++) {
        free(d->seen[i].slots);
        d->seen[i] = (seen_table){0};
    }
}

static const sv_dedup document_dedup = {.key_size = document_key_size, .key = document_key, .learn = document_learn, .restart = document_restart};

const sv_op sv_op_document_dedup = {
    .info = {"document_deduplicator", SV_OP_DEDUPLICATOR, NULL, "keeps the first of captions with the same text"},
    .options = options, .size = sizeof(sv_document_dedup), .close = document_restart, .dedup = &document_dedup};
