/* op_document_dedup.c - document_deduplicator: keeps the first of all captions with the same text. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "text/op.h"
#include "text/unicode.h"

/* 24 bytes per different caption, 32 to 64 with the free slots between them. Data-Juicer compares MD5s; any 128 bits do as well, and these come
 * twenty times faster. */
typedef struct seen_slot {
    uint64_t key[2];             /* never both zero */
    uint64_t number;
} seen_slot;

typedef struct sv_document_dedup {
    bool lowercase, ignore_non_character;
    seen_slot *slots;
    size_t mask, count;
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
    uint64_t k[2] = {sv_hash64(text, size, 0), sv_hash64(text, size, 1)};
    if (!(k[0] | k[1])) k[1] = 1;
    memcpy(key, k, sizeof k);
    return SV_OK;
}

static sv_status grow(sv_document_dedup *d, sv_error *err) {
    size_t capacity = d->slots ? (d->mask + 1) * 2 : 1024;
    seen_slot *slots = calloc(capacity, sizeof *slots);
    if (!slots) return sv_fail_memory(err, "document_deduplicator", capacity * sizeof *slots);
    for (size_t i = 0; d->slots && i <= d->mask; i++) {
        const seen_slot *s = &d->slots[i];
        if (!(s->key[0] | s->key[1])) continue;
        size_t to = s->key[0] & (capacity - 1);
        while (slots[to].key[0] | slots[to].key[1]) to = (to + 1) & (capacity - 1);
        slots[to] = *s;
    }
    free(d->slots);
    d->slots = slots;
    d->mask = capacity - 1;
    return SV_OK;
}

static sv_status document_learn(void *state, const void *key, uint64_t number, int64_t *duplicate_of, sv_error *err) {
    sv_document_dedup *d = state;
    if (!d->slots || d->count * 4 > d->mask * 3) SV_TRY(grow(d, err));
    uint64_t k[2];
    memcpy(k, key, sizeof k);
    *duplicate_of = -1;
    size_t i = k[0] & d->mask;
    for (; d->slots[i].key[0] | d->slots[i].key[1]; i = (i + 1) & d->mask)
        if (d->slots[i].key[0] == k[0] && d->slots[i].key[1] == k[1]) {
            *duplicate_of = (int64_t)d->slots[i].number;
            return SV_OK;
        }
    d->slots[i] = (seen_slot){{k[0], k[1]}, number};
    d->count++;
    return SV_OK;
}

static void document_restart(void *state) {
    sv_document_dedup *d = state;
    free(d->slots);
    d->slots = NULL;
    d->mask = d->count = 0;
}

static const sv_dedup document_dedup = {.key_size = document_key_size, .key = document_key, .learn = document_learn, .restart = document_restart};

const sv_op sv_op_document_dedup = {
    .info = {"document_deduplicator", SV_OP_DEDUPLICATOR, NULL, "keeps the first of captions with the same text"},
    .options = options, .size = sizeof(sv_document_dedup), .close = document_restart, .dedup = &document_dedup};
