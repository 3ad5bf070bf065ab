/* verify_manifest.c - every file against SHA256SUMS ("HEX  NAME" or "HEX *NAME" a line), and every file listed there. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/thread.h"
#include "stages/verify/verify.h"

typedef struct listed {
    const char *name;
    char sha256[SV_SHA256_HEX];
} listed;

typedef struct manifest {
    sv_check *check;
    char *text;                  /* the file; names point into it */
    listed *items;
    size_t count, capacity;
} manifest;

/* Parses one line (NUL-terminated). False if it is not of the form. */
static bool read_line(char *line, listed *out) {
    size_t digits = strspn(line, "0123456789abcdefABCDEF");
    if (digits != 64 || line[64] != ' ' || (line[65] != ' ' && line[65] != '*') || !line[66]) return false;
    for (int i = 0; i < 64; i++) out->sha256[i] = (char)(line[i] >= 'A' && line[i] <= 'F' ? line[i] + 32 : line[i]);
    out->sha256[64] = '\0';
    out->name = line + 66;
    if (out->name[0] == '.' && out->name[1] == '/') out->name += 2;   /* as `find . -type f | xargs sha256sum` writes */
    return true;
}

static sv_status read_lines(manifest *m, sv_error *err) {
    uint64_t number = 0;
    for (char *line = m->text, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        number++;
        size_t n = strlen(line);
        if (n && line[n - 1] == '\r') line[n - 1] = '\0';
        if (!*line || *line == '#') continue;
        listed item;
        if (!read_line(line, &item)) {
            sv_check_fault(m->check, SV_FAULT_MANIFEST, number, "SHA256SUMS", "line %llu is not a SHA-256 and a name", (unsigned long long)number);
            continue;
        }
        if (!sv_path_is_inside(item.name)) {
            sv_check_fault(m->check, SV_FAULT_PATH, number, "SHA256SUMS", "line %llu names %s, which is not inside the dataset",
                           (unsigned long long)number, item.name);
            continue;
        }
        if (m->count == m->capacity) {
            size_t capacity = m->capacity ? m->capacity * 2 : 256;
            listed *grown = realloc(m->items, capacity * sizeof *grown);
            if (!grown) return sv_fail_memory(err, "SHA256SUMS", capacity * sizeof *grown);
            m->items = grown;
            m->capacity = capacity;
        }
        m->items[m->count++] = item;
    }
    return SV_OK;
}

/* Hashes a range of the listed files. A file that cannot be read for another reason than that it is gone counts as one with another content. */
static sv_status hash_files(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    manifest *m = user;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        SV_TRY(sv_check_stopped(m->check, err));
        char *path = sv_path_join(m->check->root, m->items[i].name), hex[SV_SHA256_HEX];
        if (!path) return sv_fail_memory(err, m->items[i].name, 0);
        struct stat s;
        sv_error why;
        if (stat(path, &s) != 0 || !S_ISREG(s.st_mode)) {
            sv_check_fault(m->check, SV_FAULT_MISSING_FILE, i, m->items[i].name, "is not there");
        } else if (sv_sha256_file(path, hex, &why) != SV_OK) {
            sv_check_fault(m->check, SV_FAULT_HASH, i, m->items[i].name, "%s", why.why);
        } else {
            if (strcmp(hex, m->items[i].sha256) != 0)
                sv_check_fault(m->check, SV_FAULT_HASH, i, m->items[i].name, "has the SHA-256 %.16s…, not %.16s…", hex, m->items[i].sha256);
            pthread_mutex_lock(&m->check->lock);
            m->check->report->files++;
            m->check->report->bytes += s.st_size;
            pthread_mutex_unlock(&m->check->lock);
        }
        free(path);
    }
    return SV_OK;
}

static int by_name(const void *a, const void *b) { return strcmp(((const listed *)a)->name, ((const listed *)b)->name); }

static bool is_listed(const manifest *m, const char *name) {
    const listed wanted = {.name = name};
    return m->count && bsearch(&wanted, m->items, m->count, sizeof *m->items, by_name);
}

/* Looks for files below root/`below` that the (sorted) manifest does not name. */
static sv_status find_strays(manifest *m, const char *below, int depth, uint64_t *order, sv_error *err) {
    char *dir = *below ? sv_path_join(m->check->root, below) : sv_strdup(m->check->root);
    if (!dir) return sv_fail_memory(err, below, 0);
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, NULL, alphasort);
    sv_status st = n < 0 ? sv_fail_errno(err, dir, "cannot open") : SV_OK;
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        sv_buf path = {0};
        sv_buf_printf(&path, "%s%s%s", below, *below ? "/" : "", name);
        if (path.failed) st = sv_fail_memory(err, name, 0);
        if (st == SV_OK && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            char *full = sv_path_join(m->check->root, path.data);
            bool is_dir = full && sv_is_dir(full);
            free(full);
            if (is_dir && depth < 32) st = find_strays(m, path.data, depth + 1, order, err);
            else if (strcmp(path.data, "SHA256SUMS") != 0 && !is_listed(m, path.data))
                sv_check_fault(m->check, SV_FAULT_STRAY_FILE, (*order)++, path.data, "is not in SHA256SUMS");
        }
        sv_buf_free(&path);
        free(entries[i]);
    }
    free(entries);
    free(dir);
    return st;
}

sv_status sv_check_manifest(sv_check *c, sv_error *err) {
    manifest m = {.check = c};
    char *path = sv_path_join(c->root, "SHA256SUMS");
    size_t size = 0;
    uint64_t order = 0;
    sv_status st = path ? sv_file_read(path, 0, &m.text, &size, err) : sv_fail_memory(err, "SHA256SUMS", 0);
    if (st == SV_OK && strlen(m.text) != size) sv_check_fault(c, SV_FAULT_MANIFEST, 0, "SHA256SUMS", "holds a NUL byte; what follows is not read");
    if (st == SV_OK) st = read_lines(&m, err);
    if (st == SV_OK) st = sv_parallel(c->threads, m.count, 16, hash_files, &m, err);
    if (st == SV_OK && m.count) qsort(m.items, m.count, sizeof *m.items, by_name);
    if (st == SV_OK) st = find_strays(&m, "", 0, &order, err);
    free(m.items);
    free(m.text);
    free(path);
    return st;
}
