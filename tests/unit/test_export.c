/* Exports: what LLaVA and WebDataset readers expect, equal bytes for equal picks, and an old dataset that survives a failed export. */
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
#include "stages/export/export.h"
#include "synthvlm/image.h"

#define PAIRS 5

static char root[64];                       /* a fresh directory for each test */
static char sums[PAIRS][SV_SHA256_HEX];
static const char *const ids[PAIRS] = {"tt-000000", "tt-000001", "a b \"c\"", "\xC3\xA9", "5"};
static const char *const texts[PAIRS] = {"A red ball.", "A \"blue\" cube\\.", "An <image> of two cones", "Caf\xC3\xA9 \xF0\x9F\x98\x80",
                                         "A\ttab\nand a line"};

static char *at(const char *name) {
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", root, name);
    return path[turn];
}

static int make_run(void **state) {
    (void)state;
    snprintf(root, sizeof root, "/tmp/synthvlm-export-XXXXXX");
    if (!mkdtemp(root) || mkdir(at("images"), 0755) != 0) return -1;
    for (int i = 0; i < PAIRS; i++) {
        sv_image im = {0};
        sv_encode_options o;
        uint8_t *bytes;
        size_t size;
        char name[32];
        assert_int_equal(sv_image_alloc(&im, 16, 8, SV_MODE_RGB, NULL), SV_OK);
        memset(im.data, 40 * i, 16 * 8 * 3);
        sv_encode_options_init(&o, i == 3 ? SV_FORMAT_PNG : SV_FORMAT_JPEG);
        assert_int_equal(sv_image_encode(&im, &o, &bytes, &size, NULL), SV_OK);
        sv_sha256_hex(bytes, size, sums[i]);
        snprintf(name, sizeof name, "images/%d", i);
        assert_int_equal(sv_file_write_atomic(at(name), bytes, size, NULL), SV_OK);
        free(bytes);
        sv_image_free(&im);
    }
    return 0;
}

static int remove_run(void **state) {
    (void)state;
    return sv_dir_empty(root, NULL) == SV_OK && rmdir(root) == 0 ? 0 : -1;
}

/* Exports all pairs; the status of the first step that fails. */
static sv_status export_all(const char *format, const char *options, sv_export_report *report, sv_error *err) {
    const sv_export_setup setups[] = {{"generate", sums[0], "{\"steps\":20}"}, {"score", NULL, NULL}};
    const sv_export_facts facts = {.name = "test", .seed = 42, .run_dir = root, .setups = setups, .setup_count = 2};
    const sv_pick_score scores[] = {{"clip", 0.25}, {"ssim", 0.875}};
    sv_export *x;
    sv_status st = sv_export_open(&x, at("dataset"), sv_export_find(format), options, &facts, err);
    for (int i = 0; i < PAIRS && st == SV_OK; i++) {
        char file[32];
        snprintf(file, sizeof file, "images/%d", i);
        const sv_pick pick = {.rank = i + 1, .number = i + 10, .k = i, .seed = 4000000000u + (unsigned)i, .id = ids[i], .text = texts[i],
                              .original = texts[i], .file = file,
                              .sha256 = sums[i], .width = 16, .height = 8, .score = 0.6875, .scores = scores, .score_count = 2, .origin = "grammar",
                                  .license = i < 4 ? "CC0-1.0" : ""};
        st = sv_export_add(x, &pick, err);
    }
    if (st == SV_OK) st = sv_export_finish(x, report, err);
    sv_export_close(&x);
    return st;
}

static yyjson_doc *read_json(const char *name) {
    yyjson_doc *doc = yyjson_read_file(at(name), 0, NULL, NULL);
    assert_non_null(doc);
    return doc;
}

static void has_no_leftovers(void) {
    assert_false(sv_file_exists(at("dataset/.llava.partial")));
    assert_false(sv_file_exists(at("dataset/.llava.old")));
    assert_false(sv_file_exists(at("dataset/.webdataset.partial")));
}

