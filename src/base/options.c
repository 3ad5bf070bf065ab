#include "base/options.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static void *field(const sv_option *o, void *base) {
    return (char *)base + o->offset;
}

static const void *field_const(const sv_option *o, const void *base) {
    return (const char *)base + o->offset;
}

static bool is_text(const sv_option *o) {
    return o->type == SV_OPT_STRING || o->type == SV_OPT_PATH || o->type == SV_OPT_JSON;
}

/* Index of a word in "a|b|c", or -1. */
static int choice_index(const char *choices, const char *word, size_t n) {
    int i = 0;
    for (const char *p = choices; p; i++) {
        const char *end = strchr(p, '|');
        size_t len = end ? (size_t)(end - p) : strlen(p);
        if (len == n && memcmp(p, word, n) == 0) return i;
        p = end ? end + 1 : NULL;
    }
    return -1;
}

static void choice_name(const char *choices, int index, const char **word, size_t *n) {
    const char *p = choices;
    while (index-- > 0 && p && (p = strchr(p, '|'))) p++;
    const char *end = p ? strchr(p, '|') : NULL;
    *word = p ? p : "";
    *n = end ? (size_t)(end - p) : strlen(*word);
}

/* "20", "20KB", "1.5 GiB" -> bytes; -1 if it is not such a text. */
static int64_t parse_bytes(const char *s) {
    static const struct {
        const char *unit;
        double factor;
    } units[] = {{"", 1},          {"B", 1},           {"KB", 1e3},          {"K", 1e3},           {"MB", 1e6},   {"M", 1e6},
                 {"GB", 1e9},      {"G", 1e9},         {"TB", 1e12},         {"T", 1e12},          {"KIB", 1024}, {"MIB", 1048576},
                 {"GIB", 0x1p30}, {"TIB", 0x1p40}};
    char *end;
    if (!isdigit((unsigned char)*s)) return -1;
    double v = strtod(s, &end);
    while (*end == ' ') end++;
    char unit[8];
    size_t n = strlen(end);
    if (n >= sizeof unit) return -1;
    for (size_t i = 0; i < n; i++) unit[i] = (char)toupper((unsigned char)end[i]);
    unit[n] = 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (!strcmp(unit, units[i].unit)) {
            double bytes = v * units[i].factor;
            return bytes < 9e18 ? (int64_t)bytes : -1;
        }
    return -1;
}

/* "512x384" -> width, height. */
static bool parse_size(const char *s, int32_t out[2]) {
    char *end;
    if (!isdigit((unsigned char)*s)) return false;
    long w = strtol(s, &end, 10);
    if ((*end != 'x' && *end != 'X') || !isdigit((unsigned char)end[1])) return false;
    long h = strtol(end + 1, &end, 10);
    if (*end || w < 1 || h < 1 || w > 1 << 16 || h > 1 << 16) return false;
    out[0] = (int32_t)w;
    out[1] = (int32_t)h;
    return true;
}

const char *sv_option_type_text(const sv_option *o, char *buf, size_t size) {
    static const char *const names[] = {[SV_OPT_BOOL] = "true or false",  [SV_OPT_INT] = "an integer",    [SV_OPT_REAL] = "a number",
                                        [SV_OPT_STRING] = "a text",       [SV_OPT_PATH] = "a path",       [SV_OPT_CHOICE] = "one of",
                                        [SV_OPT_BYTES] = "a size in bytes such as 500MB",                 [SV_OPT_SIZE] = "a size WIDTHxHEIGHT such as 512x512",
                                        [SV_OPT_AUTO_INT] = "an integer or auto", [SV_OPT_JSON] = "a list or mapping"};
    sv_buf b = {0};
    sv_buf_puts(&b, o->type == SV_OPT_JSON && o->choices ? o->choices : names[o->type]);
    if (o->type == SV_OPT_CHOICE) {
        sv_buf_putc(&b, ' ');
        for (const char *p = o->choices; *p; p++) {
            if (*p == '|')
                sv_buf_puts(&b, ", ");
            else
                sv_buf_putc(&b, *p);
        }
    }
    if (o->min != 0 || o->max != 0) {
        char lo[32], hi[32];
        if (o->max >= 9e18)
            sv_buf_printf(&b, " of at least %s", sv_real_text(o->min, lo));
        else
            sv_buf_printf(&b, " from %s to %s", sv_real_text(o->min, lo), sv_real_text(o->max, hi));
    }
    if (o->nullable) sv_buf_puts(&b, ", or null");
    snprintf(buf, size, "%s", b.data ? b.data : "");
    sv_buf_free(&b);
    return buf;
}

