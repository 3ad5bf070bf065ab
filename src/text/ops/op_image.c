/* op_image.c - Data-Juicer's filters on a caption's picture: names, parameters, limits. What they measure is measured elsewhere (outside.h). A caption has
 * one picture, so `any`, `all` and the ways to reduce several values say the same; they are checked all the same. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "text/ops/outside.h"

#define ANY_OR_ALL(type) {"any_or_all", SV_OPT_CHOICE, offsetof(type, any_or_all), "any", .choices = "any|all", .help = "of several pictures; a caption has one"}

/* ---- image_text_similarity_filter, image_text_matching_filter ---- */

#define IMAGE_TEXT(field) offsetof(sv_image_text_settings, field)
#define IMAGE_TEXT_OPTIONS                                                                                                                          \
    {"trust_remote_code", SV_OPT_BOOL, IMAGE_TEXT(trust_remote_code), "false", .help = "no code is ever loaded"},                                   \
    {"horizontal_flip", SV_OPT_BOOL, IMAGE_TEXT(horizontal_flip), "false", .help = "mirror the picture left to right before"},                      \
    {"vertical_flip", SV_OPT_BOOL, IMAGE_TEXT(vertical_flip), "false", .help = "turn it upside down before"},                                       \
    {"reduce_mode", SV_OPT_CHOICE, IMAGE_TEXT(reduce_mode), "avg", .choices = "avg|max|min", .help = "of several pictures; a caption has one"},     \
    ANY_OR_ALL(sv_image_text_settings)

static const sv_option similarity_options[] = {
    {"hf_clip", SV_OPT_PATH, IMAGE_TEXT(model), "null", .nullable = true, .help = "directory of a CLIP model with ONNX parts; must be given"},
    SV_RANGE_OPTIONS(sv_image_text_settings, "min_score", "0.1", "max_score", "1.0"),
    IMAGE_TEXT_OPTIONS,
    {0}};

static const sv_option matching_options[] = {
    {"hf_blip", SV_OPT_PATH, IMAGE_TEXT(model), "null", .nullable = true, .help = "directory of a BLIP matching model, ONNX; must be given"},
    SV_RANGE_OPTIONS(sv_image_text_settings, "min_score", "0.003", "max_score", "1.0"),
    IMAGE_TEXT_OPTIONS,
    {0}};

static sv_status check_model(const sv_image_text_settings *s, const char *where, const char *key, const char *how, sv_error *err) {
    if (!s->model) return sv_hint(err, sv_fail(err, SV_E_RECIPE, where, "no model is given"), "set %s to %s", key, how);
    if (sv_is_dir(s->model)) return SV_OK;
    sv_fail(err, SV_E_MODEL, where, "%s names no directory: %s", key, s->model);
    return sv_hint(err, SV_E_MODEL, "models are read from disk, names on a hub are not looked up: %s", how);
}

static sv_status similarity_open(void *state, const char *where, sv_error *err) {
    return check_model(state, where, "hf_clip", "a directory that optimum-cli export onnx --model openai/clip-vit-base-patch32 DIR has made", err);
}

static sv_status matching_open(void *state, const char *where, sv_error *err) {
    return check_model(state, where, "hf_blip", "a directory with BlipForImageTextRetrieval as model.onnx (docs/FILTERS.md)", err);
}

const sv_op sv_op_image_text_similarity = {
    .info = {"image_text_similarity_filter", SV_OP_FILTER, "image_text_similarity", "cosine of caption and picture, by CLIP"},
    .options = similarity_options, .size = sizeof(sv_image_text_settings), .open = similarity_open, .outside = SV_PICTURE_SIMILARITY};

const sv_op sv_op_image_text_matching = {
    .info = {"image_text_matching_filter", SV_OP_FILTER, "image_text_matching_score", "probability that the caption describes the picture, by BLIP"},
    .options = matching_options, .size = sizeof(sv_image_text_settings), .open = matching_open, .outside = SV_PICTURE_MATCHING};

/* ---- image_aspect_ratio_filter ---- */

typedef struct sv_image_aspect {
    sv_range range;
    int any_or_all;
} sv_image_aspect;

static const sv_option aspect_options[] = {
    SV_RANGE_OPTIONS(sv_image_aspect, "min_ratio", "0.333", "max_ratio", "3.0"), ANY_OR_ALL(sv_image_aspect), {0}};

const sv_op sv_op_image_aspect_ratio = {.info = {"image_aspect_ratio_filter", SV_OP_FILTER, "aspect_ratios", "width of the picture divided by its height"},
                                        .options = aspect_options, .size = sizeof(sv_image_aspect), .outside = SV_PICTURE_ASPECT};

