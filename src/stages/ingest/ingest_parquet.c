/* ingest_parquet.c - captions in Parquet files, read by DuckDB's library in pieces of its own (2,048 rows), so that memory stays flat.
 *
 * Only the columns that are asked for are read. The file is handed over as an open descriptor: its name may hold anything, and it stays the file that was
 * hashed. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stages/ingest/duckdb.h"
#include "stages/ingest/ingest.h"

enum { TEXT, ID, ORIGIN, LICENSE, IMAGE, COLUMNS };

typedef struct sv_parquet {
    const sv_duckdb *duck;
    sv_duck_handle database, connection, statement, pending, chunk;
    sv_duck_result result;
    bool has_result;
    int fd;
    char place[48];              /* the file, for DuckDB */
    int at[COLUMNS];             /* of each in the query's result; -1: the file has no such column */
    uint64_t row, rows;          /* of the chunk */
    struct { const sv_duck_string *data; const uint64_t *valid; } vectors[COLUMNS];
} sv_parquet;

/* The first line of DuckDB's words, without the name that it knows the file by. */
static sv_status fail(const sv_reader *r, const char *why, sv_error *err) {
    char text[400];
    snprintf(text, sizeof text, "%s", why ? why : "no reason is given");
    text[strcspn(text, "\n")] = 0;
    char *place = r->parquet->place[0] ? strstr(text, r->parquet->place) : NULL;
    if (place) {
        char *end = place + strlen(r->parquet->place);
        if (place > text && strchr("'\"", place[-1]) && *end == place[-1]) {
            place--;
            end++;
        }
        if (place - text >= 5 && memcmp(place - 5, "file ", 5) == 0) place -= 5;
        memmove(place, "the file", 8);   /* shorter than any place */
        memmove(place + 8, end, strlen(end) + 1);
    }
    return sv_fail(err, SV_E_INPUT, r->path, "cannot be read as Parquet: %s", text);
}

static void end_query(sv_parquet *p) {
    if (p->chunk) p->duck->destroy_data_chunk(&p->chunk);
    if (p->has_result) p->duck->destroy_result(&p->result);
    if (p->pending) p->duck->destroy_pending(&p->pending);
    if (p->statement) p->duck->destroy_prepare(&p->statement);
    p->has_result = false;
    p->chunk = p->pending = p->statement = NULL;
}

static sv_status begin_query(sv_reader *r, const char *sql, sv_error *err) {
    sv_parquet *p = r->parquet;
    if (p->duck->prepare(p->connection, sql, &p->statement)) return fail(r, p->duck->prepare_error(p->statement), err);
    if (p->duck->pending_prepared_streaming(p->statement, &p->pending)) return fail(r, p->duck->pending_error(p->pending), err);
    p->has_result = true;
    return p->duck->execute_pending(p->pending, &p->result) ? fail(r, p->duck->result_error(&p->result), err) : SV_OK;
}

static sv_status open_database(sv_reader *r, sv_error *err) {
    static const char *const settings[][2] = {{"threads", "2"}, {"memory_limit", "1GB"}, {"temp_directory", ""}, {"autoinstall_known_extensions", "false"},
                                              {"autoload_known_extensions", "false"}};
    sv_parquet *p = r->parquet;
    sv_duck_handle config = NULL;
    char *why = NULL;
    bool ok = p->duck->create_config(&config) == 0;
    for (size_t i = 0; ok && i < sizeof settings / sizeof *settings; i++) ok = p->duck->set_config(config, settings[i][0], settings[i][1]) == 0;
    ok = ok && p->duck->open_ext(NULL, &p->database, config, &why) == 0 && p->duck->connect(p->database, &p->connection) == 0;
    if (config) p->duck->destroy_config(&config);
    sv_status st = SV_OK;
    if (!ok) st = sv_fail(err, SV_E_LIBRARY, "DuckDB", "version %s cannot be started: %.300s", p->duck->library_version(), why ? why : "no reason is given");
    if (why) p->duck->free(why);
    return st;
}

/* A name as SQL has it. */
static void put_name(sv_buf *b, const char *name) {
    sv_buf_putc(b, '"');
    for (; *name; name++) {
        if (*name == '"') sv_buf_putc(b, '"');
        sv_buf_putc(b, *name);
    }
    sv_buf_putc(b, '"');
}

