/* pipeline.h - inside src/diffusion: an open pipeline, a condition and a painter, as the families see them. */
#ifndef SV_DIFFUSION_PIPELINE_H
#define SV_DIFFUSION_PIPELINE_H

#include <pthread.h>

#include "diffusion/family.h"
#include "infer/infer.h"
#include "synthvlm/tokenizer.h"

struct sv_pipeline {
    sv_model_dir dir;
    const sv_family *family;
    sv_session *sessions[SV_PARTS];
    sv_tokenizer *tokenizers[SV_MAX_TOKENIZERS];
    int text_length[SV_MAX_TOKENIZERS];       /* ids in a row of that encoder */
    sv_log log;

    sv_model_sizes sizes;

    pthread_mutex_t lock;        /* guards hash */
    char hash[65];
};

struct sv_condition {
    size_t tokens, cut;
    int64_t rows, width;
    float *hidden;               /* [rows, width]: the denoiser's encoder_hidden_states */
};

/* A painter's buffers have `rows` rows: batch, or 2 * batch under classifier-free guidance (first the negative text's, as diffusers). */
struct sv_painter {
    sv_pipeline *p;
    sv_paint_options o;
    bool guided;
    size_t batch, rows;
    int64_t h, w;                /* of the latents */
    size_t values;               /* of one picture's latents */

    sv_scheduler *scheduler;
    sv_sampler *sampler;
    sv_generator *generators;    /* [batch] */
    float *latents;              /* [batch, c, h, w] */
    float *predicted;            /* [batch, c, h, w]: the denoiser's output after guidance */

    sv_call *denoise, *decode;
    float *sample;               /* [rows, c, h, w] */
    double *timestep;
    const float *output;         /* [rows, c, h, w] */
    float *hidden;               /* [rows, text rows, text width] */
    int64_t text_rows, text_width;
    float *code;                 /* [1, c, h, w]: the decoder's input */
    const float *picture;        /* [1, 3, height, width] */
};

/* Tokenises text for encoder i and runs it: `hidden_name` [1, length, width] into out->hidden (malloc). Adds to out->tokens and out->cut. */
sv_status sv_encode_text(sv_pipeline *p, int i, const char *text, const char *hidden_name, sv_condition *out, sv_error *err);

#endif
