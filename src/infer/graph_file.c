/* graph_file.c - a walk over the protobuf of an .onnx file (onnx.proto3, IR version 3 and later) that looks at tensors only.
 *
 * ModelProto.graph = 7; GraphProto.node = 1, .initializer = 5, .input = 11, .output = 12; NodeProto.attribute = 5; AttributeProto.t = 5, .g = 6;
 * TensorProto.dims = 1, .data_type = 2, .external_data = 13 (key = 1, value = 2); ValueInfoProto.name = 1, .type = 2; TypeProto.tensor_type = 1;
 * tensor_type.elem_type = 1, .shape = 2; shape.dim = 1; dim.dim_value = 1, .dim_param = 2. The file is mapped, and weights are stepped over.
 */
#include "infer/graph_file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/file.h"

#define MAX_DEPTH 16             /* graphs within graphs */

typedef struct bytes {
    const uint8_t *at, *end;
} bytes;

typedef struct field {
    uint32_t number;
    uint64_t value;              /* wire type 0 */
    bytes data;                  /* wire type 2 */
    int wire;
} field;

static bool read_varint(bytes *b, uint64_t *v) {
    *v = 0;
    for (int shift = 0; shift < 64 && b->at < b->end; shift += 7) {
        uint8_t c = *b->at++;
        *v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) return true;
    }
    return false;
}

/* The next field of a message; false at its end, or (with *bad set) where the bytes make no sense. */
static bool next_field(bytes *b, field *f, bool *bad) {
    uint64_t key, n;
    if (b->at == b->end) return false;
    *f = (field){0};
    *bad = true;
    if (!read_varint(b, &key)) return false;
    f->number = (uint32_t)(key >> 3);
    f->wire = (int)(key & 7);
    switch (f->wire) {
    case 0:
        if (!read_varint(b, &f->value)) return false;
        break;
    case 1:
    case 5:
        n = f->wire == 1 ? 8 : 4;
        if ((uint64_t)(b->end - b->at) < n) return false;
        b->at += n;
        break;
    case 2:
        if (!read_varint(b, &n) || (uint64_t)(b->end - b->at) < n) return false;
        f->data = (bytes){b->at, b->at + n};
        b->at += n;
        break;
    default: return false;
    }
    *bad = false;
    return true;
}

/* Bytes of one value of a TensorProto.DataType; 0 where it is not a plain number. */
static unsigned type_bytes(uint64_t type) {
    static const uint8_t size[] = {0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8, 8, 16, 2, 1, 1, 1, 1};
    return type < sizeof size ? size[type] : 0;
}

/* Adds a copy of a string to a list of strings. */
static bool add_string(char ***list, size_t *count, const char *at, size_t size) {
    char **more = realloc(*list, (*count + 1) * sizeof *more);
    if (!more) return false;
    *list = more;
    char *copy = sv_strndup(at, size);
    if (!copy) return false;
    more[(*count)++] = copy;
    return true;
}

static bool add_external(sv_graph_file *g, bytes name) {
    size_t n = (size_t)(name.end - name.at);
    for (size_t i = 0; i < g->external_count; i++)
        if (strlen(g->externals[i]) == n && memcmp(g->externals[i], name.at, n) == 0) return true;
    return add_string(&g->externals, &g->external_count, (const char *)name.at, n);
}

static const char *type_name(uint64_t type) {
    static const char *const names[] = {"?", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16", "float64",
                                        "uint32", "uint64", "complex64", "complex128", "bfloat16"};
    return type < sizeof names / sizeof names[0] ? names[type] : "?";
}

/* The next field of a message that is a message or text itself, with that number. */
static bool next_inside(bytes *b, uint32_t number, bytes *inside, bool *bad) {
    field f;
    while (next_field(b, &f, bad)) {
        if (f.number != number || f.wire != 2) continue;
        *inside = f.data;
        return true;
    }
    return false;
}

/* TensorShapeProto: "batch_size, 4, ?". */
static bool shape_text(bytes shape, sv_buf *b) {
    bytes dim;
    bool bad = false, first = true;
    while (next_inside(&shape, 1, &dim, &bad)) {
        field size;
        if (!first) sv_buf_puts(b, ", ");
        first = false;
        if (!next_field(&dim, &size, &bad))
            sv_buf_putc(b, '?');
        else if (size.wire == 0)
            sv_buf_printf(b, "%llu", (unsigned long long)size.value);
        else
            sv_buf_add(b, size.data.at, (size_t)(size.data.end - size.data.at));
    }
    return !bad;
}

/* TypeProto.Tensor: "float32[batch_size, 4]". */
static bool tensor_type_text(bytes tensor, sv_buf *b) {
    field f;
    bool bad = false, ok = true;
    while (ok && next_field(&tensor, &f, &bad)) {
        if (f.number == 1 && f.wire == 0) sv_buf_printf(b, "%s[", type_name(f.value));
        if (f.number == 2 && f.wire == 2) ok = shape_text(f.data, b);
    }
    sv_buf_putc(b, ']');
    return ok && !bad;
}

