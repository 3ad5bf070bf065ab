/* tokenizer_files.c - reading a tokenizer directory: vocabulary and merges, special tokens in the styles of transformers 3 to 5.
 *
 * What wins over what follows transformers 5: tokenizer.json over vocab.json + merges.txt; added_tokens_decoder in tokenizer_config.json over
 * special_tokens_map.json and added_tokens.json; without it, special_tokens_map.json over the names in tokenizer_config.json.
 */
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/file.h"
#include "text/tokenizer/tokenizer_internal.h"

enum { DEFAULT_LENGTH = 77, LONGEST_LENGTH = 1 << 20 };
#define FILE_LIMIT ((size_t)256 << 20)

/* The four roles, and what each is called where no file says otherwise. */
typedef enum role { BOS, EOS, UNK, PAD, ROLES } role;
static const char *const role_keys[ROLES] = {"bos_token", "eos_token", "unk_token", "pad_token"};

typedef struct reader {
    sv_tokenizer *t;
    const char *dir;
    char *paths[6];                     /* by enum file; NULL where the file is missing */
    char *names[ROLES];
    sv_added_token *added;              /* all tokens, before they are sorted into the two lists */
    size_t count;
} reader;

enum file { TOKENIZER_JSON, VOCAB_JSON, MERGES_TXT, CONFIG_JSON, SPECIAL_JSON, ADDED_JSON };
static const char *const file_names[6] = {"tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"};

/* ---- JSON ---- */

static sv_status read_json(const char *path, yyjson_doc **doc, sv_error *err) {
    char *text;
    size_t size;
    *doc = NULL;
    SV_TRY(sv_file_read(path, FILE_LIMIT, &text, &size, err));
    yyjson_read_err why;
    *doc = yyjson_read_opts(text, size, YYJSON_READ_ALLOW_INF_AND_NAN, NULL, &why);
    sv_status st = SV_OK;
    if (!*doc) {
        size_t line = 1;
        for (size_t i = 0; i < why.pos && i < size; i++) line += text[i] == '\n';
        st = sv_fail(err, SV_E_MODEL, path, "line %zu is not JSON: %s", line, why.msg);
    } else if (!yyjson_is_obj(yyjson_doc_get_root(*doc))) {
        st = sv_fail(err, SV_E_MODEL, path, "is not a JSON object");
        yyjson_doc_free(*doc);
        *doc = NULL;
    }
    free(text);
    return st;
}

static bool is_text(yyjson_val *v, const char *text) { return yyjson_is_str(v) && strcmp(yyjson_get_str(v), text) == 0; }

/* ---- vocabulary and merges ---- */

static sv_status read_vocabulary(reader *r, const char *path, yyjson_val *vocab, sv_error *err) {
    if (!yyjson_is_obj(vocab)) return sv_fail(err, SV_E_MODEL, path, "the vocabulary is not a JSON object of pieces and ids");
    yyjson_obj_iter it = yyjson_obj_iter_with(vocab);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
        yyjson_val *id = yyjson_obj_iter_get_val(key);
        if (!yyjson_is_int(id)) return sv_fail(err, SV_E_MODEL, path, "the id of piece \"%s\" is not an integer", yyjson_get_str(key));
        int64_t n = yyjson_is_uint(id) && yyjson_get_uint(id) > INT64_MAX ? INT64_MAX : yyjson_get_sint(id);
        SV_TRY(sv_bpe_add_piece(r->t->bpe, path, yyjson_get_str(key), yyjson_get_len(key), n, err));
    }
    return SV_OK;
}

/* One "left right" of merges.txt or tokenizer.json. */
static sv_status add_merge_line(reader *r, const char *path, size_t where, const char *line, size_t size, sv_error *err) {
    const char *space = memchr(line, ' ', size);
    size_t left = space ? (size_t)(space - line) : 0;
    if (!space || left == 0 || left + 1 == size || memchr(space + 1, ' ', size - left - 1))
        return sv_fail(err, SV_E_MODEL, path, "merge %zu, \"%.*s\", is not two pieces with a space between them", where, (int)(size < 80 ? size : 80), line);
    return sv_bpe_add_merge(r->t->bpe, path, where, line, left, space + 1, size - left - 1, err);
}

