/* Weights with external data: mapped or laid out once, never held twice. The graph is made up here, as large as SYNTHVLM_MAPPED_MB says (256):
 *
 *     SYNTHVLM_MAPPED_MB=3072 build/tests/test_mapped
 *
 * prints what three gigabytes of weights take. The file has holes where weights are zero, so it takes little of the disk. */
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/str.h"
#include "infer/infer.h"

enum { SIDE = 4096, ROWS = 4 };
#define MATRIX ((size_t)SIDE * SIDE * 4)

static sv_error err;
static char root[64], graph[128];
static size_t matrices;

static void check(sv_status st) {
    char text[2048];
    if (st != SV_OK) fail_msg("%s", sv_error_text(&err, text, sizeof text));
}

/* ---- a model of matrix products, y = x P1 P2 …, where each P moves the values along and scales one by two and the next by a half ---- */

static void put_varint(sv_buf *b, uint64_t v) {
    for (; v > 127; v >>= 7) sv_buf_putc(b, (char)(v | 128));
    sv_buf_putc(b, (char)v);
}

static void put_number(sv_buf *b, unsigned field, uint64_t v) {
    put_varint(b, field << 3);
    put_varint(b, v);
}

static void put_bytes(sv_buf *b, unsigned field, const void *data, size_t n) {
    put_varint(b, field << 3 | 2);
    put_varint(b, n);
    sv_buf_add(b, data, n);
}

static void put_text(sv_buf *b, unsigned field, const char *s) { put_bytes(b, field, s, strlen(s)); }

static void put_inside(sv_buf *b, unsigned field, sv_buf *inside) {
    put_bytes(b, field, inside->data, inside->size);
    sv_buf_free(inside);
}

static void put_external(sv_buf *tensor, const char *key, const char *value) {
    sv_buf e = {0};
    put_text(&e, 1, key);
    put_text(&e, 2, value);
    put_inside(tensor, 13, &e);
}

/* float32[rows, SIDE] */
static void put_value(sv_buf *g, unsigned field, const char *name) {
    sv_buf value = {0}, type = {0}, tensor = {0}, shape = {0}, dim = {0};
    put_text(&dim, 2, "rows");
    put_inside(&shape, 1, &dim);
    put_number(&dim, 1, SIDE);
    put_inside(&shape, 1, &dim);
    put_number(&tensor, 1, 1);
    put_inside(&tensor, 2, &shape);
    put_inside(&type, 1, &tensor);
    put_text(&value, 1, name);
    put_inside(&value, 2, &type);
    put_inside(g, field, &value);
}

static void write_graph(void) {
    sv_buf model = {0}, g = {0}, opset = {0};
    char name[32], from[32], to[32], number[32];
    for (size_t i = 0; i < matrices; i++) {
        sv_buf node = {0}, tensor = {0};
        snprintf(from, sizeof from, i ? "y%zu" : "x", i);
        snprintf(to, sizeof to, i + 1 < matrices ? "y%zu" : "y", i + 1);
        snprintf(name, sizeof name, "w%zu", i);
        put_text(&node, 1, from);
        put_text(&node, 1, name);
        put_text(&node, 2, to);
        put_text(&node, 4, "MatMul");
        put_inside(&g, 1, &node);
        put_number(&tensor, 1, SIDE);
        put_number(&tensor, 1, SIDE);
        put_number(&tensor, 2, 1);
        put_text(&tensor, 8, name);
        put_external(&tensor, "location", "weights.bin");
        snprintf(number, sizeof number, "%zu", i * MATRIX);
        put_external(&tensor, "offset", number);
        snprintf(number, sizeof number, "%zu", MATRIX);
        put_external(&tensor, "length", number);
        put_number(&tensor, 14, 1);
        put_inside(&g, 5, &tensor);
    }
    put_text(&g, 2, "products");
    put_value(&g, 11, "x");
    put_value(&g, 12, "y");
    put_number(&model, 1, 8);
    put_number(&opset, 2, 17);
    put_inside(&model, 8, &opset);
    put_inside(&model, 7, &g);
    assert_false(model.failed);
    check(sv_file_write_atomic(graph, model.data, model.size, &err));
    sv_buf_free(&model);
}

static size_t goes_to(size_t matrix, size_t row) { return (row + matrix + 1) % SIDE; }
static float scaled_by(size_t matrix, size_t row) { return row == matrix ? 2.0f : row == matrix + 1 ? 0.5f : 1.0f; }

