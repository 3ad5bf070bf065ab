/* taboo.c - a folder or a list of pictures as an index of hashes. */
#include "stages/draw/taboo.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yyjson.h>

#include "base/file.h"
#include "base/hash_cache.h"
#include "base/log.h"
#include "base/thread.h"

enum { MOST_DEPTH = 32 };

typedef struct picture {
    char *name;                  /* in a folder: from it on */
    int64_t size, mtime_ns;
    uint64_t phash, dhash;
    bool known, with_dhash;      /* known: the hashes are there */
} picture;

struct sv_taboo {
    picture *items;
    size_t count, capacity;
    int distance;
    sv_hash_index *index;
    char hex[SV_SHA256_HEX];
};

void sv_taboo_close(sv_taboo **known) {
    sv_taboo *k = *known;
    if (!k) return;
    for (size_t i = 0; i < k->count; i++) free(k->items[i].name);
    free(k->items);
    sv_hash_index_close(&k->index);
    free(k);
    *known = NULL;
}

static picture *add(sv_taboo *k, const char *name) {
    if (k->count == k->capacity) {
        size_t capacity = k->capacity ? k->capacity * 2 : 256;
        picture *items = realloc(k->items, capacity * sizeof *items);
        if (!items) return NULL;
        k->items = items;
        k->capacity = capacity;
    }
    picture *p = &k->items[k->count];
    *p = (picture){.name = sv_strdup(name)};
    if (!p->name) return NULL;
    k->count++;
    return p;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const picture *)a)->name, ((const picture *)b)->name);
}

/* ---- a folder ---- */

static bool is_picture(const char *name) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp", ".JPG", ".JPEG", ".PNG", ".WEBP"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (sv_str_ends(name, endings[i])) return true;
    return false;
}

static sv_status list_folder(sv_taboo *k, const char *root, const char *below, int depth, sv_error *err) {
    char *path = *below ? sv_path_join(root, below) : sv_strdup(root);
    DIR *dir = path ? opendir(path) : NULL;
    sv_status st = dir ? SV_OK : path ? sv_fail_errno(err, path, "cannot open") : sv_fail_memory(err, root, 0);
    for (struct dirent *e; st == SV_OK && (e = readdir(dir));) {
        struct stat s;
        if (e->d_name[0] == '.') continue;
        char *name = *below ? sv_path_join(below, e->d_name) : sv_strdup(e->d_name), *full = name ? sv_path_join(root, name) : NULL;
        if (!full)
            st = sv_fail_memory(err, root, 0);
        else if (stat(full, &s) == 0 && S_ISDIR(s.st_mode) && depth < MOST_DEPTH)
            st = list_folder(k, root, name, depth + 1, err);
        else if (S_ISREG(s.st_mode) && is_picture(name)) {
            picture *p = add(k, name);
            if (!p) st = sv_fail_memory(err, root, 0);
            else p->size = s.st_size, p->mtime_ns = (int64_t)s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec;
        }
        free(name);
        free(full);
    }
    if (dir) closedir(dir);
    free(path);
    return st;
}

/* ---- what was remembered of a folder ---- */

/* The file of a folder's hashes (malloc), NULL if there can be none. */
static char *cache_file(const char *folder) {
    char *dir = sv_cache_dir(), *real = realpath(folder, NULL), hex[SV_SHA256_HEX], name[96];
    char *file = NULL;
    if (dir && real) {
        sv_sha256_hex(real, strlen(real), hex);
        snprintf(name, sizeof name, "pictures-%.32s.jsonl", hex);
        file = sv_path_join(dir, name);
    }
    free(dir);
    free(real);
    return file;
}

static bool read_hex(yyjson_val *v, uint64_t *out) {
    const char *s = yyjson_get_str(v);
    if (!s || strlen(s) != 16 || strspn(s, "0123456789abcdefABCDEF") != 16) return false;
    *out = strtoull(s, NULL, 16);
    return true;
}

