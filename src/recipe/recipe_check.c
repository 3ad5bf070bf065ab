/* recipe_check.c - what takes more than one key, or another part's table, to check. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "recipe/recipe.h"
#include "synthvlm/diffusion.h"
#include "synthvlm/score.h"

static sv_status check_name(const sv_recipe *r, sv_error *err) {
    size_t n = strlen(r->name);
    bool good = n > 0 && n <= 100 && r->name[0] != '.';
    for (size_t i = 0; i < n; i++) good = good && r->name[i] != '/' && r->name[i] != '\\' && (unsigned char)r->name[i] >= 0x20 && r->name[i] != 0x7F;
    if (good) return SV_OK;
    return sv_fail(err, SV_E_RECIPE, "name", "must be 1 to 100 bytes of one line, without / and \\, not beginning with a dot");
}

bool sv_recipe_guidance_interval(const sv_generate_settings *s, double *from, double *until) {
    yyjson_doc *doc = s->guidance_interval ? yyjson_read(s->guidance_interval, strlen(s->guidance_interval), 0) : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc), *a = yyjson_arr_get(root, 0), *b = yyjson_arr_get(root, 1);
    bool good = !root || yyjson_is_null(root) || (yyjson_arr_size(root) == 2 && yyjson_is_num(a) && yyjson_is_num(b));
    *from = 0;
    *until = 1;
    if (good && yyjson_arr_size(root) == 2) {
        *from = yyjson_get_num(a);
        *until = yyjson_get_num(b);
    }
    yyjson_doc_free(doc);
    return good && *from >= 0 && *from < *until && *until <= 1;
}

static bool is_name_list(const char *json) {
    yyjson_doc *doc = json ? yyjson_read(json, strlen(json), 0) : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc), *name;
    size_t i, n;
    bool good = !json || yyjson_is_null(root) || (yyjson_is_str(root) && yyjson_get_len(root)) || (yyjson_is_arr(root) && yyjson_arr_size(root));
    yyjson_arr_foreach(root, i, n, name) good = good && yyjson_is_str(name) && yyjson_get_len(name);
    yyjson_doc_free(doc);
    return good;
}

static sv_status check_decontaminate(const sv_decontaminate_settings *d, sv_error *err) {
    char path[80];
    for (size_t i = 0; i < d->count; i++) {
        snprintf(path, sizeof path, "captions.decontaminate.against[%zu].path", i);
        if (!*d->against[i].path) return sv_fail(err, SV_E_RECIPE, path, "must not be empty");
        snprintf(path, sizeof path, "captions.decontaminate.against[%zu].fields", i);
        if (!is_name_list(d->against[i].fields))
            return sv_hint(err, sv_fail(err, SV_E_RECIPE, path, "must be the name of a field or a list of names"), "write fields: [question, answer]");
    }
    return SV_OK;
}

static sv_status check_sources(const sv_recipe *r, sv_error *err) {
    size_t streams = 0;
    char path[64];
    for (size_t i = 0; i < r->captions.source_count; i++) {
        const sv_source_settings *s = &r->captions.sources[i];
        bool is_stream = strcmp(s->path, "-") == 0;
        snprintf(path, sizeof path, "captions.sources[%zu].path", i);
        if (!*s->path) return sv_fail(err, SV_E_RECIPE, path, "must not be empty");
        if (s->image && !s->images && is_stream) {
            snprintf(path, sizeof path, "captions.sources[%zu].images", i);
            return sv_hint(err, sv_fail(err, SV_E_RECIPE, path, "is missing: standard input has no folder of its own"), "name the folder that pictures lie in");
        }
        if (is_stream && ++streams > 1) return sv_fail(err, SV_E_RECIPE, path, "standard input can be read only once");
    }
    return SV_OK;
}

/* Path of the operator's parameter whose value is the start of `file`: errors about a file name only the file. False if there is none. */
static bool parameter_of_file(const char *process, const char *file, char *path, size_t size) {
    yyjson_doc *doc = yyjson_read(process, strlen(process), 0);
    size_t i, n, k, m;
    yyjson_val *entry, *key, *value;
    bool found = false;
    yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, entry) {
        if (!yyjson_is_obj(entry) || yyjson_obj_size(entry) != 1) continue;
        yyjson_val *op = yyjson_obj_iter_get_val(unsafe_yyjson_get_first(entry));
        yyjson_obj_foreach(op, k, m, key, value) {
            if (found || !yyjson_is_str(value) || !*yyjson_get_str(value) || !sv_str_starts(file, yyjson_get_str(value))) continue;
            snprintf(path, size, "captions.process[%zu].%s.%s", i, yyjson_get_str(unsafe_yyjson_get_first(entry)), yyjson_get_str(key));
            found = true;
        }
    }
    yyjson_doc_free(doc);
    return found;
}

