#include "image/font.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* ---- the drawings ----
 *
 * A path of commands, each with a point x y as two base-36 digits; y runs down from the top of capitals (0) over the top of small letters (4)
 * and the baseline (e = 14) to the descenders (i = 18).
 *     M  moves the pen            L  line
 *     H  quarter ellipse that leaves horizontally      V  quarter ellipse that leaves vertically
 *     D  dot                                                                                     */
static const char *const glyphs[] = {
    /* ! " # $ % & ' ( ) * + , - . / */
    "M00L09D0e", "M00L04M30L34", "M41L2dM81L6dM15L95M09L89", "M84V51L41H04V47L57H9aV5dL4dH0aM50L5e", "M80L1eM02V20H42V24H02M5cV7aH9cV7eH5c",
    "M9eL25L23V40H63L64L18L0aL0bV3eL4eL99", "M00L04", "M30H08V3g", "M00H38V0g", "M30L36M01L65M05L61", "M09L89M45L4d", "M1dL0g", "M09L59",
    "D0e", "M60L0f",
    /* 0-9 */
    "M05V40H85L89V4eH09L05", "M03L40L4eM1eL7e", "M04V40H84L76L0eL8e", "M03V40H73V46L36M46H8aV4eH0b", "M6eL60L0aL9a", "M80L10L07V45H8aV4eH0b",
    "M73V40H05L0aV46H8aV4eH0a", "M00L80L3e", "M13V40H73V46H13M0aV46H8aV4eH0a", "M84V48H04V40H84L89V4eH1b",
    /* : ; < = > ? @ */
    "D06D0e", "D16M1dL0g", "M75L09L7d", "M07L87M0bL8b", "M05L79L0d", "M03V30H63V38L39D3e", "MaeL7fL6fH07V60Hc7VaaH98M98V64H38V6bH98",
    /* A-Z */
    "M0eL50LaeM29L89", "M0eL00L50H83V56L06M56H9aV5eL0e", "Ma4V50H07V5eHaa", "M0eL00L40Ha7V4eL0e", "M80L00L0eL8eM07L77", "M80L00L0eM07L77",
    "Ma4V50H07V5eHa8L68", "M00L0eM90L9eM07L97", "M00L0e", "M60L6aV3eH0b", "M00L0eM80L09M36L9e", "M00L0eL7e", "M0eL00L59La0Lae", "M0eL00L9eL90",
    "M07V50Ha7V5eH07", "M0eL00L50H94V58L08", "M07V50Ha7V5eH07M6aLaf", "M0eL00L50H94V58L08M58L9e", "M93V50L40H03V47L57H9bV5eL4eH0b", "M00La0M50L5e",
    "M00L0aV4eH8aL80", "M00L5eLa0", "M00L4eL72LaeLe0", "M00L9eM90L0e", "M00L57La0M57L5e", "M00L90L0eL9e",
    /* [ \ ] ^ _ ` */
    "M30L00L0gL3g", "M00L6f", "M00L30L3gL0g", "M05L30L65", "M0gL8g", "M00L23",
    /* a-z */
    "M06V34L44H77L7eM78L38H0bV3eL4eH7b", "M00L0eM09V44H89V4eH09", "M76V44H09V4eH7c", "M80L8eM89V44H09V4eH89", "M09L89V44H09V4eH7c", "M60H33L3eM04L64",
    "M84L8eV4iH1gM89V44H09V4eH89", "M00L0eM08V44H78L7e", "M04L0eD00", "M24L2fV0iD20", "M00L0eM64L0aM28L7e", "M00L0cV2e",
    "M04L0eM07V34H67L6eM67V94Hc7Lce",
    "M04L0eM08V44H78L7e", "M09V44H89V4eH09", "M04L0iM09V44H89V4eH09", "M84L8iM89V44H09V4eH89", "M04L0eM08V44L54", "M76V44L34H06V39L49H7cV4eL3eH0c",
    "M31L3bV6eM04L64", "M04L0aV4eH7aM74L7e", "M04L4eL84", "M04L3eL65L9eLc4", "M04L7eM74L0e", "M04L4dM84L2i", "M04L74L0eL7e",
    /* { | } ~ */
    "M40H22L26V08H2aL2eV4g", "M00L0h", "M00H22L26V48H2aL2eV0g", "M0aV28L38L5aL6aV88",
    /* ellipsis, and the box for what is not here */
    "D0eD4eD8e", "M00L80L8eL0eL00",
};
enum { FIRST = 33, ELLIPSIS = 127 - FIRST, BOX, GLYPHS, PHASES = 4 };
_Static_assert(sizeof glyphs / sizeof *glyphs == GLYPHS, "a drawing for every printable ASCII character, the ellipsis and the box");

