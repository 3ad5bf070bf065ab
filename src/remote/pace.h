/* pace.h - how many requests a server is sent at once, when to wait, and when to give up. Plain arithmetic over times that the caller tells, so that
 * it can be tested without a server or a clock.
 *
 * Additive increase, multiplicative decrease: every `limit` answers add one request at a time, up to `most`; a failure halves the limit. Requests
 * that were on their way when a failure was noticed say nothing new, so all failures of one such wave count as one round. After each round nothing is
 * sent for a while: 0.1 s doubled with each round in a row, 10 s at most, or longer if the server asks for it (Retry-After). Any answer ends the row.
 * `most_rounds` rounds in a row: the server only fails. A server that says it is busy (429) is given half as many rounds again.
 */
#ifndef SV_REMOTE_PACE_H
#define SV_REMOTE_PACE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct sv_pace {
    double limit;            /* requests at once, at least 1 */
    int most;                /* its upper bound */
    int flying;              /* requests on their way */
    double not_before;       /* nothing is sent before this time */
    double last_round;       /* when the last round of failures was noticed; requests begun earlier belong to it */
    int rounds, most_rounds; /* rounds of failures in a row */
    int weight;              /* of these rounds: 3 each, 2 for a busy server */
} sv_pace;

/* Begins with four requests at once (fewer if most is smaller). */
void sv_pace_init(sv_pace *p, int most, int most_rounds);
/* True if one more request may be sent now. */
bool sv_pace_free(const sv_pace *p, double now);
void sv_pace_sent(sv_pace *p);
/* A request that was sent at `sent` was answered. */
void sv_pace_good(sv_pace *p);
/* It failed in a way that says something about the server. busy: it was told so; retry_after: seconds that the server asks to be left alone,
 * negative: it does not say. */
void sv_pace_bad(sv_pace *p, double sent, double now, bool busy, double retry_after);
/* It ended in a way that says nothing about the server. */
void sv_pace_ended(sv_pace *p);
/* Counts failures in a row from none again. */
void sv_pace_hope(sv_pace *p);
/* True once the server only fails. */
bool sv_pace_hopeless(const sv_pace *p);

/* Seconds of a Retry-After header (RFC 9110, 10.2.3): a number of seconds, or a date of one of HTTP's three forms relative to `unix_now`; a date in
 * the past is 0. Negative: neither. */
double sv_retry_after(const char *value, int64_t unix_now);

#endif
