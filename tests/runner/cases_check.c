/* cases_check.c - compares what a command left with what its case expects: text as it is, JSON by its structure. */
#include "cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

/* ---- JSON ---- */

typedef struct json_rule {
    double tolerance;
    bool fields_only;     /* objects may hold more keys than expected */
} json_rule;

/* Writes the place of the first difference into `where` ("/ids/3"), or returns true. */
static bool json_same(yyjson_val *want, yyjson_val *got, const json_rule *rule, sv_buf *where);

static bool json_same_object(yyjson_val *want, yyjson_val *got, const json_rule *rule, sv_buf *where)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(want);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
        yyjson_val *value = yyjson_obj_getn(got, yyjson_get_str(key), yyjson_get_len(key));
        size_t mark = where->size;
        sv_buf_putc(where, '/');
        sv_buf_add(where, yyjson_get_str(key), yyjson_get_len(key));
        if (!value) {
            sv_buf_puts(where, " (missing)");
            return false;
        }
        if (!json_same(yyjson_obj_iter_get_val(key), value, rule, where)) return false;
        where->size = mark;
        where->data[mark] = '\0';
    }
    if (rule->fields_only || yyjson_obj_size(want) == yyjson_obj_size(got)) return true;
    it = yyjson_obj_iter_with(got);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));)
        if (!yyjson_obj_getn(want, yyjson_get_str(key), yyjson_get_len(key))) {
            sv_buf_putc(where, '/');
            sv_buf_add(where, yyjson_get_str(key), yyjson_get_len(key));
            sv_buf_puts(where, " (not expected)");
        }
    return false;
}

static bool json_same(yyjson_val *want, yyjson_val *got, const json_rule *rule, sv_buf *where)
{
    /* "~text" in an expectation: a string that contains text; "~" alone: anything at all. */
    const char *pattern = yyjson_is_str(want) ? yyjson_get_str(want) : "";
    if (pattern[0] == '~') return !pattern[1] || (yyjson_is_str(got) && strstr(yyjson_get_str(got), pattern + 1));
    if (yyjson_is_num(want) && yyjson_is_num(got)) {
        if (rule->tolerance == 0 && yyjson_is_int(want) && yyjson_is_int(got)) return yyjson_equals(want, got);
        double a = yyjson_get_num(want), b = yyjson_get_num(got);
        return fabs(a - b) <= rule->tolerance * fmax(1.0, fabs(a));
    }
    if (yyjson_get_type(want) != yyjson_get_type(got)) return false;
    if (yyjson_is_obj(want)) return json_same_object(want, got, rule, where);
    if (yyjson_is_arr(want)) {
        if (yyjson_arr_size(want) != yyjson_arr_size(got)) {
            sv_buf_printf(where, " (%zu elements, not %zu)", yyjson_arr_size(got), yyjson_arr_size(want));
            return false;
        }
        for (size_t i = 0; i < yyjson_arr_size(want); i++) {
            size_t mark = where->size;
            sv_buf_printf(where, "/%zu", i);
            if (!json_same(yyjson_arr_get(want, i), yyjson_arr_get(got, i), rule, where)) return false;
            where->size = mark;
            where->data[mark] = '\0';
        }
        return true;
    }
    return yyjson_equals(want, got);
}

/* One line of stdout. JSON when both sides are; otherwise text. */
static bool line_same(const expectation *e, const char *got, size_t size, double tolerance, sv_buf *where)
{
    bool number = tolerance > 0 && strchr("-0123456789", e->text[0]);
    if (e->kind == EXPECT_FIELDS || e->text[0] == '{' || e->text[0] == '[' || number) {
        yyjson_doc *a = yyjson_read(e->text, strlen(e->text), YYJSON_READ_ALLOW_INF_AND_NAN);
        yyjson_doc *b = yyjson_read(got, size, YYJSON_READ_ALLOW_INF_AND_NAN);
        bool both = a && b, same = false;
        if (both) {
            json_rule rule = {tolerance, e->kind == EXPECT_FIELDS};
            same = json_same(yyjson_doc_get_root(a), yyjson_doc_get_root(b), &rule, where);
        } else if (!a) {
            sv_buf_puts(where, " (the expected line is not JSON)");
        } else {
            sv_buf_puts(where, " (the line is not JSON)");
        }
        yyjson_doc_free(a);
        yyjson_doc_free(b);
        return same;
    }
    return strlen(e->text) == size && memcmp(e->text, got, size) == 0;
}

