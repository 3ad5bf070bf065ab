/* provider.c - execution providers: those that the library was built with, by a table of short names, and those that come as a library of their own. */
#include "infer/provider.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/file.h"
#include "base/str.h"
#include "infer/plugin_api.h"

static OrtStatus *append_cuda(const OrtApi *api, OrtSessionOptions *so, const char *const *keys, const char *const *values, size_t n);
static OrtStatus *append_tensorrt(const OrtApi *api, OrtSessionOptions *so, const char *const *keys, const char *const *values, size_t n);

typedef struct provider {
    const char *name;            /* ours: the recipe's and the command line's */
    const char *ort;             /* as the library lists it; plugins mostly take the same name */
    const char *key;             /* for SessionOptionsAppendExecutionProvider; NULL: needs calls of its own */
    OrtStatus *(*append)(const OrtApi *, OrtSessionOptions *, const char *const *keys, const char *const *values, size_t n);
    const char *source;          /* where one gets it */
} provider;

static const provider providers[] = {
    {"cpu", "CPUExecutionProvider", NULL, NULL, NULL},
    {"cuda", "CUDAExecutionProvider", NULL, append_cuda, "the wheel onnxruntime-gpu has a library with it"},
    {"tensorrt", "TensorrtExecutionProvider", NULL, append_tensorrt, "the wheel onnxruntime-gpu has a library with it"},
    {"openvino", "OpenVINOExecutionProvider", "OpenVINO", NULL, "the wheel onnxruntime-openvino has a library with it, onnxruntime-ep-openvino a plugin"},
    {"webgpu", "WebGpuExecutionProvider", "WebGPU", NULL, "the wheel onnxruntime-webgpu has a library with it, onnxruntime-ep-webgpu a plugin"},
    {"xnnpack", "XnnpackExecutionProvider", "XNNPACK", NULL, "a build of ONNX Runtime with --use_xnnpack has it"},
    {"coreml", "CoreMLExecutionProvider", "CoreML", NULL, "the macOS builds of ONNX Runtime have it"},
    {"qnn", "QNNExecutionProvider", "QNN", NULL, "the wheel onnxruntime-qnn has a library with it"},
};
#define PROVIDERS (sizeof providers / sizeof providers[0])

static const provider *find(const char *name) {
    for (size_t i = 0; i < PROVIDERS; i++)
        if (strcmp(name, providers[i].name) == 0) return &providers[i];
    return NULL;
}

/* ---- options: a JSON object of texts, numbers and truths becomes two lists of texts ---- */

enum { MOST_OPTIONS = 64 };

typedef struct option_list {
    char *keys[MOST_OPTIONS], *values[MOST_OPTIONS];
    size_t count;
    int hardware;                /* SV_HARDWARE_… that our own key "device" names; -1: none */
} option_list;

static void free_options(option_list *l) {
    for (size_t i = 0; i < l->count; i++) {
        free(l->keys[i]);
        free(l->values[i]);
    }
    l->count = 0;
}

static sv_status read_option(option_list *l, const char *key, yyjson_val *value, sv_error *err) {
    static const char *const hardware[] = {[SV_HARDWARE_CPU] = "cpu", [SV_HARDWARE_GPU] = "gpu", [SV_HARDWARE_NPU] = "npu"};
    if (strcmp(key, "device") == 0) {
        for (int i = 0; i < 3; i++)
            if (yyjson_equals_str(value, hardware[i])) l->hardware = i;
        return l->hardware >= 0 ? SV_OK : sv_fail(err, SV_E_USAGE, "provider options", "device must be cpu, gpu or npu");
    }
    if (yyjson_is_ctn(value) || yyjson_is_null(value)) return sv_fail(err, SV_E_USAGE, "provider options", "%.100s must be a text, a number, true or false", key);
    if (l->count == MOST_OPTIONS) return sv_fail(err, SV_E_USAGE, "provider options", "there are more than %d", MOST_OPTIONS);
    char *text = yyjson_is_str(value) ? sv_strdup(yyjson_get_str(value)) : yyjson_val_write(value, 0, NULL);
    l->values[l->count] = text;
    l->keys[l->count] = sv_strdup(key);
    return text && l->keys[l->count++] ? SV_OK : sv_fail_memory(err, "provider options", 0);
}

