#include "stages/curate/decontaminate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/thread.h"
#include "base/utf8.h"
#include "stages/ingest/ingest.h"

/* Fields that hold a benchmark's words, where the recipe does not say: questions, answers and captions as the usual sets call them. */
static const char *const usual_fields[] = {"question", "answer", "answers", "text", "caption", "captions", "prompt", "sentence", "query", "value",
                                           "multiple_choice_answer"};
static const char *const id_fields[] = {"id", "question_id", "qid", "uid"};
#define COUNT(list) (sizeof(list) / sizeof *(list))
enum { DEEPEST = 64 };

sv_status sv_decontamination_open(sv_decontamination *d, const sv_decontaminate_settings *s, sv_error *err) {
    char hex[SV_SHA256_HEX], number[32];
    *d = (sv_decontamination){.settings = s, .on = s->count > 0};
    if (!d->on) return SV_OK;
    sv_buf_puts(&d->json, "{\"against\":[");
    for (size_t i = 0; i < s->count; i++) {
        const char *path = s->against[i].path;
        sv_status st = sv_is_file(path) ? sv_sha256_file(path, hex, err) : sv_fail(err, SV_E_INPUT, path, "there is no such file");
        if (st != SV_OK) {
            sv_decontamination_close(d);
            return st;
        }
        sv_buf_printf(&d->json, "%s{\"sha256\":\"%s\",\"fields\":%s}", i ? "," : "", hex, s->against[i].fields ? s->against[i].fields : "null");
    }
    sv_buf_printf(&d->json, "],\"ngram\":%lld,\"similarity\":", (long long)(s->ngram == INT64_MIN ? 0 : s->ngram));
    if (isnan(s->minhash.jaccard_threshold)) sv_buf_puts(&d->json, "null}");
    else
        sv_buf_printf(&d->json, "%s,\"window\":%lld,\"permutations\":%lld}", sv_real_text(s->minhash.jaccard_threshold, number), (long long)s->minhash.window_size,
                      (long long)s->minhash.num_permutations);
    return sv_buf_ok(&d->json, err);
}

void sv_decontamination_close(sv_decontamination *d) {
    for (unsigned i = 0; i < d->threads; i++) {
        if (d->scratch) sv_decontaminate_scratch_free(&d->scratch[i]);
        if (d->detail) sv_buf_free(&d->detail[i]);
    }
    for (size_t i = 0; i < d->detail_count; i++) free(d->details[i]);
    free(d->details);
    free(d->scratch);
    free(d->detail);
    sv_decontaminator_close(&d->index);
    sv_buf_free(&d->json);
    *d = (sv_decontamination){0};
}

/* ---- benchmark files ---- */

typedef struct file_reading {
    sv_decontamination *d;
    const char *path, *name;     /* as opened, and as hits name it */
    yyjson_val *fields;          /* a list or one text; NULL: the usual ones */
    int64_t line;                /* of jsonl and txt; 0: one document */
    int64_t item;                /* of the document's list; 0: not in one */
    const char *id;
    char id_text[32];            /* of a number */
    size_t found;
    sv_buf place;
} file_reading;

static sv_status fault(const file_reading *f, const char *why, sv_error *err) {
    if (f->line) return sv_fail(err, SV_E_INPUT, f->path, "line %lld %s", (long long)f->line, why);
    return sv_fail(err, SV_E_INPUT, f->path, "%s", why);
}

static sv_status add_text(file_reading *f, const char *text, size_t size, sv_error *err) {
    f->found++;
    sv_buf_clear(&f->place);
    sv_buf_puts(&f->place, f->name);
    if (f->line) sv_buf_printf(&f->place, ":%lld", (long long)f->line);
    if (f->item) sv_buf_printf(&f->place, ", item %lld", (long long)f->item);
    if (f->id) sv_buf_printf(&f->place, ", id %s", f->id);
    SV_TRY(sv_buf_ok(&f->place, err));
    return sv_decontaminator_add(f->d->index, text, size, f->place.data, &f->d->scratch[0], err);
}

static bool is_wanted(const file_reading *f, yyjson_val *key) {
    if (!f->fields) {
        for (size_t i = 0; i < COUNT(usual_fields); i++)
            if (yyjson_equals_str(key, usual_fields[i])) return true;
        return false;
    }
    if (yyjson_is_str(f->fields)) return yyjson_equals(key, f->fields);
    size_t i, n;
    yyjson_val *field;
    yyjson_arr_foreach(f->fields, i, n, field)
        if (yyjson_equals(key, field)) return true;
    return false;
}

