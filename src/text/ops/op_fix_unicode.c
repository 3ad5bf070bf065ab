/* op_fix_unicode.c - fix_unicode_mapper: repairs text that was decoded wrongly somewhere on its way. */
#include <strings.h>

#include "text/unicode/clean.h"
#include "text/ops/op.h"

typedef struct sv_fix_unicode_settings {
    char *normalization;
    sv_normal_form form;         /* made of it */
} sv_fix_unicode_settings;

static const sv_option options[] = {
    {"normalization", SV_OPT_STRING, offsetof(sv_fix_unicode_settings, normalization), "NFC", .nullable = true,
     .help = "Unicode normalisation form: NFC, NFKC, NFD or NFKD"},
    {0}};

static sv_status fix_open(void *state, const char *where, sv_error *err) {
    static const char *const forms[] = {[SV_NFC] = "NFC", [SV_NFKC] = "NFKC", [SV_NFD] = "NFD", [SV_NFKD] = "NFKD"};
    sv_fix_unicode_settings *f = state;
    f->form = SV_NFC;
    if (!f->normalization || !*f->normalization) return SV_OK;
    for (int i = SV_NFC; i <= SV_NFKD; i++)
        if (strcasecmp(f->normalization, forms[i]) == 0) {
            f->form = (sv_normal_form)i;
            return SV_OK;
        }
    return sv_fail(err, SV_E_RECIPE, where, "normalization must be NFC, NFKC, NFD or NFKD, not \"%s\"", f->normalization);
}

static sv_status fix_map(const void *state, sv_scan *s, sv_error *err) {
    SV_TRY(sv_fix_unicode(s->text, s->size, ((const sv_fix_unicode_settings *)state)->form, sv_scan_spare(s), err));
    return sv_scan_adopt(s, err);
}

const sv_op sv_op_fix_unicode = {
    .info = {"fix_unicode_mapper", SV_OP_MAPPER, NULL, "repairs wrongly decoded text, entities, ligatures, quotes and control characters (ftfy)"},
    .options = options, .size = sizeof(sv_fix_unicode_settings), .open = fix_open, .map = fix_map};
