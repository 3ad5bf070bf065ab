/* select.c - which pairs go into the dataset: eligible → min → best of each caption → near-duplicates → quotas → keep or count.
 *
 * Reads scores in one ordered walk, keeps 16 bytes for each competitor, touches no image and no text but the ids of ties: ten million candidates
 * take seconds. Only near-duplicates need the pictures, once: their hashes are kept in the ledger. The result is one selection row with its picks and with
 * what was passed over among better-ranked ones; why any other candidate was not picked is the view `explained`.
 */
#include "stages/select/select.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "stages/draw/hashes.h"
#include "stages/score/opinions.h"
#include "stages/rundir.h"

/* A candidate's scores, and behind them the weighted one. */
enum { WEIGHTED = SV_TERMS, TERMS };
enum { MOST_TIED = 64 };         /* candidates of a caption among which a tie is looked for */

static const char *term_name(int term) { return term == WEIGHTED ? "weighted" : sv_term_names[term]; }

typedef struct contest {
    sv_rundir *run;
    const sv_select_settings *settings;
    double weight[SV_TERMS];     /* of clip with its scale; 0 where there is no such scorer */
    int at[SV_TERMS];            /* where a score's values stand; -1: no such scorer */
    int64_t setups[SV_TERMS];
    size_t scorers;
    sv_selection s;
    sv_rivals rivals;
    sv_rivals picks;             /* best first */
    sv_drops drops;
    sv_list include, exclude;
    size_t next_include, next_exclude;   /* the walk has passed those before */
    int64_t included, excluded;  /* met in the walk */
    size_t included_up_to;       /* all of the list before it have been met */
    sv_steps steps;
    sv_quotas *quotas;
    char *told;                  /* what the steps did, as JSON; NULL: there were none */
    sv_rival *group;             /* the best per_caption candidates of the caption in hand, best first */
    size_t group_size, group_room;   /* room: per_caption less those that are in by hand */
    int64_t group_number;
    char *id;                    /* of the caption in hand, for lots */
    size_t id_capacity;
    int64_t *dropped;            /* captions that the rounds gave up, ascending */
    size_t dropped_count, next_dropped;
    char rounds[SV_SHA256_HEX];  /* the rounds' setup */
    sv_opinions opinions;
    sv_asks *asks;               /* what is to be asked about, in a plan; else NULL */
    int64_t vetoed, given_up, not_finite;   /* candidates: the vision model's no; of dropped captions; without a usable score */
    double before[TERMS], after[TERMS];   /* sums, then means */
} contest;

/* ---- what is to be done ---- */

static sv_status find_scorers(contest *c, sv_error *err) {
    sv_ledger *l = c->run->ledger;
    const sv_weight_settings *w = &c->run->recipe->score.weights;
    sv_setup generate;
    SV_TRY(sv_ledger_scope(l, &c->s.scope, err));
    SV_TRY(sv_ledger_current(l, SV_STAGE_GENERATE, "", &generate, err));
    if (!generate.id) {
        sv_fail(err, SV_E_INPUT, c->run->dir, "no image has been generated yet");
        return sv_hint(err, SV_E_INPUT, "synthvlm generate %s", c->run->dir);
    }
    c->s.generate = generate.id;
    for (int term = 0; term < SV_TERMS; term++) {
        sv_setup setup;
        SV_TRY(sv_ledger_current(l, SV_STAGE_SCORE, sv_term_names[term], &setup, err));
        c->at[term] = setup.id ? (int)c->scorers : -1;
        c->weight[term] = setup.id ? w->of[term] : 0;
        if (term == SV_TERM_CLIP && w->scale) c->weight[term] *= 2.5;
        if (setup.id) c->setups[c->scorers++] = setup.id;
    }
    c->s.weight_clip = c->weight[SV_TERM_CLIP];
    c->s.weight_ssim = c->weight[SV_TERM_SSIM];
    return SV_OK;
}

/* A score that ranks or limits must be there. */
static sv_status check_scorers(const contest *c, sv_error *err) {
    const sv_select_settings *s = c->settings;
    const char *missing = NULL;
    char key[64] = "select.by";
    bool weighs = s->by == SV_BY_WEIGHTED || !isnan(s->min.weighted);
    if (!c->scorers && s->by != SV_BY_RANDOM) missing = "score";
    for (int t = 0; t < SV_TERMS && !missing; t++) {
        bool ranks = sv_by_term(s->by) == (sv_term)t, limits = !isnan(s->min.of[t]);
        /* A weight of clip or ssim says nothing where there is no such score: these two have one by default. */
        bool counts = weighs && t > SV_TERM_SSIM && c->run->recipe->score.weights.of[t] != 0;
        if (c->at[t] >= 0 || (!ranks && !limits && !counts)) continue;
        missing = t == SV_TERM_CLIP ? "CLIPScore" : t == SV_TERM_SSIM ? "SSIMScore" : sv_term_names[t];
        if (!ranks) snprintf(key, sizeof key, "%s.%s", limits ? "select.min" : "score.weights", sv_term_names[t]);
    }
    if (!missing) return SV_OK;
    sv_fail(err, SV_E_INPUT, c->run->dir, "%s needs %s, and the images have none", key, missing);
    return sv_hint(err, SV_E_INPUT, "synthvlm score %s", c->run->dir);
}