static sv_status wrong(const sv_option *o, const char *path, const char *got, sv_error *err) {
    char allowed[256];
    return sv_fail(err, SV_E_RECIPE, path, "must be %s, not %s", sv_option_type_text(o, allowed, sizeof allowed), got);
}

/* A value as it would be shown in a message: cut, never multi-line. */
static const char *shown(yyjson_val *v, char *buf, size_t size) {
    if (yyjson_is_obj(v)) return "a mapping";
    if (yyjson_is_arr(v)) return "a list";
    char *json = yyjson_val_write(v, 0, NULL);
    snprintf(buf, size, "%.60s%s", json ? json : "?", json && strlen(json) > 60 ? "…" : "");
    free(json);
    return buf;
}

static sv_status set_text(const sv_option *o, char **slot, char *text, const char *path, sv_error *err) {
    if (!text) return sv_fail_memory(err, path, 0);
    free(*slot);
    *slot = text;
    return SV_OK;
}

static sv_status check_number(const sv_option *o, double v, const char *path, const char *got, sv_error *err) {
    if ((o->min != 0 || o->max != 0) && !(v >= o->min && v <= o->max)) return wrong(o, path, got, err);
    return SV_OK;
}

/* Stores one JSON value in its field. */
static sv_status read_value(const sv_option *o, yyjson_val *v, const char *path, const char *base_dir, void *out, sv_error *err) {
    char buf[128];
    const char *got = shown(v, buf, sizeof buf);
    void *slot = field(o, out);
    if (yyjson_is_null(v) && !o->nullable) return wrong(o, path, "null", err);
    switch (o->type) {
    case SV_OPT_BOOL:
        if (!yyjson_is_bool(v)) return wrong(o, path, got, err);
        *(bool *)slot = yyjson_get_bool(v);
        return SV_OK;
    case SV_OPT_INT:
    case SV_OPT_AUTO_INT: {
        if (yyjson_is_null(v)) {
            *(int64_t *)slot = INT64_MIN;
            return SV_OK;
        }
        if (o->type == SV_OPT_AUTO_INT && yyjson_equals_str(v, "auto")) {
            *(int64_t *)slot = 0;
            return SV_OK;
        }
        bool whole = yyjson_is_int(v) && !(yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX);
        if (!whole) return wrong(o, path, got, err);
        SV_TRY(check_number(o, (double)yyjson_get_sint(v), path, got, err));
        *(int64_t *)slot = yyjson_get_sint(v);
        return SV_OK;
    }
    case SV_OPT_REAL:
        if (yyjson_is_null(v)) {
            *(double *)slot = NAN;
            return SV_OK;
        }
        if (!yyjson_is_num(v)) return wrong(o, path, got, err);
        SV_TRY(check_number(o, yyjson_get_num(v), path, got, err));
        *(double *)slot = yyjson_get_num(v);
        return SV_OK;
    case SV_OPT_STRING:
    case SV_OPT_PATH: {
        if (yyjson_is_null(v)) {
            free(*(char **)slot);
            *(char **)slot = NULL;
            return SV_OK;
        }
        if (!yyjson_is_str(v)) return wrong(o, path, got, err);
        const char *s = yyjson_get_str(v);
        if (strlen(s) != yyjson_get_len(v)) return sv_fail(err, SV_E_RECIPE, path, "must not hold a NUL character");
        bool join = o->type == SV_OPT_PATH && base_dir && strcmp(s, "-") != 0;
        return set_text(o, slot, join ? sv_path_join(base_dir, s) : sv_strdup(s), path, err);
    }
    case SV_OPT_CHOICE: {
        int i = yyjson_is_str(v) ? choice_index(o->choices, yyjson_get_str(v), yyjson_get_len(v)) : -1;
        if (i < 0) {   /* choices that read as numbers in YAML, such as 2.5 */
            char *json = yyjson_is_num(v) ? yyjson_val_write(v, 0, NULL) : NULL;
            if (json) i = choice_index(o->choices, json, strlen(json));
            free(json);
        }
        if (i < 0) return wrong(o, path, got, err);
        *(int *)slot = i;
        return SV_OK;
    }
    case SV_OPT_BYTES: {
        int64_t n = yyjson_is_str(v) ? parse_bytes(yyjson_get_str(v)) : yyjson_is_uint(v) ? (int64_t)yyjson_get_uint(v) : -1;
        if (n < 0) return wrong(o, path, got, err);
        SV_TRY(check_number(o, (double)n, path, got, err));
        *(int64_t *)slot = n;
        return SV_OK;
    }
    case SV_OPT_SIZE: {
        int32_t *size = slot;
        if (yyjson_is_null(v)) {
            size[0] = size[1] = 0;
            return SV_OK;
        }
        if (!yyjson_is_str(v) || !parse_size(yyjson_get_str(v), size)) return wrong(o, path, got, err);
        return SV_OK;
    }
    case SV_OPT_JSON:
        if (yyjson_is_null(v) && o->nullable) {
            free(*(char **)slot);
            *(char **)slot = NULL;
            return SV_OK;
        }
        return set_text(o, slot, yyjson_val_write(v, YYJSON_WRITE_ALLOW_INF_AND_NAN, NULL), path, err);
    }
    return sv_fail(err, SV_E_INTERNAL, path, "option of unknown type");
}

