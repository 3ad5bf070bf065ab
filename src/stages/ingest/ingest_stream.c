/* ingest_stream.c - a file as unpacked bytes and lines. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "stages/ingest/ingest.h"

#define BLOCK ((size_t)256 * 1024)

typedef enum packing { PLAIN, GZIP, ZSTD } packing;

struct sv_stream {
    int fd;
    char *path;
    packing packed;
    bool packed_end;             /* between two members of a packed file: it may end here */
    bool end;                    /* nothing more comes from the file */
    char *in;                    /* packed bytes */
    size_t in_begin, in_size;
    char *data;                  /* unpacked bytes not yet taken: begin … size */
    size_t begin, size, capacity;
    int64_t lines;
    z_stream z;
    ZSTD_DStream *zstd;
};

static sv_status read_block(sv_stream *s, char *to, size_t room, size_t *got, sv_error *err) {
    ssize_t n;
    do n = read(s->fd, to, room);
    while (n < 0 && errno == EINTR);
    if (n < 0) return sv_fail_errno(err, s->path, "cannot read");
    *got = (size_t)n;
    return SV_OK;
}

static sv_status damaged(const sv_stream *s, const char *why, sv_error *err) {
    return sv_fail(err, SV_E_INPUT, s->path, "the %s data is %s", s->packed == GZIP ? "gzip" : "zstd", why);
}

/* Unpacks into the free room at the end of `data`; adds nothing when the file has ended. */
static sv_status unpack(sv_stream *s, sv_error *err) {
    for (;;) {
        if (s->in_begin == s->in_size) {
            size_t got = 0;
            SV_TRY(read_block(s, s->in, BLOCK, &got, err));
            s->in_begin = 0;
            s->in_size = got;
            if (!got) {
                s->end = true;
                return s->packed_end ? SV_OK : damaged(s, "cut short", err);
            }
        }
        size_t before = s->size, room = s->capacity - s->size, taken;
        if (s->packed == GZIP) {
            if (s->packed_end && inflateReset(&s->z) != Z_OK) return damaged(s, "damaged", err);
            s->z.next_in = (Bytef *)s->in + s->in_begin;
            s->z.avail_in = (uInt)(s->in_size - s->in_begin);
            s->z.next_out = (Bytef *)s->data + s->size;
            s->z.avail_out = (uInt)(room < BLOCK ? room : BLOCK);
            uInt out = s->z.avail_out;
            int rc = inflate(&s->z, Z_NO_FLUSH);
            if (rc == Z_MEM_ERROR) return sv_fail_memory(err, s->path, 0);
            if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) return damaged(s, s->z.msg ? s->z.msg : "damaged", err);
            s->packed_end = rc == Z_STREAM_END;
            taken = s->in_size - s->in_begin - s->z.avail_in;
            s->size += out - s->z.avail_out;
        } else {
            ZSTD_inBuffer in = {s->in + s->in_begin, s->in_size - s->in_begin, 0};
            ZSTD_outBuffer out = {s->data + s->size, room, 0};
            size_t rc = ZSTD_decompressStream(s->zstd, &out, &in);
            if (ZSTD_isError(rc)) return damaged(s, ZSTD_getErrorName(rc), err);
            s->packed_end = rc == 0;
            taken = in.pos;
            s->size += out.pos;
        }
        s->in_begin += taken;
        if (s->size > before) return SV_OK;
    }
}

/* Brings more unpacked bytes, or sets `end`. */
static sv_status more(sv_stream *s, sv_error *err) {
    if (s->begin) {
        memmove(s->data, s->data + s->begin, s->size - s->begin);
        s->size -= s->begin;
        s->begin = 0;
    }
    if (s->capacity - s->size < BLOCK) {
        size_t capacity = s->capacity * 2 < s->size + BLOCK ? s->size + BLOCK : s->capacity * 2;
        char *data = realloc(s->data, capacity);
        if (!data) return sv_fail_memory(err, s->path, capacity);
        s->data = data;
        s->capacity = capacity;
    }
    if (s->packed != PLAIN) return unpack(s, err);
    size_t got = 0;
    SV_TRY(read_block(s, s->data + s->size, s->capacity - s->size, &got, err));
    s->size += got;
    s->end = got == 0;
    return SV_OK;
}

sv_status sv_stream_peek(sv_stream *s, size_t want, const char **data, size_t *size, sv_error *err) {
    while (!s->end && s->size - s->begin < want) SV_TRY(more(s, err));
    *data = s->data + s->begin;
    *size = s->size - s->begin;
    return SV_OK;
}

