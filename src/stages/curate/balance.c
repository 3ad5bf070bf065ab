#include "stages/curate/balance.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/thread.h"
#include "stages/curate/sample.h"

#define PIECE 20000

/* ---- settings ---- */

sv_status sv_balance_open(sv_rundir *run, sv_balance *out, sv_error *err) {
    *out = (sv_balance){0};
    SV_TRY(sv_recipe_balance(&run->recipe->captions, &out->plan, err));
    out->on = out->plan.concepts != NULL;
    return SV_OK;
}

void sv_balance_close(sv_balance *b) {
    sv_balance_plan_free(&b->plan);
    *b = (sv_balance){0};
}

/* Adds what is set, as {"1-387": 5000, "400": 20}: limits stand by the numbers of their concepts, which the hash of the concepts gives a meaning, and lists
 * can have half a million of them. */
static bool add_limits(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, const int64_t *limits, size_t n, int64_t none) {
    char numbers[64];
    yyjson_mut_val *list = yyjson_mut_obj_add_obj(doc, o, key);
    bool ok = list != NULL;
    for (size_t i = 0, end; ok && i < n; i = end) {
        for (end = i + 1; end < n && limits[end] == limits[i]; end++) continue;
        if (limits[i] == none) continue;
        if (end == i + 1) snprintf(numbers, sizeof numbers, "%zu", i);
        else snprintf(numbers, sizeof numbers, "%zu-%zu", i, end - 1);
        ok = yyjson_mut_obj_add(list, yyjson_mut_strcpy(doc, numbers), yyjson_mut_int(doc, limits[i]));
    }
    return ok;
}

/* The verdicts' setup: that of the verdicts before, and "balance" with all that decides. Without limits no lot is drawn, so no seed matters. */
static bool describe(const sv_rundir *run, const sv_balance *b, yyjson_mut_doc *doc, yyjson_mut_val *root) {
    const sv_balance_plan *plan = &b->plan;
    const char *draws = run->recipe->captions.balance.draws == SV_DRAWS_EACH ? "each" : "once";
    yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, root, "balance");
    if (!o || !yyjson_mut_obj_add_strcpy(doc, o, "concepts", b->concepts.hash)) return false;
    if (!plan->limited) return true;
    return yyjson_mut_obj_add_int(doc, o, "seed", run->recipe->seed) && yyjson_mut_obj_add_str(doc, o, "draws", draws) &&
           add_limits(doc, o, "caps", plan->caps, plan->count, -1) && add_limits(doc, o, "quotas", plan->quotas, plan->count, 0);
}

static sv_status verdict_setup(sv_rundir *run, sv_balance *b, const sv_setup *before, sv_error *err) {
    char *json = NULL, *text = NULL;
    SV_TRY(sv_ledger_setup_json(run->ledger, before->id, &json, err));
    yyjson_doc *old = yyjson_read(json, strlen(json), YYJSON_READ_ALLOW_INF_AND_NAN);
    yyjson_mut_doc *doc = old ? yyjson_doc_mut_copy(old, NULL) : NULL;
    if (doc && describe(run, b, doc, yyjson_mut_doc_get_root(doc))) text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INF_AND_NAN, NULL);
    sv_status st = text ? sv_rundir_setup(run, SV_STAGE_CURATE, "", text, &b->verdicts, err) : sv_fail_memory(err, "balance", 0);
    yyjson_doc_free(old);
    yyjson_mut_doc_free(doc);
    free(json);
    free(text);
    return st;
}

sv_status sv_balance_setups(sv_rundir *run, sv_balance *b, const sv_setup *before, sv_error *err) {
    char json[400];
    snprintf(json, sizeof json, "{\"curate\":\"%s\",\"concepts\":%zu,\"sha256\":\"%s\"}", before->hash, sv_concepts_count(b->plan.concepts),
             sv_concepts_hash(b->plan.concepts));
    SV_TRY(sv_ledger_setup(run->ledger, SV_STAGE_CONCEPTS, "", json, &b->concepts, err));
    return verdict_setup(run, b, before, err);
}

