/* kenlm_arpa.c - reading ARPA files, plain or gzip, into the hash tables that scoring looks into.
 *
 * As strict as KenLM: the counts must hold, every n-gram's context must be listed, log probabilities are not positive. What pruning left out at
 * the left (u v w without v w) is filled in by back-off, as KenLM does.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zlib.h>

#include "text/models/kenlm_internal.h"

enum { CHUNK = 1 << 17, LONGEST_LINE = 1 << 20, COLUMNS = SV_KENLM_MAX_ORDER + 3 };

/* ---- lines ---- */

typedef struct reader {
    const char *path;
    gzFile file;
    char *buffer;                    /* bytes [start, end) are still to come; one spare byte for a NUL */
    size_t capacity, start, end;
    uint64_t number;                 /* of the line last read */
    bool eof;
    sv_error *err;
} reader;

static sv_status fault(reader *r, const char *why, ...) SV_PRINTF(2, 3);
static sv_status fault(reader *r, const char *why, ...) {
    char text[512];
    va_list ap;
    va_start(ap, why);
    vsnprintf(text, sizeof text, why, ap);
    va_end(ap);
    return sv_fail(r->err, SV_E_MODEL, r->path, "line %llu: %s", (unsigned long long)r->number, text);
}

static sv_status refill(reader *r) {
    if (r->start > 0) {
        memmove(r->buffer, r->buffer + r->start, r->end - r->start);
        r->end -= r->start;
        r->start = 0;
    }
    if (r->capacity - r->end < CHUNK) {
        size_t capacity = r->capacity * 2;
        char *grown = realloc(r->buffer, capacity + 1);
        if (!grown) return sv_fail_memory(r->err, r->path, capacity);
        r->buffer = grown;
        r->capacity = capacity;
    }
    int got = gzread(r->file, r->buffer + r->end, CHUNK);
    if (got > 0) {
        r->end += (size_t)got;
        return SV_OK;
    }
    int code = 0;
    const char *why = gzerror(r->file, &code);
    r->eof = true;
    if (got == 0 && (code == Z_OK || code == Z_STREAM_END)) return SV_OK;
    if (code == Z_ERRNO) return sv_fail_errno(r->err, r->path, "cannot read");
    return sv_fail(r->err, SV_E_MODEL, r->path, "is a broken or cut gzip file (%s)", why);
}

/* The next line, without its end, NUL-terminated; NULL at the end of the file. Valid until the next call. */
static sv_status next_line(reader *r, char **line, size_t *size) {
    *line = NULL;
    for (size_t seen = r->start;;) {
        char *eol = memchr(r->buffer + seen, '\n', r->end - seen);
        if (!eol && !r->eof) {
            size_t known = r->end - r->start;
            if (known > LONGEST_LINE) {
                r->number++;
                return fault(r, "is longer than %d bytes: this is no ARPA file", LONGEST_LINE);
            }
            SV_TRY(refill(r));
            seen = r->start + known;
            continue;
        }
        if (!eol && r->start == r->end) return SV_OK;
        char *stop = eol ? eol : r->buffer + r->end;
        *line = r->buffer + r->start;
        r->start = (size_t)(stop - r->buffer) + (eol ? 1 : 0);
        if (stop > *line && stop[-1] == '\r') stop--;
        *stop = '\0';
        *size = (size_t)(stop - *line);
        r->number++;
        return SV_OK;
    }
}

static bool is_blank(const char *line, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (!(line[i] == ' ' || (line[i] >= 0x09 && line[i] <= 0x0D))) return false;
    return true;
}

/* The next line that is not blank; the end of the file is a fault. */
static sv_status next_content(reader *r, const char *wanted, char **line, size_t *size) {
    do {
        SV_TRY(next_line(r, line, size));
        if (!*line) {
            sv_fail(r->err, SV_E_MODEL, r->path, "ends after line %llu, before %s", (unsigned long long)r->number, wanted);
            return sv_hint(r->err, SV_E_MODEL, "the file is cut short: copy it again");
        }
    } while (is_blank(*line, *size));
    return SV_OK;
}

/* ---- tables that grow ---- */

typedef struct growing {
    sv_kenlm_table *t;
    uint64_t used;
} growing;

static bool grow(sv_kenlm_table *t, uint64_t buckets) {
    if (buckets > SIZE_MAX / t->stride) return false;
    unsigned char *base = calloc((size_t)buckets, t->stride);
    if (!base) return false;
    for (uint64_t i = 0; i < t->buckets; i++) {
        const unsigned char *entry = t->base + i * t->stride;
        uint64_t key = sv_load64(entry);
        if (!key) continue;
        uint64_t at = key % buckets;
        while (sv_load64(base + at * t->stride)) at = at + 1 == buckets ? 0 : at + 1;
        memcpy(base + at * t->stride, entry, t->stride);
    }
    free(t->base);
    t->base = base;
    t->buckets = buckets;
    return true;
}

