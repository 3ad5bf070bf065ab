/* scheduler_config.c - reads scheduler_config.json as diffusers' Class.from_config does.
 *
 * One table holds every key of every class: its type, its place in sv_scheduler_config, what it may be. Each class lists the keys that its
 * constructor takes, with its own defaults (they differ: beta_start is 0.0001 here and 0.00085 there).
 */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/str.h"
#include "diffusion/scheduler.h"

typedef enum key_type { KEY_BOOL, KEY_INT, KEY_REAL, KEY_NAME, KEY_REALS, KEY_INTS } key_type;

typedef struct key_info {
    const char *name;
    key_type type;
    size_t offset;
    bool nullable;          /* null has a meaning of its own; for a bool it is false, as in Python */
    double min, max;        /* closed range; both 0: any */
    const char *names;      /* KEY_NAME: "a|b", in the order of the enum */
} key_info;

#define AT(field) offsetof(sv_scheduler_config, field)
#define BOOL(field) {#field, KEY_BOOL, AT(field), .nullable = true}
#define BOOL_NOT_NULL(field) {#field, KEY_BOOL, AT(field)}
#define INT(field, low, high) {#field, KEY_INT, AT(field), .min = low, .max = high}
#define REAL(field) {#field, KEY_REAL, AT(field)}
#define REAL_OR_NULL(field) {#field, KEY_REAL, AT(field), .nullable = true}
#define NAME(field, ...) {#field, KEY_NAME, AT(field), .names = __VA_ARGS__}

static const key_info KEYS[] = {
    INT(num_train_timesteps, 1, 100000),
    REAL(beta_start),
    REAL(beta_end),
    NAME(beta_schedule, "linear|scaled_linear|squaredcos_cap_v2|exp|sigmoid|laplace"),
    {"trained_betas", KEY_REALS, AT(trained_betas), .nullable = true},
    NAME(prediction_type, "epsilon|v_prediction|sample|original_sample|flow_prediction"),
    NAME(timestep_spacing, "leading|trailing|linspace"),
    INT(steps_offset, -1000000, 1000000),
    BOOL(rescale_betas_zero_snr),
    BOOL(set_alpha_to_one),
    BOOL(clip_sample),
    REAL(clip_sample_range),
    BOOL(thresholding),
    REAL(dynamic_thresholding_ratio),
    REAL(sample_max_value),
    {"variance_type", KEY_NAME, AT(variance_type), .nullable = true,
     .names = "fixed_small|fixed_small_log|fixed_large|fixed_large_log|learned|learned_range"},
    BOOL(skip_prk_steps),
    NAME(interpolation_type, "linear|log_linear"),
    BOOL_NOT_NULL(use_karras_sigmas),       /* diffusers adds up these three, and None cannot be added */
    BOOL_NOT_NULL(use_exponential_sigmas),
    BOOL_NOT_NULL(use_beta_sigmas),
    REAL_OR_NULL(sigma_min),
    REAL_OR_NULL(sigma_max),
    NAME(timestep_type, "discrete|continuous"),
    NAME(final_sigmas_type, "zero|sigma_min"),
    INT(solver_order, 1, 16),
    NAME(algorithm_type, "dpmsolver|dpmsolver++|sde-dpmsolver|sde-dpmsolver++|deis"),
    NAME(solver_type, "midpoint|heun|logrho|bh1|bh2"),
    BOOL(lower_order_final),
    BOOL(euler_at_final),
    BOOL(use_lu_lambdas),
    BOOL(use_flow_sigmas),
    REAL(flow_shift),
    REAL(lambda_min_clipped),
    BOOL(use_dynamic_shifting),
    NAME(time_shift_type, "exponential|linear"),
    BOOL(predict_x0),
    {"disable_corrector", KEY_INTS, AT(disable_corrector)},
    {"solver_p", KEY_NAME, AT(solver_p), .nullable = true, .names = ""},
    REAL_OR_NULL(shift_terminal),
    INT(original_inference_steps, 1, 100000),
    REAL(timestep_scaling),
    REAL(shift),
    REAL_OR_NULL(base_shift),
    REAL_OR_NULL(max_shift),
    INT(base_image_seq_len, 1, 1e9),
    INT(max_image_seq_len, 1, 1e9),
    BOOL(invert_sigmas),
    BOOL(stochastic_sampling),
};
#define KEY_COUNT (sizeof KEYS / sizeof *KEYS)

