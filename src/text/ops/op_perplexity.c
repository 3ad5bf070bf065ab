/* op_perplexity.c - perplexity_filter: captions that a language model finds neither too odd nor, where asked for, too plain. */
#include "text/models/perplexity.h"
#include "text/words.h"

typedef struct sv_perplexity_settings {
    sv_range range;
    char *lang, *spm, *lm;
    sv_perplexity *model;
} sv_perplexity_settings;

static const sv_option options[] = {
    {"lang", SV_OPT_STRING, offsetof(sv_perplexity_settings, lang), "en",
     .help = "language: part of the model files' names where these are not given"},
    {"spm", SV_OPT_PATH, offsetof(sv_perplexity_settings, spm), "null", .nullable = true,
     .help = "SentencePiece model; null: LANG.sp.model where Data-Juicer looks for it"},
    {"lm", SV_OPT_PATH, offsetof(sv_perplexity_settings, lm), "null", .nullable = true,
     .help = "ARPA file (.gz too) or KenLM binary over the pieces; null: LANG.arpa.bin where Data-Juicer looks for it"},
    SV_RANGE_OPTIONS(sv_perplexity_settings, "min_ppl", "0", "max_ppl", "1500"),
    {0}};

static void perplexity_close(void *state) { sv_perplexity_close(&((sv_perplexity_settings *)state)->model); }

static sv_status perplexity_open(void *state, const char *where, sv_error *err) {
    sv_perplexity_settings *p = state;
    SV_TRY(sv_model_file(&p->spm, p->lang, ".sp.model", "spm", "SentencePiece model", where, err));
    SV_TRY(sv_model_file(&p->lm, p->lang, ".arpa.bin", "lm", "language model", where, err));
    return sv_perplexity_open(&p->model, p->spm, p->lm, err);
}

static sv_status perplexity_measure(const void *state, sv_scan *s, double *value, sv_error *err) {
    return sv_perplexity_value(((const sv_perplexity_settings *)state)->model, s->text, s->size, value, err);
}

const sv_op sv_op_perplexity = {
    .info = {"perplexity_filter", SV_OP_FILTER, "perplexity", "perplexity under a KenLM language model over SentencePiece pieces"},
    .options = options, .size = sizeof(sv_perplexity_settings), .open = perplexity_open, .close = perplexity_close, .measure = perplexity_measure};
