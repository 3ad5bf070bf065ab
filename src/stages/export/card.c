/* card.c - dataset.json and README.md: what a dataset is, how many pairs, under which licences, how it was made. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stages/draw/adopt.h"
#include "stages/export/export.h"

typedef struct tally {
    char *name;                  /* "" : not stated */
    int64_t count;
    double sum, least, most;     /* of scores */
} tally;

typedef struct tallies {
    tally *items;
    size_t count;
} tallies;

struct sv_export_counts {
    tallies licenses, sources, scores;
};

sv_export_counts *sv_export_counts_open(void) { return calloc(1, sizeof(sv_export_counts)); }

static void free_tallies(tallies *t) {
    for (size_t i = 0; i < t->count; i++) free(t->items[i].name);
    free(t->items);
}

void sv_export_counts_close(sv_export_counts **c) {
    if (!c || !*c) return;
    free_tallies(&(*c)->licenses);
    free_tallies(&(*c)->sources);
    free_tallies(&(*c)->scores);
    free(*c);
    *c = NULL;
}

#define MAX_NAMES 1000   /* beyond, a pool names a source per caption: what is left is counted together */

static tally *tally_of(tallies *t, const char *name) {
    if (!name) name = "";
    if (t->count >= MAX_NAMES) name = "others";
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->items[i].name, name) == 0) return &t->items[i];
    tally *grown = realloc(t->items, (t->count + 1) * sizeof *grown);
    if (!grown) return NULL;
    t->items = grown;
    char *copy = sv_strdup(name);
    if (!copy) return NULL;
    t->items[t->count] = (tally){.name = copy};
    return &t->items[t->count++];
}

bool sv_export_counts_add(sv_export_counts *c, const sv_pick *pick) {
    tally *license = tally_of(&c->licenses, pick->license), *source = tally_of(&c->sources, pick->origin);
    if (!license || !source) return false;
    license->count++;
    source->count++;
    for (size_t i = 0; i < pick->score_count; i++) {
        double v = pick->scores[i].value;
        tally *t = tally_of(&c->scores, pick->scores[i].name);
        if (!t) return false;
        if (!isfinite(v)) continue;
        t->least = t->count == 0 || v < t->least ? v : t->least;
        t->most = t->count == 0 || v > t->most ? v : t->most;
        t->sum += v;
        t->count++;
    }
    return true;
}

/* ---- dataset.json ---- */

static void add_tallies(sv_buf *b, const char *key, const tallies *t) {
    sv_buf_printf(b, " \"%s\": {", key);
    for (size_t i = 0; i < t->count; i++) {
        if (i) sv_buf_puts(b, ", ");
        sv_export_json_text(b, *t->items[i].name ? t->items[i].name : "not stated");
        sv_buf_printf(b, ": %lld", (long long)t->items[i].count);
    }
    sv_buf_puts(b, "},\n");
}

static void add_shares(sv_buf *b, const sv_export_facts *f) {
    sv_buf_puts(b, " \"captions\": [");
    for (size_t i = 0; i < f->share_count; i++) {
        const sv_share *s = &f->shares[i];
        sv_buf_printf(b, "%s\n  {\"source\": ", i ? "," : "");
        sv_export_json_text(b, s->name);
        sv_buf_printf(b, ", \"captions\": %lld, \"kept\": %lld, \"sampled\": %lld, \"drawn\": %lld, \"picked\": %lld}", (long long)s->captions,
                      (long long)s->kept, (long long)s->sampled, (long long)s->drawn, (long long)s->picked);
    }
    sv_buf_puts(b, "],\n");
}

static void add_scores(sv_buf *b, const tallies *t) {
    char mean[32], least[32], most[32];
    sv_buf_puts(b, " \"scores\": {");
    for (size_t i = 0; i < t->count; i++) {
        const tally *s = &t->items[i];
        if (i) sv_buf_puts(b, ", ");
        sv_export_json_text(b, s->name);
        if (s->count == 0) sv_buf_puts(b, ": null");
        else sv_buf_printf(b, ": {\"mean\": %s, \"min\": %s, \"max\": %s}", sv_real_text(s->sum / (double)s->count, mean),
                           sv_real_text(s->least, least), sv_real_text(s->most, most));
    }
    sv_buf_puts(b, "},\n");
}

