/* fuzz_sentencepiece.c - hostile .model files, each opened and used on a text. */
#include "text/tokenizer/sentencepiece.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char text[] = "A photo of a caf\xC3\xA9, <image> \xE7\x8C\xAB \xF0\x9F\x98\x8A  red dog 1/2\t\xC2\xBD \xEF\xBC\xA1";
    sv_spm *m = NULL;
    sv_error err = {0};
    if (sv_spm_parse(&m, data, size, "fuzz", &err) == SV_OK) {
        sv_buf out = {0};
        sv_spm_encode(m, text, sizeof text - 1, &out, &err);
        sv_buf_free(&out);
        sv_spm_close(&m);
    }
    return 0;
}
