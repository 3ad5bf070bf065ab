/* orient.c - EXIF orientation: where the three file formats keep it, and the eight ways to turn a picture. */
#include "image/orient.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "image/codec.h"

typedef struct span {
    const uint8_t *data;
    size_t size;
} span;

/* What a file says of itself: EXIF with or without its own header, and XMP. */
typedef struct notes {
    span exif, xmp;
} notes;

static uint32_t be32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }
static uint32_t le32(const uint8_t *p) { return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0]; }

static bool begins(span s, const char *with, size_t n) { return s.size >= n && memcmp(s.data, with, n) == 0; }

/* Segments before the first scan: APP1 with "Exif\0\0" or with XMP's name. */
static void read_jpeg(span f, notes *out) {
    static const char xmp[] = "http://ns.adobe.com/xap/1.0/";
    for (size_t at = 2; at + 4 <= f.size && f.data[at] == 0xFF;) {
        uint8_t marker = f.data[at + 1];
        if (marker == 0xFF) {                            /* fill byte */
            at++;
            continue;
        }
        if (marker == 0xDA || marker == 0xD9) return;
        size_t length = (size_t)f.data[at + 2] << 8 | f.data[at + 3];
        if (length < 2 || at + 2 + length > f.size) return;
        span s = {f.data + at + 4, length - 2};
        if (marker == 0xE1 && begins(s, "Exif\0\0", 6) && !out->exif.data) out->exif = s;
        if (marker == 0xE1 && begins(s, xmp, sizeof xmp)) out->xmp = (span){s.data + sizeof xmp, s.size - sizeof xmp};
        at += 2 + length;
    }
}

static void read_png(span f, notes *out) {
    static const char xmp[] = "XML:com.adobe.xmp";
    for (size_t at = 8; at + 12 <= f.size;) {
        size_t length = be32(f.data + at);
        if (length > f.size - at - 12) return;
        span s = {f.data + at + 8, length};
        if (!memcmp(f.data + at + 4, "eXIf", 4)) out->exif = s;
        if (!memcmp(f.data + at + 4, "iTXt", 4) && begins(s, xmp, sizeof xmp)) out->xmp = s;
        at += 12 + length;
    }
}

static void read_webp(span f, notes *out) {
    for (size_t at = 12; at + 8 <= f.size;) {
        size_t length = le32(f.data + at + 4);
        if (length > f.size - at - 8) return;
        span s = {f.data + at + 8, length};
        if (!memcmp(f.data + at, "EXIF", 4)) out->exif = s;
        if (!memcmp(f.data + at, "XMP ", 4)) out->xmp = s;
        at += 8 + length + (length & 1);
    }
}

/* Tag 0x112 of the first directory of a TIFF header; -1: not there. Of two the last counts, as in Pillow. */
static long read_exif(span s) {
    while (begins(s, "Exif\0\0", 6)) s = (span){s.data + 6, s.size - 6};
    if (s.size < 8) return -1;
    bool little = begins(s, "II", 2);
    if (!little && !begins(s, "MM", 2)) return -1;
    uint32_t at = little ? le32(s.data + 4) : be32(s.data + 4);
    if (at > s.size || s.size - at < 2) return -1;
    size_t count = little ? (size_t)s.data[at + 1] << 8 | s.data[at] : (size_t)s.data[at] << 8 | s.data[at + 1];
    long found = -1;
    for (size_t i = 0; i < count && s.size - at - 2 >= 12 * (i + 1); i++) {
        const uint8_t *e = s.data + at + 2 + 12 * i;
        unsigned tag = little ? (unsigned)e[1] << 8 | e[0] : (unsigned)e[0] << 8 | e[1];
        unsigned type = little ? (unsigned)e[3] << 8 | e[2] : (unsigned)e[2] << 8 | e[3];
        uint32_t n = little ? le32(e + 4) : be32(e + 4);
        if (tag != 0x112 || n != 1) continue;
        if (type == 3) found = little ? (long)e[9] << 8 | e[8] : (long)e[8] << 8 | e[9];
        if (type == 4) found = (long)(little ? le32(e + 8) : be32(e + 8));
    }
    return found;
}

