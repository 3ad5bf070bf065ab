/* ingest_json.c - captions in JSON: a line each, an array of objects, LLaVA conversations, COCO annotations. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "stages/ingest/ingest.h"

/* "caption, image, url": the keys of an object, for the message that one is missing. */
static void list_keys(sv_buf *out, yyjson_val *object) {
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(object, i, n, key, value) {
        if (i == 12) {
            sv_buf_puts(out, ", …");
            return;
        }
        sv_buf_printf(out, "%s%.60s", i ? ", " : "", yyjson_get_str(key));
    }
}

static void missing_field(sv_record *out, const char *field, yyjson_val *object) {
    sv_buf keys = {0};
    list_keys(&keys, object);
    sv_record_fault(out, "missing_field", "there is no field \"%s\"; the row has: %s", field, keys.size ? keys.data : "nothing");
    sv_buf_free(&keys);
}

static bool take_id(sv_reader *r, sv_record *out, yyjson_val *id) {
    if (!id || yyjson_is_null(id)) return true;
    if (yyjson_is_int(id)) {
        sv_buf_clear(&r->number);
        if (yyjson_is_sint(id))
            sv_buf_printf(&r->number, "%" PRId64, yyjson_get_sint(id));
        else
            sv_buf_printf(&r->number, "%" PRIu64, yyjson_get_uint(id));
        out->id = r->number.data;
        out->id_size = r->number.size;
        return out->id != NULL;
    }
    if (!yyjson_is_str(id) || !yyjson_get_len(id)) {
        sv_record_fault(out, "bad_id", "the id must be a string or an integer, not %s", yyjson_is_str(id) ? "an empty string" : yyjson_get_type_desc(id));
        return false;
    }
    out->id = yyjson_get_str(id);
    out->id_size = yyjson_get_len(id);
    return sv_record_check_text(out, "id", out->id, out->id_size);
}

static bool take_text(sv_record *out, const char *field, yyjson_val *object, yyjson_val *text) {
    if (!text) {
        missing_field(out, field, object);
        return false;
    }
    if (!yyjson_is_str(text)) {
        sv_record_fault(out, "not_a_string", "the field \"%s\" is %s", field, yyjson_get_type_desc(text));
        return false;
    }
    out->text = yyjson_get_str(text);
    out->text_size = yyjson_get_len(text);
    return sv_record_check_text(out, field, out->text, out->text_size);
}

/* `source` and `license` of a row win over the recipe's. */
static void take_origin(sv_record *out, yyjson_val *object) {
    yyjson_val *origin = yyjson_obj_get(object, "source"), *license = yyjson_obj_get(object, "license");
    if (yyjson_is_str(origin) && sv_record_check_text(out, "source", yyjson_get_str(origin), yyjson_get_len(origin))) out->origin = yyjson_get_str(origin);
    if (yyjson_is_str(license) && sv_record_check_text(out, "license", yyjson_get_str(license), yyjson_get_len(license))) out->license = yyjson_get_str(license);
}

/* ---- pictures ---- */

typedef struct sv_image_entry {
    uint64_t id;                 /* hash of the id as text */
    size_t name;                 /* where it begins in file_names */
} sv_image_entry;

/* Ids are whole numbers, or strings in some exports. Returns false for anything else. */
static bool image_id(yyjson_val *v, uint64_t *out) {
    char number[32];
    const char *text = yyjson_get_str(v);
    if (yyjson_is_sint(v)) snprintf(number, sizeof number, "%" PRId64, yyjson_get_sint(v));
    else if (yyjson_is_uint(v)) snprintf(number, sizeof number, "%" PRIu64, yyjson_get_uint(v));
    else if (!text) return false;
    if (!text) text = number;
    *out = sv_hash64(text, strlen(text), 0);
    return true;
}

static int by_image_id(const void *a, const void *b) {
    uint64_t x = ((const sv_image_entry *)a)->id, y = ((const sv_image_entry *)b)->id;
    return (x > y) - (x < y);
}

static sv_status add_image_name(sv_reader *r, yyjson_val *v, sv_error *err) {
    const char *name = yyjson_get_str(yyjson_obj_get(v, "file_name"));
    uint64_t id;
    if (!name || !image_id(yyjson_obj_get(v, "id"), &id)) return SV_OK;
    if (r->file_count == r->file_capacity) {
        size_t more = r->file_capacity ? r->file_capacity * 2 : 1024;
        sv_image_entry *files = realloc(r->files, more * sizeof *files);
        if (!files) return sv_fail_memory(err, r->path, more * sizeof *files);
        r->files = files;
        r->file_capacity = more;
    }
    r->files[r->file_count++] = (sv_image_entry){id, r->file_names.size};
    sv_buf_add(&r->file_names, name, strlen(name) + 1);
    return sv_buf_ok(&r->file_names, err);
}

