/* embeddings_run.c - findings from kept embeddings: near pairs, outliers, coverage, and the export for numpy. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/thread.h"
#include "infer/infer.h"
#include "stages/score/embeddings.h"
#include "stages/rundir.h"
#include "synthvlm/embeddings.h"

enum { MOST_NEIGHBOURS = 256, PIECE = 4096 };

typedef struct item { int64_t number; int k; } item;
typedef struct pair { uint32_t a, b; float cosine; } pair;

/* Pictures with their embeddings, of length 1. */
typedef struct set {
    item *items;
    float *rows;                 /* [count, dim] */
    size_t count, capacity;
    int64_t seen, without;       /* pictures met; of these without an embedding */
    int64_t expected;            /* how many will be met */
} set;

typedef struct study {
    const sv_embeddings_options *o;
    const char *dir;
    sv_ledger *ledger;
    sv_embeddings *file;
    size_t dim;
    int64_t generate, selection;
    set subject, picks;          /* what is looked at; the picks, for coverage (empty: the subject is the picks) */
    set pool;                    /* every good picture */
    /* found, by row of the subject */
    float *alone;                /* mean cosine with its nearest neighbours */
    pair *pairs;
    size_t pair_count, pair_capacity;
    uint8_t *repeats;            /* a picture with a near one before it */
    float *covered;              /* by row of the pool: cosine with the nearest pick */
    pthread_mutex_t lock;
} study;

void sv_embeddings_options_init(sv_embeddings_options *o) {
    *o = (sv_embeddings_options){.near = 0.97, .neighbours = 10, .list = 20, .most = 10000};
}

/* ---- gathering ---- */

/* Whether the next picture is one of `most` that lie evenly among all. */
static bool is_due(const set *s, int64_t most) {
    if (s->expected <= most) return true;
    return s->seen * most / s->expected != (s->seen + 1) * most / s->expected;
}

static sv_status take(study *y, set *s, int64_t number, int k, const char *sha256, sv_error *err) {
    bool due = is_due(s, y->o->most);
    s->seen++;
    if (!due) return SV_OK;
    if (s->count == s->capacity) {
        size_t n = s->capacity ? 2 * s->capacity : 1024;
        item *items = realloc(s->items, n * sizeof *items);
        if (items) s->items = items;
        float *rows = items ? realloc(s->rows, n * y->dim * sizeof *rows) : NULL;
        if (!rows) return sv_fail_memory(err, y->dir, n * y->dim * sizeof *rows);
        s->rows = rows;
        s->capacity = n;
    }
    float *row = s->rows + s->count * y->dim;
    double norm = 0;
    if (!sv_embeddings_find(y->file, sha256, row)) {
        s->without++;
        return SV_OK;
    }
    for (size_t i = 0; i < y->dim; i++) norm += (double)row[i] * row[i];
    for (size_t i = 0; i < y->dim; i++) row[i] = (float)(row[i] / sqrt(norm));
    s->items[s->count++] = (item){number, k};
    return SV_OK;
}

static sv_status take_pick(void *user, const sv_pick *p, sv_error *err) {
    study *y = user;
    return take(y, &y->picks, p->number, p->k, p->sha256, err);
}

static sv_status gather_pool(study *y, sv_error *err) {
    sv_file_batch batch = {0};
    sv_funnel funnel;
    sv_status st = sv_ledger_funnel(y->ledger, &funnel, err);
    y->pool.expected = funnel.drawn;
    int64_t after = 0;
    for (int after_k = -1; st == SV_OK;) {
        st = sv_ledger_read_files(y->ledger, y->generate, after, after_k, PIECE, &batch, err);
        if (st != SV_OK || !batch.count) break;
        for (size_t i = 0; st == SV_OK && i < batch.count; i++) st = take(y, &y->pool, batch.items[i].number, batch.items[i].k, batch.items[i].sha256, err);
        after = batch.items[batch.count - 1].number;
        after_k = batch.items[batch.count - 1].k;
    }
    sv_file_batch_free(&batch);
    return st;
}

