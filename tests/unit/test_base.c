/* The base layer: strings, UTF-8, paths, files, options, canonical JSON, queues and parallel loops. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/hash_cache.h"
#include "base/options.h"
#include "base/thread.h"
#include "base/utf8.h"

static void test_utf8(void **state) {
    static const struct { const char *bytes; size_t n, valid; } rows[] = {
        {"abc", 3, 3}, {"\xC3\xA9", 2, 2}, {"\xE2\x82\xAC!", 4, 4}, {"\xF0\x9F\x98\x8A", 4, 4},
        {"a\xC0\x80", 3, 1},            /* overlong NUL */
        {"\xE0\x9F\xBF", 3, 0},         /* overlong */
        {"\xED\xA0\x80", 3, 0},         /* surrogate */
        {"\xF4\x90\x80\x80", 4, 0},     /* past U+10FFFF */
        {"ok\xE2\x82", 4, 2},           /* cut short */
        {"12345678\xFF", 9, 8}, {"\x80", 1, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) assert_int_equal(sv_utf8_valid(rows[i].bytes, rows[i].n), rows[i].valid);
    for (uint32_t cp = 0; cp < 0x110000; cp += 7) {
        if (cp >= 0xD800 && cp <= 0xDFFF) continue;
        char bytes[4];
        uint32_t back;
        int n = sv_utf8_encode(cp, bytes);
        assert_int_equal(sv_utf8_decode(bytes, (size_t)n, &back), n);
        assert_int_equal(back, cp);
        if (n > 1) assert_int_equal(sv_utf8_decode(bytes, (size_t)n - 1, &back), 0);
    }
}

static void test_strings(void **state) {
    sv_buf b = {0};
    sv_buf_printf(&b, "%d-%s", 5, "x");
    sv_buf_putc(&b, 'y');
    assert_string_equal(b.data, "5-xy");
    sv_buf_clear(&b);
    assert_int_equal(b.size, 0);
    sv_buf_free(&b);
    char text[32];
    assert_string_equal(sv_real_text(0.1, text), "0.1");
    assert_string_equal(sv_real_text(5, text), "5");
    double third = 1.0 / 3;
    assert_true(strtod(sv_real_text(third, text), NULL) == third);
    static const char *const words[] = {"steps", "seed", "guidance"};
    assert_string_equal(sv_nearest("stpes", words, 3), "steps");
    assert_string_equal(sv_nearest("Guidanse", words, 3), "guidance");
    assert_null(sv_nearest("photograph", words, 3));
}

static void test_errors_keep_whole_characters(void **state) {
    sv_error err;
    char what[700] = "";
    for (int i = 0; i < 160; i++) memcpy(what + i * 3, "\xE2\x82\xAC", 4);
    assert_int_equal(sv_fail(&err, SV_E_INPUT, what, "why %d", 3), SV_E_INPUT);
    assert_int_equal(sv_utf8_valid(err.what, strlen(err.what)), strlen(err.what));
    assert_int_equal(sv_hint(&err, SV_E_INPUT, "hint"), SV_E_INPUT);
    sv_fail(&err, SV_E_IO, err.what, "again");   /* its own text as the subject */
    assert_string_equal(err.why, "again");
    assert_string_equal(err.hint, "");
    for (int s = SV_OK; s <= SV_E_INTERNAL; s++) assert_true(sv_status_exit(s) >= 0 && strcmp(sv_status_name(s), "unknown") != 0);
}

