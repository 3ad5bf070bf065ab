#include "stages/draw/rounds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the recipe's numbers ---- */

static int first_of(const sv_candidates_settings *c) {
    return c->min == INT64_MIN ? 1 : (int)c->min;
}

static double budget_of(const sv_candidates_settings *c) {
    double half = (double)c->max / 2, least = first_of(c);
    return !isnan(c->budget) ? c->budget : half > least ? half : least;
}

static int64_t budget_for(const sv_recipe *r, int64_t sampled) {
    return (int64_t)floor(budget_of(&r->generate.candidates) * (double)sampled + 1e-9);
}

static int drop_after(const sv_candidates_settings *c) {
    return c->drop_after == INT64_MIN ? (int)c->max : (int)c->drop_after;
}

bool sv_rounds_describe(const sv_recipe *r, yyjson_mut_doc *doc, yyjson_mut_val *o) {
    const sv_candidates_settings *c = &r->generate.candidates;
    bool adaptive = sv_recipe_adaptive(r);
    return yyjson_mut_obj_add_int(doc, o, "min", adaptive ? first_of(c) : c->max) && yyjson_mut_obj_add_int(doc, o, "step", adaptive ? c->step : c->max) &&
           yyjson_mut_obj_add_int(doc, o, "max", c->max) && yyjson_mut_obj_add_int(doc, o, "retries", r->generate.retries);
}

bool sv_rounds_describe_scores(const sv_scorers *scorers, const sv_setup *score, yyjson_mut_doc *doc, yyjson_mut_val *o) {
    yyjson_mut_val *scores = yyjson_mut_obj_add_obj(doc, o, "scores");
    bool ok = scores != NULL;
    for (size_t i = 0; ok && i < sv_scorers_count(scorers); i++) {
        double weight = sv_scorers_weight(scorers, i);
        if (isnan(weight)) continue;
        yyjson_mut_val *one = yyjson_mut_obj_add_obj(doc, scores, sv_scorers_name(scorers, i));
        ok = one && yyjson_mut_obj_add_strcpy(doc, one, "setup", score[i].hash) && yyjson_mut_obj_add_real(doc, one, "weight", weight);
    }
    return ok;
}

static bool add_limits(const sv_candidates_settings *c, yyjson_mut_doc *doc, yyjson_mut_val *o) {
    bool ok = yyjson_mut_obj_add_real(doc, o, "budget", budget_of(c));
    if (!isnan(c->stop_at)) ok = ok && yyjson_mut_obj_add_real(doc, o, "stop_at", c->stop_at);
    if (isnan(c->drop_below)) return ok;
    return ok && yyjson_mut_obj_add_real(doc, o, "drop_below", c->drop_below) && yyjson_mut_obj_add_int(doc, o, "drop_after", drop_after(c));
}

static sv_status describe(const sv_rounds *r, const sv_setup *generate, const sv_setup *score, char **json, sv_error *err) {
    char digest[SV_SHA256_HEX];
    *json = NULL;
    SV_TRY(sv_ledger_sample_digest(r->run->ledger, r->scope.sample, digest, err));
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = doc ? yyjson_mut_obj(doc) : NULL;
    bool ok = o && yyjson_mut_obj_add_str(doc, o, "generate", generate->hash) && yyjson_mut_obj_add_str(doc, o, "captions", digest) &&
              sv_rounds_describe(r->run->recipe, doc, o) && add_limits(&r->run->recipe->generate.candidates, doc, o) &&
              sv_rounds_describe_scores(r->scorers, score, doc, o);
    if (ok) {
        yyjson_mut_doc_set_root(doc, o);
        *json = yyjson_mut_write(doc, 0, NULL);
    }
    yyjson_mut_doc_free(doc);
    return *json ? SV_OK : sv_fail_memory(err, "rounds", 0);
}

/* ---- opening ---- */

static sv_status put_round(sv_rounds *r, const sv_round *next, sv_error *err) {
    SV_TRY(sv_ledger_add_round(r->run->ledger, r->setup.id, next, err));
    r->now = *next;
    return SV_OK;
}

