/* gates.h - pictures that are not worth scoring: black, flat, or flagged by the model's own safety checker. A picture that a gate refuses is a failed candidate, and the next k is drawn.
 *
 * Gates see the picture as it was painted, before it is encoded, so that their word depends on caption and k alone. They are therefore part of the
 * generate setup: other gates make other candidates.
 */
#ifndef SV_STAGES_GATES_H
#define SV_STAGES_GATES_H

#include <yyjson.h>

#include "image/quality.h"
#include "recipe/recipe.h"
#include "score/safety.h"

/* One thread's memory. Zero-initialise, sv_gate_work_free. */
typedef struct sv_gate_work {
    sv_quality_work quality;
    sv_safety_work *safety;
} sv_gate_work;
void sv_gate_work_free(sv_gate_work *w);

typedef struct sv_refusal {
    const char *reason;          /* "black", "flat", "unsafe"; NULL: the picture passes */
    char detail[72];             /* what was measured */
} sv_refusal;

/* Asks every gate that is on; the first refusal counts. safety NULL: there is no checker, or it is not wanted. */
sv_status sv_gates_ask(const sv_gate_settings *g, const sv_safety *safety, const sv_image *im, sv_gate_work *w, sv_refusal *out, sv_error *err);
/* Adds the gates that are on to the JSON of a generate setup; nothing if none is. */
sv_status sv_gates_describe(const sv_gate_settings *g, const sv_safety *safety, yyjson_mut_doc *doc, yyjson_mut_val *setup, sv_error *err);

#endif