/* The file of the current clip setup, and what is to be looked at. */
static sv_status gather(study *y, sv_error *err) {
    sv_setup clip, generate;
    char hash[SV_SHA256_HEX], *json = NULL, *path = NULL;
    int64_t picked = 0;
    SV_TRY(sv_ledger_current(y->ledger, SV_STAGE_SCORE, "clip", &clip, err));
    SV_TRY(sv_ledger_current(y->ledger, SV_STAGE_GENERATE, "", &generate, err));
    SV_TRY(sv_ledger_current_selection(y->ledger, &y->selection, hash, &picked, err));
    y->generate = generate.id;
    sv_status st = SV_OK;
    if (clip.id) st = sv_ledger_setup_json(y->ledger, clip.id, &json, err);
    if (st == SV_OK && json) st = sv_embeddings_path(y->dir, json, &path, err);
    free(json);
    if (st == SV_OK && (!path || !sv_is_file(path))) {
        sv_fail(err, SV_E_INPUT, y->dir, "keeps no embeddings");
        st = sv_hint(err, SV_E_INPUT, "synthvlm score %s --set score.clip.keep=true", y->dir);
    }
    if (st == SV_OK) st = sv_embeddings_open_file(&y->file, path, &y->dim, err);
    free(path);
    if (st != SV_OK) return st;
    if (!y->selection && !y->o->all) {
        sv_fail(err, SV_E_INPUT, y->dir, "nothing has been selected yet");
        return sv_hint(err, SV_E_INPUT, "synthvlm select %s, or --all for every picture", y->dir);
    }
    y->picks.expected = picked;
    if (y->selection) SV_TRY(sv_ledger_each_pick(y->ledger, y->selection, true, take_pick, y, err));
    SV_TRY(gather_pool(y, err));
    y->subject = y->o->all ? y->pool : y->picks;
    return SV_OK;
}

/* ---- comparing ---- */

