/* sentencepiece_json.c - rewrites tokenizer.json as the .model file that it was made from, and reads that.
 *
 * Field numbers are sentencepiece_model.proto's: ModelProto.pieces = 1 (piece = 1, score = 2, type = 3), .trainer_spec = 2 (model_type = 3,
 * byte_fallback = 35, unk_id = 40), .normalizer_spec = 3 (precompiled_charsmap = 2, add_dummy_prefix = 3, remove_extra_whitespaces = 4).
 *
 * A BPE file lists merges of pairs where SentencePiece scores pieces: a piece gets minus the rank of the first merge that makes it. Files converted from
 * SentencePiece hold every pair that makes a piece, in order of the pieces' scores, so that both merge alike.
 */
#include "text/tokenizer/sentencepiece_json.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/file.h"
#include "base/utf8.h"
#include "text/tokenizer/sentencepiece_internal.h"

enum { UNIGRAM = 1, BPE = 2 };   /* TrainerSpec.ModelType */

static void put_varint(sv_buf *b, uint64_t v) {
    for (; v >= 0x80; v >>= 7) sv_buf_putc(b, (char)(v | 0x80));
    sv_buf_putc(b, (char)v);
}

static void put_bytes(sv_buf *b, uint32_t number, const void *data, size_t size) {
    put_varint(b, number << 3 | 2);
    put_varint(b, size);
    sv_buf_add(b, data, size);
}

static void put_number(sv_buf *b, uint32_t number, uint64_t v) {
    put_varint(b, number << 3);
    put_varint(b, v);
}

static void put_float(sv_buf *b, uint32_t number, float v) {
    uint32_t u;
    memcpy(&u, &v, 4);
    put_varint(b, number << 3 | 5);
    for (int i = 0; i < 4; i++) sv_buf_putc(b, (char)(u >> 8 * i));
}

/* One piece; `piece` is memory to build it in. */
static void put_piece(sv_buf *b, sv_buf *piece, const char *text, size_t size, float score, sv_piece_type type) {
    sv_buf_clear(piece);
    put_bytes(piece, 1, text, size);
    put_float(piece, 2, score);
    put_number(piece, 3, type);
    put_bytes(b, 1, piece->data, piece->size);
    b->failed |= piece->failed;
}

/* Standard base 64; false for anything else. */
static bool put_base64(sv_buf *b, const char *s, size_t n) {
    uint32_t bits = 0;
    int have = 0;
    while (n && s[n - 1] == '=') n--;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        int v = c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' ? 62 : c == '/' ? 63 : -1;
        if (v < 0) return false;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        sv_buf_putc(b, (char)(bits >> have));
    }
    return true;
}

/* The added token with this id; NULL: none. They are few. */
static yyjson_val *added_token(yyjson_val *added, size_t id) {
    size_t i, n;
    yyjson_val *one;
    yyjson_arr_foreach(added, i, n, one) {
        yyjson_val *v = yyjson_obj_get(one, "id");
        if (yyjson_is_uint(v) && yyjson_get_uint(v) == id) return one;
    }
    return NULL;
}

/* ---- unigram ---- */

/* The sentinels <extra_id_N> stand at the end of the list, but were never in the model. */
static size_t real_pieces(yyjson_val *vocabulary) {
    size_t n = 0, i, count;
    yyjson_val *pair;
    yyjson_arr_foreach(vocabulary, i, count, pair) {
        const char *piece = yyjson_get_str(yyjson_arr_get(pair, 0));
        if (piece && !sv_str_starts(piece, "<extra_id_")) n = i + 1;
    }
    return n;
}

