/* Schedulers: timesteps, sigmas and whole loops against diffusers; how configurations are read; what is refused. */
#include <math.h>
#include <stdio.h>

#include "golden.h"
#include "synthvlm/diffusion.h"

#define GOLDEN "tests/golden/diffusion/schedule/"

static sv_error err;

static void check(sv_status st) {
    char text[2048];
    if (st != SV_OK) fail_msg("%s", sv_error_text(&err, text, sizeof text));
}

static double number(yyjson_val *o, const char *key, double fallback) {
    yyjson_val *v = yyjson_obj_get(o, key);
    return yyjson_is_num(v) ? yyjson_get_num(v) : yyjson_is_bool(v) ? yyjson_get_bool(v) : fallback;
}

/* ---- against diffusers ---- */

typedef struct run {
    sv_scheduler *scheduler;
    sv_sampler *sampler;
    char *config, *override;
    size_t samples, values, begin;
} run;

static run open_run(yyjson_val *row, size_t values) {
    run r = {.samples = (size_t)number(row, "samples", 1), .values = values, .begin = (size_t)number(row, "begin", 0)};
    yyjson_val *override = yyjson_obj_get(row, "override"), *step = yyjson_obj_get(row, "step");
    r.config = yyjson_val_write(golden_get(row, "config"), YYJSON_WRITE_ALLOW_INF_AND_NAN, NULL);
    if (yyjson_is_obj(override)) r.override = yyjson_val_write(override, YYJSON_WRITE_ALLOW_INF_AND_NAN, NULL);
    sv_sample_options o;
    sv_sample_options_init(&o, (int)golden_num(row, "steps"));
    o.mu = number(row, "mu", number(yyjson_obj_get(row, "set_timesteps"), "mu", NAN));
    o.eta = number(step, "eta", 0);
    o.use_clipped_model_output = number(step, "use_clipped_model_output", 0) != 0;
    o.s_churn = number(step, "s_churn", 0);
    o.s_tmin = number(step, "s_tmin", 0);
    o.s_tmax = number(step, "s_tmax", INFINITY);
    o.s_noise = number(step, "s_noise", 1);
    check(sv_scheduler_open(&r.scheduler, r.config, r.override, &err));
    check(sv_sampler_open(&r.sampler, r.scheduler, &o, r.samples, values, &err));
    return r;
}

static void close_run(run *r) {
    sv_sampler_close(&r->sampler);
    sv_scheduler_close(&r->scheduler);
    free(r->config);
    free(r->override);
}

static void compare(const char *what, size_t line, yyjson_val *want, size_t count, double (*got)(const run *, size_t), const run *r) {
    if (yyjson_arr_size(want) != count) fail_msg("line %zu: %zu %s, not %zu", line + 1, count, what, yyjson_arr_size(want));
    bool whole = true;
    size_t i, max;
    yyjson_val *v;
    yyjson_arr_foreach(want, i, max, v) whole = whole && yyjson_get_num(v) == rint(yyjson_get_num(v));
    yyjson_arr_foreach(want, i, max, v) {
        double a = got(r, i), b = yyjson_get_num(v);
        if (whole ? a != b : fabs(a - b) > 1e-6 * fmax(1, fabs(b))) fail_msg("line %zu: %s[%zu] is %.9g, not %.9g", line + 1, what, i, a, b);
    }
}

static double timestep_at(const run *r, size_t i) { return sv_sampler_timesteps(r->sampler)[i]; }

static double sigma_at(const run *r, size_t i) {
    size_t count;
    return sv_sampler_sigmas(r->sampler, &count)[i];
}

static void compare_schedule(const run *r, yyjson_val *row, size_t line) {
    size_t count;
    yyjson_val *sigmas = golden_get(row, "sigmas");
    compare("timesteps", line, golden_get(row, "timesteps"), sv_sampler_length(r->sampler), timestep_at, r);
    const float *ours = sv_sampler_sigmas(r->sampler, &count);
    if (yyjson_is_null(sigmas)) assert_null(ours);
    else compare("sigmas", line, sigmas, count, sigma_at, r);
    double init = number(row, "init_noise_sigma", 1);
    assert_true(fabs(sv_sampler_init_noise_sigma(r->sampler) - init) <= 1e-6 * init);
}

