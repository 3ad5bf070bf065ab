/* recipe_text.c - a recipe written out: the copy in the run directory, and the commented one of `synthvlm help recipe`. */
#include <stdlib.h>
#include <string.h>

#include "recipe/recipe.h"
#include "recipe/yaml.h"
#include "synthvlm/diffusion.h"
#include "synthvlm/score.h"

/* ---- struct to JSON ---- */

static sv_status write_exports(const sv_recipe *r, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err) {
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    bool done = list && yyjson_mut_obj_add(object, yyjson_mut_str(doc, "export"), list);
    for (size_t i = 0; done && i < r->export_count; i++) {
        yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, list);
        yyjson_doc *options = yyjson_read(r->exports[i].options, strlen(r->exports[i].options), 0);
        done = item && options && yyjson_mut_obj_add_str(doc, item, "format", sv_export_formats[r->exports[i].format]->name);
        size_t k, n;
        yyjson_val *key, *value;
        if (done) {
            yyjson_obj_foreach(yyjson_doc_get_root(options), k, n, key, value)
                done = done && yyjson_mut_obj_add(item, yyjson_val_mut_copy(doc, key), yyjson_val_mut_copy(doc, value));
        }
        yyjson_doc_free(options);
    }
    return done ? SV_OK : sv_fail_memory(err, "export", 0);
}

static sv_status write_list(const sv_section *s, const char *parent, const char *dir, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err) {
    const char *items = *(char *const *)(parent + s->offset);
    size_t n = *(const size_t *)(parent + s->count_offset);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    if (!list || !yyjson_mut_obj_add(object, yyjson_mut_str(doc, s->key), list)) return sv_fail_memory(err, s->key, 0);
    for (size_t i = 0; i < n; i++) {
        yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, list);
        if (!item || !sv_options_write(s->options, items + i * s->item_size, dir, doc, item)) return sv_fail_memory(err, s->key, 0);
    }
    return SV_OK;
}

/* A section of which only its plain key differs from the defaults is written as that key's value. */
static bool is_plain(const sv_section *s, yyjson_mut_val *object, yyjson_mut_doc *doc, sv_status *st, sv_error *err) {
    yyjson_mut_val *other = yyjson_mut_obj(doc);
    void *defaults = calloc(1, s->item_size);
    *st = other && defaults ? sv_options_init(s->options, defaults, err) : sv_fail_memory(err, s->key, 0);
    if (*st == SV_OK && !sv_options_write(s->options, defaults, NULL, doc, other)) *st = sv_fail_memory(err, s->key, 0);
    if (defaults) sv_options_free(s->options, defaults);
    free(defaults);
    if (*st != SV_OK) return false;
    yyjson_mut_obj_put(other, yyjson_mut_str(doc, s->plain), yyjson_mut_val_mut_copy(doc, yyjson_mut_obj_get(object, s->plain)));
    return yyjson_mut_equals(object, other);
}

/* Lists first: a recipe begins with its sources. */
static sv_status write_section(const sv_section *s, const sv_recipe *r, const void *parent, const char *dir, yyjson_mut_doc *doc,
                               yyjson_mut_val *object, sv_error *err) {
    const char *in = (const char *)parent + s->offset;
    for (const sv_section *c = s->children; c && c->key; c++)
        if (c->kind == SV_SECTION_LIST) SV_TRY(write_list(c, in, dir, doc, object, err));
    if (s->options && !sv_options_write(s->options, in, dir, doc, object)) return sv_fail_memory(err, s->key, 0);
    for (const sv_section *c = s->children; c && c->key; c++) {
        if (c->kind == SV_SECTION_EXPORTS) SV_TRY(write_exports(r, doc, object, err));
        if (c->kind != SV_SECTION_MAP) continue;
        yyjson_mut_val *child = yyjson_mut_obj(doc);
        if (!child || !yyjson_mut_obj_add(object, yyjson_mut_str(doc, c->key), child)) return sv_fail_memory(err, c->key, 0);
        SV_TRY(write_section(c, r, in, dir, doc, child, err));
        sv_status st = SV_OK;
        if (c->plain && is_plain(c, child, doc, &st, err))
            yyjson_mut_obj_put(object, yyjson_mut_str(doc, c->key), yyjson_mut_val_mut_copy(doc, yyjson_mut_obj_get(child, c->plain)));
        if (st != SV_OK) return st;
    }
    return SV_OK;
}

/* The recipe as a JSON document with every default. dir NULL: paths, and the parameters of operators, stay as they were given. */
static sv_status recipe_json(const sv_recipe *r, const char *dir, yyjson_doc **out, sv_error *err) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL;
    sv_status st = root ? write_section(&sv_recipe_section, r, r, dir, doc, root, err) : sv_fail_memory(err, "recipe", 0);
    if (st == SV_OK && dir) st = sv_recipe_process_write(r->captions.process, dir, doc, yyjson_mut_obj_get(root, "captions"), err);
    if (st == SV_OK) {
        yyjson_mut_doc_set_root(doc, root);
        *out = yyjson_mut_doc_imut_copy(doc, NULL);
        if (!*out) st = sv_fail_memory(err, "recipe", 0);
    }
    yyjson_mut_doc_free(doc);
    return st;
}

