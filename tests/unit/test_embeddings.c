/* The file of kept embeddings: what is added is found, what a crash tore is cut off, what is damaged is passed over, and nothing else is taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "stages/score/embeddings.h"

enum { DIM = 12, HEADER = 64, RECORD = 16 + 2 * DIM + 8 };
#define SETUP "{\"model\": \"abc\", \"flavour\": \"synthvlm\", \"prefix\": \"A photo depicts \", \"pillow\": 13, \"provider\": \"cpu\", \"embedding\": \"float16\"}"

static sv_error err;
static char root[64];
static char *path;

static void check(sv_status st) {
    char text[2048];
    if (st != SV_OK) fail_msg("%s", sv_error_text(&err, text, sizeof text));
}

static int make_root(void **state) {
    snprintf(root, sizeof root, "/tmp/synthvlm-embeddings-XXXXXX");
    return mkdtemp(root) && sv_embeddings_path(root, SETUP, &path, &err) == SV_OK && path ? 0 : -1;
}

static int remove_root(void **state) {
    free(path);
    return sv_dir_empty(root, NULL) == SV_OK && rmdir(root) == 0 ? 0 : -1;
}

/* Picture i: its name, and its embedding, exact in half precision. */
static void picture(int i, char sha256[SV_SHA256_HEX], float e[DIM]) {
    char text[16];
    snprintf(text, sizeof text, "%d", i);
    sv_sha256_hex(text, strlen(text), sha256);
    for (int k = 0; k < DIM; k++) e[k] = (float)((i * 31 + k * 7) % 64 - 32) / 64;
}

static sv_embeddings *open_store(bool write) {
    sv_embeddings *e;
    check(sv_embeddings_open(&e, root, SETUP, DIM, write, &err));
    return e;
}

static void add(int from, int upto) {
    sv_embeddings *e = open_store(true);
    for (int i = from; i < upto; i++) {
        char name[SV_SHA256_HEX];
        float v[DIM];
        picture(i, name, v);
        check(sv_embeddings_add(e, name, v, &err));
    }
    sv_embeddings_close(&e);
}

static int count_found(int upto) {
    sv_embeddings *e = open_store(false);
    int found = 0;
    for (int i = 0; e && i < upto; i++) {
        char name[SV_SHA256_HEX];
        float want[DIM], got[DIM];
        picture(i, name, want);
        if (!sv_embeddings_find(e, name, got)) continue;
        assert_memory_equal(want, got, sizeof want);
        found++;
    }
    sv_embeddings_close(&e);
    return found;
}

static off_t size_of(void) {
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_size;
}

static void kept_and_found(void **state) {
    assert_int_equal(count_found(10), 0);            /* no file yet */
    add(0, 500);
    assert_int_equal(size_of(), HEADER + 500 * RECORD);
    assert_int_equal(count_found(600), 500);
    add(500, 510);
    assert_int_equal(count_found(600), 510);
    size_t dim;
    sv_embeddings *e;
    check(sv_embeddings_open_file(&e, path, &dim, &err));
    assert_int_equal(dim, DIM);
    sv_embeddings_close(&e);
}

static void a_torn_end_is_cut_off(void **state) {
    for (int torn = 1; torn < RECORD; torn += 9) {
        unlink(path);
        add(0, 20);
        assert_int_equal(truncate(path, size_of() - torn), 0);
        assert_int_equal(count_found(30), 19);       /* a reader passes it over … */
        add(19, 25);                                 /* … and the next writer cuts it off */
        assert_int_equal(size_of(), HEADER + 25 * RECORD);
        assert_int_equal(count_found(30), 25);
    }
}

static void damage_is_passed_over(void **state) {
    unlink(path);
    add(0, 20);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, HEADER + 7 * RECORD + 20, SEEK_SET);
    fputc(0x5A, f);
    fclose(f);
    assert_int_equal(count_found(20), 19);
    add(7, 8);                                       /* embedded again: the newest record counts */
    assert_int_equal(count_found(20), 20);
}

static void what_the_file_is_named_by(void **state) {
    static const struct { const char *setup; bool same, kept; } cases[] = {
        {"{\"embedding\": \"float16\", \"provider\": \"cpu\", \"model\": \"abc\", \"flavour\": \"hessel\", \"prefix\": \"x \", \"pillow\": 13,"
         " \"window\": true}", true, true},
        {"{\"embedding\": \"float16\", \"provider\": \"cpu\", \"model\": \"abc\", \"flavour\": \"data-juicer\", \"prefix\": \"\", \"pillow\": 13}", false, true},
        {"{\"embedding\": \"float16\", \"provider\": \"cpu\", \"model\": \"abd\", \"flavour\": \"synthvlm\", \"prefix\": \"\", \"pillow\": 13}", false, true},
        {"{\"embedding\": \"float16\", \"provider\": \"cpu\", \"model\": \"abc\", \"flavour\": \"synthvlm\", \"prefix\": \"\", \"pillow\": 11}", false, true},
        {"{\"provider\": \"cpu\", \"model\": \"abc\", \"flavour\": \"synthvlm\", \"prefix\": \"\", \"pillow\": 13}", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *other;
        check(sv_embeddings_path(root, cases[i].setup, &other, &err));
        assert_int_equal(other != NULL, cases[i].kept);
        if (other) assert_int_equal(strcmp(path, other) == 0, cases[i].same);
        free(other);
    }
}

static void files_of_something_else(void **state) {
    sv_embeddings *e;
    size_t dim;
    static const char *const contents[] = {"", "SVEMBED1", "not a file of embeddings, but long enough to have a header of sixty-four bytes"};
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        check(sv_file_write_atomic(path, contents[i], strlen(contents[i]), &err));
        assert_int_equal(sv_embeddings_open_file(&e, path, &dim, &err), SV_E_INPUT);
        assert_int_equal(sv_embeddings_open(&e, root, SETUP, DIM, true, &err), SV_E_INPUT);
        assert_null(e);
    }
    unlink(path);
    add(0, 3);
    assert_int_equal(sv_embeddings_open(&e, root, SETUP, DIM + 1, true, &err), SV_E_INPUT);
    assert_non_null(strstr(err.hint, "move the file away"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_and_found),         cmocka_unit_test(a_torn_end_is_cut_off), cmocka_unit_test(damage_is_passed_over),
        cmocka_unit_test(what_the_file_is_named_by), cmocka_unit_test(files_of_something_else),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
