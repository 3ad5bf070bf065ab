/* files.c - the files of a dataset that is being written: hashed, listed in SHA256SUMS, on disk before the dataset gets its name. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "stages/export/export.h"

#define STREAM_BUFFER (256u << 10)

struct sv_export_stream {
    int fd;
    char *path, *name;
    sv_sha256_stream *hash;
    char *buffer;
    size_t used;
    int64_t size;
};

void sv_export_stream_drop(sv_export_stream **s) {
    if (!s || !*s) return;
    uint8_t digest[32];
    if ((*s)->fd >= 0) close((*s)->fd);
    if ((*s)->hash) sv_sha256_end((*s)->hash, digest);
    free((*s)->path);
    free((*s)->name);
    free((*s)->buffer);
    free(*s);
    *s = NULL;
}

sv_status sv_export_stream_open(sv_export_stream **out, const sv_export_job *job, const char *name, sv_error *err) {
    sv_export_stream *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s) return sv_fail_memory(err, name, sizeof *s);
    s->fd = -1;
    s->path = sv_path_join(job->dir, name);
    s->name = sv_strdup(name);
    s->hash = sv_sha256_begin();
    s->buffer = malloc(STREAM_BUFFER);
    sv_status st = SV_OK;
    if (!s->path || !s->name || !s->hash || !s->buffer) st = sv_fail_memory(err, name, STREAM_BUFFER);
    if (st == SV_OK && (s->fd = open(s->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)) < 0) st = sv_fail_errno(err, s->path, "cannot create");
    if (st != SV_OK) sv_export_stream_drop(&s);
    *out = s;
    return st;
}

static sv_status write_all(sv_export_stream *s, const char *data, size_t size, sv_error *err) {
    while (size > 0) {
        ssize_t n = write(s->fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return sv_fail_errno(err, s->path, "cannot write");
        data += n;
        size -= (size_t)n;
    }
    return SV_OK;
}

sv_status sv_export_stream_add(sv_export_stream *s, const void *data, size_t size, sv_error *err) {
    sv_sha256_more(s->hash, data, size);
    s->size += (int64_t)size;
    if (s->used + size > STREAM_BUFFER) {
        SV_TRY(write_all(s, s->buffer, s->used, err));
        s->used = 0;
        if (size > STREAM_BUFFER) return write_all(s, data, size, err);
    }
    memcpy(s->buffer + s->used, data, size);
    s->used += size;
    return SV_OK;
}

int64_t sv_export_stream_size(const sv_export_stream *s) { return s->size; }

/* One line of SHA256SUMS, as `sha256sum -c` reads it: names here never hold a line end or a backslash. */
static sv_status note(sv_export_job *job, const char *name, const char *sha256, int64_t bytes, sv_error *err) {
    char line[512];
    int n = snprintf(line, sizeof line, "%s  %s\n", sha256, name);
    if (n < 0 || (size_t)n >= sizeof line) return sv_fail(err, SV_E_INTERNAL, name, "the name is too long for SHA256SUMS");
    job->files++;
    job->bytes += bytes;
    return sv_export_stream_add(job->sums, line, (size_t)n, err);
}

sv_status sv_export_stream_end(sv_export_stream **s, sv_export_job *job, char sha256[SV_SHA256_HEX], sv_error *err) {
    sv_export_stream *x = *s;
    uint8_t digest[32];
    char hex[SV_SHA256_HEX];
    sv_status st = write_all(x, x->buffer, x->used, err);
    if (st == SV_OK && fsync(x->fd) != 0) st = sv_fail_errno(err, x->path, "cannot write to disk");
    sv_sha256_end(x->hash, digest);
    x->hash = NULL;
    sv_hex(digest, 32, hex);
    if (sha256) memcpy(sha256, hex, sizeof hex);
    int fd = x->fd;
    x->fd = -1;
    if (close(fd) != 0 && st == SV_OK) st = sv_fail_errno(err, x->path, "cannot write");
    if (st == SV_OK && job) st = note(job, x->name, hex, x->size, err);
    sv_export_stream_drop(s);
    return st;
}

sv_status sv_export_file(sv_export_job *job, const char *name, const void *data, size_t size, sv_error *err) {
    sv_export_stream *s;
    SV_TRY(sv_export_stream_open(&s, job, name, err));
    sv_status st = sv_export_stream_add(s, data, size, err);
    if (st == SV_OK) return sv_export_stream_end(&s, job, NULL, err);
    sv_export_stream_drop(&s);
    return st;
}

sv_status sv_export_link(sv_export_job *job, const char *name, const sv_export_image *image, sv_error *err) {
    char *path = sv_path_join(job->dir, name);
    if (!path) return sv_fail_memory(err, name, 0);
    /* A link is refused between file systems, by file systems without links, and beyond their number of links: then a copy. */
    bool linked = link(image->path, path) == 0;
    free(path);
    if (linked) return note(job, name, image->sha256, (int64_t)image->size, err);
    return sv_export_file(job, name, image->bytes, image->size, err);
}
