/* SPDX-License-Identifier: Apache-2.0 */
/*
 * databases.h - one command over the databases of a file: a process for each.
 *
 * One process is one pipeline, so nothing of two databases can mix, and a pipeline that crashes ends alone.
 * The children end with their parent, also when it is killed.
 */
#pragma once

#include "cdc/command.h"

/*
 * As command->many says; line->config is the file's. The code is that of the first database, in the order of
 * the file, whose command did not end with 0.
 */
enum exit_code databases_run(const struct command *command, const struct command_line *line);

/* Is there more than one, and none is chosen? */
static inline bool databases_has_many(const struct command_line *line) {
    return line->config->migrate.database_count > 0 && line->database == NULL;
}
