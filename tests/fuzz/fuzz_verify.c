/* fuzz_verify.c - verify on hostile datasets. The first byte chooses: 0 modulo 3, the rest is a shard; 1, a LLaVA file; 2, a SHA256SUMS. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "synthvlm/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];
static const char *const names[] = {"x.tar", "x.json", "SHA256SUMS"};

static void clean_up(void)
{
    char path[128];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sv_verify_report report;
    if (size == 0) return 0;
    if (!dir[0]) {
        snprintf(dir, sizeof dir, "%s/synthvlm-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (!mkdtemp(dir)) abort();
        atexit(clean_up);
    }
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, names[data[0] % 3]);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data + 1, 1, size - 1, f) != size - 1 || fclose(f) != 0) abort();
    sv_error err;
    const sv_verify_options o = {.threads = 1};
    sv_verify(data[0] % 3 == 2 ? dir : path, &o, &report, &err);
    unlink(path);
    return 0;
}
