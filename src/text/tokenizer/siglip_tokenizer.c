/* siglip_tokenizer.c - the tokenizers of SigLIP and SigLIP 2, as transformers runs them: text to a row of ids of fixed length.
 *
 * SigLIP: lower case, ASCII punctuation removed, white space to single blanks, unigram pieces (spiece.model, or tokenizer.json). SigLIP 2: lower case,
 * Gemma's BPE pieces (tokenizer.json, or tokenizer.model). Both end with the end token and are padded to the full length, which is how the models were
 * trained: they see no attention mask. Special tokens written out in a text are ordinary text.
 */
#include "synthvlm/tokenizer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/file.h"
#include "base/utf8.h"
#include "text/tokenizer/sentencepiece_internal.h"
#include "text/tokenizer/sentencepiece_json.h"
#include "text/tokenizer/tokenizer_bpe.h"
#include "text/unicode/unicode.h"

/* transformers puts the unknown token's name and a space symbol before the text, and drops the name's pieces again: SentencePiece would strip a bare space
 * symbol from the beginning of a text. */
#define GUARD "<unk>"
#define SPACE_SYMBOL "\xE2\x96\x81"        /* U+2581 */
enum { DEFAULT_LENGTH = 64, LONGEST_LENGTH = 1 << 16 };

struct sv_siglip {
    sv_spm *spm;
    bool lower;
    int32_t start, end, pad;     /* start -1: none */
    size_t length;
    size_t guard;                /* unigram: pieces of GUARD, which are dropped */
    int32_t bytes[256];          /* ids of <0x00> … <0xFF>; -1: none. The trie of the model does not hold them */
};

/* ---- pieces ---- */

static int32_t id_of_piece(const sv_siglip *t, const char *p, size_t n) {
    int32_t id = sv_trie_find(&t->spm->words, p, n);
    unsigned byte;
    if (id < 0 && n == 6 && p[0] == '<' && p[5] == '>' && sscanf(p, "<0x%2X>", &byte) == 1) id = t->bytes[byte & 0xFF];
    return id >= 0 ? id : t->spm->unknown;
}

/* Adds the ids of a text's pieces. */
static sv_status encode_pieces(const sv_siglip *t, const char *text, size_t size, sv_ids *ids, sv_error *err) {
    sv_buf pieces = {0};
    sv_status st = sv_spm_encode(t->spm, text, size, &pieces, err);
    for (const char *p = pieces.data, *end = p ? p + pieces.size : p; st == SV_OK && p < end;) {
        const char *space = memchr(p, ' ', (size_t)(end - p));
        size_t n = (size_t)((space ? space : end) - p);
        if (!sv_ids_add(ids, id_of_piece(t, p, n))) st = sv_fail_memory(err, "text", ids->size * sizeof *ids->data);
        p += n + 1;
    }
    sv_buf_free(&pieces);
    return st;
}

/* ---- files ---- */

static yyjson_doc *read_config(const char *dir, const char *name) {
    char *path = sv_path_join(dir, name), *text = NULL;
    size_t size;
    yyjson_doc *doc = NULL;
    if (path && sv_is_file(path) && sv_file_read(path, 64u << 20, &text, &size, NULL) == SV_OK) doc = yyjson_read(text, size, 0);
    free(text);
    free(path);
    return doc;
}

/* transformers reads tokenizer.json where it can; the .model file beside it says the same, and faster. A BPE model is taken from the JSON, whose merges
 * are what transformers follows. */
static sv_status open_model(sv_spm **out, const char *dir, sv_error *err) {
    static const char *const names[] = {"spiece.model", "tokenizer.json", "tokenizer.model"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = sv_path_join(dir, names[i]);
        if (!path) return sv_fail_memory(err, dir, 0);
        bool there = sv_is_file(path);
        sv_status st = !there ? SV_OK : i == 1 ? sv_spm_json_open(out, path, err) : sv_spm_open(out, path, err);
        free(path);
        if (there) return st;
    }
    sv_fail(err, SV_E_MODEL, dir, "holds no SentencePiece tokenizer: neither spiece.model nor tokenizer.json nor tokenizer.model");
    return sv_hint(err, SV_E_MODEL, "copy the tokenizer files of the original SigLIP model there");
}

