/* clip_sigmoid.c - SigLIP's scale and bias, which only the graph knows: read off from a few pairs of cosine and logit. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "score/clip.h"

enum { PROBES = 8 };             /* pictures: enough for a straight line */

/* One call of the joint graph with its logits. */
typedef struct probe {
    sv_call *call;
    int64_t *ids, *mask;
    float *pixels;
    const float *text, *images;
    const sv_call_result *logits;
} probe;

static sv_status bind(const sv_clip *c, probe *p, sv_error *err) {
    int64_t row[2] = {1, c->length};
    SV_TRY(sv_call_ints(p->call, "input_ids", row, 2, &p->ids, err));
    if (sv_session_input(c->text, "attention_mask")) SV_TRY(sv_call_ints(p->call, "attention_mask", row, 2, &p->mask, err));
    SV_TRY(sv_call_floats(p->call, "pixel_values", (int64_t[]){PROBES, 3, c->height, c->width}, 4, &p->pixels, err));
    SV_TRY(sv_call_output(p->call, c->text_output, (int64_t[]){1, c->dim}, 2, &p->text, err));
    SV_TRY(sv_call_output(p->call, c->image_output, (int64_t[]){PROBES, c->dim}, 2, &p->images, err));
    return sv_call_output_any(p->call, "logits_per_image", &p->logits, err);
}

/* Plain, striped and chequered pictures in several colours: as unlike each other as may be. */
static void paint(const sv_clip *c, float *pixels) {
    for (int i = 0; i < PROBES; i++)
        for (int channel = 0; channel < 3; channel++)
            for (int y = 0; y < c->height; y++)
                for (int x = 0; x < c->width; x++) {
                    bool on = i & 1 ? ((x >> (i + 1)) ^ (y >> (7 - i))) & 1 : (i >> 1) == channel;
                    *pixels++ = on ? 1.0f : -1.0f;
                }
}

static double cosine(const float *a, const float *b, int64_t n) {
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return ab / sqrt(aa * bb);
}

/* The straight line through the pairs, by least squares. Cosines that are all alike say nothing: scale and bias stay unknown. */
static void fit(sv_clip *c, const probe *p) {
    double x[PROBES], mean_x = 0, mean_y = 0, xx = 0, xy = 0;
    for (int i = 0; i < PROBES; i++) {
        x[i] = cosine(p->text, p->images + (size_t)i * (size_t)c->dim, c->dim);
        mean_x += x[i] / PROBES;
        mean_y += p->logits->data[i] / (double)PROBES;
    }
    for (int i = 0; i < PROBES; i++) {
        xx += (x[i] - mean_x) * (x[i] - mean_x);
        xy += (x[i] - mean_x) * (p->logits->data[i] - mean_y);
    }
    if (!(xx > 1e-8) || !isfinite(xy)) return;
    c->logit_scale = xy / xx;
    c->logit_bias = mean_y - c->logit_scale * mean_x;
}

sv_status sv_clip_fit_sigmoid(sv_clip *c, sv_error *err) {
    probe p = {0};
    sv_status st = sv_call_open(&p.call, c->text, err);
    if (st == SV_OK) st = bind(c, &p, err);
    if (st == SV_OK) {
        for (int64_t i = 0; i < c->length; i++) {
            p.ids[i] = sv_siglip_end(c->siglip);
            if (p.mask) p.mask[i] = 1;
        }
        paint(c, p.pixels);
        st = sv_call_run(p.call, err);
    }
    if (st == SV_OK && p.logits->rank == 2 && p.logits->dims[0] == PROBES && p.logits->dims[1] == 1) fit(c, &p);
    sv_call_close(&p.call);
    return st;
}
