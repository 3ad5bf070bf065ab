/* fuzz_recipe.c - recipes from hostile bytes. What is accepted must also be written back and read again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recipe/recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sv_recipe *r = NULL, *again = NULL;
    sv_error err;
    char *text = NULL;
    if (sv_recipe_read(&r, (const char *)data, size, "fuzz.yaml", ".", NULL, 0, &err) == SV_OK) {
        if (sv_recipe_text(r, ".", &text, &err) != SV_OK || sv_recipe_read(&again, text, strlen(text), "again.yaml", ".", NULL, 0, &err) != SV_OK) {
            fprintf(stderr, "an accepted recipe is not accepted once written out: %s: %s\n%s\n", err.what, err.why, text ? text : "");
            abort();
        }
    }
    free(text);
    sv_recipe_close(&again);
    sv_recipe_close(&r);
    return 0;
}
