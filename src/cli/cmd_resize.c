/* cmd_resize.c - synthvlm resize: one image, with Pillow's pixels. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "synthvlm/image.h"

static bool ends(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* The bytes of the pixels, row by row, without a header. */
static sv_status write_raw(const sv_image *im, const char *path, sv_error *err) {
    FILE *f = strcmp(path, "-") ? fopen(path, "wb") : stdout;
    size_t size = (size_t)im->width * (size_t)im->height * (size_t)sv_mode_channels(im->mode);
    bool ok = f && fwrite(im->data, 1, size, f) == size && fflush(f) == 0;
    int cause = errno;
    if (f && f != stdout && fclose(f) != 0 && ok) {
        ok = false;
        cause = errno;
    }
    if (ok) return SV_OK;
    *err = (sv_error){.status = SV_E_IO};
    snprintf(err->what, sizeof err->what, "%s", path);
    snprintf(err->why, sizeof err->why, "cannot write the pixels: %s", strerror(cause));
    return SV_E_IO;
}

static sv_status run(const sv_args *args, sv_error *err) {
    const char *in_path = sv_arg_at(args, 0), *out_path = sv_arg_at(args, 1), *convert = sv_arg(args, "convert"),
               *filter_name = sv_arg(args, "filter");
    sv_filter filter = SV_FILTER_BICUBIC;
    int width = 0, height = 0;
    int64_t order = 13;
    if (!sv_arg(args, "size")) return sv_cli_usage(err, sv_arg_command(args), "--size", "is missing, for example --size 224x224");
    sv_status st = sv_arg_size(args, "size", &width, &height, err);
    if (st == SV_OK && filter_name) st = sv_filter_parse(filter_name, &filter, err);
    if (st == SV_OK) st = sv_arg_int(args, "pillow", 1, 99, &order, err);
    if (st != SV_OK) return st;
    if (order != 13 && order != 11) return sv_cli_usage(err, sv_arg_command(args), "--pillow", "must be 13 or 11");
    sv_mode mode = SV_MODE_RGB;
    if (convert) {
        if (!strcmp(convert, "L")) mode = SV_MODE_L;
        else if (!strcmp(convert, "RGBA")) mode = SV_MODE_RGBA;
        else if (strcmp(convert, "RGB") != 0)
            return sv_cli_usage(err, sv_arg_command(args), "--convert", "must be RGB, L or RGBA, not '%s'", convert);
    }
    bool raw = !strcmp(out_path, "-") || ends(out_path, ".raw");
    sv_format format;
    if (!raw && (st = sv_format_of_name(out_path, &format, err)) != SV_OK) return st;

    sv_image in = {0}, converted = {0}, out = {0};
    const sv_image *from = &in;
    st = sv_image_read(&in, in_path, err);
    if (st == SV_OK && convert) {
        st = sv_image_convert(&in, mode, &converted, err);
        from = &converted;
    }
    if (st == SV_OK) st = sv_image_resize(from, width, height, filter, (int)order, &out, err);
    if (st == SV_OK) st = raw ? write_raw(&out, out_path, err) : sv_image_write(&out, out_path, NULL, err);
    sv_image_free(&in);
    sv_image_free(&converted);
    sv_image_free(&out);
    return st;
}

static const sv_flag flags[] = {
    {"size", 0, "WxH", "width and height in pixels"},
    {"filter", 0, "NAME", "bicubic (default), bilinear, lanczos, box, hamming or nearest"},
    {"convert", 0, "MODE", "convert to RGB, L or RGBA first; default: the image's own mode"},
    {"pillow", 0, "N", "order of the two passes: 13 (default) as Pillow 13 and later, 11 as Pillow 11 and before"},
    {0},
};

const sv_command sv_cmd_resize = {
    .name = "resize",
    .group = "Images",
    .usage = "IN OUT --size WxH [--filter bicubic|bilinear|lanczos|box] [--convert RGB|L] [--pillow 13|11]",
    .summary = "resize one image to exactly the pixels that Pillow gives",
    .about = "Reads PNG, JPEG or WebP. The name of OUT chooses the format: .png holds the pixels exactly and in their mode (P stays P, LA stays\n"
             "LA); .jpg and .webp lose something; .raw, or - for stdout, is the bytes of the pixels without a header. Images of mode 1 and P are\n"
             "always resized with nearest, as Pillow does; LA and RGBA are weighted by alpha.\n\n"
             "  synthvlm resize photo.jpg small.png --size 224x224 --filter bicubic --convert RGB",
    .flags = flags,
    .min_args = 2,
    .max_args = 2,
    .run = run,
};