/* ---- concepts of a piece ---- */

static sv_status add_row(sv_piece_concepts *p, int64_t number, uint64_t concept, sv_error *err) {
    if (p->count == p->capacity) {
        size_t more = p->capacity ? p->capacity * 2 : 65536;
        void *rows = realloc(p->rows, more * sizeof *p->rows);
        if (!rows) return sv_fail_memory(err, "concepts", more * sizeof *p->rows);
        p->rows = rows;
        p->capacity = more;
    }
    p->rows[p->count].number = number;
    p->rows[p->count++].concept = concept;
    return SV_OK;
}

static sv_status take_row(void *user, int64_t number, int64_t concept, sv_error *err) {
    return add_row(user, number, (uint64_t)concept, err);
}

sv_status sv_piece_concepts_read(sv_ledger *l, int64_t setup, int64_t after, int64_t upto, sv_piece_concepts *out, sv_error *err) {
    out->count = 0;
    return sv_ledger_each_caption_concept(l, setup, after, upto, take_row, out, err);
}

void sv_piece_concepts_free(sv_piece_concepts *p) {
    free(p->rows);
    *p = (sv_piece_concepts){0};
}

/* ---- finding ---- */

typedef struct found { unsigned thread; uint32_t count; size_t at; } found;

typedef struct finding {
    sv_rundir *run;
    sv_balance *b;
    sv_caption_batch batch;
    sv_piece_concepts fresh, old;
    found *of;                   /* of each caption of the batch: where its concepts lie */
    struct { sv_concept_scratch scratch; sv_buf list; } *threads;
    unsigned thread_count;
    int64_t *captions;           /* by concept */
} finding;

static sv_status find_range(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    finding *f = user;
    for (size_t i = begin; i < end; i++) {
        const uint32_t *list;
        size_t n;
        SV_TRY(sv_concepts_match(f->b->plan.concepts, f->batch.items[i].text, f->batch.items[i].size, &f->threads[thread].scratch, &list, &n, err));
        f->of[i] = (found){thread, (uint32_t)n, f->threads[thread].list.size};
        sv_buf_add(&f->threads[thread].list, list, n * sizeof *list);
    }
    return sv_buf_ok(&f->threads[thread].list, err);
}

/* Finds the concepts of a piece and counts them. What the ledger has already is compared, and written anew only where it differs: after an interruption the
 * way to where it stopped costs no writing. */
static sv_status find_piece(finding *f, int64_t after, int64_t upto, sv_error *err) {
    sv_ledger *l = f->run->ledger;
    for (unsigned i = 0; i < f->thread_count; i++) sv_buf_clear(&f->threads[i].list);
    SV_TRY(sv_parallel(f->thread_count, f->batch.count, 512, find_range, f, err));
    f->fresh.count = 0;
    for (size_t i = 0; i < f->batch.count; i++) {
        const found *of = &f->of[i];
        const uint32_t *list = of->count ? (const uint32_t *)(const void *)(f->threads[of->thread].list.data + of->at) : NULL;
        if (!of->count) SV_TRY(add_row(&f->fresh, f->batch.items[i].number, 0, err));
        for (size_t k = 0; k < of->count; k++) SV_TRY(add_row(&f->fresh, f->batch.items[i].number, list[k], err));
    }
    for (size_t i = 0; i < f->fresh.count; i++) f->captions[f->fresh.rows[i].concept]++;
    SV_TRY(sv_piece_concepts_read(l, f->b->concepts.id, after, upto, &f->old, err));
    if (f->old.count == f->fresh.count && (!f->old.count || memcmp(f->old.rows, f->fresh.rows, f->old.count * sizeof *f->old.rows) == 0)) return SV_OK;
    SV_TRY(sv_ledger_begin(l, err));
    sv_status st = sv_ledger_clear_concepts(l, f->b->concepts.id, after, upto, err);
    for (size_t i = 0; st == SV_OK && i < f->fresh.count; i++) {
        uint32_t concept = (uint32_t)f->fresh.rows[i].concept;
        st = sv_ledger_put_concepts_of(l, f->b->concepts.id, f->fresh.rows[i].number, &concept, 1, err);
    }
    if (st == SV_OK) return sv_ledger_commit(l, err);
    sv_ledger_rollback(l);
    return st;
}

