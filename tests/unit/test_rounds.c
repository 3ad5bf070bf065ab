/* Rounds and pruning: what the recipe's numbers come to, where pictures are compared, what the ledger hands to a decision, what is drawn after it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "stages/draw/draw.h"
#include "stages/draw/rounds.h"
#include "stages/draw/tune.h"

static sv_error err;

#define OK(expr)                                                       \
    do {                                                               \
        sv_status ok_ = (expr);                                        \
        char ok_text_[2048];                                           \
        if (ok_ != SV_OK) fail_msg("%s: %s", #expr, sv_error_text(&err, ok_text_, sizeof ok_text_)); \
    } while (0)

static void checks_of_a_recipe(void **state) {
    double at[SV_MOST_CHECKS];
    assert_int_equal(sv_recipe_checks(&(sv_prune_settings){.at = NULL}, at), 0);
    assert_int_equal(sv_recipe_checks(&(sv_prune_settings){.at = "0.4"}, at), 1);
    assert_true(at[0] == 0.4);
    assert_int_equal(sv_recipe_checks(&(sv_prune_settings){.at = "[0.25, 0.5]"}, at), 2);
    assert_true(at[1] == 0.5);
    static const char *const bad[] = {"0", "1", "-1", "\"half\"", "[]", "[0.5, 0.5]", "[0.6, 0.5]", "{}", "[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9]", "[null]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(sv_recipe_checks(&(sv_prune_settings){.at = (char *)bad[i]}, at), -1);
}

static void checks_in_calls(void **state) {
    size_t out[SV_MOST_CHECKS];
    assert_int_equal(sv_draw_checks((double[]){0.3, 0.6}, 2, 20, out), 2);
    assert_int_equal(out[0], 6);
    assert_int_equal(out[1], 12);
    assert_int_equal(sv_draw_checks((double[]){0.3, 0.4, 0.9}, 3, 4, out), 2);      /* 1 and 2; 0.9 is the last call: nothing is left to save */
    assert_int_equal(out[0], 1);
    assert_int_equal(out[1], 2);
    assert_int_equal(sv_draw_checks((double[]){0.5}, 1, 1, out), 0);                /* a picture of one call cannot be given up half-drawn */
    assert_int_equal(sv_draw_checks((double[]){0.01}, 1, 20, out), 0);
}

static void limits(void **state) {
    assert_int_equal(sv_draw_limit(4, 2, 0), 4);
    assert_int_equal(sv_draw_limit(4, 2, 1), 5);
    assert_int_equal(sv_draw_limit(4, 2, 7), 6);
}

static void what_is_left(void **state) {
    sv_recipe r = {.generate.candidates = {.max = 8, .min = INT64_MIN, .step = 1, .stop_at = 0.5, .budget = NAN, .drop_below = NAN, .drop_after = INT64_MIN}};
    assert_true(sv_recipe_adaptive(&r));
    sv_round now = {.round = 1, .want = 1, .captions = 10, .given = 10};
    assert_int_equal(sv_rounds_left(&r, 10, &now), 30);        /* half of max each is 40 */
    now = (sv_round){.round = 4, .want = 4, .captions = 2, .given = 25};
    assert_int_equal(sv_rounds_left(&r, 10, &now), 8);         /* two captions, four more each */
    now = (sv_round){.round = 5, .want = 4, .captions = 0, .given = 40};
    assert_int_equal(sv_rounds_left(&r, 10, &now), 0);
    r.generate.candidates.budget = 2.55;
    now = (sv_round){.round = 2, .want = 2, .captions = 10, .given = 20};
    assert_int_equal(sv_rounds_left(&r, 10, &now), 5);
    r.generate.candidates.stop_at = NAN;
    assert_false(sv_recipe_adaptive(&r));
}

static void the_usual_way_must_be_beaten(void **state) {
    sv_trial t[] = {{.plan.batch = 4, .rate = 10}, {.plan.batch = 2, .rate = 10.4}, {.plan.batch = 1, .rate = 9}};
    assert_int_equal(sv_trial_best(t, 3), 0);
    t[2].rate = 11;
    assert_int_equal(sv_trial_best(t, 3), 2);
    t[0].rate = 0;                                             /* no memory for it */
    assert_int_equal(sv_trial_best(t, 3), 2);
}

/* ---- the ledger's side ---- */

typedef struct world {
    char dir[64], path[128];
    sv_ledger *l;
    sv_scope scope;
    int64_t generate, clip, rounds;
} world;