/* sv_process_open names "process[3].alphanumeric_filter.min_ratio"; here that becomes a path of the recipe. */
static sv_status check_process(const sv_recipe *r, sv_error *err) {
    sv_process *p = NULL;
    sv_status st = sv_process_open(&p, r->captions.process, (sv_view)r->captions.view, NULL, err);
    sv_process_close(&p);
    if (st == SV_OK || st == SV_E_MEMORY || !err) return st;
    sv_error cause = *err;
    char path[256] = "captions.process";
    const char *bracket = strchr(cause.what, '[');
    if (sv_str_starts(cause.what, "process") && bracket) {
        snprintf(path, sizeof path, "captions.process%.200s", bracket);
        sv_fail(err, SV_E_RECIPE, path, "%s", cause.why);
    } else if (sv_str_eq(cause.what, "process")) {
        sv_fail(err, SV_E_RECIPE, path, "%s", cause.why);
    } else {
        parameter_of_file(r->captions.process, cause.what, path, sizeof path);
        sv_fail(err, SV_E_RECIPE, path, "%.300s: %.600s", cause.what, cause.why);
    }
    return cause.hint[0] ? sv_hint(err, SV_E_RECIPE, "%s", cause.hint) : SV_E_RECIPE;
}

static sv_status no_such(const char *path, const char *what, const char *name, const char *const *names, size_t n, sv_error *err) {
    sv_buf all = {0};
    const char *nearest = sv_nearest(name, names, n);
    for (size_t i = 0; i < n; i++) sv_buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
    sv_fail(err, SV_E_RECIPE, path, "there is no %s \"%.80s\"", what, name);
    if (nearest) sv_hint(err, SV_E_RECIPE, "did you mean \"%s\"? Known: %s", nearest, all.data ? all.data : "");
    else sv_hint(err, SV_E_RECIPE, "known: %s", all.data ? all.data : "none");
    sv_buf_free(&all);
    return SV_E_RECIPE;
}

static sv_status check_scheduler_name(const char *path, const char *name, sv_error *err) {
    if (sv_scheduler_find(name)) return SV_OK;
    const char *names[64];
    size_t n = 0;
    for (size_t i = 0; i < sv_scheduler_count() && n < 64; i++) names[n++] = sv_scheduler_at(i)->name;
    return no_such(path, "scheduler", name, names, n, err);
}

/* The keys of a scheduler object are checked against the model's config when the model is opened; here only the class. */
static sv_status check_scheduler(const char *json, sv_error *err) {
    if (!json) return SV_OK;
    yyjson_doc *doc = yyjson_read(json, strlen(json), YYJSON_READ_ALLOW_INF_AND_NAN);
    if (!doc) return sv_fail_memory(err, "generate.scheduler", 0);
    yyjson_val *v = yyjson_doc_get_root(doc), *name = yyjson_obj_get(v, "_class_name");
    sv_status st = SV_OK;
    if (yyjson_is_str(v)) {
        st = check_scheduler_name("generate.scheduler", yyjson_get_str(v), err);
    } else if (!yyjson_is_obj(v)) {
        st = sv_fail(err, SV_E_RECIPE, "generate.scheduler", "must be a class name, a map of config keys, or null");
    } else if (name) {
        if (yyjson_is_str(name)) st = check_scheduler_name("generate.scheduler._class_name", yyjson_get_str(name), err);
        else st = sv_fail(err, SV_E_RECIPE, "generate.scheduler._class_name", "must be a class name");
    }
    yyjson_doc_free(doc);
    return st;
}

