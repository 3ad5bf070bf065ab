/* options.h - one table describes a struct's settable fields: how to read them from JSON, check, write, and explain them.
 *
 * Every part of a recipe, every filter, exporter and scorer has such a table. The recipe checker, `synthvlm help recipe`, the
 * docs' tables and the canonical JSON of a setup all come from it, so a new option is one line.
 *
 *     typedef struct alnum_options { bool tokenization; double min_ratio, max_ratio; } alnum_options;
 *     static const sv_option alnum_table[] = {
 *         {"tokenization", SV_OPT_BOOL, offsetof(alnum_options, tokenization), "false", .help = "count tokens"},
 *         {"min_ratio", SV_OPT_REAL, offsetof(alnum_options, min_ratio), "0.25", .nullable = true, .help = "…"},
 *         {0}};
 */
#ifndef SV_BASE_OPTIONS_H
#define SV_BASE_OPTIONS_H

#include <yyjson.h>

#include "base/error.h"
#include "base/str.h"

typedef enum sv_option_type {
    SV_OPT_BOOL = 1, /* bool */
    SV_OPT_INT,      /* int64_t; JSON integers only. nullable: null is stored as INT64_MIN */
    SV_OPT_REAL,     /* double; JSON numbers. nullable: null is stored as NaN */
    SV_OPT_STRING,   /* char * (malloc, freed by sv_options_free). nullable: NULL */
    SV_OPT_PATH,     /* char *, resolved against the recipe's directory by the reader. nullable: NULL */
    SV_OPT_CHOICE,   /* int: index into choices. */
    SV_OPT_BYTES,    /* int64_t; an integer or "20KB", "1GB", "1 MiB": powers of 1000, with i of 1024 */
    SV_OPT_SIZE,     /* int32_t[2] = width, height; "512x512" */
    SV_OPT_AUTO_INT, /* int64_t; an integer or the word auto, stored as 0 */
    SV_OPT_JSON      /* char * (malloc): the sub-tree as JSON text, checked by whoever reads it. nullable: NULL */
} sv_option_type;

typedef struct sv_option {
    const char *name;
    sv_option_type type;
    size_t offset;
    const char *fallback;  /* the default as JSON text without quotes for strings ("0.25", "true", "jpeg", "null"); NULL: required */
    bool nullable;
    double min, max;       /* closed range for numbers; both 0: any */
    const char *choices;   /* "jpeg|png|webp" for SV_OPT_CHOICE; for SV_OPT_JSON what it may be, "a name or a mapping" */
    const char *help;      /* one line, ends without a full stop */
    bool later;            /* known, but not built yet: refused as not available */
} sv_option;

/* Sets every field to its default (required ones to zero). `out` is memory of the struct that the offsets refer to. */
sv_status sv_options_init(const sv_option *table, void *out, sv_error *err);

/* Reads a JSON object (NULL or JSON null: only defaults) over the defaults. Errors name `path`.key, what is allowed, and the nearest
 * known key for an unknown one. base_dir resolves SV_OPT_PATH (NULL: left as it is). On failure `out` is freed. */
sv_status sv_options_read(const sv_option *table, yyjson_val *object, const char *path, const char *base_dir, void *out, sv_error *err);

/* Adds every field, defaults included, to a mutable JSON object, in table order. Paths are written relative to base_dir (NULL: as they are). */
bool sv_options_write(const sv_option *table, const void *in, const char *base_dir, yyjson_mut_doc *doc, yyjson_mut_val *object);

/* Frees the strings of a struct and zeroes them. */
void sv_options_free(const sv_option *table, void *out);

/* "real 0..1, default 0.25" and the like, into buf. */
const char *sv_option_type_text(const sv_option *o, char *buf, size_t size);

/* Canonical JSON text (keys sorted by bytes, no spaces, shortest numbers) of a value: what setups hash. malloc; NULL when memory runs out. */
char *sv_json_canonical(yyjson_val *value);

#endif
