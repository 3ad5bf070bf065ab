#include "stages/export/tar.h"

#include <stdio.h>
#include <string.h>

int64_t sv_tar_space(int64_t size) { return SV_TAR_BLOCK + (size + SV_TAR_BLOCK - 1) / SV_TAR_BLOCK * SV_TAR_BLOCK; }

/* A header field: octal digits, filling it but for a closing NUL. */
static void octal(char *field, size_t width, uint64_t value) {
    field[width - 1] = '\0';
    for (size_t i = width - 1; i-- > 0; value >>= 3) field[i] = (char)('0' + (value & 7));
}

sv_status sv_tar_add(sv_export_stream *s, const char *name, const void *data, size_t size, sv_error *err) {
    static const char zeros[SV_TAR_BLOCK];
    char h[SV_TAR_BLOCK] = {0};
    size_t length = strlen(name);
    if (length > 100 || size >= 1ull << 33) return sv_fail(err, SV_E_INTERNAL, name, "does not fit a tar header");
    memcpy(h, name, length);
    octal(h + 100, 8, 0444);            /* mode */
    octal(h + 108, 8, 0);               /* user */
    octal(h + 116, 8, 0);               /* group */
    octal(h + 124, 12, size);
    octal(h + 136, 12, 0);              /* time */
    memset(h + 148, ' ', 8);            /* the checksum counts as blanks */
    h[156] = '0';                       /* a regular file */
    memcpy(h + 257, "ustar\00000", 8);  /* "ustar", NUL, version 00 */
    octal(h + 329, 8, 0);               /* device numbers */
    octal(h + 337, 8, 0);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof h; i++) sum += (unsigned char)h[i];
    octal(h + 148, 7, sum);             /* six digits, NUL, blank */
    SV_TRY(sv_export_stream_add(s, h, sizeof h, err));
    SV_TRY(sv_export_stream_add(s, data, size, err));
    size_t rest = size % SV_TAR_BLOCK;
    return rest ? sv_export_stream_add(s, zeros, SV_TAR_BLOCK - rest, err) : SV_OK;
}

sv_status sv_tar_end(sv_export_stream *s, sv_error *err) {
    static const char zeros[SV_TAR_END];
    return sv_export_stream_add(s, zeros, sizeof zeros, err);
}
