/* run_cases.c - runs text cases: run_cases [-j N] [-k TEXT] [-v] BUILD_DIR FILE…
 *
 *   -j N      so many at once (default 2)     -k TEXT   only cases whose name contains TEXT     -v   names them all
 *
 * Each case runs by `sh -c` in a directory of its own, which is removed afterwards, with synthvlm on the PATH, $ROOT (the repository),
 * $GOLDEN (its tests/golden) and $BUILD. Failures are printed in full; the last line is "N passed, N failed". Exit code 1 if any failed.
 */
#include "cases.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

enum { TIME_LIMIT = 120 /* seconds a case, sanitizers included */, MAX_JOBS = 64 };

typedef struct job {
    const text_case *c;
    pid_t pid;             /* 0: free */
    char dir[512];         /* holds work/ (the case's directory), out, err, in */
    double deadline;
    bool timed_out;
} job;

typedef struct runner {
    char base[256];        /* all jobs' directories are in here */
    job jobs[MAX_JOBS];
    size_t job_count;
    size_t passed, failed, started;
    bool verbose;
} runner;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st; (void)type; (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path) { nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

/* A file of the job's directory, or of its work/. */
static sv_status write_into(const char *dir, const char *name, const sv_buf *content, sv_error *err)
{
    char *path = sv_path_join(dir, name), *parent = path ? sv_path_dir(path) : NULL;
    sv_status st = parent ? sv_dir_make(parent, err) : sv_fail_memory(err, name, 0);
    FILE *f = st == SV_OK ? fopen(path, "wb") : NULL;
    if (st == SV_OK && !f) st = sv_fail_errno(err, path, "cannot write");
    if (f) {
        size_t done = content->size ? fwrite(content->data, 1, content->size, f) : 0;
        if (fclose(f) != 0 || done != content->size) st = sv_fail_errno(err, path, "cannot write");
    }
    free(parent);
    free(path);
    return st;
}

static void exec_case(const job *j)
{
    char work[600], in[600], out[600], err[600];
    snprintf(work, sizeof work, "%s/work", j->dir);
    snprintf(in, sizeof in, "%s/in", j->dir);
    snprintf(out, sizeof out, "%s/out", j->dir);
    snprintf(err, sizeof err, "%s/err", j->dir);
    int i = open(in, O_RDONLY), o = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600), e = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (i < 0 || o < 0 || e < 0 || dup2(i, 0) < 0 || dup2(o, 1) < 0 || dup2(e, 2) < 0 || chdir(work) != 0) _exit(126);
    if (i > 2) close(i);
    if (o > 2) close(o);
    if (e > 2) close(e);
    setpgid(0, 0);
    setenv("HOME", work, 1);
    setenv("TMPDIR", work, 1);
    execl("/bin/sh", "sh", "-c", j->c->script.data, (char *)NULL);
    _exit(127);
}

static sv_status start(runner *r, job *j, const text_case *c, sv_error *err)
{
    char work[600];
    *j = (job){.c = c};
    snprintf(j->dir, sizeof j->dir, "%s/%zu", r->base, r->started++);
    snprintf(work, sizeof work, "%s/work", j->dir);
    SV_TRY(sv_dir_make(work, err));
    SV_TRY(write_into(j->dir, "in", &c->input, err));
    for (size_t i = 0; i < c->file_count; i++) SV_TRY(write_into(work, c->files[i].name, &c->files[i].content, err));
    j->deadline = now() + TIME_LIMIT;
    fflush(NULL);
    j->pid = fork();
    if (j->pid == 0) exec_case(j);
    if (j->pid < 0) { j->pid = 0; return sv_fail_errno(err, "fork", "cannot start a case"); }
    return SV_OK;
}

static void print_indented(const char *title, const char *text, size_t size)
{
    if (!size) return;
    printf("  %s:\n", title);
    size_t shown = size > 4000 ? 4000 : size;
    for (const char *at = text, *end = text + shown; at < end;) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((lf ? lf : end) - at);
        printf("    ");
        fwrite(at, 1, n, stdout);
        putchar('\n');
        at += n + 1;
    }
    if (shown < size) printf("    … (%zu bytes)\n", size);
}

