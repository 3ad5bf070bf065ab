/* bert_chars.h - what BERT's tokenizer does with each character, as the `tokenizers` library answers code point by code point (its tables are those of
 * Unicode 8 to 9, with the library's own gaps: newer marks are letters to it, and three CJK extensions begin late). */
#ifndef SV_TEXT_BERT_CHARS_H
#define SV_TEXT_BERT_CHARS_H

#include <stddef.h>
#include <stdint.h>

enum {
    SV_BERT_DROPPED = 1,         /* control and format characters, private use, U+FFFD */
    SV_BERT_SPACE = 2,
    SV_BERT_CJK = 4,             /* a word of its own, because it is an ideograph */
    SV_BERT_MARK = 8,            /* an accent, dropped after decomposition */
    SV_BERT_PUNCT = 16           /* a word of its own */
};

/* Ascending; what is in none has no class. */
typedef struct sv_bert_range {
    uint32_t first, last;
    uint8_t classes;
} sv_bert_range;
extern const sv_bert_range sv_bert_ranges[];
extern const size_t sv_bert_range_count;

#endif
