/* verify: good datasets have no fault, and every kind of damage is found, named and counted once. */
#include <archive.h>
#include <archive_entry.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/hash.h"
#include "stages/export/export.h"
#include "synthvlm/dataset.h"
#include "synthvlm/image.h"

#define PAIRS 4

static char root[64];
static uint8_t *image;                      /* a small JPEG */
static size_t image_size;
static sv_verify_report report;

static char *at(const char *name) {
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", root, name);
    return path[turn];
}

static void put(const char *name, const void *data, size_t size) { assert_int_equal(sv_file_write_atomic(at(name), data, size, NULL), SV_OK); }

static void export_as(const char *format, const char *options) {
    const sv_export_facts facts = {.name = "test", .seed = 1, .run_dir = root};
    sv_export *x;
    assert_int_equal(sv_export_open(&x, at("dataset"), sv_export_find(format), options, &facts, NULL), SV_OK);
    for (int i = 0; i < PAIRS; i++) {
        char id[16], text[32];
        snprintf(id, sizeof id, "id%d", i);
        snprintf(text, sizeof text, "Caption number %d.", i);
        const sv_pick pick = {.rank = i + 1, .number = i + 1, .seed = 7, .id = id, .text = text, .original = text, .file = "image.jpg", .width = 16,
                              .height = 16, .origin = "", .license = ""};
        assert_int_equal(sv_export_add(x, &pick, NULL), SV_OK);
    }
    assert_int_equal(sv_export_finish(x, NULL, NULL), SV_OK);
    sv_export_close(&x);
}

static int set_up(void **state) {
    (void)state;
    snprintf(root, sizeof root, "/tmp/synthvlm-verify-XXXXXX");
    if (!mkdtemp(root)) return -1;
    sv_image im = {0};
    sv_encode_options o;
    if (sv_image_alloc(&im, 16, 16, SV_MODE_RGB, NULL) != SV_OK) return -1;
    for (int i = 0; i < 16 * 16 * 3; i++) im.data[i] = (uint8_t)(i * i);
    sv_encode_options_init(&o, SV_FORMAT_JPEG);
    if (sv_image_encode(&im, &o, &image, &image_size, NULL) != SV_OK) return -1;
    sv_image_free(&im);
    put("image.jpg", image, image_size);
    export_as("llava", "{}");
    export_as("webdataset", "{\"shard_count\": 2}");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    free(image);
    return sv_dir_empty(root, NULL) == SV_OK && rmdir(root) == 0 ? 0 : -1;
}

static void expect(const char *path, sv_fault fault, int64_t count) {
    sv_error err = {0};
    sv_status st = sv_verify(at(path), NULL, &report, &err);
    if (st != SV_SHORT || report.count[fault] != count) {
        fail_msg("%s: status %d, %s %lld instead of %lld (%s)", path, st, sv_fault_name(fault), (long long)report.count[fault], (long long)count,
                 err.why);
    }
    assert_true(report.named[fault][0].where[0]);
    assert_true(report.named[fault][0].why[0]);
}

static void expect_good(const char *path, const char *format, int64_t pairs) {
    sv_error err = {0};
    if (sv_verify(at(path), NULL, &report, &err) != SV_OK) {
        for (int f = 0; f < SV_FAULT_COUNT; f++)
            if (report.count[f]) fail_msg("%s: %s: %s", path, report.named[f][0].where, report.named[f][0].why);
        fail_msg("%s: %s", path, err.why);
    }
    assert_string_equal(report.format, format);
    assert_int_equal(report.pairs, pairs);
}

/* Changes a file: cut to `size` bytes (negative: so many less), then byte `flip` inverted if it is not negative. */
static void damage(const char *name, long size, long flip) {
    char *data;
    size_t n;
    assert_int_equal(sv_file_read(at(name), 0, &data, &n, NULL), SV_OK);
    if (size < 0) n -= (size_t)-size;
    else if (size > 0) n = (size_t)size;
    if (flip >= 0) data[flip] = (char)~data[flip];
    assert_int_equal(unlink(at(name)), 0);   /* not through a hard link to the run's image */
    put(name, data, n);
    free(data);
}

