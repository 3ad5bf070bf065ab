/* recipe.h - a recipe, read, checked and with every default written out. The public face is include/synthvlm/recipe.h. */
#ifndef SV_RECIPE_RECIPE_H
#define SV_RECIPE_RECIPE_H

#include "base/options.h"
#include "synthvlm/recipe.h"
#include "synthvlm/text.h"

/* Each struct below is described by one sv_option table in recipe_tables.c; field names are the recipe's keys. Paths are resolved: from
 * the file, relative to its directory; from --set, relative to the working directory. */

typedef struct sv_source_settings {
    char *path;               /* "-": stdin */
    int format;               /* auto|jsonl|json|txt|csv|tsv|llava|coco|sharegpt4v|cc3m|cc12m|parquet */
    char *text, *id;          /* field names ("caption", "id"); id NULL: none */
    char *image, *images;     /* the row's field with its picture's name (NULL: the format's own); folder of the pictures. Both NULL: captions without pictures */
    char *source, *license;   /* said of every row unless the row has its own `source`, `license` */
} sv_source_settings;

typedef struct sv_judge_recipe {
    char *url, *model;        /* url NULL: no judge */
    char *prompt;             /* a file; NULL: the grade's own */
    int grade;                /* sv_grade: yes_no|score */
    double min;               /* NaN: the grade's own (sv_recipe_judge_min) */
    char *api_key_env;        /* name of the environment variable with the key; NULL: none */
    double timeout;           /* seconds */
    int64_t concurrency, retries, max_tokens;
    double temperature;
    int64_t seed;             /* INT64_MIN: not sent */
} sv_judge_recipe;

/* One entry of balance.concepts: a ready list, a file of concepts, or a concept by words or pattern; or only a name, which sets the limits of a concept that
 * an earlier entry brought. Exactly one of list, file and name is given. */
typedef struct sv_concept_settings {
    char *list, *file, *name;
    char *words;              /* JSON list of texts; NULL: none */
    char *pattern;
    int64_t cap;              /* INT64_MIN: balance.cap */
    double quota;             /* captions, or below 1 a share of the sample; NaN: none */
} sv_concept_settings;

typedef struct sv_balance_settings {
    sv_concept_settings *concepts;
    size_t count;             /* 0: no concepts, no balancing */
    int64_t cap;              /* INT64_MIN: none */
    int64_t others;           /* cap of the captions without any concept; INT64_MIN: none */
    int draws;                /* SV_DRAWS_… */
} sv_balance_settings;
enum { SV_DRAWS_ONCE, SV_DRAWS_EACH };

/* A benchmark's file: captions that repeat its texts are rejected. */
typedef struct sv_against_settings {
    char *path;
    char *fields;             /* JSON: a name or a list of names; NULL: the usual ones */
} sv_against_settings;

typedef struct sv_decontaminate_settings {
    sv_against_settings *against;
    size_t count;             /* 0: no decontamination */
    int64_t ngram;            /* words of a run that is too much; INT64_MIN: runs are not looked at */
    struct {
        double jaccard_threshold;   /* NaN: near-duplicates are not looked for */
        int64_t window_size, num_permutations;
    } minhash;
} sv_decontaminate_settings;

typedef struct sv_captions_settings {
    sv_source_settings *sources;
    size_t source_count;
    int view;                 /* sv_view */
    char *process;            /* JSON list for sv_process_open, "[]" if there is none; files in it are resolved */
    int64_t sample;           /* INT64_MIN: all */
    sv_balance_settings balance;
    sv_decontaminate_settings decontaminate;
    sv_judge_recipe judge;
} sv_captions_settings;

typedef struct sv_image_settings {
    int format;               /* sv_format: jpeg|png|webp */
    int64_t quality;
} sv_image_settings;

/* What computes: a plain name in the recipe is `name`. */
typedef struct sv_provider_settings {
    char *name, *library;     /* library NULL: built into ONNX Runtime */
    char *options;            /* JSON object; NULL: none */
} sv_provider_settings;
typedef struct sv_engine_settings {
    sv_provider_settings provider;
    int64_t threads_per_image, workers, batch;   /* 0: auto */
    int64_t text_chunk;       /* captions encoded before any is drawn; INT64_MIN: each when it is drawn */
} sv_engine_settings;

/* How many pictures a caption gets. A plain number in the recipe is `max`. With stop_at or drop_below the number is found out in rounds over all
 * captions (stages/draw/rounds.h); without them every caption gets max. */
typedef struct sv_candidates_settings {
    int64_t max;
    int64_t min;              /* of the first round; INT64_MIN: 1 */
    int64_t step;             /* of each later round */
    double stop_at;           /* weighted score; NaN: none */
    double budget;            /* pictures per caption on average; NaN: half of max, at least min */
    double drop_below;        /* weighted score; NaN: none */
    int64_t drop_after;       /* pictures; INT64_MIN: max */
} sv_candidates_settings;

