/* wordpiece.c - from a text to WordPiece ids: clean-up, words, and the longest known piece again and again. Reading the files is at the end. */
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "synthvlm/tokenizer.h"
#include "text/tokenizer/bert_chars.h"
#include "text/unicode/nfc.h"
#include "text/tokenizer/tokenizer_internal.h"
#include "text/unicode/unicode.h"

enum { LONGEST_WORD = 100, LONGEST_ROW = 1 << 20, MOST_SPECIAL = 64 };    /* a longer word is unknown as a whole */
#define FILE_LIMIT ((size_t)256 << 20)

typedef struct piece {
    char *text;                  /* NULL: a free place */
    size_t size;
    int32_t id;
} piece;

struct sv_wordpiece {
    piece *places;               /* open addressing, a power of two of them */
    size_t mask, count;
    int32_t last;                /* highest id */
    int32_t unknown, begin, end, pad;
    piece special[MOST_SPECIAL];
    size_t special_count;
    size_t longest;              /* ids in a row */
    bool lower, accents, cjk;    /* lower-case letters, drop their accents, set ideographs apart */
};

/* ---- the vocabulary ---- */

static piece *place_of(const sv_wordpiece *w, const char *text, size_t size) {
    size_t at = (size_t)sv_hash64(text, size, 0) & w->mask;
    while (w->places[at].text && (w->places[at].size != size || memcmp(w->places[at].text, text, size) != 0)) at = (at + 1) & w->mask;
    return &w->places[at];
}

static int32_t id_of(const sv_wordpiece *w, const char *text, size_t size) {
    const piece *p = place_of(w, text, size);
    return p->text ? p->id : -1;
}

static bool make_room(sv_wordpiece *w) {
    if (w->places && w->count * 2 <= w->mask) return true;
    size_t n = w->places ? (w->mask + 1) * 2 : 1 << 16, old = w->places ? w->mask + 1 : 0;
    piece *before = w->places, *places = calloc(n, sizeof *places);
    if (!places) return false;
    w->places = places;
    w->mask = n - 1;
    for (size_t i = 0; i < old; i++)
        if (before[i].text) *place_of(w, before[i].text, before[i].size) = before[i];
    free(before);
    return true;
}

/* A piece that comes twice has its last id, as a dictionary gives it. */
static bool add_piece(sv_wordpiece *w, const char *text, size_t size, int32_t id) {
    if (!make_room(w)) return false;
    piece *p = place_of(w, text, size);
    if (!p->text) {
        char *copy = sv_strndup(text, size);
        if (!copy) return false;
        *p = (piece){copy, size, id};
        w->count++;
    }
    p->id = id;
    if (id > w->last) w->last = id;
    return true;
}

/* ---- encoding ---- */

/* Memory of one call. */
typedef struct work {
    sv_buf text;                 /* cleaned */
    sv_buf spare;                /* decomposed; later the word at hand */
    sv_buf piece;
} work;

static unsigned classes_of(uint32_t c) {
    size_t low = 0, high = sv_bert_range_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c > sv_bert_ranges[middle].last) low = middle + 1;
        else if (c < sv_bert_ranges[middle].first) high = middle;
        else return sv_bert_ranges[middle].classes;
    }
    return 0;
}

/* Greedy: the longest piece that the rest of the word begins with, "##" before all but the first. One that is missing makes the whole word unknown. */
static bool encode_word(const sv_wordpiece *w, const char *text, size_t size, sv_buf *tried, sv_ids *ids) {
    size_t before = ids->size;
    if (sv_utf8_count(text, size) > LONGEST_WORD) return sv_ids_add(ids, w->unknown);
    for (size_t from = 0; from < size;) {
        sv_buf_clear(tried);
        if (from) sv_buf_puts(tried, "##");
        size_t head = tried->size, to = size;
        sv_buf_add(tried, text + from, size - from);
        if (tried->failed) return false;
        int32_t id = -1;
        while (to > from && (id = id_of(w, tried->data, head + to - from)) < 0) {
            do to--;
            while (to > from && ((unsigned char)text[to] & 0xC0) == 0x80);
        }
        if (id < 0) {
            ids->size = before;
            return sv_ids_add(ids, w->unknown);
        }
        if (!sv_ids_add(ids, id)) return false;
        from = to;
    }
    return true;
}

