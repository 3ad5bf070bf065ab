/* tokenizer.c - from a text to ids: special tokens, clean-up, splitting into words. The pieces of words are tokenizer_bpe.c's. */
#include "synthvlm/tokenizer.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "text/unicode/clean.h"
#include "text/tokenizer/clip_chars.h"
#include "text/unicode/nfc.h"
#include "text/tokenizer/tokenizer_internal.h"
#include "text/unicode/unicode.h"

#define START_TEXT "<|startoftext|>"
#define END_TEXT "<|endoftext|>"

/* ---- opening ---- */

sv_status sv_tokenizer_open(sv_tokenizer **out, const char *dir, sv_error *err) {
    *out = NULL;
    sv_tokenizer *t = calloc(1, sizeof *t);
    if (!t) return sv_fail_memory(err, dir, sizeof *t);
    sv_status st = sv_tokenizer_read(t, dir, err);
    if (st != SV_OK) {
        sv_tokenizer_close(&t);
        return st;
    }
    int32_t start = sv_bpe_find(t->bpe, START_TEXT, strlen(START_TEXT)), end = sv_bpe_find(t->bpe, END_TEXT, strlen(END_TEXT));
    t->openai_start = start >= 0 ? start : t->bos;
    t->openai_end = end >= 0 ? end : t->eos;
    *out = t;
    return SV_OK;
}

static void free_added(sv_added_tokens *a) {
    for (size_t i = 0; i < a->count; i++) free(a->data[i].content);
    free(a->data);
}

void sv_tokenizer_close(sv_tokenizer **t) {
    if (!*t) return;
    sv_bpe_free(&(*t)->bpe);
    free_added(&(*t)->raw);
    free_added(&(*t)->normalized);
    free(*t);
    *t = NULL;
}

int32_t sv_tokenizer_bos(const sv_tokenizer *t) { return t->bos; }
int32_t sv_tokenizer_eos(const sv_tokenizer *t) { return t->eos; }
int32_t sv_tokenizer_pad(const sv_tokenizer *t) { return t->pad; }
size_t sv_tokenizer_vocabulary(const sv_tokenizer *t) { return sv_bpe_size(t->bpe); }
size_t sv_tokenizer_max_length(const sv_tokenizer *t) { return t->max_length; }
const char *sv_tokenizer_piece(const sv_tokenizer *t, int32_t id) { return sv_bpe_piece(t->bpe, id); }

/* ---- characters ---- */

/* Class of a code point beyond ASCII. */
static sv_clip_class find_class(uint32_t c, bool openai) {
    size_t low = 0, high = sv_clip_range_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const sv_clip_range *r = &sv_clip_ranges[middle];
        if (c > r->last) low = middle + 1;
        else if (c < r->first) high = middle;
        else return openai ? r->openai : r->hf;
    }
    return SV_CLIP_OTHER;
}

static sv_clip_class ascii_class(unsigned char c) {
    if ((c | 32) >= 'a' && (c | 32) <= 'z') return SV_CLIP_LETTER;
    if (c >= '0' && c <= '9') return SV_CLIP_NUMBER;
    return c == ' ' || (c >= 0x09 && c <= 0x0D) ? SV_CLIP_SPACE : SV_CLIP_OTHER;
}

/* Class of the character at *p, which moves behind it. */
static sv_clip_class next_class(const char **p, bool openai) {
    unsigned char c = (unsigned char)**p;
    if (c < 0x80) {
        ++*p;
        return ascii_class(c);
    }
    return find_class(sv_next_char(p), openai);
}

/* Python's lower case of one code point, and the newer pairs. */
uint32_t sv_tokenizer_lower(uint32_t c) {
    int32_t step = sv_char(c)->lower;
    if (step == 0 && c >= sv_new_lower[0][0])
        for (size_t i = 0; i < sv_new_lower_count; i++)
            if (sv_new_lower[i][0] == c) return sv_new_lower[i][1];
    return (uint32_t)((int32_t)c + step);
}

