/* op_ratios.c - alphanumeric_filter and special_characters_filter: the share of one class of characters. */
#include "text/ops/op.h"

typedef struct sv_alphanumeric {
    sv_range range;
    bool tokenization;
} sv_alphanumeric;

static const sv_option alphanumeric_options[] = {
    {"tokenization", SV_OPT_BOOL, offsetof(sv_alphanumeric, tokenization), "false", .help = "count letters per token instead (not available)"},
    SV_RANGE_OPTIONS(sv_alphanumeric, "min_ratio", "0.25", "max_ratio", "null"),
    {0}};

static sv_status alphanumeric_open(void *state, const char *where, sv_error *err) {
    const sv_alphanumeric *a = state;
    if (!a->tokenization) return SV_OK;
    sv_fail(err, SV_E_RECIPE, where, "tokenization: true is not available, because it needs the tokenizer of EleutherAI/pythia-6.9b-deduped");
    return sv_hint(err, SV_E_RECIPE, "the published recipes set tokenization: false");
}

static sv_status alphanumeric_measure(const void *state, sv_scan *s, double *value, sv_error *err) {
    sv_scan_counts(s);
    *value = s->length ? (double)s->alnum / s->length : 0.0;
    return SV_OK;
}

const sv_op sv_op_alphanumeric = {
    .info = {"alphanumeric_filter", SV_OP_FILTER, "alnum_ratio", "share of letters and digits among all characters"},
    .options = alphanumeric_options, .size = sizeof(sv_alphanumeric), .open = alphanumeric_open, .measure = alphanumeric_measure};

typedef struct sv_special_characters {
    sv_range range;
} sv_special_characters;

static const sv_option special_options[] = {SV_RANGE_OPTIONS(sv_special_characters, "min_ratio", "0.0", "max_ratio", "0.25"), {0}};

static sv_status special_measure(const void *state, sv_scan *s, double *value, sv_error *err) {
    sv_scan_counts(s);
    *value = s->length ? (double)s->special / s->length : 0.0;
    return SV_OK;
}

const sv_op sv_op_special_characters = {
    .info = {"special_characters_filter", SV_OP_FILTER, "special_char_ratio", "share of punctuation, digits, white space, symbols and emoji"},
    .options = special_options, .size = sizeof(sv_special_characters), .measure = special_measure};