/* Keys of diffusers' other scheduler classes, and of files older than 2023: ignored, as diffusers ignores them. */
static const char *const HARMLESS[] = {"rho", "sigma_data", "sigma_schedule", "noise_sampler_seed",
                                       "tensor_format", "timestep_values", "quantization_config"};

/* diffusers keeps the keys of a file that its class does not know, and some are looked for all the same: the first two by every sigma schedule,
 * the others by the pipelines that compute mu. */
static const char *const HIDDEN[] = {"sigma_min", "sigma_max", "base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len"};
#define HIDDEN_COUNT (sizeof HIDDEN / sizeof *HIDDEN)

static const key_info *find_key(const char *name) {
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (!strcmp(KEYS[i].name, name)) return &KEYS[i];
    return NULL;
}

static const sv_scheduler_key *find_class_key(const sv_scheduler_kind *kind, const char *name) {
    for (const sv_scheduler_key *k = kind->keys; k->name; k++)
        if (!strcmp(k->name, name)) return k;
    return NULL;
}

/* ---- "a|b|c" ---- */

/* Position of a name in the list, -1 if it is not there. */
static int name_index(const char *names, const char *name, size_t size) {
    int index = 0;
    for (const char *at = names; *at; index++) {
        size_t length = strcspn(at, "|");
        if (length == size && !memcmp(at, name, size)) return index;
        at += length;
        if (*at == '|') at++;
    }
    return -1;
}

static const char *name_at(const char *names, int index, size_t *size) {
    while (index-- > 0) names += strcspn(names, "|") + 1;
    *size = strcspn(names, "|");
    return names;
}

sv_status sv_scheduler_allows(const sv_scheduler_kind *kind, const char *key, const sv_scheduler_config *c, sv_error *err) {
    const sv_scheduler_key *own = find_class_key(kind, key);
    if (!own || !own->allowed) return SV_OK;
    const key_info *k = find_key(key);
    size_t size;
    const char *name = name_at(k->names, *(const int *)((const char *)c + k->offset), &size);
    if (name_index(own->allowed, name, size) >= 0) return SV_OK;
    return sv_fail(err, SV_E_INPUT, "scheduler config", "%s: %s cannot be %.*s; it is one of %s", kind->info.name, key, (int)size, name, own->allowed);
}

/* ---- values ---- */

static sv_status wrong(sv_error *err, const sv_scheduler_kind *kind, const char *key, yyjson_val *value, const char *wanted) {
    char *text = yyjson_val_write(value, YYJSON_WRITE_ALLOW_INF_AND_NAN, NULL);
    sv_status st = sv_fail(err, SV_E_INPUT, "scheduler config", "%s: %s cannot be %.80s; %s", kind->info.name, key, text ? text : "this", wanted);
    free(text);
    return st;
}

static sv_status read_number(const key_info *k, const sv_scheduler_kind *kind, yyjson_val *value, double *out, sv_error *err) {
    if (yyjson_is_null(value) && k->nullable) {
        *out = NAN;
        return SV_OK;
    }
    bool may_be_infinite = k->offset == AT(lambda_min_clipped);
    if (may_be_infinite && yyjson_equals_str(value, "-Infinity")) *out = -INFINITY;   /* as sv_scheduler_json writes it */
    else if (yyjson_is_num(value)) *out = yyjson_get_num(value);
    else return wrong(err, kind, k->name, value, k->nullable ? "it is a number or null" : "it is a number");
    if (isnan(*out) || (isinf(*out) && !may_be_infinite)) return wrong(err, kind, k->name, value, "it must be finite");
    return SV_OK;
}

static sv_status read_list(const key_info *k, const sv_scheduler_kind *kind, yyjson_val *value, sv_scheduler_config *c, sv_error *err) {
    bool reals = k->type == KEY_REALS;
    const char *wanted = reals ? "it is null or a list of numbers" : "it is a list of whole numbers";
    if (yyjson_is_null(value) && k->nullable) return SV_OK;
    if (!yyjson_is_arr(value) || (reals && !yyjson_arr_size(value))) return wrong(err, kind, k->name, value, wanted);
    size_t n = yyjson_arr_size(value);
    if (n > 100000) return sv_fail(err, SV_E_INPUT, "scheduler config", "%s: %s has %zu values", kind->info.name, k->name, n);
    void *list = calloc(n + 1, 8);
    if (!list) return sv_fail_memory(err, "scheduler config", (n + 1) * 8);
    if (reals) {
        c->trained_betas = list;
        c->trained_count = n;
    } else {
        c->disable_corrector = list;
        c->disable_count = n;
    }
    size_t i, max;
    yyjson_val *v;
    yyjson_arr_foreach(value, i, max, v) {
        if (reals ? !yyjson_is_num(v) || !isfinite(yyjson_get_num(v)) : !yyjson_is_int(v)) return wrong(err, kind, k->name, v, wanted);
        if (reals) c->trained_betas[i] = yyjson_get_num(v);
        else c->disable_corrector[i] = yyjson_get_sint(v);
    }
    return SV_OK;
}