/* ---- the whole result ---- */

static const char *find(const char *hay, size_t size, const char *needle) { return size ? memmem(hay, size, needle, strlen(needle)) : NULL; }

static void say_line(const text_case *c, const expectation *e, sv_buf *report) { sv_buf_printf(report, "  %s:%d: ", c->path, e->line); }

/* The next line of text from *at: its start, its length in *size; NULL at the end. */
static const char *next_line(const char **at, const char *end, size_t *size)
{
    if (*at == end) return NULL;
    const char *start = *at, *lf = memchr(start, '\n', (size_t)(end - start));
    *size = lf ? (size_t)(lf - start) : (size_t)(end - start);
    *at = lf ? lf + 1 : end;
    return start;
}

static bool check_lines(const text_case *c, const case_result *r, sv_buf *report)
{
    const char *at = r->out, *end = r->out + r->out_size, *line;
    size_t size = 0, lines = 0;
    bool good = true;
    for (size_t i = 0; i < c->expected_count; i++) {
        const expectation *e = &c->expected[i];
        if (e->kind != EXPECT_LINE && e->kind != EXPECT_FIELDS) continue;
        lines++;
        line = next_line(&at, end, &size);
        if (!line) {
            say_line(c, e, report);
            sv_buf_printf(report, "stdout ends before line %zu, expected\n    %s\n", lines, e->text);
            return false;
        }
        sv_buf where = {0};
        if (!line_same(e, line, size, c->tolerance, &where)) {
            say_line(c, e, report);
            sv_buf_printf(report, "stdout line %zu differs%s%s\n    expected %s\n    got      %.*s\n", lines, where.size ? " at " : "",
                          where.size ? where.data : "", e->text, (int)(size > 2000 ? 2000 : size), line);
            good = false;
        }
        sv_buf_free(&where);
    }
    if (lines && (line = next_line(&at, end, &size))) {
        sv_buf_printf(report, "  stdout goes on after the %zu expected lines:\n    %.*s\n", lines, (int)(size > 2000 ? 2000 : size), line);
        good = false;
    }
    return good;
}

bool case_check(const text_case *c, const case_result *r, sv_buf *report)
{
    bool good = true;
    if (r->timed_out) {
        sv_buf_puts(report, "  took too long and was killed\n");
        good = false;
    } else if (r->exit_code != c->exit_code) {
        sv_buf_printf(report, "  exit code %d, expected %d\n", r->exit_code, c->exit_code);
        good = false;
    }
    if (!check_lines(c, r, report)) good = false;
    for (size_t i = 0; i < c->expected_count; i++) {
        const expectation *e = &c->expected[i];
        bool err = e->kind == EXPECT_ERR_HAS || e->kind == EXPECT_ERR_LACKS || e->kind == EXPECT_ERR_EMPTY;
        const char *stream = err ? "stderr" : "stdout", *text = err ? r->err : r->out;
        size_t size = err ? r->err_size : r->out_size;
        const char *fault = NULL;
        switch (e->kind) {
        case EXPECT_OUT_HAS: case EXPECT_ERR_HAS: if (!find(text, size, e->text)) fault = "does not contain"; break;
        case EXPECT_OUT_LACKS: case EXPECT_ERR_LACKS: if (find(text, size, e->text)) fault = "contains"; break;
        case EXPECT_OUT_EMPTY: case EXPECT_ERR_EMPTY: if (size) fault = "is not empty"; break;
        default: break;
        }
        if (!fault) continue;
        say_line(c, e, report);
        sv_buf_printf(report, "%s %s%s%s\n", stream, fault, e->text ? ": " : "", e->text ? e->text : "");
        good = false;
    }
    return good;
}