static bool add_hash(contest *c, yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, int64_t setup) {
    char hash[SV_SHA256_HEX];
    return sv_ledger_setup_hash(c->run->ledger, setup, hash, NULL) == SV_OK && yyjson_mut_obj_add_strcpy(doc, o, key, hash);
}

static bool add_real(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, double v) {
    return isnan(v) ? yyjson_mut_obj_add_null(doc, o, key) : yyjson_mut_obj_add_real(doc, o, key, v);
}

static bool add_list(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, const sv_list *list) {
    char hash[SV_SHA256_HEX];
    return !list->count || (sv_list_hash(list, hash, NULL) == SV_OK && yyjson_mut_obj_add_strcpy(doc, o, key, hash));
}

/* The steps after the ranking, those that there are: a selection without them is named as ever. */
static bool add_steps(const contest *c, yyjson_mut_doc *doc, yyjson_mut_val *o) {
    const sv_select_settings *s = c->settings;
    if (c->dropped_count && !yyjson_mut_obj_add_strcpy(doc, o, "rounds", c->rounds)) return false;
    bool ok = add_list(doc, o, "include", &c->include) && add_list(doc, o, "exclude", &c->exclude);
    if (ok && s->dedup.hash != SV_DEDUP_NONE) {
        yyjson_mut_val *dedup = yyjson_mut_obj_add_obj(doc, o, "dedup");
        ok = dedup && yyjson_mut_obj_add_str(doc, dedup, "hash", s->dedup.hash == SV_DEDUP_PHASH ? "phash" : "dhash") &&
             yyjson_mut_obj_add_sint(doc, dedup, "distance", s->dedup.distance);
    }
    if (ok && s->quotas) {
        yyjson_doc *quotas = yyjson_read(s->quotas, strlen(s->quotas), 0);
        yyjson_mut_val *copy = yyjson_val_mut_copy(doc, yyjson_doc_get_root(quotas));
        ok = copy && yyjson_mut_obj_add_val(doc, o, "quotas", copy);
        yyjson_doc_free(quotas);
    }
    return ok && sv_opinions_describe(&c->opinions, doc, o);
}

/* Everything that the picks depend on, by name and hash, as canonical JSON. */
static sv_status settings_json(contest *c, char **out, sv_error *err) {
    const sv_select_settings *s = c->settings;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = yyjson_mut_obj(doc), *min = yyjson_mut_obj(doc), *weights = yyjson_mut_obj(doc), *setups = yyjson_mut_obj(doc);
    bool ok = yyjson_mut_obj_add_str(doc, o, "by", sv_by_name(s->by)) && yyjson_mut_obj_add_sint(doc, o, "per_caption", s->per_caption) &&
              add_real(doc, o, "keep", s->keep) &&
              (s->count == INT64_MIN ? yyjson_mut_obj_add_null(doc, o, "count") : yyjson_mut_obj_add_sint(doc, o, "count", s->count)) &&
              add_real(doc, min, "weighted", s->min.weighted) && yyjson_mut_obj_add_val(doc, o, "min", min) &&
              yyjson_mut_obj_add_val(doc, o, "weights", weights) &&
              add_hash(c, doc, setups, "curate", c->s.scope.curate) && add_hash(c, doc, setups, "sample", c->s.scope.sample) &&
              add_hash(c, doc, setups, "generate", c->s.generate) && yyjson_mut_obj_add_val(doc, o, "setups", setups);
    for (int term = 0; ok && term < SV_TERMS; term++) {
        if (c->at[term] >= 0 || term <= SV_TERM_SSIM)
            ok = add_real(doc, min, sv_term_names[term], s->min.of[term]) && add_real(doc, weights, sv_term_names[term], c->weight[term]);
        if (ok && c->at[term] >= 0) ok = add_hash(c, doc, setups, sv_term_names[term], c->setups[c->at[term]]);
    }
    if (ok && s->by == SV_BY_RANDOM) ok = yyjson_mut_obj_add_sint(doc, o, "seed", c->run->recipe->seed);
    if (ok) ok = add_steps(c, doc, o);
    yyjson_mut_doc_set_root(doc, o);
    yyjson_doc *fixed = ok ? yyjson_mut_doc_imut_copy(doc, NULL) : NULL;
    *out = fixed ? sv_json_canonical(yyjson_doc_get_root(fixed)) : NULL;
    yyjson_doc_free(fixed);
    yyjson_mut_doc_free(doc);
    return *out ? SV_OK : sv_fail_memory(err, "select", 0);
}

/* ---- the walk ---- */

