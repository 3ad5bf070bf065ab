/* op_repetition.c - character_repetition_filter and word_repetition_filter. They look alike and use different rules. */
#include <math.h>
#include <stdlib.h>

#include "text/words.h"

typedef struct sv_character_repetition {
    sv_range range;
    int64_t rep_len;
} sv_character_repetition;

static const sv_option character_options[] = {
    {"rep_len", SV_OPT_INT, offsetof(sv_character_repetition, rep_len), "10", .min = 1, .max = 1 << 20, .help = "characters per n-gram"},
    SV_RANGE_OPTIONS(sv_character_repetition, "min_ratio", "0.0", "max_ratio", "0.5"),
    {0}};

static int descending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x < y) - (x > y);
}

/* With D different n-grams, the k = min(floor(sqrt(D)), those that repeat) most frequent ones make up the numerator. */
static sv_status character_measure(const void *state, sv_scan *s, double *value, sv_error *err) {
    const sv_character_repetition *c = state;
    sv_scan_counts(s);
    sv_units units = {.text = s->text, .length = s->length};
    if (!s->ascii) {
        SV_TRY(sv_scan_begins(s, err));
        units.begin = s->begin;
    }
    sv_ngram_counts counts;
    SV_TRY(sv_ngrams_count(&s->ngrams, &units, (size_t)c->rep_len, &counts, err));
    *value = 0.0;
    if (counts.repeated_count == 0) return SV_OK;
    size_t k = (size_t)sqrt((double)counts.distinct);
    if (k < counts.repeated_count)
        qsort(s->ngrams.repeated, counts.repeated_count, sizeof(uint32_t), descending);
    else
        k = counts.repeated_count;
    uint64_t sum = 0;
    for (size_t i = 0; i < k; i++) sum += counts.repeated[i];
    *value = (double)sum / (double)counts.total;
    return SV_OK;
}

const sv_op sv_op_character_repetition = {
    .info = {"character_repetition_filter", SV_OP_FILTER, "char_rep_ratio", "share of the most frequent character n-grams"},
    .options = character_options, .size = sizeof(sv_character_repetition), .measure = character_measure};

typedef struct sv_word_repetition {
    sv_range range;
    sv_word_source source;
    int64_t rep_len;
} sv_word_repetition;

static const sv_option word_options[] = {
    SV_WORD_OPTIONS(sv_word_repetition),
    {"rep_len", SV_OPT_INT, offsetof(sv_word_repetition, rep_len), "10", .min = 1, .max = 1 << 20, .help = "words per n-gram"},
    SV_RANGE_OPTIONS(sv_word_repetition, "min_ratio", "0.0", "max_ratio", "0.5"),
    {0}};

static sv_status word_open(void *state, const char *where, sv_error *err) {
    return sv_word_source_open(&((sv_word_repetition *)state)->source, where, err);
}

static void word_close(void *state) { sv_word_source_close(&((sv_word_repetition *)state)->source); }

/* Every n-gram that occurs more than once counts, as often as it occurs. */
static sv_status word_measure(const void *state, sv_scan *s, double *value, sv_error *err) {
    const sv_word_repetition *w = state;
    SV_TRY(sv_scan_words(s, w->source.pieces, err));
    sv_units units = {.text = s->words.data, .begin = s->word_begin, .gap = 1, .hash = s->word_hash, .length = s->word_count};
    sv_ngram_counts counts;
    SV_TRY(sv_ngrams_count(&s->ngrams, &units, (size_t)w->rep_len, &counts, err));
    uint64_t sum = 0;
    for (size_t i = 0; i < counts.repeated_count; i++) sum += counts.repeated[i];
    *value = counts.total ? (double)sum / (double)counts.total : 0.0;
    return SV_OK;
}

const sv_op sv_op_word_repetition = {
    .info = {"word_repetition_filter", SV_OP_FILTER, "word_rep_ratio", "share of word n-grams that occur more than once"},
    .options = word_options, .size = sizeof(sv_word_repetition), .open = word_open, .close = word_close, .measure = word_measure};
