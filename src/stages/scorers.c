#include "stages/scorers.h"

#include <stdlib.h>
#include <string.h>

#include "synthvlm/score.h"

/* One row per scorer. `state` is what open made. */
typedef struct scorer_kind {
    const char *name;
    bool (*wanted)(const sv_recipe *r);
    sv_status (*open)(void **state, const sv_recipe *r, int rows, sv_error *err);
    void (*close)(void **state);
    /* Adds every setting that can change a value. */
    sv_status (*describe)(void *state, const sv_recipe *r, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err);
    sv_status (*score)(void *state, const sv_recipe *r, int rows, sv_score_memory *memory, const sv_scored_text *text, const sv_image *const *images,
                       double *values, sv_error *err);   /* values: one per row */
} scorer_kind;

struct sv_scored_text {
    float *clip;                 /* [dim], NULL where CLIPScore is off */
};

struct sv_score_memory {
    sv_ssim_work *ssim;
    float *embeddings;           /* [rows, dim] */
};

/* ---- CLIPScore: the raw cosine is kept; flavours' scale and clamp are applied by whoever reads it ---- */

static bool clip_wanted(const sv_recipe *r) {
    return r->score.clip.model != NULL;
}

static sv_status clip_open(void **state, const sv_recipe *r, int rows, sv_error *err) {
    sv_clip_options o;
    sv_clip_options_init(&o);
    o.flavour = r->score.clip.flavour;
    o.prefix = r->score.clip.prefix;
    o.pillow = (int)r->score.pillow;
    o.batch = rows;
    o.engine.provider = r->generate.engine.provider;
    return sv_clip_open((sv_clip **)state, r->score.clip.model, &o, err);
}

static void clip_close(void **state) {
    sv_clip_close((sv_clip **)state);
}

static sv_status clip_describe(void *state, const sv_recipe *r, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err) {
    char hash[65];
    SV_TRY(sv_clip_hash(state, hash, err));
    yyjson_mut_obj_add_strcpy(doc, object, "model", hash);
    yyjson_mut_obj_add_str(doc, object, "flavour", r->score.clip.flavour);
    yyjson_mut_obj_add_strcpy(doc, object, "prefix", sv_clip_prefix(state));
    yyjson_mut_obj_add_int(doc, object, "pillow", r->score.pillow);
    yyjson_mut_obj_add_str(doc, object, "provider", r->generate.engine.provider);
    return SV_OK;
}

static sv_status clip_score(void *state, const sv_recipe *r, int rows, sv_score_memory *m, const sv_scored_text *text, const sv_image *const *images,
                            double *values, sv_error *err) {
    size_t dim = sv_clip_dim(state);
    if (!m->embeddings) m->embeddings = malloc((size_t)rows * dim * sizeof *m->embeddings);
    if (!m->embeddings) return sv_fail_memory(err, "CLIPScore", (size_t)rows * dim * sizeof *m->embeddings);
    const sv_image *full[SV_MOST_ROWS], *any = NULL;
    for (int i = 0; i < rows && !any; i++) any = images[i];
    for (int i = 0; i < rows; i++) full[i] = images[i] ? images[i] : any;   /* the call always has all its rows */
    SV_TRY(sv_clip_images(state, full, (size_t)rows, m->embeddings, err));
    for (int i = 0; i < rows; i++) values[i] = sv_clip_cosine(state, text->clip, m->embeddings + (size_t)i * dim);
    return SV_OK;
}

/* ---- SSIMScore ---- */

static bool ssim_wanted(const sv_recipe *r) {
    return true;
}

static sv_status ssim_open(void **state, const sv_recipe *r, int rows, sv_error *err) {
    *state = NULL;
    return SV_OK;
}

static void ssim_close(void **state) {
}

static sv_status ssim_describe(void *state, const sv_recipe *r, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err) {
    yyjson_mut_obj_add_int(doc, object, "base", r->score.ssim.base);
    yyjson_mut_obj_add_int(doc, object, "low", r->score.ssim.low);
    yyjson_mut_obj_add_int(doc, object, "pillow", r->score.pillow);
    return SV_OK;
}

static sv_status ssim_score(void *state, const sv_recipe *r, int rows, sv_score_memory *m, const sv_scored_text *text, const sv_image *const *images,
                            double *values, sv_error *err) {
    const sv_ssim_settings *s = &r->score.ssim;
    for (int i = 0; i < rows; i++)
        if (images[i]) SV_TRY(sv_ssim_score(images[i], (int)s->base, (int)s->low, (int)r->score.pillow, &m->ssim, &values[i], err));
    return SV_OK;
}

