/* nfc.h - Unicode normalisation forms C and D, as the libraries that CLIP's tokenizers are built on do it. */
#ifndef SV_TEXT_NFC_H
#define SV_TEXT_NFC_H

#include "base/str.h"

/* Appends the normal form of a text known to be valid UTF-8. tokenizers: with the Unicode version of the `tokenizers` library, else of
 * Python 3.11. Linear time for any input. */
sv_status sv_nfc_append(const char *in, size_t n, bool tokenizers, sv_buf *out, sv_error *err);

/* Appends the normal form of a valid text, as Python 3.11 has it. */
typedef enum sv_normal_form { SV_NFC, SV_NFKC, SV_NFD, SV_NFKD } sv_normal_form;
sv_status sv_normal_append(sv_normal_form form, const char *in, size_t n, sv_buf *out, sv_error *err);

/* Appends normalisation form D of a valid text, as the `tokenizers` library has it. */
sv_status sv_nfd_append(const char *in, size_t n, sv_buf *out, sv_error *err);

#endif