#define GAP 3.6       /* between glyphs, in units */
#define SPACE 6.0
#define MAX_SEGMENTS 96
#define CURVE 6       /* lines for a quarter ellipse */

struct sv_glyph_raster {
    int left, top, width, height;   /* of the coverage, relative to the pen's position on the baseline */
    uint8_t *coverage;
    bool made;
};

typedef struct segment {
    double x0, y0, x1, y1;
    bool dot;
} segment;

static int digit(char c) { return c >= 'a' ? c - 'a' + 10 : c - '0'; }

/* A glyph as straight pieces in units. Returns how many. */
static int trace(const char *path, segment out[MAX_SEGMENTS], double *width) {
    double x = 0, y = 0;
    int n = 0;
    *width = 0;
    while (*path && n + CURVE <= MAX_SEGMENTS) {
        char command = *path++;
        double u = digit(path[0]), v = digit(path[1]);
        path += 2;
        if (u > *width) *width = u;
        if (command == 'D') out[n++] = (segment){u, v, u, v, true};
        else if (command == 'L') out[n++] = (segment){x, y, u, v, false};
        else if (command != 'M') {
            double px = x, py = y;
            for (int i = 1; i <= CURVE; i++) {
                double a = i * M_PI / 2 / CURVE, s = sin(a), c = 1 - cos(a);
                double qx = x + (u - x) * (command == 'H' ? s : c), qy = y + (v - y) * (command == 'H' ? c : s);
                out[n++] = (segment){px, py, qx, qy, false};
                px = qx;
                py = qy;
            }
        }
        x = u;
        y = v;
    }
    return n;
}

static double distance(double px, double py, const segment *s) {
    double dx = s->x1 - s->x0, dy = s->y1 - s->y0, l = dx * dx + dy * dy, t = l > 0 ? ((px - s->x0) * dx + (py - s->y0) * dy) / l : 0;
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    return hypot(px - s->x0 - t * dx, py - s->y0 - t * dy);
}

sv_status sv_font_open(sv_font *f, double cap_height, double weight, sv_error *err) {
    *f = (sv_font){.unit = cap_height / 14.0, .pen = 0.92 * weight * cap_height / 14.0};
    if (f->pen < 0.55) f->pen = 0.55;
    f->rasters = calloc(GLYPHS * PHASES, sizeof *f->rasters);
    return f->rasters ? SV_OK : sv_fail_memory(err, "contact sheet", GLYPHS * PHASES * sizeof *f->rasters);
}

void sv_font_close(sv_font *f) {
    for (int i = 0; f->rasters && i < GLYPHS * PHASES; i++) free(f->rasters[i].coverage);
    free(f->rasters);
    *f = (sv_font){0};
}

int sv_font_line(const sv_font *f) { return (int)lround(f->unit * 25.0); }

/* The glyph at s, -1 for a space; *size is the length of its bytes. */
static int glyph_at(const char *s, size_t n, size_t *size) {
    uint32_t cp;
    int k = sv_utf8_decode(s, n, &cp);
    *size = k > 0 ? (size_t)k : 1;
    if (k <= 0) return BOX;
    if (cp <= ' ' || cp == 0xA0) return -1;
    if (cp < 127) return (int)cp - FIRST;
    switch (cp) {
    case 0x2018: case 0x2019: return '\'' - FIRST;
    case 0x201C: case 0x201D: return '"' - FIRST;
    case 0x2010: case 0x2011: case 0x2012: case 0x2013: case 0x2014: case 0x2212: return '-' - FIRST;
    case 0x2026: return ELLIPSIS;
    default: return BOX;
    }
}