/* Clean-up of a stretch between special tokens, into m->text. */
static sv_status clean(const sv_wordpiece *w, const char *text, size_t n, work *m, sv_error *err) {
    sv_buf_clear(&m->text);
    if (!sv_buf_reserve(&m->text, n)) return sv_fail_memory(err, "encoding a text", n);
    for (const char *p = text, *end = text + n; p < end;) {
        const char *from = p;
        uint32_t c = sv_next_char(&p);
        unsigned k = classes_of(c);
        bool apart = w->cjk && (k & SV_BERT_CJK);
        if (k & SV_BERT_DROPPED) continue;
        if (apart) sv_buf_putc(&m->text, ' ');
        if (k & SV_BERT_SPACE) sv_buf_putc(&m->text, ' ');
        else sv_buf_add(&m->text, from, (size_t)(p - from));
        if (apart) sv_buf_putc(&m->text, ' ');
    }
    if (w->accents && m->text.size && !sv_is_ascii(m->text.data, m->text.size)) {
        sv_buf_clear(&m->spare);
        SV_TRY(sv_nfd_append(m->text.data, m->text.size, &m->spare, err));
        sv_buf_clear(&m->text);
        for (const char *p = m->spare.data, *end = p + m->spare.size; p < end;) {
            const char *from = p;
            if (!(classes_of(sv_next_char(&p)) & SV_BERT_MARK)) sv_buf_add(&m->text, from, (size_t)(p - from));
        }
    }
    return sv_buf_ok(&m->text, err);
}

/* Lower case, then words: between white space, and every punctuation mark by itself. */
static sv_status encode_stretch(const sv_wordpiece *w, const char *text, size_t n, work *m, sv_ids *ids, sv_error *err) {
    SV_TRY(clean(w, text, n, m, err));
    sv_buf *word = &m->spare;
    bool ok = true;
    sv_buf_clear(word);
    for (const char *p = m->text.data, *end = p + m->text.size; ok && p < end;) {
        uint32_t c = sv_next_char(&p);
        unsigned k = classes_of(c);
        bool alone = (k & SV_BERT_PUNCT) != 0, space = (k & SV_BERT_SPACE) != 0;
        if ((alone || space) && word->size) {
            ok = encode_word(w, word->data, word->size, &m->piece, ids);
            sv_buf_clear(word);
        }
        if (space) continue;
        char bytes[4];
        if (w->lower && c == 0x130) sv_buf_add(word, "i\xCC\x87", 3);
        else sv_buf_add(word, bytes, (size_t)sv_utf8_encode(w->lower ? sv_tokenizer_lower(c) : c, bytes));
        if (alone && !word->failed) {
            ok = ok && encode_word(w, word->data, word->size, &m->piece, ids);
            sv_buf_clear(word);
        }
        ok = ok && !word->failed;
    }
    if (ok && word->size) ok = encode_word(w, word->data, word->size, &m->piece, ids);
    return ok ? SV_OK : sv_fail_memory(err, "encoding a text", n);
}

/* The longest special token at s, or NULL. */
static const piece *special_at(const sv_wordpiece *w, const char *s, size_t n) {
    const piece *best = NULL;
    for (size_t i = 0; i < w->special_count; i++) {
        const piece *p = &w->special[i];
        if (p->size <= n && memcmp(s, p->text, p->size) == 0 && (!best || p->size > best->size)) best = p;
    }
    return best;
}

sv_status sv_wordpiece_encode(const sv_wordpiece *w, const char *text, size_t size, sv_ids *ids, sv_error *err) {
    ids->size = 0;
    size_t bad = sv_utf8_valid(text, size);
    if (bad != size) return sv_fail(err, SV_E_INPUT, "text", "invalid UTF-8 at byte %zu", bad);
    work m = {0};
    sv_status st = SV_OK;
    for (size_t from = 0; st == SV_OK && from < size;) {
        size_t at = from;
        const piece *special = NULL;
        while (at < size && !(special = special_at(w, text + at, size - at))) at++;
        if (at > from) st = encode_stretch(w, text + from, at - from, &m, ids, err);
        if (st == SV_OK && special && !sv_ids_add(ids, special->id)) st = sv_fail_memory(err, "encoding a text", 0);
        from = special ? at + special->size : at;
    }
    sv_buf_free(&m.text);
    sv_buf_free(&m.spare);
    sv_buf_free(&m.piece);
    return st;
}

size_t sv_wordpiece_row(const sv_wordpiece *w, const sv_ids *ids, size_t length, int64_t *row) {
    size_t room = length > 2 ? length - 2 : 0, used = ids->size < room ? ids->size : room, at = 0;
    if (at < length) row[at++] = w->begin;
    for (size_t i = 0; i < used; i++) row[at++] = ids->data[i];
    if (at < length) row[at++] = w->end;
    while (at < length) row[at++] = w->pad;
    return ids->size - used;
}

