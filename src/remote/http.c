#include "remote/http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "remote/pace.h"

/* One request on its way. */
typedef struct transfer {
    struct transfer *next;
    CURL *easy;
    struct curl_slist *headers;
    void *tag;
    sv_buf body;
    size_t most_bytes;
    bool too_large;
    double retry_after;
    char why[CURL_ERROR_SIZE];
} transfer;

struct sv_http {
    CURLM *multi;
    sv_http_options o;
    transfer *flying;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode started;

static void start(void) {
    started = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- addresses ---- */

static bool has_part(CURLU *u, CURLUPart part) {
    char *text = NULL;
    bool has = curl_url_get(u, part, &text, 0) == CURLUE_OK && text && (*text || part == CURLUPART_QUERY || part == CURLUPART_FRAGMENT);
    curl_free(text);
    return has;
}

sv_status sv_http_check_url(const char *url, const char *what, sv_error *err) {
    static const char example[] = "for example  url: \"http://127.0.0.1:8080/v1\"";
    if (!sv_str_starts(url, "http://") && !sv_str_starts(url, "https://")) {
        sv_fail(err, SV_E_USAGE, what, "must begin with http:// or https://");
        return sv_hint(err, SV_E_USAGE, "%s", example);
    }
    CURLU *u = curl_url();
    if (!u) return sv_fail_memory(err, what, 0);
    sv_status st = SV_OK;
    if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK || !has_part(u, CURLUPART_HOST)) {
        sv_fail(err, SV_E_USAGE, what, "is not a valid address");
        st = sv_hint(err, SV_E_USAGE, "%s", example);
    } else if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD)) {
        sv_fail(err, SV_E_USAGE, what, "must not hold a user name or password");
        st = sv_hint(err, SV_E_USAGE, "put the key into an environment variable and name that with api_key_env");
    } else if (has_part(u, CURLUPART_QUERY) || has_part(u, CURLUPART_FRAGMENT)) {
        sv_fail(err, SV_E_USAGE, what, "must end with its path: a query (?…) or fragment (#…) is not taken");
        st = sv_hint(err, SV_E_USAGE, "a key goes into an environment variable, named with api_key_env");
    }
    curl_url_cleanup(u);
    return st;
}

/* ---- requests ---- */

static void free_transfer(sv_http *h, transfer *t) {
    for (transfer **p = &h->flying; *p; p = &(*p)->next)
        if (*p == t) {
            *p = t->next;
            break;
        }
    if (t->easy) {
        curl_multi_remove_handle(h->multi, t->easy);
        curl_easy_cleanup(t->easy);
    }
    curl_slist_free_all(t->headers);
    sv_buf_free(&t->body);
    free(t);
}

sv_status sv_http_open(sv_http **out, const sv_http_options *o, sv_error *err) {
    *out = NULL;
    pthread_once(&once, start);
    if (started != CURLE_OK) return sv_fail(err, SV_E_LIBRARY, "libcurl", "cannot be started: %s", curl_easy_strerror(started));
    sv_http *h = calloc(1, sizeof *h);
    if (!h || !(h->multi = curl_multi_init())) {
        free(h);
        return sv_fail_memory(err, "HTTP client", sizeof *h);
    }
    h->o = *o;
    curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    *out = h;
    return SV_OK;
}

void sv_http_close(sv_http **hp) {
    sv_http *h = *hp;
    if (!h) return;
    *hp = NULL;
    while (h->flying) free_transfer(h, h->flying);
    curl_multi_cleanup(h->multi);
    free(h);
}

