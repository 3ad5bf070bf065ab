/* concepts.h - what captions speak of, by word lists and patterns: docs/BALANCE.md. */
#ifndef SYNTHVLM_CONCEPTS_H
#define SYNTHVLM_CONCEPTS_H

#include "synthvlm/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The lists that come with the program: name, one line about it, text; NULL after the last. */
typedef struct sv_concept_list { const char *name, *help, *text; } sv_concept_list;
const sv_concept_list *sv_concept_list_at(size_t i);
const sv_concept_list *sv_concept_list_find(const char *name);

/* Concepts of any number of lists, each the name of a ready one or a file. `threads`: how many may find at the same time (1 at least). SV_E_RECIPE or
 * SV_E_INPUT names the list and the line. */
typedef struct sv_concept_finder sv_concept_finder;
sv_status sv_concept_finder_open(sv_concept_finder **out, const char *const *lists, size_t n, unsigned threads, sv_error *err);
void sv_concept_finder_close(sv_concept_finder **f);
size_t sv_concept_finder_count(const sv_concept_finder *f);
/* Calls fn with the name of every concept that a text has, in the order of the lists. thread: 0 .. threads - 1. SV_E_INPUT: not valid UTF-8. */
typedef sv_status (*sv_found_concept_fn)(void *user, const char *name, sv_error *err);
sv_status sv_concept_finder_find(sv_concept_finder *f, unsigned thread, const char *text, size_t size, sv_found_concept_fn fn, void *user, sv_error *err);

#ifdef __cplusplus
}
#endif
#endif
