/* progress.h - how far a stage is: a bar with rate and time left on a terminal, one plain line every 30 seconds elsewhere. On stderr. */
#ifndef SV_CLI_PROGRESS_H
#define SV_CLI_PROGRESS_H

#include "cli.h"
#include "synthvlm/stages.h"

/* Options for a stage as commands use them: log and progress on stderr, stopped by SIGINT and SIGTERM (caught from now on). */
void sv_cli_stage_options(sv_stage_options *o);

/* Removes a bar that is on the screen, so that other text can follow. */
void sv_cli_progress_end(void);

#endif
