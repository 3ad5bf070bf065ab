/* recipe.c - reading a recipe: YAML and --set values to the checked struct, every error with its place. */
#include "recipe/recipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "recipe/yaml.h"

#define MAX_RECIPE_BYTES (4u << 20)

typedef struct loader {
    const char *name;      /* the file, as errors name it */
    const char *dir;
    sv_yaml *tree;
    sv_recipe *recipe;
} loader;

/* ---- places ---- */

/* Turns err->what from a key's path ("generate.steps") into "file:line:column: generate.steps" or "--set generate.steps". The place is the
 * value's (the key's for maps, lists, and where at_key says so); a key that is not there is placed where the deepest level above it begins. */
static void place(const loader *l, bool at_key, sv_error *err) {
    char path[sizeof err->what];
    snprintf(path, sizeof path, "%s", err->what);
    const sv_yaml_item *item;
    bool whole;
    const sv_yaml *node = sv_yaml_find(l->tree, path, &item, &whole);
    int line = node->line, column = node->column;
    bool value = whole && (node->kind != SV_YAML_NULL || !node->text || *node->text);   /* an empty value has no place of its own */
    bool scalar = node->kind != SV_YAML_MAP && node->kind != SV_YAML_LIST;
    if (item && item->line && (at_key || !(value && scalar))) line = item->line, column = item->column;
    if (node->from_set) snprintf(err->what, sizeof err->what, "--set %.300s", path);
    else snprintf(err->what, sizeof err->what, "%.120s:%d:%d: %.160s", l->name, line, column, path);
}

static void add_place(const loader *l, sv_error *err) { place(l, false, err); }

static sv_status fail_key(const loader *l, const char *path, sv_error *err, const char *why, const char *hint) {
    sv_fail(err, SV_E_RECIPE, path, "%s", why);
    if (hint && *hint) sv_hint(err, SV_E_RECIPE, "%s", hint);
    add_place(l, err);
    return SV_E_RECIPE;
}

/* ---- one section ---- */

static const sv_option *find_option(const sv_option *table, const char *key) {
    for (const sv_option *o = table; o && o->name; o++)
        if (strcmp(o->name, key) == 0) return o;
    return NULL;
}

static const sv_section *find_section(const sv_section *children, const char *key) {
    for (const sv_section *s = children; s && s->key; s++)
        if (strcmp(s->key, key) == 0) return s;
    return NULL;
}

static sv_status unknown_key(const loader *l, const sv_section *s, const char *path, const char *key, sv_error *err) {
    const char *names[128];
    size_t n = 0;
    sv_buf hint = {0};
    for (const sv_option *o = s->options; o && o->name && n < 128; o++)
        if (!o->later) names[n++] = o->name;
    for (const sv_section *c = s->children; c && c->key && n < 128; c++) names[n++] = c->key;
    const char *nearest = sv_nearest(key, names, n);
    if (nearest) sv_buf_printf(&hint, "did you mean \"%s\"? ", nearest);
    sv_buf_puts(&hint, nearest ? "Known here: " : "known here: ");
    for (size_t i = 0; i < n; i++) sv_buf_printf(&hint, "%s%s", i ? ", " : "", names[i]);
    sv_fail(err, SV_E_RECIPE, path, "unknown key");
    if (!hint.failed) sv_hint(err, SV_E_RECIPE, "%s", hint.data);
    sv_buf_free(&hint);
    place(l, true, err);
    return SV_E_RECIPE;
}

/* "10%" where a number is meant: the number that is written with its decimal point two places to the left. */
static bool is_percentage(const sv_yaml *y, double *out) {
    if (y->kind != SV_YAML_TEXT) return false;
    size_t n = strlen(y->text), digits = strspn(y->text, "0123456789.");
    if (n < 2 || n > 20 || digits != n - 1 || y->text[n - 1] != '%') return false;
    char moved[32];
    snprintf(moved, sizeof moved, "%.*se-2", (int)digits, y->text);
    char *end;
    *out = strtod(moved, &end);
    return *end == '\0';
}