static void good_datasets(void **state) {
    (void)state;
    expect_good("dataset/llava", "llava", PAIRS);
    assert_int_equal(report.images, PAIRS);
    assert_int_equal(report.files, PAIRS + 4);
    expect_good("dataset/webdataset", "webdataset", PAIRS);
    assert_int_equal(report.images, PAIRS);
    expect_good("dataset/webdataset/00001.tar", "webdataset", 2);
    expect_good("dataset/llava/llava.json", "llava", PAIRS);
}

static void damaged_files(void **state) {
    (void)state;
    damage("dataset/llava/images/00000/000000001.jpg", -20, -1);
    expect("dataset/llava", SV_FAULT_BROKEN_IMAGE, 1);
    assert_int_equal(report.count[SV_FAULT_HASH], 1);
    assert_int_equal(unlink(at("dataset/llava/images/00000/000000002.jpg")), 0);
    expect("dataset/llava", SV_FAULT_MISSING_IMAGE, 1);
    assert_int_equal(report.count[SV_FAULT_MISSING_FILE], 1);
    put("dataset/llava/images/extra.txt", "x", 1);
    expect("dataset/llava", SV_FAULT_STRAY_FILE, 1);
    damage("dataset/llava/llava.json", -4, -1);
    expect("dataset/llava", SV_FAULT_JSON, 1);
    assert_int_equal(unlink(at("dataset/llava/SHA256SUMS")), 0);
    expect("dataset/llava", SV_FAULT_MANIFEST, 2);   /* no SHA256SUMS; another number of pairs than dataset.json says */
}

static void faulty_manifests(void **state) {
    (void)state;
    char *sums;
    size_t size;
    sv_buf b = {0};
    assert_int_equal(sv_file_read(at("dataset/llava/SHA256SUMS"), 0, &sums, &size, NULL), SV_OK);
    sv_buf_printf(&b, "%snot a sum\n%064d  ../outside\n%064d *absent\n", sums, 0, 0);
    put("dataset/llava/SHA256SUMS", b.data, b.size);
    expect("dataset/llava", SV_FAULT_MANIFEST, 1);
    assert_int_equal(report.count[SV_FAULT_PATH], 1);
    assert_int_equal(report.count[SV_FAULT_MISSING_FILE], 1);
    assert_int_equal(report.faults, 3);
    sv_buf_free(&b);
    free(sums);
}

/* A LLaVA file of one good entry and one that is the case. */
static void llava_entries(void **state) {
    (void)state;
#define HUMAN "{\"from\":\"human\",\"value\":\"What?\\n<image>\"}"
#define GPT "{\"from\":\"gpt\",\"value\":\"A ball.\"}"
    static const struct { const char *entry; sv_fault fault; } cases[] = {
        {"{\"id\":\"1\",\"image\":\"a.jpg\",\"conversations\":[" HUMAN "," GPT "]}", SV_FAULT_DUPLICATE},
        {"{\"id\":2,\"image\":\"a.jpg\",\"conversations\":[" HUMAN "," GPT "]}", SV_FAULT_JSON},
        {"\"text\"", SV_FAULT_JSON},
        {"{\"id\":\"2\",\"image\":\"b.jpg\",\"conversations\":[" HUMAN "," GPT "]}", SV_FAULT_MISSING_IMAGE},
        {"{\"id\":\"2\",\"conversations\":[" HUMAN "," GPT "]}", SV_FAULT_MISSING_IMAGE},
        {"{\"id\":\"2\",\"image\":\"../a.jpg\",\"conversations\":[" HUMAN "," GPT "]}", SV_FAULT_PATH},
        {"{\"id\":\"2\",\"image\":\"/etc/hostname\",\"conversations\":[" HUMAN "," GPT "]}", SV_FAULT_PATH},
        {"{\"id\":\"2\",\"image\":\"a.jpg\",\"conversations\":[" HUMAN "]}", SV_FAULT_TURNS},
        {"{\"id\":\"2\",\"image\":\"a.jpg\",\"conversations\":[" GPT "," HUMAN "]}", SV_FAULT_TURNS},
        {"{\"id\":\"2\",\"image\":\"a.jpg\",\"conversations\":[" HUMAN "," GPT "," HUMAN "]}", SV_FAULT_TURNS},
        {"{\"id\":\"2\",\"image\":\"a.jpg\"}", SV_FAULT_TURNS},
        {"{\"id\":\"2\",\"image\":\"a.jpg\",\"conversations\":[{\"from\":\"human\",\"value\":\"What?\"}," GPT "]}", SV_FAULT_IMAGE_TOKEN},
        {"{\"id\":\"2\",\"image\":\"a.jpg\",\"conversations\":[{\"from\":\"human\",\"value\":\"<image><image>\"}," GPT "]}", SV_FAULT_IMAGE_TOKEN},
        {"{\"id\":\"2\",\"image\":\"a.jpg\",\"conversations\":[" HUMAN ",{\"from\":\"gpt\",\"value\":\"an <image>\"}]}", SV_FAULT_IMAGE_TOKEN},
        {"{\"id\":\"2\",\"image\":\"a.jpg\",\"conversations\":[" HUMAN ",{\"from\":\"gpt\",\"value\":\" \\n\"}]}", SV_FAULT_CAPTION},
        {"{\"id\":\"2\",\"image\":\"broken.jpg\",\"conversations\":[" HUMAN "," GPT "]}", SV_FAULT_BROKEN_IMAGE},
    };
    assert_int_equal(mkdir(at("own"), 0755), 0);
    put("own/a.jpg", image, image_size);
    put("own/broken.jpg", image, image_size / 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sv_buf b = {0};
        sv_buf_printf(&b, "[{\"id\":\"1\",\"image\":\"a.jpg\",\"conversations\":[" HUMAN "," GPT "]},\n%s]", cases[i].entry);
        put("own/any.json", b.data, b.size);
        sv_buf_free(&b);
        expect("own", cases[i].fault, 1);
        assert_int_equal(report.faults, 1);
        assert_int_equal(report.pairs, 2);
    }
}

