/* score.h - CLIPScore. SSIMScore is in image.h. Definitions and traps: docs/SCORES.md. */
#ifndef SYNTHVLM_SCORE_H
#define SYNTHVLM_SCORE_H

#include "synthvlm/diffusion.h"
#include "synthvlm/image.h"
#include "synthvlm/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A flavour sets prefix, text clean-up, image preprocessing and scale. "synthvlm": "A photo depicts ", openai clean-up and preprocessing,
 * score = max(cos, 0). "hessel": the same times 2.5. "data-juicer": no prefix, transformers clean-up and preprocessing, score = cos.
 * "torchmetrics": no prefix, transformers, score = max(100 cos, 0). "raw": no prefix, openai, cos. */
typedef struct sv_clip_flavour {
    const char *name, *prefix, *help;
    bool openai_text, openai_image;
    double scale;
    bool clamp;
} sv_clip_flavour;
size_t sv_clip_flavour_count(void);
const sv_clip_flavour *sv_clip_flavour_at(size_t i);
const sv_clip_flavour *sv_clip_flavour_find(const char *name);

typedef struct sv_clip_options {
    const char *flavour;         /* "synthvlm" */
    const char *prefix;          /* NULL: the flavour's. A prefix gets exactly one trailing space */
    int pillow;                  /* order of resize passes, 13 */
    int batch;                   /* images per call of the vision model; the call always has this shape. 4 */
    sv_engine_options engine;
} sv_clip_options;
void sv_clip_options_init(sv_clip_options *o);

typedef struct sv_clip sv_clip;  /* read-only once open, shared by threads */
/* dir: transformers layout with ONNX parts: text_model.onnx + vision_model.onnx, or model.onnx (joint), there or in onnx/. */
sv_status sv_clip_open(sv_clip **out, const char *dir, const sv_clip_options *o, sv_error *err);
void sv_clip_close(sv_clip **c);
size_t sv_clip_dim(const sv_clip *c);
const char *sv_clip_prefix(const sv_clip *c);
sv_status sv_clip_hash(sv_clip *c, char out[65], sv_error *err);

/* Embeddings, L2-normalised float32 [dim]. `cut`: content tokens that did not fit; may be NULL. Any thread. */
sv_status sv_clip_text(sv_clip *c, const char *text, float *embedding, size_t *cut, sv_error *err);
/* n <= batch images; image i is row i of the call. embeddings: [n, dim]. */
sv_status sv_clip_images(sv_clip *c, const sv_image *const *images, size_t n, float *embeddings, sv_error *err);
/* Raw cosine of two embeddings. */
double sv_clip_cosine(const sv_clip *c, const float *a, const float *b);
double sv_clip_score(const sv_clip *c, double cosine);           /* the flavour's scale and clamp */

#ifdef __cplusplus
}
#endif
#endif
