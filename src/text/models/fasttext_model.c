/* fasttext_model.c - fastText's model files: header, settings, dictionary, matrices (the layouts that FastText::saveModel writes). Little-endian. */
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/file.h"
#include "base/utf8.h"
#include "text/models/fasttext_internal.h"

enum { MAGIC = 793712314, OLDEST = 11, NEWEST = 12, SUPERVISED = 3, MAX_DIMENSIONS = 1 << 16, MAX_LABELS = 1 << 24, MAX_ENTRIES = 1 << 29 };

/* The file as it is taken apart: everything between `at` and `size` is still to come. */
typedef struct cursor {
    const char *path;
    const unsigned char *file;
    uint64_t size, at;
    sv_error *err;
} cursor;

static sv_status broken(const cursor *c, const char *why) {
    return sv_hint(c->err, sv_fail(c->err, SV_E_MODEL, c->path, "is a broken fastText model: %s", why), "copy the file again");
}

static sv_status take(cursor *c, uint64_t n, const unsigned char **part) {
    if (n > c->size - c->at) {
        sv_fail(c->err, SV_E_MODEL, c->path, "is cut short: a fastText model that goes on after its %llu bytes", (unsigned long long)c->size);
        return sv_hint(c->err, SV_E_MODEL, "copy the file again");
    }
    *part = c->file + c->at;
    c->at += n;
    return SV_OK;
}

static sv_status take_int(cursor *c, int32_t *v) {
    const unsigned char *part = NULL;
    SV_TRY(take(c, sizeof *v, &part));
    memcpy(v, part, sizeof *v);
    return SV_OK;
}

static sv_status take_long(cursor *c, int64_t *v) {
    const unsigned char *part = NULL;
    SV_TRY(take(c, sizeof *v, &part));
    memcpy(v, part, sizeof *v);
    return SV_OK;
}

static sv_status take_bool(cursor *c, bool *v) {
    const unsigned char *part = NULL;
    SV_TRY(take(c, 1, &part));
    *v = *part != 0;
    return *part < 2 ? SV_OK : broken(c, "a switch is neither on nor off");
}

/* ---- header and settings ---- */

static sv_status read_settings(sv_fasttext *m, cursor *c) {
    int32_t magic = 0, version, dimensions, unused, loss, kind;
    const unsigned char *part = NULL;
    if (c->size >= sizeof magic) SV_TRY(take_int(c, &magic));
    if (magic != MAGIC)
        return sv_hint(c->err, sv_fail(c->err, SV_E_MODEL, c->path, "is not a fastText model"),
                       "a model of the fasttext program is wanted, as .bin or .ftz; word vectors as text (.vec) are none");
    SV_TRY(take_int(c, &version));
    if (version < OLDEST || version > NEWEST) {
        sv_fail(c->err, SV_E_MODEL, c->path, "is a fastText model of format version %d; versions %d and %d can be read", version, OLDEST, NEWEST);
        return sv_hint(c->err, SV_E_MODEL, "get a model that fastText 0.9 has written");
    }
    SV_TRY(take_int(c, &dimensions));
    for (int i = 0; i < 4; i++) SV_TRY(take_int(c, &unused));   /* window, epochs, smallest count, negatives: training only */
    SV_TRY(take_int(c, &m->word_ngrams));
    SV_TRY(take_int(c, &loss));
    SV_TRY(take_int(c, &kind));
    SV_TRY(take_int(c, &m->buckets));
    SV_TRY(take_int(c, &m->shortest));
    SV_TRY(take_int(c, &m->longest));
    SV_TRY(take(c, sizeof(int32_t) + sizeof(double), &part));   /* training only, too */
    if (kind != SUPERVISED) {
        sv_fail(c->err, SV_E_MODEL, c->path, "is a fastText model of word vectors, not one that was trained on labels");
        return sv_hint(c->err, SV_E_MODEL, "language identification needs a classifier such as lid.176.bin");
    }
    if (dimensions < 1 || dimensions > MAX_DIMENSIONS) return broken(c, "an impossible number of dimensions");
    if (loss < SV_FASTTEXT_TREE || loss > SV_FASTTEXT_ONE_VS_ALL) return broken(c, "an unknown kind of loss");
    if (version == OLDEST || m->longest < 0) m->longest = 0;    /* classifiers of that version did not look at parts of words */
    if (m->word_ngrams < 1) m->word_ngrams = 1;
    if (m->buckets < 0 || (m->buckets == 0 && (m->longest > 0 || m->word_ngrams > 1))) return broken(c, "parts of words without buckets for them");
    m->dimensions = dimensions;
    m->loss = (sv_fasttext_loss)loss;
    return SV_OK;
}

