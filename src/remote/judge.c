/* judge.c - the loop that asks about many captions at once and tells a failing caption from a failing server. */
#include "remote/judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/thread.h"
#include "remote/http.h"
#include "remote/pace.h"

#define CONNECT_TIMEOUT 10.0
#define MOST_ANSWER ((size_t)1 << 20)   /* bytes of an answer */
#define LONGEST_WAIT 300.0              /* seconds that a server may ask to be left alone */
#define TICK 0.2                        /* seconds */
#define HELD_MOST 8                     /* failed captions that wait for a sign of life before the server is asked for one */
#define TOP_LOGPROBS 5                  /* all servers that give any allow so many */
#define BUSY_MOST 40                    /* times that one caption is told 429 while others are answered */
#define MORE_ROUNDS 3                   /* rounds of failures in a row, beyond the retries of one caption, that end the asking */

/* A caption on its way. */
typedef struct slot {
    enum { SLOT_FREE, SLOT_READY, SLOT_FLYING } state;
    bool probe;                         /* the question that only asks for a sign of life */
    bool logprobs;                      /* asks for log probabilities */
    uint8_t key[SV_JUDGE_KEY];
    char *prompt, *picture;
    size_t prompt_size;
    sv_buf body;
    int64_t requests, failures, busy;   /* sent; of these failed through the server; told to wait */
    double sent;
} slot;

struct sv_judge {
    sv_judge_settings s;
    sv_log log;
    char *url;                          /* of the chat completions */
    sv_http *http;
    sv_pace pace;
    slot *slots;
    int slot_count;
    sv_judgement *held;                 /* failed, not yet proven to be the caption's fault */
    size_t held_count, held_capacity;
    bool logprobs;                      /* ask for them: until the server says that it has none */
    bool exhausted;                     /* there are no more captions */
    bool probing;
    int64_t answered;                   /* of this call */
    char last_why[256];                 /* the newest failure */
};

static char *endpoint(const char *url) {
    static const char path[] = "/chat/completions";
    sv_buf b = {0};
    size_t n = strlen(url);
    while (n && url[n - 1] == '/') n--;
    sv_buf_add(&b, url, n);
    if (b.failed || !b.data) return b.data;
    if (!sv_str_ends(b.data, path)) sv_buf_puts(&b, path);
    if (!b.failed) return b.data;
    sv_buf_free(&b);
    return NULL;
}

static const char *prompt_of(const sv_judge_settings *s) {
    return s->prompt ? s->prompt : sv_judge_prompt(s->grade);
}

sv_status sv_judge_setup(const sv_judge_settings *s, sv_buf *out, sv_error *err) {
    char *url = endpoint(s->url), *text = NULL;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = doc ? yyjson_mut_obj(doc) : NULL;
    if (url && o) {
        yyjson_mut_doc_set_root(doc, o);
        bool done = yyjson_mut_obj_add_str(doc, o, "url", url) && yyjson_mut_obj_add_str(doc, o, "model", s->model);
        done = done && yyjson_mut_obj_add_str(doc, o, "prompt", prompt_of(s)) && yyjson_mut_obj_add_str(doc, o, "grade", s->grade == SV_GRADE_SCORE ? "score" : "yes_no");
        done = done && yyjson_mut_obj_add_sint(doc, o, "max_tokens", s->max_tokens) && yyjson_mut_obj_add_real(doc, o, "temperature", s->temperature);
        done = done && (s->seed == INT64_MIN ? yyjson_mut_obj_add_null(doc, o, "seed") : yyjson_mut_obj_add_sint(doc, o, "seed", s->seed));
        if (s->side) done = done && yyjson_mut_obj_add_int(doc, o, "side", s->side);
        text = done ? yyjson_mut_write(doc, 0, NULL) : NULL;
    }
    if (text) sv_buf_puts(out, text);
    bool good = text && !out->failed;
    free(text);
    free(url);
    yyjson_mut_doc_free(doc);
    return good ? SV_OK : sv_fail_memory(err, "judge", 0);
}

