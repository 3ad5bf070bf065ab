/* call.c - one thread's bound memory for a session: inputs and outputs of fixed shape, converted where the graph's number type is another. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infer/session.h"

/* How the caller sees the values of a slot. */
typedef enum seen_as { SEEN_FLOATS, SEEN_INTS, SEEN_NUMBER } seen_as;

typedef struct slot {
    const sv_tensor_info *info;
    seen_as as;                  /* a number: seen is one double, spread over all values */
    size_t count;                /* values */
    int64_t dims[SV_MAX_RANK];
    void *seen;                  /* what the caller reads or writes: float, int64_t or one double */
    void *native;                /* what the graph reads or writes; == seen where the types agree */
    OrtValue *value;
    bool any;                    /* an output that ONNX Runtime allocates */
    sv_call_result result;
    size_t capacity;             /* of seen, for outputs of unknown shape: values */
} slot;

struct sv_call {
    sv_session *s;
    slot *in, *out;
    size_t in_count, out_count;
    const char **in_names, **out_names;
    OrtValue **in_values, **out_values;
};

static size_t dtype_size(sv_dtype t) {
    switch (t) {
    case SV_DTYPE_F32: return 4;
    case SV_DTYPE_F16: return 2;
    case SV_DTYPE_I64: return 8;
    case SV_DTYPE_I32: return 4;
    case SV_DTYPE_BOOL:
    case SV_DTYPE_OTHER: break;
    }
    return 0;
}

static ONNXTensorElementDataType ort_type(sv_dtype t) {
    switch (t) {
    case SV_DTYPE_F32: return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    case SV_DTYPE_F16: return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
    case SV_DTYPE_I64: return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
    case SV_DTYPE_I32: return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
    case SV_DTYPE_BOOL:
    case SV_DTYPE_OTHER: break;
    }
    return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
}

sv_status sv_call_open(sv_call **out, sv_session *s, sv_error *err) {
    *out = NULL;
    sv_call *c = calloc(1, sizeof *c);
    size_t n = s->inputs.count + 1, m = s->outputs.count + 1;
    if (!c) return sv_fail_memory(err, s->path, sizeof *c);
    c->s = sv_session_hold(s);
    c->in = calloc(n, sizeof *c->in);
    c->out = calloc(m, sizeof *c->out);
    c->in_names = calloc(n, sizeof *c->in_names);
    c->out_names = calloc(m, sizeof *c->out_names);
    c->in_values = calloc(n, sizeof *c->in_values);
    c->out_values = calloc(m, sizeof *c->out_values);
    if (!c->in || !c->out || !c->in_names || !c->out_names || !c->in_values || !c->out_values) {
        sv_call_close(&c);
        return sv_fail_memory(err, s->path, 0);
    }
    *out = c;
    return SV_OK;
}

static void free_slot(sv_call *c, slot *t) {
    if (t->value) c->s->rt->api->ReleaseValue(t->value);
    if (t->native != t->seen) free(t->native);
    free(t->seen);
}

void sv_call_close(sv_call **call) {
    sv_call *c = *call;
    if (!c) return;
    for (size_t i = 0; i < c->in_count; i++) free_slot(c, &c->in[i]);
    for (size_t i = 0; i < c->out_count; i++) free_slot(c, &c->out[i]);
    free(c->in);
    free(c->out);
    free(c->in_names);
    free(c->out_names);
    free(c->in_values);
    free(c->out_values);
    sv_session_close(&c->s);
    free(c);
    *call = NULL;
}

sv_session *sv_call_session(const sv_call *c) {
    return c->s;
}

/* Holds a shape against what the graph says. */
static sv_status check_shape(const sv_call *c, const sv_tensor_info *t, const int64_t *dims, int rank, sv_error *err) {
    bool same = rank == t->rank;
    for (int d = 0; same && d < rank; d++) same = t->dims[d] < 0 || t->dims[d] == dims[d];
    if (same) return SV_OK;
    char want[256], have[256];
    size_t used = 0;
    have[0] = 0;
    for (int d = 0; d < rank && used < sizeof have - 24; d++)
        used += (size_t)snprintf(have + used, sizeof have - used, "%s%lld", d ? ", " : "", (long long)dims[d]);
    return sv_fail(err, SV_E_MODEL, c->s->path, "the graph has %s, which does not take [%s]", sv_tensor_text(t, want, sizeof want), have);
}

