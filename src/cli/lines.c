/* lines.c - JSON lines in and out: read in batches, worked on by all threads, written in order. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "args.h"
#include "cli.h"

enum { BATCH = 2048, READ_BYTES = 1 << 18, MAX_THREADS = 64 };

/* Bytes read and not yet used. Lines of a batch are stretches of `data`, so it is compacted only between batches. */
typedef struct reader {
    int fd;
    char *data;
    size_t used, size, capacity;
    bool ended;
} reader;

typedef struct line {
    size_t begin, size;
    char *result;    /* JSON without the line end; malloc by yyjson */
    size_t result_size;
    bool failed;
} line;

typedef struct job {
    reader in;
    line lines[BATCH];
    size_t count;
    sv_line_fn fn;
    void *user;
    atomic_size_t next;
    atomic_bool out_of_memory;
} job;

void sv_line_put(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key, yyjson_mut_val *v) {
    yyjson_mut_val *k = yyjson_mut_strcpy(doc, key);
    yyjson_mut_obj_put(root, k, v);
}

void sv_line_put_real(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key, double v) {
    sv_line_put(doc, root, key, yyjson_mut_real(doc, v));
}

void sv_line_put_int(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key, int64_t v) {
    sv_line_put(doc, root, key, yyjson_mut_sint(doc, v));
}

void sv_line_put_str(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key, const char *v) {
    sv_line_put(doc, root, key, yyjson_mut_strcpy(doc, v));
}

void sv_line_put_bool(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key, bool v) {
    sv_line_put(doc, root, key, yyjson_mut_bool(doc, v));
}

void sv_line_error(yyjson_mut_doc *doc, yyjson_mut_val *root, const sv_error *err) {
    char text[2048];
    yyjson_mut_val *e = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, e, "code", sv_status_name(err->status));
    yyjson_mut_obj_add_strcpy(doc, e, "message", sv_error_text(err, text, sizeof text));
    sv_line_put(doc, root, "error", e);
}

sv_status sv_line_get_str(yyjson_mut_val *root, const char *key, bool required, const char **out, size_t *size, sv_error *err) {
    yyjson_mut_val *v = yyjson_mut_obj_get(root, key);
    *out = NULL;
    if (size) *size = 0;
    if (!v || (yyjson_mut_is_null(v) && !required)) {
        if (!required) return SV_OK;
        snprintf(err->why, sizeof err->why, "field \"%s\" is missing", key);
        return err->status = SV_E_INPUT;
    }
    if (!yyjson_mut_is_str(v)) {
        snprintf(err->why, sizeof err->why, "field \"%s\" must be a string", key);
        return err->status = SV_E_INPUT;
    }
    *out = yyjson_mut_get_str(v);
    if (size) *size = yyjson_mut_get_len(v);
    return SV_OK;
}

yyjson_mut_doc *sv_line_parse(char *text, size_t size, sv_error *err) {
    yyjson_read_err bad = {0};
    yyjson_doc *doc = yyjson_read_opts(text, size, 0, NULL, &bad);
    yyjson_mut_doc *mut = NULL;
    if (doc && yyjson_is_obj(yyjson_doc_get_root(doc))) mut = yyjson_doc_mut_copy(doc, NULL);
    if (!mut) {
        err->status = SV_E_INPUT;
        if (doc)
            snprintf(err->why, sizeof err->why, "the line is not a JSON object");
        else
            snprintf(err->why, sizeof err->why, "the line is not JSON: %s at byte %zu", bad.msg ? bad.msg : "unreadable", bad.pos);
        mut = yyjson_mut_doc_new(NULL);
        if (mut) yyjson_mut_doc_set_root(mut, yyjson_mut_obj(mut));
    }
    yyjson_doc_free(doc);
    return mut;
}

