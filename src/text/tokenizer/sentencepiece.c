/* sentencepiece.c - normalising a text and cutting it into pieces. Reading the model is in sentencepiece_model.c.
 *
 * Kudo 2018 (unigram, best path), Sennrich et al. 2016 (BPE); the order of float operations and the ties are sentencepiece's. */
#include "text/tokenizer/sentencepiece.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer/sentencepiece_internal.h"

#define SPACE_SYMBOL "\xE2\x96\x81"        /* U+2581 stands for a space */
#define UNKNOWN_PENALTY 10.0f

/* Length of the UTF-8 sequence that a lead byte announces, at most n. */
static size_t char_length(const char *s, size_t n) {
    unsigned char c = (unsigned char)*s;
    size_t length = c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    return length < n ? length : n;
}

/* Length of the longest user-defined piece at s, 0 if there is none. */
static size_t user_piece(const sv_spm *m, const char *s, size_t n) {
    uint32_t node = 0;
    size_t longest = 0;
    if (m->user.count <= 1) return 0;
    for (size_t i = 0; i < n && (node = sv_trie_next(&m->user, node, (unsigned char)s[i])) != 0; i++)
        if (m->user.nodes[node].value >= 0) longest = i + 1;
    return longest;
}

/* ---- normalisation ---- */

/* A unit of the double array (Darts-clone): bits 0-7 the label, bit 8 whether a leaf follows, bits 9 and 10-31 the offset; a leaf holds the value. */
static uint32_t unit_at(const sv_spm *m, size_t i) {
    const unsigned char *u = m->charsmap + i * 4;
    return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}
static size_t unit_offset(uint32_t unit) { return (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6); }

/* Longest rule of the normalisation map at s: its length and replacement; 0 if none applies (or the map points outside itself). */
static size_t find_rule(const sv_spm *m, const char *s, size_t n, const char **replacement) {
    if (!m->charsmap) return 0;
    size_t at = unit_offset(unit_at(m, 0)), longest = 0;
    uint32_t value = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        at ^= c;
        if (at >= m->charsmap_units) break;
        uint32_t unit = unit_at(m, at);
        if ((unit & (1u << 31 | 0xFF)) != c) break;
        at ^= unit_offset(unit);
        if (at >= m->charsmap_units) break;
        if (unit >> 8 & 1) {
            longest = i + 1;
            value = unit_at(m, at) & ((1u << 31) - 1);
        }
    }
    if (longest == 0 || value >= m->replacements_size) return 0;
    *replacement = m->replacements + value;
    return longest;
}

/* What the start of the text becomes. Returns how much of it is used up. */
static size_t normalize_prefix(const sv_spm *m, const char *s, size_t n, const char **to, size_t *to_size) {
    size_t used = user_piece(m, s, n);
    if (used == 0 && (used = find_rule(m, s, n, to)) > 0) {
        *to_size = strlen(*to);
        return used;
    }
    if (used == 0) used = char_length(s, n);
    *to = s;
    *to_size = used;
    return used;
}

static void normalize(const sv_spm *m, const char *s, size_t n, sv_buf *out) {
    const char *to, *end = s + n;
    size_t size;
    while (m->remove_extra_spaces && s < end) {
        size_t used = normalize_prefix(m, s, (size_t)(end - s), &to, &size);
        if (size != 1 || *to != ' ') break;
        s += used;
    }
    if (s == end) return;
    const char *space = m->escape_spaces ? SPACE_SYMBOL : " ";
    const size_t space_size = strlen(space);
    if (!m->space_as_suffix && m->dummy_prefix) sv_buf_add(out, space, space_size);
    bool after_space = m->remove_extra_spaces;
    while (s < end) {
        s += normalize_prefix(m, s, (size_t)(end - s), &to, &size);
        while (after_space && size > 0 && *to == ' ') {
            to++;
            size--;
        }
        for (size_t i = 0; i < size; i++) {
            if (to[i] == ' ') sv_buf_add(out, space, space_size);
            else sv_buf_putc(out, to[i]);
        }
        if (size > 0) after_space = to[size - 1] == ' ';
        if (!m->remove_extra_spaces) after_space = false;
    }
    while (m->remove_extra_spaces && out->size >= space_size && memcmp(out->data + out->size - space_size, space, space_size) == 0) out->size -= space_size;
    if (m->space_as_suffix && m->dummy_prefix) sv_buf_add(out, space, space_size);
}

/* ---- writing pieces ---- */