/* A new entry, even if the key is there already (the first one is found). NULL when memory runs out. */
static unsigned char *insert(growing *g, uint64_t key) {
    sv_kenlm_table *t = g->t;
    if ((g->used + 1) * 3 > t->buckets * 2 && !grow(t, t->buckets * 2 + 1)) return NULL;
    if (key == 0) key = 1;                             /* 0 marks free entries; no word hashes to it in practice */
    uint64_t at = key % t->buckets;
    while (sv_load64(t->base + at * t->stride)) at = at + 1 == t->buckets ? 0 : at + 1;
    unsigned char *entry = t->base + at * t->stride;
    memcpy(entry, &key, sizeof key);
    g->used++;
    return entry;
}

/* ---- the model while it is read ---- */

typedef struct builder {
    sv_kenlm *m;
    reader *r;
    uint64_t counts[SV_KENLM_MAX_ORDER];
    float *unigrams;                 /* probability, back-off */
    growing vocabulary, tables[SV_KENLM_MAX_ORDER - 1];
    bool has_unknown;
} builder;

static void set_sign(unsigned char *at, bool negative) {
    uint32_t bits = sv_load32(at);
    bits = negative ? bits | 0x80000000u : bits & 0x7FFFFFFFu;
    memcpy(at, &bits, sizeof bits);
}

/* A back-off of -0 becomes +0: something does begin with these words. */
static void set_extension(unsigned char *backoff) {
    float v = sv_load_float(backoff);
    if (v == 0.0f) set_sign(backoff, false);
}

/* Key of the n-gram whose words, last first, are ids[0 .. n-1]. */
static uint64_t key_of(const uint32_t *ids, int n) {
    uint64_t key = ids[0];
    for (int i = 1; i < n; i++) key = sv_kenlm_combine(key, ids[i]);
    return key;
}

/* Probability (and behind it the back-off) of an n-gram that is there, or NULL. */
static unsigned char *values_of(builder *b, const uint32_t *ids, int n) {
    if (n == 1) return (unsigned char *)(b->unigrams + 2 * (size_t)ids[0]);
    unsigned char *entry = sv_kenlm_find(b->tables[n - 2].t, key_of(ids, n));
    return entry ? entry + 8 : NULL;
}

/* The n-gram was added: the shorter ones that end like it now extend to the left. Those that are missing are made up from the longest that is
 * there: its probability and the back-offs of what stands before it. */
static sv_status mark_shorter(builder *b, const uint32_t *ids, int n) {
    int basis = n - 1;
    while (!values_of(b, ids, basis)) basis--;
    float prob = -fabsf(sv_load_float(values_of(b, ids, basis)));
    set_sign(values_of(b, ids, basis), false);
    for (int made = basis + 1; made < n; made++) {
        unsigned char *context = values_of(b, ids + 1, made - 1);
        if (context) {
            set_extension(context + 4);
            prob += sv_load_float(context + 4);
        }
        unsigned char *entry = insert(&b->tables[made - 2], key_of(ids, made));
        if (!entry) return sv_fail_memory(b->r->err, b->r->path, 0);
        const float backoff = -0.0f;
        memcpy(entry + 8, &prob, sizeof prob);
        memcpy(entry + 12, &backoff, sizeof backoff);
        set_sign(entry + 8, false);
    }
    unsigned char *context = values_of(b, ids + 1, n - 1);
    if (!context) {
        fault(b->r, "this %d-gram begins with %d words that are not listed as a %d-gram", n, n - 1, n - 1);
        return sv_hint(b->r->err, SV_E_MODEL, "the model was pruned in a way that KenLM does not read either");
    }
    set_extension(context + 4);
    return SV_OK;
}

/* ---- parsing ---- */

static sv_status parse_float(builder *b, const char *text, const char *what, float *value) {
    char *end;
    errno = 0;
    *value = strtof(text, &end);
    if (end == text || *end != '\0' || isnan(*value)) return fault(b->r, "\"%.40s\" is no %s", text, what);
    return SV_OK;
}

/* Splits a line at tabs and spaces into at most COLUMNS NUL-terminated parts. Returns their number. */
static int split(char *line, char **parts) {
    int n = 0;
    for (char *p = line; *p && n < COLUMNS;) {
        while (*p == ' ' || *p == '\t' || *p == '\r') p++;
        if (!*p) break;
        parts[n++] = p;
        while (*p && *p != ' ' && *p != '\t' && *p != '\r') p++;
        if (*p) *p++ = '\0';
    }
    return n;
}