/* Pictures given up half-drawn. at: JSON text, a number or a list of them; NULL: none is. */
typedef struct sv_prune_settings {
    char *at;
    double keep;
} sv_prune_settings;
enum { SV_MOST_CHECKS = 8 };  /* places at which siblings are compared */

/* The model that finishes what generate.model begins. */
typedef struct sv_refiner_settings {
    char *model;              /* NULL: none */
    double at;                /* share of the schedule after which it takes over */
    int handover;             /* SV_HANDOVER_… */
    double aesthetic_score, negative_aesthetic_score;
} sv_refiner_settings;
enum { SV_HANDOVER_DIFFUSERS, SV_HANDOVER_SYNTHVLM };

enum { SV_LONG_CUT, SV_LONG_REFUSE, SV_LONG_WINDOWS };   /* the order of the choices in the option table */

enum { SV_TILING_OFF, SV_TILING_AUTO, SV_TILING_ON };

enum { SV_SOURCE_MODEL, SV_SOURCE_CAPTIONS };   /* where candidates come from: drawn by the model, or the pictures that captions came with */

typedef struct sv_generate_settings {
    int source;               /* SV_SOURCE_… */
    char *model, *prompt, *negative;
    sv_candidates_settings candidates;
    sv_prune_settings prune;
    int64_t retries;
    int32_t size[2];          /* 0x0: the model's */
    int64_t steps;
    double guidance, guidance_rescale, eta;
    char *scheduler;          /* JSON text: null, a string or an object */
    sv_refiner_settings refiner;
    int64_t clip_skip;
    bool metadata;
    char *guidance_interval;  /* JSON text: null, or a list of two numbers; sv_recipe_guidance_interval */
    int vae_tiling;           /* SV_TILING_… */
    int64_t vae_tile;         /* INT64_MIN: the decoder's own */
    int long_captions;        /* SV_LONG_… */
    sv_image_settings image;
    sv_engine_settings engine;
} sv_generate_settings;

typedef struct sv_clip_settings {
    char *model, *flavour, *prefix;   /* model NULL: no CLIPScore; prefix NULL: the flavour's */
    bool window, keep;        /* long texts in windows; embeddings of pictures are kept */
} sv_clip_settings;
/* A second CLIP, of which is only told. */
typedef struct sv_held_out_settings {
    char *model, *flavour, *prefix;
    bool window;
} sv_held_out_settings;
/* A vision model that is asked whether a picture shows its caption. */
enum { SV_ASK_PICKS, SV_ASK_ELIGIBLE, SV_ASK_ALL };
enum { SV_JUDGE_HELD_OUT, SV_JUDGE_VETO, SV_JUDGE_TIE_BREAK };
typedef struct sv_image_judge_settings {
    sv_judge_recipe chat;     /* url NULL: none is asked; grade and min are not used */
    int ask, use;             /* SV_ASK_…, SV_JUDGE_… */
    double min, tie;          /* veto: least P(yes); tie_break: scores so near are a tie */
    int64_t side;             /* larger pictures are reduced to this before they are sent */
} sv_image_judge_settings;
typedef struct sv_ssim_settings { int64_t base, low; } sv_ssim_settings;

/* The scores of one picture, in the order in which they are computed and written down; `weighted` is made of them (recipe_terms.c). */
typedef enum sv_term {
    SV_TERM_CLIP, SV_TERM_SSIM, SV_TERM_CLEAN, SV_TERM_COLOUR, SV_TERM_CONTRAST, SV_TERM_DETAIL, SV_TERM_EXPOSURE, SV_TERM_SHARPNESS, SV_TERM_UNMARKED,
    SV_TERM_ITM, SV_TERMS,
    SV_TERM_HELD_OUT = SV_TERMS   /* a score that nothing may use */
} sv_term;
#define SV_HELD_OUT "held_out"
#define SV_TERM_FIELDS clip, ssim, clean, colour, contrast, detail, exposure, sharpness, unmarked, itm
extern const char *const sv_term_names[SV_TERMS];

