#include "text/scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "text/unicode/unicode.h"

enum { KNOW_COUNTS = 1, KNOW_WORDS = 2, KNOW_BEGINS = 4 };

/* Buffers above this size are given back when the next text is set. */
enum { KEEP_BYTES = 1 << 20 };

void sv_scan_free(sv_scan *s) {
    sv_buf_free(&s->words);
    sv_buf_free(&s->pieces);
    sv_buf_free(&s->buffers[0]);
    sv_buf_free(&s->buffers[1]);
    free(s->word_begin);
    free(s->word_hash);
    free(s->begin);
    free(s->marks);
    sv_ids_free(&s->ids);
    sv_fasttext_scratch_free(&s->language);
    sv_ngrams_free(&s->ngrams);
    *s = (sv_scan){0};
}

/* One huge caption must not cost memory for good. */
static void give_back(sv_scan *s) {
    sv_buf *all[] = {&s->words, &s->pieces, &s->buffers[0], &s->buffers[1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i]->capacity > KEEP_BYTES) sv_buf_free(all[i]);
    if (s->begin_capacity > KEEP_BYTES || s->mark_capacity > KEEP_BYTES) {
        free(s->begin);
        free(s->marks);
        s->begin = s->marks = NULL;
        s->begin_capacity = s->mark_capacity = 0;
    }
}

void sv_scan_set(sv_scan *s, const char *text, size_t size) {
    if (size < KEEP_BYTES / 4) give_back(s);
    s->text = text;
    s->size = size;
    s->changed = false;
    s->known = 0;
}

sv_status sv_scan_set_wrapped(sv_scan *s, const char *before, const char *text, size_t size, const char *after, sv_error *err) {
    sv_scan_set(s, text, size);
    sv_buf *b = sv_scan_spare(s);
    sv_buf_puts(b, before);
    sv_buf_add(b, text, size);
    sv_buf_puts(b, after);
    SV_TRY(sv_scan_adopt(s, err));
    s->changed = false;
    return SV_OK;
}

sv_buf *sv_scan_spare(sv_scan *s) {
    sv_buf *b = &s->buffers[s->turn ^ 1];
    sv_buf_clear(b);
    return b;
}

sv_status sv_scan_adopt(sv_scan *s, sv_error *err) {
    sv_buf *b = &s->buffers[s->turn ^ 1];
    SV_TRY(sv_buf_ok(b, err));
    if (b->size > SV_TEXT_MAX) return sv_fail(err, SV_E_INPUT, "text", "it grew to %zu bytes, more than %u", b->size, SV_TEXT_MAX);
    s->turn ^= 1;
    s->text = b->data ? b->data : "";
    s->size = b->size;
    s->changed = true;
    s->known = 0;
    return SV_OK;
}

void sv_scan_counts(sv_scan *s) {
    if (s->known & KNOW_COUNTS) return;
    s->known |= KNOW_COUNTS;
    uint32_t alnum = 0, special = 0, length = 0;
    s->ascii = sv_is_ascii(s->text, s->size);
    if (s->ascii) {
        for (size_t i = 0; i < s->size; i++) {
            unsigned flags = sv_char((unsigned char)s->text[i])->flags;
            alnum += flags & SV_CH_ALNUM;
            special += flags / SV_CH_SPECIAL & 1;
        }
        length = (uint32_t)s->size;
    } else {
        for (const char *p = s->text, *end = p + s->size; p < end; length++) {
            unsigned flags = sv_char(sv_next_char(&p))->flags;
            alnum += flags & SV_CH_ALNUM;
            special += flags / SV_CH_SPECIAL & 1;
        }
    }
    s->length = length;
    s->alnum = alnum;
    s->special = special;
}

static sv_status make_room(uint32_t **array, size_t *capacity, size_t need, sv_error *err) {
    if (need <= *capacity) return SV_OK;
    size_t grown = need < 256 ? 256 : need + need / 2;
    uint32_t *fresh = malloc(grown * sizeof *fresh);
    if (!fresh) return sv_fail_memory(err, "text", grown * sizeof *fresh);
    free(*array);
    *array = fresh;
    *capacity = grown;
    return SV_OK;
}

sv_status sv_scan_begins(sv_scan *s, sv_error *err) {
    if (s->known & KNOW_BEGINS) return SV_OK;
    sv_scan_counts(s);
    SV_TRY(make_room(&s->begin, &s->begin_capacity, (size_t)s->length + 1, err));
    size_t n = 0;
    for (size_t i = 0; i < s->size; i++)
        if (((unsigned char)s->text[i] & 0xC0) != 0x80) s->begin[n++] = (uint32_t)i;
    s->begin[n] = (uint32_t)s->size;
    s->known |= KNOW_BEGINS;
    return SV_OK;
}

sv_status sv_scan_marks(sv_scan *s, size_t n, uint32_t **marks, sv_error *err) {
    SV_TRY(make_room(&s->marks, &s->mark_capacity, n, err));
    *marks = s->marks;
    return SV_OK;
}

