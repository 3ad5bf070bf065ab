/* recipe.h - a recipe, read, checked and with every default written out. The public face is include/synthvlm/recipe.h. */
#ifndef SV_RECIPE_RECIPE_H
#define SV_RECIPE_RECIPE_H

#include "base/options.h"
#include "synthvlm/recipe.h"
#include "synthvlm/text.h"

/* Each struct below is described by one sv_option table in recipe_tables.c; field names are the recipe's keys. */

typedef struct sv_source_settings {
    char *path;               /* "-": stdin */
    int format;               /* auto|jsonl|json|txt|csv|tsv|llava|coco */
    char *text, *id;          /* field names ("caption", "id"); id NULL: none */
    char *source, *license;   /* said of every row unless the row has its own `source`, `license` */
} sv_source_settings;

typedef struct sv_captions_settings {
    sv_source_settings *sources;
    size_t source_count;
    int view;                 /* sv_view */
    char *process;            /* JSON list for sv_process_open */
    int64_t sample;           /* INT64_MIN: all */
} sv_captions_settings;

typedef struct sv_image_settings {
    int format;               /* sv_format: jpeg|png|webp */
    int64_t quality;
} sv_image_settings;

typedef struct sv_engine_settings {
    char *provider;
    int64_t threads_per_image, workers, batch;   /* 0: auto */
} sv_engine_settings;

typedef struct sv_generate_settings {
    char *model, *prompt, *negative;
    int64_t candidates, retries;
    int32_t size[2];          /* 0x0: the model's */
    int64_t steps;
    double guidance, guidance_rescale, eta;
    char *scheduler;          /* JSON text: null, a string or an object */
    int long_captions;        /* cut|refuse */
    sv_image_settings image;
    sv_engine_settings engine;
} sv_generate_settings;

typedef struct sv_clip_settings { char *model, *flavour, *prefix; } sv_clip_settings;         /* model NULL: no CLIPScore; prefix NULL: the flavour's */
typedef struct sv_ssim_settings { int64_t base, low; } sv_ssim_settings;
typedef struct sv_weight_settings { double clip, ssim; int scale; } sv_weight_settings;      /* scale: raw|2.5 */
typedef struct sv_score_settings {
    sv_clip_settings clip;
    sv_ssim_settings ssim;
    int64_t pillow;           /* 13 or 11 */
    sv_weight_settings weights;
} sv_score_settings;

typedef struct sv_min_settings { double clip, ssim, weighted; } sv_min_settings;             /* NaN: none; clip on the raw cosine */
typedef struct sv_select_settings {
    int by;                   /* weighted|clip|ssim|random */
    int64_t per_caption;
    double keep;              /* fraction, "10%" or 0.1; NaN: none (then count, or everything eligible) */
    int64_t count;            /* INT64_MIN: none */
    sv_min_settings min;
} sv_select_settings;

typedef struct sv_export_settings {
    int format;               /* index into the exporter table */
    char *options;            /* JSON object for that exporter */
} sv_export_settings;

struct sv_recipe {
    char *path, *dir;         /* the file, and what its paths are relative to */
    char *name;
    int64_t seed;
    sv_captions_settings captions;
    sv_generate_settings generate;
    sv_score_settings score;
    sv_select_settings select;
    sv_export_settings *exports;
    size_t export_count;
};

#endif
