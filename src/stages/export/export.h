/* export.h - writing a selection as a dataset: one row per format in the table of export.c, one file per format.
 *
 * A dataset directory is written beside its final place and renamed into it when complete: a reader sees the old dataset or the whole
 * new one. Its bytes follow from the picks, the facts and the options alone: no times, no host, no order of work. Every dataset has
 *     dataset.json   what it is: name, format, counts, licences, scores, settings
 *     README.md      the same for people
 *     SHA256SUMS     every other file's SHA-256, in the form that `sha256sum -c` reads
 * beside the files of its format (docs/DATASETS.md).
 */
#ifndef SV_STAGES_EXPORT_H
#define SV_STAGES_EXPORT_H

#include "base/str.h"
#include "recipe/recipe.h"

typedef struct sv_named_score {
    const char *name;            /* "clip", "ssim", "weighted" */
    double value;
} sv_named_score;

/* One pair of the selection. Strings belong to whoever made it and are read only during the call. */
typedef struct sv_pick {
    int64_t number;              /* the caption's number; with k it names the candidate "000000012-2" */
    const char *id, *text;       /* the caption's id, and its text as it was given */
    int64_t k;
    uint64_t seed;
    const char *image;           /* path of the image file, complete or relative to the working directory */
    const char *sha256;          /* of that file, 64 hex digits: a file with another content is refused. NULL: taken as it is */
    int width, height;
    const sv_named_score *scores;
    size_t score_count;
    const char *source, *license;   /* NULL: not known */
} sv_pick;

/* Gives the next pick in selection order, best first; sets *end instead when there is none. */
typedef sv_status (*sv_next_pick)(void *user, sv_pick *pick, bool *end, sv_error *err);

/* What is said about the run: only what can change the dataset, so that the same selection always gives the same bytes. */
typedef struct sv_export_setup {
    const char *stage;           /* "curate", "generate", "score", "select" */
    const char *sha256;          /* of the setup; NULL: none */
    const char *json;            /* the settings as a JSON object; NULL: none */
} sv_export_setup;
typedef struct sv_export_facts {
    const char *name;            /* the recipe's name */
    int64_t seed;                /* the run's seed: instructions are drawn from it */
    const sv_export_setup *setups;
    size_t setup_count;
} sv_export_facts;

typedef struct sv_export_report {
    int64_t pairs, files, bytes; /* files and bytes: all that the dataset directory holds */
} sv_export_report;

/* Writes the dataset `dir`/FORMAT ("dataset/llava"); dir is made if needed, an older dataset of the format is replaced at the end. One writer at
 * a time (the run's lock). format, options: as in sv_export_settings. stop: polled between pairs, may be NULL. report may be NULL.
 * SV_E_INPUT: a picked image is missing or is not the one that was scored. */
sv_status sv_export_dataset(const char *dir, int format, const char *options, const sv_export_facts *facts, sv_next_pick next, void *user,
                            const volatile int *stop, sv_export_report *report, sv_error *err);

/* Index of a format in sv_export_formats, -1 if there is none. */
int sv_export_find(const char *name);

/* ---- between export.c and the formats ---- */

/* A dataset that is being written. */
typedef struct sv_export_job {
    const char *dir;             /* where the files go: the directory beside the final one */
    const sv_export_facts *facts;
    const void *options;         /* the format's struct */
    sv_buf sums;                 /* lines of SHA256SUMS so far */
    sv_buf details;              /* ,"key":value… added by the format to dataset.json */
    int64_t pairs, files, bytes;
} sv_export_job;

/* What a format does. State is made by begin and freed by close, which is called in any case. */
typedef struct sv_exporter {
    sv_export_format format;
    const char *loading;         /* README.md: how to load it, Markdown */
    sv_status (*begin)(sv_export_job *job, void **state, sv_error *err);
    sv_status (*add)(sv_export_job *job, void *state, const sv_pick *pick, const char *bytes, size_t size, sv_error *err);
    sv_status (*finish)(sv_export_job *job, void *state, sv_error *err);
    void (*close)(void *state);
} sv_exporter;

extern const sv_exporter sv_exporter_llava, sv_exporter_webdataset;

/* "jpg", "png" or "webp" by the content of an image file; NULL for anything else. */
const char *sv_export_extension(const char *bytes, size_t size);
/* Says that `name` (relative to the dataset) was written. */
void sv_export_note(sv_export_job *job, const char *name, const char sha256[65], int64_t bytes);
/* Appends a JSON string, or null. */
void sv_export_json_text(sv_buf *b, const char *s);
/* Appends the members of a pair's description, without braces: "key":"000000000","id":…,"caption":…,"candidate":…,"seed":…,"scores":{…}… */
void sv_export_describe(sv_buf *b, int64_t rank, const sv_pick *pick, const char *sha256);

#endif
