/* op_clean_html.c - clean_html_mapper: the text of HTML, list items as lines with a star. */
#include <string.h>

#include "text/unicode/html_text.h"
#include "text/ops/op.h"

typedef struct sv_clean_html {
    char unused;
} sv_clean_html;

static const sv_option options[] = {{0}};

/* Before parsing, <li> and <ol> written exactly so become a line break and a star, and their end tags vanish. */
static void mark_lists(const char *text, size_t size, sv_buf *out) {
    static const char *const marks[][2] = {{"<li>", "\n*"}, {"</li>", ""}, {"<ol>", "\n*"}, {"</ol>", ""}};
    const char *p = text, *end = text + size;
    while (p < end) {
        const char *open = memchr(p, '<', (size_t)(end - p));
        sv_buf_add(out, p, (size_t)((open ? open : end) - p));
        if (!open) return;
        p = open;
        size_t i = 0;
        while (i < 4 && ((size_t)(end - p) < strlen(marks[i][0]) || memcmp(p, marks[i][0], strlen(marks[i][0])) != 0)) i++;
        if (i < 4) {
            sv_buf_puts(out, marks[i][1]);
            p += strlen(marks[i][0]);
        } else sv_buf_putc(out, *p++);
    }
}

static sv_status html_map(const void *state, sv_scan *s, sv_error *err) {
    mark_lists(s->text, s->size, sv_scan_spare(s));
    SV_TRY(sv_scan_adopt(s, err));
    SV_TRY(sv_html_text(s->text, s->size, sv_scan_spare(s), err));
    return sv_scan_adopt(s, err);
}

const sv_op sv_op_clean_html = {
    .info = {"clean_html_mapper", SV_OP_MAPPER, NULL, "replaces HTML by its text"},
    .options = options, .size = sizeof(sv_clean_html), .map = html_map};
