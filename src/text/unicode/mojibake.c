/* mojibake.c - the decision whether a text is wrongly decoded (a table of suspicious sequences), and the attempts to decode it again.
 *
 * The categories, sequences and the order of attempts are those of ftfy 6.3.1 (badness.py, chardata.py, __init__.py); anything else would
 * give OpenAI's tokenizer other ids. */
#include "text/unicode/mojibake.h"

#include <uchar.h>

#include "text/unicode/mojibake_data.h"

/* ---- suspicious sequences ---- */

enum {                            /* classes besides the tables' categories */
    IS_LOWER_ASCII = 1 << 20,
    IS_UPPER_ASCII = 1 << 21,
    IS_SPACE = 1 << 22,
    IS_WORD = 1 << 23,
    IS_NOT_ASCII_LETTER = 1 << 24,
    IS_NOT_LF = 1 << 25,
    AT_START = 1 << 26            /* on the first element only: the sequence starts the text */
};
#define ASCII_LETTER (IS_LOWER_ASCII | IS_UPPER_ASCII)
#define C1 SV_MB_C1
#define BAD SV_MB_BAD
#define LAW SV_MB_LAW
#define CURRENCY SV_MB_CURRENCY
#define OPENING SV_MB_START_PUNCTUATION
#define CLOSING SV_MB_END_PUNCTUATION
#define NUMERIC SV_MB_NUMERIC
#define KAOMOJI SV_MB_KAOMOJI
#define UPPER SV_MB_UPPER_ACCENTED
#define LOWER SV_MB_LOWER_ACCENTED
#define UPPER_COMMON SV_MB_UPPER_COMMON
#define LOWER_COMMON SV_MB_LOWER_COMMON
#define BOX SV_MB_BOX

/* One character of a sequence: any of these categories, or any of these characters. A zero element ends the sequence. */
typedef struct element {
    uint32_t categories;
    const char32_t *also;
} element;

enum { LONGEST = 7 };
typedef element sequence[LONGEST + 1];

#define ARABIC_LEAD {0, U"ØÙ"}
#define ARABIC_NEXT {SV_MB_COMMON | CURRENCY | BAD | NUMERIC | OPENING, U"ŸŠ®°µ»"}
#define CYRILLIC_LEAD {0, U"\u0412\u0413\u0420\u0421"}
#define GREEK_LEAD {0, U"\u0392\u0393\u039E\u039F"}

