/* select_quota.h - the quotas of one selection: opened over a ledger, told the supply, then asked about one competitor after the other. */
#ifndef SV_STAGES_SELECT_QUOTA_H
#define SV_STAGES_SELECT_QUOTA_H

#include <yyjson.h>

#include "ledger/ledger.h"
#include "recipe/recipe.h"

typedef struct sv_quotas sv_quotas;
/* Reads which rules every caption falls under (4 bytes a caption, and 4 for each of its rules). json NULL: *out is NULL. */
sv_status sv_quotas_open(sv_quotas **out, const char *json, sv_ledger *l, sv_error *err);
void sv_quotas_close(sv_quotas **q);

/* Whether a rule has a least number, which cannot be more than the competitors that there are: then sv_quotas_supply is told of each of them. */
bool sv_quotas_need_supply(const sv_quotas *q);
void sv_quotas_supply(sv_quotas *q, int64_t number);
/* `target` pairs are to be picked. SV_E_INPUT if the least numbers do not fit into them. */
sv_status sv_quotas_start(sv_quotas *q, int64_t target, sv_error *err);

typedef enum sv_quota_answer { SV_QUOTA_FREE, SV_QUOTA_FULL, SV_QUOTA_RESERVED } sv_quota_answer;
sv_quota_answer sv_quotas_ask(const sv_quotas *q, int64_t number);
/* Counts a pick, allowed or not. */
void sv_quotas_take(sv_quotas *q, int64_t number);

/* Adds an object for each rule in force: of, name, min, max, picked. */
bool sv_quotas_describe(const sv_quotas *q, yyjson_mut_doc *doc, yyjson_mut_val *list);

#endif
