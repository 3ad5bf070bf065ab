#include "base/cpu.h"

#include <stdatomic.h>

static atomic_bool plain_only;

void sv_cpu_plain(bool plain) { atomic_store(&plain_only, plain); }

bool sv_cpu_avx2(void) {
#if defined(__x86_64__) && defined(__GNUC__)
    return !atomic_load_explicit(&plain_only, memory_order_relaxed) && __builtin_cpu_supports("avx2");
#else
    return false;
#endif
}

bool sv_cpu_neon(void) {
#if defined(__aarch64__)
    return !atomic_load_explicit(&plain_only, memory_order_relaxed);
#else
    return false;
#endif
}