static void write_weights(void) {
    char path[128];
    snprintf(path, sizeof path, "%s/weights.bin", root);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && ftruncate(fd, (off_t)(matrices * MATRIX)) == 0);
    for (size_t m = 0; m < matrices; m++)
        for (size_t r = 0; r < SIDE; r++) {
            float v = scaled_by(m, r);
            assert_int_equal(pwrite(fd, &v, sizeof v, (off_t)(m * MATRIX + (r * SIDE + goes_to(m, r)) * sizeof v)), sizeof v);
        }
    close(fd);
}

static int make_model(void **state) {
    const char *mb = getenv("SYNTHVLM_MAPPED_MB");
    size_t bytes = (mb ? strtoull(mb, NULL, 10) : 256) << 20;
    matrices = bytes / MATRIX > 4 ? bytes / MATRIX : 4;
    snprintf(root, sizeof root, "/tmp/synthvlm-mapped-XXXXXX");
    if (!mkdtemp(root)) return -1;
    snprintf(graph, sizeof graph, "%s/model.onnx", root);
    write_graph();
    write_weights();
    return 0;
}

static int remove_model(void **state) {
    return sv_dir_empty(root, NULL) == SV_OK && rmdir(root) == 0 ? 0 : -1;
}

/* ---- memory of the program, looked at every millisecond ---- */

static size_t status_kb(const char *key) {
    char line[256];
    size_t kb = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0) kb = strtoull(line + strlen(key), NULL, 10);
    if (f) fclose(f);
    return kb;
}

static atomic_bool watching;
static size_t most_own;          /* KB of RssAnon: memory that no file backs */

static void *watch(void *user) {
    while (atomic_load(&watching)) {
        size_t now = status_kb("RssAnon:");
        if (now > most_own) most_own = now;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return user;
}

/* Loads the graph and runs it: MB of its own memory at the peak beyond those before, and MB of files in memory at the end. */
static void measure(bool mapped, size_t *own, size_t *file) {
    sv_session *s;
    sv_call *c;
    float *x;
    const float *y;
    pthread_t thread;
    const int64_t shape[] = {ROWS, SIDE};
    size_t before = status_kb("RssAnon:");
    most_own = 0;
    atomic_store(&watching, true);
    assert_int_equal(pthread_create(&thread, NULL, watch, NULL), 0);
    check(sv_session_open(&s, graph, &(sv_session_options){.mapped = mapped}, &err));
    check(sv_call_open(&c, s, &err));
    check(sv_call_floats(c, "x", shape, 2, &x, &err));
    check(sv_call_output(c, "y", shape, 2, &y, &err));
    for (int i = 0; i < ROWS * SIDE; i++) x[i] = (float)(i % 97) - 48;
    check(sv_call_run(c, &err));
    atomic_store(&watching, false);
    pthread_join(thread, NULL);
    *own = (most_own > before ? most_own - before : 0) >> 10;
    *file = status_kb("RssFile:") >> 10;
    for (size_t r = 0; r < SIDE; r += 37) {
        size_t at = r;
        float scale = 1;
        for (size_t m = 0; m < matrices; m++) {
            scale *= scaled_by(m, at);
            at = goes_to(m, at);
        }
        for (size_t k = 0; k < ROWS; k++) assert_true(y[k * SIDE + at] == scale * x[k * SIDE + r]);
    }
    sv_call_close(&c);
    sv_session_close(&s);
}

static void weights_are_not_held_twice(void **state) {
    size_t weights = matrices * MATRIX >> 20, own, file;
#if defined(__SANITIZE_ADDRESS__)
    skip();                                        /* its shadow memory is counted too */
#endif
    measure(true, &own, &file);
    printf("%zu MB of weights, mapped: %zu MB of own memory at the peak, %zu MB of files\n", weights, own, file);
    assert_true(own < 32 && file >= weights);
    measure(false, &own, &file);
    printf("%zu MB of weights, laid out: %zu MB of own memory at the peak, %zu MB of files\n", weights, own, file);
    assert_true(own >= weights - weights / 8 && own < weights + MATRIX / (1 << 20) + 64);
}

static void data_that_is_cut_short_is_an_error(void **state) {
    sv_session *s;
    char path[128];
    snprintf(path, sizeof path, "%s/weights.bin", root);
    assert_int_equal(truncate(path, (off_t)(matrices * MATRIX / 2)), 0);
    assert_int_equal(sv_session_open(&s, graph, &(sv_session_options){.mapped = true}, &err), SV_E_MODEL);
    assert_null(s);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(sv_session_open(&s, graph, &(sv_session_options){.mapped = true}, &err), SV_E_MODEL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_not_held_twice),
        cmocka_unit_test(data_that_is_cut_short_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
