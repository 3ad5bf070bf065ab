/* test_tokenizer.c - CLIP token ids against openai/CLIP and transformers (tests/golden/tokenizer), and tokenizer directories that are wrong. */
#include "golden.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/str.h"
#include "base/utf8.h"
#include "synthvlm/tokenizer.h"

#define GOLDEN "tests/golden/tokenizer/"

static char scratch[] = "/tmp/test_tokenizer.XXXXXX";

static void write_file(const char *name, const char *data, size_t size) {
    char *path = sv_path_join(scratch, name);
    sv_error err = {0};
    if (sv_file_write_atomic(path, data, size, &err) != SV_OK) fail_msg("%s: %s", path, err.why);
    free(path);
}

/* The character of a byte symbol, as in openai/CLIP's byte table. */
static size_t byte_symbol(unsigned byte, char *out) {
    unsigned next = 0x100;
    for (unsigned k = 0;; k++) {
        bool printable = (k >= 0x21 && k <= 0x7E) || (k >= 0xA1 && k <= 0xAC) || (k >= 0xAE && k <= 0xFF);
        if (k == byte) return (size_t)sv_utf8_encode(printable ? k : next, out);
        next += !printable;
    }
}

static void add_entry(sv_buf *json, const char *piece, size_t size, const char *end, int id) {
    sv_buf_puts(json, json->size ? ", \"" : "{\"");
    for (size_t i = 0; i < size; i++) {
        if (piece[i] == '"' || piece[i] == '\\') sv_buf_putc(json, '\\');
        sv_buf_putc(json, piece[i]);
    }
    sv_buf_printf(json, "%s\": %d", end, id);
}

/* vocab.json of a list of merges: byte symbols (the printable ones first), the same with </w>, every merge, the two special tokens. */
static void write_vocabulary(const char *merges, size_t size) {
    sv_buf json = {0};
    int id = 0;
    for (int end = 0; end < 2; end++)
        for (int pass = 0; pass < 2; pass++)
            for (unsigned byte = 0; byte < 256; byte++) {
                char piece[4];
                size_t n = byte_symbol(byte, piece);
                bool moved = byte < 0x21 || (byte > 0x7E && byte < 0xA1) || byte == 0xAD;
                if (moved == (pass == 1)) add_entry(&json, piece, n, end ? "</w>" : "", id++);
            }
    for (const char *line = merges, *stop = merges + size; line < stop;) {
        const char *eol = memchr(line, '\n', (size_t)(stop - line)), *space = memchr(line, ' ', (size_t)(eol - line));
        if (line != merges) {
            sv_buf piece = {0};
            sv_buf_add(&piece, line, (size_t)(space - line));
            sv_buf_add(&piece, space + 1, (size_t)(eol - space - 1));
            add_entry(&json, piece.data, piece.size, "", id++);
            sv_buf_free(&piece);
        }
        line = eol + 1;
    }
    add_entry(&json, "<|startoftext|>", 15, "", id++);
    add_entry(&json, "<|endoftext|>", 13, "", id++);
    sv_buf_puts(&json, "}");
    assert_int_equal(sv_buf_ok(&json, NULL), SV_OK);
    write_file("vocab.json", json.data, json.size);
    sv_buf_free(&json);
}

static sv_tokenizer *clip;      /* the real one, shared by the tests */

static int set_up(void **state) {
    char *merges;
    size_t size;
    sv_error err = {0};
    if (!mkdtemp(scratch)) return -1;
    if (sv_file_read(GOLDEN "clip/merges.txt", 0, &merges, &size, &err) != SV_OK) return -1;
    write_file("merges.txt", merges, size);
    write_vocabulary(merges, size);
    free(merges);
    if (sv_tokenizer_open(&clip, scratch, &err) == SV_OK) return 0;
    fprintf(stderr, "%s: %s\n", err.what, err.why);
    return -1;
}

static void remove_scratch(void) {
    static const char *const names[] = {"vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = sv_path_join(scratch, names[i]);
        unlink(path);
        free(path);
    }
}

static int tear_down(void **state) {
    sv_tokenizer_close(&clip);
    remove_scratch();
    return rmdir(scratch);
}

