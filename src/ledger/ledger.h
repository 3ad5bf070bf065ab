/* ledger.h - the one record of a run: captions, verdicts, candidates, scores, selections. SQL lives in src/ledger/ only.
 *
 * The ledger is DIR/ledger.sqlite (SQLite, write-ahead log, synchronous=FULL; on network file systems rollback journal and exclusive
 * locking). Tables, columns and views are described in docs/LEDGER.md; src/ledger/schema.c is the definition.
 *
 * Rules
 * - One writer at a time. The run directory's lock (stages/rundir.h) guards that, not the ledger. Readers work while a writer works.
 * - A handle belongs to one thread at a time. Open one per thread that reads.
 * - Everything that changes rows is called between sv_ledger_begin and sv_ledger_commit, so that a batch is there as a whole or not at
 *   all; a function of this header that fails leaves the transaction to be rolled back (sv_ledger_rollback, also done by close).
 *   Functions marked [own] make their own transaction and are called outside one.
 * - Rows are keyed by the caption's number (given at ingest, from 1, in order, never reused), the candidate's k (0, 1, 2 …) and by
 *   setups: small integers that stand for a canonical JSON text of everything that can change a stage's result.
 * - Text handed out belongs to the batch object or, in callbacks, to the ledger until the callback returns.
 * - Errors: SV_E_IO disk full or unreadable (nothing committed is lost), SV_E_INPUT not a ledger, damaged, or written by a newer
 *   version, SV_E_BUSY somebody else holds it, SV_E_INTERNAL a broken promise.
 */
#ifndef SV_LEDGER_LEDGER_H
#define SV_LEDGER_LEDGER_H

#include "base/error.h"
#include "base/hash.h"

typedef struct sv_ledger sv_ledger;

/* ---- open, close, transactions (ledger.c) ---- */

typedef enum sv_ledger_mode {
    SV_LEDGER_READ = 0,       /* must exist; nothing is changed */
    SV_LEDGER_WRITE = 1,      /* made if missing */
    SV_LEDGER_NETWORK = 2     /* or-ed in: treat the file system as a network one even if statfs does not say so */
} sv_ledger_mode;

sv_status sv_ledger_open(sv_ledger **out, const char *path, int mode, sv_error *err);
/* Rolls back what was begun, checkpoints (a clean close leaves ledger.sqlite complete on its own) and closes; sets NULL.
 * A checkpoint that a full disk prevents loses nothing: the log stays and the next open uses it. */
void sv_ledger_close(sv_ledger **l);
/* True if this ledger runs without a write-ahead log because it lies on a network file system. */
bool sv_ledger_on_network(const sv_ledger *l);

sv_status sv_ledger_begin(sv_ledger *l, sv_error *err);       /* BEGIN IMMEDIATE */
sv_status sv_ledger_commit(sv_ledger *l, sv_error *err);      /* durable when it returns SV_OK; on failure already rolled back */
void sv_ledger_rollback(sv_ledger *l);                        /* nothing to do outside a transaction */
/* One view of the ledger for many questions, ended by sv_ledger_rollback: all see the same rows, and none pays for a lock of its own. */
sv_status sv_ledger_begin_read(sv_ledger *l, sv_error *err);

/* ---- setups (setups.c) ---- */

typedef enum sv_stage {
    SV_STAGE_CURATE, SV_STAGE_SAMPLE, SV_STAGE_GENERATE, SV_STAGE_SCORE,
    SV_STAGE_JUDGE, SV_STAGE_CONCEPTS, SV_STAGE_ROUNDS, SV_STAGE_JUDGE_IMAGE, SV_STAGE_COUNT
} sv_stage;
const char *sv_stage_name(sv_stage stage);                    /* "curate" … */

typedef struct sv_setup {
    int64_t id;                    /* 0: none */
    char hash[SV_SHA256_HEX];      /* SHA-256 of the canonical JSON; its first 8 digits name the image folder of a generate setup */
    char name[32];                 /* score: the scorer ("clip", "ssim"); otherwise "" */
    bool is_new;                   /* this call made the row */
} sv_setup;

/* [own] The setup of a JSON text (made canonical here: key order and spacing do not matter). Score stages have one setup per scorer, so that a
 * new prefix for CLIPScore does not cost a new SSIMScore: `name` says which ("" for other stages). The same JSON always gives the same row. */
sv_status sv_ledger_setup(sv_ledger *l, sv_stage stage, const char *name, const char *json, sv_setup *out, sv_error *err);

/* [own] Makes exactly these setups the current ones of the stage (score: one per scorer). What later stages, `select` and `status` use. */
sv_status sv_ledger_use(sv_ledger *l, sv_stage stage, const int64_t *setups, size_t n, sv_error *err);

