#include "stages/score/image_judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "stages/answers.h"
#include "synthvlm/image.h"

enum { REDUCED_QUALITY = 90 };   /* of the JPEG that a larger picture is sent as */

static const char section[] = "score.judge_image";
static const char own_prompt[] =
    "Does this picture show what the caption says?\n\nCaption: {caption}\n\nEverything that the caption names must be there: the objects, how many of them, "
    "their shapes, colours and sizes, and where they are. What it leaves open may be anything. Answer with one word: Yes or No.";

/* ---- settings ---- */

sv_status sv_image_judge_open(sv_rundir *run, sv_image_judge *out, sv_error *err) {
    const sv_image_judge_settings *s = &run->recipe->score.judge_image;
    const sv_judge_recipe *r = &s->chat;
    sv_buf json = {0};
    *out = (sv_image_judge){.on = r->url != NULL};
    if (!out->on) return sv_ledger_use(run->ledger, SV_STAGE_JUDGE_IMAGE, NULL, 0, err);
    sv_status st = sv_recipe_judge_prompt(r, section, &out->prompt, err);
    out->settings = (sv_judge_settings){.url = r->url, .model = r->model, .prompt = out->prompt ? out->prompt : own_prompt, .grade = SV_GRADE_YES_NO,
                                        .max_tokens = r->max_tokens, .seed = r->seed, .temperature = r->temperature, .timeout = r->timeout,
                                        .concurrency = (int)r->concurrency, .retries = (int)r->retries, .side = (int)s->side, .section = section};
    if (st == SV_OK) st = sv_judge_setup(&out->settings, &json, err);
    if (st == SV_OK) st = sv_rundir_setup(run, SV_STAGE_JUDGE_IMAGE, "judge_image", json.data, &out->setup, err);
    if (st == SV_OK) st = sv_ledger_use(run->ledger, SV_STAGE_JUDGE_IMAGE, &out->setup.id, 1, err);
    sv_buf_free(&json);
    if (st != SV_OK) sv_image_judge_close(out);
    return st;
}

void sv_image_judge_close(sv_image_judge *j) {
    free(j->prompt);
    *j = (sv_image_judge){0};
}

bool sv_asks_add(sv_asks *a, sv_ask one) {
    if (a->count == a->capacity) {
        size_t n = a->capacity ? 2 * a->capacity : 256;
        sv_ask *more = realloc(a->items, n * sizeof *more);
        if (!more) return false;
        a->items = more;
        a->capacity = n;
    }
    a->items[a->count++] = one;
    return true;
}

/* ---- asking ---- */

/* A candidate whose answer is on its way. */
typedef struct waiting {
    uint8_t key[SV_JUDGE_KEY];
    sv_ask who;
} waiting;

typedef struct asking {
    sv_rundir *run;
    sv_judge *judge;
    int64_t generate;
    sv_scope scope;
    int side;
    const sv_asks *asks;
    size_t at;                   /* the next one */
    sv_file_batch file;
    waiting *waiting;
    size_t waiting_count, waiting_capacity;
    sv_answers answers;
} asking;

/* An answer is about a picture's bytes and a caption's text, whoever the candidate is. */
static sv_status key_of(const sv_file_item *item, uint8_t key[SV_JUDGE_KEY], sv_error *err) {
    sv_buf b = {0};
    sv_buf_printf(&b, "%s\n%s", item->sha256, item->text);
    sv_status st = sv_buf_ok(&b, err);
    if (st == SV_OK) sv_sha256(b.data, b.size, key);
    sv_buf_free(&b);
    return st;
}

/* The stored file as it is, or reduced to fit into side x side and saved as JPEG. */
static sv_status show(const asking *a, const sv_file_item *item, char **url, sv_error *err) {
    char *path = sv_path_join(a->run->dir, item->file), *bytes = NULL;
    size_t size = 0;
    sv_image im = {0}, rgb = {0}, small = {0};
    uint8_t *encoded = NULL;
    sv_buf b = {0};
    sv_status st = path ? sv_file_read(path, 0, &bytes, &size, err) : sv_fail_memory(err, item->file, 0);
    int longer = item->width > item->height ? item->width : item->height;
    const char *type = sv_str_ends(item->file, ".png") ? "image/png" : sv_str_ends(item->file, ".webp") ? "image/webp" : "image/jpeg";
    if (st == SV_OK && longer > a->side) {
        int width = (int)((int64_t)item->width * a->side / longer), height = (int)((int64_t)item->height * a->side / longer);
        sv_encode_options o;
        sv_encode_options_init(&o, SV_FORMAT_JPEG);
        o.quality = REDUCED_QUALITY;
        st = sv_image_decode(&im, (uint8_t *)bytes, size, item->file, err);
        if (st == SV_OK) st = sv_image_convert(&im, SV_MODE_RGB, &rgb, err);
        if (st == SV_OK) st = sv_image_resize(&rgb, width > 0 ? width : 1, height > 0 ? height : 1, SV_FILTER_LANCZOS, 13, &small, err);
        if (st == SV_OK) st = sv_image_encode(&small, &o, &encoded, &size, err);
        type = "image/jpeg";
    }
    if (st == SV_OK) sv_data_url(type, encoded ? (void *)encoded : (void *)bytes, size, &b);
    if (st == SV_OK) st = sv_buf_ok(&b, err);
    if (st == SV_E_INPUT) sv_hint(err, st, "`synthvlm run %s` makes the picture again", a->run->dir);
    *url = st == SV_OK ? b.data : NULL;
    if (st != SV_OK) sv_buf_free(&b);
    sv_image_free(&im);
    sv_image_free(&rgb);
    sv_image_free(&small);
    free(encoded);
    free(bytes);
    free(path);
    return st;
}