/* tiff:Orientation="6" or <tiff:Orientation>6: the first that is followed by a digit. */
static long read_xmp(span s) {
    static const char name[] = "tiff:Orientation";
    const size_t n = sizeof name - 1;
    for (size_t i = 0; i + n + 2 < s.size; i++) {
        if (memcmp(s.data + i, name, n) != 0) continue;
        const uint8_t *p = s.data + i + n;
        size_t skip = p[0] == '>' ? 1 : p[0] == '=' && p[1] == '"' ? 2 : 0;
        if (skip && i + n + skip < s.size && p[skip] >= '0' && p[skip] <= '9') return p[skip] - '0';
    }
    return -1;
}

sv_orientation sv_image_orientation(const void *bytes, size_t size) {
    span f = {bytes, size};
    notes found = {{NULL, 0}, {NULL, 0}};
    if (begins(f, "\xff\xd8\xff", 3)) read_jpeg(f, &found);
    else if (begins(f, "\x89PNG\r\n\x1a\n", 8)) read_png(f, &found);
    else if (size >= 12 && begins(f, "RIFF", 4) && !memcmp(f.data + 8, "WEBP", 4)) read_webp(f, &found);
    long v = found.exif.data ? read_exif(found.exif) : -1;
    if (v < 0 && found.xmp.data) v = read_xmp(found.xmp);
    return v > 1 && v <= 8 ? (sv_orientation)v : SV_UPRIGHT;
}

sv_status sv_image_turn(const sv_image *in, sv_orientation how, sv_image *out, sv_error *err) {
    bool sideways = how >= SV_TRANSPOSE;
    SV_TRY(sv_image_alloc(out, sideways ? in->height : in->width, sideways ? in->width : in->height, in->mode, err));
    sv_image_copy_colours(in, out);
    size_t pixel = (size_t)sv_mode_channels(in->mode), row = sv_image_row(in), w = (size_t)in->width, h = (size_t)in->height;
    /* Where the pixel of the result's x, y comes from, as a start and two steps. */
    bool from_right = how == SV_MIRROR || how == SV_TURN_180 || how == SV_TRANSVERSE || how == SV_TURN_LEFT;
    bool from_below = how == SV_TURN_180 || how == SV_FLIP || how == SV_TURN_RIGHT || how == SV_TRANSVERSE;
    const uint8_t *start = in->data + (from_right ? (w - 1) * pixel : 0) + (from_below ? (h - 1) * row : 0);
    ptrdiff_t along = from_right ? -(ptrdiff_t)pixel : (ptrdiff_t)pixel, down = from_below ? -(ptrdiff_t)row : (ptrdiff_t)row;
    ptrdiff_t dx = sideways ? down : along, dy = sideways ? along : down;
    uint8_t *to = out->data;
    for (int y = 0; y < out->height; y++) {
        const uint8_t *p = start + y * dy;
        for (int x = 0; x < out->width; x++, p += dx, to += pixel) memcpy(to, p, pixel);
    }
    return SV_OK;
}

sv_status sv_image_rgb_with_key(const sv_image *in, sv_image *out, sv_error *err) {
    SV_TRY(sv_image_convert(in, SV_MODE_RGB, out, err));
    out->keyed = in->keyed && in->mode != SV_MODE_1;
    memcpy(out->key, in->key, sizeof out->key);
    if (in->mode != SV_MODE_P) return SV_OK;
    int entry = -1, others = 0;
    for (int i = 0; i < 256; i++) {
        uint8_t alpha = in->palette[4 * i + 3];
        if (alpha == 0 && entry < 0) entry = i;
        else others += alpha != 255;
    }
    out->keyed = entry >= 0 && !others;
    if (out->keyed) memcpy(out->key, in->palette + 4 * entry, 3);
    return SV_OK;
}

sv_status sv_image_read_upright(sv_image *im, const char *path, sv_error *err) {
    char *bytes = NULL;
    size_t size = 0;
    sv_image turned = {0};
    SV_TRY(sv_image_read(im, path, err));      /* first, for its words about files that cannot be read */
    SV_TRY(sv_file_read(path, 0, &bytes, &size, err));
    sv_orientation way = sv_image_orientation(bytes, size);
    free(bytes);
    if (way == SV_UPRIGHT) return SV_OK;
    sv_status st = sv_image_turn(im, way, &turned, err);
    if (st == SV_OK) st = sv_image_copy(&turned, im, err);
    sv_image_free(&turned);
    return st;
}
