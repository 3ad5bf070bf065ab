/* sheet.c - contact sheets: pictures on cards in rows, with captions, notes, and frames around what was chosen. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "image/codec.h"
#include "image/font.h"
#include "image/resize.h"

static const sv_colour ground = {243, 244, 246}, card = {255, 255, 255}, edge = {224, 227, 232}, ink = {31, 35, 40}, grey = {110, 118, 129},
                       accent = {22, 138, 74}, empty = {236, 238, 241}, missing = {190, 60, 50};

typedef struct layout {
    int columns, rows;
    int cell;              /* side of the picture */
    int pad, gap, margin;  /* inside a card, between cards, around all */
    int card_width, card_height;
    int lines;             /* of the caption */
    bool notes;
    int head;              /* height of the title, 0 without */
    sv_font text, small, title;
} layout;

void sv_sheet_options_init(sv_sheet_options *o) { *o = (sv_sheet_options){.cell = 160, .lines = 3}; }

/* ---- shapes ---- */

/* How far a pixel's centre is outside (positive) or inside a rounded rectangle. */
static double outside(double px, double py, double x, double y, double w, double h, double radius) {
    double dx = fabs(px + 0.5 - x - w / 2) - w / 2 + radius, dy = fabs(py + 0.5 - y - h / 2) - h / 2 + radius;
    double beyond = hypot(dx > 0 ? dx : 0, dy > 0 ? dy : 0), within = dx > dy ? dx : dy;
    return beyond + (within < 0 ? within : 0) - radius;
}

/* Further than `band` pixels from both ends, where nothing is covered in part and no distance needs to be computed. */
static bool inner(int p, int from, int size, int band) { return p >= from + band && p < from + size - band; }

static void fill_round(sv_image *on, int x, int y, int w, int h, double radius, sv_colour c) {
    int corner = (int)ceil(radius) + 1;
    for (int py = y; py < y + h; py++)
        for (int px = x; px < x + w; px++)
            sv_blend(on, px, py, c, inner(px, x, w, corner) || inner(py, y, h, corner) ? 1.0 : 0.5 - outside(px, py, x, y, w, h, radius));
}

/* A frame of `width` pixels, inwards from the rectangle's edge. */
static void frame_round(sv_image *on, int x, int y, int w, int h, double radius, double width, sv_colour c) {
    int band = (int)ceil(radius + width) + 1;
    for (int py = y; py < y + h; py++)
        for (int px = x; px < x + w; px++) {
            if (px == x + band && inner(py, y, h, band) && w > 2 * band) px = x + w - band;
            double d = outside(px, py, x, y, w, h, radius), a = 0.5 - d, b = d + width + 0.5;
            sv_blend(on, px, py, c, a < b ? a : b);
        }
}

static void line(sv_image *on, double x0, double y0, double x1, double y1, double radius, sv_colour c) {
    int left = (int)floor(fmin(x0, x1) - radius) - 1, right = (int)ceil(fmax(x0, x1) + radius) + 1;
    int top = (int)floor(fmin(y0, y1) - radius) - 1, bottom = (int)ceil(fmax(y0, y1) + radius) + 1;
    double dx = x1 - x0, dy = y1 - y0, l = dx * dx + dy * dy;
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            double t = l > 0 ? ((x + 0.5 - x0) * dx + (y + 0.5 - y0) * dy) / l : 0;
            t = t < 0 ? 0 : t > 1 ? 1 : t;
            sv_blend(on, x, y, c, radius + 0.5 - hypot(x + 0.5 - x0 - t * dx, y + 0.5 - y0 - t * dy));
        }
}

/* A disc with a tick. */
static void tick(sv_image *on, double x, double y, double radius) {
    line(on, x, y, x, y, radius + radius / 6, card);
    line(on, x, y, x, y, radius, accent);
    double pen = radius / 7 + 0.25;
    line(on, x - radius * 0.42, y + radius * 0.04, x - radius * 0.1, y + radius * 0.36, pen, card);
    line(on, x - radius * 0.1, y + radius * 0.36, x + radius * 0.46, y - radius * 0.32, pen, card);
}

/* ---- text ---- */

/* The longest beginning of text that fits into `width`, in bytes. */
static size_t fitting(const sv_font *f, const char *text, size_t n, double width) {
    size_t end = 0;
    while (end < n) {
        uint32_t cp;
        int k = sv_utf8_decode(text + end, n - end, &cp);
        size_t next = end + (k > 0 ? (size_t)k : 1);
        if (sv_font_width(f, text, next) > width) break;
        end = next;
    }
    return end;
}

