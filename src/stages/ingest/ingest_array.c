/* ingest_array.c - the items of a JSON array, one at a time: however long the array is, only one item is in memory.
 *
 * Only brackets, quotes and commas are looked at here, to find where an item ends; what is in it is read by yyjson. So a file that is cut short or whose
 * brackets do not match is an error, and an item that is no JSON is that item's fault. */
#include <string.h>

#include "stages/ingest/ingest.h"

/* The next byte that is no white space, not taken; -1 at the end. */
static sv_status look(sv_items *a, int *c, sv_error *err) {
    for (;;) {
        const char *p;
        size_t n, i = 0;
        SV_TRY(sv_stream_peek(a->in, 1, &p, &n, err));
        while (i < n && (p[i] == ' ' || p[i] == '\n' || p[i] == '\r' || p[i] == '\t')) a->line += p[i++] == '\n';
        sv_stream_skip(a->in, i);
        *c = i < n ? (unsigned char)p[i] : -1;
        if (i < n || !n) return SV_OK;
    }
}

static sv_status broken(const sv_items *a, const char *why, sv_error *err) {
    return sv_fail(err, SV_E_INPUT, a->path, "is not JSON: %s on line %lld", why, (long long)a->line);
}

/* Finds the end of the value that begins here, looking at ever more bytes of the file. keep false: takes them as it goes, for a value that nobody wants. */
static sv_status measure(sv_items *a, bool keep, size_t *size, sv_error *err) {
    size_t i = 0, depth = 0;
    bool text = false, escaped = false;
    for (;;) {
        const char *p;
        size_t n;
        SV_TRY(sv_stream_peek(a->in, i + 1, &p, &n, err));
        if (i >= n) return broken(a, "the file is cut short", err);
        for (; i < n; i++) {
            char c = p[i];
            if (c == '\n') a->line++;
            if (text) {
                if (escaped) escaped = false;
                else if (c == '\\') escaped = true;
                else if (c == '"') text = false;
                if (!text && !depth) {
                    *size = i + 1;
                    return SV_OK;
                }
            } else if (c == '"') {
                text = true;
            } else if (c == '{' || c == '[') {
                depth++;
            } else if (c == '}' || c == ']' || c == ',') {
                if (!depth) {   /* the end of a number or word: the bracket or comma is not part of it */
                    *size = i;
                    return SV_OK;
                }
                if (c != ',' && --depth == 0) {
                    *size = i + 1;
                    return SV_OK;
                }
            }
        }
        if (!keep) {
            sv_stream_skip(a->in, i);
            i = 0;
        }
    }
}

static sv_status skip_value(sv_items *a, sv_error *err) {
    size_t n;
    SV_TRY(measure(a, false, &n, err));
    sv_stream_skip(a->in, n);
    return SV_OK;
}

static void begin(sv_items *a, sv_stream *in, const char *path) {
    *a = (sv_items){.in = in, .path = path, .line = 1};
}

sv_status sv_items_open(sv_items *a, sv_stream *in, const char *path, bool *found, sv_error *err) {
    int c;
    begin(a, in, path);
    SV_TRY(look(a, &c, err));
    *found = c == '[';
    if (*found) sv_stream_skip(in, 1);
    return SV_OK;
}

sv_status sv_items_open_key(sv_items *a, sv_stream *in, const char *path, const char *key, bool *found, sv_error *err) {
    int c;
    begin(a, in, path);
    *found = false;
    SV_TRY(look(a, &c, err));
    if (c != '{') return SV_OK;
    a->in_object = true;
    sv_stream_skip(in, 1);
    for (bool first = true;; first = false) {
        const char *p;
        size_t n, size;
        SV_TRY(look(a, &c, err));
        if (c == '}') return SV_OK;
        if (!first) {
            if (c != ',') return broken(a, "a comma is missing", err);
            sv_stream_skip(in, 1);
            SV_TRY(look(a, &c, err));
        }
        if (c != '"') return broken(a, "a key is missing", err);
        SV_TRY(measure(a, true, &size, err));
        SV_TRY(sv_stream_peek(in, size, &p, &n, err));
        bool same = size == strlen(key) + 2 && memcmp(p + 1, key, size - 2) == 0;
        sv_stream_skip(in, size);
        SV_TRY(look(a, &c, err));
        if (c != ':') return broken(a, "a colon is missing", err);
        sv_stream_skip(in, 1);
        SV_TRY(look(a, &c, err));
        if (same && c == '[') {
            *found = true;
            sv_stream_skip(in, 1);
            return SV_OK;
        }
        SV_TRY(skip_value(a, err));
    }
}

/* After the array: nothing, or the rest of the object that it is in. */
static sv_status finish(sv_items *a, sv_error *err) {
    int c;
    SV_TRY(look(a, &c, err));
    while (a->in_object && c == ',') {
        sv_stream_skip(a->in, 1);
        SV_TRY(look(a, &c, err));
        SV_TRY(skip_value(a, err));
        SV_TRY(look(a, &c, err));
        if (c != ':') return broken(a, "a colon is missing", err);
        sv_stream_skip(a->in, 1);
        SV_TRY(look(a, &c, err));
        SV_TRY(skip_value(a, err));
        SV_TRY(look(a, &c, err));
    }
    if (a->in_object) {
        if (c != '}') return broken(a, c < 0 ? "the file is cut short" : "a comma is missing", err);
        sv_stream_skip(a->in, 1);
        SV_TRY(look(a, &c, err));
    }
    return c < 0 ? SV_OK : broken(a, "something follows its end", err);
}

sv_status sv_items_next(sv_items *a, const char **item, size_t *size, bool *end, sv_error *err) {
    int c;
    size_t n;
    *end = false;
    if (a->taken) sv_stream_skip(a->in, a->taken);
    a->taken = 0;
    SV_TRY(look(a, &c, err));
    if (c == ']') {
        sv_stream_skip(a->in, 1);
        *end = true;
        return finish(a, err);
    }
    if (a->count) {
        if (c != ',') return broken(a, c < 0 ? "the file is cut short" : "a comma is missing", err);
        sv_stream_skip(a->in, 1);
        SV_TRY(look(a, &c, err));
    }
    a->item_line = a->line;
    SV_TRY(measure(a, true, size, err));
    if (!*size) return broken(a, "a value is missing", err);
    SV_TRY(sv_stream_peek(a->in, *size, item, &n, err));
    a->taken = *size;
    a->count++;
    return SV_OK;
}
