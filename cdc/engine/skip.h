/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skip.h - the one transaction that an operator leaves out of a sink: NAME.SINK.skip in the state directory.
 *
 * The transaction is identified by the start of its commit record, which its Begin already names, however
 * many batches follow. Its end would be ambiguous: the next commit record can start there. A transaction that
 * the sink is past is never matched again, so the file may remain after a kill.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/error.h"
#include "cdc/base/position.h"
#include "decoder/change.h"

struct skip {
    lsn_t commit_lsn; /* where its commit record begins; 0: nothing is skipped */
    lsn_t lsn;        /* as the operator named it */
};

/* A missing or incomplete file: nothing is skipped. */
void skip_read(const char *directory, const char *pipeline, const char *sink, struct skip *ret_skip);

/* Atomic and durable. */
MUST_CHECK bool skip_write(const char *directory, const char *pipeline, const char *sink,
                           const struct skip *skip, struct error *err);

/* True also when the file does not exist. */
MUST_CHECK bool skip_remove(const char *directory, const char *pipeline, const char *sink, struct error *err);

/* Can a sink at this position still receive the transaction? */
bool skip_is_ahead(const struct skip *skip, const struct position *position);

/* Is it the skipped transaction? */
bool skip_is(const struct skip *skip, const struct transaction *transaction);
