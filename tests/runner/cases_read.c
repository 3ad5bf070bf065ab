/* cases_read.c - the case file format. Line by line; the first characters say what a line is. */
#include "cases.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* Longest prefixes first, so that "> " does not take what ">> " should. */
static const struct { const char *prefix; expect_kind kind; } expectations[] = {
    {">> ", EXPECT_FIELDS}, {"~! ", EXPECT_OUT_LACKS}, {"!! ", EXPECT_ERR_LACKS},
    {"> ", EXPECT_LINE}, {"~ ", EXPECT_OUT_HAS}, {"! ", EXPECT_ERR_HAS},
};

/* Grows an array by one zeroed element. */
static void *add_one(void **items, size_t *count, size_t size)
{
    char *grown = realloc(*items, (*count + 1) * size);
    if (!grown) return NULL;
    *items = grown;
    void *item = grown + *count * size;
    memset(item, 0, size);
    (*count)++;
    return item;
}

static sv_status add_expectation(text_case *c, expect_kind kind, const char *text, int line, sv_error *err)
{
    void *items = c->expected;
    expectation *e = add_one(&items, &c->expected_count, sizeof *e);
    if (!e) return sv_fail_memory(err, "cases", 0);
    c->expected = items;
    e->kind = kind;
    e->line = line;
    e->text = sv_strdup(text);
    return text && !e->text ? sv_fail_memory(err, "cases", 0) : SV_OK;
}

static sv_status add_file(text_case *c, const char *name, sv_error *err)
{
    if (!sv_path_is_inside(name)) return sv_fail(err, SV_E_INPUT, name, "a case may only make files in its own directory");
    void *items = c->files;
    case_input_file *f = add_one(&items, &c->file_count, sizeof *f);
    if (!f) return sv_fail_memory(err, "cases", 0);
    c->files = items;
    f->name = sv_strdup(name);
    return f->name ? SV_OK : sv_fail_memory(err, "cases", 0);
}

/* "WORD value": the value, or NULL if the line is not of that word. */
static const char *after_word(const char *line, const char *word)
{
    size_t n = strlen(word);
    return strncmp(line, word, n) == 0 && line[n] == ' ' ? line + n + 1 : NULL;
}

static void add_line(sv_buf *b, const char *text)
{
    sv_buf_puts(b, text);
    sv_buf_putc(b, '\n');
}

static sv_status read_line(text_case *c, const char *line, int number, sv_error *err)
{
    const char *rest;
    /* A prefix alone stands for an empty line: editors cut the blank at a line's end. */
    bool alone = line[0] && !line[1];
    if (line[0] == '$' && (line[1] == ' ')) { add_line(&c->script, line + 2); return SV_OK; }
    if (line[0] == '<' && (line[1] == ' ' || alone)) { add_line(&c->input, alone ? "" : line + 2); return SV_OK; }
    if (line[0] == '|' && (line[1] == ' ' || alone)) {
        if (!c->file_count) return sv_fail(err, SV_E_INPUT, c->path, "line %d: '| ' without a 'file NAME' above it", number);
        add_line(&c->files[c->file_count - 1].content, alone ? "" : line + 2);
        return SV_OK;
    }
    if (line[0] == '>' && alone) return add_expectation(c, EXPECT_LINE, "", number, err);
    for (size_t i = 0; i < sizeof expectations / sizeof *expectations; i++)
        if (sv_str_starts(line, expectations[i].prefix))
            return add_expectation(c, expectations[i].kind, line + strlen(expectations[i].prefix), number, err);
    if (sv_str_eq(line, "stdout empty")) return add_expectation(c, EXPECT_OUT_EMPTY, NULL, number, err);
    if (sv_str_eq(line, "stderr empty")) return add_expectation(c, EXPECT_ERR_EMPTY, NULL, number, err);
    if ((rest = after_word(line, "file"))) return add_file(c, rest, err);

    char *end = NULL;
    if ((rest = after_word(line, "exit"))) {
        long code = strtol(rest, &end, 10);
        if (end != rest && !*end && code >= 0 && code < 256) { c->exit_code = (int)code; return SV_OK; }
    } else if ((rest = after_word(line, "tolerance"))) {
        double t = strtod(rest, &end);
        if (end != rest && !*end && t >= 0) { c->tolerance = t; return SV_OK; }
    }
    return sv_fail(err, SV_E_INPUT, c->path, "line %d is none of the lines that tests/cases/README.md describes: %s", number, line);
}

sv_status cases_read(const char *path, case_list *list, sv_error *err)
{
    char *data = NULL;
    size_t size = 0;
    SV_TRY(sv_file_read(path, 0, &data, &size, err));
    sv_status st = SV_OK;
    text_case *c = NULL;
    size_t before = list->count;
    int number = 0;
    for (char *line = data, *next; st == SV_OK && line && *line; line = next) {
        number++;
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        if (sv_str_starts(line, "== ")) {
            void *items = list->items;
            c = add_one(&items, &list->count, sizeof *c);
            if (!c) { st = sv_fail_memory(err, path, 0); break; }
            list->items = items;
            c->path = path;
            c->line = number;
            c->name = sv_strdup(line + 3);
            if (!c->name) st = sv_fail_memory(err, path, 0);
        } else if (!*line || *line == '#') {
            continue;
        } else if (!c) {
            st = sv_fail(err, SV_E_INPUT, path, "line %d: a case begins with '== its name'", number);
        } else {
            st = read_line(c, line, number, err);
        }
    }
    for (size_t i = before; st == SV_OK && i < list->count; i++)
        if (!list->items[i].script.size) st = sv_fail(err, SV_E_INPUT, path, "line %d: the case has no '$ command'", list->items[i].line);
    if (st == SV_OK && list->count == before) st = sv_fail(err, SV_E_INPUT, path, "holds no case");
    free(data);
    return st;
}

void cases_free(case_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        text_case *c = &list->items[i];
        for (size_t k = 0; k < c->file_count; k++) {
            free(c->files[k].name);
            sv_buf_free(&c->files[k].content);
        }
        for (size_t k = 0; k < c->expected_count; k++) free(c->expected[k].text);
        free(c->files);
        free(c->expected);
        free(c->name);
        sv_buf_free(&c->script);
        sv_buf_free(&c->input);
    }
    free(list->items);
    *list = (case_list){0};
}
