/* duckdb.h - DuckDB's library, opened at run time where it is found: what reads Parquet. Only the part of its C API that is used here is declared; it has
 * been stable since DuckDB 1.0 (its documentation, "C API"). */
#ifndef SV_STAGES_DUCKDB_H
#define SV_STAGES_DUCKDB_H

#include "base/error.h"

typedef void *sv_duck_handle;                     /* database, connection, prepared statement, chunk, vector …: all are pointers */
typedef struct sv_duck_result { uint64_t unused[3]; void *columns, *message, *inside; } sv_duck_result;   /* the library's; by value in its calls */
typedef union sv_duck_string {                    /* a text of a vector: short ones inside, long ones elsewhere */
    struct { uint32_t size; char prefix[4]; const char *data; } apart;
    struct { uint32_t size; char data[12]; } within;
} sv_duck_string;

/* duckdb_type: what a column holds. Types above are combined or rarer ones. */
enum {
    SV_DUCK_BOOLEAN = 1, SV_DUCK_TINYINT, SV_DUCK_SMALLINT, SV_DUCK_INTEGER, SV_DUCK_BIGINT, SV_DUCK_UTINYINT, SV_DUCK_USMALLINT, SV_DUCK_UINTEGER,
    SV_DUCK_UBIGINT, SV_DUCK_HUGEINT = 16, SV_DUCK_VARCHAR = 17, SV_DUCK_BLOB = 18, SV_DUCK_ENUM = 23, SV_DUCK_LIST = 24, SV_DUCK_STRUCT = 25, SV_DUCK_MAP = 26,
    SV_DUCK_UUID = 27, SV_DUCK_UHUGEINT = 32, SV_DUCK_ARRAY = 33
};

typedef struct sv_duckdb {
    const char *(*library_version)(void);
    int (*create_config)(sv_duck_handle *config);
    int (*set_config)(sv_duck_handle config, const char *name, const char *value);
    void (*destroy_config)(sv_duck_handle *config);
    int (*open_ext)(const char *path, sv_duck_handle *database, sv_duck_handle config, char **why);
    void (*close)(sv_duck_handle *database);
    int (*connect)(sv_duck_handle database, sv_duck_handle *connection);
    void (*disconnect)(sv_duck_handle *connection);
    int (*prepare)(sv_duck_handle connection, const char *sql, sv_duck_handle *statement);
    const char *(*prepare_error)(sv_duck_handle statement);
    void (*destroy_prepare)(sv_duck_handle *statement);
    int (*pending_prepared_streaming)(sv_duck_handle statement, sv_duck_handle *pending);
    const char *(*pending_error)(sv_duck_handle pending);
    int (*execute_pending)(sv_duck_handle pending, sv_duck_result *result);
    void (*destroy_pending)(sv_duck_handle *pending);
    const char *(*result_error)(sv_duck_result *result);
    void (*destroy_result)(sv_duck_result *result);
    uint64_t (*column_count)(sv_duck_result *result);
    const char *(*column_name)(sv_duck_result *result, uint64_t column);
    int (*column_type)(sv_duck_result *result, uint64_t column);
    sv_duck_handle (*fetch_chunk)(sv_duck_result result);
    uint64_t (*data_chunk_get_size)(sv_duck_handle chunk);
    sv_duck_handle (*data_chunk_get_vector)(sv_duck_handle chunk, uint64_t column);
    void (*destroy_data_chunk)(sv_duck_handle *chunk);
    void *(*vector_get_data)(sv_duck_handle vector);
    uint64_t *(*vector_get_validity)(sv_duck_handle vector);   /* a bit a row, set where there is a value; NULL: everywhere */
    void (*free)(void *memory);
} sv_duckdb;

/* Opens the library once for the process: $SYNTHVLM_DUCKDB (a file or its directory), the directory that the set-up filled, ../lib/synthvlm beside the program,
 * the loader's path. SV_E_LIBRARY with what was tried and how to get it. Any thread. */
sv_status sv_duckdb_load(const sv_duckdb **out, sv_error *err);

#endif
