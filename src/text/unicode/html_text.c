/* html_text.c - a tokenizer after the HTML standard (13.2.5), and of the tree construction (13.2.6) what decides where text goes. */
#include "text/unicode/html_text.h"

#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "text/unicode/html_entities.h"

/* How the characters after a start tag are read. */
typedef enum content { DATA, RCDATA, RAWTEXT, SCRIPT, PLAINTEXT } content;

/* Where in the document the parser is, as far as text is concerned. */
typedef enum place { BEFORE_HEAD, IN_DOCUMENT, IN_FRAMESET } place;

typedef struct parser {
    const char *p, *end;
    sv_buf *out;
    place place;
    bool frameset_ok;            /* nothing was seen yet that rules out a frameset */
    bool skip_line_feed;         /* the first one after <pre>, <listing>, <textarea> */
    size_t body;                 /* where the body's text begins */
    unsigned templates, foreign; /* open ones */
    /* The outermost open table: where it begins, and whether the parser is between its cells. Text there is moved in front of it. */
    unsigned tables;
    size_t table_at, pending_at; /* pending_at: where the run of characters began that may have to move */
    unsigned moved;              /* elements between cells that are open, and so stand in front of the table with all that is in them */
    bool between_cells;
} parser;

typedef struct tag {
    char name[16];               /* lower case; longer names cannot matter and are cut */
    bool closing, self_closing;
} tag;

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r'; }
static bool is_alpha(char c) { return (unsigned char)((c | 32) - 'a') < 26; }
static bool is_alnum(char c) { return is_alpha(c) || (c >= '0' && c <= '9'); }

/* Whether `name` is one of the words of a list "a b c". */
static bool among(const char *name, const char *list) {
    size_t n = strlen(name);
    for (const char *p = list; (p = strstr(p, name)); p += n)
        if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == 0)) return true;
    return false;
}

/* ---- where text goes ---- */

/* The first thing that is more than white space ends the document's beginning. */
static void enter_document(parser *s) {
    if (s->place == BEFORE_HEAD) {
        s->place = IN_DOCUMENT;
        s->body = s->out->size;
    }
}

/* One run of text between cells is over: if there is more than white space in it, it belongs in front of the table. */
static void settle_run(parser *s) {
    sv_buf *b = s->out;
    if (!s->between_cells || s->pending_at >= b->size || b->failed) return;
    size_t size = b->size - s->pending_at;
    bool moves = s->moved > 0;
    for (size_t i = s->pending_at; i < b->size; i++) moves = moves || !is_space(b->data[i]);
    if (moves) {
        sv_buf run = {0};
        sv_buf_add(&run, b->data + s->pending_at, size);
        if (run.failed) b->failed = true;
        else {
            memmove(b->data + s->table_at + size, b->data + s->table_at, s->pending_at - s->table_at);
            memcpy(b->data + s->table_at, run.data, size);
            s->table_at += size;
        }
        sv_buf_free(&run);
    }
    s->pending_at = b->size;
}

/* One character or the expansion of a reference. */
static void emit(parser *s, const char *text, size_t size) {
    bool blank = size == 1 && is_space(*text);
    if (s->skip_line_feed) {
        s->skip_line_feed = false;
        if (size == 1 && *text == '\n') return;
    }
    if (s->templates) return;
    if (s->place == BEFORE_HEAD) {
        if (blank) return;
        enter_document(s);
    }
    if (s->place == IN_FRAMESET && !blank) return;
    if (!blank) s->frameset_ok = false;
    sv_buf_add(s->out, text, size);
}

/* Plain characters [p, end): line ends become LF; NUL vanishes, or shows as U+FFFD inside raw text. */
static void emit_run(parser *s, const char *p, const char *end, bool raw) {
    while (p < end) {
        if (*p == '\r') {
            emit(s, "\n", 1);
            p += 1 + (p + 1 < s->end && p[1] == '\n');
        } else if (*p == 0) {
            enter_document(s);
            if (raw || s->foreign) emit(s, "\xEF\xBF\xBD", 3);
            p++;
        } else if (s->place == IN_DOCUMENT && !s->skip_line_feed && !s->templates && !is_space(*p)) {   /* many at a time */
            const char *run = p;
            while (p < end && *p != '\r' && *p != 0) p++;
            s->frameset_ok = false;
            sv_buf_add(s->out, run, (size_t)(p - run));
        } else {
            uint32_t cp;
            int n = sv_utf8_decode(p, (size_t)(end - p), &cp);
            emit(s, p, n > 0 ? (size_t)n : 1);
            p += n > 0 ? n : 1;
        }
    }
}

