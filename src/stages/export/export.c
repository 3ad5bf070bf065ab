/* export.c - the table of formats, and what they share: the directory beside the final one, checked images, the change-over at the end. */
#include "stages/export/export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/utf8.h"

static const sv_exporter *const exporters[] = {&sv_exporter_llava, &sv_exporter_webdataset};

const sv_export_format *const sv_export_formats[] = {&sv_exporter_llava.format, &sv_exporter_webdataset.format, NULL};

int sv_export_find(const char *name) {
    for (int i = 0; sv_export_formats[i]; i++)
        if (strcmp(sv_export_formats[i]->name, name) == 0) return i;
    return -1;
}

struct sv_export {
    const sv_exporter *format;
    sv_export_job job;
    char *partial, *final, *old;     /* dir/.FORMAT.partial, dir/FORMAT, dir/.FORMAT.old */
    char *parent;
    void *options, *state;
    sv_export_counts *counts;
    bool published;
};

/* ---- directories ---- */

static sv_status remove_dir(const char *path, sv_error *err) {
    if (!sv_file_exists(path)) return SV_OK;
    SV_TRY(sv_dir_empty(path, err));
    return rmdir(path) == 0 ? SV_OK : sv_fail_errno(err, path, "cannot remove");
}

static char *sibling(const char *dir, const char *before, const char *name, const char *after) {
    sv_buf b = {0};
    sv_buf_printf(&b, "%s/%s%s%s", dir, before, name, after);
    if (b.failed) sv_buf_free(&b);
    return b.data;
}

/* A directory of that name that no export made is somebody's: it is not replaced. */
static sv_status check_final(const sv_export *x, sv_error *err) {
    if (!sv_file_exists(x->final)) return SV_OK;
    char *card = sv_path_join(x->final, "dataset.json");
    if (!card) return sv_fail_memory(err, x->final, 0);
    bool ours = sv_is_file(card);
    free(card);
    if (ours) return SV_OK;
    sv_status st = sv_fail(err, SV_E_INPUT, x->final, "is there already, and is not a dataset that this program wrote");
    return sv_hint(err, st, "move it away");
}

/* Puts the complete directory in place of the old one. Where the file system can exchange two names there is always a dataset; elsewhere a
 * crash between two renames leaves the old one as .FORMAT.old, and the next export puts it back. */
static sv_status publish(sv_export *x, sv_error *err) {
    sv_status st = sv_dir_sync(x->partial, err);
    if (st != SV_OK) return st;
    if (!sv_file_exists(x->final)) {
        if (rename(x->partial, x->final) != 0) return sv_fail_errno(err, x->final, "cannot put the dataset in place");
        x->published = true;
        return sv_dir_sync(x->parent, err);
    }
    if (renameat2(AT_FDCWD, x->partial, AT_FDCWD, x->final, RENAME_EXCHANGE) == 0) {
        x->published = true;
        SV_TRY(sv_dir_sync(x->parent, err));
        return remove_dir(x->partial, err);
    }
    if (rename(x->final, x->old) != 0) return sv_fail_errno(err, x->final, "cannot move the old dataset aside");
    if (rename(x->partial, x->final) != 0) {
        sv_fail_errno(err, x->final, "cannot put the dataset in place");
        rename(x->old, x->final);
        return SV_E_IO;
    }
    x->published = true;
    SV_TRY(sv_dir_sync(x->parent, err));
    return remove_dir(x->old, err);
}

/* Clears what an interrupted export left behind. */
static sv_status recover(sv_export *x, sv_error *err) {
    bool aside = sv_file_exists(x->old) && !sv_file_exists(x->final);
    if (aside && rename(x->old, x->final) != 0) return sv_fail_errno(err, x->old, "cannot put the dataset back");
    SV_TRY(remove_dir(x->old, err));
    return remove_dir(x->partial, err);
}

/* ---- open, add, finish, close ---- */

void sv_export_close(sv_export **out) {
    if (!out || !*out) return;
    sv_export *x = *out;
    if (x->format) x->format->close(x->state);
    sv_export_stream_drop(&x->job.sums);
    if (x->options && x->format->format.options) sv_options_free(x->format->format.options, x->options);
    if (x->job.dir && !x->published) remove_dir(x->partial, NULL);
    sv_export_counts_close(&x->counts);
    sv_buf_free(&x->job.details);
    free(x->partial);
    free(x->final);
    free(x->old);
    free(x->parent);
    free(x->options);
    free(x);
    *out = NULL;
}

static sv_status read_settings(sv_export *x, const char *options, sv_error *err) {
    const sv_export_format *f = &x->format->format;
    x->options = calloc(1, f->size ? f->size : 1);
    if (!x->options) return sv_fail_memory(err, f->name, f->size);
    if (!f->options) return SV_OK;
    yyjson_doc *doc = options ? yyjson_read(options, strlen(options), 0) : NULL;
    if (options && !doc) return sv_fail(err, SV_E_INTERNAL, f->name, "its options are not JSON");
    sv_status st = sv_options_read(f->options, yyjson_doc_get_root(doc), f->name, NULL, x->options, err);
    yyjson_doc_free(doc);
    return st;
}

