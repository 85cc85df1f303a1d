/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.c - the table of commands, in the order in which a user meets them.
 */
#include "cdc/command.h"

#include <string.h>

/* clang-format off */
static const struct command *const COMMANDS[] = {
    &command_check,
    &command_run,
    &command_status,
    &command_verify,
    &command_tail,
    &command_why,
    &command_skip,
    &command_drop,
    &command_help,
    &command_version,
};
/* clang-format on */

const struct command *command_at(size_t index) {
    return index < sizeof COMMANDS / sizeof COMMANDS[0] ? COMMANDS[index] : NULL;
}

const struct command *command_find(const char *name) {
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return &command_help;
    if (strcmp(name, "--version") == 0)
        return &command_version;
    for (size_t i = 0; i < sizeof COMMANDS / sizeof COMMANDS[0]; i++)
        if (strcmp(COMMANDS[i]->name, name) == 0)
            return COMMANDS[i];
    return NULL;
}

/* "run -c FILE [--until caught-up|LSN]" names -c and --until. */
bool command_takes(const struct command *command, const char *option) {
    return strstr(command->usage, option) != NULL;
}

/* Words that stand alone are in capitals at the end: "tail -c FILE | ARCHIVE", "skip -c FILE LSN", "help [COMMAND]". */
bool command_takes_argument(const struct command *command) {
    return strstr(command->usage, "ARCHIVE") != NULL || strstr(command->usage, "FILE LSN") != NULL ||
           strstr(command->usage, "[COMMAND]") != NULL;
}
