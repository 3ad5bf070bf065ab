#include "status_text.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_SOURCES = 20, MOST_CONCEPTS = 12 };   /* rows on the screen */

const char *sv_cli_count(int64_t n, char buf[32]) {
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)(n < 0 ? -n : n));
    size_t len = strlen(digits), at = 0;
    if (n < 0) buf[at++] = '-';
    for (size_t i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) buf[at++] = ',';
        buf[at++] = digits[i];
    }
    buf[at] = 0;
    return buf;
}

static int64_t number(yyjson_val *o, const char *key) {
    return yyjson_get_sint(yyjson_obj_get(o, key));
}

static const char *text(yyjson_val *o, const char *key) {
    const char *s = yyjson_get_str(yyjson_obj_get(o, key));
    return s ? s : "";
}

static void row(FILE *out, const char *what, int64_t count, const char *rest) {
    char buf[32];
    fprintf(out, "%-12s %12s%s%s\n", what, sv_cli_count(count, buf), *rest ? "   " : "", rest);
}

/* Counts by reason, below the row that they explain. */
static void reasons(FILE *out, yyjson_val *o) {
    size_t i, n;
    yyjson_val *key, *value;
    char buf[32];
    yyjson_obj_foreach(o, i, n, key, value) fprintf(out, "%-12s %12s     %s\n", "", sv_cli_count(yyjson_get_sint(value), buf), yyjson_get_str(key));
}

static void time_left(char *buf, size_t size, double seconds) {
    long s = (long)(seconds + 0.5);
    if (s < 90)
        snprintf(buf, size, "%ld s", s);
    else if (s < 5400)
        snprintf(buf, size, "%ld min", (s + 30) / 60);
    else
        snprintf(buf, size, "%ld h %02ld min", s / 3600, s / 60 % 60);
}

/* What asking a language model has cost, all under its current settings. */
static void judge(FILE *out, const char *label, yyjson_val *o) {
    char line[256], a[32], b[32], c[32];
    if (!o) return;
    int n = snprintf(line, sizeof line, "by %s requests; tokens: %s in, %s out", sv_cli_count(number(o, "requests"), a), sv_cli_count(number(o, "tokens_in"), b),
                     sv_cli_count(number(o, "tokens_out"), c));
    if (number(o, "unclear")) n += snprintf(line + n, sizeof line - (size_t)n, "; %s unclear", sv_cli_count(number(o, "unclear"), a));
    if (number(o, "failed")) snprintf(line + n, sizeof line - (size_t)n, "; %s failed", sv_cli_count(number(o, "failed"), a));
    row(out, label, number(o, "asked"), line);
}

static void captions(FILE *out, yyjson_val *root) {
    yyjson_val *c = yyjson_obj_get(root, "captions"), *j = yyjson_obj_get(root, "curate");
    char line[200], buf[32];
    int64_t sources = number(c, "sources"), faults = number(c, "faults");
    int n = snprintf(line, sizeof line, "from %lld source%s", (long long)sources, sources == 1 ? "" : "s");
    if (number(c, "repeated")) n += snprintf(line + n, sizeof line - (size_t)n, "; %s met again", sv_cli_count(number(c, "repeated"), buf));
    if (faults) snprintf(line + n, sizeof line - (size_t)n, "; %s bad row%s:", sv_cli_count(faults, buf), faults == 1 ? "" : "s");
    row(out, "captions", number(c, "captions"), line);
    reasons(out, yyjson_obj_get(c, "fault_reasons"));
    if (!j) {
        fprintf(out, "%-12s %12s   not curated yet\n", "", "");
        return;
    }
    int64_t missing = number(c, "captions") - number(j, "judged");
    line[0] = 0;
    if (missing > 0) snprintf(line, sizeof line, "%s still to be judged", sv_cli_count(missing, buf));
    row(out, "kept", number(j, "kept"), line);
    row(out, "rejected", number(j, "rejected"), number(j, "rejected") ? "by:" : "");
    reasons(out, yyjson_obj_get(j, "rules"));
    judge(out, "asked", yyjson_obj_get(root, "judge"));
    if (yyjson_obj_get(j, "sampled")) row(out, "sampled", number(j, "sampled"), "");
}