static bool is_plain(int type, bool id) {
    if (type == SV_DUCK_VARCHAR || type == SV_DUCK_BLOB || type == SV_DUCK_ENUM) return true;
    return id && ((type >= SV_DUCK_TINYINT && type <= SV_DUCK_UBIGINT) || type == SV_DUCK_HUGEINT || type == SV_DUCK_UHUGEINT || type == SV_DUCK_UUID);
}

static const char *kind_of(int type) {
    if (type == SV_DUCK_LIST || type == SV_DUCK_ARRAY) return "a list";
    if (type == SV_DUCK_STRUCT) return "a struct";
    if (type == SV_DUCK_MAP) return "a map";
    return "no text";
}

static sv_status no_column(const sv_reader *r, const char *name, sv_error *err) {
    sv_parquet *p = r->parquet;
    sv_buf list = {0};
    uint64_t n = p->duck->column_count(&p->result);
    for (uint64_t i = 0; i < n && i < 20; i++) {
        const char *column = p->duck->column_name(&p->result, i);
        if (i) sv_buf_puts(&list, ", ");
        if (column) sv_escape_bytes(&list, column, strnlen(column, 60));
    }
    sv_fail(err, SV_E_INPUT, r->path, "has no column \"%s\"; its columns are: %s%s", name, list.data ? list.data : "none", n > 20 ? ", …" : "");
    sv_buf_free(&list);
    return sv_hint(err, SV_E_INPUT, "set the source's `text` (or `image`) to the name of the column");
}

/* Finds the columns, and writes the query that reads those that are there. */
static sv_status plan(sv_reader *r, sv_buf *sql, sv_error *err) {
    sv_parquet *p = r->parquet;
    const char *wanted[COLUMNS] = {[TEXT] = r->settings->text, [ID] = r->settings->id, [ORIGIN] = "source", [LICENSE] = "license", [IMAGE] = r->image};
    int next = 0;
    sv_buf_puts(sql, "SELECT ");
    for (int i = 0; i < COLUMNS; i++) {
        uint64_t n = p->duck->column_count(&p->result), at = 0;
        p->at[i] = -1;
        while (wanted[i] && at < n && !sv_str_eq(p->duck->column_name(&p->result, at), wanted[i])) at++;
        bool there = wanted[i] && at < n;
        if (!there && (i == TEXT || (i == IMAGE && wanted[i]))) return no_column(r, wanted[i], err);
        int type = there ? p->duck->column_type(&p->result, at) : 0;
        if (there && !is_plain(type, i == ID)) {
            if (i == ORIGIN || i == LICENSE) continue;   /* something else by that name */
            sv_fail(err, SV_E_INPUT, r->path, "the column \"%s\" is %s, %s is expected", wanted[i], kind_of(type), i == ID ? "text or whole numbers" : "text");
            return sv_hint(err, SV_E_INPUT, i == ID ? "id: null names captions by their text's hash" : "name another column");
        }
        if (!there) continue;
        sv_buf_puts(sql, next ? ", " : "");
        if (type == SV_DUCK_BLOB) put_name(sql, wanted[i]);
        else {
            sv_buf_puts(sql, "CAST(");
            put_name(sql, wanted[i]);
            sv_buf_puts(sql, " AS VARCHAR)");
        }
        p->at[i] = next++;
    }
    sv_buf_printf(sql, " FROM read_parquet('%s')", p->place);
    return sv_buf_ok(sql, err);
}

static sv_status open_parquet(sv_reader *r, sv_error *err) {
    sv_parquet *p = r->parquet = calloc(1, sizeof *p);
    if (!p) return sv_fail_memory(err, r->path, sizeof *p);
    p->fd = -1;
    if (sv_stream_is_packed(r->in)) {
        sv_status st = sv_fail(err, SV_E_INPUT, r->path, "is a packed Parquet file: it cannot be read from its end, where the columns are listed");
        return sv_hint(err, st, "unpack it first");
    }
    SV_TRY(sv_duckdb_load(&p->duck, err));
    p->fd = open(r->path, O_RDONLY | O_CLOEXEC);
    if (p->fd < 0) return sv_fail_errno(err, r->path, "cannot open");
    snprintf(p->place, sizeof p->place, "/proc/self/fd/%d", p->fd);
    SV_TRY(open_database(r, err));
    char list[120];
    snprintf(list, sizeof list, "SELECT * FROM read_parquet('%s') LIMIT 0", p->place);
    SV_TRY(begin_query(r, list, err));
    sv_buf sql = {0};
    sv_status st = plan(r, &sql, err);
    end_query(p);
    if (st == SV_OK) st = begin_query(r, sql.data, err);
    sv_buf_free(&sql);
    return st;
}

