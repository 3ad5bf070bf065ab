/* recipe_select.c - the quotas of a selection: how many pairs of each source, or of each concept. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "recipe/recipe.h"

static const char *const dimensions[SV_QUOTA_DIMENSIONS] = {[SV_QUOTA_SOURCE] = "source", [SV_QUOTA_CONCEPT] = "concept"};

const char *sv_quota_dimension(int of) {
    return dimensions[of];
}

int64_t sv_quota_amount(const sv_quota_limit *limit, int64_t pairs, int64_t none) {
    if (!isnan(limit->share)) return (int64_t)(limit->share * (double)pairs);
    return limit->count >= 0 ? limit->count : none;
}

void sv_recipe_quotas_free(sv_quota_rules *q) {
    for (size_t i = 0; i < q->count; i++) free(q->rules[i].name);
    free(q->rules);
    *q = (sv_quota_rules){0};
}

/* 40% or 0.4: a share of the pairs; 500: so many pairs. */
static bool read_limit(yyjson_val *v, sv_quota_limit *out) {
    *out = (sv_quota_limit){NAN, -1};
    if (yyjson_is_int(v) && !(yyjson_is_sint(v) && yyjson_get_sint(v) < 0) && yyjson_get_uint(v) <= INT64_MAX) {
        out->count = yyjson_get_sint(v);
    } else if (yyjson_is_real(v)) {
        out->share = yyjson_get_real(v);
    } else if (yyjson_is_str(v)) {
        const char *text = yyjson_get_str(v);
        size_t n = strlen(text), digits = strspn(text, "0123456789.");
        char moved[32], *end;
        if (n < 2 || n > 20 || digits != n - 1 || text[n - 1] != '%') return false;
        snprintf(moved, sizeof moved, "%.*se-2", (int)digits, text);   /* as keep reads it: the point two places to the left */
        out->share = strtod(moved, &end);
        if (*end) return false;
    } else
        return false;
    return out->count >= 0 || (out->share >= 0 && out->share <= 1);
}

static sv_status read_rule(yyjson_val *v, sv_quota_rule *rule, const char *path, sv_error *err) {
    const char *allowed = "must be a share such as 40%, a number of pairs, or {min: …, max: …} of these";
    yyjson_val *key, *value;
    size_t i, n;
    rule->min = rule->max = (sv_quota_limit){NAN, -1};
    if (!yyjson_is_obj(v)) return read_limit(v, &rule->max) ? SV_OK : sv_fail(err, SV_E_RECIPE, path, "%s", allowed);
    yyjson_obj_foreach(v, i, n, key, value) {
        bool least = yyjson_equals_str(key, "min");
        if (!least && !yyjson_equals_str(key, "max"))
            return sv_fail(err, SV_E_RECIPE, path, "has the unknown key \"%.80s\"; known here: min, max", yyjson_get_str(key));
        if (!read_limit(value, least ? &rule->min : &rule->max)) return sv_fail(err, SV_E_RECIPE, path, "%s", allowed);
    }
    if (!n) return sv_fail(err, SV_E_RECIPE, path, "%s", allowed);
    bool counts = rule->min.count >= 0 && rule->max.count >= 0 && rule->min.count > rule->max.count;
    if (counts || rule->min.share > rule->max.share) return sv_fail(err, SV_E_RECIPE, path, "has a min above its max");
    return SV_OK;
}

static sv_status read_dimension(int of, yyjson_val *map, sv_quota_rules *out, sv_error *err) {
    char path[200];
    double least = 0;
    size_t i, n;
    yyjson_val *key, *value;
    snprintf(path, sizeof path, "select.quotas.%s", dimensions[of]);
    if (!yyjson_is_obj(map)) {
        sv_fail(err, SV_E_RECIPE, path, "must be a map of names and shares");
        return sv_hint(err, SV_E_RECIPE, "as in  quotas: {%s: {NAME: 40%%, OTHER: {min: 100}, \"*\": 10%%}}", dimensions[of]);
    }
    yyjson_obj_foreach(map, i, n, key, value) {
        sv_quota_rule *rule = &out->rules[out->count];
        const char *name = yyjson_get_str(key);
        *rule = (sv_quota_rule){.of = of, .name = sv_strdup(name)};
        if (!rule->name) return sv_fail_memory(err, path, 0);
        out->count++;
        snprintf(path, sizeof path, "select.quotas.%s.%.120s", dimensions[of], name);
        SV_TRY(read_rule(value, rule, path, err));
        if (strcmp(name, "*") == 0 && (rule->min.count >= 0 || !isnan(rule->min.share)))
            return sv_fail(err, SV_E_RECIPE, path, "stands for every other name, which can have a max only");
        if (!isnan(rule->min.share)) least += rule->min.share;
    }
    if (least > 1 + 1e-9) return sv_fail(err, SV_E_RECIPE, "select.quotas", "the least shares of %s add up to more than 100%%", dimensions[of]);
    return SV_OK;
}

sv_status sv_recipe_quotas(const char *json, sv_quota_rules *out, sv_error *err) {
    *out = (sv_quota_rules){0};
    if (!json) return SV_OK;
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *key, *value;
    size_t i, n, rules = 0;
    sv_status st = SV_OK;
    if (!yyjson_is_obj(root)) {
        sv_fail(err, SV_E_RECIPE, "select.quotas", "must be a map");
        st = sv_hint(err, SV_E_RECIPE, "as in  quotas: {source: {NAME: 40%%}}");
    }
    yyjson_obj_foreach(root, i, n, key, value) rules += yyjson_obj_size(value);
    out->rules = calloc(rules + 1, sizeof *out->rules);
    if (!out->rules && st == SV_OK) st = sv_fail_memory(err, "select.quotas", rules * sizeof *out->rules);
    yyjson_obj_foreach(root, i, n, key, value) {
        int of = 0;
        while (of < SV_QUOTA_DIMENSIONS && !yyjson_equals_str(key, dimensions[of])) of++;
        if (st != SV_OK) break;
        st = of < SV_QUOTA_DIMENSIONS ? read_dimension(of, value, out, err)
            : sv_fail(err, SV_E_RECIPE, "select.quotas", "\"%.80s\" is not known; known here: source, concept", yyjson_get_str(key));
    }
    yyjson_doc_free(doc);
    if (st != SV_OK) sv_recipe_quotas_free(out);
    return st;
}

sv_status sv_recipe_check_quotas(const sv_recipe *r, sv_error *err) {
    sv_quota_rules rules;
    bool shares = false;
    SV_TRY(sv_recipe_quotas(r->select.quotas, &rules, err));
    for (size_t i = 0; i < rules.count; i++) shares |= !isnan(rules.rules[i].min.share) || !isnan(rules.rules[i].max.share);
    sv_recipe_quotas_free(&rules);
    if (!shares || !isnan(r->select.keep) || r->select.count != INT64_MIN) return SV_OK;
    sv_fail(err, SV_E_RECIPE, "select.quotas", "has shares, but neither keep nor count says of how many pairs");
    return sv_hint(err, SV_E_RECIPE, "set select.keep or select.count, or give numbers of pairs instead of shares");
}
