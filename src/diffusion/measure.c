/* measure.c - how much memory drawing takes: every phase of a picture is done for real, first one at a time, then all kept, and the kernel's count is read.
 *
 * Computing it from the graph would need the sizes of all tensors in between and ONNX Runtime's plan for them; measuring takes one model call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/thread.h"
#include "diffusion/pipeline.h"
#include "synthvlm/model.h"

void sv_measure_options_init(sv_measure_options *o) {
    *o = (sv_measure_options){.batch = 1, .workers = 1};
    sv_engine_options_init(&o->engine);
}

/* ---- what the kernel says ---- */

/* A line of /proc/self/status in bytes; 0 where there is none. */
static uint64_t status_bytes(const char *key) {
    char line[256];
    uint64_t kb = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0) kb = strtoull(line + strlen(key), NULL, 10);
    if (f) fclose(f);
    return kb * 1024;
}

static uint64_t resident(void) { return status_bytes("VmRSS:"); }
static uint64_t peak(void) { return status_bytes("VmHWM:"); }

/* From now on, peak() counts anew. */
static sv_status forget_peak(sv_error *err) {
    FILE *f = fopen("/proc/self/clear_refs", "we");
    bool ok = f && fputs("5", f) >= 0;
    if (f) ok = fclose(f) == 0 && ok;
    if (ok && peak()) return SV_OK;
    sv_fail(err, SV_E_IO, "memory", "this system does not tell how much a program uses");
    return sv_hint(err, SV_E_IO, "it is read from /proc/self/status, which Linux has");
}

static uint64_t above(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }
static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* ---- drawing ---- */

typedef struct seat {
    sv_painter *w;
    sv_painted out;
} seat;

typedef struct bench {
    sv_pipeline *p;
    sv_condition *text, *negative;
    seat *seats;
    int workers;
} bench;

/* Everything twice, because the first call may take less than later ones. */

static sv_status do_text(bench *b, sv_error *err) {
    sv_condition_close(&b->text);
    sv_condition_close(&b->negative);
    SV_TRY(sv_pipeline_encode(b->p, "a picture", &b->text, err));
    return sv_pipeline_encode(b->p, NULL, &b->negative, err);
}

static sv_status denoise_seats(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    bench *b = user;
    sv_picture picture = {.text = b->text, .negative = b->negative, .seed = 1};
    for (size_t i = begin; i < end; i++) {
        SV_TRY(sv_painter_begin(b->seats[i].w, &picture, 1, err));
        SV_TRY(sv_painter_advance(b->seats[i].w, sv_painter_calls(b->seats[i].w), NULL, err));
    }
    return SV_OK;
}

static sv_status decode_seats(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    bench *b = user;
    for (size_t i = begin; i < end; i++)
        for (int twice = 0; twice < 2; twice++) SV_TRY(sv_painter_finish(b->seats[i].w, 0, &b->seats[i].out, err));
    return SV_OK;
}

static sv_status do_denoise(bench *b, sv_error *err) {
    return sv_parallel((unsigned)b->workers, (size_t)b->workers, 1, denoise_seats, b, err);
}

static sv_status do_decode(bench *b, sv_error *err) {
    return sv_parallel((unsigned)b->workers, (size_t)b->workers, 1, decode_seats, b, err);
}

typedef struct phase {
    unsigned bits;
    sv_status (*work)(bench *b, sv_error *err);
} phase;

/* Loads a phase's parts and uses them. *most: the highest that the program stood. */
static sv_status measure_phase(bench *b, const phase *f, sv_phase_memory *out, uint64_t *most, sv_error *err) {
    uint64_t before = resident();
    SV_TRY(forget_peak(err));
    SV_TRY(sv_pipeline_prepare(b->p, f->bits, err));
    uint64_t loaded = resident();
    out->weights = above(loaded, before);
    out->loading = above(peak(), before);
    *most = larger(*most, peak());
    SV_TRY(forget_peak(err));
    SV_TRY(f->work(b, err));
    out->working = above(peak(), loaded);
    *most = larger(*most, peak());
    return SV_OK;
}

