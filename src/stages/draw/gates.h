/* gates.h - pictures that are not worth scoring: black, flat, flagged by the model's own safety checker, or repeats of a benchmark's. A picture that a gate
 * refuses is a failed candidate, and the next k is drawn. The gate against duplicates among candidates looks at more than one: stages/draw/duplicates.h.
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
#include "stages/draw/taboo.h"

/* One thread's memory. Zero-initialise, sv_gate_work_free. */
typedef struct sv_gate_work {
    sv_quality_work quality;
    sv_safety_work *safety;
    sv_hash_work hash;
} sv_gate_work;
void sv_gate_work_free(sv_gate_work *w);

typedef struct sv_refusal {
    const char *reason;          /* "black", "flat", "unsafe", "benchmark"; NULL: the picture passes */
    char detail[72];             /* what was measured, or which picture it repeats */
} sv_refusal;

/* Opens the pictures of the gate `benchmark`; *out NULL: it is off. */
sv_status sv_gates_taboo(const sv_gate_settings *g, const sv_log *log, sv_taboo **out, sv_error *err);
/* Asks every gate that is on; the first refusal counts. safety NULL: there is no checker, or it is not wanted; taboo NULL: there is no benchmark. */
sv_status sv_gates_ask(const sv_gate_settings *g, const sv_safety *safety, const sv_taboo *taboo, const sv_image *im, sv_gate_work *w, sv_refusal *out, sv_error *err);
/* Adds the gates that are on to the JSON of a generate setup; nothing if none is. */
sv_status sv_gates_describe(const sv_gate_settings *g, const sv_safety *safety, const sv_taboo *taboo, yyjson_mut_doc *doc, yyjson_mut_val *setup, sv_error *err);

#endif