sv_status sv_export_open(sv_export **out, const char *dir, int format, const char *options, const sv_export_facts *facts, sv_error *err) {
    *out = NULL;
    if (format < 0 || (size_t)format >= sizeof exporters / sizeof *exporters) return sv_fail(err, SV_E_INTERNAL, "export", "no such format");
    const char *name = exporters[format]->format.name;
    sv_export *x = calloc(1, sizeof *x);
    if (!x) return sv_fail_memory(err, name, sizeof *x);
    x->format = exporters[format];
    x->partial = sibling(dir, ".", name, ".partial");
    x->final = sibling(dir, "", name, "");
    x->old = sibling(dir, ".", name, ".old");
    x->parent = sv_strdup(dir);
    x->counts = sv_export_counts_open();
    sv_status st = SV_OK;
    if (!x->partial || !x->final || !x->old || !x->parent || !x->counts) st = sv_fail_memory(err, name, 0);
    if (st == SV_OK) st = read_settings(x, options, err);
    if (st == SV_OK) st = sv_dir_make(dir, err);
    if (st == SV_OK) st = recover(x, err);
    if (st == SV_OK) st = check_final(x, err);
    if (st == SV_OK) st = sv_dir_make(x->partial, err);
    if (st == SV_OK) {
        x->job.dir = x->partial;
        x->job.facts = facts;
        x->job.options = x->options;
        st = sv_export_stream_open(&x->job.sums, &x->job, "SHA256SUMS", err);
    }
    if (st == SV_OK) st = x->format->begin(&x->job, &x->state, err);
    if (st != SV_OK) sv_export_close(&x);
    *out = x;
    return st;
}

static const char *extension_of(const char *bytes, size_t size) {
    if (size > 3 && memcmp(bytes, "\xFF\xD8\xFF", 3) == 0) return "jpg";
    if (size > 8 && memcmp(bytes, "\x89PNG\r\n\x1A\n", 8) == 0) return "png";
    if (size > 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0) return "webp";
    return NULL;
}

/* Reads the file and makes sure that it is the one that was drawn and scored. */
static sv_status read_image(const sv_export *x, const sv_pick *pick, char **path, char **bytes, sv_export_image *image, sv_error *err) {
    *path = sv_path_join(x->job.facts->run_dir, pick->file);
    if (!*path) return sv_fail_memory(err, pick->file, 0);
    if (!sv_file_exists(*path)) {
        return sv_hint(err, sv_fail(err, SV_E_INPUT, *path, "the image is gone"), "synthvlm generate makes it again");
    }
    SV_TRY(sv_file_read(*path, 0, bytes, &image->size, err));
    image->path = *path;
    image->bytes = *bytes;
    sv_sha256_hex(*bytes, image->size, image->sha256);
    image->extension = extension_of(*bytes, image->size);
    if ((pick->sha256 && strcmp(pick->sha256, image->sha256) != 0) || !image->extension) {
        return sv_hint(err, sv_fail(err, SV_E_INPUT, *path, "is not the image that was drawn and scored: its content has changed"),
                       "remove it, and synthvlm generate makes it again");
    }
    return SV_OK;
}

static sv_status check_caption(const sv_pick *pick, const char *text, sv_error *err) {
    if (!text || !*text) return sv_fail(err, SV_E_INPUT, pick->id, "the caption is empty");
    size_t n = strlen(text);
    return sv_utf8_valid(text, n) == n ? SV_OK : sv_fail(err, SV_E_INPUT, pick->id, "the caption is not valid UTF-8");
}

sv_status sv_export_add(sv_export *x, const sv_pick *pick, sv_error *err) {
    if (x->job.facts->stop && *x->job.facts->stop)
        return sv_fail(err, SV_E_STOPPED, x->final, "the export was stopped; the dataset is as it was before");
    SV_TRY(check_caption(pick, pick->original, err));
    SV_TRY(check_caption(pick, pick->text, err));
    char *path = NULL, *bytes = NULL;
    sv_export_image image = {0};
    sv_status st = read_image(x, pick, &path, &bytes, &image, err);
    if (st == SV_OK) st = x->format->add(&x->job, x->state, pick, x->job.pairs, &image, err);
    if (st == SV_OK && !sv_export_counts_add(x->counts, pick)) st = sv_fail_memory(err, pick->id, 0);
    x->job.pairs++;
    free(path);
    free(bytes);
    return st;
}

sv_status sv_export_finish(sv_export *x, sv_export_report *report, sv_error *err) {
    sv_export_report own;
    if (!report) report = &own;
    SV_TRY(x->format->finish(&x->job, x->state, err));
    SV_TRY(sv_export_cards(&x->job, x->format, x->counts, err));
    int64_t sums = sv_export_stream_size(x->job.sums);
    SV_TRY(sv_export_stream_end(&x->job.sums, NULL, report->digest, err));
    report->pairs = x->job.pairs;
    report->files = x->job.files + 1;
    report->bytes = x->job.bytes + sums;
    return publish(x, err);
}