static int32_t id_of(const sv_spm *m, const char *text) {
    size_t n = text ? strlen(text) : 0;
    for (size_t i = 0; n && i < m->count; i++)
        if (m->pieces[i].size == n && memcmp(m->pieces[i].text, text, n) == 0) return (int32_t)i;
    return -1;
}

/* A token's name: in either file, as text or as {"content": …}. */
static const char *token_name(yyjson_doc *const files[2], const char *key, const char *fallback) {
    for (int i = 0; i < 2; i++) {
        yyjson_val *v = yyjson_obj_get(yyjson_doc_get_root(files[i]), key);
        if (yyjson_is_obj(v)) v = yyjson_obj_get(v, "content");
        if (yyjson_is_str(v)) return yyjson_get_str(v);
    }
    return fallback;
}

static sv_status read_tokens(sv_siglip *t, const char *dir, sv_error *err) {
    yyjson_doc *const files[2] = {read_config(dir, "tokenizer_config.json"), read_config(dir, "special_tokens_map.json")};
    yyjson_val *config = yyjson_doc_get_root(files[0]), *lower = yyjson_obj_get(config, "do_lower_case"), *length = yyjson_obj_get(config, "model_max_length");
    const char *end = token_name(files, "eos_token", t->spm->bpe ? "<eos>" : "</s>"), *pad = token_name(files, "pad_token", t->spm->bpe ? "<pad>" : "</s>");
    t->lower = !yyjson_is_bool(lower) || yyjson_get_bool(lower);
    t->length = yyjson_is_uint(length) && yyjson_get_uint(length) > 2 && yyjson_get_uint(length) <= LONGEST_LENGTH ? (size_t)yyjson_get_uint(length) : DEFAULT_LENGTH;
    t->start = yyjson_get_bool(yyjson_obj_get(config, "add_bos_token")) ? id_of(t->spm, token_name(files, "bos_token", "<bos>")) : -1;
    t->end = id_of(t->spm, end);
    t->pad = id_of(t->spm, pad);
    sv_status st = SV_OK;
    if (t->end < 0 || t->pad < 0)
        st = sv_fail(err, SV_E_MODEL, dir, "the tokenizer has no %s token \"%.60s\"", t->end < 0 ? "end" : "padding", t->end < 0 ? end : pad);
    yyjson_doc_free(files[0]);
    yyjson_doc_free(files[1]);
    return st;
}

bool sv_siglip_is_model(const char *dir) {
    yyjson_doc *config = read_config(dir, "tokenizer_config.json");
    const char *name = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(config), "tokenizer_class"));
    bool is = name && (sv_str_starts(name, "Siglip") || sv_str_starts(name, "Gemma"));
    yyjson_doc_free(config);
    return is;
}

sv_status sv_siglip_open(sv_siglip **out, const char *dir, sv_error *err) {
    *out = NULL;
    sv_siglip *t = calloc(1, sizeof *t);
    if (!t) return sv_fail_memory(err, dir, sizeof *t);
    sv_status st = open_model(&t->spm, dir, err);
    if (st == SV_OK) st = read_tokens(t, dir, err);
    if (st != SV_OK) {
        sv_siglip_close(&t);
        return st;
    }
    for (int i = 0; i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
        t->bytes[i] = t->spm->byte_fallback ? id_of(t->spm, name) : -1;
    }
    sv_ids ids = {0};
    if (!t->spm->bpe) st = encode_pieces(t, GUARD, strlen(GUARD), &ids, err);
    t->guard = ids.size;
    sv_ids_free(&ids);
    if (st != SV_OK) sv_siglip_close(&t);
    *out = t;
    return st;
}

