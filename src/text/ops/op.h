/* op.h - what an operator is: one row of the table in ops.c, one file op_NAME.c.
 *
 * An operator's settings live in a struct of its own that its option table describes; a filter's begins with sv_range. An instance (one entry
 * of a process list) is that struct, filled in, plus whatever its `open` loads. Settings are read-only while captions are judged, except a
 * deduplicator's memory of the captions it has seen.
 */
#ifndef SV_TEXT_OP_H
#define SV_TEXT_OP_H

#include "base/options.h"
#include "synthvlm/text.h"
#include "text/scan.h"

/* What a filter keeps: values between the limits. NaN: no limit on that side. */
typedef struct sv_range {
    double min, max;
    bool min_closed, max_closed;     /* a value equal to the limit is inside */
    bool reversed;                   /* keep what lies outside; a value on a closed limit is kept, too */
    bool recompute;                  /* measure anew although an earlier filter of the list has the statistic */
} sv_range;

/* Data-Juicer's Filter.get_keep_boolean: reversing also flips both closed flags, NaN fails every limit. */
bool sv_range_keeps(const sv_range *r, double value);

/* The options of every filter; `type` begins with a member `sv_range range`. Limits of counts are given as numbers, too. */
#define SV_RANGE_OPTIONS(type, min_name, min_default, max_name, max_default)                                                                      \
    {min_name, SV_OPT_REAL, offsetof(type, range.min), min_default, .nullable = true, .help = "smallest value kept"},                             \
    {max_name, SV_OPT_REAL, offsetof(type, range.max), max_default, .nullable = true, .help = "largest value kept"},                              \
    SV_RANGE_FLAGS(type)
#define SV_RANGE_FLAGS(type)                                                                                                                      \
    {"min_closed_interval", SV_OPT_BOOL, offsetof(type, range.min_closed), "true", .help = "the smallest value itself is kept"},                  \
    {"max_closed_interval", SV_OPT_BOOL, offsetof(type, range.max_closed), "true", .help = "the largest value itself is kept"},                   \
    {"reversed_range", SV_OPT_BOOL, offsetof(type, range.reversed), "false", .help = "keep what lies outside the limits instead"},                \
    {"recompute", SV_OPT_BOOL, offsetof(type, range.recompute), "false", .help = "measure anew where an earlier filter already has the statistic"}

/* How a deduplicator remembers. key() runs on any thread and describes the caption in key_size bytes; the rest is called in the captions'
 * order by one thread. A deduplicator that must see the whole pool has settle and recall: in its learning pass verdicts are void, in later
 * passes recall() gives them. */
typedef struct sv_dedup {
    size_t (*key_size)(const void *state);
    sv_status (*key)(const void *state, sv_scan *s, void *key, sv_error *err);
    const char *(*stat)(const void *state);      /* selectors, instead of key: names the statistic whose value, a double, is the key */
    sv_status (*learn)(void *state, const void *key, uint64_t number, int64_t *duplicate_of, sv_error *err);   /* -1: seen for the first time */
    void (*restart)(void *state);                                                   /* before the next pass: forgets everything (not if settle) */
    sv_status (*settle)(void *state, sv_error *err);                                                           /* the whole pool was learnt */
    sv_status (*recall)(const void *state, size_t index, uint64_t number, int64_t *duplicate_of, sv_error *err);
    void (*scratch)(void *state, const char *dir);                                  /* where it may keep what is too large for memory; may be NULL */
    double (*cut)(const void *state);            /* selectors: the last value that is kept; what recall rejects repeats nothing */
} sv_dedup;

typedef struct sv_op {
    sv_op_info info;
    bool integer;                    /* the statistic counts something */
    const sv_option *options;
    size_t size;                     /* of the settings struct */
    sv_status (*open)(void *state, const char *where, sv_error *err);                    /* checks and loads; may be NULL */
    void (*close)(void *state);                                                          /* frees what open made; may be NULL */
    sv_status (*measure)(const void *state, sv_scan *s, double *value, sv_error *err);   /* filters; value[1] too if there is a word_stat */
    sv_status (*map)(const void *state, sv_scan *s, sv_error *err);                      /* mappers */
    const sv_dedup *dedup;                                                               /* deduplicators and selectors */
    int outside;                     /* sv_outside: filters that somebody else measures (outside.h), instead of measure */
    const struct sv_op *also;        /* a second filter that the same entry of the list is, on the same settings */
    size_t range_at;                 /* where the filter's range lies in its settings */
    /* Filters that find a word beside their number ("lang" beside "lang_score"): measured as a number, which is NaN where there is no word and which
     * `word` gives a name. A caption is kept if its value is in the range and the word is one that is kept. */
    const char *word_stat;
    const char *(*word)(const void *state, double number);                               /* static while the state lives; NULL for a wrong number */
    bool (*keeps_word)(const void *state, const char *word);                             /* word: NULL if there is none */
} sv_op;

/* One entry of a process list. */
typedef struct sv_instance {
    const sv_op *op;
    void *state;
} sv_instance;

static inline const sv_range *sv_instance_range(const sv_instance *in) { return (const sv_range *)(const void *)((const char *)in->state + in->op->range_at); }

/* Reads parameters (NULL or null: defaults) into memory of op->size bytes, as sv_options_read does; what only tells Data-Juicer how to run an
 * operator (num_proc, batch_size, ...) is read over. */
sv_status sv_op_read(const sv_op *op, yyjson_val *params, const char *where, const char *base_dir, void *state, sv_error *err);

/* Reads parameters and opens. `where` names the place in errors: "process[2].text_length_filter". */
sv_status sv_instance_open(sv_instance *in, const sv_op *op, yyjson_val *params, const char *where, const char *base_dir, sv_error *err);
void sv_instance_close(sv_instance *in);
/* Adds the parameters, defaults included, to `object`; files appear as "sha256:HEX". */
sv_status sv_instance_write(const sv_instance *in, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err);

const sv_op *sv_op_row(const char *name);                 /* NULL if there is none */
/* SV_E_RECIPE for a name that is not in the table: not available yet, or not known, with the nearest name. */
sv_status sv_op_unknown(const char *name, const char *where, sv_error *err);

/* document_deduplicator: what of a text is compared, in memory of the scan (op_document_dedup.c). */
sv_status sv_document_comparable(const void *state, sv_scan *s, const char **out, size_t *out_size, sv_error *err);

/* The rows, one per file or small family. */
extern const sv_op sv_op_alphanumeric, sv_op_special_characters, sv_op_character_repetition, sv_op_word_repetition, sv_op_flagged_words,
    sv_op_text_length, sv_op_words_num, sv_op_average_line_length, sv_op_maximum_line_length, sv_op_whitespace_normalization,
    sv_op_punctuation_normalization, sv_op_clean_html, sv_op_clean_links, sv_op_fix_unicode, sv_op_token_num, sv_op_clip_token_length,
    sv_op_document_dedup, sv_op_minhash_dedup, sv_op_perplexity, sv_op_language_id, sv_op_image_text_similarity, sv_op_image_text_matching,
    sv_op_image_aspect_ratio, sv_op_image_shape, sv_op_image_size, sv_op_topk;

#endif
