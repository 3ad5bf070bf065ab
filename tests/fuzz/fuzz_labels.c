/* fuzz_labels.c - labelled captions from hostile bytes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "synthvlm/calibrate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("labels", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    char path[64], *json = NULL;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    sv_calibrate_options o;
    sv_error err;
    sv_calibrate_options_init(&o);
    o.threads = 1;
    o.precision = size % 2 ? 0.9 : NAN;
    if (sv_calibrate(path, &o, &json, &err) == SV_OK && !json) abort();
    free(json);
    close(fd);
    return 0;
}
