/* status.h - how every function of libsynthvlm reports success, failure and cause.
 *
 * A function that can fail returns sv_status and takes a trailing `sv_error *err`. The error is the caller's own value
 * (usually on the stack), never global and never shared between threads: whoever detects a fault fills it in once, everyone
 * above only passes it up, and the program prints it once with sv_error_text(). `err` may be NULL.
 */
#ifndef SYNTHVLM_STATUS_H
#define SYNTHVLM_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sv_status {
    SV_OK = 0,
    SV_SHORT,      /* ran, but something asked for fell short: faults found, fewer pairs than asked   exit 1 */
    SV_E_USAGE,    /* wrong command line or wrong arguments of a call                                 exit 2 */
    SV_E_RECIPE,   /* a recipe or an option is wrong                                                  exit 2 */
    SV_E_INPUT,    /* an input file or row is missing, malformed or out of range                      exit 2 */
    SV_E_MODEL,    /* a model part is missing or unfit                                                exit 3 */
    SV_E_LIBRARY,  /* a run-time library is missing, too old, or failed                               exit 3 */
    SV_E_IO,       /* disk: cannot read, write, create, no space                                      exit 4 */
    SV_E_MEMORY,   /* out of memory, or a size that cannot be asked for                               exit 4 */
    SV_E_NETWORK,  /* a server cannot be reached or answers nonsense                                  exit 4 */
    SV_E_BUSY,     /* another process holds the run directory                                         exit 4 */
    SV_E_STOPPED,  /* stopped on request; what was finished is kept                                   exit 130/143 */
    SV_E_INTERNAL  /* a broken promise inside the program: please report it                           exit 70 */
} sv_status;

/* An error: what failed (a file, a key, a stage), why, and what would help. All three are UTF-8 and NUL-terminated. */
typedef struct sv_error {
    sv_status status;
    char what[320];
    char why[1024];
    char hint[640];
} sv_error;

/* "what: why (hint)" into buf (always terminated). Returns buf. */
const char *sv_error_text(const sv_error *err, char *buf, size_t size);

/* The short, stable name of a status, as it appears in JSON: "ok", "input", "model" … */
const char *sv_status_name(sv_status status);

/* The exit code that the program documents for a status. */
int sv_status_exit(sv_status status);

/* Versions: of this library, and one line per library in use ("onnxruntime 1.x"), written into buf. */
const char *sv_version(void);
const char *sv_versions(char *buf, size_t size);

#ifdef __cplusplus
}
#endif
#endif
