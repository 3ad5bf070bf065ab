/* jobs.c - JSON lines whose work takes long: one line a thread at a time, results in order as soon as they can be. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* A finished line that waits for the ones before it. */
typedef struct result {
    size_t number;
    char *json;                  /* with its line end */
    size_t size;
    struct result *next;         /* by rising number */
} result;

typedef struct pool {
    FILE *in;
    sv_job_fn fn;
    void *user;
    pthread_mutex_t reading, writing;
    size_t lines;                /* handed out; under `reading` */
    bool end;
    size_t written;              /* under `writing`, as what follows */
    result *waiting;
    bool any_failed;
    sv_error err;                /* of the input or the output: ends everything */
} pool;

static void fail_with(pool *p, sv_status st, const char *what, const char *why) {
    if (p->err.status != SV_OK) return;
    p->err.status = st;
    snprintf(p->err.what, sizeof p->err.what, "%s", what);
    snprintf(p->err.why, sizeof p->err.why, "%s", why);
}

/* Takes the next line that is not blank. `text` is getline's buffer of the calling thread. */
static bool take(pool *p, char **text, size_t *capacity, size_t *size, size_t *number) {
    bool got = false;
    pthread_mutex_lock(&p->reading);
    while (!got && !p->end && !sv_cli_stop) {
        ssize_t n = getline(text, capacity, p->in);
        if (n < 0) {
            if (sv_cli_stop) break;                /* the signal ended the read */
            p->end = true;
            if (ferror(p->in)) {
                pthread_mutex_lock(&p->writing);
                fail_with(p, SV_E_IO, "input", strerror(errno));
                pthread_mutex_unlock(&p->writing);
            }
            break;
        }
        while (n > 0 && ((*text)[n - 1] == '\n' || (*text)[n - 1] == '\r')) n--;
        (*text)[n] = 0;
        got = strspn(*text, " \t") < (size_t)n;
        *size = (size_t)n;
    }
    if (got) *number = p->lines++;
    pthread_mutex_unlock(&p->reading);
    return got;
}

/* Puts a result in its place and writes what can be written. */
static void give(pool *p, result *r) {
    pthread_mutex_lock(&p->writing);
    result **at = &p->waiting;
    while (*at && (*at)->number < r->number) at = &(*at)->next;
    r->next = *at;
    *at = r;
    while (p->waiting && p->waiting->number == p->written) {
        result *first = p->waiting;
        p->waiting = first->next;
        p->written++;
        if (p->err.status == SV_OK && (fwrite(first->json, 1, first->size, stdout) != first->size || fflush(stdout) != 0))
            fail_with(p, SV_E_IO, "stdout", strerror(errno));
        free(first->json);
        free(first);
    }
    pthread_mutex_unlock(&p->writing);
}

/* One line: from text to a result. False when memory runs out. */
static bool work_on(pool *p, unsigned thread, char *text, size_t size, size_t number) {
    sv_error err = {0};
    yyjson_mut_doc *doc = sv_line_parse(text, size, &err);
    if (!doc) return false;
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    sv_status st = err.status;
    if (st == SV_OK) st = p->fn(p->user, thread, number, doc, root, &err);
    if (st != SV_OK) {
        err.status = st;
        sv_line_error(doc, root, &err);
        pthread_mutex_lock(&p->writing);
        p->any_failed = true;
        pthread_mutex_unlock(&p->writing);
    }
    result *r = calloc(1, sizeof *r);
    if (r) {
        r->number = number;
        r->json = yyjson_mut_write(doc, YYJSON_WRITE_INF_AND_NAN_AS_NULL, &r->size);
    }
    yyjson_mut_doc_free(doc);
    if (!r || !r->json) {
        free(r);
        return false;
    }
    r->json[r->size++] = '\n';   /* in place of the NUL */
    give(p, r);
    return true;
}

typedef struct worker {
    pool *pool;
    unsigned index;
} worker;

static void *worker_main(void *arg) {
    worker *w = arg;
    pool *p = w->pool;
    char *text = NULL;
    size_t capacity = 0, size, number;
    bool ok = true;
    while (ok && take(p, &text, &capacity, &size, &number)) {
        ok = work_on(p, w->index, text, size, number);
        pthread_mutex_lock(&p->writing);
        if (!ok) fail_with(p, SV_E_MEMORY, "a line", "out of memory");
        ok = p->err.status == SV_OK;
        pthread_mutex_unlock(&p->writing);
    }
    free(text);
    return NULL;
}

sv_status sv_jobs_run(FILE *in, unsigned threads, sv_job_fn fn, void *user, sv_error *err) {
    enum { MAX_THREADS = 256 };
    pool p = {.in = in, .fn = fn, .user = user};
    worker w[MAX_THREADS];
    pthread_t ids[MAX_THREADS];
    unsigned started = 1;
    if (threads < 1) threads = 1;
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    pthread_mutex_init(&p.reading, NULL);
    pthread_mutex_init(&p.writing, NULL);
    for (unsigned i = 0; i < threads; i++) w[i] = (worker){&p, i};
    while (started < threads && pthread_create(&ids[started], NULL, worker_main, &w[started]) == 0) started++;
    worker_main(&w[0]);
    for (unsigned i = 1; i < started; i++) pthread_join(ids[i], NULL);
    while (p.waiting) {                            /* results after one that memory ran out for */
        result *r = p.waiting;
        p.waiting = r->next;
        free(r->json);
        free(r);
    }
    pthread_mutex_destroy(&p.reading);
    pthread_mutex_destroy(&p.writing);
    if (p.err.status != SV_OK) {
        *err = p.err;
        return err->status;
    }
    if (sv_cli_stop && !p.end) {
        snprintf(err->what, sizeof err->what, "stopped");
        snprintf(err->why, sizeof err->why, "%zu lines are done", p.lines);
        return err->status = SV_E_STOPPED;
    }
    return p.any_failed ? SV_SHORT : SV_OK;
}
