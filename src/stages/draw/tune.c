#include "stages/draw/tune.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "base/thread.h"

enum { MOST_TRIALS = 8, MOST_WORKERS = 64 };
static const double most_seconds = 8, least_work = 600, long_call = 2;

/* ---- timing ---- */

/* Painters side by side that do the first step of a picture again and again. */
typedef struct trial_run {
    sv_pipeline *pipeline;
    const sv_condition *text, *negative;
    sv_paint_options paint;
    double until;
    atomic_long units;
    atomic_int failed;
} trial_run;

static sv_status one_unit(trial_run *t, sv_painter *w, sv_error *err) {
    sv_picture pictures[SV_MOST_ROWS];
    for (int i = 0; i < t->paint.batch; i++) pictures[i] = (sv_picture){.text = t->text, .negative = t->negative, .seed = (uint64_t)i};
    SV_TRY(sv_painter_begin(w, pictures, (size_t)t->paint.batch, err));
    return sv_painter_advance(w, 1, NULL, err);
}

static void *work(void *arg) {
    trial_run *t = arg;
    sv_painter *w = NULL;
    sv_status st = sv_painter_open(&w, t->pipeline, &t->paint, NULL);
    if (st == SV_OK) st = one_unit(t, w, NULL);          /* takes memory; not counted */
    while (st == SV_OK && sv_now() < t->until)
        if ((st = one_unit(t, w, NULL)) == SV_OK) atomic_fetch_add(&t->units, 1);
    sv_painter_close(&w);
    if (st != SV_OK) atomic_store(&t->failed, 1);
    return NULL;
}

/* Pictures a second, one step of each, with `workers` painters for about `seconds`; 0: it does not work, for want of memory as a rule. */
static double time_trial(const sv_draw_models *m, sv_pipeline *pipeline, const sv_condition *text, sv_paint_options paint, const sv_engine_plan *plan,
                         double seconds) {
    pthread_t threads[MOST_WORKERS];
    int started = 0;
    paint.batch = plan->batch;
    trial_run t = {.pipeline = pipeline, .text = text, .negative = m->negative, .paint = paint, .until = sv_now() + seconds};
    double begin = sv_now();
    while (started < plan->workers && started < MOST_WORKERS && pthread_create(&threads[started], NULL, work, &t) == 0) started++;
    for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
    double took = sv_now() - begin;
    return atomic_load(&t.failed) || !started ? 0 : (double)atomic_load(&t.units) * plan->batch / took;
}

size_t sv_trial_best(const sv_trial *trials, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (trials[i].rate > trials[best].rate * 1.05) best = i;
    return best;
}

/* ---- what is tried ---- */

/* The usual plan, then other batches, then all cores on one picture. */
static size_t make_trials(const sv_engine_settings *e, const sv_engine_plan *usual, sv_trial *out) {
    static const int batches[] = {4, 2, 1};
    int cores = (int)sv_cpu_count();
    size_t n = 0;
    out[n++].plan = *usual;
    for (size_t i = 0; !e->batch && i < sizeof batches / sizeof *batches; i++) {
        if (batches[i] == usual->batch) continue;
        out[n].plan = *usual;
        out[n++].plan.batch = batches[i];
    }
    if (!e->threads_per_image && cores > 1) {
        out[n].plan = *usual;
        out[n].plan.threads = cores;
        if (!e->workers) out[n].plan.workers = 1;
        n++;
    }
    return n;
}

/* Another number of threads needs sessions of its own. */
static sv_status with_threads(sv_rundir *run, const sv_draw_models *m, const sv_condition *text, const sv_paint_options *paint, sv_trial *trial, double seconds,
                              sv_error *err) {
    sv_engine_options engine;
    sv_pipeline *pipeline = NULL;
    sv_engine_of(run->recipe, trial->plan.threads, &engine);
    SV_TRY(sv_pipeline_open(&pipeline, run->recipe->generate.model, &engine, NULL, err));
    sv_status st = sv_pipeline_prepare(pipeline, SV_PHASE_DENOISE, err);
    if (st == SV_OK) trial->rate = time_trial(m, pipeline, text, *paint, &trial->plan, seconds);
    sv_pipeline_close(&pipeline);
    return st;
}

