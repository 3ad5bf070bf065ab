/* clip.h - inside src/score: an open CLIP model. */
#ifndef SV_SCORE_CLIP_H
#define SV_SCORE_CLIP_H

#include <pthread.h>
#include <yyjson.h>

#include "image/clip_preprocess.h"
#include "infer/infer.h"
#include "synthvlm/score.h"
#include "synthvlm/tokenizer.h"

/* Memory of one thread for one side, bound to a session; kept in a list while nobody uses it. */
typedef struct sv_clip_call {
    sv_call *call;
    int64_t *ids, *mask;         /* [1, length]; mask NULL where the graph has none */
    int32_t *row;                /* [length]: the tokenizer's row before it is widened */
    float *pixels;               /* [batch, 3, height, width] */
    const float *embeddings;     /* [1 or batch, dim] */
    sv_clip_preprocess_work work;
    struct sv_clip_call *next;
} sv_clip_call;

void sv_clip_call_free(sv_clip_call *k);

/* Files of a CLIP directory. */
typedef struct sv_clip_files {
    char *dir;
    const char *folder;          /* of the graphs, below dir: NULL or "onnx" */
    char *text, *vision;         /* graphs; the same string twice where one file holds both sides */
    bool joint;
    yyjson_doc *config;          /* config.json; NULL: there is none */
    yyjson_doc *preprocessor;    /* preprocessor_config.json */
} sv_clip_files;

/* Finds the graphs and reads the configs. SV_E_MODEL says what is missing and how to get it. */
sv_status sv_clip_files_find(sv_clip_files *out, const char *dir, sv_error *err);
void sv_clip_files_free(sv_clip_files *f);

/* config.json's model_type is siglip or siglip2 (or one of their parts): another tokenizer, other names of outputs, a sigmoid. */
bool sv_clip_files_siglip(const sv_clip_files *f);
/* What a graph calls its embedding: "text_embeds" or "image_embeds"; SigLIP's halves say "pooler_output". NULL: it has none. */
const char *sv_clip_output_name(const sv_session *s, const char *name, bool siglip);

/* What preprocessor_config.json says of size, crop, filter, scale and normalisation. SV_E_MODEL: a value that makes no sense. */
sv_status sv_clip_read_preprocessor(yyjson_val *config, const char *dir, sv_clip_preprocess_options *out, sv_error *err);

/* Fits scale and bias of a joint SigLIP's logits to its own cosines (clip_sigmoid.c). */
sv_status sv_clip_fit_sigmoid(sv_clip *c, sv_error *err);

struct sv_clip {
    sv_clip_files files;
    const sv_clip_flavour *flavour;
    char *prefix;
    sv_session *text, *vision;   /* the same session where one file holds both sides */
    sv_tokenizer *tokenizer;     /* CLIP's; NULL for SigLIP */
    sv_siglip *siglip;           /* SigLIP's; NULL for CLIP */
    const char *text_output, *image_output;
    double logit_scale, logit_bias;   /* of SigLIP's sigmoid; NaN: not known */
    sv_clip_preprocess_options preprocess;
    int width, height;           /* of a picture after preprocessing */
    int64_t batch, dim, length;  /* pictures per call, size of an embedding, ids in a row */
    bool windows;                /* long texts are read in windows, not cut */
    pthread_mutex_t lock;        /* guards what follows */
    sv_clip_call *text_calls, *image_calls;
    char hash[65];
};

#endif
