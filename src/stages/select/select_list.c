/* select_list.c - files of candidates that a person wants in or out: an id such as 000000012-2 on a line, or a JSON object with one as "candidate". */
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/file.h"
#include "stages/select/select.h"

enum { MOST_K = 0xFFFF };

static bool digits(const char **s, size_t most, int64_t *out) {
    size_t n = strspn(*s, "0123456789");
    if (!n || n > most) return false;
    *out = strtoll(*s, NULL, 10);
    *s += n;
    return true;
}

/* The id at the start of text, which ends there. */
static bool parse_id(const char *text, uint64_t *who) {
    int64_t number, k;
    if (!digits(&text, 13, &number) || *text++ != '-' || !digits(&text, 6, &k) || *text || number < 1 || k > MOST_K) return false;
    *who = sv_rival_who(number, (int)k);
    return true;
}

/* One line, NUL-terminated, without its end. *who 0: nothing is said on it. */
static bool parse_line(char *line, size_t size, uint64_t *who) {
    *who = 0;
    if (strlen(line) != size) return false;
    line += strspn(line, " \t");
    for (size_t n = strlen(line); n && strchr(" \t\r", line[n - 1]); n--) line[n - 1] = 0;
    if (!*line || *line == '#') return true;
    if (*line != '{') return parse_id(line, who);
    yyjson_doc *doc = yyjson_read(line, strlen(line), 0);
    const char *id = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "candidate"));
    bool good = id && parse_id(id, who);
    yyjson_doc_free(doc);
    return good;
}

static int by_who(const void *a, const void *b) {
    const sv_listed *x = a, *y = b;
    return x->who != y->who ? (x->who > y->who ? 1 : -1) : (x->line > y->line) - (x->line < y->line);
}

sv_status sv_list_read(sv_list *out, const char *key, const char *path, sv_error *err) {
    char *data = NULL;
    size_t size, lines = 1;
    sv_error cause = {0};
    *out = (sv_list){.path = path};
    if (!path) return SV_OK;
    sv_status st = sv_file_read(path, 0, &data, &size, &cause);
    if (st == SV_E_MEMORY) return sv_fail_memory(err, path, 0);
    if (st != SV_OK) return sv_fail(err, SV_E_RECIPE, key, "%.300s: %.600s", cause.what, cause.why);
    for (size_t i = 0; i < size; i++) lines += data[i] == '\n';
    out->items = malloc(lines * sizeof *out->items);
    if (!out->items) st = sv_fail_memory(err, path, lines * sizeof *out->items);
    char *line = data, *end = data + size;
    if (size >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0) line += 3;
    for (int64_t at = 1; st == SV_OK && line < end; at++) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop) stop = end;
        *stop = 0;               /* sv_file_read leaves room for one more */
        uint64_t who;
        if (!parse_line(line, (size_t)(stop - line), &who)) {
            sv_fail(err, SV_E_INPUT, path, "line %lld is no candidate: \"%.60s\"", (long long)at, line);
            st = sv_hint(err, SV_E_INPUT, "an id such as 000000012-2 on each line, or an object as {\"candidate\": \"000000012-2\"}");
        } else if (who)
            out->items[out->count++] = (sv_listed){who, at};
        line = stop + 1;
    }
    free(data);
    if (st != SV_OK) {
        sv_list_free(out);
        return st;
    }
    /* Sorted; an id that stands twice keeps its first line. */
    qsort(out->items, out->count, sizeof *out->items, by_who);
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++)
        if (!kept || out->items[kept - 1].who != out->items[i].who) out->items[kept++] = out->items[i];
    out->count = kept;
    return SV_OK;
}

void sv_list_free(sv_list *list) {
    free(list->items);
    *list = (sv_list){0};
}

sv_status sv_lists_check(const sv_recipe *r, sv_error *err) {
    sv_list list;
    SV_TRY(sv_list_read(&list, "select.include", r->select.include, err));
    sv_list_free(&list);
    SV_TRY(sv_list_read(&list, "select.exclude", r->select.exclude, err));
    sv_list_free(&list);
    return SV_OK;
}

const sv_listed *sv_list_find(const sv_list *list, uint64_t who) {
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->items[middle].who < who) low = middle + 1;
        else high = middle;
    }
    return low < list->count && list->items[low].who == who ? &list->items[low] : NULL;
}

sv_status sv_list_hash(const sv_list *list, char hash[SV_SHA256_HEX], sv_error *err) {
    sv_sha256_stream *h = sv_sha256_begin();
    uint8_t raw[32], bytes[8];
    if (!h) return sv_fail_memory(err, "select", 0);
    for (size_t i = 0; i < list->count; i++) {
        for (int b = 0; b < 8; b++) bytes[b] = (uint8_t)(list->items[i].who >> (56 - 8 * b));
        sv_sha256_more(h, bytes, sizeof bytes);
    }
    sv_sha256_end(h, raw);
    sv_hex(raw, 32, hash);
    return SV_OK;
}

static sv_status unfit(const sv_list *list, const sv_listed *item, const char *why, const char *help, sv_error *err) {
    sv_rival r = {0, item->who};
    sv_fail(err, SV_E_INPUT, list->path, "line %lld: candidate %09lld-%d %s", (long long)item->line, (long long)sv_rival_number(&r), sv_rival_k(&r), why);
    return help ? sv_hint(err, SV_E_INPUT, "%s", help) : SV_E_INPUT;
}

sv_status sv_list_check(const sv_list *list, const sv_list *other, bool must_be_good, sv_ledger *l, int64_t generate, sv_error *err) {
    char outcome[96], why[160];
    for (size_t i = 0; i < list->count; i++) {
        const sv_listed *item = &list->items[i];
        sv_rival r = {0, item->who};
        SV_TRY(sv_ledger_outcome(l, generate, sv_rival_number(&r), sv_rival_k(&r), outcome, sizeof outcome, err));
        if (!outcome[0]) return unfit(list, item, "is not there", "candidates of the current generate settings are meant: SELECT candidate FROM scored", err);
        if (must_be_good && strcmp(outcome, "ok") != 0) {
            snprintf(why, sizeof why, "has no picture (%s)", outcome);
            return unfit(list, item, why, NULL, err);
        }
        if (must_be_good && sv_list_find(other, item->who)) return unfit(list, item, "is in the list of those to be left out, too", NULL, err);
    }
    return SV_OK;
}

sv_status sv_list_missed(const sv_list *list, const sv_listed *item, const char *why, const char *help, sv_error *err) {
    return unfit(list, item, why, help, err);
}
