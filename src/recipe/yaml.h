/* yaml.h - a YAML text as a tree in which every node knows where it was written.
 *
 * YAML 1.2 (core schema), one document, text keys, no custom tags. What YAML 1.1 and 1.2 read differently (yes, no, on, off, 0123) is
 * refused rather than guessed. An alias is a copy of its anchor's value.
 */
#ifndef SV_RECIPE_YAML_H
#define SV_RECIPE_YAML_H

#include <yyjson.h>

#include "base/str.h"

typedef enum sv_yaml_kind { SV_YAML_NULL, SV_YAML_BOOL, SV_YAML_INT, SV_YAML_REAL, SV_YAML_TEXT, SV_YAML_LIST, SV_YAML_MAP } sv_yaml_kind;

typedef struct sv_yaml_item sv_yaml_item;

typedef struct sv_yaml {
    sv_yaml_kind kind;
    bool quoted;              /* a scalar in quotes or block style: always text */
    bool from_set;            /* written on the command line, not in the file */
    int line, column;         /* of the value, counted from 1; 0 for --set */
    char *text;               /* scalars: the characters, unescaped, NUL-terminated (a NUL inside is refused) */
    union {
        bool boolean;
        struct { uint64_t magnitude; bool negative; } integer;
        double real;
    } value;
    sv_yaml_item *items;      /* lists and maps */
    size_t count, capacity;
} sv_yaml;

struct sv_yaml_item {
    char *key;                /* maps; NULL in lists */
    int line, column;         /* of the key */
    sv_yaml *node;
};

/* Parses `size` bytes. Errors are named "`name`:line:column", for the command line (from_set) just `name`. The caller frees with
 * sv_yaml_free. *out is NULL for a text that holds no document. */
sv_status sv_yaml_parse(sv_yaml **out, const char *text, size_t size, const char *name, bool from_set, sv_error *err);
void sv_yaml_free(sv_yaml **y);

/* The value of a key, NULL if absent or if y is no map (y may be NULL). */
sv_yaml *sv_yaml_get(const sv_yaml *y, const char *key);

/* The deepest node that exists on the way "captions.sources[0].path" ("a.0.b" is the same), and through *item (may be NULL) the item
 * that holds it (NULL for the root). *whole (may be NULL) tells whether the whole path exists. In a list of one-key maps, such as the
 * process list, a name finds the first map that has it. */
sv_yaml *sv_yaml_find(const sv_yaml *root, const char *path, const sv_yaml_item **item, bool *whole);

/* Lays "a.b.0.c" = value over the tree, making maps on the way; takes over value in any case. An index that is the list's length appends.
 * Errors are named "--set path". */
sv_status sv_yaml_set(sv_yaml *root, const char *path, sv_yaml *value, sv_error *err);

/* A new, empty map that stands for a file without a document. NULL when memory runs out. */
sv_yaml *sv_yaml_new_map(void);

/* "a map", "a list", "text", "a number"… */
const char *sv_yaml_kind_text(const sv_yaml *y);

/* The tree as JSON values in doc; NULL when memory runs out. */
yyjson_mut_val *sv_yaml_json(const sv_yaml *y, yyjson_mut_doc *doc);

/* Writes a JSON value as YAML: maps in block style, lists of maps as "- {…}", indented by `indent` spaces; reads back as the same value. */
void sv_yaml_write(sv_buf *b, yyjson_val *v, int indent);
/* The same as one piece of flow style. */
void sv_yaml_write_flow(sv_buf *b, yyjson_val *v);

#endif
