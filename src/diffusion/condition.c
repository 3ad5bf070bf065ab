/* condition.c - a text as the denoiser sees it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/pipeline.h"

enum { MOST_WINDOWS = 32 };

/* What an encoder sees of a text: rows of ids. */
typedef struct text_rows {
    int32_t *cells;              /* [count, length]; malloc */
    size_t count, tokens, cut;
} text_rows;

/* Start, content, end, padding; what does not fit goes to the next row, of which there are `most`. */
static sv_status lay_out_clip(sv_pipeline *p, int i, const char *text, size_t length, size_t most, text_rows *out, sv_error *err) {
    const sv_tokenizer *t = p->tokenizers[i];
    sv_ids ids = {0};
    size_t room = length - 2;
    SV_TRY(sv_tokenizer_encode(t, text, strlen(text), SV_CLEAN_HF, &ids, err));
    out->tokens = ids.size;
    out->count = ids.size > room ? (ids.size + room - 1) / room : 1;
    if (out->count > most) out->count = most;
    out->cells = malloc(out->count * length * sizeof *out->cells);
    sv_status st = out->cells ? SV_OK : sv_fail_memory(err, "text", out->count * length * sizeof *out->cells);
    for (size_t k = 0; st == SV_OK && k < out->count; k++) {
        size_t left = ids.size > k * room ? ids.size - k * room : 0;
        sv_ids part = {.data = ids.data ? ids.data + k * room : NULL, .size = k + 1 < out->count ? room : left};
        out->cut = sv_tokenizer_row(t, &part, length, sv_tokenizer_pad(t), out->cells + k * length);
    }
    sv_ids_free(&ids);
    return st;
}

/* Content, end, padding. */
static sv_status lay_out_t5(sv_pipeline *p, int i, const char *text, size_t length, text_rows *out, sv_error *err) {
    sv_ids ids = {0};
    out->count = 1;
    out->cells = malloc(length * sizeof *out->cells);
    sv_status st = out->cells ? sv_t5_encode(p->t5[i], text, strlen(text), &ids, err) : sv_fail_memory(err, "text", length * sizeof *out->cells);
    if (st == SV_OK) {
        out->cut = sv_t5_row(&ids, length, out->cells);
        out->tokens = ids.size;
    }
    sv_ids_free(&ids);
    return st;
}

static sv_status copy_floats(const float *from, int64_t n, float **out, sv_error *err) {
    *out = malloc((size_t)n * sizeof(float));
    if (!*out) return sv_fail_memory(err, "encoded text", (size_t)n * sizeof(float));
    memcpy(*out, from, (size_t)n * sizeof(float));
    return SV_OK;
}

/* Adds the rows that the graph gave to out's. The pooled text is that of the first window. */
static sv_status take(const char *graph, int length, const sv_call_result *hidden, const sv_call_result *pooled, sv_encoded *out, sv_error *err) {
    if (hidden->rank != 3 || hidden->dims[0] != 1 || hidden->dims[1] != length || hidden->dims[2] < 1)
        return sv_fail(err, SV_E_MODEL, graph, "the hidden state does not have the shape [1, %d, width]", length);
    if (pooled && (pooled->rank != 2 || pooled->dims[0] != 1 || pooled->dims[1] < 1))
        return sv_fail(err, SV_E_MODEL, graph, "the pooled text does not have the shape [1, width]");
    size_t before = (size_t)(out->rows * out->width), n = (size_t)(hidden->dims[1] * hidden->dims[2]);
    float *more = realloc(out->hidden, (before + n) * sizeof *more);
    if (!more) return sv_fail_memory(err, "encoded text", (before + n) * sizeof *more);
    memcpy(more + before, hidden->data, n * sizeof *more);
    out->hidden = more;
    out->rows += hidden->dims[1];
    out->width = hidden->dims[2];
    out->windows++;
    if (!pooled || out->pooled) return SV_OK;
    out->pooled_width = pooled->dims[1];
    return copy_floats(pooled->data, out->pooled_width, &out->pooled, err);
}