static sv_status check_candidates(const sv_candidates_settings *c, bool adaptive, sv_error *err) {
    int64_t min = c->min == INT64_MIN ? 1 : c->min;
    if (min > c->max) return sv_fail(err, SV_E_RECIPE, "generate.candidates.min", "must not be above max, which is %lld", (long long)c->max);
    if (!adaptive) {
        const char *of_rounds = c->min != INT64_MIN ? "min" : c->step != 1 ? "step" : !isnan(c->budget) ? "budget" : c->drop_after != INT64_MIN ? "drop_after" : NULL;
        if (!of_rounds) return SV_OK;
        char path[64];
        snprintf(path, sizeof path, "generate.candidates.%s", of_rounds);
        sv_fail(err, SV_E_RECIPE, path, "means nothing without stop_at or drop_below");
        return sv_hint(err, SV_E_RECIPE, "stop_at is the weighted score at which a caption needs no more images; or write  candidates: %lld", (long long)c->max);
    }
    if (c->budget < (double)min || c->budget > (double)c->max)
        return sv_fail(err, SV_E_RECIPE, "generate.candidates.budget", "must lie between min and max, %lld and %lld", (long long)min, (long long)c->max);
    if (c->drop_after != INT64_MIN && isnan(c->drop_below))
        return sv_fail(err, SV_E_RECIPE, "generate.candidates.drop_after", "means nothing without drop_below");
    if (c->drop_after != INT64_MIN && c->drop_after > c->max)
        return sv_fail(err, SV_E_RECIPE, "generate.candidates.drop_after", "must not be above max, which is %lld", (long long)c->max);
    if (!isnan(c->stop_at) && !isnan(c->drop_below) && c->drop_below >= c->stop_at)
        return sv_fail(err, SV_E_RECIPE, "generate.candidates.drop_below", "must be below stop_at, which is %g", c->stop_at);
    return SV_OK;
}

/* Rounds and pruning compare weighted scores, so something must have a weight. */
static sv_status check_weights(const sv_recipe *r, const char *path, sv_error *err) {
    bool any = false;
    for (int t = 0; t < SV_TERMS; t++) any |= r->score.weights.of[t] != 0 && (t != SV_TERM_CLIP || r->score.clip.model);
    if (r->score.weights.clip != 0 && !r->score.clip.model) {
        sv_fail(err, SV_E_RECIPE, "score.clip.model", "is missing, but %s goes by the weighted score", path);
        return sv_hint(err, SV_E_RECIPE, "set score.clip.model to a CLIP directory, or do without CLIPScore: score: {weights: {clip: 0}}");
    }
    return any ? SV_OK : sv_fail(err, SV_E_RECIPE, path, "goes by the weighted score, and every weight is 0");
}

static sv_status check_amounts(const sv_recipe *r, sv_error *err) {
    double checks[SV_MOST_CHECKS];
    int n = sv_recipe_checks(&r->generate.prune, checks);
    SV_TRY(check_candidates(&r->generate.candidates, sv_recipe_adaptive(r), err));
    if (n < 0) {
        sv_fail(err, SV_E_RECIPE, "generate.prune.at", "must be a share of the steps between 0 and 1, or a rising list of up to %d", (int)SV_MOST_CHECKS);
        return sv_hint(err, SV_E_RECIPE, "for example  prune: {at: [0.3, 0.6], keep: 0.5}");
    }
    for (int i = 0; i < n; i++) {
        long at = lround(checks[i] * (double)r->generate.steps);
        if (at >= 1 && at < r->generate.steps) continue;
        return sv_fail(err, SV_E_RECIPE, "generate.prune.at", "%g of %lld steps is %s", checks[i], (long long)r->generate.steps,
                       at < 1 ? "before the first one" : "after the last one: nothing would be saved");
    }
    if (n) SV_TRY(check_weights(r, "generate.prune", err));
    return sv_recipe_adaptive(r) ? check_weights(r, "generate.candidates", err) : SV_OK;
}

static sv_status check_provider(const sv_provider_settings *p, sv_error *err) {
    static const char options[] = "generate.engine.provider.options";
    if (!*p->name) return sv_fail(err, SV_E_RECIPE, "generate.engine.provider", "must not be empty");
    if (strchr(p->name, '=')) {
        sv_fail(err, SV_E_RECIPE, "generate.engine.provider", "is a name; a plugin's library is a key of its own");
        return sv_hint(err, SV_E_RECIPE, "provider: {name: %.*s, library: FILE}", (int)strcspn(p->name, "="), p->name);
    }
    if (!p->options) return SV_OK;
    yyjson_doc *doc = yyjson_read(p->options, strlen(p->options), YYJSON_READ_ALLOW_INF_AND_NAN);
    yyjson_val *root = yyjson_doc_get_root(doc), *key, *value;
    size_t i, n;
    sv_status st = yyjson_is_obj(root) ? SV_OK : sv_fail(err, SV_E_RECIPE, options, "must be a map of the provider's options");
    yyjson_obj_foreach(root, i, n, key, value) {
        if (st != SV_OK || !(yyjson_is_ctn(value) || yyjson_is_null(value))) continue;
        st = sv_fail(err, SV_E_RECIPE, options, "%.60s must be a text, a number, true or false", yyjson_get_str(key));
    }
    yyjson_doc_free(doc);
    return st;
}

