/* fix_unicode.c - ftfy 6.3.1's fix_text with its default settings (normalisation NFC), as sv_fix_unicode. */
#include <utf8proc.h>

#include "base/utf8.h"
#include "text/unicode/clean.h"
#include "text/unicode/codepoints.h"
#include "text/unicode/html_entities.h"
#include "text/unicode/mojibake.h"
#include "text/unicode/nfc.h"

/* Longest stretch without a line break that is looked at as one, in code points. */
#define MAX_SEGMENT 1000000

/* Rounds until nothing changes; ftfy has no limit, but "&amp;amp;amp;…" loses one layer a round, which would take a long text hours. */
enum { MAX_ROUNDS = 100 };

/* ---- entities ---- */

/* Full upper-casing, for entity names written in capitals: only these grow. */
static void add_upper(uint32_t c, sv_cps *out) {
    static const struct {
        uint32_t c;
        const char *upper;
    } grows[] = {{0xDF, "SS"}, {0x149, "\xCA\xBCN"}, {0xFB00, "FF"}, {0xFB01, "FI"}, {0xFB02, "FL"}, {0xFB03, "FFI"}, {0xFB04, "FFL"}};
    for (size_t i = 0; i < sizeof grows / sizeof *grows; i++) {
        if (grows[i].c == c) {
            sv_cps_add_utf8(out, grows[i].upper, strlen(grows[i].upper));
            return;
        }
    }
    sv_cps_add(out, (uint32_t)utf8proc_toupper((utf8proc_int32_t)c));
}

/* "&NTILDE;": a lower-case name in capitals, if that is not a reference in its own right to html.unescape. */
static bool add_capital_entity(const char *name, size_t size, sv_cps *out) {
    char lower[32];
    if (size > sizeof lower) return false;
    for (size_t i = 0; i < size; i++) {
        if (name[i] >= 'a' && name[i] <= 'z') return false;
        lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 32) : name[i];
    }
    const sv_html_entity *e = sv_html_entity_find(lower, size);
    if (!e || sv_html_entity_prefix(name, size)) return false;
    for (const char *p = e->text; *p;) add_upper(sv_next_char(&p), out);
    return true;
}

/* "#38" or "#x26", all of it; ";" itself is left encoded, as ftfy does. */
static bool add_numeric_entity(const char *name, size_t size, sv_cps *out) {
    bool hex = size > 1 && (name[1] == 'x' || name[1] == 'X');
    size_t i = hex ? 2 : 1;
    if (i == size) return false;
    uint32_t value = 0;
    for (; i < size; i++) {
        char c = name[i];
        uint32_t digit;
        if (c >= '0' && c <= '9') digit = (uint32_t)(c - '0');
        else if (hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) digit = (uint32_t)((c | 32) - 'a' + 10);
        else return false;
        value = value > 0x110000 ? value : value * (hex ? 16 : 10) + digit;
    }
    uint32_t cp;
    if (!sv_html_numeric(value, &cp)) return true;
    if (cp == ';') return false;
    sv_cps_add(out, cp);
    return true;
}

/* References that end in ";" only. */
static void unescape(const sv_cps *in, sv_cps *out) {
    for (size_t i = 0; i < in->size;) {
        if (in->data[i] != '&') {
            sv_cps_add(out, in->data[i++]);
            continue;
        }
        enum { LONGEST = 24 };
        char name[LONGEST + 2];
        size_t size = 0, at = i + 1;
        bool numeric = at < in->size && in->data[at] == '#';
        if (numeric) {
            name[size++] = '#';
            at++;
        }
        size_t first = size;
        while (at < in->size && size - first < LONGEST) {
            uint32_t c = in->data[at];
            bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
            if (!alnum) break;
            name[size++] = (char)c;
            at++;
        }
        bool done = false;
        if (size > first && at < in->size && in->data[at] == ';') {
            const sv_html_entity *e = numeric ? NULL : sv_html_entity_find(name, size);
            if (e) {
                sv_cps_add_utf8(out, e->text, strlen(e->text));
                done = true;
            } else done = numeric ? add_numeric_entity(name, size, out) : add_capital_entity(name, size, out);
        }
        if (done) i = at + 1;
        else sv_cps_add(out, in->data[i++]);
    }
}

