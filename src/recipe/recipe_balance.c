/* recipe_balance.c - the concepts of captions.balance: ready lists, files and single concepts put together, each with its limits. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "recipe/recipe.h"
#include "text/concepts/concepts.h"

#define MOST_LIST ((size_t)256 << 20)

void sv_balance_plan_free(sv_balance_plan *plan) {
    sv_concepts_close(&plan->concepts);
    free(plan->caps);
    free(plan->quotas);
    *plan = (sv_balance_plan){0};
}

/* An error of src/text under the key of the recipe that brought it. */
static sv_status under_key(const char *path, sv_status st, const sv_error *cause, sv_error *err) {
    if (st == SV_E_MEMORY) return sv_fail_memory(err, path, 0);
    if (sv_str_eq(cause->what, path)) sv_fail(err, SV_E_RECIPE, path, "%s", cause->why);
    else sv_fail(err, SV_E_RECIPE, path, "%.300s: %.600s", cause->what, cause->why);
    return cause->hint[0] ? sv_hint(err, SV_E_RECIPE, "%s", cause->hint) : SV_E_RECIPE;
}

static sv_status no_such_list(const char *path, const char *name, sv_error *err) {
    const char *names[16];
    sv_buf all = {0};
    size_t n = 0;
    for (const sv_concept_list *l; n < 16 && (l = sv_concept_list_at(n)); n++) {
        names[n] = l->name;
        sv_buf_printf(&all, "%s%s", n ? ", " : "", l->name);
    }
    const char *nearest = sv_nearest(name, names, n);
    sv_fail(err, SV_E_RECIPE, path, "there is no ready list \"%.80s\"", name);
    sv_hint(err, SV_E_RECIPE, "%s%s%sknown: %s; a list of your own goes under `file`", nearest ? "did you mean \"" : "", nearest ? nearest : "", nearest ? "\"? " : "",
            all.data ? all.data : "");
    sv_buf_free(&all);
    return SV_E_RECIPE;
}

static sv_status add_words(sv_concepts *c, size_t number, const char *json, const char *path, sv_error *err) {
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    yyjson_val *list = yyjson_doc_get_root(doc), *word;
    sv_status st = SV_OK;
    if (!yyjson_is_arr(list) || !yyjson_arr_size(list)) {
        st = sv_fail(err, SV_E_RECIPE, path, "must be a list of words");
        sv_hint(err, st, "for example  words: [dog, dogs, puppy]");
    }
    size_t i, n;
    yyjson_arr_foreach(list, i, n, word) {
        if (st == SV_OK && !yyjson_is_str(word))
            st = sv_hint(err, sv_fail(err, SV_E_RECIPE, path, "word %zu is not text", i + 1), "in quotes it is: words: [\"%s\"]", yyjson_is_int(word) ? "2" : "yes");
        if (st == SV_OK) st = sv_concepts_word(c, number, yyjson_get_str(word), yyjson_get_len(word), path, err);
        if (st != SV_OK) break;
    }
    yyjson_doc_free(doc);
    return st;
}

/* One concept by name: *first .. *last is its number, new or of an earlier entry. */
static sv_status add_one(sv_concepts *c, const sv_concept_settings *s, const char *path, size_t *number, sv_error *err) {
    char key[96];
    snprintf(key, sizeof key, "%s.name", path);
    if (!s->words && !s->pattern) {
        *number = sv_concepts_find(c, s->name);
        if (*number) return SV_OK;
        sv_fail(err, SV_E_RECIPE, key, "there is no concept \"%.100s\" in the entries above, and it has neither words nor a pattern", s->name);
        return sv_hint(err, SV_E_RECIPE, "synthvlm concepts prints the ready lists");
    }
    SV_TRY(sv_concepts_add(c, s->name, key, number, err));
    snprintf(key, sizeof key, "%s.words", path);
    if (s->words) SV_TRY(add_words(c, *number, s->words, key, err));
    snprintf(key, sizeof key, "%s.pattern", path);
    return s->pattern ? sv_concepts_pattern(c, *number, s->pattern, key, err) : SV_OK;
}

static sv_status add_file(sv_concepts *c, const char *file, const char *path, sv_error *err) {
    char key[96], *text = NULL;
    size_t size;
    sv_error cause = {0};
    snprintf(key, sizeof key, "%s.file", path);
    sv_status st = sv_file_read(file, MOST_LIST, &text, &size, &cause);
    if (st == SV_OK) st = sv_concepts_list(c, text, size, file, &cause);
    free(text);
    return st == SV_OK ? SV_OK : under_key(key, st, &cause, err);
}

static sv_status add_ready(sv_concepts *c, const char *name, const char *path, sv_error *err) {
    char key[96];
    sv_error cause = {0};
    snprintf(key, sizeof key, "%s.list", path);
    const sv_concept_list *list = sv_concept_list_find(name);
    if (!list) return no_such_list(key, name, err);
    sv_status st = sv_concepts_list(c, list->text, strlen(list->text), name, &cause);
    return st == SV_OK ? SV_OK : under_key(key, st, &cause, err);
}