/* ---- character references ---- */

static void emit_code_point(parser *s, uint32_t number) {
    char utf8[4];
    uint32_t c = number;
    if (c == 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) c = 0xFFFD;
    if (c >= 0x80 && c <= 0x9F && !sv_html_numeric(number, &c)) c = number;
    emit(s, utf8, (size_t)sv_utf8_encode(c, utf8));
}

/* At "&": emits what the reference stands for, or the ampersand alone. */
static void reference(parser *s) {
    const char *p = s->p + 1;
    if (p < s->end && *p == '#') {
        bool hex = p + 1 < s->end && (p[1] | 32) == 'x';
        const char *digits = p + 1 + hex;
        uint32_t number = 0;
        const char *d = digits;
        for (; d < s->end; d++) {
            int v = *d >= '0' && *d <= '9' ? *d - '0' : hex && (*d | 32) >= 'a' && (*d | 32) <= 'f' ? (*d | 32) - 'a' + 10 : -1;
            if (v < 0) break;
            if (number <= 0x10FFFF) number = number * (hex ? 16 : 10) + (uint32_t)v;
        }
        if (d > digits) {
            emit_code_point(s, number);
            s->p = d + (d < s->end && *d == ';');
            return;
        }
    } else {
        const char *name = p;
        while (p < s->end && p - name < 40 && is_alnum(*p)) p++;
        const sv_html_entity *e = p < s->end && *p == ';' ? sv_html_entity_find(name, (size_t)(p - name)) : NULL;
        if (e) {
            emit(s, e->text, strlen(e->text));
            s->p = p + 1;
            return;
        }
        if (p - name >= 2 && (e = sv_html_entity_prefix(name, (size_t)(p - name)))) {
            emit(s, e->text, strlen(e->text));
            s->p = name + strlen(e->name);
            return;
        }
    }
    emit(s, "&", 1);
    s->p++;
}

/* ---- tags ---- */

/* Reads a tag's name at s->p and goes through its attributes to behind ">". False if the input ends inside: then the tag was none. */
static bool read_tag(parser *s, tag *t) {
    size_t n = 0;
    for (; s->p < s->end && !is_space(*s->p) && *s->p != '/' && *s->p != '>'; s->p++)
        if (n < sizeof t->name - 1) t->name[n++] = *s->p >= 'A' && *s->p <= 'Z' ? (char)(*s->p + 32) : *s->p ? *s->p : '?';
    t->name[n] = 0;
    t->self_closing = false;
    while (s->p < s->end) {
        if (*s->p == '>') {
            s->p++;
            return true;
        }
        t->self_closing = *s->p == '/' && s->p + 1 < s->end && s->p[1] == '>';
        if (is_space(*s->p) || *s->p == '/') {
            s->p++;
            continue;
        }
        do s->p++;                           /* the name; a leading "=" is part of it */
        while (s->p < s->end && !is_space(*s->p) && *s->p != '/' && *s->p != '>' && *s->p != '=');
        while (s->p < s->end && is_space(*s->p)) s->p++;
        if (s->p >= s->end || *s->p != '=') continue;
        s->p++;
        while (s->p < s->end && is_space(*s->p)) s->p++;
        if (s->p >= s->end) break;
        if (*s->p == '"' || *s->p == '\'') {
            const char *quote = memchr(s->p + 1, *s->p, (size_t)(s->end - s->p - 1));
            if (!quote) break;
            s->p = quote + 1;
        } else
            while (s->p < s->end && !is_space(*s->p) && *s->p != '>') s->p++;
    }
    s->p = s->end;
    return false;
}

/* "<!--" was read: to behind the comment. */
static void skip_comment(parser *s) {
    if (s->p < s->end && *s->p == '>') {
        s->p++;
        return;
    }
    if (s->end - s->p >= 2 && s->p[0] == '-' && s->p[1] == '>') {
        s->p += 2;
        return;
    }
    for (; s->p < s->end; s->p++) {
        if (s->end - s->p >= 3 && memcmp(s->p, "-->", 3) == 0) {
            s->p += 3;
            return;
        }
        if (s->end - s->p >= 4 && memcmp(s->p, "--!>", 4) == 0) {
            s->p += 4;
            return;
        }
    }
}

static void skip_past(parser *s, char c) {
    const char *found = s->p < s->end ? memchr(s->p, c, (size_t)(s->end - s->p)) : NULL;
    s->p = found ? found + 1 : s->end;
}

