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

#include "base/hash.h"
#include "base/str.h"
#include "ledger/ledger.h"
#include "recipe/recipe.h"

/* What is said about the run: only what can change the dataset, so that the same selection always gives the same bytes. */
typedef struct sv_export_setup {
    const char *stage;           /* "curate", "generate", "score", "select" */
    const char *sha256;          /* of the setup; NULL: none */
    const char *json;            /* the settings as a JSON object; NULL: none */
} sv_export_setup;
typedef struct sv_export_facts {
    const char *name;            /* the recipe's name */
    int64_t seed;                /* the run's seed: instructions are drawn from it */
    const char *run_dir;         /* what sv_pick.file is relative to; not said anywhere */
    const volatile int *stop;    /* polled between pairs (SV_E_STOPPED); may be NULL */
    const sv_export_setup *setups;
    size_t setup_count;
    const sv_share *shares;      /* captions by source, at each step; may be none */
    size_t share_count;
    const sv_mean *opinions;     /* what judges that did not rank say, over the eligible pictures and over the picks; may be none */
    size_t opinion_count;
} sv_export_facts;

typedef struct sv_export_report {
    int64_t pairs, files, bytes; /* files and bytes: all that the dataset directory holds */
    char digest[SV_SHA256_HEX];  /* of SHA256SUMS: equal digest, equal dataset */
} sv_export_report;

/* Begins the dataset `dir`/FORMAT ("dataset/llava"); dir is made if needed, and what an interrupted export left is removed. One writer at a time
 * (the run's lock). format, options: as in sv_export_settings. facts must outlive the dataset. */
typedef struct sv_export sv_export;
sv_status sv_export_open(sv_export **out, const char *dir, int format, const char *options, const sv_export_facts *facts, sv_error *err);
/* Adds the next pair; picks come in rank order, best first. Its image file is read and compared with pick->sha256: SV_E_INPUT if it is missing or is
 * not the one that was scored. */
sv_status sv_export_add(sv_export *x, const sv_pick *pick, sv_error *err);
/* Completes the dataset and puts it in place of an older one. report may be NULL. */
sv_status sv_export_finish(sv_export *x, sv_export_report *report, sv_error *err);
/* Frees; a dataset that was not finished is removed, the older one stays. */
void sv_export_close(sv_export **x);

/* Index of a format in sv_export_formats, -1 if there is none. */
int sv_export_find(const char *name);

/* ---- between export.c and the formats ---- */

/* The image file of a pair, read and checked. */
typedef struct sv_export_image {
    const char *path;            /* from here it can be linked */
    const char *bytes;
    size_t size;
    const char *extension;       /* "jpg", "png" or "webp", by content */
    char sha256[SV_SHA256_HEX];
} sv_export_image;

typedef struct sv_export_stream sv_export_stream;

/* A dataset that is being written. */
typedef struct sv_export_job {
    const char *dir;             /* where the files go: the directory beside the final one */
    const sv_export_facts *facts;
    const void *options;         /* the format's struct */
    sv_export_stream *sums;      /* SHA256SUMS */
    sv_buf details;              /* "key":value,… added by the format to dataset.json, each with a comma behind it */
    int64_t pairs, files, bytes;
} sv_export_job;

/* What a pair's caption is: the text that the image was drawn from, after the mappers of the process list, or the text as it came in. */
typedef enum sv_export_caption { SV_CAPTION_CLEANED, SV_CAPTION_ORIGINAL } sv_export_caption;
#define SV_EXPORT_CAPTION_OPTION(type) \
    {"caption", SV_OPT_CHOICE, offsetof(type, caption), "cleaned", .choices = "cleaned|original", \
     .help = "the caption after the mappers, or as it came in"}
const char *sv_export_caption_of(const sv_pick *pick, int caption);

/* What a format does. State is made by begin and freed by close, which is called in any case. */
typedef struct sv_exporter {
    sv_export_format format;
    const char *loading;         /* README.md: how to load it, Markdown */
    sv_status (*begin)(sv_export_job *job, void **state, sv_error *err);
    /* bytes: the image file's, already checked; extension: "jpg"… by content; rank counts from 0. */
    sv_status (*add)(sv_export_job *job, void *state, const sv_pick *pick, int64_t rank, const sv_export_image *image, sv_error *err);
    sv_status (*finish)(sv_export_job *job, void *state, sv_error *err);
    void (*close)(void *state);
} sv_exporter;

extern const sv_exporter sv_exporter_llava, sv_exporter_webdataset;

/* ---- files.c: the files of a dataset; names are relative to it, every file ends up in SHA256SUMS ---- */

/* Writes a whole small file. */
sv_status sv_export_file(sv_export_job *job, const char *name, const void *data, size_t size, sv_error *err);
/* The image file under a new name: a hard link where the file system can, otherwise a copy. */
sv_status sv_export_link(sv_export_job *job, const char *name, const sv_export_image *image, sv_error *err);
/* A file that is written in pieces, hashed on the way, and made durable at its end. */
sv_status sv_export_stream_open(sv_export_stream **out, const sv_export_job *job, const char *name, sv_error *err);
sv_status sv_export_stream_add(sv_export_stream *s, const void *data, size_t size, sv_error *err);
int64_t sv_export_stream_size(const sv_export_stream *s);
/* Ends the file and, if job is not NULL, puts it into its SHA256SUMS. sha256 may be NULL. */
sv_status sv_export_stream_end(sv_export_stream **s, sv_export_job *job, char sha256[SV_SHA256_HEX], sv_error *err);
void sv_export_stream_drop(sv_export_stream **s);

/* ---- describe.c: JSON about a pair ---- */

/* Appends a JSON string; NULL and "" are null. */
void sv_export_json_text(sv_buf *b, const char *s);
/* Appends the description of a pair, one JSON object without a line end. key: nine digits; caption: an sv_export_caption. docs/DATASETS.md lists the
 * members. */
void sv_export_describe(sv_buf *b, const char *key, const sv_pick *pick, int caption, const sv_export_image *image);

/* ---- card.c: what all datasets say about themselves ---- */

typedef struct sv_export_counts sv_export_counts;   /* licences, sources, score means of the pairs so far */
sv_export_counts *sv_export_counts_open(void);      /* NULL when memory runs out */
bool sv_export_counts_add(sv_export_counts *c, const sv_pick *pick);
void sv_export_counts_close(sv_export_counts **c);
/* Writes dataset.json and README.md. */
sv_status sv_export_cards(sv_export_job *job, const sv_exporter *format, const sv_export_counts *counts, sv_error *err);

#endif