static sv_status take_text(sv_buf *b, char **text, sv_error *err) {
    sv_status st = sv_buf_ok(b, err);
    if (st == SV_OK) *text = b->data;
    else sv_buf_free(b);
    return st;
}

sv_status sv_recipe_text(const sv_recipe *r, const char *dir, char **text, sv_error *err) {
    yyjson_doc *doc = NULL;
    SV_TRY(recipe_json(r, dir, &doc, err));
    sv_buf b = {0};
    sv_yaml_write(&b, yyjson_doc_get_root(doc), 0);
    yyjson_doc_free(doc);
    return take_text(&b, text, err);
}

/* ---- the commented recipe ---- */

/* What the commented recipe sets where a default alone would not make one that loads, or would show nothing. */
static const char example[] =
    "name: my-dataset\n"
    "captions:\n"
    "  sources: [{path: captions.jsonl, source: where they are from, license: CC-BY-4.0}]\n"
    "  process:\n"
    "    - whitespace_normalization_mapper:\n"
    "    - alphanumeric_filter: {min_ratio: 0.60}\n"
    "    - special_characters_filter: {max_ratio: 0.40}\n"
    "    - document_deduplicator: {lowercase: true}\n"
    "  balance: {concepts: [{list: objects}]}\n"
    "  decontaminate: {against: [{path: benchmark.jsonl}]}\n"
    "generate: {model: models/stable-diffusion}\n"
    "score: {clip: {model: models/clip}}\n"
    "select: {keep: 10%}\n"
    "export: [{format: llava}, {format: webdataset}]\n";

#define COMMENT_COLUMN 44

static void pad_to(sv_buf *b, size_t line_start, size_t column) {
    while (b->size - line_start < column && !b->failed) sv_buf_putc(b, ' ');
}

static void indent_by(sv_buf *b, int indent) {
    for (int i = 0; i < indent; i++) sv_buf_putc(b, ' ');
}

/* "  steps: 50        # denoising steps: an integer from 1 to 1000" */
static void help_option(sv_buf *b, const sv_option *o, yyjson_val *value, int indent, const char *lead) {
    char type[256];
    size_t start = b->size;
    indent_by(b, indent);
    sv_buf_printf(b, "%s%s: ", lead, o->name);
    sv_yaml_write_flow(b, value);
    pad_to(b, start, COMMENT_COLUMN);
    sv_buf_printf(b, "  # %s: %s%s\n", o->help, sv_option_type_text(o, type, sizeof type), o->fallback ? "" : "; required");
}

static void help_process(sv_buf *b, yyjson_val *list, int indent) {
    size_t i, n;
    yyjson_val *entry, *key;
    static const char *const kinds[] = {[SV_OP_MAPPER] = "mapper", [SV_OP_FILTER] = "filter", [SV_OP_DEDUPLICATOR] = "deduplicator", [SV_OP_SELECTOR] = "selector"};
    indent_by(b, indent);
    sv_buf_puts(b, "# Data-Juicer's operators, in order, by its names and parameters. Those of this version, each with what it can be told:\n");
    for (i = 0; i < sv_op_count(); i++) {
        const sv_op_info *op = sv_op_at(i);
        char text[4096];
        indent_by(b, indent);
        sv_buf_printf(b, "#   %s (%s): %s\n", op->name, kinds[op->kind], op->help);
        sv_op_help(op, text, sizeof text);
        for (char *line = text, *end; *line; line = end) {
            end = line + strcspn(line, "\n");
            if (*end) *end++ = '\0';
            line += strspn(line, " ");
            if (!*line) continue;
            indent_by(b, indent);
            sv_buf_printf(b, "#       %s\n", line);
        }
    }
    indent_by(b, indent);
    sv_buf_puts(b, "process:\n");
    yyjson_arr_foreach(list, i, n, entry) {
        yyjson_obj_iter it = yyjson_obj_iter_with(entry);
        key = yyjson_obj_iter_next(&it);
        indent_by(b, indent + 2);
        sv_buf_puts(b, "- ");
        sv_buf_add(b, yyjson_get_str(key), yyjson_get_len(key));
        sv_buf_puts(b, ": ");
        sv_yaml_write_flow(b, yyjson_obj_iter_get_val(key));
        sv_buf_putc(b, '\n');
    }
}

static void help_names(sv_buf *b, const char *key, int indent) {
    if (strcmp(key, "scheduler") == 0) {
        for (size_t i = 0; i < sv_scheduler_count(); i++) {
            const sv_scheduler_info *s = sv_scheduler_at(i);
            indent_by(b, indent);
            sv_buf_printf(b, "#   %s%s%s: %s\n", s->name, s->alias ? ", short " : "", s->alias ? s->alias : "", s->help ? s->help : "");
        }
    } else if (strcmp(key, "flavour") == 0) {
        for (size_t i = 0; i < sv_clip_flavour_count(); i++) {
            indent_by(b, indent);
            sv_buf_printf(b, "#   %s: %s\n", sv_clip_flavour_at(i)->name, sv_clip_flavour_at(i)->help);
        }
    }
}

