#include "text/models/perplexity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "base/utf8.h"
#include "text/models/kenlm.h"
#include "text/tokenizer/sentencepiece.h"
#include "text/unicode/unicode.h"

struct sv_perplexity {
    sv_spm *spm;
    sv_kenlm *lm;
};

sv_status sv_perplexity_open(sv_perplexity **out, const char *spm, const char *lm, sv_error *err) {
    *out = NULL;
    sv_perplexity *p = calloc(1, sizeof *p);
    if (!p) return sv_fail_memory(err, spm, sizeof *p);
    sv_status st = sv_spm_open(&p->spm, spm, err);
    if (st == SV_OK) st = sv_kenlm_open(&p->lm, lm, err);
    if (st == SV_OK) *out = p;
    else sv_perplexity_close(&p);
    return st;
}

void sv_perplexity_close(sv_perplexity **p) {
    if (!*p) return;
    sv_spm_close(&(*p)->spm);
    sv_kenlm_close(&(*p)->lm);
    free(*p);
    *p = NULL;
}

/* The first line of a text, as str.splitlines cuts it: its size without the break, and the words in it, as str.split counts them (which
 * knows more kinds of white space than KenLM). Returns where the next line starts. */
static const char *next_line(const char *text, const char *end, size_t *size, size_t *words) {
    bool inside = false;
    *words = 0;
    for (const char *p = text; p < end;) {
        const char *at = p;
        unsigned flags = sv_char(sv_next_char(&p))->flags;
        if (flags & SV_CH_LINE_BREAK) {
            *size = (size_t)(at - text);
            return *at == '\r' && p < end && *p == '\n' ? p + 1 : p;
        }
        bool space = (flags & SV_CH_SPACE) != 0;
        *words += !space && !inside;
        inside = !space;
    }
    *size = (size_t)(end - text);
    return end;
}

/* Python's round(v, 1): the decimal nearest to the double's exact value, ties to even, as printf rounds. */
static double round_to_tenths(double v) {
    char text[400];
    if (!isfinite(v)) return v;
    snprintf(text, sizeof text, "%.1f", v);
    return strtod(text, NULL);
}

sv_status sv_perplexity_value(const sv_perplexity *p, const char *text, size_t n, double *ppl, sv_error *err) {
    *ppl = 0;
    size_t bad = sv_utf8_valid(text, n);
    if (bad != n) return sv_fail(err, SV_E_INPUT, "text", "invalid UTF-8 at byte %zu", bad);
    sv_buf pieces = {0};
    sv_status st = sv_spm_encode(p->spm, text, n, &pieces, err);
    double log10_prob = 0;
    size_t length = 0;
    /* A broken normalisation map can make invalid UTF-8 of a good text. */
    if (st == SV_OK && sv_utf8_valid(pieces.data ? pieces.data : "", pieces.size) != pieces.size)
        st = sv_fail(err, SV_E_MODEL, "SentencePiece model", "its normalisation map makes invalid UTF-8");
    for (const char *line = pieces.data, *end = line + pieces.size; st == SV_OK && line < end;) {
        size_t size, words;
        const char *next = next_line(line, end, &size, &words);
        log10_prob += (double)sv_kenlm_score(p->lm, line, size);
        length += words + 1;
        line = next;
    }
    sv_buf_free(&pieces);
    if (st == SV_OK && length > 0) *ppl = round_to_tenths(pow(10.0, -log10_prob / (double)length));
    return st;
}
