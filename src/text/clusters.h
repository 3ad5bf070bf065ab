/* clusters.h - which captions of a pool share a band of their min-hash signatures, and so belong together.
 *
 * Memory: 8 bytes per band and caption while the pool is learnt (200 bytes a caption with 25 bands), another 4 to 12 bytes a caption while
 * it is settled, 12 bytes a caption after that.
 */
#ifndef SV_TEXT_CLUSTERS_H
#define SV_TEXT_CLUSTERS_H

#include "base/error.h"

typedef struct sv_clusters {
    size_t bands, count;
    uint64_t **blocks;           /* of 65,536 captions: the keys of band 0, then of band 1, … ; freed once settled */
    uint64_t **numbers;          /* likewise: the captions' numbers */
    size_t block_count, block_capacity;
    uint32_t *parent;            /* after settling: the earliest caption of each one's cluster */
} sv_clusters;

/* Zero-initialise and set `bands`. Forgets everything but that. */
void sv_clusters_clear(sv_clusters *c);

/* Adds the next caption. keys: one per band; a key of 0 joins nothing. */
sv_status sv_clusters_add(sv_clusters *c, const uint64_t *keys, uint64_t number, sv_error *err);

/* The whole pool is there: joins captions with equal keys in a band, transitively. */
sv_status sv_clusters_settle(sv_clusters *c, sv_error *err);

/* The number of the earliest caption in the cluster of the index-th one: its own if it is the first. */
uint64_t sv_clusters_first(const sv_clusters *c, size_t index);
uint64_t sv_clusters_number(const sv_clusters *c, size_t index);

#endif