static void check_ids(const sv_ids *ids, yyjson_val *want, const char *what, size_t line) {
    size_t i, n;
    yyjson_val *v;
    if (ids->size != yyjson_arr_size(want)) fail_msg("%s, line %zu: %zu ids instead of %zu", what, line, ids->size, yyjson_arr_size(want));
    yyjson_arr_foreach(want, i, n, v)
        if (ids->data[i] != yyjson_get_int(v)) fail_msg("%s, line %zu: id %zu is %d instead of %d", what, line, i, ids->data[i], yyjson_get_int(v));
}

static void compare(sv_clean clean, const char *key, const char *truncated) {
    golden g = golden_read(GOLDEN "clip_tokens.jsonl");
    sv_ids ids = {0};
    int32_t row[77];
    size_t cut = 0;
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *line = golden_at(&g, i);
        sv_error err = {0};
        if (sv_tokenizer_encode(clip, golden_str(line, "text"), golden_len(line, "text"), clean, &ids, &err) != SV_OK) fail_msg("line %zu: %s", i + 1, err.why);
        check_ids(&ids, golden_get(line, key), key, i + 1);
        size_t lost = sv_tokenizer_row(clip, &ids, 77, 0, row);
        assert_int_equal(lost > 0, yyjson_get_bool(golden_get(line, truncated)));
        assert_int_equal(row[0], 49406);
        assert_int_equal(row[ids.size - lost + 1], 49407);
        cut += lost > 0;
    }
    assert_true(cut > 0);
    sv_ids_free(&ids);
    golden_free(&g);
}

static void test_openai(void **state) { compare(SV_CLEAN_OPENAI, "openai", "truncated_77"); }
static void test_transformers(void **state) { compare(SV_CLEAN_HF, "hf", "hf_truncated_77"); }

static void test_without_config(void **state) {
    assert_int_equal(sv_tokenizer_bos(clip), 49406);
    assert_int_equal(sv_tokenizer_eos(clip), 49407);
    assert_int_equal(sv_tokenizer_pad(clip), 49407);
    assert_int_equal(sv_tokenizer_vocabulary(clip), 49408);
    assert_int_equal(sv_tokenizer_max_length(clip), 77);
    assert_string_equal(sv_tokenizer_piece(clip, 2368), "cat</w>");
    assert_null(sv_tokenizer_piece(clip, -1));
    assert_null(sv_tokenizer_piece(clip, 49408));
}

static void test_special_tokens(void **state) {
    golden g = golden_read(GOLDEN "special_tokens.jsonl");
    sv_tokenizer *t = NULL;
    char open[64] = "";
    sv_ids ids = {0};
    for (size_t i = 0; i < g.count; i++) {
        yyjson_val *line = golden_at(&g, i);
        sv_error err = {0};
        if (strcmp(open, golden_str(line, "dir")) != 0) {
            sv_tokenizer_close(&t);
            snprintf(open, sizeof open, "%s", golden_str(line, "dir"));
            sv_buf path = {0};
            sv_buf_printf(&path, GOLDEN "%s", open);
            if (sv_tokenizer_open(&t, path.data, &err) != SV_OK) fail_msg("%s: %s: %s", open, err.what, err.why);
            sv_buf_free(&path);
            assert_int_equal(sv_tokenizer_bos(t), 778);
            assert_int_equal(sv_tokenizer_eos(t), 779);
            assert_int_equal(sv_tokenizer_pad(t), strcmp(open, "pad-token") == 0 ? 0 : 779);
        }
        assert_int_equal(sv_tokenizer_encode(t, golden_str(line, "text"), golden_len(line, "text"), SV_CLEAN_HF, &ids, &err), SV_OK);
        check_ids(&ids, golden_get(line, "ids"), open, i + 1);
    }
    sv_tokenizer_close(&t);
    sv_ids_free(&ids);
    golden_free(&g);
}

