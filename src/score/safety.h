/* safety.h - the safety checker that some text-to-image models bring: a CLIP image encoder that compares a picture with a list of concepts.
 *
 * diffusers' StableDiffusionSafetyChecker as exported from its forward_onnx: inputs clip_input (the picture as the directory's feature_extractor makes
 * it) and images (the picture itself, which the graph blackens), output has_nsfw_concepts. Here only the verdict is read.
 */
#ifndef SV_SCORE_SAFETY_H
#define SV_SCORE_SAFETY_H

#include "synthvlm/diffusion.h"
#include "synthvlm/image.h"

/* Whether a model directory has one that can be run: safety_checker/model.onnx. `why` (may be NULL): static text, why it is not run; NULL if it is, or if
 * the model has none at all. */
bool sv_safety_there(const char *model_dir, const char **why);

/* Read-only once open, shared by threads. SV_E_MODEL: there is none, or its files do not fit. */
typedef struct sv_safety sv_safety;
sv_status sv_safety_open(sv_safety **out, const char *model_dir, const sv_engine_options *engine, sv_error *err);
void sv_safety_close(sv_safety **s);
/* SHA-256 (hex) over the files used, as sv_pipeline_hash. */
sv_status sv_safety_hash(const sv_safety *s, char out[65], sv_error *err);

/* One thread's memory. Starts as NULL. */
typedef struct sv_safety_work sv_safety_work;
void sv_safety_work_free(sv_safety_work **w);
sv_status sv_safety_check(const sv_safety *s, const sv_image *im, sv_safety_work **work, bool *flagged, sv_error *err);

#endif
