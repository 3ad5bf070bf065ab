/* args.h - command lines, as main.c sees them. */
#ifndef SV_CLI_ARGS_H
#define SV_CLI_ARGS_H

#include "cli.h"

/* Parses what follows the command's name. *out is set even on failure; free it with sv_args_free. */
sv_status sv_args_parse(const sv_command *c, int argc, char **argv, sv_args **out, sv_error *err);
void sv_args_free(sv_args *a);

/* Raises SV_E_USAGE with the command's usage as the hint. */
sv_status sv_cli_usage(sv_error *err, const sv_command *c, const char *what, const char *fmt, ...);

/* The text of `synthvlm help NAME`. */
/* Flags that every command has beside its own. */
#define SV_COMMON_FLAGS {"help", 'h', NULL, "this text"}

void sv_cli_help(const sv_command *c, FILE *out);

#endif
