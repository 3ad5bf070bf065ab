/* draw_finish.c - finishers: a painted picture is encoded, hashed, written, decoded again and scored. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stages/draw/drawing.h"

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
static sv_status finish_picture(sv_drawing *d, const task *t, const sv_image *im, sv_image *decoded, sv_drawn *out, sv_error *err) {
    static const char *const extensions[] = {[SV_FORMAT_JPEG] = "jpg", [SV_FORMAT_PNG] = "png", [SV_FORMAT_WEBP] = "webp"};
    const sv_draw_plan *p = &d->plan;
    uint8_t *bytes = NULL;
    size_t size = 0;
    sv_candidate *c = &out->candidate;
    sv_encode_options encode = d->encode;
    sv_provenance about = p->models->note.about;
    about.prompt = t->told.prompt;
    about.seed = c->seed;
    if (p->models->noted) encode.provenance = &about;
    sv_status st = sv_image_encode(im, &encode, &bytes, &size, err);
    if (st != SV_OK) return st;
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

/* What came of one picture, short of its scores. `image` is set if it is to be scored. */
static sv_status finish_row(sv_drawing *d, const placed *p, sv_image *decoded, sv_drawn *out, const sv_image **image, sv_error *err) {
    sv_draw_fill(out, p->task, p->k, p->seed);
    out->draw_seconds = p->seconds;
    out->preview_count = p->preview_count;
    memcpy(out->previews, p->previews, sizeof p->previews);
    if (!p->painted.finite) {
        out->candidate.reason = "not_finite";
        out->candidate.detail = "the picture holds values that are not finite numbers";
        return SV_OK;
    }
    if (p->refused.reason) {
        out->candidate.reason = p->refused.reason;
        snprintf(out->file, sizeof out->file, "%s", p->refused.detail);
        out->candidate.detail = out->file;
        return SV_OK;
    }
    SV_TRY(finish_picture(d, p->task, &p->painted.image, decoded, out, err));
    *image = decoded;
    return SV_OK;
}

/* Scores of all good pictures of the group, in one call of each scorer. */
static sv_status score_group(sv_drawing *d, finisher *f, const group *g, const sv_image *const *images, sv_drawn *const *out, sv_error *err) {
    const sv_scored_text *texts[SV_MOST_ROWS] = {NULL};
    double values[SV_MOST_ROWS][SV_MOST_SCORERS], begin = sv_now();
    size_t scored = 0;
    for (size_t i = 0; i < g->count; i++) {
        texts[i] = g->rows[i].task->scored;
        scored += images[i] != NULL;
    }
    if (!scored) return SV_OK;
    SV_TRY(sv_scorers_run(d->plan.scorers, &f->memory, texts, images, values, err));
    double seconds = (sv_now() - begin) / (double)scored;
    for (size_t i = 0; i < g->count; i++) {
        if (!images[i]) continue;
        memcpy(out[i]->values, values[i], sizeof values[i]);
        SV_TRY(sv_scorers_keep_row(d->plan.scorers, f->memory, (int)i, out[i]->sha256, err));
        out[i]->score_seconds = seconds;
    }
    return SV_OK;
}

/* Rows of one caption lie side by side: one result for each caption. */
static sv_status make_results(const group *g, sv_draw_result **results, size_t *count, sv_drawn **out, sv_error *err) {
    *count = 0;
    for (size_t i = 0, end; i < g->count; i = end) {
        for (end = i; end < g->count && g->rows[end].task == g->rows[i].task;) end++;
        sv_draw_result *r = sv_draw_result_new(g->rows[i].task, end - i);
        if (!r) return sv_fail_memory(err, g->rows[i].task->id, 0);
        results[(*count)++] = r;
        for (size_t j = i; j < end; j++) out[j] = &r->drawn[r->count++];
    }
    return SV_OK;
}

static void finish_group(sv_drawing *d, finisher *f, const group *g) {
    sv_draw_result *results[SV_MOST_ROWS] = {NULL};
    sv_drawn *out[SV_MOST_ROWS];
    const sv_image *images[SV_MOST_ROWS] = {NULL};
    size_t count = 0, at = 0;
    sv_error err = {0};
    sv_status st = make_results(g, results, &count, out, &err);
    for (; st == SV_OK && at < g->count; at++) st = finish_row(d, &g->rows[at], &f->decoded[at], out[at], &images[at], &err);
    if (st == SV_OK && d->plan.scorers) st = score_group(d, f, g, images, out, &err);
    if (st != SV_OK) sv_draw_break(d, g->rows[at && at < g->count ? at - 1 : 0].task, st, &err);
    for (size_t i = 0; i < count; i++)
        if (st != SV_OK || !sv_queue_push(d->results, results[i])) free(results[i]);
}

void *sv_finisher_main(void *arg) {
    finisher *f = arg;
    sv_drawing *d = f->d;
    for (group *g; (g = sv_queue_pop(d->groups));) {
        task *tasks[SV_MOST_ROWS];
        size_t count = g->count;
        for (size_t i = 0; i < count; i++) tasks[i] = g->rows[i].task;
        if (!atomic_load(&d->broken)) finish_group(d, f, g);
        sv_queue_push(d->spare, g);
        for (size_t i = 0; i < count; i++) sv_task_release(d, tasks[i]);
    }
    return NULL;
}