static const sequence sequences[] = {
    {{C1}},
    {{BAD | LOWER | UPPER | BOX | OPENING | CLOSING | CURRENCY | NUMERIC | LAW}, {BAD}},
    {{ASCII_LETTER}, {LOWER_COMMON | UPPER_COMMON}, {BAD}},
    {{BAD}, {LOWER | UPPER | BOX | OPENING | CLOSING | CURRENCY | NUMERIC | LAW}},
    {{LOWER | LOWER_COMMON | BOX | CLOSING | CURRENCY | NUMERIC}, {UPPER}},
    {{BOX | CLOSING | CURRENCY | NUMERIC}, {LOWER}},
    {{LOWER | BOX | CLOSING}, {CURRENCY}},
    {{IS_SPACE}, {UPPER}, {CURRENCY}},
    {{UPPER | BOX}, {NUMERIC | LAW}},
    {{LOWER | UPPER | BOX | CURRENCY | CLOSING}, {OPENING}, {NUMERIC}},
    {{LOWER | UPPER | CURRENCY | NUMERIC | BOX | LAW}, {CLOSING}, {OPENING}},
    {{CURRENCY | NUMERIC | BOX}, {OPENING}},
    {{IS_LOWER_ASCII}, {UPPER}, {OPENING | CURRENCY}},
    {{BOX}, {KAOMOJI}},
    {{LOWER | UPPER | CURRENCY | NUMERIC | OPENING | CLOSING | LAW}, {BOX}},
    {{BOX}, {CLOSING}},
    {{LOWER | UPPER}, {OPENING | CLOSING}, {IS_WORD}},
    {{0, U"Œœ"}, {IS_NOT_ASCII_LETTER}},
    {{UPPER}, {0, U"°"}},
    /* two characters of windows-1252 */
    {{0, U"ÂÃÎÐ"}, {OPENING | CLOSING, U"€œŠš¢£Ÿž\u00A0\u00AD®©°·»–—´"}},
    {{0, U"×"}, {0, U"²³"}},
    {ARABIC_LEAD, ARABIC_NEXT, ARABIC_LEAD, ARABIC_NEXT},
    {{0, U"à"}, {0, U"²µ¹¼½¾"}},
    /* MacRoman */
    {{0, U"√"}, {0, U"±∂†≠®™´≤≥¥µø"}},
    {{0, U"≈"}, {0, U"°¢"}},
    {{0, U"\u201A"}, {0, U"Ä"}, {0, U"ìîïòôúùû†°¢π"}},
    {{0, U"\u201A"}, {0, U"âó"}, {0, U"àä°ê"}},
    /* windows-1251 */
    {{0, U"\u0432"}, {0, U"\u0402"}},
    {CYRILLIC_LEAD, {C1 | BAD | OPENING | CLOSING | CURRENCY, U"°µ"}, CYRILLIC_LEAD},
    {{0, U"\u0413"}, {0, U"\u045E"}, {0, U"\u0412"}, {0, U"\u0402"}, {0, U"\u0412"}, {IS_NOT_LF}, {ASCII_LETTER, U" "}},
    /* A with tilde or circumflex in front of what may have been a no-break space */
    {{0, U"Ã"}, {0, U"\u00A0¡"}},
    {{IS_LOWER_ASCII}, {0, U"ÃÂ"}, {0, U" "}},
    {{IS_LOWER_ASCII}, {IS_SPACE}, {0, U"ÃÂ"}, {0, U" "}},
    {{AT_START, U"ÃÂ"}, {0, U" "}},
    {{IS_LOWER_ASCII | CLOSING, U".,?!"}, {0, U"Â"}, {OPENING | CLOSING, U" "}},
    /* windows-1253 */
    {{0, U"\u03B2"}, {0, U"€"}, {0, U"™\u00A0\u0386\u00AD®°"}},
    {GREEK_LEAD, {C1 | BAD | OPENING | CLOSING | CURRENCY, U"°"}, GREEK_LEAD},
    /* windows-1257 */
    {{0, U"\u0101"}, {0, U"€"}},
};

static uint32_t table_mask(uint32_t c) {
    if (c > 0xFFFF) return 0;
    size_t low = 0, high = sv_mojibake_range_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const sv_mojibake_range *r = &sv_mojibake_ranges[middle];
        if (c > r->last) low = middle + 1;
        else if (c < r->first) high = middle;
        else return r->mask;
    }
    return 0;
}

static uint32_t full_mask(uint32_t c) {
    uint32_t mask = table_mask(c);
    bool lower = c >= 'a' && c <= 'z', upper = c >= 'A' && c <= 'Z';
    mask |= lower ? IS_LOWER_ASCII : upper ? IS_UPPER_ASCII : IS_NOT_ASCII_LETTER;
    if (sv_char_is(c, SV_CH_SPACE)) mask |= IS_SPACE;
    if (c == '_' || sv_char_is(c, SV_CH_ALNUM)) mask |= IS_WORD;
    if (c != '\n') mask |= IS_NOT_LF;
    return mask;
}

static bool matches(const element *e, uint32_t mask, uint32_t c) {
    if (e->categories & mask) return true;
    if (e->also)
        for (const char32_t *p = e->also; *p; p++)
            if (*p == c) return true;
    return false;
}

bool sv_mojibake_is_bad(const uint32_t *text, size_t n) {
    size_t first = 0;                 /* every sequence holds a character beyond ASCII, behind three others at most */
    while (first < n && text[first] < 0x80) first++;
    if (first == n) return false;
    uint32_t masks[LONGEST];          /* of text[i .. i + LONGEST - 1] */
    size_t known = 0;
    for (size_t i = first > 3 ? first - 3 : 0; i < n; i++) {
        while (known < LONGEST && i + known < n) {
            masks[known] = full_mask(text[i + known]);
            known++;
        }
        for (size_t s = 0; s < sizeof sequences / sizeof *sequences; s++) {
            const element *e = sequences[s];
            if (!matches(e, masks[0], text[i]) || ((e->categories & AT_START) && i > 0)) continue;
            size_t k = 1;
            while (k < known && (e[k].categories || e[k].also) && matches(&e[k], masks[k], text[i + k])) k++;
            if (!e[k].categories && !e[k].also) return true;
        }
        memmove(masks, masks + 1, (LONGEST - 1) * sizeof *masks);
        known--;
    }
    return false;
}

