/* clip_config.c - preprocessor_config.json: how pictures become numbers. Old files give sizes as one number, newer ones as objects. */
#include "score/clip.h"

#include "base/str.h"

/* A whole number within 1..65536, or 0 where the key is absent. */
static int side(yyjson_val *v) {
    double n = yyjson_get_num(v);
    return yyjson_is_num(v) && n >= 1 && n <= 65536 ? (int)n : 0;
}

static bool flag(yyjson_val *config, const char *key, bool fallback) {
    yyjson_val *v = yyjson_obj_get(config, key);
    return yyjson_is_bool(v) ? yyjson_get_bool(v) : fallback;
}

static sv_status read_size(yyjson_val *config, const char *dir, sv_clip_preprocess_options *o, sv_error *err) {
    yyjson_val *size = yyjson_obj_get(config, "size"), *crop = yyjson_obj_get(config, "crop_size");
    const char *type = yyjson_get_str(yyjson_obj_get(config, "image_processor_type"));
    /* CLIP's processor crops unless told otherwise; those of other models (SigLIP, ViT, BLIP) know no crop. */
    bool crops = !type || crop || sv_str_starts(type, "CLIP");
    if (!flag(config, "do_resize", true)) {
        o->shortest_edge = o->width = o->height = 0;
    } else if (yyjson_is_num(size) || yyjson_obj_get(size, "shortest_edge")) {
        o->shortest_edge = side(yyjson_is_num(size) ? size : yyjson_obj_get(size, "shortest_edge"));
        if (!o->shortest_edge) return sv_fail(err, SV_E_MODEL, dir, "preprocessor_config.json: \"size\" makes no sense");
    } else if (size) {
        o->shortest_edge = 0;
        o->width = side(yyjson_obj_get(size, "width"));
        o->height = side(yyjson_obj_get(size, "height"));
        if (!o->width || !o->height) return sv_fail(err, SV_E_MODEL, dir, "preprocessor_config.json: \"size\" makes no sense");
    }
    if (!flag(config, "do_center_crop", crops)) {
        o->crop_width = o->crop_height = 0;
    } else if (crop) {
        o->crop_width = side(yyjson_is_num(crop) ? crop : yyjson_obj_get(crop, "width"));
        o->crop_height = side(yyjson_is_num(crop) ? crop : yyjson_obj_get(crop, "height"));
        if (!o->crop_width || !o->crop_height) return sv_fail(err, SV_E_MODEL, dir, "preprocessor_config.json: \"crop_size\" makes no sense");
    }
    return SV_OK;
}

/* Pillow's numbers of its filters. */
static sv_status read_filter(yyjson_val *config, const char *dir, sv_clip_preprocess_options *o, sv_error *err) {
    static const sv_filter filters[] = {SV_FILTER_NEAREST, SV_FILTER_LANCZOS, SV_FILTER_BILINEAR, SV_FILTER_BICUBIC, SV_FILTER_BOX, SV_FILTER_HAMMING};
    yyjson_val *v = yyjson_obj_get(config, "resample");
    if (!v || yyjson_is_null(v)) return SV_OK;
    double n = yyjson_get_num(v);
    if (!yyjson_is_int(v) || n < 0 || n >= sizeof filters / sizeof filters[0])
        return sv_fail(err, SV_E_MODEL, dir, "preprocessor_config.json: \"resample\" is not one of Pillow's filters, 0..5");
    o->filter = filters[(int)n];
    return SV_OK;
}

static sv_status read_triple(yyjson_val *config, const char *key, const char *dir, float out[3], sv_error *err) {
    yyjson_val *v = yyjson_obj_get(config, key);
    if (!v || yyjson_is_null(v)) return SV_OK;
    if (yyjson_arr_size(v) != 3) return sv_fail(err, SV_E_MODEL, dir, "preprocessor_config.json: \"%s\" is not three numbers", key);
    for (size_t i = 0; i < 3; i++) {
        if (!yyjson_is_num(yyjson_arr_get(v, i))) return sv_fail(err, SV_E_MODEL, dir, "preprocessor_config.json: \"%s\" is not three numbers", key);
        out[i] = (float)yyjson_get_num(yyjson_arr_get(v, i));
    }
    return SV_OK;
}

sv_status sv_clip_read_preprocessor(yyjson_val *config, const char *dir, sv_clip_preprocess_options *out, sv_error *err) {
    const char *type = yyjson_get_str(yyjson_obj_get(config, "image_processor_type"));
    sv_clip_preprocess_options_init(out);
    if (type && sv_str_starts(type, "Siglip")) {   /* its own defaults */
        out->shortest_edge = 0;
        out->width = out->height = 224;
        for (int i = 0; i < 3; i++) out->mean[i] = out->std[i] = 0.5f;
    }
    SV_TRY(read_size(config, dir, out, err));
    SV_TRY(read_filter(config, dir, out, err));
    SV_TRY(read_triple(config, "image_mean", dir, out->mean, err));
    SV_TRY(read_triple(config, "image_std", dir, out->std, err));
    yyjson_val *factor = yyjson_obj_get(config, "rescale_factor");
    if (yyjson_is_num(factor)) out->rescale = yyjson_get_num(factor);
    if (!flag(config, "do_rescale", true)) out->rescale = 1;
    for (int i = 0; i < 3; i++) {
        if (!flag(config, "do_normalize", true)) {
            out->mean[i] = 0;
            out->std[i] = 1;
        }
        if (!(out->std[i] > 0)) return sv_fail(err, SV_E_MODEL, dir, "preprocessor_config.json: \"image_std\" must be above zero");
    }
    return SV_OK;
}
