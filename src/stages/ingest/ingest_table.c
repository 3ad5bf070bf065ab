/* ingest_table.c - captions in plain text (a line each), csv (RFC 4180), tsv, and the tables of Conceptual Captions.
 *
 * The first row of a csv or tsv names the columns, unless the recipe names the text column by its position ("1" is the first): then there is no
 * such row. csv: quoted fields may hold separators, doubled quotes and line ends. tsv: a record is a line; a field that begins and ends with a
 * quote has its quotes undone, any other quote is an ordinary character, as the published caption tables have them.
 */
#include <stdlib.h>
#include <string.h>

#include "stages/ingest/ingest.h"

#define MOST_RECORD ((size_t)64 << 20)   /* of csv: what a quote that is never closed may swallow */

static sv_status next_text(sv_reader *r, sv_record *out, bool *end, sv_error *err) {
    do SV_TRY(sv_stream_line(r->in, &out->text, &out->text_size, end, err));
    while (!*end && !out->text_size);
    if (*end) return SV_OK;
    out->line = sv_stream_line_number(r->in);
    sv_record_check_text(out, "line", out->text, out->text_size);
    return SV_OK;
}

/* ---- fields ---- */

static size_t field_count(const sv_reader *r) {
    return r->fields.size / (2 * sizeof(size_t));
}

static const char *field_at(const sv_reader *r, size_t i, size_t *size) {
    size_t ends[2];
    memcpy(ends, r->fields.data + i * sizeof ends, sizeof ends);
    *size = ends[1] - ends[0];
    return r->record.data + ends[0];
}

/* Ends the field that begins at `begin` of the record; a NUL follows every field. */
static void end_field(sv_reader *r, size_t begin) {
    size_t ends[2] = {begin, r->record.size};
    sv_buf_add(&r->fields, ends, sizeof ends);
    sv_buf_putc(&r->record, 0);
}

static void split_tsv(sv_reader *r, const char *line, size_t n, bool quotes) {
    for (size_t i = 0;;) {
        const char *tab = memchr(line + i, '\t', n - i);
        size_t end = tab ? (size_t)(tab - line) : n, begin = r->record.size;
        if (quotes && end - i >= 2 && line[i] == '"' && line[end - 1] == '"') {
            for (size_t at = i + 1; at < end - 1; at++) {
                sv_buf_putc(&r->record, line[at]);
                if (line[at] == '"' && at + 1 < end - 1 && line[at + 1] == '"') at++;
            }
        } else
            sv_buf_add(&r->record, line + i, end - i);
        end_field(r, begin);
        if (!tab) return;
        i = end + 1;
    }
}

/* One physical line of a csv record. *quoted: inside quotes, before and after. *begin: where the field in hand begins. */
static void split_csv(sv_reader *r, const char *line, size_t n, bool *quoted, size_t *begin) {
    bool fresh = !*quoted;   /* at the first byte of a field */
    for (size_t i = 0; i < n; i++) {
        char c = line[i];
        if (*quoted) {
            if (c != '"')
                sv_buf_putc(&r->record, c);
            else if (i + 1 < n && line[i + 1] == '"')
                sv_buf_putc(&r->record, line[i++]);
            else
                *quoted = false;
        } else if (c == '"' && fresh) {
            *quoted = true;
        } else if (c == ',') {
            end_field(r, *begin);
            *begin = r->record.size;
            fresh = true;
            continue;
        } else
            sv_buf_putc(&r->record, c);
        fresh = false;
    }
    if (!*quoted) end_field(r, *begin);
}

/* Reads one record into r->record and r->fields. *open_line: not 0 if a quote opened on that line is never closed. */
static sv_status read_record(sv_reader *r, bool csv, int64_t *line_number, int64_t *open_line, bool *end, sv_error *err) {
    const char *line = "";
    size_t n = 0, begin = 0;
    bool quoted = false, first = true;
    *open_line = 0;
    sv_buf_clear(&r->record);
    sv_buf_clear(&r->fields);
    do {
        bool ended;
        do SV_TRY(sv_stream_line(r->in, &line, &n, &ended, err));
        while (first && !ended && !n);
        if (ended) {
            *end = first;
            if (!first) *open_line = *line_number;
            return SV_OK;
        }
        if (first)
            *line_number = sv_stream_line_number(r->in);
        else
            sv_buf_putc(&r->record, '\n');
        first = *end = false;
        if (csv)
            split_csv(r, line, n, &quoted, &begin);
        else
            split_tsv(r, line, n, r->format == &sv_reader_tsv);
        if (r->record.size > MOST_RECORD) {
            sv_fail(err, SV_E_INPUT, r->path, "the quote opened on line %lld is not closed within %d MiB", (long long)*line_number, (int)(MOST_RECORD >> 20));
            return sv_hint(err, SV_E_INPUT, "a file with lone quotes is not csv: format: tsv or txt takes them as they are");
        }
    } while (quoted);
    sv_status st = sv_buf_ok(&r->record, err);
    return st == SV_OK ? sv_buf_ok(&r->fields, err) : st;
}

