/* op_length.c - text_length_filter, words_num_filter, average_line_length_filter and maximum_line_length_filter. */
#include "text/unicode/unicode.h"
#include "text/words.h"

typedef struct sv_length {
    sv_range range;
} sv_length;

static const sv_option length_options[] = {SV_RANGE_OPTIONS(sv_length, "min_len", "10", "max_len", "null"), {0}};

static sv_status length_measure(const void *state, sv_scan *s, double *value, sv_error *err) {
    sv_scan_counts(s);
    *value = s->length;
    return SV_OK;
}

const sv_op sv_op_text_length = {.info = {"text_length_filter", SV_OP_FILTER, "text_len", "number of characters (code points)"},
                                 .integer = true, .options = length_options, .size = sizeof(sv_length), .measure = length_measure};

typedef struct sv_words_num {
    sv_range range;
    sv_word_source source;
} sv_words_num;

static const sv_option words_options[] = {
    SV_WORD_OPTIONS(sv_words_num),
    SV_RANGE_OPTIONS(sv_words_num, "min_num", "10", "max_num", "null"),
    {0}};

static sv_status words_open(void *state, const char *where, sv_error *err) {
    return sv_word_source_open(&((sv_words_num *)state)->source, where, err);
}

static void words_close(void *state) { sv_word_source_close(&((sv_words_num *)state)->source); }

static sv_status words_measure(const void *state, sv_scan *s, double *value, sv_error *err) {
    uint32_t words;
    SV_TRY(sv_scan_word_number(s, ((const sv_words_num *)state)->source.pieces, &words, err));
    *value = words;
    return SV_OK;
}

const sv_op sv_op_words_num = {.info = {"words_num_filter", SV_OP_FILTER, "num_words", "number of words that are more than special characters"},
                               .integer = true, .options = words_options, .size = sizeof(sv_words_num), .open = words_open,
                               .close = words_close, .measure = words_measure};

/* Printable ASCII: one line, of as many characters as bytes. */
static bool is_one_plain_line(const char *text, size_t size) {
    unsigned char other = 0;
    for (size_t i = 0; i < size; i++) other |= (unsigned char)((unsigned char)text[i] - 0x20) > 0x7E - 0x20;
    return !other;
}

/* Lines as str.splitlines sees them: no empty line after a final break, CR LF is one break. */
static void measure_lines(const sv_scan *s, uint32_t *lines, uint32_t *longest) {
    uint32_t n = 0, max = 0, length = 0;
    if (s->size && is_one_plain_line(s->text, s->size)) {
        *lines = 1;
        *longest = (uint32_t)s->size;
        return;
    }
    const char *p = s->text, *end = p + s->size;
    bool open = false;
    while (p < end) {
        uint32_t c = sv_next_char(&p);
        if (!sv_char_is(c, SV_CH_LINE_BREAK)) {
            length++;
            open = true;
            continue;
        }
        if (c == '\r' && p < end && *p == '\n') p++;
        if (length > max) max = length;
        n++;
        length = 0;
        open = false;
    }
    if (open) {
        if (length > max) max = length;
        n++;
    }
    *lines = n;
    *longest = max;
}

/* All characters, line breaks included, per line. */
static sv_status average_measure(const void *state, sv_scan *s, double *value, sv_error *err) {
    uint32_t lines, longest;
    sv_scan_counts(s);
    measure_lines(s, &lines, &longest);
    *value = lines ? (double)s->length / lines : 0.0;
    return SV_OK;
}

const sv_op sv_op_average_line_length = {
    .info = {"average_line_length_filter", SV_OP_FILTER, "avg_line_length", "characters per line, line breaks counted"},
    .options = length_options, .size = sizeof(sv_length), .measure = average_measure};

static sv_status maximum_measure(const void *state, sv_scan *s, double *value, sv_error *err) {
    uint32_t lines, longest;
    measure_lines(s, &lines, &longest);
    *value = longest;
    return SV_OK;
}

const sv_op sv_op_maximum_line_length = {
    .info = {"maximum_line_length_filter", SV_OP_FILTER, "max_line_length", "characters of the longest line"},
    .integer = true, .options = length_options, .size = sizeof(sv_length), .measure = maximum_measure};