static sv_status finish(runner *r, job *j, int status, sv_error *err)
{
    char path[600];
    char *out = NULL, *said = NULL;
    case_result result = {.timed_out = j->timed_out, .exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)};
    snprintf(path, sizeof path, "%s/out", j->dir);
    sv_status st = sv_file_read(path, 0, &out, &result.out_size, err);
    snprintf(path, sizeof path, "%s/err", j->dir);
    if (st == SV_OK) st = sv_file_read(path, 0, &said, &result.err_size, err);
    if (st == SV_OK) {
        sv_buf report = {0};
        result.out = out;
        result.err = said;
        bool good = case_check(j->c, &result, &report);
        if (good) r->passed++; else r->failed++;
        if (!good || r->verbose) printf("%s %s:%d: %s\n", good ? "ok    " : "FAILED", j->c->path, j->c->line, j->c->name);
        if (!good) {
            print_indented("command", j->c->script.data, j->c->script.size);
            fwrite(report.data, 1, report.size, stdout);
            print_indented("stdout", out, result.out_size);
            print_indented("stderr", said, result.err_size);
        }
        sv_buf_free(&report);
    }
    free(out);
    free(said);
    remove_tree(j->dir);
    j->pid = 0;
    return st;
}

/* Waits until a job slot is free (all: until every one is). */
static sv_status wait_for_slot(runner *r, bool all, job **slot, sv_error *err)
{
    for (;;) {
        size_t running = 0;
        for (size_t i = 0; i < r->job_count; i++) {
            job *j = &r->jobs[i];
            int status = 0;
            if (j->pid && waitpid(j->pid, &status, WNOHANG) == j->pid) SV_TRY(finish(r, j, status, err));
            if (j->pid && !j->timed_out && now() > j->deadline) {
                j->timed_out = true;
                kill(-j->pid, SIGKILL);
            }
            if (j->pid) running++; else *slot = j;
        }
        if (all ? running == 0 : running < r->job_count) return SV_OK;
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
}

static sv_status run_all(runner *r, const case_list *list, const char *only, sv_error *err)
{
    job *slot = NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (only && !strstr(list->items[i].name, only)) continue;
        SV_TRY(wait_for_slot(r, false, &slot, err));
        SV_TRY(start(r, slot, &list->items[i], err));
    }
    return wait_for_slot(r, true, &slot, err);
}

static sv_status set_environment(const char *build, sv_error *err)
{
    char *bin = realpath(build, NULL), *root = getcwd(NULL, 0);
    if (!bin || !root) {
        free(bin);
        free(root);
        return sv_fail_errno(err, build, "no such build directory");
    }
    sv_buf path = {0}, golden = {0};
    sv_buf_printf(&path, "%s:%s", bin, getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    sv_buf_printf(&golden, "%s/tests/golden", root);
    sv_status st = sv_buf_ok(&path, err);
    if (st == SV_OK) st = sv_buf_ok(&golden, err);
    if (st == SV_OK) {
        setenv("PATH", path.data, 1);
        setenv("GOLDEN", golden.data, 1);
        setenv("ROOT", root, 1);
        setenv("BUILD", bin, 1);
        setenv("LC_ALL", "C.UTF-8", 1);
    }
    sv_buf_free(&path);
    sv_buf_free(&golden);
    free(bin);
    free(root);
    return st;
}

int main(int argc, char **argv)
{
    static runner r = {.job_count = 2};
    const char *only = NULL;
    case_list list = {0};
    sv_error err = {0};
    for (int opt; (opt = getopt(argc, argv, "j:k:v")) != -1;) {
        switch (opt) {
        case 'j': r.job_count = strtoul(optarg, NULL, 10); break;
        case 'k': only = optarg; break;
        case 'v': r.verbose = true; break;
        default: return 2;
        }
    }
    if (r.job_count < 1 || r.job_count > MAX_JOBS || optind + 2 > argc) {
        fprintf(stderr, "usage: run_cases [-j N] [-k TEXT] [-v] BUILD_DIR FILE…\n");
        return 2;
    }
    const char *tmp = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    snprintf(r.base, sizeof r.base, "%s/synthvlm-cases.XXXXXX", tmp);
    sv_status st = set_environment(argv[optind], &err);
    for (int i = optind + 1; st == SV_OK && i < argc; i++) st = cases_read(argv[i], &list, &err);
    if (st == SV_OK && !mkdtemp(r.base)) st = sv_fail_errno(&err, r.base, "cannot make a directory");
    if (st == SV_OK) {
        st = run_all(&r, &list, only, &err);
        remove_tree(r.base);
    }
    cases_free(&list);
    if (st != SV_OK) {
        char text[2200];
        fprintf(stderr, "run_cases: %s\n", sv_error_text(&err, text, sizeof text));
        return 2;
    }
    printf("%zu passed, %zu failed\n", r.passed, r.failed);
    return r.failed || !r.passed;
}
