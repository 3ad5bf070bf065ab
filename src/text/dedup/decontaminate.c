#include "text/dedup/decontaminate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "text/dedup/minhash.h"
#include "text/unicode/unicode.h"

/* Keys and the text that each belongs to; a key of 0 marks a free slot. */
typedef struct slots {
    uint64_t *keys;
    uint32_t *texts;
    size_t mask, count;          /* mask 0: no memory yet */
} slots;

struct sv_decontaminator {
    sv_decontaminate_options o;
    slots words;                 /* whole texts, and runs of words: the first text that has it */
    slots bands;                 /* of signatures: every text that has it */
    size_t band_count, rows;
    sv_permutation *permutations;
    sv_buf places;               /* ends with a NUL each */
    size_t *place;               /* by text */
    uint32_t *groups;            /* of all texts, one after the other */
    size_t *group_begin;         /* by text, and one more */
    size_t texts, text_capacity, group_count, group_capacity;
};

/* Seeds of sv_hash64: a whole text is no run of words, though it may read like one. */
enum { RUN, WHOLE };

sv_status sv_decontaminator_open(sv_decontaminator **out, const sv_decontaminate_options *o, sv_error *err) {
    *out = NULL;
    sv_decontaminator *d = calloc(1, sizeof *d);
    if (!d) return sv_fail_memory(err, "decontaminate", sizeof *d);
    d->o = *o;
    sv_status st = SV_OK;
    if (!isnan(o->similarity)) st = sv_minhash_bands(o->similarity, o->permutations, &d->band_count, &d->rows, err);
    size_t values = d->band_count * d->rows;
    if (st == SV_OK && values) {
        d->permutations = malloc(values * sizeof *d->permutations);
        if (d->permutations) sv_minhash_permutations(d->permutations, values);
        else st = sv_fail_memory(err, "decontaminate", values * sizeof *d->permutations);
    }
    if (st == SV_OK) *out = d;
    else sv_decontaminator_close(&d);
    return st;
}

void sv_decontaminator_close(sv_decontaminator **handle) {
    sv_decontaminator *d = *handle;
    if (!d) return;
    free(d->words.keys);
    free(d->words.texts);
    free(d->bands.keys);
    free(d->bands.texts);
    free(d->permutations);
    sv_buf_free(&d->places);
    free(d->place);
    free(d->groups);
    free(d->group_begin);
    free(d);
    *handle = NULL;
}

void sv_decontaminate_scratch_free(sv_decontaminate_scratch *s) {
    sv_buf_free(&s->lower);
    sv_buf_free(&s->words);
    free(s->begin);
    free(s->groups);
    *s = (sv_decontaminate_scratch){0};
}

/* ---- slots ---- */

static sv_status grow_slots(slots *t, sv_error *err) {
    size_t capacity = t->mask ? (t->mask + 1) * 2 : 1024;
    slots fresh = {calloc(capacity, sizeof *t->keys), malloc(capacity * sizeof *t->texts), capacity - 1, t->count};
    if (!fresh.keys || !fresh.texts) {
        free(fresh.keys);
        free(fresh.texts);
        return sv_fail_memory(err, "decontaminate", capacity * (sizeof *t->keys + sizeof *t->texts));
    }
    for (size_t i = 0; t->mask && i <= t->mask; i++) {
        if (!t->keys[i]) continue;
        size_t to = t->keys[i] & fresh.mask;
        while (fresh.keys[to]) to = (to + 1) & fresh.mask;
        fresh.keys[to] = t->keys[i];
        fresh.texts[to] = t->texts[i];
    }
    free(t->keys);
    free(t->texts);
    *t = fresh;
    return SV_OK;
}

/* only_new: an equal key that is there keeps its text, and *added says so. Otherwise it is added beside it. */
static sv_status put_slot(slots *t, uint64_t key, uint32_t text, bool only_new, bool *added, sv_error *err) {
    if (!t->mask || t->count * 4 > t->mask * 3) SV_TRY(grow_slots(t, err));
    size_t i = key & t->mask;
    for (; t->keys[i]; i = (i + 1) & t->mask)
        if (only_new && t->keys[i] == key) {
            *added = false;
            return SV_OK;
        }
    t->keys[i] = key;
    t->texts[i] = text;
    t->count++;
    *added = true;
    return SV_OK;
}

static bool find_slot(const slots *t, uint64_t key, uint32_t *text) {
    if (!t->mask) return false;
    for (size_t i = key & t->mask; t->keys[i]; i = (i + 1) & t->mask)
        if (t->keys[i] == key) {
            *text = t->texts[i];
            return true;
        }
    return false;
}

static uint64_t key_of(const void *data, size_t size, uint64_t seed) {
    uint64_t key = sv_hash64(data, size, seed);
    return key ? key : 1;
}

/* ---- words and word groups ---- */

static bool is_left_out(uint32_t c) {
    if (c < 0x80) return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) || (c >= 0x7B && c <= 0x7E);
    return sv_char_is(c, SV_CH_RE_PUNCT);
}

