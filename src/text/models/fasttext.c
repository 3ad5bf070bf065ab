#include "text/models/fasttext.h"

#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "text/models/fasttext_internal.h"

sv_status sv_fasttext_open(sv_fasttext **out, const char *path, sv_error *err) {
    *out = NULL;
    sv_fasttext *m = calloc(1, sizeof *m);
    if (!m) return sv_fail_memory(err, path, sizeof *m);
    sv_status st = sv_fasttext_map(m, path, err);
    if (st == SV_OK) *out = m;
    else sv_fasttext_close(&m);
    return st;
}

void sv_fasttext_close(sv_fasttext **handle) {
    sv_fasttext *m = *handle;
    if (!m) return;
    for (uint32_t i = 0; m->labels && i < m->label_count; i++) free(m->labels[i]);
    free(m->labels);
    free(m->entries);
    free(m->table);
    free(m->kept);
    free(m->tree);
    if (m->map) munmap(m->map, m->map_size);
    free(m);
    *handle = NULL;
}

size_t sv_fasttext_label_count(const sv_fasttext *m) { return m->label_count; }
const char *sv_fasttext_label(const sv_fasttext *m, size_t i) { return i < m->label_count ? m->labels[i] : NULL; }

void sv_fasttext_scratch_free(sv_fasttext_scratch *s) {
    free(s->values);
    free(s->nodes);
    free(s->hashes);
    *s = (sv_fasttext_scratch){0};
}

/* Room for the mean of the rows and a number per label, and for the stack of a walk down the tree: a node leaves at most one more than it takes. */
static sv_status make_room(const sv_fasttext *m, sv_fasttext_scratch *s, sv_error *err) {
    size_t values = (size_t)m->dimensions + m->label_count + 2, nodes = m->tree ? (size_t)m->label_count + 2 : 0;
    if (values > s->value_capacity) {
        free(s->values);
        s->value_capacity = 0;
        s->values = malloc(values * sizeof *s->values);
        if (!s->values) return sv_fail_memory(err, "fastText", values * sizeof *s->values);
        s->value_capacity = values;
    }
    if (nodes > s->node_capacity) {
        free(s->nodes);
        s->node_capacity = 0;
        s->nodes = malloc(nodes * sizeof *s->nodes);
        if (!s->nodes) return sv_fail_memory(err, "fastText", nodes * sizeof *s->nodes);
        s->node_capacity = nodes;
    }
    return SV_OK;
}

/* ---- matrices ---- */

static void add_row(const sv_fasttext_matrix *x, int64_t row, float *sum) {
    if (x->floats) {
        const unsigned char *at = x->floats + (size_t)(row * x->columns) * sizeof(float);
        for (int64_t j = 0; j < x->columns; j++) sum[j] += sv_fasttext_float(at, (size_t)j);
        return;
    }
    const unsigned char *codes = x->codes + row * x->parts;
    float norm = x->norms ? sv_fasttext_float(x->norm_centroids, x->norms[row]) : 1;
    for (int32_t p = 0; p < x->parts; p++) {
        int32_t step = p == x->parts - 1 ? x->last_step : x->step;
        size_t centroid = (size_t)p * SV_FASTTEXT_CENTROIDS * (size_t)x->step + (size_t)codes[p] * (size_t)step;
        for (int32_t j = 0; j < step; j++) sum[p * x->step + j] += norm * sv_fasttext_float(x->centroids, centroid + (size_t)j);
    }
}

static float dot_row(const sv_fasttext_matrix *x, int64_t row, const float *v) {
    float dot = 0;
    if (x->floats) {
        const unsigned char *at = x->floats + (size_t)(row * x->columns) * sizeof(float);
        for (int64_t j = 0; j < x->columns; j++) dot += sv_fasttext_float(at, (size_t)j) * v[j];
        return dot;
    }
    const unsigned char *codes = x->codes + row * x->parts;
    for (int32_t p = 0; p < x->parts; p++) {
        int32_t step = p == x->parts - 1 ? x->last_step : x->step;
        size_t centroid = (size_t)p * SV_FASTTEXT_CENTROIDS * (size_t)x->step + (size_t)codes[p] * (size_t)step;
        for (int32_t j = 0; j < step; j++) dot += v[p * x->step + j] * sv_fasttext_float(x->centroids, centroid + (size_t)j);
    }
    return x->norms ? dot * sv_fasttext_float(x->norm_centroids, x->norms[row]) : dot;
}

