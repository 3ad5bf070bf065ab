/* cmd_noise.c - synthvlm noise: the normals that torch.randn draws on the CPU. */
#include <errno.h>
#include <string.h>
#include <stdlib.h>

#include "args.h"
#include "synthvlm/diffusion.h"

static const sv_flag flags[] = {
    {"seed", 0, "S", "0 to 18446744073709551615, counted modulo 2^32 as PyTorch does (default 0)", false},
    {"shape", 0, "SHAPE", "sides joined by x: 1x4x64x64", false},
    {"before", 0, "SHAPE", "drawn from the same generator first, and not written; may be given several times, in order", true},
    {0}};

static const char about[] =
    "Writes what torch.randn(SHAPE, generator=torch.Generator('cpu').manual_seed(S)) gives, as raw little-endian float32. Earlier draws from the\n"
    "same generator are named with --before: they move it on, and an odd count of fewer than 16 values leaves one for the next such draw.\n\n"
    "  synthvlm noise --seed 42 --shape 1x4x64x64 > latents.f32\n"
    "  synthvlm noise --seed 42 --before 1x4x8x8 --shape 1x4x8x8 | od -A d -f | head\n";

#define MOST_VALUES ((size_t)1 << 30)

/* The number of values of a shape. */
static sv_status parse_shape(const sv_command *c, const char *flag, const char *text, size_t *count, sv_error *err) {
    size_t product = 1;
    for (const char *p = text;; p++) {
        size_t side = 0;
        const char *digits = p;
        for (; *p >= '0' && *p <= '9' && side <= MOST_VALUES; p++) side = side * 10 + (size_t)(*p - '0');
        if (p == digits || !side || (*p && *p != 'x')) return sv_cli_usage(err, c, flag, "must be sides joined by x, such as 1x4x64x64, not '%s'", text);
        if (side > MOST_VALUES / product) return sv_cli_usage(err, c, flag, "%s is more than %zu values", text, MOST_VALUES);
        product *= side;
        if (!*p) break;
    }
    *count = product;
    return SV_OK;
}

static sv_status out_of_memory(sv_error *err, size_t values) {
    snprintf(err->what, sizeof err->what, "noise");
    snprintf(err->why, sizeof err->why, "no memory for %zu values", values);
    return err->status = SV_E_MEMORY;
}

/* Little-endian, whatever the machine is. */
static sv_status write_values(const float *values, size_t n, sv_error *err) {
    unsigned char bytes[4096];
    for (size_t i = 0; i < n;) {
        size_t k = 0;
        for (; k < sizeof bytes && i < n; i++, k += 4) {
            union { float f; uint32_t u; } v = {.f = values[i]};
            for (int b = 0; b < 4; b++) bytes[k + (size_t)b] = (unsigned char)(v.u >> 8 * b);
        }
        if (fwrite(bytes, 1, k, stdout) != k) break;
    }
    if (!ferror(stdout) && fflush(stdout) == 0) return SV_OK;
    snprintf(err->what, sizeof err->what, "stdout");
    snprintf(err->why, sizeof err->why, "cannot write: %s", strerror(errno));
    return err->status = SV_E_IO;
}

static sv_status run(const sv_args *args, sv_error *err) {
    const sv_command *c = sv_arg_command(args);
    const char *shape = sv_arg(args, "shape"), *const *before;
    if (!shape) return sv_cli_usage(err, c, "--shape", "is missing");
    size_t count, most, earlier = sv_arg_all(args, "before", &before);
    uint64_t seed = 0;
    sv_status st = sv_arg_seed(args, "seed", &seed, err);
    if (st == SV_OK) st = parse_shape(c, "--shape", shape, &count, err);
    if (st != SV_OK) return st;
    most = count;
    for (size_t i = 0; i < earlier; i++) {
        size_t n;
        st = parse_shape(c, "--before", before[i], &n, err);
        if (st != SV_OK) return st;
        if (n > most) most = n;
    }
    float *values = malloc(most * sizeof *values);
    if (!values) return out_of_memory(err, most);
    sv_generator g;
    sv_generator_seed(&g, seed);
    for (size_t i = 0; i < earlier; i++) {
        size_t n = 0;
        parse_shape(c, "--before", before[i], &n, err);
        sv_randn(&g, values, n);
    }
    sv_randn(&g, values, count);
    st = write_values(values, count, err);
    free(values);
    return st;
}

const sv_command sv_cmd_noise = {
    .name = "noise", .group = "Models", .usage = "--seed S --shape SHAPE [--before SHAPE]... > FILE",
    .summary = "write the noise that PyTorch's CPU generator draws", .about = about, .flags = flags, .run = run};
