/* op_normalize.c - whitespace_normalization_mapper and punctuation_normalization_mapper. */
#include "text/ops/op.h"
#include "text/unicode/unicode.h"

typedef struct sv_no_settings {
    char unused;
} sv_no_settings;

static const sv_option no_options[] = {{0}};

/* Strips white space off both ends, then turns every kind of blank inside into U+0020. Line feeds inside stay, as in Data-Juicer. */
static sv_status whitespace_map(const void *state, sv_scan *s, sv_error *err) {
    const char *text = s->text;
    size_t size = s->size;
    sv_strip(&text, &size);
    sv_buf *out = sv_scan_spare(s);
    for (const char *p = text, *end = p + size; p < end;) {
        const char *at = p;
        if (sv_char_is(sv_next_char(&p), SV_CH_NORMALISED)) sv_buf_putc(out, ' ');
        else sv_buf_add(out, at, (size_t)(p - at));
    }
    return sv_scan_adopt(s, err);
}

const sv_op sv_op_whitespace_normalization = {
    .info = {"whitespace_normalization_mapper", SV_OP_MAPPER, NULL, "strips the ends and turns every kind of blank into a plain space"},
    .options = no_options, .size = sizeof(sv_no_settings), .map = whitespace_map};

/* Sorted by code point. U+FF11, a full-width digit one, becomes a quotation mark in Data-Juicer; so it does here. */
static const struct {
    uint32_t from;
    const char *to;
} punctuation[] = {
    {0xAB, "\""},   {0xB4, "'"},    {0xBB, "\""},   {0x2013, "-"},  {0x2014, " - "}, {0x2019, "'"},  {0x201C, "\""}, {0x201D, "\""}, {0x201E, "\""},
    {0x2026, "..."}, {0x2236, ":"}, {0x2501, "-"},  {0x25BA, "-"},  {0x3001, ","},  {0x3002, "."},  {0x3008, "<"},  {0x3009, ">"},  {0x300A, "\""},
    {0x300B, "\""}, {0x300C, "\""}, {0x300D, "\""}, {0x3010, "["},  {0x3011, "]"},  {0xFF01, "!"},  {0xFF05, "%"},  {0xFF08, "("},  {0xFF09, ")"},
    {0xFF0C, ","},  {0xFF0E, ". "}, {0xFF11, "\""}, {0xFF1A, ":"},  {0xFF1B, ";"},  {0xFF1F, "?"},  {0xFF5E, "~"}};

static const char *plain(uint32_t c) {
    size_t low = 0, high = sizeof punctuation / sizeof *punctuation;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (punctuation[mid].from == c) return punctuation[mid].to;
        if (punctuation[mid].from < c) low = mid + 1;
        else high = mid;
    }
    return NULL;
}

static sv_status punctuation_map(const void *state, sv_scan *s, sv_error *err) {
    if (sv_is_ascii(s->text, s->size)) return SV_OK;
    sv_buf *out = sv_scan_spare(s);
    for (const char *p = s->text, *end = p + s->size; p < end;) {
        const char *at = p;
        uint32_t c = sv_next_char(&p);
        const char *to = c < 0x80 ? NULL : plain(c);
        if (to) sv_buf_puts(out, to);
        else sv_buf_add(out, at, (size_t)(p - at));
    }
    return sv_scan_adopt(s, err);
}

const sv_op sv_op_punctuation_normalization = {
    .info = {"punctuation_normalization_mapper", SV_OP_MAPPER, NULL, "turns Unicode punctuation into its ASCII counterpart"},
    .options = no_options, .size = sizeof(sv_no_settings), .map = punctuation_map};
