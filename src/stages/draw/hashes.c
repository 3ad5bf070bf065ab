/* hashes.c - the perceptual hashes of stored pictures, for whoever compares pictures by their looks. */
#include "stages/draw/hashes.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/thread.h"
#include "image/phash.h"

enum { PIECE = 1024 };

typedef struct hashing {
    sv_rundir *run;
    const sv_file_batch *batch;
    sv_hashes *found;            /* [PIECE] */
    sv_hash_work *work;          /* by thread */
    sv_image *image;
} hashing;

static sv_status hash_some(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    hashing *h = user;
    for (size_t i = begin; i < end; i++) {
        const sv_file_item *item = &h->batch->items[i];
        char *path = sv_path_join(h->run->dir, item->file);
        sv_image *im = &h->image[thread];
        sv_status st = path ? sv_image_read(im, path, err) : sv_fail_memory(err, item->file, 0);
        if (st == SV_E_INPUT) sv_hint(err, st, "synthvlm generate %s makes pictures that are gone or damaged again", h->run->dir);
        if (st == SV_OK) st = sv_image_hash(im, SV_HASH_PHASH, &h->work[thread], &h->found[i].phash, err);
        if (st == SV_OK) st = sv_image_hash(im, SV_HASH_DHASH, &h->work[thread], &h->found[i].dhash, err);
        free(path);
        SV_TRY(st);
    }
    return SV_OK;
}

static sv_status write_rows(hashing *h, int64_t generate, sv_error *err) {
    sv_ledger *l = h->run->ledger;
    sv_status st = sv_ledger_begin(l, err);
    for (size_t i = 0; st == SV_OK && i < h->batch->count; i++)
        st = sv_ledger_add_hash(l, generate, h->batch->items[i].number, h->batch->items[i].k, &h->found[i], err);
    if (st == SV_OK) return sv_ledger_commit(l, err);
    sv_ledger_rollback(l);
    return st;
}

static sv_status hash_all(hashing *h, sv_scope scope, int64_t generate, sv_file_batch *batch, int64_t *added, sv_error *err) {
    int64_t after = 0;
    int after_k = -1;
    for (;;) {
        SV_TRY(sv_ledger_to_hash(h->run->ledger, scope, generate, after, after_k, PIECE, batch, err));
        if (!batch->count) return SV_OK;
        after = batch->items[batch->count - 1].number;
        after_k = batch->items[batch->count - 1].k;
        SV_TRY(sv_parallel(0, batch->count, 8, hash_some, h, err));
        SV_TRY(write_rows(h, generate, err));
        *added += (int64_t)batch->count;
        if (sv_rundir_stopping(h->run)) return sv_rundir_stopped(h->run, "hash", err);
    }
}

sv_status sv_hashes_ensure(sv_rundir *run, sv_scope scope, int64_t generate, int64_t *added, sv_error *err) {
    bool all = false;
    *added = 0;
    SV_TRY(sv_ledger_all_hashed(run->ledger, generate, &all, err));
    if (all) return SV_OK;
    unsigned threads = sv_cpu_count();
    sv_file_batch batch = {0};
    hashing h = {.run = run, .batch = &batch, .found = calloc(PIECE, sizeof *h.found), .work = calloc(threads, sizeof *h.work),
                 .image = calloc(threads, sizeof *h.image)};
    sv_status st = h.found && h.work && h.image ? hash_all(&h, scope, generate, &batch, added, err) : sv_fail_memory(err, "hashes", 0);
    for (unsigned i = 0; i < threads; i++) {
        if (h.work) sv_hash_work_free(&h.work[i]);
        if (h.image) sv_image_free(&h.image[i]);
    }
    sv_file_batch_free(&batch);
    free(h.found);
    free(h.work);
    free(h.image);
    if (st == SV_OK && *added) sv_say(&run->o.log, SV_LOG_INFO, "hashed %lld pictures", (long long)*added);
    return st;
}