static double advance(const sv_font *f, int glyph) {
    if (glyph < 0) return SPACE * f->unit;
    double width = 0;
    for (const char *p = glyphs[glyph]; *p; p += 3)
        if (digit(p[1]) > width) width = digit(p[1]);
    return (width + GAP) * f->unit + 2 * (f->pen - 0.92 * f->unit); /* a heavier pen needs more room */
}

double sv_font_width(const sv_font *f, const char *text, size_t n) {
    double x = 0;
    for (size_t i = 0, size; i < n; i += size) {
        int glyph = glyph_at(text + i, n - i, &size);
        x += advance(f, glyph);
    }
    return x;
}

/* How much of each pixel the pen covers, from the distance of its centre to the path. */
static sv_status rasterise(const sv_font *f, int glyph, int phase, struct sv_glyph_raster *r, sv_error *err) {
    segment s[MAX_SEGMENTS];
    double width;
    int n = trace(glyphs[glyph], s, &width), border = (int)ceil(f->pen * 1.3) + 1;
    double shift = phase / (double)PHASES + f->pen;
    for (int i = 0; i < n; i++) {
        s[i].x0 = s[i].x0 * f->unit + shift;
        s[i].x1 = s[i].x1 * f->unit + shift;
        s[i].y0 = (s[i].y0 - 14.0) * f->unit;
        s[i].y1 = (s[i].y1 - 14.0) * f->unit;
    }
    r->left = -border;
    r->top = -(int)ceil(14.0 * f->unit) - border;
    r->width = (int)ceil(width * f->unit + shift) + 2 * border;
    r->height = (int)ceil(4.0 * f->unit) + border - r->top;
    r->coverage = malloc((size_t)r->width * (size_t)r->height);
    if (!r->coverage) return sv_fail_memory(err, "contact sheet", 0);
    for (int y = 0; y < r->height; y++)
        for (int x = 0; x < r->width; x++) {
            double covered = 0;
            for (int i = 0; i < n; i++) {
                double c = (s[i].dot ? f->pen * 1.3 : f->pen) + 0.5 - distance(x + r->left + 0.5, y + r->top + 0.5, &s[i]);
                if (c > covered) covered = c;
            }
            r->coverage[y * r->width + x] = (uint8_t)lround(255.0 * (covered > 1 ? 1 : covered));
        }
    r->made = true;
    return SV_OK;
}

void sv_blend(sv_image *on, int x, int y, sv_colour c, double coverage) {
    if (x < 0 || y < 0 || x >= on->width || y >= on->height || coverage <= 0) return;
    if (coverage > 1) coverage = 1;
    int weight = (int)(coverage * 256 + 0.5);
    uint8_t *p = on->data + 3 * ((size_t)y * (size_t)on->width + (size_t)x);
    const uint8_t to[3] = {c.r, c.g, c.b};
    for (int i = 0; i < 3; i++) p[i] = (uint8_t)((p[i] * (256 - weight) + to[i] * weight + 128) >> 8);
}

sv_status sv_font_draw(sv_font *f, sv_image *on, double x, int baseline, const char *text, size_t n, sv_colour colour, sv_error *err) {
    for (size_t i = 0, size; i < n; i += size) {
        int glyph = glyph_at(text + i, n - i, &size);
        if (glyph >= 0) {
            double quarter = floor(x * PHASES);
            int at = (int)floor(quarter / PHASES), phase = (int)(quarter - at * (double)PHASES);
            struct sv_glyph_raster *r = &f->rasters[glyph * PHASES + phase];
            if (!r->made) SV_TRY(rasterise(f, glyph, phase, r, err));
            for (int gy = 0; gy < r->height; gy++)
                for (int gx = 0; gx < r->width; gx++)
                    sv_blend(on, at + r->left + gx, baseline + r->top + gy, colour, r->coverage[gy * r->width + gx] / 255.0);
        }
        x += advance(f, glyph);
    }
    return SV_OK;
}