static sv_status run_trials(sv_rundir *run, const sv_draw_models *m, const sv_condition *text, const sv_paint_options *paint, sv_trial *trials, size_t n,
                            double seconds, sv_error *err) {
    for (size_t i = 0; i < n && !sv_rundir_stopping(run); i++) {
        if (trials[i].plan.threads == trials[0].plan.threads)
            trials[i].rate = time_trial(m, m->base, text, *paint, &trials[i].plan, seconds / (double)n);
        else
            SV_TRY(with_threads(run, m, text, paint, &trials[i], seconds / (double)n, err));
    }
    return SV_OK;
}

/* ---- the ledger's word ---- */

static sv_status key_of(sv_rundir *run, const sv_draw_models *m, const sv_paint_options *paint, char **key, sv_error *err) {
    char hash[65];
    SV_TRY(sv_pipeline_hash(m->base, hash, err));
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = doc ? yyjson_mut_obj(doc) : NULL;
    bool ok = o && yyjson_mut_obj_add_str(doc, o, "model", hash) && yyjson_mut_obj_add_int(doc, o, "width", paint->width) &&
              yyjson_mut_obj_add_int(doc, o, "height", paint->height) && yyjson_mut_obj_add_bool(doc, o, "guided", paint->guidance > 1) &&
              yyjson_mut_obj_add_int(doc, o, "cores", (int)sv_cpu_count()) && sv_provider_describe(&run->recipe->generate.engine.provider, doc, o, NULL) == SV_OK;
    yyjson_mut_doc_set_root(doc, o);
    yyjson_doc *fixed = ok ? yyjson_mut_doc_imut_copy(doc, NULL) : NULL;
    *key = fixed ? sv_json_canonical(yyjson_doc_get_root(fixed)) : NULL;
    yyjson_doc_free(fixed);
    yyjson_mut_doc_free(doc);
    return *key ? SV_OK : sv_fail_memory(err, "engine", 0);
}

static char *value_of(const sv_trial *trials, size_t n, size_t best) {
    sv_buf b = {0};
    const sv_engine_plan *p = &trials[best].plan;
    sv_buf_printf(&b, "{\"threads\":%d,\"batch\":%d,\"workers\":%d,\"tried\":[", p->threads, p->batch, p->workers);
    for (size_t i = 0; i < n; i++)
        sv_buf_printf(&b, "%s{\"threads\":%d,\"batch\":%d,\"workers\":%d,\"per_second\":%.4g}", i ? "," : "", trials[i].plan.threads, trials[i].plan.batch,
                      trials[i].plan.workers, trials[i].rate);
    sv_buf_puts(&b, "]}");
    if (b.failed) sv_buf_free(&b);
    return b.data;
}

/* Numbers from the ledger, or just measured, where the recipe has none of its own. */
static void take(const sv_rundir *run, const char *value, sv_engine_plan *plan) {
    const sv_engine_settings *e = &run->recipe->generate.engine;
    yyjson_doc *doc = yyjson_read(value, strlen(value), 0);
    yyjson_val *o = yyjson_doc_get_root(doc);
    int threads = (int)yyjson_get_sint(yyjson_obj_get(o, "threads")), batch = (int)yyjson_get_sint(yyjson_obj_get(o, "batch"));
    int workers = (int)yyjson_get_sint(yyjson_obj_get(o, "workers"));
    if (!e->threads_per_image && threads > 0) plan->threads = threads;
    if (!e->batch && batch > 0 && batch <= SV_MOST_ROWS) plan->batch = batch;
    if (!e->workers && !run->o.workers && workers > 0) plan->workers = workers;
    yyjson_doc_free(doc);
}

