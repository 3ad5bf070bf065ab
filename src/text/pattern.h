/* pattern.h - users' regular expressions: PCRE2 with Unicode classes and a limit on the work that one match may take. */
#ifndef SV_TEXT_PATTERN_H
#define SV_TEXT_PATTERN_H

#include "base/str.h"

typedef struct sv_pattern sv_pattern;   /* read-only once open */

/* dot_all: "." matches line feeds, too. A pattern that does not compile is SV_E_RECIPE with the place. */
sv_status sv_pattern_open(sv_pattern **out, const char *pattern, bool dot_all, const char *where, sv_error *err);
/* The same for a pattern written for Python's `regex` module, whose classes \w, \s and boundaries \b are wider or narrower than PCRE2's: marks are of words, U+180E is
 * no white space. (\W between brackets, and PCRE2 before 10.40, keep PCRE2's meaning.) */
sv_status sv_pattern_open_regex(sv_pattern **out, const char *pattern, bool dot_all, const char *where, sv_error *err);
void sv_pattern_close(sv_pattern **p);

/* Appends text with every match replaced by `with`, taken literally. SV_E_INPUT if the pattern needs more work than the limit allows. */
sv_status sv_pattern_replace(const sv_pattern *p, const char *text, size_t size, const char *with, sv_buf *out, sv_error *err);

/* Whether the pattern is found in a text of valid UTF-8. *limit: the search was given up because it took more work than the limit allows. */
sv_status sv_pattern_search(const sv_pattern *p, const char *text, size_t size, bool *found, bool *limit, sv_error *err);

#endif
