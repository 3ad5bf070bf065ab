/* text.h - captions: the process list (Data-Juicer's mappers, filters and deduplicators under their own names) and its verdicts.
 *
 * A process list is compiled once (sv_process_open), is then read-only apart from its deduplicators, and judges captions in order.
 * All counts are of Unicode code points, all ratios double divisions of integers, as Data-Juicer's (semantics: docs/FILTERS.md).
 */
#ifndef SYNTHVLM_TEXT_H
#define SYNTHVLM_TEXT_H

#include "synthvlm/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The text that the operators see. SynthVLM's and Data-Juicer's published thresholds belong to wrapped text:
 * bare: the caption; llava: "<image>\n" caption " <|__dj__eoc|>"; data-juicer: "<__dj__image>\n" caption " <|__dj__eoc|>". */
typedef enum sv_view { SV_VIEW_BARE, SV_VIEW_LLAVA, SV_VIEW_DATA_JUICER } sv_view;
sv_status sv_view_parse(const char *name, sv_view *out, sv_error *err);
const char *sv_view_name(sv_view view);

/* The operator table, for --help, docs and the recipe checker. */
typedef enum sv_op_kind { SV_OP_MAPPER, SV_OP_FILTER, SV_OP_DEDUPLICATOR, SV_OP_SELECTOR } sv_op_kind;
typedef struct sv_op_info {
    const char *name;    /* "alphanumeric_filter" */
    sv_op_kind kind;
    const char *stat;    /* "alnum_ratio"; NULL for mappers, deduplicators and selectors */
    const char *help;    /* one line */
} sv_op_info;
size_t sv_op_count(void);
const sv_op_info *sv_op_at(size_t i);
const sv_op_info *sv_op_find(const char *name);
/* Writes the operator's parameters, one "name  type, default  help" a line, into buf. */
const char *sv_op_help(const sv_op_info *op, char *buf, size_t size);

typedef struct sv_process sv_process;

/* Compiles a list: JSON text as in the recipe, [{"alphanumeric_filter": {"min_ratio": 0.6}}, …] (null parameters: all defaults).
 * base_dir resolves files that parameters name. Errors name list[i].operator.parameter. */
sv_status sv_process_open(sv_process **out, const char *json, sv_view view, const char *base_dir, sv_error *err);
void sv_process_close(sv_process **p);

/* A directory for temporary files, whose name must outlive p: deduplicators keep there what is large. Before the first caption. Without one all is memory. */
void sv_process_scratch(sv_process *p, const char *dir);

/* The list with every default written out, as JSON text owned by p (for setups). A file that a parameter names appears with its SHA-256. */
const char *sv_process_json(const sv_process *p);

/* Statistics that a kept-or-not caption has, in list order: filters' stat names ("alnum_ratio"). As in Data-Juicer a second filter on a
 * statistic judges the value that the first one measured; with its parameter `recompute` it has a statistic of its own, "alnum_ratio#2". */
size_t sv_process_stat_count(const sv_process *p);
const char *sv_process_stat_name(const sv_process *p, size_t i);
/* For a statistic that is a word ("lang"), which is stored as a number: the word of a value. NULL for the others, and for NaN. */
const char *sv_process_stat_word(const sv_process *p, size_t i, double value);

typedef struct sv_caption_in {
    uint64_t number;       /* position in the pool; also what near-duplicates are named by */
    const char *text;      /* valid UTF-8 */
    size_t size;
} sv_caption_in;

typedef struct sv_caption_out {
    bool keep;
    int op;                /* index in the list of the operator that rejected it, -1 if kept */
    const char *rule;      /* that operator's name (static), NULL if kept */
    double value;          /* the statistic's value that failed; NaN for deduplicators */
    double min, max;       /* the limits it was held against; NaN: none */
    const char *word;      /* the word that goes with the value, if one does: the language that was found; owned by the process */
    int64_t duplicate_of;  /* number of the caption that it repeats, -1 */
    const char *text;      /* the text after the mappers, without the view's wrapping: the caller's own if no mapper changed it, otherwise
                              memory of the process until its next call */
    size_t size;
    const double *stats;   /* sv_process_stat_count values, NaN where not reached; owned likewise */
} sv_caption_out;

/* Passes over the pool that the list needs: 1, plus one for every deduplicator that must see the whole pool (minhash).
 * The caller streams the whole pool, in the same order, once per pass; verdicts of the last pass count. */
int sv_process_passes(const sv_process *p);

/* Judges the next n captions, in order, on `threads` threads (0: all cores). out has n entries. One caller at a time. */
sv_status sv_process_run(sv_process *p, const sv_caption_in *in, size_t n, unsigned threads, sv_caption_out *out, sv_error *err);

/* Ends a pass. */
sv_status sv_process_end_pass(sv_process *p, sv_error *err);

/* Every rule statistic of one text, for `caption-stats`: names and values under Data-Juicer's names. */
typedef struct sv_stats_options {
    sv_view view;
    int64_t char_rep_len, word_rep_len;   /* 10, 10 */
    const char *flagged_file;             /* Data-Juicer's JSON shape; NULL: flagged_words_ratio is left out */
    const char *lang;                     /* "en" */
    const char *lm, *spm;                 /* ARPA or KenLM file and SentencePiece model: perplexity; NULL: left out */
    const char *tokenizer;                /* directory: num_token (CLIP); NULL: left out */
    const char *lang_model;               /* fastText classifier: lang_score and lang; NULL: left out */
} sv_stats_options;
void sv_stats_options_init(sv_stats_options *o);
typedef struct sv_stats sv_stats;         /* read-only once open */
sv_status sv_stats_open(sv_stats **out, const sv_stats_options *o, sv_error *err);
void sv_stats_close(sv_stats **s);
size_t sv_stats_count(const sv_stats *s);
const char *sv_stats_name(const sv_stats *s, size_t i);
/* The operator that judges by it: "alphanumeric_filter". */
const char *sv_stats_filter(const sv_stats *s, size_t i);
bool sv_stats_is_integer(const sv_stats *s, size_t i);
/* Whether a statistic is a word ("lang"), which sv_stats_compute gives as a number; and the word of a value, NULL if there is none. */
bool sv_stats_is_word(const sv_stats *s, size_t i);
const char *sv_stats_word(const sv_stats *s, size_t i, double value);
/* values has sv_stats_count entries. text must be valid UTF-8 (SV_E_INPUT otherwise). Any thread. */
sv_status sv_stats_compute(const sv_stats *s, const char *text, size_t size, double *values, sv_error *err);

#ifdef __cplusplus
}
#endif
#endif
