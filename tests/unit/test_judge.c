/* The judge's parts that need no server: what answers mean, chat completions, pacing, addresses, and ledgers from before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "ledger/ledger.h"
#include "remote/http.h"
#include "remote/judge.h"
#include "remote/pace.h"

static sv_error err;

static void test_votes(void **state) {
    static const struct { const char *text; sv_vote vote; } cases[] = {
        {"Yes", SV_VOTE_YES}, {"no", SV_VOTE_NO}, {" YES. ", SV_VOTE_YES}, {"**No**", SV_VOTE_NO}, {"\"yes\"", SV_VOTE_YES}, {"No, it is a list.", SV_VOTE_NO},
        {"Answer: Yes", SV_VOTE_YES}, {"The answer is no.", SV_VOTE_NO}, {"\n\n- yEs!", SV_VOTE_YES}, {"“Yes”", SV_VOTE_YES}, {"Yes, no doubt", SV_VOTE_YES},
        {"<think>no no yes</think>\n\nYes", SV_VOTE_YES}, {"<think>yes, but", SV_VOTE_UNCLEAR}, {"", SV_VOTE_UNCLEAR}, {"Perhaps", SV_VOTE_UNCLEAR},
        {"Yes or no?", SV_VOTE_UNCLEAR}, {"Yes/No", SV_VOTE_UNCLEAR}, {"no / yes", SV_VOTE_UNCLEAR}, {"yesterday", SV_VOTE_UNCLEAR}, {"Not good", SV_VOTE_UNCLEAR},
        {"Nö", SV_VOTE_UNCLEAR}, {"The caption has no faults", SV_VOTE_UNCLEAR}, {"1", SV_VOTE_UNCLEAR}, {"...", SV_VOTE_UNCLEAR}, {"\xff\xfeYes", SV_VOTE_YES},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (sv_judge_vote(cases[i].text) != cases[i].vote) fail_msg("\"%s\" is read as %d", cases[i].text, sv_judge_vote(cases[i].text));
}

static void test_points(void **state) {
    static const struct { const char *text; double points; } cases[] = {
        {"4", 4}, {"Score: 4", 4}, {"**4**/5", 4}, {"4/5", 4}, {"3 out of 5.", 3}, {"I give it a 2.", 2}, {"4.5", 4.5}, {"5/5", 5}, {"4, yes 4", 4},
        {"<think>1 or 2</think> 5", 5}, {"", NAN}, {"good", NAN}, {"0", NAN}, {"6", NAN}, {"10", NAN}, {"-3", NAN}, {"2 or 3", NAN}, {"1.2.3", NAN},
        {"45/5", NAN}, {"3/10", NAN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double is = sv_judge_points(cases[i].text);
        if (!(is == cases[i].points || (isnan(is) && isnan(cases[i].points)))) fail_msg("\"%s\" is read as %g", cases[i].text, is);
    }
}

static double p_yes_of(const char *json) {
    sv_chat_answer *a = malloc(sizeof *a);
    assert_non_null(a);
    assert_int_equal(sv_chat_read(json, strlen(json), a, &err), SV_OK);
    double p = sv_judge_p_yes(a);
    sv_chat_answer_free(a);
    free(a);
    return p;
}

static void test_p_yes(void **state) {
#define WITH(text, list) "{\"choices\":[{\"message\":{\"content\":\"" text "\"},\"logprobs\":{\"content\":" list "}}]}"
    /* 0.6 and 0.2 say yes, 0.1 says no: 0.8 / 0.9 */
    double p = p_yes_of(WITH("Yes", "[{\"token\":\"Yes\",\"logprob\":-0.51,\"top_logprobs\":[{\"token\":\"Yes\",\"logprob\":-0.5108256237659907},"
                             "{\"token\":\"\\u2581yes\",\"logprob\":-1.6094379124341003},{\"token\":\" No\",\"logprob\":-2.302585092994046},"
                             "{\"token\":\"Not\",\"logprob\":-3}]}]"));
    assert_true(fabs(p - 0.8 / 0.9) < 1e-9);
    /* the word stands at the second place */
    p = p_yes_of(WITH("Answer: no", "[{\"token\":\"Answer\",\"logprob\":0},{\"token\":\" no\",\"logprob\":-0.2231435513142097,\"top_logprobs\":[]}]"));
    assert_true(fabs(p - 0.2) < 1e-9);
    assert_true(isnan(p_yes_of(WITH("Hm", "[{\"token\":\"Hm\",\"logprob\":0}]"))));
    assert_true(isnan(p_yes_of(WITH("Yes", "null"))));
    assert_true(isnan(p_yes_of(WITH("Yes", "[{\"token\":7},{}]"))));
    assert_true(isnan(p_yes_of(WITH("<think>yes</think>No", "[{\"token\":\"yes\",\"logprob\":0}]"))));
}

