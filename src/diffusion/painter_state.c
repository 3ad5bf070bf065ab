/* painter_state.c - rows of a painter that is halted, as objects of their own. */
#include <stdlib.h>
#include <string.h>

#include "diffusion/pipeline.h"
#include "diffusion/scheduler.h"

struct sv_paint_state {
    uint64_t likeness;           /* of the painter */
    size_t position;             /* model calls done */
    bool handed_over;
    size_t next, calls, last;    /* of the painter that held the row, and of its sampler */
    int order;
    uint64_t seed;
    sv_generator generator;
    size_t count;
    float values[];              /* the latents, then what the solver remembers of them */
};

sv_status sv_painter_save(const sv_painter *w, size_t row, sv_paint_state **out, sv_error *err) {
    const sv_painter *in = w->handed_over ? w->after : w;
    *out = NULL;
    if (row >= w->batch || !w->begun) return sv_fail(err, SV_E_INTERNAL, "painter", "row %zu holds no picture", row);
    size_t count = in->values + sv_sampler_memory(in->sampler);
    sv_paint_state *s = malloc(sizeof *s + count * sizeof s->values[0]);
    if (!s) return sv_fail_memory(err, "saved picture", sizeof *s + count * sizeof s->values[0]);
    *s = (sv_paint_state){.likeness = w->likeness, .position = sv_painter_position(w), .handed_over = w->handed_over, .next = in->next,
                          .calls = in->sampler->calls, .last = in->sampler->last, .order = in->sampler->order, .seed = w->seeds[row],
                          .generator = in->generators[row], .count = count};
    memcpy(s->values, in->latents + row * in->values, in->values * sizeof s->values[0]);
    sv_sampler_save(in->sampler, row, s->values + in->values);
    *out = s;
    return SV_OK;
}

void sv_paint_state_close(sv_paint_state **s) {
    free(*s);
    *s = NULL;
}

size_t sv_paint_state_size(const sv_paint_state *s) {
    return sizeof *s + s->count * sizeof s->values[0];
}

size_t sv_paint_state_position(const sv_paint_state *s) {
    return s->position;
}

sv_status sv_painter_resume(sv_painter *w, const sv_paint_state *const *states, const sv_picture *pictures, size_t n, sv_error *err) {
    w->begun = w->has_clean = w->handed_over = false;
    if (n < 1 || n > w->batch) return sv_fail(err, SV_E_INTERNAL, "painter", "%zu pictures given to a batch of %zu", n, w->batch);
    const sv_paint_state *first = states[0];
    for (size_t b = 0; b < n; b++) {
        if (states[b]->likeness != w->likeness) return sv_fail(err, SV_E_INTERNAL, "painter", "picture %zu was begun with other options", b);
        if (states[b]->position != first->position)
            return sv_fail(err, SV_E_INTERNAL, "painter", "picture %zu has had %zu model calls and the first one %zu", b, states[b]->position, first->position);
    }
    if (w->after) SV_TRY(sv_painter_set_texts(w->after, pictures, n, true, err));
    if (!first->handed_over) SV_TRY(sv_painter_set_texts(w, pictures, n, false, err));
    sv_painter *in = first->handed_over ? w->after : w;
    for (size_t b = 0; b < w->batch; b++) {
        const sv_paint_state *s = states[b < n ? b : 0];
        w->seeds[b] = in->seeds[b] = s->seed;
        in->generators[b] = s->generator;
        memcpy(in->latents + b * in->values, s->values, in->values * sizeof s->values[0]);
        sv_sampler_load(in->sampler, b, s->values + in->values);
    }
    in->sampler->calls = first->calls;
    in->sampler->last = first->last;
    in->sampler->order = first->order;
    in->next = first->next;
    in->has_clean = false;
    w->handed_over = first->handed_over;
    if (w->handed_over) w->next = w->end;
    w->begun = in->begun = true;
    return SV_OK;
}
