/* test_perplexity.c - pieces, scores and perplexity against sentencepiece, KenLM and Data-Juicer (tests/golden/language-model), and broken models. */
#include "golden.h"

#include <stdio.h>
#include <unistd.h>

#include "text/models/kenlm.h"
#include "text/models/perplexity.h"
#include "text/tokenizer/sentencepiece.h"

#define GOLDEN "tests/golden/language-model/"

static char scratch[] = "/tmp/test_perplexity.XXXXXX";

/* ---- SentencePiece ---- */

static void test_pieces(void **state) {
    golden g = golden_read(GOLDEN "pieces.jsonl");
    sv_spm *m = NULL;
    char open[64] = "";
    sv_buf got = {0}, want = {0};
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *line = golden_at(&g, i), *piece;
        sv_error err = {0};
        if (strcmp(open, golden_str(line, "model")) != 0) {
            sv_buf path = {0};
            snprintf(open, sizeof open, "%s", golden_str(line, "model"));
            sv_buf_printf(&path, GOLDEN "%s", open);
            sv_spm_close(&m);
            if (sv_spm_open(&m, path.data, &err) != SV_OK) fail_msg("%s: %s", err.what, err.why);
            sv_buf_free(&path);
        }
        sv_buf_clear(&want);
        size_t k, n;
        yyjson_arr_foreach(golden_get(line, "pieces"), k, n, piece) {
            if (k) sv_buf_putc(&want, ' ');
            sv_buf_add(&want, yyjson_get_str(piece), yyjson_get_len(piece));
        }
        assert_int_equal(sv_spm_encode(m, golden_str(line, "text"), golden_len(line, "text"), &got, &err), SV_OK);
        if (got.size != want.size || (got.size && memcmp(got.data, want.data, got.size) != 0))
            fail_msg("%s, line %zu: \"%s\" instead of \"%s\"", open, i + 1, got.data, want.data);
    }
    sv_spm_close(&m);
    sv_buf_free(&got);
    sv_buf_free(&want);
    golden_free(&g);
}

/* ---- KenLM ---- */

/* Scores a line word by word and as a whole; every float must be KenLM's. */
static void check_line(const sv_kenlm *m, const char *name, yyjson_val *line, yyjson_val *want) {
    const char *text = golden_str(line, "line");
    size_t size = golden_len(line, "line"), i, n;
    float total = sv_kenlm_score(m, text, size);
    if (total != (float)golden_num(want, "total")) fail_msg("%s: \"%s\" scores %.9g instead of %.9g", name, text, (double)total, golden_num(want, "total"));
    sv_kenlm_state states[2];
    sv_kenlm_begin(m, &states[0]);
    yyjson_val *token;
    const char *p = text;
    yyjson_arr_foreach(golden_get(want, "tokens"), i, n, token) {
        const char *word = "</s>";
        size_t length = 4;
        if (i + 1 < n) {
            while (strchr(" \t\n\r\v\f", *p)) p++;
            word = p;
            while (*p && !strchr(" \t\n\r\v\f", *p)) p++;
            length = (size_t)(p - word);
        }
        int matched;
        uint32_t id = sv_kenlm_word(m, word, length);
        float prob = sv_kenlm_step(m, &states[i & 1], id, &states[~i & 1], &matched);
        assert_true(prob == (float)yyjson_get_num(yyjson_arr_get(token, 0)));
        assert_int_equal(matched, yyjson_get_int(yyjson_arr_get(token, 1)));
        assert_int_equal(id == 0, yyjson_get_bool(yyjson_arr_get(token, 2)));
    }
}

static sv_kenlm *open_model(const char *name) {
    char path[256];
    sv_kenlm *m = NULL;
    sv_error err = {0};
    snprintf(path, sizeof path, GOLDEN "%s", name);
    if (sv_kenlm_open(&m, path, &err) != SV_OK) fail_msg("%s: %s", err.what, err.why);
    return m;
}

static void test_scores(void **state) {
    golden g = golden_read(GOLDEN "scores.jsonl");
    sv_kenlm *m = open_model("en.arpa");
    assert_int_equal(sv_kenlm_order(m), 3);
    for (size_t i = 0; i < g.count; i++) check_line(m, "en.arpa", golden_at(&g, i), golden_at(&g, i));
    sv_kenlm_close(&m);
    golden_free(&g);
}

