/* fuzz_pool.c - caption files from hostile bytes, plain or packed. The first byte chooses the format, 0 lets the reader find out. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/utf8.h"
#include "stages/ingest/ingest.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size || (size > 4 && memcmp(data + 1, "PAR1", 4) == 0)) return 0;   /* Parquet's parser is DuckDB's, not ours */
    int fd = memfd_create("pool", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1)) abort();
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    sv_source_settings settings = {.path = path, .format = data[0] % 11, .text = (char *)"caption", .id = (char *)"id"};
    sv_reader r = {0};
    sv_record record = {0};
    sv_error err;
    bool end = false;
    if (sv_reader_open(&r, path, "pool", &settings, &err) == SV_OK) {
        while (r.format->next(&r, &record, &end, &err) == SV_OK && !end) {
            /* What is not marked as bad must be a caption: UTF-8 without NUL. */
            if (!record.fault && (!record.text || sv_utf8_valid(record.text, record.text_size) != record.text_size ||
                                  memchr(record.text, 0, record.text_size))) abort();
        }
    }
    sv_reader_close(&r);
    sv_buf_free(&record.detail);
    close(fd);
    return 0;
}
