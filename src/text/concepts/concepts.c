/* concepts.c - phrases in one hash table: an entry for every phrase, and one for every first word that says how many words its longest phrase has. */
#include "text/concepts/concepts.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "text/pattern.h"
#include "text/unicode/unicode.h"

enum { MOST_WORDS = 32 };        /* of a phrase */

typedef struct phrase {
    uint64_t hash;
    uint32_t at, size;           /* in `bytes`; size 0: free slot */
    uint32_t link;               /* its first concept in `links`, from 1; 0: only the beginning of longer ones */
    uint32_t longest;            /* words of the longest phrase that begins with this word; 0 unless it is one word */
} phrase;

typedef struct link { uint32_t concept, next; } link;
typedef struct concept { char *name; sv_pattern *pattern; } concept;

struct sv_concepts {
    concept *items;              /* [0] stands for no concept */
    size_t count, capacity;      /* with [0] */
    uint32_t *names;             /* open addressing over the names: numbers, 0 free */
    size_t name_mask;
    phrase *slots;
    size_t mask, phrases;
    link *links;                 /* [0] is not used */
    size_t link_count, link_capacity;
    uint32_t *patterns;          /* numbers of the concepts that have one */
    size_t pattern_count;
    sv_buf bytes;
    sv_concept_scratch scratch;  /* for what is added */
    sv_sha256_stream *made_of;   /* of all that was added; NULL once the hash was asked for */
    char hash[SV_SHA256_HEX];
};

size_t sv_concepts_count(const sv_concepts *c) { return c->count - 1; }
const char *sv_concepts_name(const sv_concepts *c, size_t number) { return c->items[number].name; }

void sv_concept_scratch_free(sv_concept_scratch *s) {
    sv_buf_free(&s->words);
    sv_buf_free(&s->found);
    sv_buf_free(&s->ends);
}

void sv_concepts_close(sv_concepts **handle) {
    sv_concepts *c = *handle;
    if (!c) return;
    *handle = NULL;
    for (size_t i = 0; i < c->count; i++) {
        free(c->items[i].name);
        sv_pattern_close(&c->items[i].pattern);
    }
    free(c->items);
    free(c->names);
    free(c->slots);
    free(c->links);
    free(c->patterns);
    sv_buf_free(&c->bytes);
    sv_concept_scratch_free(&c->scratch);
    uint8_t unused[32];
    if (c->made_of) sv_sha256_end(c->made_of, unused);
    free(c);
}

static void note_made_of(sv_concepts *c, const char *kind, size_t number, const char *text, size_t size) {
    char head[48];
    int n = snprintf(head, sizeof head, "%s %zu %zu ", kind, number, size);
    sv_sha256_more(c->made_of, head, (size_t)n);
    sv_sha256_more(c->made_of, text, size);
}

const char *sv_concepts_hash(sv_concepts *c) {
    uint8_t hash[32];
    if (c->made_of) {
        sv_sha256_end(c->made_of, hash);
        c->made_of = NULL;
        sv_hex(hash, sizeof hash, c->hash);
    }
    return c->hash;
}

static bool grow(void **items, size_t *capacity, size_t count, size_t size) {
    if (count < *capacity) return true;
    size_t more = *capacity ? *capacity * 2 : 256;
    void *p = realloc(*items, more * size);
    if (!p) return false;
    *items = p;
    *capacity = more;
    return true;
}

sv_status sv_concepts_open(sv_concepts **out, sv_error *err) {
    *out = NULL;
    sv_concepts *c = calloc(1, sizeof *c);
    if (!c) return sv_fail_memory(err, "concepts", sizeof *c);
    c->link_count = 1;
    c->made_of = sv_sha256_begin();
    char *none = sv_strdup("");
    if (!c->made_of || !none || !grow((void **)&c->items, &c->capacity, 0, sizeof *c->items)) {
        free(none);
        sv_concepts_close(&c);
        return sv_fail_memory(err, "concepts", 0);
    }
    c->items[c->count++] = (concept){.name = none};
    *out = c;
    return SV_OK;
}

/* ---- names ---- */

static size_t name_slot(const sv_concepts *c, const char *name) {
    size_t i = sv_hash64(name, strlen(name), 1) & c->name_mask;
    while (c->names[i] && strcmp(c->items[c->names[i]].name, name) != 0) i = (i + 1) & c->name_mask;
    return i;
}

size_t sv_concepts_find(const sv_concepts *c, const char *name) {
    return c->names && *name ? c->names[name_slot(c, name)] : 0;
}

