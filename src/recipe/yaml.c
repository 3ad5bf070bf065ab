#include "recipe/yaml.h"

#include <ctype.h>
#include <errno.h>
#include <libfyaml.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* No recipe comes near these; a file made to exhaust memory (nested lists, aliases of aliases) ends at them. */
#define MAX_DEPTH 60
#define MAX_NODES 200000

typedef struct anchor {
    char *name;
    const sv_yaml *node;
} anchor;

typedef struct parse_state {
    struct fy_parser *parser;
    struct fy_diag *diag;
    const char *name;
    bool from_set;
    size_t nodes;
    anchor *anchors;
    size_t anchor_count;
    sv_error *err;
} parse_state;

/* ---- the tree ---- */

void sv_yaml_free(sv_yaml **y) {
    if (!y || !*y) return;
    for (size_t i = 0; i < (*y)->count; i++) {
        free((*y)->items[i].key);
        sv_yaml_free(&(*y)->items[i].node);
    }
    free((*y)->items);
    free((*y)->text);
    free(*y);
    *y = NULL;
}

static sv_yaml *new_node(sv_yaml_kind kind, int line, int column, bool from_set) {
    sv_yaml *y = calloc(1, sizeof *y);
    if (!y) return NULL;
    y->kind = kind;
    y->line = from_set ? 0 : line;
    y->column = from_set ? 0 : column;
    y->from_set = from_set;
    return y;
}

/* Appends; takes over node, copies key. False when memory runs out (node is then freed). */
static bool add_item(sv_yaml *y, const char *key, int line, int column, sv_yaml *node) {
    if (y->count == y->capacity) {
        size_t capacity = y->capacity ? y->capacity * 2 : 8;
        sv_yaml_item *grown = realloc(y->items, capacity * sizeof *grown);
        if (!grown) {
            sv_yaml_free(&node);
            return false;
        }
        y->items = grown;
        y->capacity = capacity;
    }
    char *copy = key ? sv_strdup(key) : NULL;
    if (key && !copy) {
        sv_yaml_free(&node);
        return false;
    }
    y->items[y->count++] = (sv_yaml_item){copy, line, column, node};
    return true;
}

static sv_yaml_item *find_item(const sv_yaml *y, const char *key) {
    if (!y || y->kind != SV_YAML_MAP) return NULL;
    for (size_t i = 0; i < y->count; i++)
        if (strcmp(y->items[i].key, key) == 0) return &y->items[i];
    return NULL;
}

sv_yaml *sv_yaml_get(const sv_yaml *y, const char *key) {
    const sv_yaml_item *item = find_item(y, key);
    return item ? item->node : NULL;
}

const char *sv_yaml_kind_text(const sv_yaml *y) {
    switch (y->kind) {
    case SV_YAML_NULL: return "null";
    case SV_YAML_BOOL: return "true or false";
    case SV_YAML_INT: return "an integer";
    case SV_YAML_REAL: return "a number";
    case SV_YAML_TEXT: return "text";
    case SV_YAML_LIST: return "a list";
    case SV_YAML_MAP: return "a map";
    }
    return "";
}

/* ---- errors with their place ---- */

static sv_status fail_at(const parse_state *p, int line, int column, const char *why) {
    char what[256];
    if (p->from_set) snprintf(what, sizeof what, "%s", p->name);
    else snprintf(what, sizeof what, "%s:%d:%d", p->name, line, column);
    return sv_fail(p->err, SV_E_RECIPE, what, "%s", why);
}

/* ---- scalars ---- */

static bool one_of(const char *s, const char *const *words) {
    for (; *words; words++)
        if (strcasecmp(s, *words) == 0) return true;
    return false;
}

/* YAML 1.2 core schema: [-+]? [0-9]+ | 0x… | 0o… */
static bool looks_integer(const char *s, int *base, const char **digits) {
    *base = 10;
    *digits = s;
    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'o')) {
        *base = s[1] == 'x' ? 16 : 8;
        *digits = s + 2;
    } else if (*s == '-' || *s == '+') {
        *digits = s + 1;
    }
    const char *d = *digits;
    if (!*d) return false;
    for (; *d; d++) {
        if (*base == 16 ? !isxdigit((unsigned char)*d) : (*d < '0' || *d > (*base == 8 ? '7' : '9'))) return false;
    }
    return true;
}

/* [-+]? (\.[0-9]+ | [0-9]+(\.[0-9]*)?) ([eE][-+]?[0-9]+)? */
static bool looks_real(const char *s) {
    if (*s == '-' || *s == '+') s++;
    size_t whole = strspn(s, "0123456789");
    s += whole;
    size_t part = 0;
    if (*s == '.') {
        s++;
        part = strspn(s, "0123456789");
        s += part;
    }
    if (whole + part == 0) return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '-' || *s == '+') s++;
        size_t digits = strspn(s, "0123456789");
        if (!digits) return false;
        s += digits;
    }
    return *s == '\0';
}