/* The map's own keys (without nested sections) as a JSON object; refuses unknown ones. */
static sv_status own_keys(const loader *l, const sv_section *s, const sv_yaml *map, const char *path, yyjson_mut_doc *doc, yyjson_mut_val *object,
                          sv_error *err) {
    for (size_t i = 0; i < map->count; i++) {
        const char *key = map->items[i].key;
        const sv_yaml *node = map->items[i].node;
        if (find_section(s->children, key)) continue;
        char where[300];
        snprintf(where, sizeof where, "%s%s%s", path, *path ? "." : "", key);
        const sv_option *o = find_option(s->options, key);
        if (!o) return unknown_key(l, s, where, key, err);
        double share;
        yyjson_mut_val *v = o->type == SV_OPT_REAL && is_percentage(node, &share) ? yyjson_mut_real(doc, share) : sv_yaml_json(node, doc);
        if (!v || !yyjson_mut_obj_add(object, yyjson_mut_strcpy(doc, key), v)) return sv_fail_memory(err, where, 0);
    }
    return SV_OK;
}

/* Says what to change when a value has the right look but the wrong type. */
static void add_type_hint(const sv_section *s, const sv_yaml *map, sv_error *err) {
    if (!err || err->hint[0]) return;
    const char *dot = strrchr(err->what, '.'), *key = dot ? dot + 1 : err->what;
    const sv_option *o = find_option(s->options, key);
    const sv_yaml *y = sv_yaml_get(map, key);
    if (!o || !y) return;
    bool wants_text = o->type == SV_OPT_STRING || o->type == SV_OPT_PATH;
    bool wants_number = o->type == SV_OPT_INT || o->type == SV_OPT_REAL || o->type == SV_OPT_BOOL || o->type == SV_OPT_AUTO_INT;
    if (wants_text && (y->kind == SV_YAML_INT || y->kind == SV_YAML_REAL || y->kind == SV_YAML_BOOL))
        sv_hint(err, err->status, "in quotes it is text: %s: \"%.80s\"", key, y->text ? y->text : "");
    else if (wants_text && y->kind == SV_YAML_MAP)
        sv_hint(err, err->status, "a brace begins a map: text that has one goes in quotes, as in %s: \"{caption}\"", key);
    else if (wants_number && y->kind == SV_YAML_TEXT && y->quoted)
        sv_hint(err, err->status, "what stands in quotes is text: leave the quotes out");
}

/* sv_options_read leaves paths as they are written; here they get their directory. */
static sv_status resolve_paths(const loader *l, const sv_section *s, const sv_yaml *map, void *out, sv_error *err) {
    for (const sv_option *o = s->options; o && o->name; o++) {
        if (o->type != SV_OPT_PATH || o->later) continue;
        char **slot = (char **)((char *)out + o->offset);
        const sv_yaml *y = sv_yaml_get(map, o->name);
        if (!*slot || !y || y->from_set || strcmp(*slot, "-") == 0) continue;
        char *full = sv_path_join(l->dir, *slot);
        if (!full) return sv_fail_memory(err, l->name, 0);
        free(*slot);
        *slot = full;
    }
    return SV_OK;
}

/* Reads the option table of a section over `out`. map NULL: only defaults. */
static sv_status read_options(const loader *l, const sv_section *s, const sv_yaml *map, const char *path, void *out, sv_error *err) {
    if (!map) return s->options ? sv_options_read(s->options, NULL, path, NULL, out, err) : SV_OK;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *object = doc ? yyjson_mut_obj(doc) : NULL;
    yyjson_doc *frozen = NULL;
    sv_status st = object ? own_keys(l, s, map, path, doc, object, err) : sv_fail_memory(err, l->name, 0);
    if (st == SV_OK) {
        yyjson_mut_doc_set_root(doc, object);
        frozen = yyjson_mut_doc_imut_copy(doc, NULL);
        if (!frozen) st = sv_fail_memory(err, l->name, 0);
    }
    if (st == SV_OK && s->options) {
        st = sv_options_read(s->options, yyjson_doc_get_root(frozen), path, NULL, out, err);
        if (st == SV_E_RECIPE) {
            add_type_hint(s, map, err);
            add_place(l, err);
        }
    }
    yyjson_doc_free(frozen);
    yyjson_mut_doc_free(doc);
    return st == SV_OK ? resolve_paths(l, s, map, out, err) : st;
}

