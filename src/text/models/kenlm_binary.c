/* kenlm_binary.c - KenLM's binary files, format version 5 (lm/binary_format.cc and the data structures it lays out), mapped into memory. */
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/file.h"
#include "text/models/kenlm_internal.h"

#define MAGIC_BEFORE_VERSION "mmap lm http://kheafield.com/code format version"
#define MAGIC_INCOMPLETE "mmap lm http://kheafield.com/code incomplete\n"
enum {
    VERSION = 5,
    SANITY_SIZE = 88,            /* magic string of 56 bytes, test values of 32 */
    FIXED_SIZE = 20,             /* order, probing multiplier, model type, has vocabulary, search version */
    PROBING_VERSION = 0,
    TRIE_VERSION = 1,
    QUANT_VERSION = 2,
    ARRAY_VERSION = 0
};

/* The file as it is taken apart: everything between `at` and `size` is still to come. */
typedef struct layout {
    const char *path;
    const unsigned char *file;
    uint64_t size, at;
    uint64_t counts[SV_KENLM_MAX_ORDER];
    float multiplier;
    sv_error *err;
} layout;

static sv_status refuse(const layout *l, const char *why) { return sv_fail(l->err, SV_E_MODEL, l->path, "%s", why); }

/* The next n bytes of the file. */
static sv_status take(layout *l, uint64_t n, const unsigned char **part) {
    if (n > l->size - l->at) {
        sv_fail(l->err, SV_E_MODEL, l->path, "is cut short: it has %llu bytes, and the header asks for more", (unsigned long long)l->size);
        return sv_hint(l->err, SV_E_MODEL, "copy the file again");
    }
    *part = l->file + l->at;
    l->at += n;
    return SV_OK;
}

static unsigned required_bits(uint64_t max) {
    unsigned bits = 0;
    for (; max; max >>= 1) bits++;
    return bits;
}

/* ---- header ---- */

static bool sanity_holds(const unsigned char *file) {
    static const float floats[3] = {0.0f, 1.0f, -0.5f};
    static const uint32_t words[3] = {1, UINT32_MAX, 0};
    static const uint64_t one = 1;
    return memcmp(file + 56, floats, 12) == 0 && memcmp(file + 68, words, 12) == 0 && memcmp(file + 80, &one, 8) == 0;
}

static sv_status read_header(sv_kenlm *m, layout *l) {
    static const char *const hint = "build it again from the ARPA file with this machine's build_binary, or use the ARPA file itself";
    if (l->size >= strlen(MAGIC_INCOMPLETE) && memcmp(l->file, MAGIC_INCOMPLETE, strlen(MAGIC_INCOMPLETE)) == 0)
        return refuse(l, "is a KenLM file that was never finished: build_binary was interrupted");
    const size_t prefix = strlen(MAGIC_BEFORE_VERSION);
    if (l->size < SANITY_SIZE + FIXED_SIZE || memcmp(l->file, MAGIC_BEFORE_VERSION, prefix) != 0) return refuse(l, "is cut short inside the header");
    long version = 0;
    for (size_t i = prefix + 1; i < prefix + 9 && l->file[i] >= '0' && l->file[i] <= '9'; i++) version = version * 10 + (l->file[i] - '0');
    if (version != VERSION) {
        sv_fail(l->err, SV_E_MODEL, l->path, "is a KenLM file of format version %ld; only version %d can be read", version, VERSION);
        return sv_hint(l->err, SV_E_MODEL, "%s", hint);
    }
    if (!sanity_holds(l->file)) {
        refuse(l, "was built on another kind of machine: the test values in its header do not match");
        return sv_hint(l->err, SV_E_MODEL, "%s", hint);
    }
    const unsigned char *fixed = l->file + SANITY_SIZE;
    m->order = fixed[0];
    l->multiplier = sv_load_float(fixed + 4);
    uint32_t type = sv_load32(fixed + 8), search = sv_load32(fixed + 16);
    if (type > SV_KENLM_QUANT_ARRAY_TRIE) return sv_fail(l->err, SV_E_MODEL, l->path, "is of the unknown model type %u", type);
    m->type = (sv_kenlm_type)type;
    uint32_t expected = type >= SV_KENLM_TRIE ? TRIE_VERSION : PROBING_VERSION;
    if (search != expected) {
        sv_fail(l->err, SV_E_MODEL, l->path, "has %s of version %u; only version %u can be read", sv_kenlm_kind(m), search, expected);
        return sv_hint(l->err, SV_E_MODEL, "%s", hint);
    }
    if (m->order < 2 || m->order > SV_KENLM_MAX_ORDER)
        return sv_fail(l->err, SV_E_MODEL, l->path, "is of order %d; 2 to %d can be read", m->order, SV_KENLM_MAX_ORDER);
    if (type < SV_KENLM_TRIE && !(l->multiplier >= 1.0f && l->multiplier < 1000.0f)) return refuse(l, "has an impossible probing multiplier");
    const unsigned char *counts = NULL;
    l->at = SANITY_SIZE + FIXED_SIZE;
    SV_TRY(take(l, 8 * (uint64_t)m->order, &counts));
    for (int i = 0; i < m->order; i++) {
        l->counts[i] = sv_load64(counts + 8 * i);
        /* Each entry takes a bit at least: anything more is broken, and would overflow what follows. */
        if (l->counts[i] / 8 > l->size) return refuse(l, "is cut short: the header counts more n-grams than the file has room for");
    }
    if (l->counts[0] == 0 || l->counts[0] >= UINT32_MAX) return refuse(l, "has an impossible number of words");
    l->at = (l->at + 7) / 8 * 8;
    if (l->at > l->size) return refuse(l, "is cut short inside the header");
    m->unigram_count = l->counts[0] + 1;
    return SV_OK;
}

