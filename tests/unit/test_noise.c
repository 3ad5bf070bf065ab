/* Noise: torch.randn on the CPU, both paths, the spare value, seeds modulo 2^32. */
#include <math.h>

#include "golden.h"
#include "synthvlm/diffusion.h"

static size_t product(yyjson_val *shape) {
    size_t n = 1, i, max;
    yyjson_val *side;
    yyjson_arr_foreach(shape, i, max, side) n *= (size_t)yyjson_get_uint(side);
    return n;
}

static void close_to(yyjson_val *want, const float *got, size_t line) {
    size_t i, max;
    yyjson_val *v;
    yyjson_arr_foreach(want, i, max, v)
        if (fabs(got[i] - yyjson_get_num(v)) > 1e-6) fail_msg("line %zu, value %zu: %.9g, not %.9g", line + 1, i, got[i], yyjson_get_num(v));
}

static void test_golden(void **state) {
    golden g = golden_read("tests/golden/diffusion/schedule/noise.jsonl");
    for (size_t line = 0; line < g.count; line++) {
        yyjson_val *row = golden_at(&g, line), *shape, *last = golden_get(row, "last");
        sv_generator generator;
        size_t i, max, n;
        float *x = NULL;
        sv_generator_seed(&generator, yyjson_get_uint(golden_get(row, "seed")));
        yyjson_arr_foreach(golden_get(row, "before"), i, max, shape) {
            assert_non_null(x = realloc(x, product(shape) * sizeof *x));
            sv_randn(&generator, x, product(shape));
        }
        n = product(golden_get(row, "shape"));
        assert_non_null(x = realloc(x, n * sizeof *x));
        sv_randn(&generator, x, n);
        double sum = 0;
        for (i = 0; i < n; i++) sum += x[i];
        close_to(golden_get(row, "first"), x, line);
        close_to(last, x + n - yyjson_arr_size(last), line);
        assert_true(fabs(sum - golden_num(row, "sum")) < 1e-3);
        free(x);
    }
    golden_free(&g);
}

static void test_words(void **state) {
    /* The 10,000th word of MT19937 seeded with 5489 is a constant of the C++ standard library. */
    sv_generator g;
    sv_generator_seed(&g, 5489);
    uint32_t word = 0;
    for (int i = 0; i < 10000; i++) word = sv_generator_next(&g);
    assert_int_equal(word, 4123659995u);
}

static void test_seed_modulo(void **state) {
    sv_generator a, b;
    float x[20], y[20];
    sv_generator_seed(&a, 7);
    sv_generator_seed(&b, 7 + (UINT64_C(5) << 32));
    sv_randn(&a, x, 20);
    sv_randn(&b, y, 20);
    assert_memory_equal(x, y, sizeof x);
}

static void test_spare(void **state) {
    /* Two draws of one value are one draw of two; a new seed forgets the value that waits. */
    sv_generator g;
    float pair[2], one[2];
    sv_generator_seed(&g, 3);
    sv_randn(&g, pair, 2);
    sv_generator_seed(&g, 3);
    sv_randn(&g, &one[0], 1);
    sv_randn(&g, &one[1], 1);
    assert_memory_equal(pair, one, sizeof pair);
    sv_randn(&g, &one[0], 1);
    sv_generator_seed(&g, 3);
    sv_randn(&g, &one[0], 1);
    assert_true(one[0] == pair[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_seed_modulo),
        cmocka_unit_test(test_spare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