/* Where ties are broken, the winner of a tie takes the place of the best score; captions stand as their best score has them. */
static sv_status break_tie(contest *c, sv_error *err) {
    size_t best;
    SV_TRY(sv_opinions_best(&c->opinions, c->group, c->group_size, &best, err));
    if (c->group_size) c->group[0].who = c->group[best].who;
    if (c->group_size > c->group_room) c->group_size = c->group_room;
    return SV_OK;
}

static sv_status end_group(contest *c, sv_error *err) {
    if (sv_opinions_break_ties(&c->opinions)) SV_TRY(break_tie(c, err));
    for (size_t i = 0; i < c->group_size && i < c->group_room; i++)
        if (!sv_rivals_add(&c->rivals, c->group[i])) return sv_fail_memory(err, "select", c->rivals.capacity * 2 * sizeof *c->group);
    c->group_size = 0;
    return SV_OK;
}

/* How many of a caption are kept in order: those that may win, or all that may tie. */
static size_t group_size(const contest *c) {
    size_t n = (size_t)c->settings->per_caption;
    return sv_opinions_break_ties(&c->opinions) && n < MOST_TIED ? MOST_TIED : n;
}

/* Into the caption's best, in order; an equal key comes behind those with a lower k, which were there before. */
static void add_to_group(contest *c, sv_rival one) {
    size_t room = group_size(c), i = c->group_size;
    if (i == room && one.key <= c->group[i - 1].key) return;
    if (i < room) c->group_size++;
    else i--;
    for (; i > 0 && one.key > c->group[i - 1].key; i--) c->group[i] = c->group[i - 1];
    c->group[i] = one;
}

static bool passes(const contest *c, const double terms[TERMS]) {
    const sv_min_settings *m = &c->settings->min;
    /* A limit that is not set is NaN, and nothing is less than NaN. */
    bool pass = !(terms[WEIGHTED] < m->weighted);
    for (int t = 0; t < SV_TERMS; t++) pass = pass && !(terms[t] < m->of[t]);
    return pass;
}

static void terms_of(const contest *c, const double *values, double terms[TERMS]) {
    double part[2] = {0}, others = 0;   /* added in the order in which the view `explained` does it */
    for (int t = 0; t < SV_TERMS; t++) {
        terms[t] = c->at[t] < 0 ? NAN : values[c->at[t]];
        if (c->at[t] < 0) continue;
        if (t <= SV_TERM_SSIM)
            part[t] = c->weight[t] * terms[t];
        else if (c->weight[t] > 0)
            others += c->weight[t] * terms[t];
    }
    terms[WEIGHTED] = part[SV_TERM_CLIP] + part[SV_TERM_SSIM] + others;
}

/* Whether the list names the candidate. The walk and the list are both in order. */
static bool is_listed(const sv_list *list, size_t *next, uint64_t who) {
    while (*next < list->count && list->items[*next].who < who) ++*next;
    return *next < list->count && list->items[*next].who == who;
}

/* Captions come in order of their number. */
static bool was_dropped(contest *c, int64_t number) {
    while (c->next_dropped < c->dropped_count && c->dropped[c->next_dropped] < number) c->next_dropped++;
    return c->next_dropped < c->dropped_count && c->dropped[c->next_dropped] == number;
}

static sv_status meet(void *user, int64_t number, int k, const double *values, sv_error *err) {
    contest *c = user;
    double terms[TERMS];
    if (k > 0xFFFF) return sv_fail(err, SV_E_INTERNAL, "select", "candidate %lld-%d: k is too large", (long long)number, k);
    uint64_t who = sv_rival_who(number, k);
    bool wanted = is_listed(&c->include, &c->next_include, who);
    c->s.candidates++;
    SV_TRY(sv_opinions_meet(&c->opinions, number, k, err));
    if (is_listed(&c->exclude, &c->next_exclude, who)) {
        c->excluded++;
        return sv_drops_add(&c->drops, (sv_drop){who, SV_DROP_MANUAL}) ? SV_OK : sv_fail_memory(err, "select", 0);
    }
    if (!wanted && was_dropped(c, number)) {
        c->given_up++;
        return SV_OK;
    }
    for (size_t i = 0; i < c->scorers; i++) {
        if (isfinite(values[i])) continue;
        c->not_finite++;
        return wanted ? sv_list_missed(&c->include, &c->include.items[c->next_include], "has a score that is not finite", NULL, err) : SV_OK;
    }
    terms_of(c, values, terms);
    if (!wanted && !passes(c, terms)) return SV_OK;
    if (number != c->group_number) {
        SV_TRY(end_group(c, err));
        c->group_number = number;
        c->group_room = (size_t)c->settings->per_caption;
        c->s.captions++;
        if (c->settings->by == SV_BY_RANDOM) SV_TRY(sv_ledger_caption_id(c->run->ledger, number, &c->id, &c->id_capacity, err));
    }
    c->s.eligible++;
    SV_TRY(sv_opinions_eligible(&c->opinions, number, k, err));
    for (int i = 0; i < TERMS; i++) c->before[i] += terms[i];
    uint64_t key = c->settings->by == SV_BY_RANDOM ? ~sv_lot(c->run->recipe->seed, c->id, k) : sv_key_of_score(terms[sv_by_term(c->settings->by)]);
    bool veto = false;
    if (!wanted) SV_TRY(sv_opinions_veto(&c->opinions, number, k, &veto, err));
    if (veto) {
        c->vetoed++;
        return sv_drops_add(&c->drops, (sv_drop){who, SV_DROP_VETOED}) ? SV_OK : sv_fail_memory(err, "select", 0);
    }
    if (!wanted) {
        add_to_group(c, (sv_rival){key, who});
        return SV_OK;
    }
    c->included++;
    c->included_up_to += c->included_up_to == c->next_include;
    c->group_room -= c->group_room > 0;
    return sv_rivals_add(&c->rivals, (sv_rival){key, who}) ? SV_OK : sv_fail_memory(err, "select", 0);
}