size_t sv_wordpiece_vocabulary(const sv_wordpiece *w) { return (size_t)w->last + 1; }
size_t sv_wordpiece_max_length(const sv_wordpiece *w) { return w->longest; }

/* ---- reading ---- */

/* A JSON file of the directory; *doc stays NULL where there is none. */
static sv_status read_json(const char *dir, const char *name, yyjson_doc **doc, sv_error *err) {
    char *path = sv_path_join(dir, name), *text = NULL;
    size_t size;
    yyjson_read_err why;
    sv_status st = path ? SV_OK : sv_fail_memory(err, dir, 0);
    *doc = NULL;
    if (st == SV_OK && sv_is_file(path)) {
        st = sv_file_read(path, FILE_LIMIT, &text, &size, err);
        if (st == SV_OK && !(*doc = yyjson_read_opts(text, size, YYJSON_READ_ALLOW_INF_AND_NAN, NULL, &why)))
            st = sv_fail(err, SV_E_MODEL, path, "is not JSON: %s at byte %zu", why.msg, why.pos);
        free(text);
    }
    free(path);
    return st;
}

/* One piece a line; the id is the line's number. */
static sv_status read_vocab_txt(sv_wordpiece *w, const char *path, sv_error *err) {
    char *text;
    size_t size;
    SV_TRY(sv_file_read(path, FILE_LIMIT, &text, &size, err));
    bool ok = true;
    int32_t id = 0;
    for (const char *line = text, *end = text + size; ok && line < end; id++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((stop ? stop : end) - line);
        ok = add_piece(w, line, n && line[n - 1] == '\r' ? n - 1 : n, id);
        line += n + 1;
    }
    free(text);
    return ok ? SV_OK : sv_fail_memory(err, path, size);
}

static sv_status read_vocab_json(sv_wordpiece *w, const char *dir, yyjson_val *tokenizer, sv_error *err) {
    yyjson_val *vocab = yyjson_obj_get(yyjson_obj_get(tokenizer, "model"), "vocab"), *key;
    if (!yyjson_is_obj(vocab)) {
        sv_fail(err, SV_E_MODEL, dir, "holds neither vocab.txt nor a tokenizer.json with a WordPiece vocabulary");
        return sv_hint(err, SV_E_MODEL, "copy the tokenizer's files of the original model there");
    }
    yyjson_obj_iter it = yyjson_obj_iter_with(vocab);
    while ((key = yyjson_obj_iter_next(&it))) {
        yyjson_val *id = yyjson_obj_iter_get_val(key);
        if (!yyjson_is_uint(id) || yyjson_get_uint(id) > INT32_MAX)
            return sv_fail(err, SV_E_MODEL, dir, "tokenizer.json: the id of \"%s\" is no whole number", yyjson_get_str(key));
        if (!add_piece(w, yyjson_get_str(key), yyjson_get_len(key), (int32_t)yyjson_get_uint(id))) return sv_fail_memory(err, dir, 0);
    }
    return SV_OK;
}

static sv_status add_special(sv_wordpiece *w, const char *dir, const char *text, size_t size, int32_t id, sv_error *err) {
    for (size_t i = 0; i < w->special_count; i++)
        if (w->special[i].size == size && memcmp(w->special[i].text, text, size) == 0) return SV_OK;
    if (!size) return SV_OK;
    if (w->special_count == MOST_SPECIAL) return sv_fail(err, SV_E_MODEL, dir, "has more than %d special tokens", MOST_SPECIAL);
    char *copy = sv_strndup(text, size);
    if (!copy) return sv_fail_memory(err, dir, size);
    w->special[w->special_count++] = (piece){copy, size, id};
    if (id > w->last) w->last = id;
    return SV_OK;
}

/* What the role's token is called: a string, or an object with "content"; special_tokens_map.json, then tokenizer_config.json, then BERT's own. */
static const char *name_of(const char *role, const char *fallback, yyjson_val *const files[2]) {
    for (int i = 0; i < 2; i++) {
        yyjson_val *v = yyjson_obj_get(files[i], role);
        if (yyjson_is_obj(v)) v = yyjson_obj_get(v, "content");
        if (yyjson_is_str(v)) return yyjson_get_str(v);
    }
    return fallback;
}