/* The loop of README.md with its stand-in model. */
static void run_loop(const run *r, uint64_t seed, float *x) {
    size_t n = r->samples * r->values;
    float *in = malloc(n * sizeof *in), *out = malloc(n * sizeof *out);
    sv_generator *g = malloc(r->samples * sizeof *g);
    assert_true(in && out && g);
    for (size_t s = 0; s < r->samples; s++) {
        sv_generator_seed(&g[s], seed + s);
        sv_randn(&g[s], x + s * r->values, r->values);
    }
    for (size_t k = 0; k < n && !r->begin; k++) x[k] *= sv_sampler_init_noise_sigma(r->sampler);
    sv_sampler_restart(r->sampler);
    for (size_t i = r->begin; i < sv_sampler_length(r->sampler); i++) {
        float bias = (float)(0.05 * sin(sv_sampler_timesteps(r->sampler)[i] / 100));
        sv_sampler_scale_input(r->sampler, i, x, in);
        for (size_t k = 0; k < n; k++) out[k] = 0.3f * in[k] + bias;
        check(sv_sampler_step(r->sampler, i, out, x, g, &err));
    }
    free(in);
    free(out);
    free(g);
}

static void compare_loops(const char *path, size_t values, double tolerance) {
    golden g = golden_read(path);
    for (size_t line = 0; line < g.count; line++) {
        yyjson_val *row = golden_at(&g, line), *final = golden_get(row, "final"), *v;
        run r = open_run(row, values);
        compare_schedule(&r, row, line);
        size_t n = r.samples * values, i, max;
        assert_int_equal(yyjson_arr_size(final), n);
        float *x = malloc(n * sizeof *x), *again = malloc(n * sizeof *again);
        assert_true(x && again);
        run_loop(&r, yyjson_get_uint(golden_get(row, "seed")), x);
        double most = 1, worst = 0;
        yyjson_arr_foreach(final, i, max, v) {
            most = fmax(most, fabs(yyjson_get_num(v)));
            worst = fmax(worst, fabs(x[i] - yyjson_get_num(v)));
        }
        if (!(worst <= tolerance * most)) fail_msg("%s line %zu: the loop's result is off by %g of %g", path, line + 1, worst, most);
        /* A restarted sampler forgets everything. */
        run_loop(&r, yyjson_get_uint(golden_get(row, "seed")), again);
        assert_memory_equal(x, again, n * sizeof *x);
        free(x);
        free(again);
        close_run(&r);
    }
    golden_free(&g);
}

static void test_schedules(void **state) { compare_loops(GOLDEN "schedules.jsonl", 256, 2e-6); }
static void test_every_key(void **state) { compare_loops(GOLDEN "more.jsonl", 64, 2e-5); }

static void test_add_noise(void **state) {
    golden g = golden_read(GOLDEN "add_noise.jsonl");
    for (size_t line = 0; line < g.count; line++) {
        yyjson_val *row = golden_at(&g, line), *v;
        run r = open_run(row, 64);
        sv_generator generator;
        float x[64], z[64], out[64];
        sv_generator_seed(&generator, yyjson_get_uint(golden_get(row, "seed")));
        sv_randn(&generator, x, 64);
        sv_randn(&generator, z, 64);
        sv_sampler_add_noise(r.sampler, (size_t)golden_num(row, "index"), x, z, out);
        size_t i, max;
        yyjson_arr_foreach(golden_get(row, "out"), i, max, v) {
            double want = yyjson_get_num(v);
            if (fabs(out[i] - want) > 1e-6 * fmax(1, fabs(want))) fail_msg("line %zu, value %zu: %.9g, not %.9g", line + 1, i, out[i], want);
        }
        close_run(&r);
    }
    golden_free(&g);
}

/* ---- reading configurations ---- */

/* The value of a key in force, as JSON text. */
static void expect(const char *config, const char *override, const char *key, const char *want) {
    sv_scheduler *s = NULL;
    check(sv_scheduler_open(&s, config, override, &err));
    yyjson_doc *doc = yyjson_read(sv_scheduler_json(s), strlen(sv_scheduler_json(s)), 0);
    assert_non_null(doc);
    char *got = yyjson_val_write(golden_get(yyjson_doc_get_root(doc), key), 0, NULL);
    assert_string_equal(got, want);
    free(got);
    yyjson_doc_free(doc);
    sv_scheduler_close(&s);
}

/* Stable Diffusion 1.5's file as it was first published. */
#define SD15 \
    "{\"_class_name\": \"PNDMScheduler\", \"_diffusers_version\": \"0.6.0\", \"beta_end\": 0.012, \"beta_schedule\": \"scaled_linear\", \"beta_start\": 0.00085, " \
    "\"num_train_timesteps\": 1000, \"set_alpha_to_one\": false, \"skip_prk_steps\": true, \"steps_offset\": 1, \"trained_betas\": null, \"clip_sample\": false}"

