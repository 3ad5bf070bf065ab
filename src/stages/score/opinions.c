#include "stages/score/opinions.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[SV_OPINIONS] = {[SV_HELD_OUT_OPINION] = SV_HELD_OUT, [SV_IMAGE_OPINION] = "judge_image"};

sv_status sv_opinions_open(sv_opinions *o, sv_rundir *run, int64_t generate, sv_asks *asks, sv_error *err) {
    const sv_score_settings *s = &run->recipe->score;
    *o = (sv_opinions){.ledger = run->ledger, .judge = &s->judge_image, .generate = generate, .asks = asks};
    if (s->held_out.model) SV_TRY(sv_ledger_current(run->ledger, SV_STAGE_SCORE, SV_HELD_OUT, &o->setup[SV_HELD_OUT_OPINION], err));
    if (s->judge_image.chat.url) SV_TRY(sv_ledger_current(run->ledger, SV_STAGE_JUDGE_IMAGE, names[SV_IMAGE_OPINION], &o->setup[SV_IMAGE_OPINION], err));
    return SV_OK;
}

void sv_opinions_close(sv_opinions *o) {
    free(o->ties.items);
    o->ties = (sv_asks){0};
}

static sv_status find(const sv_opinions *o, int which, int64_t number, int k, double *value, bool *found, sv_error *err) {
    *found = false;
    *value = NAN;
    return o->setup[which].id ? sv_ledger_find_score(o->ledger, o->setup[which].id, o->generate, number, k, value, found, err) : SV_OK;
}

static sv_status count(const sv_opinions *o, sv_tally_sum sums[SV_OPINIONS], int64_t number, int k, sv_error *err) {
    for (int i = 0; i < SV_OPINIONS; i++) {
        double value;
        bool found;
        SV_TRY(find(o, i, number, k, &value, &found, err));
        if (!isfinite(value)) continue;
        sums[i].sum += value;
        sums[i].count++;
    }
    return SV_OK;
}

/* Asks about a candidate if it has no answer and `when` is what the recipe says. */
static sv_status ask(sv_opinions *o, int when, int64_t number, int k, sv_error *err) {
    double value;
    bool found;
    if (!o->asks || !o->setup[SV_IMAGE_OPINION].id || o->judge->ask != when) return SV_OK;
    SV_TRY(find(o, SV_IMAGE_OPINION, number, k, &value, &found, err));
    return found || sv_asks_add(o->asks, (sv_ask){number, k}) ? SV_OK : sv_fail_memory(err, "select", 0);
}

sv_status sv_opinions_meet(sv_opinions *o, int64_t number, int k, sv_error *err) {
    return ask(o, SV_ASK_ALL, number, k, err);
}

sv_status sv_opinions_eligible(sv_opinions *o, int64_t number, int k, sv_error *err) {
    SV_TRY(count(o, o->before, number, k, err));
    return ask(o, SV_ASK_ELIGIBLE, number, k, err);
}

/* The first tied candidate of a caption. */
static size_t first_tied(const sv_asks *ties, int64_t number) {
    size_t low = 0, high = ties->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ties->items[middle].number < number) low = middle + 1;
        else high = middle;
    }
    return low;
}

sv_status sv_opinions_picked(sv_opinions *o, int64_t number, int k, sv_error *err) {
    double value;
    bool found;
    SV_TRY(count(o, o->after, number, k, err));
    SV_TRY(find(o, SV_IMAGE_OPINION, number, k, &value, &found, err));
    o->unasked += o->setup[SV_IMAGE_OPINION].id && !found && o->judge->use != SV_JUDGE_TIE_BREAK;
    if (o->judge->use != SV_JUDGE_TIE_BREAK) return ask(o, SV_ASK_PICKS, number, k, err);
    for (size_t i = first_tied(&o->ties, number); i < o->ties.count && o->ties.items[i].number == number; i++)
        SV_TRY(ask(o, SV_ASK_PICKS, number, o->ties.items[i].k, err));
    return SV_OK;
}

