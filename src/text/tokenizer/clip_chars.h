/* clip_chars.h - what the pre-tokenizers of CLIP take for a letter, a number and white space.
 *
 * OpenAI's tokenizer splits with the `regex` module (Unicode 17 in the release followed here), transformers with the Oniguruma library inside
 * `tokenizers` (Unicode 16); each class is what that library answers for the code point.
 */
#ifndef SV_TEXT_CLIP_CHARS_H
#define SV_TEXT_CLIP_CHARS_H

#include <stddef.h>
#include <stdint.h>

typedef enum sv_clip_class { SV_CLIP_OTHER, SV_CLIP_SPACE, SV_CLIP_LETTER, SV_CLIP_NUMBER } sv_clip_class;

/* Non-ASCII ranges in ascending order; what is in none is SV_CLIP_OTHER. U+0345 is a space for OpenAI: case folding makes it a letter for
 * the negated class and a mark for the letter class, so that it matches neither and is dropped. */
typedef struct sv_clip_range {
    uint32_t first, last;
    uint8_t openai, hf;
} sv_clip_range;
extern const sv_clip_range sv_clip_ranges[];
extern const size_t sv_clip_range_count;

/* Lower-case pairs that `tokenizers` knows and Python 3.11 does not, ascending. */
extern const uint32_t sv_new_lower[][2];
extern const size_t sv_new_lower_count;

#endif