static void test_every_kind(void **state) {
    static const struct {
        const char *file, *kind;
    } kinds[] = {{"small.arpa", "ARPA"},
                 {"small.probing", "probing hash tables"},
                 {"small.rest-probing", "probing hash tables with rest costs"},
                 {"small.trie", "trie"},
                 {"small.quant-trie", "trie with quantization"},
                 {"small.array-trie", "trie with array-compressed pointers"},
                 {"small.quant-array-trie", "trie with quantization and array-compressed pointers"}};
    golden g = golden_read(GOLDEN "small.jsonl");
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        sv_kenlm *m = open_model(kinds[k].file);
        assert_string_equal(sv_kenlm_kind(m), kinds[k].kind);
        assert_int_equal(sv_kenlm_order(m), 4);
        for (size_t i = 0; i < g.count; i++) {
            yyjson_val *want = golden_get(golden_at(&g, i), kinds[k].file);
            check_line(m, kinds[k].file, golden_at(&g, i), yyjson_is_null(want) ? golden_get(golden_at(&g, i), "small.arpa") : want);
        }
        sv_kenlm_close(&m);
    }
    sv_kenlm *m = open_model("small.arpa.gz");
    for (size_t i = 0; i < g.count; i++) check_line(m, "small.arpa.gz", golden_at(&g, i), golden_get(golden_at(&g, i), "small.arpa"));
    sv_kenlm_close(&m);
    golden_free(&g);
}

static void test_perplexity_values(void **state) {
    golden g = golden_read(GOLDEN "perplexity.jsonl");
    sv_perplexity *p = NULL;
    sv_error err = {0};
    if (sv_perplexity_open(&p, GOLDEN "en.sp.model", GOLDEN "en.arpa", &err) != SV_OK) fail_msg("%s: %s", err.what, err.why);
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *line = golden_at(&g, i);
        double got;
        assert_int_equal(sv_perplexity_value(p, golden_str(line, "text"), golden_len(line, "text"), &got, &err), SV_OK);
        if (got != golden_num(line, "perplexity")) fail_msg("line %zu: %.17g instead of %.17g", i + 1, got, golden_num(line, "perplexity"));
    }
    double got = 7;
    assert_int_equal(sv_perplexity_value(p, "", 0, &got, &err), SV_OK);
    assert_true(got == 0);
    assert_int_equal(sv_perplexity_value(p, "a\xff", 2, &got, &err), SV_E_INPUT);
    sv_perplexity_close(&p);
    golden_free(&g);
}

/* ---- broken files ---- */

static char *scratch_path(const char *name) { return sv_path_join(scratch, name); }