/* ---- dictionary ---- */

static uint32_t slots_for(uint64_t n) {
    uint32_t slots = 16;
    while (slots < n * 2) slots *= 2;
    return slots;
}

static sv_status read_entries(sv_fasttext *m, cursor *c, int64_t *counts) {
    uint32_t n = m->word_count + m->label_count;
    const unsigned char *tail = NULL;
    for (uint32_t i = 0; i < n; i++) {
        const unsigned char *text = c->file + c->at, *end = memchr(text, 0, c->size - c->at);
        if (!end) return take(c, c->size, &tail);
        if ((uint64_t)(end - text) > UINT32_MAX / 2) return broken(c, "an endless word");
        sv_fasttext_word *w = &m->entries[i];
        *w = (sv_fasttext_word){(const char *)text, (uint32_t)(end - text), sv_fasttext_hash((const char *)text, (size_t)(end - text))};
        c->at += w->size + 1u;
        SV_TRY(take(c, 9, &tail));                              /* how often it was seen, and whether it is a label */
        if (tail[8] != (i >= m->word_count)) return broken(c, "words and labels are not where the header says");
        if (i >= m->word_count) memcpy(&counts[i - m->word_count], tail, sizeof *counts);
        uint32_t slot = w->hash & m->table_mask;
        for (; m->table[slot]; slot = (slot + 1) & m->table_mask) {
            const sv_fasttext_word *other = &m->entries[m->table[slot] - 1];
            if (other->hash == w->hash && other->size == w->size && memcmp(other->text, w->text, w->size) == 0) break;
        }
        m->table[slot] = i + 1;                                 /* of equal words the last one counts */
    }
    return SV_OK;
}

/* A label's name as Data-Juicer takes it: "__label__" is removed wherever it stands. */
static char *label_name(const sv_fasttext_word *w) {
    static const char prefix[] = "__label__";
    char *name = malloc((size_t)w->size + 1), *to = name;
    if (!name) return NULL;
    for (const char *p = w->text, *end = p + w->size; p < end;) {
        if (strncmp(p, prefix, sizeof prefix - 1) == 0) p += sizeof prefix - 1;
        else *to++ = *p++;
    }
    *to = '\0';
    return name;
}

static sv_status read_pruned(sv_fasttext *m, cursor *c, int64_t *largest) {
    const unsigned char *part = NULL;
    *largest = -1;
    if (m->pruned <= 0) return SV_OK;
    if ((uint64_t)m->pruned > (c->size - c->at) / 8) return take(c, c->size, &part);
    uint32_t slots = slots_for((uint64_t)m->pruned);
    m->kept_mask = slots - 1;
    m->kept = calloc(slots, 2 * sizeof *m->kept);
    if (!m->kept) return sv_fail_memory(c->err, c->path, slots * 2 * sizeof *m->kept);
    for (int64_t i = 0; i < m->pruned; i++) {
        int32_t bucket, row;
        SV_TRY(take_int(c, &bucket));
        SV_TRY(take_int(c, &row));
        if (bucket < 0 || bucket == INT32_MAX || row < 0) return broken(c, "an impossible bucket");
        uint32_t slot = (uint32_t)bucket * 2654435769u & m->kept_mask;
        while (m->kept[2 * slot] && m->kept[2 * slot] != bucket + 1) slot = (slot + 1) & m->kept_mask;
        m->kept[2 * slot] = bucket + 1;
        m->kept[2 * slot + 1] = row;
        if (row > *largest) *largest = row;
    }
    return SV_OK;
}