/* ---- probing hash tables ---- */

static sv_status take_table(layout *l, uint64_t entries, uint32_t stride, sv_kenlm_table *t) {
    uint64_t wanted = (uint64_t)(l->multiplier * (float)entries), least = entries + 1;
    t->buckets = wanted > least ? wanted : least;
    t->stride = stride;
    const unsigned char *base = NULL;
    if (t->buckets > l->size / stride + 1) t->buckets = l->size;      /* does not fit, and must not overflow */
    SV_TRY(take(l, t->buckets * stride, &base));
    t->base = (unsigned char *)(uintptr_t)base;
    return SV_OK;
}

static sv_status lay_out_probing(sv_kenlm *m, layout *l) {
    const unsigned char *vocabulary = NULL;
    SV_TRY(take(l, 8, &vocabulary));
    if (sv_load32(vocabulary) != PROBING_VERSION)
        return sv_fail(l->err, SV_E_MODEL, l->path, "has a word table of version %u; only version %d can be read", sv_load32(vocabulary), PROBING_VERSION);
    SV_TRY(take_table(l, l->counts[0], 12, &m->vocabulary));
    bool rest = m->type == SV_KENLM_REST_PROBING;      /* a third float, for decoders that look ahead */
    m->unigram_stride = rest ? 12 : 8;
    SV_TRY(take(l, m->unigram_count * m->unigram_stride, &m->unigrams));
    for (int order = 2; order <= m->order; order++)
        SV_TRY(take_table(l, l->counts[order - 1], order == m->order ? 12 : rest ? 20 : 16, &m->tables[order - 2]));
    return SV_OK;
}

/* ---- tries ---- */

/* How many high bits of `next` array compression keeps apart: those that save most (bhiksha.cc; Raj and Whittaker 2003). */
static unsigned chopped_bits(uint64_t max_offset, uint64_t max_next, unsigned configured) {
    unsigned required = required_bits(max_next), most = required < configured ? required : configured, best = 0;
    int64_t lowest = INT64_MAX;
    for (unsigned chop = 0; chop <= most; chop++) {
        int64_t change = (int64_t)((max_next >> (required - chop)) * 64 - max_offset * chop);
        if (change < lowest) {
            lowest = change;
            best = chop;
        }
    }
    return best;
}

