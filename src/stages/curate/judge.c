#include "stages/curate/judge.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/thread.h"

#define PIECE 20000
#define COMMIT_EVERY 1.0         /* seconds: what a kill can cost */
#define SHOW_EVERY 0.1

/* ---- settings ---- */

sv_status sv_caption_judge_open(sv_rundir *run, sv_caption_judge *out, sv_error *err) {
    const sv_judge_recipe *r = &run->recipe->captions.judge;
    *out = (sv_caption_judge){.on = r->url != NULL};
    if (!out->on) return SV_OK;
    sv_status st = sv_recipe_judge_prompt(r, "captions.judge", &out->prompt, err);
    out->settings = (sv_judge_settings){.url = r->url, .model = r->model, .prompt = out->prompt, .grade = (sv_grade)r->grade, .max_tokens = r->max_tokens,
                                        .seed = r->seed, .temperature = r->temperature, .timeout = r->timeout, .concurrency = (int)r->concurrency,
                                        .retries = (int)r->retries};
    out->min = sv_recipe_judge_min(r);
    if (st == SV_OK) st = sv_judge_setup(&out->settings, &out->json, err);
    if (st == SV_OK) st = sv_rundir_setup(run, SV_STAGE_JUDGE, "", out->json.data, &out->setup, err);
    if (st != SV_OK) sv_caption_judge_close(out);
    return st;
}

void sv_caption_judge_close(sv_caption_judge *j) {
    free(j->prompt);
    sv_buf_free(&j->json);
    *j = (sv_caption_judge){0};
}

sv_status sv_caption_judge_key(const sv_rundir *run, sv_caption_judge *j, sv_error *err) {
    const char *name = run->recipe->captions.judge.api_key_env;
    if (!j->on || !name) return SV_OK;
    const char *key = getenv(name);
    if (!key || !*key) {
        sv_fail(err, SV_E_INPUT, "captions.judge.api_key_env", "the environment variable %.100s is not set", name);
        return sv_hint(err, SV_E_INPUT, "export %.100s=KEY before the call; the key is kept nowhere", name);
    }
    for (const char *p = key; *p; p++)
        if (*p <= ' ' || *p > '~') return sv_fail(err, SV_E_INPUT, "captions.judge.api_key_env", "what %.100s holds is no key: it has spaces or other characters", name);
    j->settings.key = key;
    return SV_OK;
}

/* ---- asking ---- */

typedef struct asking {
    sv_rundir *run;
    sv_judge *judge;
    int64_t setup, rules;
    sv_caption_batch batch;      /* of kept captions */
    size_t at;                   /* the next one of the batch */
    int64_t after;               /* number of the batch's last */
    int64_t kept, passed;        /* captions to judge in all; seen so far */
    sv_judge_cost cost;          /* of this call */
    bool begun;
    double committed, shown;
} asking;

static sv_status next_text(void *user, sv_judge_task *out, bool *any, sv_error *err) {
    asking *a = user;
    *any = false;
    for (;;) {
        if (a->at == a->batch.count) {
            if (sv_rundir_stopping(a->run)) return SV_OK;   /* the next tick says so */
            SV_TRY(sv_ledger_read_kept(a->run->ledger, a->rules, a->after, PIECE, &a->batch, err));
            a->at = 0;
            if (!a->batch.count) return SV_OK;
            a->after = a->batch.items[a->batch.count - 1].number;
        }
        const sv_caption_item *c = &a->batch.items[a->at++];
        int64_t id;
        a->passed++;
        sv_sha256(c->text, c->size, out->key);
        SV_TRY(sv_ledger_find_judgement(a->run->ledger, a->setup, out->key, &id, err));
        if (id || sv_judge_is_asking(a->judge, out->key)) continue;
        out->text = c->text;
        out->size = c->size;
        *any = true;
        return SV_OK;
    }
}

static sv_status take_answer(void *user, const sv_judgement *j, sv_error *err) {
    static const char *const outcomes[] = {[SV_JUDGE_ANSWERED] = "answered", [SV_JUDGE_UNCLEAR] = "unclear", [SV_JUDGE_FAILED] = "failed"};
    asking *a = user;
    if (!a->begun) SV_TRY(sv_ledger_begin(a->run->ledger, err));
    a->begun = true;
    bool failed = j->outcome == SV_JUDGE_FAILED;
    const sv_judgement_row row = {.text = j->key, .outcome = outcomes[j->outcome], .answer = failed ? NULL : j->answer, .detail = failed ? j->detail : NULL,
                                  .value = j->value, .p_yes = j->p_yes, .tokens_in = j->tokens_in, .tokens_out = j->tokens_out, .requests = j->requests};
    a->cost.texts++;
    a->cost.unclear += j->outcome == SV_JUDGE_UNCLEAR;
    a->cost.failed += failed;
    a->cost.requests += j->requests;
    a->cost.tokens_in += j->tokens_in;
    a->cost.tokens_out += j->tokens_out;
    return sv_ledger_add_judgement(a->run->ledger, a->setup, &row, err);
}