/* Stores the default. Words are stored as they are, everything else is read as JSON. */
static sv_status read_default(const sv_option *o, void *out, sv_error *err) {
    if (!o->fallback || o->later) return SV_OK;
    bool word = (o->type == SV_OPT_STRING || o->type == SV_OPT_PATH || o->type == SV_OPT_CHOICE || o->type == SV_OPT_SIZE || o->type == SV_OPT_BYTES ||
                 o->type == SV_OPT_AUTO_INT) && strcmp(o->fallback, "null") != 0 && !(isdigit((unsigned char)*o->fallback) && o->type == SV_OPT_AUTO_INT);
    sv_buf json = {0};
    sv_buf_printf(&json, word ? "\"%s\"" : "%s", o->fallback);
    SV_TRY(sv_buf_ok(&json, err));
    yyjson_doc *doc = yyjson_read(json.data, json.size, 0);
    sv_buf_free(&json);
    if (!doc) return sv_fail(err, SV_E_INTERNAL, o->name, "the option table holds an unreadable default");
    sv_option any = *o;      /* a default may lie outside the range that users may set, such as 0 for "automatic" */
    any.min = any.max = 0;
    any.nullable = true;
    sv_status st = read_value(&any, yyjson_doc_get_root(doc), o->name, NULL, out, err);
    yyjson_doc_free(doc);
    return st;
}

sv_status sv_options_init(const sv_option *table, void *out, sv_error *err) {
    for (const sv_option *o = table; o->name; o++)
        if (is_text(o) && !o->later) *(char **)field(o, out) = NULL;
    for (const sv_option *o = table; o->name; o++) {
        sv_status st = read_default(o, out, err);
        if (st != SV_OK) {
            sv_options_free(table, out);
            return st;
        }
    }
    return SV_OK;
}

static sv_status unknown_key(const sv_option *table, const char *path, const char *key, sv_error *err) {
    const char *names[256];
    size_t n = 0;
    sv_buf all = {0};
    for (const sv_option *o = table; o->name && n < 256; o++) {
        if (o->later) continue;
        names[n++] = o->name;
        sv_buf_printf(&all, "%s%s", n > 1 ? ", " : "", o->name);
    }
    const char *near = sv_nearest(key, names, n);
    sv_fail(err, SV_E_RECIPE, path, "unknown key");
    if (near)
        sv_hint(err, SV_E_RECIPE, "did you mean \"%s\"? Known here: %s", near, all.data);
    else
        sv_hint(err, SV_E_RECIPE, n ? "known here: %s" : "nothing can be set here%s", n ? all.data : "");
    sv_buf_free(&all);
    return SV_E_RECIPE;
}