/* Fills in what a cache line says of a picture that is still the same. */
static void recall_line(sv_taboo *k, yyjson_val *o) {
    const char *name = yyjson_get_str(yyjson_obj_get(o, "image"));
    picture key = {.name = (char *)name}, *p = name ? bsearch(&key, k->items, k->count, sizeof key, by_name) : NULL;
    uint64_t phash, dhash;
    if (!p || yyjson_get_sint(yyjson_obj_get(o, "size")) != p->size || yyjson_get_sint(yyjson_obj_get(o, "mtime_ns")) != p->mtime_ns) return;
    if (!read_hex(yyjson_obj_get(o, "phash"), &phash) || !read_hex(yyjson_obj_get(o, "dhash"), &dhash)) return;
    p->phash = phash;
    p->dhash = dhash;
    p->known = p->with_dhash = true;
}

static void recall(sv_taboo *k, const char *file) {
    char *text = NULL;
    size_t size;
    if (!sv_is_file(file) || sv_file_read(file, 0, &text, &size, NULL) != SV_OK) return;
    for (char *line = text, *end; line && *line; line = end ? end + 1 : NULL) {
        end = strchr(line, '\n');
        yyjson_doc *doc = yyjson_read(line, end ? (size_t)(end - line) : strlen(line), 0);
        recall_line(k, yyjson_doc_get_root(doc));
        yyjson_doc_free(doc);
    }
    free(text);
}

/* A cache that cannot be written costs time at the next start, nothing else. */
static void remember(const sv_taboo *k, const char *file) {
    sv_buf b = {0};
    char *dir = sv_path_dir(file);
    for (size_t i = 0; i < k->count; i++) {
        const picture *p = &k->items[i];
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *name = doc ? yyjson_mut_str(doc, p->name) : NULL;
        char *quoted = name ? yyjson_mut_val_write(name, 0, NULL) : NULL;
        if (quoted && p->known)
            sv_buf_printf(&b, "{\"image\":%s,\"size\":%lld,\"mtime_ns\":%lld,\"phash\":\"%016llx\",\"dhash\":\"%016llx\"}\n", quoted, (long long)p->size,
                          (long long)p->mtime_ns, (unsigned long long)p->phash, (unsigned long long)p->dhash);
        free(quoted);
        yyjson_mut_doc_free(doc);
    }
    if (b.data && !b.failed && dir && sv_dir_make(dir, NULL) == SV_OK) sv_file_write_atomic(file, b.data, b.size, NULL);
    free(dir);
    sv_buf_free(&b);
}

typedef struct hashing {
    sv_taboo *k;
    const char *folder;
    const sv_log *log;
    sv_hash_work *work;          /* by thread */
    sv_image *image;
} hashing;

static sv_status hash_range(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    hashing *h = user;
    for (size_t i = begin; i < end; i++) {
        picture *p = &h->k->items[i];
        if (p->known) continue;
        sv_error why = {0};
        char *path = sv_path_join(h->folder, p->name);
        sv_status st = path ? sv_image_read(&h->image[thread], path, &why) : sv_fail_memory(&why, p->name, 0);
        free(path);
        if (st == SV_E_INPUT) {
            sv_say(h->log, SV_LOG_WARN, "%s: %s; it is left out of the pictures that must not be repeated", p->name, why.why);
            continue;
        }
        if (st == SV_OK) st = sv_image_hash(&h->image[thread], SV_HASH_PHASH, &h->work[thread], &p->phash, &why);
        if (st == SV_OK) st = sv_image_hash(&h->image[thread], SV_HASH_DHASH, &h->work[thread], &p->dhash, &why);
        if (st != SV_OK) {
            if (err) *err = why;
            return st;
        }
        p->known = p->with_dhash = true;
    }
    return SV_OK;
}