static sv_status take_level(layout *l, sv_kenlm_level *level, uint64_t entries, uint64_t max_next, bool array, unsigned configured) {
    level->entries = entries;
    level->word_bits = required_bits(l->counts[0]);
    level->next_bits = max_next ? required_bits(max_next) : 0;
    const unsigned char *part = NULL;
    if (array && max_next) {
        unsigned chop = chopped_bits(entries + 1, max_next, configured);
        uint64_t align = (8 - l->at % 8) % 8;
        level->offset_count = (max_next >> (level->next_bits - chop)) + 1;
        level->next_bits -= chop;
        SV_TRY(take(l, 8 * (1 + level->offset_count) + 7, &part));
        level->offsets = part + align + 8;             /* behind a header of 8 bytes; the 7 are for the alignment */
    }
    level->bits = level->word_bits + level->value_bits + level->next_bits;
    /* one entry more for the last end, 8 bytes more so that a read of 8 at any bit stays inside */
    SV_TRY(take(l, ((1 + entries) * level->bits + 7) / 8 + 8, &level->base));
    return SV_OK;
}

static sv_status lay_out_trie(sv_kenlm *m, layout *l) {
    const bool quant = m->type == SV_KENLM_QUANT_TRIE || m->type == SV_KENLM_QUANT_ARRAY_TRIE;
    const bool array = m->type == SV_KENLM_ARRAY_TRIE || m->type == SV_KENLM_QUANT_ARRAY_TRIE;
    const unsigned char *part = NULL;
    SV_TRY(take(l, 8 + 8 * l->counts[0], &part));
    m->sorted_count = sv_load64(part);
    m->sorted = part + 8;
    if (m->sorted_count > l->counts[0]) return refuse(l, "is broken: its word list is longer than its header says");
    unsigned prob_bits = 31, backoff_bits = 32;
    const unsigned char *tables = NULL;
    if (quant) {
        SV_TRY(take(l, 8, &part));
        if (part[0] != QUANT_VERSION)
            return sv_fail(l->err, SV_E_MODEL, l->path, "has quantization of version %u; only version %d can be read", part[0], QUANT_VERSION);
        prob_bits = part[1];
        backoff_bits = part[2];
        if (prob_bits < 1 || prob_bits > 25 || backoff_bits < 1 || backoff_bits > 25) return refuse(l, "is broken: quantization to an impossible number of bits");
        SV_TRY(take(l, 4 * ((uint64_t)(m->order - 1) << prob_bits) + 4 * ((uint64_t)(m->order - 2) << backoff_bits), &tables));
    }
    m->unigram_stride = 16;
    SV_TRY(take(l, (l->counts[0] + 2) * 16, &m->unigrams));      /* one for a missing <unk>, one for the last end */
    unsigned configured = 0;
    if (array && m->order > 2) {
        if (l->size - l->at < 2) return refuse(l, "is cut short");
        if (l->file[l->at] != ARRAY_VERSION)
            return sv_fail(l->err, SV_E_MODEL, l->path, "has array compression of version %u; only version %d can be read", l->file[l->at], ARRAY_VERSION);
        configured = l->file[l->at + 1];
    }
    for (int order = 2; order <= m->order; order++) {
        sv_kenlm_level *level = &m->levels[order - 2];
        bool longest = order == m->order;
        level->prob_bits = prob_bits;
        level->backoff_bits = backoff_bits;
        level->value_bits = longest ? prob_bits : prob_bits + backoff_bits;
        if (quant) {
            level->probs = tables;
            level->backoffs = longest ? NULL : tables + ((uint64_t)4 << prob_bits);
            if (!longest) tables += ((uint64_t)4 << prob_bits) + ((uint64_t)4 << backoff_bits);
        }
        SV_TRY(take_level(l, level, l->counts[order - 1], longest ? 0 : l->counts[order], array, configured));
    }
    return SV_OK;
}

/* ---- the file ---- */

sv_status sv_kenlm_map_binary(sv_kenlm *m, const char *path, sv_error *err) {
    SV_TRY(sv_file_map(path, &m->map, &m->map_size, err));
    layout l = {.path = path, .file = m->map, .size = m->map_size, .err = err};
    SV_TRY(read_header(m, &l));
    return m->type >= SV_KENLM_TRIE ? lay_out_trie(m, &l) : lay_out_probing(m, &l);
}
