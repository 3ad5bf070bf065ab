/* cmd_sheet.c - synthvlm sheet: many pictures on one. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "args.h"
#include "synthvlm/image.h"
#include "synthvlm/stages.h"

/* A run directory: its best captions with all their candidates. */
static sv_status run_sheet(const sv_args *args, const char *dir, sv_error *err) {
    int64_t captions = 6;
    char path[4096];
    const char *out = sv_arg(args, "output");
    sv_status st = sv_arg_int(args, "captions", 1, 1000, &captions, err);
    snprintf(path, sizeof path, "%s/sheet.png", dir);
    if (st == SV_OK) st = sv_run_sheet(dir, out ? out : path, (int)captions, err);
    if (st == SV_OK) printf("%s\n", out ? out : path);
    return st;
}

static bool is_directory(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static sv_status out_of_memory(sv_error *err) {
    *err = (sv_error){.status = SV_E_MEMORY, .what = "sheet", .why = "out of memory"};
    return SV_E_MEMORY;
}

/* Reads an image and makes it no larger than its cell, so that a sheet of thousands needs little memory. */
static sv_status read_small(const char *path, int cell, sv_image *out, sv_error *err) {
    sv_image full = {0}, rgb = {0};
    sv_status st = sv_image_read(&full, path, err);
    if (st == SV_OK) st = sv_image_on_white(&full, &rgb, err);
    int longer = rgb.width > rgb.height ? rgb.width : rgb.height;
    if (st == SV_OK && longer > cell) {
        int width = (int)((int64_t)rgb.width * cell / longer), height = (int)((int64_t)rgb.height * cell / longer);
        st = sv_image_resize(&rgb, width ? width : 1, height ? height : 1, SV_FILTER_LANCZOS, 13, out, err);
    } else if (st == SV_OK) {
        *out = rgb;
        rgb = (sv_image){0};
    }
    sv_image_free(&full);
    sv_image_free(&rgb);
    return st;
}

static sv_status run(const sv_args *args, sv_error *err) {
    if (sv_arg_count(args) == 1 && is_directory(sv_arg_at(args, 0))) return run_sheet(args, sv_arg_at(args, 0), err);
    const char *out_path = sv_arg(args, "output");
    sv_format format;
    sv_sheet_options o;
    sv_sheet_options_init(&o);
    int64_t columns = 0, cell = o.cell;
    if (!out_path && sv_arg_count(args) == 1 && access(sv_arg_at(args, 0), F_OK) != 0)
        return sv_cli_usage(err, sv_arg_command(args), sv_arg_at(args, 0), "there is no such run directory or file");
    if (!out_path) return sv_cli_usage(err, sv_arg_command(args), "-o", "is missing: where should the sheet go?");
    sv_status st = sv_format_of_name(out_path, &format, err);
    if (st == SV_OK) st = sv_arg_int(args, "columns", 1, 1000, &columns, err);
    if (st == SV_OK) st = sv_arg_int(args, "cell", 32, 4096, &cell, err);
    if (st != SV_OK) return st;
    o.columns = (int)columns;
    o.cell = (int)cell;
    o.lines = 2;
    o.title = sv_arg(args, "title");

    size_t n = sv_arg_count(args), failed = 0;
    sv_image *images = calloc(n, sizeof *images), sheet = {0};
    sv_sheet_cell *cells = calloc(n, sizeof *cells);
    if (!images || !cells) st = out_of_memory(err);
    sv_log log = sv_cli_log();
    for (size_t i = 0; st == SV_OK && i < n; i++) {
        const char *path = sv_arg_at(args, i);
        sv_error bad = {0};
        sv_status read = read_small(path, o.cell, &images[i], &bad);
        if (read == SV_E_MEMORY) {
            *err = bad;
            st = read;
        } else if (read != SV_OK) {
            char text[2048];
            log.fn(log.user, SV_LOG_WARN, sv_error_text(&bad, text, sizeof text));
            sv_image_free(&images[i]);
            failed++;
        }
        cells[i] = (sv_sheet_cell){.image = read == SV_OK ? &images[i] : NULL, .caption = base_name(path)};
    }
    if (st == SV_OK) st = sv_sheet(cells, n, &o, &sheet, err);
    if (st == SV_OK) st = sv_image_write(&sheet, out_path, NULL, err);
    if (st == SV_OK && failed) st = SV_SHORT; /* said already, image by image */
    for (size_t i = 0; images && i < n; i++) sv_image_free(&images[i]);
    free(images);
    free(cells);
    sv_image_free(&sheet);
    return st;
}

static const sv_flag flags[] = {
    {"output", 'o', "FILE", "the sheet, .png, .jpg or .webp; of a run directory: DIR/sheet.png if not given"},
    {"captions", 0, "N", "of a run directory: so many captions, evenly over the ranks, a row each; default 6"},
    {"columns", 0, "N", "pictures in a row; default: chosen so that the sheet is somewhat wider than high"},
    {"cell", 0, "N", "side of each picture in pixels, 32 to 4096; default 160"},
    {"title", 0, "TEXT", "a line above the pictures"},
    {0},
};

const sv_command sv_cmd_sheet = {
    .name = "sheet",
    .group = "Datasets",
    .usage = "DIR [--captions N] [-o OUT.png] | FILE... -o OUT.png [--columns N] [--cell N] [--title TEXT]",
    .summary = "a contact sheet of a run's candidates, or of any pictures",
    .about = "Of a run directory: captions with their candidates side by side, scores below, the picked one framed.\n"
             "Of files: they keep their shape and are shown with their file names. A file that cannot be read leaves an empty place and a warning, and\n"
             "the exit code is 1.\n\n"
             "  synthvlm sheet demo-run\n"
             "  synthvlm sheet images/*.jpg -o sheet.png --columns 6 --title \"First try\"",
    .flags = flags,
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