/* The first bytes say how the file is packed; they are then read as packed ones. */
static sv_status look_at_packing(sv_stream *s, sv_error *err) {
    const char *p;
    size_t n;
    SV_TRY(sv_stream_peek(s, 4, &p, &n, err));
    if (n >= 2 && !memcmp(p, "\x1f\x8b", 2)) s->packed = GZIP;
    if (n >= 4 && !memcmp(p, "\x28\xb5\x2f\xfd", 4)) s->packed = ZSTD;
    if (s->packed == PLAIN) return SV_OK;
    s->in = malloc(s->size < BLOCK ? BLOCK : s->size);
    if (!s->in) return sv_fail_memory(err, s->path, BLOCK);
    memcpy(s->in, s->data, s->size);
    s->in_size = s->size;
    s->size = 0;
    s->end = false;
    if (s->packed == GZIP && inflateInit2(&s->z, 15 + 16) != Z_OK) return sv_fail_memory(err, s->path, 0);
    if (s->packed == ZSTD && !(s->zstd = ZSTD_createDStream())) return sv_fail_memory(err, s->path, 0);
    return SV_OK;
}

static sv_status look_at_text(sv_stream *s, sv_error *err) {
    const char *p;
    size_t n;
    SV_TRY(sv_stream_peek(s, 3, &p, &n, err));
    if (n >= 2 && (!memcmp(p, "\xff\xfe", 2) || !memcmp(p, "\xfe\xff", 2))) {
        sv_fail(err, SV_E_INPUT, s->path, "is UTF-16, UTF-8 is expected");
        return sv_hint(err, SV_E_INPUT, "iconv -f UTF-16 -t UTF-8 %s > FILE", s->path);
    }
    if (n >= 3 && !memcmp(p, "\xef\xbb\xbf", 3)) s->begin += 3;
    return SV_OK;
}

sv_status sv_stream_open(sv_stream **out, const char *path, sv_error *err) {
    *out = NULL;
    sv_stream *s = calloc(1, sizeof *s);
    if (!s) return sv_fail_memory(err, path, sizeof *s);
    s->path = sv_strdup(path);
    s->fd = s->path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    sv_status st = !s->path ? sv_fail_memory(err, path, 0) : s->fd < 0 ? sv_fail_errno(err, path, "cannot open") : SV_OK;
    struct stat about;
    if (st == SV_OK && fstat(s->fd, &about) == 0 && S_ISDIR(about.st_mode)) st = sv_fail(err, SV_E_INPUT, path, "is a directory, a file of captions was expected");
    if (st == SV_OK) st = look_at_packing(s, err);
    if (st == SV_OK) st = look_at_text(s, err);
    if (st != SV_OK) {
        if (s->fd < 0 && st == SV_E_IO && err) err->status = st = SV_E_INPUT;   /* a file that the recipe names and that is not there */
        sv_stream_close(&s);
        return st;
    }
    *out = s;
    return SV_OK;
}

void sv_stream_close(sv_stream **sp) {
    sv_stream *s = *sp;
    if (!s) return;
    *sp = NULL;
    if (s->packed == GZIP) inflateEnd(&s->z);
    ZSTD_freeDStream(s->zstd);
    if (s->fd >= 0) close(s->fd);
    free(s->in);
    free(s->data);
    free(s->path);
    free(s);
}

sv_status sv_stream_line(sv_stream *s, const char **line, size_t *size, bool *end, sv_error *err) {
    size_t looked = 0;   /* bytes known to hold no line end */
    for (;;) {
        char *from = s->data + s->begin, *lf = s->size > s->begin + looked ? memchr(from + looked, '\n', s->size - s->begin - looked) : NULL;
        size_t n = lf ? (size_t)(lf - from) : s->size - s->begin;
        if (lf || s->end) {
            *end = !lf && n == 0;
            if (*end) return SV_OK;
            s->begin += n + (lf != NULL);
            s->lines++;
            if (n && from[n - 1] == '\r') n--;
            *line = from;
            *size = n;
            return SV_OK;
        }
        looked = n;
        SV_TRY(more(s, err));
    }
}

sv_status sv_stream_rest(sv_stream *s, char **data, size_t *size, sv_error *err) {
    while (!s->end) SV_TRY(more(s, err));
    size_t n = s->size - s->begin;
    char *copy = malloc(n + YYJSON_PADDING_SIZE);
    if (!copy) return sv_fail_memory(err, s->path, n);
    if (n) memcpy(copy, s->data + s->begin, n);
    memset(copy + n, 0, YYJSON_PADDING_SIZE);
    s->begin = s->size;
    *data = copy;
    *size = n;
    return SV_OK;
}

void sv_stream_skip(sv_stream *s, size_t n) { s->begin += n; }

bool sv_stream_is_packed(const sv_stream *s) { return s->packed != PLAIN; }

int64_t sv_stream_line_number(const sv_stream *s) {
    return s->lines;
}