/* ---- the result ---- */

static sv_status pick_at(void *user, size_t rank, sv_pick_row *out, sv_error *err) {
    const contest *c = user;
    const sv_rival *r = &c->picks.items[rank];
    /* The lot as a number in 0..1, the largest first, as scores are. */
    double score = c->settings->by == SV_BY_RANDOM ? (double)(r->key >> 11) * 0x1p-53 : sv_score_of_key(r->key);
    *out = (sv_pick_row){sv_rival_number(r), sv_rival_k(r), score, sv_list_find(&c->include, r->who) != NULL};
    return SV_OK;
}

static sv_status drop_at(void *user, size_t i, sv_drop_row *out, sv_error *err) {
    static const char *const reasons[] = {[SV_DROP_MANUAL] = "manual", [SV_DROP_FULL] = "quota_full", [SV_DROP_RESERVED] = "quota_reserved",
                                         [SV_DROP_VETOED] = "judge_image"};
    const contest *c = user;
    const sv_drop *d = &c->drops.items[i];
    sv_rival who = {0, d->who}, of = {0, d->of};
    bool repeats = d->of > SV_DROP_VETOED;
    *out = (sv_drop_row){sv_rival_number(&who), sv_rival_k(&who), repeats ? "near_duplicate" : reasons[d->of], repeats ? sv_rival_number(&of) : 0,
                         repeats ? sv_rival_k(&of) : 0};
    return SV_OK;
}

static int drop_by_who(const void *a, const void *b) {
    uint64_t x = ((const sv_drop *)a)->who, y = ((const sv_drop *)b)->who;
    return (x > y) - (x < y);
}

