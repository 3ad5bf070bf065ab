/* calibrate_columns.c - many numbers, and their mean, spread and exact quantiles in little memory. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "stages/calibrate/calibrate.h"

enum { FEW = 2048 };

sv_status sv_column_open(sv_column *c, sv_error *err) {
    const char *dir = getenv("TMPDIR");
    *c = (sv_column){.fd = -1};
    char *name = sv_path_join(dir && *dir ? dir : "/tmp", "synthvlm-XXXXXX");
    if (!name) return sv_fail_memory(err, "calibrate", 0);
    c->fd = mkostemp(name, O_CLOEXEC);
    sv_status st = c->fd < 0 ? sv_fail_errno(err, name, "cannot create a temporary file") : SV_OK;
    if (st == SV_OK) unlink(name);
    free(name);
    return st;
}

static sv_status flush_block(sv_column *c, sv_error *err) {
    const char *p = (const char *)c->block;
    for (size_t left = c->in_block * sizeof *c->block; left;) {
        ssize_t n = write(c->fd, p, left);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return sv_hint(err, sv_fail_errno(err, "temporary file", "cannot write"), "TMPDIR names the directory for such files");
        p += n;
        left -= (size_t)n;
    }
    c->in_block = 0;
    return SV_OK;
}

sv_status sv_column_add(sv_column *c, double value, sv_error *err) {
    if (isnan(value)) return SV_OK;
    double sum = c->sum + value;   /* Neumaier: the mean of ten million numbers keeps its last digits */
    if (isfinite(sum)) c->lost += fabs(c->sum) >= fabs(value) ? (c->sum - sum) + value : (value - sum) + c->sum;
    c->sum = sum;
    c->block[c->in_block++] = value;
    c->count++;
    return c->in_block == sizeof c->block / sizeof *c->block ? flush_block(c, err) : SV_OK;
}

sv_status sv_column_seal(sv_column *c, sv_error *err) {
    SV_TRY(flush_block(c, err));
    if (!c->count) return SV_OK;
    void *all = mmap(NULL, c->count * sizeof(double), PROT_READ, MAP_PRIVATE, c->fd, 0);
    if (all == MAP_FAILED) return sv_fail_errno(err, "temporary file", "cannot map");
    c->all = all;
    return SV_OK;
}

void sv_column_close(sv_column *c) {
    if (c->all) munmap(c->all, c->count * sizeof(double));
    if (c->fd >= 0) close(c->fd);
    c->all = NULL;
    c->fd = -1;
}

/* ---- quantiles ---- */

/* Doubles as integers of the same order. */
static uint64_t key_of(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static double value_of(uint64_t key) {
    uint64_t bits = key >> 63 ? key & ~((uint64_t)1 << 63) : ~key;
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* The number of rank `rank` (from 0) in order: 16 bits of it are found in each of four walks. */
static double ranked(const sv_column *c, uint64_t rank, uint64_t *counts) {
    uint64_t prefix = 0;
    for (int shift = 48; shift >= 0; shift -= 16) {
        memset(counts, 0, 65536 * sizeof *counts);
        uint64_t mask = shift == 48 ? 0 : ~(uint64_t)0 << (shift + 16);
        for (uint64_t i = 0; i < c->count; i++) {
            uint64_t key = key_of(c->all[i]);
            if ((key & mask) == prefix) counts[key >> shift & 0xFFFF]++;
        }
        uint64_t digit = 0;
        while (rank >= counts[digit]) rank -= counts[digit++];
        prefix |= digit << shift;
    }
    return value_of(prefix);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* NumPy's linear interpolation, which pandas uses: from the nearer end. */
static double quantile(const sv_column *c, double q, const double *sorted, uint64_t *counts) {
    double at = q * (double)(c->count - 1), below = floor(at), t = at - below;
    double a = sorted ? sorted[(size_t)below] : ranked(c, (uint64_t)below, counts);
    if (t == 0) return a;
    double b = sorted ? sorted[(size_t)below + 1] : ranked(c, (uint64_t)below + 1, counts), d = b - a;
    return t >= 0.5 ? b - d * (1 - t) : a + d * t;
}

/* A few numbers are quicker sorted. */
static void quartiles(const sv_column *c, double out[3], uint64_t *counts) {
    double few[FEW];
    bool is_few = c->count <= FEW;
    if (is_few) {
        memcpy(few, c->all, c->count * sizeof *few);
        qsort(few, c->count, sizeof *few, by_size);
    }
    for (int i = 0; i < 3; i++) out[i] = quantile(c, 0.25 * (i + 1), is_few ? few : NULL, counts);
}

void sv_column_describe(const sv_column *c, sv_described *out) {
    uint64_t *counts = c->count ? malloc(65536 * sizeof *counts) : NULL;
    *out = (sv_described){.count = c->count, .mean = NAN, .std = NAN, .min = NAN, .quartile = {NAN, NAN, NAN}, .max = NAN};
    if (!counts) return;
    double mean = (c->sum + c->lost) / (double)c->count, squares = 0, lost = 0;
    out->mean = mean;
    out->min = out->max = c->all[0];
    for (uint64_t i = 0; i < c->count; i++) {
        double v = c->all[i], d = (v - mean) * (v - mean) - lost, sum = squares + d;
        lost = (sum - squares) - d;
        squares = sum;
        if (v < out->min) out->min = v;
        if (v > out->max) out->max = v;
    }
    if (c->count > 1) out->std = sqrt(squares / (double)(c->count - 1));
    quartiles(c, out->quartile, counts);
    free(counts);
}