/* Captions that need no more images, where their number follows the scores. */
static void stops(FILE *out, yyjson_val *stopped, yyjson_val *round) {
    static const struct { const char *reason, *text; } reasons[] = {
        {"good_enough", "captions stopped: good enough"}, {"dropped", "captions dropped: the model cannot draw them"},
        {"most", "captions stopped: they have all they may have"}, {"budget", "captions stopped: the budget went to harder ones"}};
    char line[128], buf[32];
    if (!round) return;
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (number(stopped, reasons[i].reason)) row(out, "", number(stopped, reasons[i].reason), reasons[i].text);
    if (!number(round, "captions")) return;
    snprintf(line, sizeof line, "captions go on in round %lld, to %s images each", (long long)number(round, "round"), sv_cli_count(number(round, "want"), buf));
    row(out, "", number(round, "captions"), line);
}

static void images(FILE *out, yyjson_val *root) {
    yyjson_val *g = yyjson_obj_get(root, "generate"), *s = yyjson_obj_get(root, "score");
    char line[256] = "", buf[32], left[48];
    if (!g) return;
    int n = 0;
    const char *at_most = number(yyjson_obj_get(g, "round"), "captions") ? "at most " : "";
    if (yyjson_obj_get(g, "wanted")) n = snprintf(line, sizeof line, "of %s%s ", at_most, sv_cli_count(number(g, "wanted"), buf));
    n += snprintf(line + n, sizeof line - (size_t)n, "for %s captions", sv_cli_count(number(g, "captions"), buf));
    if (yyjson_obj_get(g, "per_second")) {
        n += snprintf(line + n, sizeof line - (size_t)n, "; %.3g/s", yyjson_get_num(yyjson_obj_get(g, "per_second")));
        if (yyjson_obj_get(g, "seconds_left")) {
            time_left(left, sizeof left, yyjson_get_num(yyjson_obj_get(g, "seconds_left")));
            snprintf(line + n, sizeof line - (size_t)n, ", %s left", left);
        }
    }
    row(out, "images", number(g, "images"), line);
    yyjson_val *engine = yyjson_obj_get(g, "engine");
    if (yyjson_obj_get(engine, "batch")) {
        long long threads = (long long)number(engine, "threads_per_image");
        snprintf(line, sizeof line, "images a call of the model, %lld thread%s per image", threads, threads == 1 ? "" : "s");
        row(out, "batch", number(engine, "batch"), line);
    }
    if (number(g, "pruned")) row(out, "pruned", number(g, "pruned"), "given up half-drawn");
    stops(out, yyjson_obj_get(g, "stopped"), yyjson_obj_get(g, "round"));
    if (number(g, "failed")) {
        row(out, "failed", number(g, "failed"), "by:");
        reasons(out, yyjson_obj_get(g, "failures"));
    }
    if (s) row(out, "scored", number(s, "scored"), "");
    judge(out, "judge_image", yyjson_obj_get(root, "judge_image"));
}

static void real(FILE *out, yyjson_val *v) {
    if (yyjson_is_num(v))
        fprintf(out, " %9.4f", yyjson_get_num(v));
    else
        fprintf(out, " %9s", "-");
}

/* "at least 5, at most 40" */
static void limits(char *line, size_t size, yyjson_val *quota) {
    yyjson_val *min = yyjson_obj_get(quota, "min"), *max = yyjson_obj_get(quota, "max");
    size_t n = 0;
    line[0] = 0;
    if (min) n = (size_t)snprintf(line, size, "at least %lld", (long long)yyjson_get_sint(min));
    if (max) snprintf(line + n, size - n, "%sat most %lld", n ? ", " : "", (long long)yyjson_get_sint(max));
}

