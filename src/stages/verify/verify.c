/* verify.c - checking a dataset: what it is, who checks it, and the report. */
#include "stages/verify/verify.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/thread.h"
#include "base/utf8.h"

/* ---- faults ---- */

static const struct { const char *name, *help; } faults[SV_FAULT_COUNT] = {
    [SV_FAULT_MANIFEST] = {"manifest", "SHA256SUMS or dataset.json cannot be read, or tells another number of pairs"},
    [SV_FAULT_MISSING_FILE] = {"missing_file", "listed in SHA256SUMS, but not there"},
    [SV_FAULT_HASH] = {"hash", "content other than SHA256SUMS says"},
    [SV_FAULT_STRAY_FILE] = {"stray_file", "not listed in SHA256SUMS"},
    [SV_FAULT_JSON] = {"json", "JSON that is broken, or is something else than expected"},
    [SV_FAULT_ARCHIVE] = {"archive", "a shard that is cut short or damaged"},
    [SV_FAULT_DUPLICATE] = {"duplicate", "an id, key or member that is there twice"},
    [SV_FAULT_TURNS] = {"turns", "not exactly one human and one gpt turn"},
    [SV_FAULT_IMAGE_TOKEN] = {"image_token", "not exactly one <image>, in the human turn"},
    [SV_FAULT_PATH] = {"path", "a path that is absolute or leads outside the dataset"},
    [SV_FAULT_MISSING_IMAGE] = {"missing_image", "a pair without its image"},
    [SV_FAULT_BROKEN_IMAGE] = {"broken_image", "an image that does not decode to its end, or is not the one that its pair describes"},
    [SV_FAULT_CAPTION] = {"caption", "no caption, an empty one, or one that is not valid UTF-8"},
};

const char *sv_fault_name(sv_fault fault) { return fault >= 0 && fault < SV_FAULT_COUNT ? faults[fault].name : ""; }
const char *sv_fault_help(sv_fault fault) { return fault >= 0 && fault < SV_FAULT_COUNT ? faults[fault].help : ""; }

/* Text from a dataset, fit to be printed: cut at a character, control characters and invalid bytes replaced. */
static void printable(char *out, size_t size, const char *in) {
    size_t n = strlen(in), used = 0;
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        int length = sv_utf8_decode(in + i, n - i, &cp);
        bool good = length > 0 && cp >= 0x20 && cp != 0x7F && !(cp >= 0x80 && cp < 0xA0);
        size_t bytes = good ? (size_t)length : 1;
        if (used + bytes + 1 > size) break;
        if (good) memcpy(out + used, in + i, bytes);
        else out[used] = '?';
        used += bytes;
        i += length > 0 ? (size_t)length : 1;
    }
    out[used] = '\0';
}

void sv_check_fault(sv_check *c, sv_fault fault, uint64_t order, const char *where, const char *why, ...) {
    char text[512];
    va_list args;
    va_start(args, why);
    vsnprintf(text, sizeof text, why, args);
    va_end(args);
    pthread_mutex_lock(&c->lock);
    int64_t n = c->report->count[fault]++;
    c->report->faults++;
    uint64_t *orders = c->order[fault];
    sv_fault_place *named = c->report->named[fault];
    int at = n < SV_FAULTS_NAMED ? (int)n : SV_FAULTS_NAMED;
    while (at > 0 && orders[at - 1] > order) at--;   /* kept sorted: the first ones of the dataset stay */
    if (at < SV_FAULTS_NAMED) {
        int last = n < SV_FAULTS_NAMED ? (int)n : SV_FAULTS_NAMED - 1;
        memmove(orders + at + 1, orders + at, sizeof *orders * (size_t)(last - at));
        memmove(named + at + 1, named + at, sizeof *named * (size_t)(last - at));
        orders[at] = order;
        printable(named[at].where, sizeof named[at].where, where);
        printable(named[at].why, sizeof named[at].why, text);
    }
    pthread_mutex_unlock(&c->lock);
}

sv_status sv_check_stopped(const sv_check *c, sv_error *err) {
    return c->stop && *c->stop ? sv_fail(err, SV_E_STOPPED, c->root, "the check was stopped") : SV_OK;
}

const char *sv_caption_fault(const char *text, size_t size) {
    if (sv_utf8_valid(text, size) != size) return "the caption is not valid UTF-8";
    for (size_t i = 0; i < size; i++)
        if (!strchr(" \t\r\n", text[i]) || text[i] == '\0') return NULL;
    return "the caption is empty";
}

bool sv_is_image_extension(const char *extension) {
    return !strcasecmp(extension, "jpg") || !strcasecmp(extension, "jpeg") || !strcasecmp(extension, "png") || !strcasecmp(extension, "webp");
}

