/* fuzz_benchmark.c - hostile files of benchmarks for captions.decontaminate: read as txt, jsonl, json or by content, then a few captions are held against them.
 * The first byte of an input chooses the name and the settings. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stages/curate/decontaminate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/fuzz_benchmark.XXXXXX", path[64];

static void clean_up(void) {
    unlink(path);
    rmdir(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const endings[] = {".txt", ".jsonl", ".json", ""};
    static bool ready;
    if (!ready) {
        if (!mkdtemp(dir)) return 0;
        atexit(clean_up);
        ready = true;
    }
    if (!size) return 0;
    unlink(path);
    snprintf(path, sizeof path, "%s/b%s", dir, endings[data[0] & 3]);
    FILE *f = fopen(path, "wb");
    if (!f) return 0;
    fwrite(data + 1, 1, size - 1, f);
    fclose(f);
    sv_against_settings against = {.path = path, .fields = data[0] & 4 ? (char[]){"[\"a\", \"question\"]"} : NULL};
    sv_decontaminate_settings s = {.against = &against, .count = 1, .ngram = 2 + (data[0] >> 4)};
    s.minhash.jaccard_threshold = data[0] & 8 ? NAN : 0.5;
    s.minhash.window_size = 2;
    s.minhash.num_permutations = 32;
    sv_decontamination d;
    sv_error err = {0};
    if (sv_decontamination_open(&d, &s, &err) != SV_OK) return 0;
    if (sv_decontamination_load(&d, &err) == SV_OK) {
        static const char *const captions[] = {"", "a red dog sits on the chair", "What is the man holding", "\xE7\x8B\x97\xE7\x8B\x97 ?"};
        sv_caption_out out[4] = {0};
        for (int i = 0; i < 4; i++) out[i] = (sv_caption_out){.keep = true, .value = NAN, .text = captions[i], .size = strlen(captions[i])};
        if (sv_decontamination_judge(&d, out, 4, &err) == SV_OK)
            for (int i = 0; i < 4; i++)
                if (!out[i].keep && !out[i].word) abort();
    }
    sv_decontamination_close(&d);
    return 0;
}