static bool name_room(sv_concepts *c) {
    if (c->names && c->count * 2 < c->name_mask) return true;
    size_t capacity = c->names ? (c->name_mask + 1) * 2 : 512;
    uint32_t *names = calloc(capacity, sizeof *names);
    if (!names) return false;
    free(c->names);
    c->names = names;
    c->name_mask = capacity - 1;
    for (size_t i = 1; i < c->count; i++) names[name_slot(c, c->items[i].name)] = (uint32_t)i;
    return true;
}

sv_status sv_concepts_add(sv_concepts *c, const char *name, const char *where, size_t *number, sv_error *err) {
    size_t n = strlen(name);
    bool plain = n > 0 && n <= 200 && sv_utf8_valid(name, n) == n;
    for (size_t i = 0; i < n; i++) plain = plain && (unsigned char)name[i] >= 0x20 && name[i] != 0x7F;
    if (!plain) return sv_fail(err, SV_E_RECIPE, where, "the name of a concept must be 1 to 200 bytes of one line");
    if (sv_concepts_find(c, name)) {
        sv_fail(err, SV_E_RECIPE, where, "there is a concept \"%.100s\" already", name);
        return sv_hint(err, SV_E_RECIPE, "every concept has a name of its own, over all lists");
    }
    if (c->count > SV_MOST_CONCEPTS) return sv_fail(err, SV_E_RECIPE, where, "has more than %d concepts", SV_MOST_CONCEPTS);
    char *copy = name_room(c) && grow((void **)&c->items, &c->capacity, c->count, sizeof *c->items) ? sv_strdup(name) : NULL;
    if (!copy) return sv_fail_memory(err, where, 0);
    c->items[c->count] = (concept){.name = copy};
    size_t slot = name_slot(c, name);
    *number = c->count;
    note_made_of(c, "name", *number, name, n);
    c->names[slot] = (uint32_t)c->count++;
    return SV_OK;
}

/* ---- words ---- */

/* Splits a text into words, in lower case, into the scratch; *count of them. */
static sv_status split(sv_concept_scratch *s, const char *text, size_t size, size_t *count, sv_error *err) {
    sv_buf_clear(&s->words);
    sv_buf_clear(&s->ends);
    *count = 0;
    for (const char *p = text, *end = text + size; p < end;) {
        const char *begin = p, *after = p;
        while (p < end && sv_char_is(sv_next_char(&p), SV_CH_ALNUM)) after = p;
        if (after == begin) continue;
        if (s->words.size) sv_buf_putc(&s->words, ' ');
        size_t ends[2] = {s->words.size};
        if (sv_is_ascii(begin, (size_t)(after - begin)))
            for (const char *q = begin; q < after; q++) sv_buf_putc(&s->words, *q >= 'A' && *q <= 'Z' ? (char)(*q + 32) : *q);
        else
            sv_lower_append(begin, (size_t)(after - begin), &s->words);
        ends[1] = s->words.size;
        sv_buf_add(&s->ends, ends, sizeof ends);
        ++*count;
    }
    SV_TRY(sv_buf_ok(&s->words, err));
    return sv_buf_ok(&s->ends, err);
}

static void ends_of(const sv_concept_scratch *s, size_t word, size_t ends[2]) {
    memcpy(ends, s->ends.data + word * 2 * sizeof *ends, 2 * sizeof *ends);
}

static phrase *slot_of(const sv_concepts *c, const char *text, size_t size, uint64_t hash) {
    size_t i = hash & c->mask;
    while (c->slots[i].size && !(c->slots[i].hash == hash && c->slots[i].size == size && memcmp(c->bytes.data + c->slots[i].at, text, size) == 0))
        i = (i + 1) & c->mask;
    return &c->slots[i];
}

static sv_status phrase_room(sv_concepts *c, sv_error *err) {
    if (c->slots && (c->phrases + 2) * 2 < c->mask) return SV_OK;
    size_t capacity = c->slots ? (c->mask + 1) * 2 : 1024;
    phrase *slots = calloc(capacity, sizeof *slots);
    if (!slots) return sv_fail_memory(err, "concepts", capacity * sizeof *slots);
    for (size_t i = 0; c->slots && i <= c->mask; i++) {
        if (!c->slots[i].size) continue;
        size_t to = c->slots[i].hash & (capacity - 1);
        while (slots[to].size) to = (to + 1) & (capacity - 1);
        slots[to] = c->slots[i];
    }
    free(c->slots);
    c->slots = slots;
    c->mask = capacity - 1;
    return SV_OK;
}

/* The entry of a phrase, made if it is not there. There is room for it. */
static phrase *entry(sv_concepts *c, const char *text, size_t size) {
    uint64_t hash = sv_hash64(text, size, 0);
    phrase *p = slot_of(c, text, size, hash);
    if (p->size) return p;
    *p = (phrase){.hash = hash, .at = (uint32_t)c->bytes.size, .size = (uint32_t)size};
    sv_buf_add(&c->bytes, text, size);
    c->phrases++;
    return p;
}

