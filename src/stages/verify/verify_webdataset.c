/* verify_webdataset.c - WebDataset shards: the archive, the grouping of members into samples, captions, images.
 *
 * A sample is a run of members whose names agree up to the first dot of the last path part; the rest, in lower case, is the extension. One thread reads
 * the shards in order; the samples of a batch are checked by all threads.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/thread.h"
#include "stages/verify/verify.h"

enum { BATCH = 64, MAX_MEMBERS = 64 };
#define MAX_MEMBER_BYTES (1ull << 30)   /* no image, caption or JSON comes near */
#define MAX_BATCH_BYTES (256ull << 20)

typedef struct member {
    char extension[64];
    char *data;
    size_t size;
} member;

typedef struct sample {
    char *key;
    member members[MAX_MEMBERS];
    size_t count;
    uint64_t order;
    const char *shard;
} sample;

typedef struct shard_check {
    sv_check *check;
    sample *batch;               /* BATCH of them */
    size_t count;
    uint64_t bytes;              /* held by the batch */
    sv_image *images;            /* one per thread */
    sv_key_set keys;
    uint64_t next_order;         /* samples begun */
    sv_buf names;                /* "SHARD KEY" of every sample, each with its NUL: only faults need them */
    size_t *name_at;             /* where in names, by order */
    size_t name_capacity;
} shard_check;

static void place(const sample *s, char buf[256]) { snprintf(buf, 256, "%.120s %.120s", s->shard, s->key); }

static const member *find_member(const sample *s, const char *extension) {
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->members[i].extension, extension) == 0) return &s->members[i];
    return NULL;
}

static const member *find_image(const sample *s) {
    for (size_t i = 0; i < s->count; i++) {
        const char *dot = strrchr(s->members[i].extension, '.');   /* "seg.png" is an image, too */
        if (sv_is_image_extension(dot ? dot + 1 : s->members[i].extension)) return &s->members[i];
    }
    return NULL;
}

/* ---- one sample ---- */

/* The caption is KEY.txt, or "caption" in KEY.json. In a pair of this program, which names its candidate, both are there and agree, and the
 * SHA-256 is that of the image beside it (img2dataset's is that of the image before it was resized). */
static void check_texts(shard_check *x, const sample *s, const member *image) {
    sv_check *c = x->check;
    char where[256], hex[SV_SHA256_HEX];
    place(s, where);
    const member *txt = find_member(s, "txt"), *json = find_member(s, "json");
    yyjson_doc *doc = json ? yyjson_read(json->data, json->size, 0) : NULL;
    yyjson_val *caption = yyjson_obj_get(yyjson_doc_get_root(doc), "caption"), *sum = yyjson_obj_get(yyjson_doc_get_root(doc), "sha256");
    if (json && !doc) sv_check_fault(c, SV_FAULT_JSON, s->order, where, "its .json member is not JSON");
    const char *fault = txt ? sv_caption_fault(txt->data, txt->size)
                      : yyjson_is_str(caption) ? sv_caption_fault(yyjson_get_str(caption), yyjson_get_len(caption))
                          : "has no caption: neither a .txt member nor \"caption\" in a .json one";
    if (fault) sv_check_fault(c, SV_FAULT_CAPTION, s->order, where, "%s", fault);
    bool differ = txt && yyjson_is_str(caption)
        && (txt->size != yyjson_get_len(caption) || memcmp(txt->data, yyjson_get_str(caption), txt->size) != 0);
    bool ours = yyjson_is_str(yyjson_obj_get(yyjson_doc_get_root(doc), "candidate"));
    if (ours && !fault && differ) sv_check_fault(c, SV_FAULT_CAPTION, s->order, where, "the .txt and the .json member have different captions");
    if (ours && image && yyjson_is_str(sum)) {
        sv_sha256_hex(image->data, image->size, hex);
        if (strcmp(hex, yyjson_get_str(sum)) != 0)
            sv_check_fault(c, SV_FAULT_BROKEN_IMAGE, s->order, where, "is not the image whose SHA-256 its .json member gives");
    }
    yyjson_doc_free(doc);
}

