#include "stages/score/embeddings.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/file.h"
#include "base/options.h"
#include "infer/infer.h"
#include "synthvlm/score.h"

/* Little-endian, as is everything that this program writes and runs on. */
enum { HEADER = 64, NAME = 16, CHECK = 8 };
static const char magic[8] = {'S', 'V', 'E', 'M', 'B', 'E', 'D', '1'};

struct sv_embeddings {
    char *path;
    int fd;
    bool write;
    size_t dim, record;          /* numbers in an embedding; bytes of a record */
    uint8_t *map;                /* the file as it was when it was opened */
    size_t size, count;          /* of the map; records in it */
    uint8_t *room;               /* one record, to add */
    uint32_t *table;             /* record + 1 by name, open addressing; 0: free */
    size_t slots;                /* a power of two; 0: not made yet */
    bool broken;                 /* the table could not be made */
    pthread_mutex_t lock;        /* guards table while it is made, and writing */
};

/* ---- opening ---- */

static sv_status fail_io(const char *path, const char *what, sv_error *err) {
    return sv_fail(err, SV_E_IO, path, "%s: %s", what, strerror(errno));
}

static void put_header(uint8_t head[HEADER], size_t dim, const uint8_t setup[32]) {
    uint32_t sizes[2] = {(uint32_t)dim, (uint32_t)(NAME + 2 * dim + CHECK)};
    memset(head, 0, HEADER);
    memcpy(head, magic, sizeof magic);
    memcpy(head + 8, sizes, sizeof sizes);
    memcpy(head + 16, setup, 32);
}

static sv_status read_header(sv_embeddings *e, const uint8_t *setup, size_t dim, sv_error *err) {
    uint8_t head[HEADER];
    uint32_t sizes[2];
    if (pread(e->fd, head, HEADER, 0) != HEADER || memcmp(head, magic, sizeof magic) != 0) return sv_fail(err, SV_E_INPUT, e->path, "is not a file of embeddings");
    memcpy(sizes, head + 8, sizeof sizes);
    bool fits = sizes[0] >= 1 && sizes[0] <= 65536 && sizes[1] == NAME + 2 * sizes[0] + CHECK;
    if (!fits || (dim && sizes[0] != dim) || (setup && memcmp(head + 16, setup, 32) != 0)) {
        sv_fail(err, SV_E_INPUT, e->path, "holds embeddings of another setup");
        return sv_hint(err, SV_E_INPUT, "move the file away: what it holds can be computed again");
    }
    e->dim = sizes[0];
    e->record = sizes[1];
    return SV_OK;
}

static sv_status map_records(sv_embeddings *e, sv_error *err) {
    struct stat info;
    if (fstat(e->fd, &info) != 0) return fail_io(e->path, "cannot be looked at", err);
    e->count = ((size_t)info.st_size - HEADER) / e->record;
    e->size = HEADER + e->count * e->record;
    if (e->count >= UINT32_MAX) return sv_fail(err, SV_E_INPUT, e->path, "holds too many records");
    /* What a crash left half-written. */
    if (e->write && e->size != (size_t)info.st_size && ftruncate(e->fd, (off_t)e->size) != 0) return fail_io(e->path, "cannot be cut to its last whole record", err);
    if (!e->count) return SV_OK;
    e->map = mmap(NULL, e->size, PROT_READ, MAP_SHARED, e->fd, 0);
    if (e->map != MAP_FAILED) return SV_OK;
    e->map = NULL;
    return fail_io(e->path, "cannot be mapped", err);
}

static sv_embeddings *begin(const char *path, bool write) {
    sv_embeddings *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->fd = -1;
    e->write = write;
    e->path = sv_strdup(path);
    pthread_mutex_init(&e->lock, NULL);
    if (!e->path) sv_embeddings_close(&e);
    return e;
}

static sv_status open_whole(sv_embeddings *e, const uint8_t *setup, size_t dim, sv_error *err) {
    e->fd = open(e->path, (e->write ? O_RDWR | O_APPEND : O_RDONLY) | O_CLOEXEC);
    if (e->fd < 0) return fail_io(e->path, "cannot be opened", err);
    SV_TRY(read_header(e, setup, dim, err));
    SV_TRY(map_records(e, err));
    e->room = malloc(e->record);
    return e->room ? SV_OK : sv_fail_memory(err, e->path, e->record);
}

