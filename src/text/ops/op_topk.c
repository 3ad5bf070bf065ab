/* op_topk.c - topk_specified_field_selector: the captions with the highest (or lowest) values of a statistic that a filter before has measured. It must see
 * the whole pool: a first pass collects the values, the next one keeps those at the cut or beyond. Memory: 8 bytes a caption, 16 while the cut is found. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/ops/op.h"

typedef struct sv_topk {
    char *field_key;
    double top_ratio;            /* NaN: none */
    int64_t topk;                /* INT64_MIN: none */
    bool reverse;
    /* learnt */
    double *values;              /* by order of captions, turned so that larger is better */
    size_t count, capacity;
    double cut;
    bool all;                    /* nothing is dropped */
    size_t equal;                /* so many of those that are just at the cut are kept, the first ones */
    unsigned char *kept;         /* one bit a caption */
} sv_topk;

static const sv_option options[] = {
    {"field_key", SV_OPT_STRING, offsetof(sv_topk, field_key), "", .help = "a statistic measured before, as in __dj__stats__.image_text_similarity"},
    {"top_ratio", SV_OPT_REAL, offsetof(sv_topk, top_ratio), "null", .nullable = true, .min = 0, .max = 1, .help = "share of the captions that is kept"},
    {"topk", SV_OPT_INT, offsetof(sv_topk, topk), "null", .nullable = true, .min = 1, .max = 9e18, .help = "number kept; with top_ratio the smaller of both"},
    {"reverse", SV_OPT_BOOL, offsetof(sv_topk, reverse), "true", .help = "keep the highest values; false: the lowest"},
    {0}};

static void topk_close(void *state) {
    sv_topk *t = state;
    free(t->values);
    free(t->kept);
    t->values = NULL;
    t->kept = NULL;
}

/* The statistic that field_key names, without the name of Data-Juicer's column. */
static const char *topk_stat(const void *state) {
    static const char column[] = "__dj__stats__.";
    const char *key = ((const sv_topk *)state)->field_key;
    return sv_str_starts(key, column) ? key + strlen(column) : key;
}

static size_t topk_key_size(const void *state) { return sizeof(double); }

/* A caption without a value comes last. */
static sv_status topk_learn(void *state, const void *key, uint64_t number, int64_t *duplicate_of, sv_error *err) {
    sv_topk *t = state;
    double value;
    memcpy(&value, key, sizeof value);
    if (t->count == t->capacity) {
        size_t n = t->capacity ? t->capacity * 2 : 4096;
        double *more = realloc(t->values, n * sizeof *more);
        if (!more) return sv_fail_memory(err, "topk_specified_field_selector", n * sizeof *more);
        t->values = more;
        t->capacity = n;
    }
    t->values[t->count++] = isnan(value) ? -INFINITY : t->reverse ? value : -value;
    *duplicate_of = -1;
    return SV_OK;
}

/* The value that n - 1 others are not below (n from 1), by Hoare's selection; `a` is reordered. */
static double nth_largest(double *a, size_t count, size_t n) {
    ptrdiff_t low = 0, high = (ptrdiff_t)count - 1, want = (ptrdiff_t)n - 1;
    while (low < high) {
        double pivot = a[want];
        ptrdiff_t i = low, j = high;
        while (i <= j) {
            while (a[i] > pivot) i++;
            while (a[j] < pivot) j--;
            if (i > j) break;
            double t = a[i];
            a[i++] = a[j];
            a[j--] = t;
        }
        if (j < want) low = i;
        if (want < i) high = j;
    }
    return a[want];
}

/* heapq.nlargest(int(ratio * n)): of equal values the first ones. */
static sv_status topk_settle(void *state, sv_error *err) {
    sv_topk *t = state;
    double wanted = !isnan(t->top_ratio) && t->top_ratio > 0 ? t->top_ratio * (double)t->count : NAN;
    if (t->topk != INT64_MIN && !((double)t->topk >= wanted)) wanted = (double)t->topk;
    t->all = t->count <= 1 || isnan(wanted) || wanted >= (double)t->count;
    size_t n = t->all ? t->count : (size_t)wanted, above = 0;
    free(t->kept);
    t->kept = calloc(t->count / 8 + 1, 1);
    double *copy = t->all || !n ? NULL : malloc(t->count * sizeof *copy);
    if (!t->kept || (!t->all && n && !copy)) return sv_fail_memory(err, "topk_specified_field_selector", t->count * sizeof *copy);
    t->cut = t->all ? -INFINITY : INFINITY;
    if (copy) {
        memcpy(copy, t->values, t->count * sizeof *copy);
        t->cut = nth_largest(copy, t->count, n);
        free(copy);
    }
    for (size_t i = 0; i < t->count; i++) above += t->values[i] > t->cut;
    t->equal = n - above;
    for (size_t i = 0, equal = 0; i < t->count; i++)
        if (t->all || t->values[i] > t->cut || (n && t->values[i] == t->cut && equal++ < t->equal)) t->kept[i / 8] |= (unsigned char)(1 << i % 8);
    free(t->values);
    t->values = NULL;
    t->capacity = 0;
    return SV_OK;
}

static sv_status topk_recall(const void *state, size_t index, uint64_t number, int64_t *duplicate_of, sv_error *err) {
    const sv_topk *t = state;
    if (index >= t->count)
        return sv_fail(err, SV_E_USAGE, "topk_specified_field_selector", "this pass has more captions than the one before");
    *duplicate_of = t->kept[index / 8] >> index % 8 & 1 ? -1 : (int64_t)number;
    return SV_OK;
}

static double topk_cut(const void *state) {
    const sv_topk *t = state;
    return t->reverse ? t->cut : -t->cut;
}

static const sv_dedup topk = {.key_size = topk_key_size, .stat = topk_stat, .learn = topk_learn, .settle = topk_settle, .recall = topk_recall, .cut = topk_cut};

static sv_status topk_open(void *state, const char *where, sv_error *err) {
    const sv_topk *t = state;
    if (*topk_stat(t)) return SV_OK;
    return sv_hint(err, sv_fail(err, SV_E_RECIPE, where, "field_key is missing"), "as in field_key: __dj__stats__.image_text_similarity");
}

const sv_op sv_op_topk = {.info = {"topk_specified_field_selector", SV_OP_SELECTOR, NULL, "keeps the captions with the highest values of a statistic"},
                          .options = options, .size = sizeof(sv_topk), .open = topk_open, .close = topk_close, .dedup = &topk};
