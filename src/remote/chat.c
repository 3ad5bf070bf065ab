#include "remote/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/utf8.h"

/* Deeper JSON than any server sends is refused before the parser sees it. */
#define DEEPEST 64

void sv_data_url(const char *type, const void *bytes, size_t size, sv_buf *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = bytes;
    sv_buf_printf(out, "data:%s;base64,", type);
    if (!sv_buf_reserve(out, (size + 2) / 3 * 4 + 1)) return;
    for (size_t i = 0; i < size; i += 3) {
        size_t n = size - i < 3 ? size - i : 3;
        uint32_t v = (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (n > 2 ? p[i + 2] : 0);
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], n > 1 ? digits[v >> 6 & 63] : '=', n > 2 ? digits[v & 63] : '='};
        sv_buf_add(out, four, 4);
    }
}

/* The message's content: the text, or text and picture as parts. Texts are borrowed. */
static bool add_content(yyjson_mut_doc *doc, yyjson_mut_val *message, const char *prompt, size_t size, const char *picture) {
    if (!picture) return yyjson_mut_obj_add_strn(doc, message, "content", prompt, size);
    yyjson_mut_val *parts = yyjson_mut_obj_add_arr(doc, message, "content"), *text = yyjson_mut_arr_add_obj(doc, parts);
    bool done = yyjson_mut_obj_add_str(doc, text, "type", "text") && yyjson_mut_obj_add_strn(doc, text, "text", prompt, size);
    yyjson_mut_val *image = yyjson_mut_arr_add_obj(doc, parts);
    done = done && yyjson_mut_obj_add_str(doc, image, "type", "image_url");
    yyjson_mut_val *url = yyjson_mut_obj_add_obj(doc, image, "image_url");
    return done && yyjson_mut_obj_add_str(doc, url, "url", picture);
}

sv_status sv_chat_request(const sv_chat_settings *s, const char *prompt, size_t size, const char *picture, sv_buf *out, sv_error *err) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL;
    char *text = NULL;
    size_t length = 0;
    if (root) {
        yyjson_mut_doc_set_root(doc, root);
        bool done = yyjson_mut_obj_add_str(doc, root, "model", s->model);
        yyjson_mut_val *message = yyjson_mut_arr_add_obj(doc, yyjson_mut_obj_add_arr(doc, root, "messages"));
        done = done && yyjson_mut_obj_add_str(doc, message, "role", "user") && add_content(doc, message, prompt, size, picture);
        done = done && yyjson_mut_obj_add_sint(doc, root, "max_tokens", s->max_tokens) && yyjson_mut_obj_add_real(doc, root, "temperature", s->temperature);
        if (s->seed != INT64_MIN) done = done && yyjson_mut_obj_add_sint(doc, root, "seed", s->seed);
        if (s->top_logprobs)
            done = done && yyjson_mut_obj_add_bool(doc, root, "logprobs", true) && yyjson_mut_obj_add_int(doc, root, "top_logprobs", s->top_logprobs);
        done = done && yyjson_mut_obj_add_bool(doc, root, "stream", false);
        text = done ? yyjson_mut_write(doc, 0, &length) : NULL;
    }
    if (text) sv_buf_add(out, text, length);
    bool good = text && !out->failed;
    free(text);
    yyjson_mut_doc_free(doc);
    return good ? SV_OK : sv_fail_memory(err, "chat request", size);
}

void sv_chat_answer_free(sv_chat_answer *a) {
    sv_buf_free(&a->text);
}

static bool too_deep(const char *s, size_t n) {
    int depth = 0;
    bool in_text = false;
    for (size_t i = 0; i < n; i++) {
        if (in_text) {
            if (s[i] == '\\') i++;
            else if (s[i] == '"') in_text = false;
        } else if (s[i] == '"') {
            in_text = true;
        } else if (s[i] == '[' || s[i] == '{') {
            if (++depth > DEEPEST) return true;
        } else if (s[i] == ']' || s[i] == '}') {
            depth--;
        }
    }
    return false;
}

static yyjson_doc *read_json(const char *body, size_t size) {
    return too_deep(body, size) ? NULL : yyjson_read_opts((char *)body, size, YYJSON_READ_ALLOW_INF_AND_NAN, NULL, NULL);
}

/* "content" is text, null, or a list of parts of which some are text. A refusal is what the model said, too. */
static void take_text(yyjson_val *message, sv_buf *out) {
    yyjson_val *content = yyjson_obj_get(message, "content"), *refusal = yyjson_obj_get(message, "refusal"), *part;
    size_t i, n;
    if (yyjson_is_str(content)) {
        sv_buf_add(out, yyjson_get_str(content), yyjson_get_len(content));
    } else if (yyjson_is_arr(content)) {
        yyjson_arr_foreach(content, i, n, part) {
            yyjson_val *text = yyjson_obj_get(part, "text");
            if (yyjson_is_str(text)) sv_buf_add(out, yyjson_get_str(text), yyjson_get_len(text));
        }
    }
    if (!out->size && yyjson_is_str(refusal)) sv_buf_add(out, yyjson_get_str(refusal), yyjson_get_len(refusal));
}

