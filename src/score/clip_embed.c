/* clip_embed.c - texts and pictures to embeddings. Any thread may ask; each borrows bound memory from a list of what nobody uses. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "score/clip.h"

void sv_clip_call_free(sv_clip_call *k) {
    if (!k) return;
    sv_call_close(&k->call);
    sv_clip_preprocess_work_free(&k->work);
    free(k->row);
    free(k);
}

/* A joint graph wants both sides at every call: the one that is not asked for gets one row of zeros. */
static sv_status bind_text(sv_clip *c, sv_clip_call *k, bool asked, sv_error *err) {
    int64_t shape[2] = {1, c->length};
    SV_TRY(sv_call_ints(k->call, "input_ids", shape, 2, &k->ids, err));
    if (sv_session_input(c->text, "attention_mask")) SV_TRY(sv_call_ints(k->call, "attention_mask", shape, 2, &k->mask, err));
    if (!asked) {
        for (int64_t i = 0; i < c->length; i++) k->ids[i] = c->siglip ? sv_siglip_end(c->siglip) : sv_tokenizer_eos(c->tokenizer);
        if (!c->siglip) k->ids[0] = sv_tokenizer_bos(c->tokenizer);
        for (int64_t i = 0; k->mask && i < c->length; i++) k->mask[i] = 1;
        return SV_OK;
    }
    k->row = malloc((size_t)c->length * sizeof *k->row);
    if (!k->row) return sv_fail_memory(err, "text", (size_t)c->length * sizeof *k->row);
    return sv_call_output(k->call, c->text_output, (int64_t[]){1, c->dim}, 2, &k->embeddings, err);
}

static sv_status bind_images(sv_clip *c, sv_clip_call *k, bool asked, sv_error *err) {
    int64_t rows = asked ? c->batch : 1;
    SV_TRY(sv_call_floats(k->call, "pixel_values", (int64_t[]){rows, 3, c->height, c->width}, 4, &k->pixels, err));
    return asked ? sv_call_output(k->call, c->image_output, (int64_t[]){rows, c->dim}, 2, &k->embeddings, err) : SV_OK;
}

/* Takes a call off the list, or makes one. */
static sv_status borrow(sv_clip *c, bool images, sv_clip_call **out, sv_error *err) {
    sv_clip_call **list = images ? &c->image_calls : &c->text_calls, *k;
    pthread_mutex_lock(&c->lock);
    k = *list;
    if (k) *list = k->next;
    pthread_mutex_unlock(&c->lock);
    if (!k) {
        k = calloc(1, sizeof *k);
        if (!k) return sv_fail_memory(err, "clip", sizeof *k);
        sv_status st = sv_call_open(&k->call, images ? c->vision : c->text, err);
        if (st == SV_OK && (!images || c->files.joint)) st = bind_text(c, k, !images, err);
        if (st == SV_OK && (images || c->files.joint)) st = bind_images(c, k, images, err);
        if (st != SV_OK) {
            sv_clip_call_free(k);
            return st;
        }
    }
    *out = k;
    return SV_OK;
}

static void give_back(sv_clip *c, bool images, sv_clip_call *k) {
    sv_clip_call **list = images ? &c->image_calls : &c->text_calls;
    pthread_mutex_lock(&c->lock);
    k->next = *list;
    *list = k;
    pthread_mutex_unlock(&c->lock);
}

/* x / |x| in float32, the norm summed in float64. */
static sv_status normalise(const sv_clip *c, const float *x, const char *graph, float *out, sv_error *err) {
    double sum = 0;
    for (int64_t i = 0; i < c->dim; i++) sum += (double)x[i] * x[i];
    float norm = (float)sqrt(sum);
    if (!(norm > 0) || !isfinite(norm)) return sv_fail(err, SV_E_MODEL, graph, "gives an embedding of length %g", (double)norm);
    for (int64_t i = 0; i < c->dim; i++) out[i] = x[i] / norm;
    return SV_OK;
}

/* Content ids of prefix and text. */
static sv_status read_text(const sv_clip *c, const char *text, sv_ids *ids, sv_error *err) {
    size_t before = strlen(c->prefix), n = strlen(text);
    char *whole = malloc(before + n + 1);
    if (!whole) return sv_fail_memory(err, "text", before + n + 1);
    memcpy(whole, c->prefix, before);
    memcpy(whole + before, text, n + 1);
    sv_status st = c->siglip ? sv_siglip_encode(c->siglip, whole, before + n, ids, err) :
                   sv_tokenizer_encode(c->tokenizer, whole, before + n, c->flavour->openai_text ? SV_CLEAN_OPENAI : SV_CLEAN_HF, ids, err);
    free(whole);
    return st;
}

