/* cmd_image_hash.c - synthvlm image-hash: perceptual hashes of many images. */
#include <stdio.h>
#include <stdlib.h>

#include "args.h"
#include "synthvlm/image.h"

#define MAX_THREADS 64

static void put_hash(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key, uint64_t hash) {
    char hex[17];
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)hash);
    sv_line_put(doc, root, key, yyjson_mut_strcpy(doc, hex));
}

static sv_status hash(void *user, unsigned thread, yyjson_mut_doc *doc, yyjson_mut_val *root, sv_error *err) {
    sv_image *im = &((sv_image *)user)[thread];
    const char *path;
    size_t size;
    sv_image_hashes h;
    sv_status st = sv_line_get_str(root, "image", true, &path, &size, err);
    if (st == SV_OK) st = sv_image_read(im, path, err);
    if (st == SV_OK) st = sv_image_hash_all(im, &h, err);
    if (st != SV_OK) return st;
    put_hash(doc, root, "phash", h.phash);
    put_hash(doc, root, "dhash", h.dhash);
    put_hash(doc, root, "ahash", h.ahash);
    return SV_OK;
}

static sv_status run(const sv_args *args, sv_error *err) {
    int64_t threads = 0;
    sv_status st = sv_arg_int(args, "threads", 0, MAX_THREADS, &threads, err);
    if (st != SV_OK) return st;
    sv_image *images = calloc(MAX_THREADS, sizeof *images);
    if (!images) {
        *err = (sv_error){.status = SV_E_MEMORY, .what = "image-hash", .why = "out of memory"};
        return SV_E_MEMORY;
    }
    FILE *in = stdin;
    if (sv_arg_count(args)) st = sv_lines_of_names(args, &in, err);
    if (st == SV_OK) st = sv_lines_run(in, (unsigned)threads, hash, images, err);
    if (in != stdin) fclose(in);
    for (size_t i = 0; i < MAX_THREADS; i++) sv_image_free(&images[i]);
    free(images);
    return st;
}

static const sv_flag flags[] = {{"threads", 0, "N", "threads; default: one per core"}, {0}};

const sv_command sv_cmd_image_hash = {
    .name = "image-hash",
    .group = "Images",
    .usage = "[IMAGE...]",
    .summary = "perceptual hashes of images, by which copies are found",
    .about = "One JSON line per image, in the order given: {\"image\", \"phash\", \"dhash\", \"ahash\"}, each 16 hex digits, equal to imagededup's. Images\n"
             "look alike where few of the 64 bits differ. Without IMAGE the lines are read from stdin: {\"image\": \"a.png\"}, further fields are\n"
             "kept. An image that cannot be read has \"error\" instead, the others go on, and the exit code is 1. A recipe's\n"
             "score.gates.benchmark takes such a file.\n\n"
             "  synthvlm image-hash benchmark/*.jpg > benchmark-hashes.jsonl",
    .flags = flags,
    .max_args = -1,
    .run = run,
};