static sv_status begin_first(sv_rounds *r, sv_error *err) {
    int want = first_of(&r->run->recipe->generate.candidates);
    sv_round first = {.round = 1, .want = want, .captions = r->sampled, .given = r->sampled * want};
    SV_TRY(sv_ledger_begin(r->run->ledger, err));
    SV_TRY(put_round(r, &first, err));
    return sv_ledger_commit(r->run->ledger, err);
}

sv_status sv_rounds_open(sv_rounds *r, sv_rundir *run, const sv_scorers *scorers, sv_scope scope, const sv_setup *generate, const sv_setup *score,
                         sv_error *err) {
    char *json = NULL;
    *r = (sv_rounds){.run = run, .scorers = scorers, .scope = scope, .generate = generate->id};
    for (size_t i = 0; i < sv_scorers_count(scorers); i++) r->scores[i] = score[i].id;
    SV_TRY(describe(r, generate, score, &json, err));
    sv_status st = sv_rundir_setup(run, SV_STAGE_ROUNDS, "", json, &r->setup, err);
    free(json);
    if (st == SV_OK) st = sv_ledger_use(run->ledger, SV_STAGE_ROUNDS, &r->setup.id, 1, err);
    if (st == SV_OK) st = sv_ledger_sample_count(run->ledger, scope.sample, &r->sampled, err);
    if (st == SV_OK) st = sv_ledger_last_round(run->ledger, r->setup.id, &r->now, err);
    if (st != SV_OK) return st;
    r->budget = budget_for(run->recipe, r->sampled);
    return r->now.round ? SV_OK : begin_first(r, err);
}

bool sv_rounds_over(const sv_rounds *r) {
    return !r->now.captions;
}

sv_quota sv_rounds_quota(const sv_rounds *r) {
    return (sv_quota){.want = r->now.want, .retries = (int)r->run->recipe->generate.retries, .rounds = r->setup.id};
}

int64_t sv_rounds_left(const sv_recipe *r, int64_t sampled, const sv_round *now) {
    int64_t left = budget_for(r, sampled) - now->given, most = now->captions * (r->generate.candidates.max - now->want);
    return left < most ? left > 0 ? left : 0 : most;
}

int64_t sv_rounds_later(const sv_rounds *r) {
    return sv_rounds_left(r->run->recipe, r->sampled, &r->now);
}

/* ---- deciding ---- */

/* A caption that would go on. */
typedef struct goer {
    int64_t number;
    int k;
    double value;
} goer;

typedef struct decision {
    sv_rounds *r;
    goer best;                         /* of the caption whose candidates pass by; number 0: none yet */
    int tried, failures;               /* of it, up to the limit of this round */
    goer *goers;
    size_t count, room;
    sv_stop *stops;
    size_t stop_count, stop_room;
} decision;

static sv_status add_stop(decision *d, const goer *g, const char *reason, sv_error *err) {
    if (d->stop_count == d->stop_room) {
        size_t room = d->stop_room ? 2 * d->stop_room : 256;
        sv_stop *more = realloc(d->stops, room * sizeof *more);
        if (!more) return sv_fail_memory(err, "rounds", room * sizeof *more);
        d->stops = more;
        d->stop_room = room;
    }
    d->stops[d->stop_count++] = (sv_stop){.number = g->number, .round = d->r->now.round, .reason = reason, .k = g->k, .value = g->value};
    return SV_OK;
}

static sv_status add_goer(decision *d, const goer *g, sv_error *err) {
    if (d->count == d->room) {
        size_t room = d->room ? 2 * d->room : 256;
        goer *more = realloc(d->goers, room * sizeof *more);
        if (!more) return sv_fail_memory(err, "rounds", room * sizeof *more);
        d->goers = more;
        d->room = room;
    }
    d->goers[d->count++] = *g;
    return SV_OK;
}

/* All candidates of a caption have passed by. A caption without a single finite score counts as the lowest. */
static sv_status end_caption(decision *d, sv_error *err) {
    const sv_candidates_settings *c = &d->r->run->recipe->generate.candidates;
    const goer *g = &d->best;
    int want = d->r->now.want;
    if (!g->number) return SV_OK;
    if (g->value >= c->stop_at) return add_stop(d, g, "good_enough", err);
    if (!isnan(c->drop_below) && want >= drop_after(c) && !(g->value >= c->drop_below)) return add_stop(d, g, "dropped", err);
    return want >= c->max ? add_stop(d, g, "most", err) : add_goer(d, g, err);
}

