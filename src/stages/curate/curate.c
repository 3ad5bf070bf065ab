/* curate.c - verdicts of the process list (and the judge and balancing, if there are) on every caption, and the sample of those that are kept. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stages/curate/judge.h"
#include "stages/curate/rules.h"
#include "stages/curate/sample.h"
#include "text/unicode/unicode.h"

#define PIECE 20000

/* ---- setups ---- */

/* What the process list's verdicts depend on: {"process": [...], "view": "bare"}. With a judge these are only the first half: the verdicts in force are
 * then those of a second setup, which has "judge" with its settings and limit as well. So a change of the judge leaves the list's verdicts as they are.
 * Balancing likewise makes a last setup, with "balance". */
typedef struct curation {
    sv_setup rules, judged, verdicts;    /* the same one without a judge; the same one without balancing */
} curation;

/* Only of the last one, whose verdicts are in force, is it said that it is new. */
static sv_status register_setup(sv_rundir *run, bool last, const char *json, sv_setup *out, sv_error *err) {
    return last ? sv_rundir_setup(run, SV_STAGE_CURATE, "", json, out, err) : sv_ledger_setup(run->ledger, SV_STAGE_CURATE, "", json, out, err);
}

static sv_status rule_setups(sv_rundir *run, const sv_process *p, const sv_decontamination *clean, const sv_caption_judge *judge, bool last,
                             curation *out, sv_error *err) {
    char number[32];
    sv_buf json = {0}, both = {0};
    sv_buf_printf(&json, "\"view\":\"%s\",\"process\":%s", sv_view_name((sv_view)run->recipe->captions.view), sv_process_json(p));
    sv_pictures_describe(run, p, &json);
    if (clean->on) sv_buf_printf(&json, ",\"decontaminate\":%s", clean->json.data);
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

static sv_status curate_setups(sv_rundir *run, const sv_process *p, const sv_decontamination *clean, const sv_caption_judge *judge, sv_balance *balance,
                               curation *out, sv_error *err) {
    SV_TRY(rule_setups(run, p, clean, judge, !balance->on, out, err));
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

/* ---- the stage ---- */

static sv_status curate_with(sv_rundir *run, sv_process *process, sv_pictures *pictures, sv_decontamination *clean, sv_caption_judge *asked, sv_balance *balance,
                             sv_curate_report *report, sv_error *err) {
    curation setups = {0};
    sv_setup drawn_by;
    int64_t listed, judged, kept;
    SV_TRY(curate_setups(run, process, clean, asked, balance, &setups, err));
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
    if (!rules_done) SV_TRY(sv_rules_run(run, process, pictures, clean, setups.rules.id, report->captions, err));
    if (!judge_done && asked->on) SV_TRY(sv_caption_judge_run(run, asked, setups.rules.id, setups.judged.id, report->captions, err));
    if (!complete && balance->on) SV_TRY(sv_balance_run(run, balance, &setups.judged, report->captions, err));
    SV_TRY(sv_ledger_verdict_counts(run->ledger, curate->id, &report->judged, &report->kept, err));
    SV_TRY(sample_setup(run, curate, &drawn_by, err));
    SV_TRY(sv_sample_captions(run, balance, curate->id, drawn_by.id, report->kept, err));
    SV_TRY(sv_ledger_use(run->ledger, SV_STAGE_SAMPLE, &drawn_by.id, 1, err));
    SV_TRY(sv_ledger_sample_count(run->ledger, drawn_by.id, &report->sampled, err));
    for (sv_share_of what = SV_SHARE_CAPTIONS; what <= SV_SHARE_SAMPLED; what++) SV_TRY(sv_ledger_count_shares(run->ledger, what, !report->idle, err));
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
    sv_pictures *pictures = NULL;
    sv_decontamination clean;
    sv_caption_judge asked = {0};
    sv_balance balance = {0};
    sv_ingest_report in = {0};
    SV_TRY(sv_process_open(&process, run->recipe->captions.process, (sv_view)run->recipe->captions.view, NULL, err));
    sv_status st = sv_decontamination_open(&clean, &run->recipe->captions.decontaminate, err);
    if (st == SV_OK) st = sv_caption_judge_open(run, &asked, err);
    if (st == SV_OK) st = sv_balance_open(run, &balance, err);
    if (st == SV_OK) st = sv_pictures_open(&pictures, run, process, err);
    if (st == SV_OK) st = sv_ingest(run, &in, err);
    if (st == SV_OK) st = sv_pictures_any(pictures, err);
    report->added = in.added;
    report->repeated = in.repeated;
    report->faults = in.faults;
    if (st == SV_OK) st = curate_with(run, process, pictures, &clean, &asked, &balance, report, err);
    sv_balance_close(&balance);
    sv_caption_judge_close(&asked);
    sv_decontamination_close(&clean);
    sv_pictures_close(&pictures);
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
