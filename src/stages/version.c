/* version.c - versions of this library and of those it works with. */
#include <archive.h>
#include <curl/curl.h>
#include <libfyaml.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdio.h>
#include <utf8proc.h>
#include <yyjson.h>
#include <zlib.h>
#include <zstd.h>

#include "base/str.h"
#include "infer/infer.h"
#include "stages/ingest/duckdb.h"

const char *sv_version(void) {
    return SV_VERSION;
}

const char *sv_versions(char *buf, size_t size) {
    const char *runtime = sv_runtime_version(NULL);
    const sv_duckdb *duck;
    bool has_duckdb = sv_duckdb_load(&duck, NULL) == SV_OK;
    int n = snprintf(buf, size,
                     "onnxruntime %s\nsqlite %s\nlibfyaml %s\nyyjson %s\nlibcurl %s\nopenssl %s\nlibarchive %s\nutf8proc %s (Unicode %s)\nzlib %s\nzstd %s\nduckdb %s\n",
                     runtime ? runtime : "(not found)", sqlite3_libversion(), fy_library_version(), YYJSON_VERSION_STRING, curl_version_info(CURLVERSION_NOW)->version,
                     OpenSSL_version(OPENSSL_VERSION_STRING), archive_version_string() + sizeof "libarchive", utf8proc_version(),
                         utf8proc_unicode_version(), zlibVersion(),
                     ZSTD_versionString(), has_duckdb ? duck->library_version() : "(not found: it is needed for Parquet only)");
    if (n < 0 && size) buf[0] = 0;
    return buf;
}