/* The current setup of a stage; out->id is 0 if there is none yet. For SV_STAGE_SCORE with the scorer's name. */
sv_status sv_ledger_current(sv_ledger *l, sv_stage stage, const char *name, sv_setup *out, sv_error *err);
#define SV_MAX_SCORERS 16
/* All current score setups in order of name. */
sv_status sv_ledger_current_scores(sv_ledger *l, sv_setup out[SV_MAX_SCORERS], size_t *n, sv_error *err);
/* The hash of a setup. */
sv_status sv_ledger_setup_hash(sv_ledger *l, int64_t setup, char hash[SV_SHA256_HEX], sv_error *err);
/* The JSON of a setup (malloc; the caller frees). */
sv_status sv_ledger_setup_json(sv_ledger *l, int64_t setup, char **json, sv_error *err);

/* ---- captions (captions.c) ---- */

/* One read-in of one source. `sha256` is of the file's bytes; `reading` is the canonical JSON of how it was read (format, fields, origin), so
 * that the same file read with a corrected field name is another source. */
typedef struct sv_source {
    int64_t id;
    char sha256[SV_SHA256_HEX];
    int64_t size, mtime_ns;        /* of the file when it was hashed; what makes a second hash needless */
    bool complete;                 /* every row is in */
    int64_t rows;                  /* rows dealt with so far, bad ones included: where an interrupted ingest goes on */
    int64_t added, repeated, faults;   /* of these: new captions; same id and text as an earlier one; recorded as ingest_faults */
} sv_source;

/* Looks a source up by content (sha256) or, with sha256 NULL, by path, size and mtime. out->id 0: not known. */
sv_status sv_ledger_find_source(sv_ledger *l, const char *sha256, const char *path, int64_t size, int64_t mtime_ns, const char *reading,
                                sv_source *out, sv_error *err);
/* The newest complete read-in of a path ("-": standard input) with this reading, whatever bytes it had; out->id 0: none. */
sv_status sv_ledger_find_path(sv_ledger *l, const char *path, const char *reading, sv_source *out, sv_error *err);
/* Adds a source; s: sha256, size, mtime_ns filled in; id comes back. Within a transaction. */
sv_status sv_ledger_add_source(sv_ledger *l, sv_source *s, const char *path, const char *reading, sv_error *err);
/* Writes back the counters and `complete`. In the same transaction as the rows that they count. */
sv_status sv_ledger_update_source(sv_ledger *l, const sv_source *s, sv_error *err);
/* Remembers another path, size and mtime of a source already in. */
sv_status sv_ledger_touch_source(sv_ledger *l, int64_t source, const char *path, int64_t size, int64_t mtime_ns, sv_error *err);

typedef enum sv_added { SV_ADDED, SV_ADDED_SAME, SV_ADDED_OTHER } sv_added;   /* new; id and text known; id known with another text */
typedef struct sv_caption_row {
    const char *id, *text;         /* valid UTF-8 without NUL */
    size_t id_size, text_size;
    int64_t source, line;          /* line: from 1; of arrays the index from 1 */
    const char *origin, *license;  /* "" : not stated */
} sv_caption_row;
sv_status sv_ledger_add_caption(sv_ledger *l, const sv_caption_row *row, sv_added *what, int64_t *number, sv_error *err);
sv_status sv_ledger_add_fault(sv_ledger *l, int64_t source, int64_t line, const char *reason, const char *detail, sv_error *err);
sv_status sv_ledger_caption_count(sv_ledger *l, int64_t *count, sv_error *err);
/* The number of the caption with this id, 0 if there is none. */
sv_status sv_ledger_caption_number(sv_ledger *l, const char *id, int64_t *number, sv_error *err);

/* Captions in number order, in pieces: `after` is the last number of the piece before (0 at first); count 0 at the end. */
typedef struct sv_caption_item {
    int64_t number;
    const char *id, *text;
    size_t size;                   /* of text */
} sv_caption_item;
typedef struct sv_caption_batch {  /* zero-initialise, reuse, sv_caption_batch_free */
    sv_caption_item *items;
    size_t count, capacity;
    struct sv_arena_block *memory;
} sv_caption_batch;
void sv_caption_batch_free(sv_caption_batch *b);
sv_status sv_ledger_read_captions(sv_ledger *l, int64_t after, size_t limit, sv_caption_batch *out, sv_error *err);

/* ---- captions that come with a picture (pictures.c) ---- */

/* Notes the picture of a caption: its name within the folder of a source. The last one said counts. */
sv_status sv_ledger_put_picture(sv_ledger *l, int64_t number, int64_t source, const char *name, sv_error *err);
/* [own] Where the pictures of a source lie: relative to the run directory, or absolute. Nothing is written if it is known already. */
sv_status sv_ledger_put_picture_folder(sv_ledger *l, int64_t source, const char *folder, sv_error *err);
/* Pictures of the captions after .. upto, in order; folder and name live until the callback returns. An older ledger has none. */
typedef sv_status (*sv_picture_fn)(void *user, int64_t number, const char *folder, const char *name, sv_error *err);
sv_status sv_ledger_each_picture(sv_ledger *l, int64_t after, int64_t upto, sv_picture_fn fn, void *user, sv_error *err);
sv_status sv_ledger_picture_count(sv_ledger *l, int64_t *count, sv_error *err);