static sv_status read_object(const sv_option *table, yyjson_val *object, const char *path, const char *base_dir, void *out, sv_error *err) {
    if (!object || yyjson_is_null(object)) object = NULL;
    if (object && !yyjson_is_obj(object)) {
        char buf[128];
        return sv_fail(err, SV_E_RECIPE, path, "must be a mapping, not %s", shown(object, buf, sizeof buf));
    }
    sv_buf where = {0};
    sv_status st = SV_OK;
    size_t i, n;
    yyjson_val *key, *value;
    if (object) yyjson_obj_foreach(object, i, n, key, value) {
        const char *name = yyjson_get_str(key);
        sv_buf_clear(&where);
        sv_buf_printf(&where, "%s%s%s", path, *path ? "." : "", name);
        SV_TRY_GOTO(done, sv_buf_ok(&where, err));
        const sv_option *o = table;
        while (o->name && strcmp(o->name, name) != 0) o++;
        if (!o->name) {
            st = unknown_key(table, where.data, name, err);
            goto done;
        }
        if (o->later) {
            st = sv_fail(err, SV_E_RECIPE, where.data, "is not available in this version");
            goto done;
        }
        if (yyjson_obj_get(object, name) != value) {
            st = sv_fail(err, SV_E_RECIPE, where.data, "is given twice");
            goto done;
        }
        SV_TRY_GOTO(done, read_value(o, value, where.data, base_dir, out, err));
    }
    for (const sv_option *o = table; o->name; o++)
        if (!o->fallback && !o->later && !(object && yyjson_obj_get(object, o->name))) {
            char allowed[256];
            sv_buf_clear(&where);
            sv_buf_printf(&where, "%s%s%s", path, *path ? "." : "", o->name);
            st = sv_fail(err, SV_E_RECIPE, where.data ? where.data : path, "is missing: %s is required", sv_option_type_text(o, allowed, sizeof allowed));
            goto done;
        }
done:
    sv_buf_free(&where);
    return st;
}

sv_status sv_options_read(const sv_option *table, yyjson_val *object, const char *path, const char *base_dir, void *out, sv_error *err) {
    SV_TRY(sv_options_init(table, out, err));
    sv_status st = read_object(table, object, path ? path : "", base_dir, out, err);
    if (st != SV_OK) sv_options_free(table, out);
    return st;
}

void sv_options_free(const sv_option *table, void *out) {
    for (const sv_option *o = table; o->name; o++) {
        if (!is_text(o) || o->later) continue;
        char **slot = field(o, out);
        free(*slot);
        *slot = NULL;
    }
}

static yyjson_mut_val *text_value(yyjson_mut_doc *doc, const sv_option *o, const char *s, const char *base_dir) {
    if (!s) return yyjson_mut_null(doc);
    if (o->type == SV_OPT_JSON) {
        yyjson_doc *sub = yyjson_read(s, strlen(s), YYJSON_READ_ALLOW_INF_AND_NAN);
        yyjson_mut_val *v = sub ? yyjson_val_mut_copy(doc, yyjson_doc_get_root(sub)) : NULL;
        yyjson_doc_free(sub);
        return v;
    }
    if (o->type == SV_OPT_PATH && base_dir && strcmp(s, "-") != 0) {
        char *relative = sv_path_relative(s, base_dir);
        yyjson_mut_val *v = relative ? yyjson_mut_strcpy(doc, relative) : NULL;
        free(relative);
        return v;
    }
    return yyjson_mut_strcpy(doc, s);
}

