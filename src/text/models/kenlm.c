/* kenlm.c - opening language models, and scoring. The files are read in kenlm_arpa.c and kenlm_binary.c. */
#include "text/models/kenlm.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/file.h"
#include "text/models/kenlm_internal.h"

uint64_t sv_kenlm_hash(const char *word, size_t size) {
    const uint64_t m = 0xC6A4A7935BD1E995u;
    uint64_t h = (uint64_t)size * m;
    const unsigned char *p = (const unsigned char *)word, *end = p + size / 8 * 8;
    for (; p < end; p += 8) {
        uint64_t k = sv_load64(p) * m;
        h = (h ^ (k ^ k >> 47) * m) * m;
    }
    if (size & 7) {
        for (size_t i = 0; i < (size & 7); i++) h ^= (uint64_t)p[i] << (8 * i);
        h *= m;
    }
    h = (h ^ h >> 47) * m;
    return h ^ h >> 47;
}

unsigned char *sv_kenlm_find(const sv_kenlm_table *t, uint64_t key) {
    if (key == 0 || t->buckets == 0) return NULL;
    uint64_t at = key % t->buckets;
    for (uint64_t tries = 0; tries < t->buckets; tries++) {      /* a sound table has free entries; a broken one must end, too */
        unsigned char *entry = t->base + at * t->stride;
        uint64_t got = sv_load64(entry);
        if (got == key) return entry;
        if (got == 0) return NULL;
        if (++at == t->buckets) at = 0;
    }
    return NULL;
}

/* ---- opening ---- */

sv_status sv_kenlm_open(sv_kenlm **out, const char *path, sv_error *err) {
    static const char magic[] = "mmap lm http://kheafield.com/code";
    char head[sizeof magic - 1] = "";
    *out = NULL;
    if (!sv_file_exists(path)) return sv_fail(err, SV_E_MODEL, path, "there is no such file");
    if (sv_is_dir(path)) return sv_fail(err, SV_E_MODEL, path, "is a directory; an ARPA file or a KenLM binary was expected");
    FILE *f = fopen(path, "rb");
    if (!f) return sv_fail_errno(err, path, "cannot open");
    size_t got = fread(head, 1, sizeof head, f);
    bool failed = ferror(f);
    if (failed) sv_fail_errno(err, path, "cannot read");
    fclose(f);
    if (failed) return SV_E_IO;
    sv_kenlm *m = calloc(1, sizeof *m);
    if (!m) return sv_fail_memory(err, path, sizeof *m);
    bool binary = got == sizeof head && memcmp(head, magic, sizeof head) == 0;
    sv_status st = binary ? sv_kenlm_map_binary(m, path, err) : sv_kenlm_read_arpa(m, path, err);
    if (st == SV_OK) {
        m->begin = sv_kenlm_word(m, "<s>", 3);
        m->end = sv_kenlm_word(m, "</s>", 4);
        if (!m->begin || !m->end) st = sv_fail(err, SV_E_MODEL, path, "the vocabulary lacks %s", m->begin ? "</s>" : "<s>");
    }
    if (st == SV_OK) *out = m;
    else sv_kenlm_close(&m);
    return st;
}

void sv_kenlm_close(sv_kenlm **m) {
    if (!*m) return;
    if ((*m)->map) munmap((*m)->map, (*m)->map_size);
    if ((*m)->owns_tables) {
        free((*m)->vocabulary.base);
        free((void *)(uintptr_t)(*m)->unigrams);
        for (int i = 0; i < SV_KENLM_MAX_ORDER - 1; i++) free((*m)->tables[i].base);
    }
    free(*m);
    *m = NULL;
}

int sv_kenlm_order(const sv_kenlm *m) { return m->order; }

const char *sv_kenlm_kind(const sv_kenlm *m) {
    static const char *const names[] = {"probing hash tables", "probing hash tables with rest costs", "trie", "trie with quantization",
                                        "trie with array-compressed pointers", "trie with quantization and array-compressed pointers", "ARPA"};
    return names[m->type];
}

/* ---- words ---- */

uint32_t sv_kenlm_word(const sv_kenlm *m, const char *word, size_t size) {
    uint64_t hash = sv_kenlm_hash(word, size);
    if (!m->sorted) {
        const unsigned char *entry = sv_kenlm_find(&m->vocabulary, hash);
        uint32_t index = entry ? sv_load32(entry + 8) : 0;
        return index < m->unigram_count ? index : 0;
    }
    uint64_t low = 0, high = m->sorted_count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2, got = sv_load64(m->sorted + middle * 8);
        if (got == hash) return (uint32_t)(middle + 1);
        if (got < hash) low = middle + 1;
        else high = middle;
    }
    return 0;
}

/* ---- n-grams ---- */

/* Where a search stands: the hash of the n-gram so far, or the range of its extensions in the next level of the trie. */
typedef struct place {
    uint64_t hash, begin, end;
} place;
/* What is known of an n-gram. independent: no longer n-gram ends in it. */
typedef struct value {
    float prob, backoff;
    bool independent;
} value;

/* length <= 57 bits at a bit address. The bytes behind the last entry that this may touch belong to the level (kenlm_binary.c). */
static uint64_t read_bits(const unsigned char *base, uint64_t at, unsigned length) {
    return sv_load64(base + (at >> 3)) >> (at & 7) & ((1ull << length) - 1);
}