/* Taking less than was offered ends the transfer. */
static size_t take_body(char *data, size_t one, size_t n, void *user) {
    transfer *t = user;
    size_t size = one * n;
    if (size > t->most_bytes - t->body.size) {
        t->too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    sv_buf_add(&t->body, data, size);
    return t->body.failed ? CURL_WRITEFUNC_ERROR : size;
}

static size_t take_header(char *data, size_t one, size_t n, void *user) {
    static const char name[] = "retry-after:";
    transfer *t = user;
    size_t size = one * n, at = sizeof name - 1;
    char value[80];
    if (size <= at || size - at >= sizeof value) return size;
    for (size_t i = 0; i < at; i++)
        if ((data[i] | (name[i] == '-' || name[i] == ':' ? 0 : 0x20)) != name[i]) return size;
    memcpy(value, data + at, size - at);
    value[size - at] = 0;
    t->retry_after = sv_retry_after(value, (int64_t)time(NULL));
    return size;
}

static bool add_header(transfer *t, const char *line) {
    struct curl_slist *more = curl_slist_append(t->headers, line);
    if (more) t->headers = more;
    return more != NULL;
}

static bool set_headers(transfer *t, const char *bearer) {
    bool done = add_header(t, "Content-Type: application/json") && add_header(t, "Accept: application/json");
    done = done && add_header(t, "Expect:");   /* no extra round trip to ask whether the body is welcome */
    if (!done || !bearer) return done;
    sv_buf line = {0};
    sv_buf_printf(&line, "Authorization: Bearer %s", bearer);
    done = !line.failed && add_header(t, line.data);
    sv_buf_free(&line);
    return done;
}

sv_status sv_http_post(sv_http *h, const char *url, const char *bearer, const char *body, size_t size, void *tag, sv_error *err) {
    transfer *t = calloc(1, sizeof *t);
    if (!t || !(t->easy = curl_easy_init()) || !set_headers(t, bearer)) {
        if (t) free_transfer(h, t);
        return sv_fail_memory(err, "HTTP request", sizeof *t);
    }
    t->tag = tag;
    t->most_bytes = h->o.most_bytes;
    t->retry_after = -1;
    CURL *e = t->easy;
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->why);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(h->o.connect_timeout * 1000));
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)(h->o.timeout * 1000));
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(e, CURLOPT_USERAGENT, "synthvlm/" SV_VERSION);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(e, CURLOPT_POST, 1L);
    curl_easy_setopt(e, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    const char *certificates = getenv("SSL_CERT_FILE");   /* OpenSSL's own variable, which libcurl does not look at */
    if (certificates && *certificates) curl_easy_setopt(e, CURLOPT_CAINFO, certificates);
    CURLcode rc = curl_easy_setopt(e, CURLOPT_URL, url);
    CURLMcode added = rc == CURLE_OK ? curl_multi_add_handle(h->multi, e) : CURLM_OUT_OF_MEMORY;
    if (added != CURLM_OK) {
        free_transfer(h, t);
        return sv_fail(err, SV_E_NETWORK, "HTTP request", "cannot begin: %s", curl_multi_strerror(added));
    }
    t->next = h->flying;
    h->flying = t;
    return SV_OK;
}

static sv_http_outcome outcome_of(const transfer *t, CURLcode rc) {
    if (t->too_large) return SV_HTTP_TOO_LARGE;
    switch (rc) {
    case CURLE_OK: return SV_HTTP_ANSWERED;
    case CURLE_OPERATION_TIMEDOUT: return SV_HTTP_TIMEOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT: return SV_HTTP_NO_CONNECTION;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE: return SV_HTTP_NOT_TRUSTED;
    default: return SV_HTTP_CUT;
    }
}

static void finish(sv_http *h, transfer *t, CURLcode rc, sv_http_answer *out) {
    *out = (sv_http_answer){.tag = t->tag, .outcome = outcome_of(t, rc), .retry_after = t->retry_after};
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &out->status);
    if (out->outcome == SV_HTTP_ANSWERED) {
        out->body = t->body;
        t->body = (sv_buf){0};
    } else if (t->too_large) {
        snprintf(out->why, sizeof out->why, "the answer is larger than %zu bytes", t->most_bytes);
    } else {
        snprintf(out->why, sizeof out->why, "%s", t->why[0] ? t->why : curl_easy_strerror(rc));
    }
    free_transfer(h, t);
}

static bool take_finished(sv_http *h, sv_http_answer *out) {
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(h->multi, &left));) {
        if (m->msg != CURLMSG_DONE) continue;
        transfer *t = NULL;
        CURLcode rc = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        finish(h, t, rc, out);
        return true;
    }
    return false;
}

sv_status sv_http_wait(sv_http *h, double seconds, sv_http_answer *out, bool *any, sv_error *err) {
    int running;
    *any = take_finished(h, out);
    if (*any) return SV_OK;
    CURLMcode rc = curl_multi_perform(h->multi, &running);
    *any = rc == CURLM_OK && take_finished(h, out);
    if (rc == CURLM_OK && !*any && seconds > 0) {
        rc = curl_multi_poll(h->multi, NULL, 0, (int)(seconds * 1000) + 1, NULL);
        if (rc == CURLM_OK) rc = curl_multi_perform(h->multi, &running);
        *any = rc == CURLM_OK && take_finished(h, out);
    }
    return rc == CURLM_OK ? SV_OK : sv_fail(err, SV_E_NETWORK, "HTTP client", "%s", curl_multi_strerror(rc));
}
