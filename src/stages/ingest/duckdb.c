#include "stages/ingest/duckdb.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"

#ifndef SV_ORT_DIR
#define SV_ORT_DIR ""            /* the directory that the set-up filled, with ONNX Runtime in it */
#endif

#if defined(__APPLE__)
#define LIBRARY "libduckdb.dylib"
#else
#define LIBRARY "libduckdb.so"
#endif

static struct {
    pthread_mutex_t lock;
    bool loaded;
    sv_duckdb api;               /* the library is never closed: it may have threads of its own */
} g = {.lock = PTHREAD_MUTEX_INITIALIZER};

#define FUNCTIONS(X)                                                                                                                                             \
    X(library_version) X(create_config) X(set_config) X(destroy_config) X(open_ext) X(close) X(connect) X(disconnect) X(prepare) X(prepare_error)                \
    X(destroy_prepare) X(pending_prepared_streaming) X(pending_error) X(execute_pending) X(destroy_pending) X(result_error) X(destroy_result) X(column_count)    \
    X(column_name) X(column_type) X(fetch_chunk) X(data_chunk_get_size) X(data_chunk_get_vector) X(destroy_data_chunk) X(vector_get_data)                        \
    X(vector_get_validity) X(free)

/* Tries one file; what went wrong is added to `tried`. */
static bool try_open(const char *path, sv_buf *tried) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *why = dlerror();
        sv_buf_printf(tried, "%s%s", tried->size ? "; " : "", why ? why : path);
        return false;
    }
    const char *missing = NULL;
#define LOOK_UP(name)                                                       \
    *(void **)(void *)&g.api.name = dlsym(handle, "duckdb_" #name);         \
    if (!*(void **)(void *)&g.api.name && !missing) missing = "duckdb_" #name;
    FUNCTIONS(LOOK_UP)
    if (!missing) return true;
    sv_buf_printf(tried, "%s%s: has no %s", tried->size ? "; " : "", path, missing);
    dlclose(handle);
    return false;
}

static bool try_dir(const char *dir, sv_buf *tried) {
    char *path = sv_path_join(dir, LIBRARY);
    bool there = path && sv_file_exists(path), ok = there && try_open(path, tried);
    if (!there) sv_buf_printf(tried, "%s%s holds no " LIBRARY, tried->size ? "; " : "", dir);
    free(path);
    return ok;
}

/* PROGRAM/../lib/synthvlm, where `make install` puts things side by side. */
static bool try_beside_program(sv_buf *tried) {
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n <= 0) return false;
    exe[n] = 0;
    char *bin = sv_path_dir(exe), *lib = bin ? sv_path_join(bin, "../lib/synthvlm/" LIBRARY) : NULL;
    bool ok = lib && sv_file_exists(lib) && try_open(lib, tried);
    free(bin);
    free(lib);
    return ok;
}

static sv_status load(sv_error *err) {
    sv_buf tried = {0};
    const char *user = getenv("SYNTHVLM_DUCKDB");
    bool ok;
    if (user && *user) ok = sv_is_dir(user) ? try_dir(user, &tried) : try_open(user, &tried);   /* asked for by name: no second choice */
    else ok = (*SV_ORT_DIR && try_dir(SV_ORT_DIR, &tried)) || try_beside_program(&tried) || try_open(LIBRARY, &tried);
    sv_status st = SV_OK;
    if (!ok) {
        st = sv_fail(err, SV_E_LIBRARY, "DuckDB", "Parquet is read by its library, which cannot be loaded: %s", tried.data ? tried.data : "not found");
        sv_hint(err, st, "tools/setup.sh parquet fetches it; or set SYNTHVLM_DUCKDB to " LIBRARY " (the npm package @duckdb/node-bindings-linux-x64 has one);"
                " or turn the file into JSON lines");
    }
    sv_buf_free(&tried);
    return st;
}

sv_status sv_duckdb_load(const sv_duckdb **out, sv_error *err) {
    pthread_mutex_lock(&g.lock);
    sv_status st = g.loaded ? SV_OK : load(err);
    g.loaded = st == SV_OK;
    pthread_mutex_unlock(&g.lock);
    *out = st == SV_OK ? &g.api : NULL;
    return st;
}
