/* pictures.h - what the process list's filters want to know of the pictures that captions came with: models, decoding, and what was measured before. */
#ifndef SV_STAGES_PICTURES_H
#define SV_STAGES_PICTURES_H

#include "stages/rundir.h"
#include "synthvlm/image.h"

enum { SV_PICTURES_PIECE = 1024 };   /* captions that are prepared, judged and stored at a time */

typedef struct sv_pictures sv_pictures;

/* Opens what the list's filters on pictures need, and lets the list ask it. *out NULL: the list has none. p must outlive it. */
sv_status sv_pictures_open(sv_pictures **out, sv_rundir *run, sv_process *p, sv_error *err);
void sv_pictures_close(sv_pictures **p);

/* What, beside the list itself, changes its verdicts: nothing by default, otherwise members of a JSON object with a comma before each. */
void sv_pictures_describe(const sv_rundir *run, const sv_process *p, sv_buf *json);

/* After the captions were read: warns if none of them came with a picture, so that these filters keep everything. p may be NULL. */
sv_status sv_pictures_any(const sv_pictures *p, sv_error *err);

/* Before the list judges the captions after .. upto (SV_PICTURES_PIECE at most): where their pictures lie, and what is known of them. */
sv_status sv_pictures_prepare(sv_pictures *p, int64_t after, int64_t upto, sv_error *err);
/* [own] After it: keeps what was measured anew. */
sv_status sv_pictures_store(sv_pictures *p, sv_error *err);

/* ---- one picture from its file, for filters as for the control set ---- */

/* Why a picture cannot be used, as a short stable word: image_missing, image_too_large, image_unreadable. */
const char *sv_picture_fault(const char *path, const sv_error *err);

#endif