/* ---- single characters ---- */

/* Latin ligatures and digraphs as letters; NULL for anything else. */
static const char *ligature(uint32_t c) {
    switch (c) {
    case 0x132: return "IJ";
    case 0x133: return "ij";
    case 0x149: return "\xCA\xBCn";
    case 0x1F1: return "DZ";
    case 0x1F2: return "Dz";
    case 0x1F3: return "dz";
    case 0x1C4: return "D\xC5\xBD";
    case 0x1C5: return "D\xC5\xBE";
    case 0x1C6: return "d\xC5\xBE";
    case 0x1C7: return "LJ";
    case 0x1C8: return "Lj";
    case 0x1C9: return "lj";
    case 0x1CA: return "NJ";
    case 0x1CB: return "Nj";
    case 0x1CC: return "nj";
    case 0xFB00: return "ff";
    case 0xFB01: return "fi";
    case 0xFB02: return "fl";
    case 0xFB03: return "ffi";
    case 0xFB04: return "ffl";
    case 0xFB05: return "\xC5\xBFt";
    case 0xFB06: return "st";
    default: return NULL;
    }
}

/* Half-width and full-width forms as the ordinary character: what NFKC gives for them, one code point but for the macron. */
static uint32_t ordinary_width(uint32_t c) {
    if (c == 0x3000) return ' ';
    if (c < 0xFF01 || c > 0xFFEF) return c;
    utf8proc_int32_t form[8];
    int last_boundclass = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, form, 8, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &last_boundclass);
    return n == 1 ? (uint32_t)form[0] : c;
}

static bool is_dropped(uint32_t c) {
    return c <= 8 || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || (c >= 0x206A && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

/* Length of a terminal escape "ESC [ digits and semicolons letter" at i, 0 if there is none. Digits are those of any script. */
static size_t escape_length(const sv_cps *t, size_t i) {
    if (t->size - i < 3 || t->data[i] != 0x1B || t->data[i + 1] != '[') return 0;
    size_t at = i + 2;
    while (at < t->size && (t->data[at] == ';' || sv_char_is(t->data[at], SV_CH_RE_DIGIT))) at++;
    uint32_t c = at < t->size ? t->data[at] | 32 : 0;
    return c >= 'a' && c <= 'z' && t->data[at] < 0x80 ? at + 1 - i : 0;
}

/* All the fixes of one character, in ftfy's order. They can be done in one pass because what one of them makes is never changed by a later one,
 * but for the line breaks, where CR and LF are looked at together. C1 controls come first: U+0085 is an ellipsis, not a line break. */
static void fix_characters(const sv_cps *in, sv_cps *out) {
    for (size_t i = 0; i < in->size; i++) {
        uint32_t c = in->data[i];
        if (c >= 0x20 && c < 0x7F) {
            sv_cps_add(out, c);
            continue;
        }
        if (c >= 0x80 && c <= 0x9F) sv_html_numeric(c, &c);   /* windows-1252, unassigned ones stay */
        const char *letters = ligature(c);
        if (letters) {
            sv_cps_add_utf8(out, letters, strlen(letters));
            /* U+0149 makes a modifier apostrophe, which the quotes rule then straightens. */
            if (c == 0x149) out->data[out->size - 2] = '\'';
            continue;
        }
        if (c == 0xFFE3) {
            sv_cps_add(out, ' ');
            sv_cps_add(out, 0x304);
            continue;
        }
        c = ordinary_width(c);
        if (c == 0x2BC || (c >= 0x2018 && c <= 0x201B)) c = '\'';
        else if (c >= 0x201C && c <= 0x201F) c = '"';
        if (c == '\r') {
            if (i + 1 < in->size && in->data[i + 1] == '\n') continue;
            c = '\n';
        } else if (c == 0x2028 || c == 0x2029) c = '\n';
        sv_cps_add(out, c);
    }
}

static void drop_controls(const sv_cps *in, sv_cps *out) {
    for (size_t i = 0; i < in->size;) {
        size_t escape = escape_length(in, i);
        if (escape == 0 && !is_dropped(in->data[i])) sv_cps_add(out, in->data[i]);
        i += escape ? escape : 1;
    }
}

/* ---- a segment ---- */

/* Printable ASCII, tabs and line feeds without "&" come out as they went in. */
static bool is_untouched(const char *in, size_t n, bool entities) {
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)in[i];
        if (c >= 0x7F || (c < 0x20 && c != '\t' && c != '\n' && c != '\f') || (c == '&' && entities)) return false;
    }
    return true;
}