/* *rows: how many the input matrix must have. */
static sv_status read_dictionary(sv_fasttext *m, cursor *c, int64_t **counts, int64_t *rows) {
    int32_t size, words, labels;
    int64_t tokens, largest;
    SV_TRY(take_int(c, &size));
    SV_TRY(take_int(c, &words));
    SV_TRY(take_int(c, &labels));
    SV_TRY(take_long(c, &tokens));
    SV_TRY(take_long(c, &m->pruned));
    if (words < 0 || labels < 0 || size > MAX_ENTRIES || m->pruned > MAX_ENTRIES || (int64_t)words + labels != size)
        return broken(c, "the dictionary's sizes contradict each other");
    if (labels == 0 || labels > MAX_LABELS) return broken(c, labels ? "more labels than anyone needs" : "it has no labels");
    const unsigned char *part = NULL;
    if ((uint64_t)size > (c->size - c->at) / 10) return take(c, c->size, &part);   /* each takes ten bytes at least */
    m->word_count = (uint32_t)words;
    m->label_count = (uint32_t)labels;
    uint32_t slots = slots_for((uint64_t)size);
    m->table_mask = slots - 1;
    m->entries = malloc((size_t)size * sizeof *m->entries);
    m->table = calloc(slots, sizeof *m->table);
    m->labels = calloc((size_t)labels, sizeof *m->labels);
    *counts = malloc((size_t)labels * sizeof **counts);
    if (!m->entries || !m->table || !m->labels || !*counts)
        return sv_fail_memory(c->err, c->path, (size_t)size * (sizeof *m->entries + sizeof *m->labels) + slots * sizeof *m->table);
    SV_TRY(read_entries(m, c, *counts));
    for (uint32_t i = 0; i < m->label_count; i++) {
        const sv_fasttext_word *w = &m->entries[m->word_count + i];
        if (sv_utf8_valid(w->text, w->size) != w->size) return broken(c, "a label is not valid UTF-8");
        if (!(m->labels[i] = label_name(w))) return sv_fail_memory(c->err, c->path, w->size);
    }
    SV_TRY(read_pruned(m, c, &largest));
    bool parts = m->longest > 0 || m->word_ngrams > 1;
    *rows = words + (m->pruned >= 0 ? largest + 1 : parts ? m->buckets : 0);
    return SV_OK;
}

/* ---- matrices ---- */

static sv_status read_centroids(cursor *c, int64_t columns, int32_t *parts, int32_t *step, int32_t *last, const unsigned char **centroids) {
    int32_t dimensions;
    SV_TRY(take_int(c, &dimensions));
    SV_TRY(take_int(c, parts));
    SV_TRY(take_int(c, step));
    SV_TRY(take_int(c, last));
    if (dimensions != columns || *step < 1 || *step > dimensions || *parts != (dimensions + *step - 1) / *step ||
        *last != dimensions - (*parts - 1) * *step)
        return broken(c, "a quantiser that does not fit its matrix");
    return take(c, (uint64_t)dimensions * SV_FASTTEXT_CENTROIDS * sizeof(float), centroids);
}