/* Every line of SHA256SUMS holds, and it lists `files` files. */
static void check_sums(const char *format, int files) {
    char name[128], line[256];
    snprintf(name, sizeof name, "dataset/%s/SHA256SUMS", format);
    FILE *f = fopen(at(name), "r");
    assert_non_null(f);
    int n = 0;
    for (; fgets(line, sizeof line, f); n++) {
        char hex[SV_SHA256_HEX];
        line[strcspn(line, "\n")] = '\0';
        snprintf(name, sizeof name, "dataset/%s/%s", format, line + 66);
        assert_int_equal(sv_sha256_file(at(name), hex, NULL), SV_OK);
        line[64] = '\0';
        assert_string_equal(line, hex);
    }
    fclose(f);
    assert_int_equal(n, files);
}

static void llava_is_what_trainers_read(void **state) {
    (void)state;
    sv_export_report report;
    assert_int_equal(export_all("llava", "{}", &report, NULL), SV_OK);
    assert_int_equal(report.pairs, PAIRS);
    yyjson_doc *doc = read_json("dataset/llava/llava.json");
    yyjson_val *list = yyjson_doc_get_root(doc), *entry;
    assert_int_equal(yyjson_arr_size(list), PAIRS);
    static const char *const questions[PAIRS] = {   /* computed apart with Python's hashlib */
        "Relay a brief, clear account of the picture shown.\n<image>",
        "Give a short and clear explanation of the subsequent image.\n<image>",
        "Share a concise interpretation of the image provided.\n<image>",
        "<image>\nSummarize the visual content of the image.",
        "Summarize the visual content of the image.\n<image>",
    };
    static const char *const images[PAIRS] = {"00000/000000000.jpg", "00000/000000001.jpg", "00000/000000002.jpg", "00000/000000003.png",
                                              "00000/000000004.jpg"};
    size_t i, n;
    yyjson_arr_foreach(list, i, n, entry) {
        char id[24];
        snprintf(id, sizeof id, "%09zu", i);
        assert_int_equal(yyjson_obj_size(entry), 3);
        assert_string_equal(yyjson_get_str(yyjson_obj_get(entry, "id")), id);
        assert_string_equal(yyjson_get_str(yyjson_obj_get(entry, "image")), images[i]);
        yyjson_val *turns = yyjson_obj_get(entry, "conversations");
        assert_int_equal(yyjson_arr_size(turns), 2);
        assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_arr_get(turns, 0), "from")), "human");
        assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_arr_get(turns, 0), "value")), questions[i]);
        assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_arr_get(turns, 1), "from")), "gpt");
        assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_arr_get(turns, 1), "value")), i == 2 ? "An image of two cones" : texts[i]);
    }
    yyjson_doc_free(doc);
    check_sums("llava", PAIRS + 4);
    doc = read_json("dataset/llava/dataset.json");
    yyjson_val *card = yyjson_doc_get_root(doc);
    assert_int_equal(yyjson_get_int(yyjson_obj_get(card, "pairs")), PAIRS);
    assert_int_equal(yyjson_get_int(yyjson_obj_get(card, "image_tokens_replaced")), 1);
    assert_int_equal(yyjson_get_int(yyjson_obj_get(yyjson_obj_get(card, "licenses"), "CC0-1.0")), 4);
    assert_int_equal(yyjson_get_int(yyjson_obj_get(yyjson_obj_get(card, "licenses"), "not stated")), 1);
    assert_true(yyjson_get_real(yyjson_obj_get(yyjson_obj_get(yyjson_obj_get(card, "scores"), "clip"), "mean")) == 0.25);
    yyjson_doc_free(doc);
    has_no_leftovers();
}

static void llava_scores_are_optional(void **state) {
    (void)state;
    assert_int_equal(export_all("llava", "{\"scores\": true}", NULL, NULL), SV_OK);
    yyjson_doc *doc = read_json("dataset/llava/llava.json");
    yyjson_val *entry = yyjson_arr_get_first(yyjson_doc_get_root(doc));
    assert_true(yyjson_get_real(yyjson_obj_get(entry, "clip_score")) == 0.25);
    assert_true(yyjson_get_real(yyjson_obj_get(entry, "ssim_score")) == 0.875);
    yyjson_doc_free(doc);
}

