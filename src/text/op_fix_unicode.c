/* op_fix_unicode.c - fix_unicode_mapper: repairs text that was decoded wrongly somewhere on its way. */
#include <strings.h>

#include "text/clean.h"
#include "text/op.h"

typedef struct sv_fix_unicode_settings {
    char *normalization;
} sv_fix_unicode_settings;

static const sv_option options[] = {
    {"normalization", SV_OPT_STRING, offsetof(sv_fix_unicode_settings, normalization), "NFC", .nullable = true,
     .help = "Unicode normalisation form: NFC"},
    {0}};

static sv_status fix_open(void *state, const char *where, sv_error *err) {
    const char *form = ((const sv_fix_unicode_settings *)state)->normalization;
    if (!form || !*form || strcasecmp(form, "NFC") == 0) return SV_OK;
    static const char *const known[] = {"NFKC", "NFD", "NFKD"};
    for (int i = 0; i < 3; i++)
        if (strcasecmp(form, known[i]) == 0)
            return sv_fail(err, SV_E_RECIPE, where, "normalization: %s is not available in this version, only NFC", known[i]);
    return sv_fail(err, SV_E_RECIPE, where, "normalization must be NFC, not \"%s\"", form);
}

static sv_status fix_map(const void *state, sv_scan *s, sv_error *err) {
    SV_TRY(sv_fix_unicode(s->text, s->size, sv_scan_spare(s), err));
    return sv_scan_adopt(s, err);
}

const sv_op sv_op_fix_unicode = {
    .info = {"fix_unicode_mapper", SV_OP_MAPPER, NULL, "repairs wrongly decoded text, entities, ligatures, quotes and control characters (ftfy)"},
    .options = options, .size = sizeof(sv_fix_unicode_settings), .open = fix_open, .map = fix_map};