sv_status sv_concepts_word(sv_concepts *c, size_t number, const char *word, size_t size, const char *where, sv_error *err) {
    size_t count, first[2];
    if (size > 10000 || sv_utf8_valid(word, size) != size) return sv_fail(err, SV_E_RECIPE, where, "a word is not UTF-8, or longer than 10,000 bytes");
    SV_TRY(split(&c->scratch, word, size, &count, err));
    if (!count) {
        sv_fail(err, SV_E_RECIPE, where, "\"%.*s\" has no letter or digit: as a word it is found nowhere", size < 100 ? (int)size : 100, word);
        return sv_hint(err, SV_E_RECIPE, "a pattern finds other characters");
    }
    if (count > MOST_WORDS) return sv_fail(err, SV_E_RECIPE, where, "a phrase has more than %d words", MOST_WORDS);
    SV_TRY(phrase_room(c, err));
    if (c->bytes.size > UINT32_MAX - 2 * size - 64) return sv_fail(err, SV_E_RECIPE, where, "the concepts have more than 4 GB of words");
    ends_of(&c->scratch, 0, first);
    phrase *begins = entry(c, c->scratch.words.data, first[1]);
    if (begins->longest < count) begins->longest = (uint32_t)count;
    phrase *p = entry(c, c->scratch.words.data, c->scratch.words.size);
    SV_TRY(sv_buf_ok(&c->bytes, err));
    for (uint32_t i = p->link; i; i = c->links[i].next)
        if (c->links[i].concept == number) return SV_OK;
    if (!grow((void **)&c->links, &c->link_capacity, c->link_count, sizeof *c->links)) return sv_fail_memory(err, where, 0);
    note_made_of(c, "word", number, c->scratch.words.data, c->scratch.words.size);
    c->links[c->link_count] = (link){(uint32_t)number, p->link};
    p->link = (uint32_t)c->link_count++;
    return SV_OK;
}

sv_status sv_concepts_pattern(sv_concepts *c, size_t number, const char *pattern, const char *where, sv_error *err) {
    if (c->items[number].pattern) return sv_fail(err, SV_E_RECIPE, where, "a concept has one pattern; alternatives are written a|b");
    uint32_t *grown = realloc(c->patterns, (c->pattern_count + 1) * sizeof *grown);
    if (!grown) return sv_fail_memory(err, where, 0);
    c->patterns = grown;
    SV_TRY(sv_pattern_open(&c->items[number].pattern, pattern, false, where, err));
    c->patterns[c->pattern_count++] = (uint32_t)number;
    note_made_of(c, "pattern", number, pattern, strlen(pattern));
    return SV_OK;
}

/* ---- matching ---- */

static void note(sv_concept_scratch *s, uint32_t number) { sv_buf_add(&s->found, &number, sizeof number); }

static void match_words(const sv_concepts *c, sv_concept_scratch *s, size_t count) {
    for (size_t i = 0; c->slots && i < count; i++) {
        size_t ends[2], first;
        ends_of(s, i, ends);
        first = ends[0];
        const char *at = s->words.data + first;
        const phrase *p = slot_of(c, at, ends[1] - first, sv_hash64(at, ends[1] - first, 0));
        if (!p->size) continue;
        size_t longest = p->longest < count - i ? p->longest : count - i;
        for (size_t words = 1;;) {
            for (uint32_t k = p->size ? p->link : 0; k; k = c->links[k].next) note(s, c->links[k].concept);
            if (++words > longest) break;
            ends_of(s, i + words - 1, ends);
            p = slot_of(c, at, ends[1] - first, sv_hash64(at, ends[1] - first, 0));
        }
    }
}

