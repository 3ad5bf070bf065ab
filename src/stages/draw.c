#include "stages/draw.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/thread.h"
#include "stages/gates.h"

/* Only the reasons that a resumed run must know; failed candidates carry one of these. */
#define REASON_NOT_FINITE "not_finite"
#define REASON_TOO_LONG "caption_too_long"

enum { MOST_K = 4096 };

/* A caption in hand. Held by its painter and by every group of it that is on its way. */
typedef struct task {
    int64_t number;
    char *id, *text;
    int have_count;
    signed char *have;           /* by k: 0 not there, 1 good, -1 failed; `room` entries */
    int room;
    sv_scored_text *scored;
    int64_t tokens_cut;
    atomic_int holders;
    atomic_flag broke;           /* a fault of it is noted in `end` */
    sv_draw_result *end;         /* made beforehand, so that the last word on a caption always comes */
} task;

/* One call's worth of pictures; recycled. */
typedef struct group {
    task *task;
    int first;                   /* k of row 0 */
    bool wanted[SV_MOST_ROWS];
    sv_painted painted[SV_MOST_ROWS];
    sv_refusal refused[SV_MOST_ROWS];   /* by the gates; of wanted rows with a finite picture */
    uint64_t seeds[SV_MOST_ROWS];
    double seconds;              /* of the whole call */
} group;

typedef struct finisher {
    sv_drawing *d;
    sv_image decoded[SV_MOST_ROWS];
    sv_score_memory *memory;
    pthread_t thread;
} finisher;

typedef struct painter {
    sv_drawing *d;
    sv_painter *painter;
    sv_quality_work gates;       /* memory of what the gates look at */
    pthread_t thread;
} painter;

struct sv_drawing {
    sv_draw_plan plan;
    sv_encode_options encode;
    sv_queue *tasks, *groups, *spare, *results;
    painter *painters;
    finisher *finishers;
    group *group_memory;
    size_t group_count;
    int painter_count, finisher_count;   /* threads started */
    int painters_open;                   /* painters made */
    size_t in_hand, room;                /* captions submitted and not yet come back; most at a time */
    atomic_bool broken;
};

char *sv_prompt(const char *template, const char *caption) {
    static const char mark[] = "{caption}";
    sv_buf b = {0};
    for (const char *at; (at = strstr(template, mark)); template = at + strlen(mark)) {
        sv_buf_add(&b, template, (size_t)(at - template));
        sv_buf_puts(&b, caption);
    }
    sv_buf_puts(&b, template);
    if (b.failed) sv_buf_free(&b);
    return b.data;
}

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

static bool halted(const sv_drawing *d) {
    return atomic_load(&d->broken) || (d->plan.stop && *d->plan.stop);
}

/* ---- results ---- */

static sv_draw_result *new_result(const task *t, size_t count) {
    sv_draw_result *r = calloc(1, sizeof *r + count * sizeof r->drawn[0]);
    if (r) r->number = t->number;
    return r;
}

/* Halts the machine; the caption's last result says why. */
static void break_down(sv_drawing *d, task *t, sv_status status, const sv_error *err) {
    if (!atomic_flag_test_and_set(&t->broke)) {
        t->end->status = status;
        t->end->error = *err;
    }
    atomic_store(&d->broken, true);
}

static void task_free(task *t) {
    if (!t) return;
    sv_scored_text_free(&t->scored);
    free(t->id);
    free(t->text);
    free(t->have);
    free(t->end);
    free(t);
}

static void task_release(sv_drawing *d, task *t) {
    if (atomic_fetch_sub(&t->holders, 1) != 1) return;
    if (sv_queue_push(d->results, t->end)) t->end = NULL;
    task_free(t);
}

void sv_draw_result_free(sv_draw_result *r) {
    free(r);
}

static void fill_candidate(sv_drawn *out, const task *t, int k, uint64_t seed) {
    out->candidate = (sv_candidate){.number = t->number, .k = k, .seed = seed, .tokens_cut = t->tokens_cut};
}

/* ---- finishing: encode, hash, write, decode, score ---- */

static sv_status make_folder(const char *file, sv_error *err) {
    char *folder = sv_path_dir(file);
    char *parent = folder ? sv_path_dir(folder) : NULL;
    char *images = parent ? sv_path_dir(parent) : NULL;
    sv_status st = images ? SV_OK : sv_fail_memory(err, file, 0);
    if (st == SV_OK && !sv_is_dir(folder)) {
        st = sv_dir_make(folder, err);
        if (st == SV_OK) st = sv_dir_sync(parent, err);
        if (st == SV_OK) st = sv_dir_sync(images, err);
    }
    free(folder);
    free(parent);
    free(images);
    return st;
}