static sv_status draw_cut(sv_font *f, sv_image *on, int x, int baseline, int width, const char *text, size_t n, sv_colour c, sv_error *err) {
    static const char dots[] = "\xe2\x80\xa6";
    if (sv_font_width(f, text, n) <= width) return sv_font_draw(f, on, x, baseline, text, n, c, err);
    double dots_width = sv_font_width(f, dots, 3);
    size_t end = fitting(f, text, n, width - dots_width);
    while (end && text[end - 1] == ' ') end--;
    SV_TRY(sv_font_draw(f, on, x, baseline, text, end, c, err));
    return sv_font_draw(f, on, x + sv_font_width(f, text, end), baseline, dots, 3, c, err);
}

/* Breaks at blanks, and inside words that are longer than a line. The last line is cut. */
static sv_status draw_wrapped(sv_font *f, sv_image *on, int x, int baseline, int width, int lines, const char *text, sv_colour c, sv_error *err) {
    for (int i = 0; i < lines && *text; i++, baseline += sv_font_line(f)) {
        while (*text == ' ' || *text == '\n') text++;
        size_t n = strlen(text);
        if (i == lines - 1) return draw_cut(f, on, x, baseline, width, text, n, c, err);
        size_t end = fitting(f, text, n, width);
        if (end < n) {
            size_t blank = end;
            while (blank && text[blank] != ' ') blank--;
            if (blank) end = blank;
            if (!end) end = 1;
        }
        SV_TRY(sv_font_draw(f, on, x, baseline, text, end, c, err));
        text += end;
    }
    return SV_OK;
}

/* ---- cells ---- */

/* Copies an RGB image. */
static void put(sv_image *on, const sv_image *im, int x, int y) {
    for (int row = 0; row < im->height; row++)
        memcpy(on->data + 3 * ((size_t)(y + row) * (size_t)on->width + (size_t)x), im->data + (size_t)row * sv_image_row(im), sv_image_row(im));
}

typedef struct pictures {
    sv_resize_work work;
    sv_image rgb, scaled;
} pictures;

/* The picture, as large as fits into the cell, in its middle. */
static sv_status draw_picture(const layout *l, sv_image *on, const sv_image *im, int x, int y, pictures *p, sv_error *err) {
    if (!im || !im->data) {
        fill_round(on, x, y, l->cell, l->cell, 2, empty);
        double c = l->cell / 2.0, r = l->cell / 10.0;
        line(on, x + c - r, y + c - r, x + c + r, y + c + r, l->cell / 90.0 + 0.5, missing);
        line(on, x + c + r, y + c - r, x + c - r, y + c + r, l->cell / 90.0 + 0.5, missing);
        return SV_OK;
    }
    SV_TRY(sv_image_on_white(im, &p->rgb, err));
    int longer = im->width > im->height ? im->width : im->height;
    int w = (int)lround((double)im->width * l->cell / longer), h = (int)lround((double)im->height * l->cell / longer);
    SV_TRY(sv_image_resize_with(&p->rgb, w < 1 ? 1 : w, h < 1 ? 1 : h, longer > l->cell ? SV_FILTER_LANCZOS : SV_FILTER_BICUBIC, 13, &p->work,
                                &p->scaled, err));
    if (p->scaled.width != p->scaled.height) fill_round(on, x, y, l->cell, l->cell, 2, empty);
    put(on, &p->scaled, x + (l->cell - p->scaled.width) / 2, y + (l->cell - p->scaled.height) / 2);
    return SV_OK;
}

static sv_status draw_cell(layout *l, sv_image *on, const sv_sheet_cell *cell, int x, int y, pictures *p, sv_error *err) {
    double radius = l->pad * 0.8;
    fill_round(on, x, y, l->card_width, l->card_height, radius, card);
    SV_TRY(draw_picture(l, on, cell->image, x + l->pad, y + l->pad, p, err));
    if (cell->chosen) frame_round(on, x, y, l->card_width, l->card_height, radius, l->pad * 0.4, accent);
    else frame_round(on, x, y, l->card_width, l->card_height, radius, 1, edge);
    if (cell->chosen) tick(on, x + l->pad + l->cell - l->cell * 0.085, y + l->pad + l->cell * 0.085, l->cell * 0.055 + 2);

    int baseline = y + l->pad + l->cell + (int)lround(l->text.unit * 24);
    if (cell->caption) SV_TRY(draw_wrapped(&l->text, on, x + l->pad, baseline, l->cell, l->lines, cell->caption, ink, err));
    if (cell->note)
        SV_TRY(draw_cut(&l->small, on, x + l->pad, y + l->card_height - l->pad - (int)lround(l->small.unit * 3), l->cell, cell->note,
                        strlen(cell->note), cell->chosen ? accent : grey, err));
    return SV_OK;
}

