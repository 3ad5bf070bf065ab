/* embeddings.h - CLIP's embeddings of pictures, kept beside the ledger in half precision: DIR/embeddings/<setup>.f16.
 *
 * A record is named by the picture's bytes (SHA-256), so it never goes stale: the same picture has the same embedding whatever candidate, caption, prompt
 * or selection it belongs to. What can change an embedding (model, preprocessing, provider) is the file's setup. The file only ever grows; what a crash
 * leaves torn at its end is cut off, and every record has a checksum. It is a store of things that can be computed again, not part of the ledger's truth.
 * Format: docs/EMBEDDINGS.md.
 */
#ifndef SV_STAGES_EMBEDDINGS_H
#define SV_STAGES_EMBEDDINGS_H

#include "base/error.h"
#include "base/hash.h"

typedef struct sv_embeddings sv_embeddings;

/* DIR/embeddings/<setup>.f16 (malloc) for the JSON of a clip setup: what only texts and scores depend on (prefix, scale) is no part of <setup>. *path NULL:
 * that setup keeps no embeddings. */
sv_status sv_embeddings_path(const char *dir, const char *clip_setup, char **path, sv_error *err);
/* Opens the file of a clip setup. write: it is made if missing, and a torn end is cut off; else *out is NULL where there is
 * no file. Records added later by this handle are not found by it. SV_E_INPUT: the file is not one of these, or of another size of embedding. */
sv_status sv_embeddings_open(sv_embeddings **out, const char *dir, const char *clip_setup, size_t dim, bool write, sv_error *err);
/* Opens a file by name to read; dim comes back. */
sv_status sv_embeddings_open_file(sv_embeddings **out, const char *path, size_t *dim, sv_error *err);
/* Syncs what was added. */
void sv_embeddings_close(sv_embeddings **e);

/* The embedding of the picture with this SHA-256 (64 hex digits) into out[dim]; false if there is none, or its record is damaged. Any thread. The first
 * call reads the names of all records. */
bool sv_embeddings_find(sv_embeddings *e, const char *sha256, float *out);
/* Adds a record; values must be exact in half precision. Any thread. */
sv_status sv_embeddings_add(sv_embeddings *e, const char *sha256, const float *values, sv_error *err);

#endif
