/* concept_finder.c - the public face of concepts: lists by name or file, and what a text has of them. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "text/concepts/concepts.h"

#define MOST_LIST ((size_t)256 << 20)

struct sv_concept_finder {
    sv_concepts *concepts;
    sv_concept_scratch *scratches;
    unsigned threads;
};

static sv_status add(sv_concepts *c, const char *list, sv_error *err) {
    const sv_concept_list *ready = sv_concept_list_find(list);
    if (ready) return sv_concepts_list(c, ready->text, strlen(ready->text), ready->name, err);
    char *text;
    size_t size;
    sv_status st = sv_file_read(list, MOST_LIST, &text, &size, err);
    if (st == SV_E_INPUT) return sv_hint(err, st, "the ready lists are objects, colours, counts and relations");
    if (st == SV_OK) st = sv_concepts_list(c, text, size, list, err);
    free(text);
    return st;
}

sv_status sv_concept_finder_open(sv_concept_finder **out, const char *const *lists, size_t n, unsigned threads, sv_error *err) {
    *out = NULL;
    sv_concept_finder *f = calloc(1, sizeof *f);
    if (!f) return sv_fail_memory(err, "concepts", sizeof *f);
    f->threads = threads;
    f->scratches = calloc(threads, sizeof *f->scratches);
    sv_status st = f->scratches ? sv_concepts_open(&f->concepts, err) : sv_fail_memory(err, "concepts", 0);
    for (size_t i = 0; st == SV_OK && i < n; i++) st = add(f->concepts, lists[i], err);
    if (st != SV_OK) sv_concept_finder_close(&f);
    *out = f;
    return st;
}

void sv_concept_finder_close(sv_concept_finder **handle) {
    sv_concept_finder *f = *handle;
    if (!f) return;
    *handle = NULL;
    for (unsigned i = 0; f->scratches && i < f->threads; i++) sv_concept_scratch_free(&f->scratches[i]);
    free(f->scratches);
    sv_concepts_close(&f->concepts);
    free(f);
}

size_t sv_concept_finder_count(const sv_concept_finder *f) { return sv_concepts_count(f->concepts); }

sv_status sv_concept_finder_find(sv_concept_finder *f, unsigned thread, const char *text, size_t size, sv_found_concept_fn fn, void *user, sv_error *err) {
    const uint32_t *list;
    size_t n, valid = sv_utf8_valid(text, size);
    if (valid != size) return sv_fail(err, SV_E_INPUT, "text", "not valid UTF-8 at byte %zu", valid);
    SV_TRY(sv_concepts_match(f->concepts, text, size, &f->scratches[thread], &list, &n, err));
    for (size_t i = 0; i < n; i++) SV_TRY(fn(user, sv_concepts_name(f->concepts, list[i]), err));
    return SV_OK;
}