static sv_status values_of(const sv_call *c, const sv_tensor_info *t, const int64_t *dims, int rank, size_t *count, sv_error *err) {
    size_t n = 1;
    for (int d = 0; d < rank; d++) {
        if (dims[d] <= 0 || n > SIZE_MAX / 16 / (size_t)dims[d]) return sv_fail(err, SV_E_MEMORY, c->s->path, "%s: a shape that cannot be held", t->name);
        n *= (size_t)dims[d];
    }
    *count = n;
    return SV_OK;
}

/* Memory and an OrtValue over it. seen_size: bytes of one value as the caller sees it. */
static sv_status make(sv_call *c, slot *t, const int64_t *dims, int rank, size_t seen_size, bool native_is_seen, sv_error *err) {
    SV_TRY(values_of(c, t->info, dims, rank, &t->count, err));
    for (int d = 0; d < rank; d++) t->dims[d] = dims[d];
    size_t bytes = t->count * dtype_size(t->info->type);
    t->seen = calloc(t->as == SEEN_NUMBER ? 1 : t->count, seen_size);
    t->native = native_is_seen ? t->seen : calloc(t->count, dtype_size(t->info->type));
    if (!t->seen || !t->native) return sv_fail_memory(err, c->s->path, bytes);
    return sv_runtime_check(c->s->rt, c->s->rt->api->CreateTensorWithDataAsOrtValue(c->s->rt->cpu, t->native, bytes, dims, (size_t)rank,
                            ort_type(t->info->type), &t->value), SV_E_INTERNAL, c->s->path, err);
}

static sv_status input_slot(sv_call *c, const char *name, slot **out, sv_error *err) {
    const sv_tensor_info *info = sv_session_input(c->s, name);
    if (!info) return sv_fail(err, SV_E_MODEL, c->s->path, "the graph has no input \"%s\"", name);
    for (size_t i = 0; i < c->in_count; i++)
        if (c->in[i].info == info) return sv_fail(err, SV_E_INTERNAL, c->s->path, "input \"%s\" is bound twice", name);
    *out = &c->in[c->in_count];
    (*out)->info = info;
    return SV_OK;
}

/* Counts a slot in once it is complete; a half-made one is freed here. */
static sv_status keep_input(sv_call *c, slot *t, sv_status st) {
    if (st != SV_OK) {
        free_slot(c, t);
        *t = (slot){0};
        return st;
    }
    c->in_names[c->in_count] = t->info->name;
    c->in_values[c->in_count] = t->value;
    c->in_count++;
    return SV_OK;
}

sv_status sv_call_floats(sv_call *c, const char *input, const int64_t *dims, int rank, float **data, sv_error *err) {
    slot *t = NULL;
    SV_TRY(input_slot(c, input, &t, err));
    SV_TRY(check_shape(c, t->info, dims, rank, err));
    sv_dtype type = t->info->type;
    /* Whole numbers are taken too: some exports declare small tables (time_ids, img_ids) that way. */
    if (type >= SV_DTYPE_BOOL) return sv_fail(err, SV_E_MODEL, c->s->path, "input \"%s\" is of a type that is not understood", input);
    SV_TRY(keep_input(c, t, make(c, t, dims, rank, sizeof(float), type == SV_DTYPE_F32, err)));
    *data = t->seen;
    return SV_OK;
}

