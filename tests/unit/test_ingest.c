/* Captions from files to rows: every format, every kind of bad row, interruption, growth; then verdicts and the sample. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/file.h"
#include "stages/rundir.h"

static char dir[64], run_dir[96];
static sv_error err;
static int stop_after = -1;          /* batches until the stop flag is raised */
static volatile int stop_flag;
static char said[8192];

static void hear(void *user, sv_log_level level, const char *line) {
    size_t n = strlen(said);
    snprintf(said + n, sizeof said - n, "%s\n", line);
}

static void tick(void *user, const char *stage, uint64_t done, uint64_t total, uint64_t failed) {
    if (stop_after >= 0 && stop_after-- == 0) stop_flag = 1;
}

static int set_up(void **state) {
    strcpy(dir, "/tmp/sv-ingest-XXXXXX");
    if (!mkdtemp(dir)) return 1;
    snprintf(run_dir, sizeof run_dir, "%s/run", dir);
    memset(&err, 0, sizeof err);
    stop_after = -1;
    stop_flag = 0;
    said[0] = 0;
    return 0;
}

static int tear_down(void **state) {
    return sv_dir_empty(dir, NULL) == SV_OK ? rmdir(dir) : 1;
}

static void put(const char *name, const void *data, size_t size) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (sv_file_write_atomic(path, data, size, &err) != SV_OK) fail_msg("%s: %s", path, err.why);
}

static void put_text(const char *name, const char *text) {
    put(name, text, strlen(text));
}

/* Curates with a recipe text; %DIR% is not needed: paths are relative to the directory. */
static sv_status curate_as(const char *yaml, bool strict, sv_curate_report *r) {
    sv_recipe *recipe = NULL;
    sv_stage_options o = {.log = {.fn = hear}, .progress = {.fn = tick}, .stop = &stop_flag, .strict = strict};
    sv_status st = sv_recipe_read(&recipe, yaml, strlen(yaml), "recipe.yaml", dir, NULL, 0, &err);
    if (st != SV_OK) fail_msg("%s: %s", err.what, err.why);
    st = sv_stage_curate(run_dir, recipe, &o, r, &err);
    sv_recipe_close(&recipe);
    return st;
}

/* One source; the rest of the recipe is what every recipe must have. */
static const char *recipe_of(const char *source, const char *captions) {
    static char text[2048];
    snprintf(text, sizeof text,
             "name: t\nseed: 7\ncaptions:\n  sources: [%s]\n%sgenerate: {model: m, candidates: 1, steps: 2}\nscore: {clip: {model: c}}\nselect: {by: "
                 "weighted}\nexport: [{format: llava}]\n",
             source, captions);
    return text;
}

static sv_status curate(const char *source, sv_curate_report *r) {
    return curate_as(recipe_of(source, ""), false, r);
}

