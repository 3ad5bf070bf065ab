/* model.h - what a model directory holds, said without loading it. */
#ifndef SYNTHVLM_MODEL_H
#define SYNTHVLM_MODEL_H

#include "synthvlm/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Describes a text-to-image directory (diffusers' layout) or a CLIP directory as a JSON object (malloc; the caller frees). A directory with parts
 * missing is described too, with what is missing and the command that gets it. Keys: docs/MODELS.md.
 * SV_E_MODEL: no directory, or one that is neither. */
sv_status sv_model_describe(const char *dir, char **json, sv_error *err);

#ifdef __cplusplus
}
#endif
#endif