static const scorer_kind kinds[] = {
    {"clip", clip_wanted, clip_open, clip_close, clip_describe, clip_score},
    {"ssim", ssim_wanted, ssim_open, ssim_close, ssim_describe, ssim_score},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };
_Static_assert((int)KINDS <= (int)SV_MOST_SCORERS, "raise SV_MOST_SCORERS");

struct sv_scorers {
    const sv_recipe *recipe;
    int rows;
    size_t count;
    const scorer_kind *kind[KINDS];
    void *state[KINDS];
    sv_clip *clip;               /* also what prepares texts; owned through state */
};

sv_status sv_scorers_open(sv_scorers **out, const sv_recipe *r, int rows, sv_error *err) {
    *out = NULL;
    sv_scorers *s = calloc(1, sizeof *s);
    if (!s) return sv_fail_memory(err, "scorers", sizeof *s);
    s->recipe = r;
    s->rows = rows;
    for (size_t i = 0; i < KINDS; i++) {
        if (!kinds[i].wanted(r)) continue;
        sv_status st = kinds[i].open(&s->state[s->count], r, rows, err);
        if (st != SV_OK) {
            sv_scorers_close(&s);
            return st;
        }
        if (kinds[i].open == clip_open) s->clip = s->state[s->count];
        s->kind[s->count++] = &kinds[i];
    }
    *out = s;
    return SV_OK;
}

void sv_scorers_close(sv_scorers **s) {
    if (!*s) return;
    for (size_t i = 0; i < (*s)->count; i++) (*s)->kind[i]->close(&(*s)->state[i]);
    free(*s);
    *s = NULL;
}

size_t sv_scorers_count(const sv_scorers *s) {
    return s->count;
}

const char *sv_scorers_name(const sv_scorers *s, size_t i) {
    return s->kind[i]->name;
}

sv_status sv_scorers_setup(const sv_scorers *s, size_t i, char **json, sv_error *err) {
    *json = NULL;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *object = doc ? yyjson_mut_obj(doc) : NULL;
    if (!object) {
        yyjson_mut_doc_free(doc);
        return sv_fail_memory(err, "score setup", 0);
    }
    yyjson_mut_doc_set_root(doc, object);
    sv_status st = s->kind[i]->describe(s->state[i], s->recipe, doc, object, err);
    if (st == SV_OK) *json = yyjson_mut_write(doc, 0, NULL);
    yyjson_mut_doc_free(doc);
    if (st == SV_OK && !*json) return sv_fail_memory(err, "score setup", 0);
    return st;
}

sv_status sv_scorers_prepare(const sv_scorers *s, const char *text, sv_scored_text **out, sv_error *err) {
    sv_scored_text *t = calloc(1, sizeof *t);
    *out = t;
    if (!t) return sv_fail_memory(err, "caption", sizeof *t);
    if (!s->clip) return SV_OK;
    size_t bytes = sv_clip_dim(s->clip) * sizeof *t->clip;
    t->clip = malloc(bytes);
    sv_status st = t->clip ? sv_clip_text(s->clip, text, t->clip, NULL, err) : sv_fail_memory(err, "caption", bytes);
    if (st != SV_OK) sv_scored_text_free(out);
    return st;
}

void sv_scored_text_free(sv_scored_text **t) {
    if (!*t) return;
    free((*t)->clip);
    free(*t);
    *t = NULL;
}

void sv_score_memory_free(sv_score_memory **m) {
    if (!*m) return;
    sv_ssim_work_free(&(*m)->ssim);
    free((*m)->embeddings);
    free(*m);
    *m = NULL;
}

sv_status sv_scorers_run(const sv_scorers *s, sv_score_memory **memory, const sv_scored_text *text, const sv_image *const *images,
                         double (*values)[SV_MOST_SCORERS], sv_error *err) {
    if (!*memory) *memory = calloc(1, sizeof **memory);
    if (!*memory) return sv_fail_memory(err, "scores", sizeof **memory);
    bool any = false;
    for (int i = 0; i < s->rows; i++) any |= images[i] != NULL;
    if (!any) return SV_OK;
    for (size_t j = 0; j < s->count; j++) {
        double column[SV_MOST_ROWS] = {0};
        SV_TRY(s->kind[j]->score(s->state[j], s->recipe, s->rows, *memory, text, images, column, err));
        for (int i = 0; i < s->rows; i++) values[i][j] = column[i];
    }
    return SV_OK;
}
