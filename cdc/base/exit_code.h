/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit_code.h - the program's exit codes, and which kind of error ends in which.
 */
#pragma once

#include "cdc/base/error.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,     /* command line or configuration */
    EXIT_REFUSED = 3,   /* continuing would lose or repeat data */
    EXIT_DIFFERENT = 4, /* verify found a difference, or the count of a table does not close */
    EXIT_SHORT = 5,     /* run was stopped before it reached the requested end */
    EXIT_RUNNING = 6,   /* another engine runs this pipeline */
};

static inline enum exit_code exit_code_of(const struct error *err) {
    switch (err->kind) {
    case ERROR_NONE:
    case ERROR_STOPPED:
        return EXIT_DONE;
    case ERROR_CONFIG:
        return EXIT_USAGE;
    case ERROR_REFUSE:
        return EXIT_REFUSED;
    case ERROR_RUNNING:
        return EXIT_RUNNING;
    case ERROR_DIFFERENT:
        return EXIT_DIFFERENT;
    case ERROR_RETRY:
    case ERROR_NEEDS_TEXT:
    case ERROR_PROTOCOL:
    case ERROR_DATA:
    case ERROR_SYSTEM:
        return EXIT_FAILED;
    }
    return EXIT_FAILED;
}