typedef struct sv_gate_settings {
    int64_t black;            /* INT64_MIN, NaN, NULL: off */
    double flat;
    int safety;               /* SV_SAFETY_… */
    int64_t duplicate;        /* bits by which two pictures' hashes may differ */
    char *benchmark;          /* a folder of pictures, or a file of hashes */
    int64_t benchmark_distance;
} sv_gate_settings;
enum { SV_SAFETY_AUTO, SV_SAFETY_ALWAYS, SV_SAFETY_NEVER };
typedef struct sv_sharpness_settings { int64_t side; } sv_sharpness_settings;
typedef struct sv_weight_settings {
    union { struct { double SV_TERM_FIELDS; }; double of[SV_TERMS]; };
    int scale;                /* raw|2.5 */
} sv_weight_settings;
typedef struct sv_itm_settings { char *model; } sv_itm_settings;                               /* NULL: no matching score */
typedef struct sv_score_settings {
    sv_clip_settings clip;
    sv_itm_settings itm;
    sv_held_out_settings held_out;
    sv_image_judge_settings judge_image;
    sv_ssim_settings ssim;
    sv_sharpness_settings sharpness;
    sv_gate_settings gates;
    int64_t pillow;           /* 13 or 11 */
    char *also;               /* JSON list of names of scores that are computed although nothing uses them; NULL: none */
    sv_weight_settings weights;
} sv_score_settings;

typedef struct sv_min_settings {                     /* NaN: none; clip on the raw cosine */
    union { struct { double SV_TERM_FIELDS; }; double of[SV_TERMS]; };
    double weighted;
} sv_min_settings;
enum { SV_BY_WEIGHTED, SV_BY_CLIP, SV_BY_SSIM, SV_BY_RANDOM, SV_BY_OTHERS };                 /* then the terms after ssim, in their order */
enum { SV_DEDUP_NONE, SV_DEDUP_PHASH, SV_DEDUP_DHASH };
typedef struct sv_dedup_settings { int hash; int64_t distance; } sv_dedup_settings;          /* SV_DEDUP_…; bits of 64 that may differ */
typedef struct sv_select_settings {
    int by;                   /* SV_BY_… */
    int64_t per_caption;
    double keep;              /* fraction, "10%" or 0.1; NaN: none (then count, or everything eligible) */
    int64_t count;            /* INT64_MIN: none */
    sv_min_settings min;
    sv_dedup_settings dedup;
    char *quotas;             /* JSON for sv_recipe_quotas; NULL: none */
    char *include, *exclude;  /* files of candidate ids; NULL: none */
} sv_select_settings;

/* ---- quotas (recipe_select.c) ---- */

enum { SV_QUOTA_SOURCE, SV_QUOTA_CONCEPT, SV_QUOTA_DIMENSIONS };
const char *sv_quota_dimension(int of);                     /* "source" … */
typedef struct sv_quota_limit { double share; int64_t count; } sv_quota_limit;               /* NaN and -1: none */
typedef struct sv_quota_rule {
    int of;                   /* SV_QUOTA_… */
    char *name;               /* "*": every name without a rule of its own */
    sv_quota_limit min, max;
} sv_quota_rule;
typedef struct sv_quota_rules { sv_quota_rule *rules; size_t count; } sv_quota_rules;
/* Reads and checks the JSON of select.quotas; NULL: no rules. sv_recipe_quotas_free. */
sv_status sv_recipe_quotas(const char *json, sv_quota_rules *out, sv_error *err);
void sv_recipe_quotas_free(sv_quota_rules *q);
/* What a limit means in a selection of so many pairs: its count, or int(share × pairs); `none` where there is no limit. */
int64_t sv_quota_amount(const sv_quota_limit *limit, int64_t pairs, int64_t none);

typedef struct sv_export_settings {
    int format;               /* index into sv_export_formats */
    char *options;            /* JSON object for that exporter, defaults written out */
} sv_export_settings;

struct sv_recipe {
    char *path, *dir;         /* the file, and what its paths are relative to */
    char *name;               /* the file's name without its ending, unless given */
    int64_t seed;
    sv_captions_settings captions;
    sv_generate_settings generate;
    sv_score_settings score;
    sv_select_settings select;
    sv_export_settings *exports;
    size_t export_count;
    sv_error no_pictures;     /* why the recipe can only curate captions (sv_recipe_needs_pictures); status SV_OK: it can do all */
};

/* Whether the recipe has any use for a score: its weight, a limit, the ranking, or score.also. */
bool sv_recipe_uses(const sv_recipe *r, sv_term term);
/* Whether the number of pictures depends on their scores. */
bool sv_recipe_adaptive(const sv_recipe *r);
/* The shares of the steps between which guidance acts; 0 and 1 where nothing is said. False: guidance_interval is not what it must be. */
bool sv_recipe_guidance_interval(const sv_generate_settings *s, double *from, double *until);
/* The fractions of the steps at which half-drawn pictures are compared, ascending. Returns their number; -1: `at` is not what it must be. */
int sv_recipe_checks(const sv_prune_settings *prune, double out[SV_MOST_CHECKS]);
/* The score that `by` ranks by; SV_TERMS for weighted and random. */
sv_term sv_by_term(int by);
/* "weighted", "clip" … */
const char *sv_by_name(int by);

