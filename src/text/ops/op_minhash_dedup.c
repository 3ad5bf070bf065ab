/* op_minhash_dedup.c - document_minhash_deduplicator: keeps the first of captions that share most of their shingles. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "text/dedup/clusters.h"
#include "text/dedup/minhash.h"
#include "text/ops/op.h"
#include "text/pattern.h"
#include "text/tokenizer/sentencepiece.h"
#include "text/unicode/unicode.h"

enum tokenization { BY_SPACE, BY_PUNCTUATION, BY_CHARACTER, BY_SENTENCEPIECE };

typedef struct sv_minhash_dedup {
    int tokenization, short_texts;
    int64_t window_size, num_permutations, num_bands, num_rows_per_band;
    bool lowercase;
    char *ignore_pattern, *tokenizer_model;
    double jaccard_threshold;
    /* made from the settings */
    size_t bands, rows;
    sv_permutation *permutations;
    sv_pattern *ignore;
    sv_spm *pieces;
    bool ignore_punctuation;     /* the pattern is \p{P}: as the regex module knows it, without PCRE2 */
    sv_clusters clusters;
} sv_minhash_dedup;

static const sv_option options[] = {
    {"tokenization", SV_OPT_CHOICE, offsetof(sv_minhash_dedup, tokenization), "space", .choices = "space|punctuation|character|sentencepiece",
     .help = "what shingles are made of: words, stretches between punctuation, characters, pieces"},
    {"window_size", SV_OPT_INT, offsetof(sv_minhash_dedup, window_size), "5", .min = 1, .max = 1 << 20, .help = "tokens per shingle"},
    {"lowercase", SV_OPT_BOOL, offsetof(sv_minhash_dedup, lowercase), "true", .help = "compare in lower case"},
    {"ignore_pattern", SV_OPT_STRING, offsetof(sv_minhash_dedup, ignore_pattern), "null", .nullable = true,
     .help = "regular expression of what is left out"},
    {"num_permutations", SV_OPT_INT, offsetof(sv_minhash_dedup, num_permutations), "256", .min = 1, .max = SV_MINHASH_MAX,
     .help = "length of a signature"},
    {"jaccard_threshold", SV_OPT_REAL, offsetof(sv_minhash_dedup, jaccard_threshold), "0.7", .min = 0, .max = 1,
     .help = "similarity from which on captions are duplicates"},
    {"num_bands", SV_OPT_INT, offsetof(sv_minhash_dedup, num_bands), "null", .nullable = true, .min = 1, .max = SV_MINHASH_MAX,
     .help = "bands of a signature; null: from the threshold"},
    {"num_rows_per_band", SV_OPT_INT, offsetof(sv_minhash_dedup, num_rows_per_band), "null", .nullable = true, .min = 1, .max = SV_MINHASH_MAX,
     .help = "values per band; null: from the threshold"},
    {"tokenizer_model", SV_OPT_PATH, offsetof(sv_minhash_dedup, tokenizer_model), "null", .nullable = true,
     .help = "SentencePiece model, for tokenization: sentencepiece"},
    {"short_texts", SV_OPT_CHOICE, offsetof(sv_minhash_dedup, short_texts), "duplicates", .choices = "duplicates|keep",
     .help = "captions with fewer tokens than a shingle: duplicates of each other, as in Data-Juicer, or all kept"},
    {0}};

static void minhash_close(void *state) {
    sv_minhash_dedup *m = state;
    sv_clusters_clear(&m->clusters);
    sv_pattern_close(&m->ignore);
    sv_spm_close(&m->pieces);
    free(m->permutations);
    m->permutations = NULL;
}