/* Gives a plain scalar its type, or says why its reading would be a guess. */
static sv_status resolve(parse_state *p, sv_yaml *y) {
    static const char *const nulls[] = {"", "~", "null", NULL};
    static const char *const old_booleans[] = {"yes", "no", "on", "off", NULL};
    static const char *const not_finite[] = {".inf", "+.inf", "-.inf", ".nan", NULL};
    const char *s = y->text;
    int base;
    const char *digits;
    if (one_of(s, nulls)) {
        y->kind = SV_YAML_NULL;
    } else if (strcasecmp(s, "true") == 0 || strcasecmp(s, "false") == 0) {
        y->kind = SV_YAML_BOOL;
        y->value.boolean = tolower((unsigned char)*s) == 't';
    } else if (one_of(s, old_booleans)) {
        char why[128];
        snprintf(why, sizeof why, "%.8s is text in YAML 1.2, but true or false in YAML 1.1", s);
        return sv_hint(p->err, fail_at(p, y->line, y->column, why), "write true or false, or \"%s\" in quotes for the word", s);
    } else if (one_of(s, not_finite)) {
        return fail_at(p, y->line, y->column, "a number here must be finite");
    } else if (looks_integer(s, &base, &digits)) {
        if (base == 10 && digits[0] == '0' && digits[1]) {
            sv_status st = fail_at(p, y->line, y->column, "a number with a leading zero is octal in YAML 1.1 and decimal in YAML 1.2");
            return sv_hint(p->err, st, "leave the zero out, or write \"%.40s\" in quotes for text", s);
        }
        errno = 0;
        uint64_t v = strtoull(digits, NULL, base);
        bool negative = *s == '-';
        if (errno || (negative && v > (uint64_t)INT64_MAX + 1)) return fail_at(p, y->line, y->column, "the number does not fit 64 bits");
        y->kind = SV_YAML_INT;
        y->value.integer.magnitude = v;
        y->value.integer.negative = negative && v;
    } else if (looks_real(s)) {
        y->kind = SV_YAML_REAL;
        y->value.real = strtod(s, NULL);
        if (!isfinite(y->value.real)) return fail_at(p, y->line, y->column, "the number is too large");
    }
    return SV_OK;
}

/* ---- libfyaml's events to the tree ---- */

static sv_status memory(parse_state *p) { return sv_fail_memory(p->err, p->name, 0); }

static void mark_of(const struct fy_mark *m, int *line, int *column) {
    *line = m ? m->line + 1 : 1;
    *column = m ? m->column + 1 : 1;
}

static sv_status token_text(parse_state *p, struct fy_token *token, int line, int column, char **out) {
    size_t size = 0;
    const char *text = token ? fy_token_get_text(token, &size) : "";
    if (!text) return memory(p);
    if (memchr(text, 0, size)) return fail_at(p, line, column, "holds a NUL character");
    *out = sv_strndup(text, size);
    return *out ? SV_OK : memory(p);
}

static sv_yaml *copy_tree(parse_state *p, const sv_yaml *in) {
    if (++p->nodes > MAX_NODES) return NULL;
    sv_yaml *out = new_node(in->kind, in->line, in->column, in->from_set);
    if (!out) return NULL;
    out->quoted = in->quoted;
    out->value = in->value;
    if (in->text && !(out->text = sv_strdup(in->text))) goto fail;
    for (size_t i = 0; i < in->count; i++) {
        sv_yaml *child = copy_tree(p, in->items[i].node);
        if (!child || !add_item(out, in->items[i].key, in->items[i].line, in->items[i].column, child)) goto fail;
    }
    return out;
fail:
    sv_yaml_free(&out);
    return NULL;
}

static sv_status keep_anchor(parse_state *p, struct fy_token *token, const sv_yaml *node, int line, int column) {
    if (!token) return SV_OK;
    anchor *grown = realloc(p->anchors, (p->anchor_count + 1) * sizeof *grown);
    if (!grown) return memory(p);
    p->anchors = grown;
    char *name = NULL;
    SV_TRY(token_text(p, token, line, column, &name));
    p->anchors[p->anchor_count++] = (anchor){name, node};
    return SV_OK;
}