static void test_chat_answers(void **state) {
    static const struct { const char *json, *text; int64_t in; } good[] = {
        {"{\"choices\":[{\"message\":{\"content\":\"Yes\"}}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1}}", "Yes", 7},
        {"{\"choices\":[{\"message\":{\"content\":null}}]}", "", -1},
        {"{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"I cannot\"}}],\"usage\":{\"prompt_tokens\":-4}}", "I cannot", -1},
        {"{\"choices\":[{\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"N\"},{\"type\":\"text\",\"text\":\"o\"}]}}]}", "No", -1},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        sv_chat_answer a;
        assert_int_equal(sv_chat_read(good[i].json, strlen(good[i].json), &a, &err), SV_OK);
        assert_string_equal(a.text.data, good[i].text);
        assert_int_equal(a.tokens_in, good[i].in);
        sv_chat_answer_free(&a);
    }
    char deep[4001];
    memset(deep, '[', 4000);
    deep[4000] = 0;
    const char *bad[] = {"", "{", "null", "[]", "{\"choices\":[]}", "{\"choices\":{\"message\":{}}}", "{\"choices\":[{\"text\":\"x\"}]}", "\"\xff\"", deep};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sv_chat_answer a;
        assert_int_equal(sv_chat_read(bad[i], strlen(bad[i]), &a, &err), SV_E_NETWORK);
    }
}

static void test_error_texts(void **state) {
    static const struct { const char *body, *text; } cases[] = {
        {"{\"error\":{\"message\":\"no such model\",\"type\":\"x\"}}", "no such model"}, {"{\"error\":\"busy\"}", "busy"}, {"{\"detail\":\"not found\"}", "not found"},
        {"<html>\n  <b>502</b>", "<html> <b>502</b>"}, {"", ""}, {"the key sk-1 and sk-1 again", "the key * and * again"},
        {"{\"error\":{\"message\":\"bad key sk-1\"}}", "bad key *"},
        {"a\xff\x01z", "a z"},
    };
    char buf[64], small[12];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(sv_chat_error_text(cases[i].body, strlen(cases[i].body), "sk-1", buf, sizeof buf), cases[i].text);
    /* cut at a character's end, and never in the middle of the secret */
    assert_string_equal(sv_one_line("12345 sk-123456789", 18, "sk-123456789", small, sizeof small), "12345 *");
    assert_true(strlen(sv_one_line("äöüäöüäöü", 18, NULL, small, sizeof small)) % 2 == 0);
}

static void test_request(void **state) {
    const sv_chat_settings s = {.model = "m\"1", .max_tokens = 3, .seed = INT64_MIN, .temperature = 0.5};
    sv_buf b = {0};
    assert_int_equal(sv_chat_request(&s, "line\n\"two\"", 10, NULL, &b, &err), SV_OK);
    assert_string_equal(b.data, "{\"model\":\"m\\\"1\",\"messages\":[{\"role\":\"user\",\"content\":\"line\\n\\\"two\\\"\"}],"
                        "\"max_tokens\":3,\"temperature\":0.5,\"stream\":false}");
    sv_buf_free(&b);
}

/* Sends what may be sent at `now`. */
static int send_all(sv_pace *p, double now) {
    int n = 0;
    for (; sv_pace_free(p, now); n++) sv_pace_sent(p);
    return n;
}

