/* calibrate.h - thresholds from labelled captions, and the distribution of statistics where there are no labels. */
#ifndef SYNTHVLM_CALIBRATE_H
#define SYNTHVLM_CALIBRATE_H

#include "synthvlm/log.h"
#include "synthvlm/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sv_calibrate_options {
    sv_stats_options stats;      /* which statistics, of which view of the text */
    const char *text, *good;     /* fields of a row: "text", "good" */
    double precision, recall;    /* what the proposed list is to reach; NaN: not asked for. Both NaN: recall 0.95 */
    unsigned threads;            /* 0: all cores */
    sv_log log;
} sv_calibrate_options;
void sv_calibrate_options_init(sv_calibrate_options *o);

/* Reads JSON lines ({"text": ..., "good": true|false}; "-": standard input; .gz and .zst are unpacked), measures every text and answers with one JSON object
 * (malloc; the caller frees):
 *   "rows", "good", "bad", "faults", "first_fault" (or null), "view"
 *   "statistics": by name, what pandas' describe() gives, as Data-Juicer's analyser writes it: "count", "mean", "std" (n - 1), "min", "25%", "50%", "75%",
 *     "max" (interpolated linearly); words (lang): "count", "unique", "top", "freq". With labels also "auc", "keep" ("min": large values are good), "good" and
 *     "bad" (medians), and "thresholds": [{"at", "kept", "precision", "recall", "f1"}], at most 200 of them, and "best", that of the highest f1
 *   "proposal" (with labels): "process" (the list), "yaml" (ready to paste), "kept", "precision", "recall", "f1", "unseen": {"precision", "recall"} by
 *     five-fold cross-validation (or null), "reached": whether what was asked for was reached
 * Without labels memory is flat: values lie in temporary files (8 bytes for each caption and statistic) and quantiles are exact. Labelled rows are held in
 * memory, about 20 bytes for each statistic. A row that cannot be used is counted. SV_E_INPUT: no usable row, or labels of one kind only. */
sv_status sv_calibrate(const char *path, const sv_calibrate_options *o, char **json, sv_error *err);

#ifdef __cplusplus
}
#endif
#endif
