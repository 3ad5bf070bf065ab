/* hashes.h - perceptual hashes of a run's pictures: computed once from the stored files, kept in the ledger. */
#ifndef SV_STAGES_HASHES_H
#define SV_STAGES_HASHES_H

#include "ledger/ledger.h"
#include "stages/rundir.h"

/* Computes what is missing of the sampled captions' good candidates, on all cores; *added of them. Outside a transaction. Interrupted, it leaves what it
 * has. SV_E_INPUT: a picture is gone or damaged. */
sv_status sv_hashes_ensure(sv_rundir *run, sv_scope scope, int64_t generate, int64_t *added, sv_error *err);

#endif
