/* chat.h - one question to an OpenAI-compatible server: the body of a request to /chat/completions, and what its answer says. */
#ifndef SV_REMOTE_CHAT_H
#define SV_REMOTE_CHAT_H

#include "base/str.h"

typedef struct sv_chat_settings {
    const char *model;
    int64_t max_tokens, seed;    /* seed INT64_MIN: not sent */
    double temperature;
    int top_logprobs;            /* how many of the likeliest tokens are asked for at each place; 0: none */
} sv_chat_settings;

/* The request as JSON text: one message of the user, not streamed. prompt is valid UTF-8. picture: a data URL that comes after the text; NULL: none. */
sv_status sv_chat_request(const sv_chat_settings *s, const char *prompt, size_t size, const char *picture, sv_buf *out, sv_error *err);
/* Adds "data:<type>;base64,…" of the bytes (RFC 2397). */
void sv_data_url(const char *type, const void *bytes, size_t size, sv_buf *out);

typedef struct sv_chat_token {
    char text[24];               /* cut to fit: only short words matter here */
    double logprob;
} sv_chat_token;

#define SV_CHAT_PLACES 16        /* tokens of the answer that are looked at */
#define SV_CHAT_RIVALS 8         /* likeliest tokens at each place */
typedef struct sv_chat_place {
    sv_chat_token token, rivals[SV_CHAT_RIVALS];
    int rival_count;
} sv_chat_place;

typedef struct sv_chat_answer {
    sv_buf text;                 /* what the model said; "" if it said nothing */
    int64_t tokens_in, tokens_out;           /* as the server counts them; -1: it does not say */
    sv_chat_place places[SV_CHAT_PLACES];    /* its first tokens with their log probabilities */
    int place_count;             /* 0: the server gives none */
} sv_chat_answer;
void sv_chat_answer_free(sv_chat_answer *a);

/* Reads an answer (HTTP status 200). SV_E_NETWORK with why, if the body is not a chat completion. Text that is not valid UTF-8 is refused. */
sv_status sv_chat_read(const char *body, size_t size, sv_chat_answer *out, sv_error *err);

/* A text on one line, cut to `room` bytes at a character's end, control characters as spaces. Wherever `secret` (NULL: none) occurs, "*" stands
 * instead: some servers repeat the key that they were sent. Returns buf. */
const char *sv_one_line(const char *text, size_t size, const char *secret, char *buf, size_t room);

/* What an error body says, on one line: the "message", "detail" or "error" of JSON, otherwise the beginning of the text. */
const char *sv_chat_error_text(const char *body, size_t size, const char *secret, char *buf, size_t room);

#endif
