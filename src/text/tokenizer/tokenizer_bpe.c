#include "text/tokenizer/tokenizer_bpe.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/utf8.h"

enum {
    MAX_ID = 1 << 24,           /* far above any vocabulary: a guard against ids that would only reserve memory */
    CACHE_SLOTS = 1 << 16,      /* words kept: about 5 MB when full */
    CACHE_PROBES = 8,
    CACHE_WORD = 40,            /* longer words are not kept */
    SHORT_WORD = 64             /* bytes: above it a heap pays */
};

typedef struct merge {
    uint64_t pair;              /* left id << 32 | right id; EMPTY for a free slot */
    int32_t rank, id;
} merge;
#define EMPTY UINT64_MAX

/* A word once encoded; immutable after it is published. */
typedef struct cached {
    uint64_t hash;
    uint8_t size, count;
    char word[CACHE_WORD];
    int32_t ids[];
} cached;

struct sv_bpe {
    sv_buf names;               /* all pieces, each NUL-terminated */
    size_t *name_at;            /* by id: offset + 1 into names, 0 for none */
    size_t name_capacity, size, pieces;
    int32_t *by_name;           /* open addressing on the piece's hash; -1 free */
    size_t by_name_slots;
    merge *merges;              /* open addressing on the pair */
    size_t merge_slots, merge_count;
    int32_t rank;
    int32_t inner[256], final[256];   /* ids of a byte's symbol, and of the same with "</w>" */
    _Atomic(cached *) *cache;
};

/* ---- ids ---- */

bool sv_ids_add(sv_ids *ids, int32_t id) {
    if (ids->size == ids->capacity) {
        size_t capacity = ids->capacity ? ids->capacity * 2 : 96;
        int32_t *data = realloc(ids->data, capacity * sizeof *data);
        if (!data) return false;
        ids->data = data;
        ids->capacity = capacity;
    }
    ids->data[ids->size++] = id;
    return true;
}

void sv_ids_free(sv_ids *ids) {
    free(ids->data);
    *ids = (sv_ids){0};
}

/* ---- building ---- */

sv_bpe *sv_bpe_new(void) {
    sv_bpe *b = calloc(1, sizeof *b);
    if (!b) return NULL;
    b->cache = calloc(CACHE_SLOTS, sizeof *b->cache);
    if (!b->cache) sv_bpe_free(&b);
    return b;
}

void sv_bpe_free(sv_bpe **b) {
    if (!*b) return;
    if ((*b)->cache)
        for (size_t i = 0; i < CACHE_SLOTS; i++) free(atomic_load(&(*b)->cache[i]));
    free((*b)->cache);
    sv_buf_free(&(*b)->names);
    free((*b)->name_at);
    free((*b)->by_name);
    free((*b)->merges);
    free(*b);
    *b = NULL;
}

static bool grow_names(sv_bpe *b) {
    size_t slots = b->by_name_slots ? b->by_name_slots * 2 : 4096;
    int32_t *table = malloc(slots * sizeof *table);
    if (!table) return false;
    memset(table, 0xFF, slots * sizeof *table);
    for (size_t id = 0; id < b->size; id++) {
        if (!b->name_at[id]) continue;
        const char *name = b->names.data + b->name_at[id] - 1;
        size_t at = sv_hash64(name, strlen(name), 0) & (slots - 1);
        while (table[at] >= 0) at = (at + 1) & (slots - 1);
        table[at] = (int32_t)id;
    }
    free(b->by_name);
    b->by_name = table;
    b->by_name_slots = slots;
    return true;
}

/* Slot of a piece, or the free one where it belongs. */
static size_t name_slot(const sv_bpe *b, const char *piece, size_t size) {
    size_t at = sv_hash64(piece, size, 0) & (b->by_name_slots - 1);
    for (; b->by_name[at] >= 0; at = (at + 1) & (b->by_name_slots - 1)) {
        const char *name = sv_bpe_piece(b, b->by_name[at]);
        if (strncmp(name, piece, size) == 0 && name[size] == '\0') break;
    }
    return at;
}

int32_t sv_bpe_find(const sv_bpe *b, const char *piece, size_t size) {
    if (b->by_name_slots == 0 || memchr(piece, 0, size)) return -1;
    return b->by_name[name_slot(b, piece, size)];
}

const char *sv_bpe_piece(const sv_bpe *b, int32_t id) {
    return id >= 0 && (size_t)id < b->size && b->name_at[id] ? b->names.data + b->name_at[id] - 1 : NULL;
}