static sv_status write_counts(finding *f, sv_error *err) {
    sv_ledger *l = f->run->ledger;
    SV_TRY(sv_ledger_begin(l, err));
    sv_status st = SV_OK;
    for (size_t i = 0; st == SV_OK && i < f->b->plan.count; i++)
        st = sv_ledger_put_concept(l, f->b->concepts.id, (int64_t)i, sv_concepts_name(f->b->plan.concepts, i), f->captions[i], err);
    if (st == SV_OK) return sv_ledger_commit(l, err);
    sv_ledger_rollback(l);
    return st;
}

static sv_status find_all(finding *f, const sv_setup *before, int64_t captions, sv_error *err) {
    f->thread_count = sv_cpu_count() < SV_MOST_THREADS ? sv_cpu_count() : SV_MOST_THREADS;
    f->of = malloc(PIECE * sizeof *f->of);
    f->threads = calloc(f->thread_count, sizeof *f->threads);
    if (!f->of || !f->threads) return sv_fail_memory(err, "concepts", PIECE * sizeof *f->of);
    for (int64_t after = 0, upto; after < captions; after = upto) {
        SV_TRY(sv_ledger_read_kept(f->run->ledger, before->id, after, PIECE, &f->batch, err));
        upto = f->batch.count == PIECE ? f->batch.items[PIECE - 1].number : captions;
        SV_TRY(find_piece(f, after, upto, err));
        sv_rundir_progress(f->run, "concepts", upto, captions, 0);
        if (sv_rundir_stopping(f->run)) return sv_rundir_stopped(f->run, "curate", err);
    }
    uint64_t gave_up = 0;
    for (unsigned i = 0; i < f->thread_count; i++) gave_up += f->threads[i].scratch.gave_up;
    if (gave_up)
        sv_say(&f->run->o.log, SV_LOG_WARN, "a pattern of captions.balance was given up on %llu captions, which count as without it (nested repetitions"
               " take for ever)", (unsigned long long)gave_up);
    return write_counts(f, err);
}

/* ---- deciding ---- */

typedef struct deciding {
    sv_rundir *run;
    const sv_balance *b;
    int64_t before;              /* setup of the verdicts before balancing */
    const int64_t *captions;     /* by concept: how many captions have it, */
    int64_t *kept;               /* how many of them are kept, */
    sv_lowest *quotas;           /* and the lowest lots of those with a quota; NULL: there is none */
    sv_caption_batch batch;
    sv_piece_concepts concepts;
    sv_buf text;
} deciding;

/* The chance that a concept gives its captions. */
static double chance(const deciding *d, size_t concept) {
    int64_t cap = d->b->plan.caps[concept], n = d->captions[concept];
    return cap < 0 || n <= cap ? 1 : (double)cap / (double)n;
}

/* 53 bits of a lot as a number from 0 up to, but never, 1. */
static double share(uint64_t lot) { return (double)(lot >> 11) * 0x1p-53; }

/* Whether the lot is among those that the concept's quota keeps, whatever its cap. */
static bool in_quota(const deciding *d, size_t concept, const sv_drawn *lot) {
    const sv_lowest *q = d->quotas ? &d->quotas[concept] : NULL;
    return q && q->n && (q->size < q->n || !sv_drawn_after(lot, &q->heap[0]));
}

