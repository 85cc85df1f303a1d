/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_tail.c - pgcdc tail.
 */
#include <unistd.h>

#include "cdc/archive/archive_moment.h"
#include "cdc/base/log.h"
#include "cdc/command.h"
#include "cdc/commands/one_sink.h"
#include "cdc/engine/tail.h"

/* The archive is read as a pipeline reads it. */
static bool find_places(const struct command_line *line, const char *archive, struct tail_options *options,
                        struct error *err) {
    options->from_lsn = line->from_lsn;
    options->until_lsn = line->until_lsn;
    if (line->from_time_us != 0 &&
        !archive_find_moment(archive, line->from_time_us, line->stop, &options->from_lsn, err))
        return false;
    return line->until_time_us == 0 ||
           archive_find_moment(archive, line->until_time_us, line->stop, &options->until_lsn, err);
}

static bool check_arguments(const struct command_line *line, struct error *err) {
    const bool has_places = line->from_lsn != 0 || line->from_time_us != 0 || line->until_lsn != 0 ||
                            line->until_time_us != 0 || line->follows || line->until_caught_up;
    if (line->argument == NULL && line->config == NULL)
        return error_set(err, ERROR_CONFIG, "-c FILE or the directory of an archive is required");
    if (line->argument != NULL && line->config != NULL)
        return error_set(err, ERROR_CONFIG, "-c FILE and the directory of an archive exclude each other");
    if (line->argument == NULL && line->config->source.archive == NULL && has_places)
        return error_set(err, ERROR_CONFIG, "--from, --until and --follow need the directory of an archive");
    return true;
}

static bool find_mapped(const struct command_line *line, const struct sink_config **ret_sink,
                        struct error *err) {
    const struct config_sink *sink = NULL;
    *ret_sink = NULL;
    if (line->sink != NULL && !line->is_mapped)
        return error_set(err, ERROR_CONFIG, "--sink needs --mapped");
    if (line->is_mapped && line->config == NULL)
        return error_set(err, ERROR_CONFIG, "--mapped needs -c FILE, which has the rules");
    if (!line->is_mapped)
        return true;
    if (!one_sink_find(line, &sink, err))
        return false;
    *ret_sink = &sink->sink;
    return true;
}

static bool run_tail(const struct command_line *line, struct error *err) {
    struct tail_options options = {.follows = line->follows,
                                   .filter = {.tables = line->tables,
                                              .table_count = line->table_count,
                                              .key = line->key,
                                              .transaction_lsn = line->transaction_lsn}};
    if (!check_arguments(line, err) || !find_mapped(line, &options.sink, err))
        return false;
    const char *path = line->argument != NULL ? line->argument : line->config->source.archive;
    const struct config archive = {.name = "tail", .source = {.archive = path, .slot = "tail"}};
    if (path != NULL && !find_places(line, path, &options, err))
        return false;
    return tail_run(path != NULL ? &archive : line->config, &options, STDOUT_FILENO, line->stop, err);
}

static enum exit_code run(const struct command_line *line) {
    struct error err = {0};
    if (run_tail(line, &err) || err.kind == ERROR_STOPPED)
        return EXIT_DONE;
    log_failure(&err);
    return exit_code_of(&err);
}

static const struct command_use USES[] = {
    {&OPTION_CONFIG, NULL, false},
    {&OPTION_TABLE, "only changes of this table; may be repeated", false},
    {&OPTION_KEY, "only rows with this value, before or after the change, as psql shows it", false},
    {&OPTION_TRANSACTION, "only the transaction with this commit_lsn or end", false},
    {&OPTION_FROM, "of an archive: only transactions that end after this position, or committed later",
     false},
    {&OPTION_UNTIL, "of an archive: nothing after this position, or committed later", false},
    {&OPTION_MAPPED,
     "changes as the sink gets them by the mapping's rules; --table and --key mean the sink's", false},
    {&OPTION_SINK, "with --mapped: the sink whose rules are used; needed if there are several", false},
    {&OPTION_FOLLOW, "of an archive: go on with what is written later", false},
    {0},
};

const struct command command_tail = {
    .name = "tail",
    .uses = USES,
    .argument = "[ARCHIVE]",
    .summary = "print changes as JSON, one a line, for people and pipes",
    .help = "Prints the changes that the pipeline's publication sends from now on, through a temporary\n"
            "slot of its own: it neither needs a running engine nor disturbs one, and leaves nothing at\n"
            "the source. It ends on SIGINT, on SIGTERM, or when its output is closed. After a lost\n"
            "connection it ends with exit code 1, because it may have missed changes.\n"
            "\n"
            "With --mapped the lines are what a sink gets: names, columns and values by the rules of its\n"
            "mapping.\n"
            "\n"
            "With the directory of an archive instead of -c FILE it prints what the archive holds, without\n"
            "a server, up to its end. Rows of a copy have the operation read.\n"
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
