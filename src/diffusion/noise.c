/* noise.c - the random numbers of torch.Generator("cpu") and torch.randn.
 *
 * The generator is MT19937 (Matsumoto and Nishimura 1998). What is PyTorch's own is how normals are made of its 32-bit words
 * (ATen/native/cpu/DistributionTemplates.h and ATen/core/DistributionsHelper.h, read at 2.x): two paths, chosen by the size of the draw.
 */
#include <math.h>

#include "synthvlm/diffusion.h"

#define N 624
#define M 397
static const double TWO_PI = 6.283185307179586476925286766559;

void sv_generator_seed(sv_generator *g, uint64_t seed) {
    g->state[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < N; i++) g->state[i] = 1812433253u * (g->state[i - 1] ^ (g->state[i - 1] >> 30)) + i;
    g->next = N;
    g->has_spare = false;
    g->spare = 0;
}

static uint32_t twist(uint32_t high, uint32_t low) {
    uint32_t y = (high & 0x80000000u) | (low & 0x7fffffffu);
    return (y >> 1) ^ ((y & 1) ? 0x9908b0dfu : 0);
}

static void refill(sv_generator *g) {
    uint32_t *s = g->state;
    for (int i = 0; i < N - M; i++) s[i] = s[i + M] ^ twist(s[i], s[i + 1]);
    for (int i = N - M; i < N - 1; i++) s[i] = s[i + M - N] ^ twist(s[i], s[i + 1]);
    s[N - 1] = s[M - 1] ^ twist(s[N - 1], s[0]);
    g->next = 0;
}

uint32_t sv_generator_next(sv_generator *g) {
    if (g->next >= N) refill(g);
    uint32_t y = g->state[g->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

/* Uniform in [0, 1): 24 bits of one word for a float, 53 bits of two words for a double (the first word is the upper half). */
static float uniform_float(sv_generator *g) { return (float)(sv_generator_next(g) & 0xffffffu) * 0x1p-24f; }

static double uniform_double(sv_generator *g) {
    uint64_t high = sv_generator_next(g);
    uint64_t both = high << 32 | sv_generator_next(g);
    return (double)(both & 0x1fffffffffffffull) * 0x1p-53;
}

/* Cephes' logf and sincosf, in the order and with the fused multiply-adds of PyTorch's vector code for x86-64 (AVX2 and later): its values, to the
 * bit, and not those of libm. Large sigmas amplify the last bit of the first draw, so it matters. x > 0. */
static float cephes_log(float x) {
    static const float P[] = {7.0376836292e-2f, -1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
                              -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f};
    int exponent;
    float m = frexpf(x, &exponent);
    if (m < 0.707106781186547524f) {
        exponent--;
        m = (m - 1.0f) + m;
    } else {
        m = m - 1.0f;
    }
    float e = (float)exponent, z = m * m, y = P[0];
    for (int i = 1; i < 9; i++) y = fmaf(y, m, P[i]);
    y = fmaf(y * m, z, e * -2.12194440e-4f);
    y = fmaf(-0.5f, z, y);
    return fmaf(e, 0.693359375f, m + y);
}

/* 0 <= x <= 2 pi. */
static void cephes_sincos(float x, float *sine, float *cosine) {
    int octant = ((int)(x * 1.27323954473516f) + 1) & ~1;
    float y = (float)octant, r = fmaf(y, -0.78515625f, x);
    r = fmaf(y, -2.4187564849853515625e-4f, r);
    r = fmaf(y, -3.77489497744594108e-8f, r);
    float z = r * r;
    float c = fmaf(2.443315711809948e-5f, z, -1.388731625493765e-3f);
    c = fmaf(c, z, 4.166664568298827e-2f);
    c = fmaf(c * z, z, -0.5f * z) + 1.0f;
    float s = fmaf(-1.9515295891e-4f, z, 8.3321608736e-3f);
    s = fmaf(s, z, -1.6666654611e-1f);
    s = fmaf(s * z, r, r);
    bool swap = octant & 2;
    *sine = swap ? c : s;
    *cosine = swap ? s : c;
    if (octant & 4) *sine = -*sine;
    if (!((octant - 2) & 4)) *cosine = -*cosine;
}

/* Box-Muller on 16 uniforms: the first eight give radii, the second eight angles. */
static void normals_of_16(float *v) {
    for (int i = 0; i < 8; i++) {
        float radius = sqrtf(-2.0f * cephes_log(1.0f - v[i])), sine, cosine;
        cephes_sincos((float)TWO_PI * v[i + 8], &sine, &cosine);
        v[i] = radius * cosine;
        v[i + 8] = radius * sine;
    }
}

/* Fewer than 16 values: one at a time in double, each pair of uniforms giving two normals, of which the second waits for the next small draw. */
static float small_normal(sv_generator *g) {
    if (g->has_spare) {
        g->has_spare = false;
        return (float)g->spare;
    }
    double u1 = uniform_double(g), u2 = uniform_double(g);
    double radius = sqrt(-2.0 * log1p(-u2)), angle = TWO_PI * u1;
    g->spare = radius * sin(angle);
    g->has_spare = true;
    return (float)(radius * cos(angle));
}

void sv_randn(sv_generator *g, float *out, size_t n) {
    if (n < 16) {
        for (size_t i = 0; i < n; i++) out[i] = small_normal(g);
        return;
    }
    for (size_t i = 0; i < n; i++) out[i] = uniform_float(g);
    for (size_t i = 0; i + 16 <= n; i += 16) normals_of_16(out + i);
    if (n % 16) {   /* the last 16 values are drawn anew, those of them that were done included */
        float *tail = out + n - 16;
        for (int i = 0; i < 16; i++) tail[i] = uniform_float(g);
        normals_of_16(tail);
    }
}