/* The id of a record, if it has one that is fit to be named. */
static void find_id(file_reading *f, yyjson_val *object) {
    enum { MOST = 80 };
    for (size_t i = 0; i < COUNT(id_fields); i++) {
        yyjson_val *id = yyjson_obj_get(object, id_fields[i]);
        if (yyjson_is_str(id) && yyjson_get_len(id) <= MOST) f->id = yyjson_get_str(id);
        else if (yyjson_is_int(id)) {
            snprintf(f->id_text, sizeof f->id_text, "%lld", (long long)yyjson_get_sint(id));
            f->id = f->id_text;
        } else continue;
        return;
    }
}

/* Every text under a wanted field, however deep; a list's texts are its field's. */
static sv_status walk(file_reading *f, yyjson_val *v, bool wanted, int depth, sv_error *err) {
    size_t i, n;
    yyjson_val *key, *value;
    if (depth > DEEPEST) return fault(f, "is nested too deep", err);
    if (yyjson_is_str(v)) return wanted ? add_text(f, yyjson_get_str(v), yyjson_get_len(v), err) : SV_OK;
    if (yyjson_is_arr(v)) {
        bool items = !f->line && !f->item;
        yyjson_arr_foreach(v, i, n, value) {
            if (items) f->item = (int64_t)i + 1;
            SV_TRY(walk(f, value, wanted, depth + 1, err));
        }
        if (items) f->item = 0;
    }
    if (yyjson_is_obj(v)) {
        const char *outer = f->id;
        find_id(f, v);
        yyjson_obj_foreach(v, i, n, key, value) SV_TRY(walk(f, value, is_wanted(f, key), depth + 1, err));
        f->id = outer;
    }
    return SV_OK;
}

static sv_status read_json(file_reading *f, char *data, size_t size, sv_error *err) {
    yyjson_read_err why;
    yyjson_doc *doc = yyjson_read_opts(data, size, YYJSON_READ_NOFLAG, NULL, &why);
    char text[160];
    f->id = NULL;
    if (!doc) {
        snprintf(text, sizeof text, "is not JSON: %.80s at byte %zu", why.msg ? why.msg : "unreadable", why.pos + 1);
        return fault(f, text, err);
    }
    sv_status st = walk(f, yyjson_doc_get_root(doc), true, 0, err);
    yyjson_doc_free(doc);
    return st;
}

typedef enum layout { TXT, JSONL, JSON } layout;

static bool ends_with(const char *s, size_t n, const char *ending) {
    size_t m = strlen(ending);
    return n >= m && strncasecmp(s + n - m, ending, m) == 0;
}

/* By the name without .gz and .zst; otherwise by content: a list is one document, an object with a line of its own the first of many. */
static sv_status find_layout(sv_stream *in, const char *path, layout *out, sv_error *err) {
    size_t n = strlen(path), size, i = 0;
    const char *p;
    if (ends_with(path, n, ".gz")) n -= 3;
    else if (ends_with(path, n, ".zst")) n -= 4;
    *out = TXT;
    if (ends_with(path, n, ".txt")) return SV_OK;
    *out = JSONL;
    if (ends_with(path, n, ".jsonl") || ends_with(path, n, ".ndjson")) return SV_OK;
    SV_TRY(sv_stream_peek(in, 64 * 1024, &p, &size, err));
    while (i < size && (p[i] == ' ' || (p[i] >= '\t' && p[i] <= '\r'))) i++;
    *out = ends_with(path, n, ".json") || (i < size && p[i] == '[') ? JSON : TXT;
    if (i == size || p[i] != '{') return SV_OK;
    const char *lf = memchr(p + i, '\n', size - i);
    yyjson_doc *line = lf ? yyjson_read(p + i, (size_t)(lf - p) - i, YYJSON_READ_NOFLAG) : NULL;
    for (; lf && lf < p + size && (*lf == ' ' || (*lf >= '\t' && *lf <= '\r')); lf++) continue;
    *out = line && lf < p + size ? JSONL : JSON;
    yyjson_doc_free(line);
    return SV_OK;
}

static sv_status read_lines(file_reading *f, sv_stream *in, layout how, sv_error *err) {
    for (;;) {
        const char *line;
        size_t size;
        bool end;
        SV_TRY(sv_stream_line(in, &line, &size, &end, err));
        if (end) return SV_OK;
        f->line = sv_stream_line_number(in);
        size_t valid = sv_utf8_valid(line, size);
        if (valid != size) return fault(f, "is not valid UTF-8", err);
        bool blank = true;
        for (size_t i = 0; blank && i < size; i++) blank = line[i] == ' ' || (line[i] >= '\t' && line[i] <= '\r');
        if (blank) continue;
        if (how == TXT) SV_TRY(add_text(f, line, size, err));
        else SV_TRY(read_json(f, (char *)(uintptr_t)line, size, err));
    }
}

