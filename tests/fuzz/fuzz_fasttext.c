/* fuzz_fasttext.c - hostile classifiers: each opened and, if it opens, asked about a few lines. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text/models/fasttext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/tmp/fuzz_fasttext.XXXXXX";

static void clean_up(void) { unlink(path); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const lines[] = {"", "the red dog sits", "</s> a", "__label__en <x> \xE7\x8B\x97 \xD0\xB4\xD0\xB0", "a a a a a a a"};
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
    sv_fasttext *m = NULL;
    sv_error err = {0};
    sv_fasttext_scratch s = {0};
    if (sv_fasttext_open(&m, path, &err) == SV_OK) {
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
            int64_t label;
            float probability;
            if (sv_fasttext_predict(m, lines[i], strlen(lines[i]), &s, &label, &probability, &err) != SV_OK) continue;
            if (label >= 0 && !sv_fasttext_label(m, (size_t)label)) abort();
        }
        sv_fasttext_close(&m);
    }
    sv_fasttext_scratch_free(&s);
    return 0;
}
