/* main.c - signals, help, and where an error is printed: once, here. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "commands.h"

#define DECLARE(name) extern const sv_command sv_cmd_##name;
SV_COMMANDS(DECLARE)

#define ROW(name) &sv_cmd_##name,
const sv_command *const sv_commands[] = {SV_COMMANDS(ROW) NULL};

volatile int sv_cli_stop;

static void on_signal(int number) {
    if (sv_cli_stop) _exit(128 + number);   /* asked twice: at once; what is finished is on disk */
    sv_cli_stop = number;
}

void sv_cli_catch_signals(void) {
    struct sigaction a = {.sa_handler = on_signal};
    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
}

static void say(void *user, sv_log_level level, const char *line) {
    if (level == SV_LOG_DEBUG && !getenv("SYNTHVLM_DEBUG")) return;
    fprintf(stderr, "synthvlm: %s\n", line);
}

sv_log sv_cli_log(void) {
    return (sv_log){.fn = say};
}

static const sv_command *find_command(const char *name) {
    for (const sv_command *const *c = sv_commands; *c; c++)
        if (!strcmp((*c)->name, name)) return *c;
    return NULL;
}

/* Nearest command for a typo: most letters in common at the start, or NULL. */
static const char *nearest_command(const char *name) {
    const char *best = NULL;
    size_t most = 1;
    for (const sv_command *const *c = sv_commands; *c; c++) {
        size_t n = 0;
        while (name[n] && name[n] == (*c)->name[n]) n++;
        if (n > most) {
            most = n;
            best = (*c)->name;
        }
    }
    return best;
}

static sv_status run_command(const sv_command *c, int argc, char **argv, sv_error *err) {
    sv_args *args = NULL;
    sv_status st = sv_args_parse(c, argc, argv, &args, err);
    if (st == SV_OK && sv_arg_on(args, "help"))
        sv_cli_help(c, stdout);
    else if (st == SV_OK)
        st = c->run(args, err);
    sv_args_free(args);
    return st;
}

/* Whoever reads stdout has gone, as `… | head` does. */
static bool reader_gone(void) {
    struct pollfd out = {.fd = STDOUT_FILENO};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

int main(int argc, char **argv) {
    sv_error err = {0};
    sv_status st;
    signal(SIGPIPE, SIG_IGN);   /* a closed pipe is a write error like any other */
    const char *name = argc > 1 ? argv[1] : "help";
    if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
        char libraries[2048];
        printf("synthvlm %s\n%s\n", sv_version(), sv_versions(libraries, sizeof libraries));
        return fflush(stdout) == 0 ? 0 : 4;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h")) name = "help";
    const sv_command *c = find_command(name);
    if (c)
        st = run_command(c, argc > 2 ? argc - 2 : 0, argv + 2, &err);
    else {
        const char *near = nearest_command(name);
        snprintf(err.what, sizeof err.what, "%s", name);
        snprintf(err.why, sizeof err.why, "no such command");
        snprintf(err.hint, sizeof err.hint, near ? "did you mean \"%s\"? `synthvlm help` lists them" : "`synthvlm help` lists them%s", near ? near : "");
        st = SV_E_USAGE;
    }
    /* The stream remembers a fault of a command's own flushes, but not which. */
    int fault = fflush(stdout) != 0 ? errno : ferror(stdout) ? EIO : 0;
    if (fault && st == SV_OK) {
        snprintf(err.what, sizeof err.what, "stdout");
        snprintf(err.why, sizeof err.why, "cannot write: %s", fault == EIO ? "some of the output is lost" : strerror(fault));
        st = SV_E_IO;
    }
    /* A reader that has seen enough is not worth a word. */
    bool unheard = st == SV_E_IO && !strcmp(err.what, "stdout") && (strstr(err.why, strerror(EPIPE)) || reader_gone());
    if (st != SV_OK && !unheard && (err.what[0] || err.why[0])) {
        char text[2048];
        fprintf(stderr, "synthvlm: %s\n", sv_error_text(&err, text, sizeof text));
    }
    if (st == SV_E_STOPPED && sv_cli_stop) return 128 + sv_cli_stop;
    return sv_status_exit(st);
}