/* ---- from a line to rows ---- */

/* Rows of the input matrix, summed as they are found. */
typedef struct features {
    const sv_fasttext *model;
    float *sum;
    size_t count;
} features;

static void add_feature(features *f, int64_t row) {
    add_row(&f->model->input, row, f->sum);
    f->count++;
}

static void add_bucket(features *f, int32_t bucket) {
    const sv_fasttext *m = f->model;
    if (m->pruned == 0 || bucket < 0) return;
    if (m->pruned < 0) {
        add_feature(f, (int64_t)m->word_count + bucket);
        return;
    }
    uint32_t slot = (uint32_t)bucket * 2654435769u & m->kept_mask;
    for (; m->kept[2 * slot]; slot = (slot + 1) & m->kept_mask)
        if (m->kept[2 * slot] == bucket + 1) {
            add_feature(f, (int64_t)m->word_count + m->kept[2 * slot + 1]);
            return;
        }
}

static bool continues(char c) { return ((unsigned char)c & 0xC0) == 0x80; }

/* Every stretch of shortest to longest code points of "<word>", but for the two brackets alone. The hash runs on from stretch to stretch. */
static void add_parts(features *f, const char *word, size_t size) {
    const sv_fasttext *m = f->model;
    const size_t end = size + 2;
#define AT(i) ((i) == 0 ? '<' : (i) == end - 1 ? '>' : word[(i) - 1])
    for (size_t i = 0; i < end; i++) {
        if (continues(AT(i))) continue;
        uint32_t h = SV_FASTTEXT_HASH;
        size_t j = i;
        for (int32_t n = 1; j < end && n <= m->longest; n++) {
            do {
                h = sv_fasttext_hash_on(h, AT(j));
                j++;
            } while (j < end && continues(AT(j)));
            if (n >= m->shortest && !(n == 1 && (i == 0 || j == end))) add_bucket(f, (int32_t)(h % (uint32_t)m->buckets));
        }
    }
#undef AT
}

static int64_t find_entry(const sv_fasttext *m, const char *word, size_t size, uint32_t hash) {
    for (uint32_t slot = hash & m->table_mask; m->table[slot]; slot = (slot + 1) & m->table_mask) {
        const sv_fasttext_word *w = &m->entries[m->table[slot] - 1];
        if (w->hash == hash && w->size == size && memcmp(w->text, word, size) == 0) return m->table[slot] - 1;
    }
    return -1;
}

static sv_status note_hash(sv_fasttext_scratch *s, uint32_t hash, sv_error *err) {
    if (s->hash_count == s->hash_capacity) {
        size_t capacity = s->hash_capacity ? s->hash_capacity * 2 : 64;
        int32_t *hashes = realloc(s->hashes, capacity * sizeof *hashes);
        if (!hashes) return sv_fail_memory(err, "fastText", capacity * sizeof *hashes);
        s->hashes = hashes;
        s->hash_capacity = capacity;
    }
    s->hashes[s->hash_count++] = (int32_t)hash;
    return SV_OK;
}

static const char end_of_line[] = "</s>";

/* One word. What looks like a label is none of the line's words. */
static sv_status add_word(features *f, sv_fasttext_scratch *s, const char *word, size_t size, sv_error *err) {
    static const char prefix[] = "__label__";
    const sv_fasttext *m = f->model;
    bool is_end = size == 4 && memcmp(word, end_of_line, 4) == 0;
    uint32_t hash = sv_fasttext_hash(word, size);
    int64_t entry = find_entry(m, word, size, hash);
    if (entry < 0 ? size >= sizeof prefix - 1 && memcmp(word, prefix, sizeof prefix - 1) == 0 : entry >= m->word_count) return SV_OK;
    if (entry >= 0) add_feature(f, entry);
    if (m->longest > 0 && !is_end) add_parts(f, word, size);
    return m->word_ngrams > 1 ? note_hash(s, hash, err) : SV_OK;
}

static bool is_space(char c) { return c == ' ' || c == '\0' || (c >= '\t' && c <= '\r'); }