static sv_status read_merges_txt(reader *r, const char *path, sv_error *err) {
    char *text;
    size_t size;
    SV_TRY(sv_file_read(path, FILE_LIMIT, &text, &size, err));
    sv_status st = SV_OK;
    size_t where = 0;
    for (char *line = text, *end = text + size; line < end && st == SV_OK;) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((stop ? stop : end) - line);
        size_t kept = length > 0 && line[length - 1] == '\r' ? length - 1 : length;
        bool header = kept >= 8 && memcmp(line, "#version", 8) == 0;
        if (kept > 0 && !header) st = add_merge_line(r, path, ++where, line, kept, err);
        line += length + 1;
    }
    free(text);
    return st;
}

/* Merges of tokenizer.json: "left right" strings, or pairs (tokenizers 0.20 and later). */
static sv_status read_merges_json(reader *r, const char *path, yyjson_val *merges, sv_error *err) {
    if (!yyjson_is_arr(merges)) return sv_fail(err, SV_E_MODEL, path, "model.merges is not an array");
    size_t i, n;
    yyjson_val *m;
    yyjson_arr_foreach(merges, i, n, m) {
        if (yyjson_is_str(m)) {
            SV_TRY(add_merge_line(r, path, i + 1, yyjson_get_str(m), yyjson_get_len(m), err));
            continue;
        }
        yyjson_val *left = yyjson_arr_get(m, 0), *right = yyjson_arr_get(m, 1);
        if (yyjson_arr_size(m) != 2 || !yyjson_is_str(left) || !yyjson_is_str(right))
            return sv_fail(err, SV_E_MODEL, path, "merge %zu is neither a string nor a pair of strings", i + 1);
        SV_TRY(sv_bpe_add_merge(r->t->bpe, path, i + 1, yyjson_get_str(left), yyjson_get_len(left), yyjson_get_str(right), yyjson_get_len(right), err));
    }
    return SV_OK;
}

/* ---- special tokens ---- */

static sv_added_token *find_added(const reader *r, const char *content) {
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->added[i].content, content) == 0) return &r->added[i];
    return NULL;
}

/* Adds a token, or gives a known one other flags (flags: an AddedToken object, or NULL for a plain string, which changes nothing). id: -1 for "as
 * in the vocabulary, or the next free one". A token that the vocabulary has keeps the vocabulary's id. */
static sv_status add_token(reader *r, const char *path, const char *content, size_t size, int64_t id, yyjson_val *flags, bool normalized, sv_error *err) {
    if (size == 0 || strlen(content) != size) return sv_fail(err, SV_E_MODEL, path, "a special token is empty or holds a NUL");
    sv_bpe *bpe = r->t->bpe;
    int32_t known = sv_bpe_find(bpe, content, size);
    if (known < 0) {
        if (id < 0) id = (int64_t)sv_bpe_size(bpe);
        SV_TRY(sv_bpe_add_piece(bpe, path, content, size, id, err));
        known = (int32_t)id;
    }
    sv_added_token *a = find_added(r, content);
    bool is_new = !a;
    if (is_new) {
        sv_added_token *grown = realloc(r->added, (r->count + 1) * sizeof *grown);
        char *copy = sv_strdup(content);
        if (grown) r->added = grown;
        if (!grown || !copy) {
            free(copy);
            return sv_fail_memory(err, path, size);
        }
        a = &r->added[r->count++];
        *a = (sv_added_token){.content = copy, .size = size, .id = known, .normalized = normalized};
    }
    if (flags) {
        yyjson_val *n = yyjson_obj_get(flags, "normalized");
        if (yyjson_is_bool(n)) a->normalized = yyjson_get_bool(n);
        else if (is_new) a->normalized = normalized;
        a->single_word = yyjson_get_bool(yyjson_obj_get(flags, "single_word"));
    }
    return SV_OK;
}

/* A token written as a string, or as an AddedToken object with its text in "content". */
static sv_status token_text(const char *path, const char *key, yyjson_val *v, const char **content, size_t *size, sv_error *err) {
    yyjson_val *text = yyjson_is_obj(v) ? yyjson_obj_get(v, "content") : v;
    if (!yyjson_is_str(text)) return sv_fail(err, SV_E_MODEL, path, "%s is neither a string nor an object with \"content\"", key);
    *content = yyjson_get_str(text);
    *size = yyjson_get_len(text);
    return SV_OK;
}