static sv_status read_section(const loader *l, const sv_section *s, const sv_yaml *node, const char *path, void *parent, sv_error *err);

/* A plain text in the place of a list's item, or of a list: the map with the key that it stands for, the list of that one item. The views own nothing. */
typedef struct plain_view {
    sv_yaml node;
    sv_yaml_item only;
} plain_view;

static const sv_yaml *view_plain(const char *key, sv_yaml_kind kind, const sv_yaml *text, plain_view *v) {
    v->only = (sv_yaml_item){.key = (char *)(uintptr_t)key, .line = text->line, .column = text->column, .node = (sv_yaml *)(uintptr_t)text};
    v->node = (sv_yaml){.kind = kind, .from_set = text->from_set, .line = text->line, .column = text->column, .items = &v->only, .count = 1, .capacity = 1};
    return &v->node;
}

static sv_status read_list(const loader *l, const sv_section *s, const sv_yaml *node, const char *path, void *parent, sv_error *err) {
    const char *hint = s->optional ? NULL : "for example  sources: [{path: captions.jsonl}]";
    if (s->optional && (!node || node->kind == SV_YAML_NULL || (node->kind == SV_YAML_LIST && !node->count))) return SV_OK;
    if (!node || node->kind == SV_YAML_NULL) return fail_key(l, path, err, "is missing: at least one is required", hint);
    plain_view alone;
    if (s->plain && node->kind == SV_YAML_TEXT) node = view_plain(NULL, SV_YAML_LIST, node, &alone);
    if (node->kind != SV_YAML_LIST) {
        char why[96];
        snprintf(why, sizeof why, "must be a list, not %s", sv_yaml_kind_text(node));
        return fail_key(l, path, err, why, hint);
    }
    if (node->count == 0) return fail_key(l, path, err, "is empty: at least one is required", NULL);
    char *items = calloc(node->count, s->item_size);
    if (!items) return sv_fail_memory(err, l->name, node->count * s->item_size);
    *(char **)((char *)parent + s->offset) = items;
    sv_section one = *s;
    one.kind = SV_SECTION_MAP;
    one.offset = 0;
    one.plain = NULL;
    for (size_t i = 0; i < node->count; i++) {
        const sv_yaml *item = node->items[i].node;
        plain_view view;
        char where[128];
        snprintf(where, sizeof where, "%s[%zu]", path, i);
        if (item->kind == SV_YAML_NULL) return fail_key(l, where, err, "is empty: must be a map", NULL);
        if (s->plain && item->kind == SV_YAML_TEXT) item = view_plain(s->plain, SV_YAML_MAP, item, &view);
        SV_TRY(read_section(l, &one, item, where, items + i * s->item_size, err));
        *(size_t *)((char *)parent + s->count_offset) = i + 1;
    }
    return SV_OK;
}

/* ---- exports: each item's keys belong to the format that it names ---- */

static sv_status find_format(const loader *l, const sv_yaml *item, const char *where, int *out, sv_error *err) {
    sv_buf list = {0};
    const char *names[64];
    size_t n = 0;
    for (; sv_export_formats[n] && n < 64; n++) {
        names[n] = sv_export_formats[n]->name;
        sv_buf_printf(&list, "%s%s", n ? ", " : "", names[n]);
    }
    const sv_yaml *name = sv_yaml_get(item, "format");
    char path[160], hint[400];
    snprintf(path, sizeof path, "%s.format", where);
    snprintf(hint, sizeof hint, "available: %s", list.data ? list.data : "none");
    sv_buf_free(&list);
    if (item->kind != SV_YAML_MAP) return fail_key(l, where, err, "must be a map such as {format: llava}", hint);
    if (!name) return fail_key(l, path, err, "is missing", hint);
    for (size_t i = 0; i < n; i++)
        if (name->kind == SV_YAML_TEXT && strcmp(name->text, names[i]) == 0) {
            *out = (int)i;
            return SV_OK;
        }
    char why[160];
    snprintf(why, sizeof why, "there is no export format \"%.60s\"", name->text ? name->text : "");
    const char *nearest = name->text ? sv_nearest(name->text, names, n) : NULL;
    if (nearest) snprintf(hint, sizeof hint, "did you mean \"%s\"?", nearest);
    return fail_key(l, path, err, why, hint);
}