static sv_status read_alias(parse_state *p, struct fy_token *token, int line, int column, sv_yaml **out) {
    char *name = NULL, why[160];
    SV_TRY(token_text(p, token, line, column, &name));
    const sv_yaml *target = NULL;
    for (size_t i = p->anchor_count; i-- > 0 && !target;)
        if (strcmp(p->anchors[i].name, name) == 0) target = p->anchors[i].node;
    snprintf(why, sizeof why, "the alias *%.60s has no anchor before it", name);
    free(name);
    if (!target) return fail_at(p, line, column, why);
    *out = copy_tree(p, target);
    if (*out) return SV_OK;
    return p->nodes > MAX_NODES ? fail_at(p, line, column, "aliases expand to more values than a recipe can have") : memory(p);
}

/* Reads a tag: only !!str (the scalar is text, whatever it looks like) and the tags that say what is so anyway. */
static sv_status read_tag(parse_state *p, struct fy_token *token, int line, int column, bool *is_text) {
    *is_text = false;
    if (!token) return SV_OK;
    size_t size = 0;
    const char *suffix = fy_tag_token_suffix(token, &size);
    static const char *const known[] = {"str", "map", "seq", NULL};
    for (const char *const *k = known; *k && suffix; k++) {
        if (size == strlen(*k) && memcmp(suffix, *k, size) == 0) {
            *is_text = k == known;
            return SV_OK;
        }
    }
    return fail_at(p, line, column, "tags other than !!str, !!map and !!seq are not understood");
}

static sv_status next_event(parse_state *p, struct fy_event **out) {
    *out = fy_parser_parse(p->parser);
    if (!fy_parser_get_stream_error(p->parser) && !fy_diag_got_error(p->diag)) return SV_OK;
    void *walk = NULL;
    struct fy_diag_error *e = fy_diag_errors_iterate(p->diag, &walk);
    if (*out) fy_parser_event_free(p->parser, *out);
    *out = NULL;
    if (!e) return fail_at(p, 1, 1, "not YAML");
    char why[400];
    snprintf(why, sizeof why, "not YAML: %.380s", e->msg ? e->msg : "syntax error");
    for (char *c = why; *c; c++)
        if ((unsigned char)*c < 0x20) *c = ' ';
    return fail_at(p, e->line > 0 ? e->line : 1, e->column > 0 ? e->column : 1, why);
}

static sv_status read_value(parse_state *p, struct fy_event *event, int depth, sv_yaml **out);

static sv_status read_key(parse_state *p, struct fy_event *event, const sv_yaml *map, char **key, int *line, int *column) {
    mark_of(fy_event_start_mark(event), line, column);
    if (event->type != FYET_SCALAR) return fail_at(p, *line, *column, "a key must be text");
    SV_TRY(token_text(p, event->scalar.value, *line, *column, key));
    const sv_yaml_item *before = find_item(map, *key);
    char why[256];
    if (!**key) return fail_at(p, *line, *column, "a key must not be empty");
    if (strcmp(*key, "<<") == 0) {
        sv_status st = fail_at(p, *line, *column, "merge keys (<<) are not part of YAML 1.2");
        return sv_hint(p->err, st, "write the keys out, or use an alias for a whole value");
    }
    if (!before) return SV_OK;
    if (p->from_set) snprintf(why, sizeof why, "the key \"%.100s\" is there twice", *key);
    else snprintf(why, sizeof why, "the key \"%.100s\" is there twice, first at %d:%d", *key, before->line, before->column);
    return fail_at(p, *line, *column, why);
}

/* Reads the items of the list or map that `event` opened, up to its end. */
static sv_status read_items(parse_state *p, sv_yaml *y, int depth) {
    for (;;) {
        struct fy_event *event;
        SV_TRY(next_event(p, &event));
        if (!event) return fail_at(p, y->line, y->column, "ends in the middle");
        bool end = event->type == (y->kind == SV_YAML_MAP ? FYET_MAPPING_END : FYET_SEQUENCE_END);
        char *key = NULL;
        int line = 0, column = 0;
        sv_status st = SV_OK;
        if (!end && y->kind == SV_YAML_MAP) {
            st = read_key(p, event, y, &key, &line, &column);
            fy_parser_event_free(p->parser, event);
            event = NULL;
            if (st == SV_OK) st = next_event(p, &event);
            if (st == SV_OK && !event) st = fail_at(p, line, column, "ends in the middle");
        }
        sv_yaml *child = NULL;
        if (!end && st == SV_OK) st = read_value(p, event, depth, &child);
        if (event) fy_parser_event_free(p->parser, event);
        if (!end && st == SV_OK && !add_item(y, key, line, column, child)) st = memory(p);
        free(key);
        if (end || st != SV_OK) return st;
    }
}

