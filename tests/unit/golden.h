/* golden.h - reading golden values: JSON lines, and the texts in them. */
#ifndef SV_TEST_GOLDEN_H
#define SV_TEST_GOLDEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <yyjson.h>

#include "base/file.h"

/* Every line of a JSON lines file, parsed. Fails the test if there is none. */
typedef struct golden {
    yyjson_doc **docs;
    size_t count;
} golden;

static inline golden golden_read(const char *path) {
    golden g = {0};
    char *data;
    size_t size;
    sv_error err = {0};
    if (sv_file_read(path, 0, &data, &size, &err) != SV_OK) fail_msg("%s: %s", path, err.why);
    for (char *p = data, *end = data + size; p < end;) {
        char *eol = memchr(p, '\n', (size_t)(end - p));
        if (!eol) eol = end;
        if (eol > p) {
            yyjson_doc *doc = yyjson_read(p, (size_t)(eol - p), YYJSON_READ_ALLOW_INF_AND_NAN);
            if (!doc) fail_msg("%s: line %zu is not JSON", path, g.count + 1);
            g.docs = realloc(g.docs, (g.count + 1) * sizeof *g.docs);
            assert_non_null(g.docs);
            g.docs[g.count++] = doc;
        }
        p = eol + 1;
    }
    free(data);
    assert_true(g.count > 0);
    return g;
}

static inline yyjson_val *golden_at(const golden *g, size_t i) { return yyjson_doc_get_root(g->docs[i]); }

static inline void golden_free(golden *g) {
    for (size_t i = 0; i < g->count; i++) yyjson_doc_free(g->docs[i]);
    free(g->docs);
    *g = (golden){0};
}

static inline yyjson_val *golden_get(yyjson_val *row, const char *key) {
    yyjson_val *v = yyjson_obj_get(row, key);
    if (!v) fail_msg("no \"%s\" in the golden line", key);
    return v;
}

static inline double golden_num(yyjson_val *row, const char *key) { return yyjson_get_num(golden_get(row, key)); }
static inline const char *golden_str(yyjson_val *row, const char *key) { return yyjson_get_str(golden_get(row, key)); }
static inline size_t golden_len(yyjson_val *row, const char *key) { return yyjson_get_len(golden_get(row, key)); }

#endif
