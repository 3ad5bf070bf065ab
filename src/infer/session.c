/* session.c - loading a graph and reading its contract: names, types, ranks and sizes of inputs and outputs. */
#include "infer/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "infer/graph_file.h"
#include "infer/provider.h"

const char *sv_dtype_name(sv_dtype t) {
    switch (t) {
    case SV_DTYPE_F32: return "float32";
    case SV_DTYPE_F16: return "float16";
    case SV_DTYPE_I64: return "int64";
    case SV_DTYPE_I32: return "int32";
    case SV_DTYPE_BOOL: return "bool";
    case SV_DTYPE_OTHER: break;
    }
    return "another type";
}

static sv_dtype dtype_of(ONNXTensorElementDataType t) {
    switch (t) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT: return SV_DTYPE_F32;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16: return SV_DTYPE_F16;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64: return SV_DTYPE_I64;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32: return SV_DTYPE_I32;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL: return SV_DTYPE_BOOL;
    default: return SV_DTYPE_OTHER;
    }
}

static void free_list(sv_tensor_list *l) {
    for (size_t i = 0; i < l->count; i++) {
        free(l->items[i].name);
        for (int d = 0; d < SV_MAX_RANK; d++) free(l->items[i].symbols[d]);
    }
    free(l->items);
    *l = (sv_tensor_list){0};
}

/* Fills in one tensor's type and shape. */
static sv_status read_shape(sv_session *s, const OrtTypeInfo *info, sv_tensor_info *t, sv_error *err) {
    const OrtApi *api = s->rt->api;
    const OrtTensorTypeAndShapeInfo *shape = NULL;
    SV_TRY(sv_runtime_check(s->rt, api->CastTypeInfoToTensorInfo(info, &shape), SV_E_MODEL, s->path, err));
    t->type = SV_DTYPE_OTHER;
    if (!shape) return SV_OK;                      /* a sequence or a map: nothing we could bind, but no reason to refuse the graph */
    ONNXTensorElementDataType type;
    size_t rank;
    SV_TRY(sv_runtime_check(s->rt, api->GetTensorElementType(shape, &type), SV_E_MODEL, s->path, err));
    SV_TRY(sv_runtime_check(s->rt, api->GetDimensionsCount(shape, &rank), SV_E_MODEL, s->path, err));
    if (rank > SV_MAX_RANK) return sv_fail(err, SV_E_MODEL, s->path, "%s has %zu dimensions, at most %d are understood", t->name, rank, SV_MAX_RANK);
    t->type = dtype_of(type);
    t->rank = (int)rank;
    const char *symbols[SV_MAX_RANK] = {0};
    SV_TRY(sv_runtime_check(s->rt, api->GetDimensions(shape, t->dims, rank), SV_E_MODEL, s->path, err));
    SV_TRY(sv_runtime_check(s->rt, api->GetSymbolicDimensions(shape, symbols, rank), SV_E_MODEL, s->path, err));
    for (size_t d = 0; d < rank; d++) {
        if (t->dims[d] >= 0 || !symbols[d] || !*symbols[d]) continue;
        t->symbols[d] = sv_strdup(symbols[d]);
        if (!t->symbols[d]) return sv_fail_memory(err, s->path, strlen(symbols[d]));
    }
    return SV_OK;
}

static sv_status read_tensor(sv_session *s, bool input, size_t i, sv_tensor_info *t, sv_error *err) {
    const OrtApi *api = s->rt->api;
    OrtAllocator *allocator = NULL;
    char *name = NULL;
    SV_TRY(sv_runtime_check(s->rt, api->GetAllocatorWithDefaultOptions(&allocator), SV_E_MODEL, s->path, err));
    SV_TRY(sv_runtime_check(s->rt, input ? api->SessionGetInputName(s->ort, i, allocator, &name) : api->SessionGetOutputName(s->ort, i, allocator, &name),
                            SV_E_MODEL, s->path, err));
    t->name = sv_strdup(name);
    allocator->Free(allocator, name);
    if (!t->name) return sv_fail_memory(err, s->path, 0);
    OrtTypeInfo *info = NULL;
    SV_TRY(sv_runtime_check(s->rt, input ? api->SessionGetInputTypeInfo(s->ort, i, &info) : api->SessionGetOutputTypeInfo(s->ort, i, &info),
                            SV_E_MODEL, s->path, err));
    sv_status st = read_shape(s, info, t, err);
    api->ReleaseTypeInfo(info);
    return st;
}

