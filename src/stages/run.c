/* run.c - the stages as the public header has them, and all of them in a row. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "diffusion/family.h"
#include "diffusion/model_dir.h"
#include "diffusion/scheduler.h"
#include "stages/draw/draw.h"
#include "stages/score/image_judge.h"
#include "stages/produce.h"
#include "stages/select/select.h"
#include "synthvlm/dataset.h"
#include "synthvlm/score.h"

static sv_status check_model(const sv_recipe *r, sv_error *err) {
    sv_model_dir model;
    sv_model_sizes sizes;
    sv_scheduler *scheduler = NULL;
    const int32_t *size = r->generate.size;
    SV_TRY(sv_model_dir_read(&model, r->generate.model, err));
    sv_status st = sv_model_dir_check(&model, err);
    if (st == SV_OK) st = sv_model_dir_sizes(&model, &sizes, err);
    if (st == SV_OK && (size[0] % sizes.multiple || size[1] % sizes.multiple)) {
        st = sv_fail(err, SV_E_RECIPE, "generate.size", "%dx%d does not fit this model: both sides must be multiples of %d", size[0], size[1], sizes.multiple);
        sv_hint(err, st, "the model's own size is %dx%d", sizes.width, sizes.height);
    }
    if (st == SV_OK && r->generate.scheduler) st = sv_scheduler_open_amended(&scheduler, model.scheduler, r->generate.scheduler, model.family->amend, err);
    sv_scheduler_close(&scheduler);
    sv_model_dir_free(&model);
    return st;
}

static sv_status check_refiner(const sv_recipe *r, sv_error *err) {
    sv_model_dir refiner;
    if (!r->generate.refiner.model) return SV_OK;
    SV_TRY(sv_model_dir_read(&refiner, r->generate.refiner.model, err));
    sv_status st = sv_model_dir_check(&refiner, err);
    sv_model_dir_free(&refiner);
    return st;
}

/* Finds out about missing model parts and settings that do not fit the model before hours are spent on captions, and before the recipe becomes the
 * directory's own. */
static sv_status check_models(const sv_recipe *r, sv_error *err) {
    SV_TRY(sv_recipe_needs_pictures(r, err));
    sv_status st = r->generate.source == SV_SOURCE_CAPTIONS ? SV_OK : check_model(r, err);
    if (st == SV_OK && r->generate.source != SV_SOURCE_CAPTIONS) st = check_refiner(r, err);
    if (st == SV_OK && r->score.clip.model && !sv_is_dir(r->score.clip.model)) {
        st = sv_fail(err, SV_E_MODEL, r->score.clip.model, "no such directory");
        sv_hint(err, st, "score.clip.model is a local CLIP directory with ONNX parts; null turns CLIPScore off");
    }
    if (st == SV_OK && r->score.itm.model && !sv_itm_is_model(r->score.itm.model)) {
        st = sv_fail(err, SV_E_MODEL, r->score.itm.model, sv_is_dir(r->score.itm.model) ? "is not a BLIP model" : "no such directory");
        sv_hint(err, st, "score.itm.model is a local directory with BlipForImageTextRetrieval as model.onnx; null turns this score off");
    }
    return st;
}

sv_status sv_stage_generate(const char *dir, const sv_recipe *r, const sv_stage_options *o, sv_draw_report *report, sv_error *err) {
    sv_rundir *run = NULL;
    SV_TRY(check_models(r, err));
    sv_status st = sv_rundir_open(&run, dir, r, o, err);
    if (st == SV_OK) st = sv_generate(run, false, report, err);
    if (st == SV_OK) st = sv_ledger_count_shares(run->ledger, SV_SHARE_DRAWN, true, err);
    sv_rundir_close(&run);
    return st;
}

/* Says how to get pictures back that were found missing or damaged. */
static sv_status short_of_files(const sv_rundir *run, int64_t lost, sv_error *err) {
    if (!lost) return SV_OK;
    sv_fail(err, SV_SHORT, run->dir, "%lld image files are gone or damaged", (long long)lost);
    return sv_hint(err, SV_SHORT, "`synthvlm run %s` makes them again, with the same bytes", run->dir);
}

