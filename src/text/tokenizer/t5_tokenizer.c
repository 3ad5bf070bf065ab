#include "text/tokenizer/t5_tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "text/tokenizer/sentencepiece_internal.h"
#include "text/tokenizer/sentencepiece_json.h"

/* Fixed in every T5: the first three pieces, and a hundred sentinels after the last one, counted backwards. */
enum { PAD = 0, END = 1, UNKNOWN = 2, EXTRA = 100 };

struct sv_t5 {
    sv_spm *spm;
};

/* spiece.model, or the tokenizer.json that newer exports hold instead. */
static sv_status open_model(sv_spm **out, const char *dir, sv_error *err) {
    char *model = sv_path_join(dir, "spiece.model"), *json = sv_path_join(dir, "tokenizer.json");
    sv_status st;
    if (!model || !json) {
        st = sv_fail_memory(err, dir, 0);
    } else if (sv_is_file(model)) {
        st = sv_spm_open(out, model, err);
    } else if (sv_is_file(json)) {
        st = sv_spm_json_open(out, json, err);
    } else {
        sv_fail(err, SV_E_MODEL, dir, "holds neither spiece.model nor tokenizer.json");
        st = sv_hint(err, SV_E_MODEL, "copy the files of the original model's T5 tokenizer there");
    }
    free(model);
    free(json);
    return st;
}

sv_status sv_t5_open(sv_t5 **out, const char *dir, sv_error *err) {
    *out = NULL;
    sv_t5 *t = calloc(1, sizeof *t);
    if (!t) return sv_fail_memory(err, dir, sizeof *t);
    sv_status st = open_model(&t->spm, dir, err);
    if (st == SV_OK && (t->spm->bpe || t->spm->unknown != UNKNOWN))
        st = sv_fail(err, SV_E_MODEL, dir, "is not a T5 tokenizer: a unigram model whose third piece is the unknown one");
    if (st != SV_OK) sv_t5_close(&t);
    *out = t;
    return st;
}

void sv_t5_close(sv_t5 **t) {
    if (!*t) return;
    sv_spm_close(&(*t)->spm);
    free(*t);
    *t = NULL;
}

size_t sv_t5_vocabulary(const sv_t5 *t) {
    return t->spm->count + EXTRA;
}

static sv_status add_id(sv_ids *ids, int32_t id, sv_error *err) {
    if (ids->size == ids->capacity) {
        size_t n = ids->capacity ? ids->capacity * 2 : 128;
        int32_t *more = realloc(ids->data, n * sizeof *more);
        if (!more) return sv_fail_memory(err, "encoding a text", n * sizeof *more);
        ids->data = more;
        ids->capacity = n;
    }
    ids->data[ids->size++] = id;
    return SV_OK;
}

/* The special token that s begins with: its id and length, or -1. */
static int32_t special_at(const sv_t5 *t, const char *s, size_t n, size_t *length) {
    static const struct {
        const char *text;
        int32_t id;
    } fixed[] = {{"<pad>", PAD}, {"</s>", END}, {"<unk>", UNKNOWN}};
    for (size_t i = 0; i < 3; i++) {
        *length = strlen(fixed[i].text);
        if (*length <= n && memcmp(s, fixed[i].text, *length) == 0) return fixed[i].id;
    }
    char text[24];
    for (int i = EXTRA - 1; i >= 0; i--) {
        *length = (size_t)snprintf(text, sizeof text, "<extra_id_%d>", i);
        if (*length <= n && memcmp(s, text, *length) == 0) return (int32_t)t->spm->count + EXTRA - 1 - i;
    }
    return -1;
}

/* Unicode's White_Space. transformers cuts a text at all of it, SentencePiece at spaces only. */
static bool is_space(uint32_t c) {
    return (c >= 9 && c <= 13) || c == 32 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

/* Replaces out by a valid text with a plain space for every white space. */
static sv_status plain_spaces(const char *s, size_t n, sv_buf *out, sv_error *err) {
    sv_buf_clear(out);
    for (size_t i = 0; i < n;) {
        uint32_t c;
        int k = sv_utf8_decode(s + i, n - i, &c);
        if (is_space(c)) sv_buf_putc(out, ' ');
        else sv_buf_add(out, s + i, (size_t)k);
        i += (size_t)k;
    }
    return sv_buf_ok(out, err);
}

/* Text between special tokens. */
static sv_status encode_stretch(const sv_t5 *t, const char *s, size_t n, sv_buf *plain, sv_buf *pieces, sv_ids *ids, sv_error *err) {
    SV_TRY(plain_spaces(s, n, plain, err));
    SV_TRY(sv_spm_encode(t->spm, plain->data ? plain->data : "", plain->size, pieces, err));
    for (const char *p = pieces->data, *end = p + pieces->size; p && p < end;) {
        const char *space = memchr(p, ' ', (size_t)(end - p));
        size_t length = (size_t)((space ? space : end) - p);
        int32_t id = sv_trie_find(&t->spm->words, p, length);
        SV_TRY(add_id(ids, id >= 0 ? id : UNKNOWN, err));
        p += length + 1;
    }
    return SV_OK;
}

sv_status sv_t5_encode(const sv_t5 *t, const char *text, size_t size, sv_ids *ids, sv_error *err) {
    ids->size = 0;
    size_t bad = sv_utf8_valid(text, size);
    if (bad != size) return sv_fail(err, SV_E_INPUT, "text", "invalid UTF-8 at byte %zu", bad);
    sv_buf plain = {0}, pieces = {0};
    sv_status st = SV_OK;
    for (size_t from = 0; st == SV_OK && from < size;) {
        size_t at = from, length = 0;
        int32_t id = -1;
        while (at < size && (text[at] != '<' || (id = special_at(t, text + at, size - at, &length)) < 0)) at++;
        if (at > from) st = encode_stretch(t, text + from, at - from, &plain, &pieces, ids, err);
        if (st == SV_OK && at < size) st = add_id(ids, id, err);
        from = at < size ? at + length : at;
    }
    sv_buf_free(&plain);
    sv_buf_free(&pieces);
    return st;
}

size_t sv_t5_row(const sv_ids *ids, size_t length, int32_t *row) {
    size_t used = ids->size < length - 1 ? ids->size : length - 1, at = used;
    if (used) memcpy(row, ids->data, used * sizeof *row);
    row[at++] = END;
    while (at < length) row[at++] = PAD;
    return ids->size - used;
}
