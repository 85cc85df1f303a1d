/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure.h - why a pipeline last stopped or retried: NAME.failure in the state directory, next to its
 * checkpoint.
 *
 * For people, `status` and `check` only: no decision depends on it, and an incomplete file counts as missing.
 * It contains no secret and no row's value, since an error contains none. It is removed when the pipeline
 * makes progress again.
 */
#pragma once

#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"

struct failure {
    bool exists;
    uint64_t attempts; /* failed attempts in a row without progress */
    int64_t since_us;  /* first and last of them; since 1970 */
    int64_t last_us;
    lsn_t position_lsn; /* durable in every sink at that time; 0: none */
    struct error error;
};

/* A file that cannot be read counts as missing. */
void failure_read(const char *directory, const char *pipeline, struct failure *ret_failure);

/* Atomic. A failure to write loses information for people, so *err is only for the log. */
MUST_CHECK bool failure_write(const char *directory, const char *pipeline, const struct failure *failure,
                              struct error *err);

/*
 * Stores the remedy that was found for this error after it was written. True also when the file has another
 * error or does not exist.
 */
MUST_CHECK bool failure_explain(const char *directory, const char *pipeline, const struct error *error,
                                struct error *err);

/* True also when the file does not exist. */
MUST_CHECK bool failure_remove(const char *directory, const char *pipeline, struct error *err);
