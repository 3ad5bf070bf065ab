/* provider.c - execution providers: a table of short names and how to ask ONNX Runtime for each. */
#include "infer/runtime.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

typedef struct provider {
    const char *name;            /* ours: the recipe's and the command line's */
    const char *ort;             /* as the library lists it */
    const char *key;             /* for SessionOptionsAppendExecutionProvider; NULL: needs a call of its own */
} provider;

static const provider providers[] = {
    {"cpu", "CPUExecutionProvider", NULL},
    {"cuda", "CUDAExecutionProvider", NULL},
    {"tensorrt", "TensorrtExecutionProvider", NULL},
    {"openvino", "OpenVINOExecutionProvider", "OpenVINO"},
    {"webgpu", "WebGpuExecutionProvider", "WebGPU"},
    {"xnnpack", "XnnpackExecutionProvider", "XNNPACK"},
    {"coreml", "CoreMLExecutionProvider", "CoreML"},
    {"qnn", "QNNExecutionProvider", "QNN"},
};
#define PROVIDERS (sizeof providers / sizeof providers[0])

/* Writes the short names of what the library offers; `want` is looked for among them. */
static sv_status list(const sv_runtime *rt, char *buf, size_t size, const char *want, const provider **found, sv_error *err) {
    char **names = NULL;
    int n = 0;
    SV_TRY(sv_runtime_check(rt, rt->api->GetAvailableProviders(&names, &n), SV_E_LIBRARY, "ONNX Runtime", err));
    size_t used = 0;
    buf[0] = 0;
    for (size_t i = 0; i < PROVIDERS; i++) {
        bool there = false;
        for (int k = 0; k < n; k++) there |= strcmp(names[k], providers[i].ort) == 0;
        if (!there) continue;
        if (strcmp(want, providers[i].name) == 0) *found = &providers[i];
        int w = snprintf(buf + used, size - used, "%s%s", used ? ", " : "", providers[i].name);
        if (w > 0 && (size_t)w < size - used) used += (size_t)w;
    }
    return sv_runtime_check(rt, rt->api->ReleaseAvailableProviders(names, n), SV_E_LIBRARY, "ONNX Runtime", err);
}

static OrtStatus *append_cuda(const OrtApi *api, OrtSessionOptions *so) {
    OrtCUDAProviderOptionsV2 *options = NULL;
    OrtStatus *s = api->CreateCUDAProviderOptions(&options);
    if (s) return s;
    /* Trying every convolution algorithm costs seconds per shape; the heuristic choice is also the same from run to run. */
    static const char *const keys[] = {"cudnn_conv_algo_search"}, *const values[] = {"HEURISTIC"};
    s = api->UpdateCUDAProviderOptions(options, keys, values, 1);
    if (!s) s = api->SessionOptionsAppendExecutionProvider_CUDA_V2(so, options);
    api->ReleaseCUDAProviderOptions(options);
    return s;
}

static OrtStatus *append_tensorrt(const OrtApi *api, OrtSessionOptions *so) {
    OrtTensorRTProviderOptionsV2 *options = NULL;
    OrtStatus *s = api->CreateTensorRTProviderOptions(&options);
    if (s) return s;
    s = api->SessionOptionsAppendExecutionProvider_TensorRT_V2(so, options);
    api->ReleaseTensorRTProviderOptions(options);
    return s;
}

sv_status sv_provider_append(const sv_runtime *rt, OrtSessionOptions *so, const char *name, sv_error *err) {
    if (!name || strcmp(name, "cpu") == 0) return SV_OK;
    char there[256];
    const provider *p = NULL;
    SV_TRY(list(rt, there, sizeof there, name, &p, err));
    if (!p) {
        sv_fail(err, SV_E_USAGE, "engine provider", "this ONNX Runtime has no execution provider \"%s\"", name);
        return sv_hint(err, SV_E_USAGE, "it has: %s; SYNTHVLM_ONNXRUNTIME chooses another library", there);
    }
    OrtStatus *s;
    if (strcmp(name, "cuda") == 0) {
        s = append_cuda(rt->api, so);
    } else if (strcmp(name, "tensorrt") == 0) {
        s = append_tensorrt(rt->api, so);
        if (!s) s = append_cuda(rt->api, so);      /* for the nodes that TensorRT leaves over */
    } else {
        s = rt->api->SessionOptionsAppendExecutionProvider(so, p->key, NULL, NULL, 0);
    }
    sv_status st = sv_runtime_check(rt, s, SV_E_LIBRARY, name, err);
    if (st != SV_OK) sv_hint(err, st, "the provider's own libraries must be on the loader's path");
    return st;
}