static sv_status read_value(const key_info *k, const sv_scheduler_kind *kind, yyjson_val *value, sv_scheduler_config *c, sv_error *err) {
    char *field = (char *)c + k->offset, wanted[256];
    switch (k->type) {
    case KEY_BOOL: {
        bool number = yyjson_is_int(value) && (yyjson_get_num(value) == 0 || yyjson_get_num(value) == 1);
        if (!yyjson_is_bool(value) && !number && !(yyjson_is_null(value) && k->nullable)) return wrong(err, kind, k->name, value, "it is true or false");
        *(bool *)field = yyjson_is_true(value) || (number && yyjson_get_num(value) == 1);
        return SV_OK;
    }
    case KEY_INT: {
        double v = yyjson_is_int(value) ? yyjson_get_num(value) : NAN;
        if (!(v >= k->min && v <= k->max)) {
            snprintf(wanted, sizeof wanted, "it is a whole number from %.0f to %.0f", k->min, k->max);
            return wrong(err, kind, k->name, value, wanted);
        }
        *(int64_t *)field = (int64_t)v;
        return SV_OK;
    }
    case KEY_REAL: return read_number(k, kind, value, (double *)field, err);
    case KEY_NAME: {
        if (yyjson_is_null(value) && k->nullable) {
            *(int *)field = -1;
            return SV_OK;
        }
        if (!*k->names) return wrong(err, kind, k->name, value, "only null is possible here");
        int index = yyjson_is_str(value) ? name_index(k->names, yyjson_get_str(value), yyjson_get_len(value)) : -1;
        if (index < 0) {
            snprintf(wanted, sizeof wanted, "it is one of %s%s", k->names, k->nullable ? " or null" : "");
            return wrong(err, kind, k->name, value, wanted);
        }
        *(int *)field = index;
        return SV_OK;
    }
    default: return read_list(k, kind, value, c, err);
    }
}

/* A default is JSON text, a name without its quotes. */
static sv_status read_fallback(const sv_scheduler_kind *kind, const sv_scheduler_key *own, const key_info *k, sv_scheduler_config *c, sv_error *err) {
    if (k->type == KEY_NAME && strcmp(own->fallback, "null") != 0) {
        *(int *)((char *)c + k->offset) = name_index(k->names, own->fallback, strlen(own->fallback));
        return SV_OK;
    }
    yyjson_doc *doc = yyjson_read(own->fallback, strlen(own->fallback), YYJSON_READ_ALLOW_INF_AND_NAN);
    if (!doc) return sv_fail(err, SV_E_INTERNAL, kind->info.name, "default of %s", own->name);
    sv_status st = read_value(k, kind, yyjson_doc_get_root(doc), c, err);
    yyjson_doc_free(doc);
    return st;
}

/* ---- objects ---- */

/* The last of equal keys, as Python reads them. */
static yyjson_val *last_of(yyjson_val *object, const char *name) {
    yyjson_val *found = NULL, *key, *value;
    size_t i, max;
    if (object) yyjson_obj_foreach(object, i, max, key, value) if (yyjson_equals_str(key, name)) found = value;
    return found;
}

/* Keys that were defaults when diffusers wrote the file: it leaves them to the class that reads it. */
static bool was_default(yyjson_val *config, const char *name) {
    yyjson_val *list = last_of(config, "_use_default_values"), *v;
    size_t i, max;
    yyjson_arr_foreach(list, i, max, v) if (yyjson_equals_str(v, name)) return true;
    return false;
}

