/* http.h - many HTTP requests at once from one thread (libcurl's multi interface): HTTP/1.1 and 2, connections kept open, TLS with the system's
 * certificates or those of SSL_CERT_FILE, the proxy of the environment (http_proxy, https_proxy, no_proxy).
 *
 * Redirects are not followed: a key must not travel to another host than the one that it was given for. Every request ends: connecting, the
 * whole request and the size of the answer are bounded.
 */
#ifndef SV_REMOTE_HTTP_H
#define SV_REMOTE_HTTP_H

#include "base/str.h"

typedef struct sv_http_options {
    double connect_timeout;      /* seconds */
    double timeout;              /* seconds of one request from beginning to end */
    size_t most_bytes;           /* of an answer's body */
} sv_http_options;

typedef enum sv_http_outcome {
    SV_HTTP_ANSWERED,            /* a whole answer came, with whatever status */
    SV_HTTP_NO_CONNECTION,       /* the host cannot be found or reached */
    SV_HTTP_TIMEOUT,
    SV_HTTP_CUT,                 /* the connection broke before the answer was whole, or what came is not HTTP */
    SV_HTTP_TOO_LARGE,           /* more than most_bytes */
    SV_HTTP_NOT_TRUSTED          /* TLS: the certificate is not valid for this host */
} sv_http_outcome;

typedef struct sv_http_answer {
    void *tag;                   /* of the request */
    sv_http_outcome outcome;
    long status;                 /* HTTP status; 0 if there was none */
    double retry_after;          /* seconds that the server asks to wait; negative: it does not say */
    sv_buf body;                 /* the caller frees */
    char why[256];               /* what went wrong, if outcome is not SV_HTTP_ANSWERED */
} sv_http_answer;

typedef struct sv_http sv_http;  /* belongs to one thread */

/* SV_OK, or SV_E_USAGE with `what` and why this is not an address for requests: only http and https, a host, no user name or password, no
 * query, no fragment. The text of the address is not part of the error. */
sv_status sv_http_check_url(const char *url, const char *what, sv_error *err);

sv_status sv_http_open(sv_http **out, const sv_http_options *o, sv_error *err);
void sv_http_close(sv_http **h);               /* drops what is on its way */

/* Begins a POST of a JSON text; `body` must live until its answer has come. bearer: sent as "Authorization: Bearer …"; NULL: none. */
sv_status sv_http_post(sv_http *h, const char *url, const char *bearer, const char *body, size_t size, void *tag, sv_error *err);

/* Lets the requests move for up to `seconds`, or until one has ended: then *any is true and out filled in. */
sv_status sv_http_wait(sv_http *h, double seconds, sv_http_answer *out, bool *any, sv_error *err);

#endif
