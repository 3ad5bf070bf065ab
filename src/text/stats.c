/* stats.c - every rule statistic of one text: the filters of the table, measured without judging. */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/ops/op.h"
#include "text/view.h"

/* Scans that no thread is using. A thread takes one from a place that holds one, and puts it back into a place that is free. */
enum { PLACES = 64, STATS = 24 };

struct sv_stats {
    sv_view view;
    sv_instance filters[STATS];
    size_t filter_count;
    struct {
        const sv_instance *filter;
        bool word;               /* the second value of its filter */
    } stats[STATS];
    size_t count;
    _Atomic(sv_scan *) places[PLACES];
};

void sv_stats_options_init(sv_stats_options *o) {
    *o = (sv_stats_options){.view = SV_VIEW_BARE, .char_rep_len = 10, .word_rep_len = 10, .lang = "en"};
}

/* Opens one filter with the parameters that the options say; the others are defaults, and limits do not matter here. */
static sv_status add(sv_stats *s, const char *name, yyjson_mut_doc *doc, yyjson_mut_val *params, sv_error *err) {
    const sv_op *op = sv_op_row(name);
    if (!op || s->count + 1 >= STATS) return sv_fail(err, SV_E_INTERNAL, name, "not in the operator table");
    yyjson_doc *fixed = params ? yyjson_mut_val_imut_copy(params, NULL) : NULL;
    if (params && !fixed) return sv_fail_memory(err, name, 0);
    sv_instance *filter = &s->filters[s->filter_count];
    sv_status st = sv_instance_open(filter, op, yyjson_doc_get_root(fixed), name, NULL, err);
    yyjson_doc_free(fixed);
    if (st != SV_OK) return st;
    s->filter_count++;
    s->stats[s->count++].filter = filter;
    if (!op->word_stat) return SV_OK;
    s->stats[s->count].filter = filter;
    s->stats[s->count++].word = true;
    return SV_OK;
}

static sv_status add_all(sv_stats *s, const sv_stats_options *o, yyjson_mut_doc *doc, sv_error *err) {
    yyjson_mut_val *char_rep = yyjson_mut_obj(doc), *word_rep = yyjson_mut_obj(doc), *flagged = yyjson_mut_obj(doc), *tokens = yyjson_mut_obj(doc),
                   *perplexity = yyjson_mut_obj(doc), *language = yyjson_mut_obj(doc);
    if (!yyjson_mut_obj_add_int(doc, char_rep, "rep_len", o->char_rep_len) || !yyjson_mut_obj_add_int(doc, word_rep, "rep_len", o->word_rep_len) ||
        !yyjson_mut_obj_add_strcpy(doc, flagged, "flagged_words_dir", o->flagged_file ? o->flagged_file : "") ||
        !yyjson_mut_obj_add_strcpy(doc, flagged, "lang", o->lang ? o->lang : "en") ||
        !yyjson_mut_obj_add_strcpy(doc, tokens, "hf_tokenizer", o->tokenizer ? o->tokenizer : "") ||
        !yyjson_mut_obj_add_strcpy(doc, perplexity, "spm", o->spm ? o->spm : "") ||
        !yyjson_mut_obj_add_strcpy(doc, perplexity, "lm", o->lm ? o->lm : "") ||
        !yyjson_mut_obj_add_strcpy(doc, language, "model", o->lang_model ? o->lang_model : ""))
        return sv_fail_memory(err, "statistics", 0);
    SV_TRY(add(s, "alphanumeric_filter", doc, NULL, err));
    SV_TRY(add(s, "special_characters_filter", doc, NULL, err));
    SV_TRY(add(s, "character_repetition_filter", doc, char_rep, err));
    SV_TRY(add(s, "word_repetition_filter", doc, word_rep, err));
    if (o->flagged_file) SV_TRY(add(s, "flagged_words_filter", doc, flagged, err));
    SV_TRY(add(s, "words_num_filter", doc, NULL, err));
    SV_TRY(add(s, "text_length_filter", doc, NULL, err));
    SV_TRY(add(s, "average_line_length_filter", doc, NULL, err));
    SV_TRY(add(s, "maximum_line_length_filter", doc, NULL, err));
    if (o->lm && o->spm) SV_TRY(add(s, "perplexity_filter", doc, perplexity, err));
    if (o->tokenizer) SV_TRY(add(s, "token_num_filter", doc, tokens, err));
    return o->lang_model ? add(s, "language_id_score_filter", doc, language, err) : SV_OK;
}

