#include "text/dedup/clusters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

enum { SHIFT = 16, BLOCK = 1 << SHIFT };

static const char what[] = "near-duplicate search";

static size_t block_bytes(const sv_clusters *c) { return c->bands * BLOCK * sizeof(uint64_t); }

static void free_keys(sv_clusters *c) {
    for (size_t i = 0; c->blocks && i < c->block_count; i++) {
        free(c->blocks[i]);
        c->blocks[i] = NULL;
    }
    if (c->file > 0) close(c->file);
    c->file = 0;
}

void sv_clusters_clear(sv_clusters *c) {
    free_keys(c);
    for (size_t i = 0; i < c->block_count; i++) free(c->numbers[i]);
    free(c->blocks);
    free(c->numbers);
    free(c->parent);
    *c = (sv_clusters){.bands = c->bands, .dir = c->dir};
}

/* ---- keys that went to disk ---- */

/* A file without a name: it is gone with the process, however that ends. */
static sv_status open_file(sv_clusters *c, sv_error *err) {
    sv_buf path = {0};
    sv_buf_printf(&path, "%s/minhash-XXXXXX", c->dir);
    sv_status st = sv_buf_ok(&path, err);
    if (st == SV_OK) {
        int fd = mkstemp(path.data);
        if (fd < 0) st = sv_fail_errno(err, path.data, "cannot create");
        else unlink(path.data);
        if (fd == 0) {           /* 0 stands for none */
            fd = dup(0);
            close(0);
            if (fd < 0) st = sv_fail_errno(err, path.data, "cannot open");
        }
        c->file = fd;
    }
    sv_buf_free(&path);
    return st;
}

static sv_status write_block(sv_clusters *c, size_t index, sv_error *err) {
    if (!c->file) SV_TRY(open_file(c, err));
    const char *from = (const char *)c->blocks[index];
    size_t size = block_bytes(c);
    for (size_t done = 0; done < size;) {
        ssize_t n = pwrite(c->file, from + done, size - done, (off_t)(index * size + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return sv_fail_errno(err, c->dir, "cannot write signatures of captions");
        done += (size_t)n;
    }
    return SV_OK;
}

/* The keys of one band, of every caption, into memory. */
static sv_status load_band(const sv_clusters *c, size_t band, uint64_t *keys, sv_error *err) {
    for (size_t b = 0; b < c->block_count; b++) {
        size_t n = c->count - (b << SHIFT) < BLOCK ? c->count - (b << SHIFT) : BLOCK, size = n * sizeof *keys;
        char *to = (char *)(keys + (b << SHIFT));
        if (c->blocks[b]) {
            memcpy(to, c->blocks[b] + (band << SHIFT), size);
            continue;
        }
        off_t at = (off_t)(b * block_bytes(c) + band * BLOCK * sizeof *keys);
        for (size_t done = 0; done < size;) {
            ssize_t got = pread(c->file, to + done, size - done, at + (off_t)done);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return sv_fail_errno(err, c->dir, "cannot read signatures of captions");
            if (got == 0) return sv_fail(err, SV_E_IO, c->dir, "the file with signatures of captions was cut short");
            done += (size_t)got;
        }
    }
    return SV_OK;
}

/* ---- learning ---- */

static sv_status add_block(sv_clusters *c, sv_error *err) {
    if (c->block_count == c->block_capacity) {
        size_t capacity = c->block_capacity ? c->block_capacity * 2 : 16;
        uint64_t **blocks = realloc(c->blocks, capacity * sizeof *blocks);
        if (blocks) c->blocks = blocks;
        uint64_t **numbers = realloc(c->numbers, capacity * sizeof *numbers);
        if (numbers) c->numbers = numbers;
        if (!blocks || !numbers) return sv_fail_memory(err, what, capacity * sizeof *blocks);
        c->block_capacity = capacity;
    }
    uint64_t *keys = NULL;
    if (c->dir && c->block_count) {              /* the full block goes to disk, and its memory is the next one's */
        SV_TRY(write_block(c, c->block_count - 1, err));
        keys = c->blocks[c->block_count - 1];
        c->blocks[c->block_count - 1] = NULL;
    } else {
        keys = malloc(block_bytes(c));
    }
    uint64_t *numbers = malloc(sizeof *numbers * BLOCK);
    if (!keys || !numbers) {
        free(keys);
        free(numbers);
        return sv_fail_memory(err, what, block_bytes(c) + sizeof *numbers * BLOCK);
    }
    c->blocks[c->block_count] = keys;
    c->numbers[c->block_count++] = numbers;
    return SV_OK;
}

sv_status sv_clusters_add(sv_clusters *c, const uint64_t *keys, uint64_t number, sv_error *err) {
    if (c->count >= UINT32_MAX - 1) return sv_fail(err, SV_E_INPUT, what, "more than 4,294,967,294 captions");
    if (c->count >> SHIFT == c->block_count) SV_TRY(add_block(c, err));
    uint64_t *block = c->blocks[c->count >> SHIFT];
    size_t at = c->count & (BLOCK - 1);
    for (size_t b = 0; b < c->bands; b++) block[(b << SHIFT) + at] = keys[b];
    c->numbers[c->count >> SHIFT][at] = number;
    c->count++;
    return SV_OK;
}

/* ---- settling ---- */

static uint32_t root_of(uint32_t *parent, uint32_t i) {
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

/* The earlier caption is always the root. */
static void join(uint32_t *parent, uint32_t i, uint32_t j) {
    uint32_t a = root_of(parent, i), b = root_of(parent, j);
    if (a < b) parent[b] = a;
    else parent[a] = b;
}

/* Looks every key of a band up among the earlier ones. The table holds caption indices only. */
static void join_band(sv_clusters *c, const uint64_t *keys, uint32_t *table, size_t mask) {
    memset(table, 0xFF, (mask + 1) * sizeof *table);
    for (size_t i = 0; i < c->count; i++) {
        uint64_t key = keys[i];
        if (key == 0) continue;
        size_t slot = (size_t)(key ^ key >> 32) & mask;
        while (table[slot] != UINT32_MAX && keys[table[slot]] != key) slot = (slot + 1) & mask;
        if (table[slot] == UINT32_MAX) table[slot] = (uint32_t)i;
        else join(c->parent, table[slot], (uint32_t)i);
    }
}

sv_status sv_clusters_settle(sv_clusters *c, sv_error *err) {
    size_t slots = 1024;
    while (slots < c->count + c->count / 2) slots *= 2;
    uint32_t *table = malloc(slots * sizeof *table);
    uint64_t *keys = malloc((c->count + 1) * sizeof *keys);
    c->parent = malloc((c->count + 1) * sizeof *c->parent);
    sv_status st = table && keys && c->parent ? SV_OK : sv_fail_memory(err, what, slots * sizeof *table + c->count * (sizeof *keys + sizeof *c->parent));
    for (size_t i = 0; st == SV_OK && i < c->count; i++) c->parent[i] = (uint32_t)i;
    for (size_t b = 0; st == SV_OK && b < c->bands; b++) {
        st = load_band(c, b, keys, err);
        if (st == SV_OK) join_band(c, keys, table, slots - 1);
    }
    for (size_t i = 0; st == SV_OK && i < c->count; i++) c->parent[i] = root_of(c->parent, (uint32_t)i);
    free(table);
    free(keys);
    free_keys(c);
    return st;
}

uint64_t sv_clusters_number(const sv_clusters *c, size_t i) { return c->numbers[i >> SHIFT][i & (BLOCK - 1)]; }
uint64_t sv_clusters_first(const sv_clusters *c, size_t i) { return sv_clusters_number(c, c->parent[i]); }
