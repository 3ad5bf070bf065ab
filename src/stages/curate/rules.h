/* rules.h - the verdicts of the process list. */
#ifndef SV_STAGES_RULES_H
#define SV_STAGES_RULES_H

#include "stages/curate/decontaminate.h"
#include "stages/curate/pictures.h"
#include "stages/rundir.h"

/* Judges every caption of the pool that has no verdict under the setup `curate` yet: first the list, then decontamination. A list that must see the whole pool
 * judges all captions again when the pool has grown. pictures: what the list's filters on pictures ask; NULL where it has none. */
sv_status sv_rules_run(sv_rundir *run, sv_process *process, sv_pictures *pictures, sv_decontamination *clean, int64_t curate, int64_t captions, sv_error *err);

#endif
