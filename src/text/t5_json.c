/* t5_json.c - rewrites tokenizer.json as the .model file that it was made from, and reads that.
 *
 * Field numbers are sentencepiece_model.proto's: ModelProto.pieces = 1 (piece = 1, score = 2, type = 3), .trainer_spec = 2 (model_type = 3,
 * unk_id = 40), .normalizer_spec = 3 (precompiled_charsmap = 2).
 */
#include "text/t5_json.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/file.h"
#include "text/sentencepiece_internal.h"

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

static bool put_pieces(sv_buf *b, yyjson_val *vocabulary) {
    size_t i, count, n = real_pieces(vocabulary);
    yyjson_val *pair;
    sv_buf piece = {0};
    bool ok = n > 3;
    yyjson_arr_foreach(vocabulary, i, count, pair) {
        yyjson_val *text = yyjson_arr_get(pair, 0), *score = yyjson_arr_get(pair, 1);
        if (!ok || i >= n) break;
        ok = yyjson_is_str(text) && yyjson_is_num(score);
        sv_buf_clear(&piece);
        put_bytes(&piece, 1, yyjson_get_str(text), yyjson_get_len(text));
        put_float(&piece, 2, (float)yyjson_get_num(score));
        put_number(&piece, 3, i == 2 ? SV_PIECE_UNKNOWN : i < 2 ? SV_PIECE_CONTROL : SV_PIECE_NORMAL);
        put_bytes(b, 1, piece.data, piece.size);
        ok &= !piece.failed;
    }
    sv_buf_free(&piece);
    return ok;
}

/* The character map of the first "Precompiled" normaliser, alone or in a sequence; none is a model without one. */
static bool put_normalizer(sv_buf *b, yyjson_val *normalizer) {
    yyjson_val *list = yyjson_obj_get(normalizer, "normalizers"), *map = yyjson_obj_get(normalizer, "precompiled_charsmap"), *one;
    size_t i, n;
    sv_buf bytes = {0}, spec = {0};
    yyjson_arr_foreach(list, i, n, one) if (!map) map = yyjson_obj_get(one, "precompiled_charsmap");
    bool ok = !yyjson_is_str(map) || put_base64(&bytes, yyjson_get_str(map), yyjson_get_len(map));
    if (bytes.size) put_bytes(&spec, 2, bytes.data, bytes.size);
    put_bytes(b, 3, spec.data ? spec.data : "", spec.size);
    ok &= !bytes.failed && !spec.failed;
    sv_buf_free(&bytes);
    sv_buf_free(&spec);
    return ok;
}

sv_status sv_t5_json_open(sv_spm **out, const char *path, sv_error *err) {
    char *text;
    size_t size;
    *out = NULL;
    SV_TRY(sv_file_read(path, 64u << 20, &text, &size, err));
    yyjson_doc *doc = yyjson_read(text, size, 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *model = yyjson_obj_get(root, "model"), *unknown = yyjson_obj_get(model, "unk_id");
    sv_buf b = {0}, trainer = {0};
    free(text);
    bool unigram = sv_str_eq(yyjson_get_str(yyjson_obj_get(model, "type")), "Unigram") && yyjson_is_int(unknown) && yyjson_get_int(unknown) == 2;
    bool ok = unigram && put_pieces(&b, yyjson_obj_get(model, "vocab"));
    put_number(&trainer, 3, 1);
    put_number(&trainer, 40, 2);
    if (ok) put_bytes(&b, 2, trainer.data, trainer.size);
    ok = ok && put_normalizer(&b, yyjson_obj_get(root, "normalizer"));
    sv_status st = b.failed || trainer.failed ? sv_fail_memory(err, path, size) : ok ? sv_spm_parse(out, b.data, b.size, path, err) :
        sv_fail(err, SV_E_MODEL, path, "is not a tokenizer of T5's kind: a unigram model whose third piece is the unknown one");
    sv_buf_free(&b);
    sv_buf_free(&trainer);
    yyjson_doc_free(doc);
    return st;
}
