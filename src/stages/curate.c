/* curate.c - verdicts of the process list (and the judge and balancing, if there are) on every caption, and the sample of those that are kept. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stages/judge.h"
#include "stages/sample.h"
#include "text/unicode.h"

#define PIECE 20000

/* ---- setups ---- */

/* What the process list's verdicts depend on: {"process": [...], "view": "bare"}. With a judge these are only the first half: the verdicts in force are
 * then those of a second setup, which has "judge" with its settings and limit as well. So a change of the judge leaves the list's verdicts as they are. Balancing likewise makes
 * a last setup, with "balance". */
typedef struct curation {
    sv_setup rules, judged, verdicts;    /* the same one without a judge; the same one without balancing */
} curation;

/* Only of the last one, whose verdicts are in force, is it said that it is new. */
static sv_status register_setup(sv_rundir *run, bool last, const char *json, sv_setup *out, sv_error *err) {
    return last ? sv_rundir_setup(run, SV_STAGE_CURATE, "", json, out, err) : sv_ledger_setup(run->ledger, SV_STAGE_CURATE, "", json, out, err);
}

static sv_status rule_setups(sv_rundir *run, const sv_process *p, const sv_caption_judge *judge, bool last, curation *out, sv_error *err) {
    char number[32];
    sv_buf json = {0}, both = {0};
    sv_buf_printf(&json, "\"view\":\"%s\",\"process\":%s", sv_view_name((sv_view)run->recipe->captions.view), sv_process_json(p));
    sv_buf_printf(&both, "{%s}", json.data ? json.data : "");
    sv_status st = sv_buf_ok(&both, err);
    if (st == SV_OK && !judge->on) {
        st = register_setup(run, last, both.data, &out->rules, err);
        out->judged = out->rules;
    } else if (st == SV_OK) {
        st = sv_ledger_setup(run->ledger, SV_STAGE_CURATE, "", both.data, &out->rules, err);
        sv_buf_clear(&both);
        sv_buf_printf(&both, "{%s,\"judge\":{\"min\":%s,\"asked\":%s}}", json.data, sv_real_text(judge->min, number), judge->json.data);
        if (st == SV_OK) st = sv_buf_ok(&both, err);
        if (st == SV_OK) st = register_setup(run, last, both.data, &out->judged, err);
    }
    sv_buf_free(&json);
    sv_buf_free(&both);
    return st;
}

static sv_status curate_setups(sv_rundir *run, const sv_process *p, const sv_caption_judge *judge, sv_balance *balance, curation *out, sv_error *err) {
    SV_TRY(rule_setups(run, p, judge, !balance->on, out, err));
    if (balance->on) SV_TRY(sv_balance_setups(run, balance, &out->judged, err));
    out->verdicts = balance->on ? balance->verdicts : out->judged;
    return SV_OK;
}

/* The seed matters only where the sample is limited. */
static sv_status sample_setup(sv_rundir *run, const sv_setup *curate, sv_setup *out, sv_error *err) {
    int64_t n = run->recipe->captions.sample;
    sv_buf json = {0};
    sv_buf_printf(&json, "{\"curate\":\"%s\"", curate->hash);
    if (n != INT64_MIN) sv_buf_printf(&json, ",\"sample\":%lld,\"seed\":%lld", (long long)n, (long long)run->recipe->seed);
    sv_buf_puts(&json, "}");
    sv_status st = sv_buf_ok(&json, err);
    if (st == SV_OK) st = sv_rundir_setup(run, SV_STAGE_SAMPLE, "", json.data, out, err);
    sv_buf_free(&json);
    return st;
}

/* ---- verdicts ---- */

typedef struct judging {
    sv_rundir *run;
    sv_process *process;
    int64_t curate, captions;
    int64_t judged_before;       /* verdicts up to this number are there already */
    bool replace;                /* a list that looks at the whole pool may now judge an earlier caption otherwise */
    sv_caption_in *in;
    sv_caption_out *out;
    char **names;                /* of the statistics, in quotes with the colon */
    size_t name_count;
    sv_buf stats;
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

static void stats_json(judging *j, const double *values) {
    char number[32];
    sv_buf_clear(&j->stats);
    sv_buf_putc(&j->stats, '{');
    for (size_t i = 0; i < j->name_count; i++) {
        if (isnan(values[i])) continue;
        if (j->stats.size > 1) sv_buf_putc(&j->stats, ',');
        sv_buf_puts(&j->stats, j->names[i]);
        const char *word = sv_process_stat_word(j->process, i, values[i]);
        if (word) put_text(&j->stats, word);
        else sv_buf_puts(&j->stats, isinf(values[i]) ? values[i] > 0 ? "1e999" : "-1e999" : sv_real_text(values[i], number));
    }
    sv_buf_putc(&j->stats, '}');
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
                        .text = changed ? o->text : NULL, .text_size = o->size, .stats = j->name_count ? j->stats.data : NULL, .detail = o->word};
        if (v.keep && is_blank(o->text, o->size)) {
            v.keep = false;
            v.rule = "empty_caption";
        }
        st = sv_buf_ok(&j->stats, err);
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
        SV_TRY(sv_ledger_read_captions(j->run->ledger, after, PIECE, b, err));
        if (!b->count) break;
        after = b->items[b->count - 1].number;
        for (size_t i = 0; i < b->count; i++) j->in[i] = (sv_caption_in){(uint64_t)b->items[i].number, b->items[i].text, b->items[i].size};
        SV_TRY(sv_process_run(j->process, j->in, b->count, 0, j->out, err));
        if (last && (j->replace || after > j->judged_before)) SV_TRY(write_piece(j, b, err));
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
    if (!j->names || !j->in || !j->out) return sv_fail_memory(err, "curate", PIECE * (sizeof *j->in + sizeof *j->out));
    for (size_t i = 0; i < j->name_count; i++) {
        sv_buf name = {0};
        sv_buf_printf(&name, "\"%s\":", sv_process_stat_name(j->process, i));
        if (name.failed) return sv_fail_memory(err, "curate", 0);
        j->names[i] = name.data;
    }
    return SV_OK;
}