static int64_t make_setup(sv_ledger *l, sv_stage stage, const char *name, const char *json) {
    sv_setup s;
    OK(sv_ledger_setup(l, stage, name, json, &s, &err));
    return s.id;
}

static void make_world(world *w, int captions) {
    strcpy(w->dir, "/tmp/sv-rounds-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof w->path, "%s/ledger.sqlite", w->dir);
    OK(sv_ledger_open(&w->l, w->path, SV_LEDGER_WRITE, &err));
    w->scope.curate = make_setup(w->l, SV_STAGE_CURATE, "", "{}");
    w->scope.sample = make_setup(w->l, SV_STAGE_SAMPLE, "", "{}");
    w->generate = make_setup(w->l, SV_STAGE_GENERATE, "", "{}");
    w->clip = make_setup(w->l, SV_STAGE_SCORE, "clip", "{}");
    w->rounds = make_setup(w->l, SV_STAGE_ROUNDS, "", "{}");
    OK(sv_ledger_begin(w->l, &err));
    sv_source source = {.size = 1};
    sv_sha256_hex("x", 1, source.sha256);
    OK(sv_ledger_add_source(w->l, &source, "c.jsonl", "{}", &err));
    for (int i = 1; i <= captions; i++) {
        char id[16];
        int64_t number;
        sv_added what;
        snprintf(id, sizeof id, "c%d", i);
        sv_caption_row row = {.id = id, .id_size = strlen(id), .text = "a caption", .text_size = 9, .source = source.id, .line = i, .origin = "", .license = ""};
        OK(sv_ledger_add_caption(w->l, &row, &what, &number, &err));
        sv_verdict v = {.number = number, .keep = true, .value = NAN, .min = NAN, .max = NAN, .duplicate_of = -1};
        OK(sv_ledger_add_verdict(w->l, w->scope.curate, &v, false, &err));
    }
    OK(sv_ledger_commit(w->l, &err));
    OK(sv_ledger_set_sample(w->l, w->scope.sample, w->scope.curate, NULL, 0, &err));
}

static void end_world(world *w) {
    sv_ledger_close(&w->l);
    OK(sv_dir_empty(w->dir, &err));
    rmdir(w->dir);
}

static void put(world *w, int64_t number, int k, sv_outcome outcome, double value) {
    char sha256[SV_SHA256_HEX];
    sv_sha256_hex("x", 1, sha256);
    sv_candidate c = {.number = number, .k = k, .ok = outcome == SV_GOOD, .pruned = outcome == SV_PRUNED, .reason = "not_finite", .file = "f", .sha256 = sha256};
    OK(sv_ledger_add_candidate(w->l, w->generate, &c, &err));
    if (outcome == SV_GOOD) OK(sv_ledger_add_score(w->l, w->clip, w->generate, number, k, value, &err));
}

static sv_status tell(void *user, int64_t number, int k, sv_outcome outcome, const double *values, sv_error *e) {
    sv_buf_printf(user, "%d-%d %d %g; ", (int)number, k, (int)outcome, values[0]);
    return SV_OK;
}

static void decisions_read_finished_rows(void **state) {
    world w = {0};
    sv_buf seen = {0};
    make_world(&w, 4);
    OK(sv_ledger_begin(w.l, &err));
    put(&w, 1, 0, SV_GOOD, 0.5);
    put(&w, 1, 1, SV_PRUNED, 0);
    put(&w, 2, 0, SV_FAILED, 0);
    put(&w, 2, 1, SV_GOOD, NAN);
    put(&w, 3, 0, SV_GOOD, 0.9);
    OK(sv_ledger_add_round(w.l, w.rounds, &(sv_round){.round = 1, .want = 1, .captions = 4, .given = 4}, &err));
    OK(sv_ledger_add_stop(w.l, w.rounds, &(sv_stop){.number = 3, .round = 1, .reason = "good_enough", .k = 0, .value = 0.9}, &err));
    OK(sv_ledger_add_stop(w.l, w.rounds, &(sv_stop){.number = 4, .round = 1, .reason = "dropped", .k = -1, .value = NAN}, &err));
    OK(sv_ledger_add_round(w.l, w.rounds, &(sv_round){.round = 2, .want = 3, .captions = 2, .given = 8}, &err));
    OK(sv_ledger_commit(w.l, &err));
    OK(sv_ledger_each_tried(w.l, w.scope, w.rounds, w.generate, &w.clip, 1, tell, &seen, &err));
    assert_string_equal(seen.data, "1-0 1 0.5; 1-1 2 nan; 2-0 0 nan; 2-1 1 nan; ");
    sv_buf_free(&seen);
    sv_round last;
    OK(sv_ledger_last_round(w.l, w.rounds, &last, &err));
    assert_int_equal(last.round, 2);
    assert_int_equal(last.want, 3);
    assert_int_equal(last.captions, 2);
    /* Captions that go on want 3, pruned ones counting; those that stopped want what they were given: caption 4 lacks its one. */
    sv_quota quota = {.want = last.want, .retries = 2, .rounds = w.rounds};
    sv_draw_batch b = {0};
    OK(sv_ledger_to_draw(w.l, w.scope, w.generate, quota, 0, 10, &b, &err));
    assert_int_equal(b.count, 3);
    assert_int_equal(b.items[0].number, 1);
    assert_int_equal(b.items[0].want, 3);
    assert_true(b.items[0].have[1].pruned);
    assert_int_equal(b.items[1].number, 2);
    assert_int_equal(b.items[2].number, 4);
    assert_int_equal(b.items[2].want, 1);
    int64_t left;
    OK(sv_ledger_draw_count(w.l, w.scope, w.generate, quota, &left, &err));
    assert_int_equal(left, 1 + 2 + 1);
    int64_t *dropped;
    size_t count;
    OK(sv_ledger_dropped(w.l, w.rounds, &dropped, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(dropped[0], 4);
    free(dropped);
    sv_draw_batch_free(&b);
    end_world(&w);
}

static void previews_outlive_lost_pictures(void **state) {
    world w = {0};
    make_world(&w, 1);
    OK(sv_ledger_begin(w.l, &err));
    put(&w, 1, 0, SV_GOOD, 0.5);
    OK(sv_ledger_add_preview(w.l, w.generate, 1, &(sv_preview){.k = 0, .calls = 6, .value = 0.25}, &err));
    OK(sv_ledger_add_preview(w.l, w.generate, 1, &(sv_preview){.k = 1, .calls = 6, .value = NAN}, &err));
    OK(sv_ledger_forget_candidate(w.l, w.generate, 1, 0, &err));
    OK(sv_ledger_add_preview(w.l, w.generate, 1, &(sv_preview){.k = 0, .calls = 6, .value = 0.75}, &err));   /* drawn again: what was said stays */
    OK(sv_ledger_commit(w.l, &err));
    sv_draw_batch b = {0};
    OK(sv_ledger_to_draw(w.l, w.scope, w.generate, (sv_quota){.want = 1}, 0, 10, &b, &err));
    assert_int_equal(b.count, 1);
    assert_int_equal(b.items[0].have_count, 0);
    assert_int_equal(b.items[0].preview_count, 2);
    assert_true(b.items[0].previews[0].value == 0.25);
    assert_true(isnan(b.items[0].previews[1].value));
    sv_draw_batch_free(&b);
    end_world(&w);
}

static void what_was_measured_is_kept(void **state) {
    world w = {0};
    char *value, a[SV_SHA256_HEX], b[SV_SHA256_HEX];
    make_world(&w, 3);
    OK(sv_ledger_tuned(w.l, "{\"cores\":2}", &value, &err));
    assert_null(value);
    OK(sv_ledger_put_tuned(w.l, "{\"cores\":2}", "{\"batch\":4}", &err));
    OK(sv_ledger_tuned(w.l, "{\"cores\":2}", &value, &err));
    assert_string_equal(value, "{\"batch\":4}");
    free(value);
    OK(sv_ledger_sample_digest(w.l, w.scope.sample, a, &err));
    OK(sv_ledger_set_sample(w.l, w.scope.sample, w.scope.curate, (int64_t[]){1, 3}, 2, &err));
    OK(sv_ledger_sample_digest(w.l, w.scope.sample, b, &err));
    assert_string_not_equal(a, b);
    end_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks_of_a_recipe), cmocka_unit_test(checks_in_calls), cmocka_unit_test(limits), cmocka_unit_test(what_is_left),
        cmocka_unit_test(the_usual_way_must_be_beaten), cmocka_unit_test(decisions_read_finished_rows), cmocka_unit_test(previews_outlive_lost_pictures),
        cmocka_unit_test(what_was_measured_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
