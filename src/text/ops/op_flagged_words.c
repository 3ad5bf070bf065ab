/* op_flagged_words.c - flagged_words_filter: the share of words that are in a list. No list is built in: the user names one. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "text/words.h"

/* A set of words: open addressing into one run of bytes. */
typedef struct word_set {
    struct word_slot { uint64_t hash; uint32_t at, size; } *slots;   /* size 0: free (empty words cannot occur) */
    size_t mask, count;
    sv_buf bytes;
} word_set;

typedef struct sv_flagged_words {
    sv_range range;
    sv_word_source source;
    char *dir, *group_sizes, *join;
    bool augment;
    word_set set;
    int64_t groups[8];
    size_t group_count;
} sv_flagged_words;

static const sv_option options[] = {
    SV_WORD_OPTIONS(sv_flagged_words),
    {"flagged_words_dir", SV_OPT_PATH, offsetof(sv_flagged_words, dir), "null", .nullable = true,
     .help = "JSON file {language: [word, ...]}, or a directory with *flagged_words*.json; must be given"},
    {"use_words_aug", SV_OPT_BOOL, offsetof(sv_flagged_words, augment), "false", .help = "look up groups of neighbouring words, too"},
    {"words_aug_group_sizes", SV_OPT_JSON, offsetof(sv_flagged_words, group_sizes), "[2]", .help = "words per group"},
    {"words_aug_join_char", SV_OPT_STRING, offsetof(sv_flagged_words, join), "", .help = "what joins the words of a group"},
    SV_RANGE_OPTIONS(sv_flagged_words, "min_ratio", "0.0", "max_ratio", "0.045"),
    {0}};

static bool set_has(const word_set *set, uint64_t hash, const char *word, size_t size) {
    if (!set->count) return false;
    for (size_t i = hash & set->mask; set->slots[i].size; i = (i + 1) & set->mask)
        if (set->slots[i].hash == hash && set->slots[i].size == size && memcmp(set->bytes.data + set->slots[i].at, word, size) == 0) return true;
    return false;
}

static sv_status set_grow(word_set *set, sv_error *err) {
    size_t capacity = set->slots ? (set->mask + 1) * 2 : 256;
    struct word_slot *slots = calloc(capacity, sizeof *slots);
    if (!slots) return sv_fail_memory(err, "flagged words", capacity * sizeof *slots);
    for (size_t i = 0; set->slots && i <= set->mask; i++) {
        if (!set->slots[i].size) continue;
        size_t to = set->slots[i].hash & (capacity - 1);
        while (slots[to].size) to = (to + 1) & (capacity - 1);
        slots[to] = set->slots[i];
    }
    free(set->slots);
    set->slots = slots;
    set->mask = capacity - 1;
    return SV_OK;
}

static sv_status set_add(word_set *set, const char *word, size_t size, sv_error *err) {
    uint64_t hash = sv_hash64(word, size, 0);
    if (size == 0 || set_has(set, hash, word, size)) return SV_OK;   /* no refined word is empty */
    if (!set->slots || set->count * 2 > set->mask) SV_TRY(set_grow(set, err));
    size_t at = set->bytes.size;
    sv_buf_add(&set->bytes, word, size);
    SV_TRY(sv_buf_ok(&set->bytes, err));
    size_t i = hash & set->mask;
    while (set->slots[i].size) i = (i + 1) & set->mask;
    set->slots[i] = (struct word_slot){hash, (uint32_t)at, (uint32_t)size};
    set->count++;
    return SV_OK;
}

/* Adds one language's array. */
static sv_status add_list(word_set *set, yyjson_val *list, const char *path, const char *lang, sv_error *err) {
    if (!yyjson_is_arr(list)) return sv_fail(err, SV_E_INPUT, path, "\"%s\" is not a list of words", lang);
    size_t i, n;
    yyjson_val *word;
    yyjson_arr_foreach(list, i, n, word) {
        if (!yyjson_is_str(word)) return sv_fail(err, SV_E_INPUT, path, "\"%s\" holds something that is not a text, at position %zu", lang, i);
        SV_TRY(set_add(set, yyjson_get_str(word), yyjson_get_len(word), err));
    }
    return SV_OK;
}

/* What was seen over all files: whether the language occurs, and whether a file has a list named "all" of its own. */
typedef struct found {
    bool lang, own_all;
    sv_buf names;
} found;

static sv_status read_list(sv_flagged_words *f, const char *path, bool only_note, found *seen, sv_error *err) {
    char *data;
    size_t size;
    SV_TRY(sv_file_read(path, 0, &data, &size, err));
    yyjson_read_err why;
    yyjson_doc *doc = yyjson_read_opts(data, size, 0, NULL, &why);
    free(data);
    if (!doc) return sv_fail(err, SV_E_INPUT, path, "not JSON: %s at byte %zu", why.msg, why.pos);
    sv_status st = SV_OK;
    yyjson_val *root = yyjson_doc_get_root(doc), *key, *list;
    if (!yyjson_is_obj(root)) st = sv_fail(err, SV_E_INPUT, path, "must be an object that maps languages to lists of words");
    size_t i, n;
    if (st == SV_OK) {
        yyjson_obj_foreach(root, i, n, key, list) {
            const char *lang = yyjson_get_str(key);
            if (only_note) {
                if (sv_str_eq(lang, "all")) seen->own_all = true;
                if (sv_str_eq(lang, f->source.lang)) seen->lang = true;
                sv_buf_printf(&seen->names, "%s%s", seen->names.size ? ", " : "", lang);
                continue;
            }
            bool wanted = sv_str_eq(lang, f->source.lang) || (sv_str_eq(f->source.lang, "all") && !seen->own_all);
            if (wanted && (st = add_list(&f->set, list, path, lang, err)) != SV_OK) break;
        }
    }
    yyjson_doc_free(doc);
    return st;
}