static sv_status read_matrix(cursor *c, bool quantised, int32_t columns, int64_t rows, sv_fasttext_matrix *x) {
    bool norms = false;
    if (quantised) SV_TRY(take_bool(c, &norms));
    SV_TRY(take_long(c, &x->rows));
    SV_TRY(take_long(c, &x->columns));
    if (x->columns != columns) return broken(c, "a matrix with another number of columns than the model has dimensions");
    if (x->rows < rows || x->rows > INT32_MAX) return broken(c, "a matrix with fewer rows than the dictionary needs");
    if (!quantised) return take(c, (uint64_t)x->rows * (uint64_t)x->columns * sizeof(float), &x->floats);
    int32_t codes, one[3];
    SV_TRY(take_int(c, &codes));
    if (codes < 0) return broken(c, "a negative number of codes");
    SV_TRY(take(c, (uint64_t)codes, &x->codes));
    SV_TRY(read_centroids(c, x->columns, &x->parts, &x->step, &x->last_step, &x->centroids));
    if (codes != x->rows * x->parts) return broken(c, "not as many codes as its matrix needs");
    if (!norms) return SV_OK;
    SV_TRY(take(c, (uint64_t)x->rows, &x->norms));
    return read_centroids(c, 1, &one[0], &one[1], &one[2], &x->norm_centroids);
}

/* ---- the tree of hierarchical softmax ---- */

/* Huffman's construction as fastText does it: the labels are sorted by falling count, so that the two smallest are always at the end of what is left of
 * them and at the front of the nodes that were joined. The tree is made anew from the counts; it is not in the file. */
static sv_status grow_tree(sv_fasttext *m, const int64_t *counts, cursor *c) {
    static const int64_t unset = 1000000000000000;
    const size_t labels = m->label_count, nodes = 2 * labels - 1;
    m->tree = calloc(nodes, sizeof *m->tree);
    int64_t *weight = malloc(nodes * sizeof *weight);
    sv_status st = m->tree && weight ? SV_OK : sv_fail_memory(c->err, c->path, nodes * (sizeof *m->tree + sizeof *weight));
    for (size_t i = 0; st == SV_OK && i < nodes; i++) {
        weight[i] = i < labels ? counts[i] : unset;
        if (weight[i] < 0 || weight[i] > unset) st = broken(c, "an impossible count of a label");
    }
    size_t leaf = labels, joined = labels;       /* the next leaf is the one before */
    for (size_t i = labels; st == SV_OK && i < nodes; i++) {
        uint32_t child[2];
        int64_t sum = 0;
        for (int k = 0; st == SV_OK && k < 2; k++) {
            if (leaf > 0 && weight[leaf - 1] < weight[joined]) child[k] = (uint32_t)--leaf;
            else child[k] = (uint32_t)joined++;
            if (child[k] >= i) st = broken(c, "counts of labels that make no tree");
            else sum += weight[child[k]];
        }
        if (st != SV_OK) break;
        weight[i] = sum < unset ? sum : unset;
        m->tree[i] = (sv_fasttext_node){child[0], child[1]};
    }
    free(weight);
    return st;
}

/* ---- the file ---- */

static sv_status take_apart(sv_fasttext *m, cursor *c, int64_t **counts) {
    bool quantised = false, output_quantised = false;
    int64_t rows = 0;
    SV_TRY(read_settings(m, c));
    SV_TRY(read_dictionary(m, c, counts, &rows));
    SV_TRY(take_bool(c, &quantised));
    if (!quantised && m->pruned >= 0) return broken(c, "it was pruned, but not quantised");
    SV_TRY(read_matrix(c, quantised, m->dimensions, rows, &m->input));
    SV_TRY(take_bool(c, &output_quantised));
    SV_TRY(read_matrix(c, quantised && output_quantised, m->dimensions, m->label_count, &m->output));
    if (m->loss == SV_FASTTEXT_TREE) return grow_tree(m, *counts, c);
    for (int i = 0; i <= SV_FASTTEXT_SIGMOIDS; i++) {
        float x = (float)(i * 16) / SV_FASTTEXT_SIGMOIDS - 8;
        m->sigmoid[i] = (float)(1.0 / (1.0 + (double)expf(-x)));
    }
    return SV_OK;
}

sv_status sv_fasttext_map(sv_fasttext *m, const char *path, sv_error *err) {
    SV_TRY(sv_file_map(path, &m->map, &m->map_size, err));
    cursor c = {.path = path, .file = m->map, .size = m->map_size, .err = err};
    int64_t *counts = NULL;
    sv_status st = take_apart(m, &c, &counts);
    free(counts);
    return st;
}
