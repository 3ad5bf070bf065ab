#include "diffusion/model_files.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash_cache.h"
#include "infer/graph_file.h"

static const char *const tokenizer_files[] = {"vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                                              "added_tokens.json", "spiece.model", "tokenizer.model", "vocab.txt"};

void sv_file_list_free(sv_file_list *l) {
    for (size_t i = 0; i < l->count; i++) free(l->items[i]);
    free(l->items);
    *l = (sv_file_list){0};
}

sv_status sv_file_list_add(sv_file_list *l, const char *folder, const char *name, sv_error *err) {
    if (l->count == l->capacity) {
        size_t n = l->capacity ? l->capacity * 2 : 32;
        char **more = realloc(l->items, n * sizeof *more);
        if (!more) return sv_fail_memory(err, "list of files", n * sizeof *more);
        l->items = more;
        l->capacity = n;
    }
    char *path = folder ? sv_path_join(folder, name) : sv_strdup(name);
    if (!path) return sv_fail_memory(err, "list of files", 0);
    l->items[l->count++] = path;
    return SV_OK;
}

sv_status sv_file_list_add_graph(sv_file_list *l, const char *folder, const char *graph, sv_error *err) {
    sv_graph_file g;
    sv_status st = sv_graph_file_read(graph, &g, err);
    if (st == SV_OK) st = sv_file_list_add(l, folder, sv_path_base(graph), err);
    for (size_t i = 0; st == SV_OK && i < g.external_count; i++) {
        if (sv_path_is_inside(g.externals[i]))
            st = sv_file_list_add(l, folder, g.externals[i], err);
        else
            st = sv_fail(err, SV_E_MODEL, graph, "keeps weights outside its directory: %s", g.externals[i]);
    }
    sv_graph_file_free(&g);
    return st;
}

sv_status sv_file_list_add_tokenizer(sv_file_list *l, const char *folder, const char *dir, sv_error *err) {
    for (size_t i = 0; i < sizeof tokenizer_files / sizeof tokenizer_files[0]; i++) {
        char *path = sv_path_join(dir, tokenizer_files[i]);
        bool there = path && sv_is_file(path);
        free(path);
        if (there) SV_TRY(sv_file_list_add(l, folder, tokenizer_files[i], err));
    }
    return SV_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

sv_status sv_file_list_hash(sv_file_list *l, const char *root, char out[65], sv_error *err) {
    sv_sha256_stream *s = sv_sha256_begin();
    if (!s) return sv_fail_memory(err, root, 0);
    sv_status st = SV_OK;
    qsort(l->items, l->count, sizeof *l->items, by_name);
    for (size_t i = 0; st == SV_OK && i < l->count; i++) {
        char hex[SV_SHA256_HEX], *path = sv_path_join(root, l->items[i]);
        st = path ? sv_sha256_file_cached(path, hex, err) : sv_fail_memory(err, root, 0);
        free(path);
        if (st != SV_OK) break;
        sv_sha256_more(s, hex, 64);
        sv_sha256_more(s, "  ", 2);
        sv_sha256_more(s, l->items[i], strlen(l->items[i]));
        sv_sha256_more(s, "\n", 1);
    }
    uint8_t digest[32];
    sv_sha256_end(s, digest);
    if (st == SV_OK) sv_hex(digest, sizeof digest, out);
    return st;
}
