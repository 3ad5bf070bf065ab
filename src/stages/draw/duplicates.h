/* duplicates.h - the gate that needs more than one picture: near-duplicates among all candidates of a run, of one caption or of two.
 *
 * Whether a picture repeats another depends on which came first, and pictures are finished in any order. The gate is therefore asked between rounds only,
 * when every caption has what it was to get: pictures that were never compared are taken by caption number and k, and each is compared with all that passed
 * before. The decision of a round is one transaction, so that it depends on the rows of finished rounds alone, never on workers or interruptions.
 */
#ifndef SV_STAGES_DUPLICATES_H
#define SV_STAGES_DUPLICATES_H

#include "ledger/ledger.h"
#include "stages/rundir.h"

/* Compares what is new; candidates that repeat another become failed ones (reason "duplicate") and lose file, scores and hashes; *refused of them. The caller draws
 * the next k of their captions and asks again, until nothing is refused. Does nothing where the gate is off. */
sv_status sv_duplicates_refuse(sv_rundir *run, sv_scope scope, int64_t generate, int64_t *refused, sv_error *err);

#endif