static int by_who(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Means of the picks. Their scores are looked up in the order of the table, which keeps its pages at hand. */
static sv_status mean_of_picks(contest *c, sv_error *err) {
    size_t n = (size_t)c->s.picked;
    uint64_t *who = malloc((n ? n : 1) * sizeof *who);
    if (!who) return sv_fail_memory(err, "select", n * sizeof *who);
    for (size_t i = 0; i < n; i++) who[i] = c->picks.items[i].who;
    qsort(who, n, sizeof *who, by_who);
    sv_status st = SV_OK;
    for (size_t i = 0; st == SV_OK && i < n; i++) {
        sv_rival r = {0, who[i]};
        double values[SV_TERMS], terms[TERMS];
        st = sv_ledger_scores_of(c->run->ledger, c->s.generate, c->setups, c->scorers, sv_rival_number(&r), sv_rival_k(&r), values, err);
        if (st != SV_OK) break;
        terms_of(c, values, terms);
        for (int t = 0; t < TERMS; t++) c->after[t] += terms[t];
    }
    for (int t = 0; t < TERMS; t++) {
        c->before[t] = c->s.eligible ? c->before[t] / (double)c->s.eligible : NAN;
        c->after[t] = n ? c->after[t] / (double)n : NAN;
    }
    free(who);
    return st;
}

static void put_big_endian(uint8_t out[8], uint64_t v) {
    for (int i = 0; i < 8; i++) out[i] = (uint8_t)(v >> (56 - 8 * i));
}

static sv_status hash_result(contest *c, sv_error *err) {
    sv_sha256_stream *h = sv_sha256_begin();
    if (!h) return sv_fail_memory(err, "select", 0);
    const uint64_t counts[] = {(uint64_t)c->s.candidates, (uint64_t)c->s.eligible, (uint64_t)c->s.captions, (uint64_t)c->s.picked};
    uint8_t bytes[16], raw[32];
    sv_sha256_more(h, c->s.settings, strlen(c->s.settings));
    for (int i = 0; i < 4; i++) {
        put_big_endian(bytes, counts[i]);
        sv_sha256_more(h, bytes, 8);
    }
    for (int64_t i = 0; i < c->s.picked; i++) {
        put_big_endian(bytes, c->picks.items[i].key);
        put_big_endian(bytes + 8, c->picks.items[i].who);
        sv_sha256_more(h, bytes, 16);
    }
    if (c->told) sv_sha256_more(h, c->told, strlen(c->told));
    sv_sha256_end(h, raw);
    sv_hex(raw, 32, c->s.hash);
    return SV_OK;
}

/* How many pairs are asked for: at least those that are wanted by hand. */
static int64_t asked(const contest *c) {
    const sv_select_settings *s = c->settings;
    int64_t n = s->count != INT64_MIN ? s->count : (int64_t)c->rivals.count;
    if (!isnan(s->keep)) n = (int64_t)(s->keep * (double)c->s.captions);
    return n > c->included ? n : c->included;
}

/* What the steps did, as JSON; nothing if there were none. */
static sv_status tell_steps(contest *c, sv_error *err) {
    const sv_select_settings *s = c->settings;
    if (s->dedup.hash == SV_DEDUP_NONE && !c->quotas && !c->include.count && !c->exclude.count && !c->vetoed) return SV_OK;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = doc ? yyjson_mut_obj(doc) : NULL;
    bool ok = o;
    if (ok) yyjson_mut_doc_set_root(doc, o);
    if (ok && c->include.count) ok = yyjson_mut_obj_add_sint(doc, o, "included", c->included);
    if (ok && c->exclude.count) ok = yyjson_mut_obj_add_sint(doc, o, "excluded", c->excluded);
    if (ok && c->vetoed) ok = yyjson_mut_obj_add_sint(doc, o, "judge_image", c->vetoed);
    if (ok && s->dedup.hash != SV_DEDUP_NONE) ok = yyjson_mut_obj_add_sint(doc, o, "near_duplicates", c->steps.near_duplicates);
    if (ok && c->quotas) {
        yyjson_mut_val *list = yyjson_mut_arr(doc);
        ok = yyjson_mut_obj_add_sint(doc, o, "quota_full", c->steps.full) && yyjson_mut_obj_add_sint(doc, o, "quota_reserved", c->steps.reserved) &&
             yyjson_mut_obj_add_val(doc, o, "quotas", list) && sv_quotas_describe(c->quotas, doc, list);
    }
    c->told = ok ? yyjson_mut_write(doc, 0, NULL) : NULL;
    yyjson_mut_doc_free(doc);
    return c->told ? SV_OK : sv_fail_memory(err, "select", 0);
}

/* From the competitors to the picks. */
static sv_status pick(contest *c, sv_error *err) {
    const sv_select_settings *s = c->settings;
    size_t want = (size_t)c->s.asked;
    c->steps = (sv_steps){.ledger = c->run->ledger, .generate = c->s.generate, .dedup = &s->dedup, .quotas = c->quotas, .include = &c->include};
    if (s->dedup.hash == SV_DEDUP_NONE && !c->quotas && !c->include.count) {
        if (want > c->rivals.count) want = c->rivals.count;
        SV_TRY(sv_rivals_top(&c->rivals, want, c->run->ledger, err));
        c->picks = c->rivals;
        c->picks.count = want;
        c->rivals = (sv_rivals){0};
    } else
        SV_TRY(sv_steps_run(&c->steps, &c->rivals, want, &c->picks, &c->drops, err));
    c->s.picked = (int64_t)c->picks.count;
    if (c->drops.count) qsort(c->drops.items, c->drops.count, sizeof *c->drops.items, drop_by_who);
    c->s.cutoff = NAN;
    for (int64_t i = c->s.picked; i > 0 && isnan(c->s.cutoff); i--) {
        sv_pick_row last = {0};
        SV_TRY(pick_at(c, (size_t)i - 1, &last, err));
        if (!last.manual) c->s.cutoff = last.score;
    }
    return tell_steps(c, err);
}

/* What the judges that do not rank say of the picks, or are to say. */
static sv_status hear_opinions(contest *c, sv_error *err) {
    for (size_t i = 0; i < c->picks.count; i++)
        SV_TRY(sv_opinions_picked(&c->opinions, sv_rival_number(&c->picks.items[i]), sv_rival_k(&c->picks.items[i]), err));
    return SV_OK;
}

static sv_status store(contest *c, sv_select_report *report, sv_error *err) {
    sv_mean means[TERMS + SV_OPINIONS];
    size_t n = 0;
    for (int t = 0; t < TERMS; t++) {
        if ((t < WEIGHTED && c->at[t] < 0) || !c->scorers) continue;   /* SV_MAX_MEANS has room for all */
        sv_mean m = {.before = c->before[t], .after = c->after[t]};
        snprintf(m.name, sizeof m.name, "%s", term_name(t));
        means[n++] = m;
    }
    sv_opinions_means(&c->opinions, means, &n);
    for (size_t i = 0; i < n; i++) {
        snprintf(report->means[i].name, sizeof report->means[i].name, "%s", means[i].name);
        report->means[i].before = means[i].before;
        report->means[i].after = means[i].after;
    }
    report->mean_count = n;
    bool is_new;
    const sv_selection_rows rows = {.pick = pick_at, .drop = drop_at, .drops = c->drops.count, .user = c};
    SV_TRY(sv_ledger_add_selection(c->run->ledger, &c->s, c->setups, c->scorers, means, n, &rows, &is_new, err));
    report->idle = !is_new;
    snprintf(report->by, sizeof report->by, "%s", c->s.by);
    report->candidates = c->s.candidates;
    report->eligible = c->s.eligible;
    report->captions = c->s.captions;
    report->picked = c->s.picked;
    report->cutoff = c->s.cutoff;
    if (is_new)
        sv_rundir_event(c->run, "select", (sv_field[]){SV_TEXT("selection", c->s.hash), SV_TEXT("by", c->s.by), SV_INT("eligible", c->s.eligible),
                        SV_INT("captions", c->s.captions), SV_INT("picked", c->s.picked), SV_REAL("cutoff", c->s.cutoff)}, 6);
    return SV_OK;
}

/* "clip 0.28, ssim 0.5": the limits that are set. */
static void tell_limits(const contest *c, sv_buf *b) {
    const sv_min_settings *m = &c->settings->min;
    const char *sep = "";
    for (int t = 0; t < TERMS; t++) {
        double limit = t == WEIGHTED ? m->weighted : m->of[t];
        if (isnan(limit)) continue;
        sv_buf_printf(b, "%s%s %g", sep, term_name(t), limit);
        sep = ", ";
    }
}

/* Candidates that were not eligible for another reason than a limit. */
static void tell_losses(const contest *c, sv_buf *b) {
    if (c->excluded) sv_buf_printf(b, "; %lld excluded by hand", (long long)c->excluded);
    if (c->given_up) sv_buf_printf(b, "; %lld from dropped captions", (long long)c->given_up);
    if (c->not_finite) sv_buf_printf(b, "; %lld with a score that is not finite", (long long)c->not_finite);
}

/* Candidates below select.min. */
static int64_t below_limits(const contest *c) { return c->s.candidates - c->s.eligible - c->excluded - c->given_up - c->not_finite; }

/* What `count` could not have, and what would help. */
static sv_status fell_short(const contest *c, int64_t unscored, sv_error *err) {
    const sv_select_settings *s = c->settings;
    int64_t below = below_limits(c), over = c->steps.full + c->steps.reserved, repeats = c->steps.near_duplicates;
    sv_buf why = {0}, help = {0};
    sv_buf_printf(&why, "%lld pairs were asked for, %lld could be picked: %lld of %lld scored candidates are eligible, of %lld captions, and at most %lld"
                  " of each caption count", (long long)s->count, (long long)c->s.picked, (long long)c->s.eligible, (long long)c->s.candidates,
                  (long long)c->s.captions, (long long)s->per_caption);
    if (repeats) sv_buf_printf(&why, "; %lld repeat a better one", (long long)repeats);
    if (over) sv_buf_printf(&why, "; %lld are over a quota", (long long)over);
    tell_losses(c, &why);
    if (c->vetoed) sv_buf_printf(&why, "; score.judge_image does not say yes to %lld", (long long)c->vetoed);
    if (unscored) sv_buf_printf(&help, "%lld images have no score yet: synthvlm score %s; or ", (long long)unscored, c->run->dir);
    sv_buf limits = {0};
    tell_limits(c, &limits);
    if (limits.size && below > 0) sv_buf_printf(&help, "%lld candidates are below select.min (%s): lower it; or ", (long long)below, limits.data);
    sv_buf_free(&limits);
    if (repeats) sv_buf_puts(&help, "lower select.dedup.distance; or ");
    if (over) sv_buf_puts(&help, "widen select.quotas; or ");
    if (c->vetoed) sv_buf_puts(&help, "lower score.judge_image.min; or ");
    if (c->s.eligible > c->s.picked + repeats + over + c->vetoed) sv_buf_puts(&help, "raise select.per_caption; or ");
    sv_buf_puts(&help, "draw more captions (captions.sample, or more sources) or more images of each (generate.candidates)");
    sv_status st = why.failed || help.failed ? sv_fail_memory(err, "select.count", 0) : sv_fail(err, SV_SHORT, "select.count", "%s", why.data);
    if (st == SV_SHORT) sv_hint(err, st, "%s", help.data);
    sv_buf_free(&why);
    sv_buf_free(&help);
    return st;
}

/* Each candidate that is wanted by hand was met, and all of them fit. */
static sv_status check_included(const contest *c, sv_error *err) {
    const sv_select_settings *s = c->settings;
    if (isnan(s->keep) && s->count != INT64_MIN && c->included > s->count)
        return sv_fail(err, SV_E_INPUT, "select.include", "names %lld candidates, and select.count is %lld", (long long)c->included, (long long)s->count);
    if (c->included == (int64_t)c->include.count) return SV_OK;
    return sv_list_missed(&c->include, &c->include.items[c->included_up_to], "is not in the sample, or has not been scored", "synthvlm show DIR ID says which", err);
}

/* Where the number of candidates follows the scores: captions of which nothing is to be selected. */
static sv_status find_dropped(contest *c, sv_error *err) {
    sv_setup rounds;
    SV_TRY(sv_ledger_current(c->run->ledger, SV_STAGE_ROUNDS, "", &rounds, err));
    if (!rounds.id) return SV_OK;
    snprintf(c->rounds, sizeof c->rounds, "%s", rounds.hash);
    return sv_ledger_dropped(c->run->ledger, rounds.id, &c->dropped, &c->dropped_count, err);
}

static sv_status add_failure(void *user, const char *name, int64_t count, sv_error *err) {
    (void)err;
    sv_buf *why = user;
    sv_buf_printf(why, "%s %lld by %s", why->data && strchr(why->data, ':') ? "," : ":", (long long)count, name);
    return SV_OK;
}

/* No candidate at all: not drawn yet, not scored yet, or every one of them failed, which drawing again would not change. */
static sv_status nothing_there(const sv_rundir *run, int64_t unscored, sv_error *err) {
    sv_funnel f;
    SV_TRY(sv_ledger_funnel(run->ledger, &f, err));
    if (unscored || f.drawn > 0 || f.failed <= 0) {
        sv_fail(err, SV_E_INPUT, run->dir, unscored ? "none of the images has been scored yet" : "there are no images to select from");
        return sv_hint(err, SV_E_INPUT, "synthvlm %s %s", unscored ? "score" : "generate", run->dir);
    }
    sv_buf why = {0};
    sv_buf_printf(&why, "there are no images to select from, because all %lld candidates failed", (long long)f.failed);
    sv_status st = sv_ledger_tally(run->ledger, SV_TALLY_FAILURES, add_failure, &why, err);
    if (st == SV_OK) st = why.failed ? sv_fail_memory(err, run->dir, 0) : sv_fail(err, SV_E_INPUT, run->dir, "%s", why.data);
    if (st == SV_E_INPUT) sv_hint(err, st, "synthvlm show %s ID says what happened to each; it takes another model, or other settings of generate or of score.gates",
                                   run->dir);
    sv_buf_free(&why);
    return st;
}

/* Meets every candidate, brings the picks to the front, and says all that is to be stored about them. *settings is malloc. */
static sv_status decide(contest *c, char **settings, int64_t *unscored, sv_error *err) {
    sv_rundir *run = c->run;
    SV_TRY(find_scorers(c, err));
    SV_TRY(check_scorers(c, err));
    SV_TRY(find_dropped(c, err));
    SV_TRY(sv_opinions_open(&c->opinions, run, c->s.generate, c->asks, err));
    SV_TRY(sv_list_check(&c->exclude, &c->include, false, run->ledger, c->s.generate, err));
    SV_TRY(sv_list_check(&c->include, &c->exclude, true, run->ledger, c->s.generate, err));
    SV_TRY(sv_quotas_open(&c->quotas, c->settings->quotas, run->ledger, err));
    SV_TRY(sv_ledger_each_scored(run->ledger, c->s.scope, c->s.generate, c->setups, c->scorers, meet, c, unscored, err));
    SV_TRY(end_group(c, err));
    if (!c->s.candidates) return nothing_there(run, *unscored, err);
    SV_TRY(check_included(c, err));
    c->s.asked = asked(c);
    SV_TRY(pick(c, err));
    SV_TRY(hear_opinions(c, err));
    c->s.steps = c->told;
    SV_TRY(settings_json(c, settings, err));
    c->s.settings = *settings;
    SV_TRY(hash_result(c, err));
    return mean_of_picks(c, err);
}

/* The hashes that near-duplicates are found by: the only thing here that may need the pictures, and only the first time. */
static sv_status hash_pictures(contest *c, sv_error *err) {
    sv_setup generate;
    int64_t added;
    if (c->settings->dedup.hash == SV_DEDUP_NONE) return SV_OK;
    SV_TRY(sv_ledger_scope(c->run->ledger, &c->s.scope, err));
    SV_TRY(sv_ledger_current(c->run->ledger, SV_STAGE_GENERATE, "", &generate, err));
    return generate.id ? sv_hashes_ensure(c->run, c->s.scope, generate.id, &added, err) : SV_OK;
}

/* What is needed before the ledger is looked at. */
static sv_status prepare(contest *c, sv_error *err) {
    SV_TRY(sv_list_read(&c->include, "select.include", c->settings->include, err));
    SV_TRY(sv_list_read(&c->exclude, "select.exclude", c->settings->exclude, err));
    return hash_pictures(c, err);
}

static sv_status hold(contest *c, sv_select_report *report, sv_error *err) {
    sv_rundir *run = c->run;
    char *settings = NULL;
    int64_t unscored = 0;
    SV_TRY(prepare(c, err));
    SV_TRY(sv_ledger_begin_read(run->ledger, err));
    sv_status st = decide(c, &settings, &unscored, err);
    sv_ledger_rollback(run->ledger);
    if (st == SV_OK) st = store(c, report, err);
    free(settings);
    SV_TRY(st);
    if (unscored) sv_say(&run->o.log, SV_LOG_WARN, "%lld images have no score yet and were left out; synthvlm score %s", (long long)unscored, run->dir);
    if (c->opinions.unasked)
        sv_say(&run->o.log, SV_LOG_INFO, "score.judge_image has not been asked about %lld of the picks; synthvlm run %s asks", (long long)c->opinions.unasked, run->dir);
    if (!c->s.eligible) {
        sv_buf why = {0};
        tell_losses(c, &why);
        if (below_limits(c)) sv_buf_printf(&why, "; %lld below select.min", (long long)below_limits(c));
        sv_say(&run->o.log, SV_LOG_WARN, "nothing was picked: of %lld candidates none is eligible%s", (long long)c->s.candidates, why.data ? why.data : "");
        sv_buf_free(&why);
    } else if (!c->s.asked)
        sv_say(&run->o.log, SV_LOG_WARN, "nothing was picked: of %lld captions the share asked for is less than one", (long long)c->s.captions);
    else if (!c->s.picked)
        sv_say(&run->o.log, SV_LOG_WARN, c->vetoed ? "nothing was picked: score.judge_image says yes to none of %lld candidates"
                                                   : "nothing was picked: select.quotas leave no place to any of %lld candidates", (long long)c->s.eligible);
    return c->settings->count != INT64_MIN && isnan(c->settings->keep) && c->s.picked < c->s.asked ? fell_short(c, unscored, err) : SV_OK;
}

static sv_status begin_contest(contest *c, sv_rundir *run, sv_error *err) {
    const sv_select_settings *s = &run->recipe->select;
    *c = (contest){.run = run, .settings = s};
    c->s = (sv_selection){.by = sv_by_name(s->by), .min_clip = s->min.clip, .min_ssim = s->min.ssim, .min_weighted = s->min.weighted,
                          .per_caption = (int)s->per_caption, .cutoff = NAN};
    size_t room = s->per_caption > MOST_TIED ? (size_t)s->per_caption : MOST_TIED;
    c->group = calloc(room, sizeof *c->group);
    return c->group ? SV_OK : sv_fail_memory(err, "select", 0);
}

static void end_contest(contest *c) {
    free(c->dropped);
    sv_rivals_free(&c->rivals);
    sv_rivals_free(&c->picks);
    sv_list_free(&c->include);
    sv_list_free(&c->exclude);
    sv_quotas_close(&c->quotas);
    sv_opinions_close(&c->opinions);
    free(c->drops.items);
    free(c->told);
    free(c->group);
    free(c->id);
}

sv_status sv_select(sv_rundir *run, sv_select_report *report, sv_error *err) {
    sv_select_report own;
    contest c;
    if (!report) report = &own;
    *report = (sv_select_report){.cutoff = NAN};
    sv_status st = begin_contest(&c, run, err);
    if (st == SV_OK) st = hold(&c, report, err);
    end_contest(&c);
    return st;
}

sv_status sv_select_plan(sv_rundir *run, sv_asks *asks, sv_scope *scope, int64_t *generate, sv_error *err) {
    contest c;
    char *settings = NULL;
    int64_t unscored;
    sv_status st = begin_contest(&c, run, err);
    c.asks = asks;
    if (st == SV_OK) st = prepare(&c, err);
    if (st == SV_OK) st = sv_ledger_begin_read(run->ledger, err);
    if (st == SV_OK) st = decide(&c, &settings, &unscored, err);
    sv_ledger_rollback(run->ledger);
    *scope = c.s.scope;
    *generate = c.s.generate;
    free(settings);
    end_contest(&c);
    return st;
}

sv_status sv_stage_select(const char *dir, const sv_recipe *r, const sv_stage_options *o, sv_select_report *report, sv_error *err) {
    sv_rundir *run = NULL;
    sv_image_judge judge = {0};
    SV_TRY(sv_recipe_needs_pictures(r, err));
    SV_TRY(sv_lists_check(r, err));
    sv_status st = sv_rundir_open(&run, dir, r, o, err);
    if (st == SV_OK) st = sv_image_judge_open(run, &judge, err);   /* its answers so far count; nothing is asked */
    sv_image_judge_close(&judge);
    if (st == SV_OK) st = sv_select(run, report, err);
    sv_error later;
    if (st == SV_OK || st == SV_SHORT) {
        sv_status counted = sv_ledger_count_shares(run->ledger, SV_SHARE_PICKED, false, &later);
        if (counted != SV_OK && err) *err = later;
        if (counted != SV_OK) st = counted;
    }
    sv_rundir_close(&run);
    return st;
}
