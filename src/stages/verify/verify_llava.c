/* verify_llava.c - LLaVA's JSON: [{"id", "image", "conversations": [{"from": "human", "value"}, {"from": "gpt", "value"}]}, …] and every image. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/thread.h"
#include "stages/verify/verify.h"

typedef struct llava_check {
    sv_check *check;
    const char *json, *images;   /* the file as it is named in faults; the images' directory */
    const char **names;          /* image of each entry; NULL: none worth opening. Points into the document */
    yyjson_val **entries;
    size_t count;
} llava_check;

/* "entry 12 (id 000000011)" */
static const char *place(const llava_check *l, size_t i, char buf[256]) {
    yyjson_val *id = yyjson_obj_get(l->entries[i], "id");
    if (yyjson_is_str(id)) snprintf(buf, 256, "%.120s entry %zu, id %.80s", l->json, i, yyjson_get_str(id));
    else snprintf(buf, 256, "%.120s entry %zu", l->json, i);
    return buf;
}

static size_t count_tokens(const char *s) {
    size_t n = 0;
    for (; (s = strstr(s, "<image>")); s += 7) n++;
    return n;
}

static const char *turn_value(yyjson_val *turn, const char *from) {
    return yyjson_equals_str(yyjson_obj_get(turn, "from"), from) ? yyjson_get_str(yyjson_obj_get(turn, "value")) : NULL;
}

static void check_turns(const llava_check *l, size_t i) {
    char where[256];
    yyjson_val *turns = yyjson_obj_get(l->entries[i], "conversations");
    size_t n = yyjson_arr_size(turns);
    const char *human = turn_value(yyjson_arr_get(turns, 0), "human"), *gpt = turn_value(yyjson_arr_get(turns, 1), "gpt");
    if (n != 2 || !human || !gpt) {
        sv_check_fault(l->check, SV_FAULT_TURNS, i, place(l, i, where), "has %zu turn%s, or others than human and gpt", n, n == 1 ? "" : "s");
        return;
    }
    size_t asked = count_tokens(human), answered = count_tokens(gpt);
    if (asked != 1 || answered != 0) {
        sv_check_fault(l->check, SV_FAULT_IMAGE_TOKEN, i, place(l, i, where),
                       "<image> is there %zu times in the human turn and %zu times in the answer", asked, answered);
    }
    const char *fault = sv_caption_fault(gpt, yyjson_get_len(yyjson_obj_get(yyjson_arr_get(turns, 1), "value")));
    if (fault) sv_check_fault(l->check, SV_FAULT_CAPTION, i, place(l, i, where), "%s", fault);
}

static void check_entry(llava_check *l, size_t i) {
    char where[256];
    if (!yyjson_is_obj(l->entries[i])) {
        sv_check_fault(l->check, SV_FAULT_JSON, i + 1, place(l, i, where), "is not an object");
        return;
    }
    yyjson_val *id = yyjson_obj_get(l->entries[i], "id"), *image = yyjson_obj_get(l->entries[i], "image");
    if (!yyjson_is_str(id) || !*yyjson_get_str(id)) sv_check_fault(l->check, SV_FAULT_JSON, i + 1, place(l, i, where), "has no id (a text)");
    check_turns(l, i);
    if (!yyjson_is_str(image)) {
        sv_check_fault(l->check, SV_FAULT_MISSING_IMAGE, i, place(l, i, where), "names no image");
    } else if (!sv_path_is_inside(yyjson_get_str(image)) || strlen(yyjson_get_str(image)) != yyjson_get_len(image)) {
        sv_check_fault(l->check, SV_FAULT_PATH, i, place(l, i, where), "its image %s is not inside the dataset", yyjson_get_str(image));
    } else {
        l->names[i] = yyjson_get_str(image);
    }
}

static void repeated_id(void *user, uint64_t order, uint64_t first) {
    const llava_check *l = user;
    char where[256];
    sv_check_fault(l->check, SV_FAULT_DUPLICATE, order, place(l, (size_t)order, where), "entry %llu has the same id", (unsigned long long)first);
}

