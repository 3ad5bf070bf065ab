/* cmd_help.c - synthvlm help [COMMAND | recipe] */
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "synthvlm/recipe.h"

static void print_overview(void) {
    printf("synthvlm %s: captions in, a selected, verified set of image-text pairs out.\n\n", sv_version());
    printf("usage: synthvlm COMMAND [ARGUMENTS]\n");
    const char *group = "";
    for (const sv_command *const *c = sv_commands; *c; c++) {
        if (strcmp(group, (*c)->group) != 0) printf("\n%s\n", group = (*c)->group);
        printf("  %-15s %s\n", (*c)->name, (*c)->summary);
    }
    printf("\n`synthvlm help COMMAND` explains one, `synthvlm help recipe` prints a commented recipe,\n"
           "`synthvlm --version` the libraries in use. stdout is data, stderr is talk.\n\n"
           "Exit codes: 0 done; 1 ran, but something fell short; 2 wrong usage, recipe or input; 3 a model or\n"
           "library is missing or unfit; 4 disk, memory, network, or the run directory is in use; 130/143\n"
           "stopped by a signal, with everything finished kept.\n");
}

static sv_status run(const sv_args *args, sv_error *err) {
    const char *topic = sv_arg_at(args, 0);
    if (!topic) {
        print_overview();
        return SV_OK;
    }
    if (!strcmp(topic, "recipe")) {
        char *text = NULL;
        sv_status st = sv_recipe_help(&text, err);
        if (st == SV_OK) fputs(text, stdout);
        free(text);
        return st;
    }
    for (const sv_command *const *c = sv_commands; *c; c++)
        if (!strcmp((*c)->name, topic)) {
            sv_cli_help(*c, stdout);
            return SV_OK;
        }
    return sv_cli_usage(err, sv_arg_command(args), topic, "no such command or topic");
}

const sv_command sv_cmd_help = {
    .name = "help",
    .group = "General",
    .usage = "[COMMAND | recipe]",
    .summary = "this overview, one command, or a commented recipe",
    .about = "  synthvlm help recipe > my.yaml",
    .max_args = 1,
    .run = run,
};
