/* incomplete_beta.c - quantiles of the Beta distribution.
 *
 * I_x(a, b) by the continued fraction of DLMF 8.17.22, evaluated by Lentz' method; the quantile by Newton's method kept inside a shrinking bracket.
 */
#include <math.h>

#include "diffusion/schedule_math.h"

/* The continued fraction; converges fast for x < (a + 1) / (a + b + 2). */
static double fraction(double x, double a, double b) {
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    if (fabs(d) < tiny) d = tiny;
    d = 1 / d;
    double value = d;
    for (int m = 1; m < 500; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        for (int k = 0; k < 2; k++) {
            double term = k ? odd : even;
            d = 1 + term * d;
            c = 1 + term / c;
            if (fabs(d) < tiny) d = tiny;
            if (fabs(c) < tiny) c = tiny;
            d = 1 / d;
            value *= c * d;
        }
        if (fabs(c * d - 1) < 1e-16) break;
    }
    return value;
}

/* I_x(a, b) for 0 < x < 1; log_scale = ln Gamma(a + b) - ln Gamma(a) - ln Gamma(b). */
static double regularised(double x, double a, double b, double log_scale) {
    double front = exp(log_scale + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2)) return front * fraction(x, a, b) / a;
    return 1 - front * fraction(1 - x, b, a) / b;
}

double sv_beta_quantile(double p, double a, double b) {
    if (!(p > 0)) return 0;
    if (!(p < 1)) return 1;
    /* Near 1 the answer is found as the distance from 1, which a double can hold. */
    if (p > 0.5) return 1 - sv_beta_quantile(1 - p, b, a);
    double log_scale = lgamma(a + b) - lgamma(a) - lgamma(b);
    double low = 0, high = 1;
    /* The leading term of the series at 0: I_x = x^a / (a B(a, b)) (1 + …). */
    double x = exp((log(p * a) - log_scale) / a);
    if (!(x > 0 && x < 1)) x = 0.5;
    for (int i = 0; i < 200; i++) {
        double miss = regularised(x, a, b, log_scale) - p;
        if (miss > 0) high = x; else low = x;
        double slope = exp(log_scale + (a - 1) * log(x) + (b - 1) * log1p(-x));
        double next = x - miss / slope;
        if (!(next > low && next < high)) next = low + (high - low) / 2;
        if (fabs(next - x) <= 1e-16 * x || next == low || next == high) return next;
        x = next;
    }
    return x;
}