/* SHA-256 of what a picture's embedding depends on: the clip setup without what only texts and scores depend on. *keeps false: it keeps none. */
static sv_status hash_setup(const char *clip_setup, uint8_t out[32], bool *keeps, sv_error *err) {
    static const char *const of_texts[] = {"flavour", "prefix", "window"};
    yyjson_doc *doc = yyjson_read(clip_setup, strlen(clip_setup), 0);
    yyjson_mut_doc *copy = doc ? yyjson_doc_mut_copy(doc, NULL) : NULL;
    yyjson_mut_val *root = yyjson_mut_doc_get_root(copy);
    const char *name = yyjson_mut_get_str(yyjson_mut_obj_get(root, "flavour"));
    const sv_clip_flavour *flavour = name ? sv_clip_flavour_find(name) : NULL;
    char *text = NULL;
    *keeps = flavour && yyjson_mut_obj_get(root, "embedding");
    if (*keeps) {
        for (size_t i = 0; i < sizeof of_texts / sizeof of_texts[0]; i++) yyjson_mut_obj_remove_key(root, of_texts[i]);
        yyjson_mut_obj_add_str(copy, root, "pictures", flavour->openai_image ? "openai" : flavour->opaque ? "data-juicer" : "transformers");
        yyjson_doc *fixed = yyjson_mut_doc_imut_copy(copy, NULL);
        text = fixed ? sv_json_canonical(yyjson_doc_get_root(fixed)) : NULL;
        yyjson_doc_free(fixed);
    }
    yyjson_mut_doc_free(copy);
    yyjson_doc_free(doc);
    if (!*keeps) return SV_OK;
    if (!text) return sv_fail_memory(err, "embeddings", 0);
    sv_sha256(text, strlen(text), out);
    free(text);
    return SV_OK;
}

static sv_status find_file(const char *dir, const char *clip_setup, uint8_t hash[32], char **path, sv_error *err) {
    char hex[2 * 4 + 1];
    bool keeps;
    sv_buf b = {0};
    *path = NULL;
    SV_TRY(hash_setup(clip_setup, hash, &keeps, err));
    if (!keeps) return SV_OK;
    sv_hex(hash, 4, hex);
    sv_buf_printf(&b, "%s/embeddings/%s.f16", dir, hex);
    if (b.failed) sv_buf_free(&b);
    *path = b.data;
    return b.data ? SV_OK : sv_fail_memory(err, dir, 0);
}

sv_status sv_embeddings_path(const char *dir, const char *clip_setup, char **path, sv_error *err) {
    uint8_t hash[32];
    return find_file(dir, clip_setup, hash, path, err);
}

static sv_status make_file(const char *path, const uint8_t hash[32], size_t dim, sv_error *err) {
    uint8_t head[HEADER];
    char *dir = sv_path_dir(path);
    sv_status st = dir ? sv_dir_make(dir, err) : sv_fail_memory(err, path, 0);
    put_header(head, dim, hash);
    if (st == SV_OK) st = sv_file_write_atomic(path, head, HEADER, err);
    free(dir);
    return st;
}

sv_status sv_embeddings_open(sv_embeddings **out, const char *dir, const char *clip_setup, size_t dim, bool write, sv_error *err) {
    uint8_t hash[32];
    char *path = NULL;
    sv_embeddings *e = NULL;
    *out = NULL;
    SV_TRY(find_file(dir, clip_setup, hash, &path, err));
    if (!path) return SV_OK;
    sv_status st = SV_OK;
    bool there = sv_is_file(path);
    if (!there && write) st = make_file(path, hash, dim, err);
    if (st == SV_OK && (there || write)) {
        e = begin(path, write);
        st = e ? open_whole(e, hash, dim, err) : sv_fail_memory(err, path, 0);
    }
    free(path);
    if (st != SV_OK) sv_embeddings_close(&e);
    *out = e;
    return st;
}

sv_status sv_embeddings_open_file(sv_embeddings **out, const char *path, size_t *dim, sv_error *err) {
    sv_embeddings *e = begin(path, false);
    sv_status st = e ? open_whole(e, NULL, 0, err) : sv_fail_memory(err, path, 0);
    if (st != SV_OK) sv_embeddings_close(&e);
    else *dim = e->dim;
    *out = e;
    return st;
}

