#include "text/unicode/nfc.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "text/unicode/unicode.h"

/* Marks that one of the two normalisers does not know to be combining: to it they are ordinary characters that nothing moves across or
 * composes with. Asked of the libraries code point by code point, against utf8proc 2.8 (Unicode 15).
 * Python 3.11 has Unicode 14; `tokenizers` normalises with tables of Unicode 9. */
static const uint32_t unknown_python[][2] = {{0x10EFD, 0x10EFF}, {0x11F41, 0x11F42}, {0x1E08F, 0x1E08F}, {0x1E4EC, 0x1E4EF}};
static const uint32_t unknown_tokenizers[][2] = {
    {0x7FD, 0x7FD},     {0x898, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},     {0xC3C, 0xC3C},     {0xD3B, 0xD3C},     {0xEBA, 0xEBA},
    {0x1715, 0x1715},   {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFA},   {0xA82C, 0xA82C},   {0x10D24, 0x10D27}, {0x10EAB, 0x10EAC}, {0x10EFD, 0x10EFF},
    {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x11839, 0x1183A}, {0x11930, 0x11930},
    {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D42},
    {0x11D44, 0x11D45}, {0x11D97, 0x11D97}, {0x11F41, 0x11F42}, {0x16FF0, 0x16FF1}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE},
    {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF}};

/* The one letter with a decomposition that `tokenizers` does not know yet. */
#define NEWER_COMPOSED 0x11938

static bool is_unknown(uint32_t c, bool tokenizers) {
    if (c < 0x7FD) return false;
    const uint32_t(*list)[2] = tokenizers ? unknown_tokenizers : unknown_python;
    size_t low = 0, high = tokenizers ? sizeof unknown_tokenizers / sizeof *list : sizeof unknown_python / sizeof *list;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c > list[middle][1]) low = middle + 1;
        else if (c < list[middle][0]) high = middle;
        else return true;
    }
    return false;
}

static unsigned combining_class(utf8proc_int32_t c) { return (unsigned)utf8proc_get_property(c)->combining_class; }

/* Stable sort by combining class of a run of marks. Runs in real text have two or three; longer ones (a text may be nothing but marks) go
 * through one counting pass, so that no input costs more than linear time. */
static bool sort_marks(utf8proc_int32_t *run, size_t n) {
    if (n <= 16) {
        for (size_t i = 1; i < n; i++) {
            utf8proc_int32_t c = run[i];
            size_t at = i;
            for (; at > 0 && combining_class(run[at - 1]) > combining_class(c); at--) run[at] = run[at - 1];
            run[at] = c;
        }
        return true;
    }
    utf8proc_int32_t *copy = malloc(n * sizeof *copy);
    if (!copy) return false;
    memcpy(copy, run, n * sizeof *copy);
    size_t start[257] = {0};
    for (size_t i = 0; i < n; i++) start[(combining_class(copy[i]) & 255) + 1]++;
    for (size_t k = 1; k < 257; k++) start[k] += start[k - 1];
    for (size_t i = 0; i < n; i++) run[start[combining_class(copy[i]) & 255]++] = copy[i];
    free(copy);
    return true;
}

/* Orders n decomposed code points, composes them if asked to, and appends them. */
static bool finish(utf8proc_int32_t *cps, size_t n, bool compose, sv_buf *out) {
    for (size_t i = 0; i < n;) {
        if (combining_class(cps[i]) == 0) {
            i++;
            continue;
        }
        size_t end = i + 1;
        while (end < n && combining_class(cps[end]) != 0) end++;
        if (end - i > 1 && !sort_marks(cps + i, end - i)) return false;
        i = end;
    }
    utf8proc_ssize_t composed = compose ? utf8proc_normalize_utf32(cps, (utf8proc_ssize_t)n, UTF8PROC_STABLE | UTF8PROC_COMPOSE) : (utf8proc_ssize_t)n;
    if (!sv_buf_reserve(out, (size_t)composed * 4)) return false;
    for (utf8proc_ssize_t i = 0; i < composed; i++) {
        char bytes[4];
        sv_buf_add(out, bytes, (size_t)sv_utf8_encode((uint32_t)cps[i], bytes));
    }
    return true;
}

/* No character below U+0300 composes with, or changes because of, another one below it. */
static bool is_plain(const char *in, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)in[i] >= 0xCC) return false;
    return true;
}

/* Python 3.11 knows no compatibility decomposition of these letters of Unicode 15. */
static bool is_newer_compatible(uint32_t c) { return c >= 0x1E030 && c <= 0x1E06D; }

static sv_status normalise(const char *in, size_t n, bool tokenizers, bool compose, bool compatible, sv_buf *out, sv_error *err) {
    enum { MOST = 18 };                                  /* the longest decomposition of one code point */
    const utf8proc_option_t how = compatible ? UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT : UTF8PROC_DECOMPOSE;
    size_t count = 0, room = n + MOST;
    utf8proc_int32_t *cps = malloc(room * sizeof *cps);
    if (!cps) return sv_fail_memory(err, "normalising a text", room * sizeof *cps);
    bool ok = true;
    for (const char *p = in, *end = in + n; p < end && ok;) {
        uint32_t c = sv_next_char(&p);
        if (is_unknown(c, tokenizers) || (tokenizers && !compose && c == NEWER_COMPOSED) || (compatible && is_newer_compatible(c))) {
            ok = finish(cps, count, compose, out);
            count = 0;
            char bytes[4];
            sv_buf_add(out, bytes, (size_t)sv_utf8_encode(c, bytes));
            continue;
        }
        if (room - count < MOST) {
            utf8proc_int32_t *more = realloc(cps, 2 * room * sizeof *cps);
            if (!more) {
                free(cps);
                return sv_fail_memory(err, "normalising a text", 2 * room * sizeof *cps);
            }
            cps = more;
            room *= 2;
        }
        int last_boundclass = 0;
        utf8proc_ssize_t got = utf8proc_decompose_char((utf8proc_int32_t)c, cps + count, MOST, how, &last_boundclass);
        if (got < 0 || got > MOST) {
            free(cps);
            return sv_fail(err, SV_E_INTERNAL, "normalising a text", "utf8proc cannot decompose U+%04X", (unsigned)c);
        }
        count += (size_t)got;
    }
    ok = ok && finish(cps, count, compose, out);
    free(cps);
    if (!ok) return sv_fail_memory(err, "normalising a text", n);
    return sv_buf_ok(out, err);
}

sv_status sv_nfc_append(const char *in, size_t n, bool tokenizers, sv_buf *out, sv_error *err) {
    if (!is_plain(in, n)) return normalise(in, n, tokenizers, true, false, out, err);
    sv_buf_add(out, in, n);
    return sv_buf_ok(out, err);
}

sv_status sv_nfd_append(const char *in, size_t n, sv_buf *out, sv_error *err) {
    return normalise(in, n, true, false, false, out, err);
}

sv_status sv_normal_append(sv_normal_form form, const char *in, size_t n, sv_buf *out, sv_error *err) {
    if (form == SV_NFC) return sv_nfc_append(in, n, false, out, err);
    return normalise(in, n, false, form == SV_NFKC, form != SV_NFD, out, err);
}
