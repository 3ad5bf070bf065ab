/* duplicates.c - between two rounds: new pictures against all that have passed. */
#include "stages/draw/duplicates.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "image/phash.h"
#include "stages/draw/hashes.h"

/* A picture that has passed. */
typedef struct passed {
    int64_t number;
    uint64_t dhash;
    int32_t k;
} passed;

typedef struct refusal { int64_t number, of_number; int k, of_k; } refusal;

typedef struct comparison {
    int distance;
    sv_hash_index *index;        /* by pHash; names are indices into passed */
    passed *passed;
    size_t count, capacity;
    refusal *refusals;
    size_t refusal_count, refusal_capacity;
    bool only_new;               /* which half of the rows is looked at */
    int64_t fresh;
} comparison;

typedef struct question { const comparison *c; uint64_t dhash; } question;

static bool is_near(const void *user, uint32_t name) {
    const question *q = user;
    return sv_hash_distance(q->c->passed[name].dhash, q->dhash) <= q->c->distance;
}

static sv_status refuse(comparison *c, int64_t number, int k, const passed *of, sv_error *err) {
    if (c->refusal_count == c->refusal_capacity) {
        size_t capacity = c->refusal_capacity ? c->refusal_capacity * 2 : 64;
        refusal *more = realloc(c->refusals, capacity * sizeof *more);
        if (!more) return sv_fail_memory(err, "duplicates", capacity * sizeof *more);
        c->refusals = more;
        c->refusal_capacity = capacity;
    }
    c->refusals[c->refusal_count++] = (refusal){number, of->number, k, of->k};
    return SV_OK;
}

/* Those that passed are entered first, then the new ones are compared and, if they pass, entered, too. */
static sv_status meet(void *user, int64_t number, int k, const sv_hashes *h, bool compared, sv_error *err) {
    comparison *c = user;
    if (compared == c->only_new) return SV_OK;
    question q = {c, h->dhash};
    uint32_t found;
    c->fresh += !compared;
    if (!compared && sv_hash_index_find_if(c->index, h->phash, is_near, &q, &found)) return refuse(c, number, k, &c->passed[found], err);
    if (c->count == c->capacity) {
        size_t capacity = c->capacity ? c->capacity * 2 : 1024;
        passed *more = realloc(c->passed, capacity * sizeof *more);
        if (!more) return sv_fail_memory(err, "duplicates", capacity * sizeof *more);
        c->passed = more;
        c->capacity = capacity;
    }
    if (c->count >= UINT32_MAX) return sv_fail(err, SV_E_INTERNAL, "duplicates", "there are more pictures than names for them");
    c->passed[c->count] = (passed){number, h->dhash, k};
    return sv_hash_index_add(c->index, h->phash, (uint32_t)c->count++, err);
}

/* The files of what is refused; they are deleted once the rows say so. */
static sv_status write_down(sv_rundir *run, int64_t generate, const comparison *c, char **files, sv_error *err) {
    char detail[64];
    SV_TRY(sv_ledger_begin(run->ledger, err));
    for (size_t i = 0; i < c->refusal_count; i++) {
        const refusal *r = &c->refusals[i];
        snprintf(detail, sizeof detail, "repeats %09lld-%d", (long long)r->of_number, r->of_k);
        SV_TRY(sv_ledger_refuse_candidate(run->ledger, generate, r->number, r->k, "duplicate", detail, &files[i], err));
    }
    SV_TRY(sv_ledger_mark_compared(run->ledger, generate, err));
    return sv_ledger_commit(run->ledger, err);
}

static sv_status decide(sv_rundir *run, int64_t generate, comparison *c, sv_error *err) {
    SV_TRY(sv_hash_index_open(&c->index, c->distance, err));
    SV_TRY(sv_ledger_each_hash(run->ledger, generate, meet, c, err));
    c->only_new = true;
    SV_TRY(sv_ledger_each_hash(run->ledger, generate, meet, c, err));
    if (!c->fresh) return SV_OK;
    char **files = calloc(c->refusal_count + 1, sizeof *files);
    if (!files) return sv_fail_memory(err, "duplicates", c->refusal_count * sizeof *files);
    sv_status st = write_down(run, generate, c, files, err);
    if (st != SV_OK) sv_ledger_rollback(run->ledger);
    for (size_t i = 0; i < c->refusal_count; i++) {
        char *path = files[i] && st == SV_OK ? sv_path_join(run->dir, files[i]) : NULL;
        if (path) unlink(path);  /* one that stays takes room, nothing else: no row names it */
        free(path);
        free(files[i]);
    }
    free(files);
    return st;
}

sv_status sv_duplicates_refuse(sv_rundir *run, sv_scope scope, int64_t generate, int64_t *refused, sv_error *err) {
    const sv_gate_settings *g = &run->recipe->score.gates;
    int64_t added;
    *refused = 0;
    if (g->duplicate == INT64_MIN) return SV_OK;
    SV_TRY(sv_hashes_ensure(run, scope, generate, &added, err));
    comparison c = {.distance = (int)g->duplicate};
    sv_status st = decide(run, generate, &c, err);
    *refused = (int64_t)c.refusal_count;
    sv_hash_index_close(&c.index);
    free(c.passed);
    free(c.refusals);
    if (st == SV_OK && *refused && run->o.strict)
        return sv_fail(err, SV_E_INPUT, "score.gates.duplicate", "%lld candidates repeat others (duplicate) and the run is strict", (long long)*refused);
    return st;
}
