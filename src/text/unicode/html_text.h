/* html_text.h - the text of an HTML fragment, as a browser's parser sees it. */
#ifndef SV_TEXT_HTML_TEXT_H
#define SV_TEXT_HTML_TEXT_H

#include "base/str.h"

/* Appends every piece of text of the document that the fragment would be parsed to, in document order and without separators: what
 * selectolax's LexborHTMLParser(html).text() gives. Tags, comments and attributes vanish, character references are decoded, script and
 * style count as text, what lies in a template does not. Not followed: text that is moved in front of a table within a table, and the finer rules inside svg and math. */
sv_status sv_html_text(const char *html, size_t size, sv_buf *out, sv_error *err);

#endif
