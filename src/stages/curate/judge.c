#include "stages/curate/judge.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "stages/answers.h"

#define PIECE 20000

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
    return j->on ? sv_answers_key(run->recipe->captions.judge.api_key_env, "captions.judge.api_key_env", &j->settings.key, err) : SV_OK;
}

/* ---- asking ---- */

typedef struct asking {
    sv_rundir *run;
    sv_judge *judge;
    int64_t rules;
    sv_caption_batch batch;      /* of kept captions */
    size_t at;                   /* the next one of the batch */
    int64_t after;               /* number of the batch's last */
    int64_t kept, passed;        /* captions to judge in all; seen so far */
    sv_answers answers;
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
        SV_TRY(sv_ledger_find_judgement(a->run->ledger, a->answers.setup, out->key, &id, err));
        if (id || sv_judge_is_asking(a->judge, out->key)) continue;
        out->text = c->text;
        out->size = c->size;
        *any = true;
        return SV_OK;
    }
}

static sv_status take_answer(void *user, const sv_judgement *j, sv_error *err) {
    return sv_answers_add(&((asking *)user)->answers, j, err);
}

static sv_status tick(void *user, sv_error *err) {
    asking *a = user;
    return sv_answers_tick(&a->answers, "judge", a->passed, a->kept, err);
}

static sv_status ask(sv_rundir *run, sv_caption_judge *j, int64_t rules, int64_t kept, sv_error *err) {
    asking a = {.run = run, .rules = rules, .kept = kept};
    const sv_judge_feed feed = {.user = &a, .next = next_text, .done = take_answer, .tick = tick};
    sv_answers_init(&a.answers, run, j->setup.id);
    SV_TRY(sv_judge_open(&a.judge, &j->settings, &run->o.log, err));
    sv_status st = sv_judge_ask(a.judge, &feed, err);
    st = sv_answers_end(&a.answers, "judge", j->setup.hash, st, err);
    sv_judge_close(&a.judge);
    sv_caption_batch_free(&a.batch);
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