/* Eight sums side by side, added up in a fixed order: the same number on every machine, at the speed of vector units. */
static float dot(const float *a, const float *b, size_t n) {
    float s[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t j = 0; j < 8; j++) s[j] += a[i + j] * b[i + j];
    for (; i < n; i++) s[0] += a[i] * b[i];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static sv_status add_pair(study *y, pair p, sv_error *err) {
    if (y->pair_count == y->pair_capacity) {
        size_t n = y->pair_capacity ? 2 * y->pair_capacity : 256;
        pair *more = realloc(y->pairs, n * sizeof *more);
        if (!more) return sv_fail_memory(err, y->dir, n * sizeof *more);
        y->pairs = more;
        y->pair_capacity = n;
    }
    y->pairs[y->pair_count++] = p;
    return SV_OK;
}

static sv_status compare_rows(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    study *y = user;
    const set *s = &y->subject;
    int k = y->o->neighbours;
    for (size_t i = begin; i < end; i++) {
        float nearest[MOST_NEIGHBOURS];       /* descending */
        int have = 0;
        for (size_t j = 0; j < s->count; j++) {
            if (j == i) continue;
            float c = dot(s->rows + i * y->dim, s->rows + j * y->dim, y->dim);
            if (have < k || c > nearest[have - 1]) {
                int at = have < k ? have++ : have - 1;
                for (; at > 0 && nearest[at - 1] < c; at--) nearest[at] = nearest[at - 1];
                nearest[at] = c;
            }
            if (j > i || c < y->o->near) continue;
            y->repeats[i] = 1;
            pthread_mutex_lock(&y->lock);
            sv_status st = add_pair(y, (pair){(uint32_t)j, (uint32_t)i, c}, err);
            pthread_mutex_unlock(&y->lock);
            if (st != SV_OK) return st;
        }
        double sum = 0;
        for (int n = 0; n < have; n++) sum += nearest[n];
        y->alone[i] = have ? (float)(sum / have) : 1;
    }
    return SV_OK;
}

static sv_status cover_rows(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    study *y = user;
    for (size_t i = begin; i < end; i++) {
        float best = -1;
        for (size_t j = 0; j < y->picks.count; j++) {
            float c = dot(y->pool.rows + i * y->dim, y->picks.rows + j * y->dim, y->dim);
            if (c > best) best = c;
        }
        y->covered[i] = best;
    }
    return SV_OK;
}

static int closest_first(const void *a, const void *b) {
    const pair *x = a, *y = b;
    if (x->cosine != y->cosine) return x->cosine < y->cosine ? 1 : -1;
    if (x->a != y->a) return x->a < y->a ? -1 : 1;
    return (x->b > y->b) - (x->b < y->b);
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* ---- telling ---- */

static void add_candidate(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, item who) {
    char id[32];
    snprintf(id, sizeof id, "%09lld-%d", (long long)who.number, who.k);
    yyjson_mut_obj_add_strcpy(doc, o, key, id);
}

typedef struct ranked { float value; uint32_t row; } ranked;
static int loneliest_first(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static sv_status tell_outliers(const study *y, yyjson_mut_doc *doc, yyjson_mut_val *root, sv_error *err) {
    size_t n = y->subject.count;
    ranked *order = malloc((n ? n : 1) * sizeof *order);
    if (!order) return sv_fail_memory(err, y->dir, n * sizeof *order);
    for (size_t i = 0; i < n; i++) order[i] = (ranked){y->alone[i], (uint32_t)i};
    qsort(order, n, sizeof *order, loneliest_first);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "outliers");
    for (size_t i = 0; i < n && i < (size_t)y->o->list; i++) {
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
        add_candidate(doc, o, "candidate", y->subject.items[order[i].row]);
        yyjson_mut_obj_add_real(doc, o, "similarity", order[i].value);
    }
    free(order);
    return SV_OK;
}

static void tell_coverage(const study *y, yyjson_mut_doc *doc, yyjson_mut_val *root) {
    size_t n = y->pool.count, reached = 0;
    if (!n || !y->picks.count) return;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += y->covered[i];
        reached += y->covered[i] >= y->o->near;
    }
    qsort(y->covered, n, sizeof *y->covered, by_value);
    yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, root, "coverage");
    yyjson_mut_obj_add_uint(doc, o, "pictures", n);
    yyjson_mut_obj_add_real(doc, o, "mean", sum / (double)n);
    yyjson_mut_obj_add_real(doc, o, "p05", y->covered[n * 5 / 100]);
    yyjson_mut_obj_add_real(doc, o, "near", (double)reached / (double)n);
}

static sv_status tell(study *y, char **json, sv_error *err) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    const set *s = &y->subject;
    size_t repeats = 0;
    yyjson_mut_doc_set_root(doc, root);
    for (size_t i = 0; i < s->count; i++) repeats += y->repeats[i];
    if (y->pair_count) qsort(y->pairs, y->pair_count, sizeof *y->pairs, closest_first);
    yyjson_mut_obj_add_str(doc, root, "of", y->o->all ? "all" : "picks");
    yyjson_mut_obj_add_uint(doc, root, "dim", y->dim);
    yyjson_mut_obj_add_sint(doc, root, "pictures", s->seen);
    yyjson_mut_obj_add_uint(doc, root, "looked_at", s->count);
    yyjson_mut_obj_add_sint(doc, root, "without_embedding", s->without);
    yyjson_mut_val *near = yyjson_mut_obj_add_obj(doc, root, "near");
    yyjson_mut_obj_add_real(doc, near, "cosine", y->o->near);
    yyjson_mut_obj_add_uint(doc, near, "pairs", y->pair_count);
    yyjson_mut_obj_add_uint(doc, near, "repeats", repeats);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, near, "list");
    for (size_t i = 0; i < y->pair_count && i < (size_t)y->o->list; i++) {
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
        add_candidate(doc, o, "a", s->items[y->pairs[i].a]);
        add_candidate(doc, o, "b", s->items[y->pairs[i].b]);
        yyjson_mut_obj_add_real(doc, o, "cosine", y->pairs[i].cosine);
    }
    sv_status st = tell_outliers(y, doc, root, err);
    tell_coverage(y, doc, root);
    if (st == SV_OK) *json = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_INF_AND_NAN_AS_NULL, NULL);
    yyjson_mut_doc_free(doc);
    return st == SV_OK && !*json ? sv_fail_memory(err, y->dir, 0) : st;
}

