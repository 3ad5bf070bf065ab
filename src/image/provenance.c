/* provenance.c - where a generated picture is from, as XMP and as lines of parameters.
 *
 * XMP follows ISO 16684-1 (Adobe's XMP specification, part 1), the IPTC fields the Photo Metadata Standard 2025.1: DigitalSourceType with a
 * concept of the IPTC's vocabulary, AIPromptInformation, AISystemUsed. Nothing here depends on time, machine or program version, so that the same
 * picture has the same bytes.
 */
#include "image/provenance.h"

#include <string.h>

#include "base/utf8.h"

/* Most bytes of one text, as it stands in the packet. The prompt stands there twice: 2 * 15000 + 12000 + 16000 and the frame are below SV_XMP_MOST. */
enum { MOST_PROMPT = 15000, MOST_NEGATIVE = 12000, MOST_SETTINGS = 16000 };

/* ---- text that XML and PNG may hold ---- */

/* XML 1.0 has no place for most control characters, surrogates, U+FFFE and U+FFFF; nor for bytes that are no UTF-8. */
static bool is_character(uint32_t c) {
    return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c != 0x7F && c != 0xFFFE && c != 0xFFFF);
}

/* The next code point of s; U+FFFD for what is not allowed. `length` is what it takes in s. */
static uint32_t next_character(const char *s, size_t left, size_t *length) {
    uint32_t c;
    int n = sv_utf8_decode(s, left, &c);
    *length = n ? (size_t)n : 1;
    return n && is_character(c) ? c : 0xFFFD;
}

/* Adds text as XML character data, at most `most` bytes of it. False: it was cut, between two characters. */
static bool add_xml(sv_buf *out, const char *s, size_t most) {
    size_t left = strlen(s), used = 0, length;
    for (; left; s += length, left -= length) {
        uint32_t c = next_character(s, left, &length);
        char plain[5] = {0};
        sv_utf8_encode(c, plain);
        const char *as = c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '\r' ? "&#xD;" : plain;
        used += strlen(as);
        if (used > most) return false;
        sv_buf_puts(out, as);
    }
    return true;
}

static void add_plain(sv_buf *out, const char *s) {
    size_t left = strlen(s), length;
    for (; left; s += length, left -= length) {
        char plain[4];
        int n = sv_utf8_encode(next_character(s, left, &length), plain);
        sv_buf_add(out, plain, (size_t)n);
    }
}

/* ---- XMP ---- */

static bool add_element(sv_buf *out, const char *name, const char *value, size_t most) {
    sv_buf_printf(out, "   <%s>", name);
    bool whole = add_xml(out, value, most);
    sv_buf_printf(out, "</%s>\n", name);
    return whole;
}

void sv_provenance_xmp(const sv_provenance *p, sv_buf *out) {
    char number[32];
    sv_buf_puts(out, "<?xpacket begin=\"\xEF\xBB\xBF\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n"
                     "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n"
                     " <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n"
                     "  <rdf:Description rdf:about=\"\"\n"
                     "    xmlns:dc=\"http://purl.org/dc/elements/1.1/\"\n"
                     "    xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\"\n"
                     "    xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\"\n"
                     "    xmlns:synthvlm=\"urn:synthvlm:picture:1/\">\n"
                     "   <Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia</Iptc4xmpExt:DigitalSourceType>\n"
                     "   <xmp:CreatorTool>synthvlm</xmp:CreatorTool>\n"
                     "   <dc:description>\n    <rdf:Alt>\n     <rdf:li xml:lang=\"x-default\">");
    bool whole = add_xml(out, p->prompt, MOST_PROMPT);
    sv_buf_puts(out, "</rdf:li>\n    </rdf:Alt>\n   </dc:description>\n");
    add_element(out, "Iptc4xmpExt:AIPromptInformation", p->prompt, MOST_PROMPT);
    if (p->model) add_element(out, "Iptc4xmpExt:AISystemUsed", p->model, 1000);
    bool negative_whole = !p->negative || add_element(out, "synthvlm:negativePrompt", p->negative, MOST_NEGATIVE);
    sv_buf_printf(out, "   <synthvlm:seed>%llu</synthvlm:seed>\n", (unsigned long long)p->seed);
    sv_buf_printf(out, "   <synthvlm:steps>%d</synthvlm:steps>\n", p->steps);
    sv_buf_printf(out, "   <synthvlm:guidance>%s</synthvlm:guidance>\n", sv_real_text(p->guidance, number));
    if (p->scheduler) add_element(out, "synthvlm:scheduler", p->scheduler, 1000);
    if (p->model_hash) add_element(out, "synthvlm:modelHash", p->model_hash, 1000);
    /* Settings are JSON: a part of them would be of no use. */
    sv_buf settings = {0};
    bool settings_whole = !p->settings || add_element(&settings, "synthvlm:settings", p->settings, MOST_SETTINGS);
    if (settings_whole) sv_buf_add(out, settings.data, settings.size);
    out->failed |= settings.failed;
    sv_buf_free(&settings);
    if (!whole || !negative_whole || !settings_whole)
        sv_buf_printf(out, "   <synthvlm:cut>%s%s%s</synthvlm:cut>\n", whole ? "" : "prompt ", negative_whole ? "" : "negativePrompt ",
                      settings_whole ? "" : "settings ");
    sv_buf_puts(out, "  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n<?xpacket end=\"w\"?>");
}

/* ---- parameters ---- */

void sv_provenance_parameters(const sv_provenance *p, int width, int height, sv_buf *out) {
    char number[32];
    add_plain(out, p->prompt);
    if (p->negative) {
        sv_buf_puts(out, "\nNegative prompt: ");
        add_plain(out, p->negative);
    }
    sv_buf_printf(out, "\nSteps: %d", p->steps);
    if (p->scheduler) sv_buf_printf(out, ", Sampler: %s", p->scheduler);
    sv_buf_printf(out, ", CFG scale: %s, Seed: %llu, Size: %dx%d", sv_real_text(p->guidance, number), (unsigned long long)p->seed, width, height);
    if (p->model_hash) sv_buf_printf(out, ", Model hash: %.10s", p->model_hash);
    if (p->model) sv_buf_printf(out, ", Model: %s", p->model);
}
