/* process.c - compiling a process list, and what it looks like from outside. Judging captions is in process_run.c. */
#include "text/process.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sv_status add_stat(sv_process *p, const char *stat, unsigned same, size_t word_of, sv_error *err) {
    sv_buf b = {0};
    if (same == 1) sv_buf_puts(&b, stat);
    else sv_buf_printf(&b, "%s#%u", stat, same);
    if (b.failed) {
        sv_buf_free(&b);
        return sv_fail_memory(err, stat, 0);
    }
    p->stat_words[p->stat_count] = word_of;
    p->stat_names[p->stat_count++] = b.data;
    return SV_OK;
}

/* The statistic of a new filter: one that the list has already (Data-Juicer computes a statistic once and reuses it, whatever the later
 * filter's parameters are), or a new one, numbered if the filter is to measure anew. */
static sv_status assign_stat(sv_process *p, sv_step *step, sv_error *err) {
    const sv_op_info *info = &step->in.op->info;
    const sv_range *range = sv_instance_range(&step->in);
    unsigned same = 1;
    for (size_t i = 0; i < p->step_count; i++) {
        const sv_step *other = &p->steps[i];
        if (other->in.op->info.kind != SV_OP_FILTER || strcmp(other->in.op->info.stat, info->stat) != 0) continue;
        if (!range->recompute) {
            step->stat = other->stat;
            step->measured_by = other->measured_by;
            step->outside = other->outside;
            return SV_OK;
        }
        same += other->measures;
    }
    step->stat = p->stat_count;
    step->measures = true;
    step->measured_by = p->step_count;
    SV_TRY(add_stat(p, info->stat, same, SIZE_MAX, err));
    if (step->in.op->outside) {
        step->outside = p->outside_count;
        p->outside[p->outside_count++] = p->step_count;
    }
    return step->in.op->word_stat ? add_stat(p, step->in.op->word_stat, same, p->step_count, err) : SV_OK;
}

/* The statistic that a selector goes by: one that a filter before it has measured. */
static sv_status find_stat(sv_process *p, sv_step *step, const char *where, sv_error *err) {
    const char *name = step->in.op->dedup->stat(step->in.state);
    for (size_t i = 0; i < p->stat_count; i++)
        if (strcmp(p->stat_names[i], name) == 0 && p->stat_words[i] == SIZE_MAX) {
            step->stat = i;
            return SV_OK;
        }
    const char *near = sv_nearest(name, (const char *const *)p->stat_names, p->stat_count);
    sv_fail(err, SV_E_RECIPE, where, "field_key: no filter before it measures \"%.80s\"", name);
    if (near) return sv_hint(err, SV_E_RECIPE, "did you mean \"%s\"?", near);
    return sv_hint(err, SV_E_RECIPE, "put the filter with that statistic before it, if need be with a range that keeps everything");
}

/* The second filter of an entry, on the settings of the first. */
static sv_status add_second(sv_process *p, sv_error *err) {
    const sv_step *first = &p->steps[p->step_count - 1];
    if (!first->in.op->also) return SV_OK;
    sv_step *step = &p->steps[p->step_count];
    *step = (sv_step){.in = {first->in.op->also, first->in.state}, .list_index = first->list_index, .borrowed = true};
    SV_TRY(assign_stat(p, step, err));
    p->step_count++;
    return SV_OK;
}

static sv_status add_step(sv_process *p, yyjson_val *entry, size_t index, const char *base_dir, sv_error *err) {
    char where[160];
    const char *name = NULL;
    yyjson_val *params = NULL;
    snprintf(where, sizeof where, "process[%zu]", index);
    if (yyjson_is_obj(entry) && yyjson_obj_size(entry) == 1) {
        yyjson_obj_iter it = yyjson_obj_iter_with(entry);
        yyjson_val *key = yyjson_obj_iter_next(&it);
        name = yyjson_get_str(key);
        params = yyjson_obj_iter_get_val(key);
    }
    if (!name)
        return sv_hint(err, sv_fail(err, SV_E_RECIPE, where, "must be one operator with its parameters"),
                       "write - text_length_filter: {min_len: 10}");
    const sv_op *op = sv_op_row(name);
    if (!op) return sv_op_unknown(name, where, err);
    snprintf(where, sizeof where, "process[%zu].%s", index, name);
    sv_step *step = &p->steps[p->step_count];
    *step = (sv_step){.list_index = (int)index};
    SV_TRY(sv_instance_open(&step->in, op, params, where, base_dir, err));
    sv_status st = op->info.kind == SV_OP_FILTER ? assign_stat(p, step, err) : op->info.kind == SV_OP_SELECTOR ? find_stat(p, step, where, err) : SV_OK;
    if (st != SV_OK) {
        sv_instance_close(&step->in);
        return st;
    }
    p->step_count++;
    if (op->dedup) {
        size_t key = op->dedup->key_size(step->in.state);
        if (key > p->key_size) p->key_size = key;
        if (op->dedup->settle) p->passes++;
    }
    return add_second(p, err);
}