sv_status sv_judge_open(sv_judge **out, const sv_judge_settings *s, const sv_log *log, sv_error *err) {
    *out = NULL;
    sv_judge *j = calloc(1, sizeof *j);
    if (!j) return sv_fail_memory(err, "judge", sizeof *j);
    j->s = *s;
    if (log) j->log = *log;
    j->logprobs = s->grade == SV_GRADE_YES_NO;
    j->slot_count = s->concurrency;
    j->slots = calloc((size_t)j->slot_count, sizeof *j->slots);
    j->url = endpoint(s->url);
    sv_pace_init(&j->pace, s->concurrency, s->retries + MORE_ROUNDS);
    const sv_http_options o = {.connect_timeout = s->timeout < CONNECT_TIMEOUT ? s->timeout : CONNECT_TIMEOUT, .timeout = s->timeout, .most_bytes = MOST_ANSWER};
    sv_status st = j->slots && j->url ? sv_http_open(&j->http, &o, err) : sv_fail_memory(err, "judge", 0);
    if (st != SV_OK) sv_judge_close(&j);
    *out = j;
    return st;
}

static void free_slot(slot *t) {
    sv_buf_free(&t->body);
    free(t->prompt);
    free(t->picture);
    *t = (slot){0};
}

void sv_judge_close(sv_judge **jp) {
    sv_judge *j = *jp;
    if (!j) return;
    *jp = NULL;
    sv_http_close(&j->http);             /* before the bodies that it sends */
    for (int i = 0; j->slots && i < j->slot_count; i++) free_slot(&j->slots[i]);
    free(j->slots);
    free(j->held);
    free(j->url);
    free(j);
}

bool sv_judge_is_asking(const sv_judge *j, const uint8_t key[SV_JUDGE_KEY]) {
    for (int i = 0; i < j->slot_count; i++)
        if (j->slots[i].state != SLOT_FREE && !j->slots[i].probe && memcmp(j->slots[i].key, key, SV_JUDGE_KEY) == 0) return true;
    for (size_t i = 0; i < j->held_count; i++)
        if (memcmp(j->held[i].key, key, SV_JUDGE_KEY) == 0) return true;
    return false;
}

/* ---- filling slots ---- */

/* The prompt with every {caption} replaced. */
static sv_status fill_prompt(const sv_judge *j, slot *t, const char *caption, size_t size, sv_error *err) {
    static const char mark[] = "{caption}";
    sv_buf b = {0};
    for (const char *p = prompt_of(&j->s), *at; ; p = at + sizeof mark - 1) {
        at = strstr(p, mark);
        sv_buf_add(&b, p, at ? (size_t)(at - p) : strlen(p));
        if (!at) break;
        sv_buf_add(&b, caption, size);
    }
    t->prompt = b.data;
    t->prompt_size = b.size;
    return b.failed ? sv_fail_memory(err, "prompt", size) : SV_OK;
}

static sv_status make_body(const sv_judge *j, slot *t, sv_error *err) {
    const sv_chat_settings c = {.model = j->s.model, .max_tokens = j->s.max_tokens, .seed = j->s.seed, .temperature = j->s.temperature,
                                .top_logprobs = j->logprobs ? TOP_LOGPROBS : 0};
    t->logprobs = j->logprobs;
    sv_buf_clear(&t->body);
    return sv_chat_request(&c, t->prompt, t->prompt_size, t->picture, &t->body, err);
}

static sv_status fill_slot(sv_judge *j, const sv_judge_feed *feed, slot *t, bool *filled, sv_error *err) {
    sv_judge_task task = {0};
    *filled = true;
    if (j->probing) {
        *filled = false;
        return SV_OK;
    }
    bool wants_proof = j->held_count >= HELD_MOST || (j->exhausted && j->held_count);
    if (wants_proof) {
        if (j->pace.flying) {           /* what is on its way may be the proof */
            *filled = false;
            return SV_OK;
        }
        static const char harmless[] = "A red apple lies on a wooden table.";
        task = (sv_judge_task){.text = harmless, .size = sizeof harmless - 1};
        t->probe = j->probing = true;
    } else {
        *filled = !j->exhausted;
        if (*filled) SV_TRY(feed->next(feed->user, &task, filled, err));
        if (!*filled) {
            j->exhausted = true;
            return SV_OK;
        }
    }
    memcpy(t->key, task.key, SV_JUDGE_KEY);
    t->state = SLOT_READY;
    t->picture = task.picture;
    SV_TRY(fill_prompt(j, t, task.text, task.size, err));
    return make_body(j, t, err);
}

