/* condition.c - a text as the denoiser sees it. */
#include <stdlib.h>
#include <string.h>

#include "diffusion/pipeline.h"

/* Ids in a row whose length the graph or the tokenizer fixes: start, content, end, padding. */
static sv_status lay_out(sv_pipeline *p, int i, const char *text, int64_t *row, sv_condition *out, sv_error *err) {
    const sv_tokenizer *t = p->tokenizers[i];
    size_t length = (size_t)p->text_length[i];
    sv_ids ids = {0};
    int32_t *cells = malloc(length * sizeof *cells);
    sv_status st = cells ? sv_tokenizer_encode(t, text, strlen(text), SV_CLEAN_HF, &ids, err) : sv_fail_memory(err, "text", length * sizeof *cells);
    if (st == SV_OK) {
        size_t cut = sv_tokenizer_row(t, &ids, length, sv_tokenizer_pad(t), cells);
        for (size_t k = 0; k < length; k++) row[k] = cells[k];
        /* The first tokenizer speaks for the text; a further one of the same family says the same. */
        if (!out->hidden) {
            out->tokens = ids.size;
            out->cut = cut;
        }
    }
    sv_ids_free(&ids);
    free(cells);
    return st;
}

sv_status sv_encode_text(sv_pipeline *p, int i, const char *text, const char *hidden_name, sv_condition *out, sv_error *err) {
    sv_call *call;
    int64_t *row, length = p->text_length[i];
    const sv_call_result *hidden;
    SV_TRY(sv_call_open(&call, p->sessions[SV_PART_TEXT_ENCODER + i], err));
    sv_status st = sv_call_ints(call, "input_ids", (int64_t[]){1, length}, 2, &row, err);
    if (st == SV_OK) st = sv_call_output_any(call, hidden_name, &hidden, err);
    if (st == SV_OK) st = lay_out(p, i, text, row, out, err);
    if (st == SV_OK) st = sv_call_run(call, err);
    if (st == SV_OK && (hidden->rank != 3 || hidden->dims[0] != 1 || hidden->dims[1] != length))
        st = sv_fail(err, SV_E_MODEL, p->dir.parts[SV_PART_TEXT_ENCODER + i].graph, "%s does not have the shape [1, %lld, width]", hidden_name, (long long)length);
    if (st == SV_OK) {
        size_t n = (size_t)(hidden->dims[1] * hidden->dims[2]);
        out->hidden = malloc(n * sizeof(float));
        if (out->hidden) {
            memcpy(out->hidden, hidden->data, n * sizeof(float));
            out->rows = hidden->dims[1];
            out->width = hidden->dims[2];
        } else {
            st = sv_fail_memory(err, "encoded text", n * sizeof(float));
        }
    }
    sv_call_close(&call);
    return st;
}

sv_status sv_pipeline_encode(sv_pipeline *p, const char *text, sv_condition **out, sv_error *err) {
    *out = NULL;
    sv_condition *c = calloc(1, sizeof *c);
    if (!c) return sv_fail_memory(err, "encoded text", sizeof *c);
    sv_status st = p->family->encode(p, text, c, err);
    if (st != SV_OK) {
        sv_condition_close(&c);
        return st;
    }
    *out = c;
    return SV_OK;
}

void sv_condition_close(sv_condition **c) {
    if (!*c) return;
    free((*c)->hidden);
    free(*c);
    *c = NULL;
}

size_t sv_condition_tokens(const sv_condition *c) {
    return c->tokens;
}

size_t sv_condition_cut(const sv_condition *c) {
    return c->cut;
}