static void damaged_shards(void **state) {
    (void)state;
    static const struct { long size, flip; } cases[] = {{1, -1}, {100, -1}, {511, -1}, {-512, -1}, {-1024, -1}, {-1025, -1}, {0, 0}, {0, 130},
                                                        {0, 150}};
    char *good;
    size_t n;
    assert_int_equal(sv_file_read(at("dataset/webdataset/00000.tar"), 0, &good, &n, NULL), SV_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put("x.tar", good, n);
        damage("x.tar", cases[i].size, cases[i].flip);
        expect("x.tar", SV_FAULT_ARCHIVE, 1);
    }
    put("x.tar", "", 0);
    expect("x.tar", SV_FAULT_ARCHIVE, 1);
    put("x.tar", good, n);
    damage("x.tar", 0, 512 + 250);           /* inside the first image: its pair says which image it means */
    assert_int_equal(sv_verify(at("x.tar"), NULL, &report, NULL), SV_SHORT);
    assert_true(report.count[SV_FAULT_BROKEN_IMAGE] >= 1);
    put("dataset/webdataset/00002.tar", good, n);
    expect("dataset/webdataset", SV_FAULT_DUPLICATE, 2);
    assert_int_equal(report.count[SV_FAULT_STRAY_FILE], 1);
    assert_int_equal(report.count[SV_FAULT_MANIFEST], 1);
    free(good);
}

typedef struct file {
    const char *name, *data;                 /* data NULL: the image; "half": half of it */
} file;

