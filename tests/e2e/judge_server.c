/* judge_server.c - a chat server for tests, on a socket of 127.0.0.1, that answers by simple rules and fails where it is told to.
 *
 *     judge_server PORT_FILE LOG_FILE [logprobs] [score] [sees] [WHICH:FAULT …]
 *
 * WHICH: the number of a request, from 1, in the order of arrival ("3"), a range ("3-9"), or "*". FAULT: slow=MS (then answers), cut (closes without an
 * answer), half (closes within the answer), 429, 429=SECONDS (Retry-After), 429date (Retry-After as a date two seconds ahead), 500, 400, 401 (repeats
 * the key), 301, garbage (not HTTP), text (no JSON), huge (an endless body), list (JSON that is no chat completion), never (says nothing),
 * nologprobs (400 if log probabilities are asked for).
 *
 * The answer depends on the caption: one with "bad" gets No, with "odd" Perhaps, with "poison" HTTP 500, with "throttled" 429, with "refused" 400;
 * all others Yes. score: 2, "Hm", 4 instead. sees: the answer depends on the picture of the request instead (its P(yes) is the sum of the data
 * URL's letters modulo 10, by 10; without a picture HTTP 400). The log then has that number and the URL's beginning for the caption. The port is
 * written to PORT_FILE once it listens. LOG_FILE gets one line a request: number, requests at once, key, caption. It ends by itself after two
 * minutes. JUDGE_SERVER_PORT in the environment: that port instead of a free one.
 */
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_RULES = 64, ROOM = 1 << 18 };

typedef struct rule { long from, to; const char *fault; } rule;
static rule rules[MOST_RULES];
static int rule_count;
static int has_logprobs, gives_score, sees;
static FILE *journal;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long requests, at_once;

