/* cmd_caption_stats.c - `synthvlm caption-stats`: the statistics that the rule filters judge by, for every text on stdin. */
#include <stdlib.h>

#include "cli.h"
#include "synthvlm/text.h"

static const sv_flag flags[] = {
    {"view", 0, "NAME", "text that is measured: bare, llava or data-juicer (default bare)"},
    {"char-rep-len", 0, "N", "characters per n-gram of char_rep_ratio (default 10)"},
    {"word-rep-len", 0, "N", "words per n-gram of word_rep_ratio (default 10)"},
    {"flagged", 0, "FILE", "flagged words, {\"en\": [\"word\", ...]}: adds flagged_words_ratio"},
    {"lang", 0, "CODE", "language of the flagged words (default en)"},
    {"lm", 0, "FILE", "language model, ARPA (.gz too) or KenLM binary, over the pieces of --spm: adds perplexity"},
    {"spm", 0, "FILE", "SentencePiece model of the perplexity"},
    {"tokenizer", 0, "DIR", "CLIP tokenizer: adds num_token"},
    {"lang-model", 0, "FILE", "fastText classifier, .bin or .ftz (lid.176.bin): adds lang and lang_score"},
    {"threads", 0, "N", "threads (default: all cores)"},
    {0}};

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
    int64_t threads = 0;
    sv_stats_options_init(&o);
    sv_status st = SV_OK;
    if (sv_arg(args, "view")) st = sv_view_parse(sv_arg(args, "view"), &o.view, err);
    if (st == SV_OK) st = sv_arg_int(args, "char-rep-len", 1, 1 << 20, &o.char_rep_len, err);
    if (st == SV_OK) st = sv_arg_int(args, "word-rep-len", 1, 1 << 20, &o.word_rep_len, err);
    if (st == SV_OK) st = sv_arg_int(args, "threads", 1, 64, &threads, err);
    o.flagged_file = sv_arg(args, "flagged");
    o.lm = sv_arg(args, "lm");
    o.spm = sv_arg(args, "spm");
    o.tokenizer = sv_arg(args, "tokenizer");
    o.lang_model = sv_arg(args, "lang-model");
    if (sv_arg(args, "lang")) o.lang = sv_arg(args, "lang");
    sv_stats *s = NULL;
    if (st == SV_OK) st = sv_stats_open(&s, &o, err);
    if (st == SV_OK) st = sv_lines_run(stdin, (unsigned)threads, add_statistics, s, err);
    sv_stats_close(&s);
    return st;
}

const sv_command sv_cmd_caption_stats = {
    .name = "caption-stats", .group = "Text",
    .usage = "[--view NAME] [--char-rep-len N] [--word-rep-len N] [--flagged FILE] [--lm FILE --spm FILE] [--tokenizer DIR] [--lang-model FILE] < LINES",
    .summary = "measure captions as Data-Juicer's filters do", .about = about, .flags = flags, .run = run};
