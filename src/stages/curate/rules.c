/* rules.c - the process list (and decontamination, if the recipe has it) over every caption: verdicts with their statistics. */
#include "stages/curate/rules.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/ops/op.h"
#include "text/unicode/unicode.h"

#define PIECE 20000

/* Ratios of small counts come again and again, and finding a number's shortest text costs more than all else in a row. */
typedef struct real_text {
    double value;
    char text[32];               /* empty: none yet */
} real_text;
enum { KNOWN_REALS = 1 << 13 };

typedef struct judging {
    sv_rundir *run;
    sv_process *process;
    sv_pictures *pictures;       /* NULL: no filter asks about pictures */
    sv_decontamination *clean;
    int64_t curate, captions;
    int64_t judged_before;       /* verdicts up to this number are there already */
    bool replace;                /* a list that looks at the whole pool may now judge an earlier caption otherwise */
    sv_caption_in *in;
    sv_caption_out *out;
    char **names;                /* of the statistics, in quotes with the colon */
    size_t name_count;
    sv_buf stats, detail;
    real_text *texts;            /* KNOWN_REALS of them */
} judging;

/* A word as JSON: labels of models, which hold whatever their maker wrote. */
static void put_text(sv_buf *b, const char *text) {
    sv_buf_putc(b, '"');
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\') sv_buf_putc(b, '\\');
        if ((unsigned char)*p < 0x20) sv_buf_printf(b, "\\u%04x", (unsigned)*p);
        else sv_buf_putc(b, *p);
    }
    sv_buf_putc(b, '"');
}

static const char *text_of(judging *j, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    real_text *t = &j->texts[bits * 0x9E3779B97F4A7C15u >> 51];
    if (!t->text[0] || memcmp(&t->value, &v, sizeof v) != 0) {
        t->value = v;
        sv_real_text(v, t->text);
    }
    return t->text;
}

static void stats_json(judging *j, const double *values) {
    sv_buf_clear(&j->stats);
    sv_buf_putc(&j->stats, '{');
    for (size_t i = 0; i < j->name_count; i++) {
        if (isnan(values[i])) continue;
        if (j->stats.size > 1) sv_buf_putc(&j->stats, ',');
        sv_buf_puts(&j->stats, j->names[i]);
        const char *word = sv_process_stat_word(j->process, i, values[i]);
        if (word) put_text(&j->stats, word);
        else sv_buf_puts(&j->stats, isinf(values[i]) ? values[i] > 0 ? "1e999" : "-1e999" : text_of(j, values[i]));
    }
    sv_buf_putc(&j->stats, '}');
}

/* What a verdict goes by beside its number: "lang fr" where a filter found a word. */
static const char *detail_of(judging *j, const sv_caption_out *o) {
    const sv_op *op = o->word && o->rule ? sv_op_row(o->rule) : NULL;
    if (!op || !op->word_stat) return o->word;
    sv_buf_clear(&j->detail);
    sv_buf_printf(&j->detail, "%s %s", op->word_stat, o->word);
    return j->detail.data;
}

/* Nothing but blanks: no picture can show it and no dataset takes it, whatever the process list says. */
static bool is_blank(const char *text, size_t size) {
    for (const char *p = text; p < text + size;)
        if (!sv_char_is(sv_next_char(&p), SV_CH_SPACE)) return false;
    return true;
}

static sv_status write_piece(judging *j, const sv_caption_batch *b, sv_error *err) {
    sv_ledger *l = j->run->ledger;
    SV_TRY(sv_ledger_begin(l, err));
    sv_status st = SV_OK;
    for (size_t i = 0; st == SV_OK && i < b->count; i++) {
        const sv_caption_out *o = &j->out[i];
        const sv_caption_item *c = &b->items[i];
        if (!j->replace && c->number <= j->judged_before) continue;
        bool changed = o->size != c->size || memcmp(o->text, c->text, c->size) != 0;
        if (j->name_count) stats_json(j, o->stats);
        sv_verdict v = {.number = c->number, .keep = o->keep, .rule = o->rule, .value = o->value, .min = o->min, .max = o->max, .duplicate_of = o->duplicate_of,
                        .text = changed ? o->text : NULL, .text_size = o->size, .stats = j->name_count ? j->stats.data : NULL, .detail = detail_of(j, o)};
        if (v.keep && is_blank(o->text, o->size)) {
            v.keep = false;
            v.rule = "empty_caption";
        }
        st = sv_buf_ok(j->stats.failed ? &j->stats : &j->detail, err);
        if (st == SV_OK) st = sv_ledger_add_verdict(l, j->curate, &v, j->replace, err);
    }
    if (st == SV_OK) return sv_ledger_commit(l, err);
    sv_ledger_rollback(l);
    return st;
}