static void tell(const sv_rundir *run, const sv_trial *t, double seconds) {
    const sv_engine_plan *p = &t->plan;
    sv_say(&run->o.log, SV_LOG_INFO, "measured in %.1f s: %d workers, batch %d, %d threads per image draw most, %.3g steps/s", seconds, p->workers, p->batch,
           p->threads, t->rate);
    sv_rundir_event(run, "tuned", (sv_field[]){SV_INT("workers", p->workers), SV_INT("batch", p->batch), SV_INT("threads_per_image", p->threads),
                                               SV_REAL("steps_per_second", t->rate), SV_REAL("seconds", seconds)}, 5);
}

/* ---- the whole ---- */

/* Times one call, and from that how much time may go into measuring; 0: none. */
static sv_status allowance(const sv_draw_models *m, const sv_condition *text, sv_paint_options paint, int64_t pictures, double *seconds, sv_error *err) {
    sv_painter *w = NULL;
    paint.batch = 1;
    trial_run t = {.pipeline = m->base, .text = text, .negative = m->negative, .paint = paint};
    *seconds = 0;
    SV_TRY(sv_painter_open(&w, m->base, &paint, err));
    sv_status st = one_unit(&t, w, err);
    double begin = sv_now(), call;
    if (st == SV_OK) st = one_unit(&t, w, err);
    call = sv_now() - begin;
    double expected = (double)pictures * (double)sv_painter_calls(w) * call / sv_cpu_count();
    sv_painter_close(&w);
    if (st != SV_OK || call > long_call) return st;
    *seconds = expected < least_work ? 0 : most_seconds;
    return SV_OK;
}

static sv_status measure(sv_rundir *run, const sv_draw_models *m, const sv_paint_options *paint, int64_t pictures, const sv_engine_plan *plan, char **value,
                         sv_error *err) {
    sv_condition *text = NULL;
    sv_trial trials[MOST_TRIALS] = {0};
    double seconds, begin = sv_now();
    SV_TRY(sv_pipeline_encode_with(m->base, "", &m->text, &text, err));
    sv_status st = allowance(m, text, *paint, pictures, &seconds, err);
    if (st == SV_OK && seconds > 0) {
        size_t n = make_trials(&run->recipe->generate.engine, plan, trials);
        st = run_trials(run, m, text, paint, trials, n, seconds, err);
        if (st == SV_OK && !sv_rundir_stopping(run)) {
            size_t best = sv_trial_best(trials, n);
            *value = value_of(trials, n, best);
            if (*value) tell(run, &trials[best], sv_now() - begin);
            else st = sv_fail_memory(err, "engine", 0);
        }
    }
    sv_condition_close(&text);
    return st;
}

sv_status sv_engine_tune(sv_rundir *run, const sv_draw_models *m, int64_t pictures, sv_engine_plan *plan, sv_error *err) {
    sv_draw_models models = *m;          /* borrowed; with a negative text of our own */
    sv_paint_options paint;
    char *key = NULL, *value = NULL;
    sv_paint_plan(run->recipe, m, plan, &paint);
    paint.refiner = NULL;
    SV_TRY(key_of(run, m, &paint, &key, err));
    sv_status st = sv_ledger_tuned(run->ledger, key, &value, err);
    if (st == SV_OK && !value) {
        models.negative = NULL;
        if (paint.guidance > 1) st = sv_pipeline_encode(m->base, run->recipe->generate.negative, &models.negative, err);
        if (st == SV_OK) st = measure(run, &models, &paint, pictures, plan, &value, err);
        if (st == SV_OK && value) st = sv_ledger_put_tuned(run->ledger, key, value, err);
        sv_condition_close(&models.negative);
    }
    if (st == SV_OK && value) take(run, value, plan);
    free(key);
    free(value);
    return st;
}
