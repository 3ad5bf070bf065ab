/* ssim_rows.c - the row loops of SSIM. Each body is written once as plain C and compiled twice on x86-64: for every machine, and for those
 * with AVX2. Neither relaxed arithmetic nor fused multiply-add is allowed, so the two give the same bits. */
#include "image/ssim_rows.h"

#include "base/cpu.h"

#if defined(__GNUC__)
#define BODY static inline __attribute__((always_inline))
#else
#define BODY static inline
#endif

BODY void slide_body(const uint8_t *restrict a, const uint8_t *restrict b, const uint8_t *restrict old_a, const uint8_t *restrict old_b, size_t n,
                     int32_t *restrict sums) {
    int32_t *sx = sums, *sy = sums + n, *sq = sums + 2 * n, *sxy = sums + 3 * n;
    if (!old_a) {
        for (size_t i = 0; i < n; i++) {
            int32_t x = a[i], y = b[i];
            sx[i] += x;
            sy[i] += y;
            sq[i] += x * x + y * y;
            sxy[i] += x * y;
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        int32_t x = a[i], y = b[i], u = old_a[i], v = old_b[i];
        sx[i] += x - u;
        sy[i] += y - v;
        sq[i] += x * x + y * y - u * u - v * v;
        sxy[i] += x * y - u * v;
    }
}

/* For the usual small windows: as many additions as the window is wide, but for eight sums at a time, which is faster than running sums.
 * Called with a constant window. */
BODY void across_small(const int32_t *restrict c, size_t n, const size_t window, double *restrict to) {
    for (size_t i = 0; i + window <= n; i++) {
        int32_t sum = 0;
        for (size_t j = 0; j < window; j++) sum += c[i + j];
        to[i] = sum;
    }
}

/* For any window. The running sums are whole numbers below 2^53: exact in double. */
BODY void across_any(const int32_t *restrict c, size_t n, size_t window, double *restrict to) {
    double sum = 0;
    for (size_t i = 0; i < window; i++) sum += c[i];
    to[0] = sum;
    for (size_t i = 1; i + window <= n; i++) to[i] = sum += c[i + window - 1] - c[i - 1];
}

BODY void across_body(const int32_t *restrict columns, size_t n, size_t window, double *restrict sums, size_t pitch) {
    for (int k = 0; k < SV_SSIM_SUMS; k++) {
        const int32_t *c = columns + (size_t)k * n;
        double *to = sums + (size_t)k * pitch;
        if (window == 7) across_small(c, n, 7, to);
        else if (window == 11) across_small(c, n, 11, to);
        else across_any(c, n, window, to);
    }
}

BODY void smooth_line(const double *restrict line, size_t n, const double *restrict w, double *restrict out) {
    for (size_t i = 0; i + 10 < n; i++) {
        const double *p = line + i + 5;
        double s = p[0] * w[0];
        for (int j = 1; j <= 5; j++) s += (p[-j] + p[j]) * w[j];
        out[i] = s;
    }
}

BODY void smooth_body(const uint8_t *restrict a, const uint8_t *restrict b, size_t n, const double *restrict w, double *restrict line,
                      double *restrict sums, size_t pitch) {
    for (size_t i = 0; i < n; i++) line[i] = a[i];
    smooth_line(line, n, w, sums);
    for (size_t i = 0; i < n; i++) line[i] = b[i];
    smooth_line(line, n, w, sums + pitch);
    for (size_t i = 0; i < n; i++) line[i] = a[i] * a[i] + b[i] * b[i];
    smooth_line(line, n, w, sums + 2 * pitch);
    for (size_t i = 0; i < n; i++) line[i] = a[i] * b[i];
    smooth_line(line, n, w, sums + 3 * pitch);
}

BODY void blend_body(const double *const rows[SV_SSIM_TAPS], size_t n, const double *restrict w, double *restrict out) {
    for (size_t i = 0; i < n; i++) {
        double s = rows[5][i] * w[0];
        for (int j = 1; j <= 5; j++) s += (rows[5 - j][i] + rows[5 + j][i]) * w[j];
        out[i] = s;
    }
}

BODY double values_body(double *restrict sums, size_t pitch, size_t n, const sv_ssim_terms *t) {
    const double total = t->total, k = t->k, c1 = t->c1, c2 = t->c2;
    const double *restrict sy = sums + pitch, *restrict sq = sums + 2 * pitch, *restrict sxy = sums + 3 * pitch;
    for (size_t i = 0; i < n; i++) {
        double x = sums[i], y = sy[i], cross = x * y, square = x * x + y * y;
        double over = (2.0 * cross + c1) * (2.0 * k * (total * sxy[i] - cross) + c2);
        double under = (square + c1) * (k * (total * sq[i] - square) + c2);
        sums[i] = over / under;
    }
    /* Four partial totals, so that an addition need not wait for the one before; always these four, so that the result is always the same. */
    double part[4] = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++) part[j] += sums[i + (size_t)j];
    for (; i < n; i++) part[0] += sums[i];
    return (part[0] + part[1]) + (part[2] + part[3]);
}

#define VARIANT(name, attribute)                                                                                                                     \
    static attribute void name##_slide(const uint8_t *a, const uint8_t *b, const uint8_t *old_a, const uint8_t *old_b, size_t n, int32_t *sums) {    \
        slide_body(a, b, old_a, old_b, n, sums);                                                                                                     \
    }                                                                                                                                                \
    static attribute void name##_across(const int32_t *columns, size_t n, size_t window, double *sums, size_t pitch) {                               \
        across_body(columns, n, window, sums, pitch);                                                                                                \
    }                                                                                                                                                \
    static attribute void name##_smooth(const uint8_t *a, const uint8_t *b, size_t n, const double *w, double *line, double *sums, size_t pitch) {   \
        smooth_body(a, b, n, w, line, sums, pitch);                                                                                                  \
    }                                                                                                                                                \
    static attribute void name##_blend(const double *const rows[SV_SSIM_TAPS], size_t n, const double *w, double *out) {                             \
        blend_body(rows, n, w, out);                                                                                                                 \
    }                                                                                                                                                \
    static attribute double name##_values(double *sums, size_t pitch, size_t n, const sv_ssim_terms *t) { return values_body(sums, pitch, n, t); }   \
    static const sv_ssim_rows name = {name##_slide, name##_across, name##_smooth, name##_blend, name##_values};

VARIANT(plain, )
#if defined(__x86_64__) && defined(__GNUC__)
VARIANT(avx2, __attribute__((target("avx2"))))
#endif

const sv_ssim_rows *sv_ssim_rows_best(void) {
#if defined(__x86_64__) && defined(__GNUC__)
    if (sv_cpu_avx2()) return &avx2;
#endif
    return &plain; /* AArch64 has its vectors switched on for all code, so this is its fast variant too */
}
