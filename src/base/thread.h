/* thread.h - a bounded queue between threads, parallel loops, and the stop flag. */
#ifndef SV_BASE_THREAD_H
#define SV_BASE_THREAD_H

#include <pthread.h>

#include "base/error.h"

/* A bounded queue of pointers, many producers and consumers. */
typedef struct sv_queue sv_queue;
sv_queue *sv_queue_open(size_t capacity);             /* NULL when memory runs out */
bool sv_queue_push(sv_queue *q, void *item);          /* waits while full; false once ended (item is not taken) */
void *sv_queue_pop(sv_queue *q);                      /* waits while empty; NULL once ended and empty */
void *sv_queue_pop_for(sv_queue *q, double seconds);  /* the same, but NULL also when nothing came in that time */
void sv_queue_end(sv_queue *q);                       /* no more pushes; pops drain what is left */
void sv_queue_close(sv_queue **q);                    /* frees; nobody may be waiting */

/* Runs fn(user, thread_index, begin, end) over 0..n-1 in chunks on `threads` threads (0: all cores). Chunks are handed out in order.
 * A failing chunk stops the hand-out; the error of the lowest chunk is returned. */
typedef sv_status (*sv_range_fn)(void *user, unsigned thread, size_t begin, size_t end, sv_error *err);
#define SV_MOST_THREADS 256   /* more are never started */
sv_status sv_parallel(unsigned threads, size_t n, size_t chunk, sv_range_fn fn, void *user, sv_error *err);

unsigned sv_cpu_count(void);                          /* usable cores (affinity, cgroup quota) */
double sv_now(void);                                  /* monotonic seconds */
int64_t sv_wall_ms(void);                             /* Unix time in milliseconds */

#endif