/* "log10-probability word … word [back-off]". */
static sv_status parse_entry(builder *b, int n, char *line, size_t size, char **words, float *prob, float *backoff) {
    char *parts[COLUMNS];
    if (memchr(line, 0, size)) return fault(b->r, "holds a NUL byte");
    int count = split(line, parts);
    if (count != n + 1 && count != n + 2) {
        sv_status st = fault(b->r, "a %d-gram needs a probability and %d word%s, and may have a back-off", n, n, n == 1 ? "" : "s");
        return b->r->eof && b->r->start == b->r->end ? sv_hint(b->r->err, st, "this is the last line: the file is cut short, copy it again") : st;
    }
    SV_TRY(parse_float(b, parts[0], "log probability", prob));
    if (*prob > 0.0f) return fault(b->r, "the log probability %g is positive", (double)*prob);
    *backoff = 0.0f;
    if (count == n + 2) SV_TRY(parse_float(b, parts[n + 1], "back-off", backoff));
    if (isinf(*backoff)) return fault(b->r, "the back-off is infinite");
    if (*backoff == 0.0f) *backoff = -0.0f;
    if (n == b->m->order && *backoff != 0.0f) return fault(b->r, "a %d-gram, the longest kind, cannot have a back-off", n);
    memcpy(words, parts + 1, (size_t)n * sizeof *words);
    return SV_OK;
}

static bool is_unknown(const char *word) { return strcmp(word, "<unk>") == 0 || strcmp(word, "<UNK>") == 0; }

static sv_status add_unigram(builder *b, char *line, size_t size) {
    char *word;
    float prob, backoff;
    SV_TRY(parse_entry(b, 1, line, size, &word, &prob, &backoff));
    uint32_t index = 0;
    if (is_unknown(word)) b->has_unknown = true;
    else {
        index = (uint32_t)b->m->unigram_count++;
        unsigned char *entry = insert(&b->vocabulary, sv_kenlm_hash(word, strlen(word)));
        if (!entry) return sv_fail_memory(b->r->err, b->r->path, 0);
        memcpy(entry + 8, &index, sizeof index);
    }
    b->unigrams[2 * (size_t)index] = prob;
    b->unigrams[2 * (size_t)index + 1] = backoff;
    set_sign((unsigned char *)&b->unigrams[2 * (size_t)index], true);
    return SV_OK;
}

static sv_status add_ngram(builder *b, int n, char *line, size_t size) {
    char *words[SV_KENLM_MAX_ORDER];
    uint32_t ids[SV_KENLM_MAX_ORDER];
    float prob, backoff;
    SV_TRY(parse_entry(b, n, line, size, words, &prob, &backoff));
    for (int i = 0; i < n; i++) {
        uint32_t id = sv_kenlm_word(b->m, words[i], strlen(words[i]));
        if (id == 0 && !is_unknown(words[i])) return fault(b->r, "the word \"%.80s\" is not among the 1-grams", words[i]);
        ids[n - 1 - i] = id;
    }
    unsigned char *entry = insert(&b->tables[n - 2], key_of(ids, n));
    if (!entry) return sv_fail_memory(b->r->err, b->r->path, 0);
    memcpy(entry + 8, &prob, sizeof prob);
    set_sign(entry + 8, true);
    if (n < b->m->order) memcpy(entry + 12, &backoff, sizeof backoff);
    return mark_shorter(b, ids, n);
}

/* ---- sections ---- */

static sv_status read_counts(builder *b) {
    reader *r = b->r;
    char *line;
    size_t size;
    do SV_TRY(next_content(r, "\\data\\", &line, &size));
    while (line[0] == '#');
    if (strcmp(line, "\\data\\") != 0) {
        if (strcmp(line, "iARPA") == 0) fault(r, "this is an IRSTLM iARPA file, not ARPA");
        else if (strncmp(line, "blmt", 4) == 0) fault(r, "this is an IRSTLM binary file, not ARPA");
        else if (strncmp(line, "mmap lm", 7) == 0) fault(r, "this is a compressed KenLM binary; it must be unpacked to be mapped into memory");
        else fault(r, "\\data\\ was expected: this is neither an ARPA file nor a KenLM binary");
        return sv_hint(r->err, SV_E_MODEL, "give an ARPA file (.arpa, .arpa.gz) or what KenLM's build_binary makes of one");
    }
    for (;;) {
        SV_TRY(next_line(r, &line, &size));
        if (!line || is_blank(line, size)) break;
        unsigned order;
        unsigned long long count;
        char rest;
        if (sscanf(line, "ngram %u = %llu %c", &order, &count, &rest) != 2) return fault(r, "\"ngram %d=COUNT\" was expected", b->m->order + 1);
        if (order != (unsigned)b->m->order + 1) return fault(r, "the count of %u-grams stands where that of %d-grams was expected", order, b->m->order + 1);
        if (order > SV_KENLM_MAX_ORDER) return fault(r, "only models up to order %d can be read", SV_KENLM_MAX_ORDER);
        b->counts[b->m->order++] = count;
    }
    if (b->m->order < 2) return fault(r, "a model of order %d; it takes 2 at least", b->m->order);
    if (b->counts[0] == 0 || b->counts[0] >= UINT32_MAX - 1) return fault(r, "an impossible number of words");
    return SV_OK;
}

