/* fuzz_captions.c - every text operator on hostile captions, and process lists from hostile JSON.
 * The first byte chooses: even, the rest is captions (one a line) for a list of every operator that needs no file; odd, the rest is a process list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/utf8.h"
#include "synthvlm/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_CAPTIONS = 64 };

/* Every operator with its defaults, leaving out those that want a file. */
static char *every_operator(void)
{
    sv_buf list = {0};
    for (size_t i = 0; i < sv_op_count(); i++) {
        sv_buf one = {0};
        sv_process *p = NULL;
        sv_error err;
        /* Bands that are given need not be searched for: that alone would take longer than all the rest. */
        bool minhash = sv_str_eq(sv_op_at(i)->name, "document_minhash_deduplicator");
        sv_buf_printf(&one, "{\"%s\": %s}", sv_op_at(i)->name, minhash ? "{\"num_permutations\": 16, \"num_bands\": 8, \"num_rows_per_band\": 2}" : "null");
        sv_buf whole = {0};
        sv_buf_printf(&whole, "[%s]", one.data);
        if (sv_process_open(&p, whole.data, SV_VIEW_BARE, ".", &err) == SV_OK) sv_buf_printf(&list, "%s%s", list.size ? "," : "[", one.data);
        sv_process_close(&p);
        sv_buf_free(&one);
        sv_buf_free(&whole);
    }
    sv_buf_puts(&list, "]");
    return list.data;
}

static void run(const char *json, sv_view view, const uint8_t *data, size_t size)
{
    sv_process *p = NULL;
    sv_error err;
    if (sv_process_open(&p, json, view, ".", &err) != SV_OK) return;
    sv_caption_in in[MAX_CAPTIONS];
    static sv_caption_out out[MAX_CAPTIONS];
    size_t n = 0;
    for (const uint8_t *at = data, *end = data + size; at < end && n < MAX_CAPTIONS;) {
        const uint8_t *lf = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((lf ? lf : end) - at);
        if (sv_utf8_valid((const char *)at, length) == length) {
            in[n] = (sv_caption_in){.number = n + 1, .text = (const char *)at, .size = length};
            n++;
        }
        at += length + 1;
    }
    for (int pass = 0; pass < sv_process_passes(p); pass++)
        if (sv_process_run(p, in, n, 1, out, &err) != SV_OK || sv_process_end_pass(p, &err) != SV_OK) break;
    sv_process_close(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *list;
    if (!list) list = every_operator();
    if (!size) return 0;
    if (data[0] & 1) {
        char *json = sv_strndup((const char *)data + 1, size - 1);
        const char *text = "A cat, a cat; \xe2\x80\x9cthe\xe2\x80\x9d cat http://a.b/c\n\n<b>two</b>  dogs \xf0\x9f\x98\x80";
        if (json) run(json, SV_VIEW_LLAVA, (const uint8_t *)text, strlen(text));
        free(json);
    } else {
        run(list, (sv_view)(data[0] / 2 % 3), data + 1, size - 1);
    }
    return 0;
}
