#include "text/words.h"

#include <stdlib.h>

#include "base/file.h"

/* The file where Data-Juicer looks for its models: the working directory, then its cache. malloc; NULL if it is in neither. */
static char *find_model(const char *lang, const char *ending) {
    const char *cache = getenv("DATA_JUICER_MODELS_CACHE"), *home = getenv("HOME");
    sv_buf name = {0}, standard = {0};
    sv_buf_printf(&name, "%s%s", lang, ending);
    sv_buf_printf(&standard, "%s/.cache/data_juicer/models", home ? home : "");
    char *found = NULL;
    if (!name.failed && !standard.failed && sv_path_is_inside(name.data)) {
        const char *const places[] = {"", cache ? cache : standard.data};
        for (int i = 0; i < 2 && !found; i++) {
            found = sv_path_join(places[i], name.data);
            if (found && !sv_is_file(found)) {
                free(found);
                found = NULL;
            }
        }
    }
    sv_buf_free(&name);
    sv_buf_free(&standard);
    return found;
}

sv_status sv_model_file(char **path, const char *lang, const char *ending, const char *key, const char *what, const char *where, sv_error *err) {
    if (!*path) *path = find_model(lang, ending);
    if (*path) return SV_OK;
    sv_fail(err, SV_E_MODEL, where, "no %s is given, and there is no %s%s", what, lang, ending);
    return sv_hint(err, SV_E_MODEL, "set %s to a file; Data-Juicer's %s%s is looked for in the working directory and in ~/.cache/data_juicer/models", key,
                   lang, ending);
}

sv_status sv_word_source_open(sv_word_source *w, const char *where, sv_error *err) {
    if (!w->tokenization) return SV_OK;
    SV_TRY(sv_model_file(&w->spm, w->lang, ".sp.model", "spm", "SentencePiece model for tokenization: true", where, err));
    return sv_spm_open(&w->pieces, w->spm, err);
}

void sv_word_source_close(sv_word_source *w) { sv_spm_close(&w->pieces); }