void sv_cli_steps_text(FILE *out, yyjson_val *selection) {
    static const struct { const char *key, *text; } counts[] = {
        {"included", "included by hand"}, {"excluded", "excluded by hand"}, {"judge_image", "left out: judge_image does not say yes"},
        {"near_duplicates", "passed over: near-duplicates of better ones"},
        {"quota_full", "passed over: their source or concept had its share"}, {"quota_reserved", "passed over: places kept for the least of others"}};
    yyjson_val *steps = yyjson_obj_get(selection, "steps"), *quota;
    size_t i, n;
    for (i = 0; i < sizeof counts / sizeof counts[0]; i++)
        if (yyjson_get_sint(yyjson_obj_get(steps, counts[i].key))) row(out, "", number(steps, counts[i].key), counts[i].text);
    yyjson_arr_foreach(yyjson_obj_get(steps, "quotas"), i, n, quota) {
        char line[400], told[80];
        limits(told, sizeof told, quota);
        snprintf(line, sizeof line, "of %s %.200s (%s)", text(quota, "of"), text(quota, "name"), told);
        if (i < 20) row(out, "", number(quota, "picked"), line);
    }
    if (n > 20) fprintf(out, "%-12s %12s   and %zu more\n", "", "", n - 20);
}

static void selection(FILE *out, yyjson_val *root) {
    yyjson_val *s = yyjson_obj_get(root, "selection"), *cutoff = yyjson_obj_get(s, "cutoff"), *name, *mean;
    if (!s) return;
    char line[256], a[32], b[32];
    int n = snprintf(line, sizeof line, "of %s eligible images of %s captions, by %s", sv_cli_count(number(s, "eligible"), a), sv_cli_count(number(s, "captions"), b),
                     text(s, "by"));
    if (yyjson_is_num(cutoff)) snprintf(line + n, sizeof line - (size_t)n, " down to %.4f", yyjson_get_num(cutoff));
    row(out, "picked", number(s, "picked"), line);
    sv_cli_steps_text(out, s);
    yyjson_val *means = yyjson_obj_get(s, "means");
    if (!yyjson_obj_size(means)) return;
    fprintf(out, "%-12s %12s   %-11s %9s %9s\n", "", "", "mean of", "eligible", "picked");
    size_t i, max;
    yyjson_obj_foreach(means, i, max, name, mean) {
        fprintf(out, "%-12s %12s   %-11s", "", "", yyjson_get_str(name));
        real(out, yyjson_obj_get(mean, "before"));
        real(out, yyjson_obj_get(mean, "after"));
        fputc('\n', out);
    }
}

/* Where captions are from, how far they came, and what share of the picks is theirs; one source alone needs no table. */
static void sources(FILE *out, yyjson_val *root) {
    static const char *const steps[] = {"captions", "kept", "sampled", "drawn", "picked"};
    yyjson_val *list = yyjson_obj_get(root, "by_source"), *s;
    size_t i, n, shown = 0;
    int64_t picked = 0;
    char buf[32];
    if (yyjson_arr_size(list) < 2) return;
    yyjson_arr_foreach(list, i, n, s) picked += number(s, "picked");
    fprintf(out, "%-24s", "by source");
    for (size_t k = 0; k < 5; k++) fprintf(out, " %12s", steps[k]);
    fprintf(out, "\n");
    yyjson_arr_foreach(list, i, n, s) {
        if (shown++ == MOST_SOURCES) break;
        fprintf(out, "  %-22.60s", text(s, "source"));
        for (size_t k = 0; k < 5; k++) fprintf(out, " %12s", sv_cli_count(number(s, steps[k]), buf));
        if (picked) fprintf(out, "  %5.1f%%", 100.0 * (double)number(s, "picked") / (double)picked);
        fprintf(out, "\n");
    }
    if (n > MOST_SOURCES) fprintf(out, "  and %zu more: --json has them\n", n - MOST_SOURCES);
}

