#include "text/view.h"

#include <string.h>

#include "base/error.h"
#include "text/unicode/unicode.h"

#define END_TOKEN "<|__dj__eoc|>"

static const struct {
    const char *name, *image;    /* image: the token in front, NULL: no wrapping */
} views[] = {[SV_VIEW_BARE] = {"bare", NULL}, [SV_VIEW_LLAVA] = {"llava", "<image>"}, [SV_VIEW_DATA_JUICER] = {"data-juicer", "<__dj__image>"}};
enum { VIEWS = sizeof views / sizeof *views };

sv_status sv_view_parse(const char *name, sv_view *out, sv_error *err) {
    for (int i = 0; i < VIEWS; i++)
        if (strcmp(views[i].name, name) == 0) {
            *out = (sv_view)i;
            return SV_OK;
        }
    return sv_fail(err, SV_E_USAGE, "view", "must be bare, llava or data-juicer, not \"%s\"", name);
}

const char *sv_view_name(sv_view view) { return views[view].name; }

sv_status sv_view_set(sv_view view, sv_scan *s, const char *text, size_t size, sv_error *err) {
    if (!views[view].image) {
        sv_scan_set(s, text, size);
        return SV_OK;
    }
    char before[32];
    size_t n = strlen(views[view].image);
    memcpy(before, views[view].image, n);
    memcpy(before + n, "\n", 2);
    return sv_scan_set_wrapped(s, before, text, size, " " END_TOKEN, err);
}

void sv_view_unwrap(sv_view view, const char **text, size_t *size) {
    const char *image = views[view].image;
    if (!image) return;
    const char *begin = *text, *end = begin + *size;
    size_t head = strlen(image), tail = strlen(END_TOKEN);
    if ((size_t)(end - begin) >= head && memcmp(begin, image, head) == 0) {
        begin += head;
        if (begin < end && (*begin == '\n' || *begin == ' ')) begin++;
    }
    if ((size_t)(end - begin) >= tail && memcmp(end - tail, END_TOKEN, tail) == 0) {
        end -= tail;
        if (end > begin && end[-1] == ' ') end--;
    }
    *text = begin;
    *size = (size_t)(end - begin);
}

/* The first place of `what` in a text, or its end. */
static const char *find(const char *p, const char *end, const char *what) {
    size_t n = strlen(what);
    for (; (size_t)(end - p) >= n; p++)
        if (memcmp(p, what, n) == 0) return p;
    return end;
}

/* str.replace(what, "").strip(), in place. */
static void remove_token(sv_buf *b, const char *what) {
    size_t n = strlen(what);
    char *to = b->data;
    for (const char *p = b->data, *end = p + b->size; p < end;) {
        const char *at = find(p, end, what);
        memmove(to, p, (size_t)(at - p));
        to += at - p;
        p = at < end ? at + n : end;
    }
    const char *text = b->data;
    size_t size = (size_t)(to - b->data);
    sv_strip(&text, &size);
    memmove(b->data, text, size);
    b->size = size;
    b->data[size] = 0;
}

sv_status sv_view_spoken(sv_view view, bool wrapped, const char *text, size_t size, sv_buf *out, bool *spoken, sv_error *err) {
    const char *image = views[view].image ? views[view].image : views[SV_VIEW_DATA_JUICER].image;
    sv_buf whole = {0};
    sv_buf_clear(out);
    *spoken = false;
    if (!wrapped || !views[view].image) {
        sv_buf_puts(&whole, image);
        sv_buf_putc(&whole, '\n');
        sv_buf_add(&whole, text, size);
        sv_buf_puts(&whole, " " END_TOKEN);
    } else
        sv_buf_add(&whole, text, size);
    sv_buf_putc(&whole, 0);
    sv_status st = sv_buf_ok(&whole, err);
    for (const char *p = whole.data, *end = p + whole.size - 1; st == SV_OK && p < end && !*spoken;) {
        const char *stop = find(p, end, END_TOKEN);
        if (find(p, stop, image) < stop) {
            *spoken = true;
            sv_buf_add(out, p, (size_t)(stop - p));
            st = sv_buf_ok(out, err);
        }
        p = stop < end ? stop + strlen(END_TOKEN) : end;
    }
    sv_buf_free(&whole);
    if (st != SV_OK || !*spoken) return st;
    const char *const tokens[] = {image, "<__dj__audio>", "<__dj__video>", END_TOKEN};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) remove_token(out, tokens[i]);
    return SV_OK;
}