typedef struct writer {
    const sv_spm *m;
    sv_buf *out;
    bool after_unknown;
} writer;

/* Adds a piece. Unknown ones become bytes where the model has these, else neighbours are joined. */
static void write_piece(writer *w, const char *text, size_t size, int32_t id) {
    bool unknown = id == w->m->unknown;
    if (unknown && w->m->byte_fallback) {
        for (size_t i = 0; i < size; i++) {
            char piece[8];
            snprintf(piece, sizeof piece, "<0x%02X>", (unsigned)(unsigned char)text[i]);
            if (w->out->size > 0) sv_buf_putc(w->out, ' ');
            sv_buf_puts(w->out, piece);
        }
    } else {
        if (w->out->size > 0 && !(unknown && w->after_unknown)) sv_buf_putc(w->out, ' ');
        sv_buf_add(w->out, text, size);
    }
    w->after_unknown = unknown;
}

/* ---- unigram ---- */

/* The best way to reach a byte position: its last piece. */
typedef struct path {
    float score;
    int32_t id;
    size_t start;                /* NOT_REACHED: no way yet */
} path;
#define NOT_REACHED SIZE_MAX

static void offer(path *p, float score, int32_t id, size_t start) {
    if (p->start == NOT_REACHED || score > p->score) *p = (path){score, id, start};
}

static bool encode_unigram(const sv_spm *m, const char *s, size_t n, sv_buf *out) {
    path *best = malloc((n + 1) * sizeof *best);
    if (!best) return false;
    for (size_t i = 0; i <= n; i++) best[i] = (path){0, -1, NOT_REACHED};
    const float unknown_score = m->min_score - UNKNOWN_PENALTY;
    for (size_t at = 0; at < n;) {
        const float here = best[at].score;
        size_t length = char_length(s + at, n - at);
        bool single = false;
        uint32_t node = 0;
        for (size_t end = at; end < n && (node = sv_trie_next(&m->words, node, (unsigned char)s[end])) != 0;) {
            end++;
            int32_t id = m->words.nodes[node].value;
            if (id < 0 || m->pieces[id].type == SV_PIECE_UNUSED) continue;
            float score = m->pieces[id].type == SV_PIECE_USER ? (float)((float)(end - at) * m->max_score - 0.1) : m->pieces[id].score;
            offer(&best[end], score + here, id, at);
            single |= end - at == length;
        }
        if (!single) offer(&best[at + length], unknown_score + here, m->unknown, at);
        at += length;
    }
    /* Back from the end: each position's next one, then forward. The starts turn into ends on the way. */
    size_t end = n, next_end = NOT_REACHED;
    int32_t next_id = -1;
    while (end != NOT_REACHED) {
        path p = best[end];
        best[end].start = next_end;
        best[end].id = next_id;
        next_end = end;
        next_id = p.id;
        end = end == 0 ? NOT_REACHED : p.start;
    }
    writer w = {m, out, false};
    for (size_t at = 0; at < n; at = best[at].start) write_piece(&w, s + at, best[at].start - at, best[at].id);
    free(best);
    return true;
}

/* ---- BPE ---- */

#define NONE SIZE_MAX

typedef struct symbol {
    size_t before, after;        /* NONE at the ends */
    size_t start, size;          /* size 0: merged into its left neighbour */
    bool frozen;                 /* a user-defined piece: never merged */
} symbol;
typedef struct pair {
    float score;
    size_t left, right, size;
} pair;
/* How an unused piece came about, to take it apart again. */
typedef struct origin {
    int32_t id;
    size_t left_size;
} origin;

typedef struct bpe {
    const sv_spm *m;
    const char *s;
    symbol *symbols;
    pair *heap;
    size_t heap_size;
    origin *origins;
    size_t origin_count, origin_capacity;
    bool failed;
} bpe;

/* Higher score first, then further left. */
static bool is_better(const pair *a, const pair *b) { return a->score != b->score ? a->score > b->score : a->left < b->left; }

static void heap_push(bpe *b, pair p) {
    size_t i = b->heap_size++;
    for (; i > 0 && is_better(&p, &b->heap[(i - 1) / 2]); i = (i - 1) / 2) b->heap[i] = b->heap[(i - 1) / 2];
    b->heap[i] = p;
}

static pair heap_pop(bpe *b) {
    pair top = b->heap[0], last = b->heap[--b->heap_size];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < b->heap_size; i = child) {
        if (child + 1 < b->heap_size && is_better(&b->heap[child + 1], &b->heap[child])) child++;
        if (!is_better(&b->heap[child], &last)) break;
        b->heap[i] = b->heap[child];
    }
    if (b->heap_size > 0) b->heap[i] = last;
    return top;
}

