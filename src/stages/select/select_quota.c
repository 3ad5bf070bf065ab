/* select_quota.c - how many pairs of each source or concept a selection may and should have.
 *
 * A rule is for one name of a dimension (source, concept); "*" makes one rule for each name that has none. A caption has one source and any number of
 * concepts. A competitor is refused when a rule of it is full, or when taking it would leave too few places for what other rules still lack.
 */
#include "stages/select/select_quota.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A rule in force for a name. */
typedef struct rule {
    int of;
    char *name;
    const sv_quota_rule *says;
    int64_t min, max, supply, taken;
} rule;

struct sv_quotas {
    sv_quota_rules rules;
    rule *list;
    size_t count, capacity;
    uint32_t *rule_of[SV_QUOTA_DIMENSIONS];   /* by id of an origin or concept: 1 + index into list; 0: no rule */
    size_t ids[SV_QUOTA_DIMENSIONS];
    uint32_t *begin;                          /* [captions + 2]: a caption's rules are of[begin[number] .. begin[number + 1]) */
    uint32_t *of;
    size_t of_count, of_capacity;
    int64_t captions;
    int64_t target, picked;
    int64_t lacking[SV_QUOTA_DIMENSIONS];     /* sum over rules of what they lack to their min */
};

void sv_quotas_close(sv_quotas **quotas) {
    sv_quotas *q = *quotas;
    if (!q) return;
    for (size_t i = 0; i < q->count; i++) free(q->list[i].name);
    for (int d = 0; d < SV_QUOTA_DIMENSIONS; d++) free(q->rule_of[d]);
    sv_recipe_quotas_free(&q->rules);
    free(q->list);
    free(q->begin);
    free(q->of);
    free(q);
    *quotas = NULL;
}

static const sv_quota_rule *find_rule(const sv_quotas *q, int of, const char *name) {
    const sv_quota_rule *any = NULL;
    for (size_t i = 0; i < q->rules.count; i++) {
        const sv_quota_rule *r = &q->rules.rules[i];
        if (r->of != of) continue;
        if (strcmp(r->name, name) == 0) return r;
        if (strcmp(r->name, "*") == 0) any = r;
    }
    return any;
}

static bool grow(void **items, size_t *capacity, size_t count, size_t size) {
    if (count < *capacity) return true;
    size_t more = *capacity ? *capacity * 2 : 64;
    void *grown = realloc(*items, more * size);
    if (!grown) return false;
    *items = grown;
    *capacity = more;
    return true;
}

/* Gives a name its rule, if there is one for it. */
static sv_status meet_name(sv_quotas *q, int of, int64_t id, const char *name, sv_error *err) {
    const sv_quota_rule *says = find_rule(q, of, name);
    if ((size_t)id >= q->ids[of]) {
        size_t ids = (size_t)id + 1 + q->ids[of];
        uint32_t *grown = realloc(q->rule_of[of], ids * sizeof *grown);
        if (!grown) return sv_fail_memory(err, "select.quotas", ids * sizeof *grown);
        memset(grown + q->ids[of], 0, (ids - q->ids[of]) * sizeof *grown);
        q->rule_of[of] = grown;
        q->ids[of] = ids;
    }
    if (!says) return SV_OK;
    for (size_t i = 0; of == SV_QUOTA_SOURCE && i < q->count; i++)       /* one source under two licences is one source */
        if (q->list[i].of == of && strcmp(q->list[i].name, name) == 0) {
            q->rule_of[of][id] = (uint32_t)i + 1;
            return SV_OK;
        }
    if (!grow((void **)&q->list, &q->capacity, q->count, sizeof *q->list)) return sv_fail_memory(err, "select.quotas", 0);
    q->list[q->count] = (rule){.of = of, .says = says, .name = sv_strdup(name)};
    if (!q->list[q->count].name) return sv_fail_memory(err, "select.quotas", 0);
    q->rule_of[of][id] = (uint32_t)++q->count;
    return SV_OK;
}

static sv_status meet_origin(void *user, int64_t origin, const char *name, sv_error *err) {
    return meet_name(user, SV_QUOTA_SOURCE, origin, name, err);
}

static sv_status meet_concept(void *user, int64_t concept, const char *name, int64_t captions, sv_error *err) {
    return concept ? meet_name(user, SV_QUOTA_CONCEPT, concept, name, err) : SV_OK;
}