static sv_status grow(sv_balance_plan *plan, const sv_balance_settings *s, sv_error *err) {
    size_t count = sv_concepts_count(plan->concepts) + 1;
    int64_t *caps = realloc(plan->caps, count * sizeof *caps);
    if (caps) plan->caps = caps;
    int64_t *quotas = realloc(plan->quotas, count * sizeof *quotas);
    if (quotas) plan->quotas = quotas;
    if (!caps || !quotas) return sv_fail_memory(err, "captions.balance", count * sizeof *caps);
    for (; plan->count < count; plan->count++) {
        int64_t cap = plan->count ? s->cap : s->others;
        plan->caps[plan->count] = cap == INT64_MIN ? -1 : cap;
        plan->quotas[plan->count] = 0;
    }
    return SV_OK;
}

static sv_status quota_of(const sv_captions_settings *captions, double quota, const char *path, int64_t *out, sv_error *err) {
    char key[96];
    snprintf(key, sizeof key, "%s.quota", path);
    int64_t sample = captions->sample;
    if (quota > 0 && quota < 1 && sample == INT64_MIN) {
        sv_fail(err, SV_E_RECIPE, key, "is a share of the sample, but captions.sample is not set");
        return sv_hint(err, SV_E_RECIPE, "set captions.sample, or give a number of captions");
    }
    if (quota >= 1 && quota != floor(quota)) return sv_fail(err, SV_E_RECIPE, key, "must be a number of captions, or a share below 1 such as 5%%");
    double n = quota < 1 ? ceil(quota * (double)sample) : quota;
    if (sample != INT64_MIN && n > (double)sample) return sv_fail(err, SV_E_RECIPE, key, "is more than captions.sample, which is %lld", (long long)sample);
    *out = quota == 0 ? 0 : (int64_t)n;
    return SV_OK;
}

static sv_status add_entry(const sv_captions_settings *captions, size_t i, sv_balance_plan *plan, sv_error *err) {
    const sv_balance_settings *s = &captions->balance;
    const sv_concept_settings *e = &s->concepts[i];
    char path[64];
    snprintf(path, sizeof path, "captions.balance.concepts[%zu]", i);
    if ((e->list != NULL) + (e->file != NULL) + (e->name != NULL) != 1) {
        sv_fail(err, SV_E_RECIPE, path, "must have one of the keys list, file and name");
        return sv_hint(err, SV_E_RECIPE, "{list: objects}, {file: my-list.txt} or {name: robots, words: [robot, robots]}");
    }
    if (!e->name && (e->words || e->pattern)) return sv_fail(err, SV_E_RECIPE, path, "words and pattern belong to a concept with a name");
    size_t first = plan->count, last, number = 0;
    if (e->list) SV_TRY(add_ready(plan->concepts, e->list, path, err));
    if (e->file) SV_TRY(add_file(plan->concepts, e->file, path, err));
    if (e->name) SV_TRY(add_one(plan->concepts, e, path, &number, err));
    SV_TRY(grow(plan, s, err));
    last = plan->count - 1;
    if (number) first = last = number;
    for (size_t k = first; k <= last; k++) {
        if (e->cap != INT64_MIN) plan->caps[k] = e->cap;
        if (!isnan(e->quota)) SV_TRY(quota_of(captions, e->quota, path, &plan->quotas[k], err));
    }
    return SV_OK;
}

sv_status sv_recipe_balance(const sv_captions_settings *captions, sv_balance_plan *out, sv_error *err) {
    const sv_balance_settings *s = &captions->balance;
    *out = (sv_balance_plan){0};
    if (!s->count) {
        if (s->cap == INT64_MIN && s->others == INT64_MIN) return SV_OK;
        sv_fail(err, SV_E_RECIPE, "captions.balance.concepts", "is missing: a cap needs concepts that it is of");
        return sv_hint(err, SV_E_RECIPE, "for example  balance: {cap: 1000, concepts: [{list: objects}]}");
    }
    SV_TRY(sv_concepts_open(&out->concepts, err));
    sv_status st = grow(out, s, err);
    for (size_t i = 0; st == SV_OK && i < s->count; i++) st = add_entry(captions, i, out, err);
    for (size_t k = 0; st == SV_OK && k < out->count; k++) out->limited |= out->caps[k] >= 0 || out->quotas[k] > 0;
    if (st != SV_OK) sv_balance_plan_free(out);
    return st;
}

sv_status sv_recipe_check_balance(const sv_captions_settings *captions, sv_error *err) {
    sv_balance_plan plan;
    SV_TRY(sv_recipe_balance(captions, &plan, err));
    sv_balance_plan_free(&plan);
    return SV_OK;
}
