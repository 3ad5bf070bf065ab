/* clusters.h - which captions of a pool share a band of their min-hash signatures, and so belong together.
 *
 * With a directory for temporary files the keys of all but the latest 65,536 captions lie there: 8 bytes per band and caption (200 bytes with 25 bands). In memory
 * are 8 bytes a caption while the pool is learnt, 26 to 32 while it is settled, one band after the other, and 12 after that. Without a directory the keys stay in
 * memory.
 */
#ifndef SV_TEXT_CLUSTERS_H
#define SV_TEXT_CLUSTERS_H

#include "base/error.h"

typedef struct sv_clusters {
    size_t bands, count;
    const char *dir;             /* for temporary files; NULL: none are made. The caller's */
    int file;                    /* with the keys of full blocks, one block after the other; 0: none yet */
    uint64_t **blocks;           /* of 65,536 captions: the keys of band 0, then of band 1, … ; NULL for those in the file; freed once settled */
    uint64_t **numbers;          /* likewise: the captions' numbers */
    size_t block_count, block_capacity;
    uint32_t *parent;            /* after settling: the earliest caption of each one's cluster */
} sv_clusters;

/* Zero-initialise and set `bands` and `dir`. Forgets everything but these. */
void sv_clusters_clear(sv_clusters *c);

/* Adds the next caption. keys: one per band; a key of 0 joins nothing. */
sv_status sv_clusters_add(sv_clusters *c, const uint64_t *keys, uint64_t number, sv_error *err);

/* The whole pool is there: joins captions with equal keys in a band, transitively. */
sv_status sv_clusters_settle(sv_clusters *c, sv_error *err);

/* The number of the earliest caption in the cluster of the index-th one: its own if it is the first. */
uint64_t sv_clusters_first(const sv_clusters *c, size_t index);
uint64_t sv_clusters_number(const sv_clusters *c, size_t index);

#endif
