/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skip.h - the one transaction that an operator wants left out of a sink: NAME.SINK.skip in the state
 * directory.
 *
 * It is known by where its commit record begins, which its Begin says already, however many batches follow:
 * where it ends, the commit record of another may begin. A transaction which the sink is past is never looked
 * for again, so the file may stay after a kill.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/error.h"
#include "cdc/base/position.h"
#include "decoder/change.h"

struct skip {
    lsn_t commit_lsn; /* where its commit record begins; 0: nothing is left out */
    lsn_t lsn;        /* as the operator named it */
};

/* No file, or none that is whole, is nothing. */
void skip_read(const char *directory, const char *pipeline, const char *sink, struct skip *ret_skip);

/* Atomic and durable. */
MUST_CHECK bool skip_write(const char *directory, const char *pipeline, const char *sink,
                           const struct skip *skip, struct error *err);

/* True when there is none. */
MUST_CHECK bool skip_remove(const char *directory, const char *pipeline, const char *sink, struct error *err);

/* May the transaction still come to a sink that is there? */
bool skip_is_ahead(const struct skip *skip, const struct position *position);

/* Is it this one? */
bool skip_is(const struct skip *skip, const struct transaction *transaction);
