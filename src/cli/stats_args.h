/* stats_args.h - what caption-stats and calibrate are told alike: which statistics, of which view of a text. */
#ifndef SV_CLI_STATS_ARGS_H
#define SV_CLI_STATS_ARGS_H

#include "cli.h"
#include "synthvlm/text.h"

#define SV_STATS_FLAGS                                                                                                                      \
    {"view", 0, "NAME", "text that is measured: bare, llava or data-juicer (default bare)"},                                                \
    {"char-rep-len", 0, "N", "characters per n-gram of char_rep_ratio (default 10)"},                                                       \
    {"word-rep-len", 0, "N", "words per n-gram of word_rep_ratio (default 10)"},                                                            \
    {"flagged", 0, "FILE", "flagged words, {\"en\": [\"word\", ...]}: adds flagged_words_ratio"},                                           \
    {"lang", 0, "CODE", "language of the flagged words (default en)"},                                                                      \
    {"lm", 0, "FILE", "language model, ARPA (.gz too) or KenLM binary, over the pieces of --spm: adds perplexity"},                         \
    {"spm", 0, "FILE", "SentencePiece model of the perplexity"},                                                                            \
    {"tokenizer", 0, "DIR", "CLIP tokenizer: adds num_token"},                                                                              \
    {"lang-model", 0, "FILE", "fastText classifier, .bin or .ftz (lid.176.bin): adds lang and lang_score"},                                 \
    {"threads", 0, "N", "threads (default: all cores)"}

/* Reads them over the defaults; what is read points into args. threads: 0 for all cores. */
sv_status sv_stats_args_read(const sv_args *args, sv_stats_options *o, unsigned *threads, sv_error *err);

#endif
