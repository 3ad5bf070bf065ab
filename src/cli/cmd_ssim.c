/* cmd_ssim.c - synthvlm ssim: how alike two images are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "synthvlm/image.h"

static sv_status options(const sv_args *args, sv_ssim_options *o, sv_error *err) {
    const char *flavour = sv_arg(args, "flavour"), *window = sv_arg(args, "window"), *covariance = sv_arg(args, "covariance");
    if (flavour && (window || covariance || sv_arg(args, "win-size")))
        return sv_cli_usage(err, sv_arg_command(args), "--flavour",
                            "already says what --window, --win-size and --covariance would say; give one or the other");
    if (flavour) return sv_ssim_options_named(o, flavour, err);
    if (window && strcmp(window, "uniform") != 0 && strcmp(window, "gaussian") != 0)
        return sv_cli_usage(err, sv_arg_command(args), "--window", "must be uniform or gaussian, not '%s'", window);
    sv_ssim_options_init(o, window && !strcmp(window, "gaussian"));
    if (covariance && strcmp(covariance, "sample") != 0 && strcmp(covariance, "population") != 0)
        return sv_cli_usage(err, sv_arg_command(args), "--covariance", "must be sample or population, not '%s'", covariance);
    if (covariance) o->sample_covariance = !strcmp(covariance, "sample");
    int64_t side = o->window;
    sv_status st = sv_arg_int(args, "win-size", 3, 16511, &side, err);
    if (st != SV_OK) return st;
    if (side % 2 == 0) return sv_cli_usage(err, sv_arg_command(args), "--win-size", "must be odd, not %d", (int)side);
    if (o->gaussian && side != 11) return sv_cli_usage(err, sv_arg_command(args), "--win-size", "is always 11 with a gaussian window");
    o->window = (int)side;
    return SV_OK;
}

static sv_status read_as(const char *path, sv_mode mode, sv_image *out, sv_error *err) {
    sv_image in = {0};
    sv_status st = sv_image_read(&in, path, err);
    if (st == SV_OK) st = sv_image_convert(&in, mode, out, err);
    sv_image_free(&in);
    return st;
}

/* The shortest form that reads back to the same double. */
static void print_real(double v) {
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    puts(text);
}

static sv_status run(const sv_args *args, sv_error *err) {
    sv_ssim_options o;
    sv_status st = options(args, &o, err);
    if (st != SV_OK) return st;
    sv_mode mode = sv_arg_on(args, "rgb") ? SV_MODE_RGB : SV_MODE_L;
    sv_image a = {0}, b = {0};
    double value;
    st = read_as(sv_arg_at(args, 0), mode, &a, err);
    if (st == SV_OK) st = read_as(sv_arg_at(args, 1), mode, &b, err);
    if (st == SV_OK) st = sv_ssim(&a, &b, &o, &value, err);
    if (st == SV_OK) print_real(value);
    sv_image_free(&a);
    sv_image_free(&b);
    return st;
}

static const sv_flag flags[] = {
    {"window", 0, "KIND", "uniform (default) or gaussian (sigma 1.5, 11 x 11)"},
    {"win-size", 0, "N", "side of the uniform window, odd; default 7"},
    {"covariance", 0, "KIND", "sample (default with a uniform window) or population (default with a gaussian one)"},
    {"flavour", 0, "NAME", "the settings of a library: skimage (the default settings), wang, torchmetrics, pytorch-msssim"},
    {"rgb", 0, NULL, "mean over the three colour channels; default: both images are made grey"},
    {0},
};

const sv_command sv_cmd_ssim = {
    .name = "ssim",
    .group = "Images",
    .usage = "A B [--window uniform|gaussian] [--win-size N] [--covariance sample|population] [--rgb] [--flavour NAME]",
    .summary = "structural similarity of two images of equal size",
    .about = "Prints one number, 1 for equal images. The default is scikit-image's structural_similarity of the grey images; --window gaussian is\n"
             "the one of Wang et al. 2004. --flavour torchmetrics mirrors the border and takes the mean over every pixel, as torchmetrics 1.4.2 and\n"
             "later; pytorch-msssim rounds its window to float32.\n\n"
             "  synthvlm ssim a.png b.png --window gaussian --rgb",
    .flags = flags,
    .min_args = 2,
    .max_args = 2,
    .run = run,
};
