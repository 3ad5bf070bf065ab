/* op_tokens.c - token_num_filter and clip_token_length_filter: captions by the number of tokens that an image model's text encoder sees. */
#include "base/file.h"
#include "synthvlm/tokenizer.h"
#include "text/ops/op.h"

typedef struct sv_tokens {
    sv_range range;
    char *dir;
    sv_tokenizer *tokenizer;
} sv_tokens;

static const sv_option token_num_options[] = {
    {"hf_tokenizer", SV_OPT_PATH, offsetof(sv_tokens, dir), "null", .nullable = true, .help = "directory of a CLIP tokenizer; must be given"},
    SV_RANGE_OPTIONS(sv_tokens, "min_num", "10", "max_num", "null"),
    {0}};

/* 75 content tokens fit a text encoder of 77 positions. */
static const sv_option clip_options[] = {
    {"tokenizer", SV_OPT_PATH, offsetof(sv_tokens, dir), "null", .nullable = true, .help = "directory of a CLIP tokenizer; must be given"},
    SV_RANGE_OPTIONS(sv_tokens, "min_num", "null", "max_num", "75"),
    {0}};

static void tokens_close(void *state) { sv_tokenizer_close(&((sv_tokens *)state)->tokenizer); }

static sv_status open_tokenizer(sv_tokens *t, const char *where, const char *key, sv_error *err) {
    if (!t->dir)
        return sv_hint(err, sv_fail(err, SV_E_RECIPE, where, "no tokenizer is given"),
                       "set %s to a directory with vocab.json and merges.txt, or tokenizer.json", key);
    if (!sv_is_dir(t->dir))
        return sv_hint(err, sv_fail(err, SV_E_MODEL, where, "%s names no directory: %s", key, t->dir),
                       "tokenizers are read from disk, names on a model hub are not looked up");
    return sv_tokenizer_open(&t->tokenizer, t->dir, err);
}

static sv_status token_num_open(void *state, const char *where, sv_error *err) { return open_tokenizer(state, where, "hf_tokenizer", err); }
static sv_status clip_open(void *state, const char *where, sv_error *err) { return open_tokenizer(state, where, "tokenizer", err); }

/* Content tokens: without start, end and padding. */
static sv_status tokens_measure(const void *state, sv_scan *s, double *value, sv_error *err) {
    SV_TRY(sv_tokenizer_encode(((const sv_tokens *)state)->tokenizer, s->text, s->size, SV_CLEAN_HF, &s->ids, err));
    *value = (double)s->ids.size;
    return SV_OK;
}

const sv_op sv_op_token_num = {
    .info = {"token_num_filter", SV_OP_FILTER, "num_token", "number of tokens of a CLIP tokenizer"},
    .integer = true, .options = token_num_options, .size = sizeof(sv_tokens), .open = token_num_open, .close = tokens_close,
    .measure = tokens_measure};

const sv_op sv_op_clip_token_length = {
    .info = {"clip_token_length_filter", SV_OP_FILTER, "clip_tokens", "number of tokens, to keep what a CLIP text encoder sees whole"},
    .integer = true, .options = clip_options, .size = sizeof(sv_tokens), .open = clip_open, .close = tokens_close,
    .measure = tokens_measure};