static sv_status wait_for(asking *a, const uint8_t key[SV_JUDGE_KEY], sv_ask who, sv_error *err) {
    if (a->waiting_count == a->waiting_capacity) {
        size_t n = a->waiting_capacity ? 2 * a->waiting_capacity : 64;
        waiting *more = realloc(a->waiting, n * sizeof *more);
        if (!more) return sv_fail_memory(err, "judge", n * sizeof *more);
        a->waiting = more;
        a->waiting_capacity = n;
    }
    waiting *w = &a->waiting[a->waiting_count++];
    memcpy(w->key, key, SV_JUDGE_KEY);
    w->who = who;
    return SV_OK;
}

static sv_status next_picture(void *user, sv_judge_task *out, bool *any, sv_error *err) {
    asking *a = user;
    sv_ledger *l = a->run->ledger;
    *any = false;
    while (a->at < a->asks->count && !sv_rundir_stopping(a->run)) {   /* stopping: the next tick says so */
        sv_ask who = a->asks->items[a->at++];
        double value;
        bool found;
        SV_TRY(sv_ledger_read_file(l, a->scope, a->generate, who.number, who.k, &a->file, err));
        const sv_file_item *item = &a->file.items[0];
        SV_TRY(key_of(item, out->key, err));
        SV_TRY(sv_ledger_judgement_value(l, a->answers.setup, out->key, &value, &found, err));
        if (found) {
            SV_TRY(sv_answers_begin(&a->answers, err));
            SV_TRY(sv_ledger_add_score(l, a->answers.setup, a->generate, who.number, who.k, value, err));
            continue;
        }
        SV_TRY(wait_for(a, out->key, who, err));
        if (sv_judge_is_asking(a->judge, out->key)) continue;
        SV_TRY(show(a, item, &out->picture, err));
        out->text = item->text;
        out->size = strlen(item->text);
        *any = true;
        return SV_OK;
    }
    return SV_OK;
}

static sv_status take_answer(void *user, const sv_judgement *j, sv_error *err) {
    asking *a = user;
    SV_TRY(sv_answers_add(&a->answers, j, err));
    for (size_t i = 0; i < a->waiting_count;) {
        waiting *w = &a->waiting[i];
        if (memcmp(w->key, j->key, SV_JUDGE_KEY) != 0) {
            i++;
            continue;
        }
        SV_TRY(sv_ledger_add_score(a->run->ledger, a->answers.setup, a->generate, w->who.number, w->who.k, j->value, err));
        *w = a->waiting[--a->waiting_count];
    }
    return SV_OK;
}

static sv_status tick(void *user, sv_error *err) {
    asking *a = user;
    return sv_answers_tick(&a->answers, "judge_image", (int64_t)a->at, (int64_t)a->asks->count, err);
}

sv_status sv_image_judge_ask(sv_rundir *run, sv_image_judge *j, sv_scope scope, int64_t generate, const sv_asks *asks, sv_error *err) {
    asking a = {.run = run, .generate = generate, .scope = scope, .side = j->settings.side, .asks = asks};
    const sv_judge_feed feed = {.user = &a, .next = next_picture, .done = take_answer, .tick = tick};
    sv_answers_init(&a.answers, run, j->setup.id);
    SV_TRY(sv_answers_key(run->recipe->score.judge_image.chat.api_key_env, "score.judge_image.api_key_env", &j->settings.key, err));
    SV_TRY(sv_judge_open(&a.judge, &j->settings, &run->o.log, err));
    sv_status st = sv_judge_ask(a.judge, &feed, err);
    st = sv_answers_end(&a.answers, "judge_image", j->setup.hash, st, err);
    sv_judge_close(&a.judge);
    sv_file_batch_free(&a.file);
    free(a.waiting);
    return st;
}

/* ---- asking and selecting ---- */

/* Each round asks about something that has no answer, and an answer is never taken back: the rounds end. */
static sv_status ask_rounds(sv_rundir *run, sv_image_judge *j, sv_asks *asks, sv_error *err) {
    for (;;) {
        sv_scope scope;
        int64_t generate;
        asks->count = 0;
        SV_TRY(sv_select_plan(run, asks, &scope, &generate, err));
        if (!asks->count) return SV_OK;
        SV_TRY(sv_image_judge_ask(run, j, scope, generate, asks, err));
    }
}

sv_status sv_select_asking(sv_rundir *run, sv_select_report *report, sv_error *err) {
    sv_image_judge judge;
    sv_asks asks = {0};
    SV_TRY(sv_image_judge_open(run, &judge, err));
    sv_status st = judge.on ? ask_rounds(run, &judge, &asks, err) : SV_OK;
    free(asks.items);
    sv_image_judge_close(&judge);
    return st == SV_OK ? sv_select(run, report, err) : st;
}
