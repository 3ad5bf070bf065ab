/* recipe_terms.c - the scores by name, and which of them a recipe has a use for. */
#include <math.h>
#include <string.h>

#include "recipe/recipe.h"

const char *const sv_term_names[SV_TERMS] = {
    [SV_TERM_CLIP] = "clip",         [SV_TERM_SSIM] = "ssim",     [SV_TERM_CLEAN] = "clean",       [SV_TERM_COLOUR] = "colour",
    [SV_TERM_CONTRAST] = "contrast", [SV_TERM_DETAIL] = "detail", [SV_TERM_EXPOSURE] = "exposure", [SV_TERM_SHARPNESS] = "sharpness",
    [SV_TERM_UNMARKED] = "unmarked", [SV_TERM_ITM] = "itm",
};

sv_term sv_by_term(int by) {
    switch (by) {
    case SV_BY_WEIGHTED:
    case SV_BY_RANDOM: return SV_TERMS;
    case SV_BY_CLIP: return SV_TERM_CLIP;
    case SV_BY_SSIM: return SV_TERM_SSIM;
    default: return (sv_term)(by - SV_BY_OTHERS + SV_TERM_SSIM + 1);
    }
}

const char *sv_by_name(int by) {
    return by == SV_BY_WEIGHTED ? "weighted" : by == SV_BY_RANDOM ? "random" : sv_term_names[sv_by_term(by)];
}

static bool named(const char *list, const char *name) {
    yyjson_doc *doc = list ? yyjson_read(list, strlen(list), 0) : NULL;
    yyjson_val *v;
    size_t i, n;
    bool found = false;
    yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, v) found |= yyjson_equals_str(v, name);
    yyjson_doc_free(doc);
    return found;
}

bool sv_recipe_adaptive(const sv_recipe *r) {
    return !isnan(r->generate.candidates.stop_at) || !isnan(r->generate.candidates.drop_below);
}

int sv_recipe_checks(const sv_prune_settings *prune, double out[SV_MOST_CHECKS]) {
    if (!prune->at) return 0;
    yyjson_doc *doc = yyjson_read(prune->at, strlen(prune->at), 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    size_t n = yyjson_is_arr(root) ? yyjson_arr_size(root) : 1;
    int found = n >= 1 && n <= SV_MOST_CHECKS ? (int)n : -1;
    for (int i = 0; i < found; i++) {
        yyjson_val *v = yyjson_is_arr(root) ? yyjson_arr_get(root, (size_t)i) : root;
        out[i] = yyjson_is_num(v) ? yyjson_get_num(v) : 0;
        if (!(out[i] > 0 && out[i] < 1) || (i && out[i] <= out[i - 1])) found = -1;
    }
    yyjson_doc_free(doc);
    return found;
}

bool sv_recipe_uses(const sv_recipe *r, sv_term term) {
    return r->score.weights.of[term] != 0 || !isnan(r->select.min.of[term]) || sv_by_term(r->select.by) == term ||
           named(r->score.also, sv_term_names[term]);
}
