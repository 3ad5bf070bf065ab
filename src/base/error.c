#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int exit_code;
} status_table[] = {
    [SV_OK] = {"ok", 0},           [SV_SHORT] = {"short", 1},       [SV_E_USAGE] = {"usage", 2},     [SV_E_RECIPE] = {"recipe", 2},
    [SV_E_INPUT] = {"input", 2},   [SV_E_MODEL] = {"model", 3},     [SV_E_LIBRARY] = {"library", 3}, [SV_E_IO] = {"io", 4},
    [SV_E_MEMORY] = {"memory", 4}, [SV_E_NETWORK] = {"network", 4}, [SV_E_BUSY] = {"busy", 4},       [SV_E_STOPPED] = {"stopped", 130},
    [SV_E_INTERNAL] = {"internal", 70},
};

#define STATUS_COUNT (sizeof status_table / sizeof status_table[0])

const char *sv_status_name(sv_status status) {
    return (size_t)status < STATUS_COUNT ? status_table[status].name : "unknown";
}

int sv_status_exit(sv_status status) {
    return (size_t)status < STATUS_COUNT ? status_table[status].exit_code : 70;
}

/* Copies as much of s as fits, never cutting a UTF-8 sequence in two. */
static void put_text(char *out, size_t size, const char *s) {
    size_t n = strlen(s);
    if (n >= size) {
        n = size - 1;
        while (n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80) n--;
    }
    memcpy(out, s, n);
    out[n] = 0;
}

sv_status sv_fail(sv_error *err, sv_status status, const char *what, const char *why, ...) {
    if (!err) return status;
    char text[sizeof err->why * 2];
    va_list ap;
    va_start(ap, why);
    vsnprintf(text, sizeof text, why, ap);
    va_end(ap);
    char what_copy[sizeof err->what * 2];   /* `what` may point into err itself */
    put_text(what_copy, sizeof what_copy, what ? what : "");
    err->status = status;
    put_text(err->what, sizeof err->what, what_copy);
    put_text(err->why, sizeof err->why, text);
    err->hint[0] = 0;
    return status;
}

sv_status sv_fail_errno(sv_error *err, const char *what, const char *doing) {
    int code = errno;
    char text[256];
    const char *s = strerror_r(code, text, sizeof text);
    sv_status st = code == ENOMEM ? SV_E_MEMORY : SV_E_IO;
    sv_fail(err, st, what, "%s: %s", doing, s);
    if (code == ENOSPC || code == EDQUOT) sv_hint(err, st, "free some space; what was finished is kept, and the same call goes on from there");
    return st;
}

sv_status sv_fail_memory(sv_error *err, const char *what, size_t bytes) {
    if (bytes) return sv_fail(err, SV_E_MEMORY, what, "out of memory (%zu bytes wanted)", bytes);
    return sv_fail(err, SV_E_MEMORY, what, "out of memory");
}

sv_status sv_hint(sv_error *err, sv_status status, const char *hint, ...) {
    if (!err) return status;
    char text[sizeof err->hint * 2];
    va_list ap;
    va_start(ap, hint);
    vsnprintf(text, sizeof text, hint, ap);
    va_end(ap);
    put_text(err->hint, sizeof err->hint, text);
    return status;
}

const char *sv_error_text(const sv_error *err, char *buf, size_t size) {
    if (!size) return "";
    const char *sep = err->what[0] && err->why[0] ? ": " : "";
    if (err->hint[0])
        snprintf(buf, size, "%s%s%s (%s)", err->what, sep, err->why, err->hint);
    else
        snprintf(buf, size, "%s%s%s", err->what, sep, err->why);
    return buf;
}