static sv_status note_word(sv_decontaminate_scratch *s, sv_error *err) {
    if (s->word_count + 1 >= s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 64;
        uint32_t *begin = realloc(s->begin, capacity * sizeof *begin);
        if (!begin) return sv_fail_memory(err, "decontaminate", capacity * sizeof *begin);
        s->begin = begin;
        s->capacity = capacity;
    }
    s->begin[s->word_count++] = (uint32_t)s->words.size;
    return SV_OK;
}

static sv_status cut_words(sv_decontaminate_scratch *s, const char *text, size_t size, sv_error *err) {
    sv_buf_clear(&s->lower);
    sv_buf_clear(&s->words);
    s->word_count = 0;
    sv_lower_append(text, size, &s->lower);
    SV_TRY(sv_buf_ok(&s->lower, err));
    if (s->lower.size > UINT32_MAX / 2) return sv_fail(err, SV_E_INPUT, "decontaminate", "a text of %zu bytes is too long", size);
    if (!sv_buf_reserve(&s->words, s->lower.size + 1)) return sv_fail_memory(err, "decontaminate", s->lower.size);
    bool inside = false;
    for (const char *p = s->lower.data, *end = p + s->lower.size; p < end;) {
        const char *at = p;
        uint32_t c = sv_next_char(&p);
        if (sv_char_is(c, SV_CH_SPACE)) {
            if (inside) sv_buf_putc(&s->words, ' ');
            inside = false;
        } else if (!is_left_out(c)) {
            if (!inside) SV_TRY(note_word(s, err));
            inside = true;
            sv_buf_add(&s->words, at, (size_t)(p - at));
        }
    }
    if (inside) sv_buf_putc(&s->words, ' ');
    if (s->word_count) s->begin[s->word_count] = (uint32_t)s->words.size;
    return sv_buf_ok(&s->words, err);
}

/* n words from the i-th on, without the space behind the last. */
static const char *run_of(const sv_decontaminate_scratch *s, size_t i, size_t n, size_t *size) {
    *size = s->begin[i + n] - s->begin[i] - 1;
    return s->words.data + s->begin[i];
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The word groups of the words in s, and the signature's bands; none if there are fewer words than a group has. */
static sv_status cut_groups(const sv_decontaminator *d, sv_decontaminate_scratch *s, uint64_t *bands, sv_error *err) {
    uint32_t signature[SV_MINHASH_MAX];
    size_t values = d->band_count * d->rows;
    s->group_count = 0;
    if (!values || s->word_count < d->o.window) return SV_OK;
    size_t n = s->word_count - d->o.window + 1;
    if (n > s->group_capacity) {
        free(s->groups);
        s->group_capacity = 0;
        s->groups = malloc(n * 2 * sizeof *s->groups);
        if (!s->groups) return sv_fail_memory(err, "decontaminate", n * 2 * sizeof *s->groups);
        s->group_capacity = n * 2;
    }
    memset(signature, 0xFF, values * sizeof *signature);
    for (size_t i = 0; i < n; i++) {
        size_t size;
        const char *run = run_of(s, i, d->o.window, &size);
        s->groups[i] = sv_minhash_shingle(run, size);
        sv_minhash_add(d->permutations, values, s->groups[i], signature);
    }
    qsort(s->groups, n, sizeof *s->groups, by_value);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || s->groups[i] != s->groups[i - 1]) s->groups[s->group_count++] = s->groups[i];
    for (size_t b = 0; b < d->band_count; b++) bands[b] = key_of(signature + b * d->rows, d->rows * sizeof *signature, b);
    return SV_OK;
}

static double jaccard(const uint32_t *a, size_t n, const uint32_t *b, size_t m) {
    size_t both = 0;
    for (size_t i = 0, k = 0; i < n && k < m;) {
        both += a[i] == b[k];
        if (a[i] < b[k]) i++;
        else if (a[i] > b[k]) k++;
        else i++, k++;
    }
    return (double)both / (double)(n + m - both);
}

/* ---- adding ---- */

static sv_status note_text(sv_decontaminator *d, const char *place, const sv_decontaminate_scratch *s, sv_error *err) {
    if (d->texts >= UINT32_MAX) return sv_fail(err, SV_E_INPUT, "decontaminate", "more than 4,294,967,295 texts");
    if (d->texts + 1 >= d->text_capacity) {
        size_t capacity = d->text_capacity ? d->text_capacity * 2 : 256;
        size_t *places = realloc(d->place, capacity * sizeof *places);
        if (places) d->place = places;
        size_t *begin = realloc(d->group_begin, capacity * sizeof *begin);
        if (begin) d->group_begin = begin;
        if (!places || !begin) return sv_fail_memory(err, "decontaminate", capacity * sizeof *places);
        d->text_capacity = capacity;
    }
    while (d->group_count + s->group_count > d->group_capacity) {
        size_t capacity = d->group_capacity ? d->group_capacity * 2 : 4096;
        uint32_t *groups = realloc(d->groups, capacity * sizeof *groups);
        if (!groups) return sv_fail_memory(err, "decontaminate", capacity * sizeof *groups);
        d->groups = groups;
        d->group_capacity = capacity;
    }
    d->place[d->texts] = d->places.size;
    sv_buf_add(&d->places, place, strlen(place) + 1);
    SV_TRY(sv_buf_ok(&d->places, err));
    d->group_begin[d->texts] = d->group_count;
    if (s->group_count) memcpy(d->groups + d->group_count, s->groups, s->group_count * sizeof *s->groups);
    d->group_count += s->group_count;
    d->texts++;
    d->group_begin[d->texts] = d->group_count;
    return SV_OK;
}

