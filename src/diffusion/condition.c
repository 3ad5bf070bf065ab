/* condition.c - a text as the denoiser sees it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/pipeline.h"

/* Writes the row of `length` ids that encoder i sees of a text, and counts its tokens. */
typedef sv_status (*lay_fn)(sv_pipeline *p, int i, const char *text, size_t length, int64_t *row, sv_encoded *out, sv_error *err);

/* Start, content, end, padding. */
static sv_status lay_out_clip(sv_pipeline *p, int i, const char *text, size_t length, int64_t *row, sv_encoded *out, sv_error *err) {
    const sv_tokenizer *t = p->tokenizers[i];
    sv_ids ids = {0};
    int32_t *cells = malloc(length * sizeof *cells);
    sv_status st = cells ? sv_tokenizer_encode(t, text, strlen(text), SV_CLEAN_HF, &ids, err) : sv_fail_memory(err, "text", length * sizeof *cells);
    if (st == SV_OK) {
        out->cut = sv_tokenizer_row(t, &ids, length, sv_tokenizer_pad(t), cells);
        out->tokens = ids.size;
        for (size_t k = 0; k < length; k++) row[k] = cells[k];
    }
    sv_ids_free(&ids);
    free(cells);
    return st;
}

/* Content, end, padding. */
static sv_status lay_out_t5(sv_pipeline *p, int i, const char *text, size_t length, int64_t *row, sv_encoded *out, sv_error *err) {
    sv_ids ids = {0};
    int32_t *cells = malloc(length * sizeof *cells);
    sv_status st = cells ? sv_t5_encode(p->t5[i], text, strlen(text), &ids, err) : sv_fail_memory(err, "text", length * sizeof *cells);
    if (st == SV_OK) {
        out->cut = sv_t5_row(&ids, length, cells);
        out->tokens = ids.size;
        for (size_t k = 0; k < length; k++) row[k] = cells[k];
    }
    sv_ids_free(&ids);
    free(cells);
    return st;
}

static sv_status copy_floats(const float *from, int64_t n, float **out, sv_error *err) {
    *out = malloc((size_t)n * sizeof(float));
    if (!*out) return sv_fail_memory(err, "encoded text", (size_t)n * sizeof(float));
    memcpy(*out, from, (size_t)n * sizeof(float));
    return SV_OK;
}

/* Takes what the graph gave over into out. */
static sv_status take(const char *graph, int length, const sv_call_result *hidden, const sv_call_result *pooled, sv_encoded *out, sv_error *err) {
    if (hidden->rank != 3 || hidden->dims[0] != 1 || hidden->dims[1] != length || hidden->dims[2] < 1)
        return sv_fail(err, SV_E_MODEL, graph, "the hidden state does not have the shape [1, %d, width]", length);
    if (pooled && (pooled->rank != 2 || pooled->dims[0] != 1 || pooled->dims[1] < 1))
        return sv_fail(err, SV_E_MODEL, graph, "the pooled text does not have the shape [1, width]");
    out->rows = hidden->dims[1];
    out->width = hidden->dims[2];
    SV_TRY(copy_floats(hidden->data, out->rows * out->width, &out->hidden, err));
    if (!pooled) return SV_OK;
    out->pooled_width = pooled->dims[1];
    return copy_floats(pooled->data, out->pooled_width, &out->pooled, err);
}

/* Runs encoder i on the row that `lay` writes. */
static sv_status run_encoder(sv_pipeline *p, int i, const char *text, int length, lay_fn lay, const char *hidden, const char *pooled, sv_encoded *out,
                             sv_error *err) {
    sv_call *call;
    int64_t *row;
    const sv_call_result *states, *pool = NULL;
    *out = (sv_encoded){0};
    SV_TRY(sv_pipeline_call(p, SV_PART_TEXT_ENCODER + i, &call, err));
    sv_status st = sv_call_ints(call, "input_ids", (int64_t[]){1, length}, 2, &row, err);
    if (st == SV_OK) st = sv_call_output_any(call, hidden, &states, err);
    if (st == SV_OK && pooled) st = sv_call_output_any(call, pooled, &pool, err);
    if (st == SV_OK) st = lay(p, i, text, (size_t)length, row, out, err);
    if (st == SV_OK) st = sv_call_run(call, err);
    if (st == SV_OK) st = take(p->dir.parts[SV_PART_TEXT_ENCODER + i].graph, length, states, pool, out, err);
    if (st != SV_OK) sv_encoded_free(out);
    sv_call_close(&call);
    return st;
}

sv_status sv_encode_clip(sv_pipeline *p, int i, const char *text, const char *hidden, const char *pooled, sv_encoded *out, sv_error *err) {
    return run_encoder(p, i, text, p->text_length[i], lay_out_clip, hidden, pooled, out, err);
}

sv_status sv_encode_t5(sv_pipeline *p, int i, const char *text, int length, sv_encoded *out, sv_error *err) {
    return run_encoder(p, i, text, length, lay_out_t5, "last_hidden_state", NULL, out, err);
}

void sv_encoded_free(sv_encoded *e) {
    free(e->hidden);
    free(e->pooled);
    *e = (sv_encoded){0};
}

sv_status sv_hidden_state_name(const sv_pipeline *p, int i, int back, char *buf, size_t size, sv_error *err) {
    const sv_graph_file *g = &p->graphs[SV_PART_TEXT_ENCODER + i];
    int last = -1;
    do snprintf(buf, size, "hidden_states.%d", ++last);
    while (sv_graph_file_has_output(g, buf));
    last--;                                        /* 0 is the embedding, `last` the last layer */
    if (last < 1) {
        sv_fail(err, SV_E_MODEL, p->dir.parts[SV_PART_TEXT_ENCODER + i].graph, "the graph does not give its hidden states");
        return sv_hint(err, SV_E_MODEL, "export the whole pipeline with optimum-cli, which adds them for this kind of model");
    }
    if (back < 0 || back > last) return sv_fail(err, SV_E_INPUT, "clip_skip", "%d is too many: the text encoder has %d layers", back - 1, last);
    snprintf(buf, size, "hidden_states.%d", last - back);
    return SV_OK;
}

sv_status sv_pipeline_encode_with(sv_pipeline *p, const char *text, const sv_text_options *o, sv_condition **out, sv_error *err) {
    *out = NULL;
    sv_condition *c = calloc(1, sizeof *c);
    if (!c) return sv_fail_memory(err, "encoded text", sizeof *c);
    sv_status st = p->family->encode(p, text, o, c, err);
    if (st != SV_OK) {
        sv_condition_close(&c);
        return st;
    }
    *out = c;
    return SV_OK;
}

sv_status sv_pipeline_encode(sv_pipeline *p, const char *text, sv_condition **out, sv_error *err) {
    sv_text_options o = {0};
    return sv_pipeline_encode_with(p, text, &o, out, err);
}

void sv_condition_close(sv_condition **c) {
    if (!*c) return;
    free((*c)->hidden);
    free((*c)->pooled);
    free(*c);
    *c = NULL;
}

size_t sv_condition_tokens(const sv_condition *c) {
    return c->tokens;
}

size_t sv_condition_cut(const sv_condition *c) {
    return c->cut;
}

bool sv_condition_same_shape(const sv_condition *a, const sv_condition *b) {
    return a->rows == b->rows && a->width == b->width && a->pooled_width == b->pooled_width;
}