static sv_status read_list(sv_session *s, bool input, sv_tensor_list *l, sv_error *err) {
    const OrtApi *api = s->rt->api;
    size_t n = 0;
    SV_TRY(sv_runtime_check(s->rt, input ? api->SessionGetInputCount(s->ort, &n) : api->SessionGetOutputCount(s->ort, &n), SV_E_MODEL, s->path, err));
    l->items = calloc(n ? n : 1, sizeof *l->items);
    if (!l->items) return sv_fail_memory(err, s->path, n * sizeof *l->items);
    l->count = n;
    for (size_t i = 0; i < n; i++) SV_TRY(read_tensor(s, input, i, &l->items[i], err));
    return SV_OK;
}

static sv_status create(sv_session *s, const sv_session_options *o, sv_error *err) {
    const OrtApi *api = s->rt->api;
    OrtSessionOptions *so = NULL;
    int threads = o && o->threads > 0 ? o->threads : 1;
    SV_TRY(sv_runtime_check(s->rt, api->CreateSessionOptions(&so), SV_E_LIBRARY, "ONNX Runtime", err));
    OrtStatus *e = api->SetIntraOpNumThreads(so, threads);
    if (!e) e = api->SetInterOpNumThreads(so, 1);
    /* A plan of all memory in one piece is taken besides what the first call took in small pieces: half as much again at the peak, for no time. */
    if (!e) e = api->DisableMemPattern(so);
    if (!e) e = api->SetSessionExecutionMode(so, ORT_SEQUENTIAL);
    if (!e) e = api->SetSessionGraphOptimizationLevel(so, ORT_ENABLE_ALL);
    /* Threads of a pool that spin while they wait would take the cores from the other workers. */
    if (!e) e = api->AddSessionConfigEntry(so, "session.intra_op.allow_spinning", "0");
    if (!e) e = api->AddSessionConfigEntry(so, "session.inter_op.allow_spinning", "0");
    if (!e) e = api->AddSessionConfigEntry(so, "session.use_env_allocators", "1");      /* see share_memory */
    if (!e && o && o->mapped) e = api->AddSessionConfigEntry(so, "session.disable_prepacking", "1");
    /* Weights lie outside of that pool, so that a session which is let go gives their memory back. */
    if (!e) e = api->AddSessionConfigEntry(so, "session.use_device_allocator_for_initializers", "1");
    sv_status st = sv_runtime_check(s->rt, e, SV_E_LIBRARY, "ONNX Runtime", err);
    if (st == SV_OK) st = sv_provider_append(s->rt, so, o, err);
    if (st == SV_OK) st = sv_runtime_check(s->rt, api->CreateSession(s->rt->env, s->path, so, &s->ort), SV_E_MODEL, s->path, err);
    api->ReleaseSessionOptions(so);
    return st;
}

sv_status sv_provider_check(const sv_session_options *o, sv_error *err) {
    const sv_runtime *rt;
    OrtSessionOptions *so = NULL;
    SV_TRY(sv_runtime_acquire(&rt, err));
    sv_status st = sv_runtime_check(rt, rt->api->CreateSessionOptions(&so), SV_E_LIBRARY, "ONNX Runtime", err);
    if (st == SV_OK) st = sv_provider_append(rt, so, o, err);
    if (so) rt->api->ReleaseSessionOptions(so);
    sv_runtime_release();
    return st;
}

/* ---- opening and loading ---- */

static const sv_tensor_info *find(const sv_tensor_list *l, const char *name) {
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->items[i].name, name) == 0) return &l->items[i];
    return NULL;
}

