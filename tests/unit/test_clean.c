/* test_clean.c - the text clean-ups against ftfy, html.unescape and openai/CLIP (tests/golden/tokenizer/clean.jsonl). */
#include "golden.h"

#include "text/unicode/clean.h"
#include "text/unicode/html_entities.h"

typedef sv_status (*clean_fn)(const char *in, size_t n, sv_buf *out, sv_error *err);

static void compare(clean_fn fn, const char *key) {
    golden g = golden_read("tests/golden/tokenizer/clean.jsonl");
    sv_buf out = {0};
    size_t repaired = 0;
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *row = golden_at(&g, i);
        sv_error err = {0};
        if (fn(golden_str(row, "text"), golden_len(row, "text"), &out, &err) != SV_OK) fail_msg("line %zu: %s", i + 1, err.why);
        if (out.size != golden_len(row, key) || (out.size && memcmp(out.data, golden_str(row, key), out.size) != 0))
            fail_msg("line %zu, %s of \"%s\": \"%s\" instead of \"%s\"", i + 1, key, golden_str(row, "text"), out.data, golden_str(row, key));
        repaired += yyjson_get_bool(golden_get(row, "mojibake"));
    }
    assert_true(repaired > 100);
    sv_buf_free(&out);
    golden_free(&g);
}

static sv_status fix(const char *in, size_t n, sv_buf *out, sv_error *err) { return sv_fix_unicode(in, n, SV_NFC, out, err); }

static void test_fix_unicode(void **state) { compare(fix, "fix"); }
static void test_unescape(void **state) { compare(sv_html_unescape, "unescape"); }
static void test_openai(void **state) { compare(sv_clean_openai, "openai"); }

static void expect(clean_fn fn, const char *in, const char *want) {
    sv_buf out = {0};
    assert_int_equal(fn(in, strlen(in), &out, NULL), SV_OK);
    assert_string_equal(out.data ? out.data : "", want);
    sv_buf_free(&out);
}

static void test_entity_table(void **state) {
    assert_int_equal(sv_html_entity_count, 2125);
    size_t bare = 0;
    for (size_t i = 0; i < sv_html_entity_count; i++) {
        const sv_html_entity *e = &sv_html_entities[i];
        assert_ptr_equal(sv_html_entity_find(e->name, strlen(e->name)), e);
        if (i > 0) assert_true(strcmp(sv_html_entities[i - 1].name, e->name) < 0);
        bare += e->bare;
    }
    assert_int_equal(bare, 106);
    assert_null(sv_html_entity_find("AM", 2));
    assert_null(sv_html_entity_find("", 0));
}

static void test_normal_form(void **state) {
    expect(sv_nfc, "e\xCC\x81", "\xC3\xA9");
    expect(sv_nfc, "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8", "\xEA\xB0\x81");   /* Hangul L, V, T */
    expect(sv_nfc, "a\xCC\x81\xCC\xA3", "\xE1\xBA\xA1\xCC\x81");              /* marks are put in order first */
    /* A run of marks too long for insertion sorting comes out in the same order as a short one: classes 220, then 230. */
    sv_buf in = {0}, out = {0};
    for (int i = 0; i < 20000; i++) sv_buf_puts(&in, "\xCC\x81\xCC\xA3");
    assert_int_equal(sv_nfc(in.data, in.size, &out, NULL), SV_OK);
    assert_int_equal(out.size, in.size);
    for (size_t i = 0; i < out.size; i += 2) assert_memory_equal(out.data + i, i < out.size / 2 ? "\xCC\xA3" : "\xCC\x81", 2);
    sv_buf_free(&in);
    sv_buf_free(&out);
}

static void test_bad_input(void **state) {
    static const char *const bad[] = {"a\xff", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80", "caf\xc3"};
    static const clean_fn fns[] = {fix, sv_html_unescape, sv_nfc, sv_clean_openai};
    sv_buf out = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (size_t k = 0; k < sizeof fns / sizeof *fns; k++) {
            sv_error err = {0};
            assert_int_equal(fns[k](bad[i], strlen(bad[i]), &out, &err), SV_E_INPUT);
            assert_non_null(strstr(err.why, "UTF-8"));
        }
    /* Entities inside entities inside … take a round each. */
    sv_buf deep = {0};
    sv_buf_putc(&deep, '&');
    for (int i = 0; i < 90; i++) sv_buf_puts(&deep, "amp;");
    assert_int_equal(sv_fix_unicode(deep.data, deep.size, SV_NFC, &out, NULL), SV_OK);
    assert_string_equal(out.data, "&");
    for (int i = 0; i < 90; i++) sv_buf_puts(&deep, "amp;");
    sv_error err = {0};
    assert_int_equal(sv_fix_unicode(deep.data, deep.size, SV_NFC, &out, &err), SV_E_INPUT);
    assert_non_null(strstr(err.why, "nested"));
    sv_buf_free(&deep);
    sv_buf_free(&out);
}

static void test_nul_bytes(void **state) {
    sv_buf out = {0};
    assert_int_equal(sv_html_unescape("a\0&amp;b", 8, &out, NULL), SV_OK);
    assert_int_equal(out.size, 4);
    assert_memory_equal(out.data, "a\0&b", 4);
    assert_int_equal(sv_fix_unicode("a\0b", 3, SV_NFC, &out, NULL), SV_OK);
    assert_string_equal(out.data, "ab");
    sv_buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fix_unicode),  cmocka_unit_test(test_unescape),  cmocka_unit_test(test_openai),   cmocka_unit_test(test_entity_table),
        cmocka_unit_test(test_normal_form),  cmocka_unit_test(test_bad_input), cmocka_unit_test(test_nul_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