/* One candidate. Only those count that belong to this round: the first `want` that did not fail, however many others there are from other settings. */
static sv_status meet(void *user, int64_t number, int k, sv_outcome outcome, const double *values, sv_error *err) {
    decision *d = user;
    if (number != d->best.number) {
        SV_TRY(end_caption(d, err));
        d->best = (goer){.number = number, .k = -1, .value = NAN};
        d->tried = d->failures = 0;
    }
    if (k < 0 || d->tried >= d->r->now.want || d->tried + d->failures >= d->r->now.want + d->r->run->recipe->generate.retries) return SV_OK;
    if (outcome == SV_FAILED)
        d->failures++;
    else
        d->tried++;
    double value = outcome == SV_GOOD ? sv_scorers_weigh(d->r->scorers, values) : NAN;
    if (isnan(value) || value <= d->best.value) return SV_OK;
    d->best.k = k;
    d->best.value = value;
    return SV_OK;
}

/* Lowest score first, captions without any before them all; equals by number. */
static int hardest_first(const void *a, const void *b) {
    const goer *x = a, *y = b;
    bool p = isnan(x->value), q = isnan(y->value);
    if (p != q) return p ? -1 : 1;
    if (!p && x->value != y->value) return x->value < y->value ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

/* Gives what is left of the budget to those who go on, the hardest first. */
static sv_status allot(decision *d, sv_round *next, sv_error *err) {
    const sv_rounds *r = d->r;
    const sv_candidates_settings *c = &r->run->recipe->generate.candidates;
    int64_t want = r->now.want + c->step < c->max ? r->now.want + c->step : c->max, more = want - r->now.want;
    int64_t left = r->budget - r->now.given, affordable = more > 0 && left > 0 ? left / more : 0;
    if (affordable < (int64_t)d->count) {
        qsort(d->goers, d->count, sizeof *d->goers, hardest_first);
        for (size_t i = (size_t)affordable; i < d->count; i++) SV_TRY(add_stop(d, &d->goers[i], "budget", err));
        d->count = (size_t)affordable;
    }
    *next = (sv_round){.round = r->now.round + 1, .want = d->count ? (int)want : r->now.want, .captions = (int64_t)d->count,
                       .given = r->now.given + (int64_t)d->count * more};
    return SV_OK;
}

static sv_status write_down(sv_rounds *r, const decision *d, const sv_round *next, sv_error *err) {
    sv_ledger *l = r->run->ledger;
    SV_TRY(sv_ledger_begin(l, err));
    for (size_t i = 0; i < d->stop_count; i++) SV_TRY(sv_ledger_add_stop(l, r->setup.id, &d->stops[i], err));
    SV_TRY(put_round(r, next, err));
    return sv_ledger_commit(l, err);
}

sv_status sv_rounds_decide(sv_rounds *r, sv_error *err) {
    decision d = {.r = r};
    sv_round ended = r->now, next;
    sv_status st = sv_ledger_each_tried(r->run->ledger, r->scope, r->setup.id, r->generate, r->scores, sv_scorers_count(r->scorers), meet, &d, err);
    if (st == SV_OK) st = end_caption(&d, err);
    if (st == SV_OK) st = allot(&d, &next, err);
    if (st == SV_OK) {
        st = write_down(r, &d, &next, err);
        if (st != SV_OK) sv_ledger_rollback(r->run->ledger);
    }
    if (st == SV_OK) {
        const sv_field fields[] = {SV_INT("round", ended.round), SV_INT("images", ended.want), SV_INT("captions", ended.captions),
                                   SV_INT("stopped", (int64_t)d.stop_count), SV_INT("go_on", next.captions), SV_INT("budget_left", r->budget - next.given)};
        sv_rundir_event(r->run, "round", fields, sizeof fields / sizeof fields[0]);
    }
    free(d.goers);
    free(d.stops);
    return st;
}