/* COCO's array "images": id and file_name. The file is walked once for them alone, since the array may stand behind the annotations. */
static sv_status read_image_names(sv_reader *r, sv_error *err) {
    sv_stream *in;
    sv_items items;
    bool found, end = false;
    SV_TRY(sv_stream_open(&in, r->path, err));
    sv_status st = sv_items_open_key(&items, in, r->path, "images", &found, err);
    if (st == SV_OK && !found) st = sv_fail(err, SV_E_INPUT, r->path, "has no array \"images\", which names the pictures of a COCO file");
    while (st == SV_OK) {
        const char *item;
        size_t n;
        if ((st = sv_items_next(&items, &item, &n, &end, err)) != SV_OK || end) break;
        yyjson_doc *doc = yyjson_read(item, n, 0);
        st = add_image_name(r, yyjson_doc_get_root(doc), err);
        yyjson_doc_free(doc);
    }
    sv_stream_close(&in);
    if (r->file_count) qsort(r->files, r->file_count, sizeof *r->files, by_image_id);
    return st;
}

/* The name of a row's picture: a string, a list of one string, or nothing; of COCO's annotations by their image_id. */
static bool take_image(sv_reader *r, sv_record *out, yyjson_val *object) {
    if (!r->images) return true;
    yyjson_val *v = r->image ? yyjson_obj_get(object, r->image) : NULL;
    if (yyjson_is_arr(v)) {
        if (yyjson_arr_size(v) > 1) {
            sv_record_fault(out, "several_images", "the row has %zu pictures, a caption goes with one", yyjson_arr_size(v));
            return false;
        }
        v = yyjson_arr_get_first(v);
    }
    if (r->image && v && !yyjson_is_null(v) && !yyjson_is_str(v)) {
        sv_record_fault(out, "not_a_string", "the field \"%s\" is %s", r->image, yyjson_get_type_desc(v));
        return false;
    }
    if (r->image) return sv_record_take_image(out, yyjson_get_str(v), yyjson_get_len(v));
    sv_image_entry wanted = {0}, *found = NULL;
    if (image_id(yyjson_obj_get(object, "image_id"), &wanted.id) && r->file_count)
        found = bsearch(&wanted, r->files, r->file_count, sizeof *r->files, by_image_id);
    const char *name = found ? r->file_names.data + found->name : NULL;
    return !name || sv_record_take_image(out, name, strlen(name));
}

static void take_object(sv_reader *r, sv_record *out, yyjson_val *object) {
    if (!yyjson_is_obj(object)) {
        sv_record_fault(out, "not_an_object", "the row is %s", object ? yyjson_get_type_desc(object) : "nothing");
        return;
    }
    const char *field = r->settings->text;
    if (!take_text(out, field, object, yyjson_obj_get(object, field))) return;
    if (r->settings->id && !take_id(r, out, yyjson_obj_get(object, r->settings->id))) return;
    if (!take_image(r, out, object)) return;
    take_origin(out, object);
}

/* ---- one object a line ---- */

static bool is_blank(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r') return false;
    return true;
}

static sv_status next_line(sv_reader *r, sv_record *out, bool *end, sv_error *err) {
    const char *line = "";
    size_t n = 0;
    do SV_TRY(sv_stream_line(r->in, &line, &n, end, err));
    while (!*end && is_blank(line, n));
    if (*end) return SV_OK;
    out->line = sv_stream_line_number(r->in);
    if (sv_utf8_valid(line, n) < n) {
        sv_record_check_text(out, "line", line, n);
        return SV_OK;
    }
    yyjson_doc_free(r->doc);
    yyjson_read_err why;
    r->doc = yyjson_read_opts((char *)line, n, YYJSON_READ_NOFLAG, NULL, &why);
    if (!r->doc && why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) return sv_fail_memory(err, r->path, n);
    if (!r->doc)
        sv_record_fault(out, "bad_json", "%s at byte %zu", why.msg, why.pos + 1);
    else
        take_object(r, out, yyjson_doc_get_root(r->doc));
    return SV_OK;
}

/* ---- an array ---- */