/* A name in the recipe that no caption has is a slip of the pen more often than not. */
static sv_status check_names(const sv_quotas *q, sv_error *err) {
    for (size_t i = 0; i < q->rules.count; i++) {
        const sv_quota_rule *r = &q->rules.rules[i];
        bool found = strcmp(r->name, "*") == 0;
        for (size_t j = 0; j < q->count && !found; j++) found = q->list[j].says == r;
        if (found) continue;
        const char *kind = sv_quota_dimension(r->of);
        sv_fail(err, SV_E_INPUT, "select.quotas", "no caption has the %s \"%.80s\"", kind, r->name);
        return sv_hint(err, SV_E_INPUT, r->of == SV_QUOTA_SOURCE ? "it is what captions.sources[].source says, or each row; captions that do not say it are from"
                       " their file, by its name without folders" : "what captions have: SELECT name FROM concepts; captions.balance names concepts");
    }
    return SV_OK;
}

/* ---- which rules are a caption's ---- */

/* Rows come in the order of numbers. */
static sv_status add_rule_of(sv_quotas *q, int64_t number, int of, int64_t id, sv_error *err) {
    uint32_t at = (size_t)id < q->ids[of] ? q->rule_of[of][id] : 0;
    if (!at || number > q->captions) return SV_OK;
    if (!grow((void **)&q->of, &q->of_capacity, q->of_count, sizeof *q->of)) return sv_fail_memory(err, "select.quotas", 0);
    q->of[q->of_count++] = at - 1;
    q->begin[number + 1]++;      /* for now the length; summed up below */
    return SV_OK;
}

static sv_status origin_of(void *user, int64_t number, int64_t origin, sv_error *err) {
    return add_rule_of(user, number, SV_QUOTA_SOURCE, origin, err);
}

static sv_status concept_of(void *user, int64_t number, int64_t concept, sv_error *err) {
    return add_rule_of(user, number, SV_QUOTA_CONCEPT, concept, err);
}

static void sum_up(sv_quotas *q) {
    for (int64_t n = 1; n <= q->captions + 1; n++) q->begin[n] += q->begin[n - 1];
}

/* Both dimensions in one list by caption: the first is spread to make room for the second. */
static sv_status read_captions(sv_quotas *q, sv_ledger *l, int64_t concepts, sv_error *err) {
    size_t bytes = ((size_t)q->captions + 2) * sizeof *q->begin;
    q->begin = calloc(1, bytes);
    if (!q->begin) return sv_fail_memory(err, "select.quotas", bytes);
    if (q->ids[SV_QUOTA_SOURCE]) SV_TRY(sv_ledger_each_caption_origin(l, origin_of, q, err));
    sum_up(q);
    if (!concepts) return SV_OK;
    sv_quotas first = {.begin = q->begin, .of = q->of};
    q->of = NULL;
    q->of_count = q->of_capacity = 0;
    q->begin = calloc(1, bytes);
    sv_status st = q->begin ? sv_ledger_each_caption_concept(l, concepts, 0, q->captions, concept_of, q, err) : sv_fail_memory(err, "select.quotas", bytes);
    if (st == SV_OK) sum_up(q);
    uint32_t *both = NULL, *begin = NULL;
    size_t total = st == SV_OK ? first.begin[q->captions + 1] + q->of_count : 0;
    if (st == SV_OK && (!(both = malloc((total + 1) * sizeof *both)) || !(begin = calloc(1, bytes)))) st = sv_fail_memory(err, "select.quotas", total * sizeof *both);
    for (int64_t n = 0, at = 0; st == SV_OK && n <= q->captions; n++) {
        for (uint32_t i = first.begin[n]; i < first.begin[n + 1]; i++) both[at++] = first.of[i];
        for (uint32_t i = q->begin[n]; i < q->begin[n + 1]; i++) both[at++] = q->of[i];
        begin[n + 1] = (uint32_t)at;
    }
    free(first.begin);
    free(first.of);
    if (st != SV_OK) {
        free(both);
        return st;
    }
    free(q->begin);
    free(q->of);
    q->begin = begin;
    q->of = both;
    q->of_count = total;
    return SV_OK;
}