static sv_status commit(asking *a, sv_error *err) {
    a->committed = sv_now();
    if (!a->begun) return SV_OK;
    a->begun = false;
    return sv_ledger_commit(a->run->ledger, err);
}

static sv_status tick(void *user, sv_error *err) {
    asking *a = user;
    double now = sv_now();
    if (now - a->shown >= SHOW_EVERY) {
        sv_rundir_progress(a->run, "judge", a->passed, a->kept, a->cost.failed);
        a->shown = now;
    }
    if (now - a->committed >= COMMIT_EVERY) SV_TRY(commit(a, err));
    return sv_rundir_stopping(a->run) ? sv_rundir_stopped(a->run, "the judge's answers", err) : SV_OK;
}

static sv_status ask(sv_rundir *run, sv_caption_judge *j, int64_t rules, int64_t kept, sv_error *err) {
    asking a = {.run = run, .setup = j->setup.id, .rules = rules, .kept = kept, .committed = sv_now()};
    const sv_judge_feed feed = {.user = &a, .next = next_text, .done = take_answer, .tick = tick};
    SV_TRY(sv_judge_open(&a.judge, &j->settings, &run->o.log, err));
    sv_status st = sv_judge_ask(a.judge, &feed, err);
    /* Answers are paid for: whatever ended the asking, they stay. */
    sv_error second;
    sv_status committed = commit(&a, st == SV_OK ? err : &second);
    if (st == SV_OK) st = committed;
    sv_judge_close(&a.judge);
    sv_caption_batch_free(&a.batch);
    if (a.cost.requests)
        sv_rundir_event(run, "judge", (sv_field[]){SV_TEXT("setup", j->setup.hash), SV_INT("answers", a.cost.texts), SV_INT("unclear", a.cost.unclear),
                        SV_INT("failed", a.cost.failed), SV_INT("requests", a.cost.requests), SV_INT("tokens_in", a.cost.tokens_in),
                        SV_INT("tokens_out", a.cost.tokens_out)}, 7);
    return st;
}

/* ---- verdicts ---- */

static sv_status link_piece(sv_rundir *run, const sv_caption_judge *j, const sv_caption_batch *b, int64_t curate, int64_t after, int64_t upto, sv_error *err) {
    SV_TRY(sv_ledger_unlink_judgements(run->ledger, curate, after, upto, err));
    for (size_t i = 0; i < b->count; i++) {
        uint8_t text[SV_TEXT_HASH];
        int64_t id;
        sv_sha256(b->items[i].text, b->items[i].size, text);
        SV_TRY(sv_ledger_find_judgement(run->ledger, j->setup.id, text, &id, err));
        if (!id) return sv_fail(err, SV_E_INTERNAL, run->dir, "caption number %lld has not been asked about", (long long)b->items[i].number);
        SV_TRY(sv_ledger_link_judgement(run->ledger, curate, b->items[i].number, id, err));
    }
    return SV_OK;
}

static sv_status write_verdicts(sv_rundir *run, const sv_caption_judge *j, int64_t rules, int64_t curate, int64_t captions, sv_error *err) {
    sv_caption_batch b = {0};
    sv_status st = SV_OK;
    for (int64_t after = 0, upto; st == SV_OK && after < captions; after = upto) {
        if (sv_rundir_stopping(run)) {
            st = sv_rundir_stopped(run, "curate", err);
            break;
        }
        upto = captions;
        st = sv_ledger_read_kept(run->ledger, rules, after, PIECE, &b, err);
        if (st == SV_OK && b.count == PIECE) upto = b.items[b.count - 1].number;
        if (st == SV_OK) st = sv_ledger_begin(run->ledger, err);
        if (st != SV_OK) break;
        st = link_piece(run, j, &b, curate, after, upto, err);
        if (st == SV_OK) st = sv_ledger_judge_verdicts(run->ledger, curate, rules, j->min, after, upto, err);
        if (st == SV_OK) st = sv_ledger_commit(run->ledger, err);
        if (st != SV_OK) sv_ledger_rollback(run->ledger);
    }
    sv_caption_batch_free(&b);
    return st;
}

sv_status sv_caption_judge_run(sv_rundir *run, sv_caption_judge *j, int64_t rules, int64_t curate, int64_t captions, sv_error *err) {
    int64_t judged, kept;
    SV_TRY(sv_ledger_verdict_counts(run->ledger, rules, &judged, &kept, err));
    SV_TRY(ask(run, j, rules, kept, err));
    return write_verdicts(run, j, rules, curate, captions, err);
}
