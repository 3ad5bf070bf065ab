/* help_text.c - help texts laid out for the width of the terminal, at most 100 columns. */
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "args.h"

enum { LEAST_WIDTH = 60, MOST_WIDTH = 100, FLAG_COLUMN = 31 };

static int width_of(FILE *out) {
    struct winsize size;
    if (!isatty(fileno(out)) || ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col > MOST_WIDTH || !size.ws_col) return MOST_WIDTH;
    return size.ws_col < LEAST_WIDTH ? LEAST_WIDTH : size.ws_col;
}

/* Columns of n bytes of UTF-8; help texts hold no wide or combining characters. */
static int columns(const char *s, size_t n) {
    int count = 0;
    for (size_t i = 0; i < n; i++) count += (s[i] & 0xC0) != 0x80;
    return count;
}

/* Writes the words of s[0..n) from column `at` on, in lines of `width` columns; every line after the first is indented. Returns the column. */
static int put_words(FILE *out, const char *s, size_t n, int at, int indent, int width) {
    for (size_t i = 0; i < n;) {
        if (s[i] == ' ') {
            i++;
            continue;
        }
        size_t end = i;
        while (end < n && s[end] != ' ') end++;
        int w = columns(s + i, end - i);
        if (at > indent && at + 1 + w > width) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
        } else if (at > indent) {
            putc(' ', out);
            at++;
        }
        fwrite(s + i, 1, end - i, out);
        at += w;
        i = end;
    }
    return at;
}

/* An indented line: of two columns ("  NAME   what it is") the second is folded; anything else is a command to copy and stays whole. */
static void put_indented(FILE *out, const char *s, size_t n, int width) {
    size_t begin = strspn(s, " "), gap = begin, right = 0;
    while (gap + 1 < n && !(s[gap] == ' ' && s[gap + 1] == ' ')) gap++;
    if (gap + 1 < n) right = gap + strspn(s + gap, " ");
    if (right && right < n) {
        fwrite(s, 1, right, out);
        put_words(out, s + right, n - right, (int)right, (int)right, width);
    } else {
        fwrite(s, 1, n, out);
    }
    putc('\n', out);
}

/* Paragraphs are filled; empty and indented lines, and those that begin with "Example", begin anew. */
static void put_about(FILE *out, const char *s, int width) {
    int at = 0;
    size_t left = strlen(s);
    while (left && s[left - 1] == '\n') left--;
    for (const char *end = s + left; s < end;) {
        const char *stop = memchr(s, '\n', (size_t)(end - s));
        size_t n = (size_t)((stop ? stop : end) - s);
        bool fresh = !n || s[0] == ' ' || !strncmp(s, "Example", 7);
        if (at && fresh) {
            putc('\n', out);
            at = 0;
        }
        if (!n)
            putc('\n', out);
        else if (fresh)
            put_indented(out, s, n, width);
        else
            at = put_words(out, s, n, at, 0, width);
        s += n + 1;
    }
    fputs(at ? "\n\n" : "\n", out);
}

static void put_flags(FILE *out, const sv_flag *f, int width) {
    for (; f && f->name; f++) {
        char left[64];
        snprintf(left, sizeof left, "  %s%c%s--%s%s%s", f->letter ? "-" : "", f->letter ? f->letter : ' ', f->letter ? ", " : "   ", f->name, f->value ? " " : "",
                 f->value ? f->value : "");
        fprintf(out, "%-*s ", FLAG_COLUMN - 1, left);
        put_words(out, f->help, strlen(f->help), FLAG_COLUMN, FLAG_COLUMN, width);
        putc('\n', out);
    }
}

void sv_cli_help(const sv_command *c, FILE *out) {
    static const sv_flag common[] = {SV_COMMON_FLAGS, {0}};
    int width = width_of(out), hang = (int)strlen("synthvlm  ") + (int)strlen(c->name);
    fprintf(out, "synthvlm %s ", c->name);
    put_words(out, c->usage, strlen(c->usage), hang, hang, width);
    fprintf(out, "\n\n");
    put_words(out, c->summary, strlen(c->summary), 0, 0, width - 1);
    fprintf(out, ".\n\n");
    if (c->about) put_about(out, c->about, width);
    fprintf(out, "Options\n");
    put_flags(out, c->flags, width);
    put_flags(out, common, width);
}
