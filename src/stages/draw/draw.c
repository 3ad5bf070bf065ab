/* draw.c - the drawing machine as its user sees it: opened, fed with captions, asked for results, closed. Its threads: draw_paint.c, draw_finish.c. */
#include <stdlib.h>
#include <string.h>

#include "stages/draw/drawing.h"

enum { MOST_K = 4096, MOST_ROWS_OF_CONVOY = 64 };

uint64_t sv_candidate_seed(int64_t run_seed, const char *caption_id, int64_t k) {
    sv_buf b = {0};
    sv_buf_printf(&b, "%lld/%s/%lld", (long long)run_seed, caption_id, (long long)k);
    uint8_t hash[32] = {0};
    if (!b.failed) sv_sha256(b.data, b.size, hash);
    sv_buf_free(&b);
    return (uint64_t)hash[0] << 24 | (uint64_t)hash[1] << 16 | (uint64_t)hash[2] << 8 | hash[3];
}

int sv_draw_limit(int want, int retries, int failures) {
    return want + (failures < retries ? failures : retries);
}

bool sv_draw_halted(const sv_drawing *d) {
    return atomic_load(&d->broken) || (d->plan.stop && *d->plan.stop);
}

/* ---- captions in hand, and results ---- */

sv_draw_result *sv_draw_result_new(const task *t, size_t count) {
    sv_draw_result *r = calloc(1, sizeof *r + count * sizeof r->drawn[0]);
    if (r) r->number = t->number;
    return r;
}

void sv_draw_result_free(sv_draw_result *r) {
    free(r);
}

void sv_draw_fill(sv_drawn *out, const task *t, int k, uint64_t seed) {
    out->candidate = (sv_candidate){.number = t->number, .k = k, .seed = seed, .tokens_cut = t->tokens_cut};
}

void sv_draw_break(sv_drawing *d, task *t, sv_status status, const sv_error *err) {
    if (!atomic_flag_test_and_set(&t->broke)) {
        t->end->status = status;
        t->end->error = *err;
    }
    atomic_store(&d->broken, true);
}

static void task_free(task *t) {
    if (!t) return;
    sv_told_free(&t->told);
    sv_scored_text_free(&t->scored);
    free(t->previews);
    free(t->id);
    free(t->text);
    free(t->have);
    free(t->end);
    free(t);
}

void sv_task_release(sv_drawing *d, task *t) {
    if (atomic_fetch_sub(&t->holders, 1) != 1) return;
    if (sv_queue_push(d->results, t->end)) t->end = NULL;
    task_free(t);
}

static task *task_new(const sv_drawing *d, const sv_draw_item *item) {
    task *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    atomic_init(&t->holders, 1);
    atomic_flag_clear(&t->broke);
    t->number = item->number;
    t->want = item->want;
    t->room = item->want + (int)d->plan.recipe->generate.retries;
    for (size_t i = 0; i < item->have_count; i++)
        if (item->have[i].k >= t->room && item->have[i].k < MOST_K) t->room = item->have[i].k + 1;
    t->id = sv_strdup(item->id);
    t->text = sv_strndup(item->text, item->size);
    t->have = calloc((size_t)t->room, 1);
    t->end = sv_draw_result_new(t, 0);
    t->previews = item->preview_count ? malloc(item->preview_count * sizeof *t->previews) : NULL;
    if (!t->id || !t->text || !t->have || !t->end || (item->preview_count && !t->previews)) {
        task_free(t);
        return NULL;
    }
    t->end->last = true;
    for (size_t i = 0; i < item->have_count; i++) {
        const sv_have *h = &item->have[i];
        if (h->k < t->room) t->have[h->k] = h->ok ? KNOWN_GOOD : h->pruned ? KNOWN_PRUNED : KNOWN_FAILED;
    }
    if (item->preview_count) memcpy(t->previews, item->previews, item->preview_count * sizeof *t->previews);
    t->preview_count = t->preview_room = item->preview_count;
    return t;
}

/* ---- the machine ---- */

/* Finishing a picture costs a small part of drawing it. */
static int finishers_for(int workers) {
    return 1 + workers / 4;
}

