/* cmd_concepts.c - synthvlm concepts: the ready lists, and which concepts captions have. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "synthvlm/concepts.h"

enum { MOST_THREADS = 64 };

static const sv_flag flags[] = {
    {"find", 0, NULL, "read JSON lines on standard input and add \"concepts\" to each"},
    {"text", 0, "FIELD", "field with the caption (default text)"},
    {"threads", 0, "N", "threads of --find (default: all cores)"},
    {"json", 0, NULL, "the lists as one JSON object"},
    {0}};

static const char about[] =
    "Without an argument: the lists of concepts that come with the program, for captions.balance in a recipe. With names of lists, or files of your\n"
    "own: every concept with its words, checked (docs/BALANCE.md says how such a file is written).\n"
    "With --find: reads JSON lines with a field \"text\" and gives each back with the concepts that it has, of the named lists or of all ready ones.\n"
    "\n"
    "  synthvlm concepts colours\n"
    "  echo '{\"text\": \"two red cars next to a dog\"}' | synthvlm concepts --find\n";

typedef struct finding { sv_concept_finder *finder; const char *field; } finding;
typedef struct line { yyjson_mut_doc *doc; yyjson_mut_val *list; } line;

static sv_status add_name(void *user, const char *name, sv_error *err) {
    line *l = user;
    if (yyjson_mut_arr_add_strcpy(l->doc, l->list, name)) return SV_OK;
    if (err) err->status = SV_E_MEMORY;
    return SV_E_MEMORY;
}

static sv_status add_concepts(void *user, unsigned thread, yyjson_mut_doc *doc, yyjson_mut_val *root, sv_error *err) {
    const finding *f = user;
    const char *text;
    size_t size;
    line l = {doc, yyjson_mut_arr(doc)};
    sv_status st = sv_line_get_str(root, f->field, true, &text, &size, err);
    if (st == SV_OK) st = sv_concept_finder_find(f->finder, thread, text, size, add_name, &l, err);
    if (st == SV_OK) sv_line_put(doc, root, "concepts", l.list);
    return st;
}

/* The lists themselves: their text is what a file of one's own looks like. */
static sv_status print_lists(const sv_args *args, sv_error *err) {
    for (size_t i = 0; i < sv_arg_count(args); i++) {
        const char *name = sv_arg_at(args, i);
        const sv_concept_list *list = sv_concept_list_find(name);
        sv_concept_finder *f = NULL;
        sv_status st = sv_concept_finder_open(&f, &name, 1, 1, err);
        if (st != SV_OK) return st;
        if (list) fputs(list->text, stdout);
        else printf("%s: %zu concepts, no fault\n", name, sv_concept_finder_count(f));
        sv_concept_finder_close(&f);
    }
    return SV_OK;
}

static sv_status print_names(bool json, sv_error *err) {
    const sv_concept_list *list;
    if (json) putchar('{');
    for (size_t i = 0; (list = sv_concept_list_at(i)); i++) {
        sv_concept_finder *f = NULL;
        sv_status st = sv_concept_finder_open(&f, &list->name, 1, 1, err);
        if (st != SV_OK) return st;
        if (json) printf("%s\"%s\":%zu", i ? "," : "", list->name, sv_concept_finder_count(f));
        else printf("%-10s %4zu concepts: %s\n", list->name, sv_concept_finder_count(f), list->help);
        sv_concept_finder_close(&f);
    }
    if (json) puts("}");
    return SV_OK;
}

static sv_status find(const sv_args *args, sv_error *err) {
    size_t n = sv_arg_count(args);
    int64_t threads = 0;
    finding f = {.field = sv_arg(args, "text") ? sv_arg(args, "text") : "text"};
    sv_status st = sv_arg_int(args, "threads", 1, MOST_THREADS, &threads, err);
    if (st != SV_OK) return st;
    const char **lists = calloc(n + 16, sizeof *lists);
    if (!lists) return SV_E_MEMORY;
    for (size_t i = 0; i < n; i++) lists[i] = sv_arg_at(args, i);
    if (!n)
        for (const sv_concept_list *l; n < 16 && (l = sv_concept_list_at(n)); n++) lists[n] = l->name;
    st = sv_concept_finder_open(&f.finder, lists, n, MOST_THREADS, err);
    if (st == SV_OK) st = sv_lines_run(stdin, (unsigned)threads, add_concepts, &f, err);
    sv_concept_finder_close(&f.finder);
    free(lists);
    return st;
}

static sv_status run(const sv_args *args, sv_error *err) {
    if (sv_arg_on(args, "find")) return find(args, err);
    return sv_arg_count(args) ? print_lists(args, err) : print_names(sv_arg_on(args, "json"), err);
}

const sv_command sv_cmd_concepts = {
    .name = "concepts", .group = "Text", .usage = "[LIST | FILE]… [--find] [--json]", .summary = "lists of concepts for captions.balance; which ones captions have",
    .about = about, .flags = flags, .max_args = -1, .run = run};
