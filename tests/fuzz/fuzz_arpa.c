/* fuzz_arpa.c - hostile language models: ARPA, gzip and KenLM binaries, each opened and used on a line. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "text/models/kenlm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/tmp/fuzz_arpa.XXXXXX";

static void clean_up(void) { unlink(path); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char line[] = "w1 w2 w3 w4 w5 zz <unk> w6 w7 \xE2\x96\x81" "a b w1 w2";
    static int fd = -1;
    if (fd < 0) {
        fd = mkstemp(path);
        if (fd < 0) return 0;
        close(fd);
        atexit(clean_up);
    }
    FILE *f = fopen(path, "wb");
    if (!f) return 0;
    fwrite(data, 1, size, f);
    fclose(f);
    sv_kenlm *m = NULL;
    sv_error err = {0};
    if (sv_kenlm_open(&m, path, &err) == SV_OK) {
        sv_kenlm_score(m, line, sizeof line - 1);
        sv_kenlm_close(&m);
    }
    return 0;
}
