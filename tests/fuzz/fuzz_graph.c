/* fuzz_graph.c - what we read of .onnx files ourselves (sizes, external data), from hostile bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "infer/graph_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("graph", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    sv_graph_file g;
    sv_error err;
    (void)!sv_graph_file_read(path, &g, &err);
    sv_graph_file_free(&g);
    close(fd);
    return 0;
}