/* Calls read_list for the file, or for every *flagged_words*.json of the directory. */
static sv_status read_all(sv_flagged_words *f, bool only_note, found *seen, sv_error *err) {
    if (!sv_is_dir(f->dir)) return read_list(f, f->dir, only_note, seen, err);
    DIR *dir = opendir(f->dir);
    if (!dir) return sv_fail_errno(err, f->dir, "cannot list");
    sv_status st = SV_OK;
    size_t files = 0;
    for (struct dirent *e; st == SV_OK && (e = readdir(dir));) {
        if (!sv_str_ends(e->d_name, ".json") || !strstr(e->d_name, "flagged_words")) continue;
        files++;
        char *path = sv_path_join(f->dir, e->d_name);
        st = path ? read_list(f, path, only_note, seen, err) : sv_fail_memory(err, f->dir, 0);
        free(path);
    }
    closedir(dir);
    if (st == SV_OK && files == 0) st = sv_fail(err, SV_E_INPUT, f->dir, "no file named *flagged_words*.json lies in this directory");
    return st;
}

static sv_status read_groups(sv_flagged_words *f, const char *where, sv_error *err) {
    yyjson_doc *doc = yyjson_read(f->group_sizes, strlen(f->group_sizes), 0);
    yyjson_val *list = yyjson_doc_get_root(doc), *v;
    bool ok = yyjson_is_arr(list) && yyjson_arr_size(list) <= sizeof f->groups / sizeof *f->groups;
    size_t i, n;
    yyjson_arr_foreach(list, i, n, v) {
        ok = ok && yyjson_is_uint(v) && yyjson_get_uint(v) >= 1 && yyjson_get_uint(v) <= 1 << 20;
        if (ok) f->groups[f->group_count++] = (int64_t)yyjson_get_uint(v);
    }
    yyjson_doc_free(doc);
    return ok ? SV_OK : sv_fail(err, SV_E_RECIPE, where, "words_aug_group_sizes must be a list of at most 8 positive integers");
}

static void flagged_close(void *state) {
    sv_flagged_words *f = state;
    free(f->set.slots);
    sv_buf_free(&f->set.bytes);
    f->set = (word_set){0};
    sv_word_source_close(&f->source);
}

static sv_status flagged_open(void *state, const char *where, sv_error *err) {
    sv_flagged_words *f = state;
    SV_TRY(read_groups(f, where, err));
    if (!f->dir)
        return sv_hint(err, sv_fail(err, SV_E_RECIPE, where, "no list of flagged words is given"),
                       "set flagged_words_dir to a JSON file {\"en\": [\"word\", ...]} or to a directory that holds such files");
    found seen = {0};
    sv_status st = read_all(f, true, &seen, err);
    if (st == SV_OK && !seen.lang && !sv_str_eq(f->source.lang, "all"))
        st = sv_hint(err, sv_fail(err, SV_E_INPUT, f->dir, "has no list for the language \"%s\"", f->source.lang), "it has: %s",
                     seen.names.data ? seen.names.data : "none");
    if (st == SV_OK) st = read_all(f, false, &seen, err);
    sv_buf_free(&seen.names);
    return st == SV_OK ? sv_word_source_open(&f->source, where, err) : st;
}

/* Groups of g neighbouring words, joined: how many there are, and how many of them are in the list. */
static sv_status count_groups(const sv_flagged_words *f, sv_scan *s, size_t g, size_t *groups, size_t *hits, sv_error *err) {
    *groups = *hits = 0;
    if (s->word_count < g) return SV_OK;
    *groups = s->word_count - g + 1;
    sv_buf joined = {0};
    for (size_t i = 0; i < *groups; i++) {
        sv_buf_clear(&joined);
        for (size_t k = i; k < i + g; k++) {
            if (k > i) sv_buf_puts(&joined, f->join);
            sv_buf_add(&joined, s->words.data + s->word_begin[k], s->word_begin[k + 1] - 1 - s->word_begin[k]);
        }
        if (joined.failed) break;
        *hits += set_has(&f->set, sv_hash64(joined.data, joined.size, 0), joined.data, joined.size);
    }
    sv_status st = sv_buf_ok(&joined, err);
    sv_buf_free(&joined);
    return st;
}

static sv_status flagged_measure(const void *state, sv_scan *s, double *value, sv_error *err) {
    const sv_flagged_words *f = state;
    SV_TRY(sv_scan_words(s, f->source.pieces, err));
    size_t words = s->word_count, flagged = 0;
    for (size_t i = 0; i < s->word_count; i++)
        flagged += set_has(&f->set, s->word_hash[i], s->words.data + s->word_begin[i], s->word_begin[i + 1] - 1 - s->word_begin[i]);
    for (size_t i = 0; f->augment && i < f->group_count; i++) {
        size_t groups, hits;
        SV_TRY(count_groups(f, s, (size_t)f->groups[i], &groups, &hits, err));
        words += groups;
        flagged += hits;
    }
    *value = words ? (double)flagged / (double)words : 0.0;
    return SV_OK;
}

const sv_op sv_op_flagged_words = {
    .info = {"flagged_words_filter", SV_OP_FILTER, "flagged_words_ratio", "share of words that are in a list of unwanted words"},
    .options = options, .size = sizeof(sv_flagged_words), .open = flagged_open, .close = flagged_close, .measure = flagged_measure};
