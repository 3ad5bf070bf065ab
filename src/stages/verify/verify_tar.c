/* verify_tar.c - reading tar archives strictly: every header's checksum, every byte of every member, and the closing blocks. USTAR, with pax
 * headers (POSIX.1-2001: path, size) and GNU long names. */
#include <archive.h>
#include <stdlib.h>
#include <string.h>

#include "stages/verify/verify.h"

enum { BLOCK = 512, BUFFER = 1 << 16, MAX_EXTRA = 1 << 20, FIRST_PART = 1 << 20 };

struct sv_tar_reader {
    struct archive *in;          /* unpacks only; the tar format is read here */
    char *path;
    uint64_t bytes;
    uint64_t left, padding;      /* of the member at hand */
    const char *chunk;           /* libarchive's, up to its next call */
    size_t chunk_left;
    bool end;                    /* of the file */
};

void sv_tar_close(sv_tar_reader **t) {
    if (!t || !*t) return;
    if ((*t)->in) archive_read_free((*t)->in);
    free((*t)->path);
    free(*t);
    *t = NULL;
}

sv_status sv_tar_open(sv_tar_reader **out, const char *path, sv_error *err) {
    sv_tar_reader *t = calloc(1, sizeof *t);
    *out = NULL;
    if (!t) return sv_fail_memory(err, path, sizeof *t);
    t->path = sv_strdup(path);
    t->in = archive_read_new();
    if (!t->path || !t->in) {
        sv_tar_close(&t);
        return sv_fail_memory(err, path, 0);
    }
    archive_read_support_filter_gzip(t->in);
    archive_read_support_filter_bzip2(t->in);
    archive_read_support_filter_xz(t->in);
    archive_read_support_filter_zstd(t->in);
    archive_read_support_format_raw(t->in);
    archive_read_support_format_empty(t->in);
    struct archive_entry *entry;
    sv_status st = SV_OK;
    if (archive_read_open_filename(t->in, path, BUFFER) != ARCHIVE_OK) {
        st = sv_fail(err, SV_E_INPUT, path, "cannot open: %s", archive_error_string(t->in));
    } else {
        int code = archive_read_next_header(t->in, &entry);
        if (code == ARCHIVE_EOF) t->end = true;
        else if (code != ARCHIVE_OK) st = sv_fail(err, SV_E_INPUT, path, "cannot unpack: %s", archive_error_string(t->in));
    }
    if (st != SV_OK) sv_tar_close(&t);
    *out = t;
    return st;
}

uint64_t sv_tar_bytes(const sv_tar_reader *t) { return t->bytes; }

/* Up to `size` bytes of the unpacked file into data (NULL: thrown away); *got is less only at its end. */
static sv_status take(sv_tar_reader *t, char *data, uint64_t size, uint64_t *got, sv_error *err) {
    *got = 0;
    while (*got < size) {
        if (t->chunk_left == 0) {
            const void *chunk;
            la_int64_t offset;
            int code = t->end ? ARCHIVE_EOF : archive_read_data_block(t->in, &chunk, &t->chunk_left, &offset);
            if (code == ARCHIVE_EOF) {
                t->end = true;
                t->chunk_left = 0;
                return SV_OK;
            }
            if (code != ARCHIVE_OK) return sv_fail(err, SV_E_INPUT, t->path, "cannot unpack: %s", archive_error_string(t->in));
            t->chunk = chunk;
            continue;
        }
        size_t n = size - *got < t->chunk_left ? (size_t)(size - *got) : t->chunk_left;
        if (data) memcpy(data + *got, t->chunk, n);
        t->chunk += n;
        t->chunk_left -= n;
        t->bytes += n;
        *got += n;
    }
    return SV_OK;
}

static sv_status take_all(sv_tar_reader *t, char *data, uint64_t size, sv_error *err) {
    uint64_t got;
    SV_TRY(take(t, data, size, &got, err));
    return got == size ? SV_OK : sv_fail(err, SV_E_INPUT, t->path, "cut short at byte %llu, inside a member", (unsigned long long)t->bytes);
}