/* The slot to send next: one that waits to be sent again, otherwise a new caption. NULL: there is nothing to send. */
static sv_status next_slot(sv_judge *j, const sv_judge_feed *feed, slot **out, sv_error *err) {
    slot *empty = NULL;
    bool filled = false;
    *out = NULL;
    for (int i = 0; i < j->slot_count; i++) {
        if (j->slots[i].state == SLOT_READY) {
            *out = &j->slots[i];
            return SV_OK;
        }
        if (!empty && j->slots[i].state == SLOT_FREE) empty = &j->slots[i];
    }
    if (!empty) return SV_OK;
    SV_TRY(fill_slot(j, feed, empty, &filled, err));
    if (filled) *out = empty;
    return SV_OK;
}

static sv_status send_free(sv_judge *j, const sv_judge_feed *feed, sv_error *err) {
    while (sv_pace_free(&j->pace, sv_now())) {
        slot *t;
        SV_TRY(next_slot(j, feed, &t, err));
        if (!t) return SV_OK;
        SV_TRY(sv_http_post(j->http, j->url, j->s.key, t->body.data, t->body.size, t, err));
        t->state = SLOT_FLYING;
        t->sent = sv_now();
        t->requests++;
        sv_pace_sent(&j->pace);
        SV_TRY(feed->tick(feed->user, err));
    }
    return SV_OK;
}

/* ---- what came back ---- */

typedef enum fault {
    FAULT_NONE,
    FAULT_SERVER,        /* the request may go well another time */
    FAULT_BUSY,          /* 429: the server says that it is asked too much */
    FAULT_CAPTION,       /* this request is refused, and will be again */
    FAULT_SETTINGS,      /* every request will be refused */
    FAULT_LOGPROBS       /* the server has no log probabilities */
} fault;

static fault fault_of_status(const sv_judge *j, const sv_http_answer *a, const char *said) {
    long s = a->status;
    if (s >= 200 && s < 300) return FAULT_NONE;
    if (s == 429) return FAULT_BUSY;
    if (s == 408 || s == 425 || s >= 500) return FAULT_SERVER;
    if (s == 401 || (s >= 300 && s < 400)) return FAULT_SETTINGS;
    if ((s == 403 || s == 404 || s == 405) && !j->answered) return FAULT_SETTINGS;
    if (((const slot *)a->tag)->logprobs && (s == 400 || s == 422) && strstr(said, "logprob")) return FAULT_LOGPROBS;
    return FAULT_CAPTION;
}

/* Reads an answer; why: what was wrong with it. */
static fault read_answer(sv_judge *j, const sv_http_answer *a, sv_chat_answer *chat, char why[256]) {
    sv_error err;
    if (a->outcome != SV_HTTP_ANSWERED) {
        snprintf(why, 256, "%s", a->why);
        return a->outcome == SV_HTTP_NOT_TRUSTED ? FAULT_SETTINGS : FAULT_SERVER;
    }
    char said[200];
    fault f = fault_of_status(j, a, sv_chat_error_text(a->body.data, a->body.size, j->s.key, said, sizeof said));
    if (f != FAULT_NONE) {
        snprintf(why, 256, "HTTP %ld%s%s", a->status, *said ? ": " : "", said);
        return f;
    }
    if (sv_chat_read(a->body.data ? a->body.data : "", a->body.size, chat, &err) == SV_OK) return FAULT_NONE;
    snprintf(why, 256, "%.60s %.180s", err.what, err.why);
    return FAULT_SERVER;
}

