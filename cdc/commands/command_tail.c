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
    .summary = "changes as JSON, one a line, for people and pipes",
    .help =
        "Shows what the pipeline's publication sends from now on, through a temporary slot of its own: it "
        "neither needs a\n"
        "running engine nor disturbs one, and leaves nothing behind. It ends on SIGINT, SIGTERM, or when "
        "nobody reads its\n"
        "output any more. After a lost connection it ends with exit code 1, because what happened meanwhile "
        "is unknown.\n"
        "\n"
        "  "
        "{\"op\":\"update\",\"schema\":\"public\",\"table\":\"orders\",\"commit_lsn\":\"0/"
        "1A2B3C8\",\"index\":0,\"xid\":739,\n"
        "   \"commit_time\":\"2026-11-22T08:00:00.123456Z\",\"key\":{\"id\":7},\"before\":null,\n"
        "   \"after\":{\"id\":7,\"total\":\"12.50\"},\"unchanged\":[\"document\"]}\n"
        "\n"
        "op           insert, update, delete, truncate or message (pg_logical_emit_message)\n"
        "commit_lsn   with index, the change's identity\n"
        "key          the replica identity's columns; null when the table has none or it is the whole row\n"
        "before       what the server sent of the old row: null, the old key, or with REPLICA IDENTITY FULL "
        "all of it\n"
        "unchanged    large values that an update did not touch and the server did not send; not null, not "
        "there\n"
        "\n"
        "No value is rounded: numeric, bigint beyond 2^53, NaN and Infinity are strings; so is every type "
        "that JSON does\n"
        "not know, in PostgreSQL's text form. json and jsonb are embedded as they are.",
    .run = run,
};