static sv_status read_options(option_list *l, const char *json, sv_error *err) {
    l->count = 0;
    l->hardware = -1;
    if (!json || !*json) return SV_OK;
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *key, *value;
    sv_status st = SV_OK;
    size_t i, n;
    if (!yyjson_is_obj(root) && !(doc && yyjson_is_null(root))) {
        st = sv_fail(err, SV_E_USAGE, "provider options", "are not a map of names and values");
        sv_hint(err, st, "for example  {\"device_type\": \"CPU\"}");
    }
    yyjson_obj_foreach(root, i, n, key, value)
        if (st == SV_OK) st = read_option(l, yyjson_get_str(key), value, err);
    yyjson_doc_free(doc);
    if (st != SV_OK) free_options(l);
    return st;
}

/* ---- built-in providers ---- */

static OrtStatus *append_cuda(const OrtApi *api, OrtSessionOptions *so, const char *const *keys, const char *const *values, size_t n) {
    OrtCUDAProviderOptionsV2 *options = NULL;
    OrtStatus *s = api->CreateCUDAProviderOptions(&options);
    if (s) return s;
    /* Trying every convolution algorithm costs seconds per shape; the heuristic choice is also the same from run to run. */
    static const char *const search[] = {"cudnn_conv_algo_search"}, *const heuristic[] = {"HEURISTIC"};
    s = api->UpdateCUDAProviderOptions(options, search, heuristic, 1);
    if (!s && n) s = api->UpdateCUDAProviderOptions(options, keys, values, n);
    if (!s) s = api->SessionOptionsAppendExecutionProvider_CUDA_V2(so, options);
    api->ReleaseCUDAProviderOptions(options);
    return s;
}

static OrtStatus *append_tensorrt(const OrtApi *api, OrtSessionOptions *so, const char *const *keys, const char *const *values, size_t n) {
    OrtTensorRTProviderOptionsV2 *options = NULL;
    OrtStatus *s = api->CreateTensorRTProviderOptions(&options);
    if (s) return s;
    if (n) s = api->UpdateTensorRTProviderOptions(options, keys, values, n);
    if (!s) s = api->SessionOptionsAppendExecutionProvider_TensorRT_V2(so, options);
    api->ReleaseTensorRTProviderOptions(options);
    return s ? s : append_cuda(api, so, NULL, NULL, 0);      /* for the nodes that TensorRT leaves over */
}

/* Writes the short names of what the library was built with; `want` is looked for among them. */
static sv_status list_built_in(const sv_runtime *rt, char *buf, size_t size, const provider *want, bool *found, sv_error *err) {
    char **names = NULL;
    int n = 0;
    SV_TRY(sv_runtime_check(rt, rt->api->GetAvailableProviders(&names, &n), SV_E_LIBRARY, "ONNX Runtime", err));
    size_t used = 0;
    buf[0] = 0;
    *found = false;
    for (size_t i = 0; i < PROVIDERS; i++) {
        bool there = false;
        for (int k = 0; k < n; k++) there |= strcmp(names[k], providers[i].ort) == 0;
        if (!there) continue;
        if (want == &providers[i]) *found = true;
        int w = snprintf(buf + used, size - used, "%s%s", used ? ", " : "", providers[i].name);
        if (w > 0 && (size_t)w < size - used) used += (size_t)w;
    }
    return sv_runtime_check(rt, rt->api->ReleaseAvailableProviders(names, n), SV_E_LIBRARY, "ONNX Runtime", err);
}

static sv_status append_built_in(const sv_runtime *rt, OrtSessionOptions *so, const char *name, const option_list *o, sv_error *err) {
    char there[256];
    bool found;
    const provider *p = find(name);
    if (o->hardware >= 0) return sv_fail(err, SV_E_USAGE, "provider options", "device chooses among the devices of a plugin, which %s is not", name);
    SV_TRY(list_built_in(rt, there, sizeof there, p, &found, err));
    if (!found) {
        sv_fail(err, SV_E_USAGE, "engine provider", "this ONNX Runtime (%s) has no execution provider \"%.100s\"; it has: %s", rt->version, name, there);
        if (!p) return sv_hint(err, SV_E_USAGE, "an unknown one needs its plugin: NAME=LIBRARY, in a recipe {name: NAME, library: FILE}");
        return sv_hint(err, SV_E_USAGE, "%s: set SYNTHVLM_ONNXRUNTIME to such a library, or name a plugin as %s=LIBRARY, in a recipe {name: %s, library: FILE}",
                       p->source, name, name);
    }
    const char *const *keys = (const char *const *)o->keys, *const *values = (const char *const *)o->values;
    OrtStatus *s = p->append ? p->append(rt->api, so, keys, values, o->count) : rt->api->SessionOptionsAppendExecutionProvider(so, p->key, keys, values, o->count);
    sv_status st = sv_runtime_check(rt, s, SV_E_LIBRARY, name, err);
    if (st != SV_OK) sv_hint(err, st, "the provider's own libraries must be on the loader's path, and its options be ones it knows");
    return st;
}