static const char *mean_text(double v, char buf[32]) {
    return isnan(v) ? "null" : sv_real_text(v, buf);
}

static void add_opinions(sv_buf *b, const sv_export_facts *f) {
    char before[32], after[32];
    if (!f->opinion_count) return;
    sv_buf_puts(b, " \"opinions\": {");
    for (size_t i = 0; i < f->opinion_count; i++)
        sv_buf_printf(b, "%s\"%s\": {\"eligible\": %s, \"picked\": %s}", i ? ", " : "", f->opinions[i].name, mean_text(f->opinions[i].before, before),
                      mean_text(f->opinions[i].after, after));
    sv_buf_puts(b, "},\n");
}

static sv_status write_json(sv_export_job *job, const sv_exporter *format, const sv_export_counts *counts, sv_error *err) {
    const sv_export_facts *f = job->facts;
    sv_buf b = {0};
    sv_buf_puts(&b, "{\"name\": ");
    sv_export_json_text(&b, f->name);
    sv_buf_printf(&b, ",\n \"format\": \"%s\",\n \"pairs\": %lld,\n \"made_with\": \"synthvlm %s\",\n \"seed\": %lld,\n", format->format.name,
                  (long long)job->pairs, sv_version(), (long long)f->seed);
    add_tallies(&b, "licenses", &counts->licenses);
    add_tallies(&b, "sources", &counts->sources);
    add_shares(&b, f);
    add_scores(&b, &counts->scores);
    add_opinions(&b, f);
    sv_buf_puts(&b, " ");
    if (job->details.size) sv_buf_add(&b, job->details.data, job->details.size);
    sv_buf_puts(&b, "\"setups\": [");
    for (size_t i = 0; i < f->setup_count; i++) {
        sv_buf_printf(&b, "%s\n  {\"stage\": ", i ? "," : "");
        sv_export_json_text(&b, f->setups[i].stage);
        sv_buf_puts(&b, ", \"sha256\": ");
        sv_export_json_text(&b, f->setups[i].sha256);
        sv_buf_printf(&b, ", \"settings\": %s}", f->setups[i].json ? f->setups[i].json : "null");
    }
    sv_buf_puts(&b, "]}\n");
    sv_status st = sv_buf_ok(&b, err);
    if (st == SV_OK) st = sv_export_file(job, "dataset.json", b.data, b.size, err);
    sv_buf_free(&b);
    return st;
}

/* ---- README.md ---- */

/* The licence field of a dataset card: an identifier in lower case if all pairs share one that looks like one, otherwise "other". */
static void add_license(sv_buf *b, const tallies *t) {
    const char *name = t->count == 1 ? t->items[0].name : "";
    bool plain = *name && strlen(name) < 60;
    for (const char *c = name; *c; c++) plain = plain && (isalnum((unsigned char)*c) || strchr(".-+", *c));
    sv_buf_puts(b, "license: ");
    for (const char *c = plain ? name : "other"; *c; c++) sv_buf_putc(b, (char)tolower((unsigned char)*c));
    sv_buf_putc(b, '\n');
}

/* Text inside a Markdown table or paragraph: one line, no markup. */
static void add_plain(sv_buf *b, const char *s) {
    for (; *s; s++) {
        if (strchr("|\\`*_<>[]#", *s)) sv_buf_printf(b, "\\%c", *s);
        else sv_buf_putc(b, (unsigned char)*s < 0x20 ? ' ' : *s);
    }
}

static void add_table(sv_buf *b, const char *title, const tallies *t) {
    sv_buf_printf(b, "\n| %s | pairs |\n| --- | --- |\n", title);
    for (size_t i = 0; i < t->count; i++) {
        sv_buf_puts(b, "| ");
        add_plain(b, *t->items[i].name ? t->items[i].name : "not stated");
        sv_buf_printf(b, " | %lld |\n", (long long)t->items[i].count);
    }
}