/* tokenizer.json's added_tokens. */
static sv_status read_added_list(reader *r, const char *path, yyjson_val *list, sv_error *err) {
    size_t i, n;
    yyjson_val *v;
    yyjson_arr_foreach(list, i, n, v) {
        const char *content;
        size_t size;
        SV_TRY(token_text(path, "an entry of added_tokens", v, &content, &size, err));
        yyjson_val *id = yyjson_obj_get(v, "id");
        if (!yyjson_is_int(id)) return sv_fail(err, SV_E_MODEL, path, "added token \"%s\" has no integer id", content);
        SV_TRY(add_token(r, path, content, size, yyjson_get_sint(id), v, !yyjson_get_bool(yyjson_obj_get(v, "special")), err));
    }
    return SV_OK;
}

/* tokenizer_config.json's added_tokens_decoder: id as text -> AddedToken. */
static sv_status read_decoder(reader *r, const char *path, yyjson_val *decoder, sv_error *err) {
    yyjson_obj_iter it = yyjson_obj_iter_with(decoder);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
        const char *name = yyjson_get_str(key), *content;
        size_t size;
        char *end;
        long long id = strtoll(name, &end, 10);
        if (end == name || *end != '\0' || id < 0) return sv_fail(err, SV_E_MODEL, path, "added_tokens_decoder has the key \"%s\", which is no id", name);
        yyjson_val *v = yyjson_obj_iter_get_val(key);
        SV_TRY(token_text(path, "an entry of added_tokens_decoder", v, &content, &size, err));
        SV_TRY(add_token(r, path, content, size, id, v, !yyjson_get_bool(yyjson_obj_get(v, "special")), err));
    }
    return SV_OK;
}

/* added_tokens.json: text -> id; ordinary (not special) tokens, looked for in the normalised text. */
static sv_status read_added_map(reader *r, const char *path, sv_error *err) {
    yyjson_doc *doc;
    SV_TRY(read_json(path, &doc, err));
    sv_status st = SV_OK;
    yyjson_obj_iter it = yyjson_obj_iter_with(yyjson_doc_get_root(doc));
    for (yyjson_val *key; st == SV_OK && (key = yyjson_obj_iter_next(&it));) {
        yyjson_val *id = yyjson_obj_iter_get_val(key);
        if (!yyjson_is_int(id)) st = sv_fail(err, SV_E_MODEL, path, "the id of \"%s\" is not an integer", yyjson_get_str(key));
        else if (!find_added(r, yyjson_get_str(key))) st = add_token(r, path, yyjson_get_str(key), yyjson_get_len(key), yyjson_get_sint(id), NULL, true, err);
    }
    yyjson_doc_free(doc);
    return st;
}

/* The tokens of the four roles (and further special ones) that a file names. add: also as added tokens. */
static sv_status read_roles(reader *r, const char *path, yyjson_val *root, bool add, sv_error *err) {
    static const char *const lists[] = {"additional_special_tokens", "extra_special_tokens"};
    for (int k = 0; k < ROLES; k++) {
        yyjson_val *v = yyjson_obj_get(root, role_keys[k]);
        if (!v || yyjson_is_null(v)) continue;
        const char *content;
        size_t size;
        SV_TRY(token_text(path, role_keys[k], v, &content, &size, err));
        char *copy = sv_strndup(content, size);
        if (!copy) return sv_fail_memory(err, path, size);
        free(r->names[k]);
        r->names[k] = copy;
        if (add && yyjson_is_obj(v) && sv_bpe_find(r->t->bpe, content, size) >= 0)
            SV_TRY(add_token(r, path, content, size, -1, v, false, err));
    }
    for (size_t k = 0; k < 2 && add; k++) {
        size_t i, n;
        yyjson_val *v;
        yyjson_arr_foreach(yyjson_obj_get(root, lists[k]), i, n, v) {
            const char *content;
            size_t size;
            SV_TRY(token_text(path, lists[k], v, &content, &size, err));
            SV_TRY(add_token(r, path, content, size, -1, yyjson_is_obj(v) ? v : NULL, false, err));
        }
    }
    return SV_OK;
}

