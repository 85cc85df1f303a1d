/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_run.c - pgcdc run.
 */
#include "cdc/base/log.h"
#include "cdc/command.h"
#include "cdc/pipeline.h"

static enum exit_code run(const struct command_line *line) {
    const struct pipeline_options options = {
        .until_caught_up = line->until_caught_up, .until_lsn = line->until_lsn, .stop = line->stop};
    struct error err = {0};
    if (pipeline_run(line->config, &options, &err)) {
        log_line(LOG_LEVEL_INFO, "stopped");
        return EXIT_DONE;
    }
    log_line(LOG_LEVEL_ERROR, "%s", error_line(&err).text);
    return exit_code_of(&err);
}

const struct command command_run = {
    .name = "run",
    .usage = "run -c FILE [--until caught-up|LSN]",
    .summary = "copy what is there, then stream every change into the sinks",
    .help =
        "Creates the publication and the slot when no position exists anywhere, copies the rows that are present\n"
        "(source.snapshot: initial), then streams changes for ever, each commit exactly once.\n"
        "\n"
        "--until caught-up   take the end of the source's WAL now, reach it durably in every sink, and exit 0\n"
        "--until LSN         the same for a given position, such as 16/B374D848\n"
        "\n"
        "SIGTERM and SIGINT: stop reading, flush, confirm, exit 0 within 10 seconds; a second one leaves at once.\n"
        "Lost connections, restarts of either server, deadlocks and full disks are waited out for ever. A change that\n"
        "does not fit the target stops the pipeline right before its transaction (exit 1). When going on would lose or\n"
        "repeat data, run refuses and says why (exit 3).",
    .needs_config = true,
    .run = run,
};