static sv_status start_threads(sv_drawing *d, sv_error *err) {
    const sv_draw_plan *p = &d->plan;
    for (int i = 0; i < p->workers; i++) {
        d->painters[i].d = d;
        SV_TRY(sv_painter_open(&d->painters[i].painter, p->models->base, &p->paint, err));
        d->painters_open++;
    }
    int finishers = finishers_for(p->workers);
    for (int i = 0; i < finishers; i++) {
        d->finishers[i].d = d;
        if (pthread_create(&d->finishers[i].thread, NULL, sv_finisher_main, &d->finishers[i]) != 0)
            return sv_fail(err, SV_E_MEMORY, "finishers", "cannot start a thread");
        d->finisher_count++;
    }
    for (int i = 0; i < p->workers; i++) {
        if (pthread_create(&d->painters[i].thread, NULL, sv_painter_main, &d->painters[i]) != 0)
            return sv_fail(err, SV_E_MEMORY, "painters", "cannot start a thread");
        d->painter_count++;
    }
    return SV_OK;
}

sv_status sv_drawing_open(sv_drawing **out, const sv_draw_plan *plan, sv_error *err) {
    *out = NULL;
    sv_drawing *d = calloc(1, sizeof *d);
    if (!d) return sv_fail_memory(err, "drawing", sizeof *d);
    d->plan = *plan;
    size_t workers = (size_t)plan->workers, finishers = (size_t)finishers_for(plan->workers);
    d->group_count = workers + finishers + 1;
    d->convoy_size = 1;
    const sv_image_settings *image = &plan->recipe->generate.image;
    sv_encode_options_init(&d->encode, (sv_format)image->format);
    d->encode.quality = (int)image->quality;
    d->painters = calloc(workers, sizeof *d->painters);
    d->finishers = calloc(finishers, sizeof *d->finishers);
    d->group_memory = calloc(d->group_count, sizeof *d->group_memory);
    d->convoys = sv_queue_open(2 * workers + 1 + (size_t)plan->text_chunk);
    d->held = plan->text_chunk ? calloc((size_t)plan->text_chunk, sizeof(convoy *)) : NULL;
    d->groups = sv_queue_open(d->group_count);
    d->spare = sv_queue_open(d->group_count);
    d->results = sv_queue_open(1024);
    sv_status st = SV_OK;
    if (!d->painters || !d->finishers || !d->group_memory || !d->convoys || !d->groups || !d->spare || !d->results ||
        (plan->text_chunk && !d->held))
        st = sv_fail_memory(err, "drawing", 0);
    for (size_t i = 0; st == SV_OK && i < d->group_count; i++) sv_queue_push(d->spare, &d->group_memory[i]);
    if (st == SV_OK) st = start_threads(d, err);
    if (st != SV_OK) {
        sv_drawing_close(&d);
        return st;
    }
    *out = d;
    return SV_OK;
}

static void free_threads(sv_drawing *d) {
    for (int i = 0; i < d->painters_open; i++) {
        painter *w = &d->painters[i];
        sv_painter_close(&w->painter);
        sv_gate_work_free(&w->gates);
        sv_score_memory_free(&w->memory);
        for (int j = 0; j < SV_MOST_ROWS; j++) sv_image_free(&w->preview[j].image);
        free(w->rows);
    }
    for (int i = 0; d->finishers && i < d->finisher_count; i++) {
        sv_score_memory_free(&d->finishers[i].memory);
        for (int j = 0; j < SV_MOST_ROWS; j++) sv_image_free(&d->finishers[i].decoded[j]);
    }
    for (size_t i = 0; d->group_memory && i < d->group_count; i++)
        for (int j = 0; j < SV_MOST_ROWS; j++) sv_image_free(&d->group_memory[i].rows[j].painted.image);
}

