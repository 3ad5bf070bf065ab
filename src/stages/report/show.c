/* show.c - from what a person types to the story of one caption or candidate; the story of the selection. */
#include <stdlib.h>
#include <string.h>

#include "stages/rundir.h"

/* "12" or "000000012", and with *k "000000012-2". */
static bool parse(const char *s, int64_t *number, int *k) {
    size_t n = strspn(s, "0123456789");
    if (!n || n > 15) return false;
    *number = strtoll(s, NULL, 10);
    *k = -1;
    if (!s[n]) return true;
    size_t m = s[n] == '-' ? strspn(s + n + 1, "0123456789") : 0;
    if (!m || m > 6 || s[n + 1 + m]) return false;
    *k = (int)strtol(s + n + 1, NULL, 10);
    return true;
}

/* A caption's own id wins over a number that looks like it. */
static sv_status resolve(sv_ledger *l, const char *dir, const char *id, int64_t *number, int *k, sv_error *err) {
    int64_t captions;
    *k = -1;
    SV_TRY(sv_ledger_caption_number(l, id, number, err));
    if (*number) return SV_OK;
    SV_TRY(sv_ledger_caption_count(l, &captions, err));
    if (parse(id, number, k) && *number >= 1 && *number <= captions) return SV_OK;
    sv_fail(err, SV_E_INPUT, dir, "there is no caption or candidate \"%.200s\"", id);
    return sv_hint(err, SV_E_INPUT, "give a caption's id, its number (1 to %lld), or a candidate such as 000000012-2", (long long)captions);
}

sv_status sv_run_selection(const char *dir, char **json, sv_error *err) {
    *json = NULL;
    sv_ledger *l = NULL;
    sv_status st = sv_rundir_read(dir, &l, err);
    if (st == SV_OK) st = sv_ledger_selection_json(l, json, err);
    sv_ledger_close(&l);
    return st;
}

sv_status sv_run_show(const char *dir, const char *id, char **json, sv_error *err) {
    *json = NULL;
    sv_ledger *l = NULL;
    int64_t number;
    int k;
    sv_status st = sv_rundir_read(dir, &l, err);
    if (st == SV_OK) st = resolve(l, dir, id, &number, &k, err);
    if (st == SV_OK) st = sv_ledger_story(l, number, k, json, err);
    sv_ledger_close(&l);
    return st;
}
