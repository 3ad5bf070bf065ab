#include "text/unicode/clean.h"

#include <string.h>

#include "base/utf8.h"
#include "text/unicode/html_entities.h"
#include "text/unicode/nfc.h"
#include "text/unicode/unicode.h"

static sv_status check(const char *in, size_t n, sv_buf *out, sv_error *err) {
    sv_buf_clear(out);
    size_t bad = sv_utf8_valid(in, n);
    return bad == n ? SV_OK : sv_fail(err, SV_E_INPUT, "text", "invalid UTF-8 at byte %zu", bad);
}

static void add_cp(sv_buf *out, uint32_t c) {
    char bytes[4];
    sv_buf_add(out, bytes, (size_t)sv_utf8_encode(c, bytes));
}

/* A numeric reference at p ("#38;", the ";" may be missing). Returns its length, 0 if it is none. */
static size_t numeric_reference(const char *p, size_t n, sv_buf *out) {
    bool hex = n > 2 && (p[1] == 'x' || p[1] == 'X');
    size_t first = hex ? 2 : 1, i = first;
    uint32_t value = 0;
    for (; i < n; i++) {
        char c = p[i];
        uint32_t digit;
        if (c >= '0' && c <= '9') digit = (uint32_t)(c - '0');
        else if (hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) digit = (uint32_t)((c | 32) - 'a' + 10);
        else break;
        value = value > 0x110000 ? value : value * (hex ? 16 : 10) + digit;
    }
    if (i == first) return 0;
    uint32_t cp;
    if (sv_html_numeric(value, &cp)) add_cp(out, cp);
    return i < n && p[i] == ';' ? i + 1 : i;
}

/* A named reference at p: up to 32 characters and perhaps ";". All of it is taken, and written as it is where no name fits. Returns its length. */
static size_t named_reference(const char *p, size_t n, sv_buf *out) {
    const char *at = p, *end = p + n;
    for (int k = 0; k < 32 && at < end && !memchr("\t\n\f <&#;", *at, 8); k++) sv_next_char(&at);
    size_t size = (size_t)(at - p);
    if (size == 0) return 0;
    bool closed = at < end && *at == ';';
    const sv_html_entity *e = closed ? sv_html_entity_find(p, size) : NULL;
    size_t used = closed ? size + 1 : size;
    if (e) {
        sv_buf_puts(out, e->text);
        return used;
    }
    e = sv_html_entity_prefix(p, size);
    size_t done = 0;
    if (e) {
        sv_buf_puts(out, e->text);
        done = strlen(e->name);
    } else sv_buf_putc(out, '&');
    sv_buf_add(out, p + done, used - done);
    return used;
}

sv_status sv_html_unescape(const char *in, size_t n, sv_buf *out, sv_error *err) {
    SV_TRY(check(in, n, out, err));
    for (size_t i = 0; i < n;) {
        const char *amp = memchr(in + i, '&', n - i);
        size_t plain = amp ? (size_t)(amp - (in + i)) : n - i;
        sv_buf_add(out, in + i, plain);
        i += plain;
        if (!amp) break;
        i++;
        size_t used = i == n ? 0 : in[i] == '#' ? numeric_reference(in + i, n - i, out) : named_reference(in + i, n - i, out);
        if (used == 0) sv_buf_putc(out, '&');
        i += used;
    }
    return sv_buf_ok(out, err);
}

sv_status sv_nfc(const char *in, size_t n, sv_buf *out, sv_error *err) {
    SV_TRY(check(in, n, out, err));
    return sv_nfc_append(in, n, false, out, err);
}

/* Appends the text with runs of white space (regex's \s) as one space, without any at the ends. */
static void add_single_spaced(const char *text, size_t n, sv_buf *out) {
    sv_strip(&text, &n);
    for (const char *p = text, *end = text + n; p < end;) {
        const char *from = p;
        if (!sv_char_is(sv_next_char(&p), SV_CH_RE_SPACE)) {
            sv_buf_add(out, from, (size_t)(p - from));
            continue;
        }
        while (p < end) {
            const char *next = p;
            if (!sv_char_is(sv_next_char(&next), SV_CH_RE_SPACE)) break;
            p = next;
        }
        sv_buf_putc(out, ' ');
    }
}

sv_status sv_clean_openai(const char *in, size_t n, sv_buf *out, sv_error *err) {
    sv_buf_clear(out);
    sv_buf fixed = {0}, other = {0};
    sv_status st = sv_fix_unicode(in, n, SV_NFC, &fixed, err);
    for (int k = 0; k < 2 && st == SV_OK && memchr(fixed.data ? fixed.data : "", '&', fixed.size); k++) {
        st = sv_html_unescape(fixed.data, fixed.size, &other, err);
        sv_buf t = fixed;
        fixed = other;
        other = t;
    }
    if (st == SV_OK) {
        sv_buf_clear(&other);
        add_single_spaced(fixed.data ? fixed.data : "", fixed.size, &other);
        const char *text = other.data ? other.data : "";
        size_t size = other.size;
        sv_strip(&text, &size);
        sv_lower_append(text, size, out);
        st = sv_buf_ok(&other, err);
        if (st == SV_OK) st = sv_buf_ok(out, err);
    }
    sv_buf_free(&fixed);
    sv_buf_free(&other);
    return st;
}
