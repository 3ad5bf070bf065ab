/* fuzz_image.c - PNG, JPEG and WebP files from hostile bytes; what decodes goes on through conversion, resize and encoding. */
#include <stdlib.h>

#include "image/orient.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sv_image im = {0}, rgb = {0}, small = {0};
    sv_error err;
    sv_orientation way = sv_image_orientation(data, size);
    if (sv_image_decode(&im, data, size, "fuzz", &err) == SV_OK && (int64_t)im.width * im.height <= 1 << 20) {
        uint8_t *bytes = NULL;
        size_t n = 0;
        sv_encode_options o;
        sv_encode_options_init(&o, SV_FORMAT_PNG);
        o.compression = 1;
        if (sv_image_turn(&im, way, &rgb, &err) == SV_OK) sv_image_rgb_with_key(&rgb, &small, &err);
        if (sv_image_on_white(&im, &rgb, &err) == SV_OK) sv_image_resize(&rgb, 9, 7, SV_FILTER_BICUBIC, 13, &small, &err);
        if (sv_image_convert(&im, SV_MODE_L, &rgb, &err) == SV_OK) sv_image_resize(&im, 5, 11, SV_FILTER_LANCZOS, 11, &small, &err);
        if (sv_image_encode(&small, &o, &bytes, &n, &err) == SV_OK) free(bytes);
    }
    sv_image_free(&im);
    sv_image_free(&rgb);
    sv_image_free(&small);
    return 0;
}
