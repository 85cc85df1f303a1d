/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h - the commands of the program; each lives in cdc/command_NAME.c.
 *
 * main parses the command line into struct command_line and hands it to the command, which prints what it has to say
 * (results to standard output, log lines and errors to standard error) and returns the exit code.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "cdc/base/lsn.h"
#include "cdc/config/config.h"
#include "cdc/base/exit_code.h"

struct command_line {
    const char *config_path; /* -c FILE */
    const char *argument;    /* what stands alone (tail ARCHIVE, help COMMAND), or NULL */
    bool json;               /* --json */
    const char *sql_side;    /* --sql: "source", "target" or "target:SINK", else NULL */
    bool until_caught_up;    /* --until caught-up */
    lsn_t until_lsn;         /* --until LSN, else 0 */
    int64_t timeout_ms;      /* --timeout, else 0 */
    int64_t retry_for_ms;    /* --retry-for, else 0 */
    bool take_over;          /* --take-over */
    size_t keys_max;         /* --keys, else 0 */
    struct config *config;   /* read from config_path, NULL for commands that need none */
    const atomic_bool *stop; /* becomes true on SIGTERM or SIGINT; a second signal leaves at once */
};

struct command {
    const char *name;
    const char *usage;   /* "run -c FILE [--until caught-up|LSN]"; main takes the options that stand here */
    const char *summary; /* one line */
    const char *help;    /* paragraphs for `pgcdc help NAME` */
    bool needs_config;
    enum exit_code (*run)(const struct command_line *line);
};

extern const struct command command_run;
extern const struct command command_check;
extern const struct command command_status;
extern const struct command command_verify;
extern const struct command command_tail;
extern const struct command command_why;
extern const struct command command_skip;
extern const struct command command_drop;
extern const struct command command_help;
extern const struct command command_version;

/* command.c: every command in turn, NULL after the last; the one of that name, or NULL. */
const struct command *command_at(size_t index);
const struct command *command_find(const char *name);

/* Does the command's usage name this option ("--json"), or an argument that stands alone? */
bool command_takes(const struct command *command, const char *option);
bool command_takes_argument(const struct command *command);
