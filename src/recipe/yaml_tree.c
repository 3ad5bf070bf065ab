/* yaml_tree.c - walking a tree by path, laying --set values over it, and turning it into JSON. */
#include <stdlib.h>
#include <string.h>

#include "recipe/yaml.h"

sv_yaml *sv_yaml_new_map(void) {
    sv_yaml *y = calloc(1, sizeof *y);
    if (!y) return NULL;
    y->kind = SV_YAML_MAP;
    y->line = y->column = 1;
    return y;
}

/* Takes the next part off a path: "sources[0].path" -> "sources", "0", "path". False at the end, or if the part does not fit. */
static bool next_part(const char **path, char *part, size_t size) {
    const char *p = *path;
    if (*p == '.' || *p == '[') p++;
    size_t n = strcspn(p, ".[]");
    if (n == 0 || n >= size) return false;
    memcpy(part, p, n);
    part[n] = '\0';
    p += n;
    if (*p == ']') p++;
    *path = p;
    return true;
}

/* A part as an index; -1 if it is not all digits. */
static long part_index(const char *part) {
    if (part[strspn(part, "0123456789")] != '\0' || strlen(part) > 6) return -1;
    return strtol(part, NULL, 10);
}

/* The item that a part names; NULL if there is none. */
static sv_yaml_item *step(const sv_yaml *y, const char *part) {
    if (y->kind == SV_YAML_MAP) {
        for (size_t i = 0; i < y->count; i++)
            if (strcmp(y->items[i].key, part) == 0) return &y->items[i];
    } else if (y->kind == SV_YAML_LIST) {
        long index = part_index(part);
        if (index >= 0) return (size_t)index < y->count ? &y->items[index] : NULL;
        for (size_t i = 0; i < y->count; i++) {
            sv_yaml *one = y->items[i].node;
            if (one->kind == SV_YAML_MAP && one->count == 1 && strcmp(one->items[0].key, part) == 0) return &one->items[0];
        }
    }
    return NULL;
}

sv_yaml *sv_yaml_find(const sv_yaml *root, const char *path, const sv_yaml_item **item, bool *whole) {
    const sv_yaml *at = root;
    char part[256];
    bool found = true;
    if (item) *item = NULL;
    while (found && next_part(&path, part, sizeof part)) {
        const sv_yaml_item *next = step(at, part);
        found = next != NULL;
        if (!found) break;
        at = next->node;
        if (item) *item = next;
    }
    if (whole) *whole = found && *path == '\0';
    return (sv_yaml *)at;
}

static bool append(sv_yaml *y, const char *key, sv_yaml *node) {
    sv_yaml_item *grown = realloc(y->items, (y->count + 1) * sizeof *grown);
    char *copy = grown && key ? sv_strdup(key) : NULL;
    if (grown) {
        y->items = grown;
        y->capacity = y->count + 1;
    }
    if (!grown || (key && !copy)) return false;
    y->items[y->count++] = (sv_yaml_item){.key = copy, .node = node};
    return true;
}

/* The slot that a part names in y, made (as null) where it may be; NULL with err set if it may not. */
static sv_yaml_item *make_step(sv_yaml *y, const char *part, const char *what, sv_error *err) {
    if (y->kind == SV_YAML_NULL) {   /* "generate:" with nothing below it, or a level just made */
        y->kind = part_index(part) == 0 ? SV_YAML_LIST : SV_YAML_MAP;
        free(y->text);
        y->text = NULL;
    }
    sv_yaml_item *item = step(y, part);
    if (item) return item;
    if (y->kind == SV_YAML_LIST && part_index(part) != (long)y->count) {
        sv_fail(err, SV_E_RECIPE, what, "the list has no item \"%s\"", part);
        sv_hint(err, SV_E_RECIPE, "it has %zu; items are counted from 0, and %zu would add one", y->count, y->count);
        return NULL;
    }
    if (y->kind != SV_YAML_LIST && y->kind != SV_YAML_MAP) {
        sv_fail(err, SV_E_RECIPE, what, "the recipe has %s where \"%s\" would have to be a key of a map", sv_yaml_kind_text(y), part);
        sv_hint(err, SV_E_RECIPE, "set the whole value to a map instead: --set 'KEY={%s: VALUE}'", part);
        return NULL;
    }
    sv_yaml *fresh = calloc(1, sizeof *fresh);
    if (fresh) fresh->from_set = true;
    if (!fresh || !append(y, y->kind == SV_YAML_MAP ? part : NULL, fresh)) {
        free(fresh);
        sv_fail_memory(err, what, 0);
        return NULL;
    }
    return &y->items[y->count - 1];
}

sv_status sv_yaml_set(sv_yaml *root, const char *path, sv_yaml *value, sv_error *err) {
    char what[300], part[256];
    snprintf(what, sizeof what, "--set %s", path);
    sv_yaml *at = root;
    sv_yaml_item *item = NULL;
    const char *rest = path;
    while (next_part(&rest, part, sizeof part)) {
        item = make_step(at, part, what, err);
        if (!item) {
            sv_yaml_free(&value);
            return SV_E_RECIPE;
        }
        at = item->node;
    }
    if (*rest || !item) {
        sv_yaml_free(&value);
        return sv_hint(err, sv_fail(err, SV_E_RECIPE, what, "not a key"), "write --set section.key=value, for example --set generate.steps=30");
    }
    sv_yaml_free(&item->node);
    item->node = value;
    return SV_OK;
}

yyjson_mut_val *sv_yaml_json(const sv_yaml *y, yyjson_mut_doc *doc) {
    yyjson_mut_val *out = NULL;
    switch (y->kind) {
    case SV_YAML_NULL: return yyjson_mut_null(doc);
    case SV_YAML_BOOL: return yyjson_mut_bool(doc, y->value.boolean);
    case SV_YAML_INT:
        if (y->value.integer.negative) return yyjson_mut_sint(doc, (int64_t)(0 - y->value.integer.magnitude));
        return yyjson_mut_uint(doc, y->value.integer.magnitude);
    case SV_YAML_REAL: return yyjson_mut_real(doc, y->value.real);
    case SV_YAML_TEXT: return yyjson_mut_strcpy(doc, y->text);
    case SV_YAML_LIST:
        out = yyjson_mut_arr(doc);
        for (size_t i = 0; out && i < y->count; i++) {
            yyjson_mut_val *v = sv_yaml_json(y->items[i].node, doc);
            if (!v || !yyjson_mut_arr_append(out, v)) return NULL;
        }
        return out;
    case SV_YAML_MAP:
        out = yyjson_mut_obj(doc);
        for (size_t i = 0; out && i < y->count; i++) {
            yyjson_mut_val *k = yyjson_mut_strcpy(doc, y->items[i].key), *v = sv_yaml_json(y->items[i].node, doc);
            if (!k || !v || !yyjson_mut_obj_add(out, k, v)) return NULL;
        }
        return out;
    }
    return NULL;
}