/* ---- single-byte encodings ---- */

/* The text in that encoding, into bytes; false if it holds a character that the encoding lacks. */
static bool encode_charmap(const uint32_t *text, size_t n, const sv_charmap *map, unsigned char *bytes) {
    for (size_t i = 0; i < n; i++) {
        uint32_t c = text[i];
        if (map->sloppy && c == 0xFFFD) {
            bytes[i] = 0x1A;
            continue;
        }
        if (c < 0x80) {
            if (map->sloppy && c == 0x1A) return false;
            bytes[i] = (unsigned char)c;
            continue;
        }
        if (c >= 0xA0 && c <= 0xFF && map->high[c - 0x80] == c) {
            bytes[i] = (unsigned char)c;
            continue;
        }
        int k = 0;
        while (k < 128 && map->high[k] != c) k++;
        if (k == 128) return false;
        bytes[i] = (unsigned char)(0x80 + k);
    }
    return true;
}

static bool is_in(unsigned char b, unsigned char low, unsigned char high) { return b >= low && b <= high; }
static bool is_continuation(unsigned char b) { return is_in(b, 0x80, 0xBF); }

/* ---- byte A0 that became a space ---- */

/* Length of a UTF-8 sequence at s that is complete but for one continuation byte replaced by a space; 0 if there is none. Lead bytes and
 * places where a plain space is likelier than a lost A0 are left out. */
static size_t spaced_sequence(const unsigned char *s, size_t n) {
    unsigned char a = s[0];
    if (n >= 2 && s[1] == ' ' && (a == 0xC2 || a == 0xC3 || a == 0xC5 || a == 0xCE || a == 0xD0 || a == 0xD9)) return 2;
    if (n >= 3) {
        bool second = is_continuation(s[1]) && s[1] != 0x85 && s[1] != 0xA0, third = is_continuation(s[2]) && s[2] != 0x85 && s[2] != 0xA0;
        if ((a == 0xE2 || a == 0xE3) && s[1] == ' ' && third) return 3;
        if (is_in(a, 0xE0, 0xE3) && second && s[2] == ' ') return 3;
    }
    if (n >= 4 && a == 0xF0) {
        int spaces = (s[1] == ' ') + (s[2] == ' ') + (s[3] == ' ');
        int others = is_continuation(s[1]) + is_continuation(s[2]) + is_continuation(s[3]);
        if (spaces == 1 && others == 2) return 4;
    }
    return 0;
}

/* "à" as a word of its own keeps the space behind it, but for Portuguese "às", "àquele", "àquela", "àquilo". */
static bool is_a_grave_word(const unsigned char *s, size_t n) {
    static const char *const inner[] = {" ", "quele", "quela", "quilo", "s "};
    if (n < 2 || s[0] != 0xC3 || s[1] != ' ') return false;
    for (size_t k = 0; k < sizeof inner / sizeof *inner; k++) {
        size_t length = strlen(inner[k]);
        if (n - 2 >= length && memcmp(s + 2, inner[k], length) == 0) return false;
    }
    return true;
}

static void restore_a0(const unsigned char *in, size_t n, sv_buf *out) {
    bool any = false;
    for (size_t i = 0; i < n && !any; i++) any = in[i] >= 0xC2 && spaced_sequence(in + i, n - i);
    if (!any) {
        sv_buf_add(out, in, n);
        return;
    }
    sv_buf words = {0};
    for (size_t i = 0; i < n; i++) {
        if (is_a_grave_word(in + i, n - i)) {
            sv_buf_add(&words, "\xC3\xA0 ", 3);
            i++;
        } else sv_buf_putc(&words, (char)in[i]);
    }
    out->failed |= words.failed;
    const unsigned char *w = (const unsigned char *)words.data;
    for (size_t i = 0; i < words.size;) {
        size_t length = spaced_sequence(w + i, words.size - i);
        if (!length) {
            sv_buf_putc(out, (char)w[i++]);
            continue;
        }
        for (size_t k = 0; k < length; k++, i++) sv_buf_putc(out, w[i] == ' ' ? '\xA0' : (char)w[i]);
    }
    sv_buf_free(&words);
}

/* ---- sequences that lost a byte to U+FFFD (1A here) or to "?" ---- */