static sv_status check_keys(const sv_scheduler_kind *kind, yyjson_val *object, sv_error *err) {
    yyjson_val *key, *value;
    size_t i, max;
    if (object) yyjson_obj_foreach(object, i, max, key, value) {
        const char *name = yyjson_get_str(key);
        if (name[0] == '_' || find_key(name)) continue;
        bool harmless = false;
        for (size_t k = 0; k < sizeof HARMLESS / sizeof *HARMLESS; k++) harmless |= !strcmp(name, HARMLESS[k]);
        if (harmless) continue;
        const char *names[KEY_COUNT], *near;
        for (size_t k = 0; k < KEY_COUNT; k++) names[k] = KEYS[k].name;
        sv_fail(err, SV_E_INPUT, "scheduler config", "unknown key \"%.80s\"", name);
        if ((near = sv_nearest(name, names, KEY_COUNT))) return sv_hint(err, SV_E_INPUT, "did you mean %s?", near);
        return sv_hint(err, SV_E_INPUT, "keys of other schedulers are ignored, but this one belongs to none; docs/SCHEDULERS.md lists those of %s",
                       kind->info.name);
    }
    return SV_OK;
}

static sv_status parse_object(const char *text, const char *what, yyjson_doc **out, sv_error *err) {
    yyjson_read_err fault;
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text, strlen(text), YYJSON_READ_ALLOW_INF_AND_NAN, NULL, &fault);
    if (!doc) return sv_fail(err, SV_E_INPUT, what, "not JSON: %s at byte %zu", fault.msg, fault.pos);
    if (!yyjson_is_obj(yyjson_doc_get_root(doc))) {
        yyjson_doc_free(doc);
        return sv_fail(err, SV_E_INPUT, what, "not a JSON object");
    }
    *out = doc;
    return SV_OK;
}

static sv_status find_kind(yyjson_val *name, const sv_scheduler_kind **kind, sv_error *err) {
    if (!name) {
        sv_fail(err, SV_E_INPUT, "scheduler config", "it names no class");
        return sv_hint(err, SV_E_INPUT, "add \"_class_name\", or name a scheduler");
    }
    if (!yyjson_is_str(name)) return sv_fail(err, SV_E_INPUT, "scheduler config", "_class_name is not a string");
    return sv_scheduler_find_kind(yyjson_get_str(name), kind, err);
}

/* ---- writing ---- */

static yyjson_mut_val *value_json(yyjson_mut_doc *doc, const key_info *k, const sv_scheduler_config *c) {
    const char *field = (const char *)c + k->offset;
    switch (k->type) {
    case KEY_BOOL: return yyjson_mut_bool(doc, *(const bool *)field);
    case KEY_INT: return yyjson_mut_sint(doc, *(const int64_t *)field);
    case KEY_REAL: {
        double v = *(const double *)field;
        if (isnan(v)) return yyjson_mut_null(doc);
        return isinf(v) ? yyjson_mut_str(doc, "-Infinity") : yyjson_mut_real(doc, v);   /* a string, to stay plain JSON */
    }
    case KEY_NAME: {
        if (*(const int *)field < 0) return yyjson_mut_null(doc);
        size_t size;
        const char *name = name_at(k->names, *(const int *)field, &size);
        return yyjson_mut_strn(doc, name, size);
    }
    case KEY_REALS: return c->trained_betas ? yyjson_mut_arr_with_double(doc, c->trained_betas, c->trained_count) : yyjson_mut_null(doc);
    default: return yyjson_mut_arr_with_sint64(doc, c->disable_corrector, c->disable_count);
    }
}

/* Whether a key that the class does not take makes a difference to it. */
static bool matters_hidden(const key_info *k, const sv_scheduler_config *c) {
    if (k->offset == AT(sigma_min)) return !isnan(c->sigma_min);
    if (k->offset == AT(sigma_max)) return !isnan(c->sigma_max);
    for (size_t i = 2; i < HIDDEN_COUNT; i++)
        if (!strcmp(k->name, HIDDEN[i])) return c->use_dynamic_shifting;
    return false;
}

static char *config_json(const sv_scheduler_kind *kind, const sv_scheduler_config *c) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    if (!doc) return NULL;
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    bool ok = yyjson_mut_obj_add_str(doc, root, "_class_name", kind->info.name);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (!find_class_key(kind, KEYS[i].name) && !matters_hidden(&KEYS[i], c)) continue;
        ok = ok && yyjson_mut_obj_add_val(doc, root, KEYS[i].name, value_json(doc, &KEYS[i], c));
    }
    char *text = ok ? yyjson_mut_write(doc, 0, NULL) : NULL;
    yyjson_mut_doc_free(doc);
    return text;
}

/* ---- the whole ---- */