static void concepts(FILE *out, yyjson_val *root) {
    yyjson_val *list = yyjson_obj_get(root, "concepts"), *c;
    size_t i, n;
    char a[32], b[32], cap[48] = "", quota[48] = "";
    if (!yyjson_arr_size(list)) return;
    fprintf(out, "%-24s %12s %12s\n", "by concept", "captions", "balanced");
    yyjson_arr_foreach(list, i, n, c) {
        if (i == MOST_CONCEPTS) break;
        const char *name = text(c, "concept");
        cap[0] = quota[0] = 0;
        if (yyjson_obj_get(c, "cap")) snprintf(cap, sizeof cap, "  cap %lld", (long long)number(c, "cap"));
        if (yyjson_obj_get(c, "quota")) snprintf(quota, sizeof quota, "  quota %lld", (long long)number(c, "quota"));
        fprintf(out, "  %-22.60s %12s %12s%s%s\n", *name ? name : "(none of them)", sv_cli_count(number(c, "captions"), a),
                sv_cli_count(number(c, "kept"), b), cap, quota);
    }
    if (n > MOST_CONCEPTS) fprintf(out, "  and more: --json has a hundred, the ledger's view concept_counts all\n");
}

static void exports(FILE *out, yyjson_val *root) {
    size_t i, n;
    yyjson_val *e;
    char line[512], a[32];
    yyjson_arr_foreach(yyjson_obj_get(root, "exports"), i, n, e) {
        snprintf(line, sizeof line, "pairs in %s/%s (%s, %s bytes)", text(root, "dir"), text(e, "path"), text(e, "format"), sv_cli_count(number(e, "bytes"), a));
        row(out, i ? "" : "exported", number(e, "pairs"), line);
    }
}

void sv_cli_status_text(FILE *out, yyjson_val *root, int parts) {
    yyjson_val *active = yyjson_obj_get(root, "active");
    if (parts == SV_SHOW_ALL) {
        fprintf(out, "%s", text(root, "dir"));
        if (yyjson_is_obj(active))
            fprintf(out, ": at work, pid %lld on %s\n", (long long)number(active, "pid"), text(active, "host"));
        else
            fprintf(out, ": nobody is at work\n");
    }
    if (parts & SV_SHOW_CAPTIONS) captions(out, root);
    if (parts & SV_SHOW_IMAGES) images(out, root);
    if (parts & SV_SHOW_SELECTION) selection(out, root);
    if (parts == SV_SHOW_ALL) sources(out, root);
    if (parts & SV_SHOW_CAPTIONS) concepts(out, root);
    if (parts & SV_SHOW_EXPORTS) exports(out, root);
}

yyjson_doc *sv_cli_read_visible(const char *json) {
    size_t n = strlen(json), size = 0;
    char *out = malloc(n * 8 + 8);
    if (!out) return NULL;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)json[i], next = (unsigned char)json[i + 1];
        if (c == '\\' && next != '"' && next != '\\' && next != '/') {   /* an escape: its letters are what is shown */
            out[size++] = '\\';
            out[size++] = '\\';
        } else if (c == '\\') {
            out[size++] = (char)c;
            out[size++] = json[++i];
        } else if (c == 0x7F || (c == 0xC2 && next >= 0x80 && next <= 0x9F)) {   /* DEL and the C1 set, which JSON need not escape */
            size += (size_t)snprintf(out + size, 8, "\\\\u%04X", c == 0x7F ? c : next);
            i += c != 0x7F;
        } else
            out[size++] = (char)c;
    }
    yyjson_doc *doc = yyjson_read(out, size, YYJSON_READ_ALLOW_INF_AND_NAN);
    free(out);
    return doc;
}
