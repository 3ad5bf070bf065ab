/* sentencepiece_model.c - reading .model files: the protocol-buffer messages of sentencepiece_model.proto, and the tries built from the pieces. */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "text/tokenizer/sentencepiece_internal.h"

#define FILE_LIMIT ((size_t)1 << 30)

/* ---- protocol buffers ---- */

typedef struct message {
    const unsigned char *at, *end;
} message;

/* One field: varint and fixed values in `number`, length-delimited ones in `bytes`. */
typedef struct field {
    uint32_t tag, wire;
    uint64_t number;
    message bytes;
} field;

static bool read_varint(message *m, uint64_t *value) {
    *value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (m->at == m->end) return false;
        unsigned char b = *m->at++;
        *value |= (uint64_t)(b & 0x7F) << shift;
        if (!(b & 0x80)) return true;
    }
    return false;
}

/* 1: a field; 0: the message has ended; -1: it is broken. */
static int next_field(message *m, field *f) {
    uint64_t key, size;
    if (m->at == m->end) return 0;
    if (!read_varint(m, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX) return -1;
    *f = (field){.tag = (uint32_t)(key >> 3), .wire = key & 7};
    switch (f->wire) {
    case 0: return read_varint(m, &f->number) ? 1 : -1;
    case 1: size = 8; break;
    case 2:
        if (!read_varint(m, &size)) return -1;
        break;
    case 5: size = 4; break;
    default: return -1;
    }
    if (size > (uint64_t)(m->end - m->at)) return -1;
    f->bytes = (message){m->at, m->at + size};
    m->at += size;
    for (size_t i = 0; f->wire != 2 && i < size; i++) f->number |= (uint64_t)f->bytes.at[i] << (8 * i);
    return 1;
}

static float as_float(uint64_t bits) {
    uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof value);
    return value;
}

/* ---- tries ---- */

typedef struct entry {
    const char *text;
    uint32_t size;
    int32_t value;
} entry;

static int by_text(const void *a, const void *b) {
    const entry *x = a, *y = b;
    int order = memcmp(x->text, y->text, x->size < y->size ? x->size : y->size);
    return order ? order : x->size < y->size ? -1 : x->size > y->size;
}

/* Builds a trie of n sorted strings, level by level: the queue holds, for each node, the range of strings that pass through it. */
static bool build_trie(sv_trie *t, const entry *entries, size_t n) {
    size_t most = 1;
    for (size_t i = 0; i < n; i++) {
        size_t shared = 0;
        while (i > 0 && shared < entries[i - 1].size && shared < entries[i].size && entries[i - 1].text[shared] == entries[i].text[shared]) shared++;
        most += entries[i].size - shared;
    }
    struct range {
        size_t low, high, depth;
    } *ranges = malloc(most * sizeof *ranges);
    t->nodes = malloc(most * sizeof *t->nodes);
    if (!ranges || !t->nodes || most > UINT32_MAX) {
        free(ranges);
        return false;
    }
    t->nodes[0] = (sv_trie_node){.value = -1};
    ranges[0] = (struct range){0, n, 0};
    t->count = 1;
    for (size_t node = 0; node < t->count; node++) {
        struct range r = ranges[node];
        if (r.low < r.high && entries[r.low].size == r.depth) t->nodes[node].value = entries[r.low++].value;
        t->nodes[node].first = (uint32_t)t->count;
        while (r.low < r.high) {
            char byte = entries[r.low].text[r.depth];
            size_t high = r.low;
            while (high < r.high && entries[high].text[r.depth] == byte) high++;
            t->nodes[t->count] = (sv_trie_node){.value = -1, .byte = (uint8_t)byte};
            ranges[t->count] = (struct range){r.low, high, r.depth + 1};
            if (node == 0) t->start[(uint8_t)byte] = (uint32_t)t->count;
            t->nodes[node].children++;
            t->count++;
            r.low = high;
        }
    }
    free(ranges);
    return true;
}

uint32_t sv_trie_next(const sv_trie *t, uint32_t node, unsigned char byte) {
    if (node == 0) return t->start[byte];
    uint32_t low = t->nodes[node].first, high = low + t->nodes[node].children;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (t->nodes[middle].byte < byte) low = middle + 1;
        else high = middle;
    }
    return low < t->nodes[node].first + t->nodes[node].children && t->nodes[low].byte == byte ? low : 0;
}

int32_t sv_trie_find(const sv_trie *t, const char *s, size_t size) {
    uint32_t node = 0;
    for (size_t i = 0; i < size; i++) {
        node = sv_trie_next(t, node, (unsigned char)s[i]);
        if (!node) return -1;
    }
    return size && t->count ? t->nodes[node].value : -1;
}

