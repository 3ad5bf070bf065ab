/* clip_preprocess.h - inside the library: from an image to the numbers that a CLIP-like vision encoder takes.
 *
 * Two pipelines are in use. They differ in the mode that is resized, in what becomes of transparency, and in the crop's rounding; scores
 * differ with them.
 */
#ifndef SV_IMAGE_CLIP_PREPROCESS_H
#define SV_IMAGE_CLIP_PREPROCESS_H

#include "image/resize.h"

typedef enum sv_clip_pipeline {
    SV_CLIP_HF,       /* transformers 5: alpha on white and RGB first, crop at floor(rest / 2) */
    SV_CLIP_HF_4,     /* transformers 4: as above, but alpha is dropped */
    SV_CLIP_DATA_JUICER, /* transformers 5 after Pillow's convert("RGB"): alpha is dropped, but a single transparent colour still becomes white */
    SV_CLIP_OPENAI    /* OpenAI's program (torchvision): resized in its own mode, RGB at last, crop at rest / 2 rounded half to even */
} sv_clip_pipeline;

typedef struct sv_clip_preprocess_options {
    sv_clip_pipeline pipeline;
    int shortest_edge;            /* side that the shorter edge is resized to, 224; 0: resize to width x height below */
    int width, height;            /* used with shortest_edge 0 (BLIP: 384 x 384); both 0: no resize */
    int crop_width, crop_height;  /* 224 x 224; both 0: no crop, only with width x height. What is missing is filled with zeros */
    double rescale;               /* 1/255 */
    float mean[3], std[3];        /* of the rescaled values; OpenAI's by default */
    sv_filter filter;             /* bicubic */
    int order;                    /* of the resize passes: 13 or 11 */
} sv_clip_preprocess_options;
void sv_clip_preprocess_options_init(sv_clip_preprocess_options *o);

/* Memory kept from call to call by one thread. Zero-initialise, sv_clip_preprocess_work_free. */
typedef struct sv_clip_preprocess_work {
    sv_resize_work resize;
    sv_image rgb, opaque, resized, cropped;
} sv_clip_preprocess_work;
void sv_clip_preprocess_work_free(sv_clip_preprocess_work *w);

/* Width and height of the result. SV_E_USAGE where the options leave them to the image, or make no sense. */
sv_status sv_clip_preprocess_size(const sv_clip_preprocess_options *o, int *width, int *height, sv_error *err);

/* out: [3, height, width] of sv_clip_preprocess_size, channels R G B; (value * rescale - mean) / std in float32. */
sv_status sv_clip_preprocess(const sv_image *in, const sv_clip_preprocess_options *o, sv_clip_preprocess_work *w, float *out, sv_error *err);

#endif