sv_status sv_quotas_open(sv_quotas **out, const char *json, sv_ledger *l, sv_error *err) {
    *out = NULL;
    if (!json) return SV_OK;
    sv_quotas *q = calloc(1, sizeof *q);
    if (!q) return sv_fail_memory(err, "select.quotas", sizeof *q);
    bool by[SV_QUOTA_DIMENSIONS] = {false};
    sv_setup concepts = {0};
    sv_status st = sv_recipe_quotas(json, &q->rules, err);
    for (size_t i = 0; st == SV_OK && i < q->rules.count; i++) by[q->rules.rules[i].of] = true;
    if (st == SV_OK) st = sv_ledger_caption_count(l, &q->captions, err);
    if (st == SV_OK && by[SV_QUOTA_SOURCE]) st = sv_ledger_each_origin(l, meet_origin, q, err);
    if (st == SV_OK && by[SV_QUOTA_CONCEPT]) {
        st = sv_ledger_current(l, SV_STAGE_CONCEPTS, "", &concepts, err);
        if (st == SV_OK && !concepts.id) {
            sv_fail(err, SV_E_INPUT, "select.quotas.concept", "the captions have no concepts");
            st = sv_hint(err, SV_E_INPUT, "name them in captions.balance, then synthvlm curate");
        }
        if (st == SV_OK) st = sv_ledger_each_concept(l, concepts.id, meet_concept, q, err);
    }
    if (st == SV_OK) st = check_names(q, err);
    if (st == SV_OK && q->captions >= UINT32_MAX - 2) st = sv_fail(err, SV_E_INPUT, "select.quotas", "there are too many captions for quotas");
    if (st == SV_OK) st = read_captions(q, l, concepts.id, err);
    if (st != SV_OK) {
        sv_quotas_close(&q);
        return st;
    }
    *out = q;
    return SV_OK;
}

/* ---- picking ---- */

bool sv_quotas_need_supply(const sv_quotas *q) {
    for (size_t i = 0; i < q->rules.count; i++)
        if (q->rules.rules[i].min.count > 0 || q->rules.rules[i].min.share > 0) return true;
    return false;
}

void sv_quotas_supply(sv_quotas *q, int64_t number) {
    for (uint32_t i = q->begin[number]; i < q->begin[number + 1]; i++) q->list[q->of[i]].supply++;
}

sv_status sv_quotas_start(sv_quotas *q, int64_t target, sv_error *err) {
    q->target = target;
    for (size_t i = 0; i < q->count; i++) {
        rule *r = &q->list[i];
        r->max = sv_quota_amount(&r->says->max, target, INT64_MAX);
        r->min = sv_quota_amount(&r->says->min, target, 0);
        if (r->min > r->supply) r->min = r->supply;
        if (r->min > r->max) r->min = r->max;
        q->lacking[r->of] += r->min;
    }
    for (int d = 0; d < SV_QUOTA_DIMENSIONS; d++)
        if (q->lacking[d] > target) {
            sv_fail(err, SV_E_INPUT, "select.quotas", "the least numbers of %s add up to %lld of the %lld pairs asked for", sv_quota_dimension(d),
                    (long long)q->lacking[d], (long long)target);
            return sv_hint(err, SV_E_INPUT, "lower the min of some, or ask for more pairs");
        }
    return SV_OK;
}

sv_quota_answer sv_quotas_ask(const sv_quotas *q, int64_t number) {
    int64_t helps[SV_QUOTA_DIMENSIONS] = {0};
    for (uint32_t i = q->begin[number]; i < q->begin[number + 1]; i++) {
        const rule *r = &q->list[q->of[i]];
        if (r->taken >= r->max) return SV_QUOTA_FULL;
        helps[r->of] += r->taken < r->min;
    }
    for (int d = 0; d < SV_QUOTA_DIMENSIONS; d++)
        if (q->lacking[d] - helps[d] > q->target - q->picked - 1) return SV_QUOTA_RESERVED;
    return SV_QUOTA_FREE;
}

void sv_quotas_take(sv_quotas *q, int64_t number) {
    for (uint32_t i = q->begin[number]; i < q->begin[number + 1]; i++) {
        rule *r = &q->list[q->of[i]];
        q->lacking[r->of] -= r->taken < r->min;
        r->taken++;
    }
    q->picked++;
}

bool sv_quotas_describe(const sv_quotas *q, yyjson_mut_doc *doc, yyjson_mut_val *list) {
    bool ok = true;
    for (size_t i = 0; ok && i < q->count; i++) {
        const rule *r = &q->list[i];
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
        ok = o && yyjson_mut_obj_add_str(doc, o, "of", sv_quota_dimension(r->of)) && yyjson_mut_obj_add_strcpy(doc, o, "name", r->name);
        if (ok && r->min > 0) ok = yyjson_mut_obj_add_sint(doc, o, "min", r->min);
        if (ok && r->max < INT64_MAX) ok = yyjson_mut_obj_add_sint(doc, o, "max", r->max);
        if (ok) ok = yyjson_mut_obj_add_sint(doc, o, "picked", r->taken);
    }
    return ok;
}