static sv_status check_refiner(const sv_refiner_settings *s, sv_error *err) {
    return s->model && !*s->model ? sv_fail(err, SV_E_RECIPE, "generate.refiner.model", "must not be empty") : SV_OK;
}

/* What only a model that draws can do. */
static sv_status check_own_pictures(const sv_recipe *r, sv_error *err) {
    const sv_generate_settings *g = &r->generate;
    bool any = false;
    for (size_t i = 0; i < r->captions.source_count; i++) any |= r->captions.sources[i].image || r->captions.sources[i].images;
    if (!any)
        return sv_hint(err, sv_fail(err, SV_E_RECIPE, "generate.source", "is captions, but no source comes with pictures"), "give a source `image` or `images`");
    if (sv_recipe_adaptive(r)) return sv_fail(err, SV_E_RECIPE, "generate.candidates", "has nothing to adapt: with source captions every caption has one picture");
    if (g->prune.at) return sv_fail(err, SV_E_RECIPE, "generate.prune", "is for pictures that are drawn, and source is captions");
    if (r->score.gates.safety == SV_SAFETY_ALWAYS) return sv_fail(err, SV_E_RECIPE, "score.gates.safety", "is the word of a model that draws, and source is captions");
    return check_provider(&g->engine.provider, err);
}

static sv_status check_generate(const sv_recipe *r, sv_error *err) {
    const sv_generate_settings *g = &r->generate;
    if (g->source == SV_SOURCE_CAPTIONS) return check_own_pictures(r, err);
    if (g->model && !*g->model) return sv_fail(err, SV_E_RECIPE, "generate.model", "must not be empty");
    double from, until;
    if (!sv_recipe_guidance_interval(g, &from, &until))
        return sv_hint(err, sv_fail(err, SV_E_RECIPE, "generate.guidance_interval", "must be two shares of the steps in 0..1, the smaller one first"),
                       "as in [0.2, 0.8]");
    if (!strstr(g->prompt, "{caption}")) {
        sv_status st = sv_fail(err, SV_E_RECIPE, "generate.prompt", "must hold {caption}, where the caption goes");
        return sv_hint(err, st, "for example  prompt: \"a photo of {caption}\"");
    }
    SV_TRY(check_amounts(r, err));
    SV_TRY(check_provider(&g->engine.provider, err));
    SV_TRY(check_refiner(&g->refiner, err));
    return check_scheduler(g->scheduler, err);
}

sv_status sv_recipe_check_pictures(const sv_recipe *r, sv_error *err) {
    if (r->generate.source == SV_SOURCE_CAPTIONS || r->generate.model) return SV_OK;
    sv_status st = sv_fail(err, SV_E_RECIPE, "generate.model", "is missing: a path is required");
    return sv_hint(err, st, "without a model that draws, a recipe is for `synthvlm curate` only; name a directory in diffusers layout with ONNX parts");
}

static sv_status check_also(const char *json, sv_error *err) {
    yyjson_doc *doc = json ? yyjson_read(json, strlen(json), 0) : NULL;
    yyjson_val *list = yyjson_doc_get_root(doc), *v;
    sv_status st = SV_OK;
    if (json && !yyjson_is_arr(list)) st = sv_fail(err, SV_E_RECIPE, "score.also", "must be a list of names, such as [sharpness, contrast]");
    size_t i, n;
    yyjson_arr_foreach(list, i, n, v) {
        bool known = false;
        for (int t = 0; t < SV_TERMS; t++) known |= yyjson_equals_str(v, sv_term_names[t]);
        if (!known && st == SV_OK) st = no_such("score.also", "score", yyjson_is_str(v) ? yyjson_get_str(v) : "", sv_term_names, SV_TERMS, err);
    }
    yyjson_doc_free(doc);
    return st;
}

static sv_status check_flavour(const char *path, const char *flavour, sv_error *err) {
    const char *names[32];
    size_t n = 0;
    if (sv_clip_flavour_find(flavour)) return SV_OK;
    for (size_t i = 0; i < sv_clip_flavour_count() && n < 32; i++) names[n++] = sv_clip_flavour_at(i)->name;
    return no_such(path, "flavour", flavour, names, n, err);
}

/* A judge that is held out must not be the one that selects. */
static sv_status check_held_out(const sv_recipe *r, sv_error *err) {
    const sv_held_out_settings *h = &r->score.held_out;
    SV_TRY(check_flavour("score.held_out.flavour", h->flavour, err));
    if (!h->model || !r->score.clip.model || strcmp(h->model, r->score.clip.model) != 0) return SV_OK;
    sv_fail(err, SV_E_RECIPE, "score.held_out.model", "is the model of score.clip, which selects");
    return sv_hint(err, SV_E_RECIPE, "name another CLIP, trained on other data or of another size: its opinion is worth having because nothing follows it");
}