/* Runs encoder i on the rows that `lay` writes of a text's windows. */
static sv_status run_encoder(sv_pipeline *p, int i, const text_rows *texts, int length, const char *hidden, const char *pooled, sv_encoded *out, sv_error *err) {
    sv_call *call;
    int64_t *row;
    const sv_call_result *states, *pool = NULL;
    *out = (sv_encoded){0};
    SV_TRY(sv_pipeline_call(p, SV_PART_TEXT_ENCODER + i, &call, err));
    sv_status st = sv_call_ints(call, "input_ids", (int64_t[]){1, length}, 2, &row, err);
    if (st == SV_OK) st = sv_call_output_any(call, hidden, &states, err);
    if (st == SV_OK && pooled) st = sv_call_output_any(call, pooled, &pool, err);
    for (size_t k = 0; st == SV_OK && k < texts->count; k++) {
        for (int c = 0; c < length; c++) row[c] = texts->cells[k * (size_t)length + (size_t)c];
        st = sv_call_run(call, err);
        if (st == SV_OK) st = take(p->dir.parts[SV_PART_TEXT_ENCODER + i].graph, length, states, pool, out, err);
    }
    out->tokens = texts->tokens;
    out->cut = texts->cut;
    if (st != SV_OK) sv_encoded_free(out);
    sv_call_close(&call);
    return st;
}

sv_status sv_encode_clip(sv_pipeline *p, int i, const char *text, bool windows, const char *hidden, const char *pooled, sv_encoded *out, sv_error *err) {
    text_rows rows = {0};
    sv_status st = lay_out_clip(p, i, text, (size_t)p->text_length[i], windows ? MOST_WINDOWS : 1, &rows, err);
    if (st == SV_OK) st = run_encoder(p, i, &rows, p->text_length[i], hidden, pooled, out, err);
    free(rows.cells);
    return st;
}

sv_status sv_encode_t5(sv_pipeline *p, int i, const char *text, int length, sv_encoded *out, sv_error *err) {
    text_rows rows = {0};
    sv_status st = lay_out_t5(p, i, text, (size_t)length, &rows, err);
    if (st == SV_OK) st = run_encoder(p, i, &rows, length, "last_hidden_state", NULL, out, err);
    free(rows.cells);
    return st;
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

/* The window that a shorter text is filled up with: an empty text's, or of a missing text that is zeros, zeros. */
static sv_status add_empty(sv_pipeline *p, const char *text, const sv_text_options *o, sv_condition *c, sv_error *err) {
    sv_text_options one = *o;
    sv_condition empty = {0};
    one.windows = false;
    sv_status st = p->family->encode(p, text ? "" : NULL, &one, &empty, err);
    if (st == SV_OK) {
        c->windows = (size_t)(c->rows / empty.rows);
        c->empty = empty.hidden;
        empty.hidden = NULL;
    }
    free(empty.hidden);
    free(empty.pooled);
    return st;
}

sv_status sv_pipeline_encode_with(sv_pipeline *p, const char *text, const sv_text_options *o, sv_condition **out, sv_error *err) {
    *out = NULL;
    if (o->windows && !p->family->windows) {
        sv_fail(err, SV_E_USAGE, "long_captions", "windows are not available for %s, which does not see a text through CLIP's states alone", p->family->name(&p->dir));
        return sv_hint(err, SV_E_USAGE, "its T5 encoder takes longer texts: max_sequence_length");
    }
    sv_condition *c = calloc(1, sizeof *c);
    if (!c) return sv_fail_memory(err, "encoded text", sizeof *c);
    c->windows = 1;
    sv_status st = p->family->encode(p, text, o, c, err);
    if (st == SV_OK && o->windows) st = add_empty(p, text, o, c, err);
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
    free((*c)->empty);
    free(*c);
    *c = NULL;
}

size_t sv_condition_tokens(const sv_condition *c) {
    return c->tokens;
}

size_t sv_condition_cut(const sv_condition *c) {
    return c->cut;
}

size_t sv_condition_windows(const sv_condition *c) {
    return c->windows;
}