/* ---- the messages ---- */

static sv_status broken(const char *name, const char *what, sv_error *err) {
    sv_fail(err, SV_E_MODEL, name, "%s is broken or cut short", what);
    return sv_hint(err, SV_E_MODEL, "this must be a SentencePiece .model file; copy it again if it is");
}

static sv_status read_piece(sv_spm *m, message p, const char *name, sv_error *err) {
    sv_piece piece = {.type = SV_PIECE_NORMAL};
    field f;
    int got;
    while ((got = next_field(&p, &f)) > 0) {
        if (f.tag == 1 && f.wire == 2) {
            piece.text = (const char *)f.bytes.at;
            piece.size = (uint32_t)(f.bytes.end - f.bytes.at);
        } else if (f.tag == 2 && f.wire == 5) piece.score = as_float(f.number);
        else if (f.tag == 3 && f.wire == 0 && f.number >= 1 && f.number <= 6) piece.type = (sv_piece_type)f.number;
    }
    if (got < 0) return broken(name, "a piece", err);
    if (piece.size == 0) return sv_fail(err, SV_E_MODEL, name, "piece %zu is empty", m->count);
    if (piece.score != piece.score) return sv_fail(err, SV_E_MODEL, name, "the score of piece %zu is not a number", m->count);
    m->pieces[m->count++] = piece;
    return SV_OK;
}

static sv_status read_trainer(sv_spm *m, message p, const char *name, sv_error *err) {
    field f;
    int got;
    while ((got = next_field(&p, &f)) > 0) {
        if (f.wire != 0) continue;
        if (f.tag == 24) m->space_as_suffix = f.number != 0;
        else if (f.tag == 35) m->byte_fallback = f.number != 0;
        else if (f.tag == 3) {
            if (f.number == 3 || f.number == 4)
                return sv_fail(err, SV_E_MODEL, name, "is a %s model; only unigram and BPE models are supported", f.number == 3 ? "word" : "char");
            if (f.number != 1 && f.number != 2) return sv_fail(err, SV_E_MODEL, name, "has the unknown model type %llu", (unsigned long long)f.number);
            m->bpe = f.number == 2;
        }
    }
    return got < 0 ? broken(name, "the trainer's settings", err) : SV_OK;
}

/* precompiled_charsmap: size of the double array in bytes (32 bits), the double array, the replacement strings. */
static sv_status read_charsmap(sv_spm *m, message p, const char *name, sv_error *err) {
    size_t size = (size_t)(p.end - p.at);
    m->charsmap = NULL;
    if (size == 0) return SV_OK;
    uint32_t array = size > 4 ? (uint32_t)p.at[0] | (uint32_t)p.at[1] << 8 | (uint32_t)p.at[2] << 16 | (uint32_t)p.at[3] << 24 : 0;
    if (size <= 4 || array >= size - 4 || array < 4 || p.end[-1] != 0) return broken(name, "the normalisation map", err);
    m->charsmap = p.at + 4;
    m->charsmap_units = array / 4;
    m->replacements = (const char *)p.at + 4 + array;
    m->replacements_size = size - 4 - array;
    return SV_OK;
}

static sv_status read_normalizer(sv_spm *m, message p, const char *name, sv_error *err) {
    field f;
    int got;
    while ((got = next_field(&p, &f)) > 0) {
        if (f.tag == 2 && f.wire == 2) SV_TRY(read_charsmap(m, f.bytes, name, err));
        else if (f.wire != 0) continue;
        else if (f.tag == 3) m->dummy_prefix = f.number != 0;
        else if (f.tag == 4) m->remove_extra_spaces = f.number != 0;
        else if (f.tag == 5) m->escape_spaces = f.number != 0;
    }
    return got < 0 ? broken(name, "the normaliser's settings", err) : SV_OK;
}

static sv_status read_model(sv_spm *m, const char *name, sv_error *err) {
    const message all = {(const unsigned char *)m->bytes, (const unsigned char *)m->bytes + m->size};
    message p = all;
    field f;
    int got;
    size_t count = 0;
    while ((got = next_field(&p, &f)) > 0) count += f.tag == 1 && f.wire == 2;
    if (got < 0 || count == 0) return broken(name, count ? "the file" : "the list of pieces", err);
    m->pieces = malloc(count * sizeof *m->pieces);
    if (!m->pieces) return sv_fail_memory(err, name, count * sizeof *m->pieces);
    for (p = all; next_field(&p, &f) > 0;) {
        if (f.wire != 2) continue;
        if (f.tag == 1) SV_TRY(read_piece(m, f.bytes, name, err));
        else if (f.tag == 2) SV_TRY(read_trainer(m, f.bytes, name, err));
        else if (f.tag == 3) SV_TRY(read_normalizer(m, f.bytes, name, err));
    }
    return SV_OK;
}