sv_status sv_call_ints(sv_call *c, const char *input, const int64_t *dims, int rank, int64_t **data, sv_error *err) {
    slot *t = NULL;
    SV_TRY(input_slot(c, input, &t, err));
    SV_TRY(check_shape(c, t->info, dims, rank, err));
    if (t->info->type != SV_DTYPE_I64 && t->info->type != SV_DTYPE_I32)
        return sv_fail(err, SV_E_MODEL, c->s->path, "input \"%s\" is %s where int64 or int32 is expected", input, sv_dtype_name(t->info->type));
    t->as = SEEN_INTS;
    SV_TRY(keep_input(c, t, make(c, t, dims, rank, sizeof(int64_t), t->info->type == SV_DTYPE_I64, err)));
    *data = t->seen;
    return SV_OK;
}

sv_status sv_call_number(sv_call *c, const char *input, int64_t count, double **value, sv_error *err) {
    slot *t = NULL;
    SV_TRY(input_slot(c, input, &t, err));
    int rank = t->info->rank;
    if (rank > 1 || t->info->type >= SV_DTYPE_BOOL) {
        char text[256];
        return sv_fail(err, SV_E_MODEL, c->s->path, "the graph has %s where one number is expected", sv_tensor_text(t->info, text, sizeof text));
    }
    int64_t dims[1] = {t->info->dims[0] > 0 ? t->info->dims[0] : count};
    t->as = SEEN_NUMBER;
    SV_TRY(keep_input(c, t, make(c, t, dims, rank, sizeof(double), false, err)));
    *value = t->seen;
    return SV_OK;
}

static sv_status output_slot(sv_call *c, const char *name, bool truths, slot **out, sv_error *err) {
    const sv_tensor_info *info = sv_session_output(c->s, name);
    if (!info) return sv_fail(err, SV_E_MODEL, c->s->path, "the graph has no output \"%s\"", name);
    if (info->type != SV_DTYPE_F32 && info->type != SV_DTYPE_F16 && !(truths && info->type == SV_DTYPE_BOOL))
        return sv_fail(err, SV_E_MODEL, c->s->path, "output \"%s\" is %s where float32 or float16 is expected", name, sv_dtype_name(info->type));
    for (size_t i = 0; i < c->out_count; i++)
        if (c->out[i].info == info) return sv_fail(err, SV_E_INTERNAL, c->s->path, "output \"%s\" is bound twice", name);
    *out = &c->out[c->out_count];
    (*out)->info = info;
    return SV_OK;
}

sv_status sv_call_output(sv_call *c, const char *output, const int64_t *dims, int rank, const float **data, sv_error *err) {
    slot *t = NULL;
    SV_TRY(output_slot(c, output, false, &t, err));
    SV_TRY(check_shape(c, t->info, dims, rank, err));
    sv_status st = make(c, t, dims, rank, sizeof(float), t->info->type == SV_DTYPE_F32, err);
    if (st != SV_OK) {
        free_slot(c, t);
        *t = (slot){0};
        return st;
    }
    c->out_names[c->out_count++] = t->info->name;
    *data = t->seen;
    return SV_OK;
}

sv_status sv_call_output_any(sv_call *c, const char *output, const sv_call_result **result, sv_error *err) {
    slot *t = NULL;
    SV_TRY(output_slot(c, output, true, &t, err));
    t->any = true;
    c->out_names[c->out_count++] = t->info->name;
    *result = &t->result;
    return SV_OK;
}

static void store(const sv_tensor_info *info, void *native, size_t i, double v) {
    switch (info->type) {
    case SV_DTYPE_F32: ((float *)native)[i] = (float)v; break;
    case SV_DTYPE_F16: ((uint16_t *)native)[i] = sv_half_from_float((float)v); break;
    case SV_DTYPE_I64: ((int64_t *)native)[i] = (int64_t)v; break;
    case SV_DTYPE_I32: ((int32_t *)native)[i] = (int32_t)v; break;
    case SV_DTYPE_BOOL:
    case SV_DTYPE_OTHER: break;
    }
}