static void test_rows(void **state) {
    sv_ids ids = {0};
    int32_t row[8];
    assert_int_equal(sv_tokenizer_encode(clip, "a photo of a cat", 16, SV_CLEAN_HF, &ids, NULL), SV_OK);
    assert_int_equal(sv_tokenizer_row(clip, &ids, 8, 7, row), 0);
    assert_memory_equal(row, ((int32_t[]){49406, 320, 1125, 539, 320, 2368, 49407, 7}), sizeof row);
    assert_int_equal(sv_tokenizer_row(clip, &ids, 4, 7, row), 3);
    assert_memory_equal(row, ((int32_t[]){49406, 320, 1125, 49407}), 4 * sizeof *row);
    assert_int_equal(sv_tokenizer_encode(clip, "", 0, SV_CLEAN_OPENAI, &ids, NULL), SV_OK);
    assert_int_equal(ids.size, 0);
    assert_int_equal(sv_tokenizer_row(clip, &ids, 2, 7, row), 0);
    sv_error err = {0};
    assert_int_equal(sv_tokenizer_encode(clip, "a\xff", 2, SV_CLEAN_HF, &ids, &err), SV_E_INPUT);
    sv_ids_free(&ids);
}

/* A word of a million letters takes the heap, one of 60 the simple way: the same pieces, and no square of the length. */
static void test_long_words(void **state) {
    sv_ids ids = {0}, again = {0};
    sv_buf text = {0};
    while (text.size < 1000000) sv_buf_puts(&text, "supercalifragilistic");
    assert_int_equal(sv_tokenizer_encode(clip, text.data, text.size, SV_CLEAN_HF, &ids, NULL), SV_OK);
    for (size_t i = 0, at = 0; i < ids.size; i++) {      /* the pieces join to the word again */
        const char *piece = sv_tokenizer_piece(clip, ids.data[i]);
        size_t n = strlen(piece) - (i + 1 == ids.size ? 4 : 0);
        assert_memory_equal(piece, text.data + at, n);
        at += n;
        assert_true(at <= text.size && (i + 1 < ids.size || at == text.size));
    }
    /* 3 of the same word, encoded both ways: the first pieces agree as far as the end mark does not reach */
    assert_int_equal(sv_tokenizer_encode(clip, text.data, 60, SV_CLEAN_HF, &again, NULL), SV_OK);
    for (size_t i = 0; i + 4 < again.size; i++) assert_int_equal(again.data[i], ids.data[i]);
    sv_buf_free(&text);
    sv_ids_free(&ids);
    sv_ids_free(&again);
}

/* ---- several threads fill the word cache at once ---- */

static void *encode_all(void *arg) {
    golden *g = arg;
    sv_ids ids = {0};
    size_t wrong = 0;
    for (size_t i = 0; i < g->count; i++) {
        yyjson_val *line = golden_at(g, i), *want = golden_get(line, "hf");
        wrong += sv_tokenizer_encode(clip, golden_str(line, "text"), golden_len(line, "text"), SV_CLEAN_HF, &ids, NULL) != SV_OK;
        wrong += ids.size != yyjson_arr_size(want) || (ids.size && ids.data[ids.size - 1] != yyjson_get_int(yyjson_arr_get_last(want)));
    }
    sv_ids_free(&ids);
    return (void *)(uintptr_t)wrong;
}

static void test_threads(void **state) {
    golden g = golden_read(GOLDEN "clip_tokens.jsonl");
    sv_tokenizer *shared = clip, *fresh = NULL;
    assert_int_equal(sv_tokenizer_open(&fresh, scratch, NULL), SV_OK);
    clip = fresh;
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) assert_int_equal(pthread_create(&threads[i], NULL, encode_all, &g), 0);
    for (int i = 0; i < 8; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_ptr_equal(wrong, NULL);
    }
    clip = shared;
    sv_tokenizer_close(&fresh);
    golden_free(&g);
}

/* ---- wrong directories ---- */

typedef struct fault {
    const char *file, *find, *put;   /* in this file, the first `find` becomes `put`; find NULL: put is the whole file; put NULL: the file is missing */
    const char *why;                 /* what the error says */
} fault;

