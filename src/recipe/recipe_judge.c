/* recipe_judge.c - the judge of captions inside a recipe: what must fit together, and its prompt. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "recipe/recipe.h"
#include "remote/http.h"
#include "remote/judge.h"

#define MOST_PROMPT ((size_t)64 << 10)

/* "captions.judge" or "score.judge_image", and one of its keys. */
static const char *key_of(const char *section, const char *name, char buf[64]) {
    snprintf(buf, 64, "%s.%s", section, name);
    return buf;
}

double sv_recipe_judge_min(const sv_judge_recipe *judge) {
    if (!isnan(judge->min)) return judge->min;
    return judge->grade == SV_GRADE_SCORE ? 3 : 0.5;
}

sv_status sv_recipe_judge_prompt(const sv_judge_recipe *judge, const char *section, char **text, sv_error *err) {
    char key[64];
    size_t size;
    key_of(section, "prompt", key);
    sv_error cause = {0};
    *text = NULL;
    if (!judge->prompt) return SV_OK;
    sv_status st = sv_file_read(judge->prompt, MOST_PROMPT, text, &size, &cause);
    if (st == SV_E_MEMORY) return sv_fail_memory(err, key, 0);
    if (st != SV_OK) return sv_fail(err, SV_E_RECIPE, key, "%.300s: %.600s", cause.what, cause.why);
    if (sv_judge_check_prompt(*text, size, key, &cause) == SV_OK) return SV_OK;
    free(*text);
    *text = NULL;
    sv_fail(err, SV_E_RECIPE, key, "%s", cause.why);
    return cause.hint[0] ? sv_hint(err, SV_E_RECIPE, "%s", cause.hint) : SV_E_RECIPE;
}

/* The name of a variable, and never a key by mistake: that would be copied into every run directory. What it holds is not repeated. */
static bool is_variable(const char *s) {
    if (!*s || (*s >= '0' && *s <= '9')) return false;
    for (; *s; s++)
        if (!(*s == '_' || (*s >= '0' && *s <= '9') || (*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z'))) return false;
    return true;
}

sv_status sv_recipe_check_judge(const sv_judge_recipe *j, const char *section, sv_error *err) {
    char key[64];
    if (!j->url) {
        if (!j->model && !j->prompt && !j->api_key_env) return SV_OK;
        sv_fail(err, SV_E_RECIPE, key_of(section, "url", key), "is missing, but the judge has other settings");
        return sv_hint(err, SV_E_RECIPE, "for example  url: \"http://127.0.0.1:8080/v1\"; %s: null turns the judge off", strchr(section, '.') + 1);
    }
    sv_error cause = {0};
    if (sv_http_check_url(j->url, key_of(section, "url", key), &cause) != SV_OK) {
        sv_fail(err, SV_E_RECIPE, cause.what, "%s", cause.why);
        return sv_hint(err, SV_E_RECIPE, "%s", cause.hint);
    }
    if (!j->model || !*j->model) return sv_fail(err, SV_E_RECIPE, key_of(section, "model", key), "is missing: the name of the model on that server");
    if (j->api_key_env && !is_variable(j->api_key_env)) {
        sv_fail(err, SV_E_RECIPE, key_of(section, "api_key_env", key), "is not the name of an environment variable");
        return sv_hint(err, SV_E_RECIPE, "not the key itself: the name of the variable that holds it, as in  api_key_env: JUDGE_KEY");
    }
    if (j->grade == SV_GRADE_YES_NO && j->min > 1) return sv_fail(err, SV_E_RECIPE, key_of(section, "min", key), "must be a number from 0 to 1 for grade yes_no");
    if (j->grade == SV_GRADE_SCORE && j->min < 1) return sv_fail(err, SV_E_RECIPE, key_of(section, "min", key), "must be a number from 1 to 5 for grade score");
    char *prompt;
    SV_TRY(sv_recipe_judge_prompt(j, section, &prompt, err));
    free(prompt);
    return SV_OK;
}
