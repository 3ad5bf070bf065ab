/* Pools of captions as they are published: arrays that are longer than any buffer, ShareGPT4V, Conceptual Captions, Parquet. */
#include "curating.h"

#include "stages/ingest/duckdb.h"
#include "stages/ingest/ingest.h"

/* 3,000 items with brackets and quotes in their texts, some longer than a block of the file; pretty-printed or not. */
static char *long_array(bool pretty, sv_buf *texts) {
    sv_buf b = {0};
    sv_buf_puts(&b, "[");
    for (int i = 0; i < 3000; i++) {
        sv_buf_printf(&b, "%s%s{\"id\": %d, \"more\": {\"list\": [1, [2, {\"x\": \"}]\"}]], \"s\": \"\\\\\\\"\"}, \"caption\": \"]}[{, \\\"%d\\\" \\\\", i ? "," : "",
                      pretty ? "\n  " : "", i, i);
        sv_buf_printf(texts, "]}[{, \"%d\" \\", i);
        for (int k = 0; k < (i % 500 == 499 ? 300000 : i % 70); k++) {
            sv_buf_puts(&b, "x");
            sv_buf_puts(texts, "x");
        }
        sv_buf_puts(&b, "\"}");
        sv_buf_puts(texts, "\n");
    }
    sv_buf_puts(&b, pretty ? "\n]\n" : "]");
    assert_false(b.failed);
    return b.data;
}

static void arrays_are_read_item_by_item(void **state) {
    sv_curate_report r;
    for (int pretty = 0; pretty < 2; pretty++) {
        sv_buf texts = {0};
        char *array = long_array(pretty, &texts), name[32], source[64];
        snprintf(name, sizeof name, "%d.json", pretty);
        snprintf(source, sizeof source, "{path: %s}", name);
        put(name, array, strlen(array));
        OK(curate(source, "", &r));
        assert_int_equal(r.captions, 3000);
        char *found = rows("SELECT text FROM captions ORDER BY number");
        assert_string_equal(found, texts.data);
        free(found);
        sv_buf coco = {0};
        sv_buf_printf(&coco, "{\"info\": {\"a\": [1, \"]\"]}, \"annotations\": %s, \"images\": [{\"id\": 1, \"file_name\": \"a.jpg\"}]}", array);
        put("coco.json", coco.data, coco.size);
        OK(curate("{path: coco.json}", "", &r));
        assert_int_equal(r.captions, 3000);
        assert_int_equal(r.added, 0);
        assert_int_equal(r.repeated, 3000);
        sv_buf_free(&coco);
        sv_buf_free(&texts);
        free(array);
    }
}