static void nap(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static int put(int fd, const char *s, size_t n) {
    while (n) {
        ssize_t k = send(fd, s, n, MSG_NOSIGNAL);
        if (k <= 0) return 0;
        s += k;
        n -= (size_t)k;
    }
    return 1;
}

static int answer(int fd, int status, const char *header, const char *body) {
    char head[512];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n", status, strlen(body), header);
    return put(fd, head, (size_t)n) && put(fd, body, strlen(body));
}

/* One whole request into buf; 0 at the end of the connection. */
static size_t read_request(int fd, char *buf) {
    size_t size = 0, want = 0;
    for (;;) {
        ssize_t k = recv(fd, buf + size, ROOM - 1 - size, 0);
        if (k <= 0) return 0;
        size += (size_t)k;
        buf[size] = 0;
        char *end = strstr(buf, "\r\n\r\n");
        if (end && !want) {
            const char *length = strcasestr(buf, "content-length:");
            want = (size_t)(end + 4 - buf) + (length ? strtoul(length + 15, NULL, 10) : 0);
        }
        if (want && size >= want) return size;
    }
}

static const char *fault_of(long number) {
    for (int i = 0; i < rule_count; i++)
        if (number >= rules[i].from && number <= rules[i].to) return rules[i].fault;
    return "";
}

static void cut_line(char *out, size_t room, const char *begin, const char *ends) {
    size_t n = begin ? strcspn(begin, ends) : 0;
    snprintf(out, room, "%.*s", (int)(n < room ? n : room - 1), begin ? begin : "");
}

/* The data URL of a request; NULL: there is none. *tenths: what its letters say. */
static const char *picture_of(const char *request, int *tenths) {
    const char *url = strstr(request, "data:image");
    unsigned long sum = 0;
    for (const char *p = url; p && *p && *p != '"'; p++) sum += (unsigned char)*p;
    *tenths = (int)(sum % 10);
    return url;
}

static int answer_picture(int fd, const char *request) {
    char body[1024];
    int tenths;
    if (!picture_of(request, &tenths)) {
        if (strstr(request, "apple")) return answer(fd, 200, "", "{\"choices\":[{\"message\":{\"content\":\"Yes\"}}]}");   /* the sign of life */
        return answer(fd, 400, "", "{\"error\":{\"message\":\"there is no picture\"}}");
    }
    double yes = tenths ? tenths / 10.0 : 0.001;
    snprintf(body, sizeof body, "{\"choices\":[{\"message\":{\"content\":\"%s\"},\"logprobs\":{\"content\":[{\"token\":\"%s\",\"logprob\":-0.1,\"top_logprobs\":"
             "[{\"token\":\"Yes\",\"logprob\":%.17g},{\"token\":\"No\",\"logprob\":%.17g}]}]}}],\"usage\":{\"prompt_tokens\":300,\"completion_tokens\":1}}",
             tenths >= 5 ? "Yes" : "No", tenths >= 5 ? "Yes" : "No", log(yes), log(1 - yes));
    return answer(fd, 200, "", body);
}

static int answer_caption(int fd, const char *request, const char *caption) {
    char body[1024], logprobs[512] = "";
    if (sees) return answer_picture(fd, request);
    const char *word = strstr(caption, "bad") ? "No" : strstr(caption, "odd") ? "Perhaps" : "**Yes.**";
    if (gives_score) word = strstr(caption, "bad") ? "Score: 2" : strstr(caption, "odd") ? "Hm" : "4/5";
    if (strstr(caption, "throttled")) return answer(fd, 429, "", "{\"error\":{\"message\":\"slow down\"}}");
    if (strstr(caption, "poison")) return answer(fd, 500, "", "{\"error\":{\"message\":\"the caption broke me\"}}");
    if (strstr(caption, "refused")) return answer(fd, 400, "", "{\"error\":{\"message\":\"content policy\"}}");
    if (has_logprobs && strstr(request, "\"logprobs\":true")) {
        const char *first = strstr(caption, "bad") ? "No" : strstr(caption, "odd") ? "Perhaps" : "Yes";
        double yes = strstr(caption, "bad") ? -2.302585092994046 : strstr(caption, "unsure") ? -0.916290731874155 : -0.10536051565782628;
        double no = strstr(caption, "bad") ? -0.10536051565782628 : strstr(caption, "unsure") ? -0.5108256237659907 : -2.302585092994046;
        snprintf(logprobs, sizeof logprobs, ",\"logprobs\":{\"content\":[{\"token\":\"%s\",\"logprob\":-0.1,\"top_logprobs\":[{\"token\":\"Yes\",\"logprob\":%.17g},"
                 "{\"token\":\" NO\",\"logprob\":%.17g}]}]}", first, yes, no);
    }
    snprintf(body, sizeof body, "{\"id\":\"x\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"}%s,\"finish_reason\":\"stop\"}],"
             "\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":2}}", word, logprobs);
    return answer(fd, 200, "", body);
}

/* 0: the connection is to be closed. */
static int respond(int fd, const char *request, long number, const char *key, const char *caption) {
    const char *f = fault_of(number);
    char header[128] = "", body[512];
    if (strncmp(f, "slow=", 5) == 0) {
        nap(strtol(f + 5, NULL, 10));
        return answer_caption(fd, request, caption);
    }
    if (strcmp(f, "cut") == 0) return 0;
    if (strcmp(f, "half") == 0) return put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"choices\":", 52) && 0;
    if (strcmp(f, "429") == 0) return answer(fd, 429, "", "{\"error\":{\"message\":\"slow down\"}}");
    if (strncmp(f, "429=", 4) == 0) {
        snprintf(header, sizeof header, "Retry-After: %s\r\n", f + 4);
        return answer(fd, 429, header, "{\"error\":{\"message\":\"slow down\"}}");
    }
    if (strcmp(f, "429date") == 0) {
        time_t then = time(NULL) + 2;
        struct tm t;
        gmtime_r(&then, &t);
        strftime(header, sizeof header, "retry-after: %a, %d %b %Y %H:%M:%S GMT\r\n", &t);
        return answer(fd, 429, header, "{}");
    }
    if (strcmp(f, "500") == 0) return answer(fd, 500, "", "out of order");
    if (strcmp(f, "400") == 0) return answer(fd, 400, "", "{\"error\":{\"message\":\"there is no model of that name\"}}");
    if (strcmp(f, "401") == 0) {
        snprintf(body, sizeof body, "{\"error\":{\"message\":\"Incorrect API key provided: %.200s\"}}", key);
        return answer(fd, 401, "", body);
    }
    if (strcmp(f, "301") == 0) return answer(fd, 301, "Location: http://127.0.0.2:9/v1\r\n", "");
    if (strcmp(f, "garbage") == 0) return put(fd, "\x16\x03 nonsense \r\n\r\n\r\n", 18) && 0;
    if (strcmp(f, "text") == 0) return answer(fd, 200, "", "<html>all is well</html>");
    if (strcmp(f, "list") == 0) return answer(fd, 200, "", "[{\"choices\":[]},[[[]]]]");
    if (strcmp(f, "huge") == 0) {
        char blanks[4096];
        memset(blanks, ' ', sizeof blanks);
        int fine = put(fd, "HTTP/1.1 200 OK\r\n\r\n", 19);
        while (fine) fine = put(fd, blanks, sizeof blanks);
        return 0;
    }
    if (strcmp(f, "never") == 0) {
        nap(100000);
        return 0;
    }
    if (strcmp(f, "nologprobs") == 0 && strstr(request, "\"logprobs\":true"))
        return answer(fd, 400, "", "{\"error\":{\"message\":\"logprobs are not supported by this model\"}}");
    return answer_caption(fd, request, caption);
}

