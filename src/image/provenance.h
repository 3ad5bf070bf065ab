/* provenance.h - inside src/image: a picture's provenance as text, in the forms that files carry. */
#ifndef SV_IMAGE_PROVENANCE_H
#define SV_IMAGE_PROVENANCE_H

#include "base/str.h"
#include "synthvlm/image.h"

/* An XMP packet (ISO 16684-1, RDF/XML in UTF-8) of at most SV_XMP_MOST bytes, which is what one APP1 segment of a JPEG has room for. The longest
 * texts are cut so that it fits, and the packet says which. */
#define SV_XMP_MOST 65502
void sv_provenance_xmp(const sv_provenance *p, sv_buf *out);

/* The lines that programs with a picture browser write and read under the key "parameters": the prompt, the negative prompt, and a line of settings.
 * Nothing is cut. */
void sv_provenance_parameters(const sv_provenance *p, int width, int height, sv_buf *out);

#endif
