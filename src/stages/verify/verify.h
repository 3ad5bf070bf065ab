/* verify.h - between the files of the dataset check: the report that grows from many threads, and one checker per format. */
#ifndef SV_STAGES_VERIFY_H
#define SV_STAGES_VERIFY_H

#include <pthread.h>
#include <stdio.h>
#include <yyjson.h>

#include "base/hash.h"
#include "base/str.h"
#include "synthvlm/dataset.h"
#include "synthvlm/image.h"

/* A check in progress. */
typedef struct sv_check {
    const char *root;            /* the dataset's directory, or that of the file that was named */
    unsigned threads;
    const volatile int *stop;
    const char *images;          /* where the images of a LLaVA file lie; NULL: images/ beside it, or beside it */
    bool counted;                /* files and bytes are counted already, by the manifest */
    pthread_mutex_t lock;        /* guards what follows */
    sv_verify_report *report;
    uint64_t order[SV_FAULT_COUNT][SV_FAULTS_NAMED];
} sv_check;

/* Records a fault. order: place in the dataset, so that the first faults are named whichever thread finds them. Any thread. */
void sv_check_fault(sv_check *c, sv_fault fault, uint64_t order, const char *where, const char *why, ...) SV_PRINTF(5, 6);
/* SV_E_STOPPED once the caller asked to stop. */
sv_status sv_check_stopped(const sv_check *c, sv_error *err);

/* Compares every file with SHA256SUMS (verify_manifest.c). */
sv_status sv_check_manifest(sv_check *c, sv_error *err);

/* LLaVA's JSON and its images (verify_llava.c). images: their directory. */
sv_status sv_check_llava(sv_check *c, const char *json, const char *images, sv_error *err);

/* WebDataset shards, in order (verify_webdataset.c). */
sv_status sv_check_shards(sv_check *c, char *const *paths, size_t n, sv_error *err);

/* Fails with a reason if a caption is empty, only white space, or not valid UTF-8; NULL if it is good. */
const char *sv_caption_fault(const char *text, size_t size);
/* True for jpg, jpeg, png, webp. */
bool sv_is_image_extension(const char *extension);

/* ---- 128-bit keys of strings, to find what is there twice without keeping the strings (verify.c) ---- */
typedef struct sv_key_set {
    struct sv_key { uint64_t a, b, order; } *items;
    size_t count, capacity;
} sv_key_set;
bool sv_keys_add(sv_key_set *s, const char *text, size_t size, uint64_t order);   /* false when memory runs out */
/* Sorts and calls fn for every later occurrence of a key, with the orders of this and of the first one. */
void sv_keys_repeated(sv_key_set *s, void (*fn)(void *user, uint64_t order, uint64_t first), void *user);
void sv_keys_free(sv_key_set *s);

/* ---- reading tar (verify_tar.c) ---- */

typedef struct sv_tar_reader sv_tar_reader;
typedef struct sv_tar_member {
    char name[1024];             /* from the header, a pax record or a GNU long name; cut at its end if longer */
    bool regular;                /* a file; anything else has no content worth reading */
    uint64_t size;
} sv_tar_member;
/* Opens a tar file, plain or compressed with gzip, bzip2, xz or zstd. */
sv_status sv_tar_open(sv_tar_reader **out, const char *path, sv_error *err);
void sv_tar_close(sv_tar_reader **t);
/* The next member; its content follows by sv_tar_read. *end at the archive's end. SV_E_INPUT: damaged or cut short; nothing more can be read. */
sv_status sv_tar_next(sv_tar_reader *t, sv_tar_member *member, bool *end, sv_error *err);
/* The whole content (member->size bytes) into *data (malloc; the caller frees). A member that is not read is skipped by the next sv_tar_next. */
sv_status sv_tar_read(sv_tar_reader *t, char **data, sv_error *err);
uint64_t sv_tar_bytes(const sv_tar_reader *t);   /* read so far, unpacked */

#endif