/* What a filter has measured of a caption's picture under a setup (SV_STAGE_CURATE with the statistic as its name). key: a hash of what was measured. */
sv_status sv_ledger_put_picture_stat(sv_ledger *l, int64_t setup, int64_t number, int64_t key, double value, sv_error *err);
typedef sv_status (*sv_picture_stat_fn)(void *user, int64_t number, int64_t key, double value, sv_error *err);
sv_status sv_ledger_each_picture_stat(sv_ledger *l, int64_t setup, int64_t after, int64_t upto, sv_picture_stat_fn fn, void *user, sv_error *err);

/* ---- verdicts and the sample (verdicts.c) ---- */

typedef struct sv_verdict {
    int64_t number;
    bool keep;
    const char *rule;              /* the operator that rejected it; NULL if kept */
    double value, min, max;        /* NaN: none */
    int64_t duplicate_of;          /* -1: none */
    const char *text;              /* the text after the mappers; NULL if they changed nothing */
    size_t text_size;
    const char *stats;             /* JSON object of the statistics; NULL if there are none */
    const char *detail;            /* what goes with the number: a language, the benchmark's text that is repeated; NULL: nothing */
} sv_verdict;
/* Adds a verdict. replace false: one that is already there stays (then nothing happens). */
sv_status sv_ledger_add_verdict(sv_ledger *l, int64_t curate, const sv_verdict *v, bool replace, sv_error *err);
sv_status sv_ledger_verdict_counts(sv_ledger *l, int64_t curate, int64_t *judged, int64_t *kept, sv_error *err);
/* The highest number up to which every caption has a verdict. */
sv_status sv_ledger_judged_up_to(sv_ledger *l, int64_t curate, int64_t *number, sv_error *err);
/* Kept captions in number order (text: after the mappers), in pieces. */
sv_status sv_ledger_read_kept(sv_ledger *l, int64_t curate, int64_t after, size_t limit, sv_caption_batch *out, sv_error *err);

/* [own] Replaces the sample of a setup by these numbers (ascending). Nothing is written if they are there already. NULL: every kept caption. */
sv_status sv_ledger_set_sample(sv_ledger *l, int64_t sample, int64_t curate, const int64_t *numbers, size_t n, sv_error *err);
sv_status sv_ledger_sample_count(sv_ledger *l, int64_t sample, int64_t *count, sv_error *err);

/* ---- the judge's answers (judgements.c) ---- */

#define SV_TEXT_HASH 32
/* What a judge setup's model said about a text. Filed by the text's SHA-256, so that no text is asked about twice under the same setup, whatever
 * captions have it and whatever the process list is. */
typedef struct sv_judgement_row {
    const uint8_t *text;           /* SV_TEXT_HASH bytes */
    const char *outcome;           /* answered | unclear | failed */
    const char *answer;            /* NULL: none */
    const char *detail;            /* failed: why */
    double value, p_yes;           /* NaN: none */
    int64_t tokens_in, tokens_out, requests;
} sv_judgement_row;
sv_status sv_ledger_add_judgement(sv_ledger *l, int64_t judge, const sv_judgement_row *row, sv_error *err);
/* The id of the answer about a text; 0: it has not been asked. */
/* The value of an answer, NaN if it is unclear or failed. *found false: it has not been asked. */
sv_status sv_ledger_judgement_value(sv_ledger *l, int64_t judge, const uint8_t text[SV_TEXT_HASH], double *value, bool *found, sv_error *err);
sv_status sv_ledger_find_judgement(sv_ledger *l, int64_t judge, const uint8_t text[SV_TEXT_HASH], int64_t *id, sv_error *err);
/* Notes which answer is a caption's under the curate setup. */
sv_status sv_ledger_link_judgement(sv_ledger *l, int64_t curate, int64_t number, int64_t judgement, sv_error *err);
/* Makes the verdicts of `curate` for the captions after .. upto from those of `rules` and the linked answers: what the rules rejected stays rejected; of
 * the rest, answers of at least min are kept; the others are rejected by llm_judge, llm_judge_unclear or llm_judge_failed. Replaces what was there. */
sv_status sv_ledger_judge_verdicts(sv_ledger *l, int64_t curate, int64_t rules, double min, int64_t after, int64_t upto, sv_error *err);
/* Forgets the links of the captions after .. upto. */
sv_status sv_ledger_unlink_judgements(sv_ledger *l, int64_t curate, int64_t after, int64_t upto, sv_error *err);

typedef struct sv_judge_cost { int64_t texts, unclear, failed, requests, tokens_in, tokens_out; } sv_judge_cost;
/* What a judge setup has cost so far; all 0 if there is nothing. */
sv_status sv_ledger_judge_cost(sv_ledger *l, int64_t judge, sv_judge_cost *out, sv_error *err);

/* ---- concepts and balance (concepts.c) ---- */

/* The concepts of the captions that a curation kept, under a setup of the stage `concepts`. A concept is a number from 1; 0 stands for captions without
 * any, so that every caption that was looked at has at least one row. Writers are called within a transaction. */