/* One picture to its file; its decoded pixels to `decoded` if they are to be scored. */
static sv_status finish_picture(sv_drawing *d, const sv_image *im, sv_image *decoded, sv_drawn *out, sv_error *err) {
    static const char *const extensions[] = {[SV_FORMAT_JPEG] = "jpg", [SV_FORMAT_PNG] = "png", [SV_FORMAT_WEBP] = "webp"};
    const sv_draw_plan *p = &d->plan;
    uint8_t *bytes = NULL;
    size_t size = 0;
    sv_status st = sv_image_encode(im, &d->encode, &bytes, &size, err);
    if (st != SV_OK) return st;
    sv_candidate *c = &out->candidate;
    sv_image_name(out->file, p->setup, c->number, c->k, extensions[d->encode.format]);
    sv_sha256_hex(bytes, size, out->sha256);
    char *path = sv_path_join(p->dir, out->file);
    st = path ? make_folder(path, err) : sv_fail_memory(err, out->file, 0);
    if (st == SV_OK) st = sv_file_write_via(p->tmp, path, bytes, size, err);
    if (st == SV_OK && p->scorers) st = sv_image_decode(decoded, bytes, size, out->file, err);
    free(path);
    free(bytes);
    c->ok = true;
    c->file = out->file;
    c->sha256 = out->sha256;
    c->bytes = (int64_t)size;
    c->width = im->width;
    c->height = im->height;
    return st;
}

static sv_status finish_group(sv_drawing *d, finisher *f, const group *g, sv_draw_result *r, sv_error *err) {
    int rows = d->plan.paint.batch;
    const sv_image *images[SV_MOST_ROWS] = {NULL};
    size_t slot[SV_MOST_ROWS] = {0}, scored = 0;
    for (int i = 0; i < rows; i++) {
        if (!g->wanted[i]) continue;
        sv_drawn *out = &r->drawn[r->count];
        slot[i] = r->count++;
        fill_candidate(out, g->task, g->first + i, g->seeds[i]);
        out->draw_seconds = g->seconds / rows;
        if (!g->painted[i].finite) {
            out->candidate.reason = REASON_NOT_FINITE;
            out->candidate.detail = "the picture holds values that are not finite numbers";
            continue;
        }
        if (g->refused[i].reason) {
            out->candidate.reason = g->refused[i].reason;
            snprintf(out->file, sizeof out->file, "%s", g->refused[i].detail);
            out->candidate.detail = out->file;
            continue;
        }
        SV_TRY(finish_picture(d, &g->painted[i].image, &f->decoded[i], out, err));
        images[i] = &f->decoded[i];
        scored++;
    }
    if (!d->plan.scorers || !scored) return SV_OK;
    double values[SV_MOST_ROWS][SV_MOST_SCORERS], begin = sv_now();
    const sv_scored_text *texts[SV_MOST_ROWS];
    for (int i = 0; i < rows; i++) texts[i] = g->task->scored;
    SV_TRY(sv_scorers_run(d->plan.scorers, &f->memory, texts, images, values, err));
    double seconds = (sv_now() - begin) / (double)scored;
    for (int i = 0; i < rows; i++) {
        if (!images[i]) continue;
        memcpy(r->drawn[slot[i]].values, values[i], sizeof values[i]);
        r->drawn[slot[i]].score_seconds = seconds;
    }
    return SV_OK;
}

static void *finisher_main(void *arg) {
    finisher *f = arg;
    sv_drawing *d = f->d;
    for (group *g; (g = sv_queue_pop(d->groups));) {
        task *t = g->task;
        sv_error err = {0};
        size_t wanted = 0;
        for (int i = 0; i < d->plan.paint.batch; i++) wanted += g->wanted[i];
        sv_draw_result *r = new_result(t, wanted);
        sv_status st = r ? SV_OK : sv_fail_memory(&err, "pictures", 0);
        if (st == SV_OK && !atomic_load(&d->broken)) st = finish_group(d, f, g, r, &err);
        if (st != SV_OK) {
            free(r);
            break_down(d, t, st, &err);
        } else if (!sv_queue_push(d->results, r))
            free(r);
        sv_queue_push(d->spare, g);
        task_release(d, t);
    }
    return NULL;
}

/* ---- painting ---- */

