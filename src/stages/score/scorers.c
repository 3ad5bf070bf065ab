/* scorers.c - the scorers that a recipe asks for, opened together and run one after the other on the same pictures. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stages/score/embeddings.h"
#include "stages/score/scorer.h"

/* In the order of sv_term; what is only told comes last. */
static const sv_scorer_kind *const kinds[] = {
    &sv_scorer_clip, &sv_scorer_ssim, &sv_scorer_clean, &sv_scorer_colour, &sv_scorer_contrast, &sv_scorer_detail,
    &sv_scorer_exposure, &sv_scorer_sharpness, &sv_scorer_unmarked, &sv_scorer_itm, &sv_scorer_held_out,
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };
_Static_assert((int)KINDS <= (int)SV_MOST_SCORERS, "raise SV_MOST_SCORERS");

struct sv_scorers {
    const sv_recipe *recipe;
    int rows;
    size_t count;
    const sv_scorer_kind *kind[KINDS];
    void *state[KINDS];
    sv_clip *clip, *held_out;    /* also what prepares texts; owned through state */
    bool itm;                    /* texts are kept as they are */
    sv_embeddings *kept;         /* NULL: none are kept */
};

/* An opinion of the judge that selects would be no second one, whatever its directory is called. */
static sv_status check_held_out(const sv_scorers *s, sv_error *err) {
    char selects[65], told[65];
    if (!s->clip || !s->held_out) return SV_OK;
    SV_TRY(sv_clip_hash(s->clip, selects, err));
    SV_TRY(sv_clip_hash(s->held_out, told, err));
    if (strcmp(selects, told) != 0) return SV_OK;
    sv_fail(err, SV_E_RECIPE, "score.held_out.model", "is the model of score.clip, which selects");
    return sv_hint(err, SV_E_RECIPE, "name another CLIP, trained on other data or of another size");
}

sv_status sv_scorers_open(sv_scorers **out, const sv_recipe *r, int rows, sv_error *err) {
    *out = NULL;
    sv_scorers *s = calloc(1, sizeof *s);
    if (!s) return sv_fail_memory(err, "scorers", sizeof *s);
    s->recipe = r;
    s->rows = rows;
    for (size_t i = 0; i < KINDS; i++) {
        if (!kinds[i]->wanted(kinds[i]->term, r)) continue;
        sv_status st = kinds[i]->open ? kinds[i]->open(&s->state[s->count], r, rows, err) : SV_OK;
        if (st != SV_OK) {
            sv_scorers_close(&s);
            return st;
        }
        if (kinds[i] == &sv_scorer_clip) s->clip = s->state[s->count];
        if (kinds[i] == &sv_scorer_itm) s->itm = true;
        if (kinds[i] == &sv_scorer_held_out) s->held_out = s->state[s->count];
        s->kind[s->count++] = kinds[i];
    }
    sv_status st = check_held_out(s, err);
    if (st != SV_OK) sv_scorers_close(&s);
    *out = s;
    return st;
}

void sv_scorers_close(sv_scorers **s) {
    if (!*s) return;
    for (size_t i = 0; i < (*s)->count; i++)
        if ((*s)->kind[i]->close) (*s)->kind[i]->close(&(*s)->state[i]);
    sv_embeddings_close(&(*s)->kept);
    free(*s);
    *s = NULL;
}

size_t sv_scorers_count(const sv_scorers *s) {
    return s->count;
}

const char *sv_scorers_name(const sv_scorers *s, size_t i) {
    return s->kind[i]->term == SV_TERM_HELD_OUT ? SV_HELD_OUT : sv_term_names[s->kind[i]->term];
}

double sv_scorers_weight(const sv_scorers *s, size_t i) {
    const sv_weight_settings *w = &s->recipe->score.weights;
    sv_term term = s->kind[i]->term;
    if (term >= SV_TERMS) return NAN;
    return term == SV_TERM_CLIP && w->scale ? w->of[term] * 2.5 : w->of[term];
}

/* Added in the order in which select and the view `explained` do it. */
double sv_scorers_weigh(const sv_scorers *s, const double *values) {
    double clip = 0, ssim = 0, others = 0;
    for (size_t i = 0; i < s->count; i++) {
        double weight = sv_scorers_weight(s, i);
        if (isnan(weight)) continue;
        if (!isfinite(values[i])) return NAN;
        if (s->kind[i]->term == SV_TERM_CLIP)
            clip = weight * values[i];
        else if (s->kind[i]->term == SV_TERM_SSIM)
            ssim = weight * values[i];
        else if (weight > 0)
            others += weight * values[i];
    }
    return clip + ssim + others;
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
    sv_status st = s->kind[i]->describe(s->kind[i]->term, s->state[i], s->recipe, doc, object, err);
    if (st == SV_OK) *json = yyjson_mut_write(doc, 0, NULL);
    yyjson_mut_doc_free(doc);
    if (st == SV_OK && !*json) return sv_fail_memory(err, "score setup", 0);
    return st;
}