static void expect_fault(const char *source, const fault *f) {
    static const char *const names[] = {"vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json"};
    remove_scratch();
    for (size_t i = 0; i < 4; i++) {
        bool here = strcmp(names[i], f->file) == 0;
        char *path = sv_path_join(source, names[i]), *data = NULL;
        size_t size = 0;
        bool exists = sv_file_read(path, 0, &data, &size, NULL) == SV_OK;
        free(path);
        sv_buf out = {0};
        const char *at = here && f->find ? strstr(data ? data : "", f->find) : NULL;
        if (here && f->find) assert_non_null(at);
        if (here && !f->find) sv_buf_puts(&out, f->put ? f->put : "");
        else if (at) {
            sv_buf_add(&out, data, (size_t)(at - data));
            sv_buf_puts(&out, f->put);
            sv_buf_puts(&out, at + strlen(f->find));
        } else sv_buf_add(&out, data, size);
        if ((exists && !(here && !f->put)) || (here && f->put)) write_file(names[i], out.data ? out.data : "", out.size);
        sv_buf_free(&out);
        free(data);
    }
    sv_tokenizer *t = NULL;
    sv_error err = {0};
    assert_int_equal(sv_tokenizer_open(&t, scratch, &err), SV_E_MODEL);
    assert_null(t);
    if (!strstr(err.why, f->why)) fail_msg("\"%s\" does not say \"%s\"", err.why, f->why);
}

static void test_wrong_files(void **state) {
    static const fault text_files[] = {
        {"vocab.json", NULL, NULL, "merges.txt but no vocab.json"},
        {"merges.txt", NULL, NULL, "vocab.json but no merges.txt"},
        {"vocab.json", NULL, "[1]", "not a JSON object"},
        {"vocab.json", "\"!\": 0", "\"!\": 1", "id 1 is given twice"},
        {"vocab.json", "\"!\": 0", "\"!\": -3", "outside"},
        {"vocab.json", "\"!\": 0", "\"!\": \"0\"", "not an integer"},
        {"vocab.json", "\"a</w>\"", "\"a</x>\"", "a</w>"},
        {"vocab.json", "\"a\":", "\"a", "is not JSON"},
        {"vocab.json", "<|endoftext|>", "<|end|>", "eos_token"},
        {"merges.txt", "#version: 0.2", "#version: 0.2\nzz qq", "not in the vocabulary"},
        {"merges.txt", "#version: 0.2", "#version: 0.2\n! \"", "merge 1 makes"},
        {"merges.txt", "#version: 0.2", "#version: 0.2\nabc", "not two pieces"},
        {"tokenizer_config.json", "77", "1", "model_max_length"},
        {"tokenizer_config.json", "\"<|endoftext|>\"", "3", "neither a string"},
        {"tokenizer_config.json", NULL, "{", "is not JSON"},
    };
    static const fault json_file[] = {
        {"tokenizer.json", "\"type\": \"BPE\"", "\"type\": \"Unigram\"", "not a CLIP tokenizer"},
        {"tokenizer.json", "</w>\"", "\"", "not a CLIP tokenizer"},
        {"tokenizer.json", "Lowercase", "Strip", "normalizer"},
        {"tokenizer.json", "ByteLevel", "Digits", "pre_tokenizer"},
        {"tokenizer.json", "\"merges\": [", "\"merges\": [5, ", "merge 1 is neither"},
        {"tokenizer.json", "\"merges\": [", "\"merges\": [[\"a\"], ", "merge 1 is neither"},
        {"tokenizer.json", "\"id\": 778", "\"id\": \"x\"", "no integer id"},
        {"tokenizer.json", NULL, NULL, "neither tokenizer.json nor vocab.json"},
    };
    for (size_t i = 0; i < sizeof text_files / sizeof *text_files; i++) expect_fault(GOLDEN "old-style", &text_files[i]);
    for (size_t i = 0; i < sizeof json_file / sizeof *json_file; i++) expect_fault(GOLDEN "json-pairs", &json_file[i]);
    sv_tokenizer *t = NULL;
    sv_error err = {0};
    assert_int_equal(sv_tokenizer_open(&t, "/nonexistent", &err), SV_E_MODEL);
    assert_non_null(strstr(err.why, "no such directory"));
    assert_int_equal(sv_tokenizer_open(&t, GOLDEN "README.md", &err), SV_E_MODEL);
    assert_non_null(strstr(err.why, "not a directory"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openai),     cmocka_unit_test(test_transformers), cmocka_unit_test(test_without_config), cmocka_unit_test(test_special_tokens),
        cmocka_unit_test(test_rows),       cmocka_unit_test(test_long_words),   cmocka_unit_test(test_threads),        cmocka_unit_test(test_wrong_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
