/* cmd_ssim_score.c - synthvlm ssim-score: SynthVLM's SSIMScore of many images. */
#include <stdio.h>
#include <stdlib.h>

#include "args.h"
#include "synthvlm/image.h"

#define MAX_THREADS 64

typedef struct scorer {
    int base, low, order;
    struct {
        sv_image im;
        sv_ssim_work *work;
    } thread[MAX_THREADS];
} scorer;

static sv_status score(void *user, unsigned thread, yyjson_mut_doc *doc, yyjson_mut_val *root, sv_error *err) {
    scorer *s = user;
    const char *path;
    size_t size;
    double value;
    sv_status st = sv_line_get_str(root, "image", true, &path, &size, err);
    if (st == SV_OK) st = sv_image_read(&s->thread[thread].im, path, err);
    if (st == SV_OK) st = sv_ssim_score(&s->thread[thread].im, s->base, s->low, s->order, &s->thread[thread].work, &value, err);
    if (st == SV_OK) sv_line_put_real(doc, root, "ssim_score", value);
    return st;
}

static sv_status run(const sv_args *args, sv_error *err) {
    int64_t base = 768, low = 336, order = 13, threads = 0;
    sv_status st = sv_arg_int(args, "base", 7, 16384, &base, err);
    if (st == SV_OK) st = sv_arg_int(args, "low", 1, 16384, &low, err);
    if (st == SV_OK) st = sv_arg_int(args, "pillow", 1, 99, &order, err);
    if (st == SV_OK) st = sv_arg_int(args, "threads", 0, MAX_THREADS, &threads, err);
    if (st != SV_OK) return st;
    if (order != 13 && order != 11) return sv_cli_usage(err, sv_arg_command(args), "--pillow", "must be 13 or 11");
    scorer *s = calloc(1, sizeof *s);
    if (!s) {
        *err = (sv_error){.status = SV_E_MEMORY, .what = "ssim-score", .why = "out of memory"};
        return SV_E_MEMORY;
    }
    s->base = (int)base;
    s->low = (int)low;
    s->order = (int)order;
    FILE *in = stdin;
    if (sv_arg_count(args)) st = sv_lines_of_names(args, &in, err);
    if (st == SV_OK) st = sv_lines_run(in, (unsigned)threads, score, s, err);
    if (in != stdin) fclose(in);
    for (size_t i = 0; i < MAX_THREADS; i++) {
        sv_image_free(&s->thread[i].im);
        sv_ssim_work_free(&s->thread[i].work);
    }
    free(s);
    return st;
}

static const sv_flag flags[] = {
    {"base", 0, "N", "side that the image is resized to first; default 768"},
    {"low", 0, "N", "side of the detour; default 336"},
    {"pillow", 0, "N", "order of the resize passes: 13 (default) as Pillow 13 and later, 11 as Pillow 11 and before"},
    {"threads", 0, "N", "threads; default: one per core"},
    {0},
};

const sv_command sv_cmd_ssim_score = {
    .name = "ssim-score",
    .group = "Images",
    .usage = "[--base 768] [--low 336] [--pillow 13|11] [IMAGE...]",
    .summary = "SynthVLM's SSIMScore: what survives a detour through a low resolution",
    .about = "The image is resized to base x base, from there to low x low and back (bilinear), and both are compared in grey by SSIM. One JSON\n"
             "line per image, in the order given: {\"image\", \"ssim_score\"}; an image that cannot be read has \"error\" instead, the others go\n"
             "on, and the exit code is 1. Without IMAGE the lines are read from stdin: {\"image\": \"a.png\"}, further fields are kept.\n\n"
             "  synthvlm ssim-score --base 128 --low 56 images/*.jpg",
    .flags = flags,
    .max_args = -1,
    .run = run,
};