static void remember_origin(bpe *b, int32_t id, size_t left_size) {
    for (size_t i = 0; i < b->origin_count; i++) {
        if (b->origins[i].id != id) continue;
        b->origins[i].left_size = left_size;
        return;
    }
    if (b->origin_count == b->origin_capacity) {
        size_t capacity = b->origin_capacity ? b->origin_capacity * 2 : 16;
        origin *grown = realloc(b->origins, capacity * sizeof *grown);
        if (!grown) {
            b->failed = true;
            return;
        }
        b->origins = grown;
        b->origin_capacity = capacity;
    }
    b->origins[b->origin_count++] = (origin){id, left_size};
}

static void consider(bpe *b, size_t left, size_t right) {
    if (left == NONE || right == NONE || b->symbols[left].frozen || b->symbols[right].frozen) return;
    size_t size = b->symbols[left].size + b->symbols[right].size;
    int32_t id = sv_trie_find(&b->m->words, b->s + b->symbols[left].start, size);
    if (id < 0) return;
    heap_push(b, (pair){b->m->pieces[id].score, left, right, size});
    if (b->m->pieces[id].type == SV_PIECE_UNUSED) remember_origin(b, id, b->symbols[left].size);
}

static int32_t piece_id(const sv_spm *m, const char *text, size_t size) {
    int32_t id = sv_trie_find(&m->words, text, size);
    return id < 0 ? m->unknown : id;
}

/* Writes a piece; an unused one in the parts it was merged from. The depth is that of the merges that made it. */
static void write_merged(bpe *b, writer *w, const char *text, size_t size) {
    for (;;) {
        int32_t id = piece_id(b->m, text, size);
        size_t left = 0;
        for (size_t i = 0; b->m->pieces[id].type == SV_PIECE_UNUSED && i < b->origin_count; i++)
            if (b->origins[i].id == id) left = b->origins[i].left_size;
        if (left == 0 || left >= size) {
            write_piece(w, text, size, id);
            return;
        }
        write_merged(b, w, text, left);
        text += left;
        size -= left;
    }
}

static bool encode_bpe(const sv_spm *m, const char *s, size_t n, sv_buf *out) {
    bpe b = {.m = m, .s = s, .symbols = malloc(n * sizeof *b.symbols), .heap = malloc(3 * n * sizeof *b.heap)};
    b.failed = !b.symbols || !b.heap;
    size_t count = 0;
    for (size_t at = 0; at < n && !b.failed; count++) {
        size_t user = user_piece(m, s + at, n - at), size = user ? user : char_length(s + at, n - at);
        b.symbols[count] = (symbol){count ? count - 1 : NONE, at + size < n ? count + 1 : NONE, at, size, user > 0};
        at += size;
    }
    for (size_t i = 1; i < count && !b.failed; i++) consider(&b, i - 1, i);
    while (b.heap_size > 0 && !b.failed) {
        pair p = heap_pop(&b);
        symbol *left = &b.symbols[p.left], *right = &b.symbols[p.right];
        if (left->size == 0 || right->size == 0 || left->size + right->size != p.size) continue;
        left->size += right->size;
        left->after = right->after;
        if (right->after != NONE) b.symbols[right->after].before = p.left;
        right->size = 0;
        consider(&b, left->before, p.left);
        consider(&b, p.left, left->after);
    }
    writer w = {m, out, false};
    for (size_t i = 0; i != NONE && !b.failed; i = b.symbols[i].after) write_merged(&b, &w, s + b.symbols[i].start, b.symbols[i].size);
    free(b.symbols);
    free(b.heap);
    free(b.origins);
    return !b.failed;
}

sv_status sv_spm_encode(const sv_spm *m, const char *text, size_t size, sv_buf *out, sv_error *err) {
    sv_buf_clear(out);
    sv_buf normal = {0};
    normalize(m, text, size, &normal);
    sv_status st = sv_buf_ok(&normal, err);
    if (st == SV_OK && normal.size > 0) {
        bool ok = m->bpe ? encode_bpe(m, normal.data, normal.size, out) : encode_unigram(m, normal.data, normal.size, out);
        st = ok ? sv_buf_ok(out, err) : sv_fail_memory(err, "cutting a text into pieces", normal.size * sizeof(path));
    }
    sv_buf_free(&normal);
    return st;
}
