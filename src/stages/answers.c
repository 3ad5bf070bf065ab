#include "stages/answers.h"

#include <stdlib.h>

#include "base/thread.h"

#define COMMIT_EVERY 1.0         /* seconds: what a kill can cost */
#define SHOW_EVERY 0.1

sv_status sv_answers_key(const char *name, const char *what, const char **key, sv_error *err) {
    *key = NULL;
    if (!name) return SV_OK;
    const char *value = getenv(name);
    if (!value || !*value) {
        sv_fail(err, SV_E_INPUT, what, "the environment variable %.100s is not set", name);
        return sv_hint(err, SV_E_INPUT, "export %.100s=KEY before the call; the key is kept nowhere", name);
    }
    for (const char *p = value; *p; p++)
        if (*p <= ' ' || *p > '~') return sv_fail(err, SV_E_INPUT, what, "what %.100s holds is no key: it has spaces or other characters", name);
    *key = value;
    return SV_OK;
}

void sv_answers_init(sv_answers *a, sv_rundir *run, int64_t setup) {
    *a = (sv_answers){.run = run, .setup = setup, .committed = sv_now()};
}

sv_status sv_answers_begin(sv_answers *a, sv_error *err) {
    if (!a->begun) SV_TRY(sv_ledger_begin(a->run->ledger, err));
    a->begun = true;
    return SV_OK;
}

sv_status sv_answers_add(sv_answers *a, const sv_judgement *j, sv_error *err) {
    static const char *const outcomes[] = {[SV_JUDGE_ANSWERED] = "answered", [SV_JUDGE_UNCLEAR] = "unclear", [SV_JUDGE_FAILED] = "failed"};
    bool failed = j->outcome == SV_JUDGE_FAILED;
    const sv_judgement_row row = {.text = j->key, .outcome = outcomes[j->outcome], .answer = failed ? NULL : j->answer, .detail = failed ? j->detail : NULL,
                                  .value = j->value, .p_yes = j->p_yes, .tokens_in = j->tokens_in, .tokens_out = j->tokens_out, .requests = j->requests};
    SV_TRY(sv_answers_begin(a, err));
    a->cost.texts++;
    a->cost.unclear += j->outcome == SV_JUDGE_UNCLEAR;
    a->cost.failed += failed;
    a->cost.requests += j->requests;
    a->cost.tokens_in += j->tokens_in;
    a->cost.tokens_out += j->tokens_out;
    return sv_ledger_add_judgement(a->run->ledger, a->setup, &row, err);
}

static sv_status commit(sv_answers *a, sv_error *err) {
    a->committed = sv_now();
    if (!a->begun) return SV_OK;
    a->begun = false;
    return sv_ledger_commit(a->run->ledger, err);
}

sv_status sv_answers_tick(sv_answers *a, const char *stage, int64_t done, int64_t total, sv_error *err) {
    double now = sv_now();
    if (now - a->shown >= SHOW_EVERY) {
        sv_rundir_progress(a->run, stage, done, total, a->cost.failed);
        a->shown = now;
    }
    if (now - a->committed >= COMMIT_EVERY) SV_TRY(commit(a, err));
    return sv_rundir_stopping(a->run) ? sv_rundir_stopped(a->run, "the judge's answers", err) : SV_OK;
}

sv_status sv_answers_end(sv_answers *a, const char *stage, const char *setup_hash, sv_status st, sv_error *err) {
    sv_error second;
    sv_status committed = commit(a, st == SV_OK ? err : &second);
    const sv_judge_cost *c = &a->cost;
    if (c->requests)
        sv_rundir_event(a->run, stage, (sv_field[]){SV_TEXT("setup", setup_hash), SV_INT("answers", c->texts), SV_INT("unclear", c->unclear),
                        SV_INT("failed", c->failed), SV_INT("requests", c->requests), SV_INT("tokens_in", c->tokens_in), SV_INT("tokens_out", c->tokens_out)}, 7);
    return st == SV_OK ? committed : st;
}
