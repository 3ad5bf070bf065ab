/* describe.c - a pair as JSON, the same in every format. */
#include <math.h>
#include <string.h>

#include "stages/export/export.h"

void sv_export_json_text(sv_buf *b, const char *s) {
    if (!s || !*s) {
        sv_buf_puts(b, "null");
        return;
    }
    sv_buf_putc(b, '"');
    for (const char *run = s;; s++) {
        unsigned char c = (unsigned char)*s;
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7F) continue;
        sv_buf_add(b, run, (size_t)(s - run));
        run = s + 1;
        if (c == 0) break;
        if (c == '"' || c == '\\') sv_buf_printf(b, "\\%c", c);
        else if (c == '\n') sv_buf_puts(b, "\\n");
        else if (c == '\t') sv_buf_puts(b, "\\t");
        else sv_buf_printf(b, "\\u%04x", c);
    }
    sv_buf_putc(b, '"');
}

const char *sv_export_caption_of(const sv_pick *pick, int caption) {
    return caption == SV_CAPTION_ORIGINAL ? pick->original : pick->text;
}

static void add_number(sv_buf *b, double v) {
    char text[32];
    sv_buf_puts(b, isfinite(v) ? sv_real_text(v, text) : "null");
}

void sv_export_describe(sv_buf *b, const char *key, const sv_pick *pick, int caption, const sv_export_image *image) {
    const char *text = sv_export_caption_of(pick, caption), *other = sv_export_caption_of(pick, !caption);
    sv_buf_printf(b, "{\"key\": \"%s\", \"id\": ", key);
    sv_export_json_text(b, pick->id);
    sv_buf_puts(b, ", \"caption\": ");
    sv_export_json_text(b, text);
    if (strcmp(text, other) != 0) {
        sv_buf_puts(b, caption == SV_CAPTION_CLEANED ? ", \"original\": " : ", \"drawn_from\": ");
        sv_export_json_text(b, other);
    }
    sv_buf_printf(b, ", \"candidate\": \"%09lld-%d\", \"seed\": ", (long long)pick->number, pick->k);
    if (pick->seed == SV_NO_SEED) sv_buf_puts(b, "null");
    else sv_buf_printf(b, "%llu", (unsigned long long)pick->seed);
    sv_buf_printf(b, ", \"width\": %d, \"height\": %d, \"sha256\": \"%s\", \"score\": ", pick->width, pick->height, image->sha256);
    add_number(b, pick->score);
    sv_buf_puts(b, ", \"scores\": {");
    for (size_t i = 0; i < pick->score_count; i++) {
        if (i) sv_buf_puts(b, ", ");
        sv_export_json_text(b, pick->scores[i].name);
        sv_buf_puts(b, ": ");
        add_number(b, pick->scores[i].value);
    }
    sv_buf_puts(b, "}, \"source\": ");
    sv_export_json_text(b, pick->origin);
    sv_buf_puts(b, ", \"license\": ");
    sv_export_json_text(b, pick->license);
    sv_buf_putc(b, '}');
}
