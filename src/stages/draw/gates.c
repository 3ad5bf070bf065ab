/* gates.c - what a picture must show to become a candidate. */
#include "stages/draw/gates.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

void sv_gate_work_free(sv_gate_work *w) {
    sv_quality_work_free(&w->quality);
    sv_safety_work_free(&w->safety);
    sv_hash_work_free(&w->hash);
}

sv_status sv_gates_taboo(const sv_gate_settings *g, const sv_log *log, sv_taboo **out, sv_error *err) {
    *out = NULL;
    return g->benchmark ? sv_taboo_open(out, "score.gates.benchmark", g->benchmark, (int)g->benchmark_distance, log, err) : SV_OK;
}

sv_status sv_gates_ask(const sv_gate_settings *g, const sv_safety *safety, const sv_taboo *taboo, const sv_image *im, sv_gate_work *w, sv_refusal *out, sv_error *err) {
    out->reason = NULL;
    out->detail[0] = 0;
    if (g->black != INT64_MIN) {
        int brightest;
        SV_TRY(sv_quality_brightest(im, &w->quality, &brightest, err));
        if (brightest <= g->black) {
            out->reason = "black";
            snprintf(out->detail, sizeof out->detail, "99 of 100 pixels are at %d or darker", brightest);
            return SV_OK;
        }
    }
    if (!isnan(g->flat)) {
        double detail;
        SV_TRY(sv_quality(im, SV_MEASURE_DETAIL, 0, &w->quality, &detail, err));
        if (detail < g->flat) {
            out->reason = "flat";
            snprintf(out->detail, sizeof out->detail, "%.4f of its blocks are not flat", detail);
            return SV_OK;
        }
    }
    if (safety) {
        bool flagged;
        SV_TRY(sv_safety_check(safety, im, &w->safety, &flagged, err));
        if (flagged) {
            out->reason = "unsafe";
            snprintf(out->detail, sizeof out->detail, "flagged by the model's safety checker");
            return SV_OK;
        }
    }
    if (taboo) {
        const char *name;
        SV_TRY(sv_taboo_find(taboo, im, &w->hash, &name, err));
        if (name) {
            size_t n = strlen(name), room = sizeof out->detail - sizeof "repeats ";
            out->reason = "benchmark";
            snprintf(out->detail, sizeof out->detail, "repeats %s", n > room ? name + n - room : name);
        }
    }
    return SV_OK;
}

sv_status sv_gates_describe(const sv_gate_settings *g, const sv_safety *safety, const sv_taboo *taboo, yyjson_mut_doc *doc, yyjson_mut_val *setup, sv_error *err) {
    char hash[65];
    if (g->black == INT64_MIN && isnan(g->flat) && g->duplicate == INT64_MIN && !safety && !taboo) return SV_OK;
    yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, setup, "gates");
    bool ok = o && yyjson_mut_obj_add_int(doc, o, "formula", 1);
    if (ok && g->black != INT64_MIN) ok = yyjson_mut_obj_add_int(doc, o, "black", g->black);
    if (ok && !isnan(g->flat)) ok = yyjson_mut_obj_add_real(doc, o, "flat", g->flat);
    if (ok && safety) {
        SV_TRY(sv_safety_hash(safety, hash, err));
        ok = yyjson_mut_obj_add_strcpy(doc, o, "safety", hash);
    }
    if (ok && g->duplicate != INT64_MIN) ok = yyjson_mut_obj_add_int(doc, o, "duplicate", g->duplicate);
    if (ok && taboo) {
        sv_taboo_hash(taboo, hash);
        ok = yyjson_mut_obj_add_strcpy(doc, o, "benchmark", hash) && yyjson_mut_obj_add_int(doc, o, "benchmark_distance", g->benchmark_distance);
    }
    return ok ? SV_OK : sv_fail_memory(err, "generate setup", 0);
}
