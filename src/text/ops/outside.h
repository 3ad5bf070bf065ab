/* outside.h - filters on something that the caption's text does not tell, such as its picture. The process list knows their names, parameters and
 * limits; what they measure comes from whoever runs the list, so that this layer needs to know nothing of pictures.
 *
 * Consecutive filters of this kind are asked for together: a thread takes a few captions and asks for one filter after the other, each about those
 * captions that the filters before it have left, so that a caption's picture need be read only once and cheap filters spare the dear ones work.
 */
#ifndef SV_TEXT_OUTSIDE_H
#define SV_TEXT_OUTSIDE_H

#include "text/ops/op.h"

enum { SV_OUTSIDE_ROWS = 8 };    /* captions that are asked about at a time, at most */

/* A question about one caption. */
typedef struct sv_outside_row {
    uint64_t number;             /* of the caption */
    const char *text;            /* what its picture is held against: Data-Juicer's chunk of the text, without tokens and blanks around; NUL-terminated.
                                    NULL: the text does not speak of a picture any more, because a mapper removed the token */
    size_t size;
    double value;                /* the answer; NaN: there is nothing to measure, and the caption stays */
    const char *reason;          /* the answer where measuring failed: a short stable word that the caption is rejected for; NULL otherwise */
} sv_outside_row;

/* Answers `filter` (0 … sv_process_outside_count - 1) about n rows. Called on any of the threads of sv_process_run. */
typedef sv_status (*sv_outside_fn)(void *user, unsigned thread, size_t filter, sv_outside_row *rows, size_t n, sv_error *err);

/* Filters that have a statistic of their own to measure. */
size_t sv_process_outside_count(const sv_process *p);
/* What one of them is: its operator's `outside` says what to measure, the settings struct (below) how. */
const sv_instance *sv_process_outside(const sv_process *p, size_t filter);

/* Must be set before sv_process_run where there are such filters. */
void sv_process_answer(sv_process *p, sv_outside_fn fn, void *user);

/* ---- the settings (op_image.c) ---- */

typedef enum sv_outside {
    SV_OUTSIDE_NONE, SV_PICTURE_SIMILARITY, SV_PICTURE_MATCHING, SV_PICTURE_ASPECT, SV_PICTURE_WIDTH, SV_PICTURE_HEIGHT, SV_PICTURE_BYTES
} sv_outside;

typedef struct sv_image_text_settings {
    sv_range range;
    char *model;                 /* directory */
    bool trust_remote_code;      /* read and not used: nothing is loaded from anywhere */
    bool horizontal_flip, vertical_flip;
    int any_or_all, reduce_mode; /* of several pictures; a caption has one */
} sv_image_text_settings;

#endif
