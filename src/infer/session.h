/* session.h - inside src/infer: what a call needs to see of a session. */
#ifndef SV_INFER_SESSION_H
#define SV_INFER_SESSION_H

#include <stdatomic.h>

#include <pthread.h>

#include "infer/runtime.h"

typedef struct sv_tensor_list {
    sv_tensor_info *items;
    size_t count;
} sv_tensor_list;

struct sv_session {
    const sv_runtime *rt;
    OrtSession *ort;
    atomic_int holders;
    pthread_mutex_t lock;        /* guards the loading of a lazy session */
    atomic_bool loaded;
    char *provider, *provider_library, *provider_options;   /* of a lazy session: sv_session_options */
    int threads;
    bool mapped;
    char *path;
    sv_tensor_list inputs, outputs;
};

/* Loads a lazy session, once; any thread. */
sv_status sv_session_load(sv_session *s, sv_error *err);

#endif