sv_status sv_decontaminator_add(sv_decontaminator *d, const char *text, size_t size, const char *place, sv_decontaminate_scratch *s, sv_error *err) {
    uint64_t bands[SV_MINHASH_MAX];
    bool added;
    uint32_t number = (uint32_t)d->texts;
    SV_TRY(cut_words(s, text, size, err));
    if (!s->word_count) return SV_OK;
    SV_TRY(put_slot(&d->words, key_of(s->words.data, s->words.size, WHOLE), number, true, &added, err));
    if (!added) return SV_OK;
    SV_TRY(cut_groups(d, s, bands, err));
    SV_TRY(note_text(d, place, s, err));
    size_t n = d->o.ngram;
    for (size_t i = 0; n && i + n <= s->word_count; i++) {
        size_t length;
        const char *run = run_of(s, i, n, &length);
        SV_TRY(put_slot(&d->words, key_of(run, length, RUN), number, true, &added, err));
    }
    for (size_t b = 0; s->group_count && b < d->band_count; b++) SV_TRY(put_slot(&d->bands, bands[b], number, false, &added, err));
    return SV_OK;
}

sv_decontaminator_size sv_decontaminator_measure(const sv_decontaminator *d) {
    size_t slot = sizeof(uint64_t) + sizeof(uint32_t), table = (d->words.mask + d->bands.mask) * slot;
    return (sv_decontaminator_size){d->texts, d->words.count - d->texts,
                                    table + d->places.capacity + d->text_capacity * 2 * sizeof(size_t) + d->group_capacity * sizeof(uint32_t)};
}

/* ---- looking up ---- */

/* Words of the caption in quotes, cut where they get long. */
static void quote(sv_buf *detail, const char *words, size_t size) {
    enum { MOST = 200 };
    bool cut = size > MOST;
    if (cut) {
        size = MOST;
        while (size && ((unsigned char)words[size] & 0xC0) == 0x80) size--;
    }
    sv_buf_puts(detail, ": \"");
    sv_buf_add(detail, words, size);
    sv_buf_puts(detail, cut ? "…\"" : "\"");
}

static bool find_words(const sv_decontaminator *d, const sv_decontaminate_scratch *s, uint32_t *text, sv_buf *detail) {
    size_t n = d->o.ngram, size = s->words.size - 1;
    const char *words = s->words.data;
    bool found = find_slot(&d->words, key_of(words, size + 1, WHOLE), text);
    for (size_t i = 0; !found && n && i + n <= s->word_count; i++) {
        words = run_of(s, i, n, &size);
        found = find_slot(&d->words, key_of(words, size, RUN), text);
    }
    if (!found) return false;
    sv_buf_puts(detail, d->places.data + d->place[*text]);
    quote(detail, words, size);
    return true;
}

static sv_status find_similar(const sv_decontaminator *d, sv_decontaminate_scratch *s, uint32_t *text, double *most, sv_error *err) {
    uint64_t bands[SV_MINHASH_MAX];
    *most = NAN;
    SV_TRY(cut_groups(d, s, bands, err));
    for (size_t b = 0; s->group_count && d->bands.mask && b < d->band_count; b++)
        for (size_t i = bands[b] & d->bands.mask; d->bands.keys[i]; i = (i + 1) & d->bands.mask) {
            uint32_t other = d->bands.texts[i];
            if (d->bands.keys[i] != bands[b]) continue;
            size_t begin = d->group_begin[other];
            double same = jaccard(s->groups, s->group_count, d->groups + begin, d->group_begin[other + 1] - begin);
            if (same < d->o.similarity || same < *most || (same == *most && other >= *text)) continue;
            *most = same;
            *text = other;
        }
    return SV_OK;
}

sv_status sv_decontaminator_find(const sv_decontaminator *d, const char *text, size_t size, sv_decontaminate_scratch *s, bool *hit, double *similarity,
                                 sv_buf *detail, sv_error *err) {
    uint32_t number = 0;
    *hit = false;
    *similarity = NAN;
    sv_buf_clear(detail);
    SV_TRY(cut_words(s, text, size, err));
    if (!s->word_count) return SV_OK;
    *hit = find_words(d, s, &number, detail);
    if (*hit) return sv_buf_ok(detail, err);
    SV_TRY(find_similar(d, s, &number, similarity, err));
    *hit = !isnan(*similarity);
    if (!*hit) return SV_OK;
    sv_buf_puts(detail, d->places.data + d->place[number]);
    sv_buf_puts(detail, ": a near-duplicate");
    return sv_buf_ok(detail, err);
}