sv_status sv_ledger_put_concepts_of(sv_ledger *l, int64_t setup, int64_t number, const uint32_t *concepts, size_t n, sv_error *err);
/* Forgets those of the captions after .. upto. */
sv_status sv_ledger_clear_concepts(sv_ledger *l, int64_t setup, int64_t after, int64_t upto, sv_error *err);
/* The highest caption number that has been looked at; 0: none. */
sv_status sv_ledger_concepts_up_to(sv_ledger *l, int64_t setup, int64_t *number, sv_error *err);
/* Name of a concept ("" for 0) and how many captions have it. */
sv_status sv_ledger_put_concept(sv_ledger *l, int64_t setup, int64_t concept, const char *name, int64_t captions, sv_error *err);
/* All concepts of a setup, 0 included, in order. The setup in force: sv_ledger_current(l, SV_STAGE_CONCEPTS, "", ...); id 0: the recipe names no concepts. */
typedef sv_status (*sv_concept_fn)(void *user, int64_t concept, const char *name, int64_t captions, sv_error *err);
sv_status sv_ledger_each_concept(sv_ledger *l, int64_t setup, sv_concept_fn fn, void *user, sv_error *err);
/* Every (caption, concept) of the captions after .. upto, in order; (number, 0) for one without any. Streams; fn must not change the ledger. */
typedef sv_status (*sv_caption_concept_fn)(void *user, int64_t number, int64_t concept, sv_error *err);
sv_status sv_ledger_each_caption_concept(sv_ledger *l, int64_t setup, int64_t after, int64_t upto, sv_caption_concept_fn fn, void *user, sv_error *err);
/* The concepts of one caption, ascending, without 0. Zero-initialise, reuse, free(list). */
typedef struct sv_concept_numbers { int64_t *list; size_t count, capacity; } sv_concept_numbers;
sv_status sv_ledger_concepts_of(sv_ledger *l, int64_t setup, int64_t number, sv_concept_numbers *out, sv_error *err);

/* Makes the verdicts of `curate`, and which answers of the judge belong to them, for the captions after .. upto equal to those of `from`. */
sv_status sv_ledger_copy_verdicts(sv_ledger *l, int64_t curate, int64_t from, int64_t after, int64_t upto, sv_error *err);
/* Rejects a caption whose verdict says keep: rule `balance`, detail the concept that decided, value how many captions have it, max its cap. */
sv_status sv_ledger_reject_balanced(sv_ledger *l, int64_t curate, int64_t number, const char *concept, int64_t count, int64_t cap, sv_error *err);
/* What balancing was told about a concept and what it kept. cap -1: none; quota 0: none. */
sv_status sv_ledger_put_balance(sv_ledger *l, int64_t curate, int64_t concept, int64_t cap, int64_t quota, int64_t kept, sv_error *err);
/* The concepts in force, the most frequent first, `limit` of them (-1: all). */
typedef struct sv_concept_row { const char *name; int64_t captions, cap, quota, kept; } sv_concept_row;
typedef sv_status (*sv_concept_table_fn)(void *user, const sv_concept_row *row, sv_error *err);
sv_status sv_ledger_concept_table(sv_ledger *l, int64_t limit, sv_concept_table_fn fn, void *user, sv_error *err);

/* ---- candidates and scores (candidates.c) ---- */

/* The setups that say which captions are to be drawn: the curation whose texts are used and the sample. */
typedef struct sv_scope { int64_t curate, sample; } sv_scope;
/* The current sample and, by the hash that its setup's JSON has under "curate", the curation it was drawn from; SV_E_INPUT with a hint if the captions
 * have not been curated yet. */
sv_status sv_ledger_scope(sv_ledger *l, sv_scope *out, sv_error *err);

/* How many candidates a caption is to have. */
typedef struct sv_quota {
    int want;                      /* good or pruned ones */
    int retries;                   /* more where some failed */
    int64_t rounds;                /* a setup of rounds, 0: none. Captions that stopped under it want what they were given in their last round */
} sv_quota;

typedef struct sv_have { int k; bool ok, pruned; } sv_have;   /* a candidate that is there; neither: it failed */
/* What a half-drawn picture was worth after so many model calls; NaN: not finite. */
typedef struct sv_preview { int k, calls; double value; } sv_preview;
typedef struct sv_draw_item {
    int64_t number;
    const char *id, *text;         /* text after the mappers */
    size_t size;                   /* of text */
    const sv_have *have;           /* its candidates under the generate setup, by k */
    size_t have_count;
    int want;                      /* by the quota */
    const sv_preview *previews;    /* by k and calls, also of candidates that were forgotten */
    size_t preview_count;
} sv_draw_item;
typedef struct sv_draw_batch {     /* zero-initialise, reuse, sv_draw_batch_free */
    sv_draw_item *items;
    size_t count, capacity;
    struct sv_arena_block *memory;
} sv_draw_batch;
void sv_draw_batch_free(sv_draw_batch *b);
/* The next captions of the sample, in number order after `after`, that still need candidates: fewer than `want` good or pruned ones,
 * and fewer than want + retries in all. At most `limit`; count 0 at the end. The k to draw next is the lowest that is not in `have`. */
