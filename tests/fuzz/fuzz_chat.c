/* fuzz_chat.c - what a server sends back: chat completions, error bodies, Retry-After; and what the model's words are taken for. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "remote/judge.h"
#include "remote/pace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char line[64];
    sv_error err;
    sv_chat_answer *a = malloc(sizeof *a);
    char *text = sv_strndup((const char *)data, size);
    if (a && text) {
        if (sv_chat_read((const char *)data, size, a, &err) == SV_OK) {
            double p = sv_judge_p_yes(a), points = sv_judge_points(a->text.data);
            if (!isnan(p) && !(p >= 0 && p <= 1)) __builtin_trap();
            if (!isnan(points) && !(points >= 1 && points <= 5)) __builtin_trap();
            sv_judge_vote(a->text.data);
            sv_chat_answer_free(a);
        }
        sv_judge_vote(text);
        sv_judge_points(text);
        if (strlen(sv_chat_error_text((const char *)data, size, "secret", line, sizeof line)) >= sizeof line || strstr(line, "secret")) __builtin_trap();
        sv_retry_after(text, 784111777);
    }
    free(text);
    free(a);
    return 0;
}
