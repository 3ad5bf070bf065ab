/* error.h - raising errors. See include/synthvlm/status.h for the rules. */
#ifndef SV_BASE_ERROR_H
#define SV_BASE_ERROR_H

#include "synthvlm/status.h"

#if defined(__GNUC__)
#define SV_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define SV_PRINTF(f, a)
#endif

/* Fills in err (if not NULL) with what failed and why, clears the hint, and returns status:
 *     return sv_fail(err, SV_E_INPUT, path, "line %zu is not JSON", line);                                  */
sv_status sv_fail(sv_error *err, sv_status status, const char *what, const char *why, ...) SV_PRINTF(4, 5);

/* As sv_fail with SV_E_IO and strerror(errno): "cannot open: No such file or directory". */
sv_status sv_fail_errno(sv_error *err, const char *what, const char *doing);

/* SV_E_MEMORY for `bytes` (0 if not known). */
sv_status sv_fail_memory(sv_error *err, const char *what, size_t bytes);

/* Adds the hint to an error just raised, and returns its status, so that it can end a chain of returns. */
sv_status sv_hint(sv_error *err, sv_status status, const char *hint, ...) SV_PRINTF(3, 4);

/* Passes a failure up. For functions that own nothing yet, or clean up by other means. */
#define SV_TRY(expr)                       \
    do {                                   \
        sv_status sv_try_ = (expr);        \
        if (sv_try_ != SV_OK) return sv_try_; \
    } while (0)

/* The same with a clean-up label; needs a local `sv_status st`. */
#define SV_TRY_GOTO(label, expr)           \
    do {                                   \
        st = (expr);                       \
        if (st != SV_OK) goto label;       \
    } while (0)

#endif
