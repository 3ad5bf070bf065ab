#include "progress.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WINDOW = 16 };            /* the rate is that of the last so many reports, half a second apart or more */

static struct {
    char stage[24];
    double begin, shown;         /* when the stage began; when it was last shown */
    double at[WINDOW];
    uint64_t done[WINDOW];
    unsigned samples;
    bool on_screen;
} bar;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void time_text(double seconds, char *out, size_t size) {
    long s = (long)(seconds + 0.5);
    if (s < 60)
        snprintf(out, size, "%lds", s);
    else if (s < 3600)
        snprintf(out, size, "%ldm %02lds", s / 60, s % 60);
    else
        snprintf(out, size, "%ldh %02ldm", s / 3600, s / 60 % 60);
}

static double rate(double t, uint64_t done) {
    unsigned oldest = bar.samples > WINDOW ? bar.samples % WINDOW : 0;
    double span = t - bar.at[oldest];
    return span > 0 && done >= bar.done[oldest] ? (double)(done - bar.done[oldest]) / span : 0;
}

void sv_cli_progress_end(void) {
    if (bar.on_screen) fprintf(stderr, "\r\033[K");
    bar.on_screen = false;
}

static void show(void *user, const char *stage, uint64_t done, uint64_t total, uint64_t failed) {
    bool terminal = isatty(STDERR_FILENO);
    double t = now();
    if (strcmp(stage, bar.stage) != 0) {
        sv_cli_progress_end();
        memset(&bar, 0, sizeof bar);
        snprintf(bar.stage, sizeof bar.stage, "%s", stage);
        bar.begin = bar.shown = t;
        bar.at[0] = t;
        bar.done[0] = done;
        bar.samples = 1;
    }
    unsigned last = (bar.samples - 1) % WINDOW;
    if (t - bar.at[last] >= 0.5) {
        bar.at[bar.samples % WINDOW] = t;
        bar.done[bar.samples % WINDOW] = done;
        bar.samples++;
    }
    if (t - bar.shown < (terminal ? 0.1 : 30.0)) return;
    bar.shown = t;
    double per_second = rate(t, done);
    char left[32] = "", fails[48] = "";
    if (total > done && per_second > 0) time_text((double)(total - done) / per_second, left, sizeof left);
    if (failed) snprintf(fails, sizeof fails, ", %llu failed", (unsigned long long)failed);
    if (!terminal) {
        if (total)
            fprintf(stderr, "synthvlm: %s: %llu of %llu (%.0f%%), %.3g/s%s%s%s\n", stage, (unsigned long long)done, (unsigned long long)total,
                    100.0 * (double)done / (double)total, per_second, *left ? ", left: " : "", left, fails);
        else
            fprintf(stderr, "synthvlm: %s: %llu, %.3g/s%s\n", stage, (unsigned long long)done, per_second, fails);
        return;
    }
    char cells[3 * 24 + 1] = "";
    if (total) {
        unsigned filled = (unsigned)(24.0 * (double)done / (double)total);
        for (unsigned i = 0; i < 24; i++) strncat(cells, i < filled ? "━" : "─", sizeof cells - strlen(cells) - 1);
        fprintf(stderr, "\r\033[K%-9s %s %llu/%llu  %.3g/s%s%s%s", stage, cells, (unsigned long long)done, (unsigned long long)total, per_second,
                *left ? "  left " : "", left, fails);
    } else
        fprintf(stderr, "\r\033[K%-9s %llu  %.3g/s%s", stage, (unsigned long long)done, per_second, fails);
    bar.on_screen = true;
}

static void say(void *user, sv_log_level level, const char *line) {
    sv_cli_progress_end();
    sv_log log = sv_cli_log();
    log.fn(log.user, level, line);
}

void sv_cli_stage_options(sv_stage_options *o) {
    *o = (sv_stage_options){.log = {.fn = say}, .progress = {.fn = show}, .stop = &sv_cli_stop};
    sv_cli_catch_signals();
}