/* ---- the whole ---- */

static sv_status lay_out(layout *l, const sv_sheet_cell *cells, size_t n, const sv_sheet_options *o, sv_error *err) {
    l->cell = o->cell;
    l->lines = o->lines;
    l->pad = o->cell / 20 < 5 ? 5 : o->cell / 20;
    l->gap = l->pad * 3 / 2;
    l->margin = l->pad * 5 / 2;
    double cap = o->cell / 18.5;
    if (cap < 8.0) cap = 8.0;
    SV_TRY(sv_font_open(&l->text, cap, 1.0, err));
    SV_TRY(sv_font_open(&l->small, cap * 0.88, 1.0, err));
    SV_TRY(sv_font_open(&l->title, cap * 1.55, 1.35, err));
    bool captions = false;
    for (size_t i = 0; i < n; i++) {
        captions |= cells[i].caption != NULL;
        l->notes |= cells[i].note != NULL;
    }
    if (!captions) l->lines = 0;
    l->card_width = l->cell + 2 * l->pad;
    l->card_height = l->cell + 2 * l->pad + (l->lines ? l->lines * sv_font_line(&l->text) + (int)lround(l->text.unit * 7) : 0);
    if (l->notes) l->card_height += sv_font_line(&l->small);
    if (o->columns) l->columns = o->columns;
    else l->columns = (int)ceil(sqrt(1.5 * (double)n * l->card_height / l->card_width));
    if ((size_t)l->columns > n) l->columns = (int)n;
    l->rows = (int)((n + (size_t)l->columns - 1) / (size_t)l->columns);
    l->head = o->title ? (int)lround(l->title.unit * 31) : 0;
    return SV_OK;
}

static sv_status draw(layout *l, const sv_sheet_cell *cells, size_t n, const sv_sheet_options *o, pictures *p, sv_image *out, sv_error *err) {
    int64_t width = 2 * (int64_t)l->margin + l->columns * (int64_t)(l->card_width + l->gap) - l->gap;
    int64_t height = 2 * (int64_t)l->margin + l->head + l->rows * (int64_t)(l->card_height + l->gap) - l->gap;
    SV_TRY(sv_image_check_size(width, height, "contact sheet", err));
    SV_TRY(sv_image_alloc(out, (int)width, (int)height, SV_MODE_RGB, err));
    for (size_t i = 0, size = (size_t)width * (size_t)height; i < size; i++) memcpy(out->data + 3 * i, (uint8_t[3]){ground.r, ground.g, ground.b}, 3);
    if (o->title)
        SV_TRY(draw_cut(&l->title, out, l->margin, l->margin + (int)lround(l->title.unit * 14), (int)width - 2 * l->margin, o->title,
                        strlen(o->title), ink, err));
    for (size_t i = 0; i < n; i++) {
        int column = (int)(i % (size_t)l->columns), row = (int)(i / (size_t)l->columns);
        SV_TRY(draw_cell(l, out, &cells[i], l->margin + column * (l->card_width + l->gap), l->margin + l->head + row * (l->card_height + l->gap), p,
                         err));
    }
    return SV_OK;
}

sv_status sv_sheet(const sv_sheet_cell *cells, size_t n, const sv_sheet_options *o, sv_image *out, sv_error *err) {
    if (!n) return sv_fail(err, SV_E_USAGE, "contact sheet", "there is no picture to show");
    if (n > 1000000) return sv_fail(err, SV_E_USAGE, "contact sheet", "%zu pictures do not fit on a sheet", n);
    if (o->cell < 32 || o->cell > 4096) return sv_fail(err, SV_E_USAGE, "contact sheet", "a cell of %d pixels is not in 32..4096", o->cell);
    if (o->columns < 0 || o->columns > 1000) return sv_fail(err, SV_E_USAGE, "contact sheet", "%d columns are not in 0..1000", o->columns);
    if (o->lines < 0 || o->lines > 50) return sv_fail(err, SV_E_USAGE, "contact sheet", "%d caption lines are not in 0..50", o->lines);
    layout l = {0};
    pictures p = {0};
    sv_status st = lay_out(&l, cells, n, o, err);
    if (st == SV_OK) st = draw(&l, cells, n, o, &p, out, err);
    sv_font_close(&l.text);
    sv_font_close(&l.small);
    sv_font_close(&l.title);
    sv_resize_work_free(&p.work);
    sv_image_free(&p.rgb);
    sv_image_free(&p.scaled);
    return st;
}
