/* unicode.h - character classes as Python's str methods and the `regex` module see them (Python 3.11, Unicode 14), and lower case.
 *
 * Data-Juicer's operators are defined through these two, so a newer Unicode database would give other verdicts. The tables are made by
 * tools/unicode_tables.py; one look-up costs three dependent loads.
 */
#ifndef SV_TEXT_UNICODE_H
#define SV_TEXT_UNICODE_H

#include "base/str.h"

enum {
    SV_CH_ALNUM = 1 << 0,        /* str.isalnum */
    SV_CH_SPECIAL = 1 << 1,      /* in Data-Juicer's SPECIAL_CHARACTERS */
    SV_CH_SPACE = 1 << 2,        /* str.isspace, what str.strip removes */
    SV_CH_LINE_BREAK = 1 << 3,   /* str.splitlines */
    SV_CH_NORMALISED = 1 << 4,   /* whitespace_normalization_mapper turns it into a space */
    SV_CH_RE_SPACE = 1 << 5,     /* \s, \d, \w and \p{P} of the regex module */
    SV_CH_RE_DIGIT = 1 << 6,
    SV_CH_RE_WORD = 1 << 7,
    SV_CH_RE_PUNCT = 1 << 8,
    SV_CH_CASED = 1 << 9,        /* for the final-sigma rule: cased and not ignorable */
    SV_CH_IGNORABLE = 1 << 10
};

typedef struct sv_char_class {
    int32_t lower;               /* what to add for the lower-case letter (U+0130 apart) */
    uint16_t flags;
} sv_char_class;

/* The tables: class = classes[class_of[blocks[c / 128] * 128 + c % 128]]. */
extern const sv_char_class sv_char_classes[];
extern const uint16_t sv_char_blocks[];
extern const uint8_t sv_char_class_of[];

static inline const sv_char_class *sv_char(uint32_t c) {
    return &sv_char_classes[sv_char_class_of[(size_t)sv_char_blocks[c >> 7] << 7 | (c & 127)]];
}

static inline bool sv_char_is(uint32_t c, unsigned flags) { return (sv_char(c)->flags & flags) != 0; }

/* The code point at *p of a text known to be valid UTF-8; moves *p behind it. */
static inline uint32_t sv_next_char(const char **p) {
    const unsigned char *s = (const unsigned char *)*p;
    if (s[0] < 0x80) {
        *p += 1;
        return s[0];
    }
    if (s[0] < 0xE0) {
        *p += 2;
        return (uint32_t)(s[0] & 0x1F) << 6 | (s[1] & 0x3F);
    }
    if (s[0] < 0xF0) {
        *p += 3;
        return (uint32_t)(s[0] & 0x0F) << 12 | (uint32_t)(s[1] & 0x3F) << 6 | (s[2] & 0x3F);
    }
    *p += 4;
    return (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3F) << 12 | (uint32_t)(s[2] & 0x3F) << 6 | (s[3] & 0x3F);
}

/* The code point that ends at *p (there is one); moves *p to its first byte. */
static inline uint32_t sv_previous_char(const char **p) {
    do --*p;
    while (((unsigned char)**p & 0xC0) == 0x80);
    const char *at = *p;
    return sv_next_char(&at);
}

bool sv_is_ascii(const char *text, size_t size);

/* Appends str.lower() of a valid text: full lower-casing, final sigma by its neighbours within this text. */
void sv_lower_append(const char *text, size_t size, sv_buf *out);

/* str.strip(): moves the ends inwards over white space. */
void sv_strip(const char **text, size_t *size);

#endif
