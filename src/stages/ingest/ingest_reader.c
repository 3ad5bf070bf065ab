/* ingest_reader.c - which format a source has, and what all formats share: bad rows, texts that are not text. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/utf8.h"
#include "stages/ingest/ingest.h"

/* In the order of the recipe's choices after "auto". */
static const sv_reader_format *const formats[] = {
    &sv_reader_jsonl, &sv_reader_json, &sv_reader_txt, &sv_reader_csv, &sv_reader_tsv, &sv_reader_llava, &sv_reader_coco, &sv_reader_sharegpt4v,
    &sv_reader_cc3m, &sv_reader_cc12m, &sv_reader_parquet};
#define FORMATS (sizeof formats / sizeof *formats)

static const struct { const char *ending; const sv_reader_format *format; } endings[] = {
    {".jsonl", &sv_reader_jsonl}, {".ndjson", &sv_reader_jsonl}, {".txt", &sv_reader_txt}, {".csv", &sv_reader_csv}, {".tsv", &sv_reader_tsv},
    {".parquet", &sv_reader_parquet},
};

static bool ends_with(const char *s, size_t n, const char *ending) {
    size_t m = strlen(ending);
    return n >= m && strncasecmp(s + n - m, ending, m) == 0;
}

/* By the name without .gz or .zst; NULL if the content must tell. */
static const sv_reader_format *by_name(const char *name) {
    size_t n = strlen(name);
    if (ends_with(name, n, ".gz")) n -= 3;
    if (ends_with(name, n, ".zst")) n -= 4;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends_with(name, n, endings[i].ending)) return endings[i].format;
    return NULL;
}

/* The first bytes tell an array from an object from plain text; of an array, whether its objects hold conversations; of an object, whether it is
 * the whole file (COCO) or the first of many lines. */
static sv_status by_content(sv_reader *r, const sv_reader_format **out, sv_error *err) {
    const char *p;
    size_t n, i = 0;
    SV_TRY(sv_stream_peek(r->in, 64 * 1024, &p, &n, err));
    if (n >= 4 && memcmp(p, "PAR1", 4) == 0) {
        *out = &sv_reader_parquet;
        return SV_OK;
    }
    while (i < n && isspace((unsigned char)p[i])) i++;
    if (i == n || (p[i] != '[' && p[i] != '{')) {
        *out = &sv_reader_txt;
    } else if (p[i] == '[') {
        *out = memmem(p, n, "\"conversations\"", 15) ? &sv_reader_llava : &sv_reader_json;
    } else {
        const char *lf = memchr(p + i, '\n', n - i);
        yyjson_doc *line = yyjson_read(p + i, lf ? (size_t)(lf - p) - i : n - i, YYJSON_READ_NOFLAG);
        bool whole_file = yyjson_obj_get(yyjson_doc_get_root(line), "annotations") != NULL;
        *out = line && !whole_file ? &sv_reader_jsonl : memmem(p, n, "\"annotations\"", 13) || memmem(p, n, "\"images\"", 8) ? &sv_reader_coco : &sv_reader_jsonl;
        yyjson_doc_free(line);
    }
    return SV_OK;
}

sv_status sv_reader_open(sv_reader *r, const char *path, const char *name, const sv_source_settings *s, sv_error *err) {
    *r = (sv_reader){.path = path, .settings = s, .image = s->image, .images = s->image || s->images};
    sv_status st = sv_stream_open(&r->in, path, err);
    if (st == SV_OK && s->format > 0 && (size_t)s->format <= FORMATS) r->format = formats[s->format - 1];
    if (st == SV_OK && !r->format) r->format = by_name(name);
    if (st == SV_OK && !r->format) st = by_content(r, &r->format, err);
    if (st == SV_OK && r->images && !r->image && r->format != &sv_reader_coco) r->image = "image";
    if (st == SV_OK && r->images && r->format == &sv_reader_txt)
        st = sv_hint(err, sv_fail(err, SV_E_INPUT, path, "a plain list of captions cannot name pictures"), "use jsonl, csv, tsv, llava or coco");
    if (st == SV_OK && r->format->open) st = r->format->open(r, err);
    if (st != SV_OK) sv_reader_close(r);
    return st;
}

void sv_reader_close(sv_reader *r) {
    yyjson_doc_free(r->doc);
    free(r->files);
    sv_buf_free(&r->file_names);
    sv_parquet_close(r);
    sv_buf_free(&r->record);
    sv_buf_free(&r->number);
    sv_buf_free(&r->fields);
    sv_stream_close(&r->in);
    *r = (sv_reader){0};
}

void sv_escape_bytes(sv_buf *out, const char *s, size_t n) {
    size_t limit = out->size + 2000;
    for (size_t i = 0; i < n;) {
        if (out->size > limit) {
            sv_buf_puts(out, "…");
            return;
        }
        uint32_t cp;
        int len = sv_utf8_decode(s + i, n - i, &cp);
        if (len && cp >= 0x20 && cp != 0x7F && cp != '\\') {
            sv_buf_add(out, s + i, (size_t)len);
            i += (size_t)len;
        } else {
            sv_buf_printf(out, "\\x%02X", (unsigned char)s[i]);
            i++;
        }
    }
}

void sv_record_fault(sv_record *r, const char *fault, const char *detail, ...) {
    char text[2048];
    va_list ap;
    va_start(ap, detail);
    vsnprintf(text, sizeof text, detail, ap);
    va_end(ap);
    r->fault = fault;
    sv_buf_clear(&r->detail);
    size_t n = strlen(text);
    if (sv_utf8_valid(text, n) == n)
        sv_buf_add(&r->detail, text, n);
    else
        sv_escape_bytes(&r->detail, text, n);   /* a name that was cut in the middle of a character */
}

bool sv_record_check_text(sv_record *r, const char *what, const char *s, size_t n) {
    size_t valid = sv_utf8_valid(s, n);
    bool has_nul = memchr(s, 0, n) != NULL;
    if (valid == n && !has_nul) return true;
    if (valid < n)
        sv_record_fault(r, "invalid_utf8", "%.60s: invalid UTF-8 at byte %zu: ", what, valid + 1);
    else
        sv_record_fault(r, "nul_character", "%.60s: a NUL character at byte %zu: ", what, (size_t)((const char *)memchr(s, 0, n) - s) + 1);
    sv_escape_bytes(&r->detail, s, n);
    return false;
}

bool sv_record_take_image(sv_record *r, const char *name, size_t n) {
    if (!name || !n) return true;
    if (!sv_record_check_text(r, "image", name, n)) return false;
    r->image = name;
    if (sv_path_is_inside(name)) return true;
    sv_record_fault(r, "bad_image_name", "the picture's name must stay inside its folder (no \"..\", not absolute, no control characters): ");
    sv_escape_bytes(&r->detail, name, n);
    return false;
}