#define OK(expr)                                                                              \
    do {                                                                                      \
        char ok_text_[2048];                                                                  \
        if ((expr) != SV_OK) fail_msg("%s: %s", #expr, sv_error_text(&err, ok_text_, sizeof ok_text_)); \
    } while (0)

static sqlite3_stmt *query(sqlite3 **db, const char *sql) {
    char path[160];
    sqlite3_stmt *s;
    snprintf(path, sizeof path, "%s/ledger.sqlite", run_dir);
    assert_int_equal(sqlite3_open_v2(path, db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(*db, sql, -1, &s, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(*db));
    return s;
}

/* Rows as "a|b\nc|d\n" (static memory). */
static const char *rows(const char *sql) {
    static char text[1 << 16];
    sqlite3 *db;
    sqlite3_stmt *s = query(&db, sql);
    size_t n = 0;
    text[0] = 0;
    while (sqlite3_step(s) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(s); i++) {
            const char *v = (const char *)sqlite3_column_text(s, i);
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i ? "|" : "", v ? v : "NULL");
        }
        n += (size_t)snprintf(text + n, sizeof text - n, "\n");
    }
    sqlite3_finalize(s);
    sqlite3_close(db);
    return text;
}

static const char captions_sql[] = "SELECT number, c.id, text, line FROM captions c ORDER BY number";
static const char faults_sql[] = "SELECT line, reason FROM ingest_faults ORDER BY source, line";

/* ---- formats ---- */

/* The id of a caption without one is the first 16 digits of SHA-256 of its text. */
static void jsonl_rows(void **state) {
    sv_curate_report r;
    char want[256], hash[SV_SHA256_HEX];
    sv_sha256_hex("three", 5, hash);
    put_text("a.jsonl", "\xef\xbb\xbf{\"id\": \"x\", \"caption\": \"one\", \"source\": \"own\", \"license\": \"MIT\"}\r\n\n"
                        "{\"caption\":\"two \\u00e9 \\ud83d\\ude00\",\"id\":12}\n{\"caption\": \"\", \"id\": -5}\n   \n{\"caption\":\"three\"}");
    OK(curate("{path: a.jsonl, source: web, license: CC0}", &r));
    snprintf(want, sizeof want, "1|x|one|1\n2|12|two \xc3\xa9 \xf0\x9f\x98\x80|3\n3|-5||4\n4|%.16s|three|6\n", hash);
    assert_string_equal(rows(captions_sql), want);
    assert_string_equal(rows("SELECT number, o.origin, o.license FROM captions c JOIN origins o ON o.id = c.origin ORDER BY 1"),
                        "1|own|MIT\n2|web|CC0\n3|web|CC0\n4|web|CC0\n");
    assert_int_equal(r.added, 4);
    assert_int_equal(r.faults, 0);
    assert_int_equal(r.kept, 3);             /* the empty one is read in, and rejected */
    assert_int_equal(r.sampled, 3);
    assert_string_equal(rows("SELECT number, rule FROM verdicts WHERE NOT keep"), "3|empty_caption\n");
}

static void bad_rows(void **state) {
    sv_curate_report r;
    static const char text[] = "{\"id\":\"a\",\"caption\":\"good\"}\n{\"id\":\"b\",\"caption\":\n{\"id\":\"c\"}\n{\"id\":\"d\",\"caption\":7}\n[1]\n"
                               "{\"id\":\"a\",\"caption\":\"good\"}\n{\"id\":\"a\",\"caption\":\"other\"}\n{\"id\":\"e\",\"caption\":\"bad \xff\xfe bytes\"}\n"
                               "{\"id\":\"f\",\"caption\":\"nul \\u0000 inside\"}\n{\"id\":[],\"caption\":\"x\"}\n{\"id\":\"g\",\"caption\":\"\\ud800 lone\"}\n"
                               "{\"id\":null,\"caption\":\"last\"}\n{\"id\":\"\",\"caption\":\"x\"}\n{\"id\":1.5,\"caption\":\"x\"}\n\x00\n";
    put("a.jsonl", text, sizeof text - 1);
    OK(curate("{path: a.jsonl}", &r));
    assert_string_equal(rows(faults_sql), "2|bad_json\n3|missing_field\n4|not_a_string\n5|not_an_object\n7|duplicate_id\n8|invalid_utf8\n9|nul_character\n10|bad_id\n"
                                          "11|bad_json\n13|bad_id\n14|bad_id\n15|bad_json\n");
    assert_string_equal(rows("SELECT detail FROM ingest_faults WHERE line = 8"), "line: invalid UTF-8 at byte 26: {\"id\":\"e\",\"caption\":\"bad \\xFF\\xFE bytes\"}\n");
    assert_non_null(strstr(rows("SELECT detail FROM ingest_faults WHERE line = 7"), "belongs to caption 1, which has another text; this one is: other"));
    assert_non_null(strstr(rows("SELECT detail FROM ingest_faults WHERE line = 3"), "the row has: id"));
    assert_int_equal(r.added, 2);
    assert_int_equal(r.repeated, 1);
    assert_int_equal(r.faults, 12);
    assert_non_null(strstr(said, "12 bad rows"));
    assert_non_null(strstr(said, "line 2: bad_json"));
    assert_int_equal(curate_as(recipe_of("{path: a.jsonl, text: caption, id: id, license: x}", ""), true, &r), SV_E_INPUT);
    assert_non_null(strstr(err.why, "line 2: bad_json"));
}

static void other_formats(void **state) {
    sv_curate_report r;
    put_text("a.txt", "first line\n\nsecond line\r\n");
    put_text("b.csv", "id,note,caption,source\r\n1,\"a, b\",\"said \"\"hi\"\"\r\nagain\",s1\r\n2,,plain,\r\n\r\n3\r\n,x,no id,\r\n");
    put_text("c.tsv", "caption\turl\n\"quoted \"\"x\"\"\"\thttp://a\n\"open only\thttp://b\n");
    put_text("d.json", "[{\"id\": \"j1\", \"caption\": \"in json\"}, 5, {\"id\": \"j2\", \"caption\": \"bad \xff\"}]");
    put_text("e.json", "[{\"id\": \"l1\", \"conversations\": [{\"from\": \"human\", \"value\": \"describe\\n<image>\"}, {\"from\": \"gpt\", "
        "\"value\": \"a llava caption\"}]},"
                       " {\"id\": \"l2\", \"conversations\": []}]");
    put_text("f.json", "{\"images\": [{\"id\": 9}], \"annotations\": [{\"image_id\": 9, \"id\": 770337, \"caption\": \"a coco caption\"}]}");
    put_text("g.tsv", "no header here\thttp://c\nsecond\thttp://d\n");
    put_text("h.json", "{\"id\": \"n1\", \"caption\": \"lines in a .json\"}\n{\"id\": \"n2\", \"caption\": \"and another\"}\n");
    OK(curate("{path: a.txt}, {path: b.csv}, {path: c.tsv}, {path: d.json}, {path: e.json}, {path: f.json}, {path: g.tsv, text: \"1\", id: null}, {path: h.json}", &r));
    assert_string_equal(rows("SELECT text FROM captions ORDER BY number"),
                        "first line\nsecond line\nsaid \"hi\"\nagain\nplain\nno id\nquoted \"x\"\n\"open only\nin json\na llava caption\na coco "
                            "caption\nno header here\nsecond\n"
                        "lines in a .json\nand another\n");
    assert_string_equal(rows("SELECT id FROM captions WHERE id IN ('1', '2', 'j1', 'l1', '770337', 'n2') ORDER BY number"), "1\n2\nj1\nl1\n770337\nn2\n");
    assert_string_equal(rows("SELECT s.path, line, reason FROM ingest_faults f JOIN sources s ON s.id = f.source ORDER BY 1, 2"),
                        "../b.csv|6|missing_field\n../d.json|2|not_an_object\n../d.json|3|invalid_utf8\n../e.json|2|missing_field\n");
    assert_string_equal(rows("SELECT line, o.origin FROM captions c JOIN origins o ON o.id = c.origin WHERE c.id = '1'"), "2|s1\n");
}

static void packed_files(void **state) {
    sv_curate_report r;
    char path[160], text[] = "{\"id\":\"z\",\"caption\":\"from gzip\"}\n", more[] = "{\"id\":\"y\",\"caption\":\"second member\"}\n", out[256];
    for (int i = 0; i < 2; i++) {          /* two members in one file, as appending to a .gz gives */
        snprintf(path, sizeof path, "%s/a.jsonl.gz", dir);
        gzFile z = gzopen(path, i ? "ab" : "wb");
        assert_true(gzputs(z, i ? more : text) > 0);
        gzclose(z);
    }
    char zst[] = "{\"id\":\"x\",\"caption\":\"from zstd\"}\n";
    size_t n = ZSTD_compress(out, sizeof out, zst, strlen(zst), 3);
    put("b.jsonl.zst", out, n);
    OK(curate("{path: a.jsonl.gz}, {path: b.jsonl.zst}", &r));
    assert_string_equal(rows("SELECT id, text FROM captions ORDER BY number"), "z|from gzip\ny|second member\nx|from zstd\n");
    put("c.jsonl.zst", out, n - 6);
    assert_int_equal(curate("{path: c.jsonl.zst}", &r), SV_E_INPUT);
    assert_non_null(strstr(err.why, "cut short"));
}

static void unusable_files(void **state) {
    sv_curate_report r;
    assert_int_equal(curate("{path: none.jsonl}", &r), SV_E_INPUT);
    assert_non_null(strstr(err.what, "none.jsonl"));
    put_text("empty.jsonl", "");
    assert_int_equal(curate("{path: empty.jsonl}", &r), SV_E_INPUT);
    assert_non_null(strstr(err.why, "is empty"));
    put_text("blank.jsonl", "\n\n");
    assert_int_equal(curate("{path: blank.jsonl}", &r), SV_E_INPUT);
    assert_non_null(strstr(err.why, "no usable row"));
    put_text("field.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n");
    assert_int_equal(curate("{path: field.jsonl}", &r), SV_E_INPUT);
    assert_non_null(strstr(err.why, "no usable row; line 1: missing_field"));
    assert_int_equal(curate("{path: field.jsonl}", &r), SV_E_INPUT);       /* and the same the second time */
    OK(curate("{path: field.jsonl, text: text}", &r));                     /* read rightly, the same file is another source */
    assert_int_equal(r.captions, 2);
    put_text("columns.csv", "a,b\n1,2\n");
    assert_int_equal(curate("{path: columns.csv}", &r), SV_E_INPUT);
    assert_non_null(strstr(err.why, "has no column \"caption\"; the columns of its first row are: a, b"));
    put("wide.txt", "\xff\xfe" "a\0b\0", 6);
    assert_int_equal(curate("{path: wide.txt}", &r), SV_E_INPUT);
    assert_non_null(strstr(err.why, "UTF-16"));
    assert_int_equal(curate("{path: .}", &r), SV_E_INPUT);
    assert_non_null(strstr(err.why, "directory"));
    put_text("broken.json", "[{\"caption\": \"a\"},\n {\"caption\": \"b\"]");
    assert_int_equal(curate("{path: broken.json}", &r), SV_E_INPUT);
    assert_non_null(strstr(err.why, "line 2"));
    put_text("item.json", "[{\"caption\": \"c\"},\n {\"caption\": }, {\"caption\": \"d\"}]");   /* an item that is no JSON is that item's fault */
    OK(curate("{path: item.json}", &r));
    assert_int_equal(r.faults, 1);
}

static void long_lines(void **state) {
    sv_curate_report r;
    size_t n = 3 << 20;
    sv_buf b = {0};
    for (int i = 0; i < 2; i++) {
        sv_buf_printf(&b, "{\"id\":\"big%d\",\"caption\":\"", i);
        for (size_t k = 0; k < n; k++) sv_buf_putc(&b, (char)('a' + (k + (size_t)i) % 26));
        sv_buf_puts(&b, "\"}\n");
    }
    put("a.jsonl", b.data, b.size);
    sv_buf_free(&b);
    OK(curate("{path: a.jsonl}", &r));
    assert_string_equal(rows("SELECT id, length(text), substr(text, -1) FROM captions ORDER BY number"), "big0|3145728|n\nbig1|3145728|o\n");
}

/* ---- again, grown, interrupted ---- */

static void put_many(const char *name, int n, int bad_every) {
    sv_buf b = {0};
    for (int i = 0; i < n; i++) {
        if (bad_every && i % bad_every == 3)
            sv_buf_puts(&b, "{broken\n");
        else
            sv_buf_printf(&b, "{\"id\":\"%d\",\"caption\":\"caption number %d\"}\n", i, i % 9000);
    }
    put(name, b.data, b.size);
    sv_buf_free(&b);
}

static void again_and_grown(void **state) {
    sv_curate_report r;
    put_many("a.jsonl", 100, 0);
    OK(curate("{path: a.jsonl}", &r));
    assert_int_equal(r.added, 100);
    OK(curate("{path: a.jsonl}", &r));
    assert_true(r.idle && r.added == 0 && r.repeated == 0 && r.captions == 100);
    char path[160];
    snprintf(path, sizeof path, "%s/a.jsonl", dir);
    const struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);   /* touched: the bytes tell that it is the same */
    OK(curate("{path: a.jsonl}", &r));
    assert_true(r.idle);
    put_many("a.jsonl", 130, 0);
    OK(curate("{path: a.jsonl}", &r));
    assert_int_equal(r.added, 30);
    assert_int_equal(r.repeated, 100);
    assert_int_equal(r.captions, 130);
    assert_int_equal(r.judged, 130);
    assert_string_equal(rows("SELECT count(*) FROM sources"), "2\n");
    assert_string_equal(rows("SELECT id FROM captions WHERE number = 130"), "129\n");
    unlink(path);
    OK(curate("{path: a.jsonl}", &r));                          /* gone, but it is in */
    assert_non_null(strstr(said, "is gone"));
}