/* Streams the whole pool once. Only the last pass has verdicts. */
static sv_status one_pass(judging *j, bool last, sv_caption_batch *b, sv_error *err) {
    int64_t after = 0;
    for (;;) {
        int64_t before = after;
        SV_TRY(sv_ledger_read_captions(j->run->ledger, after, j->pictures ? SV_PICTURES_PIECE : PIECE, b, err));
        if (!b->count) break;
        after = b->items[b->count - 1].number;
        if (j->pictures) SV_TRY(sv_pictures_prepare(j->pictures, before, after, err));
        for (size_t i = 0; i < b->count; i++) j->in[i] = (sv_caption_in){(uint64_t)b->items[i].number, b->items[i].text, b->items[i].size};
        SV_TRY(sv_process_run(j->process, j->in, b->count, 0, j->out, err));
        if (j->pictures) SV_TRY(sv_pictures_store(j->pictures, err));
        if (last && (j->replace || after > j->judged_before)) {
            SV_TRY(sv_decontamination_judge(j->clean, j->out, b->count, err));
            SV_TRY(write_piece(j, b, err));
        }
        sv_rundir_progress(j->run, "curate", after, j->captions, 0);
        if (sv_rundir_stopping(j->run)) return sv_rundir_stopped(j->run, "curate", err);
    }
    return sv_process_end_pass(j->process, err);
}

static sv_status prepare_names(judging *j, sv_error *err) {
    j->name_count = sv_process_stat_count(j->process);
    j->names = calloc(j->name_count + 1, sizeof *j->names);
    j->in = malloc(PIECE * sizeof *j->in);
    j->out = malloc(PIECE * sizeof *j->out);
    j->texts = calloc(KNOWN_REALS, sizeof *j->texts);
    if (!j->names || !j->in || !j->out || !j->texts) return sv_fail_memory(err, "curate", PIECE * (sizeof *j->in + sizeof *j->out));
    for (size_t i = 0; i < j->name_count; i++) {
        sv_buf name = {0};
        sv_buf_printf(&name, "\"%s\":", sv_process_stat_name(j->process, i));
        if (name.failed) return sv_fail_memory(err, "curate", 0);
        j->names[i] = name.data;
    }
    return SV_OK;
}

sv_status sv_rules_run(sv_rundir *run, sv_process *process, sv_pictures *pictures, sv_decontamination *clean, int64_t curate, int64_t captions, sv_error *err) {
    judging j = {.run = run, .process = process, .pictures = pictures, .clean = clean, .curate = curate, .captions = captions};
    sv_caption_batch batch = {0};
    int passes = sv_process_passes(process);
    sv_process_scratch(process, run->tmp);
    sv_status st = sv_ledger_judged_up_to(run->ledger, curate, &j.judged_before, err);
    j.replace = passes > 1 && j.judged_before > 0;
    if (st == SV_OK) st = sv_decontamination_load(clean, err);
    if (st == SV_OK) st = prepare_names(&j, err);
    for (int pass = 1; st == SV_OK && pass <= passes; pass++) st = one_pass(&j, pass == passes, &batch, err);
    sv_caption_batch_free(&batch);
    sv_buf_free(&j.stats);
    sv_buf_free(&j.detail);
    for (size_t i = 0; j.names && i < j.name_count; i++) free(j.names[i]);
    free(j.names);
    free(j.texts);
    free(j.in);
    free(j.out);
    return st;
}