static sv_status read_special(sv_wordpiece *w, const char *dir, yyjson_val *map, yyjson_val *config, yyjson_val *tokenizer, sv_error *err) {
    static const char *const roles[] = {"unk_token", "cls_token", "sep_token", "pad_token", "mask_token"};
    static const char *const names[] = {"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"};
    yyjson_val *const files[2] = {map, config};
    int32_t ids[5];
    yyjson_val *list = yyjson_obj_get(tokenizer, "added_tokens"), *key, *v;
    size_t i, n;
    for (int role = 0; role < 5; role++) {
        const char *name = name_of(roles[role], names[role], files);
        ids[role] = id_of(w, name, strlen(name));
        if (ids[role] < 0 && role < 4) return sv_fail(err, SV_E_MODEL, dir, "the vocabulary has no %s, which is the %s", name, roles[role]);
        if (ids[role] >= 0) SV_TRY(add_special(w, dir, name, strlen(name), ids[role], err));
    }
    w->unknown = ids[0], w->begin = ids[1], w->end = ids[2], w->pad = ids[3];
    yyjson_arr_foreach(list, i, n, v) {
        yyjson_val *content = yyjson_obj_get(v, "content"), *id = yyjson_obj_get(v, "id");
        if (yyjson_is_str(content) && yyjson_is_uint(id))
            SV_TRY(add_special(w, dir, yyjson_get_str(content), yyjson_get_len(content), (int32_t)yyjson_get_uint(id), err));
    }
    yyjson_obj_foreach(yyjson_obj_get(config, "added_tokens_decoder"), i, n, key, v) {
        yyjson_val *content = yyjson_obj_get(v, "content");
        char *end;
        long id = strtol(yyjson_get_str(key), &end, 10);
        if (yyjson_is_str(content) && !*end && id >= 0 && id <= INT32_MAX)
            SV_TRY(add_special(w, dir, yyjson_get_str(content), yyjson_get_len(content), (int32_t)id, err));
    }
    return SV_OK;
}

static bool flag(yyjson_val *config, const char *key, bool fallback) {
    yyjson_val *v = yyjson_obj_get(config, key);
    return yyjson_is_bool(v) ? yyjson_get_bool(v) : fallback;
}

static sv_status read_files(sv_wordpiece *w, const char *dir, sv_error *err) {
    yyjson_doc *docs[3] = {NULL};
    char *vocab = sv_path_join(dir, "vocab.txt");
    sv_status st = vocab ? SV_OK : sv_fail_memory(err, dir, 0);
    if (st == SV_OK) st = read_json(dir, "special_tokens_map.json", &docs[0], err);
    if (st == SV_OK) st = read_json(dir, "tokenizer_config.json", &docs[1], err);
    if (st == SV_OK) st = read_json(dir, "tokenizer.json", &docs[2], err);
    yyjson_val *config = yyjson_doc_get_root(docs[1]), *tokenizer = yyjson_doc_get_root(docs[2]);
    if (st == SV_OK) st = sv_is_file(vocab) ? read_vocab_txt(w, vocab, err) : read_vocab_json(w, dir, tokenizer, err);
    if (st == SV_OK && !w->count) st = sv_fail(err, SV_E_MODEL, vocab, "the vocabulary is empty");
    if (st == SV_OK) st = read_special(w, dir, yyjson_doc_get_root(docs[0]), config, tokenizer, err);
    w->lower = flag(config, "do_lower_case", true);
    w->accents = flag(config, "strip_accents", w->lower);
    w->cjk = flag(config, "tokenize_chinese_chars", true);
    double longest = yyjson_get_num(yyjson_obj_get(config, "model_max_length"));   /* "none" is written as 1e30 */
    w->longest = longest > 2 && longest <= LONGEST_ROW ? (size_t)longest : 512;
    for (int i = 0; i < 3; i++) yyjson_doc_free(docs[i]);
    free(vocab);
    return st;
}

bool sv_wordpiece_is_model(const char *dir) {
    char *vocab = sv_path_join(dir, "vocab.txt");
    bool found = vocab && sv_is_file(vocab);
    free(vocab);
    yyjson_doc *doc = NULL;
    if (!found && read_json(dir, "tokenizer.json", &doc, NULL) == SV_OK)
        found = yyjson_equals_str(yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "model"), "type"), "WordPiece");
    yyjson_doc_free(doc);
    return found;
}

sv_status sv_wordpiece_open(sv_wordpiece **out, const char *dir, sv_error *err) {
    *out = NULL;
    sv_wordpiece *w = calloc(1, sizeof *w);
    if (!w) return sv_fail_memory(err, dir, sizeof *w);
    sv_status st = read_files(w, dir, err);
    if (st != SV_OK) sv_wordpiece_close(&w);
    *out = w;
    return st;
}

void sv_wordpiece_close(sv_wordpiece **handle) {
    sv_wordpiece *w = *handle;
    if (!w) return;
    for (size_t i = 0; w->places && i <= w->mask; i++) free(w->places[i].text);
    for (size_t i = 0; i < w->special_count; i++) free(w->special[i].text);
    free(w->places);
    free(w);
    *handle = NULL;
}
