/* args.c - command lines: parsing against a command's flags, and what is said of wrong ones. */
#include "args.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Every command has these beside its own. */
static const sv_flag common_flags[] = {SV_COMMON_FLAGS, {0}};

struct sv_args {
    const sv_command *command;
    const char **names, **values;   /* flags as given; pointers into argv */
    size_t flag_count;
    const char **positional;
    size_t count;
};

sv_status sv_cli_usage(sv_error *err, const sv_command *c, const char *what, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    snprintf(err->what, sizeof err->what, "%s", what);
    snprintf(err->why, sizeof err->why, "%s", text);
    snprintf(err->hint, sizeof err->hint, "usage: synthvlm %s %s; more: synthvlm help %s", c->name, c->usage, c->name);
    return err->status = SV_E_USAGE;
}

static const sv_flag *find_flag(const sv_command *c, const char *name, size_t n, char letter) {
    const sv_flag *tables[] = {c->flags, common_flags};
    for (size_t t = 0; t < 2; t++)
        for (const sv_flag *f = tables[t]; f && f->name; f++)
            if (letter ? f->letter == letter : strlen(f->name) == n && !memcmp(f->name, name, n)) return f;
    return NULL;
}

sv_status sv_args_parse(const sv_command *c, int argc, char **argv, sv_args **out, sv_error *err) {
    sv_args *a = calloc(1, sizeof *a);
    size_t room = (size_t)argc + 1;
    *out = a;
    if (a) {
        a->command = c;
        a->names = calloc(room, sizeof *a->names);
        a->values = calloc(room, sizeof *a->values);
        a->positional = calloc(room, sizeof *a->positional);
    }
    if (!a || !a->names || !a->values || !a->positional) {
        snprintf(err->why, sizeof err->why, "out of memory");
        return err->status = SV_E_MEMORY;
    }
    bool only_positional = false;
    for (int i = 0; i < argc; i++) {
        const char *s = argv[i];
        if (only_positional || s[0] != '-' || !s[1]) {   /* "-" alone is stdin or stdout */
            a->positional[a->count++] = s;
            continue;
        }
        if (!strcmp(s, "--")) {
            only_positional = true;
            continue;
        }
        bool is_long = s[1] == '-';
        const char *eq = is_long ? strchr(s, '=') : NULL;
        size_t n = is_long ? (eq ? (size_t)(eq - s - 2) : strlen(s + 2)) : 1;
        const sv_flag *f = find_flag(c, s + 2, n, is_long ? 0 : s[1]);
        if (!f) return sv_cli_usage(err, c, s, "unknown option");
        const char *value = eq ? eq + 1 : !is_long && s[2] ? s + 2 : NULL;
        if (f->value && !value) {
            if (i + 1 >= argc) return sv_cli_usage(err, c, s, "needs a value: --%s %s", f->name, f->value);
            value = argv[++i];
        } else if (!f->value && value)
            return sv_cli_usage(err, c, s, "takes no value");
        a->names[a->flag_count] = f->name;
        a->values[a->flag_count++] = value ? value : "";
    }
    if (sv_arg_on(a, "help")) return SV_OK;
    if (a->count < (size_t)c->min_args) return sv_cli_usage(err, c, c->name, "too few arguments");
    if (c->max_args >= 0 && a->count > (size_t)c->max_args) return sv_cli_usage(err, c, a->positional[c->max_args], "is one argument too many");
    return SV_OK;
}

void sv_args_free(sv_args *a) {
    if (!a) return;
    free(a->names);
    free(a->values);
    free(a->positional);
    free(a);
}

const sv_command *sv_arg_command(const sv_args *a) {
    return a->command;
}

const char *sv_arg(const sv_args *a, const char *flag) {
    for (size_t i = a->flag_count; i-- > 0;)
        if (!strcmp(a->names[i], flag)) return a->values[i];
    return NULL;
}

bool sv_arg_on(const sv_args *a, const char *flag) {
    return sv_arg(a, flag) != NULL;
}

size_t sv_arg_all(const sv_args *a, const char *flag, const char *const **values) {
    /* Values of one flag are moved together, in order, to the end of the arrays: they are then one slice. */
    size_t n = 0, kept = 0;
    const char **scratch = malloc((a->flag_count + 1) * sizeof *scratch);
    *values = NULL;
    if (!scratch) return 0;
    for (size_t i = 0; i < a->flag_count; i++)
        if (!strcmp(a->names[i], flag)) scratch[n++] = a->values[i];
    for (size_t i = 0; i < a->flag_count; i++)
        if (strcmp(a->names[i], flag) != 0) {
            a->names[kept] = a->names[i];
            a->values[kept++] = a->values[i];
        }
    for (size_t i = 0; i < n; i++) {
        a->names[kept + i] = flag;
        a->values[kept + i] = scratch[i];
    }
    free(scratch);
    *values = a->values + kept;
    return n;
}

size_t sv_arg_count(const sv_args *a) {
    return a->count;
}

const char *sv_arg_at(const sv_args *a, size_t i) {
    return i < a->count ? a->positional[i] : NULL;
}

static sv_status bad_value(const sv_args *a, const char *flag, const char *value, const char *allowed, sv_error *err) {
    char what[128];
    snprintf(what, sizeof what, "--%s %.80s", flag, value);
    return sv_cli_usage(err, a->command, what, "must be %s", allowed);
}

sv_status sv_arg_int(const sv_args *a, const char *flag, int64_t min, int64_t max, int64_t *out, sv_error *err) {
    const char *s = sv_arg(a, flag);
    if (!s) return SV_OK;
    char *end, allowed[96];
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (!*s || *end || errno || v < min || v > max) {
        snprintf(allowed, sizeof allowed, max == INT64_MAX ? "a whole number of at least %lld" : "a whole number from %lld to %lld", (long long)min, (long long)max);
        return bad_value(a, flag, s, allowed, err);
    }
    *out = v;
    return SV_OK;
}

sv_status sv_arg_real(const sv_args *a, const char *flag, double min, double max, double *out, sv_error *err) {
    const char *s = sv_arg(a, flag);
    if (!s) return SV_OK;
    char *end, allowed[96];
    double v = strtod(s, &end);
    if (!*s || *end || !(v >= min && v <= max)) {
        snprintf(allowed, sizeof allowed, isinf(max) ? "a number of at least %g" : "a number from %g to %g", min, max);
        return bad_value(a, flag, s, allowed, err);
    }
    *out = v;
    return SV_OK;
}

sv_status sv_arg_seed(const sv_args *a, const char *flag, uint64_t *out, sv_error *err) {
    const char *s = sv_arg(a, flag);
    if (!s) return SV_OK;
    char *end;
    errno = 0;
    unsigned long long v = strtoull(s, &end, 10);
    if (s[0] < '0' || s[0] > '9' || *end || errno) return bad_value(a, flag, s, "a whole number from 0 to 18446744073709551615", err);
    *out = v;
    return SV_OK;
}

sv_status sv_arg_size(const sv_args *a, const char *flag, int *width, int *height, sv_error *err) {
    const char *s = sv_arg(a, flag);
    if (!s) return SV_OK;
    char *end = NULL;
    long w = strtol(s, &end, 10), h = 0;
    bool good = end != s && (*end == 'x' || *end == 'X') && end[1] >= '0' && end[1] <= '9';
    if (good) h = strtol(end + 1, &end, 10);
    if (!good || *end || w < 1 || h < 1 || w > 65536 || h > 65536) return bad_value(a, flag, s, "WIDTHxHEIGHT, each from 1 to 65536", err);
    *width = (int)w;
    *height = (int)h;
    return SV_OK;
}
