/* embeddings.h - what the kept embeddings of a run's pictures tell (score.clip.keep): pictures that mean the same, pictures that stand apart, and how much of
 * all that was drawn the selection stands for. No model and no picture is opened. Definitions: docs/EMBEDDINGS.md. */
#ifndef SYNTHVLM_EMBEDDINGS_H
#define SYNTHVLM_EMBEDDINGS_H

#include "synthvlm/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sv_embeddings_options {
    bool all;                    /* look at every good picture, not only at the picks */
    double near;                 /* cosine from which two pictures are a pair, 0.97 */
    int neighbours;              /* nearest others that tell how alone a picture is, 10 */
    int list;                    /* pairs and outliers that are listed, 20 */
    int64_t most;                /* more pictures than this are thinned out evenly, 10000 */
    const char *npy;             /* where to write them as a numpy array, beside it NAME.jsonl with a line a row; NULL: nowhere */
} sv_embeddings_options;
void sv_embeddings_options_init(sv_embeddings_options *o);

/* The findings as a JSON object (malloc). SV_E_INPUT: no embeddings are kept, or nothing is selected. Reads only, also beside a writer. */
sv_status sv_run_embeddings(const char *dir, const sv_embeddings_options *o, char **json, sv_error *err);

#ifdef __cplusplus
}
#endif
#endif
