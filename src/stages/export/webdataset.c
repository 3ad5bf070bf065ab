/* webdataset.c - WebDataset shards: 00000.tar, 00001.tar … with the members KEY.jpg, KEY.json, KEY.txt of each pair in this (sorted) order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stages/export/tar.h"

typedef struct webdataset_options {
    int caption;                 /* sv_export_caption */
    int64_t shard_size, shard_count;
} webdataset_options;

static const sv_option options_table[] = {
    SV_EXPORT_CAPTION_OPTION(webdataset_options),
    {"shard_size", SV_OPT_BYTES, offsetof(webdataset_options, shard_size), "1GB", .min = 1, .max = 1e15,
     .help = "a shard is ended before it would grow beyond"},
    {"shard_count", SV_OPT_INT, offsetof(webdataset_options, shard_count), "10000", .min = 1, .max = 1e9, .help = "pairs in a shard at most"},
    {0}};

typedef struct webdataset_state {
    sv_export_stream *shard;     /* NULL: none is open */
    int64_t shards, pairs;       /* shards begun; pairs in the open one */
    sv_buf list;                 /* of finished shards, for dataset.json */
} webdataset_state;

static void webdataset_close(void *state) {
    webdataset_state *s = state;
    if (!s) return;
    sv_export_stream_drop(&s->shard);
    sv_buf_free(&s->list);
    free(s);
}

static sv_status webdataset_begin(sv_export_job *job, void **state, sv_error *err) {
    (void)job;
    *state = calloc(1, sizeof(webdataset_state));
    return *state ? SV_OK : sv_fail_memory(err, "webdataset", sizeof(webdataset_state));
}

static sv_status end_shard(sv_export_job *job, webdataset_state *s, sv_error *err) {
    char sha256[SV_SHA256_HEX];
    if (!s->shard) return SV_OK;
    SV_TRY(sv_tar_end(s->shard, err));
    int64_t bytes = sv_export_stream_size(s->shard);
    SV_TRY(sv_export_stream_end(&s->shard, job, sha256, err));
    sv_buf_printf(&s->list, "%s{\"file\": \"%05lld.tar\", \"pairs\": %lld, \"bytes\": %lld, \"sha256\": \"%s\"}", s->list.size ? ", " : "",
                  (long long)(s->shards - 1), (long long)s->pairs, (long long)bytes, sha256);
    return sv_buf_ok(&s->list, err);
}

static sv_status webdataset_add(sv_export_job *job, void *state, const sv_pick *pick, int64_t rank, const sv_export_image *image, sv_error *err) {
    webdataset_state *s = state;
    const webdataset_options *o = job->options;
    const char *caption = sv_export_caption_of(pick, o->caption);
    char key[24], name[40];
    snprintf(key, sizeof key, "%09lld", (long long)rank);
    sv_buf json = {0};
    sv_export_describe(&json, key, pick, o->caption, image);
    SV_TRY(sv_buf_ok(&json, err));

    const struct { const char *extension, *data; size_t size; } members[] = {   /* "jpg", "png" sort around "json", "txt" */
        {"jpg", image->bytes, image->size}, {"json", json.data, json.size}, {"png", image->bytes, image->size},
        {"txt", caption, strlen(caption)}, {"webp", image->bytes, image->size}};
    size_t n = sizeof members / sizeof *members;
    int64_t space = sv_tar_space((int64_t)image->size) + sv_tar_space((int64_t)json.size) + sv_tar_space((int64_t)strlen(caption));
    sv_status st = SV_OK;
    bool full = s->shard && (s->pairs >= o->shard_count || sv_export_stream_size(s->shard) + space + SV_TAR_END > o->shard_size);
    if (full) st = end_shard(job, s, err);
    if (st == SV_OK && !s->shard) {
        snprintf(name, sizeof name, "%05lld.tar", (long long)s->shards);
        st = sv_export_stream_open(&s->shard, job, name, err);
        s->shards++;
        s->pairs = 0;
    }
    for (size_t i = 0; st == SV_OK && i < n; i++) {
        bool is_image = members[i].data == image->bytes;
        if (is_image && strcmp(members[i].extension, image->extension) != 0) continue;
        snprintf(name, sizeof name, "%s.%s", key, members[i].extension);
        st = sv_tar_add(s->shard, name, members[i].data, members[i].size, err);
    }
    s->pairs++;
    sv_buf_free(&json);
    return st;
}

static sv_status webdataset_finish(sv_export_job *job, void *state, sv_error *err) {
    webdataset_state *s = state;
    SV_TRY(end_shard(job, s, err));
    sv_buf_printf(&job->details, "\"shards\": [%s],\n ", s->list.data ? s->list.data : "");
    return sv_buf_ok(&job->details, err);
}

const sv_exporter sv_exporter_webdataset = {
    .format = {"webdataset", "WebDataset shards: tar files with KEY.jpg, KEY.json, KEY.txt", options_table, sizeof(webdataset_options)},
    .loading = "With the webdataset package: `webdataset.WebDataset(sorted(glob.glob('*.tar'))).decode('pil').to_tuple('jpg', 'txt')`.\n"
               "The `.json` member says where a pair comes from: caption id, candidate, seed, scores, licence.\n",
    .begin = webdataset_begin, .add = webdataset_add, .finish = webdataset_finish, .close = webdataset_close};
