/* html_entities.h - HTML 5's named character references. */
#ifndef SV_TEXT_HTML_ENTITIES_H
#define SV_TEXT_HTML_ENTITIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sv_html_entity {
    const char *name;    /* without "&" and ";" */
    const char *text;    /* UTF-8, one or two code points */
    bool bare;           /* also valid without ";" */
} sv_html_entity;
extern const sv_html_entity sv_html_entities[];
extern const size_t sv_html_entity_count;

/* The entity of exactly this name, or NULL. Names are case-sensitive. */
const sv_html_entity *sv_html_entity_find(const char *name, size_t size);

/* The longest prefix of name (2 bytes or more) that is valid without ";", or NULL. */
const sv_html_entity *sv_html_entity_prefix(const char *name, size_t size);

/* What a numeric reference stands for under HTML 5's rules; returns false if it stands for nothing (a forbidden code point). */
bool sv_html_numeric(uint32_t number, uint32_t *cp);

#endif
