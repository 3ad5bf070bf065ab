/* phash.h - inside the library: perceptual hashes of pictures, equal to imagededup's, and an index that finds near ones.
 *
 * A hash has 64 bits, row by row, the first one highest, so that its 16 hex digits are those that imagededup prints.
 */
#ifndef SV_IMAGE_PHASH_H
#define SV_IMAGE_PHASH_H

#include "image/resize.h"

typedef enum sv_hash_method { SV_HASH_PHASH, SV_HASH_DHASH, SV_HASH_AHASH } sv_hash_method;

/* Pictures in between, kept from call to call. Belongs to one thread; zero-initialise, sv_hash_work_free. */
typedef struct sv_hash_work {
    sv_resize_work resize;
    sv_image rgb, small, grey;
} sv_hash_work;
void sv_hash_work_free(sv_hash_work *w);

/* The hash of a picture of any mode (taken as RGB; alpha is dropped). */
sv_status sv_image_hash(const sv_image *im, sv_hash_method method, sv_hash_work *w, uint64_t *hash, sv_error *err);

/* Number of bits that differ. */
static inline int sv_hash_distance(uint64_t a, uint64_t b) { return __builtin_popcountll(a ^ b); }

/* ---- the index ---- */

/* Largest distance that an index answers for. */
#define SV_HASH_MOST_DISTANCE 12

/* Hashes with a name each, found by distance: hashes that differ in few bits differ in very few, or none, in one of four bands of 16 bits, so that
 * only entries near in one band are looked at (multi-index hashing, Norouzi et al. 2012). Memory: 64 to 128 bytes an entry, and 4 MiB.
 * One thread at a time adds; any number may ask while nobody adds. */
typedef struct sv_hash_index sv_hash_index;
sv_status sv_hash_index_open(sv_hash_index **out, int distance, sv_error *err);
void sv_hash_index_close(sv_hash_index **index);
sv_status sv_hash_index_add(sv_hash_index *index, uint64_t hash, uint32_t name, sv_error *err);
/* The lowest name among the entries at most `distance` bits from hash; false if there is none. */
bool sv_hash_index_find(const sv_hash_index *index, uint64_t hash, uint32_t *name);
/* The lowest name among those that `accept` takes, too: for what must be near in another hash besides. */
typedef bool (*sv_hash_accept)(const void *user, uint32_t name);
bool sv_hash_index_find_if(const sv_hash_index *index, uint64_t hash, sv_hash_accept accept, const void *user, uint32_t *name);

#endif