/* Ids into the call's row. Returns how many of them did not fit. */
static size_t lay_out(const sv_clip *c, sv_clip_call *k, const sv_ids *ids) {
    size_t length = (size_t)c->length;
    size_t over = c->siglip ? sv_siglip_row(c->siglip, ids, length, k->row) :
                  sv_tokenizer_row(c->tokenizer, ids, length, sv_tokenizer_pad(c->tokenizer), k->row);
    if (over && c->flavour->loses_end && !c->siglip) {
        k->row[length - 1] = ids->data[length - 2];
        over--;
    }
    for (size_t i = 0; i < length; i++) {
        k->ids[i] = k->row[i];
        if (k->mask) k->mask[i] = c->siglip || i < ids->size - over + 2;   /* SigLIP was trained without one */
    }
    return over;
}

/* A text that is longer than a row, as the mean of its windows: `room` ids after `room` ids, each window's embedding of length 1. */
static sv_status embed_windows(sv_clip *c, sv_clip_call *k, const sv_ids *ids, size_t room, float *embedding, size_t *cut, sv_error *err) {
    double *sum = calloc((size_t)c->dim, sizeof *sum);
    if (!sum) return sv_fail_memory(err, "text", (size_t)c->dim * sizeof *sum);
    sv_status st = SV_OK;
    size_t at = 0;
    for (int window = 0; st == SV_OK && at < ids->size && window < SV_CLIP_MOST_WINDOWS; window++) {
        sv_ids part = {ids->data + at, ids->size - at < room ? ids->size - at : room, 0};
        lay_out(c, k, &part);
        at += part.size;
        st = sv_call_run(k->call, err);
        if (st == SV_OK) st = normalise(c, k->embeddings, c->files.text, embedding, err);
        for (int64_t i = 0; st == SV_OK && i < c->dim; i++) sum[i] += embedding[i];
    }
    if (cut) *cut = ids->size - at;
    for (int64_t i = 0; i < c->dim; i++) embedding[i] = (float)sum[i];
    free(sum);
    return st == SV_OK ? normalise(c, embedding, c->files.text, embedding, err) : st;
}

sv_status sv_clip_text(sv_clip *c, const char *text, float *embedding, size_t *cut, sv_error *err) {
    sv_clip_call *k;
    sv_ids ids = {0};
    size_t room = c->siglip ? sv_siglip_room(c->siglip, (size_t)c->length) : (size_t)c->length - 2, over = 0;
    sv_status st = read_text(c, text, &ids, err);
    if (st == SV_OK) st = borrow(c, false, &k, err);
    if (st == SV_OK) {
        if (c->windows && ids.size > room) {
            st = embed_windows(c, k, &ids, room, embedding, &over, err);
        } else {
            over = lay_out(c, k, &ids);
            st = sv_call_run(k->call, err);
            if (st == SV_OK) st = normalise(c, k->embeddings, c->files.text, embedding, err);
        }
        give_back(c, false, k);
    }
    if (cut) *cut = over;
    sv_ids_free(&ids);
    return st;
}

sv_status sv_clip_images(sv_clip *c, const sv_image *const *images, size_t n, float *embeddings, sv_error *err) {
    sv_clip_call *k;
    if (n < 1 || n > (size_t)c->batch) return sv_fail(err, SV_E_INTERNAL, "clip", "%zu pictures given to a batch of %lld", n, (long long)c->batch);
    SV_TRY(borrow(c, true, &k, err));
    size_t values = 3 * (size_t)c->width * (size_t)c->height;
    sv_status st = SV_OK;
    for (size_t i = 0; st == SV_OK && i < n; i++) st = sv_clip_preprocess(images[i], &c->preprocess, &k->work, k->pixels + i * values, err);
    /* The call keeps its shape, and so every row its bits; rows that nobody asked for are blank. */
    if (st == SV_OK) memset(k->pixels + n * values, 0, ((size_t)c->batch - n) * values * sizeof(float));
    if (st == SV_OK) st = sv_call_run(k->call, err);
    for (size_t i = 0; st == SV_OK && i < n; i++) st = normalise(c, k->embeddings + i * (size_t)c->dim, c->files.vision, embeddings + i * (size_t)c->dim, err);
    give_back(c, true, k);
    return st;
}