static int by_number(const void *a, const void *b) {
    uint32_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

sv_status sv_concepts_match(const sv_concepts *c, const char *text, size_t size, sv_concept_scratch *s, const uint32_t **list, size_t *n, sv_error *err) {
    size_t count;
    *list = NULL;
    *n = 0;
    SV_TRY(split(s, text, size, &count, err));
    sv_buf_clear(&s->found);
    match_words(c, s, count);
    bool gave_up = false;
    for (size_t i = 0; i < c->pattern_count; i++) {
        bool found, limit;
        SV_TRY(sv_pattern_search(c->items[c->patterns[i]].pattern, text, size, &found, &limit, err));
        if (found) note(s, c->patterns[i]);
        gave_up |= limit;
    }
    s->gave_up += gave_up;
    SV_TRY(sv_buf_ok(&s->found, err));
    size_t found = s->found.size / sizeof(uint32_t), kept = 0;
    if (!found) return SV_OK;
    uint32_t *numbers = (uint32_t *)(void *)s->found.data;   /* malloc's: aligned */
    qsort(numbers, found, sizeof *numbers, by_number);
    for (size_t i = 0; i < found; i++)
        if (!kept || numbers[kept - 1] != numbers[i]) numbers[kept++] = numbers[i];
    *list = numbers;
    *n = kept;
    return SV_OK;
}

/* ---- lists ---- */

static void trim(const char **s, size_t *n) {
    while (*n && ((*s)[0] == ' ' || (*s)[0] == '\t')) ++*s, --*n;
    while (*n && ((*s)[*n - 1] == ' ' || (*s)[*n - 1] == '\t' || (*s)[*n - 1] == '\r')) --*n;
}

static sv_status add_named(sv_concepts *c, const char *name, size_t size, const char *where, size_t *number, sv_error *err) {
    char *copy = memchr(name, 0, size) ? NULL : sv_strndup(name, size);
    if (!copy) return memchr(name, 0, size) ? sv_fail(err, SV_E_RECIPE, where, "a name holds a NUL character") : sv_fail_memory(err, where, size);
    sv_status st = sv_concepts_add(c, copy, where, number, err);
    free(copy);
    return st;
}

/* "name: word, phrase", "name: /pattern/" or "word". */
static sv_status add_line(sv_concepts *c, const char *line, size_t n, const char *where, sv_error *err) {
    size_t number;
    const char *colon = memchr(line, ':', n), *rest = colon ? colon + 1 : line;
    size_t name_size = colon ? (size_t)(colon - line) : n, left = colon ? n - name_size - 1 : n;
    trim(&line, &name_size);
    trim(&rest, &left);
    SV_TRY(add_named(c, line, name_size, where, &number, err));
    if (!left) {
        sv_fail(err, SV_E_RECIPE, where, "nothing stands behind the colon");
        return sv_hint(err, SV_E_RECIPE, "name: word, another word; or name: /pattern/");
    }
    if (colon && left > 2 && rest[0] == '/' && rest[left - 1] == '/') {
        char *pattern = sv_strndup(rest + 1, left - 2);
        if (!pattern) return sv_fail_memory(err, where, left);
        sv_status st = sv_concepts_pattern(c, number, pattern, where, err);
        free(pattern);
        return st;
    }
    while (left) {
        const char *comma = colon ? memchr(rest, ',', left) : NULL, *word = rest;
        size_t size = comma ? (size_t)(comma - rest) : left, all = comma ? size + 1 : size;
        trim(&word, &size);
        if (size) SV_TRY(sv_concepts_word(c, number, word, size, where, err));
        rest += all;
        left -= all;
    }
    return SV_OK;
}

static bool has_word(const char *text) {
    while (*text)
        if (sv_char_is(sv_next_char(&text), SV_CH_ALNUM)) return true;
    return false;
}

static sv_status add_json(sv_concepts *c, const char *text, size_t size, const char *where, sv_error *err) {
    yyjson_read_err why;
    yyjson_doc *doc = yyjson_read_opts((char *)text, size, 0, NULL, &why);
    if (!doc) return sv_fail(err, SV_E_RECIPE, where, "not JSON: %s at byte %zu", why.msg, why.pos + 1);
    size_t i, n, number;
    yyjson_val *word;
    sv_status st = SV_OK;
    yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, word) {
        if (!yyjson_is_str(word)) st = sv_fail(err, SV_E_RECIPE, where, "item %zu of the array is not a text", i + 1);
        if (st == SV_OK) st = add_named(c, yyjson_get_str(word), yyjson_get_len(word), where, &number, err);
        /* A word without letters stays in the list as a concept that no caption has: who publishes such lists expects no error. */
        if (st == SV_OK && has_word(yyjson_get_str(word))) st = sv_concepts_word(c, number, yyjson_get_str(word), yyjson_get_len(word), where, err);
        if (st != SV_OK) break;
    }
    yyjson_doc_free(doc);
    return st;
}

sv_status sv_concepts_list(sv_concepts *c, const char *text, size_t size, const char *where, sv_error *err) {
    size_t before = c->count, i = 0, line_number = 0;
    char place[300];
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) i = 3;
    if (i < size && text[i] == '[') return add_json(c, text + i, size - i, where, err);
    while (i < size) {
        const char *lf = memchr(text + i, '\n', size - i), *line = text + i;
        size_t n = lf ? (size_t)(lf - line) : size - i;
        i += n + 1;
        line_number++;
        trim(&line, &n);
        if (!n || *line == '#') continue;
        snprintf(place, sizeof place, "%.250s:%zu", where, line_number);
        SV_TRY(add_line(c, line, n, place, err));
    }
    return c->count > before ? SV_OK : sv_fail(err, SV_E_RECIPE, where, "has no concept in it");
}