/* Checks the options of one export and keeps them as JSON with every default. */
static sv_status read_export(const loader *l, const sv_yaml *item, const char *where, sv_export_settings *out, sv_error *err) {
    SV_TRY(find_format(l, item, where, &out->format, err));
    const sv_export_format *format = sv_export_formats[out->format];
    const sv_section s = {"", SV_SECTION_MAP, format->options, .help = ""};
    sv_yaml rest = *item;   /* the item without `format`; a view, owns nothing */
    rest.items = calloc(item->count, sizeof *rest.items);
    void *options = calloc(1, format->size ? format->size : 1);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    sv_status st = rest.items && options && doc ? SV_OK : sv_fail_memory(err, l->name, 0);
    if (st != SV_OK) goto done;
    rest.count = 0;
    for (size_t i = 0; i < item->count; i++)
        if (strcmp(item->items[i].key, "format") != 0) rest.items[rest.count++] = item->items[i];
    st = read_options(l, &s, &rest, where, options, err);
    if (st != SV_OK) goto done;
    yyjson_mut_val *object = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, object);
    if (object && (!format->options || sv_options_write(format->options, options, NULL, doc, object))) out->options = yyjson_mut_write(doc, 0, NULL);
    if (!out->options) st = sv_fail_memory(err, l->name, 0);
    if (format->options) sv_options_free(format->options, options);
done:
    free(rest.items);
    free(options);
    yyjson_mut_doc_free(doc);
    return st;
}

static sv_status read_exports(const loader *l, const sv_yaml *node, const char *path, sv_error *err) {
    sv_recipe *r = l->recipe;
    if (!node || node->kind == SV_YAML_NULL) return SV_OK;
    if (node->kind != SV_YAML_LIST) return fail_key(l, path, err, "must be a list", "for example  export: [{format: llava}]");
    if (node->count == 0) return SV_OK;
    r->exports = calloc(node->count, sizeof *r->exports);
    if (!r->exports) return sv_fail_memory(err, l->name, 0);
    for (size_t i = 0; i < node->count; i++) {
        char where[64];
        snprintf(where, sizeof where, "%s[%zu]", path, i);
        SV_TRY(read_export(l, node->items[i].node, where, &r->exports[i], err));
        r->export_count = i + 1;
        for (size_t k = 0; k < i; k++)
            if (r->exports[k].format == r->exports[i].format) {
                return fail_key(l, where, err, "this format is exported already", "one dataset of each format: dataset/FORMAT in the run directory");
            }
    }
    return SV_OK;
}

/* A plain value where a map could be: read as the map with that one key, but errors name the section. */
static sv_status read_plain(const loader *l, const sv_section *s, const sv_yaml *node, const char *path, void *parent, sv_error *err) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *object = doc ? yyjson_mut_obj(doc) : NULL, *value = object ? sv_yaml_json(node, doc) : NULL;
    yyjson_doc *frozen = NULL;
    if (value && yyjson_mut_obj_add_val(doc, object, s->plain, value)) {
        yyjson_mut_doc_set_root(doc, object);
        frozen = yyjson_mut_doc_imut_copy(doc, NULL);
    }
    sv_status st = frozen ? sv_options_read(s->options, yyjson_doc_get_root(frozen), path, NULL, (char *)parent + s->offset, err)
                          : sv_fail_memory(err, l->name, 0);
    yyjson_doc_free(frozen);
    yyjson_mut_doc_free(doc);
    if (st != SV_E_RECIPE) return st;
    snprintf(err->what, sizeof err->what, "%s", path);
    add_place(l, err);
    return st;
}