void sv_siglip_close(sv_siglip **t) {
    if (!*t) return;
    sv_spm_close(&(*t)->spm);
    free(*t);
    *t = NULL;
}

size_t sv_siglip_vocabulary(const sv_siglip *t) { return t->spm->count; }
size_t sv_siglip_max_length(const sv_siglip *t) { return t->length; }
int32_t sv_siglip_end(const sv_siglip *t) { return t->end; }
int32_t sv_siglip_pad(const sv_siglip *t) { return t->pad; }
bool sv_siglip_is_bpe(const sv_siglip *t) { return t->spm->bpe; }

/* ---- encoding ---- */

/* big_vision's clean-up: Python's lower, string.punctuation removed, white space to one blank, stripped. `text` begins with the space symbol, which is
 * neither; the text's own are blanks. */
static void canonical(const char *text, size_t size, bool lower, sv_buf *out) {
    sv_buf low = {0};
    if (lower) sv_lower_append(text, size, &low);
    else sv_buf_add(&low, text, size);
    sv_buf_puts(out, GUARD SPACE_SYMBOL);
    bool blank = false;
    const char *p = low.data, *end = p ? p + low.size : p;
    while (p < end) {
        const char *from = p;
        uint32_t c = sv_next_char(&p);
        if (c < 128 && ispunct((int)c)) continue;
        if (c == 0x2581 || sv_char_is(c, SV_CH_SPACE)) {
            blank = true;
            continue;
        }
        if (blank) sv_buf_putc(out, ' ');
        blank = false;
        sv_buf_add(out, from, (size_t)(p - from));
    }
    out->failed |= low.failed;
    sv_buf_free(&low);
}

/* The tokenizers library lowers each character by itself. */
static void lower_each(const char *text, size_t size, bool lower, sv_buf *out) {
    for (const char *p = text, *end = text + size; p < end;) {
        char utf8[4];
        uint32_t c = sv_next_char(&p);
        if (lower && c == 0x130) {
            sv_buf_puts(out, "i\xCC\x87");
            continue;
        }
        if (lower) c = (uint32_t)((int64_t)c + sv_char(c)->lower);
        sv_buf_add(out, utf8, (size_t)sv_utf8_encode(c, utf8));
    }
}

sv_status sv_siglip_encode(const sv_siglip *t, const char *text, size_t size, sv_ids *ids, sv_error *err) {
    ids->size = 0;
    size_t bad = sv_utf8_valid(text, size);
    if (bad != size) return sv_fail(err, SV_E_INPUT, "text", "invalid UTF-8 at byte %zu", bad);
    sv_buf clean = {0};
    if (t->spm->bpe) lower_each(text, size, t->lower, &clean);
    else canonical(text, size, t->lower, &clean);
    sv_status st = sv_buf_ok(&clean, err);
    if (st == SV_OK) st = encode_pieces(t, clean.data ? clean.data : "", clean.size, ids, err);
    if (st == SV_OK && t->guard && ids->size >= t->guard) {
        ids->size -= t->guard;
        memmove(ids->data, ids->data + t->guard, ids->size * sizeof *ids->data);
    }
    sv_buf_free(&clean);
    return st;
}

size_t sv_siglip_room(const sv_siglip *t, size_t length) {
    size_t special = 1 + (t->start >= 0);
    return length > special ? length - special : 0;
}

size_t sv_siglip_row(const sv_siglip *t, const sv_ids *ids, size_t length, int32_t *row) {
    size_t room = sv_siglip_room(t, length), used = ids->size < room ? ids->size : room, at = 0;
    if (t->start >= 0) row[at++] = t->start;
    for (size_t i = 0; i < used; i++) row[at++] = ids->data[i];
    row[at++] = t->end;
    while (at < length) row[at++] = t->pad;
    return ids->size - used;
}
