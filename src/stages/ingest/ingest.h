/* ingest.h - reading caption files: bytes to lines (ingest_stream.c), lines to records by format (ingest_json.c, ingest_table.c), records to
 * rows of the ledger (ingest.c). Memory stays flat however long a file is: the arrays of json, llava and coco files are read
 * item by item, too. Only the names of COCO's pictures are held, where they are asked for. */
#ifndef SV_STAGES_INGEST_H
#define SV_STAGES_INGEST_H

#include <yyjson.h>

#include "base/str.h"
#include "recipe/recipe.h"

/* ---- bytes and lines ---- */

/* A file that is read from its beginning; gzip and zstd are told by their first bytes and unpacked on the way. A UTF-8 byte order mark is skipped. */
typedef struct sv_stream sv_stream;
sv_status sv_stream_open(sv_stream **out, const char *path, sv_error *err);
void sv_stream_close(sv_stream **s);
/* The next bytes (unpacked) without taking them: at least `want` unless the file ends before. */
sv_status sv_stream_peek(sv_stream *s, size_t want, const char **data, size_t *size, sv_error *err);
/* The next line without its end (LF or CRLF), of any length; lives until the next call. *end true: there is none. */
sv_status sv_stream_line(sv_stream *s, const char **line, size_t *size, bool *end, sv_error *err);
/* Everything that is left (malloc, NUL-terminated; the caller frees). */
sv_status sv_stream_rest(sv_stream *s, char **data, size_t *size, sv_error *err);
/* Takes n bytes that peek has shown. */
void sv_stream_skip(sv_stream *s, size_t n);
bool sv_stream_is_packed(const sv_stream *s);        /* gzip or zstd */
int64_t sv_stream_line_number(const sv_stream *s);   /* of the last line given, from 1 */

/* ---- items of a JSON array (ingest_array.c) ---- */

typedef struct sv_items {
    sv_stream *in;
    const char *path;            /* for errors */
    bool in_object;              /* the array is the value of a key */
    int64_t line, item_line, count;   /* where it is; where the item given last begins; how many were given */
    size_t taken;                /* of the item given last */
} sv_items;
/* An array, or the array that an object has under a key; *found false: the file holds something else. */
sv_status sv_items_open(sv_items *a, sv_stream *in, const char *path, bool *found, sv_error *err);
sv_status sv_items_open_key(sv_items *a, sv_stream *in, const char *path, const char *key, bool *found, sv_error *err);
/* The bytes of the next item; they live until the next call. *end true: there is none, and the file is whole. */
sv_status sv_items_next(sv_items *a, const char **item, size_t *size, bool *end, sv_error *err);

/* ---- records ---- */

/* One row of a source. Strings live until the next record. */
typedef struct sv_record {
    int64_t line;                /* from 1; of arrays: the item, from 1; of csv: the line where the record begins */
    const char *text, *id, *origin, *license;   /* id NULL: none given; origin, license NULL: not stated in the row */
    size_t text_size, id_size;
    const char *image;           /* name of its picture, inside the source's folder of pictures; NULL: none */
    const char *fault;           /* not NULL: the row is bad; a short stable word ("bad_json") */
    sv_buf detail;               /* and what is wrong with it; reused from record to record */
} sv_record;

typedef struct sv_reader {
    sv_stream *in;
    const char *path;            /* for errors */
    const sv_source_settings *settings;
    const struct sv_reader_format *format;
    /* what the formats keep */
    yyjson_doc *doc;             /* the line's or item's */
    sv_items items;
    int64_t index;
    const char *image;           /* field with the picture's name; NULL: captions come without, or (coco) by image_id */
    bool images;                 /* rows have pictures */
    struct sv_image_entry *files;   /* coco: names of pictures by id, sorted */
    size_t file_count, file_capacity;
    sv_buf file_names;
    sv_buf record, number;       /* the csv record with its quotes undone; an integer id in words */
    int columns[5];              /* of text, id, source, license, image; -1: none */
    size_t named;                /* columns that the first row names; 0: it names none */
    sv_buf fields;               /* size_t pairs: begin and end of every field */
    struct sv_parquet *parquet;  /* DuckDB at work; NULL for every other format */
} sv_reader;

/* A row of the format table. */
typedef struct sv_reader_format {
    const char *name;            /* as in the recipe */
    sv_status (*open)(sv_reader *r, sv_error *err);                           /* may be NULL */
    sv_status (*next)(sv_reader *r, sv_record *out, bool *end, sv_error *err);
} sv_reader_format;
extern const sv_reader_format sv_reader_jsonl, sv_reader_json, sv_reader_llava, sv_reader_coco, sv_reader_txt, sv_reader_csv, sv_reader_tsv,
    sv_reader_sharegpt4v, sv_reader_cc3m, sv_reader_cc12m, sv_reader_parquet;

/* Opens a file as its settings say; `auto` looks at the name and the first bytes. name: what the source is called in errors ("-"). */
sv_status sv_reader_open(sv_reader *out, const char *path, const char *name, const sv_source_settings *s, sv_error *err);
void sv_reader_close(sv_reader *r);

/* ---- for the formats ---- */
void sv_parquet_close(sv_reader *r);
/* Marks a record as bad. */
void sv_record_fault(sv_record *r, const char *fault, const char *detail, ...) SV_PRINTF(3, 4);
/* Bytes that are not UTF-8 as text: what is printable stays, the rest becomes \xNN; at most 2,000 bytes of output. */
void sv_escape_bytes(sv_buf *out, const char *s, size_t n);
/* invalid_utf8 or nul_character if a value is not what a caption may hold. */
bool sv_record_check_text(sv_record *r, const char *what, const char *s, size_t n);
/* Takes the name of a picture; one that leads out of the folder is bad_image_name. NULL or empty: the row has none. */
bool sv_record_take_image(sv_record *r, const char *name, size_t n);

#endif
