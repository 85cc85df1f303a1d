/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_completion.c - pgcdc completion.
 */
#include <stdio.h>
#include <string.h>

#include "cdc/base/log.h"
#include "cdc/command.h"
#include "cdc/commands/completion.h"

static const struct {
    const char *name;
    void (*print)(void);
} SHELLS[] = {
    {"bash", completion_print_bash},
    {"zsh", completion_print_zsh},
    {"fish", completion_print_fish},
};

static enum exit_code run(const struct command_line *line) {
    for (size_t i = 0; i < sizeof SHELLS / sizeof SHELLS[0]; i++)
        if (strcmp(SHELLS[i].name, line->argument) == 0) {
            SHELLS[i].print();
            return EXIT_DONE;
        }
    log_command(LOG_USAGE, "completion", "unknown shell %s; see: pgcdc help completion", line->argument);
    return EXIT_USAGE;
}

const struct command command_completion = {
    .name = "completion",
    .argument = "bash|zsh|fish",
    .summary = "print the completion of pgcdc for a shell",
    .help = "A package and `meson install` put it where the shell looks for it. Else, for one session:\n"
            "\n"
            "  source <(pgcdc completion bash)      # bash; zsh, after compinit: the same with zsh\n"
            "  pgcdc completion fish | source       # fish",
    .run = run,
};
