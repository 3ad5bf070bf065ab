#include "stages/draw/models.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "stages/draw/gates.h"
#include "stages/setups.h"

sv_status sv_draw_models_open(sv_draw_models *m, const sv_recipe *r, int threads, const sv_log *log, sv_error *err) {
    const sv_generate_settings *s = &r->generate;
    sv_engine_options engine;
    sv_engine_of(r, threads, &engine);
    m->text.clip_skip = (int)s->clip_skip;
    m->text.windows = s->long_captions == SV_LONG_WINDOWS;
    m->noted = s->metadata;
    SV_TRY(sv_pipeline_open(&m->base, s->model, &engine, log, err));
    if (s->refiner.model) {
        SV_TRY(sv_pipeline_open(&m->refiner, s->refiner.model, &engine, log, err));
        SV_TRY(sv_pipeline_can_refine(m->refiner, m->base, err));
    }
    int safety = r->score.gates.safety;
    SV_TRY(sv_gates_taboo(&r->score.gates, log, &m->taboo, err));
    bool wanted = safety == SV_SAFETY_ALWAYS || (safety == SV_SAFETY_AUTO && sv_safety_there(s->model, NULL));
    return wanted ? sv_safety_open(&m->safety, s->model, &engine, err) : SV_OK;
}

void sv_draw_models_close(sv_draw_models *m) {
    sv_condition_close(&m->negative);
    sv_condition_close(&m->refiner_negative);
    sv_paint_note_free(&m->note);
    sv_safety_close(&m->safety);
    sv_taboo_close(&m->taboo);
    sv_pipeline_close(&m->refiner);
    sv_pipeline_close(&m->base);
}

sv_status sv_draw_models_prepare(sv_draw_models *m, const sv_recipe *r, const sv_paint_options *paint, sv_error *err) {
    const sv_generate_settings *s = &r->generate;
    unsigned phases = s->engine.text_chunk > 0 ? SV_PHASE_TEXT : SV_PHASE_DRAW;      /* with chunks: what encodes first, what draws afterwards */
    SV_TRY(sv_pipeline_prepare(m->base, phases, err));
    if (m->refiner) SV_TRY(sv_pipeline_prepare(m->refiner, phases, err));
    if (paint->guidance > 1) {
        const sv_text_options o = {.windows = m->text.windows};
        SV_TRY(sv_pipeline_encode_with(m->base, s->negative, &o, &m->negative, err));
        if (m->refiner) SV_TRY(sv_pipeline_encode_with(m->refiner, s->negative, &o, &m->refiner_negative, err));
    }
    if (!m->noted) return SV_OK;
    SV_TRY(sv_paint_note_make(&m->note, m->base, paint, &m->text, err));
    m->note.about.negative = s->negative;
    return SV_OK;
}

char *sv_prompt(const char *template, const char *caption) {
    static const char mark[] = "{caption}";
    sv_buf b = {0};
    for (const char *at; (at = strstr(template, mark)); template = at + strlen(mark)) {
        sv_buf_add(&b, template, (size_t)(at - template));
        sv_buf_puts(&b, caption);
    }
    sv_buf_puts(&b, template);
    if (b.failed) sv_buf_free(&b);
    return b.data;
}

sv_status sv_told_make(sv_told *t, const sv_draw_models *m, const char *template, const char *caption, sv_error *err) {
    *t = (sv_told){.prompt = sv_prompt(template, caption)};
    sv_status st = t->prompt ? sv_pipeline_encode_with(m->base, t->prompt, &m->text, &t->text, err) : sv_fail_memory(err, "prompt", 0);
    if (st == SV_OK && m->refiner) st = sv_pipeline_encode_with(m->refiner, t->prompt, &m->text, &t->refiner_text, err);
    if (st != SV_OK) sv_told_free(t);
    return st;
}

void sv_told_free(sv_told *t) {
    sv_condition_close(&t->text);
    sv_condition_close(&t->refiner_text);
    free(t->prompt);
    t->prompt = NULL;
}

sv_picture sv_told_picture(const sv_told *t, const sv_draw_models *m, uint64_t seed) {
    return (sv_picture){.text = t->text, .negative = m->negative, .refiner_text = t->refiner_text, .refiner_negative = m->refiner_negative, .seed = seed};
}