static sv_status check_ids(llava_check *l, sv_error *err) {
    sv_key_set ids = {0};
    bool room = true;
    for (size_t i = 0; room && i < l->count; i++) {
        yyjson_val *id = yyjson_obj_get(l->entries[i], "id");
        if (yyjson_is_str(id)) room = sv_keys_add(&ids, yyjson_get_str(id), yyjson_get_len(id), i);
    }
    if (room) sv_keys_repeated(&ids, repeated_id, l);
    sv_keys_free(&ids);
    return room ? SV_OK : sv_fail_memory(err, l->json, 0);
}

static sv_status decode_images(void *user, unsigned thread, size_t begin, size_t end, sv_error *err) {
    llava_check *l = user;
    sv_check *c = l->check;
    sv_image im = {0};
    sv_status st = SV_OK;
    (void)thread;
    for (size_t i = begin; i < end && (st = sv_check_stopped(c, err)) == SV_OK; i++) {
        if (!l->names[i]) continue;
        char where[256], *path = sv_path_join(l->images, l->names[i]);
        if (!path) {
            st = sv_fail_memory(err, l->names[i], 0);
            break;
        }
        sv_error why = {0};
        struct stat s;
        if (stat(path, &s) != 0) {
            sv_check_fault(c, SV_FAULT_MISSING_IMAGE, i, place(l, i, where), "%s is not there", l->names[i]);
        } else if ((st = sv_image_read(&im, path, &why)) == SV_OK) {
            pthread_mutex_lock(&c->lock);
            c->report->images++;
            c->report->files += !c->counted;
            c->report->bytes += c->counted ? 0 : s.st_size;
            pthread_mutex_unlock(&c->lock);
        } else if (st == SV_E_MEMORY) {
            if (err) *err = why;
        } else {
            sv_check_fault(c, SV_FAULT_BROKEN_IMAGE, i, place(l, i, where), "%s: %s", l->names[i], why.why);
            st = SV_OK;
        }
        free(path);
        if (st != SV_OK) break;
    }
    sv_image_free(&im);
    return st;
}

sv_status sv_check_llava(sv_check *c, const char *json, const char *images, sv_error *err) {
    llava_check l = {.check = c, .json = sv_path_base(json), .images = images};
    char *text = NULL;
    size_t size;
    SV_TRY(sv_file_read(json, (size_t)1 << 40, &text, &size, err));
    yyjson_read_err why = {0};
    yyjson_doc *doc = yyjson_read_opts(text, size, 0, NULL, &why);
    free(text);
    if (!doc && why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) return sv_fail_memory(err, json, size);
    if (!doc) {
        sv_check_fault(c, SV_FAULT_JSON, 0, l.json, "is not JSON: %s at byte %zu of %zu", why.msg, why.pos, size);
        return SV_OK;
    }
    yyjson_val *root = yyjson_doc_get_root(doc), *entry;
    size_t i, n;
    l.count = yyjson_arr_size(root);
    l.entries = calloc(l.count + 1, sizeof *l.entries);
    l.names = calloc(l.count + 1, sizeof *l.names);
    sv_status st = l.entries && l.names ? SV_OK : sv_fail_memory(err, json, l.count * sizeof *l.entries);
    if (st == SV_OK) {
        yyjson_arr_foreach(root, i, n, entry) l.entries[i] = entry;
        for (i = 0; i < l.count; i++) check_entry(&l, i);
        st = check_ids(&l, err);
    }
    if (st == SV_OK) st = sv_parallel(c->threads, l.count, 8, decode_images, &l, err);
    c->report->pairs += (int64_t)l.count;
    if (!c->counted) {
        c->report->files++;
        c->report->bytes += (int64_t)size;
    }
    free(l.entries);
    free(l.names);
    yyjson_doc_free(doc);
    return st;
}