static void convert_in(slot *t) {
    if (t->as == SEEN_NUMBER) {
        for (size_t i = 0; i < t->count; i++) store(t->info, t->native, i, *(double *)t->seen);
    } else if (t->native == t->seen) {
        return;
    } else if (t->as == SEEN_INTS) {
        for (size_t i = 0; i < t->count; i++) ((int32_t *)t->native)[i] = (int32_t)((int64_t *)t->seen)[i];
    } else if (t->info->type == SV_DTYPE_F16) {
        for (size_t i = 0; i < t->count; i++) ((uint16_t *)t->native)[i] = sv_half_from_float(((float *)t->seen)[i]);
    } else {
        for (size_t i = 0; i < t->count; i++) store(t->info, t->native, i, ((float *)t->seen)[i]);
    }
}

static void halves_to_floats(const uint16_t *in, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = sv_half_to_float(in[i]);
}

/* Takes over the shape and the values of an output that ONNX Runtime allocated. */
static sv_status read_any(sv_call *c, slot *t, sv_error *err) {
    const OrtApi *api = c->s->rt->api;
    OrtTensorTypeAndShapeInfo *shape = NULL;
    size_t rank = 0;
    void *data = NULL;
    SV_TRY(sv_runtime_check(c->s->rt, api->GetTensorTypeAndShape(t->value, &shape), SV_E_MODEL, c->s->path, err));
    OrtStatus *e = api->GetDimensionsCount(shape, &rank);
    if (!e && rank <= SV_MAX_RANK) e = api->GetDimensions(shape, t->result.dims, rank);
    api->ReleaseTensorTypeAndShapeInfo(shape);
    if (!e) e = api->GetTensorMutableData(t->value, &data);
    SV_TRY(sv_runtime_check(c->s->rt, e, SV_E_MODEL, c->s->path, err));
    if (rank > SV_MAX_RANK) return sv_fail(err, SV_E_MODEL, c->s->path, "output \"%s\" has too many dimensions", t->info->name);
    t->result.rank = (int)rank;
    size_t n = 1;
    for (size_t d = 0; d < rank; d++) n *= (size_t)t->result.dims[d];
    if (n > t->capacity) {
        float *more = realloc(t->seen, n * sizeof *more);
        if (!more) return sv_fail_memory(err, c->s->path, n * sizeof *more);
        t->native = t->seen = more;
        t->capacity = n;
    }
    if (t->info->type == SV_DTYPE_F16)
        halves_to_floats(data, t->seen, n);
    else if (t->info->type == SV_DTYPE_BOOL)
        for (size_t i = 0; i < n; i++) ((float *)t->seen)[i] = ((const uint8_t *)data)[i] != 0;
    else
        memcpy(t->seen, data, n * sizeof(float));
    t->result.data = t->seen;
    api->ReleaseValue(t->value);
    t->value = NULL;
    return SV_OK;
}

sv_status sv_call_run(sv_call *c, sv_error *err) {
    sv_session *s = c->s;
    SV_TRY(sv_session_load(s, err));
    for (size_t i = 0; c->in_count < s->inputs.count && i < s->inputs.count; i++) {
        bool bound = s->inputs.items[i].optional;
        for (size_t k = 0; k < c->in_count; k++) bound |= c->in[k].info == &s->inputs.items[i];
        if (!bound) return sv_fail(err, SV_E_MODEL, s->path, "the graph wants an input \"%s\", which this kind of model does not have", s->inputs.items[i].name);
    }
    for (size_t i = 0; i < c->in_count; i++) convert_in(&c->in[i]);
    for (size_t i = 0; i < c->out_count; i++) c->out_values[i] = c->out[i].value;
    SV_TRY(sv_runtime_check(s->rt, s->rt->api->Run(s->ort, NULL, c->in_names, (const OrtValue *const *)c->in_values, c->in_count, c->out_names,
                            c->out_count, c->out_values), SV_E_MODEL, s->path, err));
    for (size_t i = 0; i < c->out_count; i++) c->out[i].value = c->out_values[i];
    for (size_t i = 0; i < c->out_count; i++) {
        slot *t = &c->out[i];
        if (t->any)
            SV_TRY(read_any(c, t, err));
        else if (t->native != t->seen)
            halves_to_floats(t->native, t->seen, t->count);
    }
    return SV_OK;
}
