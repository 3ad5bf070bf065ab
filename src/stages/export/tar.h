/* tar.h - writing USTAR archives (POSIX.1-1988) with the same bytes for the same members: mode 0444, owner 0, time 0. */
#ifndef SV_STAGES_EXPORT_TAR_H
#define SV_STAGES_EXPORT_TAR_H

#include "stages/export/export.h"

#define SV_TAR_BLOCK 512

/* Bytes that a member of `size` bytes takes: its header and its content in whole blocks. */
int64_t sv_tar_space(int64_t size);
/* Bytes of the two empty blocks that end an archive. */
#define SV_TAR_END (2 * SV_TAR_BLOCK)

/* name: at most 100 bytes. */
sv_status sv_tar_add(sv_export_stream *s, const char *name, const void *data, size_t size, sv_error *err);
sv_status sv_tar_end(sv_export_stream *s, sv_error *err);

#endif