static void grade(const sv_judge *j, const sv_chat_answer *chat, sv_judgement *out) {
    const char *text = chat->text.data;
    sv_one_line(text, chat->text.size, j->s.key, out->answer, sizeof out->answer);
    out->tokens_in = chat->tokens_in < 0 ? 0 : chat->tokens_in;
    out->tokens_out = chat->tokens_out < 0 ? 0 : chat->tokens_out;
    if (j->s.grade == SV_GRADE_SCORE) {
        out->value = sv_judge_points(text);
    } else {
        sv_vote vote = sv_judge_vote(text);
        if (vote != SV_VOTE_UNCLEAR) out->p_yes = sv_judge_p_yes(chat);
        out->value = vote == SV_VOTE_UNCLEAR ? NAN : !isnan(out->p_yes) ? out->p_yes : vote == SV_VOTE_YES;
    }
    out->outcome = isnan(out->value) ? SV_JUDGE_UNCLEAR : SV_JUDGE_ANSWERED;
}

/* A sign of life: what failed before failed by itself. */
static sv_status release_held(sv_judge *j, const sv_judge_feed *feed, sv_error *err) {
    for (size_t i = 0; i < j->held_count; i++) SV_TRY(feed->done(feed->user, &j->held[i], err));
    j->held_count = 0;
    return SV_OK;
}

static sv_status hold(sv_judge *j, const sv_judgement *failed, sv_error *err) {
    if (j->held_count == j->held_capacity) {
        size_t more = j->held_capacity ? 2 * j->held_capacity : 16;
        sv_judgement *p = realloc(j->held, more * sizeof *p);
        if (!p) return sv_fail_memory(err, "judge", more * sizeof *p);
        j->held = p;
        j->held_capacity = more;
    }
    j->held[j->held_count++] = *failed;
    return SV_OK;
}

static sv_status give_up(const sv_judge *j, const char *how, const char *hint, sv_error *err) {
    sv_fail(err, SV_E_NETWORK, j->url, "%s: %s", how, j->last_why);
    return sv_hint(err, SV_E_NETWORK, "%s", hint);
}

static sv_status only_fails(const sv_judge *j, sv_error *err) {
    return give_up(j, "the judge's server only fails", "is it up, and the model's name right? Every answer so far is kept; the same call asks the rest", err);
}

static sv_status refused(const sv_judge *j, long status, sv_error *err) {
    const char *section = j->s.section ? j->s.section : "captions.judge";
    char hint[256];
    if (status == 401 || status == 403) {
        snprintf(hint, sizeof hint, j->s.key ? "is the key right that %s.api_key_env names?" : "name the environment variable that holds a key: %s.api_key_env", section);
        return give_up(j, "the judge's server refuses the key", hint, err);
    }
    if (status >= 300 && status < 400) {
        snprintf(hint, sizeof hint, "give the address that it means as %s.url", section);
        return give_up(j, "the judge's server sends elsewhere, which is not followed", hint, err);
    }
    if (status >= 400) {
        snprintf(hint, sizeof hint, "is %s.url right (it usually ends in /v1), and the model's name%s?", section, j->s.side ? ", and does that model see pictures" : "");
        return give_up(j, "the judge's server does not take the request", hint, err);
    }
    return give_up(j, "the judge's server cannot be trusted", "its certificate does not fit its address; SSL_CERT_FILE names certificates of your own", err);
}

static sv_status take_good(sv_judge *j, const sv_judge_feed *feed, slot *t, const sv_chat_answer *chat, sv_error *err) {
    sv_judgement out = {.value = NAN, .p_yes = NAN, .requests = t->requests};
    sv_pace_good(&j->pace);
    SV_TRY(release_held(j, feed, err));
    if (t->probe) {
        j->probing = false;
        free_slot(t);
        return SV_OK;
    }
    memcpy(out.key, t->key, SV_JUDGE_KEY);
    grade(j, chat, &out);
    free_slot(t);
    j->answered++;
    return feed->done(feed->user, &out, err);
}

