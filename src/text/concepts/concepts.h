/* concepts.h - what a caption speaks of: concepts by word lists and patterns. docs/BALANCE.md says what a list file looks like.
 *
 * A word or phrase stands for its concept wherever it stands in a text as whole words, upper and lower case being one: a word is a run of letters and
 * digits, so "T-shirt" is two of them, and "t shirt" finds it. Finding all concepts of a caption costs one look into a table for each of its words,
 * however many concepts there are. A pattern (PCRE2) is searched in the caption as it stands, so each costs a search of its own.
 */
#ifndef SV_TEXT_CONCEPTS_H
#define SV_TEXT_CONCEPTS_H

#include "base/str.h"
#include "synthvlm/concepts.h"

#define SV_MOST_CONCEPTS 2000000   /* MetaCLIP's metadata has half a million */

typedef struct sv_concepts sv_concepts;   /* built by one thread, then read-only */

sv_status sv_concepts_open(sv_concepts **out, sv_error *err);
void sv_concepts_close(sv_concepts **c);

/* Concepts are numbered from 1 in the order in which they are added; 0 stands for captions without any. */
size_t sv_concepts_count(const sv_concepts *c);
const char *sv_concepts_name(const sv_concepts *c, size_t number);              /* "" for 0 */
size_t sv_concepts_find(const sv_concepts *c, const char *name);                /* 0: none of this name */

/* SHA-256 over everything that was added, as hex: equal hash, equal finds. Nothing may be added afterwards. */
const char *sv_concepts_hash(sv_concepts *c);

/* Adds a concept; `where` is what errors name. A name that is taken, or that is empty or has control characters, is SV_E_RECIPE. */
sv_status sv_concepts_add(sv_concepts *c, const char *name, const char *where, size_t *number, sv_error *err);
/* A word or phrase of a concept. One without a letter or digit is SV_E_RECIPE. */
sv_status sv_concepts_word(sv_concepts *c, size_t number, const char *word, size_t size, const char *where, sv_error *err);
sv_status sv_concepts_pattern(sv_concepts *c, size_t number, const char *pattern, const char *where, sv_error *err);
/* Adds every concept of a list: lines "name: word, phrase, …", "name: /pattern/" or just "word"; "#" begins a comment line. A text that begins with [ is
 * a JSON array of words, each a concept of its own (MetaCLIP's metadata.json). Errors name `where` and the line. */
sv_status sv_concepts_list(sv_concepts *c, const char *text, size_t size, const char *where, sv_error *err);

/* One thread's memory. Zero-initialise, sv_concept_scratch_free. */
typedef struct sv_concept_scratch {
    sv_buf words, found;         /* the text's words in lower case, one blank between; numbers of concepts (uint32_t) */
    sv_buf ends;                 /* of each word in `words`: size_t pairs */
    uint64_t gave_up;            /* texts on which a pattern was given up: more work than one match may take */
} sv_concept_scratch;
void sv_concept_scratch_free(sv_concept_scratch *s);

/* The concepts of a text (valid UTF-8): *list has *n numbers, ascending, each once, and lives until the next call with this scratch. A pattern that needs
 * more work than the limit counts as not found, and scratch->gave_up says so. */
sv_status sv_concepts_match(const sv_concepts *c, const char *text, size_t size, sv_concept_scratch *scratch, const uint32_t **list, size_t *n, sv_error *err);

#endif
