#include "remote/pace.h"

#include <curl/curl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_PAUSE 0.1
#define LONGEST_PAUSE 10.0
#define FIRST_LIMIT 4

void sv_pace_init(sv_pace *p, int most, int most_rounds) {
    *p = (sv_pace){.limit = most < FIRST_LIMIT ? most : FIRST_LIMIT, .most = most, .most_rounds = most_rounds, .last_round = -HUGE_VAL, .not_before = -HUGE_VAL};
}

bool sv_pace_free(const sv_pace *p, double now) {
    return p->flying < (int)p->limit && now >= p->not_before;
}

void sv_pace_sent(sv_pace *p) {
    p->flying++;
}

void sv_pace_ended(sv_pace *p) {
    p->flying--;
}

void sv_pace_good(sv_pace *p) {
    p->flying--;
    p->rounds = p->weight = 0;
    p->limit += 1 / p->limit;
    if (p->limit > p->most) p->limit = p->most;
}

void sv_pace_bad(sv_pace *p, double sent, double now, bool busy, double retry_after) {
    p->flying--;
    if (retry_after >= 0 && now + retry_after > p->not_before) p->not_before = now + retry_after;
    if (sent <= p->last_round) return;
    p->last_round = now;
    p->rounds++;
    p->weight += busy ? 2 : 3;
    p->limit /= 2;
    if (p->limit < 1) p->limit = 1;
    double pause = ldexp(FIRST_PAUSE, p->rounds < 20 ? p->rounds - 1 : 20);
    if (pause > LONGEST_PAUSE) pause = LONGEST_PAUSE;
    if (now + pause > p->not_before) p->not_before = now + pause;
}

void sv_pace_hope(sv_pace *p) {
    p->rounds = p->weight = 0;
}

bool sv_pace_hopeless(const sv_pace *p) {
    return p->weight >= 3 * p->most_rounds;
}

double sv_retry_after(const char *value, int64_t unix_now) {
    while (*value == ' ' || *value == '\t') value++;
    size_t digits = strspn(value, "0123456789"), rest = digits + strspn(value + digits, " \t\r\n");
    if (digits && !value[rest]) return digits > 9 ? 1e9 : strtod(value, NULL);
    if (digits || !strchr(value, ':')) return -1;   /* every form of date has a time of day */
    time_t when = curl_getdate(value, NULL);
    if (when < 0) return -1;
    return (int64_t)when > unix_now ? (double)((int64_t)when - unix_now) : 0;
}