bool sv_options_write(const sv_option *table, const void *in, const char *base_dir, yyjson_mut_doc *doc, yyjson_mut_val *object) {
    for (const sv_option *o = table; o->name; o++) {
        if (o->later) continue;
        const void *slot = field_const(o, in);
        yyjson_mut_val *v = NULL;
        switch (o->type) {
        case SV_OPT_BOOL: v = yyjson_mut_bool(doc, *(const bool *)slot); break;
        case SV_OPT_AUTO_INT:
        case SV_OPT_INT:
        case SV_OPT_BYTES: {
            int64_t n = *(const int64_t *)slot;
            if (o->type == SV_OPT_AUTO_INT && n == 0)
                v = yyjson_mut_str(doc, "auto");
            else if (n == INT64_MIN)
                v = yyjson_mut_null(doc);
            else
                v = n < 0 ? yyjson_mut_sint(doc, n) : yyjson_mut_uint(doc, (uint64_t)n);
            break;
        }
        case SV_OPT_REAL: {
            double d = *(const double *)slot;
            v = isnan(d) ? yyjson_mut_null(doc) : yyjson_mut_real(doc, d);
            break;
        }
        case SV_OPT_CHOICE: {
            const char *word;
            size_t n;
            choice_name(o->choices, *(const int *)slot, &word, &n);
            v = yyjson_mut_strncpy(doc, word, n);
            break;
        }
        case SV_OPT_SIZE: {
            const int32_t *size = slot;
            char text[32];
            snprintf(text, sizeof text, "%dx%d", size[0], size[1]);
            v = size[0] ? yyjson_mut_strcpy(doc, text) : yyjson_mut_null(doc);
            break;
        }
        case SV_OPT_STRING:
        case SV_OPT_PATH:
        case SV_OPT_JSON: v = text_value(doc, o, *(char *const *)slot, base_dir); break;
        }
        if (!v || !yyjson_mut_obj_add(object, yyjson_mut_str(doc, o->name), v)) return false;
    }
    return true;
}

/* ---- canonical JSON ---- */

static void add_canonical(sv_buf *b, yyjson_val *v);

static int by_key(const void *a, const void *b) {
    yyjson_val *x = *(yyjson_val *const *)a, *y = *(yyjson_val *const *)b;
    return strcmp(yyjson_get_str(x), yyjson_get_str(y));
}

static void add_string(sv_buf *b, const char *s, size_t n) {
    sv_buf_putc(b, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\')
            sv_buf_printf(b, "\\%c", c);
        else if (c < 0x20)
            sv_buf_printf(b, "\\u%04x", c);
        else
            sv_buf_putc(b, (char)c);
    }
    sv_buf_putc(b, '"');
}

static void add_object(sv_buf *b, yyjson_val *v) {
    size_t n = yyjson_obj_size(v), i, max;
    yyjson_val **keys = malloc((n ? n : 1) * sizeof *keys), *key, *value;
    if (!keys) {
        b->failed = true;
        return;
    }
    yyjson_obj_foreach(v, i, max, key, value) keys[i] = key;
    qsort(keys, n, sizeof *keys, by_key);
    sv_buf_putc(b, '{');
    for (i = 0; i < n; i++) {
        if (i) sv_buf_putc(b, ',');
        add_string(b, yyjson_get_str(keys[i]), yyjson_get_len(keys[i]));
        sv_buf_putc(b, ':');
        add_canonical(b, yyjson_obj_iter_get_val(keys[i]));
    }
    sv_buf_putc(b, '}');
    free(keys);
}

static void add_canonical(sv_buf *b, yyjson_val *v) {
    char num[32];
    size_t i, n;
    yyjson_val *item;
    if (yyjson_is_obj(v))
        add_object(b, v);
    else if (yyjson_is_arr(v)) {
        sv_buf_putc(b, '[');
        yyjson_arr_foreach(v, i, n, item) {
            if (i) sv_buf_putc(b, ',');
            add_canonical(b, item);
        }
        sv_buf_putc(b, ']');
    } else if (yyjson_is_str(v))
        add_string(b, yyjson_get_str(v), yyjson_get_len(v));
    else if (yyjson_is_uint(v))
        sv_buf_printf(b, "%llu", (unsigned long long)yyjson_get_uint(v));
    else if (yyjson_is_sint(v))
        sv_buf_printf(b, "%lld", (long long)yyjson_get_sint(v));
    else if (yyjson_is_real(v))   /* 5.0 and 5 are the same setting */
        sv_buf_puts(b, sv_real_text(yyjson_get_real(v), num));
    else
        sv_buf_puts(b, yyjson_is_null(v) ? "null" : yyjson_get_bool(v) ? "true" : "false");
}

char *sv_json_canonical(yyjson_val *value) {
    sv_buf b = {0};
    add_canonical(&b, value);
    if (b.failed) sv_buf_free(&b);
    return b.data;
}
