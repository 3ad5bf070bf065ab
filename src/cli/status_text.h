/* status_text.h - the JSON of sv_run_status as lines that a person reads. */
#ifndef SV_CLI_STATUS_TEXT_H
#define SV_CLI_STATUS_TEXT_H

#include <stdio.h>
#include <yyjson.h>

/* Parts of the answer: which lines are printed. */
enum { SV_SHOW_CAPTIONS = 1, SV_SHOW_IMAGES = 2, SV_SHOW_SELECTION = 4, SV_SHOW_EXPORTS = 8, SV_SHOW_ALL = 15 };
void sv_cli_status_text(FILE *out, yyjson_val *root, int parts);

/* What a selection's steps after the ranking did, a line each: from the JSON of a selection; nothing if it had none. */
void sv_cli_steps_text(FILE *out, yyjson_val *selection);

/* Parses an answer for people: control characters in its strings, which data may hold and a terminal would obey, become visible as the JSON escapes
 * that stand for them (a line feed as \n). NULL when memory runs out. */
yyjson_doc *sv_cli_read_visible(const char *json);

/* 1234567 as "1,234,567" into buf. */
const char *sv_cli_count(int64_t n, char buf[32]);

#endif