sv_status sv_tokenizer_normalize(const char *text, size_t n, sv_buf *out, sv_error *err) {
    sv_buf composed = {0};
    bool ascii = sv_is_ascii(text, n);
    if (!ascii) {
        sv_status st = sv_nfc_append(text, n, true, &composed, err);
        if (st != SV_OK) {
            sv_buf_free(&composed);
            return st;
        }
        text = composed.data;
        n = composed.size;
    }
    /* No letter grows by more than half: U+0130, two bytes, becomes three. */
    bool room = sv_buf_reserve(out, n + n / 2 + 4);
    if (room) {
        char *to = out->data + out->size;
        bool space = false;
        for (const char *p = text, *end = text + n; p < end;) {
            const char *from = p;
            sv_clip_class class = next_class(&p, false);
            if (class == SV_CLIP_SPACE) {
                if (!space) *to++ = ' ';
                space = true;
                continue;
            }
            space = false;
            unsigned char c = (unsigned char)*from;
            if (c < 0x80) {
                *to++ = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
                continue;
            }
            const char *at = from;
            uint32_t cp = sv_next_char(&at);
            if (cp == 0x130) {
                memcpy(to, "i\xCC\x87", 3);
                to += 3;
            } else to += sv_utf8_encode(sv_tokenizer_lower(cp), to);
        }
        out->size = (size_t)(to - out->data);
        *to = '\0';
    }
    sv_buf_free(&composed);
    return room ? SV_OK : sv_fail_memory(err, "normalising a text", n);
}

/* ---- words ---- */

/* Length of a contraction ("'s", "'re" …) at p, 0 if there is none. OpenAI's pattern ignores case, which lets U+017F stand for s. */
static size_t contraction(const char *p, size_t n, bool openai) {
    static const char *const tails[] = {"s", "t", "re", "ve", "m", "ll", "d"};
    if (n < 2 || p[0] != '\'') return 0;
    if (openai && n >= 3 && memcmp(p + 1, "\xC5\xBF", 2) == 0) return 3;
    for (size_t k = 0; k < sizeof tails / sizeof *tails; k++) {
        size_t size = strlen(tails[k]);
        if (n - 1 >= size && memcmp(p + 1, tails[k], size) == 0) return size + 1;
    }
    return 0;
}

static bool starts_with(const char *p, size_t n, const char *what) {
    size_t size = strlen(what);
    return n >= size && memcmp(p, what, size) == 0;
}

/* The two special strings where they stand at the start of a word. For OpenAI they are the special tokens (unless spelled with U+017F, which the
 * pattern lets pass but the vocabulary does not); in transformers' second stage they are only a place to split, and their parts are words.
 * Returns the length, 0 if there is none. */
static size_t special_word(const sv_tokenizer *t, const char *p, size_t n, bool openai, sv_ids *ids, bool *ok) {
    static const char long_s[] = "<|\xC5\xBFtartoftext|>";
    bool start = starts_with(p, n, START_TEXT), end = starts_with(p, n, END_TEXT);
    if (openai && starts_with(p, n, long_s)) {
        *ok = sv_bpe_encode(t->bpe, p, strlen(long_s), ids);
        return strlen(long_s);
    }
    if (!start && !end) return 0;
    size_t size = strlen(start ? START_TEXT : END_TEXT);
    if (openai) *ok = sv_ids_add(ids, start ? t->openai_start : t->openai_end);
    else *ok = sv_bpe_encode(t->bpe, p, 2, ids) && sv_bpe_encode(t->bpe, p + 2, size - 4, ids) && sv_bpe_encode(t->bpe, p + size - 2, 2, ids);
    return size;
}

/* Splits a clean text as CLIP's pattern does (leftmost, first alternative that fits): special strings, contractions, a run of letters, one number
 * character, a run of anything else but white space; and encodes each word. */
static bool encode_words(const sv_tokenizer *t, const char *text, size_t n, bool openai, sv_ids *ids) {
    for (const char *p = text, *end = text + n; p < end;) {
        const char *word = p;
        bool ok = true;
        size_t size = *p == '<' ? special_word(t, p, (size_t)(end - p), openai, ids, &ok) : 0;
        if (size > 0) {
            if (!ok) return false;
            p += size;
            continue;
        }
        size = contraction(p, (size_t)(end - p), openai);
        if (size > 0) p += size;
        else {
            sv_clip_class class = next_class(&p, openai);
            if (class == SV_CLIP_SPACE) continue;
            while (class != SV_CLIP_NUMBER && p < end) {
                const char *next = p;
                if (next_class(&next, openai) != class) break;
                p = next;
            }
        }
        if (!sv_bpe_encode(t->bpe, word, (size_t)(p - word), ids)) return false;
    }
    return true;
}

/* ---- transformers ---- */

static bool is_word_char(uint32_t c) {
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_ND) || k == UTF8PROC_CATEGORY_PC;
}