static sv_status minhash_open(void *state, const char *where, sv_error *err) {
    sv_minhash_dedup *m = state;
    if (m->tokenization == BY_SENTENCEPIECE) {
        if (!m->tokenizer_model)
            return sv_hint(err, sv_fail(err, SV_E_RECIPE, where, "tokenization: sentencepiece needs a model"),
                           "set tokenizer_model to a SentencePiece .model file");
        SV_TRY(sv_spm_open(&m->pieces, m->tokenizer_model, err));
    }
    if (m->num_bands == INT64_MIN || m->num_rows_per_band == INT64_MIN) {
        SV_TRY(sv_minhash_bands(m->jaccard_threshold, (size_t)m->num_permutations, &m->bands, &m->rows, err));
    } else {
        m->bands = (size_t)m->num_bands;
        m->rows = (size_t)m->num_rows_per_band;
        if (m->bands * m->rows > (size_t)m->num_permutations)
            return sv_fail(err, SV_E_RECIPE, where, "num_bands x num_rows_per_band is %zu, more than num_permutations, %lld",
                           m->bands * m->rows, (long long)m->num_permutations);
    }
    m->clusters.bands = m->bands;
    m->permutations = malloc(m->bands * m->rows * sizeof *m->permutations);
    if (!m->permutations) return sv_fail_memory(err, where, m->bands * m->rows * sizeof *m->permutations);
    sv_minhash_permutations(m->permutations, m->bands * m->rows);
    if (!m->ignore_pattern || !*m->ignore_pattern) return SV_OK;
    m->ignore_punctuation = sv_str_eq(m->ignore_pattern, "\\p{P}") || sv_str_eq(m->ignore_pattern, "\\p{P}+");
    return m->ignore_punctuation ? SV_OK : sv_pattern_open_regex(&m->ignore, m->ignore_pattern, false, where, err);
}

/* The text that shingles are cut from, in the scan's spare memory. */
static sv_status comparable(const sv_minhash_dedup *m, sv_scan *s, sv_buf **text, sv_error *err) {
    sv_buf *b = sv_scan_spare(s);
    *text = b;
    if (m->lowercase) sv_lower_append(s->text, s->size, b);
    else sv_buf_add(b, s->text, s->size);
    SV_TRY(sv_buf_ok(b, err));
    if (m->ignore) {
        sv_buf replaced = {0};
        sv_status st = sv_pattern_replace(m->ignore, b->data, b->size, "", &replaced, err);
        if (st == SV_OK) {
            sv_buf_clear(b);
            sv_buf_add(b, replaced.data ? replaced.data : "", replaced.size);
            st = sv_buf_ok(b, err);
        }
        sv_buf_free(&replaced);
        return st;
    }
    if (!m->ignore_punctuation) return SV_OK;
    char *to = b->data;
    for (const char *p = b->data, *end = p + b->size; p < end;) {
        const char *at = p;
        if (sv_char_is(sv_next_char(&p), SV_CH_RE_PUNCT)) continue;
        memmove(to, at, (size_t)(p - at));
        to += p - at;
    }
    b->size = (size_t)(to - b->data);
    return SV_OK;
}

/* Rewrites the text so that its tokens stand one byte apart (characters and pieces: none), and notes where each begins; one more entry where
 * a next one would. Shingles are then stretches of it. */
static size_t cut_tokens(enum tokenization how, sv_buf *b, uint32_t *begin) {
    size_t n = 0;
    char *to = b->data;
    const char *p = b->data, *end = p + b->size;
    if (how == BY_CHARACTER) {
        for (size_t i = 0; i < b->size; i++)
            if (((unsigned char)b->data[i] & 0xC0) != 0x80) begin[n++] = (uint32_t)i;
        begin[n] = (uint32_t)b->size;
        return n;
    }
    if (how == BY_SENTENCEPIECE) {   /* a space parts the pieces, and vanishes */
        while (p < end) {
            begin[n++] = (uint32_t)(to - b->data);
            while (p < end && *p != ' ') *to++ = *p++;
            p++;
        }
        begin[n] = (uint32_t)(to - b->data);
        return n;
    }
    if (how == BY_SPACE) {           /* U+0020 only; runs count as one */
        while (p < end) {
            while (p < end && *p == ' ') p++;
            if (p == end) break;
            begin[n++] = (uint32_t)(to - b->data);
            while (p < end && *p != ' ') *to++ = *p++;
            if (p < end) *to++ = *p++;
        }
        begin[n] = (uint32_t)(to - b->data) + (to > b->data && to[-1] != ' ');
        return n;
    }
    begin[n++] = 0;                  /* every punctuation mark ends a token, which may be empty */
    while (p < end) {
        const char *at = p;
        if (sv_char_is(sv_next_char(&p), SV_CH_RE_PUNCT)) {
            *to++ = ' ';
            begin[n++] = (uint32_t)(to - b->data);
        } else {
            memmove(to, at, (size_t)(p - at));
            to += p - at;
        }
    }
    begin[n] = (uint32_t)(to - b->data) + 1;
    return n;
}

