/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_tail.c - pgcdc tail.
 */
#include <unistd.h>

#include "cdc/base/log.h"
#include "cdc/command.h"
#include "cdc/engine/tail.h"

static enum exit_code run(const struct command_line *line) {
    struct error err = {0};
    if (tail_run(line->config, STDOUT_FILENO, line->stop, &err) || err.kind == ERROR_STOPPED)
        return EXIT_DONE;
    log_line(LOG_LEVEL_ERROR, "%s", error_line(&err).text);
    return exit_code_of(&err);
}

static const struct command_use USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {0},
};

const struct command command_tail = {
    .name = "tail",
    .uses = USES,
    .summary = "print changes as JSON, one a line, for people and pipes",
    .help = "Prints the changes that the pipeline's publication sends from now on, through a temporary\n"
            "slot of its own: it neither needs a running engine nor disturbs one, and leaves nothing at\n"
            "the source. It ends on SIGINT, on SIGTERM, or when its output is closed. After a lost\n"
            "connection it ends with exit code 1, because it may have missed changes.\n"
            "\n"
            "  {\"op\":\"update\",\"schema\":\"public\",\"table\":\"orders\",\"commit_lsn\":\"0/1A2B3C8\",\n"
            "   \"index\":0,\"xid\":739,\"commit_time\":\"2026-11-22T08:00:00.123456Z\",\n"
            "   "
            "\"key\":{\"id\":7},\"before\":null,\"after\":{\"id\":7,\"total\":\"12.50\"},\"unchanged\":["
            "\"document\"]}\n"
            "\n"
            "op           insert, update, delete, truncate or message (pg_logical_emit_message)\n"
            "commit_lsn   with index, the change's identity\n"
            "key          the replica identity's columns; null if the table has none or it is the whole row\n"
            "before       the part of the old row that the server sent: null, the old key, or with REPLICA\n"
            "             IDENTITY FULL the whole row\n"
            "unchanged    large values that an update did not change and the server did not send; not null,\n"
            "             and not in after\n"
            "\n"
            "No value is rounded: numeric, bigint beyond 2^53, NaN and Infinity are strings; so is every\n"
            "type that JSON lacks, in PostgreSQL's text form. json and jsonb are embedded unchanged.\n"
            "In every string, what a terminal would obey is escaped.",
    .run = run,
};