/* ---- image_shape_filter: two filters of one entry; both must keep ---- */

typedef struct sv_image_shape {
    sv_range range, height;      /* range: of the width */
    int any_or_all;
} sv_image_shape;

static const sv_option shape_options[] = {
    {"min_width", SV_OPT_REAL, offsetof(sv_image_shape, range.min), "1", .nullable = true, .help = "smallest width kept"},
    {"max_width", SV_OPT_REAL, offsetof(sv_image_shape, range.max), "null", .nullable = true, .help = "largest width kept"},
    {"min_height", SV_OPT_REAL, offsetof(sv_image_shape, height.min), "1", .nullable = true, .help = "smallest height kept"},
    {"max_height", SV_OPT_REAL, offsetof(sv_image_shape, height.max), "null", .nullable = true, .help = "largest height kept"},
    SV_RANGE_FLAGS(sv_image_shape), ANY_OR_ALL(sv_image_shape), {0}};

static sv_status shape_open(void *state, const char *where, sv_error *err) {
    sv_image_shape *s = state;
    s->height.min_closed = s->range.min_closed;
    s->height.max_closed = s->range.max_closed;
    s->height.reversed = s->range.reversed;
    s->height.recompute = s->range.recompute;
    return SV_OK;
}

static const sv_op shape_height = {.info = {"image_shape_filter", SV_OP_FILTER, "image_height", "height of the picture"}, .integer = true,
                                   .outside = SV_PICTURE_HEIGHT, .range_at = offsetof(sv_image_shape, height)};

const sv_op sv_op_image_shape = {
    .info = {"image_shape_filter", SV_OP_FILTER, "image_width", "width and height of the picture (image_width, image_height)"}, .integer = true,
    .options = shape_options, .size = sizeof(sv_image_shape), .open = shape_open, .outside = SV_PICTURE_WIDTH, .also = &shape_height};

/* ---- image_size_filter ---- */

typedef struct sv_image_size {
    sv_range range;
    char *min_size, *max_size;
    int any_or_all;
} sv_image_size;

static const sv_option size_options[] = {
    {"min_size", SV_OPT_STRING, offsetof(sv_image_size, min_size), "0", .help = "smallest file kept, as in \"20KB\": units of 1024, whole numbers"},
    {"max_size", SV_OPT_STRING, offsetof(sv_image_size, max_size), "1TB", .help = "largest file kept"},
    SV_RANGE_FLAGS(sv_image_size), ANY_OR_ALL(sv_image_size), {0}};

/* Data-Juicer's size_to_bytes: all digits of the text make the number and all letters the unit, which counts in powers of 1024 with or without an i.
 * What is neither is passed over there, so that "1.5MB" would be 15 MB: here that is refused. */
static sv_status read_size(const char *text, const char *where, const char *key, double *bytes, sv_error *err) {
    static const char units[] = "kmgtpezy";
    char digits[64] = "", unit[8] = "";
    size_t n = 0, letters = 0;
    bool odd = false;
    for (const char *p = text; *p; p++) {
        char lower = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
        if (*p >= '0' && *p <= '9' && !letters && n < sizeof digits - 1) digits[n++] = *p;
        else if (lower >= 'a' && lower <= 'z' && letters < sizeof unit - 1) unit[letters++] = lower;
        else if (*p != ' ') odd = true;
    }
    const char *power = letters ? strchr(units, unit[0]) : NULL;
    bool named = !letters || (power && (!strcmp(unit + 1, "b") || !strcmp(unit + 1, "ib")));
    if (!n || odd || !named) {
        sv_fail(err, SV_E_RECIPE, where, "%s is no size: \"%.60s\"", key, text);
        return sv_hint(err, SV_E_RECIPE, "a whole number of bytes, or with a unit: 500, 20KB, 124KiB, 1MB (1KB is 1024 bytes, as in Data-Juicer)");
    }
    *bytes = strtod(digits, NULL);
    if (power) *bytes *= exp2(10.0 * (double)(power - units + 1));
    return SV_OK;
}

static sv_status size_open(void *state, const char *where, sv_error *err) {
    sv_image_size *s = state;
    SV_TRY(read_size(s->min_size, where, "min_size", &s->range.min, err));
    return read_size(s->max_size, where, "max_size", &s->range.max, err);
}

const sv_op sv_op_image_size = {.info = {"image_size_filter", SV_OP_FILTER, "image_sizes", "bytes of the picture's file"}, .integer = true,
                                .options = size_options, .size = sizeof(sv_image_size), .open = size_open, .outside = SV_PICTURE_BYTES};