/* The line's words, then the end of the line as a word of its own, which a word "</s>" is, too; then runs of words. */
static sv_status add_line(features *f, sv_fasttext_scratch *s, const char *line, size_t size, sv_error *err) {
    const sv_fasttext *m = f->model;
    s->hash_count = 0;
    bool ended = false;
    for (const char *p = line, *end = line + size; !ended;) {
        while (p < end && is_space(*p)) p++;
        const char *word = p;
        while (p < end && !is_space(*p)) p++;
        size_t length = (size_t)(p - word);
        if (length == 0) {
            word = end_of_line;
            length = 4;
        }
        ended = length == 4 && memcmp(word, end_of_line, 4) == 0;
        SV_TRY(add_word(f, s, word, length, err));
    }
    for (size_t i = 0; i < s->hash_count; i++) {
        uint64_t h = (uint64_t)(int64_t)s->hashes[i];
        for (size_t j = i + 1; j < s->hash_count && j < i + (size_t)m->word_ngrams; j++) {
            h = h * 116049371u + (uint64_t)(int64_t)s->hashes[j];
            add_bucket(f, (int32_t)(h % (uint64_t)m->buckets));
        }
    }
    return SV_OK;
}

/* ---- from the mean of the rows to a label ---- */

/* fastText keeps logarithms as floats, with a little added so that there is one of 0. */
static float log_of(float p) { return (float)log((double)p + 1e-5); }

typedef struct best {
    int64_t label;
    float score;                 /* logarithm */
} best;

/* Of equal ones the last wins, as in fastText's heap. */
static void offer(best *b, int64_t label, float score) {
    if (b->label < 0 || !(score < b->score)) *b = (best){label, score};
}

static bool walk_tree(const sv_fasttext *m, const float *mean, float *scores, uint32_t *nodes, best *b) {
    const float least = log_of(0);
    size_t size = 1;
    nodes[0] = 2 * m->label_count - 2;
    scores[0] = 0;
    while (size) {
        uint32_t node = nodes[--size];
        float score = scores[size];
        if (score < least || (b->label >= 0 && score < b->score)) continue;
        if (node < m->label_count) {
            offer(b, node, score);
            continue;
        }
        float f = dot_row(&m->output, node - m->label_count, mean);
        if (isnan(f)) return false;
        f = (float)(1. / (double)(1 + expf(-f)));
        nodes[size] = m->tree[node].right;
        scores[size++] = score + log_of(f);
        nodes[size] = m->tree[node].left;
        scores[size++] = score + log_of((float)(1.0 - (double)f));
    }
    return true;
}

static float sigmoid(const sv_fasttext *m, float x) {
    if (x < -8) return 0;
    if (x > 8) return 1;
    return m->sigmoid[(int)((x + 8) * SV_FASTTEXT_SIGMOIDS / 8 / 2)];
}

static bool compare_labels(const sv_fasttext *m, const float *mean, float *out, best *b) {
    for (uint32_t i = 0; i < m->label_count; i++) {
        out[i] = dot_row(&m->output, i, mean);
        if (isnan(out[i])) return false;
    }
    if (m->loss == SV_FASTTEXT_SOFTMAX) {
        float max = out[0], sum = 0;
        for (uint32_t i = 1; i < m->label_count; i++) max = out[i] > max ? out[i] : max;
        for (uint32_t i = 0; i < m->label_count; i++) {
            out[i] = expf(out[i] - max);
            sum += out[i];
        }
        for (uint32_t i = 0; i < m->label_count; i++) out[i] /= sum;
    } else {
        for (uint32_t i = 0; i < m->label_count; i++) out[i] = sigmoid(m, out[i]);
    }
    for (uint32_t i = 0; i < m->label_count; i++) offer(b, i, log_of(out[i]));
    return !isnan(b->score);
}

sv_status sv_fasttext_predict(const sv_fasttext *m, const char *line, size_t size, sv_fasttext_scratch *s, int64_t *label, float *probability,
                              sv_error *err) {
    *label = -1;
    *probability = NAN;
    SV_TRY(make_room(m, s, err));
    memset(s->values, 0, (size_t)m->dimensions * sizeof *s->values);
    features f = {.model = m, .sum = s->values};
    SV_TRY(add_line(&f, s, line, size, err));
    if (f.count == 0) return SV_OK;
    float factor = (float)(1.0 / (double)f.count);
    for (int32_t i = 0; i < m->dimensions; i++) s->values[i] *= factor;
    best b = {.label = -1};
    float *out = s->values + m->dimensions;
    if (!(m->tree ? walk_tree(m, s->values, out, s->nodes, &b) : compare_labels(m, s->values, out, &b)))
        return sv_fail(err, SV_E_MODEL, "fastText", "the model gives what is not a number");
    *label = b.label;
    if (b.label >= 0) *probability = expf(b.score);
    return SV_OK;
}
