/* flavour.c - the table of CLIPScore flavours: who adds which prefix, cleans text and images how, and scales the cosine by what. */
#include <string.h>

#include "synthvlm/score.h"

static const sv_clip_flavour flavours[] = {
    {"synthvlm", "A photo depicts ", "SynthVLM: OpenAI's clean-up and preprocessing, max(cos, 0)", true, true, 1.0, true},
    {"hessel", "A photo depicts ", "CLIPScore of Hessel et al. 2021: the same times 2.5", true, true, 2.5, true},
    {"data-juicer", "", "Data-Juicer's image_text_similarity: transformers' clean-up and preprocessing, cos", false, false, 1.0, false, .opaque = true},
    {"torchmetrics", "", "torchmetrics' CLIPScore of one pair: transformers, max(100 cos, 0)", false, false, 100.0, true, .loses_end = true},
    {"raw", "", "no prefix, OpenAI's clean-up and preprocessing, cos", true, true, 1.0, false},
};

size_t sv_clip_flavour_count(void) {
    return sizeof flavours / sizeof flavours[0];
}

const sv_clip_flavour *sv_clip_flavour_at(size_t i) {
    return i < sv_clip_flavour_count() ? &flavours[i] : NULL;
}

const sv_clip_flavour *sv_clip_flavour_find(const char *name) {
    for (size_t i = 0; i < sv_clip_flavour_count(); i++)
        if (strcmp(flavours[i].name, name) == 0) return &flavours[i];
    return NULL;
}
