/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure.h - why a pipeline last stopped or retries, beside its checkpoint: NAME.failure in the state
 * directory.
 *
 * For people, `status` and `check` only: nothing is decided by it, and a file that is not whole is none. No
 * secret and no row's value is in it, since an error has none. It goes when the pipeline makes progress
 * again.
 */
#pragma once

#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"

struct failure {
    bool exists;
    uint64_t attempts; /* that failed without progress in between */
    int64_t since_us;  /* the first of them, and the last; since 1970 */
    int64_t last_us;
    lsn_t position_lsn; /* in every sink then; 0: none */
    struct error error;
};

/* A file that cannot be read is as none. */
void failure_read(const char *directory, const char *pipeline, struct failure *ret_failure);

/* One attempt more. Atomic; what cannot be written is only missing for people, so *err is for the log. */
MUST_CHECK bool failure_write(const char *directory, const char *pipeline, const struct failure *failure,
                              struct error *err);

/*
 * What was found out about this very error since it was written: its remedy. True when another one is there,
 * or none.
 */
MUST_CHECK bool failure_explain(const char *directory, const char *pipeline, const struct error *error,
                                struct error *err);

/* True when there is none. */
MUST_CHECK bool failure_remove(const char *directory, const char *pipeline, struct error *err);
