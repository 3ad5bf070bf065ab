#include "text/unicode/html_entities.h"

#include <string.h>

const sv_html_entity *sv_html_entity_find(const char *name, size_t size) {
    size_t low = 0, high = sv_html_entity_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const char *other = sv_html_entities[middle].name;
        int order = strncmp(name, other, size);
        if (order == 0 && other[size] != '\0') order = -1;
        if (order == 0) return &sv_html_entities[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

const sv_html_entity *sv_html_entity_prefix(const char *name, size_t size) {
    enum { LONGEST_BARE = 6 };   /* "frac12", "yacute" … */
    for (size_t n = size < LONGEST_BARE ? size : LONGEST_BARE; n >= 2; n--) {
        const sv_html_entity *e = sv_html_entity_find(name, n);
        if (e && e->bare) return e;
    }
    return NULL;
}

/* References to C1 controls mean windows-1252; 0 where that leaves a byte unassigned and the control stays. */
static const uint16_t windows_1252[32] = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017D, 0,
    0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178};

bool sv_html_numeric(uint32_t number, uint32_t *cp) {
    *cp = number;
    if (number >= 0x80 && number <= 0x9F) {
        if (windows_1252[number - 0x80]) *cp = windows_1252[number - 0x80];
        return true;
    }
    if (number == 0 || (number >= 0xD800 && number <= 0xDFFF) || number > 0x10FFFF) {
        *cp = 0xFFFD;
        return true;
    }
    bool control = number < 0x20 && number != '\t' && number != '\n' && number != '\f' && number != '\r';
    bool noncharacter = (number >= 0xFDD0 && number <= 0xFDEF) || (number & 0xFFFE) == 0xFFFE;
    return !(control || number == 0x7F || noncharacter);
}