static void *serve(void *arg) {
    int fd = (int)(long)arg;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));   /* head and body go in two pieces */
    char *request = malloc(ROOM), key[256], caption[512];
    while (request && read_request(fd, request)) {
        const char *bearer = strcasestr(request, "authorization: bearer "), *mark = strstr(request, "Caption: ");
        cut_line(key, sizeof key, bearer ? bearer + 22 : "-", "\r\n");
        cut_line(caption, sizeof caption, mark ? mark + 9 : "?", "\\\"\r\n");
        int tenths;
        const char *picture = sees ? picture_of(request, &tenths) : NULL;
        if (picture) snprintf(caption, sizeof caption, "%d %.30s", tenths, picture);
        pthread_mutex_lock(&lock);
        long number = ++requests, others = ++at_once;
        fprintf(journal, "%ld %ld %s %s\n", number, others, key, caption);
        fflush(journal);
        pthread_mutex_unlock(&lock);
        int stays = respond(fd, request, number, key, caption);
        pthread_mutex_lock(&lock);
        at_once--;
        pthread_mutex_unlock(&lock);
        if (!stays) break;
    }
    free(request);
    close(fd);
    return NULL;
}

static int add_rule(char *text) {
    char *colon = strchr(text, ':'), *end;
    if (!colon || rule_count == MOST_RULES) return 0;
    rule *r = &rules[rule_count++];
    r->fault = colon + 1;
    r->from = strtol(text, &end, 10);
    r->to = *end == '-' ? strtol(end + 1, NULL, 10) : r->from;
    if (*text == '*') *r = (rule){1, 1L << 60, colon + 1};
    return r->from > 0;
}

int main(int argc, char **argv) {
    if (argc < 3) return fputs("judge_server PORT_FILE LOG_FILE [logprobs] [score] [WHICH:FAULT ...]\n", stderr), 2;
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "logprobs") == 0) has_logprobs = 1;
        else if (strcmp(argv[i], "score") == 0) gives_score = 1;
        else if (strcmp(argv[i], "sees") == 0) sees = 1;
        else if (!add_rule(argv[i])) return fprintf(stderr, "not a rule: %s\n", argv[i]), 2;
    }
    alarm(120);
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    const char *same = getenv("JUDGE_SERVER_PORT");
    if (same) at.sin_port = htons((uint16_t)strtoul(same, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    journal = fopen(argv[2], "w");
    if (fd < 0 || !journal || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) ||
        bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 64) || getsockname(fd, (struct sockaddr *)&at, &size)) return perror("judge_server"), 1;
    char part[512];
    snprintf(part, sizeof part, "%s.part", argv[1]);
    FILE *port = fopen(part, "w");
    if (!port || fprintf(port, "%d\n", ntohs(at.sin_port)) < 0 || fclose(port) || rename(part, argv[1])) return perror("judge_server"), 1;
    for (;;) {
        int client = accept(fd, NULL, NULL);
        pthread_t thread;
        if (client < 0) continue;
        if (pthread_create(&thread, NULL, serve, (void *)(long)client) == 0) pthread_detach(thread);
        else close(client);
    }
}