sv_status sv_ledger_to_draw(sv_ledger *l, sv_scope scope, int64_t generate, sv_quota quota, int64_t after, size_t limit, sv_draw_batch *out, sv_error *err);
/* How many candidates are still to be made if none fails: sum over the sample of max(0, want - those there that did not fail), bounded as above. */
sv_status sv_ledger_draw_count(sv_ledger *l, sv_scope scope, int64_t generate, sv_quota quota, int64_t *count, sv_error *err);

#define SV_NO_SEED UINT64_MAX        /* a picture that was not drawn: the one that its caption came with. In the ledger -1 */
typedef struct sv_candidate {
    int64_t number;
    int k;
    uint64_t seed;
    bool ok, pruned;               /* neither: failed */
    const char *reason, *detail;   /* pruned: only the detail. Failed: a short stable word ("not_finite"), and what happened; NULL if ok */
    const char *file;              /* relative to the run directory; NULL if failed */
    int64_t bytes;
    const char *sha256;            /* 64 hex digits; NULL if failed */
    int width, height;
    int64_t tokens_cut;            /* content tokens of the caption that did not fit the text encoders */
} sv_candidate;
sv_status sv_ledger_add_candidate(sv_ledger *l, int64_t generate, const sv_candidate *c, sv_error *err);
sv_status sv_ledger_add_preview(sv_ledger *l, int64_t generate, int64_t number, const sv_preview *p, sv_error *err);
/* value NaN or infinite is kept as "not finite": such a candidate is not eligible, and is not scored again. */
sv_status sv_ledger_add_score(sv_ledger *l, int64_t score, int64_t generate, int64_t number, int k, double value, sv_error *err);
/* Wall time that one candidate cost in a stage; the finish time is taken now. Kept apart: never in `stable`. */
sv_status sv_ledger_add_timing(sv_ledger *l, sv_stage stage, int64_t number, int k, double seconds, sv_error *err);

typedef struct sv_file_item {
    int64_t number;
    int k;
    const char *id, *text;         /* of the caption; text after the mappers. sv_ledger_read_files leaves them NULL */
    const char *file, *sha256;
    int64_t bytes;
    int width, height;
    uint32_t missing;              /* bit i: no row under the i-th score setup asked for */
} sv_file_item;
typedef struct sv_file_batch {     /* zero-initialise, reuse, sv_file_batch_free */
    sv_file_item *items;
    size_t count, capacity;
    struct sv_arena_block *memory;
} sv_file_batch;
void sv_file_batch_free(sv_file_batch *b);
/* Good candidates of sampled captions that lack a row under any of n <= SV_MAX_SCORERS score setups, after (number, k), in order; first call
 * with (0, 0) and k = -1. */
sv_status sv_ledger_to_score(sv_ledger *l, sv_scope scope, int64_t generate, const int64_t *scores, size_t n, int64_t after_number, int after_k,
                             size_t limit, sv_file_batch *out, sv_error *err);
/* One good candidate with its file, caption and text, as the only item of out. SV_E_INTERNAL if it is not there. */
sv_status sv_ledger_read_file(sv_ledger *l, sv_scope scope, int64_t generate, int64_t number, int k, sv_file_batch *out, sv_error *err);
/* One score. *found false: there is no row; *value NaN: it is not finite. */
sv_status sv_ledger_find_score(sv_ledger *l, int64_t setup, int64_t generate, int64_t number, int k, double *value, bool *found, sv_error *err);
sv_status sv_ledger_score_count(sv_ledger *l, sv_scope scope, int64_t generate, const int64_t *scores, size_t n, int64_t *count, sv_error *err);
/* Every good candidate of a generate setup with its file, in order, in pieces as above: for checks of the files. */
sv_status sv_ledger_read_files(sv_ledger *l, int64_t generate, int64_t after_number, int after_k, size_t limit, sv_file_batch *out, sv_error *err);
/* Forgets a candidate and its scores, because its file is gone or damaged: it is made again, with the same bytes, by the next generate.
 * Picks that name it stay, since the same picture comes back. Exports with it are forgotten too: a dataset's image can be the same file
 * under a second name (a hard link), and then is as damaged. */
sv_status sv_ledger_forget_failed(sv_ledger *l, int64_t generate, sv_error *err);      /* every failed candidate of a setup */
sv_status sv_ledger_forget_candidate(sv_ledger *l, int64_t generate, int64_t number, int k, sv_error *err);

/* ---- rounds: where the number of candidates follows their scores (rounds.c; decided in stages/draw/rounds.c) ---- */

