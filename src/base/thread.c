#include "base/thread.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct sv_queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t capacity, head, size;
    bool ended;
    void *items[];
};

sv_queue *sv_queue_open(size_t capacity) {
    sv_queue *q = calloc(1, sizeof *q + capacity * sizeof q->items[0]);
    if (!q) return NULL;
    q->capacity = capacity;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->changed, NULL);
    return q;
}

bool sv_queue_push(sv_queue *q, void *item) {
    pthread_mutex_lock(&q->lock);
    while (q->size == q->capacity && !q->ended) pthread_cond_wait(&q->changed, &q->lock);
    bool taken = !q->ended;
    if (taken) {
        q->items[(q->head + q->size++) % q->capacity] = item;
        pthread_cond_broadcast(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    return taken;
}

/* The oldest item, or NULL. The lock is held. */
static void *take(sv_queue *q) {
    if (!q->size) return NULL;
    void *item = q->items[q->head];
    q->head = (q->head + 1) % q->capacity;
    q->size--;
    pthread_cond_broadcast(&q->changed);
    return item;
}

void *sv_queue_pop(sv_queue *q) {
    pthread_mutex_lock(&q->lock);
    while (q->size == 0 && !q->ended) pthread_cond_wait(&q->changed, &q->lock);
    void *item = take(q);
    pthread_mutex_unlock(&q->lock);
    return item;
}

void *sv_queue_pop_for(sv_queue *q, double seconds) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    long ns = until.tv_nsec + (long)((seconds - (double)(time_t)seconds) * 1e9);
    until.tv_sec += (time_t)seconds + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_mutex_lock(&q->lock);
    while (q->size == 0 && !q->ended && pthread_cond_timedwait(&q->changed, &q->lock, &until) == 0) continue;
    void *item = take(q);
    pthread_mutex_unlock(&q->lock);
    return item;
}

void sv_queue_end(sv_queue *q) {
    pthread_mutex_lock(&q->lock);
    q->ended = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

void sv_queue_close(sv_queue **q) {
    if (!*q) return;
    pthread_mutex_destroy(&(*q)->lock);
    pthread_cond_destroy(&(*q)->changed);
    free(*q);
    *q = NULL;
}

/* ---- parallel loops ---- */

typedef struct range_job {
    sv_range_fn fn;
    void *user;
    size_t n, chunk;
    atomic_size_t next;
    atomic_bool stop;
    pthread_mutex_t lock;
    size_t failed_at;       /* the lowest chunk that failed */
    sv_status status;
    sv_error error;
} range_job;

typedef struct range_thread {
    range_job *job;
    unsigned index;
} range_thread;

static void *range_main(void *arg) {
    range_thread *t = arg;
    range_job *j = t->job;
    while (!atomic_load(&j->stop)) {
        size_t begin = atomic_fetch_add(&j->next, j->chunk);
        if (begin >= j->n) break;
        size_t end = j->n - begin < j->chunk ? j->n : begin + j->chunk;
        sv_error err = {0};
        sv_status st = j->fn(j->user, t->index, begin, end, &err);
        if (st == SV_OK) continue;
        pthread_mutex_lock(&j->lock);
        if (j->status == SV_OK || begin < j->failed_at) {
            j->status = st;
            j->failed_at = begin;
            j->error = err;
        }
        pthread_mutex_unlock(&j->lock);
        atomic_store(&j->stop, true);
    }
    return NULL;
}

sv_status sv_parallel(unsigned threads, size_t n, size_t chunk, sv_range_fn fn, void *user, sv_error *err) {
    if (!n) return SV_OK;
    if (!chunk) chunk = 1;
    if (!threads) threads = sv_cpu_count();
    if (threads > SV_MOST_THREADS) threads = SV_MOST_THREADS;
    size_t chunks = (n - 1) / chunk + 1;
    if (threads > chunks) threads = (unsigned)chunks;

    range_job j = {.fn = fn, .user = user, .n = n, .chunk = chunk};
    pthread_mutex_init(&j.lock, NULL);
    range_thread args[SV_MOST_THREADS];
    pthread_t ids[SV_MOST_THREADS];
    unsigned started = 1;   /* the calling thread is number 0 */
    for (unsigned i = 0; i < threads; i++) args[i] = (range_thread){&j, i};
    while (started < threads && pthread_create(&ids[started], NULL, range_main, &args[started]) == 0) started++;
    range_main(&args[0]);
    for (unsigned i = 1; i < started; i++) pthread_join(ids[i], NULL);
    pthread_mutex_destroy(&j.lock);
    if (j.status != SV_OK && err) *err = j.error;
    return j.status;
}

/* Cores that a cgroup quota allows, or 0 if there is none. */
static unsigned quota_cores(void) {
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!f) return 0;
    long quota = 0, period = 0;
    int got = fscanf(f, "%ld %ld", &quota, &period);   /* "max 100000" where there is no quota */
    fclose(f);
    if (got != 2 || quota <= 0 || period <= 0) return 0;
    return (unsigned)((quota + period - 1) / period);
}

unsigned sv_cpu_count(void) {
    cpu_set_t set;
    long n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    if (n < 1) n = 1;
    unsigned quota = quota_cores();
    return quota && quota < (unsigned)n ? quota : (unsigned)n;
}

double sv_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int64_t sv_wall_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