void sv_scheduler_config_free(sv_scheduler_config *c) {
    free(c->trained_betas);
    free(c->disable_corrector);
    c->trained_betas = NULL;
    c->disable_corrector = NULL;
}

/* SV_AMEND_STABLE_DIFFUSION for one key of the class. */
static void amend_value(const char *name, sv_scheduler_config *c) {
    if (!strcmp(name, "steps_offset")) c->steps_offset = 1;
    if (!strcmp(name, "clip_sample")) c->clip_sample = false;
}

/* amend: SV_AMEND_STABLE_DIFFUSION; with `replaced` (there is an override) only values that the file states are amended, since defaults are
 * then those of the new scheduler. */
static sv_status fill(const sv_scheduler_kind *kind, yyjson_val *config, yyjson_val *laid_over, unsigned amend, bool replaced, sv_scheduler_config *c,
                      sv_error *err) {
    for (const sv_scheduler_key *own = kind->keys; own->name; own++) {
        const key_info *k = find_key(own->name);
        if (!k) return sv_fail(err, SV_E_INTERNAL, kind->info.name, "no such key: %s", own->name);
        yyjson_val *over = last_of(laid_over, own->name), *base = was_default(config, own->name) ? NULL : last_of(config, own->name);
        if (over) SV_TRY(read_value(k, kind, over, c, err));
        else if (base) SV_TRY(read_value(k, kind, base, c, err));
        else SV_TRY(read_fallback(kind, own, k, c, err));
        if (amend && !over && (base || !replaced)) amend_value(own->name, c);
    }
    for (size_t i = 0; i < HIDDEN_COUNT; i++) {
        yyjson_val *base = was_default(config, HIDDEN[i]) ? NULL : last_of(config, HIDDEN[i]);
        if (base && !find_class_key(kind, HIDDEN[i])) SV_TRY(read_value(find_key(HIDDEN[i]), kind, base, c, err));
    }
    return SV_OK;
}

sv_status sv_scheduler_config_read(const char *text, const char *override, unsigned amend, const sv_scheduler_kind **kind, sv_scheduler_config *c,
                                   char **json, sv_error *err) {
    yyjson_doc *config = NULL, *over = NULL;
    yyjson_val *base, *laid_over = NULL;
    const char *name = override;
    sv_status st;
    /* What holds for keys that the class does not have. */
    *c = (sv_scheduler_config){.sigma_min = NAN, .sigma_max = NAN, .shift_terminal = NAN, .base_shift = 0.5, .max_shift = 1.15, .base_image_seq_len = 256,
                               .max_image_seq_len = 4096};
    SV_TRY(parse_object(text, "scheduler config", &config, err));
    base = yyjson_doc_get_root(config);
    const char *start = override ? override + strspn(override, " \t\r\n") : "";
    if (*start == '{') {
        SV_TRY_GOTO(done, parse_object(override, "scheduler override", &over, err));
        laid_over = yyjson_doc_get_root(over);
    } else if (*start == '"' && (over = yyjson_read(start, strlen(start), 0))) {
        name = yyjson_get_str(yyjson_doc_get_root(over));      /* a recipe's settings are JSON, names too */
    }
    if (*start && !laid_over) SV_TRY_GOTO(done, sv_scheduler_find_kind(name, kind, err));
    else {
        yyjson_val *class_name = last_of(laid_over, "_class_name");
        SV_TRY_GOTO(done, find_kind(class_name ? class_name : last_of(base, "_class_name"), kind, err));
    }
    SV_TRY_GOTO(done, check_keys(*kind, base, err));
    SV_TRY_GOTO(done, check_keys(*kind, laid_over, err));
    SV_TRY_GOTO(done, fill(*kind, base, laid_over, amend, *start != 0, c, err));
    if ((*kind)->settle) SV_TRY_GOTO(done, (*kind)->settle(c, err));
    if (c->thresholding && !(c->dynamic_thresholding_ratio >= 0 && c->dynamic_thresholding_ratio <= 1)) {
        st = sv_fail(err, SV_E_INPUT, "scheduler config", "dynamic_thresholding_ratio %g is not within 0..1", c->dynamic_thresholding_ratio);
        goto done;
    }
    *json = config_json(*kind, c);
    if (!*json) st = sv_fail_memory(err, "scheduler config", 0);
done:
    yyjson_doc_free(config);
    yyjson_doc_free(over);
    if (st != SV_OK) sv_scheduler_config_free(c);
    return st;
}
