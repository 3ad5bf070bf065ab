/* model_sizes.c - the numbers that a picture's shape depends on, from the configs of denoiser and decoder. */
#include "diffusion/family.h"

sv_status sv_model_dir_sizes(const sv_model_dir *m, sv_model_sizes *out, sv_error *err) {
    const sv_part_files *denoiser = &m->parts[SV_PART_DENOISER], *decoder = &m->parts[SV_PART_DECODER];
    int64_t channels, in, side, patch;
    double scaling, shift;
    bool packed = m->family && m->family->packed;
    size_t levels = sv_config_list_size(decoder, "block_out_channels"), depth = sv_config_list_size(denoiser, "block_out_channels");
    if (!levels || levels > 16) {
        sv_fail(err, SV_E_MODEL, m->path, "vae_decoder/config.json does not say how the decoder is built (block_out_channels)");
        return sv_hint(err, SV_E_MODEL, "copy config.json of the original model's vae folder to vae_decoder");
    }
    SV_TRY(sv_config_int(decoder, "latent_channels", 4, &channels, err));
    SV_TRY(sv_config_int(denoiser, "in_channels", channels, &in, err));
    SV_TRY(sv_config_int(denoiser, "sample_size", packed ? 128 : 64, &side, err));
    SV_TRY(sv_config_int(denoiser, "patch_size", 1, &patch, err));
    if (packed) {                /* 2 x 2 patches are made before the denoiser sees them */
        in /= 4;
        patch = 2;
    }
    SV_TRY(sv_config_real(decoder, "scaling_factor", 0.18215, &scaling, err));
    SV_TRY(sv_config_real(decoder, "shift_factor", 0, &shift, err));
    if (in != channels)
        return sv_fail(err, SV_E_MODEL, m->path, "the denoiser takes %lld channels where the decoder has %lld: not a text-to-image model (inpainting?)",
                       (long long)in, (long long)channels);
    if (channels < 1 || channels > 1024 || side < 1 || side > 4096 || patch < 1 || patch > 64 || !(scaling > 0))
        return sv_fail(err, SV_E_MODEL, m->path, "unusable sizes in the configs: %lld channels, sample_size %lld, patch_size %lld, scaling_factor %g",
                       (long long)channels, (long long)side, (long long)patch, scaling);
    out->has_spread = sv_config_list_size(decoder, "latents_mean") > 0;
    if (out->has_spread) {       /* of diffusers' pipelines only those of Stable Diffusion XL look at them */
        if (!m->family || !m->family->spread)
            return sv_fail(err, SV_E_MODEL, m->path, "its decoder has latents_mean and latents_std, which %s does not use", m->class_name);
        if (channels > SV_MOST_SPREAD) return sv_fail(err, SV_E_MODEL, m->path, "latents_mean of more than %d channels", SV_MOST_SPREAD);
        SV_TRY(sv_config_list(decoder, "latents_mean", (size_t)channels, out->mean, err));
        SV_TRY(sv_config_list(decoder, "latents_std", (size_t)channels, out->std, err));
    }
    out->factor = 1 << (levels - 1);
    /* Each further level of a unet halves the latents, and its graph can only double them back if nothing was rounded away. */
    out->multiple = (out->factor << (depth > 1 && depth < 16 ? depth - 1 : 0)) * (int)patch;
    out->channels = (int)channels;
    out->patch = (int)patch;
    out->scaling = (float)scaling;
    out->shift = (float)shift;
    out->width = out->height = (int)side * out->factor;
    return SV_OK;
}