/* A caption that is too long and may not be cut: every candidate it could have had is recorded as failed, so that it is not tried again. */
static sv_status refuse_task(sv_drawing *d, task *t, size_t tokens, sv_error *err) {
    const sv_generate_settings *s = &d->plan.recipe->generate;
    int most = (int)(s->candidates.max + s->retries);
    sv_draw_result *r = new_result(t, (size_t)most);
    if (!r) return sv_fail_memory(err, t->id, 0);
    for (int k = 0; k < most; k++) {
        if (k < t->room && t->have[k]) continue;
        sv_drawn *out = &r->drawn[r->count++];
        fill_candidate(out, t, k, sv_candidate_seed(d->plan.recipe->seed, t->id, k));
        out->candidate.reason = REASON_TOO_LONG;
        snprintf(out->file, sizeof out->file, "%zu tokens, %lld too many", tokens, (long long)t->tokens_cut);
        out->candidate.detail = out->file;
    }
    if (!sv_queue_push(d->results, r)) free(r);
    return SV_OK;
}

/* Draws the group that holds candidate k, and hands it on. Failed rows are noted in the task. */
static sv_status paint_group(sv_drawing *d, painter *w, task *t, const sv_condition *text, int first, int limit, sv_error *err) {
    group *g = sv_queue_pop(d->spare);
    if (!g) return SV_OK;
    int rows = d->plan.paint.batch;
    g->task = t;
    g->first = first;
    for (int i = 0; i < rows; i++) {
        int k = first + i;
        g->seeds[i] = sv_candidate_seed(d->plan.recipe->seed, t->id, k);
        g->wanted[i] = k < limit && !t->have[k];
    }
    double begin = sv_now();
    /* No stop flag: an interrupted run finishes the group in hand. */
    sv_status st = sv_painter_run(w->painter, text, d->plan.negative, g->seeds, (size_t)rows, g->painted, NULL, err);
    for (int i = 0; st == SV_OK && i < rows; i++)
        if (g->wanted[i] && g->painted[i].finite)
            st = sv_gates_ask(&d->plan.recipe->score.gates, &g->painted[i].image, &w->gates, &g->refused[i], err);
    if (st != SV_OK) {
        sv_queue_push(d->spare, g);
        return st;
    }
    g->seconds = sv_now() - begin;
    for (int i = 0; i < rows; i++)
        if (g->wanted[i]) t->have[first + i] = g->painted[i].finite && !g->refused[i].reason ? 1 : -1;
    atomic_fetch_add(&t->holders, 1);
    if (!sv_queue_push(d->groups, g)) task_release(d, t);
    return SV_OK;
}

static sv_status paint_task(sv_drawing *d, painter *w, task *t, sv_error *err) {
    const sv_generate_settings *s = &d->plan.recipe->generate;
    int want = (int)s->candidates.max, retries = (int)s->retries, rows = d->plan.paint.batch;
    char *prompt = sv_prompt(s->prompt, t->text);
    if (!prompt) return sv_fail_memory(err, t->id, 0);
    sv_condition *text = NULL;
    sv_status st = sv_pipeline_encode(d->plan.pipeline, prompt, &text, err);
    free(prompt);
    if (st != SV_OK) return st;
    t->tokens_cut = (int64_t)sv_condition_cut(text);
    if (t->tokens_cut && s->long_captions == SV_LONG_REFUSE) {
        st = refuse_task(d, t, sv_condition_tokens(text), err);
        goto done;
    }
    if (d->plan.scorers) SV_TRY_GOTO(done, sv_scorers_prepare(d->plan.scorers, t->text, &t->scored, err));
    for (int from = 0, limit = want; from < limit && !halted(d);) {
        for (int first = from - from % rows; first < limit && !halted(d); first += rows) {
            bool missing = false;
            for (int k = first > from ? first : from; k < limit && k < first + rows; k++) missing |= !t->have[k];
            if (missing) SV_TRY_GOTO(done, paint_group(d, w, t, text, first, limit, err));
        }
        int failures = 0;
        for (int k = 0; k < limit; k++) failures += t->have[k] < 0;
        from = limit;
        limit = sv_draw_limit(want, retries, failures);
    }
done:
    sv_condition_close(&text);
    return st;
}