/* ---- plugins: one library each, registered once; the environment then stays until the end of the process, because few of them survive being loaded
 * twice ---- */

typedef struct plugin {
    char *path;                  /* real path */
    char *ep;                    /* the provider's own name */
    struct plugin *next;
} plugin;

static struct {
    pthread_mutex_t lock;
    plugin *first;
} g = {.lock = PTHREAD_MUTEX_INITIALIZER};

static sv_status devices_of(const sv_runtime *rt, const sv_plugin_api *api, const sv_ep_device *const **devices, size_t *n, sv_error *err) {
    return sv_runtime_check(rt, api->GetEpDevices(rt->env, devices, n), SV_E_LIBRARY, "execution providers", err);
}

/* The name of the provider that registering the library has added: it is new in the list of devices. Some take the name that they are registered by, so
 * that is the user's. */
static sv_status load_plugin(const sv_runtime *rt, const sv_plugin_api *api, const char *name, const char *path, plugin *p, sv_error *err) {
    const sv_ep_device *const *devices;
    size_t n, before;
    SV_TRY(devices_of(rt, api, &devices, &n, err));
    sv_buf known = {0};          /* names, each after a newline */
    for (size_t i = 0; i < n; i++) sv_buf_printf(&known, "\n%s\n", api->EpDevice_EpName(devices[i]));
    before = n;
    sv_status st = sv_buf_ok(&known, err);
    if (st == SV_OK) {
        st = sv_runtime_check(rt, api->RegisterExecutionProviderLibrary(rt->env, name, path), SV_E_LIBRARY, path, err);
        if (st != SV_OK) sv_hint(err, st, "it must be a plugin for ONNX Runtime %s, with the libraries that it needs beside it", rt->version);
    }
    if (st == SV_OK) st = devices_of(rt, api, &devices, &n, err);
    for (size_t i = 0; st == SV_OK && i < n && !p->ep; i++) {
        sv_buf line = {0};
        sv_buf_printf(&line, "\n%s\n", api->EpDevice_EpName(devices[i]));
        if (!line.failed && !(known.data && strstr(known.data, line.data))) p->ep = sv_strndup(line.data + 1, line.size - 2);
        sv_buf_free(&line);
    }
    sv_buf_free(&known);
    if (st != SV_OK || p->ep) return st;
    sv_fail(err, SV_E_LIBRARY, path, n > before ? "is a second plugin for a provider that is there already" : "is a plugin that finds no device to run on here");
    return sv_hint(err, SV_E_LIBRARY, "its hardware or driver is missing on this machine");
}

/* The provider's name in `ep` (malloc). */
static sv_status find_plugin(const sv_runtime *rt, const sv_plugin_api *api, const char *name, const char *library, char **ep, sv_error *err) {
    char *path = realpath(library, NULL);
    if (!path || !sv_is_file(path)) {
        free(path);
        sv_fail(err, SV_E_LIBRARY, library, "there is no such plugin library");
        return sv_hint(err, SV_E_LIBRARY, "a file such as libonnxruntime_providers_openvino_plugin.so, of the wheel onnxruntime-ep-openvino");
    }
    pthread_mutex_lock(&g.lock);
    plugin *p = g.first;
    sv_status st = SV_OK;
    while (p && strcmp(p->path, path) != 0) p = p->next;
    if (!p) {
        p = calloc(1, sizeof *p);
        st = p ? load_plugin(rt, api, name, path, p, err) : sv_fail_memory(err, library, sizeof *p);
        const sv_runtime *kept;
        if (st == SV_OK) st = sv_runtime_acquire(&kept, err);
        if (st == SV_OK) {
            p->path = path;
            path = NULL;
            p->next = g.first;
            g.first = p;
        } else {
            if (p) free(p->ep);
            free(p);
            p = NULL;
        }
    }
    if (p && !(*ep = sv_strdup(p->ep))) st = sv_fail_memory(err, library, 0);
    pthread_mutex_unlock(&g.lock);
    free(path);
    return st;
}

