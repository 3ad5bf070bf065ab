/* dataset.h - finished datasets: checking one, ours or someone else's, without knowing how it was made.
 *
 * Understood are LLaVA's JSON with a folder of images, WebDataset shards (tar, also compressed, with or without pax headers), and any
 * directory with a SHA256SUMS. Formats and faults: docs/DATASETS.md.
 */
#ifndef SYNTHVLM_DATASET_H
#define SYNTHVLM_DATASET_H

#include "synthvlm/log.h"
#include "synthvlm/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What can be wrong. The order is that of reports; names and explanations: sv_fault_name, sv_fault_help. */
typedef enum sv_fault {
    SV_FAULT_MANIFEST,       /* SHA256SUMS or dataset.json cannot be read, or tells another number of pairs */
    SV_FAULT_MISSING_FILE,   /* listed in SHA256SUMS, not there */
    SV_FAULT_HASH,           /* another content than SHA256SUMS says */
    SV_FAULT_STRAY_FILE,     /* not listed in SHA256SUMS */
    SV_FAULT_JSON,           /* JSON that is broken or is something else than expected */
    SV_FAULT_ARCHIVE,        /* a shard that is cut short or damaged */
    SV_FAULT_DUPLICATE,      /* an id or key that is there twice */
    SV_FAULT_TURNS,          /* not exactly one human and one gpt turn */
    SV_FAULT_IMAGE_TOKEN,    /* not exactly one <image>, in the human turn */
    SV_FAULT_PATH,           /* an image path that is absolute or leads outside */
    SV_FAULT_MISSING_IMAGE,  /* a pair without its image */
    SV_FAULT_BROKEN_IMAGE,   /* an image that does not decode to its end, or is not the one that its pair describes */
    SV_FAULT_CAPTION,        /* no caption, an empty one, or one that is not valid UTF-8 */
    SV_FAULT_COUNT
} sv_fault;
const char *sv_fault_name(sv_fault fault);   /* "broken_image": stable, for scripts */
const char *sv_fault_help(sv_fault fault);   /* one line */

#define SV_FAULTS_NAMED 5                    /* so many of each kind are named in a report */

typedef struct sv_fault_place {
    char where[256];                         /* file, or file and entry */
    char why[256];
} sv_fault_place;

typedef struct sv_verify_report {
    char format[16];                         /* "llava", "webdataset", "files" (a SHA256SUMS and nothing else that is known) */
    int64_t pairs, images, files, bytes;     /* pairs found; images decoded; files and bytes read */
    int64_t faults, count[SV_FAULT_COUNT];   /* all; of each kind */
    sv_fault_place named[SV_FAULT_COUNT][SV_FAULTS_NAMED];   /* the first of each kind, in the dataset's order */
} sv_verify_report;

typedef struct sv_verify_options {
    unsigned threads;                        /* that hash and decode; 0: all cores */
    const volatile int *stop;                /* polled; SV_E_STOPPED. May be NULL */
    const char *images;                      /* where the images of a LLaVA file lie; NULL: images/ beside it, or beside it */
} sv_verify_options;

/* Checks a dataset: a directory, a LLaVA JSON file, or a shard. o may be NULL. SV_OK: no fault; SV_SHORT: faults, which the report holds (err says how
 * many); SV_E_INPUT: not a dataset, or it cannot be read at all. The report is filled in for SV_OK and SV_SHORT; nothing in it needs freeing. */
sv_status sv_verify(const char *path, const sv_verify_options *o, sv_verify_report *report, sv_error *err);

#ifdef __cplusplus
}
#endif
#endif