static void test_pace_grows_and_halves(void **state) {
    sv_pace p;
    sv_pace_init(&p, 12, 5);
    assert_int_equal(send_all(&p, 0), 4);
    for (int i = 0; i < 200; i++) {
        sv_pace_good(&p);
        send_all(&p, 1);
        assert_true(p.flying <= 12);
    }
    assert_int_equal(p.flying, 12);
    /* a whole wave fails: one round, one halving, one pause */
    for (int i = 0; i < 12; i++) sv_pace_bad(&p, 1, 2 + i * 0.001, false, -1);
    assert_int_equal(p.rounds, 1);
    assert_int_equal((int)p.limit, 6);
    assert_int_equal(send_all(&p, 2.05), 0);
    assert_int_equal(send_all(&p, 2.2), 6);
    sv_pace_good(&p);
    assert_int_equal(p.rounds, 0);
    /* many rounds: never below one request at a time, and then hopeless */
    double now = 3;
    while (p.flying) sv_pace_ended(&p);
    for (int i = 0; i < 5; i++) {
        assert_false(sv_pace_hopeless(&p));
        while (!send_all(&p, now)) now += 0.01;
        while (p.flying) sv_pace_bad(&p, now, now + 0.001, false, -1);
        now += 0.001;
    }
    assert_true(sv_pace_hopeless(&p));
    assert_true(p.limit >= 1);
    assert_true(now < 10);
}

static void test_pace_has_patience_with_the_busy(void **state) {
    sv_pace p;
    sv_pace_init(&p, 2, 7);
    double now = 0;
    int rounds = 0;
    for (; !sv_pace_hopeless(&p) && now < 1000; now += 0.05) {
        if (!send_all(&p, now)) continue;
        rounds++;
        while (p.flying) sv_pace_bad(&p, now, now + 0.01, true, 0);   /* Retry-After: 0 does not mean at once */
    }
    assert_int_equal(rounds, 11);
    assert_true(now > 20 && now < 60);
}

static void test_pace_obeys_retry_after(void **state) {
    sv_pace p;
    sv_pace_init(&p, 2, 5);
    assert_int_equal(send_all(&p, 10), 2);
    sv_pace_bad(&p, 10, 10.5, true, 7);
    sv_pace_bad(&p, 10, 10.6, true, 2);     /* the longer pause counts */
    assert_int_equal(send_all(&p, 17.4), 0);
    assert_int_equal(send_all(&p, 17.5), 1);
}

static void test_retry_after(void **state) {
    const int64_t now = 784111777;    /* Sun, 06 Nov 1994 08:49:37 GMT */
    assert_true(sv_retry_after("120", now) == 120);
    assert_true(sv_retry_after(" 0\r\n", now) == 0);
    assert_true(sv_retry_after("99999999999999999999", now) == 1e9);
    assert_true(sv_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now) == 60);
    assert_true(sv_retry_after("Sunday, 06-Nov-94 08:50:37 GMT", now) == 60);
    assert_true(sv_retry_after("Sun Nov  6 08:50:37 1994", now) == 60);
    assert_true(sv_retry_after("Sun, 06 Nov 1994 08:40:00 GMT", now) == 0);
    assert_true(sv_retry_after("soon", now) < 0);
    assert_true(sv_retry_after("", now) < 0);
    assert_true(sv_retry_after("12 monkeys", now) < 0);
    assert_true(sv_retry_after("-5", now) < 0);
}

