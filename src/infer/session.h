/* session.h - inside src/infer: what a call needs to see of a session. */
#ifndef SV_INFER_SESSION_H
#define SV_INFER_SESSION_H

#include <stdatomic.h>

#include "infer/runtime.h"

typedef struct sv_tensor_list {
    sv_tensor_info *items;
    size_t count;
} sv_tensor_list;

struct sv_session {
    const sv_runtime *rt;
    OrtSession *ort;
    atomic_int holders;
    char *path;
    sv_tensor_list inputs, outputs;
};

#endif