/* Writes other people's shards with libarchive: pax headers with fractional times, long names, compression. */
static void write_shard(const char *name, bool gzip, const file *files, size_t count) {
    struct archive *a = archive_write_new();
    if (gzip) archive_write_add_filter_gzip(a);
    archive_write_set_format_pax(a);
    assert_int_equal(archive_write_open_filename(a, at(name)), ARCHIVE_OK);
    for (size_t i = 0; i < count; i++) {
        struct archive_entry *e = archive_entry_new();
        const char *data = files[i].data ? files[i].data : (const char *)image;
        size_t size = files[i].data && strcmp(files[i].data, "half") != 0 ? strlen(files[i].data) : image_size;
        if (files[i].data && strcmp(files[i].data, "half") == 0) data = (const char *)image, size = image_size / 2;
        archive_entry_set_pathname(e, files[i].name);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_perm(e, 0644);
        archive_entry_set_mtime(e, 1700000000, 123456789);
        archive_entry_set_size(e, (la_int64_t)size);
        assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
        assert_int_equal(archive_write_data(a, data, size), size);
        archive_entry_free(e);
    }
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

static void foreign_shards(void **state) {
    (void)state;
    char image_name[300], text_name[300];
    memset(image_name, 'd', 220);
    strcpy(image_name + 200, "/sample.JPG");
    memcpy(text_name, image_name, sizeof text_name);
    strcpy(text_name + 200, "/sample.txt");
    const file good[] = {{image_name, NULL}, {text_name, "long name"}, {"b.jpg", NULL}, {"b.json", "{\"caption\": \"from json\"}"}, {"b.cls", "3"},
                         {"b.seg.jpg", NULL}};
    for (int gzip = 0; gzip < 2; gzip++) {
        write_shard(gzip ? "x.tar.gz" : "x.tar", gzip, good, 6);
        expect_good(gzip ? "x.tar.gz" : "x.tar", "webdataset", 2);
        assert_int_equal(report.images, 3);
    }
    damage("x.tar.gz", -30, -1);
    expect("x.tar.gz", SV_FAULT_ARCHIVE, 1);
    static const struct { file files[4]; sv_fault fault; } cases[] = {
        {{{"a.jpg", NULL}}, SV_FAULT_CAPTION},
        {{{"a.jpg", NULL}, {"a.txt", " "}}, SV_FAULT_CAPTION},
        {{{"a.jpg", NULL}, {"a.txt", "\xFF"}}, SV_FAULT_CAPTION},
        {{{"a.txt", "x"}}, SV_FAULT_MISSING_IMAGE},
        {{{"a.jpg", "half"}, {"a.txt", "x"}}, SV_FAULT_BROKEN_IMAGE},
        {{{"a.jpg", "text"}, {"a.txt", "x"}}, SV_FAULT_BROKEN_IMAGE},
        {{{"a.jpg", NULL}, {"a.txt", "x"}, {"a.json", "{"}}, SV_FAULT_JSON},
        {{{"a.jpg", NULL}, {"a.JPG", NULL}, {"a.txt", "x"}}, SV_FAULT_DUPLICATE},
        {{{"../a.jpg", NULL}}, SV_FAULT_PATH},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = 0;
        while (n < 4 && cases[i].files[n].name) n++;
        write_shard("x.tar", false, cases[i].files, n);
        expect("x.tar", cases[i].fault, 1);
        assert_int_equal(report.faults, 1);
    }
}

/* Of many faults of a kind the first ones are named, whichever thread found them. */
static void the_first_faults_are_named(void **state) {
    (void)state;
    sv_buf b = {0};
    assert_int_equal(mkdir(at("own"), 0755), 0);
    for (int i = 0; i < 500; i++) sv_buf_printf(&b, "%c{\"id\":\"%d\",\"image\":\"%d.jpg\",\"conversations\":[" HUMAN "," GPT "]}", i ? ',' : '[',
                                                i, i);
    sv_buf_putc(&b, ']');
    put("own/any.json", b.data, b.size);
    sv_buf_free(&b);
    expect("own", SV_FAULT_MISSING_IMAGE, 500);
    for (int i = 0; i < SV_FAULTS_NAMED; i++) {
        char where[64];
        snprintf(where, sizeof where, "any.json entry %d, id %d", i, i);
        assert_string_equal(report.named[SV_FAULT_MISSING_IMAGE][i].where, where);
    }
}

static void what_is_no_dataset(void **state) {
    (void)state;
    sv_error err = {0};
    assert_int_equal(sv_verify(at("nothing"), NULL, &report, &err), SV_E_INPUT);
    assert_int_equal(sv_verify(root, NULL, &report, &err), SV_E_INPUT);
    put("ledger.sqlite", "x", 1);
    assert_int_equal(sv_verify(root, NULL, &report, &err), SV_E_INPUT);
    assert_non_null(strstr(err.why, "is a run directory"));
    put("object.json", "{}", 2);
    assert_int_equal(sv_verify(at("object.json"), NULL, &report, &err), SV_E_INPUT);
    volatile int stop = 1;
    const sv_verify_options o = {.stop = &stop};
    assert_int_equal(sv_verify(at("dataset/llava"), &o, &report, &err), SV_E_STOPPED);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(good_datasets), TEST(damaged_files), TEST(faulty_manifests), TEST(llava_entries), TEST(damaged_shards),
                                       TEST(foreign_shards), TEST(the_first_faults_are_named), TEST(what_is_no_dataset)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
