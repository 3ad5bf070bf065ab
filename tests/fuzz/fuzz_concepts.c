/* fuzz_concepts.c - lists of concepts from hostile bytes, and what is found of them in a text. The first line is the text, the rest the list. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/concepts/concepts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *lf = size ? memchr(text, '\n', size) : NULL;
    size_t n = lf ? (size_t)(lf - text) : 0;
    sv_concepts *c;
    sv_concept_scratch scratch = {0};
    sv_error err;
    if (!lf || sv_utf8_valid(text, n) != n || sv_concepts_open(&c, &err) != SV_OK) return 0;
    char *list = malloc(size - n);   /* of its exact size, so that a look beyond its end is seen */
    if (!list) abort();
    memcpy(list, lf + 1, size - n - 1);
    bool good = sv_concepts_list(c, list, size - n - 1, "list", &err) == SV_OK;
    const uint32_t *found;
    size_t count;
    if (good && sv_concepts_match(c, text, n, &scratch, &found, &count, &err) == SV_OK)
        for (size_t i = 0; i < count; i++)
            if (found[i] == 0 || found[i] > sv_concepts_count(c) || (i && found[i] <= found[i - 1])) abort();
    sv_concept_scratch_free(&scratch);
    sv_concepts_close(&c);
    free(list);
    return 0;
}
