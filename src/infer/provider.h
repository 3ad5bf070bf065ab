/* provider.h - inside src/infer: what computes a session's graph. */
#ifndef SV_INFER_PROVIDER_H
#define SV_INFER_PROVIDER_H

#include "infer/runtime.h"

/* Adds the provider that the options name to session options; the CPU is always there as the last resort. SV_E_USAGE: there is no such one, and the hint
 * says what there is; SV_E_LIBRARY: it does not load. */
sv_status sv_provider_append(const sv_runtime *rt, OrtSessionOptions *so, const sv_session_options *o, sv_error *err);

#endif