/* A round over all captions that go on. The last row of a setup that has come to its end has no captions. */
typedef struct sv_round {
    int round;                     /* from 1; 0: none yet */
    int want;                      /* candidates that each of its captions has at its end */
    int64_t captions;              /* that go on in it */
    int64_t given;                 /* candidates given to all captions at its end */
} sv_round;
sv_status sv_ledger_last_round(sv_ledger *l, int64_t rounds, sv_round *out, sv_error *err);
sv_status sv_ledger_add_round(sv_ledger *l, int64_t rounds, const sv_round *r, sv_error *err);

/* Why a caption gets no more candidates. */
typedef struct sv_stop {
    int64_t number;
    int round;                     /* its last one */
    const char *reason;            /* good_enough | dropped | most | budget */
    int k;                         /* its best candidate, -1: it has none */
    double value;                  /* that one's weighted score; NaN: none */
} sv_stop;
sv_status sv_ledger_add_stop(sv_ledger *l, int64_t rounds, const sv_stop *s, sv_error *err);
/* Captions by reason for which they stopped, largest count first; nothing if there are no rounds in force. */
typedef sv_status (*sv_stop_fn)(void *user, const char *reason, int64_t captions, sv_error *err);
sv_status sv_ledger_each_stop_reason(sv_ledger *l, int64_t rounds, sv_stop_fn fn, void *user, sv_error *err);
/* Numbers of captions that were dropped, ascending (malloc; NULL if there are none). */
sv_status sv_ledger_dropped(sv_ledger *l, int64_t rounds, int64_t **numbers, size_t *count, sv_error *err);

/* Every candidate, good, pruned and failed, of sampled captions that have not stopped, in (number, k) order; of good ones the values of n score setups, NaN
 * where there is none or it is not finite. Captions without any candidate come once, with k -1. */
typedef enum sv_outcome { SV_FAILED, SV_GOOD, SV_PRUNED } sv_outcome;
typedef sv_status (*sv_tried_fn)(void *user, int64_t number, int k, sv_outcome outcome, const double *values, sv_error *err);
sv_status sv_ledger_each_tried(sv_ledger *l, sv_scope scope, int64_t rounds, int64_t generate, const int64_t *scores, size_t n, sv_tried_fn fn, void *user,
                               sv_error *err);
/* SHA-256 over the numbers of a sample: rounds depend on who takes part. */
sv_status sv_ledger_sample_digest(sv_ledger *l, int64_t sample, char hex[SV_SHA256_HEX], sv_error *err);

/* What `auto` was once measured to be, as JSON texts; *value (malloc) is NULL if it was not. [own] */
sv_status sv_ledger_tuned(sv_ledger *l, const char *key, char **value, sv_error *err);
sv_status sv_ledger_put_tuned(sv_ledger *l, const char *key, const char *value, sv_error *err);

/* ---- perceptual hashes of pictures (hashes.c) ---- */

typedef struct sv_hashes { uint64_t phash, dhash; } sv_hashes;
sv_status sv_ledger_add_hash(sv_ledger *l, int64_t generate, int64_t number, int k, const sv_hashes *h, sv_error *err);
sv_status sv_ledger_find_hash(sv_ledger *l, int64_t generate, int64_t number, int k, sv_hashes *out, bool *found, sv_error *err);
/* Good candidates of sampled captions without hashes, after (number, k), in order; of each item number, k and file. */
sv_status sv_ledger_to_hash(sv_ledger *l, sv_scope scope, int64_t generate, int64_t after_number, int after_k, size_t limit, sv_file_batch *out,
                            sv_error *err);
/* Every hash of a generate setup, in order; compared: by the gate against duplicates. Streams; fn must not change the ledger. */
typedef sv_status (*sv_hash_fn)(void *user, int64_t number, int k, const sv_hashes *h, bool compared, sv_error *err);
sv_status sv_ledger_each_hash(sv_ledger *l, int64_t generate, sv_hash_fn fn, void *user, sv_error *err);
/* Notes that all of them have been compared. */
sv_status sv_ledger_mark_compared(sv_ledger *l, int64_t generate, sv_error *err);
/* Turns a good candidate into a failed one; its scores, hashes, and exports with it are forgotten. *file: the file it had (malloc). */
sv_status sv_ledger_refuse_candidate(sv_ledger *l, int64_t generate, int64_t number, int k, const char *reason, const char *detail, char **file,
                                     sv_error *err);
/* Whether every good candidate has hashes, by two counts: what spares the walk. */
sv_status sv_ledger_all_hashed(sv_ledger *l, int64_t generate, bool *all, sv_error *err);

/* ---- selections (selections.c) ---- */

/* What select reads: one candidate of a sampled caption with the values of the score setups asked for, in the order asked; NaN if the row says not
 * finite. Good candidates without a row under any of them are left out and counted in *unscored. Streams in (number, k) order; no memory grows.
 * n 0: every good candidate, values NULL. */
typedef sv_status (*sv_scored_fn)(void *user, int64_t number, int k, const double *values, sv_error *err);
sv_status sv_ledger_each_scored(sv_ledger *l, sv_scope scope, int64_t generate, const int64_t *scores, size_t n, sv_scored_fn fn, void *user,
                                int64_t *unscored, sv_error *err);