sv_status sv_stage_score(const char *dir, const sv_recipe *r, const sv_stage_options *o, int64_t *scored, sv_error *err) {
    sv_rundir *run = NULL;
    int64_t lost = 0, count = 0;
    SV_TRY(sv_recipe_needs_pictures(r, err));
    sv_status st = sv_rundir_open(&run, dir, r, o, err);
    if (st == SV_OK) st = sv_score(run, &count, &lost, err);
    if (st == SV_OK) st = short_of_files(run, lost, err);
    sv_rundir_close(&run);
    if (scored) *scored = count;
    return st;
}

sv_status sv_stage_export(const char *dir, const sv_recipe *r, const sv_stage_options *o, sv_error *err) {
    sv_rundir *run = NULL;
    sv_status st = sv_rundir_open(&run, dir, r, o, err);
    if (st == SV_OK) st = sv_export_run(run, err);
    sv_rundir_close(&run);
    return st;
}

/* Draws and scores until nothing is missing. Files that turn out damaged while they are scored are drawn again, once: a disk that loses them
 * again is not ours to mend. */
static sv_status produce(sv_rundir *run, sv_error *err) {
    int64_t scored = 0, lost = 0;
    for (int round = 0; round < 2; round++) {
        sv_draw_report drawn;
        SV_TRY(sv_generate(run, true, &drawn, err));
        if (!drawn.unscored) return SV_OK;
        SV_TRY(sv_score(run, &scored, &lost, err));
        if (!lost) return SV_OK;
    }
    return short_of_files(run, lost, err);
}

sv_status sv_verify_run(sv_rundir *run, sv_error *err) {
    const sv_verify_options options = {.stop = run->o.stop};
    sv_verify_report *report = malloc(sizeof *report);
    if (!report) return sv_fail_memory(err, run->dir, sizeof *report);
    sv_status st = SV_OK;
    for (size_t i = 0; st == SV_OK && i < run->recipe->export_count; i++) {
        sv_buf path = {0};
        sv_buf_printf(&path, "%s/dataset/%s", run->dir, sv_export_formats[run->recipe->exports[i].format]->name);
        st = sv_buf_ok(&path, err);
        if (st == SV_OK) st = sv_verify(path.data, &options, report, err);
        if (st == SV_SHORT) sv_hint(err, st, "`synthvlm verify %s` lists them; remove the directory and `synthvlm run %s` writes it again", path.data, run->dir);
        sv_buf_free(&path);
    }
    free(report);
    return st;
}

/* The contact sheet of six captions, beside the ledger. */
static sv_status make_sheet(sv_rundir *run, sv_error *err) {
    char *path = sv_path_join(run->dir, "sheet.png");
    sv_status st = path ? sv_run_sheet(run->dir, path, 6, err) : sv_fail_memory(err, run->dir, 0);
    free(path);
    return st;
}

/* Writes the datasets of the current selection, checks them, and draws the sheet. */
static sv_status deliver(sv_rundir *run, sv_error *err) {
    int64_t selection, picked;
    char hash[SV_SHA256_HEX];
    SV_TRY(sv_export_run(run, err));
    SV_TRY(sv_verify_run(run, err));
    SV_TRY(sv_ledger_current_selection(run->ledger, &selection, hash, &picked, err));
    return picked ? make_sheet(run, err) : SV_OK;
}

/* Fewer pairs than asked is said at the end; the datasets of what there is are written all the same. */
static sv_status run_all(sv_rundir *run, sv_error *err) {
    SV_TRY(sv_curate(run, NULL, err));
    SV_TRY(produce(run, err));
    sv_status selected = sv_select_asking(run, NULL, err);
    if (selected != SV_OK && selected != SV_SHORT) return selected;
    sv_error later = {0};
    sv_status st = sv_ledger_count_shares(run->ledger, SV_SHARE_DRAWN, true, &later);
    if (st == SV_OK) st = sv_ledger_count_shares(run->ledger, SV_SHARE_PICKED, false, &later);
    if (st == SV_OK) st = deliver(run, &later);
    if (st == SV_OK) return selected;
    if (err) *err = later;
    return st;
}

sv_status sv_run(const char *dir, const sv_recipe *r, const sv_stage_options *o, sv_error *err) {
    sv_rundir *run = NULL;
    SV_TRY(check_models(r, err));
    SV_TRY(sv_lists_check(r, err));
    sv_status st = sv_rundir_open(&run, dir, r, o, err);
    if (st == SV_OK) st = run_all(run, err);
    sv_rundir_close(&run);
    return st;
}
