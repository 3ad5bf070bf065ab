/* op_clean_links.c - clean_links_mapper: removes web addresses. Data-Juicer's default pattern is matched by hand in linear time (as a backtracking
 * pattern it can take exponential time); a user's own pattern goes to PCRE2. */
#include <stdlib.h>
#include <string.h>

#include "text/ops/op.h"
#include "text/pattern.h"
#include "text/unicode/unicode.h"

typedef struct sv_clean_links {
    char *pattern, *repl;
    sv_pattern *own;
} sv_clean_links;

static const sv_option options[] = {
    {"pattern", SV_OPT_STRING, offsetof(sv_clean_links, pattern), "null", .nullable = true, .help = "regular expression instead of the built-in one"},
    {"repl", SV_OPT_STRING, offsetof(sv_clean_links, repl), "", .help = "what a link is replaced by, taken literally"},
    {0}};

/* The text between two positions, and how far the runs that the pattern begins with reach, so that none is walked twice. */
typedef struct links {
    const char *begin, *end;
    const char *word_end, *host_end;
} links;

/* [a-z] without regard to case, as the regex module has it: with the dotted capital I, the long s and the Kelvin sign. */
static bool is_letter(uint32_t c) { return (c | 32) - 'a' < 26 || c == 0x130 || c == 0x17F || c == 0x212A; }
static bool is_digit(uint32_t c) { return c - '0' < 10; }
static bool is_word(uint32_t c) { return sv_char_is(c, SV_CH_RE_WORD); }
static bool is_host(uint32_t c) { return is_letter(c) || is_digit(c) || c == '.' || c == '-'; }

/* A character inside a link: neither white space nor one of ()<>. */
static bool is_inner(uint32_t c) { return c != '(' && c != ')' && c != '<' && c != '>' && !sv_char_is(c, SV_CH_RE_SPACE); }

/* A character that a link can end with. */
static bool is_last(uint32_t c) {
    if (c < 0x80) return c != 0 ? is_inner(c) && !strchr("`![]{};:'\".,?", (int)c) : true;
    return is_inner(c) && c != 0xAB && c != 0xBB && c != 0x201C && c != 0x201D && c != 0x2018 && c != 0x2019;
}

static bool peek(const char *p, const char *end, uint32_t *c, const char **after) {
    if (p >= end) return false;
    *after = p;
    *c = sv_next_char(after);
    return true;
}

static const char *skip_inner(const char *p, const char *end) {
    uint32_t c;
    const char *after;
    while (peek(p, end, &c, &after) && is_inner(c)) p = after;
    return p;
}

/* A pair of parentheses around inner characters and pairs of one level more; behind it, or NULL. */
static const char *parentheses(const char *p, const char *end) {
    if (p >= end || *p != '(') return NULL;
    for (p++; p < end && *p != ')';) {
        const char *inner = skip_inner(p, end);
        if (inner > p) {
            p = inner;
            continue;
        }
        if (*p != '(') return NULL;
        inner = skip_inner(p + 1, end);
        if (inner == p + 1 || inner == end || *inner != ')') return NULL;
        p = inner + 1;
    }
    return p < end ? p + 1 : NULL;
}

/* What follows the beginning of a link: at least two elements, each an inner character or a pair of parentheses, the last one fit to end a
 * link; as many as possible. Behind it, or NULL. */
static const char *rest_of_link(const char *p, const char *end) {
    const char *best = NULL;
    for (bool first = true;; first = false) {
        uint32_t c;
        const char *after;
        if (!peek(p, end, &c, &after)) return best;
        bool fit = is_last(c);
        if (c == '(') {
            after = parentheses(p, end);
            if (!after) return best;
            fit = true;
        } else if (!is_inner(c)) return best;
        if (!first && fit) best = after;
        p = after;
    }
}

/* scheme: then one to three slashes, or one letter, digit or percent sign. */
static const char *scheme_link(links *t, const char *p) {
    uint32_t c;
    const char *after, *run;
    if (!peek(p, t->end, &c, &after) || !is_letter(c)) return NULL;
    run = after;
    if (run < t->word_end) run = t->word_end;
    else
        for (const char *next; peek(run, t->end, &c, &next) && (is_word(c) || c == '-');) run = next;
    t->word_end = run;
    if (run == after || run >= t->end || *run != ':') return NULL;
    const char *body = run + 1;
    int slashes = 0;
    while (slashes < 3 && body + slashes < t->end && body[slashes] == '/') slashes++;
    for (; slashes > 0; slashes--) {
        const char *link = rest_of_link(body + slashes, t->end);
        if (link) return link;
    }
    if (!peek(body, t->end, &c, &after) || !(is_letter(c) || is_digit(c) || c == '%')) return NULL;
    return rest_of_link(after, t->end);
}

