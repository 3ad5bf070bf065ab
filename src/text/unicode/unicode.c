#include "text/unicode/unicode.h"

#include <string.h>

#include "base/utf8.h"

bool sv_is_ascii(const char *text, size_t size) {
    size_t i = 0;
    for (; size - i >= 8; i += 8) {
        uint64_t eight;
        memcpy(&eight, text + i, 8);
        if (eight & 0x8080808080808080u) return false;
    }
    for (; i < size; i++)
        if ((unsigned char)text[i] & 0x80) return false;
    return true;
}

/* Final_Sigma of the Unicode standard, 3.13: a cased letter before it and none after it, case-ignorable characters skipped. */
static bool is_final_sigma(const char *begin, const char *sigma, const char *end) {
    const char *p = sigma;
    bool cased = false;
    while (p > begin) {
        unsigned flags = sv_char(sv_previous_char(&p))->flags;
        if (flags & SV_CH_IGNORABLE) continue;
        cased = (flags & SV_CH_CASED) != 0;
        break;
    }
    if (!cased) return false;
    p = sigma;
    sv_next_char(&p);
    while (p < end) {
        unsigned flags = sv_char(sv_next_char(&p))->flags;
        if (!(flags & SV_CH_IGNORABLE)) return !(flags & SV_CH_CASED);
    }
    return true;
}

void sv_lower_append(const char *text, size_t size, sv_buf *out) {
    if (!sv_buf_reserve(out, size + size / 2 + 4)) return;   /* no letter grows by more than half: U+0130, two bytes, becomes three */
    char *to = out->data + out->size;
    const char *p = text, *end = text + size;
    while (p < end) {
        if (!((unsigned char)*p & 0x80)) {
            char c = *p++;
            *to++ = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
            continue;
        }
        const char *at = p;
        uint32_t c = sv_next_char(&p);
        if (c == 0x130) {
            memcpy(to, "i\xCC\x87", 3);
            to += 3;
            continue;
        }
        if (c == 0x3A3) c = is_final_sigma(text, at, end) ? 0x3C2 : 0x3C3;
        else c = (uint32_t)((int32_t)c + sv_char(c)->lower);
        to += sv_utf8_encode(c, to);
    }
    out->size = (size_t)(to - out->data);
    *to = '\0';
}

void sv_strip(const char **text, size_t *size) {
    const char *begin = *text, *end = begin + *size;
    while (begin < end) {
        const char *p = begin;
        if (!sv_char_is(sv_next_char(&p), SV_CH_SPACE)) break;
        begin = p;
    }
    while (end > begin) {
        const char *p = end;
        if (!sv_char_is(sv_previous_char(&p), SV_CH_SPACE)) break;
        end = p;
    }
    *text = begin;
    *size = (size_t)(end - begin);
}
