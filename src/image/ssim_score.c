/* ssim_score.c - SynthVLM's SSIMScore: how much of a picture survives a detour through a low resolution.
 *
 * The steps are those of the authors' own program: resize to base x base, to low x low and back, bilinear and in the image's own mode; make
 * both pictures grey; SSIM with scikit-image's defaults. */
#include <stdlib.h>

#include "image/codec.h"
#include "image/resize.h"
#include "image/ssim.h"

struct sv_ssim_work {
    sv_resize_work resize;
    sv_ssim_scratch ssim;
    sv_image large, small, back, grey_large, grey_back;
};

void sv_ssim_work_free(sv_ssim_work **work) {
    if (!work || !*work) return;
    sv_ssim_work *w = *work;
    sv_resize_work_free(&w->resize);
    sv_ssim_scratch_free(&w->ssim);
    sv_image *images[] = {&w->large, &w->small, &w->back, &w->grey_large, &w->grey_back};
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) sv_image_free(images[i]);
    free(w);
    *work = NULL;
}

sv_status sv_ssim_score(const sv_image *im, int base, int low, int order, sv_ssim_work **work, double *value, sv_error *err) {
    if (base < 7) return sv_fail(err, SV_E_USAGE, "SSIMScore", "base %d is smaller than the window of 7", base);
    if (low < 1) return sv_fail(err, SV_E_USAGE, "SSIMScore", "low %d is not a size", low);
    if (!*work && !(*work = calloc(1, sizeof **work))) return sv_fail_memory(err, "SSIMScore", sizeof **work);
    sv_ssim_work *w = *work;
    const sv_image *large = im;
    if (im->width != base || im->height != base) {
        SV_TRY(sv_image_resize_with(im, base, base, SV_FILTER_BILINEAR, order, &w->resize, &w->large, err));
        large = &w->large;
    }
    SV_TRY(sv_image_resize_with(large, low, low, SV_FILTER_BILINEAR, order, &w->resize, &w->small, err));
    SV_TRY(sv_image_resize_with(&w->small, base, base, SV_FILTER_BILINEAR, order, &w->resize, &w->back, err));
    SV_TRY(sv_image_convert(large, SV_MODE_L, &w->grey_large, err));
    SV_TRY(sv_image_convert(&w->back, SV_MODE_L, &w->grey_back, err));
    sv_ssim_options o;
    sv_ssim_options_init(&o, false);
    return sv_ssim_plane(w->grey_large.data, w->grey_back.data, base, base, &o, &w->ssim, value, err);
}