size_t sv_bpe_size(const sv_bpe *b) { return b->size; }

sv_status sv_bpe_add_piece(sv_bpe *b, const char *what, const char *piece, size_t size, int64_t id, sv_error *err) {
    if (size == 0 || memchr(piece, 0, size)) return sv_fail(err, SV_E_MODEL, what, "id %lld has an empty piece or one with a NUL", (long long)id);
    if (id < 0 || id >= MAX_ID) return sv_fail(err, SV_E_MODEL, what, "piece \"%.*s\" has the id %lld, outside 0..%d", (int)size, piece, (long long)id, MAX_ID - 1);
    if ((size_t)id >= b->name_capacity) {
        size_t capacity = b->name_capacity ? b->name_capacity : 1024;
        while (capacity <= (size_t)id) capacity *= 2;
        size_t *grown = realloc(b->name_at, capacity * sizeof *grown);
        if (!grown) return sv_fail_memory(err, what, capacity * sizeof *grown);
        memset(grown + b->name_capacity, 0, (capacity - b->name_capacity) * sizeof *grown);
        b->name_at = grown;
        b->name_capacity = capacity;
    }
    if ((b->pieces + 1) * 2 > b->by_name_slots && !grow_names(b)) return sv_fail_memory(err, what, 0);
    if (b->name_at[id])
        return sv_fail(err, SV_E_MODEL, what, "id %lld is given twice, to \"%s\" and to \"%.*s\"", (long long)id, sv_bpe_piece(b, (int32_t)id), (int)size, piece);
    size_t slot = name_slot(b, piece, size);
    if (b->by_name[slot] >= 0)
        return sv_fail(err, SV_E_MODEL, what, "piece \"%.*s\" is given twice, with the ids %d and %lld", (int)size, piece, b->by_name[slot], (long long)id);
    size_t at = b->names.size;
    sv_buf_add(&b->names, piece, size);
    sv_buf_putc(&b->names, '\0');
    SV_TRY(sv_buf_ok(&b->names, err));
    b->name_at[id] = at + 1;
    b->by_name[slot] = (int32_t)id;
    b->pieces++;
    if ((size_t)id >= b->size) b->size = (size_t)id + 1;
    return SV_OK;
}

static size_t merge_slot(const sv_bpe *b, uint64_t pair) {
    uint64_t mixed = pair * 0x9E3779B97F4A7C15u;                       /* Fibonacci hashing: the ids fill only the low bits of each half */
    size_t at = (size_t)(mixed >> 20) & (b->merge_slots - 1);
    while (b->merges[at].pair != pair && b->merges[at].pair != EMPTY) at = (at + 1) & (b->merge_slots - 1);
    return at;
}

static bool grow_merges(sv_bpe *b) {
    size_t old_slots = b->merge_slots;
    merge *old = b->merges;
    size_t slots = old_slots ? old_slots * 2 : 4096;
    merge *table = malloc(slots * sizeof *table);
    if (!table) return false;
    for (size_t i = 0; i < slots; i++) table[i].pair = EMPTY;
    b->merges = table;
    b->merge_slots = slots;
    for (size_t i = 0; i < old_slots; i++)
        if (old[i].pair != EMPTY) table[merge_slot(b, old[i].pair)] = old[i];
    free(old);
    return true;
}

sv_status sv_bpe_add_merge(sv_bpe *b, const char *what, size_t where, const char *left, size_t left_size, const char *right, size_t right_size,
                           sv_error *err) {
    int32_t ids[2] = {sv_bpe_find(b, left, left_size), sv_bpe_find(b, right, right_size)};
    for (int k = 0; k < 2; k++) {
        if (ids[k] >= 0) continue;
        sv_fail(err, SV_E_MODEL, what, "merge %zu joins \"%.*s\", which is not in the vocabulary", where, (int)(k ? right_size : left_size), k ? right : left);
        return sv_hint(err, SV_E_MODEL, "vocabulary and merges must come from the same tokenizer");
    }
    sv_buf joined = {0};
    sv_buf_add(&joined, left, left_size);
    sv_buf_add(&joined, right, right_size);
    sv_status st = sv_buf_ok(&joined, err);
    int32_t id = st == SV_OK ? sv_bpe_find(b, joined.data, joined.size) : -1;
    if (st == SV_OK && id < 0) {
        st = sv_fail(err, SV_E_MODEL, what, "merge %zu makes \"%s\", which is not in the vocabulary", where, joined.data);
        sv_hint(err, st, "vocabulary and merges must come from the same tokenizer");
    }
    sv_buf_free(&joined);
    if (st != SV_OK) return st;
    if ((b->merge_count + 1) * 2 > b->merge_slots && !grow_merges(b)) return sv_fail_memory(err, what, 0);
    uint64_t pair = (uint64_t)(uint32_t)ids[0] << 32 | (uint32_t)ids[1];
    merge *m = &b->merges[merge_slot(b, pair)];
    if (m->pair == EMPTY) b->merge_count++;
    *m = (merge){pair, b->rank++, id};
    return SV_OK;
}

