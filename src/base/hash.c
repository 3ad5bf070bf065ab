#include "base/hash.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>


void sv_hex(const uint8_t *in, size_t n, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * n] = 0;
}

static void digest(const EVP_MD *md, const void *data, size_t n, uint8_t *out, size_t size) {
    unsigned len = 0;
    if (EVP_Digest(data, n, out, &len, md, NULL) != 1) memset(out, 0, size);
}

void sv_sha256(const void *data, size_t n, uint8_t out[32]) {
    SHA256(data, n, out);
}

void sv_md5(const void *data, size_t n, uint8_t out[16]) {
    digest(EVP_md5(), data, n, out, 16);
}

/* SHA-1 is taken of millions of short texts. libcrypto's one-shot function looks the algorithm up each time, which costs ten times
 * the hash; so every thread keeps a context. */
static pthread_once_t sha1_once = PTHREAD_ONCE_INIT;
static pthread_key_t sha1_key;
static bool sha1_key_made;
static EVP_MD *sha1_algorithm;

static void free_context(void *context) {
    EVP_MD_CTX_free(context);
}

static void prepare_sha1(void) {
    sha1_algorithm = EVP_MD_fetch(NULL, "SHA1", NULL);
    sha1_key_made = pthread_key_create(&sha1_key, free_context) == 0;
}

static EVP_MD_CTX *sha1_context(void) {
    pthread_once(&sha1_once, prepare_sha1);
    if (!sha1_algorithm || !sha1_key_made) return NULL;
    EVP_MD_CTX *context = pthread_getspecific(sha1_key);
    if (context) return context;
    context = EVP_MD_CTX_new();
    if (context && pthread_setspecific(sha1_key, context) != 0) {
        EVP_MD_CTX_free(context);
        context = NULL;
    }
    return context;
}

void sv_sha1(const void *data, size_t n, uint8_t out[20]) {
    EVP_MD_CTX *c = sha1_context();
    unsigned len;
    if (c && EVP_DigestInit_ex(c, sha1_algorithm, NULL) == 1 && EVP_DigestUpdate(c, data, n) == 1 && EVP_DigestFinal_ex(c, out, &len) == 1) return;
    SHA1(data, n, out);
}

void sv_sha256_hex(const void *data, size_t n, char out[SV_SHA256_HEX]) {
    uint8_t raw[32];
    sv_sha256(data, n, raw);
    sv_hex(raw, 32, out);
}

uint64_t sv_hash64(const void *data, size_t n, uint64_t seed) {
    return XXH3_64bits_withSeed(data, n, seed);
}

sv_sha256_stream *sv_sha256_begin(void) {
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(md);
        md = NULL;
    }
    return (sv_sha256_stream *)md;
}

void sv_sha256_more(sv_sha256_stream *s, const void *data, size_t n) {
    if (s) EVP_DigestUpdate((EVP_MD_CTX *)s, data, n);
}

void sv_sha256_end(sv_sha256_stream *s, uint8_t out[32]) {
    memset(out, 0, 32);
    if (!s) return;
    unsigned len = 0;
    EVP_DigestFinal_ex((EVP_MD_CTX *)s, out, &len);
    EVP_MD_CTX_free((EVP_MD_CTX *)s);
}

sv_status sv_sha256_file(const char *path, char out[SV_SHA256_HEX], sv_error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return sv_fail_errno(err, path, "cannot open");
    sv_sha256_stream *s = sv_sha256_begin();
    if (!s) {
        close(fd);
        return sv_fail_memory(err, path, 0);
    }
    char block[1 << 16];
    ssize_t n;
    while ((n = read(fd, block, sizeof block)) > 0) sv_sha256_more(s, block, (size_t)n);
    sv_status st = n < 0 ? sv_fail_errno(err, path, "cannot read") : SV_OK;
    uint8_t raw[32];
    sv_sha256_end(s, raw);
    close(fd);
    sv_hex(raw, 32, out);
    return st;
}