/* ---- columns ---- */

static bool is_position(const char *s) {
    size_t n = strlen(s);
    return n > 0 && n < 5 && strspn(s, "0123456789") == n && *s != '0';
}

static int find_column(const sv_reader *r, const char *name) {
    for (size_t i = 0; name && i < field_count(r); i++) {
        size_t n;
        const char *field = field_at(r, i, &n);
        if (n == strlen(name) && memcmp(field, name, n) == 0) return (int)i;
    }
    return -1;
}

static sv_status no_column(const sv_reader *r, sv_error *err) {
    sv_buf list = {0};
    for (size_t i = 0; i < field_count(r) && i < 20; i++) {
        size_t n;
        const char *field = field_at(r, i, &n);
        if (i) sv_buf_puts(&list, ", ");
        sv_escape_bytes(&list, field, n < 60 ? n : 60);
    }
    sv_fail(err, SV_E_INPUT, r->path, "has no column \"%s\"; the columns of its first row are: %s", r->settings->text, list.data ? list.data : "none");
    sv_buf_free(&list);
    return sv_hint(err, SV_E_INPUT, "set the source's `text` to the name of the caption's column, or, without a row of names, to its position (1 is the first)");
}

static sv_status open_table(sv_reader *r, bool csv, sv_error *err) {
    const char *wanted[] = {r->settings->text, r->settings->id, "source", "license", r->image};
    for (int i = 0; i < 5; i++) r->columns[i] = -1;
    if (is_position(r->settings->text)) {
        for (int i = 0; i < 5; i++)
            if (i != 2 && i != 3 && wanted[i] && is_position(wanted[i])) r->columns[i] = (int)strtol(wanted[i], NULL, 10) - 1;
        return SV_OK;
    }
    int64_t line = 0, open_line;
    bool end;
    SV_TRY(read_record(r, csv, &line, &open_line, &end, err));
    if (end) return SV_OK;   /* an empty file: told by who counts the rows */
    if (open_line) return sv_fail(err, SV_E_INPUT, r->path, "the quote opened on line %lld is never closed", (long long)open_line);
    r->named = field_count(r);
    for (int i = 0; i < 5; i++) r->columns[i] = find_column(r, wanted[i]);
    if (r->columns[0] >= 0 && r->image && r->columns[4] < 0)
        return sv_hint(err, sv_fail(err, SV_E_INPUT, r->path, "has no column \"%s\" with the names of pictures", r->image), "set the source's `image` to its name");
    return r->columns[0] < 0 ? no_column(r, err) : SV_OK;
}

static sv_status open_csv(sv_reader *r, sv_error *err) {
    return open_table(r, true, err);
}

static sv_status open_tsv(sv_reader *r, sv_error *err) {
    return open_table(r, false, err);
}

/* A field of the record, NULL if the row is too short or the column is not there. */
static const char *take(sv_reader *r, int what, size_t *size) {
    if (r->columns[what] < 0 || (size_t)r->columns[what] >= field_count(r)) return NULL;
    return field_at(r, (size_t)r->columns[what], size);
}

/* A row with more fields than there are names has most likely a separator inside its text, which would go in cut. Empty fields at its end say nothing. */
static bool is_too_long(const sv_reader *r) {
    for (size_t i = r->named, n; r->named && i < field_count(r); i++) {
        field_at(r, i, &n);
        if (n) return true;
    }
    return false;
}