static void help_exports(sv_buf *b, yyjson_val *list) {
    size_t i, n;
    yyjson_val *item;
    yyjson_arr_foreach(list, i, n, item) {
        const char *name = yyjson_get_str(yyjson_obj_get(item, "format"));
        const sv_export_format *const *f = sv_export_formats;
        while (*f && strcmp((*f)->name, name) != 0) f++;
        size_t start = b->size;
        sv_buf_printf(b, "  - format: %s", name);
        pad_to(b, start, COMMENT_COLUMN);
        sv_buf_printf(b, "  # %s\n", *f ? (*f)->help : "");
        for (const sv_option *o = *f ? (*f)->options : NULL; o && o->name; o++)
            if (!o->later) help_option(b, o, yyjson_obj_get(item, o->name), 4, "");
    }
}

/* A list that may be left out is a comment: an example in force would ask for files that are not there. */
static void help_list(sv_buf *b, const sv_section *s, yyjson_val *list, int indent) {
    const char *lead = s->optional ? "#   - " : "  - ", *next = s->optional ? "#     " : "    ";
    size_t start = b->size;
    indent_by(b, indent);
    sv_buf_printf(b, "%s%s:", s->optional ? "# " : "", s->key);
    pad_to(b, start, COMMENT_COLUMN);
    sv_buf_printf(b, "  # %s\n", s->help);
    for (const sv_option *o = s->options; o->name; o++) {
        if (o->later) continue;
        help_option(b, o, yyjson_obj_get(yyjson_arr_get_first(list), o->name), indent, lead);
        lead = next;
    }
}

static void help_title(sv_buf *b, const sv_section *s, int indent) {
    if (indent == 0) sv_buf_putc(b, '\n');
    size_t start = b->size;
    indent_by(b, indent);
    sv_buf_printf(b, "%s:", s->key);
    pad_to(b, start, COMMENT_COLUMN);
    sv_buf_printf(b, "  # %s\n", s->help);
}

/* A section for which a plain value stands: the value, and the map's keys as a comment. */
static void help_plain(sv_buf *b, const sv_section *s, yyjson_val *value, int indent) {
    char type[256];
    size_t start = b->size;
    indent_by(b, indent);
    sv_buf_printf(b, "%s: ", s->key);
    sv_yaml_write_flow(b, value);
    pad_to(b, start, COMMENT_COLUMN);
    sv_buf_printf(b, "  # %s:\n", s->help);
    for (const sv_option *o = s->options; o->name; o++) {
        start = b->size;
        indent_by(b, indent);
        sv_buf_printf(b, "#   %s: %s", o->name, o->fallback);
        pad_to(b, start, COMMENT_COLUMN);
        sv_buf_printf(b, "  # %s: %s\n", o->help, sv_option_type_text(o, type, sizeof type));
    }
}

static void help_section(sv_buf *b, const sv_section *s, yyjson_val *object, int indent) {
    for (const sv_section *c = s->children; c && c->key; c++) {
        if (c->kind == SV_SECTION_LIST) help_list(b, c, yyjson_obj_get(object, c->key), indent);
    }
    for (const sv_option *o = s->options; o && o->name; o++) {
        if (o->later) continue;
        yyjson_val *value = yyjson_obj_get(object, o->name);
        if (strcmp(o->name, "process") == 0) {
            help_process(b, value, indent);
        } else {
            help_option(b, o, value, indent, "");
            help_names(b, o->name, indent);
        }
    }
    for (const sv_section *c = s->children; c && c->key; c++) {
        if (c->kind == SV_SECTION_LIST) continue;
        if (c->plain) {
            help_plain(b, c, yyjson_obj_get(object, c->key), indent);
            continue;
        }
        help_title(b, c, indent);
        if (c->kind == SV_SECTION_MAP) help_section(b, c, yyjson_obj_get(object, c->key), indent + 2);
        else help_exports(b, yyjson_obj_get(object, c->key));
    }
}

sv_status sv_recipe_help(char **text, sv_error *err) {
    sv_recipe *r = NULL;
    yyjson_doc *doc = NULL;
    sv_status st = sv_recipe_read(&r, example, sizeof example - 1, "example", "", NULL, 0, err);
    if (st == SV_OK) st = recipe_json(r, NULL, &doc, err);
    if (st == SV_OK) {
        sv_buf b = {0};
        sv_buf_puts(&b, "# A synthvlm recipe with every key and its default; whatever is left out has the default.\n"
                        "# Examples, not defaults: name, sources, process, both models, select.keep, export.\n"
                        "# Paths are relative to this file. --set section.key=VALUE lays a value over it; its paths are relative to the\n"
                        "# working directory.\n\n");
        help_section(&b, &sv_recipe_section, yyjson_doc_get_root(doc), 0);
        st = take_text(&b, text, err);
    }
    yyjson_doc_free(doc);
    sv_recipe_close(&r);
    return st;
}