sv_status sv_opinions_veto(sv_opinions *o, int64_t number, int k, bool *veto, sv_error *err) {
    double value;
    bool found;
    *veto = false;
    if (!o->setup[SV_IMAGE_OPINION].id || o->judge->use != SV_JUDGE_VETO) return SV_OK;
    SV_TRY(find(o, SV_IMAGE_OPINION, number, k, &value, &found, err));
    *veto = found && !(value >= o->judge->min);
    return SV_OK;
}

bool sv_opinions_break_ties(const sv_opinions *o) {
    return o->setup[SV_IMAGE_OPINION].id && o->judge->use == SV_JUDGE_TIE_BREAK;
}

sv_status sv_opinions_best(sv_opinions *o, const sv_rival *group, size_t n, size_t *best, sv_error *err) {
    double top = n ? sv_score_of_key(group[0].key) : 0, surest = -1;
    size_t tied = 1, known = 0, winner = 0;
    *best = 0;
    while (tied < n && sv_score_of_key(group[tied].key) >= top - o->judge->tie) tied++;
    if (tied < 2 || !n) return SV_OK;
    for (size_t i = 0; i < tied; i++) {
        sv_ask who = {sv_rival_number(&group[i]), sv_rival_k(&group[i])};
        double value;
        bool found;
        SV_TRY(find(o, SV_IMAGE_OPINION, who.number, who.k, &value, &found, err));
        known += found;
        if (!found && o->asks && !sv_asks_add(&o->ties, who)) return sv_fail_memory(err, "select", 0);
        if (isfinite(value) && value > surest) {
            surest = value;
            winner = i;
        }
    }
    /* A tie of which not everything is known stays what the scores make it. */
    if (known == tied) *best = winner;
    return SV_OK;
}

bool sv_opinions_describe(const sv_opinions *o, yyjson_mut_doc *doc, yyjson_mut_val *settings) {
    static const char *const uses[] = {[SV_JUDGE_HELD_OUT] = "held_out", [SV_JUDGE_VETO] = "veto", [SV_JUDGE_TIE_BREAK] = "tie_break"};
    for (int i = 0; i < SV_OPINIONS; i++) {
        if (!o->setup[i].id) continue;
        yyjson_mut_val *one = yyjson_mut_obj_add_obj(doc, settings, names[i]);
        bool ok = one && yyjson_mut_obj_add_strcpy(doc, one, "setup", o->setup[i].hash) && yyjson_mut_obj_add_sint(doc, one, "values", o->before[i].count) &&
                  yyjson_mut_obj_add_sint(doc, one, "of_picks", o->after[i].count);
        if (ok && i == SV_IMAGE_OPINION) ok = yyjson_mut_obj_add_str(doc, one, "use", uses[o->judge->use]);
        if (ok && i == SV_IMAGE_OPINION && o->judge->use == SV_JUDGE_VETO) ok = yyjson_mut_obj_add_real(doc, one, "min", o->judge->min);
        if (ok && i == SV_IMAGE_OPINION && o->judge->use == SV_JUDGE_TIE_BREAK) ok = yyjson_mut_obj_add_real(doc, one, "tie", o->judge->tie);
        if (!ok) return false;
    }
    return true;
}

void sv_opinions_means(const sv_opinions *o, sv_mean *means, size_t *n) {
    for (int i = 0; i < SV_OPINIONS; i++) {
        const sv_tally_sum *b = &o->before[i], *a = &o->after[i];
        if (!o->setup[i].id || !(b->count + a->count)) continue;
        sv_mean *m = &means[(*n)++];
        *m = (sv_mean){.before = b->count ? b->sum / (double)b->count : NAN, .after = a->count ? a->sum / (double)a->count : NAN};
        snprintf(m->name, sizeof m->name, "%s", names[i]);
    }
}