static sv_status read_value(parse_state *p, struct fy_event *event, int depth, sv_yaml **out) {
    int line, column;
    mark_of(fy_event_start_mark(event), &line, &column);
    enum fy_scalar_style style = event->type == FYET_SCALAR && event->scalar.value ? fy_token_scalar_style(event->scalar.value) : FYSS_PLAIN;
    bool behind = style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED || event->type == FYET_ALIAS;
    if (behind) column--;   /* the mark is that of the character after the quote or star */
    if (depth > MAX_DEPTH) return fail_at(p, line, column, "nested too deeply");
    if (++p->nodes > MAX_NODES) return fail_at(p, line, column, "more values than a recipe can have");
    if (event->type == FYET_ALIAS) return read_alias(p, event->alias.anchor, line, column, out);

    struct fy_token *tag, *anchor_token;
    sv_yaml_kind kind;
    if (event->type == FYET_SCALAR) kind = SV_YAML_TEXT, tag = event->scalar.tag, anchor_token = event->scalar.anchor;
    else if (event->type == FYET_SEQUENCE_START) kind = SV_YAML_LIST, tag = event->sequence_start.tag, anchor_token = event->sequence_start.anchor;
    else if (event->type == FYET_MAPPING_START) kind = SV_YAML_MAP, tag = event->mapping_start.tag, anchor_token = event->mapping_start.anchor;
    else return fail_at(p, line, column, "not YAML: a value is missing");

    bool is_text;
    SV_TRY(read_tag(p, tag, line, column, &is_text));
    sv_yaml *y = new_node(kind, line, column, p->from_set);
    if (!y) return memory(p);
    sv_status st = SV_OK;
    if (kind == SV_YAML_TEXT) {
        y->quoted = is_text || style != FYSS_PLAIN;
        st = token_text(p, event->scalar.value, line, column, &y->text);
        if (st == SV_OK && !y->quoted) st = resolve(p, y);
    } else {
        st = read_items(p, y, depth + 1);
    }
    /* The anchor counts only once its value is complete, so that no value can hold itself. */
    if (st == SV_OK) st = keep_anchor(p, anchor_token, y, line, column);
    if (st != SV_OK) sv_yaml_free(&y);
    *out = y;
    return st;
}

/* libfyaml takes any bytes; a file in another encoding is told so here, with its place. */
static sv_status check_bytes(parse_state *p, const char *text, size_t size) {
    size_t good = sv_utf8_valid(text, size);
    const char *nul = memchr(text, 0, size);
    if (good == size && !nul) return SV_OK;
    size_t at = nul && (size_t)(nul - text) < good ? (size_t)(nul - text) : good;
    int line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        column = text[i] == '\n' ? 1 : column + (((unsigned char)text[i] & 0xC0) != 0x80);
        line += text[i] == '\n';
    }
    if (at < good) return fail_at(p, line, column, "not text: holds a NUL byte");
    sv_status st = fail_at(p, line, column, "not valid UTF-8 text");
    return p->from_set ? st : sv_hint(p->err, st, "save the file as UTF-8");
}

static sv_status read_document(parse_state *p, sv_yaml **out) {
    bool done = false;
    while (!done) {
        struct fy_event *event;
        SV_TRY(next_event(p, &event));
        if (!event) break;
        sv_status st = SV_OK;
        int line, column;
        mark_of(fy_event_start_mark(event), &line, &column);
        switch (event->type) {
        case FYET_STREAM_START:
        case FYET_DOCUMENT_END: break;
        case FYET_DOCUMENT_START:
            if (*out) st = fail_at(p, line, column, "a second document begins here; a recipe is one document");
            break;
        case FYET_STREAM_END: done = true; break;
        default: st = read_value(p, event, 0, out); break;
        }
        fy_parser_event_free(p->parser, event);
        if (st != SV_OK) return st;
    }
    return SV_OK;
}

sv_status sv_yaml_parse(sv_yaml **out, const char *text, size_t size, const char *name, bool from_set, sv_error *err) {
    parse_state p = {.name = name, .from_set = from_set, .err = err};
    *out = NULL;
    if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) text += 3, size -= 3;
    SV_TRY(check_bytes(&p, text, size));
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    diag_cfg.output_fn = NULL;
    p.diag = fy_diag_create(&diag_cfg);
    if (!p.diag) return memory(&p);
    fy_diag_set_collect_errors(p.diag, true);
    struct fy_parse_cfg cfg = {.search_path = "", .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE,
                               .diag = p.diag};
    p.parser = fy_parser_create(&cfg);
    sv_status st = !p.parser || fy_parser_set_string(p.parser, text, size) ? memory(&p) : read_document(&p, out);
    if (st != SV_OK) sv_yaml_free(out);
    if (p.parser) fy_parser_destroy(p.parser);
    fy_diag_destroy(p.diag);
    for (size_t i = 0; i < p.anchor_count; i++) free(p.anchors[i].name);
    free(p.anchors);
    return st;
}