static sv_status read_folder(sv_taboo *k, const char *folder, const sv_log *log, sv_error *err) {
    SV_TRY(list_folder(k, folder, "", 0, err));
    if (!k->count) return SV_OK;
    qsort(k->items, k->count, sizeof *k->items, by_name);
    char *file = cache_file(folder);
    if (file) recall(k, file);
    size_t fresh = 0;
    for (size_t i = 0; i < k->count; i++) fresh += !k->items[i].known;
    unsigned threads = sv_cpu_count();
    hashing h = {.k = k, .folder = folder, .log = log, .work = calloc(threads, sizeof *h.work), .image = calloc(threads, sizeof *h.image)};
    sv_status st = h.work && h.image ? SV_OK : sv_fail_memory(err, folder, 0);
    if (st == SV_OK && fresh) st = sv_parallel(0, k->count, 8, hash_range, &h, err);
    if (st == SV_OK && fresh && file) remember(k, file);
    for (unsigned i = 0; h.work && h.image && i < threads; i++) {
        sv_hash_work_free(&h.work[i]);
        sv_image_free(&h.image[i]);
    }
    free(h.work);
    free(h.image);
    free(file);
    return st;
}

/* ---- a file of hashes ---- */

static sv_status add_hashes(sv_taboo *k, const char *name, yyjson_val *phash, yyjson_val *dhash, bool *good) {
    picture *p = add(k, name);
    if (!p) return SV_E_MEMORY;
    *good = read_hex(phash, &p->phash);
    p->with_dhash = dhash && !yyjson_is_null(dhash);
    if (p->with_dhash) *good = *good && read_hex(dhash, &p->dhash);
    p->known = true;
    return SV_OK;
}

/* One JSON object of names and hashes. */
static sv_status read_map(sv_taboo *k, yyjson_val *map, const char *key, const char *path, sv_error *err) {
    yyjson_val *name, *value;
    size_t i, n;
    yyjson_obj_foreach(map, i, n, name, value) {
        bool good;
        if (add_hashes(k, yyjson_get_str(name), value, NULL, &good) != SV_OK) return sv_fail_memory(err, path, 0);
        if (!good) return sv_fail(err, SV_E_RECIPE, key, "%.300s: \"%.80s\" has no hash of 16 hex digits", path, yyjson_get_str(name));
    }
    return SV_OK;
}

static sv_status read_lines(sv_taboo *k, const char *text, size_t size, const char *key, const char *path, sv_error *err) {
    const char *line = text, *end = text + size;
    for (int64_t at = 1; line < end; at++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop) stop = end;
        size_t blanks = strspn(line, " \t\r");
        if (line + blanks < stop) {
            yyjson_doc *doc = yyjson_read(line, (size_t)(stop - line), 0);
            yyjson_val *o = yyjson_doc_get_root(doc);
            const char *name = yyjson_get_str(yyjson_obj_get(o, "image"));
            bool good = false;
            sv_status st = doc ? add_hashes(k, name ? name : "", yyjson_obj_get(o, "phash"), yyjson_obj_get(o, "dhash"), &good) : SV_OK;
            yyjson_doc_free(doc);
            if (st != SV_OK) return sv_fail_memory(err, path, 0);
            if (!good) {
                sv_fail(err, SV_E_RECIPE, key, "%.300s, line %lld, has no hash", path, (long long)at);
                return sv_hint(err, SV_E_RECIPE, "lines as synthvlm image-hash writes them: {\"image\": NAME, \"phash\": 16 hex digits, \"dhash\": …}");
            }
        }
        line = stop + 1;
    }
    return SV_OK;
}

static sv_status read_list(sv_taboo *k, const char *key, const char *path, sv_error *err) {
    char *text = NULL;
    size_t size, i, n, strings = 0;
    sv_error cause = {0};
    sv_status st = sv_file_read(path, 0, &text, &size, &cause);
    if (st == SV_E_MEMORY) return sv_fail_memory(err, path, 0);
    if (st != SV_OK) return sv_fail(err, SV_E_RECIPE, key, "%.300s: %.600s", cause.what, cause.why);
    yyjson_doc *doc = yyjson_read(text, size, 0);
    yyjson_val *map = yyjson_doc_get_root(doc), *name, *value;
    yyjson_obj_foreach(map, i, n, name, value) strings += yyjson_is_str(value);
    bool is_map = yyjson_obj_size(map) && strings == yyjson_obj_size(map) && !yyjson_obj_get(map, "phash");
    st = is_map ? read_map(k, map, key, path, err) : read_lines(k, text, size, key, path, err);
    yyjson_doc_free(doc);
    free(text);
    return st;
}