/* A digest of `stable`, since it is long. */
static void digest_of_stable(char out[SV_SHA256_HEX]) {
    sqlite3 *db;
    sqlite3_stmt *s = query(&db, "SELECT kind, key, value FROM stable ORDER BY kind, key, value");
    sv_sha256_stream *h = sv_sha256_begin();
    uint8_t raw[32];
    while (sqlite3_step(s) == SQLITE_ROW)
        for (int i = 0; i < 3; i++) sv_sha256_more(h, sqlite3_column_text(s, i), (size_t)sqlite3_column_bytes(s, i) + 1);
    sqlite3_finalize(s);
    sqlite3_close(db);
    sv_sha256_end(h, raw);
    sv_hex(raw, 32, out);
}

static const char process[] = "  process: [{whitespace_normalization_mapper: null}, {text_length_filter: {min_len: 17, max_len: 100}}, "
    "{document_deduplicator: {}}]\n  sample: 500\n";

static void interrupted(void **state) {
    sv_curate_report r;
    char whole[SV_SHA256_HEX], broken[SV_SHA256_HEX];
    put_many("a.jsonl", 120000, 1000);
    OK(curate_as(recipe_of("{path: a.jsonl}", process), false, &r));
    assert_int_equal(r.faults, 120);
    assert_int_equal(r.added, 119880);
    assert_int_equal(r.kept, 9000 - 10 - 8);     /* each text once; ten are too short; every thousandth row, and so eight more texts, never came */
    assert_int_equal(r.sampled, 500);
    digest_of_stable(whole);
    OK(sv_dir_empty(run_dir, &err));
    int stops = 0;
    for (;;) {
        stop_flag = 0;
        stop_after = stops / 2;                  /* earlier captions are streamed again, so that later stops come later */
        sv_status st = curate_as(recipe_of("{path: a.jsonl}", process), false, &r);
        if (st == SV_OK) break;
        assert_int_equal(st, SV_E_STOPPED);
        assert_non_null(strstr(err.hint, "synthvlm run"));
        assert_true(++stops < 40);
    }
    assert_true(stops >= 5);
    digest_of_stable(broken);
    assert_string_equal(whole, broken);
}