/* The character that stands for a byte: itself where that is printable in Latin-1, else U+0100 and on, in order (the byte table of GPT-2). */
static uint32_t byte_symbol(unsigned byte) {
    uint32_t next = 0x100;
    for (unsigned k = 0; k <= byte; k++) {
        bool printable = (k >= 0x21 && k <= 0x7E) || (k >= 0xA1 && k <= 0xAC) || k >= 0xAE;
        if (k == byte) return printable ? k : next;
        if (!printable) next++;
    }
    return next;
}

sv_status sv_bpe_seal(sv_bpe *b, const char *what, sv_error *err) {
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[8];
        size_t size = (size_t)sv_utf8_encode(byte_symbol(byte), name);
        b->inner[byte] = sv_bpe_find(b, name, size);
        memcpy(name + size, "</w>", 4);
        b->final[byte] = sv_bpe_find(b, name, size + 4);
        if (b->inner[byte] < 0 || b->final[byte] < 0) {
            sv_fail(err, SV_E_MODEL, what, "the vocabulary lacks the symbol \"%.*s\" of byte %02X", (int)(b->inner[byte] < 0 ? size : size + 4), name, byte);
            return sv_hint(err, SV_E_MODEL, "a CLIP vocabulary has all 256 byte symbols, each also with </w>; this may be another kind of tokenizer");
        }
    }
    if (b->merge_slots == 0 && !grow_merges(b)) return sv_fail_memory(err, what, 0);
    return SV_OK;
}

/* ---- encoding ---- */

static const merge *find_merge(const sv_bpe *b, int32_t left, int32_t right) {
    const merge *m = &b->merges[merge_slot(b, (uint64_t)(uint32_t)left << 32 | (uint32_t)right)];
    return m->pair == EMPTY ? NULL : m;
}

static bool encode_short(const sv_bpe *b, const unsigned char *word, size_t n, sv_ids *ids) {
    int32_t symbol[SHORT_WORD];
    const merge *pair[SHORT_WORD];     /* pair[i]: symbols i and i + 1 */
    for (size_t i = 0; i < n; i++) symbol[i] = i + 1 < n ? b->inner[word[i]] : b->final[word[i]];
    for (size_t i = 0; i + 1 < n; i++) pair[i] = find_merge(b, symbol[i], symbol[i + 1]);
    while (n > 1) {
        size_t best = n;
        for (size_t i = 0; i + 1 < n; i++)
            if (pair[i] && (best == n || pair[i]->rank < pair[best]->rank)) best = i;
        if (best == n) break;
        symbol[best] = pair[best]->id;
        memmove(symbol + best + 1, symbol + best + 2, (n - best - 2) * sizeof *symbol);
        if (n - best > 2) memmove(pair + best + 1, pair + best + 2, (n - best - 3) * sizeof *pair);
        n--;
        if (best > 0) pair[best - 1] = find_merge(b, symbol[best - 1], symbol[best]);
        if (best + 1 < n) pair[best] = find_merge(b, symbol[best], symbol[best + 1]);
    }
    for (size_t i = 0; i < n; i++)
        if (!sv_ids_add(ids, symbol[i])) return false;
    return true;
}

/* A symbol of a long word, in a doubly linked list by index; gone once merged into its left neighbour (id -1). */
typedef struct node {
    int32_t id;
    size_t before, after;
} node;
/* A candidate pair; stale if the symbols at its place have changed since. */
typedef struct candidate {
    int32_t rank, left, right, id;
    size_t at;
} candidate;
typedef struct heap {
    candidate *data;
    size_t size;
} heap;

static bool is_before(const candidate *a, const candidate *c) { return a->rank != c->rank ? a->rank < c->rank : a->at < c->at; }

