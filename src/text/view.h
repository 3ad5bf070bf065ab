/* view.h - the wrapping that published thresholds belong to: put around a caption before the operators, taken off after them. */
#ifndef SV_TEXT_VIEW_H
#define SV_TEXT_VIEW_H

#include "synthvlm/text.h"
#include "text/scan.h"

/* Sets the scan's text to the caption as this view shows it. */
sv_status sv_view_set(sv_view view, sv_scan *s, const char *text, size_t size, sv_error *err);

/* Takes off what is left of the wrapping: the image token with one white-space character after it, the end token with one space before it.
 * A mapper may have changed or removed either. */
void sv_view_unwrap(sv_view view, const char **text, size_t *size);

#endif
