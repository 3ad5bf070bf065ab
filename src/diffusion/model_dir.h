/* model_dir.h - what a model directory in diffusers' layout holds, from its JSON files and file names alone: no graph is loaded.
 *
 *     model_index.json    _class_name says the family; a part of [null, null] is left out on purpose
 *     unet/ or transformer/, vae_decoder/, text_encoder/ …    model.onnx (with external data where it is large) and config.json
 *     tokenizer/ …        scheduler/scheduler_config.json
 */
#ifndef SV_DIFFUSION_MODEL_DIR_H
#define SV_DIFFUSION_MODEL_DIR_H

#include <yyjson.h>

#include "base/error.h"
#include "diffusion/model_files.h"

/* The parts that a family may be made of. */
typedef enum sv_part {
    SV_PART_TEXT_ENCODER,
    SV_PART_TEXT_ENCODER_2,
    SV_PART_TEXT_ENCODER_3,
    SV_PART_DENOISER,            /* unet or transformer */
    SV_PART_DECODER,             /* vae_decoder */
    SV_PART_ENCODER,             /* vae_encoder: needed only to start from a picture */
    SV_PARTS
} sv_part;

#define SV_MAX_TOKENIZERS 3      /* tokenizer i goes with text encoder i */

typedef struct sv_part_files {
    const char *name;            /* folder: "unet" (static) */
    bool off;                    /* [null, null] in model_index.json */
    char *graph;                 /* path of the .onnx file; NULL: there is none */
    bool several;                /* no graph, because several .onnx files are there and none is model.onnx */
    char *torch;                 /* a file with PyTorch weights that is there instead; NULL: none */
    const char *config_folder;   /* where its config.json lies: name, or "vae" (static) */
    yyjson_doc *config;          /* NULL: there is none */
} sv_part_files;

struct sv_family;

typedef struct sv_model_dir {
    char *path;
    yyjson_doc *index;
    const char *class_name;      /* model_index.json's _class_name, without a leading Onnx or ORT; owned by index */
    const struct sv_family *family;   /* NULL: not one of ours */
    sv_part_files parts[SV_PARTS];
    char *tokenizers[SV_MAX_TOKENIZERS];  /* directories; NULL: not there */
    bool tokenizer_off[SV_MAX_TOKENIZERS];
    char *scheduler;             /* text of scheduler_config.json; NULL: there is none */
} sv_model_dir;

/* Reads a directory. Missing parts are no error here (see sv_model_dir_check); no directory, no or broken model_index.json is SV_E_MODEL. */
sv_status sv_model_dir_read(sv_model_dir *out, const char *path, sv_error *err);
void sv_model_dir_free(sv_model_dir *m);

/* SV_E_MODEL for the first thing that text-to-image needs and that is not there, with the command that gets it. */
sv_status sv_model_dir_check(const sv_model_dir *m, sv_error *err);
/* Whether the family needs a part, and this directory does not switch it off. */
bool sv_model_dir_needs(const sv_model_dir *m, sv_part part);
bool sv_model_dir_needs_tokenizer(const sv_model_dir *m, int i);
/* The command that makes ONNX parts, with the model's own name where the directory tells it. Into buf. */
const char *sv_model_dir_command(const sv_model_dir *m, char *buf, size_t size);

enum { SV_MOST_SPREAD = 64 };
/* What the configs say of shapes. SV_E_MODEL: a key is missing or makes no sense. */
typedef struct sv_model_sizes {
    int factor;                  /* picture pixels per latent value along a side */
    int multiple;                /* sides must be multiples of this */
    int channels;                /* of the latents */
    int patch;                   /* latent values that a transformer takes together along a side; 1: a unet */
    int width, height;           /* the model's own size in pixels */
    float scaling, shift;        /* decoder input = latents / scaling + shift; */
    bool has_spread;             /* or, with latents_mean and latents_std: latents * std / scaling + mean, channel by channel */
    float mean[SV_MOST_SPREAD], std[SV_MOST_SPREAD];
} sv_model_sizes;
sv_status sv_model_dir_sizes(const sv_model_dir *m, sv_model_sizes *out, sv_error *err);

const char *sv_tokenizer_folder(int i);    /* "tokenizer", "tokenizer_2" … */

/* Adds the files that decide what is drawn. */
sv_status sv_model_dir_files(const sv_model_dir *m, sv_file_list *l, sv_error *err);

/* Values of config.json. A key that is absent or null gives the fallback; a list of numbers gives its first; another type is SV_E_MODEL. */
sv_status sv_config_int(const sv_part_files *part, const char *key, int64_t fallback, int64_t *out, sv_error *err);
sv_status sv_config_real(const sv_part_files *part, const char *key, double fallback, double *out, sv_error *err);
bool sv_config_bool(const sv_part_files *part, const char *key, bool fallback);
size_t sv_config_list_size(const sv_part_files *part, const char *key);   /* 0: absent or not a list */
/* The first n numbers of a list; SV_E_MODEL where there are fewer, more, or other things. */
sv_status sv_config_list(const sv_part_files *part, const char *key, size_t n, float *out, sv_error *err);
/* Latent values along a side that the first attending level of a unet sees as one: 1, 2, 4 …, from down_block_types. A very large number: none attends. */
double sv_config_attention_stride(const sv_part_files *denoiser);

#endif