static void put(const char *path, const void *data, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void read_golden(const char *name, char **data, size_t *size) {
    char path[256];
    snprintf(path, sizeof path, GOLDEN "%s", name);
    assert_int_equal(sv_file_read(path, 0, data, size, NULL), SV_OK);
}

/* A file that opens is used, too: it may score nonsense, but must stay inside its memory. */
static sv_status try_model(const char *path, sv_error *err) {
    if (sv_str_ends(path, ".model")) {
        sv_spm *m = NULL;
        sv_buf out = {0};
        sv_status st = sv_spm_open(&m, path, err);
        if (st == SV_OK) assert_int_equal(sv_spm_encode(m, "A red dog, <image> caf\xC3\xA9 \xF0\x9F\x98\x8A  cat", 34, &out, err), SV_OK);
        sv_buf_free(&out);
        sv_spm_close(&m);
        return st;
    }
    sv_kenlm *m = NULL;
    sv_status st = sv_kenlm_open(&m, path, err);
    if (st == SV_OK) sv_kenlm_score(m, "w1 w2 w3 w4 w5 w6 w7 zz w8 w9 w10 na\xC3\xAFve w11 w12 w13", 57);
    sv_kenlm_close(&m);
    return st;
}

static const char *const every_file[] = {"bpe-bytes.model", "unigram-suffix.model", "small.arpa",     "small.arpa.gz",    "small.probing",
                                         "small.rest-probing", "small.trie",        "small.quant-trie", "small.array-trie", "small.quant-array-trie"};

static void test_cut_files(void **state) {
    for (size_t k = 0; k < sizeof every_file / sizeof *every_file; k++) {
        char *data, *path = scratch_path(every_file[k]);
        size_t size, refused = 0, tries = 0;
        read_golden(every_file[k], &data, &size);
        for (size_t cut = 0; cut < size; cut += 1 + size / 150) {
            sv_error err = {0};
            put(path, data, cut);
            sv_status st = try_model(path, &err);
            assert_true(st == SV_OK || st == SV_E_MODEL);
            if (st != SV_OK) assert_true(err.why[0] != '\0');
            refused += st != SV_OK;
            tries++;
        }
        /* A binary ends with its words as text, which are not read; a .model cut between two messages is a smaller model. */
        assert_true(refused * 2 > tries || sv_str_ends(path, ".model"));
        if (strstr(path, ".arpa")) assert_int_equal(refused, tries);
        unlink(path);
        free(path);
        free(data);
    }
}

static void test_damaged_files(void **state) {
    uint32_t random = 12345;
    for (size_t k = 0; k < sizeof every_file / sizeof *every_file; k++) {
        char *data, *path = scratch_path(every_file[k]);
        size_t size;
        read_golden(every_file[k], &data, &size);
        for (int i = 0; i < 150; i++) {
            size_t at[3];
            char kept[3];
            for (int j = 0; j < 3; j++) {
                random = random * 1664525u + 1013904223u;
                at[j] = (random >> 8) % (j == 0 && size > 400 ? 400 : size);      /* one of the three near the header */
                kept[j] = data[at[j]];
                data[at[j]] = (char)(random >> 3);
            }
            sv_error err = {0};
            put(path, data, size);
            sv_status st = try_model(path, &err);
            assert_true(st == SV_OK || st == SV_E_MODEL || st == SV_E_MEMORY);
            for (int j = 2; j >= 0; j--) data[at[j]] = kept[j];
        }
        unlink(path);
        free(path);
        free(data);
    }
}

static void expect(const char *path, const char *why) {
    sv_error err = {0};
    if (try_model(path, &err) != SV_E_MODEL) fail_msg("nothing says \"%s\"", why);
    if (!strstr(err.why, why)) fail_msg("\"%s\" does not say \"%s\"", err.why, why);
}

static void test_other_versions(void **state) {
    static const struct {
        const char *file;
        size_t at;
        char put;
        const char *why;
    } changes[] = {
        {"small.probing", 49, '4', "format version 4"},        {"small.probing", 56 + 5, 1, "another kind of machine"}, {"small.trie", 88, 1, "order 1"},
        {"small.trie", 88 + 8, 9, "unknown model type 9"},     {"small.trie", 88 + 16, 7, "trie of version 7"},        {"small.probing", 88 + 16, 2, "version 2"},
        {"small.trie", 88 + 20, (char)0xFF, "cut short"},      {"small.probing", 88 + 7, 0x7F, "multiplier"},
    };
    for (size_t k = 0; k < sizeof changes / sizeof *changes; k++) {
        char *data, *path = scratch_path("changed");
        size_t size;
        read_golden(changes[k].file, &data, &size);
        data[changes[k].at] = changes[k].put;
        put(path, data, size);
        expect(path, changes[k].why);
        unlink(path);
        free(path);
        free(data);
    }
    char *path = scratch_path("unfinished");
    put(path, "mmap lm http://kheafield.com/code incomplete\n", 46);
    expect(path, "never finished");
    unlink(path);
    free(path);
}

static void test_wrong_arpa(void **state) {
#define HEAD "\\data\\\nngram 1=4\nngram 2=1\n\n\\1-grams:\n-1\t<unk>\n-9\t<s>\t-0.1\n-1\t</s>\n-1\ta\t-0.2\n\n\\2-grams:\n"
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "ends"},
        {"hello\n", "\\data\\ was expected"},
        {"iARPA\n", "IRSTLM"},
        {"\\data\\\nngram 2=5\n\n", "2-grams stands where"},
        {"\\data\\\nngram 1=5\n\n\\1-grams:\n", "order 1"},
        {"\\data\\\nngram 1=x\n", "COUNT"},
        {"\\data\\\nngram 1=99999999999\nngram 2=1\n\n", "words"},
        {HEAD "-1\ta b\n\n\\end\\\n", "\"b\" is not among the 1-grams"},
        {HEAD "-1\ta\n\n\\end\\\n", "needs a probability and 2 words"},
        {HEAD "0.5\ta a\n\n\\end\\\n", "positive"},
        {HEAD "x\ta a\n\n\\end\\\n", "no log probability"},
        {HEAD "nan\ta a\n\n\\end\\\n", "no log probability"},
        {HEAD "-1\ta a\t-0.5\n\n\\end\\\n", "cannot have a back-off"},
        {HEAD "-1\ta a\n-1\ta a\n\n\\end\\\n", "counts at the top do not hold"},
        {HEAD "-1\ta a\n", "before \\end\\"},
        {HEAD, "ends after 0 of 1 2-grams"},
        {"\\data\\\nngram 1=3\nngram 2=1\nngram 3=1\n\n\\1-grams:\n-9\t<s>\n-1\t</s>\n-1\ta\n\n\\2-grams:\n-1\ta </s>\n\n"
         "\\3-grams:\n-1\ta a </s>\n\n\\end\\\n", "begins with 2 words"},
        {"\\data\\\nngram 1=2\nngram 2=1\n\n\\1-grams:\n-9\tb\n-1\ta\n\n\\2-grams:\n-1\ta a\n\n\\end\\\n", "lacks <s>"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char *path = scratch_path("wrong.arpa");
        put(path, cases[k].text, strlen(cases[k].text));
        expect(path, cases[k].why);
        unlink(path);
        free(path);
    }
    /* What the faulty ones differ from, with CRLF line ends, comments, and no <unk>: it is -100 then. */
    static const char good[] = "# comment\r\n\r\n\\data\\\r\nngram 1=3\r\nngram 2=1\r\n\r\n"
                               "\\1-grams:\r\n-9\t<s>\t-0.1\r\n-1\t</s>\r\n-1\ta\t-0.25\r\n\r\n\\2-grams:\r\n-0.5\ta a\r\n\r\n"
                               "\\end\\\r\n";
    char *path = scratch_path("good.arpa");
    sv_kenlm *m = NULL;
    sv_error err = {0};
    put(path, good, sizeof good - 1);
    if (sv_kenlm_open(&m, path, &err) != SV_OK) fail_msg("%s", err.why);
    assert_true(sv_kenlm_score(m, "a a", 3) == (-1.0f + -0.1f) + -0.5f + (-1.0f + -0.25f));
    assert_true(sv_kenlm_score(m, "b", 1) == (-100.0f + -0.1f) + -1.0f);
    sv_kenlm_close(&m);
    unlink(path);
    free(path);
}

