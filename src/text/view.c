#include "text/view.h"

#include <string.h>

#include "base/error.h"

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