/* ---- verdicts and the sample ---- */

static void verdicts(void **state) {
    sv_curate_report r;
    put_text("a.jsonl", "{\"id\":\"a\",\"caption\":\"a  good\\u00a0caption here\"}\n{\"id\":\"b\",\"caption\":\"short\"}\n{\"id\":\"c\","
        "\"caption\":\"a good caption here\"}\n"
                        "{\"id\":\"d\",\"caption\":\"another good caption\"}\n");
    OK(curate_as(recipe_of("{path: a.jsonl}", process), false, &r));
    assert_string_equal(rows("SELECT number, keep, rule, value, min, max, duplicate_of, text FROM verdicts ORDER BY number"),
                        "1|1|NULL|NULL|NULL|NULL|NULL|a  good caption here\n2|0|text_length_filter|5.0|17.0|100.0|NULL|NULL\n3|1|NULL|NULL|NULL|NULL|NULL|NULL\n"
                        "4|1|NULL|NULL|NULL|NULL|NULL|NULL\n");
    assert_string_equal(rows("SELECT json_extract(stats, '$.text_len') FROM verdicts WHERE number = 4"), "20\n");
    assert_string_equal(rows("SELECT rule, captions FROM rejected_by_rule"), "text_length_filter|1\n");
    /* Another list: another setup beside the first. */
    OK(curate_as(recipe_of("{path: a.jsonl}", "  process: [{document_deduplicator: {ignore_non_character: true}}]\n"), false, &r));
    assert_int_equal(r.kept, 3);
    assert_string_equal(rows("SELECT id, duplicate_of FROM rejected"), "c|a\n");
    assert_string_equal(rows("SELECT count(*) FROM verdicts"), "8\n");
    assert_string_equal(rows("SELECT count(*) FROM setups WHERE stage = 'curate'"), "2\n");
    assert_non_null(strstr(said, "curate: new settings"));
    /* And back: nothing is judged again. */
    OK(curate_as(recipe_of("{path: a.jsonl}", process), false, &r));
    assert_true(r.idle);
    assert_string_equal(rows("SELECT count(*) FROM verdicts"), "8\n");
    assert_string_equal(rows("SELECT id FROM kept"), "a\nc\nd\n");
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sample_is_by_hash(void **state) {
    sv_curate_report r;
    char *lots[1000], want[4096] = "";
    int64_t numbers[50];
    put_many("a.jsonl", 1000, 0);
    OK(curate_as(recipe_of("{path: a.jsonl}", "  sample: 50\n"), false, &r));
    assert_int_equal(r.sampled, 50);
    for (int i = 0; i < 1000; i++) {             /* hex digests sort as their bytes; the number rides behind */
        char text[64], hash[SV_SHA256_HEX];
        int n = snprintf(text, sizeof text, "sample:7/%d", i);
        sv_sha256_hex(text, (size_t)n, hash);
        lots[i] = malloc(96);
        snprintf(lots[i], 96, "%s %d", hash, i + 1);
    }
    qsort(lots, 1000, sizeof *lots, by_text);
    for (int i = 0; i < 50; i++) numbers[i] = strtoll(strchr(lots[i], ' '), NULL, 10);
    for (int64_t n = 1; n <= 1000; n++)
        for (int i = 0; i < 50; i++)
            if (numbers[i] == n) snprintf(want + strlen(want), sizeof want - strlen(want), "%d\n", (int)n);
    assert_string_equal(rows("SELECT number FROM now JOIN samples ON setup = sample ORDER BY 1"), want);
    for (int i = 0; i < 1000; i++) free(lots[i]);
    OK(curate_as(recipe_of("{path: a.jsonl}", "  sample: 2000\n"), false, &r));
    assert_int_equal(r.sampled, 1000);
}

/* ---- the directory ---- */

static void directory_rules(void **state) {
    sv_curate_report r;
    put_text("a.txt", "a caption\n");
    mkdir(run_dir, 0777);
    char path[160];
    snprintf(path, sizeof path, "%s/precious", run_dir);
    OK(sv_file_write_atomic(path, "x", 1, &err));
    assert_int_equal(curate("{path: a.txt}", &r), SV_E_INPUT);
    assert_non_null(strstr(err.why, "not a run directory: it holds other things (precious)"));
    assert_true(sv_file_exists(path));
    unlink(path);
    OK(curate("{path: a.txt}", &r));
    snprintf(path, sizeof path, "%s/tmp/left-over", run_dir);
    OK(sv_file_write_atomic(path, "x", 1, &err));
    OK(curate("{path: a.txt}", &r));
    assert_false(sv_file_exists(path));          /* whoever takes the lock empties tmp/ */

    const char *yaml = recipe_of("{path: a.txt}", "");
    sv_recipe *recipe = NULL;
    sv_rundir *first = NULL, *second = NULL;
    sv_holder who;
    OK(sv_recipe_read(&recipe, yaml, strlen(yaml), "recipe.yaml", dir, NULL, 0, &err));
    assert_false(sv_rundir_holder(run_dir, &who));
    OK(sv_rundir_open(&first, run_dir, recipe, NULL, &err));
    assert_int_equal(sv_rundir_open(&second, run_dir, recipe, NULL, &err), SV_E_BUSY);
    char pid[32], host[256];
    snprintf(pid, sizeof pid, "pid %ld", (long)getpid());
    gethostname(host, sizeof host);
    assert_non_null(strstr(err.why, pid));
    assert_non_null(strstr(err.why, host));
    assert_true(sv_rundir_holder(run_dir, &who));
    assert_int_equal(who.pid, getpid());
    char *status;
    OK(sv_run_status(run_dir, &status, &err));   /* a reader is not kept out */
    assert_non_null(strstr(status, pid + 4));
    free(status);
    sv_rundir_close(&first);
    OK(sv_rundir_open(&first, run_dir, recipe, NULL, &err));
    sv_rundir_close(&first);
    sv_recipe_close(&recipe);
    assert_int_equal(sv_run_status(dir, &status, &err), SV_E_INPUT);
}

static void shows_a_story(void **state) {
    sv_curate_report r;
    char *json;
    put_text("a.jsonl", "{\"id\":\"a b\",\"caption\":\"a good caption here\"}\n{\"id\":\"2\",\"caption\":\"short\"}\n");
    OK(curate_as(recipe_of("{path: a.jsonl}", process), false, &r));
    OK(sv_run_show(run_dir, "a b", &json, &err));
    assert_non_null(strstr(json, "\"number\":1"));
    free(json);
    OK(sv_run_show(run_dir, "000000001", &json, &err));
    assert_non_null(strstr(json, "\"id\":\"a b\""));
    free(json);
    OK(sv_run_show(run_dir, "2", &json, &err));
    assert_non_null(strstr(json, "\"rule\":\"text_length_filter\""));
    free(json);
    assert_int_equal(sv_run_show(run_dir, "3", &json, &err), SV_E_INPUT);
    assert_int_equal(sv_run_show(run_dir, "000000001-0", &json, &err), SV_E_INPUT);
    assert_int_equal(sv_run_show(run_dir, "nobody", &json, &err), SV_E_INPUT);
}

int main(void) {
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(jsonl_rows), CASE(bad_rows), CASE(other_formats), CASE(packed_files), CASE(unusable_files), CASE(long_lines), CASE(again_and_grown),
        CASE(interrupted), CASE(verdicts), CASE(sample_is_by_hash), CASE(directory_rules), CASE(shows_a_story),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