static float negative(uint32_t bits) {
    float v;
    bits |= 0x80000000u;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Start of the extensions of entry i (the end of entry i - 1's). */
static uint64_t next_of(const sv_kenlm_level *l, uint64_t i) {
    uint64_t low_part = read_bits(l->base, i * l->bits + l->word_bits + l->value_bits, l->next_bits);
    if (!l->offsets) return low_part;
    uint64_t low = 0, high = l->offset_count;      /* the last offset that is not above i */
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (sv_load64(l->offsets + middle * 8) <= i) low = middle + 1;
        else high = middle;
    }
    return (low ? low - 1 : 0) << l->next_bits | low_part;
}

static void trie_value(const sv_kenlm_level *l, uint64_t i, bool longest, value *v) {
    uint64_t at = i * l->bits + l->word_bits;
    if (l->probs) {
        v->prob = sv_load_float(l->probs + 4 * read_bits(l->base, at + (longest ? 0 : l->backoff_bits), l->prob_bits));
        if (!longest) v->backoff = sv_load_float(l->backoffs + 4 * read_bits(l->base, at, l->backoff_bits));
        return;
    }
    v->prob = negative((uint32_t)read_bits(l->base, at, 31));
    if (longest) return;
    uint32_t bits = (uint32_t)read_bits(l->base, at + 31, 32);
    memcpy(&v->backoff, &bits, sizeof bits);
}

/* The word among entries [p->begin, p->end) of a level; true if it is there, with the place of its extensions. */
static bool trie_lookup(const sv_kenlm_level *l, uint64_t next_entries, bool longest, uint32_t word, place *p, value *v) {
    uint64_t low = p->begin, high = p->end;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2, got = read_bits(l->base, middle * l->bits, l->word_bits);
        if (got < word) low = middle + 1;
        else if (got > word) high = middle;
        else {
            trie_value(l, middle, longest, v);
            if (longest) return true;
            p->begin = next_of(l, middle);
            p->end = next_of(l, middle + 1);
            if (p->end > next_entries) p->end = next_entries;
            v->independent = p->begin >= p->end;
            return true;
        }
    }
    return false;
}

static bool lookup(const sv_kenlm *m, int order, uint32_t word, place *p, value *v) {
    bool longest = order == m->order;
    if (m->sorted) return trie_lookup(&m->levels[order - 2], longest ? 0 : m->levels[order - 1].entries, longest, word, p, v);
    p->hash = sv_kenlm_combine(p->hash, word);
    const unsigned char *entry = sv_kenlm_find(&m->tables[order - 2], p->hash);
    if (!entry) return false;
    uint32_t bits = sv_load32(entry + 8);
    v->prob = negative(bits);
    v->independent = bits >> 31;           /* the sign is free for this, since all log probabilities are negative */
    if (!longest) v->backoff = sv_load_float(entry + 12);
    return true;
}

static void lookup_unigram(const sv_kenlm *m, uint32_t word, place *p, value *v) {
    const unsigned char *u = m->unigrams + (uint64_t)word * m->unigram_stride;
    v->backoff = sv_load_float(u + 4);
    if (!m->sorted) {
        uint32_t bits = sv_load32(u);
        *p = (place){.hash = word};
        v->prob = negative(bits);
        v->independent = bits >> 31;
        return;
    }
    v->prob = sv_load_float(u);
    p->begin = sv_load64(u + 8);
    p->end = sv_load64(u + m->unigram_stride + 8);
    if (p->end > m->levels[0].entries) p->end = m->levels[0].entries;
    v->independent = p->begin >= p->end;
}

/* A back-off of minus zero says that no n-gram begins with these words, so that later words need not remember them. */
static bool has_extension(float backoff) {
    uint32_t bits;
    memcpy(&bits, &backoff, sizeof bits);
    return bits != 0x80000000u;
}

void sv_kenlm_begin(const sv_kenlm *m, sv_kenlm_state *state) {
    place p = {0};
    value v;
    lookup_unigram(m, m->begin, &p, &v);
    *state = (sv_kenlm_state){.words = {m->begin}, .backoff = {v.backoff}, .length = 1};
}

float sv_kenlm_step(const sv_kenlm *m, const sv_kenlm_state *in, uint32_t word, sv_kenlm_state *out, int *matched) {
    place p = {0};
    value v;
    lookup_unigram(m, word, &p, &v);
    float prob = v.prob;
    int found = 1;
    out->words[0] = word;
    out->backoff[0] = v.backoff;
    out->length = has_extension(v.backoff);
    for (int order = 2; order <= m->order && order - 2 < in->length && !v.independent; order++) {
        if (!lookup(m, order, in->words[order - 2], &p, &v)) break;
        prob = v.prob;
        found = order;
        if (order == m->order) break;
        out->backoff[order - 1] = v.backoff;
        if (has_extension(v.backoff)) out->length = order;
    }
    for (int i = 1; i < out->length; i++) out->words[i] = in->words[i - 1];
    for (int i = found - 1; i < in->length; i++) prob += in->backoff[i];
    if (matched) *matched = found;
    return prob;
}

float sv_kenlm_score(const sv_kenlm *m, const char *line, size_t size) {
    sv_kenlm_state states[2];
    int now = 0;
    float total = 0;
    sv_kenlm_begin(m, &states[0]);
    const char *end = memchr(line, 0, size);
    if (!end) end = line + size;
    for (const char *p = line; p < end;) {
        const char *word = p;
        while (p < end && !(*p == ' ' || (*p >= 0x09 && *p <= 0x0D))) p++;
        if (p > word) {
            total += sv_kenlm_step(m, &states[now], sv_kenlm_word(m, word, (size_t)(p - word)), &states[1 - now], NULL);
            now = 1 - now;
        }
        if (p < end) p++;
    }
    return total + sv_kenlm_step(m, &states[now], m->end, &states[1 - now], NULL);
}