/* ValueInfoProto: "name:type[sizes]". */
static bool value_text(bytes value, sv_buf *b) {
    field f;
    bool bad = false, ok = true;
    while (ok && next_field(&value, &f, &bad)) {
        bytes type = f.data, tensor;
        if (f.number == 1 && f.wire == 2) {
            sv_buf_add(b, f.data.at, (size_t)(f.data.end - f.data.at));
            sv_buf_putc(b, ':');
        }
        if (f.number == 2 && f.wire == 2 && next_inside(&type, 1, &tensor, &bad)) ok = tensor_type_text(tensor, b);
    }
    return ok && !bad;
}

static bool add_value(char ***list, size_t *count, bytes value) {
    sv_buf b = {0};
    bool ok = value_text(value, &b) && !b.failed && add_string(list, count, b.data, b.size);
    sv_buf_free(&b);
    return ok;
}

static bool walk_tensor(sv_graph_file *g, bytes b) {
    uint64_t values = 1, type = 0, v;
    bool bad = false;
    field f;
    while (next_field(&b, &f, &bad)) {
        if (f.number == 1 && f.wire == 0) {
            values *= f.value;
        } else if (f.number == 1 && f.wire == 2) {           /* packed */
            while (f.data.at < f.data.end) {
                if (!read_varint(&f.data, &v)) return false;
                values *= v;
            }
        } else if (f.number == 2 && f.wire == 0) {
            type = f.value;
        } else if (f.number == 13 && f.wire == 2) {
            field e;
            bytes entry = f.data, key = {0}, value = {0};
            while (next_field(&entry, &e, &bad)) {
                if (e.number == 1) key = e.data;
                if (e.number == 2) value = e.data;
            }
            if (key.at && key.end - key.at == 8 && memcmp(key.at, "location", 8) == 0 && value.at && !add_external(g, value)) return false;
        }
    }
    const uint64_t half = 10, bfloat = 16;
    unsigned size = type_bytes(type);
    g->weights += values;
    g->weight_bytes += values * size;
    g->float_bytes += values * (type == half || type == bfloat ? 4 : size);
    g->half |= type == half || type == bfloat;
    g->bfloat |= type == bfloat;
    return !bad;
}

static bool walk_graph(sv_graph_file *g, bytes b, int depth) {
    bool bad = false;
    field f, a, t;
    if (depth > MAX_DEPTH) return false;
    while (next_field(&b, &f, &bad)) {
        if (f.number == 5 && f.wire == 2 && !walk_tensor(g, f.data)) return false;
        if (f.number == 11 && f.wire == 2 && depth == 0 && !add_value(&g->inputs, &g->input_count, f.data)) return false;
        if (f.number == 12 && f.wire == 2 && depth == 0 && !add_value(&g->outputs, &g->output_count, f.data)) return false;
        if (f.number != 1 || f.wire != 2) continue;
        bytes node = f.data;
        while (next_field(&node, &a, &bad)) {
            if (a.number != 5 || a.wire != 2) continue;
            bytes attribute = a.data;
            while (next_field(&attribute, &t, &bad)) {
                if (t.wire != 2) continue;
                if (t.number == 5 && !walk_tensor(g, t.data)) return false;
                if (t.number == 6 && !walk_graph(g, t.data, depth + 1)) return false;
            }
        }
    }
    return !bad;
}

static bool walk_model(sv_graph_file *g, bytes b) {
    bool bad = false, found = false;
    field f;
    while (next_field(&b, &f, &bad)) {
        if (f.number != 7 || f.wire != 2) continue;
        if (!walk_graph(g, f.data, 0)) return false;
        found = true;
    }
    return found && !bad;
}

sv_status sv_graph_file_read(const char *path, sv_graph_file *out, sv_error *err) {
    *out = (sv_graph_file){0};
    void *map;
    size_t size;
    SV_TRY(sv_file_map(path, &map, &size, err));
    out->size = size;
    bool ok = walk_model(out, (bytes){map, (const uint8_t *)map + out->size});
    munmap(map, size);
    for (size_t i = 0; i < out->input_count; i++) out->half_values |= strstr(out->inputs[i], ":float16[") || strstr(out->inputs[i], ":bfloat16[");
    for (size_t i = 0; i < out->output_count; i++) out->half_values |= strstr(out->outputs[i], ":float16[") || strstr(out->outputs[i], ":bfloat16[");
    if (ok) return SV_OK;
    sv_fail(err, SV_E_MODEL, path, "is not an ONNX graph, or is cut short");
    return sv_hint(err, SV_E_MODEL, "a file of a few hundred bytes is a Git LFS pointer: fetch the real one; otherwise copy or export it again");
}

static void free_strings(char **list, size_t count) {
    for (size_t i = 0; i < count; i++) free(list[i]);
    free(list);
}

void sv_graph_file_free(sv_graph_file *g) {
    free_strings(g->externals, g->external_count);
    free_strings(g->inputs, g->input_count);
    free_strings(g->outputs, g->output_count);
    *g = (sv_graph_file){0};
}

static bool has_value(char *const *list, size_t count, const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; i < count; i++)
        if (strncmp(list[i], name, n) == 0 && list[i][n] == ':') return true;
    return false;
}

bool sv_graph_file_has_input(const sv_graph_file *g, const char *name) {
    return has_value(g->inputs, g->input_count, name);
}

bool sv_graph_file_has_output(const sv_graph_file *g, const char *name) {
    return has_value(g->outputs, g->output_count, name);
}
