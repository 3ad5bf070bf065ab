/* log.h - saying something through the caller's sink (include/synthvlm/log.h). */
#ifndef SV_BASE_LOG_H
#define SV_BASE_LOG_H

#include "base/error.h"
#include "synthvlm/log.h"

void sv_say(const sv_log *log, sv_log_level level, const char *fmt, ...) SV_PRINTF(3, 4);

#endif