/* Whether one of the concepts in rows begin .. end keeps their caption; *concept: the one whose chance is best. */
static bool is_kept(deciding *d, const char *id, const sv_drawn *lot, size_t begin, size_t end, size_t *concept) {
    bool each = d->run->recipe->captions.balance.draws == SV_DRAWS_EACH;
    double best = -1;
    for (size_t i = begin; i < end; i++) {
        size_t c = d->concepts.rows[i].concept;
        double p = chance(d, c);
        if (p > best) {
            best = p;
            *concept = c;
        }
        if (p >= 1 || in_quota(d, c, lot)) return true;
        if (each && share(sv_lot_for("balance", d->run->recipe->seed, id, sv_concepts_name(d->b->plan.concepts, c), &d->text)) < p) return true;
    }
    return !each && share(lot->lot) < best;
}

typedef sv_status (*caption_fn)(deciding *d, const sv_caption_item *c, const sv_drawn *lot, size_t begin, size_t end, sv_error *err);

/* Calls fn for every caption of the batch with its lot and its rows. */
static sv_status each_caption(deciding *d, caption_fn fn, sv_error *err) {
    for (size_t i = 0, at = 0; i < d->batch.count; i++) {
        const sv_caption_item *c = &d->batch.items[i];
        sv_drawn lot = {sv_lot_for("balance", d->run->recipe->seed, c->id, NULL, &d->text), c->number};
        size_t begin = at;
        while (at < d->concepts.count && d->concepts.rows[at].number == c->number) at++;
        SV_TRY(fn(d, c, &lot, begin, at, err));
    }
    return sv_buf_ok(&d->text, err);
}

/* The next piece of captions with their concepts; *upto: the last caption number that it covers. */
static sv_status read_piece(deciding *d, int64_t after, int64_t captions, int64_t *upto, sv_error *err) {
    if (sv_rundir_stopping(d->run)) return sv_rundir_stopped(d->run, "curate", err);
    SV_TRY(sv_ledger_read_kept(d->run->ledger, d->before, after, PIECE, &d->batch, err));
    *upto = d->batch.count == PIECE ? d->batch.items[PIECE - 1].number : captions;
    return sv_piece_concepts_read(d->run->ledger, d->b->concepts.id, after, *upto, &d->concepts, err);
}

static sv_status offer(deciding *d, const sv_caption_item *c, const sv_drawn *lot, size_t begin, size_t end, sv_error *err) {
    for (size_t i = begin; i < end; i++) sv_lowest_offer(&d->quotas[d->concepts.rows[i].concept], *lot);
    return SV_OK;
}

/* Finds the captions that quotas keep: for each such concept those with the lowest lots. */
static sv_status find_quotas(deciding *d, int64_t captions, sv_error *err) {
    const sv_balance_plan *plan = &d->b->plan;
    int64_t any = 0, upto;
    size_t short_of = 0, example = 0;
    for (size_t i = 0; i < plan->count; i++) {
        any += plan->quotas[i];
        if (d->captions[i] < plan->quotas[i] && !short_of++) example = i;
    }
    if (!any) return SV_OK;
    if (short_of)
        sv_say(&d->run->o.log, SV_LOG_WARN, "%zu quota%s of captions.balance cannot be met; \"%s\": %lld asked, %lld there", short_of,
               short_of == 1 ? "" : "s", sv_concepts_name(plan->concepts, example), (long long)plan->quotas[example], (long long)d->captions[example]);
    d->quotas = calloc(plan->count, sizeof *d->quotas);
    if (!d->quotas) return sv_fail_memory(err, "balance", plan->count * sizeof *d->quotas);
    for (size_t i = 0; i < plan->count; i++)
        if (plan->quotas[i]) SV_TRY(sv_lowest_open(&d->quotas[i], (size_t)(plan->quotas[i] < captions ? plan->quotas[i] : captions), err));
    for (int64_t after = 0; after < captions; after = upto) {
        SV_TRY(read_piece(d, after, captions, &upto, err));
        SV_TRY(each_caption(d, offer, err));
    }
    return SV_OK;
}

