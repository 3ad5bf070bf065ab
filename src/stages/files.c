/* files.c - whether the image files that the ledger knows are still what it says. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "stages/rundir.h"

#define PIECE 4096

/* Why a file is not what its row says; NULL if it is. text: room for the words. */
static const char *fault_of(const sv_rundir *run, const sv_file_item *f, bool deep, char text[160]) {
    char *path = sv_path_join(run->dir, f->file);
    if (!path) return NULL;   /* no memory for a name: not the file's fault */
    struct stat s;
    const char *fault = NULL;
    char hash[SV_SHA256_HEX];
    if (stat(path, &s) != 0)
        fault = errno == ENOENT ? "is gone" : "cannot be read";
    else if (s.st_size != f->bytes) {
        snprintf(text, 160, "has %lld bytes instead of %lld", (long long)s.st_size, (long long)f->bytes);
        fault = text;
    } else if (deep && sv_sha256_file(path, hash, NULL) != SV_OK)
        fault = "cannot be read";
    else if (deep && strcmp(hash, f->sha256) != 0)
        fault = "has other bytes than were written (SHA-256 differs)";
    free(path);
    return fault;
}

static sv_status check_piece(sv_rundir *run, int64_t generate, bool deep, const sv_file_batch *b, int64_t *lost, sv_error *err) {
    sv_status st = SV_OK;
    bool begun = false;
    char text[160];
    for (size_t i = 0; st == SV_OK && i < b->count; i++) {
        const sv_file_item *f = &b->items[i];
        const char *fault = fault_of(run, f, deep, text);
        if (!fault) continue;
        sv_say(&run->o.log, SV_LOG_WARN, "%s/%s %s; it will be made again", run->dir, f->file, fault);
        sv_rundir_event(run, "file lost", (sv_field[]){SV_TEXT("file", f->file), SV_TEXT("why", fault)}, 2);
        ++*lost;
        if (!begun) st = sv_ledger_begin(run->ledger, err);
        begun = true;
        if (st == SV_OK) st = sv_ledger_forget_candidate(run->ledger, generate, f->number, f->k, err);
    }
    if (begun && st == SV_OK) st = sv_ledger_commit(run->ledger, err);
    if (st != SV_OK) sv_ledger_rollback(run->ledger);
    return st;
}

sv_status sv_rundir_check_files(sv_rundir *run, int64_t generate, bool deep, int64_t *lost, sv_error *err) {
    sv_file_batch b = {0};
    int64_t number = 0;
    int k = -1;
    *lost = 0;
    sv_status st;
    while ((st = sv_ledger_read_files(run->ledger, generate, number, k, PIECE, &b, err)) == SV_OK && b.count) {
        number = b.items[b.count - 1].number;
        k = b.items[b.count - 1].k;
        if ((st = check_piece(run, generate, deep, &b, lost, err)) != SV_OK) break;
        if (sv_rundir_stopping(run)) {
            st = sv_rundir_stopped(run, "check of files", err);
            break;
        }
    }
    sv_file_batch_free(&b);
    return st;
}
