/* sheet_run.c - the contact sheet of a run: one row a caption, its candidates side by side, the picked one framed. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "stages/rundir.h"
#include "synthvlm/image.h"
#include "synthvlm/stages.h"

enum {
    MOST_COLUMNS = 8,
    MOST_SCORES = 2,             /* below a picture; more do not fit */
};

/* One picture of the sheet, owned. */
typedef struct entry {
    sv_image image;
    bool there;
    char *caption, *note;
    bool chosen;
} entry;

typedef struct sheet {
    const char *dir;
    sv_ledger *ledger;
    int64_t *numbers;            /* captions to show, best rank first */
    size_t count, room;
    int64_t wanted, picks, seen; /* captions asked for; picks in all; picks met so far */
    entry *entries;              /* room * MOST_COLUMNS */
    size_t columns;
} sheet;

/* Picks are taken evenly over the ranks, so that the sheet shows the set and not only its top. */
static sv_status take_pick(void *user, const sv_pick *pick, sv_error *err) {
    sheet *s = user;
    int64_t due = s->wanted > 0 ? (int64_t)s->count * s->picks / s->wanted : 0;
    bool again = false;
    for (size_t i = 0; i < s->count; i++) again |= s->numbers[i] == pick->number;
    if (s->seen++ >= due && s->count < s->room && !again) s->numbers[s->count++] = pick->number;
    return SV_OK;
}

static sv_status fill_entry(sheet *s, entry *e, yyjson_val *candidate, const char *caption, sv_error *err) {
    const char *file = yyjson_get_str(yyjson_obj_get(candidate, "file"));
    const char *selection = yyjson_get_str(yyjson_obj_get(candidate, "selection"));
    sv_buf note = {0};
    size_t i, n;
    yyjson_val *name, *value, *weighted = yyjson_obj_get(candidate, "weighted");
    int told = 0;
    if (yyjson_is_num(weighted)) {
        sv_buf_printf(&note, "weighted %.3f", yyjson_get_num(weighted));
        told++;
    }
    yyjson_obj_foreach(yyjson_obj_get(candidate, "scores"), i, n, name, value) {
        if (yyjson_is_num(value) && told++ < MOST_SCORES) sv_buf_printf(&note, "%s%s %.3f", note.size ? "  " : "", yyjson_get_str(name), yyjson_get_num(value));
    }
    e->note = note.data;
    e->caption = sv_strdup(caption);
    e->chosen = selection && !strcmp(selection, "picked");
    if (!e->caption || note.failed) return sv_fail_memory(err, s->dir, 0);
    char *path = file ? sv_path_join(s->dir, file) : NULL;
    sv_error ignored;            /* a picture that cannot be read leaves its frame empty; verify and run are what report it */
    e->there = path && sv_image_read(&e->image, path, &ignored) == SV_OK;
    free(path);
    return SV_OK;
}

static void drop_entry(entry *e) {
    sv_image_free(&e->image);
    free(e->caption);
    free(e->note);
    *e = (entry){.there = false};
}

static sv_status fill_row(sheet *s, size_t row, sv_error *err) {
    char *json = NULL;
    SV_TRY(sv_ledger_story(s->ledger, s->numbers[row], -1, &json, err));
    yyjson_doc *doc = yyjson_read(json, strlen(json), YYJSON_READ_ALLOW_INF_AND_NAN);
    yyjson_val *root = yyjson_doc_get_root(doc), *candidate, *text = yyjson_obj_get(yyjson_obj_get(root, "verdict"), "text");
    const char *caption = yyjson_get_str(yyjson_is_str(text) ? text : yyjson_obj_get(root, "caption"));
    size_t i, n, column = 0;
    sv_status st = SV_OK;
    yyjson_arr_foreach(yyjson_obj_get(root, "candidates"), i, n, candidate) {
        if (!yyjson_get_bool(yyjson_obj_get(candidate, "current")) || st != SV_OK) continue;
        bool picked = yyjson_equals_str(yyjson_obj_get(candidate, "selection"), "picked");
        if (column == MOST_COLUMNS && !picked) continue;
        size_t at = column < MOST_COLUMNS ? column++ : MOST_COLUMNS - 1;   /* a pick beyond the last column takes its place */
        entry *e = &s->entries[row * MOST_COLUMNS + at];
        drop_entry(e);
        st = fill_entry(s, e, candidate, at ? "" : caption, err);
    }
    if (column > s->columns) s->columns = column;
    yyjson_doc_free(doc);
    free(json);
    return st;
}

static sv_status draw_sheet(const sheet *s, const char *out, sv_error *err) {
    size_t n = s->count * s->columns;
    sv_sheet_cell *cells = calloc(n, sizeof *cells);
    if (!cells) return sv_fail_memory(err, out, n * sizeof *cells);
    for (size_t i = 0; i < n; i++) {
        const entry *e = &s->entries[i / s->columns * MOST_COLUMNS + i % s->columns];
        cells[i] = (sv_sheet_cell){.image = e->there ? &e->image : NULL, .caption = e->caption, .note = e->note, .chosen = e->chosen};
    }
    sv_sheet_options o;
    sv_sheet_options_init(&o);
    o.columns = (int)s->columns;
    o.title = "One row a caption; framed: the candidate that was picked";
    sv_image im = {0};
    sv_status st = sv_sheet(cells, n, &o, &im, err);
    if (st == SV_OK) st = sv_image_write(&im, out, NULL, err);
    sv_image_free(&im);
    free(cells);
    return st;
}

sv_status sv_run_sheet(const char *dir, const char *out, int captions, sv_error *err) {
    sheet s = {.dir = dir, .room = (size_t)captions};
    int64_t selection;
    char hash[SV_SHA256_HEX];
    sv_status st = sv_rundir_read(dir, &s.ledger, err);
    if (st != SV_OK) return st;
    SV_TRY_GOTO(done, sv_ledger_current_selection(s.ledger, &selection, hash, &s.picks, err));
    if (!selection || !s.picks) {
        st = sv_fail(err, SV_E_INPUT, dir, "holds no selected pairs to show");
        goto done;
    }
    s.wanted = captions < s.picks ? captions : s.picks;
    s.numbers = malloc(s.room * sizeof *s.numbers);
    s.entries = calloc(s.room * MOST_COLUMNS, sizeof *s.entries);
    if (!s.numbers || !s.entries) {
        st = sv_fail_memory(err, dir, 0);
        goto done;
    }
    SV_TRY_GOTO(done, sv_ledger_each_pick(s.ledger, selection, true, take_pick, &s, err));
    for (size_t i = 0; i < s.count; i++) SV_TRY_GOTO(done, fill_row(&s, i, err));
    st = draw_sheet(&s, out, err);
done:
    for (size_t i = 0; s.entries && i < s.room * MOST_COLUMNS; i++) drop_entry(&s.entries[i]);
    free(s.entries);
    free(s.numbers);
    sv_ledger_close(&s.ledger);
    return st;
}
