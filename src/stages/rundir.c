/* rundir.c - opening and closing a run directory, its lock, its log. */
#include "stages/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

/* ---- the lock ---- */

/* A reader that asks who holds the lock has it for an instant; so a writer asks a few times before it believes. */
static bool take(int fd) {
    for (int i = 0; i < 8; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
        if (errno != EWOULDBLOCK && errno != EINTR) return false;
        nanosleep(&(struct timespec){.tv_nsec = 25 * 1000 * 1000}, NULL);
    }
    errno = EWOULDBLOCK;
    return false;
}

/* "host pid" as the holder wrote it. */
static void read_holder(int fd, sv_holder *out) {
    char text[320] = "";
    *out = (sv_holder){.host = "an unknown host"};
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    char *space = strchr(text, ' ');
    if (!space) return;
    *space = 0;
    snprintf(out->host, sizeof out->host, "%s", text);
    out->pid = strtol(space + 1, NULL, 10);
}

static sv_status lock_dir(sv_rundir *run, sv_error *err) {
    char *path = sv_path_join(run->dir, "lock");
    if (!path) return sv_fail_memory(err, run->dir, 0);
    run->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    sv_status st = run->lock_fd < 0 ? sv_fail_errno(err, path, "cannot create") : SV_OK;
    if (st == SV_OK && !take(run->lock_fd)) {
        if (errno == EWOULDBLOCK) {
            sv_holder who;
            read_holder(run->lock_fd, &who);
            st = sv_fail(err, SV_E_BUSY, run->dir, "another process works in this run directory: pid %ld on %s", who.pid, who.host);
            sv_hint(err, st, "wait for it, or stop it; `synthvlm status %s` shows what it does", run->dir);
        } else
            st = sv_fail_errno(err, path, "cannot lock");
    }
    if (st == SV_OK) {
        char host[256] = "", text[320];
        if (gethostname(host, sizeof host - 1) != 0 || !*host) snprintf(host, sizeof host, "localhost");
        int n = snprintf(text, sizeof text, "%s %ld\n", host, (long)getpid());
        if (ftruncate(run->lock_fd, 0) != 0 || pwrite(run->lock_fd, text, (size_t)n, 0) != n) st = sv_fail_errno(err, path, "cannot write");
    }
    free(path);
    return st;
}

bool sv_rundir_holder(const char *dir, sv_holder *out) {
    char *path = sv_path_join(dir, "lock");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    free(path);
    if (fd < 0) return false;
    bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (held) read_holder(fd, out);
    close(fd);
    return held;
}

/* ---- opening ---- */

/* A directory without a ledger may only hold what a run that was killed in its first moments leaves; anything else is somebody's directory given by
 * mistake, where making files, and above all emptying tmp/, would do harm. */
static sv_status check_is_ours(const char *dir, bool *has_ledger, sv_error *err) {
    static const char *const ours[] = {".", "..", "lock", "ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "ledger.sqlite-journal"};
    DIR *d = opendir(dir);
    *has_ledger = false;
    if (!d) return sv_fail_errno(err, dir, "cannot open the directory");
    char stranger[256] = "";
    for (struct dirent *e; (e = readdir(d));) {
        bool known = false;
        for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) known |= strcmp(e->d_name, ours[i]) == 0;
        if (!strcmp(e->d_name, "ledger.sqlite")) *has_ledger = true;
        if (!known) snprintf(stranger, sizeof stranger, "%s", e->d_name);
    }
    closedir(d);
    if (*has_ledger || !*stranger) return SV_OK;
    sv_fail(err, SV_E_INPUT, dir, "is not a run directory: it holds other things (%s) and no ledger.sqlite", stranger);
    return sv_hint(err, SV_E_INPUT, "name a new or empty directory with -o");
}

/* The copy of the recipe: written when it differs, so that what lies in the directory is always what was last asked for. */
static sv_status put_recipe(sv_rundir *run, sv_error *err) {
    char *path = sv_path_join(run->dir, "recipe.yaml"), *text = NULL, *old = NULL;
    size_t size;
    sv_status st = path ? sv_recipe_text(run->recipe, run->dir, &text, err) : sv_fail_memory(err, run->dir, 0);
    if (st == SV_OK && sv_file_exists(path) && sv_file_read(path, 0, &old, &size, NULL) != SV_OK) old = NULL;
    if (st == SV_OK && (!old || strcmp(old, text) != 0)) {
        st = sv_file_write_via(run->tmp, path, text, strlen(text), err);
        if (st == SV_OK && old) {
            sv_say(&run->o.log, SV_LOG_INFO, "%s: the recipe has changed; rows made under the old settings stay beside the new ones", run->dir);
            sv_rundir_event(run, "recipe changed", NULL, 0);
        }
    }
    free(old);
    free(text);
    free(path);
    return st;
}