static sv_status read_section(const loader *l, const sv_section *s, const sv_yaml *node, const char *path, void *parent, sv_error *err) {
    if (s->kind == SV_SECTION_LIST) return read_list(l, s, node, path, parent, err);
    if (s->kind == SV_SECTION_EXPORTS) return read_exports(l, node, path, err);
    if (node && node->kind == SV_YAML_NULL) node = NULL;
    const sv_option *plain = s->plain ? find_option(s->options, s->plain) : NULL;
    bool named = plain && plain->type == SV_OPT_STRING;
    if (plain && node && (named ? node->kind == SV_YAML_TEXT : node->kind == SV_YAML_INT || node->kind == SV_YAML_REAL))
        return read_plain(l, s, node, path, parent, err);
    if (node && node->kind != SV_YAML_MAP) {
        char why[96];
        snprintf(why, sizeof why, "must be %sa map, not %s", !plain ? "" : named ? "a name or " : "a number or ", sv_yaml_kind_text(node));
        return fail_key(l, path, err, why, NULL);
    }
    void *out = (char *)parent + s->offset;
    sv_status st = read_options(l, s, node, path, out, err);
    if (st != SV_OK) {
        if (st == SV_E_RECIPE && !node) add_place(l, err);   /* a required key of a section that is absent */
        return st;
    }
    for (const sv_section *c = s->children; c && c->key; c++) {
        char where[256];
        snprintf(where, sizeof where, "%s%s%s", path, *path ? "." : "", c->key);
        SV_TRY(read_section(l, c, sv_yaml_get(node, c->key), where, out, err));
    }
    return SV_OK;
}

/* ---- the whole recipe ---- */

static void free_section(const sv_section *s, void *parent) {
    char *out = (char *)parent + s->offset;
    if (s->kind == SV_SECTION_MAP) {
        if (s->options) sv_options_free(s->options, out);
        for (const sv_section *c = s->children; c && c->key; c++) free_section(c, out);
        return;
    }
    char *items = *(char **)out;
    size_t n = *(size_t *)((char *)parent + s->count_offset);
    for (size_t i = 0; i < n; i++) {
        if (s->kind == SV_SECTION_LIST) sv_options_free(s->options, items + i * s->item_size);
        else free(((sv_export_settings *)(void *)items)[i].options);
    }
    free(items);
}

void sv_recipe_close(sv_recipe **r) {
    if (!r || !*r) return;
    free_section(&sv_recipe_section, *r);
    free((*r)->path);
    free((*r)->dir);
    free(*r);
    *r = NULL;
}

const char *sv_recipe_name(const sv_recipe *r) { return r->name; }

/* "generate.steps=30": key up to the first '=', value as YAML; nothing after the '=' is null. */
static sv_status lay_over(loader *l, const char *set, sv_error *err) {
    const char *equals = strchr(set, '=');
    char what[300];
    if (!equals || equals == set) {
        snprintf(what, sizeof what, "--set %.200s", set);
        return sv_hint(err, sv_fail(err, SV_E_RECIPE, what, "not of the form key=value"), "for example --set generate.steps=30");
    }
    char *key = sv_strndup(set, (size_t)(equals - set));
    if (!key) return sv_fail_memory(err, "--set", 0);
    snprintf(what, sizeof what, "--set %.200s", key);
    sv_yaml *value = NULL;
    sv_status st = sv_yaml_parse(&value, equals + 1, strlen(equals + 1), what, true, err);
    if (st == SV_E_RECIPE && err && !err->hint[0]) sv_hint(err, st, "text with special characters goes in quotes: --set '%.60s=\"…\"'", key);
    if (st == SV_OK && !value) {
        value = sv_yaml_new_map();
        if (value) {
            value->kind = SV_YAML_NULL;
            value->from_set = true;
        } else {
            st = sv_fail_memory(err, what, 0);
        }
    }
    if (st == SV_OK) st = sv_yaml_set(l->tree, key, value, err);
    free(key);
    return st;
}

/* The recipe's file name without directory and ending, as the default name. */
static char *stem_of(const char *path) {
    const char *base = sv_path_base(path), *dot = strrchr(base, '.');
    return sv_strndup(base, dot && dot != base ? (size_t)(dot - base) : strlen(base));
}

