/* resize.h - inside the library: resizing with memory that is kept from call to call. */
#ifndef SV_IMAGE_RESIZE_H
#define SV_IMAGE_RESIZE_H

#include "image/resample.h"
#include "synthvlm/image.h"

/* Belongs to one thread. Zero-initialise, sv_resize_work_free. Weight tables of the last sizes are kept, so that a series of images of one
 * size computes them once. */
typedef struct sv_resize_work {
    sv_taps taps[8];        /* tables, replaced in turn */
    unsigned next;
    sv_image between;       /* after the first pass */
    sv_image premultiplied; /* LA and RGBA before the passes */
    uint8_t *row;           /* one input row with room behind it */
    size_t row_room;
    int *column;            /* nearest: input position of each output column */
    size_t columns;
} sv_resize_work;
void sv_resize_work_free(sv_resize_work *w);

/* As sv_image_resize. `out` may not be `in`. */
sv_status sv_image_resize_with(const sv_image *in, int width, int height, sv_filter filter, int order, sv_resize_work *w, sv_image *out,
                               sv_error *err);

#endif