static sv_status open_parts(sv_rundir *run, sv_error *err) {
    bool has_ledger;
    if (!sv_is_dir(run->dir)) SV_TRY(sv_dir_make(run->dir, err));
    SV_TRY(check_is_ours(run->dir, &has_ledger, err));
    SV_TRY(lock_dir(run, err));
    char *ledger = sv_path_join(run->dir, "ledger.sqlite"), *log = sv_path_join(run->dir, "run.log");
    run->tmp = sv_path_join(run->dir, "tmp");
    sv_status st = ledger && log && run->tmp ? SV_OK : sv_fail_memory(err, run->dir, 0);
    if (st == SV_OK) st = sv_ledger_open(&run->ledger, ledger, SV_LEDGER_WRITE, err);
    if (st == SV_OK && has_ledger) st = sv_dir_empty(run->tmp, err);
    if (st == SV_OK) st = sv_dir_make(run->tmp, err);
    if (st == SV_OK) run->log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (st == SV_OK) st = put_recipe(run, err);
    if (st == SV_OK && sv_ledger_on_network(run->ledger))
        sv_say(&run->o.log, SV_LOG_WARN, "%s lies on a network file system: the ledger uses a rollback journal, and status and show must wait until this has ended",
               run->dir);
    free(ledger);
    free(log);
    return st;
}

sv_status sv_rundir_open(sv_rundir **out, const char *dir, const sv_recipe *r, const sv_stage_options *o, sv_error *err) {
    *out = NULL;
    sv_rundir *run = calloc(1, sizeof *run);
    if (!run) return sv_fail_memory(err, dir, sizeof *run);
    *run = (sv_rundir){.lock_fd = -1, .log_fd = -1, .recipe = r, .dir = sv_strdup(dir)};
    if (o) run->o = *o;
    sv_status st = run->dir ? open_parts(run, err) : sv_fail_memory(err, dir, 0);
    if (st != SV_OK) {
        sv_rundir_close(&run);
        return st;
    }
    *out = run;
    return SV_OK;
}

void sv_rundir_close(sv_rundir **rp) {
    sv_rundir *run = *rp;
    if (!run) return;
    *rp = NULL;
    sv_ledger_close(&run->ledger);
    if (run->log_fd >= 0) close(run->log_fd);
    if (run->lock_fd >= 0) close(run->lock_fd);   /* releases the lock: after the ledger */
    free(run->tmp);
    free(run->dir);
    free(run);
}

sv_status sv_rundir_read(const char *dir, sv_ledger **ledger, sv_error *err) {
    *ledger = NULL;
    char *path = sv_path_join(dir, "ledger.sqlite");
    if (!path) return sv_fail_memory(err, dir, 0);
    sv_status st;
    if (!sv_file_exists(path)) {
        st = sv_fail(err, SV_E_INPUT, dir, sv_is_dir(dir) ? "is not a run directory: it has no ledger.sqlite" : "there is no such run directory");
        st = sv_hint(err, st, "run directories are made by synthvlm run RECIPE -o DIR");
    } else
        st = sv_ledger_open(ledger, path, SV_LEDGER_READ, err);
    free(path);
    return st;
}

sv_status sv_run_find(const char *what, const char *dir, const char *const *sets, size_t n, sv_recipe **recipe, char **run_dir, sv_error *err) {
    *recipe = NULL;
    *run_dir = NULL;
    char *file = NULL;
    if (sv_is_dir(what)) {
        if (!(file = sv_path_join(what, "recipe.yaml"))) return sv_fail_memory(err, what, 0);
        if (!sv_file_exists(file)) {
            sv_fail(err, SV_E_INPUT, what, "is a directory without a recipe.yaml");
            free(file);
            return sv_hint(err, SV_E_INPUT, "give a recipe file, or a run directory that `synthvlm run RECIPE -o DIR` has made");
        }
        if (!dir) dir = what;
    }
    sv_status st = sv_recipe_load(recipe, file ? file : what, sets, n, err);
    if (st == SV_OK) *run_dir = dir ? sv_strdup(dir) : sv_path_join("runs", sv_recipe_name(*recipe));
    if (st == SV_OK && !*run_dir) st = sv_fail_memory(err, what, 0);
    if (st != SV_OK) sv_recipe_close(recipe);
    free(file);
    return st;
}