/* Memory grows with what is really there: the size in a damaged header may be anything. */
sv_status sv_tar_read(sv_tar_reader *t, char **data, sv_error *err) {
    uint64_t size = t->left, have = 0, room = 0;
    char *out = NULL;
    sv_status st = SV_OK;
    t->left = 0;
    do {
        room = have + (have < FIRST_PART ? FIRST_PART : have);
        if (room > size) room = size;
        char *grown = realloc(out, room + 1);
        if (grown) out = grown;
        st = grown ? take_all(t, out + have, room - have, err) : sv_fail_memory(err, t->path, room);
        have = room;
    } while (st == SV_OK && have < size);
    if (st == SV_OK) *data = out;
    else free(out);
    return st;
}

/* Octal digits, or GNU's binary form with the top bit set. False if it is neither, or more than 63 bits. */
static bool read_number(const unsigned char *field, size_t width, uint64_t *out) {
    uint64_t v = 0;
    if (field[0] & 0x80) {
        if (field[0] != 0x80) return false;
        for (size_t i = 1; i < width; i++) {
            if (v >> 55) return false;
            v = v << 8 | field[i];
        }
        *out = v;
        return true;
    }
    size_t i = 0;
    while (i < width && field[i] == ' ') i++;
    for (; i < width && field[i] >= '0' && field[i] <= '7'; i++) v = v << 3 | (uint64_t)(field[i] - '0');
    *out = v;
    return i == width || field[i] == ' ' || field[i] == '\0';
}

static bool checksum_holds(const unsigned char *h) {
    uint64_t stored;
    int64_t plain = 0, sign = 0;   /* some old writers summed signed characters */
    if (!read_number(h + 148, 8, &stored)) return false;
    for (int i = 0; i < BLOCK; i++) {
        unsigned char c = i >= 148 && i < 156 ? ' ' : h[i];
        plain += c;
        sign += (signed char)c;
    }
    return (int64_t)stored == plain || (int64_t)stored == sign;
}

static bool is_zero(const unsigned char *h) {
    for (int i = 0; i < BLOCK; i++)
        if (h[i]) return false;
    return true;
}

/* What extended headers say of the member that follows. */
typedef struct extra {
    char name[sizeof((sv_tar_member *)0)->name];
    bool has_name, has_size;
    uint64_t size;
} extra;

static void set_name(char *out, size_t size, const char *text, size_t n) {
    if (n >= size) n = size - 1;
    memcpy(out, text, n);
    out[n] = '\0';
}

/* Records of a pax header: "LENGTH KEY=VALUE\n". */
static bool read_pax(const char *data, size_t size, extra *x) {
    while (size > 0) {
        size_t length = 0, i = 0;
        while (i < size && i < 9 && data[i] >= '0' && data[i] <= '9') length = length * 10 + (size_t)(data[i++] - '0');
        if (i == 0 || i >= size || data[i] != ' ' || length <= i + 1 || length > size || data[length - 1] != '\n') return false;
        const char *key = data + i + 1, *end = data + length - 1, *equals = memchr(key, '=', (size_t)(end - key));
        if (!equals) return false;
        if (equals - key == 4 && memcmp(key, "path", 4) == 0) {
            set_name(x->name, sizeof x->name, equals + 1, (size_t)(end - equals - 1));
            x->has_name = true;
        } else if (equals - key == 4 && memcmp(key, "size", 4) == 0) {
            x->size = 0;
            for (const char *d = equals + 1; d < end; d++) {
                if (*d < '0' || *d > '9' || x->size > UINT64_MAX / 20) return false;
                x->size = x->size * 10 + (uint64_t)(*d - '0');
            }
            x->has_size = true;
        }
        data += length;
        size -= length;
    }
    return true;
}

static sv_status damaged(const sv_tar_reader *t, const char *why, sv_error *err) {
    return sv_fail(err, SV_E_INPUT, t->path, "damaged before byte %llu: %s", (unsigned long long)t->bytes, why);
}

