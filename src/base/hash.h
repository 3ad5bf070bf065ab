/* hash.h - SHA-256, MD5, SHA-1 (libcrypto) and xxHash3 behind small functions. */
#ifndef SV_BASE_HASH_H
#define SV_BASE_HASH_H

#include "base/error.h"

#define SV_SHA256_HEX 65 /* 64 hex digits and the NUL */

void sv_sha256(const void *data, size_t n, uint8_t out[32]);
void sv_sha256_hex(const void *data, size_t n, char out[SV_SHA256_HEX]);
sv_status sv_sha256_file(const char *path, char out[SV_SHA256_HEX], sv_error *err);
void sv_md5(const void *data, size_t n, uint8_t out[16]);
void sv_sha1(const void *data, size_t n, uint8_t out[20]);
uint64_t sv_hash64(const void *data, size_t n, uint64_t seed);      /* XXH3, for tables; not for files */
void sv_hex(const uint8_t *in, size_t n, char *out);               /* writes 2n+1 bytes */

/* Streaming SHA-256. */
typedef struct sv_sha256_stream sv_sha256_stream;
sv_sha256_stream *sv_sha256_begin(void);                           /* NULL when memory runs out */
void sv_sha256_more(sv_sha256_stream *s, const void *data, size_t n);
void sv_sha256_end(sv_sha256_stream *s, uint8_t out[32]);          /* frees s; s may be NULL (then out is zero) */

#endif