/* ---- the shape of a recipe: a tree of sections, each an option table plus nested sections. The reader, the checker, the written copy,
 * `synthvlm help recipe` and the docs all walk this tree. ---- */

typedef enum sv_section_kind { SV_SECTION_MAP = 1, SV_SECTION_LIST, SV_SECTION_EXPORTS } sv_section_kind;

typedef struct sv_section {
    const char *key;                     /* "generate"; "" for the whole recipe */
    sv_section_kind kind;
    const sv_option *options;            /* of the map, or of one item of the list; NULL: none */
    size_t offset;                       /* of the struct in the parent's struct; lists: of the pointer to the items */
    size_t count_offset, item_size;      /* lists: of their number in the parent's struct, and bytes of one item (also with plain) */
    const struct sv_section *children;   /* nested sections, ends with {0}; NULL: none */
    const char *plain;                   /* the option that a plain value in the map's place stands for (a number or a text); NULL: it must be a map.
                                            Lists: the option that a plain text in the place of an item, or of the whole list, stands for */
    bool optional;                       /* lists: may be left out or empty */
    const char *help;
} sv_section;

extern const sv_section sv_recipe_section;

/* What a recipe must know of an export format. The formats themselves live above, in stages/export, which fills in this table. */
typedef struct sv_export_format {
    const char *name, *help;
    const sv_option *options;            /* without the key `format` */
    size_t size;                         /* of the struct that the options describe */
} sv_export_format;
extern const sv_export_format *const sv_export_formats[];   /* ends with NULL */

/* Reads a recipe from memory: `name` stands for the file in errors, `dir` is what paths are relative to. */
sv_status sv_recipe_read(sv_recipe **out, const char *text, size_t size, const char *name, const char *dir, const char *const *sets, size_t n,
                         sv_error *err);

/* For the stages after curate: SV_E_RECIPE, with the place in the recipe, if it does not say where pictures come from. */
sv_status sv_recipe_needs_pictures(const sv_recipe *r, sv_error *err);

/* What the judge must at least give: the recipe's word, otherwise 0.5 for yes_no, 3 for score. */
double sv_recipe_judge_min(const sv_judge_recipe *judge);
/* The prompt file of the judge as text (malloc); NULL text if the recipe names none. SV_E_RECIPE under its key.
 * section: "captions.judge" or "score.judge_image". */
sv_status sv_recipe_judge_prompt(const sv_judge_recipe *judge, const char *section, char **text, sv_error *err);

/* ---- between the files of src/recipe ---- */

/* Checks what one key alone cannot tell (recipe_check.c). On failure err->what is the key's path, as in "score.ssim.low". */
sv_status sv_recipe_check(const sv_recipe *r, sv_error *err);
/* SV_E_RECIPE if nothing says where pictures come from: such a recipe can only curate captions. */
sv_status sv_recipe_check_pictures(const sv_recipe *r, sv_error *err);

/* recipe_balance.c: the concepts that balancing goes by, with their limits; index 0 is for captions without any. NULL concepts: the recipe names none. */
struct sv_concepts;
typedef struct sv_balance_plan {
    struct sv_concepts *concepts;
    int64_t *caps, *quotas;              /* -1: no cap; 0: no quota */
    size_t count;                        /* of both arrays: concepts and index 0 */
    bool limited;                        /* there is a cap or a quota at all */
} sv_balance_plan;
/* Reads lists and files. On failure err->what is the key's path. */
sv_status sv_recipe_balance(const sv_captions_settings *captions, sv_balance_plan *out, sv_error *err);
void sv_balance_plan_free(sv_balance_plan *plan);

/* recipe_select.c */
sv_status sv_recipe_check_quotas(const sv_recipe *r, sv_error *err);

/* recipe_judge.c */
sv_status sv_recipe_check_judge(const sv_judge_recipe *judge, const char *section, sv_error *err);

/* recipe_balance.c */
sv_status sv_recipe_check_balance(const sv_captions_settings *captions, sv_error *err);

/* recipe_process.c: the process list as JSON text. `node` is the list in the recipe (NULL: an empty list), checked only as far as needed to find the
 * parameters that name files; those are made relative to the working directory or absolute (dir: the recipe's). *out is malloc. */
struct sv_yaml;
sv_status sv_recipe_process_resolve(const struct sv_yaml *node, const char *dir, char **out, sv_error *err);
/* Adds the list under "process", with every default written out and files relative to dir. The list has passed sv_process_open. */
sv_status sv_recipe_process_write(const char *process, const char *dir, yyjson_mut_doc *doc, yyjson_mut_val *object, sv_error *err);

#endif