/* The list with every default written out. */
static sv_status write_list(sv_process *p, sv_error *err) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *list = doc ? yyjson_mut_arr(doc) : NULL;
    if (!list) {
        yyjson_mut_doc_free(doc);
        return sv_fail_memory(err, "process", 0);
    }
    sv_status st = SV_OK;
    for (size_t i = 0; st == SV_OK && i < p->step_count; i++) {
        if (p->steps[i].borrowed) continue;
        yyjson_mut_val *entry = yyjson_mut_arr_add_obj(doc, list), *params = yyjson_mut_obj(doc);
        if (!entry || !params || !yyjson_mut_obj_add_val(doc, entry, p->steps[i].in.op->info.name, params)) st = sv_fail_memory(err, "process", 0);
        else st = sv_instance_write(&p->steps[i].in, doc, params, err);
    }
    if (st == SV_OK && !(p->json = yyjson_mut_val_write(list, 0, NULL))) st = sv_fail_memory(err, "process", 0);
    yyjson_mut_doc_free(doc);
    return st;
}

static sv_status compile(sv_process *p, yyjson_val *list, const char *base_dir, sv_error *err) {
    if (list && !yyjson_is_null(list) && !yyjson_is_arr(list)) return sv_fail(err, SV_E_RECIPE, "process", "must be a list of operators");
    size_t n = yyjson_arr_size(list);
    p->steps = calloc(2 * n + 1, sizeof *p->steps);
    p->outside = calloc(2 * n + 1, sizeof *p->outside);
    p->stat_names = calloc(2 * n + 1, sizeof *p->stat_names);
    p->stat_words = calloc(2 * n + 1, sizeof *p->stat_words);
    if (!p->steps || !p->outside || !p->stat_names || !p->stat_words) return sv_fail_memory(err, "process", n * sizeof *p->steps);
    size_t i, count;
    yyjson_val *entry;
    yyjson_arr_foreach(list, i, count, entry) SV_TRY(add_step(p, entry, i, base_dir, err));
    return write_list(p, err);
}

sv_status sv_process_open(sv_process **out, const char *json, sv_view view, const char *base_dir, sv_error *err) {
    *out = NULL;
    yyjson_read_err why;
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)json, strlen(json), YYJSON_READ_NOFLAG, NULL, &why);
    if (!doc) return sv_fail(err, SV_E_RECIPE, "process", "not JSON: %s at byte %zu", why.msg, why.pos);
    sv_process *p = calloc(1, sizeof *p);
    if (!p) {
        yyjson_doc_free(doc);
        return sv_fail_memory(err, "process", sizeof *p);
    }
    p->view = view;
    p->passes = 1;
    sv_status st = compile(p, yyjson_doc_get_root(doc), base_dir, err);
    yyjson_doc_free(doc);
    if (st != SV_OK) sv_process_close(&p);
    *out = p;
    return st;
}

void sv_process_close(sv_process **handle) {
    sv_process *p = *handle;
    if (!p) return;
    for (size_t i = 0; i < p->step_count; i++)
        if (!p->steps[i].borrowed) sv_instance_close(&p->steps[i].in);
    for (size_t i = 0; i < p->stat_count; i++) free(p->stat_names[i]);
    for (unsigned i = 0; i < p->worker_count; i++) sv_worker_free(&p->workers[i]);
    free(p->workers);
    free(p->steps);
    free(p->outside);
    free(p->stat_names);
    free(p->stat_words);
    free(p->json);
    free(p->rows);
    free(p->stats);
    free(p->keys);
    free(p);
    *handle = NULL;
}

void sv_process_scratch(sv_process *p, const char *dir) {
    for (size_t i = 0; i < p->step_count; i++) {
        const sv_dedup *d = p->steps[i].in.op->dedup;
        if (d && d->scratch) d->scratch(p->steps[i].in.state, dir);
    }
}

const char *sv_process_json(const sv_process *p) { return p->json; }
size_t sv_process_stat_count(const sv_process *p) { return p->stat_count; }
const char *sv_process_stat_name(const sv_process *p, size_t i) { return i < p->stat_count ? p->stat_names[i] : NULL; }

const char *sv_process_stat_word(const sv_process *p, size_t i, double value) {
    if (i >= p->stat_count || p->stat_words[i] == SIZE_MAX || isnan(value)) return NULL;
    const sv_instance *in = &p->steps[p->stat_words[i]].in;
    return in->op->word(in->state, value);
}

size_t sv_process_outside_count(const sv_process *p) { return p->outside_count; }
const sv_instance *sv_process_outside(const sv_process *p, size_t filter) { return &p->steps[p->outside[filter]].in; }

void sv_process_answer(sv_process *p, sv_outside_fn fn, void *user) {
    p->answer = fn;
    p->answer_user = user;
}

int sv_process_passes(const sv_process *p) { return p->passes; }