/* A control set: pictures that captions came with. */
static bool own_pictures(const sv_export_facts *f) {
    for (size_t i = 0; i < f->setup_count; i++)
        if (sv_str_eq(f->setups[i].stage, "generate") && sv_setup_is_adopted(f->setups[i].json)) return true;
    return false;
}

/* How far the captions of each source came, and what share of the pairs is theirs. */
static void add_share_table(sv_buf *b, const sv_export_facts *f) {
    int64_t pairs = 0;
    if (!f->share_count) return;
    for (size_t i = 0; i < f->share_count; i++) pairs += f->shares[i].picked;
    sv_buf_puts(b, "\n| captions of | read | kept | sampled | drawn | pairs | share |\n| --- | --- | --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < f->share_count; i++) {
        const sv_share *s = &f->shares[i];
        sv_buf_puts(b, "| ");
        add_plain(b, s->name);
        sv_buf_printf(b, " | %lld | %lld | %lld | %lld | %lld | %.1f %% |\n", (long long)s->captions, (long long)s->kept, (long long)s->sampled, (long long)s->drawn,
                      (long long)s->picked, pairs ? 100.0 * (double)s->picked / (double)pairs : 0);
    }
}

/* Of nothing there is no mean. */
static void add_mean(sv_buf *b, double v) {
    if (isfinite(v))
        sv_buf_printf(b, " %.4f |", v);
    else
        sv_buf_puts(b, " - |");
}

static sv_status write_readme(sv_export_job *job, const sv_exporter *format, const sv_export_counts *counts, sv_error *err) {
    sv_buf b = {0};
    sv_buf_puts(&b, "---\npretty_name: ");
    sv_export_json_text(&b, job->facts->name);
    sv_buf_putc(&b, '\n');
    add_license(&b, &counts->licenses);
    bool own = own_pictures(job->facts);
    sv_buf_puts(&b, "task_categories: [image-to-text]\n");
    sv_buf_puts(&b, own ? "---\n# " : "tags: [synthetic]\n---\n# ");
    add_plain(&b, job->facts->name);
    sv_buf_printf(&b, own ? "\n\n%lld pairs of an image and the caption that it came with, best first, as %s. No image was generated: the files are those\n"
                            "of the sources, byte for byte, scored and selected with synthvlm. dataset.json holds every setting.\n\n## Loading\n\n%s"
                          : "\n\n%lld pairs of a synthetic image and its caption, best first, as %s. The images were drawn from the\n"
                            "captions by a diffusion model, scored, and selected with synthvlm; no image shows anything real. dataset.json\n"
                            "holds every setting.\n\n## Loading\n\n%s",
                  (long long)job->pairs, format->format.help, format->loading);
    sv_buf_puts(&b, "\n## Checking\n\n`synthvlm verify .` checks structure, images and hashes; `sha256sum -c SHA256SUMS` the hashes alone.\n\n"
                    "## Origin of the captions\n");
    add_table(&b, "licence", &counts->licenses);
    add_table(&b, "source", &counts->sources);
    add_share_table(&b, job->facts);
    sv_buf_puts(&b, "\n## Scores\n\n| score | mean | least | most |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < counts->scores.count; i++) {
        const tally *s = &counts->scores.items[i];
        if (s->count) sv_buf_printf(&b, "| %s | %.4f | %.4f | %.4f |\n", s->name, s->sum / (double)s->count, s->least, s->most);
    }
    if (job->facts->opinion_count)
        sv_buf_puts(&b, "\nWhat judges say that had no part in the ranking:\n\n| judge | mean over what could be picked | over the pairs |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < job->facts->opinion_count; i++) {
        const sv_mean *m = &job->facts->opinions[i];
        sv_buf_printf(&b, "| %s |", m->name);
        add_mean(&b, m->before);
        add_mean(&b, m->after);
        sv_buf_putc(&b, '\n');
    }
    sv_status st = sv_buf_ok(&b, err);
    if (st == SV_OK) st = sv_export_file(job, "README.md", b.data, b.size, err);
    sv_buf_free(&b);
    return st;
}

sv_status sv_export_cards(sv_export_job *job, const sv_exporter *format, const sv_export_counts *counts, sv_error *err) {
    SV_TRY(write_json(job, format, counts, err));
    return write_readme(job, format, counts, err);
}
