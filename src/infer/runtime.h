/* runtime.h - inside src/infer: the loaded ONNX Runtime library, its one environment, and its errors in our words. */
#ifndef SV_INFER_RUNTIME_H
#define SV_INFER_RUNTIME_H

#include <onnxruntime/onnxruntime_c_api.h>

#include "infer/infer.h"

/* The oldest API we ask for; every later library still gives it. ONNX Runtime 1.N has API N. */
#define SV_RUNTIME_API 21

typedef struct sv_runtime {
    const OrtApi *api;
    OrtEnv *env;
    OrtMemoryInfo *cpu;          /* describes our own memory to the library */
    const char *version;         /* the library's, "1.32.0" */
} sv_runtime;

/* Loads the library at the first call of the process and counts users of the environment. SV_E_LIBRARY says where it was looked for. */
sv_status sv_runtime_acquire(const sv_runtime **out, sv_error *err);
void sv_runtime_release(void);
/* The library's table of functions of a later API version; NULL if the library is older. After sv_runtime_acquire. */
const OrtApi *sv_runtime_api(int version);

/* Turns an OrtStatus into an error and frees it; NULL is SV_OK. */
sv_status sv_runtime_check(const sv_runtime *rt, OrtStatus *status, sv_status kind, const char *what, sv_error *err);

#endif