static sv_status judge(sv_rundir *run, sv_process *process, int64_t curate, int64_t captions, sv_error *err) {
    judging j = {.run = run, .process = process, .curate = curate, .captions = captions};
    sv_caption_batch batch = {0};
    int passes = sv_process_passes(process);
    sv_status st = sv_ledger_judged_up_to(run->ledger, curate, &j.judged_before, err);
    j.replace = passes > 1 && j.judged_before > 0;
    if (st == SV_OK) st = prepare_names(&j, err);
    for (int pass = 1; st == SV_OK && pass <= passes; pass++) st = one_pass(&j, pass == passes, &batch, err);
    sv_caption_batch_free(&batch);
    sv_buf_free(&j.stats);
    for (size_t i = 0; j.names && i < j.name_count; i++) free(j.names[i]);
    free(j.names);
    free(j.in);
    free(j.out);
    return st;
}

/* ---- the stage ---- */

static sv_status curate_with(sv_rundir *run, sv_process *process, sv_caption_judge *asked, sv_balance *balance, sv_curate_report *report, sv_error *err) {
    curation setups = {0};
    sv_setup drawn_by;
    int64_t listed, judged, kept;
    SV_TRY(curate_setups(run, process, asked, balance, &setups, err));
    const sv_setup *curate = &setups.verdicts;
    SV_TRY(sv_ledger_caption_count(run->ledger, &report->captions, err));
    SV_TRY(sv_ledger_verdict_counts(run->ledger, setups.rules.id, &listed, &kept, err));
    SV_TRY(sv_ledger_verdict_counts(run->ledger, setups.judged.id, &judged, &kept, err));
    SV_TRY(sv_ledger_verdict_counts(run->ledger, curate->id, &report->judged, &report->kept, err));
    SV_TRY(sv_ledger_use(run->ledger, SV_STAGE_CURATE, &curate->id, 1, err));
    SV_TRY(sv_ledger_use(run->ledger, SV_STAGE_JUDGE, &asked->setup.id, asked->on, err));
    SV_TRY(sv_ledger_use(run->ledger, SV_STAGE_CONCEPTS, &balance->concepts.id, balance->on, err));
    /* Each step looks at what the one before has made: where that was not complete, nothing after it is. */
    bool rules_done = listed == report->captions, judge_done = rules_done && judged == report->captions;
    bool complete = judge_done && report->judged == report->captions;
    report->idle = complete && !report->added && !report->faults;
    if (!judge_done) SV_TRY(sv_caption_judge_key(run, asked, err));   /* a missing key is told before the list has done its work */
    if (!rules_done) SV_TRY(judge(run, process, setups.rules.id, report->captions, err));
    if (!judge_done && asked->on) SV_TRY(sv_caption_judge_run(run, asked, setups.rules.id, setups.judged.id, report->captions, err));
    if (!complete && balance->on) SV_TRY(sv_balance_run(run, balance, &setups.judged, report->captions, err));
    SV_TRY(sv_ledger_verdict_counts(run->ledger, curate->id, &report->judged, &report->kept, err));
    SV_TRY(sample_setup(run, curate, &drawn_by, err));
    SV_TRY(sv_sample_captions(run, balance, curate->id, drawn_by.id, report->kept, err));
    SV_TRY(sv_ledger_use(run->ledger, SV_STAGE_SAMPLE, &drawn_by.id, 1, err));
    SV_TRY(sv_ledger_sample_count(run->ledger, drawn_by.id, &report->sampled, err));
    if (!report->idle)
        sv_rundir_event(run, "curate", (sv_field[]){SV_TEXT("setup", curate->hash), SV_INT("captions", report->captions), SV_INT("kept", report->kept),
                        SV_INT("sampled", report->sampled)}, 4);
    return SV_OK;
}

sv_status sv_curate(sv_rundir *run, sv_curate_report *report, sv_error *err) {
    sv_curate_report own;
    if (!report) report = &own;
    *report = (sv_curate_report){0};
    sv_process *process = NULL;   /* opened first: a wrong list is told before captions are read */
    sv_caption_judge asked;
    sv_balance balance = {0};
    sv_ingest_report in = {0};
    SV_TRY(sv_process_open(&process, run->recipe->captions.process, (sv_view)run->recipe->captions.view, NULL, err));
    sv_status st = sv_caption_judge_open(run, &asked, err);
    if (st == SV_OK) st = sv_balance_open(run, &balance, err);
    if (st == SV_OK) st = sv_ingest(run, &in, err);
    report->added = in.added;
    report->repeated = in.repeated;
    report->faults = in.faults;
    if (st == SV_OK) st = curate_with(run, process, &asked, &balance, report, err);
    sv_balance_close(&balance);
    sv_caption_judge_close(&asked);
    sv_process_close(&process);
    return st;
}

sv_status sv_stage_curate(const char *dir, const sv_recipe *r, const sv_stage_options *o, sv_curate_report *report, sv_error *err) {
    sv_rundir *run = NULL;
    sv_status st = sv_rundir_open(&run, dir, r, o, err);
    if (st == SV_OK) st = sv_curate(run, report, err);
    sv_rundir_close(&run);
    return st;
}
