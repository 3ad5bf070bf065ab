/* score.h - CLIPScore and BLIP's image-text matching. SSIMScore is in image.h. Definitions and traps: docs/SCORES.md. */
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
    bool loses_end;              /* a text that is too long loses its end token, because the row of ids is simply cut: torchmetrics */
    bool opaque;                 /* alpha is dropped before anything else (a single transparent colour stays one): data-juicer */
} sv_clip_flavour;
size_t sv_clip_flavour_count(void);
const sv_clip_flavour *sv_clip_flavour_at(size_t i);
const sv_clip_flavour *sv_clip_flavour_find(const char *name);

enum { SV_CLIP_MOST_WINDOWS = 64 };
typedef struct sv_clip_options {
    const char *flavour;         /* "synthvlm" */
    const char *prefix;          /* NULL: the flavour's. A prefix gets exactly one trailing space */
    int pillow;                  /* order of resize passes, 13 */
    int batch;                   /* images per call of the vision model; the call always has this shape. 4 */
    bool windows;                /* a text longer than a row: mean over windows (docs/SCORES.md), at most SV_CLIP_MOST_WINDOWS; false: cut */
    sv_engine_options engine;
} sv_clip_options;
void sv_clip_options_init(sv_clip_options *o);

typedef struct sv_clip sv_clip;  /* read-only once open, shared by threads */
/* dir: a CLIP, SigLIP or SigLIP 2 (fixed resolution) in transformers layout with ONNX parts: text_model.onnx + vision_model.onnx, or model.onnx (joint),
 * there or in onnx/. */
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
/* SigLIP's probability of a match, 1 / (1 + exp(-(scale cosine + bias))); NaN for CLIP, and where the model's scale and bias are not known. */
double sv_clip_probability(const sv_clip *c, double cosine);
/* Rows of ids that the model takes, with special tokens: 77, SigLIP 64. */
size_t sv_clip_row(const sv_clip *c);

/* ---- image-text matching ---- */

/* BLIP's matching head: the probability that a text describes a picture, softmax(itm_logits)[1]. It looks at both sides together, so there are no
 * embeddings: every pair costs a call of the whole graph. */
typedef struct sv_itm_options {
    int pillow;                  /* order of resize passes, 13 */
    int batch;                   /* pictures per call, all with one text; the call always has this shape. 1 */
    bool opaque;                 /* alpha is dropped, as Data-Juicer loads pictures, instead of laid on white (transformers 5) */
    sv_engine_options engine;
} sv_itm_options;
void sv_itm_options_init(sv_itm_options *o);

typedef struct sv_itm sv_itm;    /* read-only once open, shared by threads */
/* dir: config.json of model_type blip, preprocessor_config.json, the WordPiece tokenizer's files, and model.onnx, there or in onnx/, with the inputs
 * input_ids, attention_mask [b, s] and pixel_values [b, 3, h, w] and the output itm_logits (or itm_score) [b, 2]. */
sv_status sv_itm_open(sv_itm **out, const char *dir, const sv_itm_options *o, sv_error *err);
void sv_itm_close(sv_itm **m);
sv_status sv_itm_hash(sv_itm *m, char out[65], sv_error *err);
/* Probabilities of n <= batch pictures with one text; picture i is row i of the call. `cut`: content tokens that did not fit; may be NULL. Any thread. */
sv_status sv_itm_score(sv_itm *m, const char *text, const sv_image *const *images, size_t n, double *probabilities, size_t *cut, sv_error *err);
/* Whether a directory holds a BLIP model, by its config.json. */
bool sv_itm_is_model(const char *dir);

#ifdef __cplusplus
}
#endif
#endif
