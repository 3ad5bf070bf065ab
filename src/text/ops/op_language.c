/* op_language.c - language_id_score_filter: captions in given languages that a fastText classifier is sure of. */
#include <math.h>
#include <stdlib.h>

#include "text/models/fasttext.h"
#include "text/ops/op.h"
#include "text/unicode/unicode.h"
#include "text/words.h"

typedef struct sv_language {
    sv_range range;
    char *lang, *model_file;     /* lang: JSON, null, a code or a list of codes */
    /* made from the settings */
    yyjson_doc *wanted;          /* NULL: any language */
    sv_fasttext *model;
} sv_language;

static const sv_option options[] = {
    {"lang", SV_OPT_JSON, offsetof(sv_language, lang), "null", .nullable = true, .choices = "a language or a list of languages",
     .help = "languages to keep, as the model calls them; null or \"\": any"},
    {"min_score", SV_OPT_REAL, offsetof(sv_language, range.min), "0.8", .nullable = true, .help = "smallest probability of the language kept"},
    {"model", SV_OPT_PATH, offsetof(sv_language, model_file), "null", .nullable = true,
     .help = "fastText classifier, .bin or .ftz; null: lid.176.bin where Data-Juicer looks for it"},
    SV_RANGE_FLAGS(sv_language),
    {0}};

static void language_close(void *state) {
    sv_language *l = state;
    yyjson_doc_free(l->wanted);
    l->wanted = NULL;
    sv_fasttext_close(&l->model);
}

static sv_status read_wanted(sv_language *l, const char *where, sv_error *err) {
    if (!l->lang) return SV_OK;
    yyjson_doc *doc = yyjson_read(l->lang, strlen(l->lang), 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    bool any = yyjson_is_null(root) || yyjson_equals_str(root, "") || (yyjson_is_arr(root) && yyjson_arr_size(root) == 0);
    bool good = any || yyjson_is_str(root) || yyjson_is_arr(root);
    size_t i, n;
    yyjson_val *code;
    yyjson_arr_foreach(root, i, n, code) good = good && yyjson_is_str(code);
    if (good && !any) {
        l->wanted = doc;
        return SV_OK;
    }
    yyjson_doc_free(doc);
    if (good) return SV_OK;
    return sv_hint(err, sv_fail(err, SV_E_RECIPE, where, "lang must be a language or a list of languages"), "write lang: en, or lang: [en, de]");
}

static sv_status language_open(void *state, const char *where, sv_error *err) {
    sv_language *l = state;
    l->range.max = NAN;
    SV_TRY(read_wanted(l, where, err));
    SV_TRY(sv_model_file(&l->model_file, "lid.176", ".bin", "model", "model for language identification", where, err));
    return sv_fasttext_open(&l->model, l->model_file, err);
}

/* Data-Juicer lower-cases the text and makes a space of every line end. values: the probability, and which label. */
static sv_status language_measure(const void *state, sv_scan *s, double *values, sv_error *err) {
    const sv_language *l = state;
    sv_buf *line = sv_scan_spare(s);     /* not adopted: the caption keeps its text */
    sv_lower_append(s->text, s->size, line);
    SV_TRY(sv_buf_ok(line, err));
    int64_t label;
    float probability;
    SV_TRY(sv_fasttext_predict(l->model, line->data ? line->data : "", line->size, &s->language, &label, &probability, err));
    values[0] = (double)probability;
    values[1] = label < 0 ? NAN : (double)label;
    return SV_OK;
}

static const char *language_name(const void *state, double number) { return sv_fasttext_label(((const sv_language *)state)->model, (size_t)number); }

static bool language_keeps(const void *state, const char *name) {
    const sv_language *l = state;
    if (!l->wanted) return true;
    yyjson_val *root = yyjson_doc_get_root(l->wanted), *code;
    size_t i, n;
    if (!name) return false;
    if (yyjson_is_str(root)) return yyjson_equals_str(root, name);
    yyjson_arr_foreach(root, i, n, code)
        if (yyjson_equals_str(code, name)) return true;
    return false;
}

const sv_op sv_op_language_id = {
    .info = {"language_id_score_filter", SV_OP_FILTER, "lang_score", "probability of the language that a fastText classifier finds"},
    .options = options, .size = sizeof(sv_language), .open = language_open, .close = language_close, .measure = language_measure,
    .word_stat = "lang", .word = language_name, .keeps_word = language_keeps};
