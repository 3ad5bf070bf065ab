#include "stats_args.h"

sv_status sv_stats_args_read(const sv_args *args, sv_stats_options *o, unsigned *threads, sv_error *err) {
    int64_t count = 0;
    sv_status st = SV_OK;
    sv_stats_options_init(o);
    if (sv_arg(args, "view")) st = sv_view_parse(sv_arg(args, "view"), &o->view, err);
    if (st == SV_OK) st = sv_arg_int(args, "char-rep-len", 1, 1 << 20, &o->char_rep_len, err);
    if (st == SV_OK) st = sv_arg_int(args, "word-rep-len", 1, 1 << 20, &o->word_rep_len, err);
    if (st == SV_OK) st = sv_arg_int(args, "threads", 1, 64, &count, err);
    *threads = (unsigned)count;
    o->flagged_file = sv_arg(args, "flagged");
    o->lm = sv_arg(args, "lm");
    o->spm = sv_arg(args, "spm");
    o->tokenizer = sv_arg(args, "tokenizer");
    o->lang_model = sv_arg(args, "lang-model");
    if (sv_arg(args, "lang")) o->lang = sv_arg(args, "lang");
    return st;
}