static sv_status read_config(reader *r, sv_error *err) {
    const char *path = r->paths[CONFIG_JSON], *map = r->paths[SPECIAL_JSON];
    yyjson_doc *doc = NULL;
    yyjson_val *root = NULL, *decoder = NULL;
    sv_status st = SV_OK;
    if (path) {
        SV_TRY(read_json(path, &doc, err));
        root = yyjson_doc_get_root(doc);
        decoder = yyjson_obj_get(root, "added_tokens_decoder");
        yyjson_val *length = yyjson_obj_get(root, "model_max_length");
        double n = yyjson_is_num(length) ? yyjson_get_num(length) : DEFAULT_LENGTH;
        /* transformers writes 1e30 for "not known" */
        if (n > LONGEST_LENGTH) n = DEFAULT_LENGTH;
        if (!(n >= 2)) st = sv_fail(err, SV_E_MODEL, path, "model_max_length is %g; start and end token alone need 2", n);
        else r->t->max_length = (size_t)n;
        if (st == SV_OK && yyjson_is_obj(decoder)) st = read_decoder(r, path, decoder, err);
        if (st == SV_OK) st = read_roles(r, path, root, !yyjson_is_obj(decoder), err);
    }
    bool old_style = !yyjson_is_obj(decoder);
    yyjson_doc_free(doc);
    if (st == SV_OK && old_style && map) {
        st = read_json(map, &doc, err);
        if (st == SV_OK) {
            st = read_roles(r, map, yyjson_doc_get_root(doc), true, err);
            yyjson_doc_free(doc);
        }
    }
    if (st == SV_OK && old_style && r->paths[ADDED_JSON]) st = read_added_map(r, r->paths[ADDED_JSON], err);
    return st;
}

