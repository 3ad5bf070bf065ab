/* hash_cache.h - SHA-256 of large files, remembered by size and time of change, so that a model of many gigabytes is read once and not at every start. */
#ifndef SV_BASE_HASH_CACHE_H
#define SV_BASE_HASH_CACHE_H

#include "base/hash.h"

/* As sv_sha256_file. Files of a megabyte or more are remembered in $XDG_CACHE_HOME/synthvlm (or ~/.cache/synthvlm), one small file each: a note counts only for the
 * same path, device, inode, size and time of change. Without such a directory, or when it cannot be written, every call reads the file. */
sv_status sv_sha256_file_cached(const char *path, char out[SV_SHA256_HEX], sv_error *err);

/* That directory (malloc; it may have to be made), NULL if there is none. */
char *sv_cache_dir(void);

#endif