/* The content of an extended header, for its type. */
static sv_status read_extra(sv_tar_reader *t, char type, uint64_t size, extra *x, sv_error *err) {
    if (size > MAX_EXTRA) return damaged(t, "an extended header of absurd size", err);
    char *data = malloc(size + 1);
    if (!data) return sv_fail_memory(err, t->path, size);
    sv_status st = take_all(t, data, size, err);
    if (st == SV_OK) st = take_all(t, NULL, (BLOCK - size % BLOCK) % BLOCK, err);
    data[st == SV_OK ? size : 0] = '\0';
    if (st == SV_OK && type == 'x' && !read_pax(data, size, x)) st = damaged(t, "a pax header that cannot be read", err);
    if (st == SV_OK && type == 'L') {
        set_name(x->name, sizeof x->name, data, strlen(data));
        x->has_name = true;
    }
    free(data);
    return st;
}

/* The name in the header itself: prefix + "/" + name in USTAR, name alone in older forms. */
static void header_name(const unsigned char *h, sv_tar_member *m) {
    size_t n = 0;
    bool ustar = memcmp(h + 257, "ustar\0", 6) == 0;
    if (ustar && h[345]) {
        n = strnlen((const char *)h + 345, 155);
        memcpy(m->name, h + 345, n);
        m->name[n++] = '/';
    }
    size_t rest = strnlen((const char *)h, 100);
    memcpy(m->name + n, h, rest);
    m->name[n + rest] = '\0';
}

/* After the first empty block: a second one ends the archive; what follows may only be padding. */
static sv_status read_end(sv_tar_reader *t, sv_error *err) {
    unsigned char h[BLOCK];
    uint64_t got;
    SV_TRY(take(t, (char *)h, BLOCK, &got, err));
    if (got < BLOCK) return sv_fail(err, SV_E_INPUT, t->path, "cut short: the second of the two closing blocks is missing");
    if (!is_zero(h)) return damaged(t, "an empty block among the members", err);
    for (;;) {
        SV_TRY(take(t, (char *)h, BLOCK, &got, err));
        if (got == 0) return SV_OK;
        for (uint64_t i = 0; i < got; i++)
            if (h[i]) return damaged(t, "something follows the closing blocks", err);
    }
}

sv_status sv_tar_next(sv_tar_reader *t, sv_tar_member *m, bool *end, sv_error *err) {
    unsigned char h[BLOCK];
    extra x = {0};
    *end = false;
    SV_TRY(take_all(t, NULL, t->left, err));
    SV_TRY(take_all(t, NULL, t->padding, err));
    t->left = t->padding = 0;
    for (;;) {
        uint64_t got, size;
        SV_TRY(take(t, (char *)h, BLOCK, &got, err));
        if (got == 0) return sv_fail(err, SV_E_INPUT, t->path, "cut short at byte %llu: the closing blocks are missing",
                                     (unsigned long long)t->bytes);
        if (got < BLOCK) return sv_fail(err, SV_E_INPUT, t->path, "cut short at byte %llu, inside a header", (unsigned long long)t->bytes);
        if (is_zero(h)) {
            *end = true;
            return read_end(t, err);
        }
        if (!checksum_holds(h)) return damaged(t, "a header with a wrong checksum", err);
        if (!read_number(h + 124, 12, &size)) return damaged(t, "a header with an unreadable size", err);
        char type = (char)h[156];
        if (type == 'x' || type == 'g' || type == 'L' || type == 'K') {
            SV_TRY(read_extra(t, type, size, &x, err));
            continue;
        }
        m->regular = type == '0' || type == '\0' || type == '7';
        header_name(h, m);
        if (x.has_name) memcpy(m->name, x.name, sizeof m->name);
        if (x.has_size) size = x.size;
        bool has_content = m->regular || (type != '1' && type != '2' && type != '3' && type != '4' && type != '5' && type != '6');
        m->size = has_content ? size : 0;
        t->left = m->size;
        t->padding = (BLOCK - m->size % BLOCK) % BLOCK;
        return SV_OK;
    }
}