static bool take_token(yyjson_val *v, sv_chat_token *out) {
    yyjson_val *text = yyjson_obj_get(v, "token"), *logprob = yyjson_obj_get(v, "logprob");
    if (!yyjson_is_str(text) || !yyjson_is_num(logprob)) return false;
    snprintf(out->text, sizeof out->text, "%s", yyjson_get_str(text));
    out->logprob = yyjson_get_num(logprob);
    return true;
}

static void take_places(yyjson_val *choice, sv_chat_answer *out) {
    yyjson_val *list = yyjson_obj_get(yyjson_obj_get(choice, "logprobs"), "content"), *item, *rival;
    size_t i, n, k, m;
    yyjson_arr_foreach(list, i, n, item) {
        if (out->place_count == SV_CHAT_PLACES) return;
        sv_chat_place *p = &out->places[out->place_count];
        *p = (sv_chat_place){0};
        if (!take_token(item, &p->token)) return;
        out->place_count++;
        yyjson_arr_foreach(yyjson_obj_get(item, "top_logprobs"), k, m, rival) {
            if (p->rival_count < SV_CHAT_RIVALS && take_token(rival, &p->rivals[p->rival_count])) p->rival_count++;
        }
    }
}

static int64_t tokens(yyjson_val *usage, const char *key) {
    yyjson_val *v = yyjson_obj_get(usage, key);
    return yyjson_is_int(v) && yyjson_get_sint(v) >= 0 ? yyjson_get_sint(v) : -1;
}

sv_status sv_chat_read(const char *body, size_t size, sv_chat_answer *out, sv_error *err) {
    static const char what[] = "the server's answer";
    *out = (sv_chat_answer){.tokens_in = -1, .tokens_out = -1};
    yyjson_doc *doc = read_json(body, size);
    if (!doc) return sv_fail(err, SV_E_NETWORK, what, "is not JSON");
    yyjson_val *root = yyjson_doc_get_root(doc), *choice = yyjson_arr_get_first(yyjson_obj_get(root, "choices"));
    yyjson_val *message = yyjson_obj_get(choice, "message");
    sv_status st = SV_OK;
    if (!yyjson_is_obj(message)) {
        st = sv_fail(err, SV_E_NETWORK, what, "is not a chat completion: it has no choices[0].message");
    } else {
        take_text(message, &out->text);
        take_places(choice, out);
        out->tokens_in = tokens(yyjson_obj_get(root, "usage"), "prompt_tokens");
        out->tokens_out = tokens(yyjson_obj_get(root, "usage"), "completion_tokens");
        sv_buf_puts(&out->text, "");
        st = sv_buf_ok(&out->text, err);
    }
    yyjson_doc_free(doc);
    if (st != SV_OK) sv_chat_answer_free(out);
    return st;
}

static yyjson_val *message_of(yyjson_val *root) {
    static const char *const keys[] = {"error", "message", "detail"};
    for (int level = 0; level < 3 && yyjson_is_obj(root); level++) {
        yyjson_val *found = NULL;
        for (size_t i = 0; !found && i < sizeof keys / sizeof *keys; i++) found = yyjson_obj_get(root, keys[i]);
        root = found;
    }
    return yyjson_is_str(root) ? root : NULL;
}

/* Replaces every occurrence of `secret` by one asterisk. */
static void hide(char *text, const char *secret) {
    size_t n = secret ? strlen(secret) : 0;
    for (char *at = text; n && (at = strstr(at, secret)); at++) {
        *at = '*';
        memmove(at + 1, at + n, strlen(at + n) + 1);
    }
}

const char *sv_one_line(const char *text, size_t size, const char *secret, char *buf, size_t room) {
    /* The secret goes before the text is cut, so that no part of it stays at the end. */
    char *whole = sv_strndup(text ? text : "", size < 64000 ? size : 64000);
    size_t at = 0;
    if (whole) hide(whole, secret);
    for (const char *p = whole; p && *p && at + 5 < room;) {
        uint32_t cp;
        int n = sv_utf8_decode(p, strlen(p), &cp);
        if (n < 1 || cp <= 0x20 || cp == 0x7F) {
            if (at && buf[at - 1] != ' ') buf[at++] = ' ';
            p++;
            continue;
        }
        memcpy(buf + at, p, (size_t)n);
        at += (size_t)n;
        p += n;
    }
    while (at && buf[at - 1] == ' ') at--;
    buf[at] = 0;
    free(whole);
    return buf;
}

const char *sv_chat_error_text(const char *body, size_t size, const char *secret, char *buf, size_t room) {
    yyjson_doc *doc = read_json(body ? body : "", size);
    yyjson_val *said = message_of(yyjson_doc_get_root(doc));
    sv_one_line(said ? yyjson_get_str(said) : body, said ? yyjson_get_len(said) : size, secret, buf, room);
    yyjson_doc_free(doc);
    return buf;
}