static sv_status expect_line(reader *r, const char *wanted) {
    char *line;
    size_t size;
    SV_TRY(next_content(r, wanted, &line, &size));
    return strcmp(line, wanted) == 0 ? SV_OK : fault(r, "%s was expected: the counts at the top do not hold", wanted);
}

static sv_status read_sections(builder *b) {
    for (int n = 1; n <= b->m->order; n++) {
        char header[32];
        snprintf(header, sizeof header, "\\%d-grams:", n);
        SV_TRY(expect_line(b->r, header));
        for (uint64_t i = 0; i < b->counts[n - 1]; i++) {
            char *line;
            size_t size;
            SV_TRY(next_line(b->r, &line, &size));
            if (!line) {
                sv_fail(b->r->err, SV_E_MODEL, b->r->path, "ends after %llu of %llu %d-grams", (unsigned long long)i, (unsigned long long)b->counts[n - 1], n);
                return sv_hint(b->r->err, SV_E_MODEL, "the file is cut short: copy it again");
            }
            SV_TRY(n == 1 ? add_unigram(b, line, size) : add_ngram(b, n, line, size));
        }
    }
    return expect_line(b->r, "\\end\\");
}

/* Room for what the counts announce, but for no more than a file of this size can hold; the tables grow where that is too little. */
static sv_status make_room(builder *b, uint64_t file_size) {
    sv_kenlm *m = b->m;
    uint64_t believable = file_size / 4 + 64, words = b->counts[0];
    if (words > 32 * believable) return fault(b->r, "the file is too small for %llu words", (unsigned long long)words);
    m->owns_tables = true;
    m->unigram_stride = 8;
    b->unigrams = calloc((size_t)words + 1, 2 * sizeof *b->unigrams);
    m->unigrams = (unsigned char *)b->unigrams;
    b->vocabulary.t = &m->vocabulary;
    m->vocabulary.stride = 12;
    bool ok = b->unigrams && grow(&m->vocabulary, (words < believable ? words : believable) * 3 / 2 + 8);
    for (int n = 2; n <= m->order && ok; n++) {
        uint64_t count = b->counts[n - 1] < believable ? b->counts[n - 1] : believable;
        b->tables[n - 2].t = &m->tables[n - 2];
        m->tables[n - 2].stride = n == m->order ? 12 : 16;
        ok = grow(&m->tables[n - 2], count * 3 / 2 + 8);
    }
    if (!ok) return sv_fail_memory(b->r->err, b->r->path, (size_t)words * 8);
    b->unigrams[0] = -100.0f;                  /* KenLM's default for a model without <unk> */
    m->unigram_count = 1;
    return SV_OK;
}

sv_status sv_kenlm_read_arpa(sv_kenlm *m, const char *path, sv_error *err) {
    struct stat s;
    if (stat(path, &s) != 0) return sv_fail_errno(err, path, "cannot read");
    reader r = {.path = path, .capacity = 2 * CHUNK, .err = err};
    builder b = {.m = m, .r = &r};
    m->type = SV_KENLM_ARPA;
    errno = 0;
    r.file = gzopen(path, "rb");
    if (!r.file) return errno ? sv_fail_errno(err, path, "cannot open") : sv_fail_memory(err, path, 0);
    r.buffer = malloc(r.capacity + 1);
    sv_status st = r.buffer ? SV_OK : sv_fail_memory(err, path, r.capacity);
    if (st == SV_OK) st = read_counts(&b);
    if (st == SV_OK) st = make_room(&b, S_ISREG(s.st_mode) ? (uint64_t)s.st_size : UINT32_MAX);
    if (st == SV_OK) st = read_sections(&b);
    gzclose(r.file);
    free(r.buffer);
    return st;
}