/* Values of one candidate under n score setups; NaN where there is none. */
sv_status sv_ledger_scores_of(sv_ledger *l, int64_t generate, const int64_t *scores, size_t n, int64_t number, int k, double *values, sv_error *err);
/* What became of a candidate: "" if it is not there, "ok", or "failed: REASON" (into a buffer of the caller). */
sv_status sv_ledger_outcome(sv_ledger *l, int64_t generate, int64_t number, int k, char *text, size_t size, sv_error *err);
/* Where captions are from: every name, and the id of one for every caption, in number order. A caption that states no source is from its file, by that
 * file's name. Both stream. */
typedef sv_status (*sv_origin_fn)(void *user, int64_t origin, const char *name, sv_error *err);
sv_status sv_ledger_each_origin(sv_ledger *l, sv_origin_fn fn, void *user, sv_error *err);
typedef sv_status (*sv_caption_origin_fn)(void *user, int64_t number, int64_t origin, sv_error *err);
sv_status sv_ledger_each_caption_origin(sv_ledger *l, sv_caption_origin_fn fn, void *user, sv_error *err);
/* Where a candidate stands among all scored candidates of the current selection, by the score that it ranks by: at 1 is the best, equals share a place.
 * of 0: not asked, since chance ranks, or since there are more than two million to be looked through. */
typedef struct sv_place { int64_t at, of; } sv_place;
sv_status sv_ledger_place(sv_ledger *l, int64_t number, int k, sv_place *out, sv_error *err);
/* Caption id of a number into a buffer that grows: *id (malloc, reused), NUL-terminated. */
sv_status sv_ledger_caption_id(sv_ledger *l, int64_t number, char **id, size_t *capacity, sv_error *err);

typedef struct sv_selection {
    int64_t id;
    char hash[SV_SHA256_HEX];      /* over settings, setups and picks: equal hash, equal selection */
    const char *settings;          /* canonical JSON */
    int64_t generate;
    sv_scope scope;
    const char *by;                /* weighted | clip | ssim | random */
    double weight_clip, weight_ssim;   /* with the scale of the CLIP term already in weight_clip */
    double min_clip, min_ssim, min_weighted;   /* NaN: none */
    int per_caption;
    int64_t candidates;            /* good candidates with all scores */
    int64_t eligible, captions;    /* of these past finiteness and min; captions with at least one of them */
    int64_t asked, picked;         /* pairs wanted; pairs picked */
    double cutoff;                 /* score of the last pick that is not there by hand; NaN if none */
    const char *steps;             /* JSON: what the steps after the ranking did; NULL: there were none */
} sv_selection;
/* Means over the eligible candidates and over the picks, per scorer and for "weighted". */
typedef struct sv_mean { char name[32]; double before, after; } sv_mean;

/* [own] Writes a selection with its picks (in rank order, best first) and makes it the current one. If one with this hash is there, only makes
 * it current and sets *is_new false. s->id comes back. */
typedef struct sv_pick_row { int64_t number; int k; double score; bool manual; } sv_pick_row;
typedef sv_status (*sv_pick_source)(void *user, size_t rank, sv_pick_row *out, sv_error *err);   /* rank 0 … picked - 1 */
typedef struct sv_drop_row { int64_t number; int k; const char *reason; int64_t of_number; int of_k; } sv_drop_row;   /* of_number 0: of none */
typedef sv_status (*sv_drop_source)(void *user, size_t i, sv_drop_row *out, sv_error *err);              /* i 0 … drops - 1; best by number and k */
typedef struct sv_selection_rows { sv_pick_source pick; sv_drop_source drop; size_t drops; void *user; } sv_selection_rows;
sv_status sv_ledger_add_selection(sv_ledger *l, sv_selection *s, const int64_t *scores, size_t n, const sv_mean *means, size_t mean_count,
                                  const sv_selection_rows *rows, bool *is_new, sv_error *err);
/* The current selection's id and hash; id 0 if nothing was selected yet. */
sv_status sv_ledger_current_selection(sv_ledger *l, int64_t *id, char hash[SV_SHA256_HEX], int64_t *picked, sv_error *err);

typedef struct sv_pick_score { const char *name; double value; } sv_pick_score;
/* One picked pair with all that an exporter writes. */
typedef struct sv_pick {
    int64_t rank;                  /* from 1 */
    int64_t number;
    int k;
    uint64_t seed;
    const char *id;                /* caption id */
    const char *text;              /* the caption as drawn (after the mappers) */
    const char *original;          /* the caption as it came in */
    const char *file, *sha256;     /* relative to the run directory */
    int64_t bytes;
    int width, height;
    double score;                  /* the value it was ranked by */
    const sv_pick_score *scores;   /* the selection's score setups by name */
    size_t score_count;
    const char *origin, *license;  /* "": not stated */
} sv_pick;
typedef sv_status (*sv_pick_fn)(void *user, const sv_pick *pick, sv_error *err);
/* Picks of a selection, by rank, or by number and k (which is the order of the source files). Streams; fn must not change the ledger. A pick whose
 * candidate has been forgotten and not been made again is SV_E_INPUT (generate first). */