void sv_embeddings_close(sv_embeddings **pointer) {
    sv_embeddings *e = *pointer;
    if (!e) return;
    if (e->fd >= 0 && e->write) fsync(e->fd);
    if (e->map) munmap(e->map, e->size);
    if (e->fd >= 0) close(e->fd);
    pthread_mutex_destroy(&e->lock);
    free(e->table);
    free(e->room);
    free(e->path);
    free(e);
    *pointer = NULL;
}

/* ---- records ---- */

static void name_of(const char *sha256, uint8_t name[NAME]) {
    for (int i = 0; i < NAME; i++) {
        int high = sha256[2 * i], low = sha256[2 * i + 1];
        name[i] = (uint8_t)((high <= '9' ? high - '0' : high - 'a' + 10) << 4 | (low <= '9' ? low - '0' : low - 'a' + 10));
    }
}

static void checksum(const uint8_t *record, size_t size, uint8_t out[CHECK]) {
    uint8_t hash[32];
    sv_sha256(record, size - CHECK, hash);
    memcpy(out, hash, CHECK);
}

/* Names are parts of hashes: their first bytes are as good as any hash of them. */
static size_t slot_of(const sv_embeddings *e, const uint8_t name[NAME]) {
    uint64_t h;
    memcpy(&h, name, sizeof h);
    return (size_t)h & (e->slots - 1);
}

static const uint8_t *record_at(const sv_embeddings *e, size_t i) { return e->map + HEADER + i * e->record; }

/* The newest record of a name wins: should one be damaged, the picture was embedded again. */
static bool make_table(sv_embeddings *e) {
    size_t slots = 16;
    while (slots < 2 * e->count) slots *= 2;
    e->table = calloc(slots, sizeof *e->table);
    if (!e->table) return false;
    e->slots = slots;
    for (size_t i = 0; i < e->count; i++) {
        const uint8_t *r = record_at(e, i);
        size_t at = slot_of(e, r);
        while (e->table[at] && memcmp(record_at(e, e->table[at] - 1), r, NAME) != 0) at = (at + 1) & (slots - 1);
        e->table[at] = (uint32_t)(i + 1);
    }
    return true;
}

bool sv_embeddings_find(sv_embeddings *e, const char *sha256, float *out) {
    uint8_t name[NAME], check[CHECK];
    pthread_mutex_lock(&e->lock);
    if (!e->slots && !e->broken) e->broken = !make_table(e);
    pthread_mutex_unlock(&e->lock);
    if (!e->slots) return false;
    name_of(sha256, name);
    size_t at = slot_of(e, name);
    while (e->table[at] && memcmp(record_at(e, e->table[at] - 1), name, NAME) != 0) at = (at + 1) & (e->slots - 1);
    if (!e->table[at]) return false;
    const uint8_t *r = record_at(e, e->table[at] - 1);
    checksum(r, e->record, check);
    if (memcmp(check, r + e->record - CHECK, CHECK) != 0) return false;
    for (size_t i = 0; i < e->dim; i++) {
        uint16_t half;
        memcpy(&half, r + NAME + 2 * i, sizeof half);
        out[i] = sv_half_to_float(half);
    }
    return true;
}

sv_status sv_embeddings_add(sv_embeddings *e, const char *sha256, const float *values, sv_error *err) {
    pthread_mutex_lock(&e->lock);
    name_of(sha256, e->room);
    for (size_t i = 0; i < e->dim; i++) {
        uint16_t half = sv_half_from_float(values[i]);
        memcpy(e->room + NAME + 2 * i, &half, sizeof half);
    }
    checksum(e->room, e->record, e->room + e->record - CHECK);
    /* One write for one record: what is torn by a crash is at the end. */
    ssize_t n = write(e->fd, e->room, e->record);
    sv_status st = n == (ssize_t)e->record ? SV_OK : SV_E_IO;
    if (st != SV_OK) {
        int cause = n < 0 ? errno : ENOSPC;
        off_t end = lseek(e->fd, 0, SEEK_END);
        if (n > 0 && end >= n && ftruncate(e->fd, end - n) != 0) cause = errno;   /* the next open would cut it off, too */
        errno = cause;
        fail_io(e->path, "cannot be written", err);
    }
    pthread_mutex_unlock(&e->lock);
    return st;
}
