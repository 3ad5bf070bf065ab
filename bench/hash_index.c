/* hash_index.c - how fast pictures near a picture are found among N: `bench/hash_index.sh`. Half of the hashes that are asked for are copies of one that is
 * there with up to `distance` bits flipped, half are strangers, which cost most: every bucket is looked through in vain. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "image/phash.h"

static uint64_t state = 0x9E3779B97F4A7C15u;

static uint64_t random_bits(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545F4914F6CDD1Du;
}

static double cpu_seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

int main(int argc, char **argv) {
    size_t n = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : 1000000, asked = 100000;
    uint64_t *hashes = malloc(n * sizeof *hashes);
    sv_error err = {0};
    if (!hashes || !n) return 1;
    for (size_t i = 0; i < n; i++) hashes[i] = random_bits();
    for (int distance = 0; distance <= SV_HASH_MOST_DISTANCE; distance += 2) {
        sv_hash_index *x = NULL;
        if (sv_hash_index_open(&x, distance, &err) != SV_OK) return 1;
        double begin = cpu_seconds();
        for (size_t i = 0; i < n; i++)
            if (sv_hash_index_add(x, hashes[i], (uint32_t)i, &err) != SV_OK) return 1;
        double added = cpu_seconds() - begin;
        size_t found = 0, queries = distance > 8 ? asked / 10 : asked;
        begin = cpu_seconds();
        for (size_t i = 0; i < queries; i++) {
            uint64_t h = i % 2 ? hashes[random_bits() % n] : random_bits();
            uint32_t name;
            for (int f = 0; f < distance && i % 2; f++) h ^= (uint64_t)1 << (random_bits() & 63);
            found += sv_hash_index_find(x, h, &name);
        }
        double took = cpu_seconds() - begin;
        struct rusage u;
        getrusage(RUSAGE_SELF, &u);
        printf("distance %2d: %9.0f added/s, %9.0f queries/s, %zu of %zu found, %ld MB at most so far\n", distance, (double)n / added, (double)queries / took,
               found, queries, u.ru_maxrss / 1024);
        sv_hash_index_close(&x);
    }
    free(hashes);
    return 0;
}
