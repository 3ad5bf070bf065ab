/* cli.h - what every command's file sees: the command table, parsed arguments, JSON lines in and out.
 *
 * A command is one file, cmd_NAME.c, that defines `const sv_command sv_cmd_NAME`, and one line in the table of main.c. Help, usage and the
 * option checker come from the tables. Commands use the public headers of libsynthvlm only. Data goes to stdout, talk to stderr.
 */
#ifndef SV_CLI_H
#define SV_CLI_H

#include <stdio.h>
#include <yyjson.h>

#include "synthvlm/log.h"
#include "synthvlm/status.h"

typedef struct sv_args sv_args;

typedef struct sv_flag {
    const char *name;     /* "steps" for --steps */
    char letter;          /* 'o' for -o; 0: none */
    const char *value;    /* "N": takes a value, shown so in help; NULL: a switch */
    const char *help;     /* one line; names the default */
    bool repeats;         /* may be given more than once (--set) */
} sv_flag;

typedef struct sv_command {
    const char *name;
    const char *group;            /* heading in `synthvlm help`: "Datasets", "Images", "Text", "Models" */
    const char *usage;            /* "--model DIR --prompt T -o FILE.png" */
    const char *summary;          /* one line */
    const char *about;            /* paragraphs for `synthvlm help NAME`, with an example; may be NULL */
    const sv_flag *flags;         /* ends with {0}; NULL: none but --help */
    int min_args, max_args;       /* positional arguments; max -1: any number */
    /* Returns SV_OK, or fills in err. SV_SHORT with an empty err->what prints nothing (the command has said what fell short). */
    sv_status (*run)(const sv_args *args, sv_error *err);
} sv_command;

/* Arguments, checked against the command's flags. */
const char *sv_arg(const sv_args *a, const char *flag);                            /* last value; NULL if not given */
bool sv_arg_on(const sv_args *a, const char *flag);                                /* a switch */
size_t sv_arg_all(const sv_args *a, const char *flag, const char *const **values); /* every value of a repeated flag */
size_t sv_arg_count(const sv_args *a);                                             /* positional */
const char *sv_arg_at(const sv_args *a, size_t i);
/* Numbers in a closed range; *out keeps its value (the default) when the flag is absent. SV_E_USAGE names flag, value and range. */
sv_status sv_arg_int(const sv_args *a, const char *flag, int64_t min, int64_t max, int64_t *out, sv_error *err);
sv_status sv_arg_real(const sv_args *a, const char *flag, double min, double max, double *out, sv_error *err);
sv_status sv_arg_seed(const sv_args *a, const char *flag, uint64_t *out, sv_error *err);
sv_status sv_arg_size(const sv_args *a, const char *flag, int *width, int *height, sv_error *err);   /* WxH */
const sv_command *sv_arg_command(const sv_args *a);

/* ---- JSON lines (DESIGN 3): every input object comes back as one line, its fields plus the results, order kept; a line that
 * fails gets "error": {"code", "message"} and the others go on; the command then returns SV_SHORT. ---- */

/* Adds the results of one object. `root` is mutable and holds the input's fields; add or replace keys. `thread` is 0..threads-1 for
 * per-thread memory in `user`. */
typedef sv_status (*sv_line_fn)(void *user, unsigned thread, yyjson_mut_doc *doc, yyjson_mut_val *root, sv_error *err);

/* Reads lines from `in`, runs fn on `threads` threads (0: all cores), writes to stdout in order. Lines may be of any length. Blank
 * lines are skipped. Results are flushed as soon as the next ones would have to wait for input. */
sv_status sv_lines_run(FILE *in, unsigned threads, sv_line_fn fn, void *user, sv_error *err);
/* The names on the command line as the lines {"image": NAME} that would have said so on stdin: a file in memory, at its beginning; the caller closes it. */
sv_status sv_lines_of_names(const sv_args *args, FILE **in, sv_error *err);

/* The same for lines that take long each (pictures): a thread takes one line at a time, and a result is written as soon as those before it
 * are. `number` counts the lines from 0, blank ones left out. After SIGINT or SIGTERM (sv_cli_catch_signals) no further line is begun, and
 * SV_E_STOPPED is returned once the ones begun are written. */
typedef sv_status (*sv_job_fn)(void *user, unsigned thread, size_t number, yyjson_mut_doc *doc, yyjson_mut_val *root, sv_error *err);
sv_status sv_jobs_run(FILE *in, unsigned threads, sv_job_fn fn, void *user, sv_error *err);

/* The mutable document of one input line; on broken JSON an empty object and err. NULL when memory runs out. */
yyjson_mut_doc *sv_line_parse(char *text, size_t size, sv_error *err);

/* Sets "error" on an object as the contract has it. */
void sv_line_error(yyjson_mut_doc *doc, yyjson_mut_val *root, const sv_error *err);
/* Sets or replaces a key. Strings are copied. */
void sv_line_put_real(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key, double v);
void sv_line_put_int(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key, int64_t v);
void sv_line_put_str(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key, const char *v);
void sv_line_put_bool(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key, bool v);
void sv_line_put(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key, yyjson_mut_val *v);
/* A required / optional string of the object; SV_E_INPUT names the key. */
sv_status sv_line_get_str(yyjson_mut_val *root, const char *key, bool required, const char **out, size_t *size, sv_error *err);

/* Opens a file, or stdin for "-" or NULL. Close with sv_input_close. */
sv_status sv_input_open(const char *path, FILE **out, sv_error *err);
void sv_input_close(FILE *f);

/* The log that commands hand to the library: warnings and news on stderr, as `synthvlm: …`. */
sv_log sv_cli_log(void);
/* Set to the signal's number after SIGINT or SIGTERM (once sv_cli_catch_signals was called). */
extern volatile int sv_cli_stop;
void sv_cli_catch_signals(void);

/* Commands, in the order of `synthvlm help`. */
extern const sv_command *const sv_commands[];

#endif