void sv_parquet_close(sv_reader *r) {
    sv_parquet *p = r->parquet;
    if (!p) return;
    if (p->duck) {
        end_query(p);
        if (p->connection) p->duck->disconnect(&p->connection);
        if (p->database) p->duck->close(&p->database);
    }
    if (p->fd >= 0) close(p->fd);
    free(p);
    r->parquet = NULL;
}

/* The next chunk; *end: there is none. */
static sv_status next_chunk(sv_reader *r, bool *end, sv_error *err) {
    sv_parquet *p = r->parquet;
    do {
        if (p->chunk) p->duck->destroy_data_chunk(&p->chunk);
        p->chunk = p->duck->fetch_chunk(p->result);
        if (!p->chunk) {
            const char *why = p->duck->result_error(&p->result);
            *end = true;
            return why ? fail(r, why, err) : SV_OK;
        }
        p->rows = p->duck->data_chunk_get_size(p->chunk);
    } while (!p->rows);
    p->row = 0;
    for (int i = 0; i < COLUMNS; i++) {
        if (p->at[i] < 0) continue;
        sv_duck_handle vector = p->duck->data_chunk_get_vector(p->chunk, (uint64_t)p->at[i]);
        p->vectors[i].data = p->duck->vector_get_data(vector);
        p->vectors[i].valid = p->duck->vector_get_validity(vector);
    }
    return SV_OK;
}

/* A value of the row in hand, NULL for none. */
static const char *take(const sv_parquet *p, int column, size_t *size) {
    *size = 0;
    if (p->at[column] < 0) return NULL;
    const uint64_t *valid = p->vectors[column].valid;
    if (valid && !(valid[p->row / 64] >> (p->row % 64) & 1)) return NULL;
    const sv_duck_string *s = &p->vectors[column].data[p->row];
    *size = s->within.size;
    return *size <= sizeof s->within.data ? s->within.data : s->apart.data;
}

/* Copies a value behind what r->record holds, with a NUL; its place there. */
static size_t copy(sv_reader *r, const char *s, size_t n) {
    size_t at = r->record.size;
    sv_buf_add(&r->record, s, n);
    sv_buf_putc(&r->record, 0);
    return at;
}

static sv_status next_row(sv_reader *r, sv_record *out, bool *end, sv_error *err) {
    sv_parquet *p = r->parquet;
    *end = false;
    if (p->row == p->rows) {
        SV_TRY(next_chunk(r, end, err));
        if (*end) return SV_OK;
    }
    out->line = ++r->index;
    const char *value[COLUMNS];
    size_t size[COLUMNS], at[COLUMNS];
    sv_buf_clear(&r->record);
    for (int i = 0; i < COLUMNS; i++) {
        value[i] = take(p, i, &size[i]);
        at[i] = value[i] ? copy(r, value[i], size[i]) : 0;
    }
    p->row++;
    SV_TRY(sv_buf_ok(&r->record, err));
    for (int i = 0; i < COLUMNS; i++)
        if (value[i]) value[i] = r->record.data + at[i];
    if (!value[TEXT]) {
        sv_record_fault(out, "null_caption", "the column \"%s\" is null", r->settings->text);
        return SV_OK;
    }
    out->text = value[TEXT];
    out->text_size = size[TEXT];
    if (!sv_record_check_text(out, r->settings->text, out->text, out->text_size)) return SV_OK;
    if (value[ID] && size[ID]) {
        out->id = value[ID];
        out->id_size = size[ID];
        if (!sv_record_check_text(out, "id", out->id, out->id_size)) return SV_OK;
    }
    if (value[ORIGIN] && size[ORIGIN] && sv_record_check_text(out, "source", value[ORIGIN], size[ORIGIN])) out->origin = value[ORIGIN];
    if (value[LICENSE] && size[LICENSE] && sv_record_check_text(out, "license", value[LICENSE], size[LICENSE])) out->license = value[LICENSE];
    sv_record_take_image(out, value[IMAGE], size[IMAGE]);
    return SV_OK;
}

const sv_reader_format sv_reader_parquet = {"parquet", open_parquet, next_row};