static void test_reading(void **state) {
    expect(SD15, NULL, "timestep_spacing", "\"leading\"");
    expect(SD15, "DDIMScheduler", "set_alpha_to_one", "false");
    expect(SD15, "DDIMScheduler", "thresholding", "false");
    expect(SD15, "euler", "_class_name", "\"EulerDiscreteScheduler\"");
    expect(SD15, " \"euler\"", "_class_name", "\"EulerDiscreteScheduler\"");
    /* Absent keys are the new class's defaults, stated ones stay. */
    expect(SD15, "euler", "timestep_spacing", "\"linspace\"");
    expect(SD15, "euler", "steps_offset", "1");
    expect(SD15, "{\"_class_name\": \"dpm++\", \"use_karras_sigmas\": true}", "use_karras_sigmas", "true");
    expect(SD15, "{\"_class_name\": \"dpm++\"}", "lambda_min_clipped", "\"-Infinity\"");
    expect("{\"_class_name\": \"DPMSolverMultistepScheduler\", \"lambda_min_clipped\": -Infinity}", NULL, "lambda_min_clipped", "\"-Infinity\"");
    expect(SD15, "{\"steps_offset\": 0}", "steps_offset", "0");
    /* Keys that were defaults when the file was written, and repeated keys. */
    expect("{\"_class_name\": \"DDIMScheduler\", \"steps_offset\": 3, \"_use_default_values\": [\"steps_offset\"]}", NULL, "steps_offset", "0");
    expect("{\"_class_name\": \"DDIMScheduler\", \"steps_offset\": 3, \"steps_offset\": 2}", NULL, "steps_offset", "2");
    /* Names of other solvers, sigma bounds that the class does not know but its sigma schedules use, false as null. */
    expect("{\"_class_name\": \"DPMSolverMultistepScheduler\", \"solver_type\": \"bh2\"}", NULL, "solver_type", "\"midpoint\"");
    expect("{\"_class_name\": \"UniPCMultistepScheduler\", \"solver_type\": \"heun\"}", NULL, "solver_type", "\"bh2\"");
    expect("{\"_class_name\": \"EulerDiscreteScheduler\", \"sigma_min\": 0.05}", "dpm++", "sigma_min", "0.05");
    expect("{\"_class_name\": \"DDIMScheduler\", \"clip_sample\": null}", NULL, "clip_sample", "false");
    expect("{\"_class_name\": \"EulerDiscreteScheduler\", \"sigma_max\": null}", NULL, "sigma_max", "null");
    /* What is written can be read. */
    sv_scheduler *s = NULL, *t = NULL;
    check(sv_scheduler_open(&s, SD15, "dpm++", &err));
    check(sv_scheduler_open(&t, sv_scheduler_json(s), NULL, &err));
    assert_string_equal(sv_scheduler_json(s), sv_scheduler_json(t));
    sv_scheduler_close(&s);
    sv_scheduler_close(&t);
}

static void refuse(const char *config, const char *override, int steps, const char *part) {
    char text[2048];
    sv_scheduler *s = NULL;
    sv_sampler *p = NULL;
    sv_sample_options o;
    sv_sample_options_init(&o, steps);
    sv_status st = sv_scheduler_open(&s, config, override, &err);
    if (st == SV_OK) st = sv_sampler_open(&p, s, &o, 1, 64, &err);
    if (st == SV_OK) fail_msg("accepted: %s over %s, %d steps", override ? override : "nothing", config, steps);
    assert_null(p);
    assert_int_equal(st, SV_E_INPUT);
    sv_error_text(&err, text, sizeof text);
    if (!strstr(text, part)) fail_msg("\"%s\" does not say \"%s\"", text, part);
    sv_scheduler_close(&s);
}

