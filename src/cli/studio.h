/* studio.h - drawing single pictures for txt2img: one model, the refiners that lines name, and what each thread keeps from picture to picture. */
#ifndef SV_CLI_STUDIO_H
#define SV_CLI_STUDIO_H

#include "cli.h"
#include "synthvlm/diffusion.h"

/* One picture's settings. Strings belong to the caller. */
typedef struct sv_request {
    const char *prompt, *negative;   /* negative NULL: none */
    const char *init_image;          /* file to begin with; NULL: noise */
    const char *refiner;             /* directory of a model that goes on from denoising_end; NULL: none */
    bool authors_call;               /* call the refiner as the SynthVLM program does: denoising_end again, no denoising_start */
    uint64_t seed;
    sv_text_options text;
    sv_paint_options paint;          /* scheduler: the caller's */
    bool metadata;                   /* the file says how the picture was made */
    bool sized;                      /* width and height were asked for, not taken from the model */
} sv_request;

typedef struct sv_studio sv_studio;

/* seats: threads that draw at the same time. The engine's texts must stay until close. */
sv_status sv_studio_open(sv_studio **out, const char *model, const sv_engine_options *engine, unsigned seats, sv_error *err);
void sv_studio_close(sv_studio **s);
/* A request with the model family's defaults. */
void sv_studio_defaults(const sv_studio *s, sv_request *r);

typedef struct sv_drawn {
    double latents_sum, seconds;
} sv_drawn;
/* Draws on a seat, 0 .. seats-1, and writes the picture to file. */
sv_status sv_studio_draw(sv_studio *s, unsigned seat, const sv_request *r, const char *file, sv_drawn *out, sv_error *err);

#endif