/* Finds the ids of the four roles; each is also a token that is cut out of texts. */
static sv_status settle_roles(reader *r, sv_error *err) {
    static const char *const fallback[ROLES] = {"<|startoftext|>", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>"};
    int32_t *ids[ROLES] = {&r->t->bos, &r->t->eos, NULL, &r->t->pad};
    for (int k = 0; k < ROLES; k++) {
        const char *name = r->names[k] ? r->names[k] : fallback[k];
        int32_t id = sv_bpe_find(r->t->bpe, name, strlen(name));
        if (id < 0 && k == UNK) continue;                  /* never made: every byte has a symbol */
        if (id < 0) return sv_fail(err, SV_E_MODEL, r->dir, "the %s, \"%s\", is not in the vocabulary", role_keys[k], name);
        if (ids[k]) *ids[k] = id;
        if (!find_added(r, name)) SV_TRY(add_token(r, r->dir, name, strlen(name), -1, NULL, false, err));
    }
    return SV_OK;
}

static int longest_first(const void *a, const void *b) {
    size_t x = ((const sv_added_token *)a)->size, y = ((const sv_added_token *)b)->size;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Moves the tokens into the list of raw and the list of normalised ones. */
static sv_status sort_added(reader *r, sv_error *err) {
    for (int pass = 0; pass < 2; pass++) {
        sv_added_tokens *list = pass ? &r->t->normalized : &r->t->raw;
        list->data = calloc(r->count ? r->count : 1, sizeof *list->data);
        if (!list->data) return sv_fail_memory(err, r->dir, r->count * sizeof *list->data);
        for (size_t i = 0; i < r->count; i++) {
            sv_added_token *a = &r->added[i];
            if (a->normalized != (pass == 1)) continue;
            if (pass == 1) {
                sv_buf clean = {0};
                SV_TRY(sv_tokenizer_normalize(a->content, a->size, &clean, err));
                free(a->content);
                a->content = clean.data;
                a->size = clean.size;
            }
            list->data[list->count++] = *a;
            list->starts[(unsigned char)a->content[0]] = true;
            a->content = NULL;
        }
        qsort(list->data, list->count, sizeof *list->data, longest_first);
    }
    return SV_OK;
}

/* ---- files ---- */

/* Whether a normaliser or pre-tokenizer of tokenizer.json is CLIP's: a Sequence of these types. */
static bool is_sequence(yyjson_val *v, const char *items, const char *const *types, size_t n) {
    yyjson_val *list = yyjson_obj_get(v, items);
    if (!is_text(yyjson_obj_get(v, "type"), "Sequence") || yyjson_arr_size(list) != n) return false;
    for (size_t i = 0; i < n; i++)
        if (!is_text(yyjson_obj_get(yyjson_arr_get(list, i), "type"), types[i])) return false;
    return true;
}

static sv_status read_tokenizer_json(reader *r, const char *path, sv_error *err) {
    static const char *const normalizers[] = {"NFC", "Replace", "Lowercase"}, *const splitters[] = {"Split", "ByteLevel"};
    yyjson_doc *doc;
    SV_TRY(read_json(path, &doc, err));
    yyjson_val *root = yyjson_doc_get_root(doc), *model = yyjson_obj_get(root, "model"), *type = yyjson_obj_get(model, "type");
    sv_status st = SV_OK;
    if ((type && !is_text(type, "BPE")) || !is_text(yyjson_obj_get(model, "end_of_word_suffix"), "</w>"))
        st = sv_fail(err, SV_E_MODEL, path, "is not a CLIP tokenizer: its model is %s without the end mark </w>",
                     yyjson_is_str(type) ? yyjson_get_str(type) : "of no known type,");
    else if (!is_sequence(yyjson_obj_get(root, "normalizer"), "normalizers", normalizers, 3))
        st = sv_fail(err, SV_E_MODEL, path, "is not a CLIP tokenizer: its normalizer is not NFC, white space, lower case");
    else if (!is_sequence(yyjson_obj_get(root, "pre_tokenizer"), "pretokenizers", splitters, 2))
        st = sv_fail(err, SV_E_MODEL, path, "is not a CLIP tokenizer: its pre_tokenizer is not CLIP's pattern and bytes");
    if (st == SV_OK) st = read_vocabulary(r, path, yyjson_obj_get(model, "vocab"), err);
    if (st == SV_OK) st = read_merges_json(r, path, yyjson_obj_get(model, "merges"), err);
    if (st == SV_OK) st = sv_bpe_seal(r->t->bpe, path, err);
    if (st == SV_OK) st = read_added_list(r, path, yyjson_obj_get(root, "added_tokens"), err);
    yyjson_doc_free(doc);
    return st;
}

static sv_status read_vocab_and_merges(reader *r, sv_error *err) {
    const char *path = r->paths[VOCAB_JSON];
    yyjson_doc *doc;
    SV_TRY(read_json(path, &doc, err));
    sv_status st = read_vocabulary(r, path, yyjson_doc_get_root(doc), err);
    yyjson_doc_free(doc);
    if (st == SV_OK) st = read_merges_txt(r, r->paths[MERGES_TXT], err);
    return st == SV_OK ? sv_bpe_seal(r->t->bpe, path, err) : st;
}

static sv_status missing_files(const reader *r, sv_error *err) {
    if (!sv_is_dir(r->dir)) {
        sv_fail(err, SV_E_MODEL, r->dir, "%s", sv_file_exists(r->dir) ? "is not a directory" : "there is no such directory");
        return sv_hint(err, SV_E_MODEL, "a tokenizer is a directory with vocab.json and merges.txt, or with tokenizer.json");
    }
    if (r->paths[VOCAB_JSON]) sv_fail(err, SV_E_MODEL, r->dir, "has vocab.json but no merges.txt, and no tokenizer.json");
    else if (r->paths[MERGES_TXT]) sv_fail(err, SV_E_MODEL, r->dir, "has merges.txt but no vocab.json, and no tokenizer.json");
    else sv_fail(err, SV_E_MODEL, r->dir, "has neither tokenizer.json nor vocab.json with merges.txt");
    return sv_hint(err, SV_E_MODEL, "copy tokenizer.json, or vocab.json and merges.txt, from the model's tokenizer folder");
}

sv_status sv_tokenizer_read(sv_tokenizer *t, const char *dir, sv_error *err) {
    reader r = {.t = t, .dir = dir};
    t->max_length = DEFAULT_LENGTH;
    t->bpe = sv_bpe_new();
    sv_status st = t->bpe ? SV_OK : sv_fail_memory(err, dir, 0);
    for (int k = 0; k < 6 && st == SV_OK; k++) {
        r.paths[k] = sv_path_join(dir, file_names[k]);
        if (!r.paths[k]) st = sv_fail_memory(err, dir, 0);
        else if (!sv_is_file(r.paths[k])) {
            free(r.paths[k]);
            r.paths[k] = NULL;
        }
    }
    if (st == SV_OK) {
        if (r.paths[TOKENIZER_JSON]) st = read_tokenizer_json(&r, r.paths[TOKENIZER_JSON], err);
        else if (r.paths[VOCAB_JSON] && r.paths[MERGES_TXT]) st = read_vocab_and_merges(&r, err);
        else st = missing_files(&r, err);
    }
    if (st == SV_OK) st = read_config(&r, err);
    if (st == SV_OK) st = settle_roles(&r, err);
    if (st == SV_OK) st = sort_added(&r, err);
    for (size_t i = 0; i < r.count; i++) free(r.added[i].content);
    free(r.added);
    for (int k = 0; k < ROLES; k++) free(r.names[k]);
    for (int k = 0; k < 6; k++) free(r.paths[k]);
    return st;
}