/* ---- talk ---- */

bool sv_rundir_stopping(const sv_rundir *run) {
    return run->o.stop && *run->o.stop;
}

sv_status sv_rundir_stopped(const sv_rundir *run, const char *stage, sv_error *err) {
    sv_rundir_event(run, "stopped", (sv_field[]){SV_TEXT("stage", stage)}, 1);
    sv_fail(err, SV_E_STOPPED, run->dir, "stopped during %s; everything finished is kept", stage);
    return sv_hint(err, SV_E_STOPPED, "go on with: synthvlm run %s", run->dir);
}

void sv_rundir_progress(const sv_rundir *run, const char *stage, int64_t done, int64_t total, int64_t failed) {
    if (run->o.progress.fn) run->o.progress.fn(run->o.progress.user, stage, (uint64_t)done, total > 0 ? (uint64_t)total : 0, (uint64_t)failed);
}

void sv_rundir_event(const sv_rundir *run, const char *event, const sv_field *fields, size_t n) {
    if (run->log_fd < 0) return;
    struct timespec now;
    struct tm utc;
    char stamp[32], time_text[48];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(time_text, sizeof time_text, "%s.%03ldZ", stamp, now.tv_nsec / 1000000);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, o);
    yyjson_mut_obj_add_str(doc, o, "time", time_text);
    yyjson_mut_obj_add_sint(doc, o, "pid", getpid());
    yyjson_mut_obj_add_str(doc, o, "event", event);
    for (size_t i = 0; i < n; i++) {
        const sv_field *f = &fields[i];
        if (f->type == SV_FIELD_INT)
            yyjson_mut_obj_add_sint(doc, o, f->name, f->i);
        else if (f->type == SV_FIELD_REAL && isfinite(f->r))
            yyjson_mut_obj_add_real(doc, o, f->name, f->r);
        else if (f->type == SV_FIELD_TEXT && f->s)
            yyjson_mut_obj_add_str(doc, o, f->name, f->s);
        else
            yyjson_mut_obj_add_null(doc, o, f->name);
    }
    size_t size = 0;
    char *line = yyjson_mut_write(doc, YYJSON_WRITE_NEWLINE_AT_END, &size);
    if (line && write(run->log_fd, line, size) < 0) errno = 0;   /* talk: a full disk must not end the run here, but where it loses a row */
    free(line);
    yyjson_mut_doc_free(doc);
}

/* ---- setups and names ---- */

sv_status sv_rundir_setup(sv_rundir *run, sv_stage stage, const char *name, const char *json, sv_setup *out, sv_error *err) {
    sv_setup old;
    SV_TRY(sv_ledger_current(run->ledger, stage, name, &old, err));
    SV_TRY(sv_ledger_setup(run->ledger, stage, name, json, out, err));
    if (old.id == out->id || !old.id) return SV_OK;
    const char *sep = *name ? " " : "";
    sv_say(&run->o.log, SV_LOG_INFO, "%s%s%s: %s settings %.8s; what was made under %.8s stays", sv_stage_name(stage), sep, name, out->is_new ? "new" : "back to",
           out->hash, old.hash);
    sv_rundir_event(run, "setup", (sv_field[]){SV_TEXT("stage", sv_stage_name(stage)), SV_TEXT("name", name), SV_TEXT("setup", out->hash), SV_TEXT("before", old.hash),
                                               SV_INT("new", out->is_new)}, 5);
    return SV_OK;
}

void sv_image_name(char buf[SV_IMAGE_NAME], const char *hash, int64_t number, int k, const char *extension) {
    snprintf(buf, SV_IMAGE_NAME, "images/%.8s/%05lld/%09lld-%d.%s", hash, (long long)(number / 10000), (long long)number, k, extension);
}
