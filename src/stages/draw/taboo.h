/* taboo.h - pictures that must not be drawn again, such as those of a benchmark: by their perceptual hashes.
 *
 * They come from a folder, which is searched with everything below it, or from a file of hashes: JSON lines with image, phash and dhash, as `synthvlm
 * image-hash` writes them, or imagededup's JSON object of names and hashes (phash). A picture repeats a known one if both hashes differ in at most `distance`
 * bits; where the file has no dhash, if its pHash does.
 */
#ifndef SV_STAGES_TABOO_H
#define SV_STAGES_TABOO_H

#include "base/hash.h"
#include "image/phash.h"
#include "synthvlm/log.h"

typedef struct sv_taboo sv_taboo;   /* read-only once open: any number of threads may ask */
/* Hashes of a folder's pictures are remembered in the cache folder by name, size and time of change. SV_E_RECIPE under `key`. */
sv_status sv_taboo_open(sv_taboo **out, const char *key, const char *path, int distance, const sv_log *log, sv_error *err);
void sv_taboo_close(sv_taboo **k);
/* The name of the first known picture that this one repeats; NULL: none. */
sv_status sv_taboo_find(const sv_taboo *k, const sv_image *im, sv_hash_work *w, const char **name, sv_error *err);
/* SHA-256 over all hashes in order, whatever the pictures are called: what a setup says of them. */
void sv_taboo_hash(const sv_taboo *k, char hex[SV_SHA256_HEX]);

#endif