/* The caption of a pair is what its image was drawn from, unless the recipe asks for the text as it came in. */
static void captions_are_cleaned_or_original(void **state) {
    (void)state;
    static const char *const options[] = {"{}", "{\"caption\": \"original\"}"};
    static const char *const expected[] = {"Clean.", "  As it came\n"}, *const other[] = {"original", "drawn_from"};
    for (int i = 0; i < 2; i++) {
        const sv_export_facts facts = {.name = "test", .run_dir = root};
        const sv_pick pick = {.rank = 1, .id = "x", .text = expected[0], .original = expected[1], .file = "images/0", .origin = "", .license = ""};
        sv_export *x;
        assert_int_equal(sv_export_open(&x, at("dataset"), sv_export_find("llava"), options[i], &facts, NULL), SV_OK);
        assert_int_equal(sv_export_add(x, &pick, NULL), SV_OK);
        assert_int_equal(sv_export_finish(x, NULL, NULL), SV_OK);
        sv_export_close(&x);
        yyjson_doc *doc = read_json("dataset/llava/llava.json");
        yyjson_val *turns = yyjson_obj_get(yyjson_arr_get_first(yyjson_doc_get_root(doc)), "conversations");
        assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_arr_get(turns, 1), "value")), expected[i]);
        yyjson_doc_free(doc);
        doc = read_json("dataset/llava/pairs.jsonl");
        assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "caption")), expected[i]);
        assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), other[i])), expected[!i]);
        yyjson_doc_free(doc);
    }
}

static void a_stopped_export_leaves_nothing(void **state) {
    (void)state;
    volatile int stop = 1;
    const sv_export_facts facts = {.name = "test", .run_dir = root, .stop = &stop};
    const sv_pick pick = {.rank = 1, .id = "x", .text = "a", .original = "a", .file = "images/0", .origin = "", .license = ""};
    sv_export *x;
    assert_int_equal(sv_export_open(&x, at("dataset"), sv_export_find("llava"), NULL, &facts, NULL), SV_OK);
    assert_int_equal(sv_export_add(x, &pick, NULL), SV_E_STOPPED);
    sv_export_close(&x);
    assert_false(sv_file_exists(at("dataset/llava")));
    has_no_leftovers();
}

static void same_picks_give_same_bytes(void **state) {
    (void)state;
    sv_export_report first, second;
    assert_int_equal(sv_dir_make(at("dataset/.llava.partial/images"), NULL), SV_OK);   /* as a killed export leaves it */
    assert_int_equal(export_all("llava", "{}", &first, NULL), SV_OK);
    assert_int_equal(export_all("llava", NULL, &second, NULL), SV_OK);
    assert_string_equal(first.digest, second.digest);
    assert_int_equal(first.bytes, second.bytes);
    has_no_leftovers();
    assert_int_equal(export_all("webdataset", "{}", &first, NULL), SV_OK);
    assert_int_equal(export_all("webdataset", "{}", &second, NULL), SV_OK);
    assert_string_equal(first.digest, second.digest);
}

/* A dataset that was moved aside when the machine died comes back. */
static void an_old_dataset_comes_back(void **state) {
    (void)state;
    sv_export_report report;
    assert_int_equal(export_all("llava", "{}", &report, NULL), SV_OK);
    assert_int_equal(rename(at("dataset/llava"), at("dataset/.llava.old")), 0);
    assert_int_equal(unlink(at("images/2")), 0);
    assert_int_equal(export_all("llava", "{}", NULL, NULL), SV_E_INPUT);
    check_sums("llava", PAIRS + 4);
    has_no_leftovers();
}

static void a_changed_image_is_refused(void **state) {
    (void)state;
    sv_error err;
    assert_int_equal(export_all("llava", "{}", NULL, NULL), SV_OK);
    assert_int_equal(sv_file_write_atomic(at("images/4"), "short", 5, NULL), SV_OK);
    assert_int_equal(export_all("llava", "{}", NULL, &err), SV_E_INPUT);
    assert_non_null(strstr(err.what, "images/4"));
    assert_int_equal(unlink(at("images/4")), 0);
    assert_int_equal(export_all("webdataset", "{}", NULL, &err), SV_E_INPUT);
    assert_non_null(strstr(err.what, "images/4"));
    check_sums("llava", PAIRS + 4);
    assert_false(sv_file_exists(at("dataset/webdataset")));
    has_no_leftovers();
}

