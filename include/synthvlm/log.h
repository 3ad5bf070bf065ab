/* log.h - talk: one line on stderr or wherever the caller of the library wants it. Data never goes through here. */
#ifndef SYNTHVLM_LOG_H
#define SYNTHVLM_LOG_H

#include "synthvlm/status.h"

typedef enum sv_log_level { SV_LOG_DEBUG, SV_LOG_INFO, SV_LOG_WARN } sv_log_level;

/* A sink for talk. Zero means: nothing is said. Copied by value into whatever needs it; fn may be called from any thread. */
typedef struct sv_log {
    void (*fn)(void *user, sv_log_level level, const char *line);
    void *user;
} sv_log;


#endif
