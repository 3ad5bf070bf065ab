/* family.h - the kinds of text-to-image models: one row per _class_name of model_index.json.
 *
 * Families differ in what they are made of, how a text becomes numbers, and which further inputs the denoiser has. The loop over timesteps,
 * guidance, decoding and everything around them is shared (painter.c).
 */
#ifndef SV_DIFFUSION_FAMILY_H
#define SV_DIFFUSION_FAMILY_H

#include "diffusion/model_dir.h"
#include "synthvlm/diffusion.h"

struct sv_painter;
struct sv_denoiser;

#define SV_BIT(x) (1u << (x))

/* How classifier-free guidance is asked for. */
typedef enum sv_guidance {
    SV_GUIDANCE_TWO_TEXTS,       /* text and negative text side by side, where guidance > 1 */
    SV_GUIDANCE_EMBEDDED         /* distilled into the denoiser, which takes the number itself */
} sv_guidance;

typedef struct sv_family {
    const char *class_name;      /* diffusers' pipeline class */
    const char *help;            /* one line */
    unsigned parts;              /* bits of sv_part that must be there unless switched off in model_index.json */
    unsigned tokenizers;         /* bits, likewise */
    unsigned t5;                 /* bits: those of them that are T5's, the others are CLIP's */
    const char *denoiser;        /* its folder: "unet" or "transformer" */
    const char *sample, *output; /* the denoiser's names for latents in and prediction out */
    const char *pooled;          /* its name for the pooled text; NULL: it takes none */
    sv_guidance guidance_kind;
    bool packed;                 /* latents as a row of 2 x 2 patches, [h/2 * w/2, 4c], and a schedule of its own: sigmas 1 .. 1/steps */
    float timestep_unit;         /* transformers: one timestep a row, divided by this; 0: a unet, one for all rows */
    bool windows;                /* long texts may be encoded in windows: CLIP's states are all that it sees of a text */
    bool spread;                 /* looks at the decoder's latents_mean and latents_std */
    bool needs_source;           /* refines pictures, cannot begin with noise */
    int steps;                   /* diffusers' defaults of a call */
    double guidance, strength;
    unsigned amend;              /* what the pipeline's class changes in its scheduler's configuration (scheduler.h) */
    /* "Stable Diffusion 1.x": the name for people, from what the configs say. */
    const char *(*name)(const sv_model_dir *m);
    /* Makes a condition of a text; text NULL: what diffusers takes for a missing prompt. */
    sv_status (*encode)(sv_pipeline *p, const char *text, const sv_text_options *o, sv_condition *out, sv_error *err);
    /* Binds the denoiser's inputs beside latents, timestep and text. NULL: none. */
    sv_status (*bind)(struct sv_painter *w, struct sv_denoiser *d, sv_error *err);
    /* Writes those inputs' values for `rows` rows from `first` on, those of the negative text or of the text. NULL: none. */
    void (*fill)(struct sv_painter *w, struct sv_denoiser *d, size_t first, size_t rows, bool negative);
} sv_family;

size_t sv_family_count(void);
const sv_family *sv_family_at(size_t i);
const sv_family *sv_family_find(const char *class_name);

/* One file each, or one for near relatives. */
extern const sv_family sv_family_sd, sv_family_lcm;
extern const sv_family sv_family_sdxl, sv_family_sdxl_refiner;
extern const sv_family sv_family_sd3;
extern const sv_family sv_family_flux;

#endif