/* What words are taken from: the text, split at U+0020, U+000A and U+0009, or the pieces of a model, which a space parts. */
typedef struct word_cursor {
    const char *p, *end;
    bool only_space;
} word_cursor;

static sv_status first_word(sv_scan *s, const sv_spm *pieces, word_cursor *c, sv_error *err) {
    *c = (word_cursor){s->text, s->text + s->size, false};
    if (!pieces) return SV_OK;
    SV_TRY(sv_spm_encode(pieces, s->text, s->size, &s->pieces, err));
    if (s->pieces.size) *c = (word_cursor){s->pieces.data, s->pieces.data + s->pieces.size, true};
    else *c = (word_cursor){s->text, s->text, true};
    return SV_OK;
}

static inline bool parts(const word_cursor *c, char ch) { return ch == ' ' || (!c->only_space && (ch == '\n' || ch == '\t')); }

/* False at the end. */
static inline bool next_word(word_cursor *c, const char **word, size_t *size) {
    const char *at = c->p;
    while (at < c->end && parts(c, *at)) at++;
    const char *begin = at;
    while (at < c->end && !parts(c, *at)) at++;
    c->p = at;
    *word = begin;
    *size = (size_t)(at - begin);
    return at > begin;
}

static inline bool is_ascii_letter(char c) { return (unsigned char)((c | 0x20) - 'a') < 26; }

void sv_strip_special(const char **text, size_t *size) {
    const char *begin = *text, *end = begin + *size;
    /* Most words end in letters on both sides: in ASCII nothing else is neither white space, digit nor punctuation. */
    if (begin < end && is_ascii_letter(*begin) && is_ascii_letter(end[-1])) return;
    while (begin < end) {
        const char *p = begin;
        if (!sv_char_is(sv_next_char(&p), SV_CH_SPECIAL)) break;
        begin = p;
    }
    while (end > begin) {
        const char *p = end;
        if (!sv_char_is(sv_previous_char(&p), SV_CH_SPECIAL)) break;
        end = p;
    }
    *text = begin;
    *size = (size_t)(end - begin);
}

sv_status sv_scan_word_number(sv_scan *s, const sv_spm *pieces, uint32_t *number, sv_error *err) {
    uint32_t n = 0;
    word_cursor c;
    const char *word;
    size_t size;
    SV_TRY(first_word(s, pieces, &c, err));
    while (next_word(&c, &word, &size)) {
        sv_strip_special(&word, &size);
        n += size > 0;
    }
    *number = n;
    return SV_OK;
}

static bool grow_words(sv_scan *s) {
    size_t capacity = s->word_capacity ? s->word_capacity * 2 : 256;
    uint32_t *begin = realloc(s->word_begin, (capacity + 1) * sizeof *begin);
    if (begin) s->word_begin = begin;
    uint64_t *hash = realloc(s->word_hash, capacity * sizeof *hash);
    if (hash) s->word_hash = hash;
    if (!begin || !hash) return false;
    s->word_capacity = capacity;
    return true;
}

/* Data-Juicer lower-cases a word first (its final sigma knows only that word) and strips special characters from what came of it. */
sv_status sv_scan_words(sv_scan *s, const sv_spm *pieces, sv_error *err) {
    if (s->known & KNOW_WORDS && s->word_pieces == pieces) return SV_OK;
    s->word_count = 0;
    sv_buf_clear(&s->words);
    if (!sv_buf_reserve(&s->words, s->size + 16)) return sv_fail_memory(err, "words", s->size + 16);
    word_cursor c;
    const char *word;
    size_t size;
    SV_TRY(first_word(s, pieces, &c, err));
    while (next_word(&c, &word, &size)) {
        size_t at = s->words.size;
        sv_lower_append(word, size, &s->words);
        SV_TRY(sv_buf_ok(&s->words, err));
        const char *low = s->words.data + at;
        size_t low_size = s->words.size - at;
        sv_strip_special(&low, &low_size);
        s->words.size = at;
        if (low_size == 0) continue;
        memmove(s->words.data + at, low, low_size);
        s->words.size = at + low_size;
        if (s->word_count >= s->word_capacity && !grow_words(s)) return sv_fail_memory(err, "words", 2 * s->word_capacity * sizeof *s->word_hash);
        s->word_begin[s->word_count] = (uint32_t)at;
        s->word_hash[s->word_count] = sv_hash64(s->words.data + at, low_size, 0);
        s->word_count++;
        sv_buf_putc(&s->words, ' ');
    }
    SV_TRY(sv_buf_ok(&s->words, err));
    if (s->word_capacity == 0 && !grow_words(s)) return sv_fail_memory(err, "words", 256 * sizeof *s->word_hash);
    if (s->words.size > UINT32_MAX) return sv_fail(err, SV_E_INPUT, "text", "lower case takes %zu bytes, too many to count words in", s->words.size);
    s->word_begin[s->word_count] = (uint32_t)s->words.size;
    s->known |= KNOW_WORDS;
    s->word_pieces = pieces;
    return SV_OK;
}
