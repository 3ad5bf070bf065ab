/* cmd_caption_stats.c - `synthvlm caption-stats`: the statistics that the rule filters judge by, for every text on stdin. */
#include <stdlib.h>

#include "stats_args.h"

static const sv_flag flags[] = {SV_STATS_FLAGS, {0}};

static const char about[] =
    "Reads JSON lines with a field \"text\" on standard input and gives each back with Data-Juicer's statistics added:\n"
    "alnum_ratio, special_char_ratio, char_rep_ratio, word_rep_ratio, num_words, text_len, avg_line_length, max_line_length;\n"
    "flagged_words_ratio, perplexity, num_token, lang and lang_score where their files are given.\n"
    "The numbers are Data-Juicer's own, as doubles. A line that cannot be read gets an \"error\", the others go on, and the exit code is 1.\n"
    "\n"
    "  echo '{\"id\":1,\"text\":\"a photo of a cat\"}' | synthvlm caption-stats\n";

static sv_status add_statistics(void *user, unsigned thread, yyjson_mut_doc *doc, yyjson_mut_val *root, sv_error *err) {
    const sv_stats *s = user;
    const char *text;
    size_t size;
    double values[32];
    sv_status st = sv_line_get_str(root, "text", true, &text, &size, err);
    if (st == SV_OK) st = sv_stats_compute(s, text, size, values, err);
    if (st != SV_OK) return st;
    for (size_t i = 0; i < sv_stats_count(s); i++) {
        const char *word = sv_stats_word(s, i, values[i]);
        if (word) sv_line_put_str(doc, root, sv_stats_name(s, i), word);
        else if (sv_stats_is_integer(s, i)) sv_line_put_int(doc, root, sv_stats_name(s, i), (int64_t)values[i]);
        else sv_line_put_real(doc, root, sv_stats_name(s, i), values[i]);
    }
    return SV_OK;
}

static sv_status run(const sv_args *args, sv_error *err) {
    sv_stats_options o;
    unsigned threads;
    sv_stats *s = NULL;
    sv_status st = sv_stats_args_read(args, &o, &threads, err);
    if (st == SV_OK) st = sv_stats_open(&s, &o, err);
    if (st == SV_OK) st = sv_lines_run(stdin, threads, add_statistics, s, err);
    sv_stats_close(&s);
    return st;
}

const sv_command sv_cmd_caption_stats = {
    .name = "caption-stats", .group = "Text",
    .usage = "[--view NAME] [--char-rep-len N] [--word-rep-len N] [--flagged FILE] [--lm FILE --spm FILE] [--tokenizer DIR] [--lang-model FILE] < LINES",
    .summary = "measure captions as Data-Juicer's filters do", .about = about, .flags = flags, .run = run};
