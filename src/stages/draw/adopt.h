/* adopt.h - generate.source: captions. Nothing is drawn: the picture that a caption came with is its candidate 0, byte for byte. */
#ifndef SV_STAGES_ADOPT_H
#define SV_STAGES_ADOPT_H

#include "stages/rundir.h"

/* Takes in what is missing under the setup of such a run. with_scores: counts what has no score yet, so that the score stage follows. A caption without a
 * usable picture gets a failed candidate with the reason, and is looked at again by the next call. */
sv_status sv_adopt(sv_rundir *run, bool with_scores, sv_draw_report *report, sv_error *err);

/* Whether the JSON of a generate setup is of such a run (NULL: no). */
bool sv_setup_is_adopted(const char *json);

#endif
