/* generate.c - the stage that draws what is missing, and scores it on the way when asked to. */
#include <stdlib.h>

#include "base/thread.h"
#include "stages/draw/adopt.h"
#include "stages/draw/draw.h"
#include "stages/draw/duplicates.h"
#include "stages/produce.h"
#include "stages/draw/rounds.h"
#include "stages/setups.h"
#include "stages/draw/tune.h"

enum { PIECE = 256 };            /* captions read from the ledger at a time */

/* Everything that a stage which draws has open. */
typedef struct production {
    sv_rundir *run;
    sv_draw_models models;
    sv_scorers *scorers;         /* NULL: only drawn */
    sv_engine_plan engine;
    sv_paint_options paint;
    sv_scope scope;
    sv_setup setup;
    sv_setup score[SV_MOST_SCORERS];
    bool adaptive;               /* the number of candidates follows the scores */
    sv_rounds rounds;            /* if so */
    bool with_scores;
    double opened;               /* when the stage began */

    sv_drawing *drawing;
    int pending;                 /* rows added since the transaction began; 0: none is open */
    double committed;            /* when the last one ended */
    int64_t done, total;
    sv_draw_report report;
} production;

/* ---- opening ---- */

/* Opens the models, and measures what `auto` stands for where that is open. Nothing else is loaded yet, neither here nor by the scorers. */
static sv_status open_models(production *p, sv_error *err) {
    const sv_recipe *r = p->run->recipe;
    int threads = p->engine.threads;
    int64_t sampled = 0;
    SV_TRY(sv_draw_models_open(&p->models, r, threads, &p->run->o.log, err));
    if (p->engine.open) {
        SV_TRY(sv_ledger_sample_count(p->run->ledger, p->scope.sample, &sampled, err));
        SV_TRY(sv_engine_tune(p->run, &p->models, sampled * r->generate.candidates.max, &p->engine, err));
    }
    if (p->engine.threads != threads) {
        sv_draw_models_close(&p->models);
        p->models = (sv_draw_models){0};
        SV_TRY(sv_draw_models_open(&p->models, r, p->engine.threads, &p->run->o.log, err));
    }
    return p->with_scores ? sv_scorers_open(&p->scorers, r, p->engine.batch, err) : SV_OK;
}

sv_status sv_scorers_use(sv_rundir *run, const sv_scorers *scorers, sv_setup *setups, sv_error *err) {
    int64_t ids[SV_MOST_SCORERS];
    for (size_t i = 0; i < sv_scorers_count(scorers); i++) {
        char *json = NULL;
        SV_TRY(sv_scorers_setup(scorers, i, &json, err));
        sv_status st = sv_rundir_setup(run, SV_STAGE_SCORE, sv_scorers_name(scorers, i), json, &setups[i], err);
        free(json);
        if (st != SV_OK) return st;
        ids[i] = setups[i].id;
    }
    return sv_ledger_use(run->ledger, SV_STAGE_SCORE, ids, sv_scorers_count(scorers), err);
}

static sv_status register_setups(production *p, sv_error *err) {
    char *json = NULL;
    sv_paint_plan(p->run->recipe, &p->models, &p->engine, &p->paint);
    const sv_pruning pruning = {p->scorers, p->score};
    if (p->scorers) SV_TRY(sv_scorers_use(p->run, p->scorers, p->score, err));
    if (p->scorers) SV_TRY(sv_scorers_keep(p->scorers, p->run->dir, err));
    SV_TRY(sv_generate_setup(p->run->recipe, &p->models, &p->engine, &p->paint, p->run->recipe->generate.prune.at ? &pruning : NULL, &json, err));
    sv_status st = sv_rundir_setup(p->run, SV_STAGE_GENERATE, "", json, &p->setup, err);
    free(json);
    if (st != SV_OK) return st;
    SV_TRY(sv_ledger_use(p->run->ledger, SV_STAGE_GENERATE, &p->setup.id, 1, err));
    if (p->adaptive) return sv_rounds_open(&p->rounds, p->run, p->scorers, p->scope, &p->setup, p->score, err);
    sv_setup rounds;             /* of an earlier recipe: no longer in force */
    SV_TRY(sv_ledger_current(p->run->ledger, SV_STAGE_ROUNDS, "", &rounds, err));
    return rounds.id ? sv_ledger_use(p->run->ledger, SV_STAGE_ROUNDS, NULL, 0, err) : SV_OK;
}

/* ---- drawing ---- */

static sv_status commit(production *p, sv_error *err) {
    if (!p->pending) return SV_OK;
    p->pending = 0;
    p->committed = sv_now();
    return sv_ledger_commit(p->run->ledger, err);
}

