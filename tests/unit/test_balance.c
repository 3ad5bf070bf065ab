/* Concepts of captions, and balancing by them: words and patterns, lists, caps, quotas, lots, interruptions, growth. */
#include "curating.h"

#include "stages/curate/sample.h"
#include "text/concepts/concepts.h"

/* ---- concepts ---- */

static sv_concepts *made_of(const char *list) {
    sv_concepts *c;
    OK(sv_concepts_open(&c, &err));
    OK(sv_concepts_list(c, list, strlen(list), "list", &err));
    return c;
}

/* "dog,red car" */
static const char *found(const sv_concepts *c, const char *text) {
    static char names[512];
    sv_concept_scratch scratch = {0};
    const uint32_t *list;
    size_t n;
    names[0] = 0;
    OK(sv_concepts_match(c, text, strlen(text), &scratch, &list, &n, &err));
    for (size_t i = 0; i < n; i++) {
        size_t at = strlen(names);
        snprintf(names + at, sizeof names - at, "%s%s", i ? "," : "", sv_concepts_name(c, list[i]));
    }
    sv_concept_scratch_free(&scratch);
    return names;
}

static void words_and_phrases(void **state) {
    sv_concepts *c = made_of("# a comment\n"
                             "dog: dog, dogs\n"
                             "hot dog: hot dog, hot dogs, hotdog\n"
                             "in front: in front of, before\r\n"
                             "\n"
                             "shirt: T-shirt\n"
                             "year: /\\b(19|20)\\d\\d\\b/\n"
                             "straße\n"
                             "  spaced  :  two  words ,, comma\n");
    assert_int_equal(sv_concepts_count(c), 7);
    assert_string_equal(found(c, "A DOG."), "dog");
    assert_string_equal(found(c, "two hot dogs in front of the doghouse"), "dog,hot dog,in front");
    assert_string_equal(found(c, "in front"), "");
    assert_string_equal(found(c, "in front of"), "in front");
    assert_string_equal(found(c, "hot, Dog!"), "dog,hot dog");               /* what stands between words does not matter */
    assert_string_equal(found(c, "a t shirt, a T-Shirt, a tshirt"), "shirt");
    assert_string_equal(found(c, "since 1999"), "year");
    assert_string_equal(found(c, "19991"), "");
    assert_string_equal(found(c, "STRASSE Straße"), "straße");
    assert_string_equal(found(c, "two words"), "spaced");
    assert_string_equal(found(c, ""), "");
    assert_string_equal(found(c, "…!?"), "");
    assert_int_equal(sv_concepts_find(c, "hot dog"), 2);
    assert_int_equal(sv_concepts_find(c, "hot"), 0);
    assert_int_equal(sv_concepts_find(c, ""), 0);
    char hash[SV_SHA256_HEX];
    snprintf(hash, sizeof hash, "%s", sv_concepts_hash(c));
    sv_concepts_close(&c);
    c = made_of("dog: dog, dogs\n");
    assert_string_not_equal(hash, sv_concepts_hash(c));
    snprintf(hash, sizeof hash, "%s", sv_concepts_hash(c));
    sv_concepts_close(&c);
    c = made_of("# other comments change nothing\ndog: DOG , dogs, dog");
    assert_string_equal(hash, sv_concepts_hash(c));
    sv_concepts_close(&c);
}

static void lists_of_words(void **state) {
    sv_concepts *c = made_of("[\"red\", \"red car\", \"#\", \"Red\"]");
    assert_int_equal(sv_concepts_count(c), 4);
    assert_string_equal(found(c, "a Red car # 5"), "red,red car,Red");
    sv_concepts_close(&c);
}

static void every_ready_list(void **state) {
    const sv_concept_list *list;
    sv_concepts *c;
    OK(sv_concepts_open(&c, &err));
    size_t lists = 0;
    for (; (list = sv_concept_list_at(lists)); lists++) {
        OK(sv_concepts_list(c, list->text, strlen(list->text), list->name, &err));   /* all of them together: no name is there twice */
        assert_ptr_equal(sv_concept_list_find(list->name), list);
    }
    assert_int_equal(lists, 4);
    assert_true(sv_concepts_count(c) > 400);
    assert_null(sv_concept_list_find("nothing"));
    assert_string_equal(found(c, "Two red apples next to a grey elephant"), "elephant,apple,red,grey,two,beside");
    sv_concepts_close(&c);
}

