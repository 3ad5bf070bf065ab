/* ingest.c - sources to caption rows. A source is known by the SHA-256 of its bytes and by how it is read; its counters are written in the same
 * transaction as the rows that they count, so that a killed ingest goes on at the very record where its last batch ended. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "stages/ingest/ingest.h"
#include "stages/rundir.h"

#define BATCH_ROWS 50000
#define BATCH_BYTES ((size_t)64 << 20)

/* How a source is read, as canonical JSON: what, beside its bytes, decides which rows come out. */
static sv_status reading_of(const sv_source_settings *s, char **json, sv_error *err) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    static const char *const formats[] = {"auto", "jsonl", "json", "txt", "csv", "tsv", "llava", "coco", "sharegpt4v", "cc3m", "cc12m", "parquet"};
    bool ok = yyjson_mut_obj_add_str(doc, o, "format", formats[s->format]);
    const char *const keys[] = {"id", "license", "source", "text"}, *const values[] = {s->id, s->license, s->source, s->text};
    if (s->image || s->images) ok = ok && yyjson_mut_obj_add_str(doc, o, "image", s->image ? s->image : "");
    for (int i = 0; i < 4; i++)
        ok = ok && (values[i] ? yyjson_mut_obj_add_str(doc, o, keys[i], values[i]) : yyjson_mut_obj_add_null(doc, o, keys[i]));
    yyjson_mut_doc_set_root(doc, o);
    yyjson_doc *fixed = ok ? yyjson_mut_doc_imut_copy(doc, NULL) : NULL;
    *json = fixed ? sv_json_canonical(yyjson_doc_get_root(fixed)) : NULL;
    yyjson_doc_free(fixed);
    yyjson_mut_doc_free(doc);
    return *json ? SV_OK : sv_fail_memory(err, "sources", 0);
}

/* ---- one source ---- */

typedef struct intake {
    sv_rundir *run;
    const sv_source_settings *settings;
    const char *name;            /* as errors call it */
    char *path, *stored, *reading;   /* file that is read; what the ledger calls it */
    sv_source source;
    char first_fault[512];
    sv_ingest_report *report;
} intake;