static void test_refusals(void **state) {
    refuse("", NULL, 4, "not JSON");
    refuse("[1]", NULL, 4, "not a JSON object");
    refuse("{}", NULL, 4, "names no class");
    refuse("{\"_class_name\": 3}", NULL, 4, "not a string");
    refuse("{\"_class_name\": \"LMSDiscreteScheduler\"}", NULL, 4, "none called \"LMSDiscreteScheduler\"");
    refuse(SD15, "eular", 4, "did you mean euler?");
    refuse(SD15, "\"eular\"", 4, "none called \"eular\"");
    refuse(SD15, "\"euler", 4, "none called \"\"euler\"");
    refuse(SD15, "{\"use_karas_sigmas\": true}", 4, "did you mean use_karras_sigmas?");
    refuse("{\"_class_name\": \"DDIMScheduler\", \"predict_epsilon\": false}", NULL, 4, "unknown key \"predict_epsilon\"");
    refuse(SD15, "{\"beta_start\": \"low\"}", 4, "beta_start cannot be \"low\"; it is a number");
    refuse(SD15, "{\"num_train_timesteps\": 10.5}", 4, "a whole number from 1");
    refuse(SD15, "{\"num_train_timesteps\": 0}", 4, "a whole number from 1");
    refuse(SD15, "{\"skip_prk_steps\": \"yes\"}", 4, "true or false");
    refuse(SD15, "{\"timestep_spacing\": \"even\"}", 4, "leading|trailing|linspace");
    refuse(SD15, "{\"beta_schedule\": \"exp\"}", 4, "beta_schedule cannot be exp");
    refuse(SD15, "{\"beta_start\": 1.5, \"beta_end\": 3.0}", 4, "not within 0..1");
    refuse(SD15, "{\"trained_betas\": []}", 4, "list of numbers");
    refuse(SD15, "{\"_class_name\": \"euler\", \"use_karras_sigmas\": null}", 4, "true or false");
    refuse(SD15, "{\"_class_name\": \"euler\", \"use_karras_sigmas\": true, \"use_beta_sigmas\": true}", 4, "only one of");
    refuse(SD15, "{\"_class_name\": \"dpm++\", \"algorithm_type\": \"dpmsolver\"}", 4, "final_sigmas_type to sigma_min");
    refuse(SD15, "{\"_class_name\": \"dpm++\", \"algorithm_type\": \"sde-dpmsolver\", \"final_sigmas_type\": \"sigma_min\", \"solver_order\": 3}", 20, "no third order");
    refuse(SD15, "{\"_class_name\": \"unipc\", \"shift_terminal\": 0.1}", 4, "shift_terminal needs use_flow_sigmas");
    refuse(SD15, "{\"_class_name\": \"unipc\", \"solver_p\": \"ddim\"}", 4, "only null");
    refuse(SD15, "{\"_class_name\": \"ddpm\", \"variance_type\": \"learned_range\"}", 4, "predict their variance");
    refuse(SD15, "{\"_class_name\": \"ddim\", \"thresholding\": true, \"dynamic_thresholding_ratio\": 2}", 4, "not within 0..1");
    refuse(SD15, "{\"_class_name\": \"euler-a\", \"prediction_type\": \"sample\"}", 4, "prediction_type cannot be sample");
    refuse(SD15, "ddim", 1001, "more than its 1000 training timesteps");
    refuse(SD15, "{\"_class_name\": \"ddim\", \"steps_offset\": 1}", 1000, "reaches timestep 1000");
    refuse(SD15, "lcm", 51, "more than its original_inference_steps");
    refuse(SD15, "{\"skip_prk_steps\": false}", 3, "Runge-Kutta");
    refuse(SD15, "{\"_class_name\": \"flow-euler\", \"use_dynamic_shifting\": true}", 4, "needs mu");
    refuse(SD15, "{\"_class_name\": \"euler\", \"use_exponential_sigmas\": true, \"sigma_min\": 0}", 4, "not finite");
    refuse(SD15, NULL, 0, "steps is 0");
}

static void test_order_of_steps(void **state) {
    sv_scheduler *s = NULL;
    sv_sampler *p = NULL;
    sv_sample_options o;
    float x[16] = {0}, out[16] = {0};
    sv_sample_options_init(&o, 4);
    check(sv_scheduler_open(&s, SD15, "ddim", &err));
    check(sv_sampler_open(&p, s, &o, 1, 16, &err));
    check(sv_sampler_step(p, 1, out, x, NULL, &err));
    assert_int_equal(sv_sampler_step(p, 1, out, x, NULL, &err), SV_E_INTERNAL);
    assert_int_equal(sv_sampler_step(p, 3, out, x, NULL, &err), SV_E_INTERNAL);
    check(sv_sampler_step(p, 2, out, x, NULL, &err));
    sv_sampler_restart(p);
    check(sv_sampler_step(p, 0, out, x, NULL, &err));
    assert_int_equal(sv_sampler_step(p, 4, out, x, NULL, &err), SV_E_INTERNAL);
    sv_sampler_close(&p);
    sv_scheduler_close(&s);
}

static void test_table(void **state) {
    assert_int_equal(sv_scheduler_count(), 10);
    for (size_t i = 0; i < sv_scheduler_count(); i++) {
        const sv_scheduler_info *info = sv_scheduler_at(i);
        char config[128];
        snprintf(config, sizeof config, "{\"_class_name\": \"%s\"}", info->name);
        assert_ptr_equal(sv_scheduler_find(info->name), info);
        assert_ptr_equal(sv_scheduler_find(info->alias), info);
        expect(config, NULL, "num_train_timesteps", "1000");   /* every default can be read */
    }
    assert_null(sv_scheduler_at(10));
    assert_null(sv_scheduler_find("Euler"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_add_noise),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_order_of_steps),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