static void wrong_lists(void **state) {
    static const struct { const char *list, *where, *why; } cases[] = {
        {"a: b\na: c\n", "list:2", "already"}, {"a:\n", "list:1", "behind the colon"}, {"a: !!!\n", "list:1", "no letter or digit"},
        {": b\n", "list:1", "name of a concept"},
        {"# nothing\n\n", "list", "no concept"}, {"a: /(/\n", "list:1", "cannot be read"}, {"[\"a\", 5]", "list", "item 2"}, {"[\"a\"", "list", "not JSON"},
        {"a: \xff\n", "list:1", "not UTF-8"}, {"\xff: b\n", "list:1", "name of a concept"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sv_concepts *c;
        OK(sv_concepts_open(&c, &err));
        if (sv_concepts_list(c, cases[i].list, strlen(cases[i].list), "list", &err) != SV_E_RECIPE) fail_msg("%s", cases[i].list);
        assert_string_equal(err.what, cases[i].where);
        if (!strstr(err.why, cases[i].why)) fail_msg("%s: %s", cases[i].list, err.why);
        sv_concepts_close(&c);
    }
}

/* A pattern that would take for ever on a text is given up, and the text counts as without it. */
static void patterns_are_limited(void **state) {
    sv_concepts *c = made_of("evil: /^(a+)+$/\nb\n");
    sv_concept_scratch scratch = {0};
    const uint32_t *list;
    size_t n;
    char text[64];
    memset(text, 'a', sizeof text);
    memcpy(text + sizeof text - 3, "! b", 3);
    OK(sv_concepts_match(c, text, sizeof text, &scratch, &list, &n, &err));
    assert_int_equal(n, 1);
    assert_int_equal(list[0], 2);
    assert_int_equal(scratch.gave_up, 1);
    sv_concept_scratch_free(&scratch);
    sv_concepts_close(&c);
}

/* ---- balance ---- */

/* n captions: every one has "common", every tenth "rare", every hundredth "scarce"; every seventh has nothing. */
static void put_pool(const char *name, int from, int n) {
    sv_buf b = {0};
    for (int i = from; i < from + n; i++)
        sv_buf_printf(&b, "{\"id\": \"c%d\", \"caption\": \"caption %d%s%s%s\"}\n", i, i, i % 7 ? " common" : "", i % 7 && i % 10 == 0 ? " rare" : "",
                      i % 7 && i % 100 == 0 ? " scarce" : "");
    assert_false(b.failed);
    put(name, b.data, b.size);
    sv_buf_free(&b);
}

#define CONCEPTS "    concepts: [{name: common, words: [common]}, {name: rare, words: [rare]}, {name: scarce, words: [scarce]}]\n"
static const char kept_of[] = "SELECT c.name, c.captions, b.cap, b.quota, b.kept FROM now JOIN concepts c ON c.setup = now.concepts"
                              " JOIN balances b ON b.setup = now.curate AND b.concept = c.concept ORDER BY c.concept";

static void caps(void **state) {
    sv_curate_report r;
    put_pool("a.jsonl", 0, 7000);
    OK(curate("{path: a.jsonl}", "  balance:\n    cap: 600\n    others: 100\n" CONCEPTS, &r));
    /* 1000 captions have nothing, 6000 "common", 600 of them "rare" (all kept, and with them the 60 "scarce"), of the other 5400 one in ten. */
    char *found_rows = rows(kept_of);
    int others, common, rare, scarce;
    assert_int_equal(sscanf(found_rows, "|1000|100|-|%d\ncommon|6000|600|-|%d\nrare|600|600|-|%d\nscarce|60|600|-|%d\n", &others, &common, &rare, &scarce), 4);
    free(found_rows);
    assert_int_equal(rare, 600);
    assert_int_equal(scarce, 60);
    assert_in_range(common, 600 + 540 - 90, 600 + 540 + 90);        /* four standard deviations */
    assert_in_range(others, 100 - 40, 100 + 40);
    assert_int_equal(r.kept, others + common);
    /* Each rejected caption says for which concept, how many captions have it, and its cap. */
    assert_rows("SELECT DISTINCT rule, detail, value, max, min FROM rejected ORDER BY 2", "balance|common|6000.0|600.0|-\nbalance|no concept|1000.0|100.0|-\n");
    assert_int_equal(ask("SELECT count(*) FROM rejected WHERE text LIKE '%rare%'"), 0);
    /* The lots decide, and nothing else: one caption by hand. */
    sv_buf text = {0};
    char *ids = rows("SELECT id FROM kept WHERE text NOT LIKE '%common%'"), *rest = NULL;
    for (char *id = strtok_r(ids, "\n", &rest); id; id = strtok_r(NULL, "\n", &rest))
        assert_true((double)(sv_lot_for("balance", 7, id, NULL, &text) >> 11) * 0x1p-53 < 0.1);
    free(ids);
    sv_buf_free(&text);
    /* A larger cap keeps all that the smaller one kept. */
    char *before = rows("SELECT id FROM kept ORDER BY number");
    OK(curate("{path: a.jsonl}", "  balance:\n    cap: 1200\n    others: 100\n" CONCEPTS, &r));
    for (char *id = strtok_r(before, "\n", &rest); id; id = strtok_r(NULL, "\n", &rest)) {
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM kept WHERE id = '%s'", id);
        if (before + 300 > id) assert_int_equal(ask(sql), 1);       /* some dozens are enough */
    }
    free(before);
    /* Without limits nothing is rejected, and concepts are counted all the same. */
    OK(curate("{path: a.jsonl}", "  balance:\n" CONCEPTS, &r));
    assert_int_equal(r.kept, 7000);
    assert_rows(kept_of, "|1000|-|-|1000\ncommon|6000|-|-|6000\nrare|600|-|-|600\nscarce|60|-|-|60\n");
}

static void a_lot_for_each_concept(void **state) {
    sv_curate_report r;
    put_pool("a.jsonl", 0, 7000);
    OK(curate("{path: a.jsonl}", "  balance:\n    cap: 60\n    others: 0\n    draws: each\n" CONCEPTS, &r));
    char *found_rows = rows(kept_of);
    int others, common, rare, scarce;
    assert_int_equal(sscanf(found_rows, "|1000|0|-|%d\ncommon|6000|60|-|%d\nrare|600|60|-|%d\nscarce|60|60|-|%d\n", &others, &common, &rare, &scarce), 4);
    free(found_rows);
    assert_int_equal(others, 0);
    assert_int_equal(scarce, 60);
    /* "rare": 60 by "scarce"; of the other 540 1 - (1 - 0.1)(1 - 0.01) = 0.109: 59 */
    assert_in_range(rare, 60 + 59 - 30, 60 + 59 + 30);
    assert_in_range(common, rare + 54 - 30, rare + 54 + 30);
}

static void quotas(void **state) {
    sv_curate_report r;
    put_pool("a.jsonl", 0, 7000);
    static const char balance[] = "  sample: 100\n  balance:\n    cap: 20\n    others: 10\n"
                                  "    concepts: [{name: common, words: [common]}, {name: rare, words: [rare], quota: 40%},"
                                  " {name: scarce, words: [scarce], cap: 5, quota: 30}, {name: nowhere, words: [nowhere], quota: 3}]\n";
    OK(curate("{path: a.jsonl}", balance, &r));
    assert_int_equal(ask("SELECT kept >= 40 FROM concept_counts WHERE name = 'rare'"), 1);
    assert_int_equal(ask("SELECT kept >= 30 FROM concept_counts WHERE name = 'scarce'"), 1);
    assert_non_null(strstr(said, "1 quota of captions.balance cannot be met; \"nowhere\": 3 asked, 0 there"));
    assert_true(r.sampled <= 100);
    static const char in_sample[] = "SELECT count(*) FROM kept WHERE sampled AND text LIKE '%%%s%%'";
    char sql[128];
    snprintf(sql, sizeof sql, in_sample, "rare");
    assert_true(ask(sql) >= 40);
    snprintf(sql, sizeof sql, in_sample, "scarce");
    assert_true(ask(sql) >= 30);
    /* Quotas that ask for more than the sample holds. */
    OK(curate("{path: a.jsonl}", "  sample: 10\n  balance:\n    concepts: [{name: common, words: [common], quota: 8}, {name: rare, words: [rare], quota: 8}]\n", &r));
    assert_int_equal(r.sampled, 10);
}

/* A ledger is the same however often curation was stopped, and so is what comes of a pool that grew. */
static void interrupted_and_grown(void **state) {
    sv_curate_report r;
    static const char balance[] = "  sample: 50\n  balance:\n    cap: 300\n    others: 100\n"
                                  "    concepts: [{name: common, words: [common]}, {name: rare, words: [rare], quota: 40}, {name: scarce, pattern: sc.rce}]\n";
    put_pool("a.jsonl", 0, 21000);
    OK(curate("{path: a.jsonl}", balance, &r));
    assert_false(r.idle);
    char *whole = rows("SELECT * FROM stable ORDER BY 1, 2, 3");
    OK(curate("{path: a.jsonl}", balance, &r));
    assert_true(r.idle);
    for (int at = 0, done = 0; !done; at += 2) {
        sv_dir_empty(run_dir, NULL);
        for (int tries = 0;; tries++) {
            if (tries > 60) fail_msg("it never ends when stopped at %d", at);
            stop_after = at + 2 * tries;
            sv_status st = curate("{path: a.jsonl}", balance, &r);
            if (st == SV_OK) done = tries == 0;
            if (st == SV_OK) break;
            assert_int_equal(st, SV_E_STOPPED);
        }
        char *again = rows("SELECT * FROM stable ORDER BY 1, 2, 3");
        assert_string_equal(again, whole);
        free(again);
        if (at == 4) break;
    }
    stop_after = -1;
    free(whole);
    /* A second file: every count changes, and earlier captions are decided anew. */
    put_pool("b.jsonl", 21000, 3000);
    OK(curate("{path: a.jsonl}, {path: b.jsonl}", balance, &r));
    char *grown = rows("SELECT kind, key, value FROM stable WHERE kind IN ('verdict', 'sample', 'concept', 'caption concept', 'balance') ORDER BY 1, 2, 3");
    sv_dir_empty(run_dir, NULL);
    OK(curate("{path: a.jsonl}, {path: b.jsonl}", balance, &r));
    char *fresh = rows("SELECT kind, key, value FROM stable WHERE kind IN ('verdict', 'sample', 'concept', 'caption concept', 'balance') ORDER BY 1, 2, 3");
    assert_string_equal(grown, fresh);
    free(grown);
    free(fresh);
}

static void wrong_recipes(void **state) {
    static const struct { const char *balance, *what, *why; } cases[] = {
        {"    cap: 5\n", "concepts", "is missing"},
        {"    concepts: [{list: nouns}]\n", "concepts[0].list", "no ready list"},
        {"    concepts: [{list: objects, name: x}]\n", "concepts[0]", "one of the keys"},
        {"    concepts: [{cap: 4}]\n", "concepts[0]", "one of the keys"},
        {"    concepts: [{name: x}]\n", "concepts[0].name", "no concept \"x\""},
        {"    concepts: [{name: x, words: dog}]\n", "concepts[0].words", "list of words"},
        {"    concepts: [{name: x, words: [5]}]\n", "concepts[0].words", "word 1 is not text"},
        {"    concepts: [{name: x, pattern: \"(\"}]\n", "concepts[0].pattern", "cannot be read"},
        {"    concepts: [{file: none.txt}]\n", "concepts[0].file", "none.txt"},
        {"    concepts: [{file: l.txt}]\n", "concepts[0].file", "l.txt:2"},
        {"    concepts: [{list: objects}, {list: objects}]\n", "concepts[1].list", "already"},
        {"    concepts: [{list: objects, words: [a]}]\n", "concepts[0]", "belong to a concept with a name"},
        {"    concepts: [{name: x, words: [a], quota: 5%}]\n", "concepts[0].quota", "captions.sample is not set"},
        {"    concepts: [{name: x, words: [a], quota: 2.5}]\n", "concepts[0].quota", "number of captions"},
        {"    concepts: {name: x}\n", "concepts", "must be a list"},
        {"    caps: 5\n", "caps", "unknown key"}};
    put("a.jsonl", "{\"caption\": \"a\"}\n", 17);
    put("l.txt", "a: b\na: c\n", 10);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sv_curate_report r;
        char text[512];
        snprintf(text, sizeof text, "  balance:\n%s", cases[i].balance);
        if (curate("{path: a.jsonl}", text, &r) != SV_E_RECIPE) fail_msg("%s", cases[i].balance);
        if (!strstr(err.what, cases[i].what) || !strstr(err.why, cases[i].why)) fail_msg("%s: %s: %s", cases[i].balance, err.what, err.why);
    }
    sv_curate_report r;
    OK(curate("{path: a.jsonl}", "  balance: {concepts: [{list: objects}, {name: dog, cap: 5, quota: 2}]}\n", &r));   /* limits of one concept of a list */
    assert_rows("SELECT name, cap, quota FROM concept_counts WHERE cap OR quota", "dog|5|2\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_phrases), cmocka_unit_test(lists_of_words), cmocka_unit_test(every_ready_list), cmocka_unit_test(wrong_lists),
        cmocka_unit_test(patterns_are_limited),
        cmocka_unit_test_setup_teardown(caps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lot_for_each_concept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(quotas, set_up, tear_down),
        cmocka_unit_test_setup_teardown(interrupted_and_grown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_recipes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