/* "name:float32[batch_size, 4, ?]", as graph_file.c writes it. */
static sv_status parse_tensor(const char *path, const char *text, sv_tensor_info *t, sv_error *err) {
    static const sv_dtype types[] = {SV_DTYPE_F32, SV_DTYPE_F16, SV_DTYPE_I64, SV_DTYPE_I32, SV_DTYPE_BOOL};
    const char *type = strchr(text, ':'), *size;
    for (const char *more; type && (more = strchr(type + 1, ':')) && more < strchr(type, '[');) type = more;   /* names may hold colons */
    t->name = sv_strndup(text, type ? (size_t)(type - text) : strlen(text));
    t->type = SV_DTYPE_OTHER;
    if (!t->name) return sv_fail_memory(err, path, strlen(text));
    size = type ? strchr(type, '[') : NULL;
    if (!size) return SV_OK;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strncmp(type + 1, sv_dtype_name(types[i]), (size_t)(size - type - 1)) == 0 &&
            strlen(sv_dtype_name(types[i])) == (size_t)(size - type - 1)) t->type = types[i];
    for (size++; *size && *size != ']';) {
        size_t n = strcspn(size, ",]");
        char *end;
        if (t->rank == SV_MAX_RANK) return sv_fail(err, SV_E_MODEL, path, "%s has more than %d dimensions", t->name, SV_MAX_RANK);
        long long v = strtoll(size, &end, 10);
        t->dims[t->rank] = end == size + n && n ? v : -1;
        if (t->dims[t->rank] < 0 && n && *size != '?' && !(t->symbols[t->rank] = sv_strndup(size, n))) return sv_fail_memory(err, path, n);
        t->rank++;
        size += n;
        size += strspn(size, ", ");
    }
    return SV_OK;
}

static sv_status parse_list(const char *path, char *const *texts, size_t count, sv_tensor_list *l, sv_error *err) {
    l->items = calloc(count ? count : 1, sizeof *l->items);
    if (!l->items) return sv_fail_memory(err, path, count * sizeof *l->items);
    l->count = count;
    for (size_t i = 0; i < count; i++) SV_TRY(parse_tensor(path, texts[i], &l->items[i], err));
    return SV_OK;
}

/* What a lazy session is asked before it is loaded. */
static sv_status read_file(sv_session *s, sv_error *err) {
    sv_graph_file g;
    sv_status st = sv_graph_file_read(s->path, &g, err);
    if (st == SV_OK) st = parse_list(s->path, g.inputs, g.input_count, &s->inputs, err);
    if (st == SV_OK) st = parse_list(s->path, g.outputs, g.output_count, &s->outputs, err);
    sv_graph_file_free(&g);
    return st;
}

static sv_status keep_options(sv_session *s, const sv_session_options *o, sv_error *err) {
    s->threads = o ? o->threads : 0;
    s->mapped = o && o->mapped;
    if (!o || !o->lazy) return SV_OK;
    s->provider = sv_strdup(o->provider);
    s->provider_library = sv_strdup(o->provider_library);
    s->provider_options = sv_strdup(o->provider_options);
    bool kept = !s->provider == !o->provider && !s->provider_library == !o->provider_library && !s->provider_options == !o->provider_options;
    return kept ? SV_OK : sv_fail_memory(err, s->path, 0);
}

/* Weights that old graphs list among their inputs are none that a call has to bind: the loaded graph knows them. */
static sv_status settle_inputs(sv_session *s, sv_error *err) {
    sv_tensor_list real = {0};
    sv_status st = read_list(s, true, &real, err);
    for (size_t i = 0; st == SV_OK && i < s->inputs.count; i++) s->inputs.items[i].optional = find(&real, s->inputs.items[i].name) == NULL;
    free_list(&real);
    return st;
}