static void *painter_main(void *arg) {
    painter *p = arg;
    sv_drawing *d = p->d;
    for (task *t; (t = sv_queue_pop(d->tasks));) {
        sv_error err = {0};
        sv_status st = halted(d) ? SV_OK : paint_task(d, p, t, &err);
        if (st != SV_OK) break_down(d, t, st, &err);
        task_release(d, t);
    }
    return NULL;
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
        SV_TRY(sv_painter_open(&d->painters[i].painter, p->pipeline, &p->paint, err));
        d->painters_open++;
    }
    int finishers = finishers_for(p->workers);
    for (int i = 0; i < finishers; i++) {
        d->finishers[i].d = d;
        if (pthread_create(&d->finishers[i].thread, NULL, finisher_main, &d->finishers[i]) != 0)
            return sv_fail(err, SV_E_MEMORY, "finishers", "cannot start a thread");
        d->finisher_count++;
    }
    for (int i = 0; i < p->workers; i++) {
        if (pthread_create(&d->painters[i].thread, NULL, painter_main, &d->painters[i]) != 0)
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
    d->room = 2 * workers;
    const sv_image_settings *image = &plan->recipe->generate.image;
    sv_encode_options_init(&d->encode, (sv_format)image->format);
    d->encode.quality = (int)image->quality;
    d->painters = calloc(workers, sizeof *d->painters);
    d->finishers = calloc(finishers, sizeof *d->finishers);
    d->group_memory = calloc(d->group_count, sizeof *d->group_memory);
    d->tasks = sv_queue_open(d->room);
    d->groups = sv_queue_open(d->group_count);
    d->spare = sv_queue_open(d->group_count);
    d->results = sv_queue_open(1024);
    sv_status st = SV_OK;
    if (!d->painters || !d->finishers || !d->group_memory || !d->tasks || !d->groups || !d->spare || !d->results) st = sv_fail_memory(err, "drawing", 0);
    for (size_t i = 0; st == SV_OK && i < d->group_count; i++) sv_queue_push(d->spare, &d->group_memory[i]);
    if (st == SV_OK) st = start_threads(d, err);
    if (st != SV_OK) {
        sv_drawing_close(&d);
        return st;
    }
    *out = d;
    return SV_OK;
}

void sv_drawing_close(sv_drawing **pointer) {
    sv_drawing *d = *pointer;
    if (!d) return;
    atomic_store(&d->broken, true);
    if (d->tasks) sv_queue_end(d->tasks);
    for (sv_draw_result *r; d->results && d->in_hand && (r = sv_queue_pop(d->results)); sv_draw_result_free(r))
        if (r->last) d->in_hand--;
    for (int i = 0; i < d->painter_count; i++) pthread_join(d->painters[i].thread, NULL);
    if (d->groups) sv_queue_end(d->groups);
    for (int i = 0; i < d->finisher_count; i++) pthread_join(d->finishers[i].thread, NULL);
    for (int i = 0; i < d->painters_open; i++) {
        sv_painter_close(&d->painters[i].painter);
        sv_quality_work_free(&d->painters[i].gates);
    }
    for (int i = 0; d->finishers && i < d->finisher_count; i++) {
        sv_score_memory_free(&d->finishers[i].memory);
        for (int j = 0; j < SV_MOST_ROWS; j++) sv_image_free(&d->finishers[i].decoded[j]);
    }
    for (size_t i = 0; d->group_memory && i < d->group_count; i++)
        for (int j = 0; j < SV_MOST_ROWS; j++) sv_image_free(&d->group_memory[i].painted[j].image);
    if (d->results) {
        sv_queue_end(d->results);
        for (sv_draw_result *r; (r = sv_queue_pop(d->results));) sv_draw_result_free(r);
    }
    sv_queue_close(&d->tasks);
    sv_queue_close(&d->groups);
    sv_queue_close(&d->spare);
    sv_queue_close(&d->results);
    free(d->painters);
    free(d->finishers);
    free(d->group_memory);
    free(d);
    *pointer = NULL;
}

size_t sv_drawing_room(const sv_drawing *d) {
    return d->room - d->in_hand;
}

bool sv_drawing_busy(const sv_drawing *d) {
    return d->in_hand > 0;
}

sv_status sv_drawing_submit(sv_drawing *d, const sv_draw_item *item, sv_error *err) {
    const sv_generate_settings *s = &d->plan.recipe->generate;
    task *t = calloc(1, sizeof *t);
    if (!t) return sv_fail_memory(err, "caption", sizeof *t);
    atomic_init(&t->holders, 1);
    t->number = item->number;
    t->room = (int)(s->candidates.max + s->retries) + d->plan.paint.batch;
    for (size_t i = 0; i < item->have_count; i++)
        if (item->have[i].k >= t->room && item->have[i].k < MOST_K) t->room = item->have[i].k + 1;
    t->id = sv_strdup(item->id);
    t->text = sv_strndup(item->text, item->size);
    t->have = calloc((size_t)t->room, 1);
    t->end = new_result(t, 0);
    if (!t->id || !t->text || !t->have || !t->end) {
        task_free(t);
        return sv_fail_memory(err, "caption", item->size);
    }
    t->end->last = true;
    for (size_t i = 0; i < item->have_count; i++)
        if (item->have[i].k < t->room) t->have[item->have[i].k] = item->have[i].ok ? 1 : -1;
    d->in_hand++;
    sv_queue_push(d->tasks, t);
    return SV_OK;
}

sv_draw_result *sv_drawing_next(sv_drawing *d, double seconds) {
    if (!d->in_hand) return NULL;
    sv_draw_result *r = sv_queue_pop_for(d->results, seconds);
    if (r && r->last) d->in_hand--;
    return r;
}