static void a_foreign_directory_is_not_replaced(void **state) {
    (void)state;
    sv_error err;
    assert_int_equal(sv_dir_make(at("dataset/llava"), NULL), SV_OK);
    assert_int_equal(sv_file_write_atomic(at("dataset/llava/mine"), "x", 1, NULL), SV_OK);
    assert_int_equal(export_all("llava", "{}", NULL, &err), SV_E_INPUT);
    assert_true(sv_file_exists(at("dataset/llava/mine")));
}

/* Reads a shard with libarchive: the members' names, comma-separated, into list; the text of KEY.txt must be the caption of pair KEY. */
static void read_shard(const char *name, char *list, size_t size) {
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    archive_read_support_format_tar(a);
    assert_int_equal(archive_read_open_filename(a, at(name), 4096), ARCHIVE_OK);
    assert_int_equal(archive_format(a) & ARCHIVE_FORMAT_BASE_MASK, 0);
    *list = '\0';
    while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
        const char *path = archive_entry_pathname(e);
        assert_int_equal(archive_entry_mode(e), S_IFREG | 0444);
        assert_int_equal(archive_entry_mtime(e), 0);
        snprintf(list + strlen(list), size - strlen(list), "%s%s", *list ? "," : "", path);
        char data[65536];
        la_ssize_t n = archive_read_data(a, data, sizeof data);
        assert_true(n > 0);
        int pair = atoi(path);
        if (strstr(path, ".txt")) {
            assert_int_equal(n, strlen(texts[pair]));
            assert_memory_equal(data, texts[pair], (size_t)n);
        }
        if (strstr(path, ".json")) {
            yyjson_doc *doc = yyjson_read(data, (size_t)n, 0);
            assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "caption")), texts[pair]);
            assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "id")), ids[pair]);
            assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "sha256")), sums[pair]);
            yyjson_doc_free(doc);
        }
    }
    archive_read_free(a);
}

static void webdataset_shards(void **state) {
    (void)state;
    char list[1024];
    assert_int_equal(export_all("webdataset", "{\"shard_count\": 2}", NULL, NULL), SV_OK);
    read_shard("dataset/webdataset/00000.tar", list, sizeof list);
    assert_string_equal(list, "000000000.jpg,000000000.json,000000000.txt,000000001.jpg,000000001.json,000000001.txt");
    read_shard("dataset/webdataset/00001.tar", list, sizeof list);
    assert_string_equal(list, "000000002.jpg,000000002.json,000000002.txt,000000003.json,000000003.png,000000003.txt");
    read_shard("dataset/webdataset/00002.tar", list, sizeof list);
    assert_string_equal(list, "000000004.jpg,000000004.json,000000004.txt");
    check_sums("webdataset", 5);
    yyjson_doc *doc = read_json("dataset/webdataset/dataset.json");
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(doc), "shards")), 3);
    yyjson_doc_free(doc);
}

/* No shard grows beyond shard_size while a pair alone fits it; a pair that does not fit has a shard of its own. */
static void webdataset_shards_by_size(void **state) {
    (void)state;
    struct stat s;
    assert_int_equal(export_all("webdataset", "{\"shard_size\": 10KB}", NULL, NULL), SV_E_INTERNAL);
    assert_int_equal(export_all("webdataset", "{\"shard_size\": \"8KiB\"}", NULL, NULL), SV_OK);
    for (int i = 0; i < 2; i++) {
        char name[64];
        snprintf(name, sizeof name, "dataset/webdataset/%05d.tar", i);
        assert_int_equal(stat(at(name), &s), 0);
        assert_true(s.st_size <= 8192);
        assert_int_equal(s.st_size % 512, 0);
    }
    assert_int_equal(export_all("webdataset", "{\"shard_size\": 1}", NULL, NULL), SV_OK);
    assert_true(sv_file_exists(at("dataset/webdataset/00004.tar")));
    assert_false(sv_file_exists(at("dataset/webdataset/00005.tar")));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_run, remove_run)
    const struct CMUnitTest tests[] = {
        TEST(llava_is_what_trainers_read), TEST(llava_scores_are_optional), TEST(captions_are_cleaned_or_original),
        TEST(a_stopped_export_leaves_nothing), TEST(same_picks_give_same_bytes), TEST(an_old_dataset_comes_back),
        TEST(a_changed_image_is_refused), TEST(a_foreign_directory_is_not_replaced), TEST(webdataset_shards), TEST(webdataset_shards_by_size)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
