/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.h - another program, run to its end.
 */
#pragma once

#include <stdatomic.h>

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"

struct program {
    const char *const *words;       /* its path and its arguments; NULL ends them */
    const char *const *environment; /* all of it; NULL: ours */
    const atomic_bool *stop;        /* may be NULL */
};

/*
 * Its standard output, appended to output. It ends when this process dies. ERROR_CONFIG: it could not be
 * started, or failed; the error has the first line of what it wrote to standard error. ERROR_STOPPED: it was
 * ended.
 */
MUST_CHECK bool program_run(const struct program *program, struct buffer *output, struct error *err);