static void test_wrong_files(void **state) {
    sv_error err = {0};
    sv_spm *spm = NULL;
    sv_kenlm *lm = NULL;
    sv_perplexity *p = NULL;
    assert_int_equal(sv_spm_open(&spm, GOLDEN "en.arpa", &err), SV_E_MODEL);
    assert_int_equal(sv_kenlm_open(&lm, GOLDEN "en.sp.model", &err), SV_E_MODEL);
    assert_int_equal(sv_kenlm_open(&lm, GOLDEN, &err), SV_E_MODEL);
    assert_non_null(strstr(err.why, "directory"));
    assert_int_equal(sv_perplexity_open(&p, GOLDEN "en.sp.model", "/nonexistent/x.arpa", &err), SV_E_MODEL);
    assert_int_equal(sv_perplexity_open(&p, "/nonexistent/x.model", GOLDEN "en.arpa", &err), SV_E_MODEL);
    assert_non_null(strstr(err.why, "no such file"));
    assert_null(p);
    /* A word model: trainer_spec (field 2) with model_type (3) = 3. */
    assert_int_equal(sv_spm_parse(&spm, "\x0A\x03\x0A\x01" "a\x12\x02\x18\x03", 9, "word.model", &err), SV_E_MODEL);
    assert_non_null(strstr(err.why, "word model"));
    assert_int_equal(sv_spm_parse(&spm, "\x0A\x03\x0A\x01" "a", 5, "no-unk.model", &err), SV_E_MODEL);
    assert_non_null(strstr(err.why, "no unknown piece"));
}

static int set_up(void **state) { return mkdtemp(scratch) ? 0 : -1; }
static int tear_down(void **state) { return rmdir(scratch); }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),        cmocka_unit_test(test_scores),         cmocka_unit_test(test_every_kind), cmocka_unit_test(test_perplexity_values),
        cmocka_unit_test(test_cut_files),     cmocka_unit_test(test_damaged_files),  cmocka_unit_test(test_other_versions),
        cmocka_unit_test(test_wrong_arpa),    cmocka_unit_test(test_wrong_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