static sv_status add_rows(production *p, const sv_draw_result *r, sv_error *err) {
    sv_ledger *l = p->run->ledger;
    if (r->count && !p->pending) SV_TRY(sv_ledger_begin(l, err));
    for (size_t i = 0; i < r->count; i++) {
        const sv_drawn *d = &r->drawn[i];
        const sv_candidate *c = &d->candidate;
        p->pending++;
        SV_TRY(sv_ledger_add_candidate(l, p->setup.id, c, err));
        SV_TRY(sv_ledger_add_timing(l, SV_STAGE_GENERATE, c->number, c->k, d->draw_seconds, err));
        for (int j = 0; j < d->preview_count; j++) SV_TRY(sv_ledger_add_preview(l, p->setup.id, c->number, &d->previews[j], err));
        if (c->ok) {
            for (size_t j = 0; p->scorers && j < sv_scorers_count(p->scorers); j++)
                SV_TRY(sv_ledger_add_score(l, p->score[j].id, p->setup.id, c->number, c->k, d->values[j], err));
            if (p->scorers) SV_TRY(sv_ledger_add_timing(l, SV_STAGE_SCORE, c->number, c->k, d->score_seconds, err));
            if (!p->report.drawn++) p->report.first_seconds = sv_now() - p->opened;
            p->done++;
        } else if (c->pruned) {
            p->report.pruned++;
            p->done++;
        } else {
            p->report.failed++;
            if (p->run->o.strict) return sv_fail(err, SV_E_INPUT, c->detail, "a candidate failed (%s) and the run is strict", c->reason);
        }
    }
    return SV_OK;
}

/* Takes one result if there is one. Rows are committed a few times a second, and whenever nothing else is there to do. */
static sv_status take_result(production *p, double wait, sv_error *err) {
    enum { MOST_ROWS = 512 };
    const double often = 0.25;
    sv_draw_result *r = sv_drawing_next(p->drawing, p->pending ? often : wait);
    sv_status st = SV_OK;
    if (r) {
        st = r->status;
        if (st != SV_OK && err) *err = r->error;
        if (st == SV_OK) st = add_rows(p, r, err);
        sv_draw_result_free(r);
        if (st != SV_OK) return st;
        sv_rundir_progress(p->run, "generate", p->done, p->total, p->report.failed);
    }
    if (!r || p->pending >= MOST_ROWS || sv_now() - p->committed > often) st = commit(p, err);
    return st;
}

/* What captions are to have now. */
static sv_quota quota_of(const production *p) {
    const sv_generate_settings *s = &p->run->recipe->generate;
    if (p->adaptive) return sv_rounds_quota(&p->rounds);
    return (sv_quota){.want = (int)s->candidates.max, .retries = (int)s->retries};
}

/* Draws whatever captions lack now. */
static sv_status draw_all(production *p, sv_error *err) {
    sv_draw_batch piece = {0};
    sv_status st = SV_OK;
    int64_t after = 0;
    size_t next = 0;
    bool more = true;
    while (st == SV_OK && (more || sv_drawing_busy(p->drawing))) {
        if (sv_rundir_stopping(p->run)) more = false;
        while (st == SV_OK && more && sv_drawing_room(p->drawing)) {
            if (next == piece.count) {
                /* The rows of captions in hand are not all in the ledger yet, but those lie before `after`. */
                SV_TRY_GOTO(done, sv_ledger_to_draw(p->run->ledger, p->scope, p->setup.id, quota_of(p), after, PIECE, &piece, err));
                next = 0;
                more = piece.count > 0;
                if (!more) break;
                after = piece.items[piece.count - 1].number;
            }
            st = sv_drawing_submit(p->drawing, &piece.items[next++], err);
        }
        if (!more || p->run->recipe->generate.engine.text_chunk > 0) sv_drawing_flush(p->drawing);
        if (st == SV_OK && sv_drawing_busy(p->drawing)) st = take_result(p, 0.5, err);
    }
done:
    if (st == SV_OK)
        st = commit(p, err);
    else {
        sv_error ignored;        /* what was finished before the fault is kept where the ledger still takes it */
        commit(p, &ignored);
    }
    sv_draw_batch_free(&piece);
    return st;
}

/* Opens the machine when there is something to draw for the first time: a run that has nothing to draw loads nothing. */
static sv_status open_machine(production *p, sv_error *err) {
    const sv_recipe *r = p->run->recipe;
    if (p->drawing) return SV_OK;
    SV_TRY(sv_draw_models_prepare(&p->models, r, &p->paint, err));
    sv_draw_plan plan = {.recipe = r, .models = &p->models, .scorers = p->scorers, .paint = p->paint, .dir = p->run->dir, .tmp = p->run->tmp,
                         .setup = p->setup.hash, .workers = p->engine.workers, .keep = r->generate.prune.keep, .stop = p->run->o.stop};
    if (r->generate.engine.text_chunk > 0) plan.text_chunk = (int)r->generate.engine.text_chunk;
    plan.check_count = sv_recipe_checks(&r->generate.prune, plan.checks);
    return sv_drawing_open(&p->drawing, &plan, err);
}

