/* sample.h - lots, and the captions that are drawn: of the kept ones those with the lowest lots, and of concepts with a quota at least so many. */
#ifndef SV_STAGES_SAMPLE_H
#define SV_STAGES_SAMPLE_H

#include "stages/curate/balance.h"

/* The first 64 bits of SHA-256("<purpose>:<run seed>/<id>"), or with `of` of ".../<id>/<of>": a number that depends on nothing but these. `text` is memory. */
uint64_t sv_lot_for(const char *purpose, int64_t seed, const char *id, const char *of, sv_buf *text);

/* A caption with its lot; ties go to the lower number. */
typedef struct sv_drawn { uint64_t lot; int64_t number; } sv_drawn;
bool sv_drawn_after(const sv_drawn *a, const sv_drawn *b);

/* The n lowest of all that are offered: a heap with the highest on top. */
typedef struct sv_lowest { sv_drawn *heap; size_t size, n; } sv_lowest;
sv_status sv_lowest_open(sv_lowest *l, size_t n, sv_error *err);
void sv_lowest_offer(sv_lowest *l, sv_drawn d);
void sv_lowest_close(sv_lowest *l);

/* Writes the sample of a setup: every kept caption, or captions.sample of them. kept: how many there are. */
sv_status sv_sample_captions(sv_rundir *run, const sv_balance *balance, int64_t curate, int64_t sample, int64_t kept, sv_error *err);

#endif