/* The device to use: the one that was asked for, otherwise a GPU before an NPU before the CPU. */
static const sv_ep_device *choose(const sv_plugin_api *api, const char *ep, const sv_ep_device *const *devices, size_t n, int hardware, sv_buf *there) {
    static const int rank[] = {[SV_HARDWARE_CPU] = 1, [SV_HARDWARE_GPU] = 3, [SV_HARDWARE_NPU] = 2};
    static const char *const names[] = {[SV_HARDWARE_CPU] = "cpu", [SV_HARDWARE_GPU] = "gpu", [SV_HARDWARE_NPU] = "npu"};
    const sv_ep_device *best = NULL;
    int best_rank = 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(api->EpDevice_EpName(devices[i]), ep) != 0) continue;
        int type = api->HardwareDevice_Type(api->EpDevice_Device(devices[i]));
        if (type < 0 || type > SV_HARDWARE_NPU) continue;
        sv_buf_printf(there, "%s%s", there->size ? ", " : "", names[type]);
        if ((hardware >= 0 && type != hardware) || rank[type] <= best_rank) continue;
        best = devices[i];
        best_rank = rank[type];
    }
    return best;
}

static sv_status append_plugin(const sv_runtime *rt, OrtSessionOptions *so, const char *name, const char *library, const option_list *o, sv_error *err) {
    const OrtApi *full = sv_runtime_api(SV_PLUGIN_API_VERSION);
    if (!full) {
        sv_fail(err, SV_E_LIBRARY, "ONNX Runtime", "version %s takes no plugins, 1.%d and later do", rt->version, SV_PLUGIN_API_VERSION);
        return sv_hint(err, SV_E_LIBRARY, "set SYNTHVLM_ONNXRUNTIME to a newer libonnxruntime.so");
    }
    const sv_plugin_api *api = sv_plugin_api_of(full);
    char *ep = NULL;
    const sv_ep_device *const *devices;
    size_t n;
    sv_buf there = {0};
    SV_TRY(find_plugin(rt, api, name, library, &ep, err));
    sv_status st = devices_of(rt, api, &devices, &n, err);
    if (st == SV_OK) {
        const sv_ep_device *device = choose(api, ep, devices, n, o->hardware, &there);
        if (!device) {
            st = sv_fail(err, SV_E_USAGE, library, "%s cannot use the device that is asked for here", ep);
            sv_hint(err, st, "it offers: %s", there.data ? there.data : "none");
        } else {
            const char *const *keys = (const char *const *)o->keys, *const *values = (const char *const *)o->values;
            st = sv_runtime_check(rt, api->SessionOptionsAppendExecutionProvider_V2(so, rt->env, &device, 1, keys, values, o->count), SV_E_LIBRARY, ep, err);
            if (st != SV_OK) sv_hint(err, st, "its options must be ones that it knows; the plugin's own pages list them");
        }
    }
    sv_buf_free(&there);
    free(ep);
    return st;
}

sv_status sv_provider_append(const sv_runtime *rt, OrtSessionOptions *so, const sv_session_options *o, sv_error *err) {
    const char *name = o && o->provider ? o->provider : "cpu", *equals = strchr(name, '=');
    const char *library = equals ? equals + 1 : o ? o->provider_library : NULL;
    option_list options;
    if (!library && strcmp(name, "cpu") == 0) {
        if (!o || !o->provider_options || !*o->provider_options) return SV_OK;
        return sv_fail(err, SV_E_USAGE, "provider options", "the cpu provider has none");
    }
    SV_TRY(read_options(&options, o->provider_options, err));
    if (library && (!*library || equals == name)) {
        free_options(&options);
        return sv_fail(err, SV_E_USAGE, "engine provider", "\"%.100s\" lacks a part: a plugin is NAME=LIBRARY", name);
    }
    char *alone = sv_strndup(name, strcspn(name, "="));
    sv_status st = !alone ? sv_fail_memory(err, name, 0)
                   : library ? append_plugin(rt, so, alone, library, &options, err) : append_built_in(rt, so, alone, &options, err);
    free(alone);
    free_options(&options);
    return st;
}