static bool touches_word(const char *text, size_t n, size_t at, size_t size) {
    const char *p = text + at;
    if (at > 0 && is_word_char(sv_previous_char(&p))) return true;
    p = text + at + size;
    return at + size < n && is_word_char(sv_next_char(&p));
}

/* The next token of the list at or behind *at: its place in *at and the token, or NULL with *at = n. Leftmost, then longest. */
static const sv_added_token *next_added(const sv_added_tokens *list, const char *text, size_t n, size_t *at) {
    for (size_t i = *at; i < n && list->count > 0; i++) {
        if (!list->starts[(unsigned char)text[i]]) continue;
        for (size_t k = 0; k < list->count; k++) {
            const sv_added_token *a = &list->data[k];
            if (a->size > n - i || memcmp(text + i, a->content, a->size) != 0) continue;
            if (a->single_word && touches_word(text, n, i, a->size)) {
                i += a->size - 1;    /* the match is used up, but stays text */
                break;
            }
            *at = i;
            return a;
        }
    }
    *at = n;
    return NULL;
}

static sv_status out_of_memory(sv_error *err) { return sv_fail_memory(err, "encoding a text", 0); }

/* A stretch between raw special tokens: normalised, cut at the tokens that are looked for in normalised text, split. */
static sv_status encode_stretch(const sv_tokenizer *t, const char *text, size_t n, sv_buf *clean, sv_ids *ids, sv_error *err) {
    sv_buf_clear(clean);
    SV_TRY(sv_tokenizer_normalize(text, n, clean, err));
    for (size_t from = 0; from < clean->size;) {
        size_t at = from;
        const sv_added_token *a = next_added(&t->normalized, clean->data, clean->size, &at);
        if (!encode_words(t, clean->data + from, at - from, false, ids)) return out_of_memory(err);
        if (a && !sv_ids_add(ids, a->id)) return out_of_memory(err);
        from = a ? at + a->size : at;
    }
    return SV_OK;
}

static sv_status encode_hf(const sv_tokenizer *t, const char *text, size_t n, sv_buf *clean, sv_ids *ids, sv_error *err) {
    for (size_t from = 0; from < n;) {
        size_t at = from;
        const sv_added_token *a = next_added(&t->raw, text, n, &at);
        if (at > from) SV_TRY(encode_stretch(t, text + from, at - from, clean, ids, err));
        if (a && !sv_ids_add(ids, a->id)) return out_of_memory(err);
        from = a ? at + a->size : at;
    }
    return SV_OK;
}

/* ---- OpenAI ---- */

/* Text that OpenAI's clean-up only lower-cases (and whose white space it only collapses, which splitting does not see). */
static bool is_simple(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x7F || c == '&' || (c < 0x20 && c != '\t' && c != '\n' && c != '\r')) return false;
    }
    return true;
}

static sv_status encode_openai(const sv_tokenizer *t, const char *text, size_t n, sv_buf *clean, sv_ids *ids, sv_error *err) {
    if (is_simple(text, n)) {
        if (!sv_buf_reserve(clean, n)) return out_of_memory(err);
        for (size_t i = 0; i < n; i++) clean->data[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
        clean->size = n;
    } else SV_TRY(sv_clean_openai(text, n, clean, err));
    return clean->size == 0 || encode_words(t, clean->data, clean->size, true, ids) ? SV_OK : out_of_memory(err);
}

sv_status sv_tokenizer_encode(const sv_tokenizer *t, const char *text, size_t size, sv_clean clean, sv_ids *ids, sv_error *err) {
    ids->size = 0;
    size_t bad = sv_utf8_valid(text, size);
    if (bad != size) return sv_fail(err, SV_E_INPUT, "text", "invalid UTF-8 at byte %zu", bad);
    sv_buf buffer = {0};
    sv_status st = clean == SV_CLEAN_OPENAI ? encode_openai(t, text, size, &buffer, ids, err) : encode_hf(t, text, size, &buffer, ids, err);
    sv_buf_free(&buffer);
    return st;
}

size_t sv_tokenizer_row(const sv_tokenizer *t, const sv_ids *ids, size_t length, int32_t pad, int32_t *row) {
    size_t room = length > 2 ? length - 2 : 0, used = ids->size < room ? ids->size : room, at = 0;
    if (at < length) row[at++] = t->bos;
    if (used) memcpy(row + at, ids->data, used * sizeof *row);
    at += used;
    if (at < length) row[at++] = t->eos;
    while (at < length) row[at++] = pad;
    return ids->size - used;
}
