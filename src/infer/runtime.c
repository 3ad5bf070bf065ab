/* runtime.c - finds and opens the ONNX Runtime library, and holds the process's one environment.
 *
 * The library is opened at run time because its exported symbol is versioned: a program linked against one version does not start
 * with another, while the C API itself is stable and is asked for by number.
 */
#include "infer/runtime.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"

#ifndef SV_ORT_DIR
#define SV_ORT_DIR ""
#endif

#if defined(__APPLE__)
#define LIBRARY_NAMES {"libonnxruntime.dylib"}
#else
#define LIBRARY_NAMES {"libonnxruntime.so.1", "libonnxruntime.so"}
#endif

static struct {
    pthread_mutex_t lock;
    void *handle;                /* never closed: the library keeps threads and thread-local memory of its own */
    const OrtApiBase *base;
    char version[32];
    sv_runtime rt;
    unsigned users;
} g = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The library's log: its errors also come back as statuses, which we pass on, so saying them twice on stderr would only confuse. */
static void ORT_API_CALL drop_log(void *user, OrtLoggingLevel level, const char *category, const char *id, const char *place, const char *text) {
    (void)user, (void)level, (void)category, (void)id, (void)place, (void)text;
}

/* Tries one file. What went wrong is added to `tried`, for the error at the end. */
static bool try_open(const char *path, sv_buf *tried) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *why = dlerror();
        sv_buf_printf(tried, "%s%s", tried->size ? "; " : "", why ? why : path);
        return false;
    }
    const OrtApiBase *(ORT_API_CALL *get)(void) = NULL;
    *(void **)&get = dlsym(handle, "OrtGetApiBase");
    if (!get) {
        sv_buf_printf(tried, "%s%s: has no OrtGetApiBase", tried->size ? "; " : "", path);
        dlclose(handle);
        return false;
    }
    g.handle = handle;
    g.base = get();
    snprintf(g.version, sizeof g.version, "%s", g.base->GetVersionString());
    return true;
}

static bool try_dir(const char *dir, sv_buf *tried) {
    static const char *const names[] = LIBRARY_NAMES;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = sv_path_join(dir, names[i]);
        bool there = path && sv_file_exists(path);
        bool ok = there && try_open(path, tried);
        free(path);
        if (ok) return true;
        if (there) return false;       /* a library that is there and does not load: not a reason to try its other name */
    }
    if (sv_is_dir(dir)) sv_buf_printf(tried, "%s%s holds no %s", tried->size ? "; " : "", dir, names[0]);
    return false;
}

/* PROGRAM/../lib/synthvlm, where `make install` puts things side by side. */
static bool try_beside_program(sv_buf *tried) {
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n <= 0) return false;
    exe[n] = 0;
    char *bin = sv_path_dir(exe), *lib = bin ? sv_path_join(bin, "../lib/synthvlm") : NULL;
    bool ok = lib && try_dir(lib, tried);
    free(bin);
    free(lib);
    return ok;
}

static sv_status load_library(sv_error *err) {
    static const char *const names[] = LIBRARY_NAMES;
    sv_buf tried = {0};
    const char *user = getenv("SYNTHVLM_ONNXRUNTIME");
    bool ok = false;
    if (user && *user) {
        ok = sv_is_dir(user) ? try_dir(user, &tried) : try_open(user, &tried);   /* asked for by name: no second choice */
    } else {
        ok = (*SV_ORT_DIR && try_dir(SV_ORT_DIR, &tried)) || try_beside_program(&tried);
        for (size_t i = 0; !ok && i < sizeof names / sizeof names[0]; i++) ok = try_open(names[i], &tried);
    }
    sv_status st = SV_OK;
    if (!ok) {
        st = sv_fail(err, SV_E_LIBRARY, "ONNX Runtime", "cannot load the library: %s", tried.data ? tried.data : "not found");
        sv_hint(err, st, "run tools/setup.sh, or set SYNTHVLM_ONNXRUNTIME to libonnxruntime.so (version 1.%d or later) or its directory", SV_RUNTIME_API);
    }
    sv_buf_free(&tried);
    return st;
}

/* GetApi prints to stderr when asked for more than the library has, so look at the version first. */
const OrtApi *sv_runtime_api(int version) {
    char *end;
    long major = strtol(g.version, &end, 10), minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
    return major > 1 || minor >= version ? g.base->GetApi((uint32_t)version) : NULL;
}