static void broken_arrays(void **state) {
    static const struct { const char *text, *why; } cases[] = {
        {"[{\"caption\": \"a\"}", "cut short"}, {"[{\"caption\": \"a\"} {}]", "comma is missing"}, {"[{\"caption\": \"a\"},, {}]", "value is missing"},
        {"[{\"caption\": \"a\"}] x", "follows its end"}, {"[{\"caption\": \"a\"},]", "value is missing"}, {"[\"abc]", "cut short"}, {"[", "cut short"},
        {"{\"a\": 1}", "does not begin with ["}, {"[]", "no usable row"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sv_curate_report r;
        put("b.json", cases[i].text, strlen(cases[i].text));
        assert_int_equal(curate("{path: b.json, format: json}", "", &r), SV_E_INPUT);
        if (!strstr(err.why, cases[i].why)) fail_msg("%s: %s", cases[i].text, err.why);
    }
    static const struct { const char *text, *why; } coco[] = {
        {"{\"a\": 1}", "no array \"annotations\""}, {"{\"annotations\": {}}", "no array \"annotations\""},
        {"{1: 2}", "key is missing"}, {"{\"a\" 1}", "colon is missing"},
        {"{\"a\": {\"annotations\": [{\"caption\": \"no\"}]}}", "no array \"annotations\""}, {"{\"annotations\": [{\"caption\": \"a\"}], \"b\": [1, 2}", "cut short"},
        {"{\"annotations\": [{\"caption\": \"a\"}]", "cut short"}, {"{\"annotations\": [{\"caption\": \"a\"}]} x", "follows its end"}};
    for (size_t i = 0; i < sizeof coco / sizeof *coco; i++) {
        sv_curate_report r;
        put("b.json", coco[i].text, strlen(coco[i].text));
        assert_int_equal(curate("{path: b.json, format: coco}", "", &r), SV_E_INPUT);
        if (!strstr(err.why, coco[i].why)) fail_msg("%s: %s", coco[i].text, err.why);
    }
}

static void sharegpt4v(void **state) {
    sv_curate_report r;
    static const char text[] =
        "[{\"id\": 1, \"image\": \"a.jpg\", \"conversations\": [{\"from\": \"human\", \"value\": \"hello\"}, {\"from\": \"gpt\", \"value\": \"hi\"},"
        " {\"from\": \"human\", \"value\": \"<image>\\nDescribe it.\"}, {\"from\": \"gpt\", \"value\": \"the caption\"}, {\"from\": \"human\", \"value\": \"more?\"},"
        " {\"from\": \"gpt\", \"value\": \"no\"}]},"
        " {\"id\": 2, \"conversations\": [{\"from\": \"human\", \"value\": \"no picture here\"}, {\"from\": \"gpt\", \"value\": \"indeed\"}]},"
        " {\"id\": 3, \"conversations\": [{\"from\": \"human\", \"value\": \"What is it?\\n<image>\"}]}]";
    put("s.json", text, sizeof text - 1);
    OK(curate("{path: s.json, format: sharegpt4v}", "", &r));
    assert_rows("SELECT id, text FROM captions", "1|the caption\n");
    assert_rows("SELECT line, reason FROM ingest_faults", "2|missing_field\n3|missing_field\n");
    OK(curate("{path: s.json, id: null}", "", &r));              /* as a LLaVA file: the first answer, whatever was asked */
    assert_rows("SELECT text FROM captions WHERE number > 1", "hi\nindeed\n");
}

/* A comma or a tab without quotes around the text would cut the caption. */
static void rows_longer_than_the_first(void **state) {
    sv_curate_report r;
    static const char csv[] = "id,caption\n1,a dog, running\n2,\"a dog, running\"\n3,a cat,,\n4,\"a, b\",c\n", tsv[] = "caption\tid\na dog\t5\na\tdog\t6\n",
                      plain[] = "7,a bird,more\n";
    put("long.csv", csv, sizeof csv - 1);
    put("long.tsv", tsv, sizeof tsv - 1);
    put("plain.csv", plain, sizeof plain - 1);
    OK(curate("{path: long.csv}, {path: long.tsv}, {path: plain.csv, text: \"2\", id: \"1\"}", "", &r));
    assert_rows("SELECT id, text FROM captions ORDER BY number", "2|a dog, running\n3|a cat\n5|a dog\n7|a bird\n");
    assert_rows("SELECT line, reason FROM ingest_faults ORDER BY source, line", "2|extra_field\n5|extra_field\n3|extra_field\n");
}

static void conceptual_captions(void **state) {
    sv_curate_report r;
    static const char cc3m[] = "a dog \"runs\"\thttp://a.b/1\n\"quoted as it is\"\thttps://a.b/2\nno address\n",
                      cc12m[] = "http://a.b/1\ta cat sleeps\r\nhttp://a.b/2\tanother\n";
    put("cc3m.tsv", cc3m, sizeof cc3m - 1);
    put("cc12m.tsv", cc12m, sizeof cc12m - 1);
    OK(curate("{path: cc3m.tsv, format: cc3m}, {path: cc12m.tsv, format: cc12m, id: \"1\"}", "", &r));
    assert_rows("SELECT text FROM captions ORDER BY number", "a dog \"runs\"\n\"quoted as it is\"\na cat sleeps\nanother\n");
    assert_rows("SELECT id FROM captions WHERE number > 2 ORDER BY number", "http://a.b/1\nhttp://a.b/2\n");
    assert_rows("SELECT line, reason FROM ingest_faults", "3|missing_field\n");
    assert_int_equal(curate("{path: cc12m.tsv, format: cc3m}", "", &r), SV_E_INPUT);
    assert_non_null(strstr(err.hint, "cc12m"));
    assert_int_equal(curate("{path: cc3m.tsv, format: cc12m}", "", &r), SV_E_INPUT);
    assert_non_null(strstr(err.hint, "cc3m"));
    put("one.txt", "no tab here\n", 12);
    assert_int_equal(curate("{path: one.txt, format: cc12m}", "", &r), SV_E_INPUT);
    assert_non_null(strstr(err.why, "no tab"));
    assert_int_equal(curate("{path: cc3m.tsv, format: cc3m, image: name}", "", &r), SV_E_INPUT);
    assert_non_null(strstr(err.hint, "position"));
}

/* A lone quote would swallow the rest of a file of any size. */
static void endless_quote(void **state) {
    sv_curate_report r;
    size_t n = ((size_t)65 << 20) + 16;
    char *text = malloc(n);
    assert_non_null(text);
    memset(text, 'x', n);
    memcpy(text, "caption\na \n\"open", 16);
    for (size_t i = 1000; i < n; i += 1000) text[i] = '\n';
    put("q.csv", text, n);
    free(text);
    assert_int_equal(curate("{path: q.csv}", "", &r), SV_E_INPUT);
    assert_non_null(strstr(err.why, "the quote opened on line 3 is not closed within 64 MiB"));
}

static void copy_golden(const char *name, const char *to, size_t size_or_0) {
    char path[160], *data;
    size_t size;
    snprintf(path, sizeof path, "tests/golden/pools/%s", name);
    OK(sv_file_read(path, 0, &data, &size, &err));
    put(to, data, size_or_0 ? size_or_0 : size);
    free(data);
}

static bool has_duckdb(void) {
    const sv_duckdb *duck;
    sv_error why;
    if (sv_duckdb_load(&duck, &why) == SV_OK) return true;
    print_message("Parquet is not tested: %s\n", why.why);
    return false;
}

static void parquet(void **state) {
    sv_curate_report r;
    if (!has_duckdb()) skip();
    copy_golden("captions.parquet", "a.parquet", 0);
    OK(curate("{path: a.parquet}", "", &r));
    assert_int_equal(r.captions, 36);
    assert_int_equal(r.faults, 4);
    assert_rows("SELECT line, reason FROM ingest_faults", "8|null_caption\n18|null_caption\n28|null_caption\n38|null_caption\n");
    assert_rows("SELECT c.id, c.text, c.line, o.origin, o.license FROM captions c JOIN origins o ON o.id = c.origin WHERE number IN (1, 36) ORDER BY number",
                "100|caption 0 |1||CC0-1.0\n139|caption 39 ééééééééé|40|web|CC0-1.0\n");
    copy_golden("bytes.parquet", "b.data", 0);                    /* told by its first bytes; captions that are bytes */
    OK(curate("{path: b.data}", "", &r));
    assert_rows("SELECT text FROM captions WHERE number > 36", "ok\n");
    assert_rows("SELECT line, reason FROM ingest_faults WHERE source = 2", "2|invalid_utf8\n3|nul_character\n");
    OK(curate("{path: a.parquet}", "", &r));
    assert_true(r.idle || r.added == 0);
}

static void parquet_faults(void **state) {
    sv_curate_report r;
    if (!has_duckdb()) skip();
    copy_golden("captions.parquet", "a.parquet", 0);
    copy_golden("captions.parquet", "cut.parquet", 700);
    static const struct { const char *source, *why; } cases[] = {
        {"{path: cut.parquet}", "cannot be read as Parquet"},
        {"{path: a.parquet, text: nope}", "no column \"nope\"; its columns are: id, caption, source, license, tags, meta, file"},
        {"{path: a.parquet, text: tags}", "the column \"tags\" is a list"},
        {"{path: a.parquet, text: meta}", "the column \"meta\" is a struct"},
        {"{path: a.parquet, id: meta}", "the column \"meta\" is a struct"},
        {"{path: none.parquet}", "cannot open"},
        {"{path: \".\", format: parquet}", "is a directory"},
        {"{path: text.parquet}", "cannot be read as Parquet"},
        {"{path: a.parquet.gz, format: parquet}", "packed"}};
    put("text.parquet", "caption\nnot parquet\n", 20);
    put("a.parquet.gz", "\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\x04\0\x43\xbe\xb7\xe8\x01\0\0\0", 21);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(curate(cases[i].source, "", &r), SV_E_INPUT);
        if (!strstr(err.why, cases[i].why)) fail_msg("%s: %s", cases[i].source, err.why);
    }
}

/* Where the library is named and not there, that is said; another is not taken instead. In a process of its own: it is opened once. */
static void no_library(void **state) {
    setenv("SYNTHVLM_DUCKDB", "/nowhere/libduckdb.so", 1);
    const sv_duckdb *duck;
    if (sv_duckdb_load(&duck, &err) == SV_OK) skip();             /* opened by a test before */
    assert_int_equal(err.status, SV_E_LIBRARY);
    assert_non_null(strstr(err.why, "/nowhere/libduckdb.so"));
    assert_non_null(strstr(err.hint, "tools/setup.sh parquet"));
    assert_non_null(strstr(err.hint, "SYNTHVLM_DUCKDB"));
    unsetenv("SYNTHVLM_DUCKDB");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_library, set_up, tear_down),
        cmocka_unit_test_setup_teardown(arrays_are_read_item_by_item, set_up, tear_down),
        cmocka_unit_test_setup_teardown(broken_arrays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sharegpt4v, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_longer_than_the_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(conceptual_captions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(endless_quote, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parquet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parquet_faults, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
