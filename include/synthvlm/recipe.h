/* recipe.h - recipes: one YAML file that says where captions come from, how they are judged, drawn, scored, selected and exported.
 *
 * Every unknown key, wrong type or value out of range is SV_E_RECIPE and names file, line, column, key and what is allowed.
 */
#ifndef SYNTHVLM_RECIPE_H
#define SYNTHVLM_RECIPE_H

#include "synthvlm/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sv_recipe sv_recipe;   /* read-only once loaded */

/* Reads and checks a recipe. sets: n strings "key.sub=value" (value: YAML, flow style allowed; its paths are relative to the working
 * directory), laid over the file in order; paths in the file are relative to the file. */
sv_status sv_recipe_load(sv_recipe **out, const char *path, const char *const *sets, size_t n, sv_error *err);
void sv_recipe_close(sv_recipe **r);

const char *sv_recipe_name(const sv_recipe *r);

/* The recipe as YAML with every default written out and its paths relative to dir (malloc; the caller frees). */
sv_status sv_recipe_text(const sv_recipe *r, const char *dir, char **text, sv_error *err);

/* The commented recipe of `synthvlm help recipe`, made from the option tables, every default included (malloc). A loadable recipe. */
sv_status sv_recipe_help(char **text, sv_error *err);

#ifdef __cplusplus
}
#endif
#endif