/* www, at most three digits, a full stop. */
static const char *www_link(const links *t, const char *p) {
    for (int i = 0; i < 3; i++, p++)
        if (p >= t->end || (*p | 32) != 'w') return NULL;
    uint32_t c;
    const char *after;
    for (int i = 0; i < 3 && peek(p, t->end, &c, &after) && sv_char_is(c, SV_CH_RE_DIGIT); i++) p = after;
    return p < t->end && *p == '.' ? rest_of_link(p + 1, t->end) : NULL;
}

/* A host with a full stop and two to four letters before its slash. */
static const char *host_link(links *t, const char *p) {
    uint32_t c;
    const char *run = p;
    if (run < t->host_end) run = t->host_end;
    else
        for (const char *next; peek(run, t->end, &c, &next) && is_host(c);) run = next;
    t->host_end = run;
    if (run >= t->end || *run != '/') return NULL;
    int letters = 0;
    const char *stop = run;
    while (stop > p) {
        const char *at = stop;
        c = sv_previous_char(&at);
        if (!is_letter(c)) break;
        if (++letters > 4) return NULL;
        stop = at;
    }
    if (letters < 2 || stop <= p + 1 || stop[-1] != '.') return NULL;
    return rest_of_link(run + 1, t->end);
}

static const char *link_at(links *t, const char *p) {
    const char *end = scheme_link(t, p);
    if (!end) end = www_link(t, p);
    if (!end) end = host_link(t, p);
    return end;
}

static sv_status replace_links(const sv_clean_links *l, sv_scan *s, sv_error *err) {
    links t = {s->text, s->text + s->size, s->text, s->text};
    sv_buf *out = NULL;
    const char *done = t.begin;
    bool word_before = false;
    for (const char *p = t.begin; p < t.end;) {
        const char *after = p;
        bool word = is_word(sv_next_char(&after));
        const char *end = word != word_before ? link_at(&t, p) : NULL;     /* links begin at word boundaries */
        if (!end) {
            word_before = word;
            p = after;
            continue;
        }
        if (!out) out = sv_scan_spare(s);
        sv_buf_add(out, done, (size_t)(p - done));
        sv_buf_puts(out, l->repl);
        const char *last = end;
        word_before = is_word(sv_previous_char(&last));
        done = p = end;
    }
    if (!out) return SV_OK;
    sv_buf_add(out, done, (size_t)(t.end - done));
    return sv_scan_adopt(s, err);
}

static sv_status links_map(const void *state, sv_scan *s, sv_error *err) {
    const sv_clean_links *l = state;
    if (!l->own) return replace_links(l, s, err);
    SV_TRY(sv_pattern_replace(l->own, s->text, s->size, l->repl, sv_scan_spare(s), err));
    return sv_scan_adopt(s, err);
}

static void links_close(void *state) { sv_pattern_close(&((sv_clean_links *)state)->own); }

static sv_status links_open(void *state, const char *where, sv_error *err) {
    sv_clean_links *l = state;
    if (strchr(l->repl, '\\')) return sv_fail(err, SV_E_RECIPE, where, "repl is taken literally and must not hold a backslash");
    if (!l->pattern) return SV_OK;
    size_t n = strlen(l->pattern);
    char quote = n > 2 && l->pattern[0] == 'r' ? l->pattern[1] : 0;
    if ((quote != '\'' && quote != '"') || l->pattern[n - 1] != quote) return sv_pattern_open_regex(&l->own, l->pattern, true, where, err);
    char *inner = sv_strndup(l->pattern + 2, n - 3);      /* r'...', as recipes copied from Python have it */
    if (!inner) return sv_fail_memory(err, where, n);
    sv_status st = sv_pattern_open_regex(&l->own, inner, true, where, err);
    free(inner);
    return st;
}

const sv_op sv_op_clean_links = {
    .info = {"clean_links_mapper", SV_OP_MAPPER, NULL, "removes web addresses"},
    .options = options, .size = sizeof(sv_clean_links), .open = links_open, .close = links_close, .map = links_map};