static void test_addresses(void **state) {
    const char *good[] = {"http://127.0.0.1:8080/v1", "https://example.org/v1/", "http://[::1]:8000/v1", "https://example.org/v1/chat/completions"};
    const char *bad[] = {"", "example.org/v1", "ftp://example.org", "http://", "https://user:secret@example.org/v1", "http://secret@h/v1", "http://h/v1?key=secret",
                         "http://h/v1#secret", "http://h:99999/v1", "file:///etc/passwd", "http://h o/v1"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_int_equal(sv_http_check_url(good[i], "url", &err), SV_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[2048];
        if (sv_http_check_url(bad[i], "url", &err) != SV_E_USAGE) fail_msg("%s is taken", bad[i]);
        assert_null(strstr(sv_error_text(&err, text, sizeof text), "secret"));
    }
}

static void test_setups(void **state) {
    sv_judge_settings s = {.url = "http://h/v1/", .model = "m", .max_tokens = 16, .seed = 0, .timeout = 5, .concurrency = 3, .retries = 1, .key = "sk-1"};
    sv_buf a = {0}, b = {0};
    assert_int_equal(sv_judge_setup(&s, &a, &err), SV_OK);
    s.url = "http://h/v1/chat/completions";
    s.timeout = 9;
    s.concurrency = 8;
    s.retries = 7;
    s.key = NULL;
    assert_int_equal(sv_judge_setup(&s, &b, &err), SV_OK);
    assert_string_equal(a.data, b.data);          /* none of these changes an answer */
    assert_null(strstr(a.data, "sk-1"));
    sv_buf_clear(&b);
    s.grade = SV_GRADE_SCORE;
    assert_int_equal(sv_judge_setup(&s, &b, &err), SV_OK);
    assert_string_not_equal(a.data, b.data);
    assert_int_equal(sv_judge_check_prompt(sv_judge_prompt(SV_GRADE_YES_NO), strlen(sv_judge_prompt(SV_GRADE_YES_NO)), "p", &err), SV_OK);
    assert_int_equal(sv_judge_check_prompt("no mark", 7, "p", &err), SV_E_USAGE);
    assert_int_equal(sv_judge_check_prompt("{caption}\0", 10, "p", &err), SV_E_USAGE);
    assert_int_equal(sv_judge_check_prompt("\xff{caption}", 10, "p", &err), SV_E_USAGE);
    sv_buf_free(&a);
    sv_buf_free(&b);
}

/* A ledger as the version before wrote it: readable as it is, brought up to date by whoever writes. */
static void test_old_ledger(void **state) {
    char dir[] = "/tmp/sv-judge-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/ledger.sqlite", dir);
    sv_ledger *l = NULL;
    sv_setup setup = {.id = 1};
    sv_judge_cost cost;
    char *sql;
    size_t size;
    sqlite3 *db;
    assert_int_equal(sv_file_read("tests/golden/ledger/version-2.sql", 0, &sql, &size, &err), SV_OK);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    free(sql);
    assert_int_equal(sqlite3_exec(db, "DROP VIEW stable; DROP VIEW judge_answers; DROP TABLE judged; DROP TABLE judgements; CREATE VIEW stable AS SELECT 1 AS kind;"
                                  "PRAGMA user_version = 1", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(sv_ledger_open(&l, path, SV_LEDGER_READ, &err), SV_OK);
    assert_int_equal(sv_ledger_judge_cost(l, setup.id, &cost, &err), SV_OK);
    assert_int_equal(cost.texts, 0);
    sv_ledger_close(&l);
    assert_int_equal(sv_ledger_open(&l, path, SV_LEDGER_WRITE, &err), SV_OK);
    const uint8_t text[SV_TEXT_HASH] = {1, 2};
    sv_judgement_row row = {.text = text, .outcome = "answered", .answer = "Yes", .value = 1, .p_yes = NAN, .tokens_in = 5, .tokens_out = 1, .requests = 2};
    int64_t id = 0, again = 0;
    assert_int_equal(sv_ledger_begin(l, &err), SV_OK);
    assert_int_equal(sv_ledger_add_judgement(l, setup.id, &row, &err), SV_OK);
    assert_int_equal(sv_ledger_find_judgement(l, setup.id, text, &id, &err), SV_OK);
    row.answer = "No";
    assert_int_equal(sv_ledger_add_judgement(l, setup.id, &row, &err), SV_OK);     /* the first answer stays */
    assert_int_equal(sv_ledger_find_judgement(l, setup.id, text, &again, &err), SV_OK);
    assert_int_equal(sv_ledger_commit(l, &err), SV_OK);
    assert_true(id > 0 && id == again);
    assert_int_equal(sv_ledger_judge_cost(l, setup.id, &cost, &err), SV_OK);
    assert_int_equal(cost.texts, 1);
    assert_int_equal(cost.requests, 2);
    assert_int_equal(sv_ledger_setup_hash(l, setup.id, setup.hash, &err), SV_OK);  /* the old rows are there */
    sv_ledger_close(&l);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "SELECT key, value FROM stable; SELECT p_yes FROM judge_answers", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(sv_dir_empty(dir, &err), SV_OK);
    rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_votes),
        cmocka_unit_test(test_points),
        cmocka_unit_test(test_p_yes),
        cmocka_unit_test(test_chat_answers),
        cmocka_unit_test(test_error_texts),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_pace_grows_and_halves),
        cmocka_unit_test(test_pace_has_patience_with_the_busy),
        cmocka_unit_test(test_pace_obeys_retry_after),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_setups),
        cmocka_unit_test(test_old_ledger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
