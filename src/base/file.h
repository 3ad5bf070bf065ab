/* file.h - whole files, atomic writes, directories, paths. Errors name the path and the cause. */
#ifndef SV_BASE_FILE_H
#define SV_BASE_FILE_H

#include "base/str.h"

/* Reads a whole file into *data (malloc, NUL-terminated beyond *size; the caller frees). Refuses more than `limit` bytes (0: 4 GiB).
 * A file that is not there is SV_E_INPUT; one that cannot be read is SV_E_IO. */
sv_status sv_file_read(const char *path, size_t limit, char **data, size_t *size, sv_error *err);

/* Maps a model's file into memory, read-only and shared with whoever else reads it; munmap when done. A file that is not there, is empty or is no regular
 * file is SV_E_MODEL. */
sv_status sv_file_map(const char *path, void **map, size_t *size, sv_error *err);

/* Writes data to path so that a reader, or a machine that loses power, sees the old file or the whole new one:
 * `path`.tmp-PID in the same directory, fsync, rename, fsync of the directory. */
sv_status sv_file_write_atomic(const char *path, const void *data, size_t size, sv_error *err);

/* The same, but the temporary file is written to tmp_dir (same file system) under a unique name. */
sv_status sv_file_write_via(const char *tmp_dir, const char *path, const void *data, size_t size, sv_error *err);

sv_status sv_dir_make(const char *path, sv_error *err);             /* mkdir -p */
sv_status sv_dir_sync(const char *path, sv_error *err);             /* fsync of a directory */
sv_status sv_dir_empty(const char *path, sv_error *err);            /* removes what is in it, not itself */
bool sv_file_exists(const char *path);
bool sv_is_dir(const char *path);
bool sv_is_file(const char *path);

/* dir + "/" + name (malloc). An absolute name is returned as it is; dir may be NULL or "". NULL when memory runs out. */
char *sv_path_join(const char *dir, const char *name);
char *sv_path_dir(const char *path);                               /* directory part, "." if none (malloc) */
const char *sv_path_base(const char *path);                        /* last part, points into path */
char *sv_path_relative(const char *path, const char *from_dir);    /* both made real first (malloc) */
/* True if a name from data stays inside a directory: relative, not empty, no "..", no NUL, no control characters. */
bool sv_path_is_inside(const char *name);

#endif
