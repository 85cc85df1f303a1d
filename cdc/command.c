/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.c - the table of commands, in the order in which a user meets them.
 *
 * Each command's own table lists its options; usage lines, help and the manual page are made from it.
 */
#include "cdc/command.h"

#include <stdio.h>
#include <string.h>

#include "cdc/base/nearest.h"

/* clang-format off */
static const struct command *const COMMANDS[] = {
    &command_check,
    &command_map,
    &command_plan,
    &command_schema_apply,
    &command_schema_compare,
    &command_migrate,
    &command_report,
    &command_run,
    &command_pause,
    &command_resume,
    &command_reload,
    &command_log_level,
    &command_status,
    &command_verify,
    &command_cutover,
    &command_rollback,
    &command_tail,
    &command_why,
    &command_skip,
    &command_dead_list,
    &command_dead_retry,
    &command_dead_skip,
    &command_table_list,
    &command_table_add,
    &command_table_remove,
    &command_table_copy,
    &command_dbt_sources,
    &command_ddl_install,
    &command_ddl_remove,
    &command_ddl_status,
    &command_archive_list,
    &command_archive_verify,
    &command_archive_export,
    &command_drop,
    &command_help,
    &command_completion,
    &command_version,
};
/* clang-format on */

enum { COMMAND_COUNT = sizeof COMMANDS / sizeof COMMANDS[0] };

const struct command *command_at(size_t index) {
    return index < COMMAND_COUNT ? COMMANDS[index] : NULL;
}

/* Do words begin with name, which is one word or two? *ret_count: how many. */
static bool begins_with(const char *const *words, const char *name, size_t *ret_count) {
    const size_t first = strcspn(name, " ");
    *ret_count = name[first] == ' ' ? 2 : 1;
    if (strlen(words[0]) != first || strncmp(words[0], name, first) != 0)
        return false;
    return *ret_count == 1 || (words[1] != NULL && strcmp(words[1], name + first + 1) == 0);
}

const struct command *command_find(const char *const *words, size_t *ret_word_count) {
    *ret_word_count = 1;
    if (strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0)
        return &command_help;
    if (strcmp(words[0], "--version") == 0)
        return &command_version;
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (begins_with(words, COMMANDS[i]->name, ret_word_count))
            return COMMANDS[i];
    return NULL;
}

size_t command_find_group(const char *word) {
    const size_t length = strlen(word);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strncmp(COMMANDS[i]->name, word, length) == 0 && COMMANDS[i]->name[length] == ' ')
            return i;
    return COMMANDS_NONE;
}

const char *command_nearest(const char *word) {
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = COMMANDS[i]->name;
    return nearest(word, names, COMMAND_COUNT);
}

const struct command_use *command_find_use(const struct command *command, const char *name, size_t length) {
    const struct command_use *use = command->uses;
    for (; use != NULL && use->option != NULL; use++)
        if (strlen(use->option->name) == length && memcmp(use->option->name, name, length) == 0)
            return use;
    return NULL;
}

struct usage command_usage(const struct command *command) {
    struct usage usage;
    size_t size = (size_t) snprintf(usage.text, sizeof usage.text, "%s", command->name);
    const struct command_use *use = command->uses;
    for (; use != NULL && use->option != NULL && size < sizeof usage.text; use++)
        size += (size_t) snprintf(
            usage.text + size, sizeof usage.text - size, " %s%s%s%s%s", use->required ? "" : "[",
            use->option->name, use->option->value != NULL ? " " : "",
            use->option->value != NULL ? use->option->value : "", use->required ? "" : "]");
    if (command->argument != NULL && size < sizeof usage.text)
        snprintf(usage.text + size, sizeof usage.text - size, " %s", command->argument);
    return usage;
}

bool command_needs_config(const struct command *command) {
    const struct command_use *use = command_find_use(command, "-c", 2);
    return use != NULL && use->required;
}