static void work_on(job *j, unsigned thread, line *l) {
    sv_error err = {0};
    yyjson_mut_doc *doc = sv_line_parse(j->in.data + l->begin, l->size, &err);
    if (!doc) {
        atomic_store(&j->out_of_memory, true);
        return;
    }
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    sv_status st = err.status;
    if (st == SV_OK) st = j->fn(j->user, thread, doc, root, &err);
    l->failed = st != SV_OK;
    if (l->failed) {
        err.status = st;
        sv_line_error(doc, root, &err);
    }
    /* numbers that JSON cannot hold become null */
    l->result = yyjson_mut_write(doc, YYJSON_WRITE_INF_AND_NAN_AS_NULL, &l->result_size);
    if (!l->result) atomic_store(&j->out_of_memory, true);
    yyjson_mut_doc_free(doc);
}

typedef struct worker {
    job *job;
    unsigned index;
} worker;

static void *worker_main(void *arg) {
    worker *w = arg;
    enum { GRAIN = 16 };
    for (;;) {
        size_t i = atomic_fetch_add(&w->job->next, GRAIN);
        if (i >= w->job->count) return NULL;
        for (size_t end = i + GRAIN; i < end && i < w->job->count; i++) work_on(w->job, w->index, &w->job->lines[i]);
    }
}

static void run_batch(job *j, unsigned threads) {
    worker w[MAX_THREADS];
    pthread_t ids[MAX_THREADS];
    atomic_store(&j->next, 0);
    unsigned started = 1;
    for (unsigned i = 0; i < threads; i++) w[i] = (worker){j, i};
    if (j->count > 16)
        while (started < threads && pthread_create(&ids[started], NULL, worker_main, &w[started]) == 0) started++;
    worker_main(&w[0]);
    for (unsigned i = 1; i < started; i++) pthread_join(ids[i], NULL);
}

/* True if the next read would have to wait: then what is there is worked on first. */
static bool would_wait(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 0;
}

static sv_status read_more(reader *r, sv_error *err) {
    if (r->capacity - r->size < READ_BYTES) {
        size_t capacity = r->capacity ? r->capacity * 2 : 2 * READ_BYTES;
        char *data = realloc(r->data, capacity);
        if (!data) {
            snprintf(err->why, sizeof err->why, "out of memory for a line of %zu bytes", r->size - r->used);
            return err->status = SV_E_MEMORY;
        }
        r->data = data;
        r->capacity = capacity;
    }
    ssize_t n;
    do n = read(r->fd, r->data + r->size, r->capacity - r->size);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        snprintf(err->what, sizeof err->what, "input");
        snprintf(err->why, sizeof err->why, "cannot read: %s", strerror(errno));
        return err->status = SV_E_IO;
    }
    r->size += (size_t)n;
    r->ended = n == 0;
    return SV_OK;
}

/* The next line without its end, as a stretch of r->data. *got is false at the end of the input, or where waiting would be needed and `wait` is false. */
static sv_status next_line(reader *r, bool wait, size_t *begin, size_t *size, bool *got, sv_error *err) {
    size_t looked = r->used;
    for (;;) {
        const char *eol = r->size > looked ? memchr(r->data + looked, '\n', r->size - looked) : NULL;
        if (eol || (r->ended && r->size > r->used)) {
            size_t end = eol ? (size_t)(eol - r->data) : r->size;
            *begin = r->used;
            r->used = end + (eol != NULL);
            while (end > *begin && r->data[end - 1] == '\r') end--;
            *size = end - *begin;
            *got = true;
            return SV_OK;
        }
        looked = r->size;
        *got = false;
        if (r->ended || (!wait && would_wait(r->fd))) return SV_OK;
        sv_status st = read_more(r, err);
        if (st != SV_OK) return st;
    }
}

static bool is_blank(const char *text, size_t size) {
    while (size && (text[size - 1] == ' ' || text[size - 1] == '\t')) size--;
    return size == 0;
}