static sv_status read_file(sv_decontamination *d, const sv_against_settings *a, sv_error *err) {
    file_reading f = {.d = d, .path = a->path, .name = sv_path_base(a->path)};
    yyjson_doc *fields = a->fields ? yyjson_read(a->fields, strlen(a->fields), 0) : NULL;
    sv_stream *in = NULL;
    layout how = TXT;
    f.fields = yyjson_doc_get_root(fields);
    if (yyjson_is_null(f.fields)) f.fields = NULL;
    sv_status st = sv_stream_open(&in, a->path, err);
    if (st == SV_OK) st = find_layout(in, a->path, &how, err);
    if (st == SV_OK && how != JSON) st = read_lines(&f, in, how, err);
    else if (st == SV_OK) {
        char *data = NULL;
        size_t size;
        st = sv_stream_rest(in, &data, &size, err);
        if (st == SV_OK) st = read_json(&f, data, size, err);
        free(data);
    }
    if (st == SV_OK && !f.found) {
        st = sv_fail(err, SV_E_INPUT, a->path, "has no text to hold captions against");
        sv_hint(err, st, "name the fields that hold it: against: [{path: %.200s, fields: [question, answer]}]", f.name);
    }
    sv_stream_close(&in);
    yyjson_doc_free(fields);
    sv_buf_free(&f.place);
    return st;
}

sv_status sv_decontamination_load(sv_decontamination *d, sv_error *err) {
    const sv_decontaminate_settings *s = d->settings;
    if (!d->on || d->index) return SV_OK;
    d->threads = sv_cpu_count();
    d->scratch = calloc(d->threads, sizeof *d->scratch);
    d->detail = calloc(d->threads, sizeof *d->detail);
    if (!d->scratch || !d->detail) return sv_fail_memory(err, SV_RULE_DECONTAMINATE, d->threads * sizeof *d->scratch);
    sv_decontaminate_options o = {.ngram = s->ngram == INT64_MIN ? 0 : (size_t)s->ngram, .similarity = s->minhash.jaccard_threshold,
                                  .window = (size_t)s->minhash.window_size, .permutations = (size_t)s->minhash.num_permutations};
    SV_TRY(sv_decontaminator_open(&d->index, &o, err));
    for (size_t i = 0; i < s->count; i++) SV_TRY(read_file(d, &s->against[i], err));
    return SV_OK;
}

/* ---- captions ---- */

typedef struct judging {
    sv_decontamination *d;
    sv_caption_out *captions;
} judging;

static sv_status judge_range(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    const judging *j = user;
    sv_decontamination *d = j->d;
    for (size_t i = begin; i < end; i++) {
        sv_caption_out *c = &j->captions[i];
        bool hit;
        double similarity;
        if (!c->keep) continue;
        SV_TRY(sv_decontaminator_find(d->index, c->text, c->size, &d->scratch[thread], &hit, &similarity, &d->detail[thread], err));
        if (!hit) continue;
        if (!(d->details[i] = sv_strdup(d->detail[thread].data))) return sv_fail_memory(err, SV_RULE_DECONTAMINATE, d->detail[thread].size);
        c->keep = false;
        c->rule = SV_RULE_DECONTAMINATE;
        c->word = d->details[i];
        c->value = similarity;
        if (!isnan(similarity)) c->max = d->settings->minhash.jaccard_threshold;
    }
    return SV_OK;
}

sv_status sv_decontamination_judge(sv_decontamination *d, sv_caption_out *captions, size_t n, sv_error *err) {
    if (!d->on) return SV_OK;
    for (size_t i = 0; i < d->detail_count; i++) {
        free(d->details[i]);
        d->details[i] = NULL;
    }
    if (n > d->detail_count) {
        char **details = realloc(d->details, n * sizeof *details);
        if (!details) return sv_fail_memory(err, SV_RULE_DECONTAMINATE, n * sizeof *details);
        memset(details + d->detail_count, 0, (n - d->detail_count) * sizeof *details);
        d->details = details;
        d->detail_count = n;
    }
    judging j = {d, captions};
    return sv_parallel(d->threads, n, 256, judge_range, &j, err);
}