static sv_status check_samples(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    shard_check *x = user;
    sv_check *c = x->check;
    char where[256];
    for (size_t i = begin; i < end; i++) {
        SV_TRY(sv_check_stopped(c, err));
        const sample *s = &x->batch[i];
        const member *image = find_image(s);
        sv_error why = {0};
        place(s, where);
        if (!image) sv_check_fault(c, SV_FAULT_MISSING_IMAGE, s->order, where, "has no image; members: %zu", s->count);
        for (size_t k = 0; k < s->count; k++) {
            const member *m = &s->members[k];
            const char *dot = strrchr(m->extension, '.');
            if (!sv_is_image_extension(dot ? dot + 1 : m->extension)) continue;
            sv_status st = sv_image_decode(&x->images[thread], m->data, m->size, m->extension, &why);
            if (st == SV_E_MEMORY) {
                if (err) *err = why;
                return st;
            }
            if (st != SV_OK) sv_check_fault(c, SV_FAULT_BROKEN_IMAGE, s->order, where, ".%s: %s", m->extension, why.why);
            if (st != SV_OK) continue;
            pthread_mutex_lock(&c->lock);
            c->report->images++;
            pthread_mutex_unlock(&c->lock);
        }
        check_texts(x, s, image);
    }
    return SV_OK;
}

static void clear_sample(sample *s) {
    for (size_t i = 0; i < s->count; i++) free(s->members[i].data);
    free(s->key);
    s->key = NULL;
    s->count = 0;
}

static sv_status check_batch(shard_check *x, sv_error *err) {
    sv_status st = sv_parallel(x->check->threads, x->count, 1, check_samples, x, err);
    x->check->report->pairs += (int64_t)x->count;
    for (size_t i = 0; i < x->count; i++) clear_sample(&x->batch[i]);
    x->count = 0;
    x->bytes = 0;
    return st;
}

/* ---- one shard ---- */

/* Splits a member's name as webdataset does. False for members that its readers skip. */
static bool split_name(const char *name, size_t *key_size, char extension[64]) {
    const char *base = strrchr(name, '/');
    base = base ? base + 1 : name;
    const char *dot = strchr(base, '.');
    size_t n = strlen(name);
    if (!dot || dot == name) return false;
    bool special = n > 4 && strncmp(name, "__", 2) == 0 && (strncmp(name + n - 2, "__", 2) == 0 || strstr(name, "__/"));
    if (special) return false;
    *key_size = (size_t)(dot - name);
    snprintf(extension, 64, "%s", dot + 1);
    for (char *c = extension; *c; c++) *c = (char)tolower((unsigned char)*c);
    return true;
}

/* Begins a sample, after those of a full batch were checked. */
static sv_status begin_sample(shard_check *x, const char *shard, const char *name, size_t key_size, sv_error *err) {
    if (x->count == BATCH || x->bytes > MAX_BATCH_BYTES) SV_TRY(check_batch(x, err));
    sample *s = &x->batch[x->count];
    if (x->next_order == x->name_capacity) {
        size_t capacity = x->name_capacity ? x->name_capacity * 2 : 1024;
        size_t *grown = realloc(x->name_at, capacity * sizeof *grown);
        if (!grown) return sv_fail_memory(err, name, capacity * sizeof *grown);
        x->name_at = grown;
        x->name_capacity = capacity;
    }
    x->name_at[x->next_order] = x->names.size;
    sv_buf_printf(&x->names, "%s %.*s", shard, (int)key_size, name);
    sv_buf_putc(&x->names, '\0');
    SV_TRY(sv_buf_ok(&x->names, err));
    s->key = sv_strndup(name, key_size);
    s->order = x->next_order++;
    s->shard = shard;
    if (!s->key || !sv_keys_add(&x->keys, name, key_size, s->order)) {
        free(s->key);
        s->key = NULL;
        return sv_fail_memory(err, name, 0);
    }
    x->count++;
    return SV_OK;
}

