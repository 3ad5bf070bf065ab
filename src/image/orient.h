/* orient.h - which way up a picture is meant to be shown: the EXIF orientation, and turning by it.
 *
 * Most of the program looks at pixels as they are stored, as Pillow's open() does. Data-Juicer's operators load pictures through the `datasets` library,
 * which turns them by Pillow's ImageOps.exif_transpose first.
 */
#ifndef SV_IMAGE_ORIENT_H
#define SV_IMAGE_ORIENT_H

#include <stddef.h>

#include "synthvlm/image.h"

/* EXIF's eight values, named by what makes such a picture upright. */
typedef enum sv_orientation {
    SV_UPRIGHT = 1, SV_MIRROR, SV_TURN_180, SV_FLIP, SV_TRANSPOSE, SV_TURN_RIGHT, SV_TRANSVERSE, SV_TURN_LEFT
} sv_orientation;

/* The orientation that a PNG, JPEG or WebP file states as Pillow finds it: tag 0x112 of the EXIF data, otherwise tiff:Orientation in its XMP.
 * SV_UPRIGHT where it says nothing, or nothing that makes sense. */
sv_orientation sv_image_orientation(const void *bytes, size_t size);

/* The picture turned; out may not be in. */
sv_status sv_image_turn(const sv_image *in, sv_orientation how, sv_image *out, sv_error *err);

/* Pillow's convert("RGB"), which drops alpha but still knows a single transparent colour (of a PNG without alpha, or a palette in which one entry and no other is
 * transparent at all): transformers 5 then lays those pixels on white. out->keyed says so. */
sv_status sv_image_rgb_with_key(const sv_image *in, sv_image *out, sv_error *err);

#endif