/* ---- keys ---- */

bool sv_keys_add(sv_key_set *s, const char *text, size_t size, uint64_t order) {
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 1024;
        struct sv_key *grown = realloc(s->items, capacity * sizeof *grown);
        if (!grown) return false;
        s->items = grown;
        s->capacity = capacity;
    }
    s->items[s->count++] = (struct sv_key){sv_hash64(text, size, 0), sv_hash64(text, size, 1), order};
    return true;
}

static int by_key(const void *x, const void *y) {
    const struct sv_key *p = x, *q = y;
    if (p->a != q->a) return p->a < q->a ? -1 : 1;
    if (p->b != q->b) return p->b < q->b ? -1 : 1;
    return (p->order > q->order) - (p->order < q->order);
}

void sv_keys_repeated(sv_key_set *s, void (*fn)(void *user, uint64_t order, uint64_t first), void *user) {
    if (s->count) qsort(s->items, s->count, sizeof *s->items, by_key);
    size_t first = 0;
    for (size_t i = 1; i < s->count; i++) {
        if (s->items[i].a == s->items[first].a && s->items[i].b == s->items[first].b) fn(user, s->items[i].order, s->items[first].order);
        else first = i;
    }
}

void sv_keys_free(sv_key_set *s) {
    free(s->items);
    *s = (sv_key_set){0};
}

/* ---- what is it? ---- */

typedef struct file_list {
    char **paths;
    size_t count;
} file_list;

static void free_list(file_list *l) {
    for (size_t i = 0; i < l->count; i++) free(l->paths[i]);
    free(l->paths);
    *l = (file_list){0};
}

static bool is_shard(const char *name) {
    static const char *const endings[] = {".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", NULL};
    for (const char *const *e = endings; *e; e++)
        if (sv_str_ends(name, *e)) return true;
    return false;
}

