/* cases.h - text cases: a file of commands with their input and what must come out. The format is described in tests/cases/README.md. */
#ifndef CASES_H
#define CASES_H

#include "base/str.h"

typedef enum expect_kind {
    EXPECT_LINE,          /* "> "   this line of stdout, whole                          */
    EXPECT_FIELDS,        /* ">> "  this line of stdout: a JSON object with at least these fields */
    EXPECT_OUT_HAS,       /* "~ "   stdout contains                                     */
    EXPECT_OUT_LACKS,     /* "~! "  stdout does not contain                             */
    EXPECT_OUT_EMPTY,     /* "stdout empty"                                             */
    EXPECT_ERR_HAS,       /* "! "   stderr contains                                     */
    EXPECT_ERR_LACKS,     /* "!! "  stderr does not contain                             */
    EXPECT_ERR_EMPTY      /* "stderr empty"                                             */
} expect_kind;

typedef struct expectation {
    expect_kind kind;
    int line;             /* in the case file */
    char *text;           /* owned; NULL for the EMPTY kinds */
} expectation;

typedef struct case_input_file {
    char *name;           /* relative to the case's directory; owned */
    sv_buf content;
} case_input_file;

typedef struct text_case {
    const char *path;     /* the case file, as given on the command line */
    int line;             /* of the "== name" */
    char *name;
    sv_buf script;        /* "$ " lines */
    sv_buf input;         /* "< " lines */
    case_input_file *files;
    size_t file_count;
    expectation *expected;
    size_t expected_count;
    int exit_code;
    double tolerance;     /* numbers in JSON: |a - b| <= tolerance * max(1, |b|) */
} text_case;

typedef struct case_list {
    text_case *items;
    size_t count;
} case_list;

/* Adds the cases of a file to the list. On failure the error names file and line. */
sv_status cases_read(const char *path, case_list *list, sv_error *err);
void cases_free(case_list *list);

/* What a finished command left. */
typedef struct case_result {
    const char *out, *err;     /* NUL-terminated; out may hold NULs of its own beyond */
    size_t out_size, err_size;
    int exit_code;             /* 128 + signal for a killed one */
    bool timed_out;
} case_result;

/* Adds one line per broken expectation to `report`; true when there was none. */
bool case_check(const text_case *c, const case_result *r, sv_buf *report);

#endif
