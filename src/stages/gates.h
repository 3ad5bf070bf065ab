/* gates.h - pictures that are not worth scoring: black, flat. A picture that a gate refuses is a failed candidate, and the next k is drawn.
 *
 * Gates see the picture as it was painted, before it is encoded, so that their word depends on caption and k alone. They are therefore part of the
 * generate setup: other gates make other candidates.
 */
#ifndef SV_STAGES_GATES_H
#define SV_STAGES_GATES_H

#include <yyjson.h>

#include "image/quality.h"
#include "recipe/recipe.h"

typedef struct sv_refusal {
    const char *reason;          /* "black", "flat"; NULL: the picture passes */
    char detail[72];             /* what was measured */
} sv_refusal;

bool sv_gates_on(const sv_gate_settings *g);
/* Asks every gate that is on; the first refusal counts. */
sv_status sv_gates_ask(const sv_gate_settings *g, const sv_image *im, sv_quality_work *w, sv_refusal *out, sv_error *err);
/* Adds the gates that are on to the JSON of a generate setup; nothing if none is. */
bool sv_gates_describe(const sv_gate_settings *g, yyjson_mut_doc *doc, yyjson_mut_val *setup);

#endif