/* Fills a batch: at least one line unless the input has ended, and more as long as they need not be waited for. */
static sv_status read_batch(job *j, sv_error *err) {
    reader *r = &j->in;
    r->size -= r->used;
    if (r->used && r->size) memmove(r->data, r->data + r->used, r->size);
    r->used = 0;
    j->count = 0;
    while (j->count < BATCH) {
        line *l = &j->lines[j->count];
        bool got;
        sv_status st = next_line(r, j->count == 0, &l->begin, &l->size, &got, err);
        if (st != SV_OK || !got) return st;
        if (!is_blank(r->data + l->begin, l->size)) j->count++;
    }
    return SV_OK;
}

sv_status sv_lines_run(FILE *in, unsigned threads, sv_line_fn fn, void *user, sv_error *err) {
    job *j = calloc(1, sizeof *j);
    if (!j) return err->status = SV_E_MEMORY;
    if (!threads) {
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        threads = n > 0 ? (unsigned)n : 1;
    }
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    j->fn = fn;
    j->user = user;
    sv_status st = SV_OK;
    bool any_failed = false;
    j->in.fd = fileno(in);
    sv_status input = SV_OK;     /* what was read before a failure is still answered */
    while (st == SV_OK && input == SV_OK) {
        input = read_batch(j, err);
        if (j->count == 0) break;
        run_batch(j, threads);
        for (size_t i = 0; i < j->count; i++) {
            line *l = &j->lines[i];
            any_failed |= l->failed;
            if (l->result) {
                l->result[l->result_size] = '\n';   /* in place of the NUL */
                if (st == SV_OK && fwrite(l->result, 1, l->result_size + 1, stdout) != l->result_size + 1) {
                    snprintf(err->what, sizeof err->what, "stdout");
                    snprintf(err->why, sizeof err->why, "cannot write: %s", strerror(errno));
                    st = err->status = SV_E_IO;
                }
            }
            free(l->result);
            l->result = NULL;
            l->failed = false;
        }
        if (st == SV_OK && fflush(stdout) != 0) {
            snprintf(err->what, sizeof err->what, "stdout");
            snprintf(err->why, sizeof err->why, "cannot write: %s", strerror(errno));
            st = err->status = SV_E_IO;
        }
        if (atomic_load(&j->out_of_memory)) {
            snprintf(err->why, sizeof err->why, "out of memory");
            st = err->status = SV_E_MEMORY;
        }
    }
    free(j->in.data);
    free(j);
    if (st == SV_OK) st = input;
    return st != SV_OK ? st : any_failed ? SV_SHORT : SV_OK;
}

sv_status sv_input_open(const char *path, FILE **out, sv_error *err) {
    if (!path || !strcmp(path, "-")) {
        *out = stdin;
        return SV_OK;
    }
    *out = fopen(path, "re");
    if (*out) return SV_OK;
    snprintf(err->what, sizeof err->what, "%s", path);
    snprintf(err->why, sizeof err->why, "cannot open: %s", strerror(errno));
    return err->status = errno == ENOENT ? SV_E_INPUT : SV_E_IO;
}

void sv_input_close(FILE *f) {
    if (f && f != stdin) fclose(f);
}

sv_status sv_lines_of_names(const sv_args *args, FILE **in, sv_error *err) {
    int fd = memfd_create("images", MFD_CLOEXEC);
    FILE *f = fd >= 0 ? fdopen(fd, "w+") : NULL;
    if (!f && fd >= 0) close(fd);
    bool ok = f != NULL;
    for (size_t i = 0; ok && i < sv_arg_count(args); i++) {
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, root);
        yyjson_mut_obj_add_str(doc, root, "image", sv_arg_at(args, i));
        char *text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
        ok = text && fprintf(f, "%s\n", text) > 0;
        free(text);
        yyjson_mut_doc_free(doc);
    }
    if (ok) ok = fflush(f) == 0 && lseek(fd, 0, SEEK_SET) == 0;
    if (ok) {
        *in = f;
        return SV_OK;
    }
    if (f) fclose(f);
    *err = (sv_error){.status = SV_E_MEMORY, .what = "images", .why = "out of memory"};
    return SV_E_MEMORY;
}