/* ---- raw text ---- */

/* Whether "</name" stands at p, followed by what ends a tag's name. */
static bool closes(const parser *s, const char *p, const char *name) {
    size_t n = strlen(name);
    if ((size_t)(s->end - p) < n + 3 || p[0] != '<' || p[1] != '/' || strncasecmp(p + 2, name, n) != 0) return false;
    return is_space(p[n + 2]) || p[n + 2] == '/' || p[n + 2] == '>';
}

static bool word_follows(const parser *s, const char *p, const char *word) {
    size_t n = strlen(word);
    return (size_t)(s->end - p) > n && strncasecmp(p, word, n) == 0 && (is_space(p[n]) || p[n] == '/' || p[n] == '>');
}

/* The end of a script: "</script", but not within "<!-- <script> … </script> -->". */
static const char *script_end(const parser *s, const char *p) {
    enum { PLAIN, ESCAPED, DOUBLE } state = PLAIN;
    for (; p < s->end; p++) {
        size_t left = (size_t)(s->end - p);
        if (state == PLAIN && left >= 4 && memcmp(p, "<!--", 4) == 0) {
            state = ESCAPED;
            p += 1;                          /* "<!-->" ends it again */
        } else if (state != PLAIN && left >= 3 && memcmp(p, "-->", 3) == 0) state = PLAIN;
        else if (state != DOUBLE && closes(s, p, "script")) return p;
        else if (state == ESCAPED && *p == '<' && word_follows(s, p + 1, "script")) state = DOUBLE;
        else if (state == DOUBLE && closes(s, p, "script")) state = ESCAPED;
    }
    return s->end;
}

/* Everything up to the end tag is text. */
static void read_raw(parser *s, content how, const char *name) {
    const char *stop = s->p;
    if (how == SCRIPT) stop = script_end(s, s->p);
    else if (how == PLAINTEXT) stop = s->end;
    else
        while (stop < s->end && !closes(s, stop, name)) stop++;
    if (how == RCDATA) {
        while (s->p < stop) {
            const char *amp = memchr(s->p, '&', (size_t)(stop - s->p));
            emit_run(s, s->p, amp ? amp : stop, true);
            s->p = amp ? amp : stop;
            if (amp) reference(s);
        }
    } else emit_run(s, s->p, stop, true);
    s->p = stop;
    if (stop < s->end) {                     /* the end tag itself */
        tag t = {.closing = true};
        s->p += 2;
        read_tag(s, &t);
    }
}

/* ---- tree construction ---- */

static const char head_tags[] = "base basefont bgsound link meta title noscript noframes style script template";
static const char breaks_out[] = "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta "
                                 "nobr ol p pre ruby s small span strong strike sub sup table tt u ul var";
static const char rules_out_frameset[] = "body pre listing li dd dt button applet marquee object table area br embed img keygen wbr input hr "
                                         "textarea xmp iframe select";
static const char no_content[] = "area base basefont bgsound br col embed form frame head hr img input keygen link meta param source track wbr";
static const char cells[] = "td th caption";
static const char rows[] = "tr tbody thead tfoot colgroup col";

static void table_tag(parser *s, const tag *t) {
    bool table = strcmp(t->name, "table") == 0;
    settle_run(s);
    s->moved = 0;
    if (table && !t->closing) {
        if (s->tables++ == 0) s->table_at = s->out->size;
        s->between_cells = s->tables == 1;
    } else if (table && s->tables) {
        s->tables--;
        s->between_cells = false;
    } else if (s->tables == 1 && among(t->name, cells)) s->between_cells = t->closing;
    else if (s->tables == 1 && among(t->name, rows)) s->between_cells = true;
    s->pending_at = s->out->size;
}

/* The text of a style or script that stands between cells stays there. */
static void read_unshown(parser *s, content how, const char *name) {
    read_raw(s, how, name);
    if (s->between_cells && !s->moved) s->pending_at = s->out->size;
}