/* Version 1.0 of numpy's format: magic, header length, a Python dictionary padded to a multiple of 64 bytes, the numbers. */
static sv_status write_npy(const study *y, sv_error *err) {
    const set *s = &y->subject;
    sv_buf file = {0}, ids = {0}, name = {0};
    char dict[128];
    int n = snprintf(dict, sizeof dict, "{'descr': '<f2', 'fortran_order': False, 'shape': (%zu, %zu), }", s->count, y->dim);
    size_t padded = (10 + (size_t)n + 1 + 63) / 64 * 64, length = padded - 10;
    const unsigned char head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)length, (unsigned char)(length >> 8)};
    sv_buf_add(&file, head, sizeof head);
    sv_buf_add(&file, dict, (size_t)n);
    while (file.size + 1 < padded && !file.failed) sv_buf_putc(&file, ' ');
    sv_buf_putc(&file, '\n');
    for (size_t i = 0; i < s->count * y->dim; i++) {
        uint16_t half = sv_half_from_float(s->rows[i]);
        sv_buf_add(&file, &half, sizeof half);
    }
    for (size_t i = 0; i < s->count; i++)
        sv_buf_printf(&ids, "{\"row\":%zu,\"candidate\":\"%09lld-%d\"}\n", i, (long long)s->items[i].number, s->items[i].k);
    sv_buf_printf(&name, "%s.jsonl", y->o->npy);
    sv_status st = sv_buf_ok(&file, err);
    if (st == SV_OK) st = sv_buf_ok(&ids, err);
    if (st == SV_OK) st = sv_buf_ok(&name, err);
    if (st == SV_OK) st = sv_file_write_atomic(y->o->npy, file.data, file.size, err);
    if (st == SV_OK) st = sv_file_write_atomic(name.data, ids.data ? ids.data : "", ids.size, err);
    sv_buf_free(&file);
    sv_buf_free(&ids);
    sv_buf_free(&name);
    return st;
}

static sv_status compare(study *y, sv_error *err) {
    size_t n = y->subject.count, pool = y->pool.count;
    y->alone = calloc(n ? n : 1, sizeof *y->alone);
    y->repeats = calloc(n ? n : 1, 1);
    y->covered = calloc(pool ? pool : 1, sizeof *y->covered);
    if (!y->alone || !y->repeats || !y->covered) return sv_fail_memory(err, y->dir, (n + pool) * sizeof(float));
    SV_TRY(sv_parallel(0, n, 16, compare_rows, y, err));
    return sv_parallel(0, pool, 64, cover_rows, y, err);
}

static void free_set(set *s) {
    free(s->items);
    free(s->rows);
}

sv_status sv_run_embeddings(const char *dir, const sv_embeddings_options *o, char **json, sv_error *err) {
    study y = {.o = o, .dir = dir};
    *json = NULL;
    if (o->neighbours < 1 || o->neighbours > MOST_NEIGHBOURS) return sv_fail(err, SV_E_USAGE, "neighbours", "%d is not in 1..%d", o->neighbours, MOST_NEIGHBOURS);
    pthread_mutex_init(&y.lock, NULL);
    sv_status st = sv_rundir_read(dir, &y.ledger, err);
    if (st == SV_OK) st = gather(&y, err);
    if (st == SV_OK) st = compare(&y, err);
    if (st == SV_OK && o->npy) st = write_npy(&y, err);
    if (st == SV_OK) st = tell(&y, json, err);
    free_set(&y.picks);
    free_set(&y.pool);
    free(y.alone);
    free(y.repeats);
    free(y.covered);
    free(y.pairs);
    sv_embeddings_close(&y.file);
    sv_ledger_close(&y.ledger);
    pthread_mutex_destroy(&y.lock);
    return st;
}
