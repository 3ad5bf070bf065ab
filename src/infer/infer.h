/* infer.h - running ONNX graphs. The only door to ONNX Runtime: nothing outside src/infer includes its header.
 *
 * A session (a graph, loaded and optimised) is read-only once open and shared by any number of threads. A call is one thread's bound memory
 * for one fixed shape of a session's inputs and outputs: bind once, then write, run, read as often as needed without allocation.
 */
#ifndef SV_INFER_INFER_H
#define SV_INFER_INFER_H

#include "base/error.h"
#include "synthvlm/log.h"

/* ---- the library (runtime.c) ---- */

/* "1.32.0", or NULL if the library cannot be loaded (then err says where it was looked for). Static memory. */
const char *sv_runtime_version(sv_error *err);

/* ---- sessions (session.c) ---- */

typedef enum sv_dtype { SV_DTYPE_F32 = 1, SV_DTYPE_F16, SV_DTYPE_I64, SV_DTYPE_I32, SV_DTYPE_BOOL, SV_DTYPE_OTHER } sv_dtype;
const char *sv_dtype_name(sv_dtype t);    /* "float32" … */

#define SV_MAX_RANK 8

typedef struct sv_tensor_info {
    char *name;
    sv_dtype type;
    int rank;
    int64_t dims[SV_MAX_RANK];            /* -1 where the graph leaves the size open */
    char *symbols[SV_MAX_RANK];           /* the open sizes' names ("batch_size"), NULL where fixed or nameless */
    bool optional;                        /* an input that the graph has a value for */
} sv_tensor_info;

typedef struct sv_session_options {
    const char *provider;                 /* "cpu" (NULL likewise), "cuda" …, or NAME=LIBRARY for one that comes as a plugin */
    const char *provider_library;         /* the plugin, another way to say so; NULL: the provider is built into ONNX Runtime */
    const char *provider_options;         /* a JSON object, handed on as the provider's own options, but for "device" (cpu, gpu, npu); NULL: none */
    int threads;                          /* intra-op threads of one call, 0: 1 */
    bool mapped;                          /* compute with the weights where they lie in their file of external data, without a copy laid out for the
                                           * processor's kernels: no memory of their own, ready at once, and a tenth to a third slower in matrix products */
    bool lazy;                            /* load at the first run of a call; until then what the file says of itself has to do */
} sv_session_options;

/* Whether the provider of these options is there; for one that is built in and the cpu this is quick. SV_E_USAGE, SV_E_LIBRARY. */
sv_status sv_provider_check(const sv_session_options *o, sv_error *err);

typedef struct sv_session sv_session;

/* Loads a graph. SV_E_MODEL: the file is missing, corrupt, or lacks its external data (ONNX Runtime's own words are passed on); SV_E_USAGE: no such
 * provider; SV_E_LIBRARY: no usable library. */
sv_status sv_session_open(sv_session **out, const char *path, const sv_session_options *o, sv_error *err);
sv_session *sv_session_hold(sv_session *s);      /* one more holder: the graph is let go when the last one closes. A call holds its session. */
void sv_session_close(sv_session **s);

const char *sv_session_path(const sv_session *s);
const sv_tensor_info *sv_session_input(const sv_session *s, const char *name);     /* NULL: no such input */
const sv_tensor_info *sv_session_output(const sv_session *s, const char *name);
bool sv_session_has_f16(const sv_session *s);                                      /* any input or output is float16 */
/* "sample:float32[batch_size, 4, height, width]", for people. */
const char *sv_tensor_text(const sv_tensor_info *t, char *buf, size_t size);

/* ---- calls (call.c) ---- */

/* Float values are seen as float and whole numbers as int64_t whatever the graph's own type is; sv_call_run converts where they differ. */
typedef struct sv_call sv_call;
sv_status sv_call_open(sv_call **out, sv_session *s, sv_error *err);
void sv_call_close(sv_call **c);
sv_session *sv_call_session(const sv_call *c);   /* the call's own: not to be closed */

/* Binds an input to memory of the given shape, owned by the call, zeroed, stable until close, and gives it out. SV_E_MODEL: the graph has no such
 * input, or another rank, size or kind of number. */
sv_status sv_call_floats(sv_call *c, const char *input, const int64_t *dims, int rank, float **data, sv_error *err);
sv_status sv_call_ints(sv_call *c, const char *input, const int64_t *dims, int rank, int64_t **data, sv_error *err);
/* Binds an input that is one number (or `count` equal ones, where the graph wants rank 1), of whatever type; set by writing *value. Exports differ:
 * timestep is int64 or float, rank 0 or 1. */
sv_status sv_call_number(sv_call *c, const char *input, int64_t count, double **value, sv_error *err);

/* Binds an output of known shape to memory owned by the call. */
sv_status sv_call_output(sv_call *c, const char *output, const int64_t *dims, int rank, const float **data, sv_error *err);
/* Binds an output whose shape is learnt from the first run (dims and data are valid after it, and refreshed by each). Truths are seen as 0 and 1. */
typedef struct sv_call_result {
    const float *data;
    int rank;
    int64_t dims[SV_MAX_RANK];
} sv_call_result;
sv_status sv_call_output_any(sv_call *c, const char *output, const sv_call_result **result, sv_error *err);

/* Runs the graph. Every input must be bound. */
sv_status sv_call_run(sv_call *c, sv_error *err);

/* ---- half precision (half.c): IEEE 754 binary16, round to nearest even ---- */
uint16_t sv_half_from_float(float f);
float sv_half_to_float(uint16_t h);

#endif
