/* model.h - what a model directory holds, said without loading it; and how much memory it takes, measured by drawing. */
#ifndef SYNTHVLM_MODEL_H
#define SYNTHVLM_MODEL_H

#include "synthvlm/diffusion.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Describes a text-to-image directory (diffusers' layout) or a CLIP directory as a JSON object (malloc; the caller frees). A directory with parts
 * missing is described too, with what is missing and the command that gets it. Keys: docs/MODELS.md.
 * SV_E_MODEL: no directory, or one that is neither. */
sv_status sv_model_describe(const char *dir, char **json, sv_error *err);

typedef struct sv_measure_options {
    int width, height;           /* 0: the model's own */
    int batch, workers;          /* pictures per call of the denoiser, and calls at the same time; 1, 1 */
    sv_engine_options engine;
} sv_measure_options;
void sv_measure_options_init(sv_measure_options *o);

/* Bytes in main memory. */
typedef struct sv_phase_memory {
    uint64_t weights;            /* what the phase's parts take once loaded */
    uint64_t loading;            /* the most while they are loaded, weights included */
    uint64_t working;            /* the most that the workers' calls take on top of the weights */
} sv_phase_memory;

typedef struct sv_model_memory {
    int width, height, batch, workers;    /* what it was measured for */
    uint64_t program;                     /* before any weight is loaded */
    sv_phase_memory text, denoise, decode;
    uint64_t together;                    /* peak of the program with all parts in memory, as measured and somewhat more for what comes besides, */
    uint64_t by_phase;                    /* and with each phase's parts let go before the next one's are loaded */
} sv_model_memory;

/* Loads a text-to-image model phase by phase, then whole, draws a batch of few steps with each worker, and reads what the kernel counts. Needs as much
 * memory as `together` says; memory that is not the processor's is not seen. SV_E_IO: the system does not tell (not Linux). */
sv_status sv_model_measure(const char *dir, const sv_measure_options *o, sv_model_memory *out, sv_error *err);

#ifdef __cplusplus
}
#endif
#endif