void sv_drawing_close(sv_drawing **pointer) {
    sv_drawing *d = *pointer;
    if (!d) return;
    atomic_store(&d->broken, true);
    if (d->convoys) {
        sv_drawing_flush(d);
        sv_queue_end(d->convoys);
    }
    for (sv_draw_result *r; d->results && d->in_hand && (r = sv_queue_pop(d->results)); sv_draw_result_free(r))
        if (r->last) d->in_hand--;
    for (int i = 0; i < d->painter_count; i++) pthread_join(d->painters[i].thread, NULL);
    if (d->groups) sv_queue_end(d->groups);
    for (int i = 0; i < d->finisher_count; i++) pthread_join(d->finishers[i].thread, NULL);
    free_threads(d);
    if (d->results) {
        sv_queue_end(d->results);
        for (sv_draw_result *r; (r = sv_queue_pop(d->results));) sv_draw_result_free(r);
    }
    sv_queue_close(&d->convoys);
    sv_queue_close(&d->groups);
    sv_queue_close(&d->spare);
    sv_queue_close(&d->results);
    free(d->painters);
    free(d->finishers);
    free(d->group_memory);
    free(d->held);
    free(d);
    *pointer = NULL;
}

/* As few captions as fill whole batches; with checks as many as leave two full batches after the last one. */
void sv_drawing_expect(sv_drawing *d, int pictures) {
    int batch = d->plan.paint.batch, captions = 1, left = pictures;
    while (captions < MOST_CONVOY && captions * pictures % batch) captions++;
    int whole = captions;
    for (int i = 0; i < d->plan.check_count; i++) left = (int)(left * d->plan.keep + 0.999);
    if (left < 1) left = 1;
    while (d->plan.check_count && captions * left < 2 * batch && captions + whole <= MOST_CONVOY && (captions + whole) * pictures <= MOST_ROWS_OF_CONVOY)
        captions += whole;
    d->convoy_size = (size_t)captions;
}

size_t sv_drawing_room(const sv_drawing *d) {
    if (d->plan.text_chunk) return d->sealed && d->in_hand ? 0 : (size_t)d->plan.text_chunk - d->in_hand;
    return 2 * (size_t)d->plan.workers * d->convoy_size - d->in_hand;
}

bool sv_drawing_busy(const sv_drawing *d) {
    return d->in_hand > 0;
}

static void send_off(sv_drawing *d) {
    if (!d->loading) return;
    if (d->held)
        d->held[d->held_count++] = d->loading;
    else
        sv_queue_push(d->convoys, d->loading);
    d->loading = NULL;
}

static void release(const sv_drawing *d, unsigned phases) {
    sv_pipeline_release(d->plan.models->base, phases);
    if (d->plan.models->refiner) sv_pipeline_release(d->plan.models->refiner, phases);
}

void sv_drawing_flush(sv_drawing *d) {
    send_off(d);
    if (!d->held_count) return;
    release(d, SV_PHASE_TEXT);
    for (size_t i = 0; i < d->held_count; i++) sv_queue_push(d->convoys, d->held[i]);
    d->held_count = 0;
    d->sealed = true;
}

/* Before the first text of a chunk, while no painter is at work: what draws makes room for what encodes. */
static void begin_chunk(sv_drawing *d) {
    for (int i = 0; i < d->painters_open; i++) sv_painter_release(d->painters[i].painter, SV_PHASE_DENOISE | SV_PHASE_DECODE);
    release(d, SV_PHASE_DENOISE | SV_PHASE_DECODE);
    d->sealed = false;
}

sv_status sv_drawing_submit(sv_drawing *d, const sv_draw_item *item, sv_error *err) {
    if (!d->loading && !(d->loading = calloc(1, sizeof *d->loading))) return sv_fail_memory(err, "captions", sizeof *d->loading);
    task *t = task_new(d, item);
    if (!t) return sv_fail_memory(err, "caption", item->size);
    if (d->plan.text_chunk) {
        if (!d->in_hand) begin_chunk(d);
        sv_status st = sv_told_make(&t->told, d->plan.models, d->plan.recipe->generate.prompt, t->text, err);
        if (st != SV_OK) {
            task_free(t);
            return st;
        }
    }
    d->loading->tasks[d->loading->count++] = t;
    d->in_hand++;
    if (d->loading->count == d->convoy_size) send_off(d);
    return SV_OK;
}

sv_draw_result *sv_drawing_next(sv_drawing *d, double seconds) {
    if (!d->in_hand) return NULL;
    sv_draw_result *r = sv_queue_pop_for(d->results, seconds);
    if (r && r->last) d->in_hand--;
    return r;
}
