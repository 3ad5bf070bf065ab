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

/* What a caption's picture is held against: Data-Juicer cuts the wrapped text at end tokens and takes the first piece that has an image token, without
 * the tokens and the blanks around it. `wrapped`: the text has this view's wrapping already (bare captions have none, and are wrapped first).
 * False: the text has no image token left. */
sv_status sv_view_spoken(sv_view view, bool wrapped, const char *text, size_t size, sv_buf *out, bool *spoken, sv_error *err);

#endif
