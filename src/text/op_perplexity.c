/* op_perplexity.c - perplexity_filter: captions that a language model finds neither too odd nor, where asked for, too plain. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "text/op.h"
#include "text/perplexity.h"

typedef struct sv_perplexity_settings {
    sv_range range;
    char *lang, *spm, *lm;
    sv_perplexity *model;
} sv_perplexity_settings;

static const sv_option options[] = {
    {"lang", SV_OPT_STRING, offsetof(sv_perplexity_settings, lang), "en", .help = "language: part of the model files' names where these are not given"},
    {"spm", SV_OPT_PATH, offsetof(sv_perplexity_settings, spm), "null", .nullable = true,
     .help = "SentencePiece model; null: LANG.sp.model where Data-Juicer looks for it"},
    {"lm", SV_OPT_PATH, offsetof(sv_perplexity_settings, lm), "null", .nullable = true,
     .help = "ARPA file (.gz too) or KenLM binary over the pieces; null: LANG.arpa.bin where Data-Juicer looks for it"},
    SV_RANGE_OPTIONS(sv_perplexity_settings, "min_ppl", "0", "max_ppl", "1500"),
    {0}};

/* The file where Data-Juicer looks for its models: the working directory, then its cache. malloc; NULL if it is in neither. */
static char *find_model(const char *lang, const char *ending) {
    const char *cache = getenv("DATA_JUICER_MODELS_CACHE"), *home = getenv("HOME");
    sv_buf name = {0}, standard = {0};
    sv_buf_printf(&name, "%s%s", lang, ending);
    sv_buf_printf(&standard, "%s/.cache/data_juicer/models", home ? home : "");
    char *found = NULL;
    if (!name.failed && !standard.failed && sv_path_is_inside(name.data)) {
        const char *const places[] = {"", cache ? cache : standard.data};
        for (int i = 0; i < 2 && !found; i++) {
            found = sv_path_join(places[i], name.data);
            if (found && !sv_is_file(found)) {
                free(found);
                found = NULL;
            }
        }
    }
    sv_buf_free(&name);
    sv_buf_free(&standard);
    return found;
}

static sv_status need(char **path, const char *lang, const char *ending, const char *key, const char *what, const char *where, sv_error *err) {
    if (!*path) *path = find_model(lang, ending);
    if (*path) return SV_OK;
    sv_fail(err, SV_E_MODEL, where, "no %s is given, and there is no %s%s", what, lang, ending);
    return sv_hint(err, SV_E_MODEL, "set %s to a file; Data-Juicer's %s%s is looked for in the working directory and in ~/.cache/data_juicer/models", key, lang, ending);
}

static void perplexity_close(void *state) { sv_perplexity_close(&((sv_perplexity_settings *)state)->model); }

static sv_status perplexity_open(void *state, const char *where, sv_error *err) {
    sv_perplexity_settings *p = state;
    SV_TRY(need(&p->spm, p->lang, ".sp.model", "spm", "SentencePiece model", where, err));
    SV_TRY(need(&p->lm, p->lang, ".arpa.bin", "lm", "language model", where, err));
    return sv_perplexity_open(&p->model, p->spm, p->lm, err);
}

static sv_status perplexity_measure(const void *state, sv_scan *s, double *value, sv_error *err) {
    return sv_perplexity_value(((const sv_perplexity_settings *)state)->model, s->text, s->size, value, err);
}

const sv_op sv_op_perplexity = {
    .info = {"perplexity_filter", SV_OP_FILTER, "perplexity", "perplexity under a KenLM language model over SentencePiece pieces"},
    .options = options, .size = sizeof(sv_perplexity_settings), .open = perplexity_open, .close = perplexity_close, .measure = perplexity_measure};