/* LLaVA's file is an array; cards, statistics and configurations are objects. */
static bool is_array_file(const char *path) {
    if (!sv_str_ends(path, ".json") || !sv_is_file(path)) return false;
    FILE *f = fopen(path, "r");
    if (!f) return false;
    int c;
    while ((c = getc(f)) != EOF && strchr(" \t\r\n", c)) continue;
    fclose(f);
    return c == '[';
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* The directory's files that fit, sorted by name. */
static sv_status list_files(const char *dir, bool (*fits)(const char *path), file_list *out, sv_error *err) {
    DIR *d = opendir(dir);
    if (!d) return sv_fail_errno(err, dir, "cannot open");
    sv_status st = SV_OK;
    for (struct dirent *e; st == SV_OK && (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        char *path = sv_path_join(dir, e->d_name);
        if (!path || !fits(path) || !sv_is_file(path)) {
            if (!path) st = sv_fail_memory(err, dir, 0);
            free(path);
            continue;
        }
        char **grown = realloc(out->paths, (out->count + 1) * sizeof *grown);
        if (!grown) {
            free(path);
            st = sv_fail_memory(err, dir, 0);
            continue;
        }
        out->paths = grown;
        out->paths[out->count++] = path;
    }
    closedir(d);
    if (out->count) qsort(out->paths, out->count, sizeof *out->paths, by_name);
    return st;
}

/* The images of a LLaVA file lie in images/ beside it, or beside it. */
static sv_status check_llava(sv_check *c, const char *json, sv_error *err) {
    if (c->images) return sv_check_llava(c, json, c->images, err);
    char *dir = sv_path_dir(json), *images = dir ? sv_path_join(dir, "images") : NULL;
    sv_status st = images ? sv_check_llava(c, json, sv_is_dir(images) ? images : dir, err) : sv_fail_memory(err, json, 0);
    free(dir);
    free(images);
    return st;
}

static void set_format(sv_check *c, const char *name) { snprintf(c->report->format, sizeof c->report->format, "%s", name); }

/* dataset.json's format and number of pairs; "" and -1 if there is no such card. */
static sv_status read_card(sv_check *c, char format[32], int64_t *pairs, sv_error *err) {
    char *path = sv_path_join(c->root, "dataset.json"), *text = NULL;
    size_t size;
    sv_status st = path ? SV_OK : sv_fail_memory(err, c->root, 0);
    *format = '\0';
    *pairs = -1;
    if (st == SV_OK && sv_is_file(path)) st = sv_file_read(path, 64u << 20, &text, &size, err);
    if (st == SV_OK && text) {
        yyjson_doc *doc = yyjson_read(text, size, 0);
        yyjson_val *root = yyjson_doc_get_root(doc), *name = yyjson_obj_get(root, "format"), *count = yyjson_obj_get(root, "pairs");
        if (!doc) sv_check_fault(c, SV_FAULT_MANIFEST, 0, "dataset.json", "is not JSON");
        if (yyjson_is_str(name)) snprintf(format, 32, "%s", yyjson_get_str(name));
        if (yyjson_is_int(count)) *pairs = yyjson_get_sint(count);
        yyjson_doc_free(doc);
    }
    free(text);
    free(path);
    return st;
}

static sv_status not_a_dataset(const char *path, sv_error *err) {
    char *ledger = sv_path_join(path, "ledger.sqlite"), *datasets = sv_path_join(path, "dataset");
    bool run = ledger && datasets && sv_file_exists(ledger);
    sv_status st = sv_fail(err, SV_E_INPUT, path, "%s", run ? "is a run directory, not a dataset" : "is not a dataset that is understood");
    if (run) st = sv_hint(err, st, "its datasets are below %s", datasets);
    else st = sv_hint(err, st, "LLaVA: a .json file with an array, images beside it or in images/; WebDataset: .tar files; or a SHA256SUMS");
    free(ledger);
    free(datasets);
    return st;
}

static sv_status check_directory(sv_check *c, sv_error *err) {
    file_list shards = {0}, arrays = {0};
    char format[32];
    int64_t pairs = -1;
    char *sums = sv_path_join(c->root, "SHA256SUMS");
    bool has_sums = sums && sv_is_file(sums);
    sv_status st = sums ? read_card(c, format, &pairs, err) : sv_fail_memory(err, c->root, 0);
    free(sums);
    if (st == SV_OK) st = list_files(c->root, is_shard, &shards, err);
    if (st == SV_OK && shards.count == 0) st = list_files(c->root, is_array_file, &arrays, err);
    bool known = strcmp(format, "llava") == 0 || strcmp(format, "webdataset") == 0;
    if (st == SV_OK && !has_sums && !known && shards.count == 0 && arrays.count == 0) st = not_a_dataset(c->root, err);
    if (st == SV_OK && *format && !has_sums)
        sv_check_fault(c, SV_FAULT_MANIFEST, 0, "SHA256SUMS", "there is none, so that nothing says which files belong here");
    if (st == SV_OK && has_sums) st = sv_check_manifest(c, err);
    c->counted = has_sums;
    set_format(c, known ? format : shards.count ? "webdataset" : arrays.count ? "llava" : "files");
    if (st == SV_OK && shards.count) st = sv_check_shards(c, shards.paths, shards.count, err);
    for (size_t i = 0; st == SV_OK && i < arrays.count; i++) st = check_llava(c, arrays.paths[i], err);
    if (st == SV_OK && pairs >= 0 && pairs != c->report->pairs) {
        sv_check_fault(c, SV_FAULT_MANIFEST, 1, "dataset.json", "says %lld pairs, but there are %lld", (long long)pairs, (long long)c->report->pairs);
    }
    free_list(&shards);
    free_list(&arrays);
    return st;
}

static sv_status check_any(sv_check *c, const char *path, sv_error *err) {
    if (!sv_file_exists(path)) return sv_fail(err, SV_E_INPUT, path, "there is no such file or directory");
    if (sv_is_dir(path)) return check_directory(c, err);
    if (is_shard(path)) {
        char *one[] = {(char *)path};
        set_format(c, "webdataset");
        return sv_check_shards(c, one, 1, err);
    }
    if (is_array_file(path)) {
        set_format(c, "llava");
        return check_llava(c, path, err);
    }
    return not_a_dataset(path, err);
}

sv_status sv_verify(const char *path, const sv_verify_options *o, sv_verify_report *report, sv_error *err) {
    sv_check c = {.threads = o ? o->threads : 0, .stop = o ? o->stop : NULL, .images = o ? o->images : NULL, .report = report,
                  .lock = PTHREAD_MUTEX_INITIALIZER};
    memset(report, 0, sizeof *report);
    char *dir = sv_is_dir(path) ? sv_strdup(path) : sv_path_dir(path);
    if (!dir) return sv_fail_memory(err, path, 0);
    if (c.images && !sv_is_dir(c.images)) {
        free(dir);
        return sv_fail(err, SV_E_INPUT, c.images, "is not a directory");
    }
    c.root = dir;
    if (c.threads == 0) c.threads = sv_cpu_count();
    sv_status st = check_any(&c, path, err);
    const char *plural = report->faults == 1 ? "" : "s";
    if (st == SV_OK && report->faults) st = sv_fail(err, SV_SHORT, path, "%lld fault%s found", (long long)report->faults, plural);
    pthread_mutex_destroy(&c.lock);
    free(dir);
    return st;
}
