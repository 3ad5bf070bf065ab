/* calibrate.h - between the files of calibrate: columns of numbers (calibrate_columns.c), and what labels say of them (calibrate_cuts.c). */
#ifndef SV_STAGES_CALIBRATE_H
#define SV_STAGES_CALIBRATE_H

#include <yyjson.h>

#include "base/error.h"
#include "base/str.h"
#include "synthvlm/calibrate.h"

/* One statistic of all captions, NaN left out. The numbers lie in an unlinked temporary file, so that memory does not grow with them. */
typedef struct sv_column {
    int fd;
    double block[8192];
    size_t in_block;
    uint64_t count;
    double sum, lost;            /* compensated sum */
    double *all;                 /* once sealed: the file, mapped */
} sv_column;
sv_status sv_column_open(sv_column *c, sv_error *err);
sv_status sv_column_add(sv_column *c, double value, sv_error *err);
sv_status sv_column_seal(sv_column *c, sv_error *err);       /* no more numbers; `all` is there */
void sv_column_close(sv_column *c);

typedef struct sv_described { uint64_t count; double mean, std, min, quartile[3], max; } sv_described;
/* What pandas' describe() gives; std divides by n - 1 and is NaN below two numbers. Quantiles without sorting: a few walks over the column. */
void sv_column_describe(const sv_column *c, sv_described *out);

/* Labelled rows: values[stat * rows + row]. */
typedef struct sv_labelled {
    const sv_stats *stats;
    size_t rows, good;
    double *values;
    bool *is_good;
    uint64_t *fold;              /* a hash of the text: which fold of cross-validation it is in */
} sv_labelled;

/* Adds "auc", "keep", "thresholds" ... of a statistic. False when memory runs out. */
bool sv_label_thresholds(const sv_labelled *l, size_t stat, yyjson_mut_doc *doc, yyjson_mut_val *o);
/* Adds "proposal". *reached: what was asked for. */
sv_status sv_label_proposal(const sv_labelled *l, const sv_calibrate_options *o, yyjson_mut_doc *doc, yyjson_mut_val *root, sv_error *err);

#endif