static void heap_push(heap *h, candidate c) {
    size_t i = h->size++;
    for (; i > 0 && is_before(&c, &h->data[(i - 1) / 2]); i = (i - 1) / 2) h->data[i] = h->data[(i - 1) / 2];
    h->data[i] = c;
}

static candidate heap_pop(heap *h) {
    candidate top = h->data[0], last = h->data[--h->size];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < h->size; i = child) {
        if (child + 1 < h->size && is_before(&h->data[child + 1], &h->data[child])) child++;
        if (!is_before(&h->data[child], &last)) break;
        h->data[i] = h->data[child];
    }
    if (h->size > 0) h->data[i] = last;
    return top;
}

static void push_pair(const sv_bpe *b, heap *h, const node *nodes, size_t at) {
    int32_t left = nodes[at].id, right = nodes[nodes[at].after].id;
    const merge *m = find_merge(b, left, right);
    if (m) heap_push(h, (candidate){m->rank, left, right, m->id, at});
}

static bool encode_long(const sv_bpe *b, const unsigned char *word, size_t n, sv_ids *ids) {
    node *nodes = malloc(n * sizeof *nodes);
    heap h = {malloc(n * 3 * sizeof *h.data), 0};      /* n - 1 pairs at the start, at most two more for each of n - 1 merges */
    bool ok = nodes && h.data;
    if (ok) {
        for (size_t i = 0; i < n; i++) nodes[i] = (node){i + 1 < n ? b->inner[word[i]] : b->final[word[i]], i - 1, i + 1};
        for (size_t i = 0; i + 1 < n; i++) push_pair(b, &h, nodes, i);
        while (h.size > 0) {
            candidate c = heap_pop(&h);
            node *left = &nodes[c.at];
            if (left->id != c.left || left->after == n || nodes[left->after].id != c.right) continue;
            node *right = &nodes[left->after];
            left->id = c.id;
            right->id = -1;
            left->after = right->after;
            if (left->after < n) nodes[left->after].before = c.at;
            if (c.at > 0) push_pair(b, &h, nodes, left->before);
            if (left->after < n) push_pair(b, &h, nodes, c.at);
        }
        for (size_t i = 0; i < n && ok; i = nodes[i].after) ok = sv_ids_add(ids, nodes[i].id);
    }
    free(nodes);
    free(h.data);
    return ok;
}

/* Keeps a word's ids for later. A full neighbourhood or a lack of memory only means that the word is not kept. */
static void keep(const sv_bpe *b, uint64_t hash, const char *word, size_t n, const int32_t *ids, size_t count) {
    for (size_t k = 0; k < CACHE_PROBES; k++) {
        _Atomic(cached *) *slot = &b->cache[(hash + k) & (CACHE_SLOTS - 1)];
        if (atomic_load_explicit(slot, memory_order_relaxed)) continue;
        cached *entry = malloc(sizeof *entry + count * sizeof *ids);
        if (!entry) return;
        entry->hash = hash;
        entry->size = (uint8_t)n;
        entry->count = (uint8_t)count;
        memcpy(entry->word, word, n);
        memcpy(entry->ids, ids, count * sizeof *ids);
        cached *expected = NULL;
        if (!atomic_compare_exchange_strong_explicit(slot, &expected, entry, memory_order_release, memory_order_relaxed)) free(entry);
        return;
    }
}

bool sv_bpe_encode(const sv_bpe *b, const char *word, size_t n, sv_ids *ids) {
    const unsigned char *bytes = (const unsigned char *)word;
    if (n > CACHE_WORD) return n > SHORT_WORD ? encode_long(b, bytes, n, ids) : encode_short(b, bytes, n, ids);
    uint64_t hash = sv_hash64(word, n, 0);
    for (size_t k = 0; k < CACHE_PROBES; k++) {
        const cached *entry = atomic_load_explicit(&b->cache[(hash + k) & (CACHE_SLOTS - 1)], memory_order_acquire);
        if (!entry) break;
        if (entry->hash != hash || entry->size != n || memcmp(entry->word, word, n) != 0) continue;
        for (size_t i = 0; i < entry->count; i++)
            if (!sv_ids_add(ids, entry->ids[i])) return false;
        return true;
    }
    size_t first = ids->size;
    if (!encode_short(b, bytes, n, ids)) return false;
    keep(b, hash, word, n, ids->data + first, ids->size - first);
    return true;
}
