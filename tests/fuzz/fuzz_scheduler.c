/* fuzz_scheduler.c - scheduler_config.json from hostile bytes. The first byte is the number of steps; what is accepted runs its whole loop. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "synthvlm/diffusion.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    char *config = sv_strndup((const char *)data + 1, size - 1);
    sv_scheduler *s = NULL;
    sv_sampler *p = NULL;
    sv_error err;
    if (config && sv_scheduler_open(&s, config, NULL, &err) == SV_OK) {
        sv_sample_options o;
        sv_sample_options_init(&o, 1 + data[0] % 40);
        if (sv_sampler_open(&p, s, &o, 1, 16, &err) == SV_OK) {
            float x[16], out[16], scaled[16];
            sv_generator g;
            sv_generator_seed(&g, 1);
            sv_randn(&g, x, 16);
            for (size_t i = 0; i < sv_sampler_length(p) && i < 200; i++) {
                sv_sampler_scale_input(p, i, x, scaled);
                for (int k = 0; k < 16; k++) out[k] = 0.3f * scaled[k];
                if (sv_sampler_step(p, i, out, x, &g, &err) != SV_OK) break;
            }
        }
    }
    sv_sampler_close(&p);
    sv_scheduler_close(&s);
    free(config);
    return 0;
}