static sv_status check_score(const sv_recipe *r, sv_error *err) {
    const sv_score_settings *s = &r->score;
    SV_TRY(check_flavour("score.clip.flavour", s->clip.flavour, err));
    if (s->ssim.low > s->ssim.base) {
        return sv_fail(err, SV_E_RECIPE, "score.ssim.low", "must not be above base, which is %lld", (long long)s->ssim.base);
    }
    SV_TRY(check_also(s->also, err));
    SV_TRY(check_held_out(r, err));
    SV_TRY(sv_recipe_check_judge(&s->judge_image.chat, "score.judge_image", err));
    if (s->pillow == 12) return sv_fail(err, SV_E_RECIPE, "score.pillow", "must be 13 or 11");
    return SV_OK;
}

static sv_status check_tie_break(const sv_recipe *r, sv_error *err) {
    const sv_image_judge_settings *j = &r->score.judge_image;
    if (!j->chat.url || j->use != SV_JUDGE_TIE_BREAK) return SV_OK;
    if (r->select.per_caption != 1) {
        sv_fail(err, SV_E_RECIPE, "score.judge_image.use", "is tie_break, but select.per_caption is %lld", (long long)r->select.per_caption);
        return sv_hint(err, SV_E_RECIPE, "a tie is broken for one image of each caption: per_caption: 1; or use: veto");
    }
    if (r->select.by == SV_BY_RANDOM) return sv_fail(err, SV_E_RECIPE, "score.judge_image.use", "is tie_break, but select.by is random: lots do not tie");
    return SV_OK;
}

static sv_status check_itm(const sv_recipe *r, sv_error *err) {
    if (r->score.itm.model || !sv_recipe_uses(r, SV_TERM_ITM)) return SV_OK;
    sv_fail(err, SV_E_RECIPE, "score.itm.model", "is missing, but the recipe uses the score itm");
    return sv_hint(err, SV_E_RECIPE, "a directory with BlipForImageTextRetrieval as model.onnx: docs/SCORES.md");
}

static sv_status check_select(const sv_recipe *r, sv_error *err) {
    const sv_select_settings *s = &r->select;
    SV_TRY(check_tie_break(r, err));
    SV_TRY(check_itm(r, err));
    bool has_clip = r->score.clip.model != NULL, weighs_clip = r->score.weights.clip != 0;
    if (!isnan(s->keep) && s->count != INT64_MIN) {
        return sv_hint(err, sv_fail(err, SV_E_RECIPE, "select.count", "keep is given too"),
                       "one of the two: a share of the captions, or a number of pairs");
    }
    if (s->keep == 0) return sv_fail(err, SV_E_RECIPE, "select.keep", "must be above 0");
    SV_TRY(sv_recipe_check_quotas(r, err));
    if (has_clip || sv_recipe_check_pictures(r, NULL) != SV_OK) return SV_OK;   /* without pictures nothing is scored either */
    const char *hint = "set score.clip.model to a CLIP directory, or do without CLIPScore: score: {weights: {clip: 0}}";
    if (s->by == SV_BY_CLIP) return sv_hint(err, sv_fail(err, SV_E_RECIPE, "score.clip.model", "is missing, but select.by is clip"), "%s", hint);
    if (!isnan(s->min.clip)) return sv_hint(err, sv_fail(err, SV_E_RECIPE, "score.clip.model", "is missing, but select.min.clip is set"), "%s", hint);
    bool weighted = s->by == SV_BY_WEIGHTED || !isnan(s->min.weighted);
    if (weighted && weighs_clip)
        return sv_hint(err, sv_fail(err, SV_E_RECIPE, "score.clip.model", "is missing, but the weighted score needs it"), "%s", hint);
    return SV_OK;
}

sv_status sv_recipe_check(const sv_recipe *r, sv_error *err) {
    SV_TRY(check_name(r, err));
    SV_TRY(check_sources(r, err));
    SV_TRY(check_process(r, err));
    SV_TRY(check_decontaminate(&r->captions.decontaminate, err));
    SV_TRY(sv_recipe_check_judge(&r->captions.judge, "captions.judge", err));
    SV_TRY(sv_recipe_check_balance(&r->captions, err));
    SV_TRY(check_generate(r, err));
    SV_TRY(check_score(r, err));
    return check_select(r, err);
}