static bool put_unigram(sv_buf *b, yyjson_val *vocabulary, yyjson_val *added, size_t unknown) {
    size_t i, count, n = real_pieces(vocabulary);
    yyjson_val *pair;
    sv_buf piece = {0};
    bool ok = n > 3 && unknown < n;
    yyjson_arr_foreach(vocabulary, i, count, pair) {
        yyjson_val *text = yyjson_arr_get(pair, 0), *score = yyjson_arr_get(pair, 1);
        if (!ok || i >= n) break;
        ok = yyjson_is_str(text) && yyjson_is_num(score);
        bool control = (unknown == 2 && i < 2) || (i < 16 && yyjson_get_bool(yyjson_obj_get(added_token(added, i), "special")));
        sv_piece_type type = i == unknown ? SV_PIECE_UNKNOWN : control ? SV_PIECE_CONTROL : SV_PIECE_NORMAL;
        if (ok) put_piece(b, &piece, yyjson_get_str(text), yyjson_get_len(text), (float)yyjson_get_num(score), type);
    }
    sv_buf_free(&piece);
    return ok;
}

/* ---- BPE ---- */

/* Merges are "left right" or ["left", "right"]; what they make, into out. */
static bool merged(yyjson_val *merge, sv_buf *out) {
    sv_buf_clear(out);
    if (yyjson_is_arr(merge)) {
        yyjson_val *left = yyjson_arr_get(merge, 0), *right = yyjson_arr_get(merge, 1);
        if (!yyjson_is_str(left) || !yyjson_is_str(right)) return false;
        sv_buf_add(out, yyjson_get_str(left), yyjson_get_len(left));
        sv_buf_add(out, yyjson_get_str(right), yyjson_get_len(right));
        return true;
    }
    const char *text = yyjson_get_str(merge), *space = text ? strchr(text, ' ') : NULL;
    if (!space) return false;
    sv_buf_add(out, text, (size_t)(space - text));
    sv_buf_puts(out, space + 1);
    return true;
}

typedef struct named { const char *text; size_t size, id; } named;

