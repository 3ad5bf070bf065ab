#include "text/clusters.h"

#include <stdlib.h>
#include <string.h>

enum { SHIFT = 16, BLOCK = 1 << SHIFT };

static uint64_t key_at(const sv_clusters *c, size_t band, size_t i) { return c->blocks[i >> SHIFT][(band << SHIFT) + (i & (BLOCK - 1))]; }

static void free_blocks(sv_clusters *c) {
    for (size_t i = 0; c->blocks && i < c->block_count; i++) {
        free(c->blocks[i]);
        c->blocks[i] = NULL;
    }
}

void sv_clusters_clear(sv_clusters *c) {
    free_blocks(c);
    for (size_t i = 0; i < c->block_count; i++) free(c->numbers[i]);
    free(c->blocks);
    free(c->numbers);
    free(c->parent);
    *c = (sv_clusters){.bands = c->bands};
}

static sv_status add_block(sv_clusters *c, sv_error *err) {
    if (c->block_count == c->block_capacity) {
        size_t capacity = c->block_capacity ? c->block_capacity * 2 : 16;
        uint64_t **blocks = realloc(c->blocks, capacity * sizeof *blocks);
        if (blocks) c->blocks = blocks;
        uint64_t **numbers = realloc(c->numbers, capacity * sizeof *numbers);
        if (numbers) c->numbers = numbers;
        if (!blocks || !numbers) return sv_fail_memory(err, "near-duplicate search", capacity * sizeof *blocks);
        c->block_capacity = capacity;
    }
    uint64_t *keys = malloc(sizeof *keys * BLOCK * c->bands), *numbers = malloc(sizeof *numbers * BLOCK);
    if (!keys || !numbers) {
        free(keys);
        free(numbers);
        return sv_fail_memory(err, "near-duplicate search", sizeof *keys * BLOCK * (c->bands + 1));
    }
    c->blocks[c->block_count] = keys;
    c->numbers[c->block_count++] = numbers;
    return SV_OK;
}

sv_status sv_clusters_add(sv_clusters *c, const uint64_t *keys, uint64_t number, sv_error *err) {
    if (c->count >= UINT32_MAX - 1) return sv_fail(err, SV_E_INPUT, "near-duplicate search", "more than 4,294,967,294 captions");
    if (c->count >> SHIFT == c->block_count) SV_TRY(add_block(c, err));
    uint64_t *block = c->blocks[c->count >> SHIFT];
    size_t at = c->count & (BLOCK - 1);
    for (size_t b = 0; b < c->bands; b++) block[(b << SHIFT) + at] = keys[b];
    c->numbers[c->count >> SHIFT][at] = number;
    c->count++;
    return SV_OK;
}

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

/* Looks every key of a band up among the earlier ones. The table holds caption indices only; the keys stay where they are. */
static void join_band(sv_clusters *c, size_t band, uint32_t *table, size_t mask) {
    memset(table, 0xFF, (mask + 1) * sizeof *table);
    for (size_t i = 0; i < c->count; i++) {
        uint64_t key = key_at(c, band, i);
        if (key == 0) continue;
        size_t slot = (size_t)(key ^ key >> 32) & mask;
        while (table[slot] != UINT32_MAX && key_at(c, band, table[slot]) != key) slot = (slot + 1) & mask;
        if (table[slot] == UINT32_MAX) table[slot] = (uint32_t)i;
        else join(c->parent, table[slot], (uint32_t)i);
    }
}

sv_status sv_clusters_settle(sv_clusters *c, sv_error *err) {
    size_t slots = 1024;
    while (slots < c->count + c->count / 2) slots *= 2;
    uint32_t *table = malloc(slots * sizeof *table);
    c->parent = malloc((c->count + 1) * sizeof *c->parent);
    if (!table || !c->parent) {
        free(table);
        return sv_fail_memory(err, "near-duplicate search", slots * sizeof *table);
    }
    for (size_t i = 0; i < c->count; i++) c->parent[i] = (uint32_t)i;
    for (size_t b = 0; b < c->bands; b++) join_band(c, b, table, slots - 1);
    for (size_t i = 0; i < c->count; i++) c->parent[i] = root_of(c->parent, (uint32_t)i);
    free(table);
    free_blocks(c);
    return SV_OK;
}

uint64_t sv_clusters_number(const sv_clusters *c, size_t i) { return c->numbers[i >> SHIFT][i & (BLOCK - 1)]; }
uint64_t sv_clusters_first(const sv_clusters *c, size_t i) { return sv_clusters_number(c, c->parent[i]); }
