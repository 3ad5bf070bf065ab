/* font.h - inside src/image: a small stroke font for contact sheets.
 *
 * Glyphs are drawn with a round pen along lines and quarter ellipses, so that one table serves every size and weight. Printable ASCII and a
 * few typographic marks; any other character is an empty box.
 */
#ifndef SV_IMAGE_FONT_H
#define SV_IMAGE_FONT_H

#include "base/error.h"
#include "synthvlm/image.h"

typedef struct sv_colour {
    uint8_t r, g, b;
} sv_colour;

/* A size and weight. Rasters of glyphs are kept in it. */
typedef struct sv_font {
    double unit;      /* pixels per unit: capitals are 14 units high */
    double pen;       /* radius of the pen in pixels */
    struct sv_glyph_raster *rasters; /* of each glyph at four sub-pixel positions; NULL: none yet */
} sv_font;

/* cap_height in pixels; weight 1 is regular, 1.5 bold. */
sv_status sv_font_open(sv_font *f, double cap_height, double weight, sv_error *err);
void sv_font_close(sv_font *f);

/* From one baseline to the next, whole pixels. */
int sv_font_line(const sv_font *f);
/* Width in pixels of n bytes of UTF-8. */
double sv_font_width(const sv_font *f, const char *text, size_t n);
/* Draws on an RGB image; parts outside are cut off. x, baseline: pixels from the upper left corner. */
sv_status sv_font_draw(sv_font *f, sv_image *on, double x, int baseline, const char *text, size_t n, sv_colour colour, sv_error *err);

/* Blends a colour into a pixel of an RGB image, coverage 0..1. Pixels outside are ignored. */
void sv_blend(sv_image *on, int x, int y, sv_colour c, double coverage);

#endif