sv_status sv_stats_open(sv_stats **out, const sv_stats_options *o, sv_error *err) {
    *out = NULL;
    if (!o->lm != !o->spm)
        return sv_hint(err, sv_fail(err, SV_E_USAGE, "perplexity", "a language model and a SentencePiece model go together, and the %s is missing",
                                    o->lm ? "latter" : "former"),
                       "give --lm FILE (ARPA or KenLM binary) and --spm FILE (.model)");
    sv_stats *s = calloc(1, sizeof *s);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    sv_status st = s && doc ? SV_OK : sv_fail_memory(err, "statistics", sizeof *s);
    if (st == SV_OK) {
        s->view = o->view;
        st = add_all(s, o, doc, err);
    }
    yyjson_mut_doc_free(doc);
    if (st != SV_OK) sv_stats_close(&s);
    *out = s;
    return st;
}

void sv_stats_close(sv_stats **handle) {
    sv_stats *s = *handle;
    if (!s) return;
    for (size_t i = 0; i < s->filter_count; i++) sv_instance_close(&s->filters[i]);
    for (int i = 0; i < PLACES; i++) {
        sv_scan *scan = atomic_load(&s->places[i]);
        if (!scan) continue;
        sv_scan_free(scan);
        free(scan);
    }
    free(s);
    *handle = NULL;
}

size_t sv_stats_count(const sv_stats *s) { return s->count; }
bool sv_stats_is_word(const sv_stats *s, size_t i) { return i < s->count && s->stats[i].word; }

const char *sv_stats_name(const sv_stats *s, size_t i) {
    if (i >= s->count) return NULL;
    const sv_op *op = s->stats[i].filter->op;
    return s->stats[i].word ? op->word_stat : op->info.stat;
}

const char *sv_stats_filter(const sv_stats *s, size_t i) { return i < s->count ? s->stats[i].filter->op->info.name : NULL; }

bool sv_stats_is_integer(const sv_stats *s, size_t i) { return i < s->count && !s->stats[i].word && s->stats[i].filter->op->integer; }

const char *sv_stats_word(const sv_stats *s, size_t i, double value) {
    if (!sv_stats_is_word(s, i) || isnan(value)) return NULL;
    return s->stats[i].filter->op->word(s->stats[i].filter->state, value);
}

static sv_scan *take_scan(sv_stats *s) {
    for (int i = 0; i < PLACES; i++) {
        sv_scan *scan = atomic_load_explicit(&s->places[i], memory_order_relaxed) ? atomic_exchange(&s->places[i], NULL) : NULL;
        if (scan) return scan;
    }
    return calloc(1, sizeof(sv_scan));
}

static void put_back(sv_stats *s, sv_scan *scan) {
    for (int i = 0; i < PLACES; i++) {
        sv_scan *none = NULL;
        if (atomic_compare_exchange_strong(&s->places[i], &none, scan)) return;
    }
    sv_scan_free(scan);
    free(scan);
}

sv_status sv_stats_compute(const sv_stats *stats, const char *text, size_t size, double *values, sv_error *err) {
    sv_stats *s = (sv_stats *)(uintptr_t)stats;      /* only the places change, atomically */
    if (size > SV_TEXT_MAX / 2) return sv_fail(err, SV_E_INPUT, "text", "%zu bytes are more than a caption may have", size);
    size_t valid = sv_utf8_valid(text, size);
    if (valid != size) return sv_fail(err, SV_E_INPUT, "text", "not valid UTF-8 at byte %zu", valid);
    sv_scan *scan = take_scan(s);
    if (!scan) return sv_fail_memory(err, "text", sizeof *scan);
    sv_status st = sv_view_set(s->view, scan, text, size, err);
    for (size_t i = 0; st == SV_OK && i < s->count; i++) {
        const sv_instance *filter = s->stats[i].filter;
        if (!s->stats[i].word) st = filter->op->measure(filter->state, scan, &values[i], err);
    }
    put_back(s, scan);
    return st;
}