sv_status sv_session_load(sv_session *s, sv_error *err) {
    if (atomic_load(&s->loaded)) return SV_OK;
    sv_session_options o = {.provider = s->provider, .provider_library = s->provider_library, .provider_options = s->provider_options, .threads = s->threads,
                            .mapped = s->mapped};
    pthread_mutex_lock(&s->lock);
    sv_status st = SV_OK;
    if (!s->ort) st = create(s, &o, err);
    if (st == SV_OK && !atomic_load(&s->loaded)) st = settle_inputs(s, err);
    if (st == SV_OK) atomic_store(&s->loaded, true);
    pthread_mutex_unlock(&s->lock);
    return st;
}

sv_status sv_session_open(sv_session **out, const char *path, const sv_session_options *o, sv_error *err) {
    *out = NULL;
    if (!sv_is_file(path)) return sv_fail(err, SV_E_MODEL, path, sv_file_exists(path) ? "is not a file" : "no such file");
    sv_session *s = calloc(1, sizeof *s);
    if (!s) return sv_fail_memory(err, path, sizeof *s);
    sv_status st = SV_OK;
    bool lazy = o && o->lazy;
    atomic_init(&s->holders, 1);
    atomic_init(&s->loaded, !lazy);
    pthread_mutex_init(&s->lock, NULL);
    s->path = sv_strdup(path);
    if (!s->path) st = sv_fail_memory(err, path, strlen(path));
    if (st == SV_OK) st = keep_options(s, o, err);
    if (st == SV_OK) st = sv_runtime_acquire(&s->rt, err);
    if (st == SV_OK && lazy) st = read_file(s, err);
    if (st == SV_OK && !lazy) {
        st = create(s, o, err);
        if (st == SV_OK) st = read_list(s, true, &s->inputs, err);
        if (st == SV_OK) st = read_list(s, false, &s->outputs, err);
    }
    if (st != SV_OK) {
        sv_session_close(&s);
        return st;
    }
    *out = s;
    return SV_OK;
}

sv_session *sv_session_hold(sv_session *s) {
    atomic_fetch_add(&s->holders, 1);
    return s;
}

void sv_session_close(sv_session **session) {
    sv_session *s = *session;
    *session = NULL;
    if (!s || atomic_fetch_sub(&s->holders, 1) != 1) return;
    free_list(&s->inputs);
    free_list(&s->outputs);
    if (s->rt) {
        if (s->ort) s->rt->api->ReleaseSession(s->ort);
        sv_runtime_release();
    }
    pthread_mutex_destroy(&s->lock);
    free(s->provider);
    free(s->provider_library);
    free(s->provider_options);
    free(s->path);
    free(s);
}

const char *sv_session_path(const sv_session *s) { return s->path; }

const sv_tensor_info *sv_session_input(const sv_session *s, const char *name) { return find(&s->inputs, name); }
const sv_tensor_info *sv_session_output(const sv_session *s, const char *name) { return find(&s->outputs, name); }

bool sv_session_has_f16(const sv_session *s) {
    for (size_t i = 0; i < s->inputs.count; i++)
        if (s->inputs.items[i].type == SV_DTYPE_F16) return true;
    for (size_t i = 0; i < s->outputs.count; i++)
        if (s->outputs.items[i].type == SV_DTYPE_F16) return true;
    return false;
}

const char *sv_tensor_text(const sv_tensor_info *t, char *buf, size_t size) {
    size_t used = 0;
    int w = snprintf(buf, size, "%s:%s[", t->name, sv_dtype_name(t->type));
    used = w > 0 ? (size_t)w : 0;
    for (int d = 0; d < t->rank && used < size; d++) {
        const char *comma = d ? ", " : "";
        if (t->dims[d] >= 0)
            w = snprintf(buf + used, size - used, "%s%lld", comma, (long long)t->dims[d]);
        else
            w = snprintf(buf + used, size - used, "%s%s", comma, t->symbols[d] ? t->symbols[d] : "?");
        used += w > 0 ? (size_t)w : 0;
    }
    if (used < size) snprintf(buf + used, size - used, "]");
    return buf;
}
