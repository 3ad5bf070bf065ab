/* scheduler.c - the table of schedulers, and opening one. */
#include "diffusion/scheduler.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "diffusion/schedule_math.h"

extern const sv_scheduler_kind sv_scheduler_ddim, sv_scheduler_ddpm, sv_scheduler_pndm, sv_scheduler_euler, sv_scheduler_euler_ancestral,
    sv_scheduler_heun, sv_scheduler_dpm_multistep, sv_scheduler_unipc, sv_scheduler_lcm, sv_scheduler_flow_euler;

/* One line per class. */
static const sv_scheduler_kind *const KINDS[] = {
    &sv_scheduler_ddim,
    &sv_scheduler_ddpm,
    &sv_scheduler_pndm,
    &sv_scheduler_euler,
    &sv_scheduler_euler_ancestral,
    &sv_scheduler_heun,
    &sv_scheduler_dpm_multistep,
    &sv_scheduler_unipc,
    &sv_scheduler_lcm,
    &sv_scheduler_flow_euler,
};
#define KIND_COUNT (sizeof KINDS / sizeof *KINDS)

size_t sv_scheduler_count(void) { return KIND_COUNT; }

const sv_scheduler_info *sv_scheduler_at(size_t i) { return i < KIND_COUNT ? &KINDS[i]->info : NULL; }

static const sv_scheduler_kind *find(const char *name) {
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (sv_str_eq(KINDS[i]->info.name, name) || sv_str_eq(KINDS[i]->info.alias, name)) return KINDS[i];
    return NULL;
}

const sv_scheduler_info *sv_scheduler_find(const char *name) {
    const sv_scheduler_kind *kind = find(name);
    return kind ? &kind->info : NULL;
}

sv_status sv_scheduler_find_kind(const char *name, const sv_scheduler_kind **kind, sv_error *err) {
    if ((*kind = find(name))) return SV_OK;
    const char *names[2 * KIND_COUNT], *near;
    sv_buf list = {0};
    for (size_t i = 0; i < KIND_COUNT; i++) {
        names[2 * i] = KINDS[i]->info.name;
        names[2 * i + 1] = KINDS[i]->info.alias;
        sv_buf_printf(&list, "%s%s (%s)", i ? ", " : "", KINDS[i]->info.name, KINDS[i]->info.alias);
    }
    sv_fail(err, SV_E_INPUT, "scheduler", "there is none called \"%.80s\"", name);
    if ((near = sv_nearest(name, names, 2 * KIND_COUNT))) sv_hint(err, SV_E_INPUT, "did you mean %s?", near);
    else sv_hint(err, SV_E_INPUT, "one of %s", list.data ? list.data : "those of synthvlm schedule --list");
    sv_buf_free(&list);
    return SV_E_INPUT;
}

/* alphas_cumprod, checked: everything else is computed from it. */
static sv_status make_levels(sv_scheduler *s, sv_error *err) {
    if (s->kind->plain_time) return SV_OK;
    if (!s->config.trained_betas) SV_TRY(sv_scheduler_allows(s->kind, "beta_schedule", &s->config, err));
    s->levels = sv_beta_count(&s->config);
    s->alphas_cumprod = calloc(s->levels, sizeof(float));
    float *betas = calloc(s->levels, sizeof(float));
    sv_status st = SV_OK;
    if (s->alphas_cumprod && betas) sv_alphas_cumprod(&s->config, s->kind->sigma_family, betas, s->alphas_cumprod);
    else st = sv_fail_memory(err, "scheduler", s->levels * sizeof(float));
    free(betas);
    for (size_t i = 0; st == SV_OK && i < s->levels; i++)
        if (!(s->alphas_cumprod[i] >= 0 && s->alphas_cumprod[i] <= 1))
            st = sv_fail(err, SV_E_INPUT, "scheduler config", "%s: these betas give alphas_cumprod[%zu] = %g, which is not within 0..1",
                         s->kind->info.name, i, (double)s->alphas_cumprod[i]);
    return st;
}

sv_status sv_scheduler_open_amended(sv_scheduler **out, const char *config, const char *override, unsigned amend, sv_error *err) {
    *out = NULL;
    sv_scheduler *s = calloc(1, sizeof *s);
    if (!s) return sv_fail_memory(err, "scheduler", sizeof *s);
    sv_status st = sv_scheduler_config_read(config, override, amend, &s->kind, &s->config, &s->json, err);
    if (st == SV_OK) st = make_levels(s, err);
    if (st != SV_OK) sv_scheduler_close(&s);
    *out = s;
    return st;
}

sv_status sv_scheduler_open(sv_scheduler **out, const char *config, const char *override, sv_error *err) {
    return sv_scheduler_open_amended(out, config, override, 0, err);
}

void sv_scheduler_close(sv_scheduler **s) {
    if (!*s) return;
    sv_scheduler_config_free(&(*s)->config);
    free((*s)->alphas_cumprod);
    free((*s)->json);
    free(*s);
    *s = NULL;
}

const char *sv_scheduler_class(const sv_scheduler *s) { return s->kind->info.name; }
const char *sv_scheduler_json(const sv_scheduler *s) { return s->json; }