static size_t minhash_key_size(const void *state) { return ((const sv_minhash_dedup *)state)->bands * sizeof(uint64_t); }

static sv_status minhash_key(const void *state, sv_scan *s, void *key, sv_error *err) {
    const sv_minhash_dedup *m = state;
    sv_buf *text;
    SV_TRY(comparable(m, s, &text, err));
    if (m->pieces) {
        SV_TRY(sv_spm_encode(m->pieces, text->data, text->size, &s->pieces, err));
        text = &s->pieces;
        if (!sv_buf_reserve(text, 1)) return sv_buf_ok(text, err);   /* no pieces: no memory either */
    }
    uint32_t *begin;
    SV_TRY(sv_scan_marks(s, text->size + 2, &begin, err));
    size_t tokens = cut_tokens((enum tokenization)m->tokenization, text, begin), window = (size_t)m->window_size;
    size_t gap = m->tokenization == BY_SPACE || m->tokenization == BY_PUNCTUATION, values = m->bands * m->rows;
    uint32_t signature[SV_MINHASH_MAX];
    memset(signature, 0xFF, values * sizeof *signature);
    for (size_t i = 0; i + window <= tokens; i++)
        sv_minhash_add(m->permutations, values, sv_minhash_shingle(text->data + begin[i], begin[i + window] - gap - begin[i]), signature);
    bool apart = tokens < window && m->short_texts == 1;
    for (size_t b = 0; b < m->bands; b++) {
        uint64_t h = apart ? 0 : sv_hash64(signature + b * m->rows, m->rows * sizeof *signature, 0);
        if (h == 0 && !apart) h = 1;
        memcpy((char *)key + b * sizeof h, &h, sizeof h);
    }
    return SV_OK;
}

static sv_status minhash_learn(void *state, const void *key, uint64_t number, int64_t *duplicate_of, sv_error *err) {
    *duplicate_of = -1;
    return sv_clusters_add(&((sv_minhash_dedup *)state)->clusters, key, number, err);
}

static sv_status minhash_settle(void *state, sv_error *err) { return sv_clusters_settle(&((sv_minhash_dedup *)state)->clusters, err); }

static sv_status minhash_recall(const void *state, size_t index, uint64_t number, int64_t *duplicate_of, sv_error *err) {
    const sv_clusters *c = &((const sv_minhash_dedup *)state)->clusters;
    if (index >= c->count || sv_clusters_number(c, index) != number)
        return sv_fail(err, SV_E_USAGE, "document_minhash_deduplicator",
                       "the captions of this pass are not those of the pass before: number %llu was not expected", (unsigned long long)number);
    uint64_t first = sv_clusters_first(c, index);
    *duplicate_of = c->parent[index] == index ? -1 : (int64_t)first;
    return SV_OK;
}

static void minhash_scratch(void *state, const char *dir) { ((sv_minhash_dedup *)state)->clusters.dir = dir; }

static const sv_dedup minhash_dedup = {.key_size = minhash_key_size, .key = minhash_key, .learn = minhash_learn,
                                       .settle = minhash_settle, .recall = minhash_recall, .scratch = minhash_scratch};

const sv_op sv_op_minhash_dedup = {
    .info = {"document_minhash_deduplicator", SV_OP_DEDUPLICATOR, NULL, "keeps the first of captions that share most of their word groups"},
    .options = options, .size = sizeof(sv_minhash_dedup), .open = minhash_open, .close = minhash_close, .dedup = &minhash_dedup};