static void test_names_from_data_stay_inside(void **state) {
    static const char *const good[] = {"a.png", "00000/000000001.jpg", "a b", "..a", "a..", "./a"};
    static const char *const bad[] = {"", "/etc/x", "..", "../a", "a/../b", "a/..", "a\nb", "a\\b", "dir/"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) assert_true(sv_path_is_inside(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(sv_path_is_inside(bad[i]));
}

static void check_relative(const char *path, const char *from, const char *expected) {
    char *r = sv_path_relative(path, from);
    assert_non_null(r);
    assert_string_equal(r, expected);
    free(r);
}

static void test_paths_and_files(void **state) {
    char root[] = "/tmp/sv-base-XXXXXX";
    assert_non_null(mkdtemp(root));
    char *here = realpath(root, NULL), *deep = sv_path_join(here, "a/b/c"), *file = sv_path_join(deep, "f.txt"), *other = sv_path_join(here, "x/y"), *data;
    char *sibling = sv_path_join(here, "ab");
    size_t size;
    sv_error err;
    assert_int_equal(sv_dir_make(deep, &err), SV_OK);
    assert_int_equal(sv_dir_make(deep, &err), SV_OK);
    assert_int_equal(sv_file_write_atomic(file, "hello", 5, &err), SV_OK);
    assert_int_equal(sv_file_write_atomic(file, "bye", 3, &err), SV_OK);
    assert_int_equal(sv_file_read(file, 0, &data, &size, &err), SV_OK);
    assert_string_equal(data, "bye");
    free(data);
    assert_int_equal(sv_file_read(file, 2, &data, &size, &err), SV_E_INPUT);
    assert_int_equal(sv_file_read(deep, 0, &data, &size, &err), SV_E_INPUT);
    assert_int_not_equal(sv_dir_make(file, &err), SV_OK);   /* a file is in the way */
    check_relative(file, here, "a/b/c/f.txt");
    check_relative(here, deep, "../../..");
    check_relative(other, deep, "../../../x/y");            /* does not exist yet */
    check_relative(sibling, deep, "../../../ab");           /* a common prefix that is no common directory */
    check_relative(deep, deep, ".");
    assert_int_equal(sv_dir_empty(here, &err), SV_OK);
    assert_false(sv_file_exists(deep));
    assert_int_equal(rmdir(here), 0);
    free(here);
    free(deep);
    free(file);
    free(other);
    free(sibling);
}

typedef struct sample {
    bool on;
    int64_t count, bytes, workers;
    double ratio;
    char *name, *path, *any;
    int kind;
    int32_t size[2];
} sample;
static const sv_option table[] = {
    {"on", SV_OPT_BOOL, offsetof(sample, on), "true"},
    {"count", SV_OPT_INT, offsetof(sample, count), "null", .nullable = true, .min = 1, .max = 9},
    {"bytes", SV_OPT_BYTES, offsetof(sample, bytes), "1GB"},
    {"workers", SV_OPT_AUTO_INT, offsetof(sample, workers), "auto", .min = 1, .max = 64},
    {"ratio", SV_OPT_REAL, offsetof(sample, ratio), "0.25", .nullable = true, .min = 0, .max = 1},
    {"name", SV_OPT_STRING, offsetof(sample, name), "it"},
    {"path", SV_OPT_PATH, offsetof(sample, path), "null", .nullable = true},
    {"any", SV_OPT_JSON, offsetof(sample, any), "null", .nullable = true},
    {"kind", SV_OPT_CHOICE, offsetof(sample, kind), "raw", .choices = "raw|2.5"},
    {"size", SV_OPT_SIZE, offsetof(sample, size), "null", .nullable = true},
    {"soon", SV_OPT_JSON, 0, "null", .later = true},
    {0}};

static sv_status read_json(const char *json, sample *out, sv_error *err) {
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    assert_non_null(doc);
    memset(out, 0, sizeof *out);
    sv_status st = sv_options_read(table, yyjson_doc_get_root(doc), "here", "/base", out, err);
    yyjson_doc_free(doc);
    return st;
}

static void test_options(void **state) {
    sample s;
    sv_error err;
    assert_int_equal(read_json("{}", &s, &err), SV_OK);
    assert_true(s.on && s.count == INT64_MIN && s.bytes == 1000000000 && s.workers == 0 && s.ratio == 0.25 && s.kind == 0 && s.size[0] == 0 && !s.path && !s.any);
    assert_string_equal(s.name, "it");
    sv_options_free(table, &s);

    assert_int_equal(read_json("{\"on\":false,\"count\":9,\"bytes\":\"1.5 MiB\",\"workers\":3,\"ratio\":1,\"name\":\"n\",\"path\":\"p/q\",\"any\":[1,"
        "{\"a\":2}],\"kind\":2.5,"
                               "\"size\":\"64x32\"}", &s, &err), SV_OK);
    assert_true(!s.on && s.count == 9 && s.bytes == 1572864 && s.workers == 3 && s.ratio == 1 && s.kind == 1 && s.size[0] == 64 && s.size[1] == 32);
    assert_string_equal(s.path, "/base/p/q");
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, o);
    assert_true(sv_options_write(table, &s, "/base", doc, o));
    char *text = yyjson_mut_write(doc, 0, NULL);
    assert_string_equal(text, "{\"on\":false,\"count\":9,\"bytes\":1572864,\"workers\":3,\"ratio\":1.0,\"name\":\"n\",\"path\":\"p/q\",\"any\":[1,"
        "{\"a\":2}],\"kind\":\"2.5\","
                              "\"size\":\"64x32\"}");
    free(text);
    yyjson_mut_doc_free(doc);
    sv_options_free(table, &s);

    static const struct { const char *json, *what, *says; } bad[] = {
        {"{\"cuont\":1}", "here.cuont", "count"},
        {"{\"count\":0}", "here.count", "from 1 to 9"},
        {"{\"count\":1.5}", "here.count", "integer"},
        {"{\"count\":\"3\"}", "here.count", "integer"},
        {"{\"on\":1}", "here.on", "true or false"},
        {"{\"on\":null}", "here.on", "null"},
        {"{\"ratio\":1.01}", "here.ratio", "0 to 1"},
        {"{\"name\":7}", "here.name", "text"},
        {"{\"bytes\":\"many\"}", "here.bytes", "size"},
        {"{\"workers\":\"all\"}", "here.workers", "auto"},
        {"{\"kind\":\"half\"}", "here.kind", "raw, 2.5"},
        {"{\"size\":\"64\"}", "here.size", "WIDTHxHEIGHT"},
        {"{\"size\":\"0x9\"}", "here.size", "WIDTHxHEIGHT"},
        {"{\"soon\":1}", "here.soon", "not available"},
        {"{\"on\":true,\"on\":false}", "here.on", "twice"},
        {"[1]", "here", "mapping"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char all[2048];
        assert_int_equal(read_json(bad[i].json, &s, &err), SV_E_RECIPE);
        assert_string_equal(err.what, bad[i].what);
        sv_error_text(&err, all, sizeof all);
        if (!strstr(all, bad[i].says)) fail_msg("\"%s\" does not say \"%s\"", all, bad[i].says);
    }
}

static void test_canonical_json(void **state) {
    static const char text[] = "{ \"b\" : [1, 2.0, 1e2, -3, true, null], \"a\": {\"z\":\"\\u0041\\n\", \"y\":0.1} }";
    yyjson_doc *doc = yyjson_read(text, sizeof text - 1, 0);
    char *json = sv_json_canonical(yyjson_doc_get_root(doc));
    assert_string_equal(json, "{\"a\":{\"y\":0.1,\"z\":\"A\\u000a\"},\"b\":[1,2,100,-3,true,null]}");
    free(json);
    yyjson_doc_free(doc);
}

static void test_hashes(void **state) {
    char hex[SV_SHA256_HEX];
    uint8_t raw[32], streamed[32];
    sv_sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sv_sha256_stream *s = sv_sha256_begin();
    sv_sha256_more(s, "a", 1);
    sv_sha256_more(s, "bc", 2);
    sv_sha256_end(s, streamed);
    sv_sha256("abc", 3, raw);
    assert_memory_equal(raw, streamed, 32);
    char md5[33];
    sv_md5("abc", 3, raw);
    sv_hex(raw, 16, md5);
    assert_string_equal(md5, "900150983cd24fb0d6963f7d28e17f72");
}

static void test_remembered_hashes(void **state) {
    char root[] = "/tmp/sv-cache-XXXXXX", a[SV_SHA256_HEX], b[SV_SHA256_HEX];
    assert_non_null(mkdtemp(root));
    setenv("XDG_CACHE_HOME", root, 1);
    char *file = sv_path_join(root, "model.onnx"), *notes = sv_path_join(root, "synthvlm");
    size_t size = (size_t)2 << 20;
    char *data = calloc(1, size);
    sv_error err;
    assert_int_equal(sv_file_write_atomic(file, data, size, &err), SV_OK);
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(sv_sha256_file_cached(file, a, &err), SV_OK);
    assert_false(sv_file_exists(notes));                 /* too young to be noted */
    assert_int_equal(utimensat(AT_FDCWD, file, old, 0), 0);
    assert_int_equal(sv_sha256_file_cached(file, b, &err), SV_OK);
    assert_string_equal(a, b);
    assert_true(sv_file_exists(notes));
    assert_int_equal(sv_sha256_file_cached(file, b, &err), SV_OK);
    assert_string_equal(a, b);
    data[5] = 1;                                         /* another content, and a new inode even if the clock says the same */
    assert_int_equal(sv_file_write_atomic(file, data, size, &err), SV_OK);
    assert_int_equal(utimensat(AT_FDCWD, file, old, 0), 0);
    assert_int_equal(sv_sha256_file_cached(file, b, &err), SV_OK);
    assert_string_not_equal(a, b);
    unsetenv("XDG_CACHE_HOME");
    assert_int_equal(sv_dir_empty(root, &err), SV_OK);
    rmdir(root);
    free(data);
    free(file);
    free(notes);
}

static void *produce(void *arg) {
    static int numbers[1000];
    for (int i = 0; i < 1000; i++) {
        numbers[i] = i + 1;
        sv_queue_push(arg, &numbers[i]);
    }
    sv_queue_end(arg);
    return NULL;
}

static void test_queue(void **state) {
    sv_queue *q = sv_queue_open(7);
    pthread_t t;
    pthread_create(&t, NULL, produce, q);
    int sum = 0, last = 0;
    for (int *v; (v = sv_queue_pop(q));) {
        assert_int_equal(*v, last + 1);
        last = *v;
        sum += *v;
    }
    pthread_join(t, NULL);
    assert_int_equal(sum, 500500);
    assert_false(sv_queue_push(q, &sum));
    assert_null(sv_queue_pop_for(q, 0.01));
    sv_queue_close(&q);
    assert_null(q);
    q = sv_queue_open(1);
    double begin = sv_now();
    assert_null(sv_queue_pop_for(q, 0.05));
    assert_true(sv_now() - begin >= 0.045);
    sv_queue_close(&q);
}

static sv_status mark(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    for (size_t i = begin; i < end; i++) ((unsigned char *)user)[i]++;
    return SV_OK;
}

static sv_status fail_some(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    if (begin >= 500) return sv_fail(err, SV_E_INPUT, "row", "%zu", begin);
    return SV_OK;
}

static void test_parallel(void **state) {
    unsigned char seen[10007] = {0};
    sv_error err;
    assert_int_equal(sv_parallel(5, sizeof seen, 13, mark, seen, &err), SV_OK);
    for (size_t i = 0; i < sizeof seen; i++) assert_int_equal(seen[i], 1);
    assert_int_equal(sv_parallel(3, 100000, 100, fail_some, NULL, &err), SV_E_INPUT);
    assert_string_equal(err.why, "500");   /* the lowest chunk that failed */
    assert_int_equal(sv_parallel(4, 0, 1, fail_some, NULL, &err), SV_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8), cmocka_unit_test(test_strings), cmocka_unit_test(test_errors_keep_whole_characters),
            cmocka_unit_test(test_names_from_data_stay_inside),
        cmocka_unit_test(test_paths_and_files), cmocka_unit_test(test_options), cmocka_unit_test(test_canonical_json), cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_remembered_hashes), cmocka_unit_test(test_queue), cmocka_unit_test(test_parallel)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
