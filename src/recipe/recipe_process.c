/* recipe_process.c - the process list inside a recipe: operators belong to src/text, the place of their files to the recipe. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "recipe/recipe.h"
#include "recipe/yaml.h"
#include "text/ops/op.h"

/* The single key of a list entry such as {alphanumeric_filter: {…}}; NULL if it is something else, which sv_process_open then refuses. */
static const sv_yaml_item *entry_of(const sv_yaml *entry) {
    return entry->kind == SV_YAML_MAP && entry->count == 1 ? &entry->items[0] : NULL;
}

/* Replaces the file names among an entry's parameters. `parameters` is the JSON twin of node. */
static bool resolve_entry(const sv_op *op, const sv_yaml *node, const char *dir, yyjson_mut_doc *doc, yyjson_mut_val *parameters) {
    for (const sv_option *o = op->options; o && o->name; o++) {
        const sv_yaml *value = o->type == SV_OPT_PATH && !o->later ? sv_yaml_get(node, o->name) : NULL;
        if (!value || value->kind != SV_YAML_TEXT || value->from_set) continue;
        char *full = sv_path_join(dir, value->text);
        bool done = full && yyjson_mut_obj_put(parameters, yyjson_mut_strcpy(doc, o->name), yyjson_mut_strcpy(doc, full));
        free(full);
        if (!done) return false;
    }
    return true;
}

sv_status sv_recipe_process_resolve(const sv_yaml *node, const char *dir, char **out, sv_error *err) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *list = doc ? (node && node->kind != SV_YAML_NULL ? sv_yaml_json(node, doc) : yyjson_mut_arr(doc)) : NULL;
    bool done = list != NULL;
    for (size_t i = 0; done && node && node->kind == SV_YAML_LIST && i < node->count; i++) {
        const sv_yaml_item *entry = entry_of(node->items[i].node);
        const sv_op *op = entry ? sv_op_row(entry->key) : NULL;
        if (op) done = resolve_entry(op, entry->node, dir, doc, yyjson_mut_obj_get(yyjson_mut_arr_get(list, i), entry->key));
    }
    if (done) {
        yyjson_mut_doc_set_root(doc, list);
        *out = yyjson_mut_write(doc, 0, NULL);
        done = *out != NULL;
    }
    yyjson_mut_doc_free(doc);
    return done ? SV_OK : sv_fail_memory(err, "captions.process", 0);
}

static sv_status write_entry(yyjson_val *key, yyjson_val *parameters, const char *dir, yyjson_mut_doc *doc, yyjson_mut_val *entry, sv_error *err) {
    const char *name = yyjson_get_str(key);
    const sv_op *op = sv_op_row(name);
    yyjson_mut_val *object = yyjson_mut_obj(doc);
    if (!op) return sv_fail(err, SV_E_INTERNAL, "captions.process", "the operator %s is gone from the table", name);
    void *state = calloc(1, op->size ? op->size : 1);
    if (!state || !object) {
        free(state);
        return sv_fail_memory(err, name, op->size);
    }
    sv_status st = op->options ? sv_op_read(op, parameters, name, NULL, state, err) : SV_OK;
    if (st == SV_OK && op->options) {
        if (!sv_options_write(op->options, state, dir, doc, object)) st = sv_fail_memory(err, name, 0);
        sv_options_free(op->options, state);
    }
    free(state);
    if (st == SV_OK && !yyjson_mut_obj_add(entry, yyjson_mut_strcpy(doc, name), object)) st = sv_fail_memory(err, name, 0);
    return st;
}

sv_status sv_recipe_process_write(const char *process, const char *dir, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err) {
    yyjson_doc *in = yyjson_read(process, strlen(process), 0);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    sv_status st = in && list ? SV_OK : sv_fail_memory(err, "captions.process", 0);
    size_t i, n;
    yyjson_val *entry, *key;
    if (st == SV_OK) {
        yyjson_arr_foreach(yyjson_doc_get_root(in), i, n, entry) {
            yyjson_mut_val *copy = yyjson_mut_arr_add_obj(doc, list);
            yyjson_obj_iter it = yyjson_obj_iter_with(entry);
            while (st == SV_OK && (key = yyjson_obj_iter_next(&it)))
                st = copy ? write_entry(key, yyjson_obj_iter_get_val(key), dir, doc, copy, err) : sv_fail_memory(err, "captions.process", 0);
            if (st != SV_OK) break;
        }
    }
    yyjson_doc_free(in);
    if (st == SV_OK && !yyjson_mut_obj_put(object, yyjson_mut_strcpy(doc, "process"), list)) st = sv_fail_memory(err, "captions.process", 0);
    return st;
}