static bool is_lost(unsigned char b) { return b == 0x1A || b == '?'; }
static bool is_held(unsigned char b) { return b == 0x1A || is_continuation(b); }

static size_t lossy_sequence(const unsigned char *s, size_t n) {
    unsigned char a = s[0];
    if (n >= 2 && is_in(a, 0xC2, 0xDF) && s[1] == 0x1A) return 2;
    if (n >= 2 && is_in(a, 0xC2, 0xC3) && s[1] == '?') return 2;
    if (n >= 6 && a == 0xED && is_in(s[1], 0xA0, 0xAF) && s[3] == 0xED && is_in(s[4], 0xB0, 0xBF)) {
        bool first_any = is_lost(s[2]) || is_continuation(s[2]), second_any = is_lost(s[5]) || is_continuation(s[5]);
        if ((is_lost(s[2]) && second_any) || (first_any && is_lost(s[5]))) return 6;
    }
    if (n >= 3 && is_in(a, 0xE0, 0xEF) && ((is_lost(s[1]) && is_held(s[2])) || (is_held(s[1]) && is_lost(s[2])))) return 3;
    if (n >= 4 && is_in(a, 0xF0, 0xF4)) {
        bool h1 = is_held(s[1]), h2 = is_held(s[2]), h3 = is_held(s[3]);
        if ((is_lost(s[1]) && h2 && h3) || (h1 && is_lost(s[2]) && h3) || (h1 && h2 && is_lost(s[3]))) return 4;
    }
    return a == 0x1A ? 1 : 0;
}

static void replace_lossy(const unsigned char *in, size_t n, sv_buf *out) {
    for (size_t i = 0; i < n;) {
        size_t length = lossy_sequence(in + i, n - i);
        if (length) sv_buf_add(out, "\xEF\xBF\xBD", 3);
        else sv_buf_putc(out, (char)in[i]);
        i += length ? length : 1;
    }
}

/* ---- decoding again ---- */

/* Strict UTF-8, and with `variants` also Java's C0 80 for NUL and surrogate pairs written as two sequences (CESU-8). */
static bool decode_utf8(const unsigned char *s, size_t n, bool variants, sv_cps *out) {
    for (size_t i = 0; i < n;) {
        if (variants && n - i >= 2 && s[i] == 0xC0 && s[i + 1] == 0x80) {
            sv_cps_add(out, 0);
            i += 2;
            continue;
        }
        if (variants && n - i >= 6 && s[i] == 0xED && is_in(s[i + 1], 0xA0, 0xAF) && is_continuation(s[i + 2]) && s[i + 3] == 0xED &&
            is_in(s[i + 4], 0xB0, 0xBF) && is_continuation(s[i + 5])) {
            sv_cps_add(out, 0x10000 + ((uint32_t)(s[i + 1] & 0x0F) << 16) + ((uint32_t)(s[i + 2] & 0x3F) << 10) + ((uint32_t)(s[i + 4] & 0x0F) << 6) +
                                (s[i + 5] & 0x3F));
            i += 6;
            continue;
        }
        uint32_t c;
        int length = sv_utf8_decode((const char *)s + i, n - i, &c);
        if (length == 0) return false;
        sv_cps_add(out, c);
        i += (size_t)length;
    }
    return true;
}

typedef enum attempt { FAILED, FIXED, NO_MEMORY } attempt;

/* Takes the text back to the bytes of one encoding and reads these as UTF-8, into out. */
static attempt decode_as(const uint32_t *text, size_t n, const sv_charmap *map, unsigned char *bytes, bool *possible, sv_cps *out) {
    *possible = encode_charmap(text, n, map, bytes);
    if (!*possible) return FAILED;
    sv_buf spaces = {0}, lossy = {0};
    if (map->macroman) sv_buf_add(&spaces, bytes, n);     /* there an en dash and a space would look like a lost A0 */
    else restore_a0(bytes, n, &spaces);
    if (map->sloppy) replace_lossy((const unsigned char *)spaces.data, spaces.size, &lossy);
    else sv_buf_add(&lossy, spaces.data, spaces.size);
    attempt result = spaces.failed || lossy.failed ? NO_MEMORY : FAILED;
    if (result == FAILED) {
        bool variants = memchr(lossy.data, 0xED, lossy.size) || memchr(lossy.data, 0xC0, lossy.size);
        out->size = 0;
        if (decode_utf8((const unsigned char *)lossy.data, lossy.size, variants, out)) result = out->failed ? NO_MEMORY : FIXED;
    }
    sv_buf_free(&spaces);
    sv_buf_free(&lossy);
    return result;
}