/* ---- the index ---- */

static int by_hashes(const void *a, const void *b) {
    const picture *x = a, *y = b;
    if (x->phash != y->phash) return x->phash < y->phash ? -1 : 1;
    if (x->dhash != y->dhash) return x->dhash < y->dhash ? -1 : 1;
    return x->with_dhash != y->with_dhash ? x->with_dhash - y->with_dhash : strcmp(x->name, y->name);
}

static sv_status build(sv_taboo *k, sv_error *err) {
    size_t kept = 0;
    for (size_t i = 0; i < k->count; i++) {
        if (k->items[i].known) {
            picture one = k->items[i];
            k->items[i] = k->items[kept];
            k->items[kept++] = one;
        }
    }
    qsort(k->items, kept, sizeof *k->items, by_hashes);
    sv_sha256_stream *h = sv_sha256_begin();
    if (!h) return sv_fail_memory(err, "benchmark pictures", 0);
    uint8_t raw[32];
    sv_status st = sv_hash_index_open(&k->index, k->distance, err);
    for (size_t i = 0; st == SV_OK && i < kept; i++) {
        char line[64];
        const picture *p = &k->items[i];
        int n = snprintf(line, sizeof line, "%016llx %016llx %d\n", (unsigned long long)p->phash, (unsigned long long)p->dhash, p->with_dhash);
        sv_sha256_more(h, line, (size_t)n);
        st = sv_hash_index_add(k->index, p->phash, (uint32_t)i, err);
    }
    sv_sha256_end(h, raw);
    sv_hex(raw, 32, k->hex);
    return st;
}

sv_status sv_taboo_open(sv_taboo **out, const char *key, const char *path, int distance, const sv_log *log, sv_error *err) {
    sv_taboo *k = calloc(1, sizeof *k);
    *out = k;
    if (!k) return sv_fail_memory(err, path, sizeof *k);
    k->distance = distance;
    sv_status st = sv_is_dir(path) ? read_folder(k, path, log, err) : read_list(k, key, path, err);
    if (st == SV_OK && !k->count)
        st = sv_fail(err, SV_E_RECIPE, key, sv_is_dir(path) ? "%.300s holds no pictures (.jpg, .png, .webp)" : "%.300s holds no hashes", path);
    if (st == SV_OK) st = build(k, err);
    if (st != SV_OK) sv_taboo_close(out);
    return st;
}

typedef struct question { const sv_taboo *k; uint64_t dhash; } question;

static bool is_near(const void *user, uint32_t name) {
    const question *q = user;
    const picture *p = &q->k->items[name];
    return !p->with_dhash || sv_hash_distance(p->dhash, q->dhash) <= q->k->distance;
}

sv_status sv_taboo_find(const sv_taboo *k, const sv_image *im, sv_hash_work *w, const char **name, sv_error *err) {
    question q = {.k = k};
    uint64_t phash;
    uint32_t found;
    *name = NULL;
    SV_TRY(sv_image_hash(im, SV_HASH_PHASH, w, &phash, err));
    SV_TRY(sv_image_hash(im, SV_HASH_DHASH, w, &q.dhash, err));
    if (sv_hash_index_find_if(k->index, phash, is_near, &q, &found)) *name = k->items[found].name;
    return SV_OK;
}

void sv_taboo_hash(const sv_taboo *k, char hex[SV_SHA256_HEX]) {
    memcpy(hex, k->hex, SV_SHA256_HEX);
}