sv_status sv_ledger_each_pick(sv_ledger *l, int64_t selection, bool by_rank, sv_pick_fn fn, void *user, sv_error *err);

/* Exports made: one row per path (relative to the run directory), replaced when written again. `digest`: SHA-256 over what was written. */
typedef struct sv_export_row {
    const char *path, *format, *options;   /* options: canonical JSON */
    int64_t selection, pairs, bytes;
    const char *digest;            /* 64 hex digits */
} sv_export_row;
sv_status sv_ledger_put_export(sv_ledger *l, const sv_export_row *row, sv_error *err);
typedef sv_status (*sv_export_fn)(void *user, const sv_export_row *row, sv_error *err);
sv_status sv_ledger_each_export(sv_ledger *l, sv_export_fn fn, void *user, sv_error *err);

/* ---- sources (shares.c) ---- */

typedef enum sv_share_of { SV_SHARE_CAPTIONS, SV_SHARE_KEPT, SV_SHARE_SAMPLED, SV_SHARE_DRAWN, SV_SHARE_PICKED } sv_share_of;
/* [own] Counts the captions of every source that are in, kept, in the sample, drawn (with a good picture) or, of picks, pairs, under the current setups.
 * again false: only if what was counted before does not add up. */
sv_status sv_ledger_count_shares(sv_ledger *l, sv_share_of what, bool again, sv_error *err);
/* What was counted last, the largest source first. name: what captions state as their source, or the file's name. */
typedef struct sv_share { const char *name; int64_t captions, kept, sampled, drawn, picked; } sv_share;
static inline void sv_share_add(sv_share *to, const sv_share *s) {
    to->captions += s->captions;
    to->kept += s->kept;
    to->sampled += s->sampled;
    to->drawn += s->drawn;
    to->picked += s->picked;
}
typedef sv_status (*sv_share_fn)(void *user, const sv_share *share, sv_error *err);
sv_status sv_ledger_each_share(sv_ledger *l, sv_share_fn fn, void *user, sv_error *err);

/* ---- questions (report.c) ---- */

/* The funnel of the current setups. -1: that stage has not run. */
typedef struct sv_funnel {
    int64_t sources, rows, repeated, faults, captions;
    int64_t judged, kept, sampled;
    int64_t drawn, failed, pruned, drawn_captions;   /* candidates of the current generate setup; captions of the sample with a good one */
    int64_t scored;                          /* of the drawn ones: with a score, of the current scorer that has the fewest */
    int64_t eligible, eligible_captions, picked;
} sv_funnel;
sv_status sv_ledger_funnel(sv_ledger *l, sv_funnel *out, sv_error *err);

/* Counts by reason, largest first, ties by name: of ingest faults, rejected captions by rule, failed candidates. */
typedef enum sv_tally { SV_TALLY_FAULTS, SV_TALLY_RULES, SV_TALLY_FAILURES } sv_tally;
typedef sv_status (*sv_tally_fn)(void *user, const char *name, int64_t count, sv_error *err);
sv_status sv_ledger_tally(sv_ledger *l, sv_tally which, sv_tally_fn fn, void *user, sv_error *err);

/* Speed of a stage over its last `last` candidates: how many, over how many seconds between first and last finish, when the last finished (Unix ms). */
typedef struct sv_rate { int64_t count; double seconds, mean_cost; int64_t last_ms; } sv_rate;
sv_status sv_ledger_rate(sv_ledger *l, sv_stage stage, int last, sv_rate *out, sv_error *err);

/* The current selection in one JSON object ("settings", "eligible", "picked", "cutoff", "means" …), malloc; NULL text if there is none. */
sv_status sv_ledger_selection_json(sv_ledger *l, char **json, sv_error *err);
/* A selection by its number, the beginning of its hash, NULL for the current one, or "previous" for the last made before, or after, that. SV_E_INPUT if there
 * is none. */
sv_status sv_ledger_find_selection(sv_ledger *l, const char *which, int64_t *id, sv_error *err);
/* The same JSON of any selection. */
sv_status sv_ledger_selection_json_of(sv_ledger *l, int64_t selection, char **json, sv_error *err);
/* What a selection made of a candidate: the view's reason, the candidate that it repeats, the picture. reason "": there is no such candidate. */
typedef struct sv_reason { char reason[96], repeats[32], sha256[SV_SHA256_HEX]; } sv_reason;
sv_status sv_ledger_reason(sv_ledger *l, int64_t selection, int64_t number, int k, sv_reason *out, sv_error *err);
/* One caption's whole story as JSON (malloc): caption, source, verdict, candidates with scores, outcome and why (not) picked. k >= 0: only that
 * candidate. SV_E_INPUT if there is no such caption or candidate. */
sv_status sv_ledger_story(sv_ledger *l, int64_t number, int k, char **json, sv_error *err);

#endif