/* ---- checks, and the tries ---- */

static sv_status make_trie(sv_spm *m, sv_trie *t, unsigned types, const char *name, sv_error *err) {
    entry *entries = malloc((m->count ? m->count : 1) * sizeof *entries);
    if (!entries) return sv_fail_memory(err, name, m->count * sizeof *entries);
    size_t n = 0;
    for (size_t i = 0; i < m->count; i++)
        if (types >> m->pieces[i].type & 1) entries[n++] = (entry){m->pieces[i].text, m->pieces[i].size, (int32_t)i};
    qsort(entries, n, sizeof *entries, by_text);
    sv_status st = SV_OK;
    for (size_t i = 1; i < n && st == SV_OK; i++)
        if (by_text(&entries[i - 1], &entries[i]) == 0)
            st = sv_fail(err, SV_E_MODEL, name, "the piece \"%.*s\" comes twice", (int)(entries[i].size < 80 ? entries[i].size : 80), entries[i].text);
    if (st == SV_OK && !build_trie(t, entries, n)) st = sv_fail_memory(err, name, 0);
    free(entries);
    return st;
}

static sv_status finish(sv_spm *m, const char *name, sv_error *err) {
    size_t bytes = 0;
    m->unknown = -1;
    m->min_score = FLT_MAX;
    m->max_score = FLT_MIN;      /* the smallest positive float: sentencepiece starts from it, and scores are negative */
    for (size_t i = 0; i < m->count; i++) {
        const sv_piece *p = &m->pieces[i];
        if (p->type == SV_PIECE_UNKNOWN) {
            if (m->unknown >= 0) return sv_fail(err, SV_E_MODEL, name, "has two unknown pieces");
            m->unknown = (int32_t)i;
        }
        if (p->type == SV_PIECE_BYTE) bytes++;
        if (p->type != SV_PIECE_NORMAL) continue;
        if (p->score < m->min_score) m->min_score = p->score;
        if (p->score > m->max_score) m->max_score = p->score;
    }
    if (m->unknown < 0) return sv_fail(err, SV_E_MODEL, name, "has no unknown piece");
    if (m->byte_fallback && bytes != 256) return sv_fail(err, SV_E_MODEL, name, "has %zu byte pieces instead of 256", bytes);
    SV_TRY(make_trie(m, &m->words, 1u << SV_PIECE_NORMAL | 1u << SV_PIECE_USER | 1u << SV_PIECE_UNUSED, name, err));
    SV_TRY(make_trie(m, &m->user, 1u << SV_PIECE_USER, name, err));
    return m->words.count > 1 ? SV_OK : sv_fail(err, SV_E_MODEL, name, "has no pieces but special ones");
}

/* Takes the bytes over, also where it fails. */
static sv_status open_bytes(sv_spm **out, char *bytes, size_t size, const char *name, sv_error *err) {
    *out = NULL;
    sv_spm *m = calloc(1, sizeof *m);
    if (!m) {
        free(bytes);
        return sv_fail_memory(err, name, sizeof *m);
    }
    m->bytes = bytes;
    m->size = size;
    m->dummy_prefix = m->remove_extra_spaces = m->escape_spaces = true;
    sv_status st = read_model(m, name, err);
    if (st == SV_OK) st = finish(m, name, err);
    if (st == SV_OK) *out = m;
    else sv_spm_close(&m);
    return st;
}

sv_status sv_spm_parse(sv_spm **out, const void *bytes, size_t size, const char *name, sv_error *err) {
    char *copy = malloc(size ? size : 1);
    *out = NULL;
    if (!copy) return sv_fail_memory(err, name, size);
    if (size) memcpy(copy, bytes, size);
    return open_bytes(out, copy, size, name, err);
}

sv_status sv_spm_open(sv_spm **out, const char *path, sv_error *err) {
    char *bytes;
    size_t size;
    *out = NULL;
    if (!sv_file_exists(path)) return sv_fail(err, SV_E_MODEL, path, "there is no such file");
    if (sv_is_dir(path)) return sv_fail(err, SV_E_MODEL, path, "is a directory; a SentencePiece .model file was expected");
    SV_TRY(sv_file_read(path, FILE_LIMIT, &bytes, &size, err));
    return open_bytes(out, bytes, size, path, err);
}

void sv_spm_close(sv_spm **m) {
    if (!*m) return;
    free((*m)->bytes);
    free((*m)->pieces);
    free((*m)->words.nodes);
    free((*m)->user.nodes);
    free(*m);
    *m = NULL;
}