/* Length of the run of characters at text that look like wrongly decoded UTF-8 sequences; 0 if there is none. */
static size_t utf8_like_run(const uint32_t *text, size_t n) {
    size_t at = 0;
    for (;;) {
        size_t more = 0;
        for (size_t length = 2; length <= 4 && !more; length++) {
            static const uint32_t lead[] = {SV_MB_UTF8_FIRST_OF_2, SV_MB_UTF8_FIRST_OF_3, SV_MB_UTF8_FIRST_OF_4};
            if (n - at < length || !(table_mask(text[at]) & lead[length - 2])) continue;
            size_t k = 1;
            while (k < length && (table_mask(text[at + k]) & SV_MB_UTF8_CONTINUATION)) k++;
            if (k == length) more = length;
        }
        if (!more) return at;
        at += more;
    }
}

/* Repairs runs on their own where the text as a whole cannot be one wrong encoding. */
static bool repair_runs(const sv_cps *text, sv_cps *out) {
    for (size_t i = 0; i < text->size;) {
        bool inside = i > 0 && (table_mask(text->data[i - 1]) & SV_MB_UTF8_CONTINUATION_STRICT);
        size_t run = inside ? 0 : utf8_like_run(text->data + i, text->size - i);
        if (run == 0) {
            sv_cps_add(out, text->data[i++]);
            continue;
        }
        if (run < text->size && sv_mojibake_is_bad(text->data + i, run)) {
            sv_cps part = {0};
            sv_cps_add_all(&part, text->data + i, run);
            bool ok = !part.failed && sv_mojibake_repair(&part);
            if (ok) sv_cps_add_all(out, part.data, part.size);
            sv_cps_free(&part);
            if (!ok) return false;
        } else sv_cps_add_all(out, text->data + i, run);
        i += run;
    }
    return !out->failed;
}

/* C1 controls become what windows-1252 has in their place. strict: gives up (false) at a byte that encoding leaves unassigned. */
static bool replace_c1(const sv_cps *text, bool strict, sv_cps *out) {
    const uint16_t *high = sv_charmaps[SV_CHARMAP_WINDOWS_1252].high;
    for (size_t i = 0; i < text->size; i++) {
        uint32_t c = text->data[i];
        if (c >= 0x80 && c <= 0x9F) {
            if (strict && high[c - 0x80] == c) return false;
            c = high[c - 0x80];
        }
        sv_cps_add(out, c);
    }
    return true;
}

/* One round. *changed tells whether the text became another. */
static bool repair_once(sv_cps *text, bool *changed) {
    *changed = false;
    if (!sv_mojibake_is_bad(text->data, text->size)) return true;
    sv_cps next = {0};
    unsigned char *bytes = malloc(text->size);
    if (!bytes) return false;
    bool latin_1 = false;
    attempt result = FAILED;
    for (size_t k = 0; k < SV_CHARMAP_COUNT && result == FAILED; k++) {
        bool possible;
        result = decode_as(text->data, text->size, &sv_charmaps[k], bytes, &possible, &next);
        if (k == SV_CHARMAP_LATIN_1) latin_1 = possible;
    }
    free(bytes);
    if (result == FAILED) {
        next.size = 0;
        if (!repair_runs(text, &next)) result = NO_MEMORY;
        else if (!sv_cps_equal(text, &next)) result = FIXED;
    }
    if (result == FAILED && latin_1) {
        next.size = 0;
        if (replace_c1(text, true, &next) && !sv_cps_equal(text, &next)) result = FIXED;
    }
    if (result == FAILED) {
        next.size = 0;
        replace_c1(text, false, &next);
        result = FIXED;
    }
    bool ok = result != NO_MEMORY && !next.failed;
    if (ok) {
        *changed = !sv_cps_equal(text, &next);
        sv_cps_swap(text, &next);
    }
    sv_cps_free(&next);
    return ok;
}

bool sv_mojibake_repair(sv_cps *text) {
    for (bool changed = true; changed;)
        if (!repair_once(text, &changed)) return false;
    return true;
}