static sv_status check_tree(loader *l, sv_error *err) {
    if (!l->tree) {
        l->tree = sv_yaml_new_map();
        return l->tree ? SV_OK : sv_fail_memory(err, l->name, 0);
    }
    if (l->tree->kind == SV_YAML_MAP) return SV_OK;
    char what[200];
    snprintf(what, sizeof what, "%.160s:%d:%d", l->name, l->tree->line, l->tree->column);
    sv_status st = sv_fail(err, SV_E_RECIPE, what, "a recipe is a map of sections, and this is %s", sv_yaml_kind_text(l->tree));
    return sv_hint(err, st, "synthvlm help recipe prints one to start from");
}

static sv_status load_tree(loader *l, const char *const *sets, size_t n, sv_error *err) {
    sv_recipe *r = l->recipe;
    if (!l->tree && n == 0) {
        return sv_hint(err, sv_fail(err, SV_E_RECIPE, l->name, "holds no recipe: the file is empty"),
                       "synthvlm help recipe prints one to start from");
    }
    SV_TRY(check_tree(l, err));
    for (size_t i = 0; i < n; i++) SV_TRY(lay_over(l, sets[i], err));
    SV_TRY(read_section(l, &sv_recipe_section, l->tree, "", r, err));
    if (!r->name && !(r->name = stem_of(r->path))) return sv_fail_memory(err, l->name, 0);
    free(r->captions.process);
    r->captions.process = NULL;
    SV_TRY(sv_recipe_process_resolve(sv_yaml_get(sv_yaml_get(l->tree, "captions"), "process"), l->dir, &r->captions.process, err));
    if (r->generate.source == SV_SOURCE_CAPTIONS) {
        r->generate.candidates.max = 1;          /* a caption came with one picture, and another try would find the same */
        r->generate.retries = 0;
    }
    sv_status st = sv_recipe_check(r, err);
    if (st == SV_E_RECIPE) place(l, strcmp(err->why, "unknown key") == 0, err);
    if (st == SV_OK && sv_recipe_check_pictures(r, &r->no_pictures) != SV_OK) add_place(l, &r->no_pictures);
    return st;
}

sv_status sv_recipe_needs_pictures(const sv_recipe *r, sv_error *err) {
    if (r->no_pictures.status != SV_OK && err) *err = r->no_pictures;
    return r->no_pictures.status;
}

sv_status sv_recipe_read(sv_recipe **out, const char *text, size_t size, const char *name, const char *dir, const char *const *sets, size_t n,
                         sv_error *err) {
    *out = NULL;
    sv_error own;   /* places are added to errors on their way up, so there is always one to add to */
    if (!err) err = &own;
    loader l = {.name = name, .dir = dir};
    l.recipe = calloc(1, sizeof *l.recipe);
    if (!l.recipe) return sv_fail_memory(err, name, sizeof *l.recipe);
    l.recipe->path = sv_strdup(name);
    l.recipe->dir = sv_strdup(dir);
    sv_status st = l.recipe->path && l.recipe->dir ? SV_OK : sv_fail_memory(err, name, 0);
    if (st == SV_OK) st = sv_yaml_parse(&l.tree, text, size, name, false, err);
    if (st == SV_OK) st = load_tree(&l, sets, n, err);
    sv_yaml_free(&l.tree);
    if (st == SV_OK) *out = l.recipe;
    else sv_recipe_close(&l.recipe);
    return st;
}

sv_status sv_recipe_load(sv_recipe **out, const char *path, const char *const *sets, size_t n, sv_error *err) {
    *out = NULL;
    if (sv_is_dir(path)) {
        return sv_hint(err, sv_fail(err, SV_E_RECIPE, path, "is a directory, not a recipe"), "the recipe of a run directory is its recipe.yaml");
    }
    if (access(path, F_OK) != 0 && errno == ENOENT) return sv_fail(err, SV_E_RECIPE, path, "there is no such file");
    char *text = NULL, *dir = NULL;
    size_t size = 0;
    sv_status st = sv_file_read(path, MAX_RECIPE_BYTES, &text, &size, err);
    if (st == SV_OK && !(dir = sv_path_dir(path))) st = sv_fail_memory(err, path, 0);
    if (st == SV_OK) st = sv_recipe_read(out, text, size, path, dir, sets, n, err);
    free(text);
    free(dir);
    return st;
}
