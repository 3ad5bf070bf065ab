/* decontaminate.h - captions that repeat texts of benchmarks: the files that captions.decontaminate names, and the captions held against them. */
#ifndef SV_STAGES_DECONTAMINATE_H
#define SV_STAGES_DECONTAMINATE_H

#include "recipe/recipe.h"
#include "synthvlm/text.h"
#include "text/dedup/decontaminate.h"

#define SV_RULE_DECONTAMINATE "decontaminate"

typedef struct sv_decontamination {
    bool on;                     /* the recipe names files */
    const sv_decontaminate_settings *settings;
    sv_buf json;                 /* what verdicts depend on: settings and the hashes of the files */
    sv_decontaminator *index;    /* after loading */
    sv_decontaminate_scratch *scratch;
    sv_buf *detail;
    unsigned threads;
    char **details;              /* of the captions of the last call, NULL where there is none */
    size_t detail_count;
} sv_decontamination;

/* Hashes the files; reads none of them. Does nothing if the recipe names none. */
sv_status sv_decontamination_open(sv_decontamination *d, const sv_decontaminate_settings *s, sv_error *err);
/* Reads the files. SV_E_INPUT names file and place of what cannot be read: half a benchmark would be worse than none. */
sv_status sv_decontamination_load(sv_decontamination *d, sv_error *err);
void sv_decontamination_close(sv_decontamination *d);

/* Looks at every kept caption of a batch, on all cores, and rejects those that repeat a text: rule SV_RULE_DECONTAMINATE, `word` says what is repeated (until
 * the next call), `value` and `max` are the similarity and its limit for near-duplicates. */
sv_status sv_decontamination_judge(sv_decontamination *d, sv_caption_out *captions, size_t n, sv_error *err);

#endif
