/* fuzz_tokenizer.c - the bundled tokenizer on hostile text, and tokenizer files from hostile bytes.
 * The first byte chooses: 0 text, 1 tokenizer.json, 2 vocab.json beside a good merges.txt, 3 merges.txt beside a good vocab.json, 4 tokenizer_config.json. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "synthvlm/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/dev/shm/synthvlm-fuzz.XXXXXX";
static const char *const names[] = {"", "tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"};

static void remove_dir(void)
{
    sv_dir_empty(dir, NULL);
    rmdir(dir);
}

static void put(const char *name, const void *bytes, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f) != 0) abort();
}

static void copy(const char *name)
{
    char path[128], *bytes = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "models/tabletop/tokenizer/%s", name);
    if (sv_file_read(path, 0, &bytes, &size, NULL) != SV_OK) abort();
    put(name, bytes, size);
    free(bytes);
}

static void encode(const sv_tokenizer *t, const uint8_t *data, size_t size)
{
    sv_ids ids = {0};
    sv_error err;
    int32_t row[77];
    for (int clean = SV_CLEAN_HF; clean <= SV_CLEAN_OPENAI; clean++) {
        if (sv_tokenizer_encode(t, (const char *)data, size, (sv_clean)clean, &ids, &err) != SV_OK) continue;
        for (size_t i = 0; i < ids.size; i++)
            if (ids.data[i] < 0 || (size_t)ids.data[i] >= sv_tokenizer_vocabulary(t)) abort();
        sv_tokenizer_row(t, &ids, 77, sv_tokenizer_pad(t), row);
    }
    sv_ids_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sv_tokenizer *bundled;
    if (!bundled) {
        if (sv_tokenizer_open(&bundled, "models/tabletop/tokenizer", NULL) != SV_OK || !mkdtemp(dir)) abort();
        atexit(remove_dir);
    }
    if (!size) return 0;
    unsigned what = data[0] % 5;
    if (what == 0) {
        encode(bundled, data + 1, size - 1);
        return 0;
    }
    sv_tokenizer *t = NULL;
    sv_error err;
    sv_dir_empty(dir, NULL);
    if (what != 1) {
        copy("vocab.json");
        copy("merges.txt");
    }
    put(names[what], data + 1, size - 1);
    if (sv_tokenizer_open(&t, dir, &err) == SV_OK) encode(t, (const uint8_t *)"a small red ball <|endoftext|> 9", 32);
    sv_tokenizer_close(&t);
    return 0;
}
