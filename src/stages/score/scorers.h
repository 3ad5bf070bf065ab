/* scorers.h - the scores that a run gives its candidates: a table of scorers, each with the setup that its values belong to.
 *
 * A scorer sees decoded pixels of the stored file and the caption's text, never how the picture was made. Pictures are scored several at a time, one a
 * row; every call has the same shape, and a value depends neither on its row nor on the other rows (as of ONNX Runtime's CPU kernels; tested).
 */
#ifndef SV_STAGES_SCORERS_H
#define SV_STAGES_SCORERS_H

#include "recipe/recipe.h"
#include "synthvlm/image.h"

enum { SV_MOST_SCORERS = 16, SV_MOST_ROWS = 64 };

typedef struct sv_scorers sv_scorers;             /* read-only once open; shared by threads */

/* Opens every scorer that the recipe asks for. `rows`: candidates that are scored together, 1..SV_MOST_ROWS. */
sv_status sv_scorers_open(sv_scorers **out, const sv_recipe *r, int rows, sv_error *err);
void sv_scorers_close(sv_scorers **s);

size_t sv_scorers_count(const sv_scorers *s);
const char *sv_scorers_name(const sv_scorers *s, size_t i);            /* "clip", "ssim" …: the names of the score rows */
/* JSON of everything that can change the values of scorer i (malloc; the caller frees). */
sv_status sv_scorers_setup(const sv_scorers *s, size_t i, char **json, sv_error *err);

/* The weight that the recipe gives scorer i; that of clip with its scale. NaN: it is only told, and never decides. */
double sv_scorers_weight(const sv_scorers *s, size_t i);
/* The weighted score of values by scorer, as `select` has it; NaN if any that decides is not finite. */
double sv_scorers_weigh(const sv_scorers *s, const double *values);

/* What scorers want to know of a caption, worked out once and shared by all its candidates. */
typedef struct sv_scored_text sv_scored_text;
sv_status sv_scorers_prepare(const sv_scorers *s, const char *text, sv_scored_text **out, sv_error *err);
void sv_scored_text_free(sv_scored_text **t);

/* Memory of one thread, reused from call to call; sv_score_memory_free. */
typedef struct sv_score_memory sv_score_memory;
void sv_score_memory_free(sv_score_memory **m);

/* Scores up to `rows` pictures, each with its caption; images[i] NULL: that row is empty, and texts[i] is not looked at. values[i][j]: row i under scorer j. */
sv_status sv_scorers_run(const sv_scorers *s, sv_score_memory **memory, const sv_scored_text *const *texts, const sv_image *const *images,
                         double (*values)[SV_MOST_SCORERS], sv_error *err);

/* ---- kept embeddings (score.clip.keep) ---- */

/* Opens the run directory's file of embeddings; nothing happens where the recipe keeps none. After this, the functions below work. */
sv_status sv_scorers_keep(sv_scorers *s, const char *dir, sv_error *err);
bool sv_scorers_keeps(const sv_scorers *s);
/* Keeps the embedding that the newest sv_scorers_run made for a row. Any thread. */
sv_status sv_scorers_keep_row(const sv_scorers *s, const sv_score_memory *m, int row, const char *sha256, sv_error *err);
/* Scores a picture by its kept embedding alone: true if every scorer in `missing` (bit i: scorer i) could be answered. Any thread. */
bool sv_scorers_from_kept(const sv_scorers *s, const sv_scored_text *text, const char *sha256, uint32_t missing, double values[SV_MOST_SCORERS]);
/* Whether a picture's embedding is kept. */
bool sv_scorers_has_kept(const sv_scorers *s, const char *sha256);
/* Embeds up to `rows` pictures, without texts and scores, for sv_scorers_keep_row. */
sv_status sv_scorers_embed(const sv_scorers *s, sv_score_memory **memory, const sv_image *const *images, sv_error *err);

#endif