/* Draws what is missing of this round, or of everything. `pictures`: new ones for most captions. */
static sv_status draw(production *p, int pictures, sv_error *err) {
    int64_t missing;
    SV_TRY(sv_ledger_draw_count(p->run->ledger, p->scope, p->setup.id, quota_of(p), &missing, err));
    p->total = p->done + missing + (p->adaptive ? sv_rounds_later(&p->rounds) : 0);
    if (!missing) return SV_OK;
    SV_TRY(open_machine(p, err));
    sv_drawing_expect(p->drawing, pictures);
    double begin = sv_now();
    p->committed = begin;
    sv_status st = draw_all(p, err);
    p->report.seconds += sv_now() - begin;
    if (st == SV_OK && sv_rundir_stopping(p->run)) st = sv_rundir_stopped(p->run, "generate", err);
    return st;
}

/* Pictures from before, drawn when the scorers or their settings were others. */
static sv_status count_unscored(production *p, sv_error *err) {
    int64_t ids[SV_MOST_SCORERS];
    size_t n = sv_scorers_count(p->scorers);
    for (size_t i = 0; i < n; i++) ids[i] = p->score[i].id;
    return sv_ledger_score_count(p->run->ledger, p->scope, p->setup.id, ids, n, &p->report.unscored, err);
}

/* The same, with pictures that repeat others refused once all are there, and their captions' next ones drawn. */
static sv_status draw_distinct(production *p, int pictures, sv_error *err) {
    for (int64_t refused = 1; refused; pictures = 1) {
        SV_TRY(draw(p, pictures, err));
        SV_TRY(sv_duplicates_refuse(p->run, p->scope, p->setup.id, &refused, err));
        p->done -= refused;
        p->report.drawn -= refused;
        p->report.failed += refused;
    }
    return SV_OK;
}

/* A round is decided once all its candidates are scored, those from before too; of these some may turn out to be lost, and are drawn again. */
static sv_status draw_round(production *p, int pictures, sv_error *err) {
    int64_t scored, lost;
    for (int again = 0; again < 2; again++) {
        SV_TRY(draw_distinct(p, pictures, err));
        SV_TRY(count_unscored(p, err));
        if (!p->report.unscored) return SV_OK;
        SV_TRY(sv_score(p->run, &scored, &lost, err));
        if (!lost) return SV_OK;
    }
    return sv_fail(err, SV_E_IO, p->run->dir, "%lld image files are gone or damaged again as soon as they are written", (long long)lost);
}

static sv_status draw_rounds(production *p, sv_error *err) {
    int before = 0;
    while (!sv_rounds_over(&p->rounds)) {
        sv_round now = p->rounds.now;
        SV_TRY(draw_round(p, now.want - before, err));
        SV_TRY(sv_rounds_decide(&p->rounds, err));
        before = now.want;
    }
    return draw_round(p, 1, err);            /* what was lost of captions that stopped long ago */
}

sv_status sv_generate(sv_rundir *run, bool with_scores, sv_draw_report *report, sv_error *err) {
    const sv_generate_settings *s = &run->recipe->generate;
    bool adaptive = sv_recipe_adaptive(run->recipe), by_score = adaptive || s->prune.at;   /* what is drawn follows the scores */
    production p = {.run = run, .with_scores = with_scores || by_score, .adaptive = adaptive, .opened = sv_now()};
    int64_t lost = 0;
    sv_status st;
    if (s->source == SV_SOURCE_CAPTIONS) return sv_adopt(run, with_scores, report, err);
    SV_TRY(sv_recipe_needs_pictures(run->recipe, err));
    SV_TRY(sv_ledger_scope(run->ledger, &p.scope, err));
    SV_TRY(sv_engine_resolve(run, &p.engine, err));
    SV_TRY_GOTO(done, open_models(&p, err));
    SV_TRY_GOTO(done, register_setups(&p, err));
    SV_TRY_GOTO(done, sv_rundir_check_files(run, p.setup.id, false, &lost, err));
    SV_TRY_GOTO(done, sv_ledger_draw_count(run->ledger, p.scope, p.setup.id, quota_of(&p), &p.total, err));
    const sv_field fields[] = {SV_TEXT("setup", p.setup.hash), SV_INT("missing", p.total), SV_INT("batch", p.engine.batch), SV_INT("workers", p.engine.workers)};
    sv_rundir_event(run, "generate", fields, sizeof fields / sizeof fields[0]);
    st = adaptive ? draw_rounds(&p, err) : draw_distinct(&p, (int)s->candidates.max, err);
    if (st == SV_OK && p.scorers) st = count_unscored(&p, err);
    const sv_field end[] = {SV_INT("drawn", p.report.drawn), SV_INT("pruned", p.report.pruned), SV_INT("failed", p.report.failed), SV_REAL("seconds", p.report.seconds)};
    sv_rundir_event(run, "generated", end, sizeof end / sizeof end[0]);
done:
    sv_drawing_close(&p.drawing);
    sv_scorers_close(&p.scorers);
    sv_draw_models_close(&p.models);
    if (report) *report = p.report;
    return st;
}