static sv_status embed(sv_clip *clip, const char *text, float **out, sv_error *err) {
    if (!clip) return SV_OK;
    size_t bytes = sv_clip_dim(clip) * sizeof **out;
    *out = malloc(bytes);
    return *out ? sv_clip_text(clip, text, *out, NULL, err) : sv_fail_memory(err, "caption", bytes);
}

sv_status sv_scorers_prepare(const sv_scorers *s, const char *text, sv_scored_text **out, sv_error *err) {
    sv_scored_text *t = calloc(1, sizeof *t);
    *out = t;
    if (!t) return sv_fail_memory(err, "caption", sizeof *t);
    sv_status st = embed(s->clip, text, &t->clip, err);
    if (st == SV_OK) st = embed(s->held_out, text, &t->held_out, err);
    if (st == SV_OK && s->itm && !(t->text = sv_strdup(text))) st = sv_fail_memory(err, "caption", 0);
    if (st != SV_OK) sv_scored_text_free(out);
    return st;
}

void sv_scored_text_free(sv_scored_text **t) {
    if (!*t) return;
    free((*t)->clip);
    free((*t)->held_out);
    free((*t)->text);
    free(*t);
    *t = NULL;
}

void sv_score_memory_free(sv_score_memory **m) {
    if (!*m) return;
    sv_ssim_work_free(&(*m)->ssim);
    sv_quality_work_free(&(*m)->quality);
    free((*m)->embeddings);
    free((*m)->held_out);
    free(*m);
    *m = NULL;
}

sv_status sv_scorers_run(const sv_scorers *s, sv_score_memory **memory, const sv_scored_text *const *texts, const sv_image *const *images,
                         double (*values)[SV_MOST_SCORERS], sv_error *err) {
    if (!*memory) *memory = calloc(1, sizeof **memory);
    if (!*memory) return sv_fail_memory(err, "scores", sizeof **memory);
    bool any = false;
    for (int i = 0; i < s->rows; i++) any |= images[i] != NULL;
    if (!any) return SV_OK;
    for (size_t j = 0; j < s->count; j++) {
        double column[SV_MOST_ROWS] = {0};
        SV_TRY(s->kind[j]->score(s->kind[j]->term, s->state[j], s->recipe, s->rows, *memory, texts, images, column, err));
        for (int i = 0; i < s->rows; i++) values[i][j] = column[i];
    }
    return SV_OK;
}

/* ---- kept embeddings ---- */

sv_status sv_scorers_keep(sv_scorers *s, const char *dir, sv_error *err) {
    char *json;
    size_t at = 0;
    if (!s->clip || !s->recipe->score.clip.keep) return SV_OK;
    sv_embeddings_close(&s->kept);
    while (s->kind[at]->term != SV_TERM_CLIP) at++;
    SV_TRY(sv_scorers_setup(s, at, &json, err));
    sv_status st = sv_embeddings_open(&s->kept, dir, json, sv_clip_dim(s->clip), true, err);
    free(json);
    return st;
}

bool sv_scorers_keeps(const sv_scorers *s) {
    return s->kept != NULL;
}

sv_status sv_scorers_keep_row(const sv_scorers *s, const sv_score_memory *m, int row, const char *sha256, sv_error *err) {
    return s->kept ? sv_embeddings_add(s->kept, sha256, m->embeddings + (size_t)row * sv_clip_dim(s->clip), err) : SV_OK;
}

bool sv_scorers_has_kept(const sv_scorers *s, const char *sha256) {
    float *e = s->kept ? malloc(sv_clip_dim(s->clip) * sizeof *e) : NULL;
    bool has = e && sv_embeddings_find(s->kept, sha256, e);
    free(e);
    return has;
}

bool sv_scorers_from_kept(const sv_scorers *s, const sv_scored_text *text, const char *sha256, uint32_t missing, double values[SV_MOST_SCORERS]) {
    uint32_t answered = 0;
    size_t dim = s->clip ? sv_clip_dim(s->clip) : 0;
    float *e = s->kept ? malloc(dim * sizeof *e) : NULL;
    if (e && sv_embeddings_find(s->kept, sha256, e))
        for (size_t i = 0; i < s->count; i++) {
            if (s->kind[i]->term != SV_TERM_CLIP) continue;
            values[i] = sv_kept_cosine(text->clip, e, dim);
            answered |= 1u << i;
        }
    free(e);
    return answered && !(missing & ~answered);
}

sv_status sv_scorers_embed(const sv_scorers *s, sv_score_memory **memory, const sv_image *const *images, sv_error *err) {
    const sv_scored_text *texts[SV_MOST_ROWS] = {NULL};
    double values[SV_MOST_ROWS];
    if (!*memory) *memory = calloc(1, sizeof **memory);
    if (!*memory) return sv_fail_memory(err, "scores", sizeof **memory);
    for (size_t i = 0; i < s->count; i++)
        if (s->kind[i]->term == SV_TERM_CLIP) SV_TRY(s->kind[i]->score(SV_TERM_CLIP, s->state[i], s->recipe, s->rows, *memory, texts, images, values, err));
    return SV_OK;
}