static void release(bench *b, unsigned phases) {
    for (int i = 0; i < b->workers; i++) sv_painter_release(b->seats[i].w, phases);
    sv_pipeline_release(b->p, phases);
}

/* Few steps are enough, since all of them take the same memory. Two are too few for some configurations. */
static sv_status open_seats(bench *b, const sv_measure_options *o, sv_model_memory *out, sv_error *err) {
    sv_paint_options paint;
    int steps;
    sv_status st = SV_OK;
    sv_paint_options_init(&paint);
    sv_pipeline_defaults(b->p, &steps, &paint.guidance);
    sv_pipeline_default_size(b->p, &paint.width, &paint.height);
    if (o->width) paint.width = o->width;
    if (o->height) paint.height = o->height;
    paint.batch = o->batch;
    out->width = paint.width;
    out->height = paint.height;
    if (b->p->family->needs_source)
        return sv_fail(err, SV_E_USAGE, b->p->dir.path, "%s goes on with another model's work and is not measured alone", sv_pipeline_family(b->p));
    for (int i = 0; i < b->workers && st == SV_OK; i++) {
        for (paint.steps = 2; paint.steps <= 4; paint.steps++)
            if ((st = sv_painter_open(&b->seats[i].w, b->p, &paint, err)) == SV_OK) break;
    }
    return st;
}

static sv_status measure(bench *b, const sv_measure_options *o, sv_model_memory *out, sv_error *err) {
    static const phase phases[] = {{SV_PHASE_TEXT, do_text}, {SV_PHASE_DENOISE, do_denoise}, {SV_PHASE_DECODE, do_decode}};
    sv_phase_memory *const found[] = {&out->text, &out->denoise, &out->decode};
    SV_TRY(open_seats(b, o, out, err));
    out->program = resident();
    for (int i = 0; i < 3; i++) {
        SV_TRY(measure_phase(b, &phases[i], found[i], &out->by_phase, err));
        release(b, phases[i].bits);
    }
    SV_TRY(forget_peak(err));
    SV_TRY(sv_pipeline_prepare(b->p, SV_PHASE_DRAW, err));     /* side by side, as a run loads them */
    for (int i = 0; i < 3; i++) SV_TRY(phases[i].work(b, err));
    out->together = peak();
    /* How memory is cut into pieces is to some part chance, above all with several threads; and pictures are encoded, hashed and written besides. */
    uint64_t rest = ((uint64_t)16 << 20) + (uint64_t)b->workers * (uint64_t)out->batch * (uint64_t)out->width * (uint64_t)out->height * 12;
    out->by_phase += out->by_phase / 20 + rest;
    out->together += out->together / 20 + rest;
    return SV_OK;
}

sv_status sv_model_measure(const char *dir, const sv_measure_options *o, sv_model_memory *out, sv_error *err) {
    bench b = {0};
    *out = (sv_model_memory){.batch = o->batch, .workers = o->workers};
    if (o->batch < 1 || o->batch > 4096 || o->workers < 1 || o->workers > 256)
        return sv_fail(err, SV_E_USAGE, "memory", "a batch of %d and %d workers are not in 1..4096 and 1..256", o->batch, o->workers);
    b.workers = o->workers;
    b.seats = calloc((size_t)b.workers, sizeof *b.seats);
    if (!b.seats) return sv_fail_memory(err, dir, (size_t)b.workers * sizeof *b.seats);
    sv_status st = sv_pipeline_open(&b.p, dir, &o->engine, NULL, err);
    if (st == SV_OK) st = measure(&b, o, out, err);
    sv_condition_close(&b.text);
    sv_condition_close(&b.negative);
    for (int i = 0; i < b.workers; i++) {
        sv_image_free(&b.seats[i].out.image);
        sv_painter_close(&b.seats[i].w);
    }
    free(b.seats);
    sv_pipeline_close(&b.p);
    return st;
}
