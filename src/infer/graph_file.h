/* graph_file.h - what an .onnx file says of itself, read without loading it: inputs, outputs, amount and type of the
 * weights, and where external data lies. */
#ifndef SV_INFER_GRAPH_FILE_H
#define SV_INFER_GRAPH_FILE_H

#include "base/error.h"

typedef struct sv_graph_file {
    uint64_t size;               /* bytes of the .onnx file */
    uint64_t weights;            /* number of weight values */
    uint64_t weight_bytes;       /* as stored, external data included */
    uint64_t float_bytes;        /* what they take once half precision is widened to float32, as the CPU provider does */
    bool half;                   /* some floating-point weights are stored in half precision: float16 or bfloat16 */
    bool bfloat;                 /* some in bfloat16 */
    bool half_values;            /* inputs or outputs are in half precision, and so what is computed between them */
    char **externals;            /* files of external data, relative to the graph's directory, in order of appearance */
    size_t external_count;
    char **inputs, **outputs;    /* "sample:float32[batch_size, 4, height, width]" */
    size_t input_count, output_count;
} sv_graph_file;

/* SV_E_MODEL: not an ONNX file, or cut short. Free with sv_graph_file_free in any case. */
sv_status sv_graph_file_read(const char *path, sv_graph_file *out, sv_error *err);
void sv_graph_file_free(sv_graph_file *g);
bool sv_graph_file_has_input(const sv_graph_file *g, const char *name);
bool sv_graph_file_has_output(const sv_graph_file *g, const char *name);

#endif