/* The caller holds the lock. */
static sv_status ensure_library(sv_error *err) {
    if (!g.base) SV_TRY(load_library(err));
    if (!g.rt.api) {
        g.rt.api = sv_runtime_api(SV_RUNTIME_API);
        g.rt.version = g.version;
        if (!g.rt.api) {
            sv_fail(err, SV_E_LIBRARY, "ONNX Runtime", "the library is version %s, at least 1.%d is needed", g.version, SV_RUNTIME_API);
            return sv_hint(err, SV_E_LIBRARY, "set SYNTHVLM_ONNXRUNTIME to a newer libonnxruntime.so");
        }
    }
    return SV_OK;
}

/* One pool of memory for all sessions, which grows by what is asked for. (By default each session has its own, and each doubles: a quarter more
 * at the peak of a large picture.) It is a saving and not a need, so a library that refuses it is used as it is. */
static void share_memory(const OrtApi *api, OrtEnv *env, const OrtMemoryInfo *cpu) {
    static const char *const keys[] = {"arena_extend_strategy"};
    static const size_t same_as_requested[] = {1};
    OrtArenaCfg *config = NULL;
    OrtStatus *s = api->CreateArenaCfgV2(keys, same_as_requested, 1, &config);
    if (!s) s = api->CreateAndRegisterAllocator(env, cpu, config);
    if (config) api->ReleaseArenaCfg(config);
    if (s) api->ReleaseStatus(s);
}

static sv_status make_env(sv_error *err) {
    const OrtApi *api = g.rt.api;
    OrtEnv *env = NULL;
    OrtMemoryInfo *cpu = NULL;
    /* SYNTHVLM_DEBUG lets the library talk on stderr itself. */
    const char *debug = getenv("SYNTHVLM_DEBUG");
    OrtStatus *s = debug && *debug ? api->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "synthvlm", &env)
                                   : api->CreateEnvWithCustomLogger(drop_log, NULL, ORT_LOGGING_LEVEL_ERROR, "synthvlm", &env);
    SV_TRY(sv_runtime_check(&g.rt, s, SV_E_LIBRARY, "ONNX Runtime", err));
    s = api->DisableTelemetryEvents(env);
    if (!s) s = api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &cpu);
    if (s) {
        api->ReleaseEnv(env);
        return sv_runtime_check(&g.rt, s, SV_E_LIBRARY, "ONNX Runtime", err);
    }
    share_memory(api, env, cpu);
    g.rt.env = env;
    g.rt.cpu = cpu;
    return SV_OK;
}

sv_status sv_runtime_acquire(const sv_runtime **out, sv_error *err) {
    pthread_mutex_lock(&g.lock);
    sv_status st = ensure_library(err);
    if (st == SV_OK && g.users == 0) st = make_env(err);
    if (st == SV_OK) {
        g.users++;
        *out = &g.rt;
    }
    pthread_mutex_unlock(&g.lock);
    return st;
}

void sv_runtime_release(void) {
    pthread_mutex_lock(&g.lock);
    if (--g.users == 0) {
        g.rt.api->ReleaseMemoryInfo(g.rt.cpu);
        g.rt.api->ReleaseEnv(g.rt.env);
        g.rt.cpu = NULL;
        g.rt.env = NULL;
    }
    pthread_mutex_unlock(&g.lock);
}

const char *sv_runtime_version(sv_error *err) {
    pthread_mutex_lock(&g.lock);
    sv_status st = ensure_library(err);
    pthread_mutex_unlock(&g.lock);
    return st == SV_OK ? g.version : NULL;
}

sv_status sv_runtime_check(const sv_runtime *rt, OrtStatus *status, sv_status kind, const char *what, sv_error *err) {
    if (!status) return SV_OK;
    const char *text = rt->api->GetErrorMessage(status);
    /* Memory is the machine's fault and not the model's; the library has no code of its own for it. */
    bool memory = strstr(text, "Failed to allocate memory") || strstr(text, "bad_alloc");
    size_t size = strlen(text);
    while (size && text[size - 1] == '\n') size--;
    if (memory) kind = SV_E_MEMORY;
    sv_fail(err, kind, what, "%s%.*s", memory ? "out of memory: " : "", (int)size, text);
    if (memory) sv_hint(err, kind, "smaller pictures, a smaller batch or fewer workers need less");
    rt->api->ReleaseStatus(status);
    return kind;
}