static int by_text(const void *a, const void *b) {
    const named *x = a, *y = b;
    int order = memcmp(x->text, y->text, x->size < y->size ? x->size : y->size);
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

static bool is_byte_piece(const named *p) {
    return p->size == 6 && memcmp(p->text, "<0x", 3) == 0 && p->text[5] == '>';
}

/* Score of each piece by id: minus the rank of the first merge that makes it, or 1 where none does. */
static bool rank_pieces(yyjson_val *merges, const named *sorted, size_t n, float *scores) {
    sv_buf text = {0};
    size_t i, count;
    yyjson_val *merge;
    bool ok = true;
    yyjson_arr_foreach(merges, i, count, merge) {
        ok = ok && merged(merge, &text) && !text.failed;
        if (!ok) break;
        named key = {text.data ? text.data : "", text.size, 0}, *found = bsearch(&key, sorted, n, sizeof *sorted, by_text);
        if (found && scores[found->id] > 0) scores[found->id] = -(float)i;
    }
    sv_buf_free(&text);
    return ok;
}

static bool put_bpe(sv_buf *b, yyjson_val *model, yyjson_val *added, size_t *unknown) {
    yyjson_val *vocabulary = yyjson_obj_get(model, "vocab"), *key, *id;
    const char *unk = yyjson_get_str(yyjson_obj_get(model, "unk_token"));
    size_t n = yyjson_obj_size(vocabulary), i, count;
    named *by_id = calloc(n ? n : 1, sizeof *by_id), *sorted = calloc(n ? n : 1, sizeof *sorted);
    float *scores = malloc((n ? n : 1) * sizeof *scores);
    sv_buf piece = {0};
    bool ok = by_id && sorted && scores && n && unk, known = false;
    b->failed |= !by_id || !sorted || !scores;
    yyjson_obj_foreach(vocabulary, i, count, key, id) {
        ok = ok && yyjson_is_uint(id) && yyjson_get_uint(id) < n && !by_id[yyjson_get_uint(id)].text;
        if (!ok) break;
        by_id[yyjson_get_uint(id)] = sorted[i] = (named){yyjson_get_str(key), yyjson_get_len(key), (size_t)yyjson_get_uint(id)};
        scores[i] = 1;
    }
    if (ok) qsort(sorted, n, sizeof *sorted, by_text);
    ok = ok && rank_pieces(yyjson_obj_get(model, "merges"), sorted, n, scores);
    for (i = 0; ok && i < n; i++) {
        const named *p = &by_id[i];
        yyjson_val *token = i < 1024 || i + 1024 > n ? added_token(added, i) : NULL;
        bool is_unknown = p->size == strlen(unk) && memcmp(p->text, unk, p->size) == 0;
        /* What no merge makes is a single character, or never comes out of a text. */
        bool single = sv_utf8_count(p->text, p->size) == 1;
        sv_piece_type type = is_unknown ? SV_PIECE_UNKNOWN : is_byte_piece(p) ? SV_PIECE_BYTE : yyjson_get_bool(yyjson_obj_get(token, "special")) ? SV_PIECE_CONTROL :
                             token ? SV_PIECE_USER : scores[i] <= 0 || single ? SV_PIECE_NORMAL : SV_PIECE_CONTROL;
        if (is_unknown) *unknown = i;
        known |= is_unknown;
        put_piece(b, &piece, p->text, p->size, scores[i] <= 0 ? scores[i] : 0, type);
    }
    sv_buf_free(&piece);
    free(by_id);
    free(sorted);
    free(scores);
    return ok && known;
}

/* ---- the rest of the model ---- */

/* The character map of the first "Precompiled" normaliser, alone or in a sequence; none is a model without one. BPE takes texts as they are. */
static bool put_normalizer(sv_buf *b, yyjson_val *normalizer, int type) {
    yyjson_val *list = yyjson_obj_get(normalizer, "normalizers"), *map = yyjson_obj_get(normalizer, "precompiled_charsmap"), *one;
    size_t i, n;
    sv_buf bytes = {0}, spec = {0};
    yyjson_arr_foreach(list, i, n, one) if (!map) map = yyjson_obj_get(one, "precompiled_charsmap");
    bool ok = !yyjson_is_str(map) || put_base64(&bytes, yyjson_get_str(map), yyjson_get_len(map));
    if (bytes.size) put_bytes(&spec, 2, bytes.data, bytes.size);
    if (type == BPE) {
        put_number(&spec, 3, 0);
        put_number(&spec, 4, 0);
    }
    put_bytes(b, 3, spec.data ? spec.data : "", spec.size);
    ok &= !bytes.failed && !spec.failed;
    sv_buf_free(&bytes);
    sv_buf_free(&spec);
    return ok;
}

sv_status sv_spm_json_open(sv_spm **out, const char *path, sv_error *err) {
    char *text;
    size_t size, unknown = 0;
    *out = NULL;
    SV_TRY(sv_file_read(path, 256u << 20, &text, &size, err));
    yyjson_doc *doc = yyjson_read(text, size, 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *model = yyjson_obj_get(root, "model"), *added = yyjson_obj_get(root, "added_tokens");
    yyjson_val *id = yyjson_obj_get(model, "unk_id");
    const char *kind = yyjson_get_str(yyjson_obj_get(model, "type"));
    sv_buf b = {0}, trainer = {0};
    free(text);
    int type = sv_str_eq(kind, "BPE") ? BPE : UNIGRAM;
    bool ok = false;
    if (type == BPE) {
        ok = put_bpe(&b, model, added, &unknown);
    } else if (sv_str_eq(kind, "Unigram") && yyjson_is_uint(id)) {
        unknown = (size_t)yyjson_get_uint(id);
        ok = put_unigram(&b, yyjson_obj_get(model, "vocab"), added, unknown);
    }
    put_number(&trainer, 3, (uint64_t)type);
    put_number(&trainer, 35, yyjson_get_bool(yyjson_obj_get(model, "byte_fallback")));
    put_number(&trainer, 40, unknown);
    if (ok) put_bytes(&b, 2, trainer.data, trainer.size);
    ok = ok && put_normalizer(&b, yyjson_obj_get(root, "normalizer"), type);
    sv_status st = b.failed || trainer.failed ? sv_fail_memory(err, path, size) : ok ? sv_spm_parse(out, b.data, b.size, path, err) :
        sv_fail(err, SV_E_MODEL, path, "is neither a unigram tokenizer nor a BPE one of SentencePiece's kind");
    sv_buf_free(&b);
    sv_buf_free(&trainer);
    yyjson_doc_free(doc);
    return st;
}