/* The caption's requests are over without an answer. */
static sv_status take_failed(sv_judge *j, slot *t, sv_error *err) {
    if (t->probe) return only_fails(j, err);
    sv_judgement out = {.outcome = SV_JUDGE_FAILED, .value = NAN, .p_yes = NAN, .requests = t->requests};
    memcpy(out.key, t->key, SV_JUDGE_KEY);
    snprintf(out.detail, sizeof out.detail, "%s", j->last_why);
    free_slot(t);
    return hold(j, &out, err);
}

/* The server fails at all that is left. If it has answered, the captions that are left may be at fault: they are held, and it is asked for a sign of life. */
static sv_status doubt(sv_judge *j, sv_error *err) {
    if (!j->answered || !j->exhausted || j->probing) return only_fails(j, err);
    for (int i = 0; i < j->slot_count; i++)
        if (j->slots[i].state == SLOT_READY) SV_TRY(take_failed(j, &j->slots[i], err));
    sv_pace_hope(&j->pace);
    return SV_OK;
}

static sv_status take(sv_judge *j, const sv_judge_feed *feed, const sv_http_answer *a, sv_error *err) {
    slot *t = a->tag;
    sv_chat_answer chat = {0};
    char why[256] = "";
    fault f = read_answer(j, a, &chat, why);
    t->state = SLOT_READY;
    if (f != FAULT_NONE) snprintf(j->last_why, sizeof j->last_why, "%s", why);
    sv_status st = SV_OK;
    switch (f) {
    case FAULT_NONE:
        st = take_good(j, feed, t, &chat, err);
        break;
    case FAULT_LOGPROBS:
        if (j->logprobs) sv_say(&j->log, SV_LOG_INFO, "%s: gives no log probabilities; answers count as yes or no", j->url);
        j->logprobs = false;
        sv_pace_ended(&j->pace);
        st = make_body(j, t, err);
        break;
    case FAULT_CAPTION:
        sv_pace_ended(&j->pace);
        st = take_failed(j, t, err);
        break;
    case FAULT_SETTINGS:
        sv_pace_ended(&j->pace);
        st = refused(j, a->outcome == SV_HTTP_ANSWERED ? a->status : 0, err);
        break;
    case FAULT_BUSY:
    case FAULT_SERVER:
        sv_pace_bad(&j->pace, t->sent, sv_now(), f == FAULT_BUSY, a->retry_after);
        if (f == FAULT_SERVER ? ++t->failures > j->s.retries : ++t->busy > BUSY_MOST) st = take_failed(j, t, err);
        if (st == SV_OK && a->retry_after > LONGEST_WAIT) {
            snprintf(j->last_why, sizeof j->last_why, "HTTP %ld, Retry-After %.0f s", a->status, a->retry_after);
            st = give_up(j, "the judge's server asks for a long pause", "call again after that time; every answer so far is kept", err);
        }
        if (st == SV_OK && sv_pace_hopeless(&j->pace)) st = doubt(j, err);
        break;
    }
    sv_chat_answer_free(&chat);
    return st;
}

static bool is_idle(const sv_judge *j) {
    for (int i = 0; i < j->slot_count; i++)
        if (j->slots[i].state != SLOT_FREE) return false;
    return true;
}

sv_status sv_judge_ask(sv_judge *j, const sv_judge_feed *feed, sv_error *err) {
    j->exhausted = j->probing = false;
    for (;;) {
        SV_TRY(feed->tick(feed->user, err));
        SV_TRY(send_free(j, feed, err));
        if (j->exhausted && !j->held_count && is_idle(j)) return SV_OK;
        double now = sv_now(), wait = TICK;
        if (j->pace.not_before > now && j->pace.not_before - now < wait) wait = j->pace.not_before - now;
        sv_http_answer a;
        bool any = false;
        SV_TRY(sv_http_wait(j->http, wait, &a, &any, err));
        if (!any) continue;
        sv_status st = take(j, feed, &a, err);
        sv_buf_free(&a.body);
        SV_TRY(st);
    }
}
