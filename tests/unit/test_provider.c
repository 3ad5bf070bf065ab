/* Execution providers: the plugin half of ONNX Runtime's function table lies where we call it, and what is asked for in vain is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "infer/infer.h"
#include "infer/plugin_api.h"
#include "infer/runtime.h"

#define GRAPH "tests/golden/models/tiny-sd15/text_encoder/model.onnx"

/* A wrong place in the table would give another function's answer, or none. */
static void the_table_is_where_we_call_it(void **state) {
    const sv_runtime *rt;
    sv_error err = {0};
    assert_int_equal(sv_runtime_acquire(&rt, &err), SV_OK);
    const OrtApi *full = sv_runtime_api(SV_PLUGIN_API_VERSION);
    if (!full) {
        sv_runtime_release();
        print_message("ONNX Runtime %s has no plugins\n", rt->version);
        skip();
    }
    const sv_plugin_api *api = sv_plugin_api_of(full);
    const sv_ep_device *const *devices = NULL;
    size_t n = 0;
    bool cpu = false;
    assert_null(api->GetEpDevices(rt->env, &devices, &n));
    for (size_t i = 0; i < n; i++)
        cpu |= strcmp(api->EpDevice_EpName(devices[i]), "CPUExecutionProvider") == 0 && api->HardwareDevice_Type(api->EpDevice_Device(devices[i])) == SV_HARDWARE_CPU;
    assert_true(cpu);
    OrtStatus *s = api->RegisterExecutionProviderLibrary(rt->env, "none", "/there/is/no/such/library.so");
    assert_non_null(s);
    assert_non_null(strstr(rt->api->GetErrorMessage(s), "no/such/library.so"));
    rt->api->ReleaseStatus(s);
    s = api->UnregisterExecutionProviderLibrary(rt->env, "never registered");
    assert_non_null(s);
    rt->api->ReleaseStatus(s);
    sv_runtime_release();
    assert_null(sv_runtime_api(9999));
}

static void what_is_asked_for_in_vain(void **state) {
    static const struct { const char *name, *library, *options; sv_status status; const char *why; } cases[] = {
        {"cpu", NULL, NULL, SV_OK, NULL},
        {NULL, NULL, NULL, SV_OK, NULL},
        {"cpu", NULL, "{\"threads\": 1}", SV_E_USAGE, "the cpu provider has none"},
        {"abacus", NULL, NULL, SV_E_USAGE, "no execution provider \"abacus\"; it has: cpu"},
        {"abacus", NULL, "{\"device\": \"gpu\"}", SV_E_USAGE, "device chooses among the devices of a plugin"},
        {"abacus", NULL, "{\"device\": \"tpu\"}", SV_E_USAGE, "device must be cpu, gpu or npu"},
        {"abacus", NULL, "{\"a\": {}}", SV_E_USAGE, "a must be a text, a number, true or false"},
        {"abacus", NULL, "3", SV_E_USAGE, "are not a map"},
        {"abacus", NULL, "{", SV_E_USAGE, "are not a map"},
        {"abacus=", NULL, NULL, SV_E_USAGE, "lacks a part"},
        {"=lib.so", NULL, NULL, SV_E_USAGE, "lacks a part"},
        {"abacus=/there/is/none.so", NULL, NULL, SV_E_LIBRARY, "there is no such plugin library"},
        {"abacus", "/there/is/none.so", NULL, SV_E_LIBRARY, "there is no such plugin library"},
        {"abacus", GRAPH, NULL, SV_E_LIBRARY, "invalid ELF header"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sv_session *s = NULL;
        sv_error err = {0};
        sv_session_options o = {.provider = cases[i].name, .provider_library = cases[i].library, .provider_options = cases[i].options};
        sv_status st = sv_session_open(&s, GRAPH, &o, &err);
        sv_session_close(&s);
        if (st != cases[i].status || (cases[i].why && !strstr(err.why, cases[i].why)))
            fail_msg("%s, %s, %s: %d: %s: %s", cases[i].name, cases[i].library, cases[i].options, st, err.what, err.why);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_table_is_where_we_call_it), cmocka_unit_test(what_is_asked_for_in_vain)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