static void start_tag(parser *s, const tag *t) {
    const char *name = t->name;
    if (s->foreign && among(name, breaks_out)) s->foreign = 0;
    if (s->foreign) {
        if (!t->self_closing && (strcmp(name, "svg") == 0 || strcmp(name, "math") == 0)) s->foreign++;
        return;
    }
    if (strcmp(name, "html") == 0) return;
    if (s->place == IN_FRAMESET) {
        if (strcmp(name, "noframes") == 0) read_raw(s, RAWTEXT, name);
        return;
    }
    if (strcmp(name, "frameset") == 0 && s->frameset_ok) {
        enter_document(s);
        s->out->size = s->body;
        s->place = IN_FRAMESET;
        return;
    }
    bool in_head = s->place == BEFORE_HEAD && (strcmp(name, "head") == 0 || among(name, head_tags));
    enter_document(s);
    if (in_head) s->body = s->out->size;
    if (among(name, rules_out_frameset)) s->frameset_ok = false;
    if (strcmp(name, "table") == 0 || (s->tables && (among(name, cells) || among(name, rows)))) table_tag(s, t);
    else if (among(name, "svg math")) s->foreign += !t->self_closing;
    else if (strcmp(name, "template") == 0) s->templates++;
    else if (among(name, "pre listing")) s->skip_line_feed = true;
    else if (strcmp(name, "textarea") == 0) {
        s->skip_line_feed = true;
        read_raw(s, RCDATA, name);
        s->skip_line_feed = false;
    } else if (strcmp(name, "title") == 0) read_raw(s, RCDATA, name);
    else if (strcmp(name, "style") == 0) read_unshown(s, RAWTEXT, name);
    else if (strcmp(name, "script") == 0) read_unshown(s, SCRIPT, name);
    else if (among(name, "xmp iframe noembed noframes")) read_raw(s, RAWTEXT, name);
    else if (strcmp(name, "plaintext") == 0) read_raw(s, PLAINTEXT, name);
    else if (s->between_cells && !among(name, no_content)) s->moved++;
}

static void end_tag(parser *s, const tag *t) {
    const char *name = t->name;
    if (s->foreign) {
        if (among(name, "br p")) s->foreign = 0;
        else {
            s->foreign -= strcmp(name, "svg") == 0 || strcmp(name, "math") == 0;
            return;
        }
    }
    if (strcmp(name, "br") == 0) s->frameset_ok = false;      /* it counts as a start tag */
    if (s->place == BEFORE_HEAD) {
        if (among(name, "head body html br")) enter_document(s);
        return;
    }
    if (strcmp(name, "template") == 0) s->templates -= s->templates > 0;
    else if (s->tables && (strcmp(name, "table") == 0 || among(name, cells) || among(name, rows))) table_tag(s, t);
    else if (s->between_cells && s->moved && !among(name, no_content)) s->moved--;
}

/* At "<". */
static void markup(parser *s) {
    const char *p = s->p + 1;
    bool closing = p < s->end && *p == '/';
    if (closing) p++;
    if (p < s->end && is_alpha(*p)) {
        tag t = {.closing = closing};
        s->p = p;
        s->skip_line_feed = false;
        if (!read_tag(s, &t)) return;
        settle_run(s);
        if (closing) end_tag(s, &t);
        else start_tag(s, &t);
        return;
    }
    bool comment = p < s->end && (closing || *p == '!' || *p == '?');
    if (comment) settle_run(s);
    if (closing && comment) {                /* "</>" is nothing, anything else a comment */
        s->p = p;
        skip_past(s, '>');
    } else if (comment && *p == '!') {
        s->p = p + 1;
        if (s->end - s->p >= 2 && memcmp(s->p, "--", 2) == 0) {
            s->p += 2;
            skip_comment(s);
        } else if (s->foreign && s->end - s->p >= 7 && memcmp(s->p, "[CDATA[", 7) == 0) {
            const char *stop = memmem(s->p + 7, (size_t)(s->end - s->p - 7), "]]>", 3);
            emit_run(s, s->p + 7, stop ? stop : s->end, true);
            s->p = stop ? stop + 3 : s->end;
        } else skip_past(s, '>');
    } else if (comment) skip_past(s, '>');
    else {                                   /* a character like others */
        emit(s, "<", 1);
        s->p++;
        if (closing) {                       /* the input ends behind "</" */
            emit(s, "/", 1);
            s->p++;
        }
    }
}

sv_status sv_html_text(const char *html, size_t size, sv_buf *out, sv_error *err) {
    parser s = {.p = html, .end = html + size, .out = out, .frameset_ok = true, .body = out->size};
    while (s.p < s.end) {
        const char *stop = s.p;
        while (stop < s.end && *stop != '<' && *stop != '&') stop++;
        emit_run(&s, s.p, stop, false);
        s.p = stop;
        if (stop == s.end) break;
        if (*stop == '&') reference(&s);
        else markup(&s);
    }
    settle_run(&s);
    return sv_buf_ok(out, err);
}