/* Repeats the fixes until none changes anything. */
static sv_status fix_segment(const char *in, size_t n, bool entities, sv_normal_form form, sv_buf *out, sv_error *err) {
    if (is_untouched(in, n, entities)) {
        sv_buf_add(out, in, n);
        return sv_buf_ok(out, err);
    }
    sv_status st = SV_OK;
    sv_cps text = {0}, before = {0}, next = {0};
    sv_buf bytes = {0}, normal = {0};
    sv_cps_add_utf8(&text, in, n);
    int rounds = 0;
    do {
        if (++rounds > MAX_ROUNDS) {
            st = sv_fail(err, SV_E_INPUT, "text", "entities or wrong encodings are nested more than %d deep", MAX_ROUNDS);
            break;
        }
        before.size = 0;
        sv_cps_add_all(&before, text.data, text.size);
        if (entities) {
            next.size = 0;
            unescape(&text, &next);
            sv_cps_swap(&text, &next);
        }
        bool ok = !text.failed && !before.failed && sv_mojibake_repair(&text);
        next.size = 0;
        fix_characters(&text, &next);
        text.size = 0;
        drop_controls(&next, &text);
        if (!ok || text.failed || next.failed) {
            st = sv_fail_memory(err, "repairing a text", n);
            break;
        }
        sv_buf_clear(&bytes);
        sv_buf_clear(&normal);
        sv_cps_encode(&text, &bytes);
        st = sv_buf_ok(&bytes, err);
        if (st == SV_OK) st = sv_normal_append(form, bytes.data, bytes.size, &normal, err);
        if (st != SV_OK) break;
        text.size = 0;
        sv_cps_add_utf8(&text, normal.data, normal.size);
    } while (!text.failed && !sv_cps_equal(&text, &before));
    if (st == SV_OK && text.failed) st = sv_fail_memory(err, "repairing a text", n);
    if (st == SV_OK) {
        sv_cps_encode(&text, out);
        st = sv_buf_ok(out, err);
    }
    sv_cps_free(&text);
    sv_cps_free(&before);
    sv_cps_free(&next);
    sv_buf_free(&bytes);
    sv_buf_free(&normal);
    return st;
}

sv_status sv_fix_unicode(const char *in, size_t n, sv_normal_form form, sv_buf *out, sv_error *err) {
    sv_buf_clear(out);
    size_t bad = sv_utf8_valid(in, n);
    if (bad != n) return sv_fail(err, SV_E_INPUT, "text", "invalid UTF-8 at byte %zu", bad);
    sv_buf_reserve(out, n);
    bool entities = true;
    for (size_t at = 0; at < n;) {
        const char *line = memchr(in + at, '\n', n - at);
        size_t size = line ? (size_t)(line - (in + at)) + 1 : n - at;
        if (size > MAX_SEGMENT && sv_utf8_count(in + at, size) > MAX_SEGMENT) {
            const char *p = in + at;
            for (size_t k = 0; k < MAX_SEGMENT; k++) sv_next_char(&p);
            size = (size_t)(p - (in + at));
        }
        /* A "<" says that this is HTML, whose entities are meant: from here on they stay. */
        if (entities && memchr(in + at, '<', size)) entities = false;
        SV_TRY(fix_segment(in + at, size, entities, form, out, err));
        at += size;
    }
    return sv_buf_ok(out, err);
}