static sv_status open_array(sv_reader *r, sv_error *err) {
    bool found;
    SV_TRY(sv_items_open(&r->items, r->in, r->path, &found, err));
    if (found) return SV_OK;
    sv_fail(err, SV_E_INPUT, r->path, "an array of objects was expected, and it does not begin with [");
    return sv_hint(err, SV_E_INPUT, "set the source's format: jsonl (an object a line), json, llava or coco");
}

static sv_status open_coco(sv_reader *r, sv_error *err) {
    bool found;
    if (r->images && !r->image) SV_TRY(read_image_names(r, err));
    SV_TRY(sv_items_open_key(&r->items, r->in, r->path, "annotations", &found, err));
    return found ? SV_OK : sv_fail(err, SV_E_INPUT, r->path, "is not a COCO file: it has no array \"annotations\"");
}

/* The next item of the array; *item NULL: it is no JSON, which is recorded, or (*end) there is none. */
static sv_status take_item(sv_reader *r, sv_record *out, yyjson_val **item, bool *end, sv_error *err) {
    const char *text;
    size_t n;
    yyjson_read_err why;
    *item = NULL;
    SV_TRY(sv_items_next(&r->items, &text, &n, end, err));
    if (*end) return SV_OK;
    out->line = ++r->index;
    yyjson_doc_free(r->doc);
    r->doc = yyjson_read_opts((char *)text, n, YYJSON_READ_ALLOW_INVALID_UNICODE, NULL, &why);
    if (!r->doc && why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) return sv_fail_memory(err, r->path, n);
    if (!r->doc) sv_record_fault(out, "bad_json", "%s at byte %zu of the item that begins on line %lld", why.msg, why.pos + 1,
                                     (long long)r->items.item_line);
    *item = yyjson_doc_get_root(r->doc);
    return SV_OK;
}

static sv_status next_item(sv_reader *r, sv_record *out, bool *end, sv_error *err) {
    yyjson_val *item;
    SV_TRY(take_item(r, out, &item, end, err));
    if (item) take_object(r, out, item);
    return SV_OK;
}

/* The turn that holds the caption. LLaVA: the first that is not the user's, what the model is taught to say. after_image: the answer to the first turn that
 * shows the picture (has "<image>" in it); conversations without a picture have none. */
static yyjson_val *caption_turn(yyjson_val *turns, bool after_image) {
    size_t i, n;
    yyjson_val *turn;
    bool shown = !after_image;
    yyjson_arr_foreach(turns, i, n, turn) {
        const char *from = yyjson_get_str(yyjson_obj_get(turn, "from")), *value = yyjson_get_str(yyjson_obj_get(turn, "value"));
        bool answers = from && (!strcmp(from, "gpt") || !strcmp(from, "assistant"));
        if (answers && shown) return turn;
        if (!answers && value && strstr(value, "<image>")) shown = true;
    }
    return NULL;
}

static sv_status conversation(sv_reader *r, bool after_image, sv_record *out, bool *end, sv_error *err) {
    yyjson_val *item;
    SV_TRY(take_item(r, out, &item, end, err));
    if (!item) return SV_OK;
    if (!yyjson_is_obj(item)) {
        take_object(r, out, item);
        return SV_OK;
    }
    yyjson_val *turns = yyjson_obj_get(item, "conversations");
    if (!yyjson_is_arr(turns)) {
        missing_field(out, "conversations", item);
        return SV_OK;
    }
    yyjson_val *said = caption_turn(turns, after_image);
    if (!said) {
        sv_record_fault(out, "missing_field", after_image ? "no turn of the conversation answers one with \"<image>\"" : "no turn of the conversation is from \"gpt\"");
        return SV_OK;
    }
    if (!take_text(out, "value", said, yyjson_obj_get(said, "value"))) return SV_OK;
    if (r->settings->id && !take_id(r, out, yyjson_obj_get(item, r->settings->id))) return SV_OK;
    if (!take_image(r, out, item)) return SV_OK;
    take_origin(out, item);
    return SV_OK;
}

static sv_status next_conversation(sv_reader *r, sv_record *out, bool *end, sv_error *err) { return conversation(r, false, out, end, err); }
static sv_status next_description(sv_reader *r, sv_record *out, bool *end, sv_error *err) { return conversation(r, true, out, end, err); }

const sv_reader_format sv_reader_jsonl = {"jsonl", NULL, next_line};
const sv_reader_format sv_reader_json = {"json", open_array, next_item};
const sv_reader_format sv_reader_llava = {"llava", open_array, next_conversation};
const sv_reader_format sv_reader_sharegpt4v = {"sharegpt4v", open_array, next_description};
const sv_reader_format sv_reader_coco = {"coco", open_coco, next_item};
