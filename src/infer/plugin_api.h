/* plugin_api.h - inside src/infer: the part of ONNX Runtime's function table that loads execution providers from libraries of their own.
 *
 * Version 1.22 of the library added it; the header of 1.21, which is all that we need otherwise (and what Debian has), ends just before. The table only
 * ever grows at its end, so these functions lie at fixed places behind its member SetEpDynamicOptions, the last one of 1.21. Order and types are those
 * of onnxruntime_c_api.h 1.22. With a newer header the same places are meant.
 */
#ifndef SV_INFER_PLUGIN_API_H
#define SV_INFER_PLUGIN_API_H

#include <onnxruntime/onnxruntime_c_api.h>
#include <stddef.h>

/* The API that must be asked for before any of this may be called. */
#define SV_PLUGIN_API_VERSION 22

typedef struct sv_ep_device sv_ep_device;                /* OrtEpDevice: a provider together with a device that it can use */
typedef struct sv_hardware sv_hardware;                  /* OrtHardwareDevice */
enum { SV_HARDWARE_CPU, SV_HARDWARE_GPU, SV_HARDWARE_NPU };

typedef void (*sv_unused_fn)(void);

typedef struct sv_plugin_api {
    sv_unused_fn graphs[10];                             /* ReleaseValueInfo … GetCompileApi */
    sv_unused_fn pairs[6];                               /* CreateKeyValuePairs … ReleaseKeyValuePairs */
    OrtStatus *(ORT_API_CALL *RegisterExecutionProviderLibrary)(OrtEnv *env, const char *name, const ORTCHAR_T *path);
    OrtStatus *(ORT_API_CALL *UnregisterExecutionProviderLibrary)(OrtEnv *env, const char *name);
    OrtStatus *(ORT_API_CALL *GetEpDevices)(const OrtEnv *env, const sv_ep_device *const **devices, size_t *count);
    OrtStatus *(ORT_API_CALL *SessionOptionsAppendExecutionProvider_V2)(OrtSessionOptions *so, OrtEnv *env, const sv_ep_device *const *devices,
                                                                        size_t device_count, const char *const *keys, const char *const *values, size_t count);
    sv_unused_fn policies[2];                            /* SessionOptionsSetEpSelectionPolicy, …Delegate */
    int(ORT_API_CALL *HardwareDevice_Type)(const sv_hardware *device);
    sv_unused_fn hardware[4];                            /* HardwareDevice_VendorId … HardwareDevice_Metadata */
    const char *(ORT_API_CALL *EpDevice_EpName)(const sv_ep_device *device);
    sv_unused_fn device[3];                              /* EpDevice_EpVendor, EpDevice_EpMetadata, EpDevice_EpOptions */
    const sv_hardware *(ORT_API_CALL *EpDevice_Device)(const sv_ep_device *device);
} sv_plugin_api;

/* api: from GetApi(SV_PLUGIN_API_VERSION). */
static inline const sv_plugin_api *sv_plugin_api_of(const OrtApi *api) {
    return (const sv_plugin_api *)(const void *)((const char *)api + offsetof(OrtApi, SetEpDynamicOptions) + sizeof api->SetEpDynamicOptions);
}

#endif