static sv_status decide(deciding *d, const sv_caption_item *c, const sv_drawn *lot, size_t begin, size_t end, sv_error *err) {
    size_t concept = 0;
    if (!is_kept(d, c->id, lot, begin, end, &concept)) {
        const char *name = sv_concepts_name(d->b->plan.concepts, concept);
        return sv_ledger_reject_balanced(d->run->ledger, d->b->verdicts.id, c->number, *name ? name : "no concept", d->captions[concept],
                                         d->b->plan.caps[concept], err);
    }
    for (size_t i = begin; i < end; i++) d->kept[d->concepts.rows[i].concept]++;
    return SV_OK;
}

/* What became of each concept that any caption has, or that has a quota. */
static sv_status put_balance(deciding *d, sv_error *err) {
    const sv_balance_plan *plan = &d->b->plan;
    for (size_t i = 0; i < plan->count; i++)
        if (d->captions[i] || plan->quotas[i])
            SV_TRY(sv_ledger_put_balance(d->run->ledger, d->b->verdicts.id, (int64_t)i, plan->caps[i], plan->quotas[i], d->kept[i], err));
    return SV_OK;
}

/* The last piece is written together with what became of the concepts: where all captions have a verdict, nothing is missing. */
static sv_status write_piece(deciding *d, int64_t after, int64_t upto, bool last, sv_error *err) {
    sv_ledger *l = d->run->ledger;
    SV_TRY(sv_ledger_begin(l, err));
    sv_status st = sv_ledger_copy_verdicts(l, d->b->verdicts.id, d->before, after, upto, err);
    if (st == SV_OK) st = each_caption(d, decide, err);
    if (st == SV_OK && last) st = put_balance(d, err);
    if (st == SV_OK) return sv_ledger_commit(l, err);
    sv_ledger_rollback(l);
    return st;
}

static sv_status decide_all(deciding *d, int64_t captions, sv_error *err) {
    d->kept = calloc(d->b->plan.count, sizeof *d->kept);
    if (!d->kept) return sv_fail_memory(err, "balance", d->b->plan.count * sizeof *d->kept);
    SV_TRY(find_quotas(d, captions, err));
    for (int64_t after = 0, upto; after < captions; after = upto) {
        SV_TRY(read_piece(d, after, captions, &upto, err));
        SV_TRY(write_piece(d, after, upto, upto >= captions, err));
        sv_rundir_progress(d->run, "balance", upto, captions, 0);
    }
    return SV_OK;
}

sv_status sv_balance_run(sv_rundir *run, sv_balance *b, const sv_setup *before, int64_t captions, sv_error *err) {
    finding f = {.run = run, .b = b, .captions = calloc(b->plan.count, sizeof *f.captions)};
    deciding d = {.run = run, .b = b, .before = before->id, .captions = f.captions};
    sv_status st = f.captions ? find_all(&f, before, captions, err) : sv_fail_memory(err, "balance", b->plan.count * sizeof *f.captions);
    if (st == SV_OK) st = decide_all(&d, captions, err);
    for (size_t i = 0; d.quotas && i < b->plan.count; i++) sv_lowest_close(&d.quotas[i]);
    free(d.quotas);
    free(d.kept);
    sv_buf_free(&d.text);
    sv_caption_batch_free(&d.batch);
    sv_piece_concepts_free(&d.concepts);
    for (unsigned i = 0; f.threads && i < f.thread_count; i++) {
        sv_concept_scratch_free(&f.threads[i].scratch);
        sv_buf_free(&f.threads[i].list);
    }
    free(f.threads);
    free(f.of);
    free(f.captions);
    sv_caption_batch_free(&f.batch);
    sv_piece_concepts_free(&f.fresh);
    sv_piece_concepts_free(&f.old);
    return st;
}
