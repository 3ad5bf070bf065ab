/* rundir.h - the run directory from the inside: lock, folders, recipe copy, log of events, setups; and the stages on an open one, so that
 * `run` holds the lock from its first stage to its last. Public faces: synthvlm/run.h, synthvlm/stages.h.
 *
 *     recipe.yaml  lock  ledger.sqlite  tmp/  images/<setup>/00000/000000012-2.jpg  dataset/<format>/  run.log
 */
#ifndef SV_STAGES_RUNDIR_H
#define SV_STAGES_RUNDIR_H

#include "base/log.h"
#include "base/str.h"
#include "ledger/ledger.h"
#include "recipe/recipe.h"
#include "synthvlm/run.h"

/* An open run directory; belongs to one thread. The recipe belongs to the caller and must outlive it. */
typedef struct sv_rundir {
    char *dir, *tmp;             /* the directory; its tmp/, empty when the directory was opened */
    int lock_fd, log_fd;
    const sv_recipe *recipe;
    sv_ledger *ledger;
    sv_stage_options o;
} sv_rundir;

/* Opens for writing: makes the directory if needed, takes the lock (SV_E_BUSY names host and pid of who has it), empties tmp/, opens the ledger
 * and puts the recipe's copy in place. A directory that holds other things and no ledger is refused. o NULL: defaults. */
sv_status sv_rundir_open(sv_rundir **out, const char *dir, const sv_recipe *r, const sv_stage_options *o, sv_error *err);
void sv_rundir_close(sv_rundir **run);

/* True once the caller's stop flag is set. */
bool sv_rundir_stopping(const sv_rundir *run);
/* SV_E_STOPPED with the text that says how to go on. */
sv_status sv_rundir_stopped(const sv_rundir *run, const char *stage, sv_error *err);
void sv_rundir_progress(const sv_rundir *run, const char *stage, int64_t done, int64_t total, int64_t failed);

/* One line of run.log: {"time": "…Z", "pid": n, "event": event, fields…}. The log is talk, not truth: a line that cannot be written is dropped. */
typedef struct sv_field {
    const char *name;
    enum { SV_FIELD_INT, SV_FIELD_REAL, SV_FIELD_TEXT } type;
    int64_t i;
    double r;
    const char *s;
} sv_field;
#define SV_INT(n, v) {.name = (n), .type = SV_FIELD_INT, .i = (v)}
#define SV_REAL(n, v) {.name = (n), .type = SV_FIELD_REAL, .r = (v)}
#define SV_TEXT(n, v) {.name = (n), .type = SV_FIELD_TEXT, .s = (v)}
void sv_rundir_event(const sv_rundir *run, const char *event, const sv_field *fields, size_t n);

/* Registers the setup of a stage (sv_ledger_setup) without making it current (sv_ledger_use does); when it is new while another one is current,
 * says so through the log and run.log, with both hashes. */
sv_status sv_rundir_setup(sv_rundir *run, sv_stage stage, const char *name, const char *json, sv_setup *out, sv_error *err);

/* "images/<first 8 digits of hash>/00000/000000012-2.jpg", relative to the run directory, into buf of SV_IMAGE_NAME bytes. */
#define SV_IMAGE_NAME 80
void sv_image_name(char buf[SV_IMAGE_NAME], const char *hash, int64_t number, int k, const char *extension);

/* Compares the size of every image file of a generate setup with its row. A file that is gone or has another size is named through the log and
 * its row forgotten, so that the next generate makes it again; *lost counts them. deep: reads and hashes every file too. (files.c) */
sv_status sv_rundir_check_files(sv_rundir *run, int64_t generate, bool deep, int64_t *lost, sv_error *err);

/* ---- stages on an open directory ---- */
typedef struct sv_ingest_report { int64_t sources, skipped, added, repeated, faults; } sv_ingest_report;
sv_status sv_ingest(sv_rundir *run, sv_ingest_report *report, sv_error *err);                /* all sources of the recipe */
sv_status sv_curate(sv_rundir *run, sv_curate_report *report, sv_error *err);                /* ingest, verdicts, sample */
sv_status sv_select(sv_rundir *run, sv_select_report *report, sv_error *err);

/* ---- reading a run directory without a lock ---- */

/* Opens the ledger of a directory to read. A directory without one is SV_E_INPUT. */
sv_status sv_rundir_read(const char *dir, sv_ledger **ledger, sv_error *err);
/* Who holds the lock: true and host, pid filled in if somebody does. */
typedef struct sv_holder { char host[256]; long pid; } sv_holder;
bool sv_rundir_holder(const char *dir, sv_holder *out);

#endif