/* Standard input goes through a file in tmp/, so that it has a hash before its first row, and a killed ingest can go on when it comes again. */
static sv_status spool_stdin(intake *in, sv_error *err) {
    in->path = sv_path_join(in->run->tmp, "stdin");
    if (!in->path) return sv_fail_memory(err, "-", 0);
    int fd = open(in->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return sv_fail_errno(err, in->path, "cannot create");
    char block[1 << 16];
    sv_status st = SV_OK;
    for (ssize_t n; st == SV_OK && (n = read(STDIN_FILENO, block, sizeof block)) != 0;) {
        if (n < 0 && errno == EINTR) {
            if (sv_rundir_stopping(in->run)) st = sv_rundir_stopped(in->run, "ingest", err);
            continue;
        }
        if (n < 0) st = sv_fail_errno(err, "standard input", "cannot read");
        for (ssize_t done = 0; st == SV_OK && done < n;) {
            ssize_t wrote = write(fd, block + done, (size_t)(n - done));
            if (wrote < 0 && errno != EINTR) st = sv_fail_errno(err, in->path, "cannot write");
            if (wrote > 0) done += wrote;
        }
    }
    if (close(fd) != 0 && st == SV_OK) st = sv_fail_errno(err, in->path, "cannot write");
    return st;
}

static int64_t mtime_ns(const struct stat *s) {
    return (int64_t)s->st_mtim.tv_sec * 1000000000 + s->st_mtim.tv_nsec;
}

/* Finds out whether the source is in already: by path, size and time of change first, which costs nothing, then by its bytes. */
static sv_status identify(intake *in, struct stat *about, bool *done, sv_error *err) {
    sv_ledger *l = in->run->ledger;
    *done = false;
    if (stat(in->path, about) != 0) {
        int code = errno;
        SV_TRY(sv_ledger_find_path(l, in->stored, in->reading, &in->source, err));
        if (code == ENOENT && in->source.id) {
            sv_say(&in->run->o.log, SV_LOG_WARN, "%s is gone; its %lld captions were read earlier and are used", in->name, (long long)in->source.added);
            *done = true;
            return SV_OK;
        }
        errno = code;
        sv_fail_errno(err, in->name, "cannot open the captions file");
        if (err) err->status = SV_E_INPUT;
        return SV_E_INPUT;
    }
    if (!S_ISREG(about->st_mode)) {
        sv_fail(err, SV_E_INPUT, in->name, S_ISDIR(about->st_mode) ? "is a directory, a file of captions was expected" : "is not a regular file");
        return S_ISDIR(about->st_mode) ? SV_E_INPUT : sv_hint(err, SV_E_INPUT, "write - as the path and pipe it in");
    }
    if (!about->st_size) return sv_fail(err, SV_E_INPUT, in->name, "the captions file is empty");
    SV_TRY(sv_ledger_find_source(l, NULL, in->stored, about->st_size, mtime_ns(about), in->reading, &in->source, err));
    if (in->source.id && in->source.complete) {
        *done = true;
        return SV_OK;
    }
    char sha256[SV_SHA256_HEX];
    sv_status st = sv_sha256_file(in->path, sha256, err);
    if (st != SV_OK) {
        if (st == SV_E_IO && err) err->status = SV_E_INPUT;
        return st == SV_E_IO ? SV_E_INPUT : st;
    }
    SV_TRY(sv_ledger_find_source(l, sha256, NULL, 0, 0, in->reading, &in->source, err));
    *done = in->source.id && in->source.complete;
    SV_TRY(sv_ledger_begin(l, err));
    if (in->source.id) {
        st = sv_ledger_touch_source(l, in->source.id, in->stored, about->st_size, mtime_ns(about), err);
    } else {
        in->source = (sv_source){.size = about->st_size, .mtime_ns = mtime_ns(about)};
        memcpy(in->source.sha256, sha256, sizeof sha256);
        st = sv_ledger_add_source(l, &in->source, in->stored, in->reading, err);
    }
    if (st == SV_OK) return sv_ledger_commit(l, err);
    sv_ledger_rollback(l);
    return st;
}

static const char *first_of(const char *a, const char *b) {
    return a ? a : b ? b : "";
}

static sv_status add_record(intake *in, sv_record *r, sv_error *err) {
    char hash[SV_SHA256_HEX];
    if (!r->fault) {
        sv_caption_row row = {.text = r->text, .text_size = r->text_size, .id = r->id, .id_size = r->id_size, .source = in->source.id, .line = r->line,
                              .origin = first_of(r->origin, in->settings->source), .license = first_of(r->license, in->settings->license)};
        if (!row.id) {
            sv_sha256_hex(r->text, r->text_size, hash);
            row.id = hash;
            row.id_size = 16;
        }
        sv_added what;
        int64_t number;
        SV_TRY(sv_ledger_add_caption(in->run->ledger, &row, &what, &number, err));
        if (r->image && what != SV_ADDED_OTHER) SV_TRY(sv_ledger_put_picture(in->run->ledger, number, in->source.id, r->image, err));
        if (what == SV_ADDED) {
            in->source.added++;
            in->report->added++;
            return SV_OK;
        }
        if (what == SV_ADDED_SAME) {
            in->source.repeated++;
            in->report->repeated++;
            return SV_OK;
        }
        sv_record_fault(r, "duplicate_id", "the id \"%.200s\" belongs to caption %lld, which has another text; this one is: ", row.id, (long long)number);
        sv_escape_bytes(&r->detail, r->text, r->text_size);
    }
    SV_TRY(sv_buf_ok(&r->detail, err));
    if (in->run->o.strict) {
        sv_fail(err, SV_E_INPUT, in->name, "line %lld: %s: %.700s", (long long)r->line, r->fault, r->detail.data);
        return sv_hint(err, SV_E_INPUT, "without --strict bad rows are recorded and the rest goes on");
    }
    if (!*in->first_fault) snprintf(in->first_fault, sizeof in->first_fault, "line %lld: %s: %.300s", (long long)r->line, r->fault, r->detail.data);
    in->source.faults++;
    in->report->faults++;
    return sv_ledger_add_fault(in->run->ledger, in->source.id, r->line, r->fault, r->detail.data, err);
}

/* Skips what an earlier, interrupted ingest has dealt with. */
static sv_status skip_done(intake *in, sv_reader *r, sv_record *record, sv_error *err) {
    bool end = false;
    for (int64_t i = 0; i < in->source.rows && !end; i++) {
        *record = (sv_record){.detail = record->detail};
        SV_TRY(r->format->next(r, record, &end, err));
    }
    return SV_OK;
}

/* One transaction's worth of records. */
static sv_status add_batch(intake *in, sv_reader *r, sv_record *record, bool *end, sv_error *err) {
    size_t bytes = 0;
    SV_TRY(sv_ledger_begin(in->run->ledger, err));
    sv_status st = SV_OK;
    for (int n = 0; st == SV_OK && n < BATCH_ROWS && bytes < BATCH_BYTES; n++) {
        *record = (sv_record){.detail = record->detail};
        st = r->format->next(r, record, end, err);
        if (st != SV_OK || *end) break;
        in->source.rows++;
        bytes += record->text_size;
        st = add_record(in, record, err);
    }
    bool usable = in->source.added + in->source.repeated > 0;
    in->source.complete = *end && usable;
    if (st == SV_OK) st = sv_ledger_update_source(in->run->ledger, &in->source, err);
    if (st == SV_OK) st = sv_ledger_commit(in->run->ledger, err);
    if (st != SV_OK) sv_ledger_rollback(in->run->ledger);
    if (st == SV_OK && *end && !usable) {
        st = sv_fail(err, SV_E_INPUT, in->name, "the captions file has no usable row%s%s", *in->first_fault ? "; " : "", in->first_fault);
        sv_hint(err, st, "the source is read as %s; its keys format, text and id say how", r->format->name);
    }
    return st;
}

static sv_status read_rows(intake *in, const struct stat *before, sv_error *err) {
    sv_reader reader;
    sv_record record = {0};
    SV_TRY(sv_reader_open(&reader, in->path, in->name, in->settings, err));
    sv_status st = skip_done(in, &reader, &record, err);
    for (bool end = false; st == SV_OK && !end;) {
        st = add_batch(in, &reader, &record, &end, err);
        sv_rundir_progress(in->run, "ingest", in->source.rows, 0, in->source.faults);
        if (st == SV_OK && !end && sv_rundir_stopping(in->run)) st = sv_rundir_stopped(in->run, "ingest", err);
    }
    sv_buf_free(&record.detail);
    sv_reader_close(&reader);
    struct stat after;
    if (st == SV_OK && (stat(in->path, &after) != 0 || after.st_size != before->st_size || mtime_ns(&after) != mtime_ns(before)))
        sv_say(&in->run->o.log, SV_LOG_WARN, "%s changed while it was read; the next run reads it again", in->name);
    return st;
}

/* Notes where the source's pictures lie. A folder that is gone matters only if something still has to be read from it. */
static sv_status note_folder(const intake *in, bool done, sv_error *err) {
    const sv_source_settings *s = in->settings;
    if (!s->images && !s->image) return SV_OK;
    char *folder = s->images ? sv_strdup(s->images) : sv_path_dir(s->path), *stored = NULL;
    sv_status st = folder ? SV_OK : sv_fail_memory(err, in->name, 0);
    bool there = st == SV_OK && sv_is_dir(folder);
    if (st == SV_OK && !there && !done) {
        sv_fail(err, SV_E_INPUT, folder, sv_file_exists(folder) ? "is not a folder" : "there is no such folder");
        st = sv_hint(err, SV_E_INPUT, "the source's `images` names the folder that its pictures' names are relative to");
    }
    if (st == SV_OK && there && !(stored = sv_path_relative(folder, in->run->dir))) st = sv_fail_memory(err, folder, 0);
    if (stored) st = sv_ledger_put_picture_folder(in->run->ledger, in->source.id, stored, err);
    free(stored);
    free(folder);
    return st;
}

static sv_status take_in(intake *in, sv_error *err) {
    struct stat about;
    bool done = false;
    in->report->sources++;
    SV_TRY(reading_of(in->settings, &in->reading, err));
    bool is_stdin = strcmp(in->settings->path, "-") == 0;
    in->name = is_stdin ? "standard input" : in->settings->path;
    in->stored = is_stdin ? sv_strdup("-") : sv_path_relative(in->settings->path, in->run->dir);
    if (!in->stored) return sv_fail_memory(err, in->name, 0);
    if (is_stdin) {
        SV_TRY(sv_ledger_find_path(in->run->ledger, in->stored, in->reading, &in->source, err));
        if (in->source.id) {
            in->report->skipped++;
            return note_folder(in, true, err);
        }
        SV_TRY(spool_stdin(in, err));
    } else if (!(in->path = sv_strdup(in->settings->path)))
        return sv_fail_memory(err, in->name, 0);
    SV_TRY(identify(in, &about, &done, err));
    in->report->skipped += done;
    SV_TRY(note_folder(in, done, err));
    if (done) return SV_OK;
    int64_t added = in->report->added, repeated = in->report->repeated, faults = in->report->faults;
    sv_status st = read_rows(in, &about, err);
    sv_rundir_event(in->run, "ingest", (sv_field[]){SV_TEXT("source", in->stored), SV_TEXT("sha256", in->source.sha256), SV_INT("added", in->report->added - added),
                    SV_INT("repeated", in->report->repeated - repeated), SV_INT("faults", in->report->faults - faults), SV_INT("complete", in->source.complete)}, 6);
    faults = in->report->faults - faults;
    if (st == SV_OK && faults)
        sv_say(&in->run->o.log, SV_LOG_WARN, "%s: %lld bad row%s left out; the first: %s", in->name, (long long)faults, faults == 1 ? "" : "s", in->first_fault);
    return st;
}

static sv_status ingest_one(sv_rundir *run, const sv_source_settings *s, sv_ingest_report *report, sv_error *err) {
    intake in = {.run = run, .settings = s, .report = report};
    sv_status st = take_in(&in, err);
    if (in.path && strcmp(s->path, "-") == 0) unlink(in.path);
    free(in.path);
    free(in.stored);
    free(in.reading);
    return st;
}

sv_status sv_ingest(sv_rundir *run, sv_ingest_report *report, sv_error *err) {
    const sv_captions_settings *c = &run->recipe->captions;
    *report = (sv_ingest_report){0};
    /* Standard input first: it cannot be had again, so nothing that may fail stands before it. But numbers are given in this order, on every run. */
    for (int stream = 1; stream >= 0; stream--)
        for (size_t i = 0; i < c->source_count; i++)
            if ((strcmp(c->sources[i].path, "-") == 0) == stream) SV_TRY(ingest_one(run, &c->sources[i], report, err));
    return SV_OK;
}
