#include "text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

/* Enough for any sane pattern on a text of megabytes; a pattern that explodes stops within a second. */
enum { MATCH_LIMIT = 10000000, DEPTH_LIMIT = 100000 };

struct sv_pattern {
    pcre2_code *code;
    pcre2_match_context *limits;
};

sv_status sv_pattern_open(sv_pattern **out, const char *pattern, bool dot_all, const char *where, sv_error *err) {
    *out = NULL;
    sv_pattern *p = calloc(1, sizeof *p);
    if (!p) return sv_fail_memory(err, where, sizeof *p);
    int number;
    PCRE2_SIZE place;
    p->limits = pcre2_match_context_create(NULL);
    p->code = pcre2_compile((PCRE2_SPTR)pattern, strlen(pattern), PCRE2_UTF | PCRE2_UCP | (dot_all ? PCRE2_DOTALL : 0), &number, &place, NULL);
    if (!p->code || !p->limits) {
        PCRE2_UCHAR why[160] = "out of memory";
        if (!p->code) pcre2_get_error_message(number, why, sizeof why);
        sv_pattern_close(&p);
        return sv_fail(err, SV_E_RECIPE, where, "the pattern cannot be read: %s at character %zu", (const char *)why, (size_t)place);
    }
    pcre2_set_match_limit(p->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(p->limits, DEPTH_LIMIT);
    pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);   /* without it the interpreter does the same, slower */
    *out = p;
    return SV_OK;
}

/* ---- patterns of Python's regex module ---- */

#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200C}\\x{200D}"

static const struct {
    char escape;
    const char *outside, *inside;    /* of brackets; NULL: stays */
} classes[] = {
    {'w', "[" WORD "]", WORD},
    {'W', "[^" WORD "]", NULL},
    {'s', "\\p{White_Space}", "\\p{White_Space}"},
    {'S', "\\P{White_Space}", "\\P{White_Space}"},
    {'b', "(?:(?<=[" WORD "])(?![" WORD "])|(?<![" WORD "])(?=[" WORD "]))", NULL},
    {'B', "(?:(?<=[" WORD "])(?=[" WORD "])|(?<![" WORD "])(?![" WORD "]))", NULL},
};

static const struct {
    const char *name, *with;
} posix[] = {{"[:alpha:]", "\\p{Alphabetic}"}, {"[:alnum:]", "\\p{Alphabetic}0-9"}, {"[:digit:]", "0-9"}, {"[:upper:]", "\\p{Uppercase}"},
             {"[:lower:]", "\\p{Lowercase}"}, {"[:space:]", "\\p{White_Space}"}, {"[:word:]", WORD}};

/* A class such as [:alpha:] between brackets; returns where it ends. */
static const char *translate_posix(const char *p, const char *end, sv_buf *out) {
    size_t size = (size_t)(end - p);
    for (size_t i = 0; i < sizeof posix / sizeof *posix; i++)
        if (strlen(posix[i].name) == size && memcmp(p, posix[i].name, size) == 0) {
            sv_buf_puts(out, posix[i].with);
            return end;
        }
    sv_buf_add(out, p, size);
    return end;
}

/* Replaces the escapes of the tables. A pattern that compiles is well-formed enough for this walk. */
static void translate(const char *p, sv_buf *out) {
    bool inside = false;
    for (; *p; p++) {
        if (*p == '\\' && p[1]) {
            const char *with = NULL;
            for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
                if (classes[i].escape == p[1]) with = inside ? classes[i].inside : classes[i].outside;
            if (with) sv_buf_puts(out, with);
            else sv_buf_add(out, p, 2);
            p++;
        } else if (!inside && *p == '[') {
            inside = true;
            sv_buf_putc(out, *p);
            if (p[1] == '^') sv_buf_putc(out, *++p);
            if (p[1] == ']') sv_buf_putc(out, *++p);      /* the first one is a member */
        } else if (inside && *p == '[' && p[1] == ':' && strstr(p, ":]")) {
            p = translate_posix(p, strstr(p, ":]") + 2, out) - 1;
        } else {
            inside = inside && *p != ']';
            sv_buf_putc(out, *p);
        }
    }
}

sv_status sv_pattern_open_regex(sv_pattern **out, const char *pattern, bool dot_all, const char *where, sv_error *err) {
    SV_TRY(sv_pattern_open(out, pattern, dot_all, where, err));    /* as it was written: faults are told of that */
    sv_pattern *translated;
    sv_buf text = {0};
    translate(pattern, &text);
    sv_status st = sv_buf_ok(&text, err);
    if (st != SV_OK) sv_pattern_close(out);
    else if (text.data && sv_pattern_open(&translated, text.data, dot_all, where, NULL) == SV_OK) {
        sv_pattern_close(out);
        *out = translated;
    }
    sv_buf_free(&text);
    return st;
}

void sv_pattern_close(sv_pattern **handle) {
    sv_pattern *p = *handle;
    if (!p) return;
    pcre2_code_free(p->code);
    pcre2_match_context_free(p->limits);
    free(p);
    *handle = NULL;
}

static size_t char_after(const char *text, size_t size, size_t at) {
    do at++;
    while (at < size && ((unsigned char)text[at] & 0xC0) == 0x80);
    return at;
}

sv_status sv_pattern_replace(const sv_pattern *p, const char *text, size_t size, const char *with, sv_buf *out, sv_error *err) {
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(p->code, NULL);
    if (!match) return sv_fail_memory(err, "pattern", 0);
    sv_status st = SV_OK;
    size_t done = 0, from = 0;
    while (from <= size) {
        int n = pcre2_match(p->code, (PCRE2_SPTR)text, size, from, PCRE2_NO_UTF_CHECK, match, p->limits);
        if (n == PCRE2_ERROR_NOMATCH) break;
        if (n < 0) {
            PCRE2_UCHAR why[160];
            pcre2_get_error_message(n, why, sizeof why);
            st = sv_hint(err, sv_fail(err, SV_E_INPUT, "pattern", "gave up on a text: %s", (const char *)why),
                         "a pattern with nested repetitions can take for ever");
            break;
        }
        const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(match);
        if (ends[1] < ends[0]) break;    /* \K inside a look-ahead: nothing sensible to replace */
        sv_buf_add(out, text + done, ends[0] - done);
        sv_buf_puts(out, with);
        done = ends[1];
        from = ends[1];
        if (ends[1] == ends[0]) {        /* an empty match: one character is kept, then the search goes on */
            if (from >= size) break;
            from = char_after(text, size, from);
            sv_buf_add(out, text + done, from - done);
            done = from;
        }
    }
    if (st == SV_OK && done < size) sv_buf_add(out, text + done, size - done);
    pcre2_match_data_free(match);
    return st == SV_OK ? sv_buf_ok(out, err) : st;
}

sv_status sv_pattern_search(const sv_pattern *p, const char *text, size_t size, bool *found, bool *limit, sv_error *err) {
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    if (!match) return sv_fail_memory(err, "pattern", 0);
    int n = pcre2_match(p->code, (PCRE2_SPTR)text, size, 0, PCRE2_NO_UTF_CHECK, match, p->limits);
    pcre2_match_data_free(match);
    *found = n >= 0;   /* 0: more groups than were asked for */
    *limit = n < 0 && n != PCRE2_ERROR_NOMATCH;
    return n == PCRE2_ERROR_NOMEMORY ? sv_fail_memory(err, "pattern", 0) : SV_OK;
}