static sv_status next_record(sv_reader *r, bool csv, sv_record *out, bool *end, sv_error *err) {
    int64_t open_line;
    SV_TRY(read_record(r, csv, &out->line, &open_line, end, err));
    if (*end) return SV_OK;
    if (open_line) {
        sv_record_fault(out, "unclosed_quote", "a quote opened here is not closed before the end of the file; what follows could not be read");
        return SV_OK;
    }
    size_t n = 0;
    out->text = take(r, 0, &out->text_size);
    bool pair = r->format == &sv_reader_cc3m || r->format == &sv_reader_cc12m;
    if (!out->text || (pair && field_count(r) < 2)) {
        out->text = NULL;
        if (pair) sv_record_fault(out, "missing_field", "the row has %zu of the two fields, caption and address", field_count(r));
        else sv_record_fault(out, "missing_field", "the caption is in column %d, and the row ends with column %zu", r->columns[0] + 1, field_count(r));
        return SV_OK;
    }
    if (is_too_long(r)) {
        out->text = NULL;
        sv_record_fault(out, "extra_field", "the row has %zu fields, and the first row names %zu: a text with a %s in it needs quotes", field_count(r), r->named,
                        csv ? "comma" : "tab");
        return SV_OK;
    }
    if (!sv_record_check_text(out, r->settings->text, out->text, out->text_size)) return SV_OK;
    out->id = take(r, 1, &out->id_size);
    if (out->id && !out->id_size) out->id = NULL;   /* an empty cell is no id */
    if (out->id && !sv_record_check_text(out, "id", out->id, out->id_size)) return SV_OK;
    const char *image = take(r, 4, &n);
    if (!sv_record_take_image(out, image, n)) return SV_OK;
    out->origin = take(r, 2, &n);
    if (out->origin && (!n || !sv_record_check_text(out, "source", out->origin, n))) out->origin = NULL;
    out->license = take(r, 3, &n);
    if (out->license && (!n || !sv_record_check_text(out, "license", out->license, n))) out->license = NULL;
    return SV_OK;
}

static sv_status next_csv(sv_reader *r, sv_record *out, bool *end, sv_error *err) {
    return next_record(r, true, out, end, err);
}

static sv_status next_tsv(sv_reader *r, sv_record *out, bool *end, sv_error *err) {
    return next_record(r, false, out, end, err);
}

/* ---- Conceptual Captions: two columns without names, a caption and an address, nothing quoted ---- */

static bool is_address(const char *s, size_t n) {
    return (n > 7 && memcmp(s, "http://", 7) == 0) || (n > 8 && memcmp(s, "https://", 8) == 0);
}

/* CC3M has the caption first, CC12M the address. The first line tells one from the other, so that no address is taken for a caption. */
static sv_status open_cc(sv_reader *r, int text, sv_error *err) {
    const char *p, *wanted[] = {r->settings->id, r->image};
    size_t n;
    for (int i = 0; i < 5; i++) r->columns[i] = -1;
    r->columns[0] = text;
    for (int i = 0; i < 2; i++)
        if (wanted[i] && is_position(wanted[i])) r->columns[i ? 4 : 1] = (int)strtol(wanted[i], NULL, 10) - 1;
    if (r->image && r->columns[4] < 0) {
        sv_fail(err, SV_E_INPUT, r->path, "has no names of columns: \"%s\" is none", r->image);
        return sv_hint(err, SV_E_INPUT, "the source's `image` gives the position of the file names' column: 1 is the first");
    }
    SV_TRY(sv_stream_peek(r->in, 64 * 1024, &p, &n, err));
    const char *lf = memchr(p, '\n', n), *end = lf ? lf : p + n, *tab = memchr(p, '\t', (size_t)(end - p));
    if (p == end) return SV_OK;
    if (!tab) {
        sv_fail(err, SV_E_INPUT, r->path, "is not %s: its first line has no tab", r->format->name);
        return sv_hint(err, SV_E_INPUT, "cc3m is caption, tab, address; cc12m is address, tab, caption");
    }
    bool first = is_address(p, (size_t)(tab - p)), second = is_address(tab + 1, (size_t)(end - tab - 1));
    if (text == 0 ? first && !second : second && !first) {
        sv_fail(err, SV_E_INPUT, r->path, "is not %s: the address stands %s", r->format->name, text == 0 ? "before the caption" : "behind the caption");
        return sv_hint(err, SV_E_INPUT, "set the source's format to %s", text == 0 ? "cc12m" : "cc3m");
    }
    return SV_OK;
}

static sv_status open_cc3m(sv_reader *r, sv_error *err) { return open_cc(r, 0, err); }
static sv_status open_cc12m(sv_reader *r, sv_error *err) { return open_cc(r, 1, err); }

const sv_reader_format sv_reader_cc3m = {"cc3m", open_cc3m, next_tsv};
const sv_reader_format sv_reader_cc12m = {"cc12m", open_cc12m, next_tsv};
const sv_reader_format sv_reader_txt = {"txt", NULL, next_text};
const sv_reader_format sv_reader_csv = {"csv", open_csv, next_csv};
const sv_reader_format sv_reader_tsv = {"tsv", open_tsv, next_tsv};
