/* pipeline.h - inside src/diffusion: an open pipeline, a condition and a painter, as the families see them. */
#ifndef SV_DIFFUSION_PIPELINE_H
#define SV_DIFFUSION_PIPELINE_H

#include <pthread.h>

#include "diffusion/family.h"
#include "infer/graph_file.h"
#include "infer/infer.h"
#include "synthvlm/tokenizer.h"
#include "text/tokenizer/t5_tokenizer.h"

struct sv_pipeline {
    sv_model_dir dir;
    const sv_family *family;
    sv_graph_file graphs[SV_PARTS];           /* what the needed parts' files say of themselves */
    pthread_mutex_t part_locks[SV_PARTS];     /* each guards the session of its part while it is opened or closed */
    sv_session *sessions[SV_PARTS];           /* NULL: not in memory */
    sv_tokenizer *tokenizers[SV_MAX_TOKENIZERS];
    sv_t5 *t5[SV_MAX_TOKENIZERS];             /* where the family has T5's instead */
    int text_length[SV_MAX_TOKENIZERS];       /* ids in a row of that encoder */
    char *provider, *provider_library, *provider_options;   /* as in sv_engine_options */
    int threads;
    sv_log log;
    sv_model_sizes sizes;

    pthread_mutex_t lock;        /* guards hash */
    char hash[65];
};

/* ---- parts (pipeline_parts.c) ---- */

/* Reads the needed graphs' own words, without loading them. SV_E_MODEL: not a graph, or weights that lie in another file are missing. */
sv_status sv_pipeline_read_graphs(sv_pipeline *p, sv_error *err);
/* A call on a part, which is loaded if it is not in memory. SV_E_MODEL: the model has none (the encoder of pictures), or ONNX Runtime refuses it. */
sv_status sv_pipeline_call(sv_pipeline *p, sv_part part, sv_call **out, sv_error *err);

struct sv_condition {
    size_t tokens, cut;
    int64_t rows, width;
    float *hidden;               /* [rows, width]: the denoiser's encoder_hidden_states */
    int64_t pooled_width;
    float *pooled;               /* [pooled_width]; NULL: the family has none */
    size_t windows;              /* 1 or more */
    float *empty;                /* [rows / windows, width]: an empty window, to make this as long as another text; NULL: not encoded for windows */
};

/* The denoiser with memory bound to its inputs and outputs, for a number of rows. */
typedef struct sv_denoiser {
    sv_call *call;               /* NULL: not bound */
    size_t rows;
    float *sample;               /* [rows, c, h, w] */
    double *timestep;
    const float *output;         /* [rows, c, h, w] */
    float *hidden;               /* [rows, text rows, text width] */
    float *pooled;               /* [rows, pooled width]; NULL: the denoiser takes none */
    float *time_ids;             /* SDXL: [rows, 5 or 6] */
} sv_denoiser;

/* A painter's buffers have `rows` rows: batch, or 2 * batch under classifier-free guidance (first the negative text's, as diffusers). */
struct sv_painter {
    sv_pipeline *p;
    sv_paint_options o;
    bool guided;
    size_t batch, rows;
    int64_t h, w;                /* of the latents */
    size_t values;               /* of one picture's latents */
    uint64_t likeness;           /* hash of everything that a saved row depends on */

    sv_scheduler *scheduler;
    sv_sampler *sampler;
    size_t begin, end;           /* the sampler's steps that are run */
    bool begun;                  /* the rows hold pictures */
    size_t next;                 /* the step that is run next, begin .. end */
    uint64_t *seeds;             /* [batch] */
    sv_generator *generators;    /* [batch] */
    float *latents;              /* [batch, c, h, w], or packed [batch, h/2 * w/2, 4c] where the family does so; as everything up to `code` */
    float *predicted;            /* [batch, c, h, w]: the denoiser's output after guidance; noise before the loop */
    float *clean;                /* as latents: the predicted original sample at the last halt; NULL before the first */
    bool has_clean;              /* it belongs to the rows in hand */
    sv_picture *pictures;        /* [batch]: scratch of sv_painter_run and of the hand-over */

    sv_painter *after;           /* the refiner's painter, owned; NULL: none */
    bool handed_over;            /* it holds the rows now */

    sv_denoiser denoise;         /* bound at the first run, when the text's shape is known, and again if that changes */
    sv_denoiser alone;           /* the same with the text's rows only, for steps without guidance; bound only where there are such steps */
    bool skips;                  /* there are: guidance acts in an interval */
    int64_t text_rows, text_width, pooled_width;
    int64_t time_id_count;       /* SDXL: 5 or 6 */

    sv_call *decode;
    int64_t code_h, code_w;      /* what it is bound for: the latents' size, or a tile's */
    float *code;                 /* [1, c, code_h, code_w]: the decoder's input */
    const float *picture;        /* [1, 3, factor code_h, factor code_w] */

    sv_call *encode;             /* painters that begin with a picture */
    float *scene;                /* [1, 3, height, width] in -1..1 */
    const float *moments;        /* [1, 2c, h, w]: mean and log variance */
};

/* Writes the texts of n pictures into the denoiser's rows (painter_text.c), and the first one's into those that nobody asked for; `refiner`: the
 * refiner's texts of them. Binds the denoiser if the texts have another shape than before. */
sv_status sv_painter_set_texts(sv_painter *w, const sv_picture *pictures, size_t n, bool refiner, sv_error *err);

/* ---- encoding (condition.c) ---- */

typedef struct sv_encoded {
    int64_t rows, width, pooled_width;
    float *hidden, *pooled;      /* malloc */
    size_t tokens, cut, windows;
} sv_encoded;
void sv_encoded_free(sv_encoded *e);

/* Tokenises text for CLIP encoder i and runs it: output `hidden` [1, rows, width] and, unless NULL, `pooled` [1, pooled_width]. windows: rows of the
 * further windows follow those of the first, whose pooled text it is. */
sv_status sv_encode_clip(sv_pipeline *p, int i, const char *text, bool windows, const char *hidden, const char *pooled, sv_encoded *out, sv_error *err);
/* Tokenises text for T5 encoder i and runs it: last_hidden_state [1, length, width]. No attention mask, as diffusers. */
sv_status sv_encode_t5(sv_pipeline *p, int i, const char *text, int length, sv_encoded *out, sv_error *err);
/* Name of the hidden state `back` layers before the last one, into buf ("hidden_states.11"). SV_E_MODEL: the graph does not give it. */
sv_status sv_hidden_state_name(const sv_pipeline *p, int i, int back, char *buf, size_t size, sv_error *err);

/* Decodes one picture's latents x, as the family lays them out (painter_decode.c). */
sv_status sv_painter_decode(sv_painter *w, const float *x, sv_painted *out, sv_error *err);

/* ---- what latents begin as (painter_start.c) ---- */

/* Steps that are run, from strength, denoising_start and denoising_end. */
sv_status sv_painter_range(sv_painter *w, sv_error *err);
/* [c, h, w] to rows of 2 x 2 patches, [h/2 * w/2, 4c], and back. */
void sv_pack(const float *x, int64_t c, int64_t h, int64_t w, float *out);
void sv_unpack(const float *x, int64_t c, int64_t h, int64_t w, float *out);
/* Seeds the generators and fills in the latents of n pictures; the first one again where nobody asked for a row. */
sv_status sv_painter_start(sv_painter *w, const sv_picture *pictures, size_t n, sv_error *err);

#endif
