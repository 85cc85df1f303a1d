/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_version.c - pgcdc version.
 */
#include <libpq-fe.h>
#include <stdio.h>

#include "cdc/command.h"

#ifdef PGCDC_FAULT_POINTS
#define FAULT_POINTS ", with fault points"
#else
#define FAULT_POINTS ""
#endif

static enum exit_code run(const struct command_line *line) {
    (void) line;
    int libpq = PQlibVersion();
    printf("pgcdc %s\n", PGCDC_VERSION);
    printf("libpq %d.%d\n", libpq / 10000, libpq % 10000);
    printf("built as %s with compiler %s" FAULT_POINTS "\n", PGCDC_BUILD_TYPE, __VERSION__);
    return EXIT_DONE;
}

const struct command command_version = {
    .name = "version",
    .summary = "show the version of the program and of libpq, and how it was built",
    .help = "Prints one line each.",
    .run = run,
};