static sv_status add_member(shard_check *x, sv_tar_reader *t, const sv_tar_member *m, const char *extension, sv_error *err) {
    sample *s = &x->batch[x->count - 1];
    char where[256];
    place(s, where);
    if (find_member(s, extension)) {
        sv_check_fault(x->check, SV_FAULT_DUPLICATE, s->order, where, "has two .%s members", extension);
        return SV_OK;
    }
    if (s->count == MAX_MEMBERS) {
        sv_check_fault(x->check, SV_FAULT_ARCHIVE, s->order, where, "has more than %d members", MAX_MEMBERS);
        return SV_OK;
    }
    bool wanted = strcmp(extension, "txt") == 0 || strcmp(extension, "json") == 0
        || sv_is_image_extension(strrchr(extension, '.') ? strrchr(extension, '.') + 1 : extension);
    member *to = &s->members[s->count];
    *to = (member){0};
    snprintf(to->extension, sizeof to->extension, "%s", extension);
    if (wanted && m->size <= MAX_MEMBER_BYTES) {
        SV_TRY(sv_tar_read(t, &to->data, err));
        to->size = (size_t)m->size;
        x->bytes += m->size;
    } else if (wanted) {
        sv_check_fault(x->check, SV_FAULT_ARCHIVE, s->order, where, ".%s has %llu bytes, more than anything here can have", extension,
                       (unsigned long long)m->size);
        return SV_OK;
    }
    s->count++;
    return SV_OK;
}

/* Reads a shard to its end. Damage ends the reading and is a fault, not a failure of the check. */
static sv_status check_shard(shard_check *x, const char *path, sv_error *err) {
    sv_tar_reader *t = NULL;
    sv_tar_member m;
    sv_error why = {0};
    bool end = false, open_sample = false;
    const char *shard = sv_path_base(path);
    sv_status st = sv_tar_open(&t, path, &why);
    while (st == SV_OK) {
        size_t key_size;
        char extension[64];
        st = sv_check_stopped(x->check, &why);
        if (st == SV_OK) st = sv_tar_next(t, &m, &end, &why);
        if (st != SV_OK || end) break;
        if (!m.regular || !split_name(m.name, &key_size, extension)) continue;
        if (!sv_path_is_inside(m.name)) {
            sv_check_fault(x->check, SV_FAULT_PATH, x->next_order, shard, "the member %s is not inside the dataset", m.name);
            continue;
        }
        const char *key = open_sample ? x->batch[x->count - 1].key : NULL;
        if (!key || strlen(key) != key_size || memcmp(key, m.name, key_size) != 0) st = begin_sample(x, shard, m.name, key_size, &why);
        open_sample = st == SV_OK;
        if (st == SV_OK) st = add_member(x, t, &m, extension, &why);
    }
    uint64_t bytes = t ? sv_tar_bytes(t) : 0;
    sv_tar_close(&t);
    if (st == SV_E_INPUT) {
        sv_check_fault(x->check, SV_FAULT_ARCHIVE, x->next_order, shard, "%s", why.why);
        st = SV_OK;
    } else if (st != SV_OK && err) {
        *err = why;
    }
    if (st == SV_OK) st = check_batch(x, err);   /* samples never go from one shard to the next */
    if (!x->check->counted) {
        x->check->report->files++;
        x->check->report->bytes += (int64_t)bytes;
    }
    return st;
}

static void repeated_key(void *user, uint64_t order, uint64_t first) {
    const shard_check *x = user;
    sv_check_fault(x->check, SV_FAULT_DUPLICATE, order, x->names.data + x->name_at[order], "the key is there already: %s",
                   x->names.data + x->name_at[first]);
}

sv_status sv_check_shards(sv_check *c, char *const *paths, size_t n, sv_error *err) {
    shard_check x = {.check = c};
    x.batch = calloc(BATCH, sizeof *x.batch);
    x.images = calloc(c->threads, sizeof *x.images);
    sv_status st = x.batch && x.images ? SV_OK : sv_fail_memory(err, "shards", BATCH * sizeof *x.batch);
    for (size_t i = 0; st == SV_OK && i < n; i++) st = check_shard(&x, paths[i], err);
    if (st == SV_OK) sv_keys_repeated(&x.keys, repeated_key, &x);
    for (size_t i = 0; x.batch && i < x.count; i++) clear_sample(&x.batch[i]);
    for (unsigned i = 0; x.images && i < c->threads; i++) sv_image_free(&x.images[i]);
    sv_keys_free(&x.keys);
    sv_buf_free(&x.names);
    free(x.name_at);
    free(x.batch);
    free(x.images);
    return st;
}
